"""`conflictwire alerts`, `notify`, and the alerts that `run` sends."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path

import pytest

from ingest.run import Run
from ingest.settings import Settings
from ingest.storage import Store
from tests.ingest.alerts.conftest import SECRET
from tests.ingest.alerts.receivers import Receiver
from tests.ingest.alerts.telling import Papers
from tests.ingest.command import Answer, call
from tests.ingest.keyword_coder import KeywordCoder
from tests.ingest.pipeline import Pipeline, article

PRIVATE = {"CONFLICTWIRE_ALERTS__ALLOW_PRIVATE": "true"}
MAIL = {"CONFLICTWIRE_SMTP__HOST": "127.0.0.1", "CONFLICTWIRE_SMTP__SENDER": "desk@example.org"}


def alerts(folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> Answer:
    return call("alerts", *arguments, "--data-dir", folder, environment=environment or {})


def done(folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> Answer:
    answer = alerts(folder, *arguments, environment=environment)
    assert answer.code == 0, answer.err
    return answer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that tests leave without alerts."""
    return tmp_path_factory.mktemp("cli")


def test_an_alert_can_be_added_shown_paused_resumed_and_removed(folder: Path, receiver: Receiver) -> None:
    filters = ["--type", "assault", "--country", "sdn", "--min-sources", "2", "--actor", "army", "--bbox", "21,8,39,23"]
    added = done(folder, "add", "sudan", *filters, "--webhook", receiver.url, "--every", "1d12h", environment=PRIVATE)
    (secret,) = added.lines
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", secret)
    mailed = done(folder, "add", "night", "--email", "a@example.org", "--email", "b@example.org", environment=MAIL)
    assert mailed.out == ""
    listed = [json.loads(line) for line in done(folder, "list", "--format", "json").lines]
    assert [each["name"] for each in listed] == ["night", "sudan"]
    assert listed[0]["target"] == "a@example.org b@example.org"
    assert listed[1]["filter"] == {
        "types": ["ASSAULT"],
        "countries": ["SDN"],
        "actor": "army",
        "min_sources": 2,
        "bbox": [21.0, 8.0, 39.0, 23.0],
    }
    assert (listed[1]["every"], listed[1]["paused"], listed[1]["waiting"]) == (129_600.0, None, 0)
    table = done(folder, "list").out
    assert "every 1d12h" in table and "at once" in table and "types ASSAULT; countries SDN" in table
    done(folder, "pause", "sudan")
    assert "paused: by hand" in done(folder, "list").out
    done(folder, "resume", "sudan")
    assert "is not paused" in alerts(folder, "resume", "sudan").err
    shown = done(folder, "show", "sudan").out + done(folder, "show", "sudan", "--format", "json").out
    for text in (table, shown):
        assert secret not in text and "hunter2" not in text and "/hook" not in text
    done(folder, "remove", "sudan")
    for command in ("show", "remove", "pause", "resume", "test"):
        answer = alerts(folder, command, "sudan")
        assert answer.code == 1 and "there is no alert 'sudan'" in answer.err
    done(folder, "remove", "night")
    assert "no alerts" in done(folder, "list").err


def test_what_is_sent_and_what_fails_can_be_seen(folder: Path, tmp_path: Path, receiver: Receiver) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    added = done(folder, "add", "desk", "--webhook", receiver.url, "--secret-file", str(secret), environment=PRIVATE)
    assert added.out == ""
    store = Store.open(f"sqlite:///{folder / 'conflictwire.db'}")
    Papers(store).report()
    store.close()
    tested = done(folder, "test", "desk", environment=PRIVATE)
    assert tested.lines[0].endswith("/…: sent; " + receiver.url.partition("/hook")[0] + "/…: answered 200: ok")
    receiver.always.status = 503
    tested = alerts(folder, "test", "desk", environment=PRIVATE)
    assert tested.code == 1 and "not sent; " in tested.out and "answered 503" in tested.out
    assert call("notify", "--once", "--data-dir", folder, environment=PRIVATE).code == 0
    assert "1 waiting: " in done(folder, "list").out
    lines = done(folder, "show", "desk").lines
    assert any(re.search(r"waiting, next try .*1 try: .*answered 503", line) for line in lines)
    told = json.loads(done(folder, "show", "desk", "--format", "json").out)
    assert told["told"][0]["change"] == "new"
    assert told["deliveries"][0]["attempts"] == 1 and told["deliveries"][0]["next_try"]
    assert SECRET not in "".join(lines) + json.dumps(told)
    done(folder, "remove", "desk")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["a b", "--feed"], 2, "give 1 to 63 letters"),
        (["a"], 2, "give one of --webhook URL"),
        (["a", "--feed", "--webhook", "https://desk.example.org"], 2, "give one of --webhook URL"),
        (["a", "--webhook", "desk.example.org"], 2, "give an address such as https://"),
        (["a", "--webhook", "http://10.0.0.1/x"], 2, "alerts.allow_private"),
        (["a", "--email", "desk"], 2, "no e-mail address"),
        (["a", "--email", "desk@example.org"], 1, "no mail server is set: set smtp.host"),
        (["a", "--feed", "--type", "WAR"], 2, "no PLOVER type"),
        (["a", "--feed", "--status", "sure"], 2, "no status"),
        (["a", "--feed", "--every", "1h"], 2, "readers ask a feed when they like"),
        (["a", "--webhook", "https://desk.example.org", "--every", "often"], 2, "no span"),
        (["a", "--webhook", "https://desk.example.org", "--every", "99999w"], 2, "from 1m to 7d"),
        (["a", "--webhook", "https://desk.example.org", "--secret-file", __file__], 2, "whsec_ and the base64"),
        (["a", "--feed", "--secret-file", __file__], 2, "only messages to a webhook are signed"),
    ],
)
def test_a_wrong_alert_is_told_what_is_right(tmp_path: Path, arguments: list[str], code: int, says: str) -> None:
    answer = alerts(tmp_path, "add", *arguments)
    assert answer.code == code
    assert says in " ".join(answer.err.replace("│", " ").split())
    assert list(tmp_path.iterdir()) == [], "nothing was opened"


def test_a_name_is_taken_once(folder: Path) -> None:
    done(folder, "add", "a", "--feed")
    assert "there is an alert 'a'" in alerts(folder, "add", "a", "--feed").err
    assert "ask for /v1/alerts/a.atom" in alerts(folder, "test", "a").err
    done(folder, "remove", "a")


def test_run_sends_what_it_finds(tmp_path: Path, embedded: Pipeline, receiver: Receiver) -> None:
    done(tmp_path, "add", "desk", "--webhook", receiver.url, environment=PRIVATE)
    embedded.publish([article(number, "Rebels killed 7 in the market.") for number in range(2)])
    Run(
        broker=embedded.broker,
        store=embedded.store,
        settings=Settings.model_validate({"data_dir": tmp_path, "alerts": {"allow_private": True}}),
        load_coder=KeywordCoder,
        load_feeds=lambda: [],
        once=True,
        stop=threading.Event(),
        on_feeds=lambda feeds: None,
        on_result=lambda result: None,
        on_batch=lambda batch: None,
        on_tick=lambda: None,
    ).run()
    told = {each["incident_id"] for got in receiver.got for each in got.told["incidents"]}
    assert told and told == {each.incident_id for each in embedded.incidents()}
