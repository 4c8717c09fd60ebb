"""Alerts to webhooks, through real servers on loopback and on both databases."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from ingest import metrics
from ingest.alerts import decide
from ingest.alerts.notify import MOST, run_notifier, send_test
from ingest.alerts.webhook import new_secret
from ingest.settings import Settings
from ingest.storage import Alert, IncidentFilter, Store
from tests.ingest.alerts.conftest import SECRET, Desk
from tests.ingest.alerts.receivers import Answer, Got, Receiver
from tests.ingest.alerts.telling import MARCHED, Papers, apart
from tests.ingest.api.serving import PLACES
from tests.ingest.command import ROOT, settings_environment


def changes(got: Got) -> list[tuple[str, list[str]]]:
    return [(each["change"], each["why"]) for each in got.told["changes"]]


def test_an_incident_can_be_told_to_a_webhook_that_verifies_it(desk: Desk, receiver: Receiver) -> None:
    desk.papers.report()  # before there is an alert
    alert = desk.add(receiver.url, filter=IncidentFilter(types=("ASSAULT",), countries=("COD",)))
    desk.papers.report(MARCHED)
    desk.papers.report(place=PLACES[0], paper=1)
    stats = desk.notify()
    assert (stats.told, stats.sent) == (1, 1)
    (got,) = receiver.got
    (current,) = desk.store.incidents(alert.filter)
    assert got.told["incidents"] == [json.loads(current.record.to_json())]
    assert got.told["changes"] == [
        {"incident_id": current.record.incident_id, "revision": 1, "change": "new", "why": []}
    ]
    assert (got.told["alert"], got.told["more"]) == ("desk", 0)
    # By the code that docs/alerts.md gives, and by the library of the specification.
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/alerts.md").read_text("utf-8"), re.S)
    given: dict[str, Any] = {}
    exec(code, given)
    assert given["verify"](SECRET, got.headers, got.body)
    assert not given["verify"](SECRET, got.headers, got.body + b" ")
    assert not given["verify"](new_secret(), got.headers, got.body)
    assert Webhook(SECRET).verify(got.body, got.headers)["id"] == got.told["id"] == got.headers["webhook-id"]
    assert desk.notify().sent == 0


def test_only_what_a_reader_cares_about_is_told_again(desk: Desk, receiver: Receiver) -> None:
    desk.add(receiver.url)
    desk.papers.report()
    desk.notify()
    desk.papers.report()  # the same paper: another revision and no news
    assert len(desk.store.incident_revisions(receiver.got[0].told["changes"][0]["incident_id"])) == 2
    desk.notify()
    assert len(receiver.got) == 1
    desk.papers.report(paper=1)
    desk.notify()
    desk.papers.report(paper=2)
    desk.notify()
    assert [changes(got) for got in receiver.got] == [
        [("new", [])],
        [("updated", ["status", "sources"])],
        [("updated", ["sources"])],
    ]
    assert len({got.told["id"] for got in receiver.got}) == 3


def test_a_withdrawal_of_what_was_told_is_told(desk: Desk, receiver: Receiver) -> None:
    alert = desk.add(receiver.url, filter=IncidentFilter(countries=("SDN",)))
    number = desk.papers.report()
    elsewhere = desk.papers.report(MARCHED)
    moved = desk.papers.report(MARCHED, place=PLACES[1], paper=3)
    desk.notify()
    desk.papers.correct(number, None)
    desk.papers.correct(elsewhere, None)
    desk.papers.correct(moved, MARCHED, paper=3)
    desk.notify()
    told = [change for got in receiver.got for change in changes(got)]
    assert sorted(told) == [("new", []), ("new", []), ("withdrawn", ["filter"]), ("withdrawn", ["retracted"])]
    kinds = {each.change for each in desk.store.alerts.told_last(alert.alert_id, 10)}
    assert kinds == {"withdrawn"}
    # It comes back.
    desk.papers.report(paper=4)
    desk.notify()
    assert changes(receiver.got[-1]) == [("new", [])]


@pytest.mark.usefixtures("soon")
def test_many_at_once_are_told_in_several_messages_and_in_order(
    desk: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.alerts.notify.AT_ONCE", 4)
    monkeypatch.setattr("ingest.alerts.notify._WINDOW", 5)
    monkeypatch.setattr("ingest.alerts.notify._CHUNK", 2)
    desk.add(receiver.url)
    stories = [apart(number) for number in range(9)]
    for story in stories:
        desk.papers.report(story)
    receiver.answers.append(Answer(503))
    desk.notify()
    sizes = [len(got.told["incidents"]) for got in receiver.got]
    assert sizes == [4, 4, 2, 3], "a message overtook another"
    told = [each for got in receiver.got[1:] for each in got.told["incidents"]]
    assert [each["place"]["value"]["name"] for each in told] == [story.place[0] for story in stories]


def test_a_digest_comes_once_a_period_with_the_foremost_and_says_how_many_more(
    desk: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.alerts.notify.MOST", 2)
    past = datetime.now(UTC) - timedelta(minutes=1)
    alert = desk.add(receiver.url, every=3600.0, due=past)
    assert desk.notify().sent == 0  # nothing has happened, and the next one is due at the hour
    (after,) = desk.store.alerts.all()
    assert after.due == decide.next_look(alert, datetime.now(UTC), False)
    for number in range(5):
        desk.papers.report(apart(number))
    gone = desk.papers.report(MARCHED)
    desk.papers.correct(gone, None)
    desk.papers.report(apart(3), paper=1)
    assert desk.notify().sent == 0
    make_due(desk, after)
    assert desk.notify().sent == 1
    (got,) = receiver.got
    assert got.told["more"] == 3
    names = [each["place"]["value"]["name"] for each in got.told["incidents"]]
    assert len(names) == 2 and names[0] == PLACES[3][0]
    (later,) = desk.store.alerts.all()
    make_due(desk, later)
    assert desk.notify().sent == 0, "what was left out is told when it changes"
    assert MOST == 50


def make_due(desk: Desk, alert: Alert) -> None:
    """As if its period were over."""
    assert desk.store.alerts.advance(alert, alert.position, datetime.now(UTC) - timedelta(seconds=1), (), ())


@pytest.mark.usefixtures("soon")
def test_a_webhook_that_fails_is_tried_again_under_the_same_id(desk: Desk, receiver: Receiver) -> None:
    desk.add(receiver.url)
    desk.papers.report()
    receiver.answers.extend([Answer(500, body=b"out of order"), Answer(503, {"Retry-After": "0"}), Answer(429)])
    sent_before = metrics.DELIVERIES.labels("webhook", "sent")._value.get()
    failed_before = metrics.DELIVERIES.labels("webhook", "failed")._value.get()
    stats = desk.notify()
    assert (stats.sent, stats.failed) == (1, 3)
    assert len(receiver.got) == 4
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    assert len({got.body for got in receiver.got}) == 1
    for got in receiver.got:
        Webhook(SECRET).verify(got.body, got.headers)
    assert metrics.DELIVERIES.labels("webhook", "sent")._value.get() == sent_before + 1
    assert metrics.DELIVERIES.labels("webhook", "failed")._value.get() == failed_before + 3


def test_a_receiver_can_ask_to_be_left_alone(local: Desk, receiver: Receiver) -> None:
    alert = local.add(receiver.url)
    local.papers.report()
    receiver.answers.append(Answer(503, {"Retry-After": "600"}))
    before = datetime.now(UTC)
    assert local.notify().failed == 1
    (delivery,) = local.deliveries(alert)
    assert delivery.due and delivery.due >= before + timedelta(seconds=599)
    assert local.notify().sent == 0 and len(receiver.got) == 1


@pytest.mark.parametrize(("status", "paused"), [(400, False), (404, False), (410, True)])
def test_a_refusal_is_final_and_a_receiver_that_is_gone_pauses_the_alert(
    local: Desk, receiver: Receiver, status: int, paused: bool
) -> None:
    alert = local.add(receiver.url)
    local.papers.report()
    receiver.answers.append(Answer(status, body=b"\x1b[2Jno\r\nthanks"))
    assert local.notify().lost == 1
    (delivery,) = local.deliveries(alert)
    assert (delivery.result, delivery.attempts) == ("refused", 1)
    assert delivery.error == f"{receiver.url.partition('/hook')[0]}/…: answered {status}: ?[2Jno thanks"
    (after,) = local.store.alerts.all()
    assert bool(after.paused) == paused
    local.papers.report(MARCHED)
    assert local.notify().sent == (not paused)


def redirect(receiver: Receiver) -> tuple[Answer, str]:
    return Answer(302, {"Location": receiver.url.replace("/hook", "/private")}), "answered 302"


def huge(receiver: Receiver) -> tuple[Answer, str]:
    return Answer(500, body=b"x" * 3_000_000), f"answered 500: {'x' * 150}"


def slow(receiver: Receiver) -> tuple[Answer, str]:
    return Answer(200, seconds=0.6), "no complete answer within 0.3 s"


@pytest.mark.parametrize("trouble", [redirect, huge, slow])
def test_no_answer_can_lead_on_or_hold_up(
    local: Desk, receiver: Receiver, trouble: Callable[[Receiver], tuple[Answer, str]]
) -> None:
    settings = local.settings.model_copy(
        update={"alerts": local.settings.alerts.model_copy(update={"timeout": 0.3 if trouble is slow else 5.0})}
    )
    alert = local.add(receiver.url)
    local.papers.report()
    answer, says = trouble(receiver)
    receiver.answers.append(answer)
    assert run_notifier(local.store, settings, once=True).failed == 1
    (delivery,) = local.deliveries(alert)
    assert delivery.error and says in delivery.error
    assert "hunter2" not in delivery.error
    assert [got.path for got in receiver.got] == ["/hook?token=hunter2"]


def test_a_private_address_is_not_connected_to_unless_it_is_allowed(local: Desk, receiver: Receiver) -> None:
    settings = local.settings.model_copy(
        update={"alerts": local.settings.alerts.model_copy(update={"allow_private": False})}
    )
    alert = local.add(receiver.url.replace("http:", "https:"))
    local.papers.report()
    assert run_notifier(local.store, settings, once=True).failed == 1
    (delivery,) = local.deliveries(alert)
    assert delivery.error and "alerts.allow_private" in delivery.error and "hunter2" not in delivery.error
    assert receiver.got == []


def test_after_a_day_a_message_is_given_up_and_that_is_said(
    local: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    alert = local.add(receiver.url)
    local.papers.report()
    receiver.always = Answer(500)
    monkeypatch.setattr(decide, "GIVE_UP", timedelta(0))
    assert local.notify().lost == 1
    (delivery,) = local.deliveries(alert)
    assert (delivery.result, delivery.due) == ("gave_up", None)
    assert any(record.message == "not sent, given up" for record in caplog.records)


def test_a_paused_alert_goes_on_where_it_was(desk: Desk, receiver: Receiver) -> None:
    alert = desk.add(receiver.url)
    desk.store.alerts.pause(alert.alert_id, "by hand")
    desk.papers.report()
    desk.papers.report(paper=1)
    assert desk.notify().told == 0
    desk.store.alerts.pause(alert.alert_id, None)
    assert desk.notify().sent == 1
    assert changes(receiver.got[0]) == [("new", [])]
    assert receiver.got[0].told["incidents"][0]["sources"] == 2


def test_what_was_told_is_forgotten_once_the_incident_cannot_change(desk: Desk, receiver: Receiver) -> None:
    alert = desk.add(receiver.url)
    desk.papers.report()
    desk.notify()
    (told,) = desk.store.alerts.told_last(alert.alert_id, 10)

    def forgotten(before: datetime) -> int:
        number = desk.store.alerts.forget_told(before)
        assert len(desk.store.alerts.told_last(alert.alert_id, 10)) == 1 - number
        return number

    later = datetime.now(UTC) + timedelta(seconds=1)
    # Open, as the last one that the keeper holds; however long ago it was told, as the pipeline may have stood still.
    keeper = desk.store.keeper()
    desk.store.keep([], keeper, keeper, (told.incident_id, told.revision))
    assert forgotten(later) == 0
    desk.store.keep([], keeper, keeper, None)
    assert forgotten(told.changed) == 0, "told too lately"
    # A change that the alert has yet to look at, and then one that is no news but is late.
    desk.store.alerts.pause(alert.alert_id, "by hand")
    desk.papers.report()
    later = datetime.now(UTC) + timedelta(seconds=1)
    assert forgotten(later) == 0
    desk.store.alerts.pause(alert.alert_id, None)
    desk.notify()
    (looked,) = desk.store.alerts.all()
    assert desk.store.alerts.advance(looked, max(looked.position, desk.store.settled(later)), None, (), ())
    assert desk.store.alerts.told_last(alert.alert_id, 10) == [told]
    assert forgotten(told.changed + timedelta(microseconds=1)) == 0, "the incident changed after that"
    assert forgotten(later) == 1
    assert len(receiver.got) == 1


def test_messages_of_a_paused_alert_are_not_counted_as_waiting(local: Desk, receiver: Receiver) -> None:
    alert = local.add(receiver.url)
    local.papers.report()
    receiver.always = Answer(503)
    local.notify()
    waiting, now = local.store.alerts.waiting(), datetime.now(UTC) + timedelta(hours=2)
    metrics.watch_deliveries([alert], waiting, now)
    assert metrics.DELIVERIES_WAITING.labels("webhook")._value.get() == 1
    assert metrics.DELIVERIES_OLDEST.labels("webhook")._value.get() >= 7200
    metrics.watch_deliveries([replace(alert, paused="gone")], waiting, now)
    assert metrics.DELIVERIES_OLDEST.labels("webhook")._value.get() == 0


def test_two_notifiers_at_once_tell_nothing_twice(desk: Desk, receiver: Receiver) -> None:
    from threading import Thread

    desk.add(receiver.url)
    for number in range(10):
        desk.papers.report(apart(number))
    threads = [Thread(target=desk.notify) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = [each["incident_id"] for got in receiver.got for each in got.told["incidents"]]
    assert len(told) == len(set(told)) == 10
    assert len({got.told["id"] for got in receiver.got}) == len(receiver.got)


def test_a_message_whose_sender_died_is_sent_by_another_one(desk: Desk, receiver: Receiver) -> None:
    alert = desk.add(receiver.url)
    desk.papers.report()
    receiver.answers.append(Answer(500))
    desk.notify()
    (delivery,) = desk.deliveries(alert)
    now = datetime.now(UTC)
    assert desk.store.alerts.claim(delivery, now + timedelta(seconds=60))
    assert not desk.store.alerts.claim(delivery, now), "two have it"
    assert desk.notify().sent == 0
    (claimed,) = desk.deliveries(alert)
    assert desk.store.alerts.claim(claimed, now - timedelta(seconds=1))  # the claim runs out
    assert desk.notify().sent == 1
    # One that comes to life again changes nothing.
    desk.store.alerts.outcome(claimed, now, "gave_up", "late")
    (done,) = desk.deliveries(alert)
    assert (done.result, done.attempts) == ("sent", 4)
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1


def test_whatever_kills_a_notifier_when_nothing_is_lost_or_gets_another_id(tmp_path: Path, receiver: Receiver) -> None:
    settings = Settings.model_validate({"data_dir": tmp_path, "alerts": {"allow_private": True}})
    store = Store.open(settings.store_url)
    desk = Desk(settings, store, Papers(store))
    alert = desk.add(receiver.url)
    desk.papers.report()
    command = [sys.executable, "-m", "tests.ingest.alerts.driver"]
    environment = settings_environment(settings) | {"CONFLICTWIRE_ALERTS__ALLOW_PRIVATE": "true"}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100)
    assert ended.stdout.split() == ["killed:advance", "killed:claim", "killed:outcome"], ended.stderr
    assert len(receiver.got) == 1
    assert desk.notify().sent == 1
    assert desk.notify().sent == 0
    first, second = receiver.got
    assert first.told == second.told and first.headers["webhook-id"] == second.headers["webhook-id"]
    (delivery,) = desk.deliveries(alert)
    assert (delivery.result, delivery.attempts) == ("sent", 3)
    store.close()


def test_a_sample_can_be_sent_and_nothing_is_noted(local: Desk, receiver: Receiver) -> None:
    alert = local.add(receiver.url, filter=IncidentFilter(actor="zealots"))
    (nothing,) = send_test(local.store, local.settings, alert, datetime.now(UTC))
    assert nothing[1].outcome == "sent" and receiver.got[0].told["incidents"] == []
    local.papers.report(actor=("The zealots", None, "REL"))
    receiver.answers.append(Answer(500, body=b"no"))
    (failed,) = send_test(local.store, local.settings, alert, datetime.now(UTC))
    assert (failed[1].outcome, failed[1].status) == ("again", 500)
    assert receiver.got[1].told["id"].startswith("test_")
    assert len(receiver.got[1].told["incidents"]) == 1
    assert local.deliveries(alert) == [] and local.store.alerts.told_last(alert.alert_id, 5) == []


def test_one_alert_that_cannot_be_looked_at_stops_no_other(
    local: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.add(receiver.url, name="a", filter=IncidentFilter(types=("ASSAULT",)))
    local.add(receiver.url, name="b")
    real = local.store.incidents

    def incidents(wanted: IncidentFilter, limit: int | None = None) -> Any:
        if wanted.types:
            raise ValueError("a defect")
        return real(wanted, limit)

    monkeypatch.setattr(local.store, "incidents", incidents)
    local.papers.report()
    assert local.notify().sent == 1
    assert receiver.got[0].told["alert"] == "b"
