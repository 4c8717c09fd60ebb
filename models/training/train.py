"""Train the coder from the corpus and export it: `python -m models.training.train --out models/weights`.

The large network learns from the corpus; the small one learns from the corpus and from the large one's answers. Both are
quantised, calibrated on the frozen development split, and described in card.json. With `--fast-only` the small one alone is
trained, into a folder without profiles: the quick way to try sentences of one's own. With `--from` weights learn on from where
they are: from the files that they have not seen, and from as many sentences of those that they have, lest they forget them.
With `--teacher` the large network of other weights is kept, calibrated anew, and teaches a new small one. With `--calibrate`
both are kept, and calibrated anew: on other development files, or after a change in how graphs are run.

Resumes from the last checkpoint in `--checkpoints`; with the same seed, files and machine it ends in the same weights. Runs
on a GPU if there is one, else on the processor: in bfloat16 where that computes with it, else in float32.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from models.coder import Coder
from models.corpus.reading import read
from models.encoder import OpenvinoNetwork, Tokenizer
from models.errors import ConflictwireError, ModelError
from models.evaluate import Record, evaluate
from models.reader import Reader, Weights
from models.training.calibrate import calibrate, gate
from models.training.data import Sentence, development_files, digest, label, training_files
from models.training.distil import taught
from models.training.early import probe
from models.training.export import export
from models.training.fit import Recipe, fit
from models.training.network import EventNetwork
from models.training.pretrained import MINILM, MPNET, pretrained
from models.training.restore import restore

# The share of the development sentences with an event that the gate passes on.
GATE_RECALL = 0.99
# The same of each probe after the first layers: all but one or two of the split's.
PROBE_RECALL = 0.9975
_VERSION = "3"


@dataclass(frozen=True, slots=True)
class Plan:
    """One network of the two: which encoder, how it learns, and after how many layers a probe looks whether to read on."""

    profile: str
    encoder: str
    recipe: Recipe
    probe: int | None = None


ACCURATE = Plan("accurate", MPNET, Recipe(epochs=3, lr=6e-5, head_lr=4e-4), probe=6)
FAST = Plan("fast", MINILM, Recipe(epochs=5, lr=2e-4, head_lr=5e-4), probe=2)


def onward(plan: Plan) -> Plan:
    """The plan for weights that learn on: shorter and slower, as most is known."""
    recipe = plan.recipe
    epochs = max(recipe.epochs // 2, 1)
    return replace(plan, recipe=replace(recipe, epochs=epochs, lr=recipe.lr / 2, head_lr=recipe.head_lr / 4))


@dataclass(frozen=True, slots=True)
class Data:
    """What both networks learn from and are calibrated on; `records` are those of `files` that are learned now."""

    files: tuple[Path, ...]
    records: tuple[Record, ...]
    development_files: tuple[Path, ...]
    development: tuple[Record, ...]

    def sentences(self, folder: Path) -> list[Sentence]:
        """The training records in the tokens of the encoder in `folder`."""
        tokenizer = Tokenizer(folder / "tokenizer.json")
        return [label(record, tokenizer) for record in self.records]


def unseen(files: Sequence[Path], seen: Collection[str], seed: int = 1) -> list[Record]:
    """The sentences of the files that are not named in `seen`, and as many, drawn at random, of the others."""
    fresh = read([path for path in files if path.name not in seen])
    known = read([path for path in files if path.name in seen])
    return fresh + random.Random(seed).sample(known, min(len(fresh), len(known)))


def _card(folder: Path, option: str) -> dict[str, Any]:
    try:
        card: dict[str, Any] = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{option} {folder}: no card.json that can be read: {error}") from error
    return card


def _write(path: Path, told: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def _seen(card: Mapping[str, Any]) -> set[str]:
    """The files that all the networks of a card have learned from."""
    corpora = [card["corpus"], *(network["corpus"] for network in card["networks"].values() if "corpus" in network)]
    return set.intersection(*(set(corpus["files"]) for corpus in corpora))


def _commit() -> str:
    try:
        answer = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return answer.stdout.strip()


def _development(data: Data) -> dict[str, Any]:
    paths = data.development_files
    return {"development": [path.name for path in paths], "development_sha256": digest(paths)}


def learn(
    plan: Plan, data: Data, folder: Path, sentences: Sequence[Sentence], options: argparse.Namespace, target: Path
) -> dict[str, Any]:
    """Train one network, write it into `target`, and return its part of the model card."""
    tokenizer = Tokenizer(folder / "tokenizer.json")
    network = EventNetwork(folder, plan.probe)
    if options.start is not None:
        profiled = options.start / plan.profile
        restore(network, profiled if profiled.exists() else options.start)
    network = network.to("cuda" if torch.cuda.is_available() else "cpu")
    weights = Weights(tokenizer, f"conflictwire-{plan.profile}", options.version)

    def scores() -> str:
        return evaluate(data.development, Coder(Reader(network, weights))).headline()

    key = f"{digest(data.files)}{' taught' if sentences[0].soft else ''}{folder} from {options.start}"
    fit(network, sentences, plan.recipe, options.checkpoints / f"{plan.profile}.pt", key, scores, plan.profile)
    export(network, folder, sentences, target)
    return {"encoder": plan.encoder, "recipe": asdict(plan.recipe)} | settle(plan, data, target, options.version)


def settle(plan: Plan, data: Data, target: Path, version: str) -> dict[str, Any]:
    """Probe and calibrate the network that lies in `target`; returns what the model card says of that."""
    looked = probe(target, data.records, data.development, plan.probe, PROBE_RECALL) if plan.probe else {}
    weights = Weights(Tokenizer(target / "tokenizer.json"), f"conflictwire-{plan.profile}", version)
    settings = {"name": weights.name, "version": weights.version}
    settings |= calibrate(data.development, Reader(OpenvinoNetwork(target), weights))
    _write(target / "config.json", settings)
    return {"probe": looked, "development": evaluate(data.development, Coder(Reader.load(target))).to_dict()}


def kept(plan: Plan, data: Data, options: argparse.Namespace, target: Path) -> dict[str, Any]:
    """The network of other weights as it is, settled anew; its part of the model card says what it learned from."""
    if not (options.teacher / plan.profile / "encoder.xml").exists():
        raise ModelError(
            f"--teacher {options.teacher}: no {plan.profile} network lies there; give a folder of `make train`"
        )
    card = _card(options.teacher, "--teacher")
    if options.teacher.resolve() != options.out.resolve():
        shutil.copytree(options.teacher / plan.profile, target, dirs_exist_ok=True)
    known = card["networks"][plan.profile]
    corpus = known.get("corpus", card["corpus"])
    return {**known, "corpus": corpus} | settle(plan, data, target, options.version)


def calibrated(data: Data, options: argparse.Namespace) -> dict[str, Any]:
    """The networks of `--calibrate` as they are, settled anew in `--out`; their model card, with the day of that."""
    card = _card(options.calibrate, "--calibrate")
    card["version"] = options.version or card["version"]
    if options.calibrate.resolve() != options.out.resolve():
        shutil.copytree(options.calibrate, options.out, dirs_exist_ok=True)
    for plan in (ACCURATE, FAST):
        if plan.profile in card["networks"]:
            target = options.out / plan.profile if "accurate" in card["networks"] else options.out
            card["networks"][plan.profile] |= settle(plan, data, target, card["version"])
    day = datetime.now(UTC).isoformat(timespec="seconds")
    card["calibrated"] = {"day": day, "commit": _commit(), **_development(data)}
    return card


def train(options: argparse.Namespace) -> None:
    """The whole of it. Nothing is chosen by the development split but calibration and thresholds."""
    files = tuple(path for path in [*([] if options.only_extra else training_files()), *options.extra])
    development_paths = tuple(options.development or development_files())
    if options.calibrate and options.start:
        raise ModelError("--calibrate keeps networks as they are; leave out --from, which trains them on")
    if not files:
        raise ModelError("no training files; leave out --only-extra or give files with --extra")
    start = _card(options.start, "--from") if options.start else None
    records = unseen(files, _seen(start)) if start else read(files)
    if not records:
        raise ModelError(
            f"--from {options.start}: those weights have learned all these files already; add some with --extra"
        )
    data = Data(files, tuple(records), development_paths, tuple(read(development_paths)))
    card = calibrated(data, options) if options.calibrate else trained(data, options, start)
    if "accurate" in card["networks"]:
        settings_file = options.out / "accurate" / "config.json"
        settings = json.loads(settings_file.read_text(encoding="utf-8"))
        settings["gate"] = gate(data.development, Reader.load(options.out / "fast"), GATE_RECALL)
        _write(settings_file, settings)
    report = evaluate(data.development, Coder.load(options.out))
    card["development"] = report.to_dict()
    _write(options.out / "card.json", card)
    print(report.to_text())


def trained(data: Data, options: argparse.Namespace, start: dict[str, Any] | None) -> dict[str, Any]:
    """New networks in `--out`, on from those of the card `start` if it is given; their model card."""
    options.version = options.version or _VERSION
    cache = options.checkpoints / "pretrained"
    card: dict[str, Any] = {
        "version": options.version,
        "trained": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": "GPU" if torch.cuda.is_available() else f"{torch.get_num_threads()} cores",
        "corpus": {
            "files": [path.name for path in data.files],
            "sentences": len(data.records),
            "sha256": digest(data.files),
            **({"from": {"version": start["version"], "corpus": start["corpus"]}} if start else {}),
            **_development(data),
        },
        "networks": {},
    }
    large = replace(ACCURATE, encoder=options.large_encoder or ACCURATE.encoder)
    small = replace(FAST, encoder=options.small_encoder or FAST.encoder)
    if start:
        large, small = onward(large), onward(small)
    if options.epochs is not None:
        large, small = (replace(plan, recipe=replace(plan.recipe, epochs=options.epochs)) for plan in (large, small))
    folder = pretrained(small.encoder, cache)
    sentences = data.sentences(folder)
    if not options.fast_only:
        target = options.out / "accurate"
        if options.teacher:
            card["networks"]["accurate"] = kept(large, data, options, target)
        else:
            large_folder = pretrained(large.encoder, cache)
            large_sentences = data.sentences(large_folder)
            card["networks"]["accurate"] = learn(large, data, large_folder, large_sentences, options, target)
        sentences = taught(sentences, OpenvinoNetwork(target), data.sentences(target))
    target = options.out if options.fast_only else options.out / "fast"
    card["networks"]["fast"] = learn(small, data, folder, sentences, options, target)
    return card


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python -m models.training.train --extra mine.jsonl --out my-weights",
    )
    parser.add_argument("--out", type=Path, default=Path("models/weights"), help="folder for the weights")
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"), help="folder to resume from")
    parser.add_argument("--extra", type=Path, nargs="*", default=[], help="more files in the corpus format")
    parser.add_argument("--only-extra", action="store_true", help="train on the --extra files alone")
    parser.add_argument(
        "--development", type=Path, nargs="*", help="files to calibrate and score on, in place of the frozen split"
    )
    parser.add_argument("--from", dest="start", type=Path, help="folder of weights to learn on from")
    networks = parser.add_mutually_exclusive_group()
    networks.add_argument("--fast-only", action="store_true", help="the small network alone: minutes, not hours")
    networks.add_argument(
        "--teacher", type=Path, help="folder of weights whose large network is kept and teaches the small one"
    )
    networks.add_argument("--calibrate", type=Path, help="folder of weights that are kept, and calibrated anew")
    parser.add_argument("--large-encoder", help=f"{MPNET} (default), or a folder in Hugging Face's format")
    parser.add_argument("--small-encoder", help=f"{MINILM} (default), or a folder in Hugging Face's format")
    parser.add_argument("--epochs", type=int, help="of both networks; 3 and 5 if left out, 1 and 2 with --from")
    parser.add_argument("--version", help=f"of the weights, as events name it: {_VERSION} if left out, or as it was")
    try:
        train(parser.parse_args(arguments))
    except ConflictwireError as error:
        print(f"train: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
