"""Everything in one process: decisions, and `conflictwire run` on the sample feeds as a user runs it."""

from __future__ import annotations

import re
import signal
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingest.cli.summary import summary_lines
from ingest.errors import BrokerUnavailable, CatalogError
from ingest.feeds.catalog import Feed
from ingest.feeds.pull import PullResult
from ingest.run import Run, Tally, next_pull
from ingest.storage import Counts, FeedState
from ingest.worker import Batch
from models.errors import ModelError
from tests.feeds.serve import FEEDS, SampleServer
from tests.ingest.command import finish, on_terminal, record, start
from tests.ingest.keyword_coder import KeywordCoder
from tests.ingest.pipeline import Pipeline
from tests.ingest.storage.samples import BARE, article

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def due(minutes: float | None, name: str = "a", disabled: bool = False) -> FeedState:
    return FeedState(name, next_due=None if minutes is None else NOW + timedelta(minutes=minutes), disabled=disabled)


@pytest.mark.parametrize(
    ("states", "seconds"),
    [
        ([], 1.0),
        ([due(None)], 1.0),
        ([due(-5)], 1.0),
        ([due(0.5)], 30.0),
        ([due(15)], 60.0),
        ([due(0.5, disabled=True)], 60.0),
    ],
)
def test_the_next_pull_is_when_a_feed_is_due_and_within_a_minute(states: list[FeedState], seconds: float) -> None:
    assert next_pull([Feed("a", "https://a.example")], {state.name: state for state in states}, NOW) == seconds


def test_feeds_that_are_disabled_or_gone_from_the_catalogue_make_nothing_due() -> None:
    feeds = [Feed("a", "https://a.example", enabled=False), Feed("b", "https://b.example")]
    states = {"b": due(0.5, "b"), "c": due(-1, "c")}
    assert next_pull(feeds, states, NOW) == 30.0
    assert next_pull([], {}, NOW) == 60.0


def batch(*events: object) -> Batch:
    return Batch((article(),), events, (), 0.1, 0.1, 0.1)  # type: ignore[arg-type]


def test_a_tally_counts_feeds_articles_events_and_countries() -> None:
    tally = Tally()
    assert tally.nothing_new
    tally.add_pull(PullResult("a", "ok", new=2, updated=1, entries=5))
    tally.add_pull(PullResult("b", "failed", error="no answer"))
    tally.add_pull(PullResult("a", "not_due"))
    tally.add_batch(batch(record(), record(BARE), record(revision=2, status="retracted")))
    assert tally.feeds == {"a": "ok", "b": "failed"}
    assert tally.failed == {"b": "no answer"}
    assert (tally.new, tally.updated, tally.entries, tally.coded, tally.retracted) == (2, 1, 5, 1, 1)
    assert tally.types == {"ASSAULT": 1, "PROTEST": 1}
    assert tally.countries == {"IRQ": 1, "SYR": 1}
    assert not tally.nothing_new
    tally.add_pull(PullResult("b", "unchanged"))
    assert tally.failed == {}


def test_a_summary_says_how_many_articles_were_not_coded_and_why() -> None:
    tally = Tally()
    tally.add_pull(PullResult("a", "ok", new=2, entries=2))
    tally.add_batch(batch(record()))
    tally.add_batch(replace(batch(), not_coded=Counter({"language:es": 1})))
    assert tally.coded == 1
    said = shown(tally)
    assert "2 new, 0 updated, 0 unchanged; 1 coded" in said
    assert "not coded 1: es 1" in said


COUNTS = Counts(7, 9, 0, 9, 7, 2, 7, {}, {})


def shown(tally: Tally, before: datetime | None = None, stopped: bool = False) -> str:
    lines = summary_lines(tally, COUNTS, before, NOW + timedelta(minutes=15), 3.21, stopped, ["pull", "x", "y", "z"])
    return "\n".join(line.plain for line in lines)


def test_the_summary_says_that_nothing_is_new_and_since_when() -> None:
    tally = Tally()
    tally.add_pull(PullResult("a", "not_due"))
    said = shown(tally, before=NOW)
    assert "nothing new since 2026-11-24 12:00 UTC (3.2 s)" in said
    assert "not due before 2026-11-24 12:15 UTC; to pull them now: pull" in said
    assert "7 articles and 9 events in the store" in said


