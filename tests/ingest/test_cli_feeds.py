"""Commands that look after the catalogue of feeds, as a user calls them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ingest.cli import app
from ingest.cli.feeds import feed_health, notice
from ingest.feeds.catalog import Feed, load_catalog, save_catalog
from ingest.feeds.opml import read_opml, write_opml
from ingest.storage import FeedState, Store
from tests.feeds.serve import SampleServer
from tests.ingest.command import Answer, call, on_terminal
from tests.ingest.feeds.site import Site, answer

BUNDLED = len(load_catalog())


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("CONFLICTWIRE_FETCH__ALLOW_PRIVATE", "true")
    monkeypatch.setenv("CONFLICTWIRE_FETCH__HOST_GAP", "0")
    with Site() as opened:
        yield opened


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """The store of the folder that commands work in."""
    opened = Store.open(f"sqlite:///{tmp_path / 'conflictwire.db'}")
    yield opened
    opened.close()


def cli(folder: Path, *arguments: str | Path) -> Answer:
    return call(*arguments, "--data-dir", folder)


def rows(folder: Path, *arguments: str | Path) -> dict[str, dict[str, Any]]:
    lines = cli(folder, "feeds", *arguments, "--format", "json").lines
    return {row["name"]: row for row in map(json.loads, lines)}


def empty(folder: Path) -> Path:
    """A catalogue without feeds, so that the bundled one is not in force."""
    (folder / "feeds.toml").write_text("")
    return folder / "feeds.toml"


# --- list ---

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
FEED = Feed("a", "https://a.example/")


@pytest.mark.parametrize(
    ("feed", "state", "health"),
    [
        (FEED, FeedState("a"), "never read"),
        (FEED, FeedState("a", last_success=NOON), "ok"),
        (FEED, FeedState("a", last_success=NOON, failures=1), "failing"),
        (FEED, FeedState("a", failures=1), "failing"),
        (FEED, FeedState("a", failures=1, disabled=True), "gone"),
        (replace(FEED, enabled=False), FeedState("a", failures=1, disabled=True), "disabled"),
    ],
)
def test_a_word_tells_how_a_feed_is(feed: Feed, state: FeedState, health: str) -> None:
    assert feed_health(feed, state) == health
    assert (notice(feed, state) is not None) is (health == "gone")


def test_feeds_can_be_listed_with_their_health_after_a_pull(sampled: Path) -> None:
    cli(sampled, "pull", "--once")
    listed = rows(sampled, "list")
    assert listed["sahel"]["health"] == "ok"
    assert listed["sahel"]["new_entries"] == 9
    assert listed["sahel"]["next_due"] > listed["sahel"]["last_success"]
    assert listed["sahel"]["interval"] >= 300
    assert listed["sahel"]["url"].endswith("/sahel-courier.xml")
    assert listed["missing"]["health"] == "failing"
    assert "404" in listed["missing"]["last_error"]
    assert len(cli(sampled, "feeds", "list").lines) == 4


def test_the_list_tells_since_when_a_feed_fails_how_often_it_is_pulled_and_its_articles_a_day(
    sampled: Path, store: Store
) -> None:
    due = NOON + timedelta(hours=1)
    store.save_feed_state(
        FeedState("sahel", last_success=NOON, next_due=due, failures=3, last_error="answered 503", interval=5_400.0)
    )
    store.save_feed_state(FeedState("touchline", last_success=NOON, next_due=due, interval=300.0, per_day=12.25))
    store.save_feed_state(FeedState("missing", failures=1, disabled=True, last_error="answered 410 Gone", next_due=due))
    head, sahel, touchline, missing = cli(sampled, "feeds", "list").lines
    assert head.split("  ")[0] == "name"
    assert "failing since 2026-11-24 12:00 (3x)" in sahel
    assert "2026-11-24 13:00" in sahel and "1.5 h" in sahel and sahel.rstrip().endswith("answered 503")
    assert "ok" in touchline and "5 min" in touchline and "12.2" in touchline
    assert "gone" in missing and "answered 410 Gone; `feeds enable` tries it again" in missing
    assert "2026-11-24 13:00" not in missing
    assert rows(sampled, "list")["sahel"]["failing_since"] == "2026-11-24T12:00:00.000Z"


def test_the_list_shows_from_where_a_feed_that_moved_is_pulled(sampled: Path, store: Store) -> None:
    there = load_catalog(sampled / "feeds.toml")[0].url
    store.save_feed_state(FeedState("sahel", url="https://new.example/", catalog_url=there))
    store.save_feed_state(FeedState("touchline", url="https://new.example/", catalog_url="https://old.example/"))
    listed = rows(sampled, "list")
    assert listed["sahel"]["pulled_from"] == "https://new.example/"
    assert listed["sahel"]["url"] == there
    assert listed["touchline"]["pulled_from"] == listed["touchline"]["url"]
    assert "https://new.example/" in cli(sampled, "feeds", "list").lines[1]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ([], ["sahel", "touchline", "missing", "off"]),
        (["--failing"], ["sahel"]),
        (["--disabled"], ["missing", "off"]),
        (["--failing", "--disabled"], ["sahel", "missing", "off"]),
    ],
)
def test_the_list_can_be_narrowed(sampled: Path, store: Store, options: list[str], names: list[str]) -> None:
    store.save_feed_state(FeedState("sahel", failures=2))
    store.save_feed_state(FeedState("missing", failures=1, disabled=True))
    feeds = load_catalog(sampled / "feeds.toml")
    save_catalog([*feeds, Feed("off", "https://off.example/", enabled=False)], sampled / "feeds.toml")
    assert list(rows(sampled, "list", *options)) == names
    assert [line.split(" ")[0] for line in cli(sampled, "feeds", "list", *options).lines] == ["name", *names]


def test_colours_are_for_terminals_only(sampled: Path, store: Store) -> None:
    store.save_feed_state(FeedState("sahel", failures=2))
    assert "\x1b" not in cli(sampled, "feeds", "list").out
    code, shown = on_terminal(sampled, "feeds", "list")
    assert code == 0
    assert "\x1b[1;31mfailing" in shown
    code, shown = on_terminal(sampled, "feeds", "list", environment={"NO_COLOR": "1"})
    assert "31m" not in shown


# --- check ---


def told_of(explained: Answer) -> dict[str, str]:
    """The texts of an explanation by their labels."""
    return {line[:14].strip(): line[14:] for line in explained.lines[1:]}


def test_feeds_can_be_checked_by_name_or_address_and_nothing_is_kept(sampled: Path, samples: SampleServer) -> None:
    every = cli(sampled, "feeds", "check")
    assert every.code == 1
    assert "2 of 3 feeds can be read" in every.err
    assert len(every.lines) == 4
    one = cli(sampled, "feeds", "check", "sahel", f"{samples.url}/levant-ledger.rdf", "--format", "json")
    assert one.code == 0
    assert [json.loads(line)["entries"] for line in one.lines] == [9, 9]
    assert cli(sampled, "feeds", "check", "nosuch").code == 1
    assert all(row["pulls"] == 0 for row in rows(sampled, "list").values())


def test_a_check_explains_a_feed(sampled: Path) -> None:
    told = cli(sampled, "feeds", "check", "sahel")
    assert told.code == 0, told.err
    lines = told_of(told)
    assert told.lines[0].startswith("sahel  http://127.0.0.1")
    assert lines["answer"].startswith("200, ") and "application/rss+xml" in lines["answer"]
    assert lines["validators"] == "ETag and Last-Modified; a second request is answered 304"
    assert lines["format"] == "RSS 2.0"
    assert lines["entries"].startswith("9, ")
    assert lines["language"].endswith("entries: 9 en")
    assert "(median)" in lines["rhythm"]
    assert lines["a pull now"] == "9 new, 0 changed, 0 known"


def test_a_check_tells_what_a_pull_would_bring(sampled: Path, samples: SampleServer) -> None:
    cli(sampled, "pull", "--once")
    row = rows(sampled, "check", "sahel")["sahel"]
    assert (row["new"], row["changed"], row["known"]) == (0, 0, 9)
    assert "9 known" in cli(sampled, "feeds", "check", f"{samples.url}/sahel-courier.xml").out
    assert "so far      pulled 1 times" in cli(sampled, "feeds", "check", "sahel").out


def test_a_check_in_json_has_every_fact(sampled: Path, samples: SampleServer) -> None:
    row = rows(sampled, "check", f"{samples.url}/steppe-times")[f"{samples.url}/steppe-times"]
    assert row["redirects"] == [{"status": 301, "url": f"{samples.url}/steppe-times.xml"}]
    assert row["final_url"] == f"{samples.url}/steppe-times.xml"
    assert row["honoured"] is True
    assert row["etag"].startswith('W/"')
    assert row["error"] is None and row["advice"] is None
    assert sum(row["languages"].values()) == row["entries"]
    assert row["newest"] >= row["oldest"]


def test_secrets_of_where_a_feed_moved_are_not_shown(
    sampled: Path, samples: SampleServer, store: Store, site: Site
) -> None:
    target = f"{samples.url}/sahel-courier.xml?token=feedToken-7Qx"
    state = replace(store.feed_states().get("sahel") or FeedState("sahel"), moved_to=target, moved_days=1)
    store.save_feed_state(state)
    assert rows(sampled, "list")["sahel"]["moved_to"].endswith("?token=***")
    site.routes["/"] = f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()
    row = rows(sampled, "check", f"{site.url}/")[f"{site.url}/"]
    assert "feedToken" not in json.dumps(row)
    assert row["redirects"][0]["url"].endswith("?token=***")


def test_servers_that_ignore_their_own_validators_are_found_out(tmp_path: Path, site: Site) -> None:
    empty(tmp_path)
    items = "<channel><item><title>é</title></item></channel>"
    body = f'<?xml version="1.0" encoding="windows-1252"?><rss version="0.91">{items}</rss>'
    site.routes["/"] = answer(body, ETag='"1"', Content_Type="text/xml; charset=utf-8")
    told = cli(tmp_path, "feeds", "check", f"{site.url}/")
    assert told.code == 0, told.err
    assert "ETag; but a second request is answered in full" in told.out
    assert "HTTP says utf-8, XML says windows-1252\n" in told.out
    assert "RSS 0.91" in told.out
    assert "entries have no times" in told.out


@pytest.mark.parametrize(
    ("route", "complaint", "advice"),
    [
        (answer(status="404 Not Found"), "answered 404", "`conflictwire feeds add`"),
        (answer(status="503 Busy"), "answered 503", "try later"),
        (answer("<html>", Content_Type="text/html"), "HTML page", "`conflictwire feeds add`"),
        (b"nonsense\r\n\r\n", "not an HTTP answer", "browser"),
    ],
)
def test_a_broken_feed_is_told_with_what_to_do_and_ends_with_1(
    tmp_path: Path, site: Site, route: bytes, complaint: str, advice: str
) -> None:
    empty(tmp_path)
    site.routes["/"] = route
    told = cli(tmp_path, "feeds", "check", f"{site.url}/")
    assert told.code == 1
    lines = told_of(told)
    assert complaint in lines["error"]
    assert advice in lines["what to do"]
    row = rows(tmp_path, "check", f"{site.url}/")[f"{site.url}/"]
    assert complaint in row["error"] and advice in row["advice"]


# --- add, disable, enable ---


def test_a_feed_can_be_added_disabled_and_enabled_again(sampled: Path, samples: SampleServer) -> None:
    url = f"{samples.url}/levant-ledger.rdf"
    added = cli(
        sampled,
        *("feeds", "add", url, "--name", "levant", "--country", "lbn", "--language", "en", "--folder", "Asia/Levant"),
    )
    assert added.code == 0, added.err
    assert "9 entries" in added.err
    catalogue = sampled / "feeds.toml"
    assert load_catalog(catalogue)[-1] == Feed("levant", url, country="LBN", language="en", folder="Asia/Levant")
    assert "already" in cli(sampled, "feeds", "add", url).err
    for again in (["enable", "levant"], ["add", url]):
        assert cli(sampled, "feeds", "disable", "levant").code == 0
        assert not load_catalog(catalogue)[-1].enabled
        assert "enabled 'levant'" in cli(sampled, "feeds", *again).err
        assert load_catalog(catalogue)[-1].enabled
    assert "enabled already" in cli(sampled, "feeds", "enable", "levant").err
    assert "no feed called 'nosuch'" in cli(sampled, "feeds", "enable", "nosuch").err


def test_what_is_no_feed_is_not_added_unless_unchecked(sampled: Path, samples: SampleServer) -> None:
    url = f"{samples.url}/nowhere.xml"
    refused = cli(sampled, "feeds", "add", url)
    assert refused.code == 1
    assert "404" in refused.err
    assert len(load_catalog(sampled / "feeds.toml")) == 3
    assert cli(sampled, "feeds", "add", url, "--no-check").code == 0
    assert load_catalog(sampled / "feeds.toml")[-1].name == "127.0.0.1"
    assert cli(sampled, "feeds", "add", f"{samples.url}/two.xml", "--no-check").code == 0
    assert load_catalog(sampled / "feeds.toml")[-1].name == "127.0.0.1 (2)"


@pytest.mark.parametrize("again", ["add", "enable"])
def test_a_feed_that_was_gone_is_pulled_again(sampled: Path, samples: SampleServer, store: Store, again: str) -> None:
    state = FeedState("sahel", disabled=True, failures=1, last_status=410)
    store.save_feed_state(state)
    what = "sahel" if again == "enable" else f"{samples.url}/sahel-courier.xml"
    assert cli(sampled, "feeds", again, what).code == 0
    assert store.feed_states()["sahel"] == replace(state, disabled=False)


@pytest.mark.parametrize("options", [["--country", "Senegal"], ["--language", "?"], ["--folder", "/"]])
def test_wrong_fields_are_refused_before_anything_is_fetched(tmp_path: Path, site: Site, options: list[str]) -> None:
    empty(tmp_path)
    refused = cli(tmp_path, "feeds", "add", f"{site.url}/rss", *options)
    assert refused.code == 1
    assert f"field '{options[0][2:]}'" in refused.err
    assert site.requests == []


def test_the_first_change_starts_from_the_bundled_catalogue(tmp_path: Path) -> None:
    first = load_catalog()[0].name
    told = cli(tmp_path, "feeds", "disable", first)
    assert "begins as a copy of the bundled catalogue" in told.err
    changed = load_catalog(tmp_path / "feeds.toml")
    assert len(changed) == BUNDLED
    assert [feed.name for feed in changed if not feed.enabled] == [first]


# --- add: autodiscovery ---


def rss(title: str) -> bytes:
    item = f"<item><title>{title} one</title><link>https://x.example/{title}</link></item>"
    return answer(f'<rss version="2.0"><channel><title>{title}</title>{item}</channel></rss>')


def page(*links: str) -> bytes:
    tags = "".join(f'<link rel="alternate" type="application/rss+xml" href="{href}">' for href in links)
    return answer(f"<html><head>{tags}</head></html>", Content_Type="text/html")


def test_the_feed_of_a_page_is_added_and_told(tmp_path: Path, site: Site) -> None:
    catalogue = empty(tmp_path)
    site.routes |= {
        "/": page("/world.xml", "/comments.xml"),
        "/world.xml": rss("World"),
        "/comments.xml": rss("Comments"),
    }
    told = cli(tmp_path, "feeds", "add", f"{site.url}/", "--name", "one")
    assert told.code == 0, told.err
    assert f"taking the feed {site.url}/world.xml, which the page declares" in told.err
    assert f"not taken: {site.url}/comments.xml" in told.err
    assert load_catalog(catalogue) == [Feed("one", f"{site.url}/world.xml")]
    again = cli(tmp_path, "feeds", "add", f"{site.url}/")
    assert again.code == 1
    assert "in the catalogue already, as 'one'" in again.err


def test_of_several_feeds_one_must_be_chosen(tmp_path: Path, site: Site) -> None:
    catalogue = empty(tmp_path)
    site.routes |= {"/": page("/world.xml", "/sport.xml"), "/world.xml": rss("World"), "/sport.xml": rss("Sport")}
    told = cli(tmp_path, "feeds", "add", f"{site.url}/")
    assert (told.code, told.out) == (2, "")
    assert "a site with 2 feeds" in told.err
    assert f"{site.url}/world.xml  1 entries: World" in told.err
    assert f"{site.url}/sport.xml  1 entries: Sport" in told.err
    assert load_catalog(catalogue) == []
    assert cli(tmp_path, "feeds", "add", f"{site.url}/", "--first").code == 0
    assert [feed.url for feed in load_catalog(catalogue)] == [f"{site.url}/world.xml"]


def test_a_page_without_feeds_is_not_added(tmp_path: Path, site: Site) -> None:
    catalogue = empty(tmp_path)
    site.routes["/"] = page()
    told = cli(tmp_path, "feeds", "add", f"{site.url}/")
    assert told.code == 1
    assert "is a web page, and no feed of its site was found" in told.err
    assert load_catalog(catalogue) == []


def test_titles_of_feeds_cannot_steer_the_terminal(tmp_path: Path, site: Site) -> None:
    empty(tmp_path)
    body = (
        '{"version": "https://jsonfeed.org/version/1.1", "title": "\\u001b[31mred", "items": [{"id": 1, "title": "x"}]}'
    )
    site.routes["/"] = answer(body)
    for told in (cli(tmp_path, "feeds", "check", f"{site.url}/"), cli(tmp_path, "feeds", "add", f"{site.url}/")):
        assert told.code == 0, told.err
        assert "\x1b" not in told.out + told.err


# --- import, export ---


def test_feeds_go_to_other_readers_and_back(sampled: Path, tmp_path: Path) -> None:
    opml = cli(sampled, "feeds", "export")
    assert read_opml(opml.out.encode()).feeds == load_catalog(sampled / "feeds.toml")
    other = tmp_path / "subscriptions.opml"
    other.write_text(opml.out.replace("touchline.xml", "other.xml"))
    told = cli(sampled, "feeds", "import", other)
    assert "1 feeds added" in told.err
    assert "2 were there already" in told.err
    assert load_catalog(sampled / "feeds.toml")[-1].name == "touchline (2)"


def test_an_import_tells_what_was_refused_where_and_why(tmp_path: Path) -> None:
    catalogue = empty(tmp_path)
    file = tmp_path / "mixed.opml"
    good = '<outline text="Good" xmlUrl="https://good.example/feed"/>'
    bad = '<outline text="Bad" xmlUrl="ftp://bad.example/feed"/>'
    file.write_text(f"<opml><body><outline text='Folder'>\n{good}\n{bad}\n{good}\n</outline></body></opml>")
    told = cli(tmp_path, "feeds", "import", file)
    assert told.code == 0
    assert f"{file}:3: 'Bad' refused: field 'url' must be an http or https URL" in told.err
    assert f"1 feeds added to {catalogue}, 0 were there already, 1 stand there twice, 1 refused" in told.err
    assert load_catalog(catalogue) == [Feed("Good", "https://good.example/feed", folder="Folder")]


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ('<outline text="Bad" xmlUrl="ftp://bad.example/"/>', "every feed was refused"),
        ('<outline text="Nothing"/>', "there are no feeds in it"),
        ("<outline", "not well-formed XML"),
    ],
)
def test_an_import_of_nothing_ends_with_1(tmp_path: Path, body: str, complaint: str) -> None:
    file = tmp_path / "bad.opml"
    file.write_text(f"<opml><body>\n{body}\n</body></opml>")
    before = empty(tmp_path).read_text()
    told = cli(tmp_path, "feeds", "import", file)
    assert told.code == 1
    assert complaint in told.err
    assert (tmp_path / "feeds.toml").read_text() == before


def test_ten_thousand_feeds_are_imported_within_a_minute_with_progress_on_a_terminal(tmp_path: Path) -> None:
    catalogue = empty(tmp_path)
    feeds = [Feed(f"Feed {n}", f"https://h{n}.example/feed?a=1&b=2", folder=f"F{n % 50}/G") for n in range(10_000)]
    file = tmp_path / "many.opml"
    file.write_text(write_opml(feeds))
    began = time.monotonic()
    code, shown = on_terminal(tmp_path, "feeds", "import", file)
    assert time.monotonic() - began < 60.0
    assert code == 0
    assert "10000 feeds added" in shown
    assert "reading feeds" in shown
    assert sorted(load_catalog(catalogue), key=lambda feed: feed.name) == sorted(feeds, key=lambda feed: feed.name)


# --- help and completion ---


@pytest.mark.parametrize("command", ["add", "list", "check", "import", "export", "disable", "enable"])
def test_help_has_examples(command: str) -> None:
    told = call("feeds", command, "--help")
    assert told.code == 0
    assert f"conflictwire feeds {command}" in told.out.partition("Example")[2]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("conflictwire --data-dir {} feeds disable ", ["sahel", "touchline", "missing"]),
        ("conflictwire --data-dir {} feeds enable t", ["touchline"]),
        ("conflictwire feeds check --data-dir {} m", ["missing"]),
        ("conflictwire --data-dir {}/broken feeds check s", []),
    ],
)
def test_names_of_feeds_are_completed(sampled: Path, words: str, names: list[str]) -> None:
    (sampled / "broken").mkdir()
    (sampled / "broken" / "feeds.toml").write_text("nonsense")
    words = words.format(sampled)
    environment = {
        "_CONFLICTWIRE_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    result = CliRunner(env=environment).invoke(app, [], prog_name="conflictwire")
    assert result.stdout.split() == names
