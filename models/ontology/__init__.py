"""PLOVER 2.0 types and modes, their intensities, and the crosswalk to CAMEO and ACLED.

Everything that is a fact of a codebook lies in plover.toml and crosswalk.toml; here is only how they are read.
Sources: the PLOVER 2.0, CAMEO 1.1 and ACLED codebooks.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

from models.events import AcledCode, Actor, Codes, Count, Event


def _load(name: str) -> dict[str, Any]:
    return tomllib.loads(files(__name__).joinpath(name).read_text(encoding="utf-8"))


_PLOVER = _load("plover.toml")
PLOVER_VERSION: str = _PLOVER.pop("version")
_CROSSWALK = _load("crosswalk.toml")
CROSSWALK_VERSION: str = _CROSSWALK["version"]

TYPES: tuple[str, ...] = tuple(_PLOVER)
MODES: dict[str, tuple[str, ...]] = {name: tuple(entry["modes"]) for name, entry in _PLOVER.items()}

_ARMED = frozenset(_CROSSWALK["conditions"]["armed"])
_STATE = frozenset(_CROSSWALK["conditions"]["state"])
_GROUP = frozenset(_CROSSWALK["conditions"]["group"])
_NOTABLE = frozenset(_CROSSWALK["conditions"]["notable"])


def quad(type: str) -> str:
    """The quad class of a PLOVER type, such as "material conflict". Raises ValueError if there is no such type."""
    return str(_entry(type)["quad"])


def intensity(type: str, modes: Sequence[str] = ()) -> float:
    """PLOVER's score of an event, from -10 (most hostile) to 10.

    A mode's own score wins over the type's; of several modes the strongest counts, the one with the largest absolute
    score.
    Raises ValueError if there is no such type; a mode that the type does not have has the type's score.
    """
    entry = _entry(type)
    scores = [float(entry.get("scores", {}).get(mode, entry["score"])) for mode in modes]
    return max(scores, key=abs, default=float(entry["score"]))


def crosswalk(
    type: str,
    modes: Sequence[str],
    realis: str,
    actor_sectors: Sequence[str | None],
    recipient_sectors: Sequence[str | None],
    dead: int | None,
    trigger: str = "",
) -> Codes:
    """The event in three codebooks.

    `actor_sectors` and `recipient_sectors` hold one sector code (or None) for each actor and recipient, `dead` is the
    lower bound of the dead, `trigger` the words of the event (they tell a declared truce from other concessions).
    CAMEO has two to four digits; ACLED is None for all but `actual` events and for what ACLED does not code.
    Raises ValueError if there is no such type.
    """
    _entry(type)
    seen = {
        "both armed": _both_armed(actor_sectors, recipient_sectors),
        "unarmed recipient": not any(sector in _ARMED for sector in recipient_sectors),
        "group recipient": any(sector in _GROUP for sector in recipient_sectors),
        "notable recipient": any(sector in _NOTABLE for sector in recipient_sectors),
    }

    def fits(row: Mapping[str, Any]) -> bool:
        wanted = row.get("modes")
        return (
            row["type"] == type
            and (wanted is None or (any(mode in wanted for mode in modes) if wanted else not modes))
            and ("when" not in row or seen[row["when"]])
            and (dead or 0) >= row.get("dead", 0)
            and ("trigger" not in row or _names(trigger, tuple(row["trigger"])))
        )

    cameo = next((row["code"] for row in _CROSSWALK["cameo"] if fits(row)), _CROSSWALK["cameo_root"][type])
    row = next(filter(fits, _CROSSWALK["acled"]), None) if realis == "actual" else None
    return Codes(type, cameo, AcledCode(row["event_type"], row["sub_event_type"]) if row else None)


def _names(trigger: str, words: tuple[str, ...]) -> bool:
    return _whole(words).search(trigger) is not None


@cache
def _whole(words: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{'|'.join(words)})(?!\w)", re.IGNORECASE)


def codes_of(
    type: str,
    modes: Sequence[str],
    realis: str,
    actors: Sequence[Actor],
    recipients: Sequence[Actor],
    dead: Count | None,
    trigger: str,
) -> Codes:
    """See `crosswalk`: the same from the resolved arguments."""
    acting, suffering = ([actor.sector for actor in side] for side in (actors, recipients))
    return crosswalk(type, modes, realis, acting, suffering, dead.min if dead else None, trigger)


def recoded(event: Event) -> Event:
    """The event with the intensity and the codes that follow from its type, modes and arguments."""
    return replace(
        event,
        intensity=intensity(event.type, event.modes),
        codes=codes_of(
            event.type, event.modes, event.realis, event.actors, event.recipients, event.dead, event.trigger.text
        ),
    )


def _both_armed(actors: Sequence[str | None], recipients: Sequence[str | None]) -> bool:
    attackers = _ARMED | {"GOV"}
    if not recipients:
        return len(actors) > 1 and all(sector in attackers for sector in actors)
    defenders = attackers if any(sector in _STATE for sector in actors) else _ARMED
    return any(sector in attackers for sector in actors) and any(sector in defenders for sector in recipients)


def _entry(type: str) -> dict[str, Any]:
    try:
        return dict(_PLOVER[type])
    except KeyError:
        raise ValueError(f"no PLOVER type {type!r}; the types are {', '.join(TYPES)}") from None
