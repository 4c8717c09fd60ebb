"""Schedules and streams come from their seeds alone, and hold what they must."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from ingest.errors import RecordError
from ingest.records import parse_article
from tests.faults.schedule import EMBEDDED, SERVERS, Kind, schedule
from tests.faults.stream import stream


@pytest.mark.parametrize("kinds", [SERVERS, EMBEDDED])
@pytest.mark.parametrize("seed", [0, 1, 7])
def test_a_seed_gives_the_same_faults_each_kind_before_any_comes_again(seed: int, kinds: Sequence[Kind]) -> None:
    faults = schedule(seed, 200, 50_000, kinds)
    assert faults == schedule(seed, 200, 50_000, kinds)
    assert faults != schedule(seed + 1, 200, 50_000, kinds)
    assert len(faults) == 200
    first = Counter(fault.what for fault in faults[: len(kinds)])
    assert first == Counter(kind.what for kind in kinds)
    places = [fault.at for fault in faults]
    assert places == sorted(places)
    assert places[0] == 0 and places[-1] < 50_000
    for fault in faults:
        fitting = [kind for kind in kinds if kind.what == fault.what]
        assert any(
            kind.seconds[0] <= fault.seconds <= kind.seconds[1] and (fault.phase in kind.phases or not kind.phases)
            for kind in fitting
        )


def test_a_seed_gives_the_same_articles_in_the_order_of_their_revisions() -> None:
    sent = list(stream(3, 3_000, "articles"))
    assert sent == list(stream(3, 3_000, "articles"))
    latest: dict[bytes | None, int] = {}
    unreadable = 0
    for each in sent:
        try:
            found = parse_article(each.record.value)
        except RecordError:
            unreadable += 1
            latest[each.record.key] = latest.get(each.record.key, 0) + 1
            continue
        assert found.revision == latest.get(each.record.key, 0) + 1
        latest[each.record.key] = found.revision
    assert len(latest) == 3_000
    assert unreadable > 0
    assert sum(revision > 1 for revision in latest.values()) > 200
    text = b"".join(each.record.value for each in sent)
    assert all(word in text for word in (b"POISON", b"BATCHPOISON", b"FLAKY", b"MOODY"))
