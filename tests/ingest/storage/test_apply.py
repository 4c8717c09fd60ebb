"""`Store.apply` decides each record once, whatever dies when."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa

from ingest.errors import StoreRejected, StoreUnavailable
from ingest.records import EventRecord
from ingest.storage import EventFilter, Store, connect, queries
from models.events import Count, ModelInfo
from tests.ingest.storage.processes import race
from tests.ingest.storage.samples import BARE, EVENT, NOON, article, at, coding, outline, triggered

EVERYTHING = EventFilter(include_retracted=True)


def stored(store: Store) -> list[EventRecord]:
    return list(store.events(EVERYTHING, newest_first=False))


def test_codings_make_events_that_can_be_read_back(store: Store) -> None:
    [made, bare] = store.apply([coding(0, article(), EVENT), coding(1, article("b"), BARE, coded=at(1))])
    assert outline(made) == [("bombed", 1, "new")]
    assert stored(store) == made + bare
    assert list(store.articles()) == [article("b"), article()]


def test_a_batch_can_be_empty_and_codings_without_events(store: Store) -> None:
    assert store.apply([]) == []
    assert store.apply([coding(0, article())]) == [[]]
    assert store.counts().codings == 1


def test_articles_that_are_not_coded_can_be_read_back_with_the_reason(store: Store) -> None:
    spanish = [article("c"), article("b", feed="gazette"), article("a")]
    store.apply([coding(0, spanish[2], not_coded="language:es"), coding(1, article("d"), EVENT)])
    store.apply([coding(2, spanish[1], not_coded="script"), coding(3, spanish[0], not_coded="language:es")])
    assert list(store.not_coded()) == [(spanish[0], "language:es"), (spanish[1], "script"), (spanish[2], "language:es")]
    assert list(store.not_coded(feed="gazette")) == [(spanish[1], "script")]
    assert list(store.not_coded(limit=1)) == [(spanish[0], "language:es")]


def test_whether_an_article_is_coded_follows_its_latest_revision(store: Store) -> None:
    translated = article(revision=2)
    store.apply([coding(0, article(), not_coded="language:es")])
    store.apply([coding(1, translated, EVENT)])
    assert list(store.not_coded()) == []
    store.apply([coding(2, article(), not_coded="language:es")])  # a stale revision, delivered late
    assert list(store.not_coded()) == []
    store.apply([coding(3, translated, EVENT), coding(4, translated, not_coded="empty")])  # coded again
    assert list(store.not_coded()) == [(translated, "empty")]


def test_a_record_delivered_again_gets_the_same_answer(store: Store) -> None:
    batch = [coding(0, article(), EVENT, BARE), coding(1, article("b")), coding(2, article("c"), BARE)]
    first = store.apply(batch)
    # The worker died before it told the broker, and another one codes differently: what is stored counts.
    again = [replace(each, events=(triggered("shelled"),), coded=at(9)) for each in batch]
    assert store.apply(again) == first
    assert [each.to_json() for each in store.apply(again[:1])[0]] == [each.to_json() for each in first[0]]
    assert sorted(stored(store), key=lambda each: each.event_id) == sorted(
        first[0] + first[2], key=lambda e: e.event_id
    )


def test_an_old_answer_is_given_again_when_the_article_has_moved_on(store: Store) -> None:
    first = store.apply([coding(0, article(), EVENT)])
    store.apply([coding(1, article(revision=2), replace(EVENT, realis="negated"), coded=at(1))])
    store.apply([coding(2, article(revision=3), coded=at(2))])
    assert store.apply([coding(0, article(), EVENT)]) == first
    assert outline(stored(store)) == [("bombed", 3, "retracted")]


def test_a_batch_can_mix_old_and_new_records(store: Store) -> None:
    [first] = store.apply([coding(0, article(), EVENT)])
    edited = coding(1, article(revision=2), replace(EVENT, realis="negated"), coded=at(1))
    answers = store.apply([coding(0, article(), EVENT), edited, edited, coding(2, article("b"), BARE)])
    assert [outline(each) for each in answers] == [
        [("bombed", 1, "new")],
        [("bombed", 2, "updated")],
        [("bombed", 2, "updated")],
        [("protest", 1, "new")],
    ]
    assert answers[0] == first
    assert store.apply([edited]) == [answers[1]]


def test_edits_update_and_retract(store: Store) -> None:
    store.apply([coding(0, article(), EVENT, triggered("shelled"), BARE)])
    edited = article(revision=2, title="Corrected", text="Now otherwise.", content_hash="new")
    less = replace(EVENT, dead=Count("12", 51, 53, "text", 12, 12))
    [made] = store.apply([coding(1, edited, less, BARE, coded=at(1))])
    assert outline(made) == [("bombed", 2, "updated"), ("shelled", 2, "retracted")]
    assert list(store.articles()) == [edited]
    assert {each.trigger.text: each.revision for each in store.events(EventFilter())} == {"bombed": 2, "protest": 1}
    assert len(stored(store)) == 3
    assert store.counts().revisions == 5


def test_two_revisions_can_come_in_one_batch(store: Store) -> None:
    batch = [
        coding(0, article(), EVENT, BARE),
        coding(1, article(revision=2), replace(EVENT, realis="negated"), coded=at(1)),
        coding(2, article(revision=3), replace(EVENT, realis="negated"), BARE, coded=at(2)),
    ]
    answers = store.apply(batch)
    assert [outline(each) for each in answers] == [
        [("bombed", 1, "new"), ("protest", 1, "new")],
        [("bombed", 2, "updated"), ("protest", 2, "retracted")],
        [("protest", 3, "new")],
    ]
    assert outline(stored(store)) == [("bombed", 2, "updated"), ("protest", 3, "new")]
    assert next(store.articles()).revision == 3
    assert store.apply(batch) == answers


@pytest.mark.parametrize("at_once", [True, False])
def test_a_batch_makes_what_its_records_make_one_by_one(store: Store, at_once: bool) -> None:
    batch = [
        coding(0, article(), EVENT, triggered("shelled")),
        coding(1, article("b", revision=2), BARE, coded=at(1)),
        coding(2, article("b"), EVENT, coded=at(2)),
        coding(3, article(revision=2), triggered("shelled", realis="negated"), coded=at(3)),
        coding(4, article("b", revision=2), BARE, EVENT, coded=at(4)),
    ]
    answers = store.apply(batch) if at_once else [store.apply([each])[0] for each in batch]
    assert [outline(each) for each in answers] == [
        [("bombed", 1, "new"), ("shelled", 1, "new")],
        [("protest", 1, "new")],
        [],
        [("shelled", 2, "updated"), ("bombed", 2, "retracted")],
        [("bombed", 1, "new")],
    ]


def test_a_stale_revision_makes_nothing(store: Store) -> None:
    store.apply([coding(1, article(revision=2), EVENT)])
    assert store.apply([coding(0, article(revision=1), BARE)]) == [[]]
    assert list(store.articles()) == [article(revision=2)]
    assert store.apply([coding(0, article(revision=1), BARE)]) == [[]]
    assert outline(stored(store)) == [("bombed", 1, "new")]
    assert store.counts().codings == 2


def test_an_article_published_twice_makes_its_events_once(store: Store) -> None:
    store.apply([coding(0, article(), EVENT)])
    better = replace(EVENT, model=ModelInfo("better", "2"))
    assert store.apply([coding(7, article(), better, coded=at(5))]) == [[]]
    assert store.apply([coding(8, article(), better, BARE, coded=at(6))])[0][0].status == "new"


def test_offsets_that_start_over_do_not_hide_new_revisions(store: Store) -> None:
    store.apply([coding(0, article(), EVENT)])
    # The topic was deleted and made again.
    assert outline(store.apply([coding(0, article(revision=2), BARE, coded=at(1))])[0]) == [
        ("protest", 1, "new"),
        ("bombed", 2, "retracted"),
    ]


def test_a_position_is_of_its_topic_and_partition(store: Store) -> None:
    batch = [
        coding(0, article("a"), EVENT),
        coding(0, article("b"), EVENT, partition=1),
        coding(0, article("c"), EVENT, topic="other"),
    ]
    assert [len(each) for each in store.apply(batch)] == [1, 1, 1]
    assert store.counts().codings == 3


def test_strange_text_comes_back_as_it_went_in(store: Store) -> None:
    strange = "नमस्ते 💥 مرحبا \u202eevil\u202c \x00 \x07 \\u0000 'quoted' \"\\\t{}%s :x \u2028 \ufeff \U0010ffff"
    odd = article(title=strange, text=strange, feed="wi're", authors=(strange, ""), language=None, published=None)
    assert "\x00" not in odd.text
    event = replace(triggered(odd.text), sentence=replace(EVENT.sentence, text=odd.text))
    [made] = store.apply([coding(0, odd, event)])
    assert list(store.articles(feed="wi're")) == [odd]
    assert stored(store) == made
    assert made[0].trigger.text == odd.text


def test_times_at_the_ends_of_the_calendar_can_be_stored(store: Store) -> None:
    first = article("a", published="0001-01-01T00:00:00Z", fetched=at(1))
    last = article("b", published="9999-12-31T23:59:59.999Z", fetched=at(0))
    store.apply([coding(0, first, EVENT), coding(1, last, EVENT)])
    assert list(store.articles()) == [first, last]


def test_a_record_delivered_again_gets_the_same_times(store: Store) -> None:
    finer = coding(
        0, article(fetched=NOON.replace(microsecond=123_456)), EVENT, coded=NOON.replace(microsecond=987_654)
    )
    assert store.apply([finer]) == store.apply([finer])
    assert list(store.articles()) == [finer.article]


def test_threads_can_share_a_store(store: Store) -> None:
    def work(number: int) -> list[list[EventRecord]]:
        next(store.events(EVERYTHING), None)
        return store.apply([coding(number, article(f"a{number}"), EVENT)])

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(work, range(40)))
    assert {outline(made)[0] for [made] in answers} == {("bombed", 1, "new")}
    assert store.counts().events == 40


def test_numbers_beyond_the_databases_stay_in_the_record(store: Store) -> None:
    [made] = store.apply([coding(0, article(), replace(EVENT, dead=Count("many", 51, 55, "text", 10**30, None)))])
    assert [each.dead for each in stored(store)] == [made[0].dead] == [Count("many", 51, 55, "text", 10**30, None)]


def test_one_refused_article_stores_nothing_of_its_batch_and_harms_no_other(store: Store) -> None:
    bad = coding(1, article("bad", revision=2**63), EVENT)
    with pytest.raises(StoreRejected):
        store.apply([coding(0, article(), EVENT), bad])
    assert stored(store) == []
    assert len(store.apply([coding(0, article(), EVENT)])[0]) == 1
    with pytest.raises(StoreRejected):
        store.apply([bad])


def test_a_large_batch_can_be_applied(store: Store) -> None:
    batch = [coding(offset, article(f"a{offset}"), EVENT, BARE, partition=offset % 3) for offset in range(2500)]
    answers = store.apply(batch)
    assert store.apply(batch) == answers
    assert store.counts().events == 5000


def test_threads_that_decide_the_same_positions_agree(store_url: str) -> None:
    """Each worker would say something else: whoever is first decides for all."""
    workers, batches = 4, 12
    start = threading.Barrier(workers)

    def work(number: int) -> list[list[EventRecord]]:
        store = Store.open(store_url)
        answers: list[list[EventRecord]] = []
        for batch in range(batches):
            start.wait(30)
            said = triggered(f"worker {number}", modes=(str(batch),))
            answers += store.apply(
                [
                    coding(offset, article(f"a{offset % 7}", revision=batch + 1), said, coded=at(batch))
                    for offset in range(batch * 7, batch * 7 + 7)
                ]
            )
        store.close()
        return answers

    with ThreadPoolExecutor(workers) as pool:
        first, *others = pool.map(work, range(workers))
    assert all(other == first for other in others)
    published = [each for answer in first for each in answer]
    with_store = Store.open(store_url)
    assert (
        with_store.counts().revisions == len(published) == len({(each.event_id, each.revision) for each in published})
    )
    with_store.close()


def test_processes_that_change_the_same_articles_at_once_lose_no_revision(store_url: str) -> None:
    """Different positions of one article, as when partitions were added: any order is right, a gap is not."""
    program = """
