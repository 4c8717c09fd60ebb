"""Plain text out of whatever feeds and pages hold: bytes to characters, HTML to paragraphs.

The result never holds control characters other than "\\n", lone surrogates, or invisible marks, so that offsets into it
mean the same everywhere and nothing in it can steer a terminal. Runs in the parser process: input is hostile.
"""

from __future__ import annotations

import codecs
import html
import re
from functools import cache

from lxml import etree

from ingest.feeds.content import normalise

MAX_TEXT = 1_000_000  # code points
MAX_TITLE = 1_000

_BLOCKS = frozenset(
    "address article aside blockquote body caption center dd details dialog dir div dl dt fieldset figure footer form "
    "h1 h2 h3 h4 h5 h6 header hgroup hr html legend li main menu nav ol p pre section summary table tbody tfoot thead "
    "tr ul".split()
)
_CELLS = frozenset(("td", "th"))
# What a reader of the page would not see as running text; captions speak of pictures, often of older events.
_DROPPED = frozenset(
    "applet audio canvas figcaption head iframe math noembed noframes noscript object script select style svg "
    "template textarea title video".split()
)
# Written as if XML: an HTML parser would look for the end of it in the rest of the article.
_CLOSED_AT_ONCE = re.compile(rf"<(?:{'|'.join(sorted(_DROPPED))})\b[^<>]*/>", re.I)
# What readers of old browsers got: some feeds open it and leave it open, and then it is the article.
_FALLBACKS = frozenset("applet audio canvas iframe noembed noframes noscript object video".split())

_SURROGATES = re.compile("[\ud800-\udfff]")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ufdd0-\ufdef\ufffe\uffff]")
# Soft hyphens, zero-width spaces and direction marks hide inside words; joiners matter, but only between such letters.
_INVISIBLE = re.compile(
    "[\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
    "|(?:(?<=[\x00-\x7f])|^)[\u200c\u200d]+|[\u200c\u200d]+(?=[\x00-\x7f]|$)"
)
_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_MARKUP = re.compile("<[A-Za-z/!?]")
_BLANK_LINES = re.compile(r"\n{3,}")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")


def _clean(text: str) -> str:
    if text.replace("\n", "").isprintable():
        return text
    return _INVISIBLE.sub("", _CONTROLS.sub("", _SURROGATES.sub("\ufffd", text)))


def _layout(text: str) -> str:
    """Lines without space around them, paragraphs one blank line apart."""
    text = "\n".join([" ".join(line.split()) for line in text.split("\n")])
    if "\n\n\n" in text:
        text = _BLANK_LINES.sub("\n\n", text)
    text = text.strip()
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT].rstrip()


def unescape(text: str) -> str:
    """`text` with the character references decoded that end in a semicolon (`&amp;`, not `&amp`)."""
    return _ENTITY.sub(lambda found: html.unescape(found[0]), text)


def plain_to_text(text: str) -> str:
    """Tidied plain text: its lines and paragraphs are kept."""
    return _layout(_LINE_ENDS.sub("\n", _clean(text)))


def one_line(text: str, limit: int = MAX_TITLE) -> str:
    """`text` on one line of at most `limit` code points, left-over character references decoded."""
    line = " ".join(_clean(unescape(text)).split())
    return line if len(line) <= limit else line[:limit].rstrip()


_TAG = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,3}")


def language_tag(said: object) -> str | None:
    """A BCP 47 tag in its usual spelling out of what feeds and pages say (`en_us`), or None where it is none."""
    tag = str(said or "").strip().replace("_", "-")
    if not _TAG.fullmatch(tag):
        return None
    first, *others = tag.lower().split("-")
    return "-".join([first, *(part.upper() if len(part) == 2 else part for part in others)])


