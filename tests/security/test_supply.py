"""`make audit` and `make sbom`: what they say can be relied on."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.security.audit import CLEAN, UNREACHABLE, VULNERABLE, verdict
from tests.security.sbom import sbom

ROOT = Path(__file__).parents[2]
FLAW = {"id": "PYSEC-1", "aliases": ["CVE-2026-1"], "fix_versions": ["1.1"]}
GOOD = {"name": "good", "version": "2.0", "vulns": []}
BAD = {"name": "bad", "version": "1.0", "vulns": [FLAW]}
SKIPPED = {"name": "odd", "skip_reason": "not found on PyPI"}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([GOOD], CLEAN, "no known vulnerabilities in 1"),
        ([GOOD, BAD], VULNERABLE, "bad 1.0: PYSEC-1, CVE-2026-1; fixed in 1.1"),
        ([BAD, SKIPPED], VULNERABLE, "bad 1.0"),
        ([GOOD, SKIPPED], UNREACHABLE, "1 of 2 packages could not be audited: odd"),
        ([], UNREACHABLE, "0 of 0"),
    ],
)
def test_an_audit_is_clean_only_where_every_package_was_looked_up(
    packages: list[dict[str, object]], code: int, said: str
) -> None:
    found, lines = verdict({"dependencies": packages})
    assert found == code
    assert said in "\n".join(lines)


def test_an_audit_that_gets_no_answer_says_so() -> None:
    assert verdict(None, "Traceback\nConnectionError: no route") == (
        UNREACHABLE,
        ["the vulnerability service could not be asked: ConnectionError: no route"],
    )


@pytest.fixture(scope="module")
def bill() -> dict[str, object]:
    return sbom(validate=False)


def test_the_sbom_names_every_runtime_dependency_with_its_version_and_licence(bill: dict[str, object]) -> None:
    listed = {canonicalize_name(each["name"]): each for each in bill["components"]}  # type: ignore[attr-defined]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for requirement in map(Requirement, project["dependencies"]):
        found = listed[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(found["version"]), requirement
    assert "psycopg-binary" in listed  # by an extra
    assert not {"pytest", "mypy", "ruff", "hypothesis"} & set(listed)
    assert [name for name, each in listed.items() if not each.get("licenses") or not each.get("purl")] == []


def test_the_same_packages_give_the_same_sbom(bill: dict[str, object]) -> None:
    assert sbom(validate=False) == bill
