"""The ontology: types, modes, scores, and every row of the crosswalk with a case that it decides."""

import runpy
from pathlib import Path

import pytest

from models import ontology
from models.events import AcledCode, Codes
from models.ontology import CROSSWALK_VERSION, MODES, TYPES, crosswalk, intensity, quad

CORPUS = Path(__file__).parents[3] / "models" / "corpus"
ORDER = [
    "AGREE", "CONSULT", "SUPPORT", "CONCEDE", "COOPERATE", "AID", "RETREAT", "REQUEST",
    "ACCUSE", "REJECT", "THREATEN", "PROTEST", "SANCTION", "MOBILIZE", "COERCE", "ASSAULT",
]  # fmt: skip

VC, MC = "verbal cooperation", "material cooperation"
VK, MK = "verbal conflict", "material conflict"
QUADS = {
    **dict.fromkeys(["AGREE", "CONSULT", "SUPPORT", "CONCEDE"], VC),
    **dict.fromkeys(["COOPERATE", "AID", "RETREAT"], MC),
    **dict.fromkeys(["REQUEST", "ACCUSE", "REJECT", "THREATEN"], VK),
    **dict.fromkeys(["PROTEST", "SANCTION", "MOBILIZE", "COERCE", "ASSAULT"], MK),
}

SCORES = {
    "AGREE": 2.5, "CONSULT": 2.5, "SUPPORT": 5, "CONCEDE": 4.5, "COOPERATE": 9.5, "AID": 10, "RETREAT": 6.5,
    "REQUEST": 0,
    "ACCUSE": -2, "REJECT": -2, "THREATEN": -3.5, "PROTEST": -5, "SANCTION": -6, "MOBILIZE": -5.5, "COERCE": -7,
    "ASSAULT": -9, "RETREAT withdraw": 8, "RETREAT release": 6.5, "RETREAT disarm": 10, "RETREAT ceasefire": 7.5,
    "RETREAT access": 6.5, "RETREAT resign": 4.5, "ACCUSE disapprove": -2, "ACCUSE investigate": -3.5,
    "ACCUSE allege": -3.5, "PROTEST riot": -7, "PROTEST demo": -5, "THREATEN violence": -3.5, "COERCE arrest": -7,
    "ASSAULT beat": -7.5, "ASSAULT crowd-control": -7.5, "ASSAULT primitive": -8, "ASSAULT abduct": -8.5,
    "ASSAULT torture": -8.5, "ASSAULT sexual": -8.5, "ASSAULT destroy": -8.5, "ASSAULT firearms": -9,
    "ASSAULT explosives": -9, "ASSAULT targeted": -9.5, "ASSAULT suicide-attack": -9.5, "ASSAULT aerial": -9.5,
    "ASSAULT drone": -9.5, "ASSAULT heavy-weapons": -9.5, "ASSAULT unconventional": -10,
    "ASSAULT beat aerial": -9.5, "ASSAULT beat primitive": -8, "RETREAT resign disarm": 10, "PROTEST demo riot": -7,
}  # fmt: skip

