"""Reader and coder on a network of a few words: what holds whatever the weights say."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import Coder, Event
from models.arguments import ROLES
from models.classifier import MODE_LABELS, REALIS, Logistic
from models.encoder import BATCH_TOKENS, Encoded, Floats, Heads, Ints, Network, Tokenizer, pad, runs
from models.errors import ModelError
from models.ontology import TYPES
from models.reader import Reader, Weights

WEIGHTS = Path(__file__).parents[2] / "models" / "weights"
HIDDEN = 4


TOKENIZER_FILE = WEIGHTS / "fast" / "tokenizer.json"
TOKENIZER = Tokenizer(TOKENIZER_FILE)


def ids(word: str) -> list[int]:
    return [int(one) for one, of in zip(TOKENIZER([word])[0].ids, TOKENIZER([word])[0].words, strict=True) if of >= 0]


class Lookup(Network):
    """Knows tokens by heart: a trigger's token has the log odds with which it begins one, the tokens of actors are actors.

    A sentence's event logit is the largest of its triggers', -9 without one. `seen` counts the sentences encoded.
    """

    def __init__(self, triggers: dict[str, float], actors: tuple[str, ...] = ()) -> None:
        self.triggers = {ids(word)[0]: strength for word, strength in triggers.items()}
        self.actors = [one for word in actors for one in ids(word)]
        self.seen = 0

    def encode(
        self, sentences: Sequence[Ints], early: bool = False, batch_tokens: int = BATCH_TOKENS
    ) -> Iterator[Encoded]:
        for rows in runs([len(sentence) for sentence in sentences], batch_tokens):
            yield self._encoded(rows, *pad([sentences[row] for row in rows]))

    def _encoded(self, rows: list[int], ids: Ints, mask: Ints) -> Encoded:
        self.seen += len(ids)
        strength = np.full(ids.shape, -9.0, dtype=np.float32)
        for token, logit in self.triggers.items():
            strength[ids == token] = logit
        strength[mask == 0] = -9
        tags = np.stack([np.zeros_like(strength), strength, np.full_like(strength, -9)], axis=-1)
        hidden = np.zeros((*ids.shape, HIDDEN), dtype=np.float32)
        hidden[..., 0], hidden[..., 1] = strength, np.isin(ids, self.actors)
        return Encoded(rows, mask, hidden, tags, strength.max(axis=1))

    def heads(self, hidden: Floats, mask: Ints, trigger: Floats) -> Heads:
        rows, length = mask.shape
        types = np.full((rows, 1 + len(TYPES)), -3, dtype=np.float32)
        types[:, 1 + TYPES.index("ASSAULT")] = np.where(trigger > 0, hidden[..., 0], -9).max(axis=1)
        roles = np.zeros((rows, length, len(ROLES), 3), dtype=np.float32)
        roles[..., 0] = 6
        roles[..., ROLES.index("actor"), 1] = 12 * hidden[..., 1]
        realis = np.tile(np.eye(len(REALIS), dtype=np.float32)[0], (rows, 1))
        return Heads(types, np.full((rows, len(MODE_LABELS)), -5, dtype=np.float32), realis, roles)


def weights(**values: Any) -> Weights:
    return replace(Weights(TOKENIZER, "lookup", "1"), **values)


LARGE = {"shelled": 6.0, "raided": 3.0, "met": 0.0}
TEXT = (
    "Zoë’s rebels shelled the town. A ceremony took place. Police raided a house, and envoys met. 🔥 Soldiers shelled a "
    "bridge near the river on the far side of the old town. Rain fell. Police met."
)


def coder(gate: float | None = None, small: dict[str, float] | None = None, **values: Any) -> tuple[Coder, Lookup]:
    """A coder of the large network and, if given, a gate, with the large network for its counts."""
    large = Lookup(LARGE, ("rebels", "Police", "Soldiers", "envoys"))
    before = Reader(Lookup(small), weights()) if small is not None else None
    return Coder(Reader(large, weights(gate=gate, **values)), before), large


def triggers(events: list[Event]) -> list[str]:
    return [event.trigger.text for event in events]


def test_the_reader_can_find_candidates_with_offsets_that_cut_the_text() -> None:
    reader = Reader(Lookup(LARGE, ("rebels", "Police")), weights())
    texts = ["Zoë’s rebels shelled the town.", "Rain fell.", "", "🔥 Police raided a house, and envoys met."]
    found = reader.read(texts, 0)
    assert [[text[slice(*one.trigger)] for one in row] for text, row in zip(texts, found, strict=True)] == [
        ["shelled"],
        [],
        [],
        ["raided", "met"],
    ]
    actors = [
        [[text[one.start : one.end] for one in reading.arguments["actor"]] for reading in row]
        for text, row in zip(texts, found, strict=True)
    ]
    assert actors == [[["rebels"]], [], [], [["Police"], ["Police"]]]
    assert {reading.kind.type for row in found for reading in row} == {"ASSAULT"}


def test_nothing_can_be_read() -> None:
    reader = Reader(Lookup(LARGE), weights())
    assert reader.read([], 0) == []
    assert reader.event_logits([]).tolist() == []


def test_each_sentence_has_its_event_logit_in_any_batch() -> None:
    reader = Reader(Lookup(LARGE), weights())
    texts = ["Police raided a house.", "Rain fell.", "They met.", "Rebels shelled the town, and police raided a house."]
    assert reader.event_logits(texts).tolist() == [3, -9, 0, 6]
    assert reader.event_logits(texts, batch_tokens=1).tolist() == [3, -9, 0, 6]


def test_events_cut_the_article() -> None:
    events = coder()[0].code(TEXT, "Rebels shelled town")
    assert triggers(events)
    for event in events:
        for span in (event.trigger, event.sentence, *event.actors):
            source = TEXT if span.field == "text" else "Rebels shelled town"
            assert source[span.start : span.end] == span.text != ""


@pytest.mark.parametrize(
    ("gate", "small", "expected", "seen"),
    [
        (None, None, ["shelled", "raided", "met", "shelled", "met"], 6),  # no gate reads all
        (0.0, None, ["shelled", "raided", "met", "shelled", "met"], 6),
        (None, {}, ["shelled", "raided", "met", "shelled", "met"], 6),  # a gate without a threshold passes all on
        (0.0, {}, [], 0),
        (-9.0, {}, ["shelled", "raided", "met", "shelled", "met"], 6),  # at the threshold counts as above it
        (2.0, {"shelled": 2.0}, ["shelled", "shelled"], 2),
        (2.5, {"shelled": 2.0}, [], 0),
        (1.0, {"raided": 2.0}, ["raided", "met"], 1),  # the gate passes sentences on, not events
    ],
)
def test_the_gate_passes_on_what_may_hold_an_event(
    gate: float | None, small: dict[str, float] | None, expected: list[str], seen: int
) -> None:
    one, large = coder(gate, small)
    assert triggers(one.code(TEXT, min_confidence=0.01)) == expected
    assert large.seen == seen


def test_no_least_confidence_goes_past_the_gate() -> None:
    shut, _ = coder(gate=99.0, small={})
    everything, _ = coder()
    assert shut.code(TEXT) == []
    assert shut.code(TEXT, min_confidence=0) == everything.code(TEXT, min_confidence=0) != []


def test_thresholds_are_of_calibrated_confidence() -> None:
    # By the event logit alone: 6, 3 and 0 become 0.95, 0.5 and 0.05.
    calibration = Logistic((0.0, 0.0, 0.9815), -2.9444)
    one, _ = coder(confidence=calibration, min_confidence=0.9)
    assert [(event.trigger.text, event.confidence) for event in one.code(TEXT, min_confidence=0)] == [
        ("shelled", 0.95),
        ("raided", 0.5),
        ("met", 0.5),  # in one sentence with "raided"
        ("shelled", 0.95),
        ("met", 0.05),
    ]
    assert triggers(one.code(TEXT)) == ["shelled", "shelled"]
    assert triggers(one.code(TEXT, min_confidence=0.95)) == ["shelled", "shelled"]
    assert triggers(one.code(TEXT, min_confidence=0.951)) == []
    assert triggers(one.code(TEXT, min_confidence=0.4)) == ["shelled", "raided", "met", "shelled"]


def test_arguments_have_calibrated_confidence() -> None:
    plain, _ = coder()
    flat, _ = coder(arguments={"actor": Logistic((0.0,), 0.0)})
    assert {actor.confidence for event in plain.code(TEXT) for actor in event.actors} != {0.5}
    assert {actor.confidence for event in flat.code(TEXT) for actor in event.actors} == {0.5}


@pytest.mark.parametrize("batch_tokens", [1, 16, 64, 1024])
@pytest.mark.parametrize("small", [None, {"shelled": 2.0, "met": 2.0}])
def test_articles_are_coded_the_same_alone_and_together(batch_tokens: int, small: dict[str, float] | None) -> None:
    one, _ = coder(1.0, small)
    articles = [{"text": TEXT[at:], "title": "Rebels shelled town" if at % 2 else ""} for at in range(0, 90, 7)]
    alone = [one.code(article["text"], article["title"], min_confidence=0.1) for article in articles]
    assert any(alone)
    assert list(one.code_many(articles, batch_tokens, min_confidence=0.1)) == alone
    assert list(one.code_many(reversed(articles), batch_tokens, min_confidence=0.1)) == alone[::-1]


def test_a_sentence_can_have_more_candidates_than_one_run_of_the_head_takes() -> None:
    text = "They " + "met and " * 40 + "left."
    reader = Reader(Lookup(LARGE), weights())
    assert [reading.trigger for reading in reader.read([text], 0)[0]] == [(5 + 8 * at, 8 + 8 * at) for at in range(40)]


def test_headline_and_lead_are_told_once() -> None:
    found, *others = coder()[0].code(TEXT, "Rebels shelled town")
    assert {one.trigger.field for one in (found, *found.mentions)} == {"title", "text"}
    assert not any(one.mentions or one.trigger.field == "title" for one in others)


CONFIG = {
    "name": "x",
    "version": "1",
    "confidence": [1, 0, 0, 0],
    "arguments": {"actor": [1, 0]},
    "min_confidence": 0.5,
}


@pytest.mark.parametrize(
    "config",
    [
        None,
        "",
        "{",
        "[]",
        "null",
        *(json.dumps({key: value for key, value in CONFIG.items() if key != name}) for name in CONFIG),
        json.dumps(CONFIG | {"confidence": None}),
        json.dumps(CONFIG | {"confidence": []}),
        json.dumps(CONFIG | {"confidence": ["high", 0]}),
        json.dumps(CONFIG | {"arguments": {"actor": 1}}),
        json.dumps(CONFIG | {"arguments": [1]}),
        json.dumps(CONFIG | {"confidence": [1, 0, 0, float("nan")]}),
    ],
)
def test_an_unreadable_config_says_what_to_do(tmp_path: Path, config: str | None) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(config, encoding="utf-8")
        shutil.copy(TOKENIZER_FILE, tmp_path)
    with pytest.raises(ModelError, match="make train") as error:
        Reader.load(tmp_path)
    assert str(tmp_path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("tokens", [None, "", "{}", "not JSON"])
def test_an_unreadable_tokeniser_says_what_to_do(tmp_path: Path, tokens: str | None) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    if tokens is not None:
        (tmp_path / "tokenizer.json").write_text(tokens, encoding="utf-8")
    with pytest.raises(ModelError, match="make train"):
        Reader.load(tmp_path)


def test_a_missing_network_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    shutil.copy(TOKENIZER_FILE, tmp_path)
    with pytest.raises(ModelError, match=str(tmp_path)):
        Reader.load(tmp_path)
