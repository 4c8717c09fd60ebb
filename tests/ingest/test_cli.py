"""The program as a whole: usage, errors, exit codes, streams, and its pages in docs/."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

import ingest.cli
from ingest.docs import pages
from ingest.errors import BrokerUnavailable, StoreUnavailable
from ingest.storage import Store
from models.errors import ConflictwireError
from tests.ingest.command import call, finish, record, settings_environment, start
from tests.ingest.storage.samples import BARE, EVENT, article, coding

COMMANDS = (
    "run", "pull", "worker", "tail", "code", "events", "articles", "export", "recode", "evaluate", "doctor", "migrate",
    "schema", "version", "feeds add", "feeds list", "feeds check", "feeds import", "feeds export", "feeds disable",
    "dead list", "dead show", "dead replay", "flows serve", "flows deploy",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_in_a_sentence_what_it_does_and_gives_an_example(command: str) -> None:
    answer = call(*command.split(), "--help")
    assert answer.code == 0
    sentence = answer.out.split("\n\n")[1].strip()
    assert sentence.endswith(".")
    assert "Example" in answer.out
    assert f"conflictwire {command}" in answer.out or f"| conflictwire {command}" in answer.out


def test_migrate_makes_tables_and_topics_and_may_be_called_again(tmp_path: Path) -> None:
    environment = settings_environment(tmp_path)
    for _ in range(2):
        answer = call("migrate", environment=environment)
        assert answer.code == 0, answer.err
        assert "topics articles, events, articles.dead" in answer.err
    assert "warn" not in [line.split()[0] for line in call("doctor", environment=environment).lines if "broker" in line]


@pytest.mark.parametrize("path", pages())
def test_the_pages_made_from_the_program_are_up_to_date(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == pages()[path], f"{path.name} has drifted: make docs"


def test_help_does_not_wait_for_heavy_modules() -> None:
    heavy = {
        "openvino",
        "numpy",
        "transformers",
        "aiohttp",
        "sqlalchemy",
        "kafka",
        "prefect",
        "trafilatura",
        "feedparser",
    }
    program = "import sys; from ingest.cli import main\ntry: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", program, "--help"], capture_output=True, text=True, check=True)
    assert "Usage: " in ran.stdout
    assert heavy.isdisjoint(ran.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nosuch"], "No such command 'nosuch'"),
        (["even"], "Did you mean 'events'"),
        (["events", "--nosuch"], "No such option"),
        (["events", "--limit", "0"], "--limit"),
        (["events", "--limit", "many"], "--limit"),
        (["events", "--format", "xml"], "--format"),
        (["events", "--since", "never"], "is no time"),
        (["events", "--type", "WAR"], "is no PLOVER type"),
        (["tail", "--country", "Ukraine"], "is no country code"),
        (["tail", "--realis", "maybe"], "is no realis"),
        (["tail", "--min-confidence", "2"], "--min-confidence"),
        (["schema", "feed"], "article"),
        (["schema"], "Missing argument"),
        (["code", "missing.txt"], "does not exist"),
        (["code", "."], "is a directory"),
        (["export", "--format", "csv"], "Missing argument"),
        (["export", "out.csv"], "Missing option"),
        (["worker", "--workers", "0"], "--workers"),
        (["pull", "--force"], "add --once"),
        (["dead", "replay"], "say which"),
        (["--config", "missing.toml", "version"], "does not exist"),
        (["--log-level", "loud", "version"], "--log-level"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_wrong(arguments: list[str], said: str, tmp_path: Path) -> None:
    answer = call(*arguments, "--data-dir", tmp_path)
    assert answer.code == 2
    assert answer.out == ""
    assert said in answer.err
    assert "Traceback" not in answer.err


def test_no_command_shows_the_help_and_is_wrong_usage() -> None:
    answer = call()
    assert answer.code == 2
    assert "Commands:" in answer.out + answer.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConflictwireError("plain"), 1),
        (BrokerUnavailable("no answer from\nhost:9092"), 3),
        (StoreUnavailable("postgresql://user:secret@host/db: refused"), 3),
        (PermissionError(13, "Permission denied", "/data"), 1),
    ],
)
def test_an_error_is_one_line_on_standard_error(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(url: str) -> Store:
        raise error

    monkeypatch.setattr(Store, "open", fail)
    answer = call("events", "--data-dir", tmp_path)
    assert (answer.code, answer.out) == (code, "")
    (line,) = answer.err.splitlines()
    assert line.startswith("error: ")
    assert "secret" not in line
    shown = call("events", "--data-dir", tmp_path, "--debug").err
    assert "Traceback" in shown


def test_an_error_cannot_steer_the_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(url: str) -> Store:
        raise ConflictwireError("feed \x1b[2J\u202e says")

    monkeypatch.setattr(Store, "open", fail)
    assert call("events", "--data-dir", tmp_path).err == "error: feed \\x1b[2J\\u202e says\n"


def test_a_defect_is_told_as_one_with_the_way_to_its_traceback(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom ingest import cli\nfrom ingest.cli import about\n"
        "about.version.__globals__['session_of'] = None\ncli.main()"
    )
    environment = settings_environment(tmp_path)
    ran = subprocess.run(
        [sys.executable, "-c", program, "version"], capture_output=True, text=True, env=environment, check=False
    )
    assert ran.returncode == 1
    (line,) = ran.stderr.splitlines()
    assert line.startswith("error: TypeError: ")
    assert "--debug" in line
    shown = subprocess.run(
        [sys.executable, "-c", program, "version", "--debug"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert shown.returncode == 1
    assert "Traceback" in shown.stderr


def test_a_server_that_cannot_be_reached_ends_with_3(tmp_path: Path) -> None:
    store = "postgresql://nobody:secret@127.0.0.1:9/none"
    answer = call("events", "--store", store, "--data-dir", tmp_path)
    assert answer.code == 3
    assert "127.0.0.1" in answer.err
    assert "secret" not in answer.err


@pytest.mark.parametrize("broken", ["min_confidence = 3", "nosuch = 1", "not toml", "[fetch]\ntimeout = 'long'"])
def test_settings_that_are_wrong_end_with_2(broken: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(broken)
    answer = finish(start(tmp_path, "events", "--config", file))
    assert answer.code == 2
    assert answer.err.startswith("error: ")


def test_options_go_before_the_environment_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(f"data_dir = '{tmp_path / 'file'}'\n")
    for name in ("environment", "option"):
        store = Store.open(f"sqlite:///{tmp_path / name / 'conflictwire.db'}")
        store.apply([coding(1, article(name), EVENT)])
        store.close()
    by_environment = finish(start(tmp_path / "environment", "articles", "--format", "json", "--config", file))
    assert json.loads(by_environment.out)["article_id"] == "environment"
    by_option = finish(
        start(
            tmp_path / "environment",
            "articles",
            "--format",
            "json",
            "--config",
            file,
            "--data-dir",
            tmp_path / "option",
        )
    )
    assert json.loads(by_option.out)["article_id"] == "option"


def test_a_command_of_another_package_that_cannot_be_loaded_spoils_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    broken = EntryPoint("broken", "no.such.module:app", "conflictwire.commands")
    monkeypatch.setattr(ingest.cli, "_plugins", lambda: {"broken": broken})
    answer = call("--help")
    assert answer.code == 0
    assert "events" in answer.out
    assert call("broken").code == 2


@pytest.mark.parametrize("kind", ["article", "event"])
def test_schemas_are_json_schemas_that_records_obey(kind: str) -> None:
    schema = json.loads(call("schema", kind).out)
    jsonschema.Draft202012Validator.check_schema(schema)
    value = {"article": article(), "event": record(BARE)}[kind]
    jsonschema.validate(json.loads(value.to_json()), schema)


def test_version_names_program_model_and_python() -> None:
    program, model, python = call("version").lines
    assert call("--version").lines == [program]
    assert program.startswith("conflictwire ")
    assert model.startswith("model ")
    assert python.startswith("python 3.")


# --- queries ---


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder whose store holds 60 articles with an event each, and one retracted event."""
    store = Store.open(f"sqlite:///{tmp_path / 'conflictwire.db'}")
    store.apply([coding(number, article(f"a{number:02}", feed=f"feed-{number % 3}"), EVENT) for number in range(60)])
    store.apply([coding(100, article("a00", revision=2, text="Nothing happened."))])
    store.close()
    return tmp_path