store = Store.open(url)
for turn in range(10):
    events = [triggered(name + str(turn)), replace(EVENT, modes=(name, str(turn)))]
    store.apply([coding(turn, article(letter), *events, topic=name) for letter in "abc"])
"""
    assert race(program, "xy", store_url) == [0, 0]
    store = Store.open(store_url)
    counts = store.counts()
    assert (counts.articles, counts.codings) == (3, 60)
    assert counts.events == 6  # of each article the common event, and that of the last turn
    common = [each.revision for each in store.events(EventFilter()) if each.trigger.text == "bombed"]
    assert common == [20, 20, 20]
    store.close()


@pytest.mark.postgres
def test_a_worker_that_stands_still_in_a_transaction_holds_nobody_up(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "_IDLE_TIMEOUT", 0.5)
    store, engine = Store.open(postgres_url), connect.open_engine(postgres_url)
    store.apply([coding(0, article(), EVENT)])
    with pytest.raises(StoreUnavailable), connect.transaction(engine, "zombie", write=True) as zombie:
        queries.lock_articles(zombie, ["a"])
        [made] = store.apply([coding(1, article(revision=2), BARE)])
        assert len(made) == 2
        zombie.execute(sa.text("UPDATE articles SET revision = 9"))
    assert next(store.articles()).revision == 2
    engine.dispose()
    store.close()