class _Collector:
    """A target for lxml's parser: no tree is built, so depth costs nothing. Nul stands for the end of a line."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._dropping: list[str] = []
        self.dropped: set[str] = set()

    def start(self, tag: str, attrs: object) -> None:
        if tag in _DROPPED:
            self._dropping.append(tag)
            self.dropped.add(tag)
        elif tag in _BLOCKS:
            self._parts.append("\0\0")
        elif tag == "br":
            self._parts.append("\0")
        elif tag in _CELLS:
            self._parts.append(" ")

    def end(self, tag: str) -> None:
        if tag in _DROPPED:
            if tag in self._dropping:
                del self._dropping[self._dropping.index(tag) :]
        elif tag in _BLOCKS:
            self._parts.append("\0\0")
        elif tag in _CELLS:
            self._parts.append(" ")

    def data(self, data: str) -> None:
        if not self._dropping:
            self._parts.append(data)

    def comment(self, text: str) -> None: ...

    def pi(self, target: str, data: str | None = None) -> None: ...

    def close(self) -> str:
        text = "".join(self._parts)
        self._parts, self._dropping = [], []
        return text


@cache
def _html_parser() -> tuple[_Collector, etree.HTMLParser]:
    # One for all fragments: lxml takes longer to make a parser than to read a paragraph.
    collector = _Collector()
    return collector, etree.HTMLParser(target=collector, no_network=True, encoding="utf-8")


def _read(markup: str) -> tuple[str, set[str]]:
    """Text, nul for line ends, and which elements were dropped."""
    collector, parser = _html_parser()
    collector.dropped = set()
    try:
        parser.feed(markup.encode())
        return str(parser.close()), collector.dropped
    except BaseException:
        _html_parser.cache_clear()
        raise


def html_to_text(markup: str) -> str:
    """The readable text of an HTML fragment or page.

    Block elements stand "\\n\\n" apart, `<br>` gives "\\n", table cells a space; scripts, styles, embedded things and
    captions are dropped. At most MAX_TEXT code points. Any string gives a string.
    """
    if not markup.isascii():
        markup = _SURROGATES.sub("\ufffd", markup)
    markup = markup.replace("<![CDATA[", "").replace("]]>", "").replace("\x00", "")
    if not _MARKUP.search(markup):
        return _layout(_clean(" ".join(html.unescape(markup).split())))
    markup = _CLOSED_AT_ONCE.sub("", markup)
    text, dropped = _read(markup)
    if fallbacks := dropped & _FALLBACKS:
        lower = markup.lower()
        if left_open := "|".join(tag for tag in fallbacks if f"</{tag}" not in lower):
            text, _ = _read(re.sub(rf"<(?:{left_open})\b[^<>]*>", "", markup, flags=re.I))
    return _layout(_clean("\n".join([" ".join(line.split()) for line in text.split("\0")])))


def drop_title(text: str, title: str) -> str:
    """`text` without a first line that only repeats `title`."""
    first, _, rest = text.partition("\n")
    return rest.lstrip("\n") if title and len(first) <= 2 * MAX_TITLE and normalise(first) == normalise(title) else text


# Whole paragraphs that are about the page and not the news.
_BOILERPLATE = re.compile(
    r"""(?:
      \(?\s*(?:image|photo|picture|video)\s+(?:credit|by|courtesy)\b.{0,200}
    | (?:file\ photo|file\ image|file\ picture|handout\ photo|photograph|photos?|image|foto|symbolbild)\s*[:|].{0,300}
    | the\ post\ .{1,300}\ (?:appeared\ first|first\ appeared)\ on\ .{1,100}
    | (?:\[?\s*(?:…|\.\.\.)\s*\]?\s*)?
      (?:continue\ reading | read\ (?:more|on|the\ full\ story|the\ full\ article|full\ story|full\ article)
       | click\ here\ to\ (?:read|continue) | see\ more | full\ story) (?:\W.{0,120})?
    | (?:weiterlesen|mehr\ lesen|lire\ la\ suite|leer\ más|seguir\ leyendo|leia\ mais|leggi\ tutto|читать\ далее)\W*
    | (?:advertisement | sponsored | share\ this(?:\ article)? | read\ next | recommended\ stories | most\ read)\W*
    | (?:related(?:\ articles?)?|also\ read|read\ also|see\ also|lire\ aussi|lea\ también|lesen\ sie\ auch
       |читайте\ также):.{0,200}
    | (?:sign\ up|subscribe)\ (?:for|to)\ (?:our|the)\ .{0,60}newsletter.{0,120}
    | follow\ us\ on\ .{1,120}
    | (?:copyright\ |\(c\)\ |©\ ?).{0,160} | .{0,80}\ball\ rights\ reserved\b.{0,80}
    | (?:this\ (?:article|story|content)\ is|to\ continue\ reading).{0,40}\bsubscri.{0,120}
    | already\ a\ (?:subscriber|member)\?.{0,80}
    )""",
    re.IGNORECASE | re.VERBOSE,
)


# One sentence that ends in whose picture it is under.
_CAPTION = re.compile(
    r"""(?:[^.!?]|\.(?!\s)){1,250}\.?\s*(?:
      \[[^\]]{0,60}/[^\]]{0,40}\] | \(ap\ photo[^)]{0,60}\) | \b(?:reuters|afp|epa|getty\ images|ap\ photo)/[\w\ .-]{2,40}
      | /(?:reuters|afp|epa|getty(?:\ images)?|ap))""",
    re.IGNORECASE | re.VERBOSE,
)
_AGENCY = re.compile(r"\b(?:reuters|afp|ap|epa|getty|anadolu|xinhua|jazeera)\b", re.I)


def _is_of_the_page(paragraph: str) -> bool:
    if len(paragraph) > 500:
        return False
    if _BOILERPLATE.fullmatch(paragraph):
        return True
    return bool(_AGENCY.search(paragraph[-60:]) and _CAPTION.fullmatch(paragraph))


def drop_boilerplate(text: str) -> str:
    """`text` without paragraphs that only speak of the page: credits, "read more", "the post ... appeared first on"."""
    if not text:
        return text
    kept = [part for part in text.split("\n\n") if not _is_of_the_page(part.strip())]
    return "\n\n".join(kept)


_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WITHOUT_BOM = (
    (b"<\x00\x00\x00", "utf-32-le"),
    (b"\x00\x00\x00<", "utf-32-be"),
    (b"<\x00", "utf-16-le"),
    (b"\x00<", "utf-16-be"),
)
_EBCDIC = "<?xml".encode("cp037")  # the same in all of that family (XML 1.0, appendix F)
_CHARSET_HEADER = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.I)
_CHARSET_INSIDE = re.compile(
    rb"<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]{1,40})"
    rb"|<meta[^>]{0,500}?charset\s*=\s*[\"']?([\w.:-]{1,40})",
    re.I,
)
# Names as the WHATWG Encoding Standard reads them: supersets, since that is what the authors' machines wrote.
_SUPERSETS = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
    "big5": "big5hkscs",
}
# Python also has "codecs" that are slow on purpose-made input or no encodings of characters at all.
_SAFE_CODECS = re.compile(
    r"utf-(?:8|16|32)|iso8859|iso2022|cp\d|gb|big5|euc|shift|koi8|mac-|hz|tis|ascii|johab|kz1048|ptcp154"
)
_SEVEN_BIT = re.compile(r"iso2022|hz")
# Encodings that differ in whole letters. Those of Central Europe and Turkey cannot be told from cp1252 by their bytes.
_GUESSES = "cp1252 cp1251 koi8_r cp1253 cp1255 cp1256 cp874 cp932 euc_jp gb18030 big5 cp949".split()
_SAMPLE = 100_000  # bytes to guess by
_ENOUGH_MARKS = 50  # bytes beyond ASCII; of fewer, a guess is a lottery


def _codec(name: str) -> str | None:
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        return None
    return _SUPERSETS.get(found, found) if _SAFE_CODECS.match(found) else None


def _guessed(body: bytes) -> str:
    """The codec of a body that is not UTF-8 and not what it says, if anything."""
    if len(body) - len(body.decode("ascii", "ignore")) < _ENOUGH_MARKS:
        return "cp1252"
    # Read here: hardly any feed needs it.
    from charset_normalizer import from_bytes

    found = from_bytes(body[:_SAMPLE], cp_isolation=_GUESSES).best()
    return found.encoding if found else "cp1252"


def decode_body(body: bytes, content_type: str = "") -> str:
    """The characters of a feed or page, whatever encoding it claims.

    A byte order mark wins; then UTF-8, if the bytes are that (other encodings hardly ever are by chance, while wrong
    declarations are common), a few broken bytes allowed; then the `charset` of the HTTP header, then that of the XML
    declaration or HTML meta element; then a guess by the bytes; at last windows-1252. Never fails: what cannot be
    decoded is U+FFFD.
    """
    for mark, name in _BOMS:
        if body.startswith(mark):
            return body[len(mark) :].decode(name, "replace")
    for mark, name in _WITHOUT_BOM:
        if body.startswith(mark):
            return body.decode(name, "replace")
    if body.startswith(_EBCDIC):
        stated = _CHARSET_INSIDE.search(body[:400].decode("cp037").encode("latin-1"))
        codec = _codec(stated[1].decode("ascii")) if stated and stated[1] else None
        return body.decode(codec if codec and b"<?xml".decode(codec) != "<?xml" else "cp037", "replace")
    header = _CHARSET_HEADER.search(content_type)
    inside = _CHARSET_INSIDE.search(body[:4096])
    named = [header[1]] if header else []
    named += [(inside[1] or inside[2]).decode("ascii")] if inside else []
    declared = [codec for codec in map(_codec, named) if codec]
    if body.isascii():
        stateful = [codec for codec in declared if _SEVEN_BIT.match(codec)]
        return body.decode(stateful[0] if stateful else "ascii", "replace")
    loose = body.decode("utf-8", "replace")
    # A character of n bytes in UTF-8 leaves n - 1 bytes over; a byte that is not UTF-8 leaves none, and a U+FFFD.
    if loose.count("\ufffd") * 10 <= len(body) - len(loose):
        return loose
    for codec in declared:
        try:
            return body.decode(codec)
        except UnicodeDecodeError:
            continue
    return body.decode(_guessed(body), "replace")
