"""From logits to candidates, kinds, confidences and arguments, by table."""

import math
import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.arguments import ROLES, arguments, trim
from models.classifier import (
    MODE_LABELS,
    REALIS,
    Candidate,
    Evidence,
    Kind,
    Logistic,
    candidates,
    kind,
    log_odds,
    trigger_span,
)
from models.encoder import Tokens, pad, runs
from models.ontology import TYPES

O, B, I = 0, 1, 2  # noqa: E741
NUMBERS = st.floats(-50, 50)


def tokens(words: list[int]) -> Tokens:
    """A sentence whose every token is two code points wide."""
    at = np.arange(len(words)) * 2
    return Tokens(np.arange(1, len(words) + 1), np.array(words), at, at + 2)


def logits(tags: list[int], strength: float = 6.0) -> np.ndarray:
    return np.eye(3, dtype=np.float32)[tags] * strength


@pytest.mark.parametrize(
    ("words", "tags", "expected"),
    [
        ([-1, 0, 1, 2, -1], [O, O, O, O, O], []),
        ([-1, 0, 1, 2, -1], [O, O, B, O, O], [(2, 2)]),
        ([-1, 0, 1, 2, -1], [O, B, I, O, O], [(1, 2)]),
        ([-1, 0, 1, 2, -1], [O, B, B, I, O], [(1, 1), (2, 3)]),
        # A word of several tokens is taken whole, whatever its later tokens say.
        ([-1, 0, 0, 1, -1], [O, B, O, O, O], [(1, 2)]),
        # A begin in the middle of a word begins nothing.
        ([-1, 0, 0, 1, -1], [O, O, B, O, O], []),
        # A continuation without a begin is no trigger.
        ([-1, 0, 1, 2, -1], [O, O, I, O, O], []),
    ],
)
def test_candidates_can_be_read_from_tags(words: list[int], tags: list[int], expected: list[tuple[int, int]]) -> None:
    assert [(one.first, one.last) for one in candidates(logits(tags), tokens(words))] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("agreed to end", "agreed to end"),
        ("agreed to", "agreed"),
        ("signed an", "signed"),
        ("Accused  of the", "Accused"),
        ("to", "to"),
        ("a stand", "a stand"),
        ("sought asylum", "sought asylum"),
    ],
)
def test_a_trigger_ends_with_a_word_of_its_own(text: str, expected: str) -> None:
    spans = [match.span() for match in re.finditer(r"\w+", text)]
    starts, ends = (np.array(side) for side in zip(*spans, strict=True))
    read = Tokens(np.arange(len(spans)), np.arange(len(spans)), starts, ends)
    start, end = trigger_span(Candidate(0, len(spans) - 1, 0.9), read, text)
    assert text[start:end] == expected


def test_a_kind_has_only_the_modes_of_its_type() -> None:
    types = np.zeros(1 + len(TYPES), dtype=np.float32)
    types[1 + TYPES.index("PROTEST")] = 5
    modes = np.full(len(MODE_LABELS), -5, dtype=np.float32)
    modes[MODE_LABELS.index(("PROTEST", "riot"))] = 5
    modes[MODE_LABELS.index(("ASSAULT", "beat"))] = 5
    realis = np.eye(len(REALIS), dtype=np.float32)[REALIS.index("future")]
    found, probability = kind(types, modes, realis)
    assert found == Kind("PROTEST", ("riot",), "future")
    assert probability == pytest.approx(math.exp(5) / (math.exp(5) + len(TYPES)))


def test_no_event_is_no_type_but_takes_its_share_of_the_probability() -> None:
    types = np.zeros(1 + len(TYPES), dtype=np.float32)
    types[0], types[1 + TYPES.index("AID")] = 9, 5
    rest = np.zeros(len(MODE_LABELS), dtype=np.float32), np.zeros(len(REALIS), dtype=np.float32)
    found, probability = kind(types, *rest)
    assert found.type == "AID"
    assert probability < 0.02


@pytest.mark.parametrize(
    ("probability", "expected"),
    [(0.5, 0.0), (0.75, math.log(3)), (0.25, -math.log(3)), (0.0, -9.2102), (1.0, 9.2102), (1.1, 9.2102)],
)
def test_log_odds_are_finite(probability: float, expected: float) -> None:
    found = log_odds(probability)
    assert isinstance(found, float)
    assert found == pytest.approx(expected, abs=1e-4)


def test_evidence_is_weighed_as_log_odds() -> None:
    assert Evidence(0.75, 0.5, -2.5).features() == pytest.approx((math.log(3), 0, -2.5))


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_calibration_with_slope_one_changes_nothing(type: float, tag: float) -> None:
    plain = Logistic((1.0, 0.0, 0.0), 0.0)
    assert plain(Evidence(type, tag, 3.0).features()) == pytest.approx(type, abs=2e-4)


