"""Logins that have one of the roles of migration 0009, on a server of the tests."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.servers.postgres import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def login(server: PostgresServer, database: str, *roles: str) -> Iterator[str]:
    """The URL of `database` for a new user who has `roles` and nothing else; dropped at the end."""
    name, password = f"user_{secrets.token_hex(4)}", secrets.token_hex(12)
    with server.connect() as connection:
        connection.execute(f"CREATE USER {name} PASSWORD '{password}'")
        for role in roles:
            connection.execute(f"GRANT {role} TO {name}")
    try:
        yield server.url(database).replace(f"conflictwire:{server.password}@", f"{name}:{password}@")
    finally:
        with server.connect(database) as connection:
            connection.execute(f"REASSIGN OWNED BY {name} TO CURRENT_USER")
            connection.execute(f"DROP OWNED BY {name}")
        with server.connect() as connection:
            connection.execute(f"REASSIGN OWNED BY {name} TO CURRENT_USER")
            connection.execute(f"DROP OWNED BY {name}")
            connection.execute(f"DROP ROLE {name}")
