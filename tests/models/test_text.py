"""Sentences: every character that is not white space in exactly one, at offsets that cut it."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.text import MAX_SENTENCE, encodable, is_codable, language, sentences


def cut(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


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


# A quadratic splitter would need many minutes for these; the time-out ends it.
@pytest.mark.timeout(60)
@pytest.mark.parametrize("part", ["x. y", ".", '."', "a", "A.\n", "U.S. ", "Mr. "])
def test_a_megabyte_of_hostile_text_can_be_cut(part: str) -> None:
    text = part * (1_000_000 // len(part))
    assert sum(end - start for start, end in sentences(text)) <= len(text)


@given(st.text(alphabet=st.characters(min_codepoint=0xD700, max_codepoint=0xE100), max_size=50))
def test_lone_surrogates_are_replaced_one_for_one(text: str) -> None:
    replaced = encodable(text)
    replaced.encode()
    assert len(replaced) == len(text)


@pytest.mark.parametrize(
    ("text", "codable"),
    [
        (
            "Rebels shelled the market on Monday, killing at least twelve people, the local health ministry said in a note.",
            True,
        ),
        ("Rebels seize Goma", True),
        ("", False),
        ("1234 - 5678", False),
        ("Повстанцы обстреляли рынок в понедельник", False),
        ("叛军周一炮击了市场", False),
        ("Les rebelles ont bombardé le marché. " * 4, False),
    ],
)
def test_text_that_the_coder_cannot_read_is_known(text: str, codable: bool) -> None:
    assert is_codable(text) is codable


def test_the_language_of_a_text_can_be_told() -> None:
    code, probability = language("Die Aufständischen beschossen am Montag den Markt und töteten zwölf Menschen.")
    assert code == "de"
    assert 0.5 < probability <= 1