CAMEO = {
    "AGREE": "03", "CONSULT": "04", "SUPPORT": "05", "COOPERATE": "06", "AID": "07", "CONCEDE": "08", "RETREAT": "08",
    "REQUEST": "10", "ACCUSE": "11", "REJECT": "12", "THREATEN": "13", "PROTEST": "14", "MOBILIZE": "15",
    "SANCTION": "16",
    "COERCE": "17", "ASSAULT": "18",
    "CONSULT phone": "041", "CONSULT visit": "042", "CONSULT third-party": "045", "CONSULT multilateral": "04",
    "RETREAT withdraw": "087", "RETREAT ceasefire": "0871", "RETREAT disarm": "0873", "RETREAT release": "0841",
    "RETREAT access": "086", "RETREAT resign": "0831",
    "REQUEST assist": "10", "REQUEST change": "104", "REQUEST yield": "105", "REQUEST meet": "106",
    "ACCUSE disapprove": "111", "ACCUSE investigate": "09", "ACCUSE allege": "112",
    "REJECT assist": "12", "REJECT change": "123", "REJECT yield": "124", "REJECT meet": "125",
    "THREATEN restrict": "132", "THREATEN relations": "131", "THREATEN violence": "138", "THREATEN territory": "138",
    "THREATEN arrest": "13", "THREATEN expel": "13",
    "PROTEST demo": "141", "PROTEST hunger": "142", "PROTEST strike": "143", "PROTEST boycott": "143",
    "PROTEST obstruct": "144", "PROTEST riot": "145", "PROTEST vandalize": "145", "PROTEST demo riot": "145",
    "SANCTION expel": "166", "SANCTION withdraw": "166", "SANCTION convict": "16", "SANCTION discontinue": "16",
    "MOBILIZE troops": "154", "MOBILIZE militia": "154", "MOBILIZE police": "153", "MOBILIZE weapons": "15",
    "COERCE seize": "171", "COERCE restrict": "172", "COERCE censor": "1721", "COERCE curfew": "1723",
    "COERCE martial-law": "1724", "COERCE arrest": "173", "COERCE deport": "174", "COERCE cyber": "176",
    "COERCE withhold": "17", "COERCE misinformation": "17",
    "ASSAULT abduct": "181", "ASSAULT beat": "182", "ASSAULT sexual": "1821", "ASSAULT torture": "1822",
    "ASSAULT explosives": "183", "ASSAULT suicide-attack": "1831", "ASSAULT targeted": "18", "ASSAULT destroy": "18",
    "ASSAULT primitive": "18", "ASSAULT crowd-control": "18", "ASSAULT firearms": "190", "ASSAULT heavy-weapons": "194",
    "ASSAULT aerial": "195", "ASSAULT drone": "195", "ASSAULT unconventional": "20", "ASSAULT firearms drone": "195",
}  # fmt: skip

# type and modes, sectors of the actors, of the recipients, dead -> code
CAMEO_BY_SIDES = [
    ("ASSAULT firearms", "MIL", "REB", None, "193"),
    ("ASSAULT firearms", "UAF", "CVL", None, "190"),
    ("ASSAULT targeted", "UAF", "GOV", None, "186"),
    ("ASSAULT targeted", "UAF", "CVL", 24, "18"),
    ("ASSAULT targeted", "UAF", "CVL", 25, "202"),
    ("ASSAULT targeted", "MIL", "REB", 25, "18"),
    ("ASSAULT beat", "CVL", "CVL", 0, "182"),
    ("ASSAULT beat", "CVL", "CVL", 1, "1823"),
]

