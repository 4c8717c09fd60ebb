"""How well reports of one happening are put together: `python -m tests.bench.incidents [--profile fast|accurate]`.

dev.jsonl and check.jsonl hold invented reports of invented happenings in real places, each half with stories of its own.
Errors of the first half were looked at while points and thresholds were chosen, those of the second never. Of each report one
event, the fullest of the types that its incident may be given, stands for it; two reports are joined where these are in one
incident.
Coding takes a few CPU seconds and is kept in --coded, so that a change of the decision is scored at once.
"""

from __future__ import annotations

import argparse
import random
import time
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import combinations
from pathlib import Path

from models.incidents import Change, IncidentRecord, Incidents, Limits, Told
from tests.bench.incidents.reports import Half, Row, coded, main_event, told


@dataclass
class Result:
    """What came of a half. `homes` is where each event ended, or was before it was retracted."""

    homes: dict[str, str]
    last: dict[str, IncidentRecord]
    changes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


def run(half: Half, order: Callable[[list[Told]], list[Told]] = list) -> Result:
    """All events through the decision."""
    incidents = Incidents(Limits(window=timedelta(days=30)))
    result = Result({}, {})
    into: dict[str, str] = {}
    arriving = order(told(half))
    began = time.process_time()
    made: list[Change] = []
    for each in arriving:
        if each.status == "retracted":
            result.homes[each.event_id] = incidents.home(each.event_id) or ""
        made += incidents.observe(each)
    result.seconds = time.process_time() - began
    for change in made:
        result.changes[change.kind] += 1
        result.last[change.record.incident_id] = change.record
        if change.record.merged_into:
            into[change.record.incident_id] = change.record.merged_into
    for each in arriving:
        home = incidents.home(each.event_id)
        if home:
            result.homes[each.event_id] = home
    return result


@dataclass(frozen=True)
class Scores:
    """Pairs of reports: joined rightly, joined wrongly, missed; and the wrong ones by incident."""

    right: int
    wrong: int
    missed: int
    errors: Counter[tuple[str, str, str]]

    @property
    def precision(self) -> float:
        return self.right / max(1, self.right + self.wrong)

    @property
    def recall(self) -> float:
        return self.right / max(1, self.right + self.missed)

    @property
    def f1(self) -> float:
        return 2 * self.right / max(1, 2 * self.right + self.wrong + self.missed)


def scores(half: Half, result: Result) -> Scores:
    """Pairwise, over all pairs of reports of the half."""
    placed = []
    for row, events in zip(half.rows, half.events, strict=True):
        at = main_event(row, events)
        placed.append((row["incident"], f"{row['report']}#" if at is None else result.homes[f"{row['report']}#{at}"]))
    tally: Counter[tuple[bool, bool]] = Counter()
    errors: Counter[tuple[str, str, str]] = Counter()
    for (one, here), (other, there) in combinations(placed, 2):
        tally[one == other, here == there] += 1
        if (one == other) != (here == there):
            first, second = sorted((one, other))
            errors["missed" if one == other else "joined", first, second] += 1
    return Scores(tally[True, True], tally[False, True], tally[True, False], errors)


def foreign(half: Half, result: Result) -> tuple[int, int]:
    """Of all pairs of events in one incident, of whatever type, those from stories that have nothing to do with each other."""
    stories: dict[str, list[str]] = defaultdict(list)
    for row, events in zip(half.rows, half.events, strict=True):
        for number in range(len(events)):
            stories[result.homes[f"{row['report']}#{number}"]].append(row["story"])
    pairs = [one != other for together in stories.values() for one, other in combinations(together, 2)]
    return sum(pairs), len(pairs)


def counted_sources(half: Half, result: Result) -> tuple[int, int]:
    """Of the invented incidents those whose number of sources is right in the one that has most of their reports."""
    by_incident: dict[str, list[tuple[Row, str]]] = defaultdict(list)
    for row, events in zip(half.rows, half.events, strict=True):
        at = main_event(row, events)
        if at is not None and not row.get("withdrawn"):
            by_incident[row["incident"]].append((row, result.homes[f"{row['report']}#{at}"]))
    right = 0
    for reports in by_incident.values():
        home, _ = Counter(home for _, home in reports).most_common(1)[0]
        right += result.last[home].sources == independent([row for row, _ in reports])
    return right, len(by_incident)


def independent(reports: Sequence[Row]) -> int:
    """How many sources have no publisher and no story in common."""
    groups: list[set[str]] = []
    for row in reports:
        mine = {f"publisher {row['publisher']}", f"story {row['syndication_id']}"}
        for group in [group for group in groups if group & mine]:
            mine |= group
            groups.remove(group)
        groups.append(mine)
    return len(groups)


# --- the page


def interleaved(partitions: int) -> Callable[[list[Told]], list[Told]]:
    """The same events as several partitions of a topic bring them: in order within an article, otherwise out of step."""

    def order(arriving: list[Told]) -> list[Told]:
        rng = random.Random(7)
        queues: list[list[Told]] = [[] for _ in range(partitions)]
        for each in arriving:
            queues[sum(each.article_id.encode()) % partitions].append(each)
        mixed = []
        while any(queues):
            mixed.append(rng.choice([queue for queue in queues if queue]).pop(0))
        return mixed

    return order


def memory(half: Half) -> float:
    """Bytes that an open incident's report takes."""
    arriving = [each for each in told(half) if each.status == "new"]
    tracemalloc.start()
    incidents = Incidents(Limits(window=timedelta(days=30)))
    before = tracemalloc.get_traced_memory()[0]
    for each in arriving:
        incidents.observe(each)
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return taken / len(arriving)


def line(name: str, half: Half, result: Result) -> str:
    score = scores(half, result)
    return f"{name:34} precision {score.precision:.3f}  recall {score.recall:.3f}  F1 {score.f1:.3f}"


def main() -> None:
    """Print the scores of both halves, and the errors of the one that may be looked at."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", choices=("fast", "accurate"), default="fast")
    parser.add_argument("--coded", type=Path, help="where the coded events are kept from run to run")
    arguments = parser.parse_args()
    halves = coded(arguments.profile, arguments.coded)
    for name, half in halves.items():
        result = run(half)
        incidents = len({row["incident"] for row in half.rows})
        print(f"{name}: {incidents} incidents, {len(half.rows)} reports, {len(told(half))} event revisions")
        print(line("  in order of publication", half, result))
        for partitions in (4, 16):
            print(line(f"  {partitions} partitions out of step", half, run(half, interleaved(partitions))))
        wrong, pairs = foreign(half, result)
        print(f"  events of unrelated stories in one incident: {wrong} of {pairs} pairs")
        right, of = counted_sources(half, result)
        print(f"  number of independent sources right: {right} of {of}")
        withdrawn = [row for row in half.rows if row.get("withdrawn")]
        ends = {
            result.last[result.homes[f"{row['report']}#{at}"]].status
            for row, events in zip(half.rows, half.events, strict=True)
            if row in withdrawn and (at := main_event(row, events)) is not None
        }
        print(f"  withdrawn by all its reports, ended as: {', '.join(sorted(ends)) or 'none'}")
        print(
            f"  changes: {dict(result.changes)}; {1e6 * result.seconds / len(told(half)):.0f} CPU microseconds an event"
        )
        if name == "dev":
            print(f"  memory: {memory(half):.0f} bytes a report")
            for (kind, one, other), number in scores(half, result).errors.most_common():
                print(f"    {kind:7} {number:2} pairs of reports: {one}" + (f" / {other}" if other != one else ""))


if __name__ == "__main__":
    main()