@given(st.lists(NUMBERS, max_size=4), NUMBERS, st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=4))
def test_a_calibration_gives_a_probability(slopes: list[float], offset: float, features: list[float]) -> None:
    assert 0 <= Logistic(tuple(slopes), offset)(features[: len(slopes)]) <= 1


@given(st.floats(0, 50), NUMBERS, NUMBERS, NUMBERS)
def test_a_calibration_keeps_the_order(slope: float, offset: float, one: float, other: float) -> None:
    calibrated = Logistic((slope,), offset)
    low, high = sorted((one, other))
    assert calibrated((low,)) <= calibrated((high,))


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([1, 2.5, -3], Logistic((1.0, 2.5), -3.0)),
        ([0.5], Logistic((), 0.5)),
        (["1", "2"], Logistic((1.0,), 2.0)),
        ([], ValueError),
        (["high", 1], ValueError),
        ([None, 1], TypeError),
        (None, TypeError),
        (1, TypeError),
    ],
)
def test_a_calibration_can_be_read_from_numbers(numbers: Any, expected: Logistic | type[Exception]) -> None:
    if isinstance(expected, Logistic):
        assert Logistic.of(numbers) == expected
    else:
        with pytest.raises(expected):
            Logistic.of(numbers)


@pytest.mark.parametrize("features", [(), (1.0,), (1.0, 2.0, 3.0)])
def test_a_calibration_refuses_another_number_of_features(features: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="argument"):
        Logistic((1.0, 1.0), 0.0)(features)


@pytest.mark.parametrize(
    ("words", "tags", "expected"),
    [
        ([-1, 0, 1, 2, -1], [O, B, I, O, O], [(2, 6)]),
        ([-1, 0, 1, 2, -1], [O, B, O, B, O], [(2, 4), (6, 8)]),
        # Nothing lies between these two: one phrase in two pieces.
        ([-1, 0, 1, 2, -1], [O, B, B, O, O], [(2, 6)]),
        # A continuation without a begin is taken as a span: the words are more telling than the mark.
        ([-1, 0, 1, 2, -1], [O, O, I, I, O], [(4, 8)]),
        ([-1, 0, 0, 1, -1], [O, B, O, O, O], [(2, 6)]),
        ([-1, 0, 1, 2, -1], [B, O, O, O, B], []),
    ],
)
def test_arguments_can_be_read_from_tags(words: list[int], tags: list[int], expected: list[tuple[int, int]]) -> None:
    roles = np.zeros((len(words), len(ROLES), 3), dtype=np.float32)
    roles[..., 0] = 6
    number = ROLES.index("recipient")
    roles[:, number] = logits(tags)
    found = arguments(roles, tokens(words), "xx" * len(words))
    assert [(one.start, one.end) for one in found["recipient"]] == expected
    assert all(not found[role] for role in ROLES if role != "recipient")


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        # The likeliest word decides whether there is a span, those beside it that are likely enough belong to it.
        ([0.1, 0.41, 0.1], ["rebels"]),
        ([0.1, 0.39, 0.1], []),
        ([0.25, 0.9, 0.3], ["armed rebels today"]),
        ([0.19, 0.9, 0.3], ["rebels today"]),
        ([0.39, 0.39, 0.39], []),
    ],
)
def test_a_span_is_as_sure_as_its_likeliest_word(probabilities: list[float], expected: list[str]) -> None:
    text = "armed rebels today"
    at = np.array([0, 0, 6, 13, 18])
    read = Tokens(np.arange(5), np.array([-1, 0, 1, 2, -1]), at, np.array([0, 5, 12, 18, 18]))
    roles = np.zeros((5, len(ROLES), 3), dtype=np.float32)
    roles[..., 0] = 20
    for token, likely in enumerate(probabilities, start=1):
        marks = (1 - likely, 0.9 * likely, 0.1 * likely) if token == 1 else (1 - likely, 0.1 * likely, 0.9 * likely)
        roles[token, ROLES.index("recipient")] = np.log(marks)
    found = arguments(roles, read, text)["recipient"]
    assert [text[one.start : one.end] for one in found] == expected
    assert all(one.confidence == pytest.approx(max(probabilities), abs=1e-3) for one in found)


