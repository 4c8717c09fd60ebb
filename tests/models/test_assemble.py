"""From readings to events: what the sentences of one article tell of each other's arguments."""

from __future__ import annotations

import pytest

from tests.models.scripted import event, explain

BOMB = "A suicide bomber killed 12 people outside a mosque in Kabul on Monday, police said."
ROLES = {"actor": ["suicide bomber"], "recipient": ["12 people"], "location": ["mosque", "Kabul"], "date": ["Monday"]}
KILLED = event("ASSAULT", "killed", modes=["suicide-attack"], dead=["12 people"], **ROLES)


@pytest.mark.parametrize(
    ("after", "low", "high", "words"),
    [
        ("The death toll rose to 19 on Tuesday, the ministry said.", 19, 19, "19"),
        ("The toll has since climbed to at least 21.", 21, None, "at least 21"),
        ("Officials said the death toll now stands at thirty.", 30, 30, "thirty"),
        ("The death toll rose to 9 in last week's flood.", 12, 12, "12 people"),
        ("Ticket sales rose to 19.", 12, 12, "12 people"),
        ("The toll on the motorway rose to five dollars.", 12, 12, "12 people"),
        ("The death toll rose.", 12, 12, "12 people"),
    ],
)
def test_a_toll_that_rises_raises_the_dead_of_the_event_before(
    after: str, low: int, high: int | None, words: str
) -> None:
    coded = explain(f"{BOMB} {after}", {BOMB: [KILLED]}, published="2024-03-06")
    (found,) = coded.events
    assert found.dead is not None
    assert (found.dead.min, found.dead.max, found.dead.text) == (low, high, words)
    assert f"{BOMB} {after}"[found.dead.start : found.dead.end] == words
    assert coded.why[found.dead].rule


def test_victims_of_a_strike_from_afar_are_not_of_the_attackers_country() -> None:
    text = "Israeli jets killed 12 people."
    told = event(
        "ASSAULT", "killed", modes=["aerial"], actor=["Israeli jets"], recipient=["12 people"], dead=["12 people"]
    )
    (found,) = explain(text, {text: [told]}).events
    assert (found.actors[0].country, found.recipients[0].country) == ("ISR", None)


def test_unnamed_parties_are_of_the_country_of_the_place() -> None:
    (found,) = explain(BOMB, {BOMB: [KILLED]}, published="2024-03-06").events
    assert {party.country for party in (*found.actors, *found.recipients)} == {"AFG"}
    assert found.location is not None
    assert (found.location.country, found.location.admin1_code) == ("AFG", "AF-KAB")


def test_a_date_can_be_counted_from_the_event_told_before() -> None:
    march = "Students marched in Dhaka on March 5."
    raid = "Two days later police raided a hall."
    told = {
        march: [event("PROTEST", "marched", actor=["Students"], location=["Dhaka"], date=["March 5"])],
        raid: [event("COERCE", "raided", actor=["police"], date=["Two days later"])],
    }
    first, second = explain(f"{march} {raid}", told, published="2024-03-20").events
    assert first.date and first.date.earliest == "2024-03-05"
    assert second.date and second.date.earliest == second.date.latest == "2024-03-07"


def test_today_is_the_day_at_the_dateline() -> None:
    dated, said = "SYDNEY, March 6 (Reuters) -", "Police arrested a man today."
    told = {said: [event("COERCE", "arrested", actor=["Police"], date=["today"])]}
    (found,) = explain(f"{dated} {said}", told, published="2024-03-05T20:00:00Z").events
    assert found.date and found.date.earliest == "2024-03-06"


@pytest.mark.parametrize(
    ("text", "date", "known"),
    [
        ("Kosovo marched on the 18th anniversary of independence.", "18th", False),
        ("Russia invaded before the fourth round of talks.", "fourth", False),
        ("Troops left on the 18th of the month.", "18th", True),
        ("Troops left on the 18th.", "18th", True),
    ],
)
def test_an_ordinal_that_counts_something_else_is_no_day(text: str, date: str, known: bool) -> None:
    trigger = text.split()[1]
    (found,) = explain(text, {text: [event("PROTEST", trigger, date=[date])]}, published="2024-03-20").events
    assert found.date is not None
    assert (found.date.earliest is not None) == known
