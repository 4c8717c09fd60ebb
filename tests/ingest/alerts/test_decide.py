"""What is told of an incident, when, and what an attempt came to: by table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.alerts.decide import GIVE_UP, News, answered, changed, is_gone, news, next_attempt, next_look
from ingest.alerts.mail import parse_address
from ingest.alerts.webhook import parse_secret, parse_url, shown_url, signed
from ingest.records import IncidentRecord
from ingest.settings import Settings
from ingest.storage import Alert, IncidentFilter, Told
from ingest.storage.alerts import filter_from_json, filter_to_json
from models.incidents.record import Persons, Report, Supported, Where

NOW = datetime(2026, 11, 28, 15, 20, 30, tzinfo=UTC)
EL_FASHER = Where("El Fasher", "SDN", None, 13.63, 25.35, 371760, "place")
GOMA = Where("Goma", "COD", None, -1.68, 29.22, 216281, "place")


def toll(low: int, high: int | None) -> Supported[Persons]:
    return Supported(Persons(low, high), 1, ("e1",))


def incident(**fields: Any) -> IncidentRecord:
    report = Report("e1", 1, "a1", 1, "wire.example", NOW, 1, False)
    values: dict[str, Any] = {
        "incident_id": "0f3c5a2e9b7d4c6a8e1f2b3d",
        "revision": 1,
        "kind": "new",
        "status": "single_source",
        "created": NOW,
        "changed": NOW,
        "reports": (report,),
        "sources": 1,
        "first_report": NOW,
        "last_report": NOW,
        "countries": ("SDN",),
        "type": Supported("ASSAULT", 1, ("e1",)),
        "place": Supported(EL_FASHER, 1, ("e1",)),
        "dead": toll(12, 12),
    }
    return IncidentRecord.model_construct(**values | fields)


def told(change: Any = "new") -> Told:
    return Told("0f3c5a2e9b7d4c6a8e1f2b3d", 1, change, (), NOW, NOW)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, ()),
        ({"revision": 2, "changed": NOW + timedelta(hours=1), "last_report": NOW + timedelta(hours=1)}, ()),
        ({"status": "corroborated", "sources": 2}, ("status", "sources")),
        ({"sources": 3}, ("sources",)),
        ({"type": Supported("ASSAULT", 4, ("e1", "e2"))}, ()),
        ({"type": Supported("PROTEST", 1, ("e1",))}, ("type",)),
        ({"place": Supported(GOMA, 1, ("e1",))}, ("place",)),
        ({"place": None}, ("place",)),
        ({"dead": toll(12, None)}, ("dead",)),
        ({"dead": None}, ("dead",)),
        ({"injured": toll(3, 3)}, ("injured",)),
        ({"status": "contradicted", "dead": toll(20, 20)}, ("status", "dead")),
    ],
)
def test_only_what_a_reader_cares_about_is_a_change(fields: dict[str, Any], says: tuple[str, ...]) -> None:
    assert changed(incident(), incident(**fields)) == says


@pytest.mark.parametrize(
    ("before", "after", "news_"),
    [(2, 2, False), (3, 4, False), (4, 5, True), (5, 9, False), (9, 10, True), (60, 70, False), (5, 3, False)],
)
def test_sources_are_news_when_they_reach_a_level(before: int, after: int, news_: bool) -> None:
    assert bool(changed(incident(sources=before), incident(sources=after))) == news_


@pytest.mark.parametrize(
    ("last", "before", "after", "passes", "says"),
    [
        (None, None, incident(), True, News("new")),
        (None, None, incident(), False, None),
        (None, None, incident(status="retracted"), False, None),
        (told(), incident(), incident(revision=2), True, None),
        (told(), incident(), incident(dead=toll(20, 20)), True, News("updated", ("dead",))),
        (told("updated"), incident(), incident(dead=toll(20, 20)), True, News("updated", ("dead",))),
        (told(), incident(), incident(status="retracted"), False, News("withdrawn", ("retracted",))),
        (told(), incident(), incident(kind="merged_into", merged_into="x"), False, News("withdrawn", ("merged",))),
        (told(), incident(), incident(place=None), False, News("withdrawn", ("filter",))),
        (told("withdrawn"), incident(), incident(status="retracted"), False, None),
        (told("withdrawn"), incident(), incident(), True, News("new")),
        # A filter for retracted ones.
        (told(), incident(), incident(status="retracted"), True, News("updated", ("status",))),
        # What was told is gone from the store.
        (told(), None, incident(), True, News("new")),
    ],
)
def test_news_can_be_told_by_what_was_told_before(
    last: Told | None, before: IncidentRecord | None, after: IncidentRecord, passes: bool, says: News | None
) -> None:
    assert news(last, before, after, passes) == says


def alert(**fields: Any) -> Alert:
    values: dict[str, Any] = {"channel": "webhook", "target": "", "filter": IncidentFilter()}
    return Alert(**{"alert_id": "a", "name": "a", "created": NOW, "position": NOW} | values | fields)


@pytest.mark.parametrize(
    ("fields", "made", "at"),
    [
        ({}, True, None),
        ({"channel": "feed"}, True, None),
        ({"channel": "email"}, False, None),
        ({"channel": "email"}, True, NOW + timedelta(minutes=1)),
        ({"every": 3600.0}, True, NOW.replace(hour=16, minute=0, second=0)),
        ({"every": 3600.0, "channel": "email"}, False, NOW.replace(hour=16, minute=0, second=0)),
        ({"every": 86_400.0}, False, NOW.replace(day=29, hour=0, minute=0, second=0)),
        ({"every": 90.0}, False, NOW.replace(minute=21, second=0)),
    ],
)
def test_digests_come_at_the_full_period(fields: dict[str, Any], made: bool, at: datetime | None) -> None:
    assert next_look(alert(**fields), NOW, made) == at


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        *((status, "sent") for status in (200, 202, 204)),
        *((status, "refused") for status in (400, 401, 404, 410, 422)),
        *((status, "again") for status in (301, 307, 408, 425, 429, 500, 503)),
    ],
)
def test_an_answer_means_that_a_message_was_taken_refused_or_must_wait(status: int, outcome: str) -> None:
    assert answered(status) == outcome
    assert is_gone(status) == (status == 410)


@settings(max_examples=40)
@given(st.integers(1, 10_000), st.floats(0, 1), st.none() | st.floats(0, 1e9), st.floats(0, 200_000))
def test_attempts_come_further_apart_and_end(attempts: int, chance: float, asked: float | None, age: float) -> None:
    created = NOW - timedelta(seconds=age)
    due = next_attempt(created, NOW, attempts, chance, asked)
    if NOW - created >= GIVE_UP:
        assert due is None
        return
    assert due is not None and due <= created + GIVE_UP
    wait = (due - NOW).total_seconds()
    left = (created + GIVE_UP - NOW).total_seconds()
    assert wait <= 3600 or wait <= (asked or 0) + 1e-3
    assert wait >= min(max(2.5, asked or 0), left) - 1e-3


@pytest.mark.parametrize(
    ("text", "private", "says"),
    [
        ("https://desk.example.org/hook?x=1", False, None),
        ("https://user:pw@[2001:db8::1]:8443/hook", False, None),
        ("http://10.0.0.1/hook", True, None),
        ("http://desk.example.org/", False, "https"),
        ("ftp://desk.example.org/", True, "give an address"),
        ("https://", False, "give an address"),
        ("https://a b/", False, "give an address"),
        ("https://[x/", False, "give an address"),
        ("https://desk.example.org:0/", False, "give an address"),
        ("https://desk.example.org/\r\nX: y", False, "give an address"),
        ("https://dësk.example.org/", False, "give an address"),
    ],
)
def test_the_address_of_a_webhook_is_checked(text: str, private: bool, says: str | None) -> None:
    given_ = Settings.model_validate({"alerts": {"allow_private": private}})
    if says is None:
        assert parse_url(text, given_) == text
        shown = shown_url(text)
        assert shown.endswith("/…") and "pw" not in shown and "hook" not in shown
        return
    with pytest.raises(ValueError, match=says):
        parse_url(text, given_)


@pytest.mark.parametrize("text", ["a@b.example", "o'neil+x@desk.example.org"])
def test_an_address_of_mail_can_be_given(text: str) -> None:
    assert parse_address(text) == text


@pytest.mark.parametrize(
    "text", ["", "desk", "a@b\r\nBcc: c@d", "A <a@b.example>", "a@b, c@d", "ä@b.example", "@b", "a@"]
)
def test_what_is_no_address_of_mail_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no e-mail address"):
        parse_address(text)


@pytest.mark.parametrize("text", ["", "short", "whsec_", "whsec_c2hvcnQ=", "whsec_" + "A" * 200, "whsec_a", "ü" * 40])
def test_a_secret_that_protects_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        parse_secret(text)


def test_a_message_is_signed_as_the_specification_shows() -> None:
    # https://github.com/standard-webhooks/standard-webhooks, the test of every library
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    made = signed(
        b'{"test": 2432232314}', "msg_p5jXN8AQM9LWM0D4loKWxJek", secret, datetime.fromtimestamp(1614265330, UTC)
    )
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert made["webhook-timestamp"] == "1614265330"


@settings(max_examples=30, deadline=None)
@given(
    st.builds(
        IncidentFilter,
        types=st.lists(st.sampled_from(["ASSAULT", "PROTEST"])).map(tuple),
        countries=st.lists(st.text(max_size=3)).map(tuple),
        actor=st.none() | st.text(),
        sources=st.lists(st.text()).map(tuple),
        min_sources=st.none() | st.integers(1, 9),
        bbox=st.none() | st.tuples(*[st.floats(-90, 90)] * 4),
    )
)
def test_a_filter_can_be_saved(wanted: IncidentFilter) -> None:
    assert filter_from_json(filter_to_json(wanted)) == wanted
