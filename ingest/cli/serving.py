"""Commands of the API: serve, keys."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from ingest.cli.common import TableFormat, session_of, write_line
from models.errors import ConflictwireError

app = typer.Typer(
    help="Keys of the API: add, list, revoke.", no_args_is_help=True, rich_markup_mode=None, add_completion=False
)


def serve(
    ctx: typer.Context,
    host: Annotated[
        str | None, typer.Option("--host", metavar="ADDRESS", help="Where to listen.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", "-p", min=0, max=65535, metavar="PORT", help="0: any.", show_default="8080"),
    ] = None,
    page: Annotated[
        bool | None, typer.Option("--page/--no-page", help="Serve the page too.", show_default="--page")
    ] = None,
) -> None:
    """Serve the API and the page until Ctrl-C. See docs/api.md.

    It listens on this machine only unless told otherwise; on an address that others can reach it needs keys. The store is
    only read, so on PostgreSQL it can connect as conflictwire_reader.

    \b
    Examples:
      conflictwire serve
      conflictwire serve --host 0.0.0.0 --port 8443
      curl 'http://127.0.0.1:8080/v1/incidents?country=SDN&min_sources=2'
    """
    from ingest.api.server import serve as serve_api

    session = session_of(ctx)
    given = {"host": host, "port": port, "page": page}
    changes = {name: value for name, value in given.items() if value is not None}
    api = session.settings.api.model_copy(update=changes)
    session.make_data_dir()
    settings = session.settings.model_copy(update={"api": api})
    raise typer.Exit(serve_api(settings, lambda url: write_line(f"listening on {url}")))


@app.command()
def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Whose it is, for the list.", show_default=False)],
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", "-s", metavar="SCOPE", help="read, full_text; may be repeated.", show_default="read"),
    ] = None,
) -> None:
    """Make a key and print it. It is kept as a hash only: nobody can print it again.

    \b
    Examples:
      conflictwire keys add "desk, Ana"
      conflictwire keys add archive --scope read --scope full_text
    """
    from ingest.api.keys import SCOPES, new_key

    scopes = list(dict.fromkeys(scope or ["read"]))
    for each in scopes:
        if each not in SCOPES:
            raise typer.BadParameter(f"{each!r} is no scope: give one of {', '.join(SCOPES)}", param_hint="--scope")
    if not name.strip() or len(name) > 100 or not name.isprintable():
        raise typer.BadParameter("give 1 to 100 printable characters", param_hint="NAME")
    session = session_of(ctx)
    key, kept = new_key(name.strip(), scopes, datetime.now(UTC))
    with session.store() as store:
        store.add_key(kept)
    write_line(key)
    session.say(f"key {kept.key_id} for {kept.name}: {', '.join(scopes)}; keep it, it is not shown again")


@app.command("list")
def list_keys(
    ctx: typer.Context,
    format: Annotated[TableFormat, typer.Option("--format", help="A table, or one JSON record a line.")] = "table",
) -> None:
    """Show the keys, revoked ones too.

    \b
    Examples:
      conflictwire keys list
      conflictwire keys list --format json | jq 'select(.last_used == null)'
    """
    import json

    from ingest.records import format_time
    from ingest.render import add_row, new_table, safe_json, short_time

    session = session_of(ctx)
    with session.store() as store:
        keys = store.keys()
    if format == "json":
        for key in keys:
            times = {name: getattr(key, name) for name in ("created", "revoked", "last_used")}
            shown = {name: value and format_time(value) for name, value in times.items()}
            said = {"key_id": key.key_id, "name": key.name, "scopes": list(key.scopes)} | shown
            write_line(safe_json(json.dumps(said, ensure_ascii=False)))
        return
    if not keys:
        session.say("no keys: `conflictwire keys add NAME` makes one")
        return
    table = new_table("id", "name", "scopes", "created", "last used", "revoked", wide=("name",))
    for key in keys:
        used = short_time(key.last_used) if key.last_used else ""
        revoked = short_time(key.revoked) if key.revoked else ""
        add_row(table, [key.key_id, key.name, " ".join(key.scopes), short_time(key.created), used, revoked])
    session.out.print(table)


@app.command()
def revoke(
    ctx: typer.Context, key_id: Annotated[str, typer.Argument(help="As `keys list` shows it.", show_default=False)]
) -> None:
    """Revoke a key. Servers refuse it within five seconds, and end its live streams within twenty.

    \b
    Examples:
      conflictwire keys revoke 3f2a9c1e77d0
    """
    session = session_of(ctx)
    with session.store() as store:
        if not store.revoke_key(key_id, datetime.now(UTC)):
            raise ConflictwireError(f"no key {key_id} that is not revoked: `conflictwire keys list` shows them")
    session.say(f"key {key_id} revoked")
