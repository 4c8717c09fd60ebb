"""The report in a real browser: whole, quiet, accessible, its marks where the offsets say, and on paper."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from pypdf import PdfReader

from ingest.records import parse_event
from ingest.report.pdf import to_pdf
from ingest.settings import Settings
from ingest.storage import Store
from models.errors import ConflictwireError
from tests.ingest.command import call
from tests.ingest.report.stored import ARGUMENTS, fill
from tests.page.browser import find_chromium
from tests.page.conftest import Watch


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A filled store, and the report of it."""
    made: Path = tmp_path_factory.mktemp("report")
    fill(Settings(data_dir=made).store_url)
    answer = call("report", "--data-dir", made, *ARGUMENTS, "-o", made / "report.html")
    assert answer.code == 0, answer.err
    return made


def opened(browser: Browser, folder: Path, watch: Watch, scheme: str = "light", wide: int = 1100) -> Page:
    context = browser.new_context(
        viewport={"width": wide, "height": 800}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page = context.new_page()
    watch.over(page)
    page.goto((folder / "report.html").as_uri())
    return page


@pytest.fixture
def watched(folder: Path) -> Watch:
    return Watch((folder / "report.html").as_uri())


def test_it_asks_for_nothing_runs_nothing_and_is_accessible(browser: Browser, folder: Path, watched: Watch) -> None:
    for scheme, wide in (("light", 1100), ("dark", 360)):
        page = opened(browser, folder, watched, scheme, wide)
        assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0
        found = Axe().run(page, options={"resultTypes": ["violations"]}).response
        assert len(found["passes"]) > 20
        serious = [one for one in found["violations"] if one["impact"] in ("serious", "critical")]
        assert {one["id"]: [node["html"] for node in one["nodes"]][:3] for one in serious} == {}
        assert page.evaluate("() => window.hit") is None
        # The style is in force: its hash is the one that the policy names.
        assert page.evaluate("() => getComputedStyle(document.querySelector('mark')).borderBottomWidth") == "3px"
        # Even a script that were there could not run, nor anything be loaded.
        assert (
            page.evaluate("() => { document.body.onclick; return document.scripts.length + document.images.length; }")
            == 0
        )
        page.context.close()
    assert watched.wrong == []
    assert watched.asked == [watched.origin] * 2


def test_the_marks_are_where_the_offsets_say(browser: Browser, folder: Path, watched: Watch) -> None:
    page = opened(browser, folder, watched)
    store = Store.open(Settings(data_dir=folder).store_url)
    ids = page.locator(".incident dd", has_text="revision").all_text_contents()
    checked = 0
    for number, said in enumerate(ids):
        incident = store.incident_with_events(said.split(",")[0])
        assert incident
        events = {(event.article.feed, event.article.title.replace("\u202e", "\ufffd")): event for event in incident[1]}
        for item in page.locator(".incident").nth(number).locator(".reports li").all():
            publisher, title = item.locator("div bdi").all_text_contents()
            event = parse_event(events[publisher, title].to_json())
            told = {"actor": event.actors[0], "recipient": event.recipients[0], "trigger": event.trigger}
            told |= {"place": event.location, "date": event.date, "dead": event.dead}
            for role, span in told.items():
                if span is None:
                    continue
                # The words before the mark have as many code points as its offset says.
                before, words = item.evaluate(
                    """(item, role) => {
                      const mark = item.querySelector(`mark.${role}`), range = document.createRange();
                      range.setStart(item.querySelector("blockquote"), 0); range.setEndBefore(mark);
                      const part = range.cloneContents();
                      part.querySelectorAll(".role").forEach((label) => label.remove());
                      return [Array.from(part.textContent).length, mark.textContent];
                    }""",
                    role,
                )
                assert before == span.start - event.sentence.start, (role, title)
                assert words == span.text.replace("\u202e", "\ufffd")
                checked += 1
    assert checked > 60
    store.close()
    page.context.close()


def test_only_web_addresses_can_be_followed(browser: Browser, folder: Path, watched: Watch) -> None:
    page = opened(browser, folder, watched)
    links = page.locator("a:not([href^='#'])").evaluate_all(
        "(all) => all.map((a) => [a.protocol, a.rel, a.referrerPolicy])"
    )
    assert {tuple(each) for each in links} == {("https:", "noopener noreferrer nofollow", "no-referrer")}
    # Four hostile reports, one of them with an address that leads somewhere.
    hostile = page.locator(".reports li", has_text="window.hit")
    assert hostile.count() == 4
    assert hostile.locator("a").evaluate_all("(all) => all.map((a) => a.href)") == ["https://x.org/a"]
    page.context.close()


def test_a_pdf_has_all_of_it_on_numbered_pages(browser: Browser, folder: Path) -> None:
    chromium = find_chromium()
    assert chromium
    store = Store.open(Settings(data_dir=folder).store_url)
    known = store.settled(datetime.now(UTC))
    store.close()
    target = folder / "report.pdf"
    given = (*ARGUMENTS, "--as-of", known.isoformat(), "-o", target)
    answer = call("report", "--data-dir", folder, *given, environment={"CONFLICTWIRE_CHROMIUM": str(chromium)})
    assert answer.code == 0, answer.err
    reader = PdfReader(io.BytesIO(target.read_bytes()))
    texts = [page.extract_text() for page in reader.pages]
    assert [f"{number} / {len(texts)}" in text for number, text in enumerate(texts, 1)] == [True] * len(texts)
    assert {tuple(map(round, page.mediabox[2:])) for page in reader.pages} == {(595, 842)}
    whole = " ".join(" ".join(texts).split())
    for words in (
        "Main incidents",
        "El Fasher, Sudan",
        "Some incidents stand here twice",
        "conflictwire report --from 2026-11-16",
    ):
        assert words in whole
    # The dates in it are the time as of which it is known, so that the same call gives the same.
    assert reader.metadata
    assert reader.metadata.creation_date == reader.metadata.modification_date == known.replace(microsecond=0)


def test_a_browser_that_fails_or_hangs_is_told_of(folder: Path, tmp_path: Path) -> None:
    html, now = (folder / "report.html").read_bytes(), datetime.now(UTC)
    hangs = tmp_path / "chromium"
    hangs.write_text("#!/bin/sh\nsleep 60 & wait\n")
    hangs.chmod(0o755)
    with pytest.raises(ConflictwireError, match=r"made no PDF within 0 s.*ends in \.html"):
        to_pdf(html, hangs, now, timeout=0.2)
    hangs.write_text("#!/bin/sh\necho it is broken >&2\nexit 3\n")
    with pytest.raises(ConflictwireError, match=r"exit code 3.*it is broken.*ends in \.html"):
        to_pdf(html, hangs, now)
