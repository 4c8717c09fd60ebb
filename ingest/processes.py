"""Worker processes: how one is told to stop, and how several live and die under one parent."""

from __future__ import annotations

import ctypes
import gc
import logging
import multiprocessing
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess

from ingest import log as logs
from ingest import metrics
from ingest.broker import open_broker
from ingest.crashes import CrashNotes
from ingest.errors import StoreUnavailable
from ingest.health import Serving, environment
from ingest.settings import Settings
from ingest.storage import Store
from ingest.worker import CRASHED, ArticleCoder, Batch, Retry, backoff, chance, reasons, run_worker
from models.errors import ConflictwireError

log = logging.getLogger(__name__)

# Seconds in which a batch is finished or abandoned after the first signal, so that all is over within ten.
GRACE = 8.0
INTERRUPTED = 130
_STOPPING = (signal.SIGTERM, signal.SIGINT)
_STEADY = 60.0  # seconds after which a worker's death starts the count of failures anew
_YOUNG = 10_000  # objects made and not freed since the garbage collector last looked, at which it looks at them
_PR_SET_PDEATHSIG = 1  # prctl(2)
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h

LoadCoder = Callable[[Settings, int], ArticleCoder]


def load_coder(settings: Settings, workers: int) -> ArticleCoder:
    """The coder of the settings, with this worker's share of the cores. Raises ModelError."""
    from models import Coder  # not at the top: the parent of several workers codes nothing

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = max(1, cores // workers) if workers > 1 else None
    return Coder.load(settings.model, threads, settings.profile)


@dataclass(slots=True)
class Stopped:
    """Which signal asked to stop; None while none did."""

    by: signal.Signals | None = None

    @property
    def exit_code(self) -> int:
        """130 after Ctrl-C, else 0: to end on SIGTERM is what was asked for."""
        return INTERRUPTED if self.by == signal.SIGINT else 0


@contextmanager
def stopping(stop: threading.Event, grace: float = GRACE, notes: CrashNotes | None = None) -> Iterator[Stopped]:
    """Within, the first SIGTERM or SIGINT sets `stop`; the second, or `grace` seconds, ends the process at once.

    To end at once is safe for a worker: what it had not committed is delivered again. `notes` are cleared at the first
    signal, as an end that was asked for is no article's fault. Only for the main thread.
    """
    stopped = Stopped()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    # The interpreter's own C handler writes the signal's number, so a main thread deep in a native call, or holding the
    # lock of `stop`, cannot hold up what the watching thread does.
    handlers = {number: signal.signal(number, lambda *_: None) for number in _STOPPING}
    wakeup = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    watcher = threading.Thread(target=_watch, args=(reading, stop, grace, stopped, notes), name="signals", daemon=True)
    watcher.start()
    try:
        yield stopped
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        os.close(writing)
        watcher.join()
        os.close(reading)


def _watch(reading: int, stop: threading.Event, grace: float, stopped: Stopped, notes: CrashNotes | None) -> None:
    """Set `stop` at the first signal that asks to stop; end the process at the second, or after `grace` seconds."""

    def next_signal(timeout: float | None) -> signal.Signals | None:
        """The next that asks to stop; None after `timeout` seconds. EOFError when the other end is closed."""
        while select.select([reading], [], [], timeout)[0]:
            number = os.read(reading, 1)
            if not number:
                raise EOFError
            if number[0] in _STOPPING:
                return signal.Signals(number[0])
        return None

    try:
        stopped.by = next_signal(None)
        stop.set()
        if notes:
            notes.clear()
        _say("stopping")
        if second := next_signal(grace):
            _say("ended at once")
            os._exit(128 + second)
        _say("ended with the batch abandoned")
        os._exit(stopped.exit_code)
    except EOFError:
        return  # the work is done


def _say(message: str) -> None:
    # Whoever reads our stderr may have stalled, and the main thread hang in writing to it.
    speaker = threading.Thread(target=log.warning, args=(message,), daemon=True)
    speaker.start()
    speaker.join(0.3)


def run_workers(
    count: int,
    settings: Settings,
    *,
    once: bool = False,
    load: LoadCoder = load_coder,
    on_batch: Callable[[Batch], None] | None = None,
    serving: Serving | None = None,
) -> int:
    """Run `count` workers until a signal or, with `once`, until all is read; returns the exit code for the process.

    One runs in this process. Several are processes of their own, each with its coder, broker and store; one that dies by
    a signal or an unexpected exception is started again, one that ends with an error ends the others. None outlives this
    process, whatever kills it. `load` and `on_batch` must be importable by name where `count` is above one. `serving`
    is told of workers that come and go.
    """
    if count == 1:
        return _work(settings, 1, once, load, on_batch)
    return _Parent(count, settings, once, load, on_batch, serving).run()


def _work(
    settings: Settings, workers: int, once: bool, load: LoadCoder, on_batch: Callable[[Batch], None] | None
) -> int:
    stop, notes = threading.Event(), CrashNotes(settings.data_dir)
    with closing(notes), stopping(stop, notes=notes) as stopped:
        try:
            metrics.progress("worker")
            # A fifth less memory at most over 200 articles, in the same time; with smaller arrays given back it took longer.
            bound_heap(large=1 << 22, kept=16 << 20, heaps=1)
            coder = load(settings, workers)
            _spare_collector()
            log.info("worker started", extra={"pid": os.getpid(), "group": settings.group})
            store = open_store(settings, once, stop)
            if store is None:
                return stopped.exit_code
            try:
                broker = open_broker(settings)
                try:
                    stats = run_worker(
                        broker, store, coder, settings, once=once, stop=stop, on_batch=on_batch, notes=notes
                    )
                finally:
                    broker.close()
            finally:
                store.close()
        except ConflictwireError as error:
            log.error("worker failed", extra={"error": str(error)})
            return error.exit_code
        told: dict[str, object] = {"articles": stats.articles, "events": stats.events, "dead": stats.dead}
        if stats.not_coded:
            told |= {"not_coded": stats.not_coded.total(), "reasons": reasons(stats.not_coded)}
        log.info("worker ended", extra=told)
        return stopped.exit_code


def bound_heap(large: int, kept: int, heaps: int) -> None:
    """Have glibc give memory back: arrays of at least `large` bytes as soon as they are freed, and the end of a heap beyond
    `kept` free bytes; and have it make no more than `heaps` of them for all threads (mallopt(3)).

    By itself it keeps all that was once freed of up to 32 MiB. Other C libraries have no such settings.
    """
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        for name, value in ((_M_TRIM_THRESHOLD, kept), (_M_MMAP_THRESHOLD, large), (_M_ARENA_MAX, heaps)):
            mallopt(name, value)


def _spare_collector() -> None:
    """Have the garbage collector leave alone what is loaded, and look at the rest less often than by default (700 objects):
    it took an eighth of a worker's processor time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG)


def open_store(settings: Settings, once: bool, stop: threading.Event, role: str = "worker") -> Store | None:
    """The store once it answers; None if `stop` is set before that. Raises StoreUnavailable as Retry does."""
    retry = Retry(once, stop, role)
    while not stop.is_set():
        try:
            return Store.open(settings.store_url)
        except StoreUnavailable as error:
            retry.after(error)
    return None


def _child(
    parent: int,
    level: int,
    settings: Settings,
    workers: int,
    once: bool,
    load: LoadCoder,
    on_batch: Callable[[Batch], None] | None,
) -> None:
    logs.configure(level)
    _die_with(parent)
    try:
        sys.exit(_work(settings, workers, once, load, on_batch))
    except Exception:
        log.exception("worker crashed")
        sys.exit(CRASHED)


def _die_with(parent: int) -> None:
    """Let this process be killed when its parent ends, in whatever way."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it had ended before
            os._exit(1)
    else:

        def watch() -> None:
            process = multiprocessing.parent_process()
            if process:
                process.join()
            os._exit(1)

        threading.Thread(target=watch, daemon=True).start()


@dataclass(slots=True)
class _Seat:
    """The place of one worker: who has it now, since when, and how often in a row its holders died early."""

    number: int
    process: SpawnProcess
    since: float
    deaths: int = 0


class _Parent:
    """Starts workers, starts again those that die, and ends with them."""

    def __init__(
        self,
        count: int,
        settings: Settings,
        once: bool,
        load: LoadCoder,
        on_batch: Callable[[Batch], None] | None,
        serving: Serving | None,
    ) -> None:
        self._count = count
        self._serving = serving
        self._arguments = (os.getpid(), logging.getLogger("ingest").level, settings, count, once, load, on_batch)
        self._context = multiprocessing.get_context("spawn")
        self._stop = threading.Event()
        for cause in ("exception", "signal"):
            metrics.DEATHS.labels(cause)  # from 0, so that the first one shows as an increase

    def run(self) -> int:
        """The exit code: of the signal that ended it all, or the first that a worker ended with and is not 0."""
        with stopping(self._stop, GRACE + 1.5) as stopped:
            seats = [self._seat(number) for number in range(self._count)]
            code = 0
            while seats and not self._stop.is_set() and not code:
                wait([seat.process.sentinel for seat in seats], timeout=0.25)
                for seat in [seat for seat in seats if not seat.process.is_alive()]:
                    ended = seat.process.exitcode or 0
                    if self._serving:
                        self._serving.ended(seat.number)
                    if ended < 0 or ended == CRASHED:
                        self._start_again(seat)
                    else:
                        seats.remove(seat)
                        code = code or ended
            self._end(seats)
            return code or stopped.exit_code

    def _seat(self, number: int) -> _Seat:
        return _Seat(number, self._start(number), time.monotonic())

    def _start(self, number: int) -> SpawnProcess:
        process = self._context.Process(target=_child, args=self._arguments)
        # Ctrl-C reaches every process of the terminal; a worker hears of it from its parent, once. It inherits the mask,
        # which multiprocessing would undo while it starts its tracker.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            with environment(self._serving.environment(number) if self._serving else {}):
                process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return process

    def _start_again(self, seat: _Seat) -> None:
        seat.deaths = 1 if time.monotonic() - seat.since > _STEADY else seat.deaths + 1
        delay = backoff(seat.deaths, chance())
        metrics.DEATHS.labels("exception" if seat.process.exitcode == CRASHED else "signal").inc()
        log.error("worker died", extra={"worker": seat.process.pid, "exit": seat.process.exitcode, "again_in": delay})
        if not self._stop.wait(delay):
            seat.process, seat.since = self._start(seat.number), time.monotonic()

    def _end(self, seats: list[_Seat]) -> None:
        for seat in seats:
            seat.process.terminate()
        deadline = time.monotonic() + GRACE + 0.5
        for seat in seats:
            seat.process.join(max(0.0, deadline - time.monotonic()))
            if seat.process.is_alive():
                log.warning("worker killed, as it did not end", extra={"worker": seat.process.pid})
                seat.process.kill()
                seat.process.join()
