"""`conflictwire report` on a real small store, of either database, and what hostile words can do to the page: nothing."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import html
from pydantic import SecretStr

from ingest.report.evidence import Evidence, Piece, web_address
from ingest.report.page import INCIDENT_F1, Place, Report, accuracy_of, render, report_of
from ingest.report.period import Asked, Window
from ingest.report.reading import Found, read
from ingest.settings import Settings
from ingest.storage import EventFilter, Store
from tests.ingest.api.serving import FEEDS, Writer, article, event
from tests.ingest.command import ROOT, Answer, call, settings_environment
from tests.ingest.report.stored import ARGUMENTS, MAD, fill
from tests.ingest.storage.conftest import DATABASES
from tests.servers.postgres import PostgresServer

PERIOD = Window(date(2026, 11, 16), date(2026, 11, 23))


@dataclass(frozen=True)
class Filled:
    """A store with reports, what its folder is, and the time since which it has not changed."""

    folder: Path
    url: str
    as_of: datetime

    def found(self, **asked: Any) -> Found:
        store = Store.open(self.url)
        try:
            return read(store, Asked(PERIOD, 9, self.as_of, **asked))
        finally:
            store.close()

    def report(self, *arguments: str | Path) -> Answer:
        environment = settings_environment(Settings(data_dir=self.folder, store=SecretStr(self.url)))
        return call("report", *arguments, environment=environment)


def made(folder: Path, url: str) -> Filled:
    fill(url)
    store = Store.open(url)
    as_of = store.settled(datetime.now(UTC))
    store.close()
    return Filled(folder, url, as_of)


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    folder = tmp_path_factory.mktemp("report")
    return made(folder, f"sqlite:///{folder / 'conflictwire.db'}")


@pytest.fixture(scope="module", params=DATABASES)
def filled(request: pytest.FixtureRequest, on_sqlite: Filled, tmp_path_factory: pytest.TempPathFactory) -> Filled:
    if request.param == "sqlite":
        return on_sqlite
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return made(tmp_path_factory.mktemp("report"), server.url(server.create_database()))


@pytest.fixture(scope="module")
def shown(on_sqlite: Filled) -> Report:
    return report_of(on_sqlite.found(), "1")


def test_numbers_are_those_of_the_store(filled: Filled) -> None:
    found = filled.found()
    store = Store.open(filled.url)
    events = list(store.events(EventFilter(published_since=PERIOD.start, published_until=PERIOD.end)))
    actual = [event for event in events if event.realis == "actual"]
    assert found.period.events.total() == len(actual) > 15
    assert found.told.events == len(events) == len(actual) + found.period.others
    assert found.told.countries == {
        code: sum(event.location is not None and event.location.country == code for event in actual)
        for code in found.told.countries
    }
    assert found.period.articles == len({event.article.article_id for event in events})
    assert found.period.feeds == len({event.article.feed for event in events})
    before = [week.events.total() + week.others for week in found.before]
    assert before == [7] * 9
    # The weeks of the period together are the period, incidents too.
    assert sum(week.incidents.total() for week in found.within) == found.period.incidents.total() > 10
    # Those who remember the dead of long ago kill nobody now.
    assert found.period.dead.most < 1000 and found.totals.not_happened >= 1
    store.close()


def test_the_incident_of_many_sources_and_dead_comes_first(shown: Report) -> None:
    first = shown.incidents[0]
    assert (first.sources, first.reports, first.status) == (3, 3, "corroborated")
    assert first.where.startswith("El Fasher, Sudan")
    assert [(figure.publisher, figure.number) for figure in first.figures] == [
        (FEEDS[nth], f"at least {40 + nth}") for nth in range(3)
    ]
    assert first.dead == "at least 42 (1 source); all figures: 40 to 42"
    marked = [(piece.text, piece.roles) for piece in first.evidence[0].pieces if piece.roles]
    assert ("the 😀 camp", ("recipient",)) in marked and ("at least 40", ("dead",)) in marked
    assert ("El Fasher", ("place",)) in marked and ("shelled", ("trigger",)) in marked


def test_either_database_gives_the_same_page(filled: Filled, on_sqlite: Filled) -> None:
    found = replace(filled.found(), asked=on_sqlite.found().asked)
    assert render(report_of(found, "1")) == render(report_of(on_sqlite.found(), "1"))


def test_filters_hold_for_events_and_incidents(filled: Filled) -> None:
    found = filled.found(countries=("SDN", "COD"), types=("ASSAULT",))
    store = Store.open(filled.url)
    wanted = EventFilter(
        types=("ASSAULT",), countries=("SDN", "COD"), published_since=PERIOD.start, published_until=PERIOD.end
    )
    assert found.period.events == {"ASSAULT": sum(event.realis == "actual" for event in store.events(wanted))}
    assert set(found.period.incidents) == {"ASSAULT"}
    assert all({"SDN", "COD"} & set(record.all_countries) for record, _ in found.main)
    # What the feeds brought does not depend on the filter.
    assert found.period.articles == filled.found().period.articles
    store.close()


def test_the_same_call_gives_the_same_bytes(filled: Filled, tmp_path: Path) -> None:
    then = filled.as_of.isoformat()
    one, other = (tmp_path / name for name in ("one.html", "other.html"))
    for target in (one, other):
        answer = filled.report(*ARGUMENTS, "--as-of", then, "-o", target)
        assert answer.code == 0, answer.err
    assert one.read_bytes() == other.read_bytes()
    assert "counting" in answer.err and str(target) in answer.err and answer.out == ""
    # The page says by which call it can be made again.
    made = html.fromstring(one.read_bytes().decode()).xpath("//section[@id='method']//code")[0].text_content()
    again = filled.report(*made.split()[2:], "-o", "-")
    assert again.out.encode() == one.read_bytes()
    assert 'lang="en"' in again.out and "made at" not in again.out


def test_later_articles_do_not_change_what_was_known(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'conflictwire.db'}"
    fill(url, weeks=0)
    store = Store.open(url)
    then = store.settled(datetime.now(UTC))
    asked = Asked(PERIOD, 9, then)
    before = render(report_of(read(store, asked), "1"))
    writer = Writer(store)
    writer.number = 10_000
    text, found = event(MAD, "2026-11-20", 0.9)
    writer.report([(article(77_777, text, "Later", "late", PERIOD.start), [found])], datetime.now(UTC))
    assert render(report_of(read(store, asked), "1")) == before
    later = Asked(PERIOD, 9, store.settled(datetime.now(UTC)))
    assert read(store, later).told.events == read(store, asked).told.events + 1
    store.close()


def test_an_empty_period_says_so(on_sqlite: Filled, tmp_path: Path) -> None:
    answer = on_sqlite.report("--from", "2024-01-01", "--to", "2024-02-01", "-o", tmp_path / "empty.html")
    assert answer.code == 0, answer.err
    page = (tmp_path / "empty.html").read_text()
    assert "Nothing was reported in this period that passes the filter" in page
    empty = call("report", "--data-dir", tmp_path / "none", "-o", "-")
    assert empty.code == 0 and "Nothing was reported" in empty.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--from", "2026-11-08", "--to", "2026-11-01"], "must lie before --to"),
        (["--from", "soon"], "is no time"),
        (["--from", "2999-01-01", "--to", "2999-01-08"], "nothing was known yet"),
        (["--country", "Sudan"], "no country code"),
        (["--type", "WAR"], "no PLOVER type"),
        (["--weeks", "99"], "less than or equal to 52"),
        (["-o", "report.doc"], "must end in .html or .pdf"),
        (["-o", "nowhere/report.html"], "does not exist"),
    ],
)
def test_a_wrong_question_is_told_what_is_right(tmp_path: Path, arguments: list[str], says: str) -> None:
    answer = call("report", "--data-dir", tmp_path, *arguments)
    assert answer.code == 2
    assert says in " ".join(answer.err.replace("│", " ").split())
    assert list(tmp_path.iterdir()) == []


def test_without_chromium_no_pdf_is_made_and_it_is_said_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    target = tmp_path / "report.pdf"
    answer = call("report", "--data-dir", tmp_path, "-o", target)
    assert answer.code == 1
    assert "apt-get install chromium" in answer.err and "CONFLICTWIRE_CHROMIUM" in answer.err
    wrong = call("report", "--data-dir", tmp_path, "-o", target, environment={"CONFLICTWIRE_CHROMIUM": "/nowhere"})
    assert wrong.code == 1 and "/nowhere is no program" in wrong.err
    assert not target.exists()


def test_a_file_is_named_by_countries_and_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    answer = call("report", "--data-dir", tmp_path / "data", "--from", "2026-11-01", "--to", "2026-11-08", "-c", "sdn")
    assert answer.code == 0, answer.err
    assert (tmp_path / "report-SDN-2026-11-01.html").stat().st_size > 10_000


def test_the_accuracy_of_incidents_is_that_of_the_docs() -> None:
    [row] = re.findall(
        r"\| check, order of publication \|.*\*\*(0\.\d+)\*\*", (ROOT / "docs" / "incidents.md").read_text()
    )
    assert f"{float(row):.2f}" == INCIDENT_F1


def test_accuracy_is_told_of_the_shipped_weights_alone() -> None:
    card = json.loads((ROOT / "models" / "weights" / "card.json").read_text())
    version = card["version"]
    known = accuracy_of([("conflictwire-fast", version), ("conflictwire-accurate", version), ("mine", version)])
    assert [each.model for each in known] == [f"conflictwire-accurate {version}", f"conflictwire-fast {version}"]
    assert [each.f1 for each in known] == [
        card["development"]["scores"]["event"]["f1"],
        card["networks"]["fast"]["development"]["scores"]["event"]["f1"],
    ]
    assert accuracy_of([("conflictwire-fast", "0"), ("generated", "1")]) == ()


# --- hostile words


def shape(page: bytes) -> list[tuple[str, tuple[str, ...]]]:
    """Every element with the names of its attributes, in order."""
    found = []
    for element in html.fromstring(page.decode()).iter():
        assert isinstance(element.tag, str), element  # no comment, no processing instruction
        found.append((element.tag, tuple(sorted(element.attrib))))
    return found


@cache
def plain_shape(report: Report, followed: bool) -> list[tuple[str, tuple[str, ...]]]:
    return shape(render(with_words(report, "plain", "https://a.example/" if followed else "none")))


def with_words(report: Report, words: str, url: str) -> Report:
    """The report with these words wherever others' words stand, and the address as that of each article."""
    told = replace(
        report.incidents[0].evidence[0],
        publisher=words,
        title=words,
        language=words,
        url=web_address(url),
        pieces=(Piece(words, ("actor",)), Piece(words, ())),
        elsewhere=(("date", words),),
    )
    one = replace(
        report.incidents[0],
        modes=words,
        where=words,
        who=words,
        whom=words,
        when=words,
        evidence=(told,),
        others=(told,),
    )
    return replace(
        report,
        incidents=(one,),
        places=(Place(words, 1, words, "mc", 0),),
        actors=((words, "1", "1"),),
        publishers=((words, "1", "1"),),
        countries=((words, "1", "1", "1"),),
        languages=words,
        models=words,
        map=replace(
            report.map,
            labels=tuple(replace(label, text=words) for label in report.map.labels),
            marks=tuple(replace(mark, said=words) for mark in report.map.marks),
            shapes=(),
        ),
    )


