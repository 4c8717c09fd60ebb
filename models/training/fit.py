"""The loss and the loop that trains a network: resumable, with a progress bar, the same for both encoders."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn

from models.training.data import Sentence
from models.training.network import EventNetwork

# False triggers of the tagger that the head learns to refuse, at most this many a sentence, and the least probability of one.
_REFUSALS = 2
_LIKELY = 0.02
# So that the parts of the loss are of one size: most tokens and most modes are easy noes.
_WEIGHTS = {"tags": 4.0, "event": 1.0, "early": 0.5, "types": 1.0, "modes": 20.0, "realis": 1.0, "roles": 8.0}
_SAVE_EVERY = 150


@dataclass(frozen=True, slots=True)
class Recipe:
    """How long and how fast a network learns; `lr` is the encoder's, `head_lr` that of the new layers."""

    epochs: int
    lr: float
    head_lr: float
    batch: int = 32
    seed: int = 1


def batches_of(sentences: Sequence[Sentence], size: int, random_: random.Random) -> list[list[Sentence]]:
    """Batches of like length, in random order, every sentence once."""
    order = sorted(sentences, key=lambda sentence: len(sentence.tokens.ids) + random_.uniform(-4, 4))
    found = [order[at : at + size] for at in range(0, len(order), size)]
    random_.shuffle(found)
    return found


def padded(rows: Sequence[np.ndarray], length: int, fill: float = 0) -> Tensor:
    """Rows of lengths up to `length` as one tensor (rows, length, ...)."""
    out = np.full((len(rows), length, *rows[0].shape[1:]), fill, dtype=rows[0].dtype)
    for row, values in enumerate(rows):
        out[row, : len(values)] = values
    return torch.from_numpy(out)


def _refused(tags: Tensor, tag_logits: Tensor) -> list[tuple[int, Tensor]]:
    """Rows and trigger masks of tokens that the tagger now takes for triggers and that are none."""
    begins = tag_logits.detach().float().softmax(-1)[..., 1].masked_fill(tags != 0, 0)
    likely = begins.topk(min(_REFUSALS, begins.shape[1]))
    found = []
    for row, (probabilities, places) in enumerate(zip(likely.values.tolist(), likely.indices.tolist(), strict=True)):
        for probability, at in zip(probabilities, places, strict=True):
            if probability > _LIKELY:
                trigger = torch.zeros(begins.shape[1], device=begins.device)
                trigger[at] = 1
                found.append((row, trigger))
    return found


def _soft(logits: Tensor, wanted: Tensor) -> Tensor:
    """Cross entropy against a teacher's logits over the last axis (Hinton et al. 2015, at temperature 1)."""
    return -(wanted.softmax(-1) * logits.float().log_softmax(-1)).sum(-1).mean()


def loss_of(network: EventNetwork, batch: Sequence[Sentence]) -> Tensor:
    """The loss of one batch; where every sentence has a teacher's answers, the mean of those with the labels' own."""
    device = network.device
    length = max(len(sentence.tokens.ids) for sentence in batch)

    def rows_of(rows: Sequence[np.ndarray], fill: float = 0) -> Tensor:
        return padded(rows, length, fill).to(device)

    ids = rows_of([sentence.tokens.ids for sentence in batch])
    mask = rows_of([np.ones_like(sentence.tokens.ids) for sentence in batch])
    tags = rows_of([sentence.tags for sentence in batch], -100)
    hidden, tag_logits, event, early = network.read(ids, mask)
    holds = torch.tensor([float(bool(sentence.labels)) for sentence in batch], device=device)
    cross, binary = nn.functional.cross_entropy, nn.functional.binary_cross_entropy_with_logits
    parts = {
        "tags": cross(tag_logits.flatten(0, 1).float(), tags.flatten(), ignore_index=-100),
        "event": binary(event.float(), holds),
    }
    if early is not None:
        parts["early"] = binary(early.float(), holds)
    soft: dict[str, Tensor] = {}
    answers = [sentence.soft for sentence in batch if sentence.soft is not None]
    if answers:
        inside = mask.bool()
        soft["tags"] = _soft(tag_logits[inside], rows_of([answer.tags for answer in answers])[inside])
        wanted = torch.tensor([answer.event for answer in answers], device=device)
        soft["event"] = binary(event.float(), wanted.sigmoid())
        if early is not None:
            soft["early"] = binary(early.float(), wanted.sigmoid())

    labels = [(row, label) for row, sentence in enumerate(batch) for label in sentence.labels]
    refused = _refused(tags, tag_logits)
    if labels or refused:
        triggers = [rows_of([label.trigger for _, label in labels])] if labels else []
        triggers += [torch.stack([trigger for _, trigger in refused])] if refused else []
        where = torch.tensor([row for row, _ in [*labels, *refused]], device=device)
        types, modes, realis, roles = network.head(hidden[where], mask[where], torch.cat(triggers).to(hidden.dtype))
        kinds = torch.tensor([label.type for _, label in labels] + [0] * len(refused), device=device)
        parts["types"] = cross(types.float(), kinds, label_smoothing=0.02)
        if labels:
            true = len(labels)
            inside = mask[where[:true]].bool()
            wanted_modes = torch.from_numpy(np.stack([label.modes for _, label in labels])).to(device)
            wanted_realis = torch.tensor([label.realis for _, label in labels], device=device)
            wanted_roles = rows_of([label.roles for _, label in labels])[inside].flatten()
            parts["modes"] = binary(modes[:true].float(), wanted_modes)
            parts["realis"] = cross(realis[:true].float(), wanted_realis)
            parts["roles"] = cross(roles[:true][inside].flatten(0, 1).float(), wanted_roles)
            if answers:
                heads = [head for answer in answers for head in answer.heads]
                stacked = [torch.from_numpy(np.stack([head[at] for head in heads])).to(device) for at in range(3)]
                soft["types"] = _soft(types[:true], stacked[0])
                soft["modes"] = binary(modes[:true].float(), stacked[1].sigmoid())
                soft["realis"] = _soft(realis[:true], stacked[2])
                soft["roles"] = _soft(roles[:true][inside], rows_of([head[3] for head in heads])[inside])
    total = sum((_WEIGHTS[name] * value for name, value in parts.items()), torch.zeros((), device=device))
    if soft:
        taught = sum(
            (_WEIGHTS[name] * soft.get(name, value) for name, value in parts.items()), torch.zeros((), device=device)
        )
        total = (total + taught) / 2
    return total


