"""Whether the day that a sentence names lies ahead: read from the verbs and the cue words around it."""

from __future__ import annotations

import re

# What says that the day after it lies ahead, and what says that it lies behind: the nearer one to the day decides.
_AHEAD = re.compile(
    r"\b(?:will|shall|would(?! have)|(?:is|are) to(?= \w+ )|due|slated|scheduled|set (?:to|for)|planned (?:for|to)|plans to|"
    r"planning to|(?:is|are) going to|expected|upcoming|forthcoming|ha(?:s|ve) until|tentatively|begins|starts|opens|resumes|"
    r"must|takes? effect|expires?|(?:go(?:es)?|heads?) to the polls)\b|(?<=\w)['’]ll\b",
    re.IGNORECASE,
)
# Of a threat that was made, "on Friday" is its own day; of one that is only feared or planned, the day of the deed.
_MEANT = re.compile(
    r"\b(?:vow|pledge|promise|threaten|agree|prepare|intend|hope|want|try|call)(?:s|d|ed|ing)? (?:to|for)\b|"
    r"\b(?:may|might|could)\b",
    re.IGNORECASE,
)
_BEHIND = re.compile(r"\b(?:was|were|had|has|have|did|said|says|told|announced|killed|after)\b", re.IGNORECASE)
# Who was due to come, and the truce that was to begin, belong to a day gone by, unless they were called off.
_WAS_AHEAD = re.compile(
    r"\b(?:was|were|had)(?: been)? (?:\w+ly )?(?:due|slated|scheduled|set|planned|promised|expected|to|agreed)\b",
    re.IGNORECASE,
)
_CALLED_OFF = re.compile(r"\b(?:cancell?ed|called off|postponed|put off|delayed|scrapped)\b", re.IGNORECASE)
_SPOKEN = re.compile(
    r"\b(?:said|says|told \w+|announced|declared|added|confirmed)(?: (?:late|early))?(?: on)?\s*$", re.IGNORECASE
)
_CLAUSE = re.compile(r"[;:,\u2014]|\s[-–]\s|\b(?:but|while|when|which|who|although|because|that)\b", re.IGNORECASE)
_STARTS_NEXT = re.compile(
    r"(?:(?:early|late|later|from|by|until|this|the|in|over) )*(?:next (?!day|night|morning|evening|afternoon)|coming|"
    r"upcoming|tomorrow|later today|later this)\b",
    re.IGNORECASE,
)
_PLANNED = re.compile(r"['’]s (?:planned|scheduled|upcoming|forthcoming|expected)\b")  # "Friday's planned march"
_PAST = re.compile(r"\b(?:last|previous|past|overnight|yesterday|ago|since|earlier|recent|[12]\d{3})\b", re.IGNORECASE)
# "Told them to leave by Friday", "must leave until the 14th"; not "had left by Friday".
_DEADLINE = re.compile(
    r"^(?!.*\b(?:had|was|were)\b).*\b(?:to (?!the\b|a\b|its\b|his\b|their\b|death\b)[a-z]+|must|should|pledged|promised|"
    r"swore)\b.*\b(?:by|until|no later than|before the end of)\b",
    re.IGNORECASE | re.DOTALL,
)
# "The cleric arrested on Monday", but not "will be released on Monday" or "expected on Monday".
_PARTICIPLE = re.compile(
    r"(?<!\bbe )(?<!\bget )\b(?!expected|scheduled|planned|slated)\w+ed(?: (?:on|in|at|late|early))*\s*$", re.IGNORECASE
)
_BARE = {"on", "in", "at", "by", "from", "until", "and", "late", "early", "for", "next"}


def ahead(sentence: str, start: int, end: int, realis: str) -> bool:
    """Whether the day named by sentence[start:end] lies ahead of publication, as far as its event and the words around it say.

    `realis` is that of the event: what is announced (`future`) lies ahead, unless the day is that of the announcement ("said
    on Tuesday"); what is `historical` does not. For all others the nearest verb of the clause decides: "is due to meet on
    Friday", "told them to leave by Friday", "Friday's planned march". Never raises; offsets outside the sentence are cut.
    """
    before, words, after = sentence[: max(start, 0)], sentence[max(start, 0) : max(end, 0)], sentence[max(end, 0) :]
    if _SPOKEN.search(before) or (realis != "future" and _PAST.search(words)):
        return False
    if realis in ("future", "historical"):
        return realis == "future"
    if _STARTS_NEXT.match(words) or _PLANNED.match(after):
        return True
    clause = _CLAUSE.split(before)[-1]
    if _WAS_AHEAD.search(clause):
        return bool(_CALLED_OFF.search(sentence))
    if _DEADLINE.match(_edge(clause, words)):
        return True
    if _BARE.issuperset(clause.lower().split()):  # "On Friday, lawmakers will vote"
        rest = _CLAUSE.split(after.lstrip(" ,"))[0]
        cues = [match.start() if (match := cue.search(rest)) else len(rest) for cue in (_AHEAD, _BEHIND)]
        return cues[0] < cues[1]
    if after.startswith(("'s", "’s")) or _PARTICIPLE.search(clause):
        return False
    cue = max(_last(_AHEAD, clause), _last(_MEANT, clause) if realis == "hypothetical" else -1)
    return cue >= 0 and _last(_BEHIND, clause) < cue


_LED_BY = re.compile(r"\b(?:by|until|no later than)(?: the)?\s*$", re.IGNORECASE)
_LEADS = re.compile(r"(?:by|until|no later than|before the end of)\b", re.IGNORECASE)


def _edge(clause: str, words: str) -> str:
    """The clause up to the preposition of the day, if it is one of a deadline."""
    if preposition := _LEADS.match(words):
        return clause + preposition[0]
    return clause if _LED_BY.search(clause) else ""


def _last(pattern: re.Pattern[str], text: str) -> int:
    return max((match.start() for match in pattern.finditer(text)), default=-1)