# type and modes, trigger -> code
CAMEO_BY_TRIGGER = [
    ("CONSULT", "resumed negotiations", "046"),
    ("CONSULT multilateral", "peace talks", "046"),
    ("CONSULT visit", "flew in for peace talks", "042"),
    ("CONSULT", "held talks", "04"),
    ("SUPPORT", "signed", "057"),
    ("SUPPORT", "ratifies", "057"),
    ("SUPPORT", "signalled", "05"),
    ("SUPPORT", "recognised", "054"),
    ("SUPPORT", "defended", "052"),
    ("SUPPORT", "Praising", "051"),
    ("SUPPORT", "backed", "051"),
    ("SUPPORT", "thanked", "05"),
    ("CONCEDE", "truce", "0871"),
    ("CONCEDE", "eased sanctions", "085"),
    ("CONCEDE", "lifted the curfew", "0813"),
    ("CONCEDE", "ended martial law", "0814"),
    ("CONCEDE", "apologised", "08"),
    ("COOPERATE", "shared intelligence", "064"),
    ("COOPERATE", "extradited", "063"),
    ("COOPERATE", "joint naval exercises", "062"),
    ("COOPERATE", "Border trade", "061"),
    ("COOPERATE", "handed over", "06"),
    ("AID", "granted asylum", "075"),
    ("AID", "arming", "072"),
    ("AID", "food convoy", "073"),
    ("AID", "wrote off", "071"),
    ("AID", "harmed", "07"),
    ("RETREAT withdraw", "retreated", "0874"),
    ("RETREAT withdraw", "pulled out", "087"),
    ("RETREAT", "surrendered", "0874"),
    ("RETREAT disarm", "surrendered their rifles", "0873"),
    ("RETREAT", "returned", "08"),
    ("ACCUSE allege", "sued", "115"),
    ("ACCUSE disapprove", "summoned", "114"),
    ("ACCUSE investigate", "summoned", "09"),
    ("REJECT change", "vetoed", "129"),
    ("REJECT", "in defiance of", "128"),
    ("THREATEN", "ultimatum", "139"),
    ("THREATEN violence", "ultimatum", "138"),
    ("MOBILIZE police", "alert was raised", "151"),
    ("MOBILIZE troops", "put its army on alert", "152"),
    ("SANCTION withdraw", "recalled its ambassador", "161"),
    ("SANCTION withdraw", "walked out", "166"),
    ("SANCTION expel", "persona non grata", "166"),
    ("SANCTION discontinue", "severed relations", "161"),
    ("SANCTION discontinue", "cut off aid", "162"),
    ("SANCTION discontinue", "said", "16"),
    ("SANCTION discontinue", "suspended trade talks", "164"),
    ("SANCTION", "imposed sanctions", "163"),
    ("SANCTION discontinue", "arms embargo", "163"),
    ("COERCE martial-law", "coup", "17"),
    ("COERCE seize", "Coup", "17"),
    ("COERCE restrict", "besieged", "17"),
    ("ASSAULT unconventional", "dropped an atomic bomb", "2042"),
    ("ASSAULT unconventional", "sarin attack", "2041"),
    ("ASSAULT explosives", "set off car bombs", "1832"),
    ("ASSAULT explosives", "roadside blast", "1833"),
]

REMOTE, CIVILIANS, STRATEGIC = "Explosions/Remote violence", "Violence against civilians", "Strategic developments"
# type and modes, sectors of the actors, of the recipients, dead -> event type, sub-event type
ACLED = [
    ("ASSAULT aerial", "MIL", "REB", None, (REMOTE, "Air/drone strike")),
    ("ASSAULT drone", "REB", "CVL", 4, (REMOTE, "Air/drone strike")),
    ("ASSAULT heavy-weapons", "MIL", "CVL", None, (REMOTE, "Shelling/artillery/missile attack")),
    ("ASSAULT explosives", "UAF", "MIL", None, (REMOTE, "Remote explosive/landmine/IED")),
    ("ASSAULT suicide-attack", "REB", "MIL", None, (REMOTE, "Suicide bomb")),
    ("ASSAULT explosives suicide-attack", "REB", "MIL", None, (REMOTE, "Suicide bomb")),
    ("ASSAULT unconventional", "MIL", "CVL", None, (REMOTE, "Chemical weapon")),
    ("ASSAULT firearms", "MIL", "REB", None, ("Battles", "Armed clash")),
    ("ASSAULT firearms", "UAF", "CVL", None, (CIVILIANS, "Attack")),
    ("ASSAULT firearms", "UAF", "", None, (CIVILIANS, "Attack")),
    ("ASSAULT", "MIL REB", "", None, ("Battles", "Armed clash")),
    ("ASSAULT", "GOV", "GOV", None, ("Battles", "Armed clash")),
    ("ASSAULT", "REB", "GOV", None, (CIVILIANS, "Attack")),
    ("ASSAULT", "UAF", "REF", 3, (CIVILIANS, "Attack")),
    ("ASSAULT", "", "", None, (CIVILIANS, "Attack")),
    ("ASSAULT abduct", "UAF", "EDU", None, (CIVILIANS, "Abduction/forced disappearance")),
    ("ASSAULT abduct", "REB", "MIL", None, None),
    ("ASSAULT sexual", "REB", "CVL", None, (CIVILIANS, "Sexual violence")),
    ("ASSAULT torture", "COP", "OPP", None, (CIVILIANS, "Attack")),
    ("ASSAULT targeted", "UAF", "MED", 1, (CIVILIANS, "Attack")),
    ("ASSAULT beat", "COP", "MED", None, (CIVILIANS, "Attack")),
    ("ASSAULT beat", "CRM", "COP", None, None),
    ("ASSAULT targeted firearms", "MIL", "REB", 1, ("Battles", "Armed clash")),
    ("ASSAULT targeted aerial", "MIL", "REB", 1, (REMOTE, "Air/drone strike")),
    ("ASSAULT crowd-control", "COP", "OPP", None, ("Protests", "Protest with intervention")),
    ("ASSAULT crowd-control", "COP", "OPP", 0, ("Protests", "Protest with intervention")),
    ("ASSAULT crowd-control", "COP", "OPP", 2, ("Protests", "Excessive force against protesters")),
    ("ASSAULT destroy", "UAF", "CVL", None, (STRATEGIC, "Looting/property destruction")),
    ("ASSAULT primitive", "UAF", "CVL", None, None),
    *[(f"PROTEST {mode}", "OPP", "GOV", None, ("Protests", "Peaceful protest"))
      for mode in ("demo", "strike", "hunger", "obstruct", "boycott")],
    ("PROTEST", "OPP", "GOV", None, None),
    ("PROTEST riot", "OPP", "GOV", None, ("Riots", "Violent demonstration")),
    ("PROTEST vandalize", "OPP", "", None, ("Riots", "Violent demonstration")),
    ("PROTEST riot", "CVL", "REL", None, ("Riots", "Mob violence")),
    ("COERCE arrest", "COP", "OPP", None, (STRATEGIC, "Arrests")),
    ("COERCE curfew", "GOV", "CVL", None, None),
    ("RETREAT ceasefire", "MIL", "REB", None, (STRATEGIC, "Agreement")),
    ("RETREAT withdraw", "MIL", "", None, (STRATEGIC, "Non-violent transfer of territory")),
    ("RETREAT disarm", "REB", "", None, (STRATEGIC, "Change to group/activity")),
    ("RETREAT release", "REB", "", None, None),
    ("MOBILIZE", "GOV", "GOV", None, (STRATEGIC, "Change to group/activity")),
    ("MOBILIZE troops", "MIL", "GOV", None, (STRATEGIC, "Change to group/activity")),
    *[(kind, "GOV", "GOV", None, None)
      for kind in ORDER if kind not in ("ASSAULT", "PROTEST", "COERCE", "RETREAT", "MOBILIZE")],
]  # fmt: skip