def precision(device: torch.device) -> torch.autocast:
    """bfloat16, or float32 on a processor that would only emulate it, ten times as slow and more."""
    emulated = device.type == "cpu" and not torch.cpu.get_capabilities().get("avx512_bf16", False)
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=not emulated)


class _Bar:
    """A progress bar on a terminal, else a line now and then."""

    def __init__(self, title: str, total: int, done: int) -> None:
        self._title, self._total = title, total
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, TimeRemainingColumn(), console=console) if console.is_terminal else None
        self._task = self._bar.add_task(title, total=total, completed=done) if self._bar else None

    def __enter__(self) -> _Bar:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def step(self, done: int, loss: float) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, description=f"{self._title} loss {loss:.3f}")
        elif done % 25 == 0 or done == self._total:
            print(f"{self._title}: {done}/{self._total} loss {loss:.3f}", file=sys.stderr, flush=True)


def fit(
    network: EventNetwork,
    sentences: Sequence[Sentence],
    recipe: Recipe,
    checkpoint: Path,
    key: str,
    after_epoch: Callable[[], str],
    title: str,
) -> None:
    """Train `network` in place; `after_epoch` returns a line to print after each epoch.

    `checkpoint` is written every few minutes and resumed from if it was made with the same `key` (the digest of the data) and
    recipe. The same seed, data and machine end in the same weights.
    """
    torch.manual_seed(recipe.seed)
    learned = [p for p in network.encoder.encoder.parameters() if p.requires_grad]
    known = {id(p) for p in network.encoder.encoder.parameters()}
    new = [p for p in network.parameters() if id(p) not in known]
    groups = [{"params": learned, "lr": recipe.lr}, {"params": new, "lr": recipe.head_lr}]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01, fused=True)
    each = -(-len(sentences) // recipe.batch)
    steps, warm = recipe.epochs * each, max(recipe.epochs * each // 16, 1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(step / warm, max(steps - step, 0) / max(steps - warm, 1))
    )
    identity = {"key": key, "recipe": asdict(recipe)}
    parts: dict[str, Any] = {"network": network, "optimizer": optimizer, "schedule": schedule}
    done = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location="cpu")
        if state["identity"] == identity:
            for name, part in parts.items():
                part.load_state_dict(state[name])
            torch.set_rng_state(state["random"])
            done = state["done"]
            print(f"{title}: resumed after step {done} of {steps}", file=sys.stderr)
    checkpoint.parent.mkdir(parents=True, exist_ok=True)

    def save() -> None:
        state = {name: part.state_dict() for name, part in parts.items()}
        fresh = checkpoint.with_suffix(".new")
        torch.save(state | {"identity": identity, "done": done, "random": torch.get_rng_state()}, fresh)
        fresh.replace(checkpoint)

    total, counted = 0.0, 0
    with _Bar(title, steps, done) as bar:
        for epoch in range(done // each, recipe.epochs):
            network.train()
            for batch in batches_of(sentences, recipe.batch, random.Random(recipe.seed + epoch))[done - epoch * each :]:
                with precision(network.device):
                    loss = loss_of(network, batch)
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_([*learned, *new], 1.0)
                optimizer.step()
                schedule.step()
                done += 1
                total, counted = total + loss.item(), counted + 1
                bar.step(done, total / counted)
                if done % _SAVE_EVERY == 0 and done % each:
                    save()
            total, counted = 0.0, 0
            network.eval()
            save()
            print(f"{title}: epoch {epoch + 1} of {recipe.epochs}: {after_epoch()}", file=sys.stderr, flush=True)
    network.eval()
