"""What a trained network answers about sentences, for a smaller one to learn from (Hinton et al. 2015)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from models.encoder import Network, batches, pad
from models.training.data import Sentence, Soft


def taught(sentences: Sequence[Sentence], teacher: Network, teacher_sentences: Sequence[Sentence]) -> list[Sentence]:
    """`sentences`, each with the teacher's answers.

    `teacher_sentences` are the same ones in the teacher's tokens; both tokenisers cut words alike, and a sentence in which
    they do not (another number of tokens) is left out.
    """
    found: list[Sentence | None] = [None] * len(sentences)
    for length, rows in batches([len(sentence.tokens.ids) for sentence in teacher_sentences]):
        ids, mask = pad([teacher_sentences[row].tokens for row in rows], length)
        read = teacher.encode(ids, mask)
        asked = [(at, label) for at, row in enumerate(rows) for label in teacher_sentences[row].labels]
        where = [at for at, _ in asked]
        trigger = np.zeros((len(asked), length), dtype=np.float32)
        for line, (_, label) in enumerate(asked):
            trigger[line, : len(label.trigger)] = label.trigger
        heads = teacher.heads(read.hidden[where], mask[where], trigger) if asked else None
        for at, row in enumerate(rows):
            size = len(teacher_sentences[row].tokens.ids)
            if len(sentences[row].tokens.ids) != size:
                continue
            lines = [line for line, (owner, _) in enumerate(asked) if owner == at]
            answers = (
                tuple(
                    (heads.types[line], heads.modes[line], heads.realis[line], heads.roles[line, :size])
                    for line in lines
                )
                if heads
                else ()
            )
            soft = Soft(tags=read.tags[at, :size], event=float(read.event[at]), heads=answers)
            found[row] = replace(sentences[row], soft=soft)
    return [sentence for sentence in found if sentence is not None]
