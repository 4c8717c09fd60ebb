"""A Kafka that lets nobody in without TLS and SCRAM, and everybody do only what an ACL allows them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ACLResourcePatternType, ResourcePattern, ResourceType

from tests.servers.kafka import KafkaServer

MECHANISM = "SCRAM-SHA-512"
_LOGIN = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
ADMIN = "admin"


class SecuredKafka(KafkaServer):
    """`users` are names with their passwords; `ADMIN` among them may do everything, the others what `allow` says.

    The certificate of the broker, which clients trust, lies in `authority`.
    """

    def __init__(self, folder: Path, users: Mapping[str, str]) -> None:
        key, self.authority = folder / "key.pem", folder / "authority.pem"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
                *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(self.authority)),
            ],
            check=True,
            capture_output=True,
        )
        both = folder / "both.pem"
        both.write_text(key.read_text() + self.authority.read_text())
        self.users = users
        super().__init__(
            {
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": str(both),
                "sasl.enabled.mechanisms": MECHANISM,
                f"listener.name.clients.{MECHANISM.lower()}.sasl.jaas.config": _LOGIN,
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                # ANONYMOUS is the broker itself, on its own listeners.
                "super.users": f"User:ANONYMOUS;User:{ADMIN}",
            },
            listener="SASL_SSL",
            scram=users,
            mechanism=MECHANISM,
        )

    def settings(self, user: str) -> dict[str, Any]:
        """`settings.kafka` for a user."""
        return {
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": MECHANISM,
            "ssl_cafile": self.authority,
            "username": user,
            "password": self.users[user],
        }

    def admin(self) -> KafkaAdminClient:
        """A client of kafka-python that may do everything; to be closed."""
        return KafkaAdminClient(bootstrap_servers=self.bootstrap, **self.client(ADMIN))

    def client(self, user: str) -> dict[str, Any]:
        """The options of kafka-python for a user."""
        return {
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": MECHANISM,
            "ssl_cafile": str(self.authority),
            "sasl_plain_username": user,
            "sasl_plain_password": self.users[user],
        }

    def allow(self, rules: Iterable[tuple[str, str, str, str]]) -> None:
        """Add ACLs: user, operation, kind of resource, its name (a prefix of it where it ends in `*`)."""
        acls = [
            ACL(
                principal=f"User:{user}",
                host="*",
                operation=ACLOperation[_constant(operation)],
                permission_type=ACLPermissionType.ALLOW,
                resource_pattern=ResourcePattern(
                    ResourceType[_constant(kind)],
                    name.removesuffix("*"),
                    ACLResourcePatternType.PREFIXED if name.endswith("*") else ACLResourcePatternType.LITERAL,
                ),
            )
            for user, operation, kind, name in rules
        ]
        admin = self.admin()
        try:
            outcome = admin.create_acls(acls)
            assert not outcome["failed"], outcome["failed"]
        finally:
            admin.close()


def _constant(words: str) -> str:
    """`TransactionalId` as TRANSACTIONAL_ID."""
    return "".join(f"_{mark}" if mark.isupper() and at else mark for at, mark in enumerate(words)).upper()