PARTS = (
    r"""<script>|</script>|</style>|</title>|<svg/onload=x>|-->|<!--|]]>|{{7*7}}|{% raw %}|&lt;|&#60;|<|>|\|<math><mi"""
)
PARTS += """|"|'|`|onerror=x|="""
HOSTILE = st.one_of(
    st.text(min_size=1),
    st.lists(st.sampled_from([*PARTS.split("|"), "\u202e", "\x00", "\ud800"]), min_size=1).map("".join),
)


@given(HOSTILE, st.one_of(HOSTILE, HOSTILE.map(lambda text: f"https://a.example/{text}")))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_words_can_add_an_element_or_an_attribute(shown: Report, words: str, url: str) -> None:
    page = render(with_words(shown, words, url))
    followed = web_address(url) is not None
    assert shape(page) == plain_shape(shown, followed)
    links = html.fromstring(page.decode()).xpath("//a/@href")
    assert all(link.startswith(("#", "http://", "https://", "HTTP")) for link in links)
    assert not re.search("[\u202a-\u202e\x00]", page.decode())


def test_evidence_is_kept_apart_from_what_is_around(shown: Report) -> None:
    page = render(shown).decode()
    assert "window.hit" in page  # the words are there, as words
    assert html.fromstring(page).xpath("//script | //img | //*[@onerror]") == []
    assert isinstance(shown.incidents[0].evidence[0], Evidence)