def split(words: str) -> tuple[str, list[str]]:
    kind, *modes = words.split()
    return kind, modes


def test_types_keep_the_order_the_classifier_counts_by() -> None:
    assert list(TYPES) == ORDER


def test_modes_are_those_of_the_corpus_in_its_order() -> None:
    modes = runpy.run_path(str(CORPUS / "validate.py"))["MODES"]
    assert {kind: tuple(names.split()) for kind, names in modes.items()} == MODES


def test_quad_classes_are_plovers() -> None:
    assert {kind: quad(kind) for kind in TYPES} == QUADS


@pytest.mark.parametrize(("words", "score"), SCORES.items())
def test_a_modes_own_score_wins_and_of_several_the_strongest(words: str, score: float) -> None:
    assert intensity(*split(words)) == score


@pytest.mark.parametrize(("words", "code"), CAMEO.items())
def test_events_can_be_coded_in_cameo(words: str, code: str) -> None:
    kind, modes = split(words)
    assert crosswalk(kind, modes, "actual", [], [], None).cameo == code


@pytest.mark.parametrize(("words", "actors", "recipients", "dead", "code"), CAMEO_BY_SIDES)
def test_the_sides_and_the_dead_can_decide_the_cameo_code(
    words: str, actors: str, recipients: str, dead: int | None, code: str
) -> None:
    assert crosswalk(*split(words), "actual", actors.split(), recipients.split(), dead).cameo == code


@pytest.mark.parametrize(("words", "trigger", "code"), CAMEO_BY_TRIGGER)
def test_the_words_of_the_trigger_can_decide_the_cameo_code(words: str, trigger: str, code: str) -> None:
    assert crosswalk(*split(words), "actual", [], [], None, trigger).cameo == code


