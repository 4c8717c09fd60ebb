"""An article that kills whoever codes it is found and buried; deaths that are nobody's fault bury nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingest.broker import Record
from ingest.crashes import LETHAL, CrashNotes, WorkerDied, position
from ingest.dead import as_replay, bury, replay
from ingest.settings import Settings
from ingest.worker import parts, suspects
from tests.ingest.keyword_coder import KeywordCoder
from tests.ingest.pipeline import Pipeline, Workers, article


def record(offset: int, partition: int = 0, topic: str = "articles") -> Record:
    return Record(topic, partition, offset, b"k", b"v")


def die_over(folder: Path, *records: Record, torn: bytes = b"") -> None:
    """Leave a note behind as a process does that is killed while it codes `records`."""
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from ingest.broker import Record\n"
        "from ingest.crashes import CrashNotes\n"
        f"notes = CrashNotes(Path({str(folder)!r}))\n"
        f"notes.write([Record(t, p, o, None, b'') for t, p, o in {[(r.topic, r.partition, r.offset) for r in records]}])\n"
        f"os.pwrite(notes._file, {torn!r}, os.fstat(notes._file).st_size)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == -signal.SIGKILL


def left(folder: Path) -> list[str]:
    return [path.name for path in (folder / "coding").glob("*.note")]


def test_deaths_are_counted_for_what_was_being_coded_and_forgotten_when_it_is_done(tmp_path: Path) -> None:
    spaced = record(7, topic="a topic with spaces")
    die_over(tmp_path, record(1), record(2, partition=3))
    die_over(tmp_path, record(1), spaced, torn=b"5 123")
    notes = CrashNotes(tmp_path)
    asked = [record(1), record(2, partition=3), record(2), record(123, partition=5), spaced]
    assert notes.deaths(asked) == {position(record(1)): 2, position(record(2, partition=3)): 1, position(spaced): 1}
    notes.settle([record(1), record(9)])
    assert notes.deaths(asked) == {position(record(2, partition=3)): 1, position(spaced): 1}
    notes.settle([record(2, partition=3), spaced])
    assert notes.deaths(asked) == {}
    notes.close()
    assert left(tmp_path) == []


def test_deaths_can_be_looked_at_by_two_workers_at_once(tmp_path: Path) -> None:
    records = [record(offset) for offset in range(100)]
    die_over(tmp_path, *records)
    one, other = CrashNotes(tmp_path), CrashNotes(tmp_path)
    seen: list[int] = []
    settled = threading.Event()

    def look() -> None:
        while not settled.is_set():
            seen.append(other.deaths([records[0]])[position(records[0])])

    looking = threading.Thread(target=look)
    looking.start()
    for each in records[1:]:
        one.settle([each])
    settled.set()
    looking.join()
    assert set(seen) == {1}
    assert one.deaths(records) == {position(records[0]): 1}
    one.close()
    other.close()


def test_what_living_workers_code_is_no_suspect(tmp_path: Path) -> None:
    one, other = CrashNotes(tmp_path), CrashNotes(tmp_path)
    one.write([record(1), record(2)])
    assert other.deaths([record(1)]) == {}
    one.close()
    assert other.deaths([record(1)]) == {}
    other.close()


def test_a_folder_that_cannot_be_written_to_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "coding").write_text("no folder")
    notes = CrashNotes(tmp_path)
    assert "articles that kill workers cannot be told" in caplog.messages
    notes.write([record(1)])
    notes.clear()
    assert notes.deaths([record(1)]) == {}
    notes.settle([record(1)])
    notes.close()


def test_suspects_are_coded_alone_also_those_that_return_from_the_dead() -> None:
    records = [record(offset) for offset in range(5)]
    letter = bury(records[3], "code", WorkerDied("died"), 3)
    back = as_replay(letter)
    records[3] = Record("articles", 0, 3, back.key, back.value, back.headers)
    alone = suspects(records, Counter({position(records[1]): 1}))
    assert alone == {position(records[1]), position(records[3])}
    assert [[each.offset for each in part] for part in parts(records, alone=alone)] == [[0], [1], [2], [3], [4]]
    assert [len(part) for part in parts(records, alone={position(records[0])})] == [1, 4]
    assert [len(part) for part in parts(records, alone=suspects(records[:3], Counter()))] == [5]


@pytest.fixture
def start() -> Iterator[Callable[..., Workers]]:
    started: list[Workers] = []

    def workers(settings: Settings, **options: float) -> Workers:
        started.append(Workers(settings, **options))  # type: ignore[arg-type]
        return started[-1]

    yield workers
    for each in started:
        each.close()


def test_an_article_that_kills_its_worker_is_buried_and_the_others_are_coded(
    pipeline: Pipeline, start: Callable[..., Workers]
) -> None:
    good = [article(number) for number in range(40)]
    lethal = article(99, "LETHAL killed 3.")
    pipeline.publish([*good[:20], lethal, *good[20:]])
    workers = start(pipeline.settings, count=2, once=True)
    assert workers.wait() == 0, workers.log[-20:]
    assert len(workers.wait_for("worker died")) == LETHAL
    (letter,) = pipeline.dead()
    assert (letter.key, letter.value) == (b"article-00099", lethal.to_json())
    assert (letter.failure.stage, letter.failure.exception, letter.failure.attempts) == ("code", "WorkerDied", LETHAL)
    assert {event.article.article_id for event in pipeline.agreed().values()} == {each.article_id for each in good}
    assert pipeline.left() == 0
    assert left(pipeline.settings.data_dir) == []


def test_a_worker_that_is_started_anew_each_time_finds_the_culprit_too(
    embedded: Pipeline, start: Callable[..., Workers]
) -> None:
    embedded.publish([article(1), article(2, "LETHAL killed 3."), article(3)])
    for _ in range(LETHAL):
        assert start(embedded.settings, once=True).wait() == -signal.SIGABRT
    assert start(embedded.settings, once=True).wait() == 0
    (first,) = embedded.dead()
    assert first.failure.attempts == LETHAL
    # Replayed, it is coded alone from the start, fails again, and returns with its history.
    replay(embedded.broker, [first])
    for _ in range(LETHAL):
        assert start(embedded.settings, once=True).wait() == -signal.SIGABRT
    assert start(embedded.settings, once=True).wait() == 0
    second = next(letter for letter in embedded.dead() if letter.history)
    assert (second.history, second.failure.attempts) == ((first.failure,), 2 * LETHAL)
    assert len({event.article.article_id for event in embedded.agreed().values()}) == 2


def test_a_coder_that_hangs_counts_as_a_death_over_its_article(
    embedded: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[int] = []

    def end(code: int) -> None:
        ended.append(code)
        raise SystemExit(code)

    monkeypatch.setattr("ingest.worker.os._exit", end)
    monkeypatch.setattr("ingest.worker.CODING_LIMIT", 0.5)
    monkeypatch.setattr("ingest.worker.KEEP_SECONDS", 0.1)
    embedded.publish([article(1, "SLOW killed 1.")])
    notes = CrashNotes(embedded.settings.data_dir)
    with pytest.raises(SystemExit):
        embedded.work(KeywordCoder(slow_seconds=3.0), notes=notes)
    assert ended == [70]
    (note,) = (embedded.settings.data_dir / "coding").glob("*.note")
    assert note.read_text().endswith(" 0 articles\n")
    notes.close()


def test_an_end_that_was_asked_for_is_no_article_s_fault(embedded: Pipeline, start: Callable[..., Workers]) -> None:
    embedded.publish([article(1)])
    for _ in range(LETHAL):
        workers = start(embedded.settings, seconds=60)
        workers.wait_for('"coding"')
        workers.kill(signal.SIGTERM)
        workers.wait_for("stopping")
        workers.kill(signal.SIGTERM)
        assert workers.wait(20) == 128 + signal.SIGTERM
    embedded.work(KeywordCoder(), notes=CrashNotes(embedded.settings.data_dir))
    assert embedded.dead() == []
    assert len(embedded.agreed()) == len(KeywordCoder().events(article(1).text, article(1).title))
