"""Records of every version stay readable: `tests/ingest/records` holds what each version wrote.

`article-1.json`, `event-1.json` and `incident-1.json` are in the first form of schema 1, written by the program of that
time; each higher number has the fields that were added next. `*.schema.json` are the schemas as last released. Who adds a
field writes the next file; files that are there are never changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

import pytest

from ingest.errors import RecordError
from ingest.records import (
    SCHEMA,
    Article,
    EventRecord,
    IncidentRecord,
    json_schema,
    parse_article,
    parse_event,
    parse_incident,
)

FOLDER = Path(__file__).parent / "records"
Kind = Literal["article", "event", "incident"]
KINDS: tuple[Kind, ...] = ("article", "event", "incident")


def number_of(path: Path) -> int:
    return int(path.stem.partition("-")[2])


WRITTEN = sorted((path for kind in KINDS for path in FOLDER.glob(f"{kind}-*.json")), key=number_of)


def kind_of(path: Path) -> Kind:
    return next(kind for kind in KINDS if path.stem.startswith(kind))


def parse(kind: Kind, value: bytes) -> Article | EventRecord | IncidentRecord:
    parsers: dict[Kind, Callable[[bytes], Article | EventRecord | IncidentRecord]] = {
        "article": parse_article,
        "event": parse_event,
        "incident": parse_incident,
    }
    return parsers[kind](value)


def lost(before: Any, after: Any, where: str = "record") -> list[str]:
    """What `before` says and `after` does not, by its place."""
    if isinstance(before, dict) and isinstance(after, dict):
        missing = [f"{where}.{name}: gone" for name in before.keys() - after.keys()]
        both = before.keys() & after.keys()
        return missing + [each for name in sorted(both) for each in lost(before[name], after[name], f"{where}.{name}")]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [
            each for at, pair in enumerate(zip(before, after, strict=True)) for each in lost(*pair, f"{where}[{at}]")
        ]
    return [] if before == after and type(before) is type(after) else [f"{where}: {before!r} is {after!r}"]


def test_there_are_records_of_the_first_form() -> None:
    assert {path.name for path in WRITTEN} >= {"article-1.json", "event-1.json"}
    first = json.loads((FOLDER / "event-1.json").read_text())
    assert "mentions" not in first
    assert "refers_to" not in first["actors"][0]


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.stem)
def test_what_any_version_wrote_is_read_whole(path: Path) -> None:
    value = path.read_bytes()
    written = json.loads(parse(kind_of(path), value).to_json())
    assert lost(json.loads(value), written) == []


def with_unknown(value: Any) -> Any:
    """`value` with a field of a later version in every object."""
    if isinstance(value, dict):
        return {name: with_unknown(each) for name, each in value.items()} | {"later": {"deep": [1, {"er": None}]}}
    return [with_unknown(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.stem)
def test_fields_that_are_not_known_are_ignored_at_any_depth(path: Path) -> None:
    later = json.dumps(with_unknown(json.loads(path.read_bytes()))).encode()
    assert parse(kind_of(path), later) == parse(kind_of(path), path.read_bytes())


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.stem)
def test_a_schema_from_the_future_is_refused(path: Path) -> None:
    later = json.dumps(json.loads(path.read_bytes()) | {"schema": SCHEMA + 1}).encode()
    with pytest.raises(RecordError, match="schema"):
        parse(kind_of(path), later)


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_record_has_every_field_that_is_written_today(kind: Kind) -> None:
    """Fails for who adds a field, until a record that has it is kept as the next file in tests/ingest/records."""
    path = [path for path in WRITTEN if kind_of(path) == kind][-1]
    kept = json.loads(path.read_bytes())
    assert lost(json.loads(parse(kind, path.read_bytes()).to_json()), kept) == []


# --- schemas ---


def differences(before: Any, after: Any, where: str = "") -> Iterator[str]:
    """What a reader or writer by the schema `before` would find broken in `after`: fields gone, changed, newly required."""
    for name, old in before.get("$defs", {}).items():
        yield from differences(old, after.get("$defs", {}).get(name, {}), name)
    for name, old in before.get("properties", {}).items():
        new = after.get("properties", {}).get(name)
        if new is None:
            yield f"{where}.{name} is gone"
        elif shape(old) != shape(new):
            yield f"{where}.{name} was {shape(old)} and is {shape(new)}"
    old_names = before.get("properties", {}).keys()
    for name in set(after.get("required", ())).difference(old_names):
        # By the schema of what is written everything is there; a reader of old records must do without.
        if "default" not in after["properties"][name] and name not in before.get("required", ()):
            yield f"{where}.{name} is new and has no default"


def shape(value: Any) -> Any:
    """A schema without what is for people."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items() if name not in ("description", "title")}
    return [shape(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("kind", KINDS)
def test_fields_are_only_ever_added(kind: Kind) -> None:
    released = json.loads((FOLDER / f"{kind}.schema.json").read_text(encoding="utf-8"))
    assert list(differences(released, json_schema(kind), kind)) == []


def test_a_field_that_goes_or_changes_or_is_newly_required_is_found() -> None:
    released = json_schema("event")

    def found(change: Any) -> list[str]:
        changed = deepcopy(released)
        change(changed)
        return list(differences(released, changed, "event"))

    assert found(lambda schema: None) == []
    assert found(lambda schema: schema["properties"].update(added={"type": "string", "default": ""})) == []
    assert found(lambda schema: schema["properties"].pop("quad")) == ["event.quad is gone"]
    assert found(lambda schema: schema["$defs"]["Count"]["properties"].pop("max")) == ["Count.max is gone"]
    changed = found(lambda schema: schema["properties"]["intensity"].update(type="string"))
    assert [each.split(" was ")[0] for each in changed] == ["event.intensity"]

    def demand(schema: Any) -> None:
        schema["properties"]["added"] = {"type": "string"}
        schema["required"].append("added")

    assert found(demand) == ["event.added is new and has no default"]
