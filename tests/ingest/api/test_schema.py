"""The API keeps what its OpenAPI says, whatever it is asked: schemathesis against a real server on a filled store."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from tests.ingest.api.conftest import Desk

EXAMPLES = 4


def tamed(case: schemathesis.Case) -> schemathesis.Case:
    """Without what no JSON Schema can say: cursors are given out, `as_of` lies in the past, south before north."""
    if isinstance(case.query, dict):
        case.query.pop("cursor", None)
        if "as_of" in case.query:
            case.query["as_of"] = "2026-11-28T00:00:00Z"
        if "bbox" in case.query:
            west, south, east, north = str(case.query["bbox"]).split(",")
            south, north = sorted((south, north), key=float)
            case.query["bbox"] = f"{west},{south},{east},{north}"
    return case


@pytest.mark.timeout(100)
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_api_can_be_asked_anything_and_keeps_its_schema(desk: Desk, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_url(f"{desk.served.url}/openapi.json").exclude(path="/v1/stream")
    asked = 0
    for found in schema.get_all_operations():
        operation: Any = found.ok()
        if mode is GenerationMode.NEGATIVE and not operation.definition.raw.get("parameters"):
            continue  # there is nothing to say wrong

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate]
        )
        def ask(case: schemathesis.Case) -> None:
            nonlocal asked
            asked += 1
            (tamed(case) if mode is GenerationMode.POSITIVE else case).call_and_validate(timeout=20)

        ask()
    assert asked > 35
