"""What the logs promise: one line a message, fields kept, no secret shown, no control character on a terminal."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from ingest import log


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in log.OURS}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, was in levels.items():
        logging.getLogger(name).setLevel(was)


def record(message: str, *args: object, level: int = logging.INFO, **extra: object) -> logging.LogRecord:
    return logging.getLogger("ingest.test").makeRecord("ingest.test", level, "f", 1, message, args, None, extra=extra)


def test_json_lines_carry_message_and_fields() -> None:
    given = record("coded %d", 2, article="a1", feed="bbc", seconds=0.5, tags=("x",))
    line = json.loads(log.JsonFormatter().format(given))
    assert line.pop("time").endswith("Z")
    assert line.pop("pid") > 0
    assert line == {
        "level": "info",
        "logger": "ingest.test",
        "message": "coded 2",
        "article": "a1",
        "feed": "bbc",
        "seconds": 0.5,
        "tags": ["x"],
    }


def test_a_field_cannot_take_the_place_of_the_level_or_the_time() -> None:
    line = json.loads(log.JsonFormatter().format(record("x", level_=1, time="then", logger="no")))
    assert line["time"] != "then"
    assert line["logger"] == "ingest.test"


def test_text_lines_show_fields_as_name_and_value() -> None:
    line = log.TextFormatter().format(record("coded", article="a1", feed="Le Monde", seconds=0.51234, none=None))
    assert re.fullmatch(r'\d\d:\d\d:\d\d info    coded article=a1 feed="Le Monde" seconds=0.512 none=None', line)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://u:hunter2@db/x refused", "postgresql://u:***@db/x refused"),
        ("postgresql+psycopg://u:hun@ter2@db/x", "postgresql+psycopg://u:***@db/x"),
        ("kafka://:hunter2@h:9092,h2:9092", "kafka://:***@h:9092,h2:9092"),
        ("host=db password=hunter2 user=u", "host=db password=*** user=u"),
        ("sasl_plain_password='hunter2'", "sasl_plain_password=***"),
        ('{"password": "hunter2"}', '{"password": ***}'),
        ("https://h/feed?token=hunter2&page=2", "https://h/feed?token=***&page=2"),
        ("Authorization: Bearer hunter2", "Authorization: ***"),
        ("api_key=hunter2;x", "api_key=***;x"),
        ("https://example.org/a@b no secret", "https://example.org/a@b no secret"),
        ("https://example.org:8080/a", "https://example.org:8080/a"),
        ("the secret police arrested 3", "the secret police arrested 3"),
    ],
)
def test_secrets_in_messages_and_fields_are_masked(text: str, shown: str) -> None:
    assert log.mask(text) == shown
    for formatter in (log.JsonFormatter(), log.TextFormatter()):
        assert ("hunter2" in formatter.format(record(text, where=text))) is ("hunter2" in shown)


@pytest.mark.parametrize("name", ["password", "kafka_password", "api_key", "token", "secret"])
@pytest.mark.parametrize("value", ["hunter2", SecretStr("hunter2")])
def test_fields_named_like_a_secret_are_masked(name: str, value: object) -> None:
    for formatter in (log.JsonFormatter(), log.TextFormatter()):
        line = formatter.format(record("x", **{name: value}))
        assert "hunter2" not in line
        assert name in line


def failing(message: str) -> logging.LogRecord:
    try:
        raise ValueError(message)
    except ValueError:
        found = record("failed", level=logging.ERROR)
        found.exc_info = sys.exc_info()
        return found


def test_exceptions_are_logged_with_their_trace_and_without_their_secrets() -> None:
    line = json.loads(log.JsonFormatter().format(failing("postgresql://u:hunter2@db/x")))
    assert line["error"] == "ValueError"
    assert "Traceback" in line["traceback"]
    assert "hunter2" not in line["traceback"]
    text = log.TextFormatter().format(failing("a\x1b[2Jb password=hunter2"))
    assert "Traceback" in text
    assert "a\\x1b[2Jb" in text
    assert "hunter2" not in text


TEXT = st.text(st.characters(codec=None), max_size=60)


@given(TEXT, TEXT)
def test_any_message_and_field_is_one_line_of_json(message: str, value: str) -> None:
    line = log.JsonFormatter().format(record("%s", message, title=value))
    assert line.isascii()
    assert "\n" not in line
    assert json.loads(line)["title"] == log.mask(value)


@given(TEXT, TEXT)
def test_nothing_in_a_message_or_field_can_steer_a_terminal(message: str, value: str) -> None:
    line = log.TextFormatter().format(record("%s", message, title=value))
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]", line)
    line.encode()


@pytest.mark.parametrize(
    ("stream", "variable", "form"),
    [
        (io.StringIO, None, "json"),
        (Terminal, None, "text"),
        (Terminal, "json", "json"),
        (Terminal, "JSON", "json"),
        (io.StringIO, "text", "text"),
        (io.StringIO, "nonsense", "json"),
    ],
)
def test_the_form_follows_the_environment_then_the_terminal(
    stream: type[io.StringIO], variable: str | None, form: str, monkeypatch: pytest.MonkeyPatch, restored: None
) -> None:
    monkeypatch.delenv("CONFLICTWIRE_LOG", raising=False)
    if variable is not None:
        monkeypatch.setenv("CONFLICTWIRE_LOG", variable)
    monkeypatch.setattr(sys, "stderr", stream())
    log.configure()
    logging.getLogger("ingest.test").info("hello")
    written = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert written.startswith("{") is (form == "json")
    assert "hello" in written


def test_our_loggers_speak_from_info_on_and_those_of_libraries_from_warning_on(
    monkeypatch: pytest.MonkeyPatch, restored: None
) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    log.configure()
    log.configure()
    logging.getLogger("library.client").info("chatter")
    logging.getLogger("library.client").warning("trouble")
    logging.getLogger("ingest.worker").debug("detail")
    logging.getLogger("models.coder").info("news")
    lines = [json.loads(line)["message"] for line in sys.stderr.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert lines == ["trouble", "news"]


def test_colours_are_kept_from_terminals_that_refuse_them(monkeypatch: pytest.MonkeyPatch, restored: None) -> None:
    for refused in (False, True):
        monkeypatch.setattr(sys, "stderr", Terminal())
        if refused:
            monkeypatch.setenv("NO_COLOR", "1")
        else:
            monkeypatch.delenv("NO_COLOR", raising=False)
        log.configure(form="text")
        logging.getLogger("ingest.test").warning("hello")
        assert ("\x1b[33m" in sys.stderr.getvalue()) is not refused  # type: ignore[attr-defined]


def test_stdout_stays_free_of_logs() -> None:
    script = "import logging; from ingest import log; log.configure(); logging.getLogger('ingest').error('x')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert json.loads(done.stderr)["message"] == "x"
