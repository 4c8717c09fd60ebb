"""The probe that ends the reading of a sentence early: fitted on known data, between the halves of a network."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.encoder import Encoded, Ints, OpenvinoNetwork, Probe, Tokenizer, pad, summary
from models.errors import ModelError
from models.reader import Reader
from models.training.early import discriminant, probe

FAST = Path(__file__).parents[2] / "models" / "weights" / "fast"
WITHOUT = [
    "The home side won 3-1 after a late goal.",
    "Rain is expected in the north on Sunday.",
    "Shares of the company rose by two per cent.",
    "The film opens in cinemas next month.",
]
WITH = [
    "Rebels shelled the town on Monday, killing four civilians.",
    "Police arrested two opposition leaders in the capital.",
    "The ministers signed a ceasefire agreement in Geneva.",
    "Thousands marched through the city to demand new elections.",
]


def batch(texts: list[str]) -> tuple[Ints, Ints]:
    tokens = Tokenizer(FAST / "tokenizer.json")(texts)
    return pad(tokens, 24)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped small network without its probe."""
    made = tmp_path_factory.mktemp("fast")
    for path in FAST.iterdir():
        if path.name != "probe.npz":
            shutil.copy(path, made)
    return made


@pytest.fixture(scope="module")
def whole(folder: Path) -> Encoded:
    return OpenvinoNetwork(folder).encode(*batch(WITHOUT + WITH))


@pytest.fixture(scope="module")
def fitted(folder: Path, whole: Encoded) -> Path:
    """The same network with a probe of the eight sentences; `whole` was made before."""
    records = [{"text": text, "events": []} for text in WITHOUT] + [{"text": text, "events": [{}]} for text in WITH]
    said = probe(folder, records * 5, records, 2, 0.99)
    assert said == {"layers": 2, "recall": 0.99, "nulls_passing": 0.0}
    return folder


def test_a_discriminant_can_tell_two_kinds_apart() -> None:
    random = np.random.default_rng(1)
    positive = random.random(4000) < 0.7
    features = random.normal(size=(4000, 6)).astype(np.float32)
    features[:, 2] += 4 * positive
    slopes = discriminant(features, positive)
    scores = features @ slopes
    assert (scores[~positive] >= np.quantile(scores[positive], 0.01)).mean() < 0.15
    assert np.argmax(np.abs(slopes)) == 2


def test_a_state_that_hardly_moves_does_not_swamp_the_score() -> None:
    random = np.random.default_rng(1)
    positive = random.random(4000) < 0.5
    features = random.normal(size=(4000, 6)).astype(np.float32)
    features[:, 2] += 4 * positive
    features[:, 4] = 5 + 1e-4 * random.normal(size=4000) + 1e-4 * positive
    slopes = discriminant(features, positive)
    assert abs(float(features[:, 4].mean() * slopes[4])) < 1


@given(st.integers(0, 99), st.integers(1, 12), st.integers(0, 8))
def test_a_summary_is_of_the_sentence_alone(seed: int, size: int, padding: int) -> None:
    random = np.random.default_rng(seed)
    own, others = random.normal(size=(size, 5)), random.normal(size=(3, size + padding, 5))
    states = others.astype(np.float32)
    states[1, :size] = own
    mask = np.ones(states.shape[:2], dtype=np.int64)
    mask[1, size:] = 0
    alone = summary(own[None].astype(np.float32), np.ones((1, size), dtype=np.int64))
    assert summary(states, mask)[1].tolist() == alone[0].tolist()
    assert alone.shape == (1, 15)


def test_a_probe_can_be_kept(tmp_path: Path) -> None:
    one = Probe("layer", np.array([0.5, -1.25, 3.0], dtype=np.float32), -2.5)
    one.save(tmp_path / "probe.npz")
    found = Probe.load(tmp_path / "probe.npz")
    assert (found.after, found.slopes.tolist(), found.least) == (one.after, one.slopes.tolist(), one.least)


def test_a_network_in_two_parts_gives_the_same_numbers(fitted: Path, whole: Encoded) -> None:
    found = OpenvinoNetwork(fitted).encode(*batch(WITHOUT + WITH))
    for name in ("hidden", "tags", "event"):
        assert getattr(found, name) == pytest.approx(getattr(whole, name), abs=1e-5)


def test_only_sentences_that_may_hold_an_event_are_read_to_the_end(fitted: Path, whole: Encoded) -> None:
    network = OpenvinoNetwork(fitted)
    for texts in (WITHOUT + WITH, WITHOUT, WITH, WITHOUT[:1], WITH[:1]):
        found = network.encode(*batch(texts), early=True)
        for row, text in enumerate(texts):
            at = (WITHOUT + WITH).index(text)
            if text in WITH:
                assert found.event[row] == pytest.approx(whole.event[at], abs=1e-5)
                assert found.tags[row] == pytest.approx(whole.tags[at], abs=1e-5)
            else:
                assert found.event[row] == -np.inf
                assert (found.tags[row].argmax(axis=-1) == 0).all()


def test_the_reader_goes_past_the_probe_only_where_every_candidate_is_asked_for(fitted: Path) -> None:
    shut = Probe.load(fitted / "probe.npz")
    Probe(shut.after, shut.slopes, 1e9).save(fitted / "probe.npz")
    reader = Reader.load(fitted)
    shut.save(fitted / "probe.npz")
    assert np.isneginf(reader.event_logits(WITH)).all()
    assert reader.read(WITH, 0.01) == [[]] * len(WITH)
    assert all(reader.read(WITH, 0))


@pytest.mark.parametrize(
    ("events", "layers"), [([True, True], 2), ([False, False], 2), ([True, False], 40)], ids=["all", "none", "no layer"]
)
def test_no_probe_is_made_where_it_could_not_tell(
    fitted: Path, tmp_path: Path, events: list[bool], layers: int
) -> None:
    made = shutil.copytree(fitted, tmp_path / "copy")
    records = [{"text": "Rain fell.", "events": [{}] * one} for one in events]
    both = [{"text": "Rain fell.", "events": [{}] * one} for one in (True, False)]
    assert probe(made, records, both, layers, 0.99) == probe(made, both, records, layers, 0.99) == {}
    assert not (made / "probe.npz").exists()  # nor is an old one left


@pytest.mark.parametrize("damage", ["text", "operation"])
def test_a_damaged_probe_is_named(fitted: Path, tmp_path: Path, damage: str) -> None:
    made = shutil.copytree(fitted, tmp_path / "copy")
    if damage == "text":
        (made / "probe.npz").write_text("{}", encoding="utf-8")
    else:
        Probe("no such operation", np.zeros(1152, dtype=np.float32), 0.0).save(made / "probe.npz")
    with pytest.raises(ModelError, match=str(made)):
        OpenvinoNetwork(made)
