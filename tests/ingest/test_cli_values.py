"""How the values of options are read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.cli import hoist
from ingest.cli.values import parse_country, parse_realis, parse_type, parse_when

NOW = datetime(2026, 11, 24, 15, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        ("2026-11-24T01:50:11Z", datetime(2026, 11, 24, 1, 50, 11, tzinfo=UTC)),
        ("2026-11-24T01:50:11.250+02:00", datetime(2026, 11, 23, 23, 50, 11, 250_000, tzinfo=UTC)),
        ("2026-11-24 01:50", datetime(2026, 11, 24, 1, 50, tzinfo=UTC)),
        ("today", datetime(2026, 11, 24, tzinfo=UTC)),
        ("Yesterday", datetime(2026, 11, 23, tzinfo=UTC)),
        ("90s", NOW - timedelta(seconds=90)),
        ("30m", NOW - timedelta(minutes=30)),
        ("2h", NOW - timedelta(hours=2)),
        ("3d", NOW - timedelta(days=3)),
        ("1w", NOW - timedelta(weeks=1)),
        (" 1D12H ", NOW - timedelta(days=1, hours=12)),
    ],
)
def test_a_time_can_be_given_in_many_ways(text: str, meant: datetime) -> None:
    assert parse_when(text, NOW) == meant


@pytest.mark.parametrize("text", ["", "never", "2h ago", "2 h", "-2h", "999999w", "2026-13-01", "24/11/2026", "2h\x00"])
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="is no time: give 2026-11-24"):
        parse_when(text, NOW)


@given(st.text(max_size=30))
def test_any_text_is_a_time_in_utc_or_refused(text: str) -> None:
    try:
        assert parse_when(text, NOW).utcoffset() == timedelta()
    except ValueError as error:
        assert "is no time" in str(error)


@pytest.mark.parametrize(("text", "code"), [("UKR", "UKR"), ("ukr", "UKR"), (" img ", "IMG")])
def test_countries_can_be_given_in_any_case(text: str, code: str) -> None:
    assert parse_country(text) == code


@pytest.mark.parametrize("text", ["UA", "Ukraine", "", "UK1", "ÜKR"])
def test_what_is_no_country_code_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="three letters"):
        parse_country(text)


def test_types_and_realis_can_be_given_in_any_case() -> None:
    assert parse_type("assault") == "ASSAULT"
    assert parse_realis("Actual") == "actual"


def test_unknown_types_and_realis_are_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="ASSAULT"):
        parse_type("WAR")
    with pytest.raises(ValueError, match="hypothetical"):
        parse_realis("maybe")


@pytest.mark.parametrize(
    ("given_", "meant"),
    [
        (["run", "--data-dir", "d", "--once"], ["--data-dir", "d", "run", "--once"]),
        (["run", "--data-dir=d"], ["--data-dir=d", "run"]),
        (["--debug", "feeds", "add", "URL", "--debug"], ["--debug", "--debug", "feeds", "add", "URL"]),
        (["code", "--", "--data-dir", "d"], ["code", "--", "--data-dir", "d"]),
        (["run", "--data-dir"], ["--data-dir", "run"]),
        (["tail", "--type", "ASSAULT"], ["tail", "--type", "ASSAULT"]),
        ([], []),
    ],
)
def test_global_options_can_stand_after_the_command(given_: list[str], meant: list[str]) -> None:
    assert hoist(given_, {"--data-dir": True, "--debug": False}) == meant
