"""Training from sentences to weights that the coder loads, as docs/training.md shows it."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from models import Coder
from models.coder import WEIGHTS
from models.corpus.reading import read
from models.errors import ModelError
from models.evaluate import evaluate
from models.training.data import CORPUS

pytestmark = pytest.mark.skipif(find_spec("torch") is None, reason="training needs torch: make .venv/train")


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty sentences of one's own, in a file."""
    path = tmp_path_factory.mktemp("mine") / "mine.jsonl"
    lines = (CORPUS / "part-13.jsonl").read_text(encoding="utf-8").splitlines()[:40]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.timeout(400)
def test_the_coder_can_be_tuned_on_forty_sentences_and_goes_on_where_it_stopped(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from models.training.train import main

    out = tmp_path / "my-weights"
    options = ["--fast-only", "--only-extra", "--extra", str(mine), "--development", str(mine), "--epochs", "30"]
    options += ["--out", str(out), "--checkpoints", str(tmp_path / "checkpoints")]
    assert main(options) == 0

    coder = Coder.load(out)
    assert evaluate(read([mine]), coder).scores["event"].f1 > 0.6
    card = json.loads((out / "card.json").read_text(encoding="utf-8"))
    assert card["corpus"]["files"] == ["mine.jsonl"]
    assert card["corpus"]["sentences"] == 40
    assert card["networks"]["fast"]["recipe"]["seed"] == 1
    text = read([mine])[0]["text"]
    assert coder.code(text, min_confidence=0) == next(coder.code_many([text], min_confidence=0))

    capsys.readouterr()
    assert main(options) == 0
    assert "resumed after step 60 of 60" in capsys.readouterr().err


def test_weights_can_learn_on_from_where_they_are(tmp_path: Path) -> None:
    """What the exported graph holds is given back to the network, but for the rounding."""
    from models.encoder import OpenvinoNetwork, Tokenizer
    from models.training.data import answered, label
    from models.training.network import EventNetwork
    from models.training.pretrained import MINILM, pretrained
    from models.training.restore import restore

    folder = pretrained(MINILM, tmp_path)
    network = EventNetwork(folder).eval()
    restore(network, WEIGHTS / "fast")
    tokenizer = Tokenizer(folder / "tokenizer.json")
    sentences = [label(record, tokenizer) for record in read([CORPUS / "part-5.jsonl"])[:12]]
    shipped = OpenvinoNetwork(WEIGHTS / "fast")
    for ours, theirs in zip(answered(network, sentences), answered(shipped, sentences), strict=True):
        assert ours.encoded.rows == theirs.encoded.rows
        one, other = (each.encoded.hidden[each.encoded.mask == 1] for each in (ours, theirs))
        length = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
        assert np.mean((one * other).sum(-1) / length) > 0.95


def test_weights_of_another_network_are_not_learned_on_from(tmp_path: Path) -> None:
    from models.training.network import EventNetwork
    from models.training.pretrained import MINILM, pretrained
    from models.training.restore import restore

    network = EventNetwork(pretrained(MINILM, tmp_path))
    with pytest.raises(ModelError, match=r"accurate/encoder\.xml: .*exported from another network"):
        restore(network, WEIGHTS / "accurate")


@pytest.mark.parametrize(
    ("seen", "files"),
    [
        (["old.jsonl"], ["new", "new", "old", "old"]),
        (["new.jsonl"], ["new", "new", *["old"] * 5]),
        ([], ["new", "new", *["old"] * 5]),
        (["old.jsonl", "new.jsonl"], []),
    ],
)
def test_new_sentences_come_with_as_many_old_ones(tmp_path: Path, seen: list[str], files: list[str]) -> None:
    from models.training.train import unseen

    for name, count in (("old.jsonl", 5), ("new.jsonl", 2)):
        lines = [json.dumps({"text": f"{name} {number}.", "events": []}) for number in range(count)]
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    texts = {record["text"] for record in unseen([tmp_path / "old.jsonl", tmp_path / "new.jsonl"], seen)}
    assert sorted(text.partition(".")[0] for text in texts) == files


def test_only_files_that_both_networks_have_seen_are_seen() -> None:
    from models.training.train import _seen

    card = {"corpus": {"files": ["one", "two"]}, "networks": {"accurate": {"corpus": {"files": ["one"]}}, "fast": {}}}
    assert _seen(card) == {"one"}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_large_network_that_is_kept_can_teach_a_new_small_one(mine: Path, tmp_path: Path) -> None:
    from models.training.train import main

    out = tmp_path / "weights"
    options = [
        "--teacher",
        str(WEIGHTS),
        "--only-extra",
        "--extra",
        str(mine),
        "--development",
        str(mine),
        "--epochs",
        "1",
    ]
    assert main([*options, "--out", str(out), "--checkpoints", str(tmp_path / "checkpoints")]) == 0
    for name in ("encoder.bin", "head.bin"):
        assert (out / "accurate" / name).read_bytes() == (WEIGHTS / "accurate" / name).read_bytes()
        assert (out / "fast" / name).read_bytes() != (WEIGHTS / "fast" / name).read_bytes()
    card, shipped = (json.loads((folder / "card.json").read_text(encoding="utf-8")) for folder in (out, WEIGHTS))
    known = shipped["networks"]["accurate"]
    assert card["networks"]["accurate"]["corpus"] == known.get("corpus", shipped["corpus"])
    assert card["networks"]["accurate"]["recipe"] == known["recipe"]
    assert card["corpus"]["files"] == ["mine.jsonl"]
    text = read([mine])[0]["text"]
    assert Coder.load(out).code(text, min_confidence=0)


def test_weights_can_be_calibrated_anew_on_other_sentences(mine: Path, tmp_path: Path) -> None:
    from models.training.train import main

    out = tmp_path / "weights"
    options = ["--only-extra", "--extra", str(mine), "--development", str(mine), "--version", "mine"]
    assert main(["--calibrate", str(WEIGHTS), *options, "--out", str(out)]) == 0
    card, shipped = (json.loads((folder / "card.json").read_text(encoding="utf-8")) for folder in (out, WEIGHTS))
    for profile in ("accurate", "fast"):
        for name in ("encoder.bin", "head.bin", "words.npz"):
            assert (out / profile / name).read_bytes() == (WEIGHTS / profile / name).read_bytes()
        configs = [
            json.loads((folder / profile / "config.json").read_text(encoding="utf-8")) for folder in (out, WEIGHTS)
        ]
        assert configs[0]["version"] == "mine"
        assert configs[0]["confidence"] != configs[1]["confidence"]
        assert card["networks"][profile]["recipe"] == shipped["networks"][profile]["recipe"]
    assert card["corpus"] == shipped["corpus"]
    assert card["calibrated"]["development"] == ["mine.jsonl"]
    assert card["development"]["sentences"] == 40
    assert Coder.load(out).code(read([mine])[0]["text"], min_confidence=0)


def test_what_is_kept_cannot_learn_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from models.training.train import main

    out = tmp_path / "out"
    assert main(["--calibrate", str(WEIGHTS), "--from", str(WEIGHTS), "--out", str(out)]) == 1
    assert "leave out --from" in capsys.readouterr().err
    assert not out.exists()


def test_a_teacher_without_a_large_network_is_refused(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from models.training.train import main

    options = ["--teacher", str(tmp_path), "--only-extra", "--extra", str(mine), "--out", str(tmp_path / "out")]
    assert main(options) != 0
    assert "no accurate network lies there" in capsys.readouterr().err


def test_training_says_what_is_wrong_with_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from models.training.train import main

    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text('{"text": "Rebels shelled Goma.", "events": [{"type": "SHELL"}]}\n', encoding="utf-8")
    assert main(["--only-extra", "--extra", str(wrong), "--out", str(tmp_path / "out")]) == 1
    assert "wrong.jsonl:1: type SHELL" in capsys.readouterr().err
