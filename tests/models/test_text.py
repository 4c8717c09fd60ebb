"""Sentences: every character that is not white space in exactly one, at offsets that cut it; and what is not coded."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.text import MAX_SENTENCE, encodable, language, sentences, uncodable


def cut(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


# What newswire has. A "|" stands between two sentences: white space before it is no part of either.
HARD = {
    "titles and initials": [
        "Gen. Abdel Fattah al-Burhan met Lt. Col. Paul-Henri Damiba. |They talked.",
        "Maj. Gen. Qassem Soleimani and Brig. Gen. Esmail Qaani flew to Iraq. |Iran said so.",
        "Sgt. 1st Class Alwyn Cashe died. |Sen. Lindsey Graham wept.",
        "J. K. Rowling met George W. Bush. |He smiled.",
        "A. P. J. Abdul Kalam and B.R. Ambedkar were honoured. |Crowds came.",
        "The army moved to plan B. |The rebels did not.",
        "Gen. He Weidong was expelled. |Mr. An was not.",
        "Martin Luther King Jr. |The march began.",
        "Ferdinand Marcos Jr. Vows to fight. |He lost.",
        "Dr. Denis Mukwege, Ph.D., spoke. |Prof. Wole Soyinka listened.",
        "Pope John Paul II. |Gunmen shot him.",
        "Col. (ret.) John Garang died. |Sudan mourned.",
        "Fr. Javier Campos and the Rev. Joaquín Mora were shot. |Mexico grieved.",
        "They sat. |Gunmen came out of the sun. |Soldiers fired.",
    ],
    "places": [
        "A bomb went off in St. Petersburg on Monday. |Nobody was hurt.",
        "Troops left Ft. Hood, Tex., for Mt. Sinjar. |Others stayed.",
        "He was held in Alexandria, Va. |The trial begins in May.",
        "Police shut Pennsylvania Ave. |The mayor agreed.",
        "Protesters met in Washington, D.C. on Friday. |Police watched.",
    ],
    "countries and organisations": [
        "U.S. President Joe Biden called. |U.N. Secretary-General António Guterres did too.",
        "He was born in the U.S. |The army drafted him.",
        "A U.S.-led coalition struck. |U.K. Foreign Secretary David Lammy praised it.",
        "The U.S. Embassy closed. |U.S. and Iraqi troops left.",
        "Rebels ambushed a U.N. convoy. |It had left the U.N. |Nobody died.",
        "Ericsson Inc. said it paid. |Lafarge Ltd. Chairman Beat Hess resigned.",
        "He sold it to Glencore Inc. |The price is not known.",
        "Yahoo! said it was hacked. |Yahoo! News reported it.",
    ],
    "numbers and times": [
        "He lives at No. 10 Downing Street. |Police guard it.",
        "Troops killed the group's No. 2. |Its No. 1 fled.",
        "Would he resign? |He said no. |Protesters marched.",
        "The damage is $1.2 bn. |Growth fell to 3.5 percent.",
        "The toll rose to 1,204. |Of these 12.5 per cent were children.",
        "It began at 5 a.m. on Jan. 6 and ended at 7 p.m. Monday. |Police came.",
        "Shelling began at 3 p.m. (1200 GMT) and stopped at 4 p.m. Moscow time. |Two died.",
        "It stopped at 9 p.m. |Gunmen then fled.",
        "They fled on Feb. 24, 2022. |Russia attacked in Feb. |The war went on.",
        "Fighting broke out in 2023. |The army won.",
        "He was paid Rs. 500 under Art. 5 of the law. |Judges freed him.",
        "It cost approx. $5 million. |$3 million came from Qatar.",
        "Some 3.5m fled. |12 people died. |5,000 are missing.",
        "Temperatures fell to -3.5C in Kabul. |Aid is late.",
    ],
    "other abbreviations": [
        "Armed groups, e.g. The Base, i.e. Al Qaeda, were named. |Others were not.",
        "Carlos, a.k.a. The Jackal, was jailed. |He appealed.",
        "It was Iran vs. The West. |Nobody won.",
        "They took rifles, rockets, etc. |The police took them back.",
        "Researchers (Smith et al. 2020) counted them. |Some doubt it.",
    ],
    "quotation": [
        "“Why?” he asked. |“We have nothing.”",
        '"Who did this?" Mr. Abdel Rahman asked. |Nobody knew.',
        "“Down with the junta!” they shouted. |Police fired.",
        "“Is it over?” |The crowd fell silent.",
        "He called it “a massacre.” |The army denied it.",
        'He called it a "massacre". |The army denied it.',
        "“He told me, ‘Leave now.’” |She left.",
        "“They said ‘We will come back.’ |And they came,” she said. |It was dark.",
        "“We won,” he said. |“They lost.” |“Everybody lost.”",
        "'We will not go.' |'Never!' |He stayed.",
        "«Nous partirons.» |The army left.",
        "“Enough,” said Gen. Min Aung Hlaing. |“The U.N. must go.”",
        "“We will fight. |“We will win,” he said.",
        "The so-called “U.S. Army of God” claimed it. |Nobody believed it.",
    ],
    "ellipses": [
        "“We ... are not leaving,” he said. |He left...",
        "“We will … President Assad said so,” he said.",
        "He waited... |Then he fired.",
        "She saw them come … |The rest is silence.",
        "Really?! |He could not believe it!!! |Nobody could.",
    ],
    "brackets": [
        "Rebels (M23) took Goma. |(The army denied it.) |Rwanda did too.",
        "Two soldiers died [see map]. |[Read more]",
        "Talks failed. |(Reporting by Anna Kowal; Editing by Peter Hume)",
    ],
    "datelines": [
        "(Reuters) - |Rebels took Goma.",
        "May 14 (Reuters) - |Rebels took Goma.",
        "KYIV, Ukraine (AP) — |Drones hit Odesa. |Two died.",
        "GENEVA/NEW YORK, 3 March 2026 – |Sudan is starving.",
        "Juba, 3 March 2026 – |Sudan is starving.",
        "New York/Geneva, May 5, 2024 - |Talks began.",
        "BBC News, Nairobi\n|Rebels took Goma.",
        "By Anne Soy\n|BBC News, Nairobi\n|Rebels took Goma.",
        "PORT-AU-PRINCE, Haiti (AP) _ |Gangs struck.",
        "BOGOTÁ, Colombia — |The ELN struck.",
        "SÃO PAULO (Reuters) - |Police struck.",
        "Beijing, May 5 (Xinhua) -- |China protested.",
        "CAIRO/GAZA/JERUSALEM (Reuters) - |“Stop,” he said.",
        "N'DJAMENA, Chad - |Soldiers mutinied.",
        "WASHINGTON, D.C. — |The U.S. left.",
        "ST. PETERSBURG, Fla. (AP) — |A man was shot.",
        "MOSCOW, March 5. /TASS/. |Russia struck Kharkov.",
        "RAMALLAH, West Bank, Jan. 5, 2024 (AFP) - |A boy was shot.",
        "ISLAMABAD: Gunmen struck.",
        "UNHCR: Sudan war uprooted 12 million.",
        "U.S. - Iran talks resume in Oman.",
        "NATO - the alliance - met. |It agreed.",
    ],
    "lists and lines": [
        "What we know:\n|* Rebels took Goma\n|* The army fled\n|• Rwanda denies it",
        "Key points: |• Rebels took Goma |• The army fled",
        "1. Rebels took Goma.\n|2. The army fled.\n|10. Rwanda denies it.",
        "1) Rebels took Goma\n|2) The army fled",
        "a. Rebels took Goma.\n|(b) The army fled.",
        "Rebels take Goma\n\n|The M23 took Goma on Monday. |It had besieged it.",
        "Rebels take Goma\n|The M23 took Goma.",
        "The rebels, who had\nbeen besieging the city since Jan. 6, took it\non Monday. |They won.",
        "The army left.\r\n|The rebels\r\nstayed.\r\n\r\n|Nobody won.",
        "Rebels take Goma\n\n|iPhone footage shows it.",
        "The provinces are:\n|north Kivu\n|",
        "Read more\n|https://example.org/goma",
        "Goma\t\t12 dead.\t|Bukavu\t3 dead.",
        "Line one.\u2028|Line two",
    ],
    "missing spaces": [
        "Two died in the attack.|The army fled.",
        "It ended in 2023.|The army had won the war.|He left.",
        "“We won.”|The army fled.|“They lost.”",
        "Was it over?|He did not know!|She did.",
        "A B.Tech student and a Ph.D student were shot. |They live.",
        "Talks in the U.S.A. failed. |Others follow.",
    ],
    "addresses": [
        "See https://www.Example.org/a.B?The=1.The for more. |Bye.",
        "Write to John.Smith@example.org or www.Reuters.The.com. |Bye.",
        "Follow @MSF_Sudan on x.com. |@UNHCR agrees. |#Sudan is starving.",
        "Amazon.com Inc. said so. |Node.js did not.",
    ],
    "odd characters": [
        "Gen.\u00a0Min Aung Hlaing met Dr.\u00a0Sein.\u00a0|They talked.",
        "\ufeffGen. Min\u200b Aung left.\u200b |The\u200b U.S.\u200b Army stayed.",
        "The shel\u00adling ended.\u00ad |Sol\u00addiers left.",
        "It is over 🙏 at last. |🇺🇦 Ukraine won! |😡",
        "停火。|军队撤离！|“为什么？”|他问。",
        "الجيش انسحب. |لماذا؟ |لا أحد يعرف۔ |انتهى",
        "सेना हट गई। |लोग लौटे।",
        "The army left. |al-Shabaab took the town. |el-Fasher fell.",
        "The army left. |– Agencies",
    ],
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\t ", []),
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Gen. John Smith met Mr. Abdullah. He left.", ["Gen. John Smith met Mr. Abdullah.", "He left."]),
        ("The U.S. Army said so. The U.N. did not.", ["The U.S. Army said so.", "The U.N. did not."]),
        ("They fled the U.S. The rest stayed.", ["They fled the U.S.", "The rest stayed."]),
        ("It began at 5 p.m. Tuesday in Kano.", ["It began at 5 p.m. Tuesday in Kano."]),
        ("J. K. Rowling wrote. Others read.", ["J. K. Rowling wrote.", "Others read."]),
        ("Some 3.5 million fled. More follow.", ["Some 3.5 million fled.", "More follow."]),
        ("AMMAN, May 14 (AFP) -- Troops left. They did.", ["AMMAN, May 14 (AFP) --", "Troops left.", "They did."]),
        ("WASHINGTON (AP) — The U.S. left.", ["WASHINGTON (AP) —", "The U.S. left."]),
        ("OUAGADOUGOU - Gunmen struck.", ["OUAGADOUGOU -", "Gunmen struck."]),
        ("GENEVA/BERLIN, Nov. 3 (Reuters) - Talks began.", ["GENEVA/BERLIN, Nov. 3 (Reuters) -", "Talks began."]),
        ("ADDIS ABABA, Ethiopia — Talks began.", ["ADDIS ABABA, Ethiopia —", "Talks began."]),
        ("Kyiv (AFP) - Drones struck.", ["Kyiv (AFP) -", "Drones struck."]),
        ("Talks - the first in years - began.", ["Talks - the first in years - began."]),
        ('“Stop.” He ran. "No!" she said.', ["“Stop.”", "He ran.", '"No!" she said.']),
        ("The shelling ended.The troops left.", ["The shelling ended.", "The troops left."]),
        ("See example.com for more. Bye.", ["See example.com for more.", "Bye."]),
        ("Headline without stop\nLead sentence here.", ["Headline without stop", "Lead sentence here."]),
        ("Points:\n- first one\n- second one", ["Points:", "- first one", "- second one"]),
        ("He waited… Then he left.", ["He waited…", "Then he left."]),
        ("中文。句子！", ["中文。", "句子！"]),
        ("الجيش انسحب؟ عاد.", ["الجيش انسحب؟", "عاد."]),
    ],
)
def test_sentences_can_be_told_apart(text: str, expected: list[str]) -> None:
    assert cut(text) == expected


@pytest.mark.parametrize("text", [text for texts in HARD.values() for text in texts])
def test_sentences_of_real_newswire_can_be_told_apart(text: str) -> None:
    assert cut(text.replace("|", "")) == [part.strip() for part in text.split("|") if part.strip()]


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from(list(".!? \n\"'”-Aa"))), max_size=400))
def test_every_character_is_in_exactly_one_sentence(text: str) -> None:
    spans = sentences(text)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    covered = "".join(text[start:end] for start, end in spans)
    assert "".join(covered.split()) == "".join(text.split())
    assert all(text[start:end].strip() == text[start:end] != "" for start, end in spans)


def test_a_paragraph_without_a_stop_is_cut_at_a_clause() -> None:
    text = "the column moved on through the valley, " * 250
    spans = sentences(text)
    assert all(0 < end - start <= MAX_SENTENCE for start, end in spans)
    assert all(text[:end].endswith(",") for _, end in spans)


def test_a_long_paragraph_can_be_cut_into_its_sentences() -> None:
    part = (
        "Gen. Abdel Fattah al-Burhan told U.S. officials on Jan. 6 that rebels had shelled El Fasher. “Why?” he asked. "
    )
    text = part * (10_000 // len(part))
    assert cut(text) == [*re.findall(r".*?Fasher\.|“.*?asked\.", part)] * (10_000 // len(part))


# A quadratic splitter would need many minutes for these; the time-out ends it.
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "part",
    ["x. y", ".", "....,", '."', "a", "A.\n", "\n\v", "U.S. ", "Mr. ", "AAA - ", "AB, C1", "(A", ".\u200b", "?” Ab "],
)
def test_a_megabyte_of_hostile_text_can_be_cut(part: str) -> None:
    text = part * (1_000_000 // len(part))
    assert sum(end - start for start, end in sentences(text)) <= len(text)


@given(st.text(alphabet=st.characters(min_codepoint=0xD700, max_codepoint=0xE100), max_size=50))
def test_lone_surrogates_are_replaced_one_for_one(text: str) -> None:
    replaced = encodable(text)
    replaced.encode()
    assert len(replaced) == len(text)


FOREIGN = {
    "es": [
        "Al menos doce personas murieron el lunes en un atentado con coche bomba en el centro de Bogotá, según la policía.",
        "El presidente de Colombia anunció un alto el fuego con el ELN",
        "Al menos 12 muertos en un atentado con coche bomba en Bogotá",
    ],
    "fr": [
        "Les rebelles du M23 ont pris lundi la ville de Goma, a annoncé le gouvernement congolais dans un communiqué.",
        "Attentat à la bombe à Kaboul: 12 morts",
    ],
    "de": [
        "Bei einem Anschlag auf einen Markt in Kabul sind am Montag zwölf Menschen getötet worden, teilte die Polizei mit.",
        "Bundeswehr zieht aus Mali ab",
    ],
    "it": ["Dodici persone sono morte lunedì in un attentato nel centro di Kabul, ha riferito la polizia locale."],
    "pt": [
        "Pelo menos doze pessoas morreram na segunda-feira num ataque a um mercado no Rio de Janeiro, disse a polícia.",
        "Doze mortos em ataque no Rio de Janeiro",
    ],
    "nl": [
        "Bij een aanslag op een markt in Kabul zijn maandag zeker twaalf mensen om het leven gekomen, meldt de politie.",
        "Twaalf doden bij aanslag in Kabul",
    ],
    "pl": ["Wojska rosyjskie ostrzelały Charków, zginęło dwanaście osób", "Wojska rosyjskie ostrzelały Charków"],
    "tr": ["İstanbul'da patlama: 6 ölü, 81 yaralı", "Erdoğan: Suriye'ye operasyon yapacağız"],
    "id": [
        "Sedikitnya dua belas orang tewas dalam serangan bom di sebuah pasar di Jakarta pada hari Senin, kata polisi."
    ],
    "sv": ["Minst tolv personer dödades i måndags i ett attentat mot en marknad i Kabul, uppger den lokala polisen."],
    "fi": ["Kaksitoista kuollut iskussa Kabulissa"],
    "hu": ["Tizenketten haltak meg egy kabuli merényletben"],
    "ro": ["Doisprezece morți într-un atentat la Kabul"],
    "cs": ["Dvanáct mrtvých při útoku v Kábulu"],
    "vi": ["Mười hai người chết trong vụ tấn công ở Kabul"],
    "sw": ["Watu kumi na wawili wauawa katika shambulio mjini Goma", "Rais Ruto akutana na viongozi wa upinzani"],
    "so": ["Dowladda Soomaaliya oo la wareegtay degmo"],
    "ha": ["Sojoji sun kashe yan bindiga a Zamfara"],
    "tl": ["Labindalawang patay sa pagsabog sa Jolo"],
    "ru": ["Повстанцы обстреляли рынок в понедельник, погибли двенадцать человек, сообщила полиция."],
    "uk": ["Російські війська обстріляли Харків, загинули дванадцять людей, повідомила поліція."],
    "ar": ["قتل اثنا عشر شخصا في هجوم على سوق في بغداد يوم الاثنين", "الجيش السوداني يعلن السيطرة على الخرطوم"],
    "fa": ["دوازده نفر در حمله به بازاری در کابل کشته شدند، پلیس گفت"],
    "he": ["שנים עשר בני אדם נהרגו בפיגוע בירושלים"],
    "zh": ["叛军周一炮击了市场,造成十二人死亡"],
    "ja": ["カブールの市場で爆発があり、12人が死亡した"],
    "ko": ["카불 시장에서 폭탄 테러로 12명이 숨졌다"],
    "hi": ["काबुल के बाज़ार में हमले में बारह लोगों की मौत"],
    "el": ["Δώδεκα νεκροί σε επίθεση στην Καμπούλ"],
    "am": ["በአዲስ አበባ አስራ ሁለት ሰዎች ተገደሉ"],
}

SHORT_OR_ODD = """\
Rebels seize Goma
UN: 12 dead
LIVE: Kyiv
Q&A
X
Al-Shabaab
Coup d'état in Niamey
Protest in São Paulo
Nguyễn Phú Trọng dies
Loya Jirga opens
Vox populi
RSF-SAF: ceasefire?
Netanyahu, Abbas, Sisi, Erdoğan
Pashinyan, Aliyev, Mirzoyan, Bayramov
Luiz Inácio Lula da Silva
Recep Tayyip Erdoğan
Abdel Fattah al-Burhan, Mohamed Hamdan Dagalo
Jair Bolsonaro, Dilma Rousseff, Michel Temer
Nicolás Maduro v Edmundo González Urrutia
Hassan Nasrallah, Naim Qassem, Hashem Safieddine
Sahel: JNIM, ISGS, FAMa, Wagner
ISIS, HTS, SDF, YPG, PKK: who is who?
M23, FDLR, ADF, FARDC
Tigray, Amhara, Oromia, Afar, Sidama
Bamako, Gao, Kidal, Ménaka, Tessalit, Tombouctou
Zaporizhzhia, Kherson, Donetsk, Luhansk
Oyo, Osun, Ekiti, Ondo, Ogun, Lagos
GAZA CITY, GAZA STRIP
PRESIDENT ERDOGAN VISITS BAGHDAD
GUNMEN KILL MAYOR OF JARAMIJO, ECUADOR
Gilets jaunes: Macron retreats
Rassemblement National and La France Insoumise censure Barnier
Fuerza Popular wins Peru vote
Jemaah Islamiyah disbands in Solo
Hayat Tahrir al-Sham takes Aleppo
Comando Vermelho, Primeiro Comando da Capital
Delhi keeps Dhaka's Hasina, Dhaka keeps Delhi's rice
Quito pardons 40 Peruvian poachers
Belgrade students block Gazela bridge; Vučić offers talks
Mozambique gas project: TotalEnergies lifts force majeure
Dem don kill twelve people for Zamfara, na so police talk yesterday for inside statement
Kenya has halted maize imports from Tanzania and Uganda over mould, prompting Dar es Salaam to impound 6,400 Kenyan chicks
""".splitlines()

MIXED = [
    "Protesters in Caracas shouted “¡Y va a caer, y va a caer, este gobierno va a caer!” and “¡Libertad para los presos "
    "políticos!” before police dispersed them with tear gas, witnesses said.",
    "Macron told parliament: « Nous ne céderons rien aux ennemis de la République, ni aujourd'hui, ni demain. » The "
    "opposition walked out.",
    "The army said it had retaken Bakhmut. «Мы вернули город, враг отступил», a commander wrote on Telegram on Monday, as "
    "Russia denied it.",
    "Sudan's army said “الجيش السوداني يعلن السيطرة على الخرطوم” in a statement on Monday. The RSF denied it.",
    "China's foreign ministry protested (外交部发言人表示强烈不满和坚决反对) on Monday and summoned the ambassador.",
    "#SudanUprising #مليونية_30_يونيو: thousands march in Khartoum, Omdurman and Bahri against the junta",
]


@pytest.mark.parametrize(("code", "text"), [(code, text) for code, texts in FOREIGN.items() for text in texts])
def test_a_text_in_another_language_is_not_coded_and_its_language_named(code: str, text: str) -> None:
    assert uncodable(text) == uncodable("", text) == f"language:{code}"


ENGLISH = [text for kind, texts in HARD.items() if kind != "odd characters" for text in texts]


@pytest.mark.parametrize("text", [*SHORT_OR_ODD, *MIXED, *ENGLISH])
def test_a_text_that_may_be_english_is_coded(text: str) -> None:
    assert uncodable(text) is None
    assert uncodable("", text) is None


def test_an_english_text_under_a_foreign_headline_is_coded() -> None:
    text = (
        "Rebels shelled the market of Goma on Monday, killing at least twelve people, the local health ministry said."
    )
    assert uncodable(text, "Goma: attaque des rebelles du M23") is None
    assert uncodable(f"{text} {FOREIGN['fr'][0]}") is None


@pytest.mark.parametrize("text", ["", " \n", "1234 - 5678", "…", "😡"])
def test_a_text_without_letters_is_empty(text: str) -> None:
    assert uncodable(text) == "empty"


def test_a_script_of_no_language_that_can_be_told_is_named_as_such() -> None:
    assert uncodable("ދިވެހިރާއްޖޭގެ ރައީސް") == "script"


def test_the_language_of_a_text_can_be_told() -> None:
    code, probability = language("Die Aufständischen beschossen am Montag den Markt und töteten zwölf Menschen.")
    assert code == "de"
    assert 0.5 < probability <= 1
