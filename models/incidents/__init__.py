"""Incidents: the events of different articles that tell of one happening, put together as they arrive.

    incidents = Incidents()
    for told in events:
        for change in incidents.observe(told):
            publish(change.kind, change.record.to_json())

Pure: no clock, no I/O. What `observe` answers depends on what it was given before and in which order, on nothing else, so a
replay in the same order gives the same ids and revisions, however it is cut into batches. In another order (partitions read
side by side) the same reports may be joined by other steps: ids, revisions and, where a report lies between two incidents,
even the groups may then differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.incidents.record import Change, IncidentRecord, Status

if TYPE_CHECKING:
    from models.incidents.facts import Told
    from models.incidents.join import Incidents, Limits

__all__ = ["Change", "IncidentRecord", "Incidents", "Limits", "Status", "Told"]


def __getattr__(name: str) -> Any:
    # Loaded on first use: they need the gazetteer's code, for which commands that only read records should not wait.
    if name == "Told":
        from models.incidents.facts import Told

        return Told
    if name in ("Incidents", "Limits"):
        from models.incidents import join

        return getattr(join, name)
    raise AttributeError(f"module 'models.incidents' has no attribute {name!r}")
