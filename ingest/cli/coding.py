"""Commands that use the coder alone, without broker and store: code, evaluate."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from ingest.cli.common import (
    ConfidenceOption,
    ModelOption,
    ProfileOption,
    TextFormat,
    check_when,
    session_of,
    write_line,
)
from ingest.cli.values import parse_when

if TYPE_CHECKING:
    from models import Coder
    from models.assemble import Assembly
    from models.events import Event

# A line is held in memory as a whole; this is far more than any article.
_LINE_LIMIT = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """One line of `code --jsonl`."""

    id: str | int
    text: str
    title: str | None
    published: datetime | None


def parse_request(line: bytes) -> Request:
    """The request in a line. Raises ValueError saying what is wrong with it."""
    try:
        fields = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start + 1}") from None
    except RecursionError:
        raise ValueError("not JSON: nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise ValueError('not a JSON object such as {"id": "1", "text": "..."}')
    for name, kinds, needed in (
        ("id", (str, int), True),
        ("text", (str,), True),
        ("title", (str,), False),
        ("published", (str,), False),
    ):
        value = fields.get(name)
        if value is None and not needed:
            continue
        if name not in fields:
            raise ValueError(f"no field {name!r}")
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise ValueError(
                f"field {name!r} is no {' or '.join('whole number' if k is int else 'string' for k in kinds)}"
            )
    published = fields.get("published")
    try:
        when = parse_when(published, datetime.now(UTC)) if published is not None else None
    except ValueError as error:
        raise ValueError(f"field 'published': {error}") from None
    return Request(fields["id"], fields["text"], fields.get("title"), when)


def read_lines(file: BinaryIO, limit: int = _LINE_LIMIT) -> Iterator[bytes | None]:
    """The lines of `file`, None in place of one longer than `limit` bytes, which is never held as a whole."""
    while line := file.readline(limit + 1):
        if len(line) <= limit or line.endswith(b"\n"):
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(limit)
        yield None


def code_lines(
    lines: Iterable[tuple[str, bytes | None]],
    coder: Coder,
    min_confidence: float | None,
    published: datetime | None,
    on_error: Callable[[str, str], None],
    explain: bool = False,
) -> Iterator[str]:
    """A line of ASCII JSON for each readable one of `lines`, in their order; `not_coded` says why a text was not read.

    `lines` come with their place in the input, for `on_error(place, what is wrong)`; `published` stands in where a line
    has none. With `explain` each event says under `why` how its arguments were resolved.
    """
    asked: deque[Request] = deque()

    def requests() -> Iterator[Request]:
        for place, line in lines:
            if line is None:
                on_error(place, f"longer than {_LINE_LIMIT} bytes")
                continue
            if not line.strip():
                continue
            try:
                request = parse_request(line)
            except ValueError as error:
                on_error(place, str(error))
                continue
            asked.append(request)
            yield Request(request.id, request.text, request.title, request.published or published)

    from models.text import uncodable

    for coded in coder.explain_many(requests(), min_confidence=min_confidence):
        request = asked.popleft()
        answer: dict[str, object] = {
            "id": request.id,
            "events": [_as_dict(event, coded, explain) for event in coded.events],
        }
        if not coded.events and (reason := uncodable(request.text, request.title or "")):
            answer["not_coded"] = reason
        yield json.dumps(answer, allow_nan=False)


def _as_dict(event: Event, coded: Assembly, explain: bool) -> dict[str, object]:
    if not explain:
        return event.to_dict()
    reasons = [
        {"role": role, "text": span.text, "start": span.start, "end": span.end, "field": span.field, **asdict(why)}
        for role, span, why in coded.reasons(event)
    ]
    return {**event.to_dict(), "why": reasons}


def code(
    ctx: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE",
            help="Plain text, one article a file; none or - is standard input.",
            exists=True,
            dir_okay=False,
            allow_dash=True,
            show_default=False,
        ),
    ] = None,
    jsonl: Annotated[
        bool,
        typer.Option(
            "--jsonl",
            help='Read lines {"id", "text", "title"?, "published"?}, write lines {"id", "events", "not_coded"?}.',
        ),
    ] = False,
    published: Annotated[
        str | None,
        typer.Option("--published", metavar="DATE", help="When the text was published, for words like 'yesterday'."),
    ] = None,
    min_confidence: ConfidenceOption = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Say of each argument by which rule it was resolved, from which words, and what was refused.",
        ),
    ] = False,
    model: ModelOption = None,
    profile: ProfileOption = None,
    format: Annotated[
        TextFormat | None,
        typer.Option(
            "--format", help="Lines to read, or one JSON event a line.", show_default="text; json with --jsonl"
        ),
    ] = None,
) -> None:
    """Code texts into events, without broker and store.

    With --jsonl every readable line is answered, in order; a line that is not is named on standard error, and the
    program ends with 1. A text that is not coded has no events and a reason: "not_coded" is "empty", "script", or
    "language:" and its code.

    \b
    Examples:
      echo "Rebels shelled Goma on Friday, killing 12." | conflictwire code
      conflictwire code --published 2026-11-24 --format json report.txt
      conflictwire code --jsonl < articles.jsonl > events.jsonl
      conflictwire code --explain report.txt
    """
    session = session_of(ctx)
    if jsonl and format == "text":
        raise typer.BadParameter("--jsonl writes JSON; leave --format out", param_hint="--format")
    when = check_when(published)
    threshold = min_confidence if min_confidence is not None else session.settings.min_confidence
    failed = False

    def wrong(place: str, what: str) -> None:
        nonlocal failed
        failed = True
        session.say(f"error: {place}: {what}")

    paths = files or [Path("-")]
    if jsonl:
        lines = _numbered_lines(paths)
        for answer in code_lines(lines, session.coder(model, profile), threshold, when, wrong, explain):
            write_line(answer)
    else:
        coder = session.coder(model, profile)
        for path in paths:
            try:
                text = (sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()).decode("utf-8-sig")
            except UnicodeDecodeError as error:
                wrong(str(path), f"not UTF-8 at byte {error.start + 1}: convert it first, for example with iconv")
                continue
            _show(ctx, coder, path, text, when, threshold, format or "text", len(paths) > 1, explain)
    if failed:
        raise typer.Exit(1)


def _numbered_lines(paths: list[Path]) -> Iterator[tuple[str, bytes | None]]:
    for path in paths:
        with ExitStack() as stack:
            file = sys.stdin.buffer if str(path) == "-" else stack.enter_context(path.open("rb"))
            name = "line" if len(paths) == 1 else f"{path} line"
            for number, line in enumerate(read_lines(file), 1):
                if number == 1 and line is not None:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                yield f"{name} {number}", line


def _show(
    ctx: typer.Context,
    coder: Coder,
    path: Path,
    text: str,
    when: datetime | None,
    threshold: float | None,
    format: TextFormat,
    named: bool,
    explain: bool,
) -> None:
    from rich.text import Text

    from ingest.render import print_event, print_reasons, safe
    from models.text import uncodable

    session = session_of(ctx)
    coded = next(coder.explain_many([Request(str(path), text, None, when)], min_confidence=threshold))
    events = coded.events
    what = "the text" if str(path) == "-" else str(path)
    reason = None if events else uncodable(text)
    if reason:
        session.say(f"{what} was not coded ({reason}): the coder reads English", style="yellow")
    if format == "json":
        for event in events:
            write_line(json.dumps({"file": str(path), **_as_dict(event, coded, explain)}, allow_nan=False))
        return
    if named:
        session.out.print(Text(safe(f"{path}:"), style="bold"), soft_wrap=True)
    for event in events:
        print_event(session.out, event)
        if explain:
            print_reasons(session.out, coded.reasons(event))
    if not events and not reason:
        session.say(f"no events in {what}", style="dim")


def evaluate(
    ctx: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="Sentences in the corpus format.", exists=True, show_default=False),
    ],
    model: ModelOption = None,
    profile: ProfileOption = None,
    format: Annotated[TextFormat, typer.Option("--format", help="A table to read, or one JSON object.")] = "text",
) -> None:
    """Score the coder on hand-coded sentences.

    Precision, recall and F1 of triggers, types, modes, realis and each argument.

    \b
    Examples:
      conflictwire evaluate models/corpus/part-10.jsonl
      conflictwire evaluate --format json mine.jsonl | jq .
    """
    from models.evaluate import evaluate_files

    session = session_of(ctx)
    report = evaluate_files(files, session.coder(model, profile))
    write_line(json.dumps(report.to_dict()) if format == "json" else report.to_text())