@pytest.mark.parametrize(
    ("text", "marked", "role", "expected"),
    [
        ("a group of 34 women", ["group", "34 women"], "recipient", ["group of 34 women"]),
        ("a group of 34 women", ["group", "34 women"], "location", ["group", "34 women"]),
        ("rebels and women", ["rebels", "women"], "recipient", ["rebels", "women"]),
        ("another sanctioned tanker", ["another", "sanctioned tanker"], "recipient", ["another sanctioned tanker"]),
    ],
)
def test_pieces_of_one_phrase_are_one_span(text: str, marked: list[str], role: str, expected: list[str]) -> None:
    spans = [match.span() for match in re.finditer(r"\w+", text)]
    starts, ends = (np.array(side) for side in zip(*spans, strict=True))
    read = Tokens(np.arange(len(spans)), np.arange(len(spans)), starts, ends)
    roles = np.zeros((len(spans), len(ROLES), 3), dtype=np.float32)
    roles[..., 0] = 6
    for piece in marked:
        begin = text.index(piece)
        for token, (start, end) in enumerate(spans):
            if begin <= start and end <= begin + len(piece):
                roles[token, ROLES.index(role)] = logits([B if start == begin else I])[0]
    assert [text[one.start : one.end] for one in arguments(roles, read, text)[role]] == expected


def test_calibration_moves_the_confidence_of_its_role_and_nothing_else() -> None:
    words = [-1, 0, 1, 2, -1]
    roles = np.stack([logits([O, B, I, O, O])] * len(ROLES), axis=1)
    plain = arguments(roles, tokens(words), "xx" * len(words))
    flat = arguments(roles, tokens(words), "xx" * len(words), {"actor": Logistic((0.5,), 0.0)})
    assert 0.5 < flat["actor"][0].confidence < plain["actor"][0].confidence < 1
    assert (flat["actor"][0].start, flat["actor"][0].end) == (2, 6)
    assert {role: spans for role, spans in flat.items() if role != "actor"} == {
        role: spans for role, spans in plain.items() if role != "actor"
    }


@pytest.mark.parametrize(
    ("span", "role", "expected"),
    [
        ("the army", "actor", "army"),
        ("a rebel", "actor", "rebel"),
        ("a teenager", "dead", "a teenager"),
        ("the 12", "dead", "12"),
        ("at least 12 people", "dead", "at least 12 people"),
        ("U.S.,", "actor", "U.S."),
        ("'s Prime Minister", "actor", "Prime Minister"),
        ("Kenya’", "actor", "Kenya"),
        ("-", "actor", None),
        ("of the", "location", None),
        ("“Free Army”", "actor", "“Free Army”"),
        ("police and", "recipient", "police"),
        ("Andes", "location", "Andes"),
        ("town of", "location", "town"),
        ("", "actor", None),
    ],
)
def test_spans_are_trimmed(span: str, role: str, expected: str | None) -> None:
    text = f"As {span} left"
    found = trim(text, 3, 3 + len(span), role)
    assert (text[slice(*found)] if found else None) == expected


@pytest.mark.parametrize(
    ("text", "span", "expected"),
    [
        ("A 21-year-old defendant fled", "year-old defendant", "21-year-old defendant"),
        ("A U.S.-brokered truce", "U", "U.S."),
        ("US-Iran talks", "Iran", "Iran"),
        ("the U.S. left", "U.S", "U.S."),
        ("X.Y said", "said", "said"),
        ("A U.S. strike", "S.", "U.S."),
        ("at least 12 people died", "at least 12 people", "at least 12 people"),
        ("the Front (NFR) said", "Front (NFR", "Front (NFR)"),
        ("the Front (of 2019, NFR) said", "Front (of 2019", "Front"),
        ("a man (Smith) said", "(Smith", "Smith"),
    ],
)
def test_spans_have_whole_words_at_their_ends(text: str, span: str, expected: str) -> None:
    start = text.index(span)
    found = trim(text, start, start + len(span), "actor")
    assert found is not None
    assert text[slice(*found)] == expected


def fits(lengths: list[int], batch_tokens: int) -> bool:
    """Within `batch_tokens` tokens, and twice as many where all are padded to a multiple of 16."""
    padded = len(lengths) * math.ceil(max(lengths) / 16) * 16
    return sum(lengths) <= batch_tokens and padded <= 2 * batch_tokens


@given(st.lists(st.integers(1, 60), max_size=30), st.integers(1, 200))
def test_every_sentence_is_in_one_run_of_like_lengths(lengths: list[int], batch_tokens: int) -> None:
    found = list(runs(lengths, batch_tokens))
    order = [row for run in found for row in run]
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[row] for row in order] == sorted(lengths)
    whole = [fits([lengths[row] for row in run], batch_tokens) for run in found]
    assert all(fit or len(run) == 1 for fit, run in zip(whole, found, strict=True))
    for run, after in pairwise(found):
        assert not fits([lengths[row] for row in [*run, after[0]]], batch_tokens)


def test_padding_is_masked() -> None:
    ids, mask = pad([np.array([1, 2, 3]), np.array([4])])
    assert ids.shape == mask.shape == (2, 16)
    assert ids[:, :4].tolist() == [[1, 2, 3, 0], [4, 0, 0, 0]]
    assert mask.sum(axis=1).tolist() == [3, 1]
    assert pad([np.ones(17, dtype=np.int64)])[0].shape == (1, 32)
