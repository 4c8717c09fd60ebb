"""Plain text out of whatever feeds and pages hold."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.feeds.text import (
    MAX_TEXT,
    MAX_TITLE,
    decode_body,
    drop_boilerplate,
    drop_title,
    html_to_text,
    language_tag,
    one_line,
    plain_to_text,
)

TAGS = ["p", "div", "br", "b", "script", "style", "td", "tr", "table", "li", "ul", "svg", "title", "pre", "a", "h1"]
MARKUP = st.lists(
    st.one_of(
        st.text(max_size=10),
        st.sampled_from([f"<{tag}>" for tag in TAGS] + [f"</{tag}>" for tag in TAGS]),
        st.sampled_from(
            ["<", ">", "&", "&amp;", "&#0;", "&#xD800;", "&nbsp;", "<!--", "-->", "<![CDATA[", "]]>", '<a b="']
        ),
        st.characters(categories=["Cc", "Cf", "Cs", "Zs"]),
    ),
    max_size=40,
).map("".join)


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("", ""),
        ("plain", "plain"),
        ("<p>One.</p><p>Two.</p>", "One.\n\nTwo."),
        ("<p>One.<p>Two.", "One.\n\nTwo."),
        ("One.<br>Two.<br/>Three.", "One.\nTwo.\nThree."),
        ("One.<br><br><br>Two.", "One.\n\nTwo."),
        ("<div><div><p>One.</p></div></div>\n\n\n<h2>Head</h2>Two", "One.\n\nHead\n\nTwo"),
        ("<ul><li>a</li><li>b</li></ul>", "a\n\nb"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\n\nc"),
        ("a <b>bold</b>ly <i>go</i>", "a boldly go"),
        ("a   b\t\nc\u00a0d&nbsp;e&#8239;f", "a b c d e f"),
        ("R&amp;D &lt;b&gt; &quot;x&quot; &eacute;&#233;&#xe9; &mdash;", 'R&D <b> "x" ééé —'),
        ("AT&T, 3 < 5 & 5 > 3", "AT&T, 3 < 5 & 5 > 3"),
        ("&#150;&#151;&#146;", "–—’"),
        ("a<script>alert('<p>x</p>')</script>b<style>p{}</style>c", "abc"),
        ("a<noscript>n</noscript>b<iframe>i</iframe>c<svg><text>s</text></svg>d", "abcd"),
        ("<figure><img alt=x><figcaption>File photo of 2019</figcaption></figure><p>Today.", "Today."),
        ("<title>T</title><body>B", "B"),
        ("<!-- comment -->a<!-- <p>b</p> -->", "a"),
        ("<![CDATA[inside]]>", "inside"),
        ("a\x00b\x07c\x1bd\x7fe\x9bf", "abcdef"),
        ("so\u00adft zero\u200bwidth \ufeffmark \u202ereversed\u202c", "soft zerowidth mark reversed"),
        ("with \u200ca\u200d loaded", "with a loaded"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("lone \ud800 surrogate", "lone \ufffd surrogate"),
        ("&#xD800; &#x110000; &#99999999999;", "\ufffd \ufffd \ufffd"),
        ("<p>unclosed <a href='x'>link", "unclosed link"),
        ("</p></div>text</body></html>after", "text\n\nafter"),
        ("<select><option>1<option>2</select>x", "x"),
        ('Before<iframe src="x"/> after<video src="y" /><script src="z"/> all', "Before after all"),
        ('Before <embed src="x"> after', "Before after"),
        ('Before <object data="x"> after', "Before after"),
        ("Before <iframe src=x> after <b>and</b><p>later", "Before after and\n\nlater"),
        ("Before <iframe src=x>never shown</iframe> after", "Before after"),
        ("Before <style> never shown", "Before"),
    ],
)
def test_html_becomes_paragraphs(markup: str, text: str) -> None:
    assert html_to_text(markup) == text


def test_depth_and_length_cost_neither_text_nor_stack() -> None:
    assert html_to_text("<div>" * 50_000 + "deep" + "</div>" * 50_000) == "deep"
    assert len(html_to_text("words" * 500_000)) == MAX_TEXT
    assert len(plain_to_text("é" * (MAX_TEXT + 5))) == MAX_TEXT


def assert_tidy(text: str) -> None:
    for mark in text:
        assert mark == "\n" or unicodedata.category(mark) not in ("Cc", "Cs"), repr(mark)
    assert not re.search(r"\n\n\n|[^\S\n ]|  | \n|\n |^\s|\s$", text), repr(text)
    text.encode()


@given(MARKUP)
def test_any_markup_gives_tidy_text(markup: str) -> None:
    assert_tidy(html_to_text(markup))


@given(
    st.lists(st.one_of(st.text(st.characters(exclude_characters="<")), st.sampled_from(["&", "&amp;", "&lt", "&#65"])))
)
def test_text_without_markup_reads_the_same_on_the_short_way(parts: list[str]) -> None:
    text = "".join(parts)
    assert html_to_text(f"<p>{text}") == html_to_text(text)


@given(st.text(st.characters()))
def test_any_plain_text_becomes_tidy_and_stays_so(text: str) -> None:
    tidied = plain_to_text(text)
    assert_tidy(tidied)
    assert plain_to_text(tidied) == tidied


@given(st.text(st.characters()))
def test_titles_are_one_tidy_line(text: str) -> None:
    line = one_line(text)
    assert_tidy(line)
    assert "\n" not in line
    assert len(line) <= MAX_TITLE


@given(st.text(st.characters(categories=["L", "Nd", "Po"]), min_size=1))
def test_words_survive_html(text: str) -> None:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert html_to_text(f"<p>{escaped}</p>") == plain_to_text(text)


def test_plain_text_keeps_its_lines_and_paragraphs() -> None:
    assert plain_to_text(" a \r\n b\r\rc\u2028d\n\n\n\ne\x0b") == "a\nb\n\nc\nd\n\ne"


@pytest.mark.parametrize(
    ("title", "line"),
    [
        (" Two\n lines\tand  more ", "Two lines and more"),
        ("Marks &amp; Spencer&#039;s &eacute;lan", "Marks & Spencer's élan"),
        ("AT&T &unknown; Q&A", "AT&T &unknown; Q&A"),
        ("x" * 2000, "x" * MAX_TITLE),
    ],
)
def test_titles_are_decoded_once_more(title: str, line: str) -> None:
    assert one_line(title) == line


@pytest.mark.parametrize(
    ("text", "title", "rest"),
    [
        ("Rebels  shell “town”\n\nBody.", 'Rebels shell "town"', "Body."),
        ("Rebels shell town", "Rebels shell town!", ""),
        ("Rebels shell town again\n\nBody.", "Rebels shell town", "Rebels shell town again\n\nBody."),
        ("Body.", "", "Body."),
        ("", "Title", ""),
        ("…\n\nBody.", "", "…\n\nBody."),
    ],
)
def test_text_does_not_begin_with_the_title(text: str, title: str, rest: str) -> None:
    assert drop_title(text, title) == rest


@pytest.mark.parametrize(
    "paragraph",
    [
        "(Image credit: Someone/Agency)",
        "The post Rebels shell town appeared first on Example News.",
        "Read more",
        "Continue reading →",
        "Read more: what we know",
        "Lire la suite…",
        "Advertisement",
        "READ NEXT",
        "Also read: Army denies shelling",
        "File photo: Smoke over Goma, 2019",
        "Photograph: Jane Doe/Example",
        "Smoke rises after an air strike on Khan Younis in March [Jane Doe/Reuters]",
        "A soldier walks past a burnt bus in Kharkiv. (AP Photo/Jane Doe)",
        "Rescuers in Beirut. REUTERS/Jane Doe",
        "Sign up to our weekly newsletter",
        "© 2026 Example News. All rights reserved.",
        "Already a subscriber? Log in",
    ],
)
def test_paragraphs_about_the_page_are_dropped(paragraph: str) -> None:
    assert drop_boilerplate(f"News.\n\n{paragraph}\n\nMore news.") == "News.\n\nMore news."


@pytest.mark.parametrize(
    "paragraph",
    [
        "Read out in court, the letter said the army had fired first.",
        "Photo journalists were among the dead.",
        "The post office in Goma was shelled.",
        "Related parties met in Doha.",
        "The mayor told Reuters that twelve had died. [He did not say how.]",
        "Twelve died in Goma, the AFP said.",
        "KYIV (Reuters) - Twelve people died on Tuesday.",
        "A file photo showed the rebels at the gate.",
        "Image problems or not, the army advanced.",
        "Follow us, the soldiers shouted.",
    ],
)
def test_paragraphs_of_news_are_kept(paragraph: str) -> None:
    assert drop_boilerplate(paragraph) == paragraph


RUSSIAN = "Взрыв в городе, 5 погибших"
FRENCH = "Le président a été tué à Alger"
JAPANESE = "爆発で五人が死亡した"
MORE_RUSSIAN = "\n".join(
    3 * ["<p>По меньшей мере двенадцать человек погибли во вторник при обстреле города, сообщили власти.</p>"]
)
MORE_JAPANESE = "\n".join(3 * ["<p>当局によると、火曜日の攻撃で少なくとも十二人が死亡した。</p>"])


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        (b"", "", ""),
        (b"plain", "text/xml; charset=utf-16", "plain"),
        (FRENCH.encode(), "", FRENCH),
        (FRENCH.encode(), "text/xml; charset=iso-8859-1", FRENCH),
        (FRENCH.encode("latin-1"), "text/xml; charset=utf-8", FRENCH),
        (FRENCH.encode("latin-1"), "", FRENCH),
        ("\u201cquoted\u201d – 5 €".encode("cp1252"), "text/html; charset=ISO-8859-1", "\u201cquoted\u201d – 5 €"),
        (RUSSIAN.encode("cp1251"), 'text/xml; charset="windows-1251"', RUSSIAN),
        (RUSSIAN.encode("koi8-r"), "text/xml;charset=KOI8-R", RUSSIAN),
        (b'<?xml version="1.0" encoding="windows-1251"?>' + RUSSIAN.encode("cp1251"), "text/xml", None),
        (b"<html><head><meta charset=koi8-r>" + RUSSIAN.encode("koi8-r"), "text/html", None),
        (JAPANESE.encode("shift_jis"), "text/html; charset=Shift_JIS", JAPANESE),
        (JAPANESE.encode("euc-jp"), "text/html; charset=euc-jp", JAPANESE),
        (JAPANESE.encode("iso-2022-jp"), "text/html; charset=iso-2022-jp", JAPANESE),
        ("爆炸".encode("gb18030"), "text/html; charset=gb2312", "爆炸"),
        ("<a>" + FRENCH, "utf-16", "<a>" + FRENCH),
        (b"\xef\xbb\xbf" + FRENCH.encode(), "text/xml; charset=latin-1", FRENCH),
        (FRENCH.encode("utf-16"), "", FRENCH),
        (FRENCH.encode("utf-32"), "", FRENCH),
        (("<rss>" + FRENCH).encode("utf-16-be"), "", "<rss>" + FRENCH),
        (
            RUSSIAN.encode() + b" \xff " + RUSSIAN.encode(),
            "text/xml; charset=windows-1251",
            f"{RUSSIAN} \ufffd {RUSSIAN}",
        ),
        (FRENCH.encode("latin-1"), "text/xml; charset=no-such-thing", FRENCH),
        (b"caf\xe9 \\u0041", "text/xml; charset=unicode_escape", "café \\u0041"),
        (MORE_RUSSIAN.encode("cp1251"), "text/xml; charset=utf-8", MORE_RUSSIAN),
        (MORE_RUSSIAN.encode("koi8-r"), "", MORE_RUSSIAN),
        (MORE_JAPANESE.encode("shift_jis"), "", MORE_JAPANESE),
        (MORE_JAPANESE.encode("euc-jp"), "text/xml; charset=utf-8", MORE_JAPANESE),
        (9 * FRENCH.encode("latin-1"), "text/xml; charset=utf-8", 9 * FRENCH),
        (
            '<?xml version="1.0" encoding="cp500"?><rss>[é]'.encode("cp500"),
            "",
            '<?xml version="1.0" encoding="cp500"?><rss>[é]',
        ),
        ('<?xml version="1.0"?><rss>[é]'.encode("cp037"), "", '<?xml version="1.0"?><rss>[é]'),
        (b"caf\xe9", "text/xml; charset=idna", "café"),
        (b"caf\xe9", "text/xml; charset=zlib", "café"),
    ],
)
def test_bodies_are_read_in_the_encoding_they_are_in(body: bytes | str, content_type: str, text: str | None) -> None:
    if isinstance(body, str):
        body = body.encode(content_type)
    decoded = decode_body(body, content_type)
    assert decoded.endswith(RUSSIAN) if text is None else decoded == text


@given(st.binary(max_size=200), st.sampled_from(["", "text/xml; charset=utf-8", "x; charset=gbk", "x; charset=utf-7"]))
def test_any_body_can_be_decoded(body: bytes, content_type: str) -> None:
    decode_body(body, content_type).encode()


@given(st.text(min_size=1).filter(lambda text: not text.isascii()))
def test_utf_8_is_recognised_whatever_is_declared(text: str) -> None:
    body = f"<rss>{text}".encode()
    assert decode_body(body, "text/xml; charset=iso-8859-15") == f"<rss>{text}"


@pytest.mark.parametrize(
    ("said", "tag"),
    [
        ("en", "en"),
        ("EN_us", "en-US"),
        (" pt-br ", "pt-BR"),
        ("zh-hant-tw", "zh-hant-TW"),
        ("English", None),
        (None, None),
    ],
)
def test_language_tags_are_spelled_alike(said: str | None, tag: str | None) -> None:
    assert language_tag(said) == tag