def test_the_summary_names_feeds_that_failed_without_their_control_characters() -> None:
    tally = Tally()
    tally.add_pull(PullResult("bad\x1b[2J", "failed", error="down\x07"))
    said = shown(tally)
    assert "bad\ufffd[2J: down\ufffd" in said


# --- one run in this process ---


class Watching:
    """A run whose callbacks are kept."""

    def __init__(self, pipeline: Pipeline, feeds: Sequence[Feed] | Exception, coder: object, once: bool = True) -> None:
        self.tally = Tally()
        self.stop = threading.Event()
        fetch = pipeline.settings.fetch.model_copy(update={"allow_private": True, "host_gap": 0})

        def load_feeds() -> list[Feed]:
            if isinstance(feeds, Exception):
                raise feeds
            return list(feeds)

        def load_coder() -> KeywordCoder:
            if isinstance(coder, Exception):
                raise coder
            assert isinstance(coder, KeywordCoder)
            return coder

        self.run = Run(
            broker=pipeline.broker,
            store=pipeline.store,
            settings=pipeline.settings.model_copy(update={"fetch": fetch}),
            load_coder=load_coder,
            load_feeds=load_feeds,
            once=once,
            stop=self.stop,
            on_feeds=lambda feeds: None,
            on_result=self.tally.add_pull,
            on_batch=self.coded,
            on_tick=lambda: None,
        ).run

    def coded(self, batch: Batch) -> None:
        self.tally.add_batch(batch)


def catalogue(server: SampleServer, *names: str) -> list[Feed]:
    return [Feed(feed.name, server.url + feed.path) for feed in FEEDS if not names or feed.name in names]


def test_a_run_brings_every_article_to_store_and_topic(pipeline: Pipeline, samples: SampleServer) -> None:
    watching = Watching(pipeline, catalogue(samples, "sahel-courier", "touchline"), KeywordCoder())
    watching.run()
    assert watching.tally.feeds == {"sahel-courier": "ok", "touchline": "ok"}
    assert watching.tally.coded == watching.tally.new > 0
    assert len(pipeline.agreed()) == watching.tally.types.total() > 0
    assert pipeline.left() == 0


def test_articles_left_by_an_earlier_run_are_coded_though_no_feed_is_due(embedded: Pipeline) -> None:
    embedded.publish([article("left", text="Rebels killed 3.")])
    watching = Watching(embedded, [], KeywordCoder())
    watching.run()
    assert watching.tally.coded == 1


@pytest.mark.parametrize("once", [True, False])
def test_weights_that_cannot_be_read_end_the_run(embedded: Pipeline, samples: SampleServer, once: bool) -> None:
    watching = Watching(embedded, catalogue(samples, "touchline"), ModelError("no weights"), once)
    with pytest.raises(ModelError):
        watching.run()


@pytest.mark.parametrize("once", [True, False])
def test_a_catalogue_that_cannot_be_read_ends_the_run(embedded: Pipeline, once: bool) -> None:
    with pytest.raises(CatalogError):
        Watching(embedded, CatalogError("not TOML"), KeywordCoder(), once).run()


def test_a_server_that_cannot_be_reached_ends_a_run_once(embedded: Pipeline, samples: SampleServer) -> None:
    watching = Watching(embedded, BrokerUnavailable("silence"), KeywordCoder())
    with pytest.raises(BrokerUnavailable):
        watching.run()


def test_a_run_goes_on_until_it_is_stopped(embedded: Pipeline, samples: SampleServer) -> None:
    watching = Watching(embedded, catalogue(samples, "touchline"), KeywordCoder(), once=False)
    done = threading.Thread(target=watching.run)
    done.start()
    waited = threading.Event()
    while watching.tally.coded < 8 and done.is_alive():
        waited.wait(0.1)
    embedded.publish([article("later", text="Rebels killed 3.")])
    while watching.tally.coded < 9 and done.is_alive():
        waited.wait(0.1)
    assert done.is_alive()
    watching.stop.set()
    done.join(60)
    assert not done.is_alive()
    assert watching.tally.coded == 9


# --- as a user does ---


def samples_environment(server: SampleServer) -> dict[str, str]:
    return {
        "CONFLICTWIRE_FEEDS": str(server.catalog_path),
        "CONFLICTWIRE_FETCH__ALLOW_PRIVATE": "true",
        "CONFLICTWIRE_FETCH__HOST_GAP": "0",
    }


