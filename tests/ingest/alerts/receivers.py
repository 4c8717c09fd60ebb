"""What alerts are sent to, on loopback: a web server that answers as it is told, and a mail server with STARTTLS and login."""

from __future__ import annotations

import ipaddress
import json
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Got:
    """A request, in the order of arrival."""

    headers: dict[str, str]
    body: bytes
    path: str

    @property
    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class Answer:
    """How to answer one request; `seconds` before it does."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    seconds: float = 0.0


class Receiver:
    """A web server; `answers` are used up one after the other, then `always`."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.answers: deque[Answer] = deque()
        self.always = Answer()
        self._news = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver._news:
                    receiver.got.append(Got({k.lower(): v for k, v in self.headers.items()}, body, self.path))
                    answer = receiver.answers.popleft() if receiver.answers else receiver.always
                    receiver._news.notify_all()
                time.sleep(answer.seconds)
                try:
                    self.send_response(answer.status)
                    for name, value in ({"Content-Length": str(len(answer.body))} | answer.headers).items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(answer.body)
                except OSError:
                    return

            do_GET = do_POST  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                """Silent."""

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that has gone is no news."""

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook?token=hunter2"

    def wait(self, count: int, timeout: float = 30.0) -> list[Got]:
        """What has come, once there are so many."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.got) >= count, timeout), f"{len(self.got)} of {count}"
            return list(self.got)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def __enter__(self) -> Receiver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def certificate(folder: Path) -> tuple[Path, Path]:
    """Key and certificate for 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    key_file, cert_file = folder / "key.pem", folder / "cert.pem"
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return key_file, cert_file


@dataclass
class Mailbox:
    """What a mail server took, and how it answers: `refuse` names recipients and the reply to them."""

    host: str
    port: int
    cert: Path
    refuse: dict[str, str] = field(default_factory=dict)
    replies: deque[str] = field(default_factory=deque)
    mails: list[tuple[str, EmailMessage]] = field(default_factory=list)
    logins: list[bool] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802 - the name that aiosmtpd calls
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        reply = self.replies.popleft() if self.replies else "250 OK"
        if reply.startswith("250"):
            content = envelope.content
            assert isinstance(content, bytes)
            mail = BytesParser(policy=default).parsebytes(content)
            self.mails += [(recipient, mail) for recipient in envelope.rcpt_tos]
        return reply


@contextmanager
def mail_server(folder: Path, user: str, password: str) -> Iterator[Mailbox]:
    """A mail server that wants STARTTLS, then the login."""
    key_file, cert_file = certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert_file, key_file)
    mailbox = Mailbox("127.0.0.1", 0, cert_file)

    def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        ok = isinstance(data, LoginPassword) and data.login == user.encode() and data.password == password.encode()
        mailbox.logins.append(ok)
        return AuthResult(success=ok, handled=ok)

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        mailbox.port = probe.getsockname()[1]
    controller = Controller(
        mailbox,
        hostname="127.0.0.1",
        port=mailbox.port,
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=authenticate,
    )
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()


def until(done: Callable[[], Any], seconds: float = 30.0) -> Any:
    """What `done` says, once it says something."""
    end = time.monotonic() + seconds
    while not (found := done()):
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.02)
    return found
