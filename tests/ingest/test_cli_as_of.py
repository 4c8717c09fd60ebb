"""`--as-of`: what was known at a time, and exports that repeat byte for byte."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingest.storage import EventFilter, Store
from models.events import EventDate
from tests.ingest.command import Answer, call
from tests.ingest.storage.samples import BARE, EVENT, article, at, coding, triggered

FORMATS = ("csv", "jsonl", "parquet", "geojson", "acled", "cameo")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{tmp_path / 'conflictwire.db'}")
    opened.apply([coding(number, article(f"a{number}"), EVENT, BARE, coded=at(number)) for number in range(5)])
    yield opened
    opened.close()


def settled(store: Store) -> str:
    return store.settled(datetime.now(UTC)).isoformat()


def change(store: Store) -> None:
    """An edit, a retraction, a coding with a better model, and a new article."""
    store.apply(
        [
            coding(10, article("a0", revision=2), replace(EVENT, realis="negated"), BARE, coded=at(10)),
            coding(11, article("a1", revision=2), coded=at(10)),
            coding(12, article("a2"), replace(EVENT, confidence=0.99), triggered("shelled"), coded=at(10)),
            coding(13, article("new"), EVENT, coded=at(10)),
        ]
    )


def show(tmp_path: Path, *arguments: str) -> Answer:
    return call("events", "--format", "json", *arguments, "--data-dir", tmp_path)


@pytest.mark.parametrize("format", FORMATS)
def test_an_export_can_be_repeated_byte_for_byte(store: Store, tmp_path: Path, format: str) -> None:
    moment = settled(store)

    def export(name: str, *options: str) -> bytes:
        answer = call("export", "--format", format, *options, tmp_path / name, "--data-dir", tmp_path)
        assert answer.code == 0, answer.err
        return (tmp_path / name).read_bytes()

    first, plain = export("first", "--as-of", moment), export("plain")
    assert first == plain
    change(store)
    assert export("again", "--as-of", moment) == first
    assert export("now") != first


def test_a_moment_that_is_not_settled_is_moved_back_and_named(store: Store, tmp_path: Path) -> None:
    answer = show(tmp_path, "--as-of", datetime.now(UTC).isoformat())
    assert (answer.code, len(answer.lines)) == (0, 10)
    found = re.search(r"as of (\S+Z), the last moment that is settled", answer.err)
    assert found
    change(store)
    again = show(tmp_path, "--as-of", found[1])
    assert (again.out, again.err) == (answer.out, "")
    assert show(tmp_path).out != answer.out


def test_what_was_retracted_later_is_shown_as_it_was_known(store: Store, tmp_path: Path) -> None:
    moment = settled(store)
    change(store)
    then = [json.loads(line) for line in show(tmp_path, "--as-of", moment, "--country", "IRQ").lines]
    assert {event["article"]["article_id"] for event in then} == {f"a{number}" for number in range(5)}
    assert {event["status"] for event in then} == {"new"}
    assert "a1" not in {json.loads(line)["article"]["article_id"] for line in show(tmp_path).lines}
    assert show(tmp_path, "--as-of", "2001-01-01").out == ""


def test_nobody_knows_what_will_be_known(store: Store, tmp_path: Path) -> None:
    for command in (["events"], ["export", "--format", "csv", str(tmp_path / "out")]):
        answer = call(*command, "--as-of", "2999-01-01", "--data-dir", tmp_path)
        assert answer.code == 2
        assert "is to come" in answer.err
    assert not (tmp_path / "out").exists()


def test_events_can_be_had_by_when_they_happened(store: Store, tmp_path: Path) -> None:
    day = EventDate("then", 0, 4, "text", earliest="2026-09-30", latest="2026-10-02")
    store.apply([coding(20, article("october"), replace(EVENT, date=day))])
    october = ("--happened-since", "2026-10-01", "--happened-until", "2026-11-01")
    (line,) = show(tmp_path, *october).lines
    assert json.loads(line)["article"]["article_id"] == "october"
    assert len(show(tmp_path, "--happened-since", "2026-11-01").lines) == 5
    assert show(tmp_path, *october, "--as-of", "2001-01-01").out == ""


def test_what_the_command_shows_is_what_the_store_has(store: Store, tmp_path: Path) -> None:
    change(store)
    moment = store.settled(datetime.now(UTC) - timedelta(microseconds=1))
    shown = [json.loads(line)["event_id"] for line in show(tmp_path, "--as-of", moment.isoformat()).lines]
    assert shown == [event.event_id for event in store.events(EventFilter(as_of=moment))]
