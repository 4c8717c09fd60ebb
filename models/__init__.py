"""The event coder: text in, PLOVER events out. It knows nothing of feeds, brokers or databases."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from models.coder import Coder
    from models.events import Event

# OpenVINO reports each import to Google Analytics, in a fork of the importing process that keeps its open files, locks and
# signal handlers, and knows no setting against it; without this package it does not.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

__all__ = ["Coder", "Event", "Profile"]

# The large network behind the small one, or the small one alone.
Profile = Literal["accurate", "fast"]


def __getattr__(name: str) -> Any:
    # Loaded on first use: the inference runtime takes most of a second, which `conflictwire --help` should not wait for.
    if name == "Coder":
        from models.coder import Coder

        return Coder
    if name == "Event":
        from models.events import Event

        return Event
    raise AttributeError(f"module 'models' has no attribute {name!r}")
