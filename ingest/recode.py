"""Stored articles, to be coded again: what `conflictwire recode` and the flow `recode` publish once more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice, takewhile
from typing import NamedTuple

from ingest.records import Article

_RECORDS = 200


class Again(NamedTuple):
    """Some of the articles to publish again, and how many were left out as retention has emptied their texts."""

    articles: list[Article]
    empty: int


def again(articles: Iterable[Article], since: datetime | None) -> Iterator[Again]:
    """`articles`, the last fetched first, in batches up to the first that was fetched before `since`.

    Without its text an article would lose the events it has, so it stays as it is.
    """
    rest = takewhile(lambda article: since is None or article.fetched >= since, iter(articles))
    while batch := list(islice(rest, _RECORDS)):
        whole = [article for article in batch if article.text]
        yield Again(whole, len(batch) - len(whole))
