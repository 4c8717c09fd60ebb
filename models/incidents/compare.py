"""How likely two events are the same happening: points for what agrees, off for what does not. Whole numbers only, so that
every machine decides alike."""

from __future__ import annotations

import math
from collections.abc import Sequence

from models.incidents.facts import Facts, Party, Place, Range, weight

# What is to come is never one with what was; a denial is of what it denies.
_EXPECTED = frozenset({"future", "hypothetical"})
# Kilometres between the centres of two places that may be one: a town and its suburb, and a town and its surroundings.
_TOWN, _AROUND = 20, 60
_EARTH = 12742

# Ten times the log odds that each trait adds; what is not named adds nothing. They began as the logistic regression of
# tests.bench.incidents.fit; other countries, places and days weigh more than there, as a real day has more events that are
# alike than the test set, and words less, which did better over several orders of arrival. NEVER outweighs all that may speak
# for a pair.
NEVER = -1000
BASE = -13
POINTS = {
    "type neighbour": -13, "type unlike": -25, "type other": NEVER,
    "modes same": 3, "modes family": -3, "modes other": -8,
    "countries other": -12,
    "place same": 13, "place within": 8, "place around": -4, "place far": -32, "place country": -22,
    "date same": 15, "date overlap": -3, "date overlap?": 8, "date next": -14, "date next?": -14,
    "date apart": -60, "date apart?": -40,
    "actors words": 4, "actors code": 7, "actors country": 8, "actors other": -6,
    "recipients words": 9, "recipients code": 7, "recipients country": -7, "recipients perhaps": -3, "recipients other": -6,
    "dead same": 2, "dead other": -9,
}  # fmt: skip
# All words in common.
WORDS = 50
# In the same article told in the same way: "struck" and "killed", told of one blow.
SAME_ARTICLE = 25

# Words that tell so much are names, or as good as names; "police" and "soldiers" are not.
_TELLING = 60

# Types that coders and newsrooms take for one another.
_NEIGHBOURS = frozenset(
    frozenset(pair.split("/"))
    for pair in (
        "ASSAULT/COERCE COERCE/SANCTION COERCE/ACCUSE SANCTION/ACCUSE SANCTION/THREATEN ASSAULT/PROTEST ASSAULT/MOBILIZE "
        "RETREAT/CONCEDE RETREAT/AGREE CONCEDE/AGREE RETREAT/COERCE RETREAT/AID AID/AGREE AID/COOPERATE AGREE/SUPPORT "
        "AGREE/CONSULT AGREE/COOPERATE SUPPORT/COOPERATE SUPPORT/CONSULT CONSULT/COOPERATE COOPERATE/MOBILIZE REJECT/ACCUSE "
        "REJECT/SANCTION MOBILIZE/THREATEN REQUEST/ACCUSE REQUEST/THREATEN"
    ).split()
)


def neighbours(type: str) -> frozenset[str]:
    """The types that an event of this type may be reported as, its own among them."""
    return frozenset({type}).union(*(pair for pair in _NEIGHBOURS if type in pair))


def places(one: Place | None, other: Place | None) -> str:
    """`same`, `around` (within 60 km), `within` (one contains the other), `far`, `country` (another one) or `unknown`."""
    if one is None or other is None:
        return "unknown"
    if one.country != other.country:
        return "country"
    if "country" in (one.precision, other.precision):
        return "within"
    if one.precision == other.precision == "place":
        if one.geonames_id is not None and one.geonames_id == other.geonames_id:
            return "same"
        apart = _kilometres(one, other)
        return "unknown" if apart is None else "same" if apart <= _TOWN else "around" if apart <= _AROUND else "far"
    if one.admin1 is None or other.admin1 is None:
        return "within"
    return "within" if one.admin1.split()[:1] == other.admin1.split()[:1] else "far"


def _kilometres(one: Place, other: Place) -> int | None:
    """By the haversine formula."""
    if one.lat is None or one.lon is None or other.lat is None or other.lon is None:
        return None
    south, north = math.radians(one.lat), math.radians(other.lat)
    half = math.sin((north - south) / 2) ** 2
    half += math.cos(south) * math.cos(north) * math.sin(math.radians(other.lon - one.lon) / 2) ** 2
    return round(_EARTH * math.asin(min(1.0, math.sqrt(half))))


