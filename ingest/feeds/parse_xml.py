"""What feedparser reads XML with here: the same classes of its own and of Python's, with short ways for the common cases.

`install` puts them in. Each short way gives what the long one would have given, in about half the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.sax.expatreader import ExpatParser
from xml.sax.xmlreader import AttributesNSImpl

import feedparser.api
from feedparser.util import FeedParserDict

_NO_ATTRIBUTES = AttributesNSImpl({}, {})
# The keys that stand for others.
_MAPPED = frozenset(FeedParserDict.keymap)
_READ_OTHERWISE = _MAPPED | {"category", "enclosures", "license", "updated", "updated_parsed"}
_ROOTS = frozenset(("feed", "rss", "rdf:rdf", "rdf:RDF"))


def install() -> None:
    """Make `feedparser.parse` use the classes of this module."""
    feedparser.api.StrictFeedParser = _Handler
    if __name__ not in feedparser.api.PREFERRED_XML_PARSERS:
        feedparser.api.PREFERRED_XML_PARSERS.insert(0, __name__)


def create_parser() -> ExpatParser:
    """What `xml.sax.make_parser` calls, which is told of this module by name."""
    return _Expat()


class _Expat(ExpatParser):
    """Gives text in one piece and not line by line."""

    def reset(self) -> None:
        super().reset()
        parser: Any = self._parser  # type: ignore[attr-defined]
        parser.buffer_text = True
        parser.buffer_size = 1 << 16

    def start_element_ns(self, name: str, attrs: Mapping[str, str]) -> None:
        if attrs:
            super().start_element_ns(name, attrs)
        else:
            self._cont_handler.startElementNS(_pair(name), None, _NO_ATTRIBUTES)  # type: ignore[attr-defined]

    def end_element_ns(self, name: str) -> None:
        self._cont_handler.endElementNS(_pair(name), None)  # type: ignore[attr-defined]


def _pair(name: str) -> tuple[str | None, str]:
    """Namespace and local name out of what expat gives: these and a prefix, or as many as there are."""
    if " " not in name:
        return None, name
    namespace, local, *_prefix = name.split()
    return namespace, local


class _Entry(FeedParserDict):  # type: ignore[misc]
    """An entry; a key that stands for itself is looked up at once."""

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(key) if key in _READ_OTHERWISE else dict.__getitem__(self, key)

    def __contains__(self, key: Any) -> bool:
        return bool(super().__contains__(key)) if key in _READ_OTHERWISE else dict.__contains__(self, key)

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(key, default) if key in _READ_OTHERWISE else dict.get(self, key, default)

    def setdefault(self, key: Any, default: Any) -> Any:
        return super().setdefault(key, default) if key in _READ_OTHERWISE else dict.setdefault(self, key, default)

    def __setitem__(self, key: Any, value: Any) -> None:
        if key in _MAPPED:
            super().__setitem__(key, value)
        else:
            dict.__setitem__(self, key, value)

    __hash__ = FeedParserDict.__hash__


class _ContentParams(FeedParserDict):  # type: ignore[misc]
    """What is known of the text being read. No key of it stands for another, and no value can be changed in place."""

    __getitem__ = dict.__getitem__
    __setitem__ = dict.__setitem__
    __contains__ = dict.__contains__
    get = dict.get

    def __deepcopy__(self, memo: object) -> _ContentParams:
        return _ContentParams(self)


class _Handler(feedparser.api.StrictFeedParser):  # type: ignore[misc]
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.contentparams = _ContentParams()

    def startElementNS(self, name: tuple[str | None, str], qname: str | None, attrs: AttributesNSImpl) -> None:  # noqa: N802
        if attrs or self.decls or name[1].lower() in ("math", "svg"):
            super().startElementNS(name, qname, attrs)
        else:
            self.unknown_starttag(self._tag(*name), [])

    def endElementNS(self, name: tuple[str | None, str], qname: str | None) -> None:  # noqa: N802
        self.unknown_endtag(self._tag(*name))

    def _tag(self, namespace: str | None, local: str) -> str:
        """What feedparser calls an element: with the prefix that it has for the namespace, or else the feed's."""
        if not namespace:
            return local.lower()
        prefix = self._matchnamespaces.get(namespace.lower())
        if not prefix:
            # Of a namespace with no prefix of its own, such as Atom's, none is found here either.
            prefix = next((known for known, uri in self.namespaces_in_use.items() if known and uri == namespace), "")
        return f"{prefix}:{local}".lower() if prefix else local.lower()

    def unknown_starttag(self, tag: str, attrs: list[tuple[str, str]]) -> None:
        if attrs or self.baseuri or self.incontent or tag in _ROOTS:
            super().unknown_starttag(tag, attrs)
            return
        # feedparser would resolve the base against itself here.
        self.depth += 1
        self.basestack.append(self.baseuri)
        self.langstack.append(self.lang)
        prefix, colon, suffix = tag.partition(":")
        if not colon:
            prefix, suffix = "", tag
        prefix = self.namespacemap.get(prefix, prefix)
        if prefix:
            prefix = prefix + "_"
        else:
            if tag not in ("title", "link", "description", "name"):
                self.intextinput = 0
            if tag not in ("title", "link", "description", "url", "href", "width", "height"):
                self.inimage = 0
        given: dict[str, Any] = {}
        try:
            getattr(self, f"_start_{prefix}{suffix}")(given)
        except AttributeError:
            # No such method, or it met an element of the feed under a name of feedparser's own, with `given` half filled.
            if given:
                self._get_context()[prefix + suffix] = given
            else:
                self.push(prefix + suffix, 1)

    def push_content(self, *arguments: Any) -> None:
        super().push_content(*arguments)
        self.contentparams = _ContentParams(self.contentparams)

    def _start_item(self, attrs_d: dict[str, str]) -> None:
        super()._start_item(attrs_d)
        if not attrs_d:
            self.entries[-1] = _Entry()

    _start_entry = _start_item