@pytest.mark.parametrize(
    ("trigger", "code"), [("shot", "186"), ("assassination attempt", "185"), ("tried to kill", "185")]
)
def test_an_attempt_on_a_notable_is_no_assassination(trigger: str, code: str) -> None:
    assert crosswalk("ASSAULT", ["targeted"], "actual", ["UAF"], ["GOV"], None, trigger).cameo == code


@pytest.mark.parametrize(("words", "actors", "recipients", "dead", "code"), ACLED)
def test_events_can_be_coded_in_acled(
    words: str, actors: str, recipients: str, dead: int | None, code: tuple[str, str] | None
) -> None:
    codes = crosswalk(*split(words), "actual", actors.split(), recipients.split(), dead)
    assert codes.acled == (AcledCode(*code) if code else None)
    assert codes.plover == words.split()[0]


@pytest.mark.parametrize("trigger", ["truce", "declared a Ceasefire", "unilateral cease-fire", "armistice"])
def test_a_declared_truce_is_an_agreement(trigger: str) -> None:
    codes = crosswalk("CONCEDE", [], "actual", ["REB"], ["GOV"], None, trigger)
    assert codes.cameo == "0871"
    assert codes.acled == AcledCode(STRATEGIC, "Agreement")


@pytest.mark.parametrize("realis", ["historical", "future", "hypothetical", "negated"])
def test_acled_codes_only_what_happened(realis: str) -> None:
    codes = crosswalk("ASSAULT", ["aerial"], realis, ["MIL"], ["REB"], 3)
    assert codes.acled is None
    assert codes.cameo == "195"


Case = tuple[str, list[str], list[str], int | None, str]
ROW_CASES: list[Case] = [
    *((words, [], [], None, "") for words in CAMEO),
    *((words, [], [], None, trigger) for words, trigger, _ in CAMEO_BY_TRIGGER),
    *((words, a.split(), r.split(), dead, "") for words, a, r, dead, _ in [*CAMEO_BY_SIDES, *ACLED]),
    ("ASSAULT targeted", ["UAF"], ["GOV"], None, "assassination attempt"),
]


def answers() -> list[Codes]:
    return [crosswalk(*split(words), "actual", a, r, dead, trigger) for words, a, r, dead, trigger in ROW_CASES]


@pytest.mark.parametrize("book", ["cameo", "acled"])
def test_every_row_decides_a_case(book: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the row some case above comes out otherwise, so no row stands untested or in the shade of another."""
    whole, rows = answers(), ontology._CROSSWALK[book]
    idle = []
    for nth, row in enumerate(rows):
        monkeypatch.setitem(ontology._CROSSWALK, book, rows[:nth] + rows[nth + 1 :])
        if answers() == whole:
            idle.append(row)
    assert not idle


def test_every_root_code_decides_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    roots = ontology._CROSSWALK["cameo_root"]
    assert set(roots) == set(ORDER)
    for kind in ORDER:
        whole = answers()
        with monkeypatch.context() as changed:
            changed.setitem(roots, kind, "99")
            assert answers() != whole, kind


def test_a_code_below_the_root_stays_under_the_root_of_its_type() -> None:
    """But for what codes.md files elsewhere: investigations, fights, mass violence."""
    elsewhere = {"ACCUSE": {"09"}, "ASSAULT": {"19", "20"}}
    roots = ontology._CROSSWALK["cameo_root"]
    for row in ontology._CROSSWALK["cameo"]:
        assert row["code"][:2] in {roots[row["type"]]} | elsewhere.get(row["type"], set()), row
        assert set(row.get("modes", [])) <= set(MODES[row["type"]]), row


def test_unknown_sectors_can_be_crossed() -> None:
    assert crosswalk("ASSAULT", [], "actual", [None], [None], None).acled == AcledCode(CIVILIANS, "Attack")


@pytest.mark.parametrize("call", [quad, intensity, lambda kind: crosswalk(kind, [], "actual", [], [], None)])
def test_a_type_outside_plover_is_refused_by_name(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="'FIGHT'"):
        call("FIGHT")


def test_the_crosswalk_has_a_version() -> None:
    assert CROSSWALK_VERSION == "2"
