"""Alerts by mail, through a real server that wants STARTTLS and a login."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import pytest

from ingest.alerts.notify import NotifierStats, run_notifier, send_test
from ingest.doctor import _alerts
from ingest.settings import Settings
from tests.ingest.alerts.conftest import Desk, smtp_of
from tests.ingest.alerts.receivers import Mailbox
from tests.ingest.alerts.telling import MARCHED

HOSTILE = "Blast\r\nBcc: victim@example.org\r\n\r\n<script>alert(1)</script> \u202eevil\x1b[2J"


def with_mail(desk: Desk, mailbox: Mailbox, **fields: object) -> Settings:
    return Settings.model_validate(desk.settings.model_dump() | {"smtp": smtp_of(mailbox, **fields)})


def notify(desk: Desk, mailbox: Mailbox, **fields: object) -> NotifierStats:
    return run_notifier(desk.store, with_mail(desk, mailbox, **fields), once=True)


def parts(mail: EmailMessage) -> tuple[str, str]:
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text and html
    return text.get_content(), html.get_content()


def test_an_incident_can_be_told_to_each_address_by_itself(desk: Desk, mailbox: Mailbox) -> None:
    alert = desk.add(emails=("a@example.org", "b@example.org"))
    desk.papers.report()
    desk.papers.report(paper=1)
    assert notify(desk, mailbox).sent == 2
    assert sorted(recipient for recipient, _ in mailbox.mails) == ["a@example.org", "b@example.org"]
    for recipient, mail in mailbox.mails:
        assert mail["To"] == recipient
        assert mail["Subject"] == "[desk] ASSAULT in El Fasher, Sudan: at least 12 dead (2 sources)"
        assert mail["From"] == "desk@example.org"
        text, html = parts(mail)
        assert "shelled the market in El Fasher" in text and "https://sahel-courier.example.org/" in text
        assert "<blockquote><p>The army shelled" in html
    ids = {mail["Message-ID"] for _, mail in mailbox.mails}
    assert ids == {f"<{each.delivery_id}@example.org>" for each in desk.deliveries(alert)}
    assert mailbox.logins and all(mailbox.logins)


def test_what_comes_within_a_minute_is_in_the_next_mail(local: Desk, mailbox: Mailbox) -> None:
    alert = local.add(emails=("a@example.org",))
    local.papers.report()
    assert notify(local, mailbox).sent == 1
    local.papers.report(MARCHED)
    local.papers.report(paper=2)
    assert notify(local, mailbox).sent == 0
    (after,) = local.store.alerts.all()
    assert local.store.alerts.advance(after, after.position, datetime.now(UTC) - timedelta(seconds=1), (), ())
    assert notify(local, mailbox).sent == 1
    last = mailbox.mails[-1][1]
    assert last["Subject"] == "[desk] 2 incidents"
    text, _ = parts(last)
    assert "PROTEST in Suva, Fiji (1 source)" in text and "changed: status, more sources" in text
    assert len(local.deliveries(alert)) == 2


def test_nothing_in_a_title_or_a_name_can_inject(local: Desk, mailbox: Mailbox) -> None:
    local.add(emails=("a@example.org",))
    place = ("Lost\r\nBcc: victim@example.org <b>", "SDN", 13.63, 25.35, 371760)
    local.papers.report(
        title=HOSTILE, url="javascript:alert(1)", place=place, actor=('<img src=x onerror="1">', None, "MIL")
    )
    assert notify(local, mailbox).sent == 1
    ((recipient, mail),) = mailbox.mails
    assert recipient == "a@example.org" and mail["Bcc"] is None
    assert "victim" in mail["Subject"] and "\n" not in mail["Subject"]
    text, html = parts(mail)
    for said in (text, html):
        assert "\u202e" not in said and "\x1b" not in said
    assert "<script" not in html and "<img" not in html and "javascript:" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_a_recipient_that_is_refused_holds_up_no_other(
    local: Desk, mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    alert = local.add(emails=("a@example.org", "gone@example.org", "full@example.org"))
    mailbox.refuse |= {"gone@example.org": "550 5.1.1 no such user", "full@example.org": "452 4.2.2 mailbox full"}
    local.papers.report()
    stats = notify(local, mailbox)
    assert (stats.sent, stats.lost, stats.failed) == (1, 1, 1)
    found = {each.recipient: each for each in local.deliveries(alert)}
    assert found["gone@example.org"].result == "refused"
    assert "550 5.1.1 no such user" in (found["gone@example.org"].error or "")
    assert found["full@example.org"].due and "452" in (found["full@example.org"].error or "")
    assert "hunter2" not in caplog.text


@pytest.mark.usefixtures("soon")
def test_a_server_that_fails_is_asked_again_with_the_same_mail(local: Desk, mailbox: Mailbox) -> None:
    alert = local.add(emails=("a@example.org",))
    local.papers.report()
    mailbox.replies.extend(["451 4.3.0 try again", "421 4.3.2 shutting down"])
    stats = notify(local, mailbox)
    assert (stats.sent, stats.failed) == (1, 2)
    (delivery,) = local.deliveries(alert)
    assert mailbox.mails[0][1]["Message-ID"] == f"<{delivery.delivery_id}@example.org>"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"password": "wrong"}, "535"),
        ({"port": 9}, "refused"),
        ({"host": None}, "no mail server is set"),
        ({"user": None, "security": "none"}, "530"),
    ],
)
def test_a_server_that_does_not_let_us_in_is_told_of(
    local: Desk, mailbox: Mailbox, fields: dict[str, object], says: str
) -> None:
    alert = local.add(emails=("a@example.org",))
    local.papers.report()
    assert notify(local, mailbox, **fields).failed == 1
    (delivery,) = local.deliveries(alert)
    assert delivery.error and says in delivery.error and "hunter2" not in delivery.error
    found = {each.what: each for each in _alerts(with_mail(local, mailbox, **fields), local.store)}
    assert found["alerts"].status == "warn" and says in found["alerts"].says
    if "security" not in fields:  # who wants no login is told only when there is a mail
        # Without a host it may be only here that none is known: the notifier has settings of its own.
        assert found["mail"].status == ("fail" if "host" not in fields else "warn") and says in found["mail"].says


def test_a_server_whose_certificate_is_not_trusted_gets_no_password(
    local: Desk, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    local.add(emails=("a@example.org",))
    local.papers.report()
    assert notify(local, mailbox).failed == 1
    assert mailbox.logins == [] and mailbox.mails == []


def test_a_sample_can_be_sent_by_mail(local: Desk, mailbox: Mailbox) -> None:
    alert = local.add(emails=("a@example.org", "gone@example.org"))
    mailbox.refuse["gone@example.org"] = "550 no"
    local.papers.report()
    settings = with_mail(local, mailbox)
    came = dict(send_test(local.store, settings, alert, datetime.now(UTC)))
    assert {name: attempt.outcome for name, attempt in came.items()} == {
        "a@example.org": "sent",
        "gone@example.org": "refused",
    }
    assert mailbox.mails[0][1]["Subject"].startswith("[desk, test] ")
    assert [each.status for each in _alerts(settings, local.store)] == ["ok", "ok"]


def test_doctor_says_that_nobody_looks(local: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    local.add()
    monkeypatch.setattr("ingest.doctor._NOTIFIED", timedelta(0))
    assert [each.status for each in _alerts(local.settings, local.store)] == ["ok"]
    local.papers.report()
    (finding,) = _alerts(local.settings, local.store)
    assert finding.status == "warn" and "nobody looks" in finding.says and "conflictwire notify" in finding.advice


def test_a_password_is_not_sent_in_the_clear() -> None:
    with pytest.raises(ValueError, match="in the clear"):
        Settings.model_validate({"smtp": {"host": "mail.example.org", "user": "u", "security": "none"}})
