"""What headline and lead both tell, told once: real-looking pairs, as the coder would read them, and the rules one by one."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, cast

import pytest

from models import Event
from models.events import Actor, Codes, Count, EventDate, Location, Mention, ModelInfo, Span
from models.mentions import LEAD_SENTENCES, same, told_once
from models.ontology import MODES, crosswalk, intensity
from tests.models.scripted import Told, code, event

# Headline, its event, lead, its event.
SAME = [
    (
        "Gunmen kill 12 in Kano market",
        event("ASSAULT", "kill", actor=["Gunmen"], recipient=["12"], location=["Kano market"], dead=["12"]),
        "Armed men on motorcycles shot dead at least 12 people at a market in the Nigerian city of Kano on Friday.",
        event(
            "ASSAULT",
            "shot dead",
            actor=["Armed men on motorcycles"],
            recipient=["at least 12 people"],
            location=["Kano"],
            date=["Friday"],
            dead=["at least 12 people"],
        ),
    ),
    (
        "Russia shells Kharkiv",
        event("ASSAULT", "shells", actor=["Russia"], recipient=["Kharkiv"], location=["Kharkiv"]),
        "Russian forces shelled residential districts of Kharkiv before dawn.",
        event(
            "ASSAULT",
            "shelled",
            actor=["Russian forces"],
            recipient=["residential districts"],
            location=["Kharkiv"],
            date=["before dawn"],
        ),
    ),
    (
        "Roadside bomb kills four in Mogadishu",
        event("ASSAULT", "kills", recipient=["four"], location=["Mogadishu"], dead=["four"]),
        "Four soldiers died when a bomb went off beside their vehicle in the Somali capital on Monday.",
        event(
            "ASSAULT", "bomb went off", recipient=["Four soldiers"], location=["Somali capital"], dead=["Four soldiers"]
        ),
    ),
    (
        "Teachers strike over pay in Nairobi",
        event("PROTEST", "strike", modes=["strike"], actor=["Teachers"], location=["Nairobi"]),
        "Thousands of Kenyan teachers walked out on Tuesday to demand higher wages.",
        event("PROTEST", "walked out", modes=["strike"], actor=["Thousands of Kenyan teachers"], date=["Tuesday"]),
    ),
    (
        "Turkey's Erdogan meets Putin in Sochi",
        event("CONSULT", "meets", actor=["Turkey's Erdogan", "Putin"], location=["Sochi"]),
        "President Recep Tayyip Erdogan held talks with his Russian counterpart in the Black Sea resort on Thursday.",
        event("CONSULT", "held talks", actor=["President Recep Tayyip Erdogan", "his Russian counterpart"]),
    ),
    (
        "Paris condemns coup in Niger",
        event("ACCUSE", "condemns", actor=["Paris"]),
        "The French foreign ministry denounced the military takeover in Niamey on Thursday.",
        event("ACCUSE", "denounced", actor=["French foreign ministry"]),
    ),
    (
        "Maoists quit Nepal coalition",
        event("SANCTION", "quit", modes=["withdraw"], actor=["Maoists"], recipient=["Nepal coalition"]),
        "The Maoist party pulled out of the ruling coalition in Kathmandu on Monday.",
        event("SANCTION", "pulled out", modes=["withdraw"], actor=["Maoist party"], recipient=["ruling coalition"]),
    ),
    (
        "Quito detains opposition mayor",
        event("COERCE", "detains", modes=["arrest"], actor=["Quito"], recipient=["opposition mayor"]),
        "Ecuadorean police arrested the mayor of Guayaquil at his home, his party said.",
        event(
            "COERCE",
            "arrested",
            modes=["arrest"],
            actor=["Ecuadorean police"],
            recipient=["mayor of Guayaquil"],
            claimed_by=["his party"],
        ),
    ),
    (
        "Blast at Kabul mosque, dozens dead",
        event("ASSAULT", "Blast", location=["Kabul mosque"], dead=["dozens"]),
        "A suicide bomber killed at least 32 worshippers at a mosque in the Afghan capital on Friday.",
        event(
            "ASSAULT",
            "killed",
            actor=["suicide bomber"],
            recipient=["at least 32 worshippers"],
            location=["mosque in the Afghan capital"],
            dead=["at least 32 worshippers"],
        ),
    ),
    (
        "Nearly 900 prisoners freed in Yemen swap",
        event("RETREAT", "freed", modes=["release"], recipient=["Nearly 900 prisoners"], location=["Yemen"]),
        "Yemen's Houthi movement and the government released 887 detainees on Friday.",
        event(
            "RETREAT",
            "released",
            modes=["release"],
            actor=["Yemen's Houthi movement", "government"],
            recipient=["887 detainees"],
        ),
    ),
    (
        "EU slaps sanctions on Minsk",
        event("SANCTION", "sanctions", actor=["EU"], recipient=["Minsk"]),
        "European Union foreign ministers froze the assets of 34 Belarusian officials on Monday.",
        event("SANCTION", "froze", actor=["European Union foreign ministers"], recipient=["34 Belarusian officials"]),
    ),
    (
        "About 50 killed as boat attacked on Niger river",
        event("ASSAULT", "attacked", recipient=["About 50"], dead=["About 50"]),
        "Jihadists attacked a passenger boat in northern Mali on Thursday, killing 49 civilians.",
        event(
            "ASSAULT",
            "attacked",
            actor=["Jihadists"],
            recipient=["passenger boat"],
            location=["northern Mali"],
            dead=["49 civilians"],
        ),
    ),
    (
        "Hungary leader's visit to Kyiv",
        event("CONSULT", "visit", modes=["visit"], actor=["Hungary leader's"], recipient=["Kyiv"]),
        "Prime Minister Viktor Orban of Hungary visited the Ukrainian capital on Tuesday.",
        event("CONSULT", "visited", modes=["visit"], actor=["Prime Minister Viktor Orban of Hungary"]),
    ),
]

DIFFERENT = [
    (
        "Russia shells Kharkiv",
        event("ASSAULT", "shells", actor=["Russia"], location=["Kharkiv"]),
        "Ukrainian drones hit an oil depot overnight.",
        event("ASSAULT", "hit", actor=["Ukrainian drones"], recipient=["oil depot"]),
    ),
    (
        "Bomb kills 12 in Mosul",
        event("ASSAULT", "kills", location=["Mosul"], dead=["12"]),
        "A car bomb killed 15 people in Iraq's second city.",
        event("ASSAULT", "killed", recipient=["15 people"], dead=["15 people"]),
    ),
    (
        "Bomb hits Mosul cafe",
        event("ASSAULT", "hits", recipient=["Mosul cafe"], location=["Mosul"]),
        "A day earlier a bomb had hit a bus in Baghdad.",
        event("ASSAULT", "hit", recipient=["bus"], location=["Baghdad"]),
    ),
    (
        "Syrian rebels shell Aleppo",
        event("ASSAULT", "shell", actor=["Syrian rebels"], location=["Aleppo"]),
        "The Syrian army shelled the old city of Aleppo in reply.",
        event("ASSAULT", "shelled", actor=["Syrian army"], location=["old city of Aleppo"]),
    ),
    (
        "Israel strikes Lebanon",
        event("ASSAULT", "strikes", actor=["Israel"], recipient=["Lebanon"], location=["Lebanon"]),
        "Israel struck targets in Syria as well.",
        event("ASSAULT", "struck", actor=["Israel"], recipient=["targets"], location=["Syria"]),
    ),
    (
        "Police arrest ten in Minsk",
        event("COERCE", "arrest", actor=["Police"], recipient=["ten"], location=["Minsk"]),
        "Thousands marched through Minsk on Sunday.",
        event("PROTEST", "marched", actor=["Thousands"], location=["Minsk"]),
    ),
    (
        "Kenya protesters march on parliament",
        event("PROTEST", "march", actor=["Kenya protesters"]),
        "Protesters in Kenya will march again on Friday.",
        event("PROTEST", "march", actor=["Protesters"], location=["Kenya"], realis="future"),
    ),
    (
        "Iran denies strike on tanker",
        event("ASSAULT", "strike", actor=["Iran"], recipient=["tanker"], realis="negated"),
        "A missile strike by Iran set a tanker alight in the Gulf.",
        event("ASSAULT", "strike", actor=["Iran"], recipient=["tanker"]),
    ),
    (
        "Merkel criticises Ankara",
        event("ACCUSE", "criticises", actor=["Merkel"], recipient=["Ankara"]),
        "Germany's chancellor criticised Poland in the same speech.",
        event("ACCUSE", "criticised", actor=["Germany's chancellor"], recipient=["Poland"]),
    ),
    (
        "Boko Haram attacks village",
        event("ASSAULT", "attacks", actor=["Boko Haram"], recipient=["village"]),
        "Al-Shabaab militants stormed an army base on Monday.",
        event("ASSAULT", "stormed", actor=["Al-Shabaab militants"], recipient=["army base"]),
    ),
    (
        "Two attacks in one night",
        event("ASSAULT", "attacks"),
        "A shop owner was stabbed by strangers.",
        event("ASSAULT", "stabbed", actor=["strangers"], recipient=["shop owner"]),
    ),
    (
        "Rebels ambush Indian soldiers",
        event("ASSAULT", "ambush", actor=["Rebels"], recipient=["Indian soldiers"]),
        "Rebels beat a journalist elsewhere in the state.",
        event("ASSAULT", "beat", actor=["Rebels"], recipient=["journalist"]),
    ),
    (
        "Strikers injure 3 in Dhaka clash",
        event("ASSAULT", "clash", actor=["Strikers"], location=["Dhaka"], injured=["3"]),
        "In Dhaka a clash left 40 injured on Sunday.",
        event("ASSAULT", "clash", location=["Dhaka"], injured=["40"]),
    ),
]


@pytest.mark.parametrize(("headline", "told", "lead", "again"), SAME, ids=[pair[0] for pair in SAME])
def test_one_event_can_be_told_by_headline_and_lead(headline: str, told: Told, lead: str, again: Told) -> None:
    (found,) = code((headline, [told]), (lead, [again]))
    (mention,) = found.mentions
    assert {found.trigger.field, mention.trigger.field} == {"title", "text"}
    assert {found.trigger.text, mention.trigger.text} == {told["trigger"], again["trigger"]}
    for span in spans(found):
        assert (headline if span.field == "title" else lead)[span.start : span.end] == span.text != ""
    for role, got in (("dead", found.dead), ("date", found.date), ("location", found.location)):
        assert bool(got) == bool(told.get(role) or again.get(role))


@pytest.mark.parametrize(("headline", "told", "lead", "again"), DIFFERENT, ids=[pair[0] for pair in DIFFERENT])
def test_two_events_stay_two(headline: str, told: Told, lead: str, again: Told) -> None:
    found = code((headline, [told]), (lead, [again]))
    assert [(one.trigger.field, one.trigger.text) for one in found] == [
        ("title", told["trigger"]),
        ("text", again["trigger"]),
    ]
    assert not any(one.mentions for one in found)


def spans(event: Event) -> list[Span]:
    single = (event.location, event.date, event.dead, event.injured)
    mentions = [span for one in event.mentions for span in (one.trigger, one.sentence)]
    return [
        event.trigger,
        event.sentence,
        *event.actors,
        *event.recipients,
        *event.claimed_by,
        *(one for one in single if one is not None),
        *mentions,
    ]


def made(field: str, at: int = 0, **values: Any) -> Event:
    """A bombing told at an offset, with whatever the test says of it."""
    start = Event(
        type="ASSAULT",
        quad="material conflict",
        modes=(),
        intensity=-9.0,
        realis="actual",
        confidence=0.8,
        trigger=Span("bombed", at, at + 6, cast(Any, field)),
        sentence=Span("bombed", at, at + 6, cast(Any, field)),
        codes=Codes("ASSAULT", "18", None),
        crosswalk="1",
        model=ModelInfo("test", "1"),
    )
    return replace(start, **values)


def actor(text: str, country: str | None = None, sector: str | None = None) -> Actor:
    return Actor(text, 0, len(text), "text", country, sector, 0.9)


def count(text: str, low: int | None, high: int | None) -> Count:
    return Count(text, 0, len(text), "text", low, high)


def place(text: str, country: str | None = None, admin1: str | None = None) -> Location:
    return Location(text, 0, len(text), "text", text, country, admin1)


ARMY = actor("army", "SYR", "MIL")


@pytest.mark.parametrize(
    ("headline", "lead", "expected"),
    [
        ({}, {}, True),  # the trigger's own word
        ({}, {"type": "COERCE"}, False),
        ({}, {"realis": "historical"}, False),
        ({"actors": (ARMY,)}, {}, True),
        ({"actors": (ARMY,)}, {"actors": (actor("Syria", "SYR", "GOV"),)}, True),
        ({"actors": (ARMY,)}, {"actors": (actor("Iraqi troops", "IRQ", "MIL"),)}, False),
        ({"actors": (ARMY,)}, {"actors": (actor("rebels", None, "REB"),)}, False),
        ({"actors": (ARMY,)}, {"actors": (actor("rebels", None, "REB"), actor("troops", None, "MIL"))}, True),
        ({"actors": (ARMY,)}, {"actors": (actor("they"),)}, True),
        ({"recipients": (ARMY,)}, {"recipients": (actor("students", None, "EDU"),)}, False),
        ({"recipients": (ARMY,)}, {"recipients": (actor("dozens of people", None, "CVL"),)}, True),
        ({"location": place("Homs", "SYR")}, {"location": place("Mosul", "IRQ")}, False),
        ({"location": place("Homs", "SYR", "Homs")}, {"location": place("Idlib", "SYR", "Idlib")}, False),
        ({"location": place("Homs", "SYR", "Homs")}, {"location": place("Syria", "SYR")}, True),
        ({"location": place("Homs", "SYR", "Homs")}, {"location": place("clinic")}, True),
        ({"dead": count("12", 12, 12)}, {"dead": count("at least 10", 10, None)}, True),
        ({"dead": count("at least 10", 10, None)}, {"dead": count("12", 12, 12)}, True),
        ({"dead": count("12", 12, 12)}, {"dead": count("at least 15", 15, None)}, False),
        ({"dead": count("12", 12, 12)}, {"dead": count("15", 15, 15)}, False),
        ({"dead": count("12", 12, 12)}, {"dead": count("10 to 14", 10, 14)}, True),
        ({"dead": count("12", 12, 12)}, {"dead": count("relatives", None, None)}, True),
        ({"dead": count("nearly 100", 100, 100)}, {"dead": count("97", 97, 97)}, True),
        ({"dead": count("100", 100, 100)}, {"dead": count("97", 97, 97)}, False),
        ({"dead": count("nearly 100", 100, 100)}, {"dead": count("60", 60, 60)}, False),
        ({"injured": count("3", 3, 3)}, {"injured": count("40", 40, 40)}, False),
        ({"dead": count("3", 3, 3)}, {"injured": count("40", 40, 40)}, True),
    ],
)
def test_events_are_one_unless_something_contradicts(
    headline: dict[str, Any], lead: dict[str, Any], expected: bool
) -> None:
    assert same(made("title", **headline), made("text", **lead)) is expected
    assert same(made("title", **lead), made("text", **headline)) is expected


def test_nothing_in_common_is_not_enough() -> None:
    other = Span("shot", 0, 4, "text")
    assert not same(made("title"), made("text", trigger=other, sentence=other))


FULL = {
    "actors": (ARMY,),
    "recipients": (actor("market"),),
    "location": place("Homs", "SYR"),
    "date": EventDate("Monday", 0, 6, "text", "2026-11-23", "2026-11-23"),
    "dead": count("12", 12, 12),
    "injured": count("40", 40, 40),
    "claimed_by": (Span("activists", 0, 9, "text"),),
    "modes": ("aerial",),
}


@pytest.mark.parametrize("name", FULL)
def test_what_one_leaves_out_can_be_taken_from_the_other(name: str) -> None:
    rest = {key: value for key, value in FULL.items() if key != name}
    lead, headline = made("text", **rest), made("title", **{name: FULL[name]})
    (found,) = told_once([headline, lead], [(0, 10)])
    expected = replace(lead, **{name: FULL[name]}, mentions=(Mention(headline.trigger, headline.sentence),))
    derived = ("intensity", "codes")
    assert replace(found, **{key: getattr(expected, key) for key in derived}) == expected
    # What follows from the arguments follows from those of both.
    assert found.intensity == intensity("ASSAULT", ("aerial",))
    assert found.codes == crosswalk("ASSAULT", ("aerial",), "actual", ["MIL"], [None], 12, "bombed")


def test_what_the_fuller_event_says_is_kept() -> None:
    headline = made("title", actors=(actor("Damascus", "SYR", "GOV"),), dead=count("at least 10", 10, None))
    lead = made("text", **FULL, confidence=0.6)
    (found,) = told_once([headline, lead], [(0, 10)])
    assert all(getattr(found, name) == value for name, value in FULL.items())
    assert (found.trigger, found.sentence, found.confidence) == (lead.trigger, lead.sentence, headline.confidence)


@pytest.mark.parametrize("fuller", ["title", "text"])
def test_the_joined_event_stands_where_the_fuller_one_stood(fuller: str) -> None:
    between = made("title", 20, type="PROTEST")
    events = [
        made("title", **FULL if fuller == "title" else {}),
        between,
        made("text", **FULL if fuller == "text" else {}),
    ]
    found = told_once(events, [(0, 10)])
    assert [one.trigger for one in found] == (
        [events[0].trigger, between.trigger] if fuller == "title" else [between.trigger, events[2].trigger]
    )
    assert [len(one.mentions) for one in found] == ([1, 0] if fuller == "title" else [0, 1])


def test_two_and_two_can_be_paired_off() -> None:
    syria, iraq = {"location": place("Homs", "SYR")}, {"location": place("Mosul", "IRQ")}
    events = [
        made("title", 0, **syria),
        made("title", 10, **iraq),
        made("text", 0, **iraq, actors=(ARMY,)),
        made("text", 10, **syria, actors=(ARMY,)),
    ]
    found = told_once(events, [(0, 20)])
    assert [(one.trigger.start, one.mentions[0].trigger.start) for one in found] == [(0, 10), (10, 0)]


@pytest.mark.parametrize(
    ("titles", "texts", "left"), [(1, 2, 2), (2, 1, 2), (2, 2, 2), (3, 1, 3), (0, 3, 3), (3, 0, 3)]
)
def test_an_event_is_joined_at_most_once(titles: int, texts: int, left: int) -> None:
    events = [made("title", 10 * at) for at in range(titles)] + [made("text", 10 * at) for at in range(texts)]
    found = told_once(events, [(0, 100)])
    assert len(found) == left
    assert all(len(one.mentions) <= 1 for one in found)
    assert sum(len(one.mentions) for one in found) == min(titles, texts)


def test_a_mode_in_common_goes_before_the_order() -> None:
    raid, arrest = MODES["COERCE"][0], "arrest"
    events = [
        made("title", type="COERCE", modes=(arrest,)),
        made("text", 0, type="COERCE", modes=(raid,)),
        made("text", 10, type="COERCE", modes=(arrest,)),
    ]
    found = told_once(events, [(0, 20)])
    assert [one.modes for one in found if one.mentions] == [(arrest,)]


def test_later_sentences_tell_other_events() -> None:
    headline = ("Army bombs Homs", [event("ASSAULT", "bombs", actor=["Army"], location=["Homs"])])
    again = ("The army bombed Homs on Monday.", [event("ASSAULT", "bombed", actor=["army"], location=["Homs"])])
    quiet = [(f"Nothing happened in place {number}.", []) for number in range(4)]
    for before in range(5):
        found = code(headline, *quiet[:before], again)
        assert len(found) == (1 if before < LEAD_SENTENCES else 2)


def test_an_article_without_headline_stays_as_it_is() -> None:
    events = [made("text", 0), made("text", 10)]
    assert told_once(events, [(0, 20)]) == events
    assert told_once([], []) == []


def test_every_field_of_an_event_is_looked_at() -> None:
    """A field added to Event must find its place in `told_once`."""
    own = {"type", "quad", "realis", "confidence", "trigger", "sentence", "codes", "crosswalk", "model", "intensity"}
    assert {one.name for one in fields(Event)} == own | set(FULL) | {"mentions"}
