"""Which language a text is in."""

from __future__ import annotations

import pytest

from ingest.feeds.language import detect_language

ENGLISH = "Rebels shelled the town on Tuesday and killed at least twelve people, officials said."
GERMAN = "Rebellen haben die Stadt am Dienstag beschossen und mindestens zwölf Menschen getötet, sagte die Behörde."
SPANISH = "Al menos doce personas murieron el martes en un ataque contra la ciudad, dijeron las autoridades."
RUSSIAN = "По меньшей мере двенадцать человек погибли во вторник при обстреле города, сообщили власти."
JAPANESE = "当局によると、火曜日の攻撃で少なくとも十二人が死亡した。"


@pytest.mark.parametrize(
    ("text", "claimed", "language"),
    [
        (ENGLISH, None, "en"),
        (ENGLISH, "en-GB", "en-GB"),
        (ENGLISH, "fr", "en"),
        (GERMAN, "en-US", "de"),
        (GERMAN, None, "de"),
        (SPANISH, "es-CO", "es-CO"),
        (SPANISH, "en", "es"),
        (RUSSIAN, "en", "ru"),
        (JAPANESE, None, "ja"),
        ("12 killed", "fr", "fr"),
        ("Gaza ceasefire talks resume", "en", "en"),
        ("Hezbollah commander killed", "en-GB", "en-GB"),
        ("Juntas vow revenge", "en", "en"),
        ("Mali junta", "en", "en"),
        ("Boko Haram", "en", "en"),
        ("Al-Shabaab attack Mogadishu hotel", "en", "en"),
        ("Haiti gang massacre", "en", "en"),
        ("Anschlag in Kabul", "de", "de"),
        ("Attentat à Ouagadougou", "fr", "fr"),
        ("Sénégal: deux soldats tués", "en", "fr"),
        ("Взрыв в Киеве, есть погибшие", "en", "ru"),
        ("Minst tolv mennesker ble drept i angrepet på byen tirsdag, sier myndighetene.", "nb-NO", "nb-NO"),
        ("הצבא הודיע כי שנים עשר בני אדם נהרגו", "iw", "iw"),
        ("Kyiv", None, None),
        ("", "en", "en"),
        ("123 — 456", None, None),
        (ENGLISH, "x-unknown", "en"),
        ("\ud800 " + ENGLISH, None, "en"),
    ],
)
def test_the_text_overrules_the_feed_only_when_it_is_plain(
    text: str, claimed: str | None, language: str | None
) -> None:
    assert detect_language(text, claimed) == language
