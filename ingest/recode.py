"""Stored articles, to be coded again: what `conflictwire recode` and the flow `recode` publish once more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice, takewhile
from typing import NamedTuple

from ingest.broker import Outgoing
from ingest.records import Article

_RECORDS = 200


class Again(NamedTuple):
    """What to publish again, and how many articles were left out as retention has emptied their texts."""

    records: list[Outgoing]
    empty: int


def again(articles: Iterable[Article], since: datetime | None, topic: str) -> Iterator[Again]:
    """`articles`, the last fetched first, for `topic`, in batches up to the first that was fetched before `since`.

    Without its text an article would lose the events it has, so it stays as it is.
    """
    rest = takewhile(lambda article: since is None or article.fetched >= since, iter(articles))
    while batch := list(islice(rest, _RECORDS)):
        whole = [Outgoing(topic, each.article_id.encode(), each.to_json()) for each in batch if each.text]
        yield Again(whole, len(batch) - len(whole))
