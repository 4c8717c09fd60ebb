"""What reprints are found by is kept, on both databases, and forgotten in time."""

# ruff: noqa: E501 - texts
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from ingest.feeds.syndication import Syndicator, prepare, read
from ingest.storage.connect import open_engine, transaction
from ingest.storage.syndication import (
    Print,
    metadata,
    read_syndicated,
    syndicated,
    syndication_keys,
    write_syndicated,
)
from tests.ingest.storage.samples import NOON, article, at

TEXT = (
    "Gunmen on motorcycles opened fire on traders at a weekly market in central Nigeria on Saturday, killing at least 17 people, "
    "police and residents said.\nThe attackers came to the village of Gashish from three sides, said a youth leader who escaped "
    "through a maize field."
)


@pytest.fixture
def engine(store_url: str) -> Iterator[sa.Engine]:
    made = open_engine(store_url)
    metadata.create_all(made, tables=[syndicated, syndication_keys])
    yield made
    made.dispose()


def kept(name: str, *keys: int, day: float = 0, **fields: object) -> Print:
    sketch = bytes([len(keys), 0, 1]) + b"".join(key.to_bytes(4, "little") for key in keys)
    given = Print(name, name, None, "publisher", NOON + timedelta(days=day), keys, sketch)
    return replace(given, **fields)  # type: ignore[arg-type]


def write(engine: sa.Engine, *made: Print, day: float = 0, kept_at_most: int = 1_000) -> None:
    with transaction(engine, "test", write=True) as connection:
        write_syndicated(connection, made, NOON + timedelta(days=day), timedelta(days=7), kept_at_most)


def found(engine: sa.Engine, *keys: int, names: tuple[str, ...] = ()) -> list[Print]:
    with transaction(engine, "test") as connection:
        return read_syndicated(connection, names, keys)


def size(engine: sa.Engine, table: sa.Table) -> int:
    with transaction(engine, "test") as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def test_what_has_a_key_in_common_is_found_in_the_order_of_its_coming(engine: sa.Engine) -> None:
    first, second = kept("z", 1, 2**32 - 1, origin="AFP"), kept("a", 2, 3)
    write(engine, first, second, kept("c", 9))
    assert found(engine, 3, 2, 2**32 - 1) == [replace(first, keys=(2**32 - 1,)), replace(second, keys=(2, 3))]
    assert found(engine, 4) == []
    assert found(engine) == []


def test_an_article_is_found_by_its_name_even_where_it_has_no_keys(engine: sa.Engine) -> None:
    bare = kept("b", syndication_id="a", sketch=b"")
    write(engine, kept("a", 1), bare)
    assert found(engine, names=("b", "unknown")) == [bare]


def test_what_is_known_of_an_article_stays(engine: sa.Engine) -> None:
    write(engine, kept("a", 1))
    write(engine, kept("a", 2, syndication_id="other"), kept("b", 2), kept("b", 2))
    assert [(each.article_id, each.syndication_id) for each in found(engine, 1, 2)] == [("a", "a"), ("b", "b")]


def test_old_articles_are_forgotten_with_their_keys(engine: sa.Engine) -> None:
    write(engine, kept("a", 1, 2), kept("b", 2, 3, day=2))
    write(engine, kept("c", 2, day=8), day=8)
    assert [each.article_id for each in found(engine, 1, 2, 3, names=("a",))] == ["b", "c"]
    assert size(engine, syndication_keys) == 3
    assert size(engine, syndicated) == 2


def test_no_more_are_kept_than_wanted_however_many_come(engine: sa.Engine) -> None:
    for batch in range(20):
        write(engine, *(kept(f"{batch}-{number}", batch, number) for number in range(10)), kept_at_most=50)
    assert size(engine, syndicated) == 50
    assert size(engine, syndication_keys) <= 100
    assert [each.article_id for each in found(engine, names=("14-9", "15-0"))] == ["15-0"]


def test_more_keys_can_be_asked_for_than_fit_into_a_statement(engine: sa.Engine) -> None:
    write(engine, kept("a", 70_000))
    assert [
        each.article_id for each in found(engine, *range(30_000, 100_000), names=tuple(map(str, range(40_000))))
    ] == ["a"]


def test_a_hostile_publisher_or_origin_can_be_kept(engine: sa.Engine) -> None:
    write(engine, kept("a", 1, publisher="'; DROP TABLE articles; --", origin="x" * 10_000))
    [back] = found(engine, 1)
    assert back.publisher.startswith("';")


def test_a_reprint_can_be_told_after_a_restart(engine: sa.Engine, store_url: str) -> None:
    """As the puller does it: read what has the keys of a batch, decide, write what is new."""
    for number, (name, title, text) in enumerate(
        [
            ("a", "Market attacked", f"JOS, Nov 21 (AFP) - {TEXT}"),
            ("b", "Traders slain", f"Families in Leeds tried to reach relatives.\n{TEXT}"),
            ("c", "Traders slain", TEXT.split("\n")[0]),
            (
                "d",
                "Rain",
                "Heavy rain fell on the hills above the port of Split and closed the road to Sinj for some hours on Monday.",
            ),
        ]
    ):
        again = open_engine(store_url)
        new = prepare(article(name, title=title, text=text, fetched=at(number)), f"publisher {name}")
        with transaction(again, "test") as connection:
            syndicator = Syndicator(read_syndicated(connection, [name], new.reading.all_keys))
        decided = syndicator.assign_prepared(new)
        with transaction(again, "test", write=True) as connection:
            write_syndicated(connection, syndicator.made, NOON)
        again.dispose()
        expected = ("d", None) if name == "d" else ("a", "AFP")
        assert (decided.id, decided.original_publisher) == expected
    assert {each.syndication_id for each in found(engine, *read("Traders slain", TEXT).all_keys)} == {"a"}
