"""What a trained network answers about sentences, for a smaller one to learn from (Hinton et al. 2015)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from models.encoder import Network
from models.training.data import Sentence, Soft, answered


def taught(sentences: Sequence[Sentence], teacher: Network, teacher_sentences: Sequence[Sentence]) -> list[Sentence]:
    """`sentences`, each with the teacher's answers.

    `teacher_sentences` are the same ones in the teacher's tokens; both tokenisers cut words alike, and a sentence in which
    they do not (another number of tokens) is left out.
    """
    found: list[Sentence | None] = [None] * len(sentences)
    for batch in answered(teacher, teacher_sentences):
        heads = batch.heads
        for at, row in enumerate(batch.encoded.rows):
            size = len(teacher_sentences[row].tokens.ids)
            if len(sentences[row].tokens.ids) != size:
                continue
            lines = [line for line, (owner, _) in enumerate(batch.asked) if owner == at]
            answers = (
                tuple(
                    (heads.types[line], heads.modes[line], heads.realis[line], heads.roles[line, :size])
                    for line in lines
                )
                if heads
                else ()
            )
            soft = Soft(tags=batch.encoded.tags[at, :size], event=float(batch.encoded.event[at]), heads=answers)
            found[row] = replace(sentences[row], soft=soft)
    return [sentence for sentence in found if sentence is not None]