def test_events_as_json_are_all_of_them_one_a_line(data: Path) -> None:
    answer = call("events", "--format", "json", "--data-dir", data)
    assert (answer.code, answer.err) == (0, "")
    assert len(answer.lines) == 59
    assert json.loads(answer.lines[0])["type"] == "ASSAULT"


def test_retracted_events_are_shown_when_asked_for(data: Path) -> None:
    lines = call("events", "--retracted", "--format", "json", "--data-dir", data).lines
    assert sum(json.loads(line)["status"] == "retracted" for line in lines) == 1


def test_a_table_shows_the_newest_and_says_that_there_are_more(data: Path) -> None:
    answer = call("events", "--data-dir", data)
    assert len(answer.lines) == 51
    assert "--limit shows more" in answer.err
    assert len(call("events", "--limit", "5", "--feed", "feed-1", "--feed", "feed-2", "--data-dir", data).lines) == 6


def test_a_table_in_a_pipe_is_not_cut(data: Path) -> None:
    title = "A very long headline " * 20
    store = Store.open(f"sqlite:///{data / 'conflictwire.db'}")
    store.apply([coding(200, article("long", title=title), EVENT)])
    store.close()
    for command in ("events", "articles"):
        assert title in call(command, "--data-dir", data).out


def test_articles_can_be_had_by_feed_and_as_json(data: Path) -> None:
    lines = call("articles", "--feed", "feed-1", "--format", "json", "--data-dir", data).lines
    assert len(lines) == 20
    assert {json.loads(line)["feed"] for line in lines} == {"feed-1"}
    assert len(call("articles", "--limit", "3", "--data-dir", data).lines) == 4


def test_articles_that_were_not_coded_can_be_had_with_the_reason(data: Path) -> None:
    assert call("articles", "--not-coded", "--data-dir", data).out == ""
    store = Store.open(f"sqlite:///{data / 'conflictwire.db'}")
    store.apply([coding(300, article("es", title="Ataque en Goma"), not_coded="language:es")])
    store.close()
    heading, line = call("articles", "--not-coded", "--data-dir", data).lines
    assert "not coded" in heading
    assert "Ataque en Goma" in line
    assert "language:es" in line
    (line,) = call("articles", "--not-coded", "--format", "json", "--data-dir", data).lines
    assert (json.loads(line)["article_id"], json.loads(line)["not_coded"]) == ("es", "language:es")


@pytest.mark.parametrize("command", ["events", "articles", "dead list"])
def test_an_empty_store_gives_no_data_and_a_hint(command: str, tmp_path: Path) -> None:
    answer = call(*command.split(), "--data-dir", tmp_path)
    assert (answer.code, answer.out) == (0, "")
    assert answer.err
    assert call(*command.split(), "--format", "json", "--data-dir", tmp_path).out == ""
