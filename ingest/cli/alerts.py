"""Commands of alerts: alerts add, list, show, remove, pause, resume, test; notify."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingest.cli.common import (
    CountryOption,
    Session,
    TableFormat,
    TextFormat,
    TypeOption,
    checked,
    session_of,
    write_line,
)
from ingest.cli.incidents import (
    ActorOption,
    BoxOption,
    LanguageOption,
    MinSourcesOption,
    SourceOption,
    StatusOption,
    wanted_incidents,
)
from ingest.cli.pipeline import MetricsPortOption
from ingest.cli.values import parse_span
from models.errors import ConflictwireError

if TYPE_CHECKING:
    from ingest.storage import Alert, Delivery, Store, Waiting
    from ingest.storage.alerts import Channel

app = typer.Typer(
    help="Saved filters that send: add, list, show, remove, pause, resume, test. See docs/alerts.md.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_SHOWN = 20  # messages
_LONGEST_PERIOD = 7 * 86_400.0
_FIRST_LOOK_BACK = timedelta(days=1)

NameArgument = Annotated[str, typer.Argument(help="As `alerts list` shows it.", show_default=False)]


@app.command()
def add(
    ctx: typer.Context,
    name: Annotated[
        str, typer.Argument(help="Letters, digits, - and _; it stands in subjects and addresses.", show_default=False)
    ],
    webhook: Annotated[
        str | None, typer.Option("--webhook", metavar="URL", help="Send to this address, as signed JSON.")
    ] = None,
    email: Annotated[
        list[str] | None, typer.Option("--email", metavar="ADDRESS", help="Send mail to it; may be repeated.")
    ] = None,
    feed: Annotated[
        bool, typer.Option("--feed", help="Show in an Atom feed of its own, which `serve` serves.")
    ] = False,
    every: Annotated[
        str | None,
        typer.Option(
            "--every",
            metavar="SPAN",
            help="One message for each hour (1h), day (1d), ... in UTC.",
            show_default="at once",
        ),
    ] = None,
    secret_file: Annotated[
        Path | None,
        typer.Option(
            "--secret-file",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Sign with the secret in this file, not with a new one.",
        ),
    ] = None,
    type: TypeOption = None,
    country: CountryOption = None,
    status: StatusOption = None,
    min_sources: MinSourcesOption = None,
    actor: ActorOption = None,
    source: SourceOption = None,
    language: LanguageOption = None,
    bbox: BoxOption = None,
) -> None:
    """Save a filter of incidents and where what passes it is sent: to a webhook, by mail, or in a feed.

    An incident is told when it first passes, when status, type, place, dead, injured or a level of independent sources
    change, and when it is withdrawn. `conflictwire notify`, or `run`, does that from now on; a feed begins with the last day.
    The secret of a webhook, or the address of a feed with its token, is printed and not shown again.

    \b
    Examples:
      conflictwire alerts add sudan --type ASSAULT --country SDN --min-sources 2 --feed
      conflictwire alerts add desk --country SDN --email desk@example.org --email night@example.org --every 1d
      conflictwire alerts add hook --status contradicted --webhook https://desk.example.org/hooks/conflictwire
    """
    from ingest.alerts.decide import next_look
    from ingest.alerts.mail import parse_address
    from ingest.alerts.webhook import new_secret, parse_secret, parse_url, shown_url
    from ingest.api.keys import FEED, new_key
    from ingest.storage import Alert

    session = session_of(ctx)
    if not _NAME.fullmatch(name):
        raise typer.BadParameter("give 1 to 63 letters, digits, - and _", param_hint="NAME")
    if sum((webhook is not None, bool(email), feed)) != 1:
        raise typer.BadParameter("give one of --webhook URL, --email ADDRESS (may be repeated) and --feed")
    wanted = wanted_incidents(type, country, status, min_sources, actor, source, language, bbox)
    period = None if every is None else checked(parse_span, every).total_seconds()
    if period is not None and (feed or not 60 <= period <= _LONGEST_PERIOD):
        said = "readers ask a feed when they like" if feed else "give a span from 1m to 7d"
        raise typer.BadParameter(said, param_hint="--every")
    if secret_file and webhook is None:
        raise typer.BadParameter("only messages to a webhook are signed", param_hint="--secret-file")
    now, url, secret, token, key = datetime.now(UTC), "", "", "", None
    alert_id = secrets.token_hex(8)
    channel: Channel
    if webhook is not None:
        url = checked(parse_url, webhook, session.settings)
        secret = checked(parse_secret, secret_file.read_text("utf-8")) if secret_file else new_secret()
        channel, target = "webhook", shown_url(url)
    elif email:
        channel, target = "email", " ".join(dict.fromkeys(checked(parse_address, each) for each in email))
        if session.settings.smtp.host is None:
            raise ConflictwireError("no mail server is set: set smtp.host and smtp.sender first (docs/alerts.md)")
        checked(parse_address, session.settings.smtp.sender)
    else:
        channel, target = "feed", f"/v1/alerts/{name}.atom"
        token, key = new_key(f"feed of alert {name}", [FEED], now)
    with session.store() as store:
        position = store.settled(now) - (_FIRST_LOOK_BACK if feed else timedelta())
        key_id = key.key_id if key else None
        alert = Alert(alert_id, name, channel, target, wanted, now, position, period, key_id=key_id)
        alert = replace(alert, due=next_look(alert, now, False))
        if not store.alerts.add(alert, url, secret, key):
            raise ConflictwireError(f"there is an alert {name!r}; `conflictwire alerts show {name}` shows it")
    if secret and not secret_file:
        write_line(secret)
        session.say("the secret that its messages are signed with; keep it, it is not shown again")
    if token:
        api = session.settings.api
        host = f"[{api.host}]" if ":" in api.host else api.host
        write_line(f"http://{host}:{api.port}{target}?token={token}")
        session.say("the address of its feed, with a token; keep it, it is not shown again")
    session.say(f"alert {name} added; `conflictwire notify`, or `run`, tells what passes from now on")


def _known(store: Store, name: str) -> Alert:
    alert = store.alerts.get(name)
    if alert is None:
        raise ConflictwireError(f"there is no alert {name!r}; `conflictwire alerts list` shows which there are")
    return alert


def _state(alert: Alert, waiting: Waiting | None) -> str:
    if alert.paused:
        return f"paused: {alert.paused}"
    if waiting is None:
        return "ok"
    return f"{waiting.number} waiting" + (f": {waiting.error}" if waiting.error else "")


def _every(alert: Alert) -> str:
    from ingest.cli.values import format_span

    return "at once" if alert.every is None else f"every {format_span(alert.every)}"


def _as_json(alert: Alert, waiting: Waiting | None) -> dict[str, Any]:
    from ingest.records import format_time
    from ingest.storage.alerts import filter_to_json

    return {
        "name": alert.name,
        "channel": alert.channel,
        "target": alert.target,
        "filter": json.loads(filter_to_json(alert.filter)),
        "every": alert.every,
        "created": format_time(alert.created),
        "paused": alert.paused,
        "looked": format_time(alert.position),
        "next_look": alert.due and format_time(alert.due),
        "waiting": waiting.number if waiting else 0,
        "oldest_waiting": format_time(waiting.oldest) if waiting else None,
        "error": waiting.error if waiting else None,
    }


@app.command("list")
def list_alerts(
    ctx: typer.Context,
    format: Annotated[TableFormat, typer.Option("--format", help="A table, or one JSON record a line.")] = "table",
) -> None:
    """Show the alerts, where they send, and whether messages wait.

    \b
    Examples:
      conflictwire alerts list
      conflictwire alerts list --format json | jq 'select(.waiting > 0)'
    """
    from ingest.render import add_row, new_table, safe_json

    session = session_of(ctx)
    with session.store() as store:
        alerts = store.alerts.all()
        waiting = {each.alert_id: each for each in store.alerts.waiting()}
    if format == "json":
        for alert in alerts:
            told = _as_json(alert, waiting.get(alert.alert_id))
            write_line(safe_json(json.dumps(told, ensure_ascii=False)))
        return
    if not alerts:
        session.say("no alerts: `conflictwire alerts add --help` shows how to add one")
        return
    table = new_table("name", "channel", "to", "filter", "when", "state", wide=("to", "filter", "state"))
    for alert in alerts:
        state = _state(alert, waiting.get(alert.alert_id))
        add_row(table, [alert.name, alert.channel, alert.target, _filter(alert), _every(alert), state])
    session.out.print(table)


def _filter(alert: Alert) -> str:
    from ingest.storage.alerts import filter_to_json

    said = json.loads(filter_to_json(alert.filter))
    shown = (
        f"{name} {','.join(map(str, value)) if isinstance(value, list) else value}" for name, value in said.items()
    )
    return "; ".join(shown) or "every incident"


@app.command()
def show(
    ctx: typer.Context,
    name: NameArgument,
    format: Annotated[TextFormat, typer.Option("--format", help="Lines to read, or one JSON object.")] = "text",
) -> None:
    """Show one alert: what it told last, its messages, failures, the last error, and the next try.

    Messages that are done are kept for 30 days.

    \b
    Examples:
      conflictwire alerts show sudan
      conflictwire alerts show sudan --format json | jq '.deliveries[] | select(.error)'
    """
    from rich.text import Text

    from ingest.records import format_time
    from ingest.render import safe, safe_json, short_time

    session = session_of(ctx)
    with session.store() as store:
        alert = _known(store, name)
        waiting = next((each for each in store.alerts.waiting() if each.alert_id == alert.alert_id), None)
        told = store.alerts.told_last(alert.alert_id, _SHOWN)
        deliveries = store.alerts.deliveries(alert.alert_id, _SHOWN)
    if format == "json":
        whole = _as_json(alert, waiting) | {
            "told": [
                {
                    "incident_id": each.incident_id,
                    "revision": each.revision,
                    "change": each.change,
                    "why": list(each.why),
                    "first": format_time(each.first),
                    "changed": format_time(each.changed),
                }
                for each in told
            ],
            "deliveries": [_delivery_as_json(each) for each in deliveries],
        }
        write_line(safe_json(json.dumps(whole, ensure_ascii=False)))
        return
    lines = [
        f"{alert.name}: {alert.channel} to {alert.target}, {_every(alert)}",
        f"filter: {_filter(alert)}",
        f"state: {_state(alert, waiting)}",
        f"looked at up to {short_time(alert.position)}" + (f", next at {short_time(alert.due)}" if alert.due else ""),
    ]
    for each in told[:5]:
        why = f" ({', '.join(each.why)})" if each.why else ""
        lines.append(
            f"told {short_time(each.changed)}  {each.incident_id} revision {each.revision}  {each.change}{why}"
        )
    for delivery in deliveries:
        to = f" to {delivery.recipient}" if delivery.recipient else ""
        number = len(delivery.items) + delivery.more
        incidents = f"{number} {'incident' if number == 1 else 'incidents'}"
        head = f"message {short_time(delivery.created)}  {delivery.delivery_id}{to}  {incidents}  "
        tries = f"{delivery.attempts} {'try' if delivery.attempts == 1 else 'tries'}"
        due = f"waiting, next try {short_time(delivery.due)}" if delivery.due else delivery.result or ""
        lines.append(f"{head}{due.replace('_', ' ')}, {tries}" + (f": {delivery.error}" if delivery.error else ""))
    for line in lines:
        session.out.print(Text(safe(line)), soft_wrap=True)


def _delivery_as_json(delivery: Delivery) -> dict[str, Any]:
    from ingest.records import format_time

    return {
        "delivery_id": delivery.delivery_id,
        "recipient": delivery.recipient or None,
        "created": format_time(delivery.created),
        "incidents": [[each.incident_id, each.revision, each.change] for each in delivery.items],
        "more": delivery.more,
        "attempts": delivery.attempts,
        "next_try": delivery.due and format_time(delivery.due),
        "done": delivery.done and format_time(delivery.done),
        "result": delivery.result,
        "error": delivery.error,
    }


@app.command()
def remove(ctx: typer.Context, name: NameArgument) -> None:
    """Remove an alert with what it told and what waits to be sent; the token of its feed opens nothing any more.

    \b
    Examples:
      conflictwire alerts remove sudan
    """
    session = session_of(ctx)
    with session.store() as store:
        store.alerts.remove(_known(store, name), datetime.now(UTC))
    session.say(f"alert {name} removed")


@app.command()
def pause(ctx: typer.Context, name: NameArgument) -> None:
    """Pause an alert: nothing is told or sent until `alerts resume`; then it goes on where it was.

    \b
    Examples:
      conflictwire alerts pause sudan
    """
    session = session_of(ctx)
    with session.store() as store:
        store.alerts.pause(_known(store, name).alert_id, "by hand")
    session.say(f"alert {name} paused")


@app.command()
def resume(ctx: typer.Context, name: NameArgument) -> None:
    """Let a paused alert go on where it was: what has changed meanwhile is told as it is now.

    \b
    Examples:
      conflictwire alerts resume sudan
    """
    session = session_of(ctx)
    with session.store() as store:
        alert = _known(store, name)
        if not alert.paused:
            raise ConflictwireError(f"alert {name} is not paused")
        store.alerts.pause(alert.alert_id, None)
    session.say(f"alert {name} goes on")


@app.command()
def test(ctx: typer.Context, name: NameArgument) -> None:
    """Send a sample now, the last incident that passes the filter, and say what came back. Fails if it was not taken.

    It is sent once, nothing is noted, and its id begins with test_.

    \b
    Examples:
      conflictwire alerts test sudan
    """
    from ingest.alerts.notify import send_test

    session: Session = session_of(ctx)
    with session.store() as store:
        alert = _known(store, name)
        if alert.channel == "feed":
            raise ConflictwireError(
                f"nothing is sent to a feed: ask for {alert.target} where `conflictwire serve` listens"
            )
        failed = 0
        for recipient, attempt in send_test(store, session.settings, alert, datetime.now(UTC)):
            failed += attempt.outcome != "sent"
            write_line(f"{recipient}: {'sent' if attempt.outcome == 'sent' else 'not sent'}; {attempt.says}")
    if failed:
        raise typer.Exit(1)


def notify(
    ctx: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="End when what is due now was tried.")] = False,
    metrics_port: MetricsPortOption = None,
) -> None:
    """Send what alerts are for: look at incidents that change, and send messages, with retries for a day.

    Goes on until Ctrl-C. Any number may work on a store; whatever kills one, no message is lost, and one that is sent again
    has the same id. `conflictwire run` does this by itself.

    \b
    Examples:
      conflictwire notify
      conflictwire notify --once
    """
    from ingest.alerts.notify import notify as notify_all
    from ingest.health import serving

    session = session_of(ctx)
    session.options |= {} if metrics_port is None else {"metrics": {"port": metrics_port}}
    session.make_data_dir()
    with serving(session.settings, workers=False, articles=False, broker=False):
        code = notify_all(session.settings, once=once)
    raise typer.Exit(code)
