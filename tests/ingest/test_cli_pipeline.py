"""Commands that move articles along and look after dead letters, as a user calls them."""

from __future__ import annotations

import base64
import json
import re
import signal
from datetime import timedelta
from pathlib import Path

import pytest

import models
from ingest.broker import Outgoing, Record
from ingest.dead import as_letter, bury, without_value
from models.errors import ModelError
from tests.ingest.cli_driver import StandIn
from tests.ingest.command import Answer, call, finish, start
from tests.ingest.pipeline import PUBLISHED, Pipeline, article


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keyword coder in place of the model."""
    monkeypatch.setattr(models, "Coder", StandIn, raising=False)


def cli(folder: Path, *arguments: str | Path) -> Answer:
    return call(*arguments, "--data-dir", folder)


# --- pull ---


def test_pull_brings_the_due_feeds_and_names_those_that_fail(sampled: Path) -> None:
    answer = cli(sampled, "pull", "--once")
    assert (answer.code, answer.out) == (0, "")
    assert "sahel: 9 new" in answer.err
    assert re.search(r"^missing: .*404", answer.err, re.M)
    assert "3 feeds pulled, 1 failed, 0 not due; 17 new articles, 0 updated" in answer.err
    again = cli(sampled, "pull", "--once")
    assert again.code == 0
    assert "0 feeds pulled, 0 failed, 3 not due; 0 new articles" in again.err


def test_one_feed_can_be_pulled_though_it_is_not_due(sampled: Path) -> None:
    cli(sampled, "pull", "--once")
    answer = cli(sampled, "pull", "--once", "--force", "--feed", "sahel")
    assert "1 feeds pulled" in answer.err


def test_pull_ends_with_1_when_no_feed_works(sampled: Path) -> None:
    assert cli(sampled, "pull", "--once", "--feed", "missing").code == 1


def test_a_feed_that_is_not_there_is_an_error(sampled: Path) -> None:
    answer = cli(sampled, "pull", "--once", "--feed", "sahle")
    assert answer.code == 1
    assert "error: there is no feed called 'sahle'" in answer.err


def test_pull_goes_on_until_ctrl_c(sampled: Path) -> None:
    process = start(
        sampled, "pull", environment={"CONFLICTWIRE_FETCH__ALLOW_PRIVATE": "true", "CONFLICTWIRE_FETCH__HOST_GAP": "0"}
    )
    assert process.stderr
    assert b"new" in process.stderr.readline() + process.stderr.readline()
    process.send_signal(signal.SIGINT)
    answer = finish(process)
    assert answer.code == 130
    assert "Traceback" not in answer.err


# --- worker and recode ---


def test_a_worker_codes_all_that_is_there(pipeline: Pipeline) -> None:
    pipeline.publish([article(number) for number in range(20)])
    answer = finish(start(pipeline.settings, "worker", "--once"))
    assert (answer.code, answer.out) == (0, ""), answer.err
    assert len(pipeline.agreed()) == 50
    assert pipeline.left() == 0


def test_a_worker_of_another_group_reads_everything_again(embedded: Pipeline) -> None:
    embedded.publish([article(1)])
    for group in ("coders", "others"):
        answer = finish(start(embedded.settings, "worker", "--once", "--group", group))
        assert re.search(r"worker ended.* articles=1", answer.err), answer.err


class Improved(StandIn):
    """Finds nothing but killings."""

    def events(self, text: str, title: str | None = None, min_confidence: float | None = None) -> list[models.Event]:
        return [event for event in super().events(text, title, min_confidence) if event.trigger.text == "killed"]


def test_recoding_with_the_same_weights_changes_nothing(pipeline: Pipeline) -> None:
    pipeline.publish([article(number) for number in range(10)])
    pipeline.work(StandIn())
    before = pipeline.published()
    answer = finish(start(pipeline.settings, "recode"))
    assert answer.code == 0, answer.err
    assert "10 articles published again" in answer.err
    assert "10 articles coded, 0 event revisions published" in answer.err
    assert [record.value for record in pipeline.published()] == [record.value for record in before]


def test_recoding_with_better_weights_publishes_revisions_and_no_doubles(
    embedded: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded.publish([article(number) for number in range(10)])
    embedded.work(StandIn())
    monkeypatch.setattr(models, "Coder", Improved)
    answer = cli(embedded.settings.data_dir, "recode", "--model", "better")
    assert answer.code == 0, answer.err
    assert "10 articles coded, 15 event revisions published" in answer.err
    current = embedded.agreed()
    assert {event.trigger.text for event in current.values() if event.status != "retracted"} == {"killed"}
    assert sum(event.status == "retracted" for event in current.values()) == 15


def test_recoding_with_weights_of_ones_own_fails_where_other_workers_took_a_share(
    embedded: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded.publish([article(1)])
    embedded.work(StandIn())

    def others_were_faster(*_: object, **__: object) -> int:
        embedded.work(StandIn())
        return 0

    monkeypatch.setattr("ingest.processes.run_workers", others_were_faster)
    answer = cli(embedded.settings.data_dir, "recode", "--model", "better")
    assert answer.code == 1
    assert "other workers of group 'coders' coded 1 of the articles with their own weights" in answer.err


def test_recoding_can_be_held_to_recent_articles_and_leaves_those_without_a_text_alone(embedded: Pipeline) -> None:
    old = article(1).model_copy(update={"fetched": PUBLISHED - timedelta(days=9)})
    embedded.publish([old, article(2), article(3)])
    embedded.work(StandIn())
    folder = embedded.settings.data_dir
    assert "2 articles published again" in cli(folder, "recode", "--since", "2026-11-20").err
    embedded.store.drop_texts(PUBLISHED)
    before = embedded.agreed()
    answer = cli(folder, "recode")
    assert "2 articles published again; 1 without a text stay as they are" in answer.err
    assert embedded.agreed() == before


def test_weights_that_cannot_be_read_leave_everything_as_it_is(
    embedded: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded.publish([article(1)])
    embedded.work(StandIn())

    class Broken(StandIn):
        @classmethod
        def load(cls, path: object = None, threads: int | None = None, profile: str | None = None) -> StandIn:
            raise ModelError(f"no weights in {path}")

    monkeypatch.setattr(models, "Coder", Broken)
    answer = cli(embedded.settings.data_dir, "recode", "--model", "nowhere")
    assert (answer.code, answer.err) == (1, "error: no weights in nowhere\n")
    assert embedded.left() == 0


def test_recoding_an_empty_store_says_so(tmp_path: Path) -> None:
    answer = cli(tmp_path, "recode")
    assert (answer.code, answer.err) == (0, "no stored articles to code again\n")


# --- dead letters ---


@pytest.fixture
def poisoned(embedded: Pipeline) -> Path:
    """A data folder with two dead letters, one of them no article at all."""
    embedded.publish([article(1), article(2, text="POISON \x1b[2J"), Outgoing("articles", b"bad", b"\xff not json")])
    embedded.work(StandIn())
    return embedded.settings.data_dir


def test_dead_letters_can_be_listed_shown_and_filtered(poisoned: Path) -> None:
    table = cli(poisoned, "dead", "list")
    assert table.code == 0
    assert len(table.lines) == 3
    letters = {
        letter["stage"]: letter for letter in map(json.loads, cli(poisoned, "dead", "list", "--format", "json").lines)
    }
    assert letters.keys() == {"read", "code"}
    assert len(cli(poisoned, "dead", "list", "--stage", "code", "--format", "json").lines) == 1
    assert cli(poisoned, "dead", "list", "--since", "2099-01-01", "--format", "json").lines == []
    shown = cli(poisoned, "dead", "show", letters["code"]["id"])
    assert "exception: ValueError" in shown.out
    assert "POISON" in shown.out
    assert "\x1b" not in shown.out
    whole = json.loads(cli(poisoned, "dead", "show", letters["read"]["id"], "--format", "json").out)
    assert whole["value"] == "\ufffd not json"
    assert base64.b64decode(whole["value_base64"]) == b"\xff not json"


def test_a_letter_that_is_not_there_is_an_error(poisoned: Path) -> None:
    answer = cli(poisoned, "dead", "show", "0-999")
    assert answer.code == 1
    assert "conflictwire dead list" in answer.err


def test_letters_can_be_replayed_one_some_or_all(embedded: Pipeline, poisoned: Path) -> None:
    ids = [json.loads(line)["id"] for line in cli(poisoned, "dead", "list", "--format", "json").lines]
    assert "1 articles published again" in cli(poisoned, "dead", "replay", ids[0]).err
    assert "1 articles published again" in cli(poisoned, "dead", "replay", "--stage", "code").err
    assert "2 articles published again" in cli(poisoned, "dead", "replay", "--all").err
    assert embedded.left() == 4
    assert cli(poisoned, "dead", "replay", "--all", ids[0]).code == 2
    assert cli(poisoned, "dead", "replay").code == 2
    assert cli(poisoned, "dead", "replay", "--stage", "nowhere").code == 2
    missing = cli(poisoned, "dead", "replay", ids[0], "0-999")
    assert (missing.code, embedded.left()) == (1, 4)
    assert "no dead letter '0-999'" in missing.err


def test_a_replay_can_be_tried_dry_and_tell_its_letters_in_json(embedded: Pipeline, poisoned: Path) -> None:
    dry = cli(poisoned, "dead", "replay", "--feed", "feed-2", "--dry-run")
    assert (dry.code, dry.out) == (0, "")
    assert "code, ValueError: poison" in dry.err
    assert "1 articles would be published again" in dry.err
    assert embedded.left() == 0
    assert "no dead letters match" in cli(poisoned, "dead", "replay", "--until", "2020-01-01").err
    told = cli(poisoned, "dead", "replay", "--all", "--format", "json")
    assert sorted((line["stage"], line["feed"], line["replayed"]) for line in map(json.loads, told.lines)) == [
        ("code", "feed-2", True),
        ("read", None, True),
    ]
    assert embedded.left() == 2
    # Both fail again, and come back with their history: each is now replayed once, from its last letter.
    embedded.work(StandIn())
    assert len(cli(poisoned, "dead", "list", "--topic", "articles", "--format", "json").lines) == 4
    assert "2 articles published again" in cli(poisoned, "dead", "replay", "--all").err


def test_a_letter_whose_record_is_gone_ends_a_replay_with_1(embedded: Pipeline) -> None:
    buried = bury(Record("articles", 0, 3, b"k", b"x" * 10), "read", ValueError("v"))
    embedded.publish([as_letter(without_value(buried), "articles.dead"), as_letter(buried, "articles.dead")])
    answer = cli(embedded.settings.data_dir, "dead", "replay", "--all")
    assert answer.code == 1
    assert "1 articles published again; 1 cannot be" in answer.err
