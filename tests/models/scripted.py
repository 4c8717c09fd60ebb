"""A coder whose network is a script: all but the reading of sentences is real."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from models import Coder, Event
from models.arguments import ROLES, Argument
from models.assemble import Assembly
from models.classifier import Evidence, Kind
from models.corpus.validate import find
from models.encoder import Network, Tokenizer
from models.reader import Reader, Reading, Weights

Told = Mapping[str, Any]


class Scripted(Reader):
    """Reads in a sentence what the test says of it, in the corpus' words; in others nothing."""

    def __init__(self, script: Mapping[str, Sequence[Told]]) -> None:
        super().__init__(cast(Network, None), Weights(cast(Tokenizer, None), "scripted", "1"))
        self._script = script

    def read(self, texts: Sequence[str], threshold: float, batch_tokens: int = 0) -> list[list[Reading]]:
        return [[reading(text, one) for one in self._script.get(text, ())] for text in texts]


def reading(text: str, told: Told) -> Reading:
    roles = {role: [Argument(*find(text, words), 0.9) for words in told.get(role, [])] for role in ROLES}
    what = Kind(told["type"], tuple(told.get("modes", ())), told.get("realis", "actual"))
    return Reading(find(text, told["trigger"]), what, Evidence(0.9, 0.9, 3.0), 0.9, roles)


def event(kind: str, trigger: str, **roles: Any) -> Told:
    """In the corpus format; roles are lists of the sentence's words."""
    return {"type": kind, "trigger": trigger, **roles}


def code(*sentences: tuple[str, Sequence[Told]]) -> list[Event]:
    """The events of an article of a headline and the sentences after it."""
    title, *text = (words for words, _ in sentences)
    return Coder(Scripted(dict(sentences))).code(" ".join(text), title)


def explain(text: str, script: Mapping[str, Sequence[Told]], title: str = "", published: str | None = None) -> Assembly:
    """The events of a text, by sentence, and why their arguments were resolved as they were."""
    return next(Coder(Scripted(script)).explain_many([{"text": text, "title": title, "published": published}]))
