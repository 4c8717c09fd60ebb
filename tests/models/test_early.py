"""The probe that ends the reading of a sentence early: fitted on known data, between the halves of a network."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.encoder import Floats, Ints, OpenvinoNetwork, Probe, Tokenizer, places, summary
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


def ids(texts: list[str]) -> list[Ints]:
    return [tokens.ids for tokens in Tokenizer(FAST / "tokenizer.json")(texts)]


def answers(network: OpenvinoNetwork, texts: list[str], early: bool = False) -> dict[str, tuple[Floats, Floats, float]]:
    """Of each text that was read to the end its hidden states, tag logits and event logit."""
    return {
        texts[row]: (read.hidden[at][read.mask[at] == 1], read.tags[at][read.mask[at] == 1], float(read.event[at]))
        for read in network.encode(ids(texts), early)
        for at, row in enumerate(read.rows)
    }


def assert_same(found: tuple[Floats, Floats, float], expected: tuple[Floats, Floats, float]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped small network without its probe."""
    made = tmp_path_factory.mktemp("fast")
    for path in FAST.iterdir():
        if path.name != "probe.npz":
            shutil.copy(path, made)
    return made


@pytest.fixture(scope="module")
def whole(folder: Path) -> dict[str, tuple[Floats, Floats, float]]:
    return answers(OpenvinoNetwork(folder), WITHOUT + WITH)


@pytest.fixture(scope="module")
def fitted(folder: Path, whole: dict[str, object]) -> Path:
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


@given(st.integers(0, 99), st.integers(1, 12))
def test_a_summary_has_the_first_the_greatest_and_the_mean(seed: int, size: int) -> None:
    states = np.random.default_rng(seed).normal(size=(size, 5)).astype(np.float32)
    expected = [*states[0], *map(max, states.T), *(sum(column) / size for column in states.T)]
    assert summary(states) == pytest.approx(expected, abs=1e-6)


def test_a_probe_can_be_kept(tmp_path: Path) -> None:
    one = Probe("layer", np.array([0.5, -1.25, 3.0], dtype=np.float32), -2.5, 1.5)
    one.save(tmp_path / "probe.npz")
    found = Probe.load(tmp_path / "probe.npz")
    assert found.slopes.tolist() == one.slopes.tolist()
    assert (found.after, found.least, found.most) == (one.after, one.least, one.most)


def test_a_network_in_two_parts_gives_the_same_numbers(
    fitted: Path, whole: dict[str, tuple[Floats, Floats, float]]
) -> None:
    found = answers(OpenvinoNetwork(fitted), WITHOUT + WITH)
    for text in WITHOUT + WITH:
        assert_same(found[text], whole[text])


@pytest.mark.parametrize("texts", [WITHOUT + WITH, WITHOUT, WITH, WITHOUT[:1], WITH[:1]])
def test_only_sentences_that_may_hold_an_event_are_read_to_the_end(
    fitted: Path, whole: dict[str, tuple[Floats, Floats, float]], texts: list[str]
) -> None:
    found = answers(OpenvinoNetwork(fitted), texts, early=True)
    assert set(found) == set(texts) - set(WITHOUT)
    for text, answer in found.items():
        assert_same(answer, whole[text])


def test_a_gate_reads_to_the_end_only_what_the_probe_is_not_sure_of(
    fitted: Path, whole: dict[str, tuple[Floats, Floats, float]]
) -> None:
    texts = WITHOUT + WITH
    kept = Probe.load(fitted / "probe.npz")
    network = OpenvinoNetwork(fitted)
    scores = {
        row: float(summary(states) @ kept.slopes) for run in network.lower(ids(texts)) for row, states in run.items()
    }
    best = max(scores, key=scores.__getitem__)
    for most, sure in ((np.inf, set()), (scores[best], {best})):
        Probe(kept.after, kept.slopes, kept.least, most).save(fitted / "probe.npz")
        found = OpenvinoNetwork(fitted).event_logits(ids(texts))
        kept.save(fitted / "probe.npz")
        for row, text in enumerate(texts):
            expected = np.inf if row in sure else whole[text][2] if text in WITH else -np.inf
            assert found[row] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", ["fast", "accurate"])
def test_a_sentence_has_the_same_numbers_to_the_bit_beside_any_others(name: str) -> None:
    network = OpenvinoNetwork(FAST.parent / name)
    others = [" ".join(WITHOUT), " ".join(WITHOUT + WITH), "Rain.", *WITHOUT]
    alone = {text: answers(network, [text])[text] for text in WITH}
    for texts in (WITH, WITH[:1] + others, others + WITH[::-1]):
        for text, answer in answers(network, texts).items():
            if text in alone:
                assert [np.asarray(part).tobytes() for part in answer] == [
                    np.asarray(part).tobytes() for part in alone[text]
                ]


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="Linux says which pages a process holds")
def test_weights_are_not_held_twice(tmp_path: Path) -> None:
    """The runtime has them in an order of its own: the pages of the file can go."""
    folder = shutil.copytree(FAST, tmp_path / "fast")
    network = OpenvinoNetwork(folder)
    held, ours = 0, False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        if "-" in line.split()[0]:
            ours = str(folder) in line
        elif ours and line.startswith("Rss:"):
            held += 1024 * int(line.split()[1])
    assert held < 0.1 * (folder / "encoder.bin").stat().st_size
    assert len(answers(network, WITH)) == len(WITH)


def test_the_linear_layers_read_no_padding() -> None:
    """Of two sentences of 3 and 20 tokens the graph reads 32, and as many where both are padded to 48."""
    mask = np.zeros((2, 48), dtype=np.int64)
    mask[0, :3] = mask[1, :20] = 1
    for padded in (mask[:, :32], mask):
        given = places(padded)
        assert given["tokens"].shape == (32,)
        inside = padded.ravel()[given["tokens"]]
        assert inside.all()
        back = given["tokens"][given["places"]][padded.ravel() == 1]
        assert back.tolist() == np.flatnonzero(padded).tolist()


def test_the_reader_goes_past_the_probe_only_where_every_candidate_is_asked_for(fitted: Path) -> None:
    shut = Probe.load(fitted / "probe.npz")
    Probe(shut.after, shut.slopes, 1e9, 1e9).save(fitted / "probe.npz")
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
        Probe("no such operation", np.zeros(1152, dtype=np.float32), 0.0, 0.0).save(made / "probe.npz")
    with pytest.raises(ModelError, match=str(made)):
        OpenvinoNetwork(made)
