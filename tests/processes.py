"""What becomes of processes: those below one, and whether they have ended."""

from __future__ import annotations

import time
from collections.abc import Iterable

import psutil


def family(pid: int | None = None) -> set[int]:
    """A process, this one if none is named, and its descendants; those that end meanwhile are left out."""
    top = psutil.Process(pid)
    return {top.pid, *(each.pid for each in top.children(recursive=True))}


def command(pid: int) -> str:
    """Its command line; empty for one that has ended."""
    try:
        return " ".join(psutil.Process(pid).cmdline())
    except psutil.NoSuchProcess:
        return ""


def alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def all_gone(pids: Iterable[int], within: float) -> bool:
    """Whether all have ended after `within` seconds at the most."""
    left, deadline = set(pids), time.monotonic() + within
    while (left := set(filter(alive, left))) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not left
