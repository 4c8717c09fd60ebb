"""The pictures of docs/accuracy.md. They are drawn on Agg, which needs no screen: a `Figure` made without pyplot always is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.calibration import BINS, Bools, Doubles, reliability
from models.evaluate import MISSED, SPURIOUS
from models.ontology import TYPES

# Two of the colours of Okabe and Ito 2008, "Color universal design", with a mark each.
_LOOKS = (("#0072B2", "o"), ("#D55E00", "s"))


def draw_confusion(types: Mapping[tuple[str, str], int], target: Path) -> None:
    """Gold types in rows, coded types in columns; the colour is the share of the row, the figures are counts."""
    gold, coded = (*TYPES, SPURIOUS), (*TYPES, MISSED)
    counts = np.array([[types.get((one, other), 0) for other in coded] for one in gold])
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(9, 8.4), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(coded)), coded, rotation=90)
    axes.set_yticks(range(len(gold)), gold)
    axes.set_xlabel("coded")
    axes.set_ylabel("gold")
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if share[row, column] > 0.5 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour, fontsize=9)
    axes.axhline(len(TYPES) - 0.5, color="grey", linewidth=0.8)
    axes.axvline(len(TYPES) - 0.5, color="grey", linewidth=0.8)
    figure.colorbar(image, ax=axes, label="share of the row", shrink=0.6)
    _save(figure, target)


def draw_reliability(answers: Mapping[str, Mapping[str, tuple[Doubles, Bools]]], target: Path) -> None:
    """By question and profile, confidences and which are right: the share right in each bin, above how many lie there."""
    figure = Figure(figsize=(3.6 * max(len(answers), 1), 4.8), layout="constrained")
    grid = figure.subplots(2, max(len(answers), 1), sharex=True, squeeze=False, height_ratios=(3, 1))
    for above, below, (question, profiles) in zip(grid[0], grid[1], answers.items(), strict=True):
        _panel(above, below, profiles)
        above.set_title(question)
    grid[0][0].set_ylabel("share right")
    grid[1][0].set_ylabel("answers")
    grid[0][0].legend(frameon=False, loc="upper left")
    _save(figure, target)


def _panel(above: Axes, below: Axes, profiles: Mapping[str, tuple[Doubles, Bools]]) -> None:
    above.plot((0, 1), (0, 1), color="grey", linestyle=":", linewidth=1)
    width = 1 / BINS / (len(profiles) + 0.5)
    for place, (name, (confidence, right)) in enumerate(profiles.items()):
        colour, mark = _LOOKS[place]
        bins = reliability(confidence, right)
        at, height = [one.confidence for one in bins], [one.right for one in bins]
        above.plot(at, height, color=colour, marker=mark, markersize=5, linewidth=1.2, label=name)
        counts, edges = np.histogram(confidence, BINS, (0, 1))
        below.bar(edges[:-1] + width * (place + 0.75), counts, width, color=colour)
    above.set_ylim(-0.02, 1.02)
    below.set_xlim(0, 1)
    below.set_xlabel("confidence")


def _save(figure: Figure, target: Path) -> None:
    # Without the version of the program that drew it, the same figures are the same bytes.
    figure.savefig(target, dpi=110, metadata={"Software": None})
