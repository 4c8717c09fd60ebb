"""Messages as e-mail: text and plain HTML, through the server of the settings (RFC 5321, 5322)."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from html import escape

from ingest.alerts.words import Shown, as_html, as_text, cut, headline
from ingest.errors import ServerUnreachable
from ingest.settings import Smtp
from models.errors import ConflictwireError

_LONGEST_SUBJECT = 150


class MailRefused(ConflictwireError):
    """The server refuses this message for good."""


class MailFailed(ServerUnreachable):
    """The message could not be handed over; trying again may help."""


def parse_address(text: str) -> str:
    """An e-mail address, ASCII, without a name. Raises ValueError."""
    try:
        address = Address(addr_spec=text)
    except (ValueError, HeaderParseError, IndexError):
        address = Address()
    if not text.isascii() or not text.isprintable() or " " in text or not (address.username and address.domain):
        raise ValueError(f"{text!r} is no e-mail address: give one such as desk@example.org")
    return address.addr_spec


def message(
    alert: str, delivery_id: str, sender: str, recipient: str, created: datetime, told: Sequence[Shown], more: int
) -> EmailMessage:
    """The mail; the same for the same delivery, its Message-ID too. `more` incidents are not in it."""
    made = EmailMessage()
    number = len(told) + more
    about = headline(told[0].record) if number == 1 else f"{number} incidents"
    withdrawn = number == 1 and told[0].change == "withdrawn" and not about.startswith("Withdrawn")
    made["Subject"] = cut(f"[{alert}] {'Withdrawn: ' if withdrawn else ''}{about}", _LONGEST_SUBJECT)
    made["From"] = sender
    made["To"] = recipient
    made["Date"] = format_datetime(created.astimezone(UTC))
    made["Message-ID"] = f"<{delivery_id}@{sender.rpartition('@')[2]}>"
    # So that no holiday notice answers (RFC 3834).
    made["Auto-Submitted"] = "auto-generated"
    left = f"{more} more: conflictwire incidents shows them." if more else ""
    left = left if number else "No incident passes the filter yet."
    made.set_content("\n\n".join(filter(None, [*map(as_text, told), left])) + "\n")
    html = "".join(f"<h2>{escape(headline(each.record))}</h2>{as_html(each)}" for each in told)
    html += f"<p>{escape(left)}</p>" if left else ""
    made.add_alternative(f'<!DOCTYPE html><html lang="en"><body>{html}</body></html>\n', subtype="html")
    return made


def connect(smtp: Smtp) -> smtplib.SMTP:
    """A connection to the server, logged in. Raises MailFailed."""
    if smtp.host is None:
        raise MailFailed("no mail server is set: set smtp.host and smtp.sender (docs/alerts.md)")
    where = f"mail server {smtp.host}:{smtp.port}"
    context = ssl.create_default_context()
    server: smtplib.SMTP | None = None
    try:
        if smtp.security == "tls":
            server = smtplib.SMTP_SSL(smtp.host, smtp.port, timeout=smtp.timeout, context=context)
        else:
            server = smtplib.SMTP(smtp.host, smtp.port, timeout=smtp.timeout)
            if smtp.security == "starttls":
                server.starttls(context=context)
        if smtp.user:
            server.login(smtp.user, smtp.secret)
        return server
    except (smtplib.SMTPException, OSError, ValueError) as error:
        if server is not None:
            server.close()
        raise MailFailed(f"{where}: {_said(error)}") from error


def send(smtp: Smtp, mail: EmailMessage) -> str:
    """Hand a mail over; what the server said to it. Raises MailRefused, MailFailed."""
    where = f"mail server {smtp.host}:{smtp.port}"
    server = connect(smtp)
    try:
        server.send_message(mail)
        return f"{where}: taken"
    except smtplib.SMTPRecipientsRefused as error:
        # One recipient a message.
        code, said = next(iter(error.recipients.values()), (0, b""))
        raise _failure(code, f"{where}: {code} {_text(said)}") from error
    except smtplib.SMTPSenderRefused as error:
        # It wants a login, or another sender: for the operator to set right, and then this message can go too.
        raise MailFailed(f"{where}: {_said(error)}") from error
    except smtplib.SMTPResponseException as error:
        raise _failure(error.smtp_code, f"{where}: {_said(error)}") from error
    except (smtplib.SMTPException, OSError, ValueError) as error:
        raise MailFailed(f"{where}: {_said(error)}") from error
    finally:
        with suppress(smtplib.SMTPException, OSError):
            server.quit()


def _failure(code: int, says: str) -> MailRefused | MailFailed:
    return MailRefused(says) if 500 <= code < 600 else MailFailed(says)


def _said(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_text(error.smtp_error)}"
    return cut(str(error), 200) or type(error).__name__


def _text(said: bytes | str) -> str:
    return cut(said.decode(errors="replace") if isinstance(said, bytes) else said, 200)
