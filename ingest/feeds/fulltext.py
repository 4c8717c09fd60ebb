"""The article on a page, by trafilatura. Runs in the parser process: pages are hostile, and slow to read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import trafilatura
from lxml import etree
from lxml import html as lxml_html

from ingest.feeds.text import (
    MAX_TEXT,
    decode_body,
    drop_boilerplate,
    drop_title,
    html_to_text,
    language_tag,
    one_line,
    plain_to_text,
)

_PUBLISHED = (
    "//meta[@property='article:published_time' or @property='og:article:published_time' or @itemprop='datePublished'"
    " or @name='article:published_time' or @name='pubdate' or @name='publishdate' or @name='parsely-pub-date'"
    " or @name='dc.date' or @name='DC.date.issued']/@content",
    "//time[@itemprop='datePublished' or @pubdate]/@datetime",
    "//article//time/@datetime",
)
_JSON_PUBLISHED = re.compile(r'"datePublished"\s*:\s*"([^"]{8,40})"')
_LANGUAGE = (
    "//html/@lang",
    "//meta[@http-equiv='content-language' or @http-equiv='Content-Language' or @property='og:locale']/@content",
    "//meta[@name='language' or @name='dc.language' or @itemprop='inLanguage']/@content",
)
# Captions speak of pictures, often of older events, and offers of other articles. Short, for a whole page may be in a
# class of such a name.
_NOT_THE_ARTICLE = (
    "//figcaption",
    "//*[contains(concat(' ', @class), ' caption') or contains(@class, '-caption') or contains(@class, '__caption')"
    " or contains(@class, 'related-') or contains(@class, 'newsletter') or contains(@class, 'read-more')]"
    "[not(self::body)][string-length() < 600]",
)
_SHORT = 2_500
"""Code points up to which a text may be about the page itself: a wall has no more to say, an article on cookies has."""


def extract_page(body: bytes, content_type: str, title: str) -> dict[str, Any]:
    """Text, title, authors, language and time of the article on an HTML page, as a JSON-ready dict.

    `title` is the article's as far as it is known: the text does not repeat it. `text` is empty where the page holds no
    article that trafilatura can tell from its navigation, or where `instead` says what it holds in its place (see
    `what_instead`). `published` is RFC 3339 or null.
    """
    tree = _tree(decode_body(body, content_type))
    if tree is None:
        return {"title": "", "text": "", "authors": [], "language": None, "published": None, "instead": None}
    said = _structured(tree)
    language = next((tag for path in _LANGUAGE for tag in map(language_tag, tree.xpath(path)[:3]) if tag), None)
    published = _published(tree, said)
    found = trafilatura.bare_extraction(
        tree,
        include_comments=False,
        include_tables=False,
        with_metadata=True,
        prune_xpath=list(_NOT_THE_ARTICLE),
        date_extraction_params={"extensive_search": False, "original_date": True, "outputformat": "%Y-%m-%d"},
    )
    page_title = one_line(_string(said.get("headline")) or (found.title if found else "") or "")
    text = ((found.text if found else "") or "")[: 2 * MAX_TEXT]
    if published is None and found and found.date:
        published = _time(found.date)
    # trafilatura sets paragraphs one line end apart, and a dash before list items.
    text = drop_boilerplate(plain_to_text(re.sub(r"\n+(?:- )?", "\n\n", text)))
    # Some pages are put together by scripts and give the text to search engines only; trafilatura takes it on one line.
    body_said = _string(said.get("articleBody"))[: 2 * MAX_TEXT]
    if len(body_said) > 2 * len(text) or body_said.split() == text.split():
        text = drop_boilerplate(html_to_text(body_said) if "<p" in body_said else plain_to_text(body_said))
    instead = "a live blog" if _kinds(said) & _LIVE else what_instead(text, title or page_title)
    authors = _authors(said) or (re.split(r"\s*;\s*", found.author) if found and found.author else [])
    return {
        "title": page_title,
        "text": "" if instead else drop_title(drop_title(text, page_title), title),
        "authors": [one_line(author, 200) for author in authors[:20]],
        "language": language or language_tag(said.get("inLanguage")),
        "published": published.isoformat() if published else None,
        "instead": instead,
    }


_COOKIES = re.compile(
    r"""\bcookies?\b | \bconsent\b | \bprivacy\ (?:policy|settings|choices)\b | \bgdpr\b | \bpersonal\ data\b
    | \bpersonali[sz]ed\ (?:ads|advertising|content)\b | \b(?:our|\d+)\ (?:\w+\ ){0,2}partners\b
    | \bdatenschutz | \beinwilligung | \bconsentement\b | \bconsentimiento\b | \btraceurs\b""",
    re.I | re.X,
)
_ROBOT_CHECK = re.compile(
    r"""\b(?:enable|turn\ on|activate)\ (?:\w+\ ){0,3}java\ ?script
    | \bjava\ ?script\ (?:is|has\ been|must\ be)\ (?:disabled|enabled|required) | \bchecking\ your\ browser\b
    | \b(?:verify|confirm|prove|verifying)\ (?:that\ )?you(?:['’]re|\ are)\ (?:not\ a\ robot|(?:a\ )?human) | \bcaptcha\b
    | \bunusual\ traffic\b | \baccess\ (?:is\ |has\ been\ )?denied\b | \b403\ forbidden\b | \btoo\ many\ requests\b
    | \bblocked\ by\ (?:our|the)\ (?:security|firewall)\b | \bnot\ available\ in\ your\ (?:country|region)\b
    | \bunavailable\ (?:for|due\ to)\ legal\ reasons\b""",
    re.I | re.X,
)
_NOT_FOUND = re.compile(
    r"""\bpage\ (?:you\ (?:are\ looking|requested|were\ looking)|(?:was\ |could\ |can)?not\ (?:be\ )?found) | \berror\ 404\b
    | ^404\b | \b(?:article|page|story)\ (?:is\ no\ longer\ available|has\ been\ removed|no\ longer\ exists)
    | \bseite\ (?:wurde\ )?nicht\ gefunden | \bpage\ (?:introuvable|non\ trouvée) | \bpágina\ no\ encontrada
    | \bстраница\ не\ найдена""",
    re.I | re.X,
)
_PAYWALL = re.compile(
    r"""\b(?:subscribe|sign\ in|sign\ up|log\ ?in|register)(?:\ now|\ today)?\ (?:to|and|for)
      \ (?:continue|keep|read|unlock|access)
    | \bto\ (?:continue|keep)\ reading\b | \b(?:already|not\ yet)\ a\ (?:subscriber|member)\b | \bsubscribers[\ -]only\b
    | \b(?:for|to)\ subscribers\ only\b | \bsubscriber-only\b | \b(?:start|begin)\ your\ (?:free\ )?trial\b
    | \b(?:only\ )?(?:available|reserved|exclusive)\ (?:only\ )?(?:to|for)\ (?:\w+\ )?(?:subscribers|members)\b
    | \bunlock\ (?:this|the\ full)\ (?:article|story)\b | \b(?:you\ have|you['’]ve)\ (?:\w+\ ){0,3}free\ articles\b
    | \bartikel\ (?:weiter|ganz)?lesen\b | \babo\ (?:weiter)?lesen\b | \bréservée?\ (?:à|aux)\ (?:nos\ )?abonn
    | \b(?:exclusivo|reservado)\ para\ (?:\w+\ )?(?:suscriptores|assinantes)\b | \bдля\ подписчиков\b""",
    re.I | re.X,
)
_LIVE = frozenset(("LiveBlogPosting",))
_LIVE_TITLE = re.compile(
    r"""\blive(?:\ ?blog|\ updates?|\ coverage)?\s*[:|] | [|:–—-]\s*live(?:\ updates?)?$ | \blive\ ?blog\b | \bliveticker\b
    | ^(?:live\ updates\b|en\ direct\b|en\ vivo\b|ao\ vivo\b|in\ diretta\b) | \b(?:en\ direct|en\ vivo)\s*[:|]
    | \blive\ updates$ | \bas\ it\ happened\b | \bminuto\ a\ minuto\b | \bпрямая\ трансляция\b""",
    re.I | re.X,
)
_CLOCK = re.compile(
    r"""(?:updated\ |published\ )?(?:at\ )?\d{1,2}[:.h]\d{2}(?:\ ?[ap]\.?m\.?)?(?:\ ?(?:[A-Z]{2,5}|Uhr))?
    | \d{1,2}\ ?(?:m|h|min|mins|minutes?|hrs?|hours?)\ ago | vor\ \d{1,2}\ (?:minuten|stunden)
    | il\ y\ a\ \d{1,2}\ (?:minutes|heures)""",
    re.I | re.X,
)


def what_instead(text: str, title: str) -> str | None:
    """What `text` is if it is not the article called `title` but what a page shows in its place, else None.

    A live blog is many reports of many hours: it would be coded anew whenever it grows, and an older report's facts with
    it. A wall has few words, most of them on itself.
    """
    paragraphs = [part for part in text.split("\n\n") if part.strip()]
    if _LIVE_TITLE.search(title) or sum(bool(_CLOCK.fullmatch(part.strip())) for part in paragraphs) >= 4:
        return "a live blog"
    if not text or len(text) > _SHORT:
        return None

    def share(of: re.Pattern[str]) -> float:
        return sum(len(part) for part in paragraphs if of.search(part)) / len(text)

    for pattern, name, needed in (
        (_COOKIES, "a cookie wall", 0.5),
        (_PAYWALL, "a paywall", 0.5),
        (_ROBOT_CHECK, "a check for robots", 0.6),
        (_NOT_FOUND, "an error page", 0.6),
    ):
        if share(pattern) >= needed:
            return name
    return None


def _tree(markup: str) -> Any:
    try:
        # Surrogates cannot be in it: it was decoded from bytes. Nul ends a document for libxml2.
        parser = lxml_html.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True)
        return lxml_html.document_fromstring(markup.replace("\x00", "").encode("utf-8", "replace"), parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError):
        return None


_ARTICLE = re.compile(r"(?:\w*Article|Report|BlogPosting|LiveBlogPosting)")
_MAX_SCRIPT = 2_000_000  # code points


def _structured(tree: Any) -> dict[str, Any]:
    """The article as schema.org describes it on the page (JSON-LD), or an empty dict."""
    for script in tree.xpath("//script[@type='application/ld+json']/text()")[:10]:
        if len(script) > _MAX_SCRIPT:
            continue
        try:
            told = json.loads(script, strict=False)
        except (ValueError, RecursionError):
            continue
        for thing in _things(told):
            if any(_ARTICLE.fullmatch(kind) for kind in _kinds(thing)):
                return thing
    return {}


def _things(told: Any) -> Iterator[dict[str, Any]]:
    for thing in told[:50] if isinstance(told, list) else [told]:
        if isinstance(thing, dict):
            yield thing
            graph = thing.get("@graph")
            yield from (each for each in graph[:50] if isinstance(each, dict)) if isinstance(graph, list) else ()


def _kinds(thing: dict[str, Any]) -> set[str]:
    kinds = thing.get("@type")
    return {kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if isinstance(kind, str)}


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _authors(said: dict[str, Any]) -> list[str]:
    authors = said.get("author")
    names = [
        _string(author.get("name") if isinstance(author, dict) else author)
        for author in (authors if isinstance(authors, list) else [authors])[:20]
    ]
    return [name for name in names if name.strip() and "://" not in name]


def _published(tree: Any, said: dict[str, Any]) -> datetime | None:
    stamps = [_string(said.get("datePublished"))]
    # Where the script is no JSON, as with line ends in its strings or two objects in one.
    for script in tree.xpath("//script[@type='application/ld+json']/text()")[:10]:
        stamps += _JSON_PUBLISHED.findall(script)[:1]
    stamps += [stamp for path in _PUBLISHED for stamp in tree.xpath(path)[:3]]
    return next((time for time in map(_time, stamps) if time), None)


def _time(stamp: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(stamp.strip())
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
