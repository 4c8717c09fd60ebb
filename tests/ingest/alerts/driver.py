"""Notifiers that are killed, one after the other: just after each commit of the way, the last after sending.

`python -m tests.ingest.alerts.driver`, with the settings in the environment; prints who was killed.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from ingest.alerts import notify
from ingest.settings import load_settings
from ingest.storage import AlertStore, Store


def kill_at(method: str) -> None:
    real: Callable[..., Any] = getattr(AlertStore, method)

    def killed(self: AlertStore, *arguments: Any, **options: Any) -> None:
        if method != "outcome":
            assert real(self, *arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(AlertStore, method, killed)


def main() -> None:
    notify.CLAIM = timedelta(0)
    for method in ("advance", "claim", "outcome"):
        child = os.fork()
        if not child:
            kill_at(method)
            settings = load_settings()
            notify.run_notifier(Store.open(settings.store_url), settings, once=True)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        said = "killed" if os.WIFSIGNALED(status) else f"ended with {os.waitstatus_to_exitcode(status)}"
        print(f"{said}:{method}", flush=True)


if __name__ == "__main__":
    main()
