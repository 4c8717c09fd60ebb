"""From logits to candidates, kinds and arguments, by table."""

import numpy as np
import pytest

from models.arguments import ROLES, arguments, trim
from models.classifier import MODE_LABELS, REALIS, candidates, kind
from models.encoder import Tokens, batches, pad
from models.ontology import TYPES

O, B, I = 0, 1, 2  # noqa: E741


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


def test_a_kind_has_only_the_modes_of_its_type() -> None:
    types = np.zeros(1 + len(TYPES), dtype=np.float32)
    types[1 + TYPES.index("PROTEST")] = 5
    modes = np.full(len(MODE_LABELS), -5, dtype=np.float32)
    modes[MODE_LABELS.index(("PROTEST", "riot"))] = 5
    modes[MODE_LABELS.index(("ASSAULT", "beat"))] = 5
    realis = np.eye(len(REALIS), dtype=np.float32)[REALIS.index("future")]
    found = kind(types, modes, realis)
    assert (found.type, found.modes, found.realis) == ("PROTEST", ("riot",), "future")
    assert 0.8 < found.confidence < 1


def test_calibration_moves_confidence_and_nothing_else() -> None:
    types = np.eye(1 + len(TYPES), dtype=np.float32)[3] * 5
    rest = np.zeros(len(MODE_LABELS), dtype=np.float32), np.zeros(len(REALIS), dtype=np.float32)
    plain, flatter, lower = kind(types, *rest), kind(types, *rest, slope=0.5), kind(types, *rest, offset=-1.0)
    assert 0.5 < flatter.confidence < plain.confidence
    assert lower.confidence < plain.confidence
    assert {(one.type, one.modes, one.realis) for one in (plain, flatter, lower)} == {
        (plain.type, plain.modes, plain.realis)
    }


@pytest.mark.parametrize(
    ("words", "tags", "expected"),
    [
        ([-1, 0, 1, 2, -1], [O, B, I, O, O], [(2, 6)]),
        ([-1, 0, 1, 2, -1], [O, B, B, O, O], [(2, 4), (4, 6)]),
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
    ],
)
def test_spans_have_whole_words_at_their_ends(text: str, span: str, expected: str) -> None:
    start = text.index(span)
    found = trim(text, start, start + len(span), "actor")
    assert found is not None
    assert text[slice(*found)] == expected


def test_padding_depends_on_the_sentence_alone() -> None:
    lengths = [3, 9, 8, 17, 3, 16]
    alone = {row: batches([length])[0][0] for row, length in enumerate(lengths)}
    together = {row: padded for padded, rows in batches(lengths, batch_tokens=16) for row in rows}
    assert together == alone
    assert all(padded * len(rows) <= 16 or len(rows) == 1 for padded, rows in batches(lengths, batch_tokens=16))


def test_padding_is_masked() -> None:
    ids, mask = pad([tokens([-1, 0, -1])], 5)
    assert ids.tolist() == [[1, 2, 3, 0, 0]]
    assert mask.tolist() == [[1, 1, 1, 0, 0]]
