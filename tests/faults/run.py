"""A run: workers, a stream of articles, faults from a schedule, and what became of it all."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from ingest.broker import Broker, Reader, Record, open_broker
from ingest.crashes import LETHAL, WorkerDied
from ingest.dead import list_dead
from ingest.errors import ServerUnreachable
from ingest.records import Article
from ingest.storage import Store
from models.events import Event
from tests.faults import worker
from tests.faults.check import Outcome, Verdict, check
from tests.faults.schedule import Fault, Phase, schedule
from tests.faults.servers import SLOTS, Clock, Embedded, Place, Servers
from tests.faults.stream import Sent, stream
from tests.ingest.keyword_coder import KeywordCoder

FEWEST, FIRST = 2, 3  # workers
# Seconds until a worker must have come to where it is to be hit, something must be read at the end, a worker have ended.
REACH, DRAIN, END = 180.0, 180.0, 20.0
# Until a process that went on after a stop must have said how the commit ended that it was held before.
ZOMBIE = 30.0
CHUNK = 5
# Records that wait to be read, and seconds to wait for fewer, before the next fault comes.
BACKLOG, PAUSE = 200, 10.0
# Where a stopped worker is held when its records cannot be committed any more. Further on, the commit may succeed: the
# broker keeps others from these records as long as it may still come. And in the transaction of the embedded store it
# holds up the others, who do not come to take its partitions.
MUST_BE_FENCED: dict[str, tuple[Phase, ...]] = {
    "kafka": ("coding", "writing", "stored"),
    "embedded": ("coding", "stored"),
}
_coder = KeywordCoder()


@dataclass(slots=True)
class Result:
    """What a run found: `faults` by name, `outcomes` of commits as the workers told them."""

    verdict: Verdict
    faults: Counter[str]
    outcomes: Counter[str]
    seconds: float


@dataclass(slots=True, eq=False)
class Worker:
    """A process of `tests.faults.worker`."""

    slot: int
    process: ForkServerProcess
    line: Connection
    log: Path
    started: bool = False
    stopped: bool = False
    ordered: int = 0
    held: int = 0
    batch: int = 0
    told: list[tuple[str, int]] = field(default_factory=list)

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self.process.pid is not None
        return self.process.pid

    def send(self, *words: object) -> None:
        """An order; nothing where the process has gone."""
        with contextlib.suppress(OSError):
            self.line.send(words)


class Publisher(threading.Thread):
    """Publishes the stream, never further than allowed; sends again what was not acknowledged."""

    def __init__(self, broker: Broker, articles: Iterator[Sent]) -> None:
        super().__init__(name="publisher", daemon=True)
        self.acknowledged: list[tuple[bytes | None, bytes]] = []
        self.articles = 0
        self.failure: BaseException | None = None
        self._broker = broker
        self._stream = articles
        self._limit = 0
        self._news = threading.Condition()

    def allow(self, articles: int) -> None:
        """Let it publish the first so many articles."""
        with self._news:
            self._limit = articles
            self._news.notify_all()

    def run(self) -> None:
        try:
            self._publish()
        except BaseException as error:
            self.failure = error

    def _publish(self) -> None:
        producer = self._broker.producer()
        chunk: list[Sent] = []
        for sent in self._stream:
            if sent.number >= self._limit or len(chunk) == CHUNK:
                self._send(producer, chunk)
                chunk = []
            with self._news:
                self._news.wait_for(lambda number=sent.number: number < self._limit)  # type: ignore[misc]
            chunk.append(sent)
        self._send(producer, chunk)
        producer.close()

    def _send(self, producer: object, chunk: list[Sent]) -> None:
        while chunk:
            try:
                producer.send([sent.record for sent in chunk])  # type: ignore[attr-defined]
                break
            except ServerUnreachable:
                time.sleep(0.1)
        self.acknowledged += [(sent.record.key, sent.record.value) for sent in chunk]
        self.articles = max([self.articles, *(sent.number + 1 for sent in chunk)])


class Run:
    """The workers of a place, and the faults that are made to them. All in one thread, save the publishing."""

    def __init__(self, place: Place, clock: Clock | None, seed: int, faults: list[Fault], articles: int) -> None:
        self._place = place
        self._clock = clock
        self._faults = faults
        self._articles = articles
        self.problems: list[str] = []
        self.made: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self._workers: list[Worker] = []
        # What ends the faults that last while others are made: when, and how.
        self._heals: list[tuple[float, Callable[[], None]]] = []
        self._orders = 0
        self._gate = 0
        self._births = 0
        self._read = 0
        settings = place.settings()
        self._broker = open_broker(settings)
        topics = settings.topics
        self._broker.ensure_topics(dict.fromkeys((topics.articles, topics.events, topics.dead), topics.partitions))
        self._store = Store.open(settings.store_url)
        self._publisher = Publisher(self._broker, stream(seed, articles, topics.articles))
        self._context = multiprocessing.get_context("forkserver")
        self._began = time.monotonic()

    # --- the workers ---

    def _start(self) -> Worker:
        used = {each.slot for each in self._workers}
        slot = next(number for number in range(SLOTS) if number not in used)
        self._births += 1
        log = self._place.folder / f"worker-{self._births:04}.log"
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=worker.main, args=(theirs, self._place.settings(slot), log))
        process.start()
        theirs.close()
        self._workers.append(Worker(slot, process, ours, log))
        return self._workers[-1]

    def _end(self, each: Worker) -> int | None:
        """Wait for a process that is to end, and forget it; its exit code, None where it had to be killed."""
        each.process.join(END)
        code = each.process.exitcode
        if code is None:
            each.process.kill()
            each.process.join()
        self._hear(each)
        each.line.close()
        self._workers.remove(each)
        return code

    def _hear(self, each: Worker) -> None:
        with contextlib.suppress(EOFError, OSError):
            while each.line.poll():
                what, batch, detail = each.line.recv()
                if what == "started":
                    each.started = True
                elif what == "held":
                    each.held, each.batch = detail, batch
                else:
                    self.outcomes[what] += 1
                    self._read += detail if what == "committed" else 0
                    each.told.append((what, batch))

    def _pump(self, seconds: float = 0.1) -> None:
        """Hear the workers for so long, or until one says something; end what is due to end; replace the dead."""
        now = time.monotonic()
        for heal in [heal for heal in self._heals if heal[0] <= now]:
            self._heals.remove(heal)
            heal[1]()
        ends = [end for each in self._workers for end in (each.line, each.process.sentinel)]
        wait(ends, seconds)
        for each in list(self._workers):
            self._hear(each)
            if not each.process.is_alive():
                tail = each.log.read_text(errors="replace")[-1500:] if each.log.exists() else ""
                code = self._end(each)
                # Two threads that read its file at once make libfaketime end the process: one more kill.
                if "libfaketime: In parse_ft_string()" in tail:
                    self.outcomes["killed by libfaketime"] += 1
                else:
                    self.problems.append(f"worker: ended by itself with exit code {code}: {each.log}: {tail}")
                self._start()
        if self._publisher.failure:
            raise RuntimeError("the publisher failed") from self._publisher.failure

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._pump(min(left, 0.1))

    def _until(self, true: Callable[[], bool], seconds: float) -> bool:
        until = time.monotonic() + seconds
        while not true():
            if time.monotonic() > until:
                return False
            self._pump()
        return True

    def _settle(self) -> None:
        """Wait for the end of what lasts, and for enough workers that are there and at work."""
        while len(self._workers) < FEWEST:
            self._start()
        if not self._until(lambda: not self._heals and all(each.started for each in self._workers), REACH):
            self.problems.append("worker: does not start")

    # --- holding one where it is to be hit ---

    def _hold(self, phase: Phase) -> Worker | None:
        """The first worker that comes to `phase`, held there; all of them are asked."""
        self._orders += 1
        number = self._orders

        def held() -> Worker | None:
            for each in self._workers:
                if each.started and each.ordered < number:
                    each.ordered = number
                    each.send("hold", phase, number)
            self._publisher.allow(self._gate)
            return next((each for each in self._workers if each.held == number), None)

        if not self._until(lambda: held() is not None, REACH):
            logs = ", ".join(str(each.log) for each in self._workers)
            self.problems.append(f"worker: none came to {phase!r} within {REACH:.0f} s: {logs}")
        found = held()
        for each in self._workers:
            if each is not found:
                each.send("go", number)
        return found

    def _go(self, each: Worker) -> None:
        each.send("go", each.held)

    # --- faults ---

    def _make(self, fault: Fault) -> None:
        if fault.what in ("add", "remove"):
            self._publisher.allow(self._gate)
            self._add_or_remove(fault)
            return
        if fault.what in ("stop", "kill broker", "stall broker"):
            self._settle()
        assert fault.phase is not None
        victim = self._hold(fault.phase)
        if victim is None:
            return
        if fault.what == "kill":
            victim.process.kill()
            self._end(victim)
            self._start()
        elif fault.what == "stop":
            self._stop(victim, fault)
        elif fault.what == "clock":
            self._jump(victim, fault)
        elif isinstance(self._place, Servers):
            self._break_servers(self._place, victim, fault)
        else:
            assert isinstance(self._place, Embedded)
            self._break_files(self._place, victim, fault)

    def _add_or_remove(self, fault: Fault) -> None:
        if len(self._workers) <= FEWEST or (fault.what == "add" and len(self._workers) < SLOTS):
            self._start()
            return
        # One that is not there yet has not been told what SIGTERM means.
        self._until(lambda: all(each.started for each in self._workers), REACH)
        leaving = self._workers[int(fault.chance * len(self._workers))]
        leaving.process.terminate()
        began = time.monotonic()
        if (ended := self._end(leaving)) != 0:
            took = time.monotonic() - began
            self.problems.append(f"worker: ended with {ended}, {took:.1f} s after SIGTERM: {leaving.log}")

    def _stop(self, victim: Worker, fault: Fault) -> None:
        os.kill(victim.pid, signal.SIGSTOP)
        before = len(victim.told)
        self._wait(fault.seconds)
        lost = fault.phase in MUST_BE_FENCED[self._place.name]
        if lost and not self._until(lambda: self._place.has_lost(victim.pid), ZOMBIE):
            self.problems.append(
                f"standstill: nobody takes over from a worker stopped for {ZOMBIE:.0f} s: {victim.log}"
            )
        os.kill(victim.pid, signal.SIGCONT)
        self._go(victim)
        # It says how the commit ended, goes on to another batch, or waits for a server.
        self._until(lambda: len(victim.told) > before, ZOMBIE)
        ends = [what for what, batch in victim.told[before:] if batch == victim.batch]
        if "committed" in ends and lost:
            self.problems.append(
                f"not fenced: a worker stopped for {fault.seconds:.1f} s ({fault.phase}) could commit: {victim.log}"
            )
        self.outcomes["zombie fenced"] += "fenced" in ends

    def _jump(self, victim: Worker, fault: Fault) -> None:
        assert self._clock is not None
        self._clock.jump((fault.chance - 0.5) * 6 * 3600)
        self._go(victim)
        self._wait(fault.seconds)
        self._clock.jump(0)

    def _break_servers(self, place: Servers, victim: Worker, fault: Fault) -> None:
        match fault.what.split():
            case ["kill", "broker"]:
                place.kafka.kill()
                self._go(victim)
                self._wait(fault.seconds)
                place.kafka.start()
            case ["stall", "broker"]:
                place.kafka.pause()
                self._go(victim)
                self._later(fault.seconds, place.kafka.resume)
            case ["kill", "store"]:
                place.postgres.kill()
                self._go(victim)
                self._wait(fault.seconds)
                place.postgres.start()
            case ["cut", "store"]:
                place.cut_store()
                self._go(victim)
            case ["net", ("broker" | "store") as server, how]:
                proxy = place.proxies[server][victim.slot]  # type: ignore[index]
                {"stall": proxy.stall, "deaf": proxy.deafen, "cut": proxy.cut}[how]()
                self._go(victim)
                if how == "deaf":
                    # The answers never come.
                    self._later(fault.seconds, proxy.cut)
                    self._later(fault.seconds + 0.2, proxy.heal)
                else:
                    self._later(fault.seconds, proxy.heal)
            case _:
                raise AssertionError(fault)

    def _break_files(self, place: Embedded, victim: Worker, fault: Fault) -> None:
        match fault.what.split():
            case ["fill", "disk"]:
                pids = [each.pid for each in self._workers]
                place.fill(pids)
                self._go(victim)
                self._wait(fault.seconds)
                place.empty(pids)
            case ["lock", ("broker" | "store") as which]:
                with closing(place.lock(which)):  # type: ignore[arg-type]
                    self._go(victim)
                    self._wait(fault.seconds)
            case _:
                raise AssertionError(fault)

    def _later(self, seconds: float, heal: Callable[[], None]) -> None:
        self._heals.append((time.monotonic() + seconds, heal))

    # --- the whole ---

    def run(self) -> Result:
        """Make every fault while the articles stream in, let all be read, and judge."""
        try:
            for _ in range(FIRST):
                self._start()
            self._settle()
            self._publisher.start()
            for number, fault in enumerate(self._faults, 1):
                self._gate = self._faults[number].at if number < len(self._faults) else self._articles
                self._make(fault)
                self.made[fault.name] += 1
                if not self._until(lambda: self._publisher.articles >= self._gate, DRAIN):
                    raise RuntimeError(f"nothing can be published any more, {self._publisher.articles} articles are")
                # Or the articles would be read when all the faults are over.
                self._until(lambda: len(self._publisher.acknowledged) - self._read < BACKLOG, PAUSE)
                self._say(f"{number}/{len(self._faults)} {fault.name}")
            self._settle()
            self._drain()
            for each in list(self._workers):
                each.process.terminate()
            for each in list(self._workers):
                if (ended := self._end(each)) != 0:
                    self.problems.append(f"worker: ended with {ended} after SIGTERM: {each.log}")
            self._say("checking")
            # Three workers killed over one article bury it.
            excused = (WorkerDied.__name__,) if self.made["kill, coding"] >= LETHAL else ()
            verdict = check(self._outcome(), code, must_die, excused)
            verdict.problems[:0] = self.problems
            return Result(verdict, self.made, self.outcomes, time.monotonic() - self._began)
        finally:
            for each in self._workers:
                each.process.kill()
            self._store.close()
            self._broker.close()

    def _say(self, what: str) -> None:
        told = ", ".join(f"{count} {name}" for name, count in sorted(self.outcomes.items()))
        took = time.monotonic() - self._began
        problems = f", {len(self.problems)} PROBLEMS" if self.problems else ""
        print(
            f"{took:6.1f} s  {what}: {self._publisher.articles} articles, {self._read} records read, commits: {told}"
            f"{problems}",
            file=sys.stderr,
            flush=True,
        )

    def _waiting(self) -> int:
        """Records that the group has yet to read; all of them while the broker does not answer."""
        settings = self._place.settings()
        try:
            return sum(part.lag for part in self._broker.lag(settings.topics.articles, settings.group))
        except ServerUnreachable:
            return self._articles

    def _drain(self) -> None:
        read, since = self._read, time.monotonic()
        while self._publisher.is_alive() or self._waiting():
            if self._read != read:
                read, since = self._read, time.monotonic()
            if time.monotonic() - since > DRAIN:
                logs = ", ".join(str(each.log) for each in self._workers)
                self.problems.append(f"standstill: after the last fault nothing was read for {DRAIN:.0f} s: {logs}")
                return
            self._wait(0.3)

    def _outcome(self) -> Outcome:
        settings = self._place.settings()
        # Articles are not published in transactions, so nothing of them can be hidden behind an open one.
        with self._store._reading() as connection:
            stored = [
                ((event_id, revision), record)
                for event_id, revision, record in connection.exec_driver_sql(
                    "SELECT event_id, revision, record FROM events"
                )
            ]
            coded = [
                ((partition, offset), article_id)
                for partition, offset, article_id, made in connection.exec_driver_sql(
                    'SELECT partition, "offset", article_id, made FROM codings'
                )
                # A JSON string is why the record was buried.
                if not made.startswith('"')
            ]
        return Outcome(
            sent=self._publisher.acknowledged,
            articles=_all(self._broker, settings.topics.articles),
            events=_all(self._broker, settings.topics.events),
            letters=list(list_dead(self._broker, settings)),
            stored=stored,
            coded=coded,
            waiting=self._waiting(),
        )


def _all(broker: Broker, topic: str) -> list[Record]:
    found: list[Record] = []
    reader: Reader
    with closing(broker.reader(topic, "earliest")) as reader:
        while not reader.at_end():
            found += reader.poll(2_000, 0.5)
    return found


def code(article: Article) -> list[Event]:
    """The events that the coder under test finds when nothing fails."""
    return _coder.events(article.text, article.title)


def must_die(article: Article) -> bool | None:
    """Whether the coder under test never codes it; None where that is a matter of chance."""
    if "POISON" in article.text.replace("BATCHPOISON", ""):
        return True
    return None if "MOODY" in article.text else False


def preload(clock: Clock | None) -> None:
    """Start the process that workers are forked from, with their modules loaded and their clock in place."""
    from multiprocessing import forkserver

    multiprocessing.set_forkserver_preload(["tests.faults.worker", "psycopg", "sqlalchemy.dialects.postgresql"])
    added = clock.environment if clock else {}
    os.environ.update(added)
    try:
        forkserver.ensure_running()
    finally:
        for name in added:
            del os.environ[name]


def run(place: Place, clock: Clock | None, seed: int, count: int, articles: int) -> Result:
    """`count` faults over `articles` articles at `place`."""
    kinds = [kind for kind in place.kinds if clock or kind.what != "clock"]
    return Run(place, clock, seed, schedule(seed, count, articles, kinds), articles).run()
