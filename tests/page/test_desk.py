"""What an analyst can do on the page, in a real browser against the served API."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

from ingest.settings import Settings
from tests.ingest.api.conftest import wait_ready
from tests.ingest.api.serving import Served
from tests.ingest.command import call
from tests.page.conftest import Desk, Look
from tests.page.reports import HOSTILE, SMILE, Report, bomb

ROLES = {
    "trigger": "trigger",
    "actors": "actor",
    "recipients": "recipient",
    "location": "place",
    "date": "date",
    "dead": "dead",
}


def shown(page: Page) -> list[str]:
    """The ids of the rows, in their order."""
    # In one call, as the list may be made anew between two.
    found: list[str] = page.eval_on_selector_all("#rows > li", "rows => rows.map(row => row.dataset.id ?? '')")
    return found


def settled(page: Page) -> None:
    """Until the list says what the filters ask for."""
    expect(page.locator("#rows")).not_to_have_attribute("aria-busy", "true")


def ids(desk: Desk, **filters: Any) -> list[str]:
    return [record["incident_id"] for record in desk.get("incidents", limit=50, **filters)["items"]]


def row(page: Page, words: str) -> Locator:
    return page.locator("#rows > li", has_text=words).first


def test_the_page_can_show_what_is_known(look: Look, desk: Desk) -> None:
    page = look()
    assert shown(page) == ids(desk)
    first = desk.get("incidents", limit=1)["items"][0]
    expect(page.locator("#rows > li").first).to_contain_text(f"{len(first['reports'])} report")
    total = sum(each["count"] for each in desk.get("counts", by="quad")["rows"])
    expect(page.locator("#total")).to_have_text(f"{total:,}")
    expect(page.locator("#map canvas")).to_have_attribute("aria-label", re.compile("[1-9][0-9]* places with incidents"))
    expect(page.locator("#timeline")).to_have_attribute("data-bars", "90")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    # The rest of the list comes as one reads on.
    following = desk.get("incidents", limit=500)["items"]
    if len(following) > 50:
        page.locator("#rows > li").last.scroll_into_view_if_needed()
        expect(page.locator("#rows > li")).to_have_count(min(100, len(following)))


def test_the_map_is_drawn(look: Look) -> None:
    page = look()
    # Land, water, borders, points: more than one colour, and the colour of a quad class among them.
    pixels = page.evaluate(
        """() => {
            const canvas = document.querySelector("#map canvas");
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            const found = new Map();
            for (let at = 0; at < data.length; at += 4) {
                const colour = `${data[at]},${data[at + 1]},${data[at + 2]}`;
                found.set(colour, (found.get(colour) ?? 0) + 1);
            }
            return Object.fromEntries([...found].filter(([, count]) => count > 60));
        }"""
    )
    land, water = pixels["255,255,255"], pixels["238,241,243"]
    assert 0.15 < land / (land + water) < 0.7
    assert len(pixels) > 3


def test_filters_can_narrow_the_list(look: Look, desk: Desk) -> None:
    page = look()
    everything = shown(page)

    def same(**filters: Any) -> None:
        settled(page)
        expected = ids(desk, **filters)
        assert len(expected) > 0
        expect(page.locator("#rows > li")).to_have_count(len(expected))
        assert shown(page) == expected, filters
        for name, value in filters.items():
            wanted = [value] if isinstance(value, str) else value
            assert sorted(httpx.URL(page.url).params.get_list(name)) == sorted(wanted)

    def clear() -> None:
        page.get_by_role("button", name="Clear all").click()
        settled(page)
        expect(page.locator("#chips")).to_be_hidden()
        assert "?" not in page.url

    page.get_by_role("checkbox", name="ASSAULT").check()
    same(type="ASSAULT")
    page.get_by_role("checkbox", name="COERCE").check()
    same(type=["ASSAULT", "COERCE"])
    page.get_by_role("button", name="Take away Type: ASSAULT").click()
    same(type="COERCE")
    expect(page.get_by_role("checkbox", name="ASSAULT")).not_to_be_checked()
    clear()
    assert shown(page) == everything

    page.get_by_label("Add a country").fill("Sudan")
    page.get_by_label("Add a country").press("Tab")
    same(country="SDN")
    clear()
    page.get_by_role("button", name=re.compile("^Mali")).click()
    same(country="MLI")
    clear()

    page.get_by_role("checkbox", name="Corroborated").check()
    same(status="corroborated")
    page.get_by_label("Independent sources, at least").fill("3")
    expect(page.get_by_role("button", name="Take away Sources from: 3")).to_be_visible()
    same(status="corroborated", min_sources="3")
    clear()

    page.get_by_label("Confidence, at least").fill("0.85")
    expect(page.get_by_role("button", name=re.compile("Confidence from"))).to_be_visible()
    same(min_confidence="0.85")
    clear()
    page.get_by_role("checkbox", name="To come").check()
    same(realis="future")
    clear()
    page.get_by_label("Words of an actor").fill("eagles")
    expect(page.get_by_role("button", name=re.compile("Take away Actor"))).to_be_visible()
    same(actor="eagles")
    clear()
    page.get_by_label("Add a language").fill("French")
    page.get_by_label("Add a language").press("Tab")
    same(language="fr")
    clear()
    page.get_by_label("Words in headlines").fill("Eagles strike")
    page.get_by_label("Words in headlines").press("Enter")
    same(text="Eagles strike")


def test_a_row_says_what_its_record_says(look: Look, desk: Desk) -> None:
    page = look()
    for record in desk.get("incidents", limit=50)["items"]:
        head = page.locator(f'#rows > li[data-id="{record["incident_id"]}"] .row-head').text_content()
        sides = [", ".join(one["value"]["text"] for one in record[side]) for side in ("actors", "recipients")]
        if all(sides) and max(len(record[side]) for side in ("actors", "recipients")) <= 3:
            assert head == f"{sides[0]} →  to {sides[1]}".replace("\u202e", "\ufffd")


def test_nothing_found_is_said(look: Look) -> None:
    page = look("?actor=nobodyofthatname")
    expect(page.locator("#empty")).to_have_text("No incident passes these filters.")


def test_evidence_can_be_read_in_its_words(look: Look, desk: Desk) -> None:
    known = desk.incident("eagles")
    answer = desk.get(f"incidents/{known['incident_id']}")
    assert len(answer["events"]) == len(SMILE)
    page = look()
    row(page, "The 🦅 Eagles").click()
    expect(page.locator("#detail h2")).to_contain_text("The 🦅 Eagles")
    for event in answer["events"]:
        report = page.locator(f'.report[data-event="{event["event_id"]}"]')
        for field, role in ROLES.items():
            spans = event[field] if isinstance(event[field], list) else [event[field]]
            marks = report.locator(f'.sentence mark[data-role="{role}"]')
            words = [mark.evaluate("(mark) => mark.lastChild.data") for mark in marks.all()]
            assert words == [span["text"] for span in spans], role
        said = report.locator(".sentence").evaluate(
            "(quote) => [...quote.childNodes].map((node) => (node.lastChild ?? node).textContent).join('')"
        )
        assert said == event["sentence"]["text"]
        link = report.locator(".title a")
        assert link.get_attribute("href") == event["article"]["url"]
        assert link.get_attribute("rel") == "noopener noreferrer"
        assert link.get_attribute("target") == "_blank"
    # Eight roles, eight colours, and each mark in that of its role.
    colours = page.locator(".legend mark").evaluate_all(
        "(marks) => marks.map((mark) => getComputedStyle(mark).borderBottomColor)"
    )
    assert len(set(colours)) == 8
    expect(page.locator(".source")).to_have_count(known["sources"])
    expect(page.locator(".history > li")).to_have_count(known["revision"])
    expect(page.locator(".history")).to_contain_text("sources: 1 → 2")


def test_words_of_others_cannot_act(look: Look, desk: Desk) -> None:
    known = desk.incident("zealots")
    page = look(f"?incident={known['incident_id']}")
    for search in (
        None,
        "?text=%3Cimg%20src%3Dx%20onerror%3Dwindow.hit%3D1%3E&source=%3Cb%3E&actor=%22%3E%3Csvg%2Fonload%3Dhit()%3E",
    ):
        if search:
            page = look(search)
            expect(page.locator("#chips li")).to_have_count(3)
        assert page.evaluate("() => window.hit") is None
        made = page.locator("body").evaluate(
            "(body) => [...new Set([...body.querySelectorAll('*')].map((one) => one.localName))]"
        )
        assert not {"img", "svg", "script", "iframe", "b", "i", "object", "style"} & set(made)
        on = page.locator("body").evaluate(
            """(body) => [...body.querySelectorAll("*")]
                .flatMap((one) => one.getAttributeNames()).filter((name) => name.startsWith("on"))"""
        )
        assert on == []
    page = look(f"?incident={known['incident_id']}")
    expect(page.locator("#detail h2")).to_contain_text("Zealots <img src=x onerror=\"window.hit='image'\">")
    detail = page.locator("#detail")
    for one in HOSTILE:
        words = one.title or one.coded(1)[0].url
        expect(detail).to_contain_text(words.replace("\u202e", "\ufffd"))
    assert "\u202e" not in detail.inner_text()
    hrefs = detail.locator(".title a").evaluate_all("(links) => links.map((link) => link.protocol)")
    assert hrefs == ["https:"]
    # A headline of 4,000 letters without a space does not widen the page.
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def test_the_policy_forbids_what_is_not_the_pages_own(look: Look, desk: Desk, context: Any) -> None:
    policy = desk.client.get("/").headers["content-security-policy"]
    assert "unsafe" not in policy
    source = desk.client.get("/").text
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|\sstyle=|<style", source)
    page = context.new_page()
    page.goto(desk.url)
    blocked = page.evaluate(
        """async () => {
            const seen = new Promise((resolve) => document.addEventListener(
                "securitypolicyviolation", (event) => resolve(event.effectiveDirective)));
            const script = document.createElement("script");
            script.textContent = "window.hit = 1";
            document.body.append(script);
            return [await seen, window.hit ?? null];
        }"""
    )
    assert blocked == ["script-src-elem", None]


def test_news_waits_until_it_is_asked_for(look: Look, desk: Desk) -> None:
    page = look()
    page.set_viewport_size({"width": 1280, "height": 480})
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    before = shown(page)
    reading = page.locator("#rows > li").nth(6)
    reading.locator("a").click()
    expect(page.locator("#detail h2")).to_be_focused()
    page.locator("#scroll").evaluate("(scroll) => { scroll.scrollTop = 260; }")
    page.locator("#detail").evaluate("(detail) => { detail.scrollTop = 90; }")
    places = """() => [
        document.querySelectorAll("#rows > li")[6].getBoundingClientRect().top,
        document.querySelector("#detail").scrollTop,
        document.querySelector(".facts-list").getBoundingClientRect().top,
    ]"""
    where = page.evaluate(places)

    new = bomb("Unseen raiders", "a depot", ("Abéché", "TCD", 13.83, 20.83, 245785))
    desk.tell(Report(new))
    expect(page.locator("#news")).to_have_text("1 new — show")
    expect(page.locator("#said")).to_have_text("Incidents: 1 new")
    assert shown(page) == before
    assert page.evaluate(places) == where
    expect(page.locator("#detail h2")).to_be_focused()

    page.keyboard.press("n")
    expect(page.locator("#news")).to_be_hidden()
    expect(page.locator("#rows > li").first).to_contain_text("Unseen raiders")
    expect(page.locator("#rows > li").first.locator("a")).to_be_focused()
    expect(page.locator("#rows > li").first).to_contain_text("1 source")

    # A further source of it: the row changes where it stands, and what is open says so and stays.
    page.keyboard.press("Enter")
    expect(page.locator("#detail h2")).to_contain_text("Unseen raiders")
    order = shown(page)
    desk.tell(Report(new, "baltic-observer", title="Raiders bomb a depot"))
    expect(page.locator("#rows > li").first).to_contain_text("2 sources")
    expect(page.locator("#stale")).to_contain_text("Revision 2 is out.")
    expect(page.locator(".report")).to_have_count(1)
    assert shown(page) == order
    page.get_by_role("button", name="Show it").click()
    expect(page.locator(".report")).to_have_count(2)
    expect(page.locator(".history > li")).to_have_count(2)


def test_only_news_that_passes_the_filters_is_told(look: Look, desk: Desk) -> None:
    page = look("?country=ERI")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    desk.tell(Report(bomb("Distant raiders", "a mill", ("Agadez", "NER", 16.97, 7.99, 2448085))))
    desk.tell(Report(bomb("Coastal raiders", "a quay", ("Massawa", "ERI", 15.61, 39.45, 330186))))
    expect(page.locator("#news")).to_have_text("1 new — show")
    page.locator("#news").click()
    expect(page.locator("#rows > li").first).to_contain_text("Coastal raiders")
    expect(page.locator("#rows")).not_to_contain_text("Distant raiders")


def test_all_can_be_done_by_keyboard(look: Look, desk: Desk) -> None:
    page = look()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the incidents")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("j")
    expect(page.locator("#rows a").nth(0)).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("k")
    expect(page.locator("#rows a").nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#detail h2")).to_be_focused()
    expect(page.locator("#rows a").nth(1)).to_have_attribute("aria-current", "true")
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()
    expect(page.locator("#rows a").nth(1)).to_be_focused()

    page.keyboard.press("/")
    expect(page.locator("#text")).to_be_focused()
    page.keyboard.type("j?nmt/")
    expect(page.locator("#text")).to_have_value("j?nmt/")
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.keyboard.press("Escape")

    page.keyboard.press("m")
    page.keyboard.press("]")
    expect(page.locator("#said")).to_contain_text("Place 1 of")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name=re.compile("Take away Area"))).to_be_visible()
    assert "bbox=" in page.url
    settled(page)
    assert shown(page) == ids(desk, bbox=httpx.URL(page.url).params["bbox"])
    page.keyboard.press("+")
    page.keyboard.press("ArrowLeft")
    page.wait_for_url(re.compile("map="))

    page.keyboard.press("t")
    start = page.get_by_role("slider", name="From")
    expect(start).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    today = datetime.now(UTC).date()
    page.wait_for_url(re.compile(f"since={today - timedelta(days=1)}&until={today + timedelta(days=1)}"))
    expect(start).to_have_attribute("aria-valuetext", re.compile(str((today - timedelta(days=1)).year)))
    page.keyboard.press("Escape")
    page.wait_for_url(lambda url: "since=" not in url)

    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.get_by_label("Single keys act").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.locator("#text")).not_to_be_focused()


def test_every_control_can_be_reached_by_tab(look: Look) -> None:
    page = look("?type=ASSAULT")
    page.evaluate("() => document.activeElement.blur()")
    reached = set()
    for _ in range(75):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("() => document.activeElement.id || document.activeElement.closest('[id]')?.id"))
    assert {
        "text",
        "theme",
        "help-open",
        "clear",
        "types",
        "filter-min_sources",
        "pick-country",
        "filter-actor",
        "filter-as_of",
    } <= reached
    assert {"chips", "rows"} <= reached


def test_time_can_be_brushed(look: Look, desk: Desk) -> None:
    page = look("?span=30d")
    plot = page.locator("#timeline .plot")
    box = plot.bounding_box()
    assert box
    wide = (box["width"] - 44) / 30
    page.mouse.move(box["x"] + 34 + 26.5 * wide, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 34 + 28 * wide, box["y"] + 30)
    page.mouse.move(box["x"] + 34 + 28.5 * wide, box["y"] + 30)
    page.mouse.up()
    today = datetime.now(UTC).date()
    since, until = today - timedelta(days=3), today
    page.wait_for_url(re.compile(f"since={since}&until={until}"))
    settled(page)
    assert shown(page) == ids(desk, since=since.isoformat(), until=until.isoformat()) != []
    page.get_by_role("button", name="Whole time").click()
    page.wait_for_url(lambda url: "since=" not in url)


def test_the_map_can_choose(look: Look, desk: Desk) -> None:
    page = look()
    canvas = page.locator("#map canvas")
    box = canvas.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, -600)
    page.wait_for_url(re.compile("map="))
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 - 60, box["y"] + box["height"] / 2 - 20, steps=3)
    page.mouse.up()
    page.get_by_role("button", name="Only this view").click()
    page.wait_for_url(re.compile("bbox="))
    settled(page)
    assert shown(page) == ids(desk, bbox=httpx.URL(page.url).params["bbox"])


def test_the_address_carries_the_view(look: Look, desk: Desk) -> None:
    known = desk.incident("eagles")["incident_id"]
    filters = "?type=ASSAULT&country=LBY&status=corroborated&min_sources=2&min_confidence=0.5"
    search = f"{filters}&span=30d&map=27.000,14.000,3.00&incident={known}"
    page = look(search)
    expect(page.locator("#detail h2")).to_contain_text("The 🦅 Eagles")
    expect(page.locator("#chips li")).to_have_count(5)
    expect(page.get_by_role("checkbox", name="ASSAULT")).to_be_checked()
    expect(page.get_by_label("Independent sources, at least")).to_have_value("2")
    expect(page.locator("[data-span='30d']")).to_have_attribute("aria-pressed", "true")
    rows = shown(page)
    assert known in rows
    again = look("?" + page.url.split("?")[1])
    assert again.url == page.url
    assert shown(again) == rows
    expect(again.locator("#detail h2")).to_contain_text("The 🦅 Eagles")

    # Back undoes step by step.
    again.keyboard.press("Escape")
    again.get_by_role("button", name="Take away Type: ASSAULT").click()
    settled(again)
    again.go_back()
    settled(again)
    expect(again.get_by_role("checkbox", name="ASSAULT")).to_be_checked()
    expect(again.locator("#detail")).to_be_hidden()
    again.go_back()
    expect(again.locator("#detail h2")).to_contain_text("The 🦅 Eagles")
    assert shown(again) == rows


def test_what_was_known_then_can_be_read(look: Look, desk: Desk) -> None:
    then = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    desk.tell(Report(bomb("Later raiders", "a well", ("Ouallam", "BFA", 14.32, 2.09, 2439155))))
    desk.settle()
    page = look(f"?as_of={then}")
    assert shown(page) == ids(desk, as_of=then) != []
    expect(page.locator("#rows")).not_to_contain_text("Later raiders")
    expect(page.locator("#live")).to_have_attribute("data-state", "past")
    page.get_by_role("button", name=re.compile("Take away As known at")).click()
    expect(page.locator("#rows > li").first).to_contain_text("Later raiders")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")


@pytest.mark.parametrize(("wide", "themes"), [(1280, ("light", "dark")), (380, ("dark", "light"))])
def test_axe_finds_nothing_serious(look: Look, desk: Desk, wide: int, themes: tuple[str, str]) -> None:
    known = desk.incident("eagles")["incident_id"]
    page = look("?country=SDN&min_sources=1")
    page.set_viewport_size({"width": wide, "height": 800})

    def check(theme: str) -> None:
        page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", theme)
        found = Axe().run(page, options={"resultTypes": ["violations"]}).response
        assert len(found["passes"]) > 20
        serious = [one for one in found["violations"] if one["impact"] in ("serious", "critical")]
        assert {one["id"]: [node["html"] for node in one["nodes"]][:3] for one in serious} == {}

    if wide < 720:
        page.get_by_role("button", name="Filters").click()
    check(themes[0])
    page.goto(f"{desk.url}/?incident={known}")
    expect(page.locator("#detail h2")).to_be_visible()
    check(themes[1])


def test_dark_and_light_can_be_chosen(look: Look) -> None:
    page = look()
    ground = "() => getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="Dark").click()
    dark = page.evaluate(ground)
    assert sum(map(int, re.findall(r"\d+", dark))) < 150 < 600 < sum(map(int, re.findall(r"\d+", light)))
    page.reload()
    assert page.evaluate(ground) == dark
    page.get_by_role("button", name="Light").click()
    assert page.evaluate(ground) == light


def test_a_narrow_screen_shows_all(look: Look, desk: Desk) -> None:
    page = look()
    page.set_viewport_size({"width": 360, "height": 740})
    overflow = "() => document.documentElement.scrollWidth - innerWidth"
    assert page.evaluate(overflow) <= 0
    expect(page.locator("#filters")).to_be_hidden()
    page.get_by_role("button", name="Filters").click()
    page.get_by_role("checkbox", name="ASSAULT").check()
    settled(page)
    page.get_by_role("button", name="Filters").click()
    expect(page.locator("#filters")).to_be_hidden()
    row(page, "The 🦅 Eagles").click()
    expect(page.locator("#detail h2")).to_be_in_viewport()
    assert page.evaluate(overflow) <= 0
    box = page.locator("#detail").bounding_box()
    assert box
    assert box["width"] == 360
    page.get_by_role("button", name="Close the incident").click()
    expect(page.locator("#detail")).to_be_hidden()
    expect(row(page, "The 🦅 Eagles").locator("a")).to_be_focused()


def test_a_key_is_asked_for_and_kept_for_the_tab(browser: Browser, desk: Desk, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    key = call("--data-dir", tmp_path, "keys", "add", "page").out.strip()
    with Served(tmp_path, settings=settings, CONFLICTWIRE_API__KEYS_REQUIRED="true") as served:
        with httpx.Client(base_url=served.url, trust_env=False) as client:
            wait_ready(client)
        context = browser.new_context()
        page = context.new_page()
        page.goto(served.url)
        asked = page.get_by_role("dialog", name="Key")
        asked.get_by_label("API key").fill("cw_wrong")
        page.keyboard.press("Enter")
        expect(asked).to_contain_text("does not take that key")
        asked.get_by_label("API key").fill(key)
        page.keyboard.press("Enter")
        expect(page.locator("#empty")).to_have_text("No incidents yet.")
        expect(page.locator("#live")).to_have_attribute("data-state", "live")
        page.reload()
        expect(page.locator("#empty")).to_have_text("No incidents yet.")
        assert page.evaluate("() => [Object.keys(localStorage), Object.keys(sessionStorage)]") == [
            [],
            ["conflictwire.key"],
        ]
        context.close()