def test_a_first_run_shows_events_and_a_summary_and_a_second_finds_nothing_new(
    tmp_path: Path, samples: SampleServer
) -> None:
    environment = samples_environment(samples)
    folder = tmp_path / "data"
    first = finish(start(tmp_path, "run", "--once", "--data-dir", folder, environment=environment))
    assert first.code == 0, first.err
    assert len(first.lines) > 20
    assert all(re.match(r"\d{4}-\d\d-\d\dT[\d:]{8}Z [A-Z]+", line) for line in first.lines)
    assert f"feeds     {len(FEEDS)}: {len(FEEDS)} with news" in first.err
    assert f"events    {len(first.lines)}: " in first.err
    assert "\x1b" not in first.out + first.err
    tries = re.findall(r"^    conflictwire (--data-dir .*)$", first.err, re.M)
    assert len(tries) == 3
    for command in tries[:2]:
        tried = finish(start(tmp_path, *command.split()))
        assert tried.code == 0, tried.err
        assert tried.out
    second = finish(start(tmp_path, "run", "--once", "--data-dir", folder, environment=environment))
    assert (second.code, second.out) == (0, "")
    assert "nothing new since 20" in second.err
    assert "12 feeds are not due before" in second.err


def test_on_a_terminal_events_are_coloured_above_a_progress_line(tmp_path: Path, samples: SampleServer) -> None:
    small = tmp_path / "feeds.toml"
    small.write_text(f'[[feed]]\nname = "sahel-courier"\nurl = "{samples.url}/sahel-courier.xml"\n')
    code, seen = on_terminal(tmp_path, "run", "--once", "--feeds", small, environment=samples_environment(samples))
    assert code == 0
    assert "ASSAULT\x1b[0m" in seen
    assert "\r\x1b[2Kfeeds 1/1" in seen
    # The progress line is taken away before anything else is printed, and gone at the end.
    assert "done in" in seen.split("\x1b[2K")[-1]


def test_a_run_stops_cleanly_on_ctrl_c_and_what_is_left_is_done_by_the_next(
    tmp_path: Path, samples: SampleServer
) -> None:
    environment = samples_environment(samples) | {"KEYWORD_CODER_SECONDS": "0.2"}
    process = start(tmp_path, "run", environment=environment)
    assert process.stdout
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    stopped = finish(process)
    assert stopped.code == 130, stopped.err
    assert "Traceback" not in stopped.err
    assert "stopped after" in stopped.err
    rest = finish(start(tmp_path, "run", "--once", environment=samples_environment(samples)))
    assert rest.code == 0, rest.err
    assert "101 articles" in rest.err
    answer = finish(start(tmp_path, "doctor"))
    assert re.search(r"^ok +agreement", answer.out, re.M), answer.out


@pytest.mark.parametrize("command", ["run", "pull"])
@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_what_is_stopped_ends_as_it_was_asked_to_though_every_feed_failed(
    tmp_path: Path, command: str, how: signal.Signals, code: int
) -> None:
    feeds = tmp_path / "feeds.toml"
    feeds.write_text('[[feed]]\nname = "gone"\nurl = "http://127.0.0.1:9/feed"\n')
    process = start(tmp_path, command, environment={"CONFLICTWIRE_FEEDS": str(feeds)})
    assert process.stderr
    while b"gone" not in (line := process.stderr.readline()):
        assert line
    process.send_signal(how)
    assert finish(process).code == code


def test_a_run_whose_events_nobody_reads_any_more_ends_quietly(tmp_path: Path, samples: SampleServer) -> None:
    process = start(tmp_path, "run", environment=samples_environment(samples))
    assert process.stdout
    assert process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    answer = finish(process)
    assert answer.code == 0, answer.err
    assert "Traceback" not in answer.err


def test_a_run_in_which_every_feed_fails_ends_with_1(tmp_path: Path) -> None:
    feeds = tmp_path / "feeds.toml"
    feeds.write_text('[[feed]]\nname = "gone"\nurl = "http://127.0.0.1:9/feed"\n')
    answer = finish(start(tmp_path, "run", "--once", "--feeds", feeds))
    assert answer.code == 1
    assert "gone: " in answer.err
    assert "1 failed" in answer.err