def countries(one: Facts, other: Facts) -> str:
    """Of places and parties: one is `shared`, all are `other` ones, or `unknown`."""
    mine, theirs = one.countries, other.countries
    return "unknown" if not mine or not theirs else "shared" if {*mine} & {*theirs} else "other"


def dates(one: Facts, other: Facts) -> str:
    """`same` (said by both), `overlap`, `next` (a day apart), `apart`; with `?` where one of them does not say."""
    gap = max(one.days[0], other.days[0]) - min(one.days[1], other.days[1])
    said = "" if one.dated and other.dated else "?"
    if gap <= 0:
        return "same" if one.days == other.days and not said else f"overlap{said}"
    return f"next{said}" if gap == 1 else f"apart{said}"


# Modes that are taken for one another, over all types; "targeted" may stand with any weapon and tells nothing here.
_FAMILIES = {
    mode: family
    for family in (
        "explosives suicide-attack aerial drone heavy-weapons destroy",
        "firearms primitive",
        "beat torture sexual",
        "abduct arrest convict allege",
        "restrict curfew martial-law obstruct",
        "censor misinformation cyber",
        "demo riot vandalize",
        "strike hunger boycott",
        "deport expel",
        "visit third-party multilateral phone",
        "troops police militia weapons",
    )
    for mode in family.split()
}


def modes(ones: Sequence[str], others: Sequence[str]) -> str:
    """`same` where one is in common, `family` where two are taken for one another, `other`, or `unknown`."""
    if {*ones} & {*others}:
        return "same"
    mine, theirs = ({_FAMILIES.get(mode, mode) for mode in each if mode != "targeted"} for each in (ones, others))
    return "unknown" if not mine or not theirs else "family" if mine & theirs else "other"


def parties(ones: Sequence[Party], others: Sequence[Party]) -> str:
    """Telling `words` in common, the same `code` (country and sector), the same `country`, `perhaps` where no country is
    known, `other` ones, or `unknown`: the best of any two."""
    found = {_party(one, other) for one in ones for other in others}
    return next((kind for kind in ("words", "code", "country", "perhaps", "other") if kind in found), "unknown")


def _party(one: Party, other: Party) -> str:
    if any(weight(word) >= _TELLING for word in one.key & other.key):
        return "words"
    if one.country is None or other.country is None:
        return "perhaps"
    if one.country != other.country:
        return "other"
    return "code" if one.sector is not None and one.sector == other.sector else "country"


def counts(one: Range | None, other: Range | None) -> str:
    """`same`, `near` (up to twice as many: tolls rise), `other` or `unknown`."""
    if one is None or other is None:
        return "unknown"
    low, high = sorted((one.low, other.low))
    return "same" if low == high else "near" if high <= 2 * low else "other"


def likeness(one: Facts, other: Facts) -> int:
    """Of what the words of two events tell, the share in common, in percent: the cosine of their weighted words."""
    if not one.weight or not other.weight:
        return 0
    shared = sum(map(weight, one.words & other.words))
    return math.isqrt(10_000 * shared * shared // (one.weight * other.weight))


def types(one: Facts, other: Facts) -> str:
    """`same`, `neighbour`, `unlike` (a neighbour of other modes: an attack, and the arrests after it) or `other`."""
    if one.type == other.type:
        return "same"
    if other.type not in neighbours(one.type):
        return "other"
    return "unlike" if modes(one.modes, other.modes) == "other" else "neighbour"


def traits(one: Facts, other: Facts) -> list[str]:
    """In what two events agree or differ, as the keys of POINTS."""
    return [
        f"type {types(one, other)}",
        f"modes {modes(one.modes, other.modes)}",
        f"countries {countries(one, other)}",
        f"place {places(one.place, other.place)}",
        f"date {dates(one, other)}",
        f"actors {parties(one.actors, other.actors)}",
        f"recipients {parties(one.recipients, other.recipients)}",
        f"dead {counts(one.dead, other.dead)}",
        f"injured {counts(one.injured, other.injured)}",
    ]


def score(one: Facts, other: Facts) -> int:
    """Ten times the log odds that two events are the same happening."""
    if (one.realis in _EXPECTED) != (other.realis in _EXPECTED):
        return NEVER
    found, alike = traits(one, other), likeness(one, other)
    points = BASE + sum(POINTS.get(trait, 0) for trait in found) + WORDS * alike // 100
    if one.article_id == other.article_id and one.type == other.type:
        points += SAME_ARTICLE
    return points
