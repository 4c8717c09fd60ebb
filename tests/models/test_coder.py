"""The shipped coder: what holds for every text, whatever it says."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import Coder, Event
from models.errors import ModelError
from models.events import Span
from models.ontology import MODES

TITLE = "Rebels shell market in Goma, killing 12"
TEXT = """GOMA, Nov 20 (Harbour Wire) -- M23 rebels shelled a market in Goma on Thursday, killing at least 12 people and \
wounding dozens, the provincial health ministry said. The U.N. Security Council condemned the attack.

France will host talks between the two sides in Paris next week, Foreign Minister Jean Dupont said. Local sport was \
not affected, and the city's football team won 3-1.

Police in Kampala arrested four students who had marched against the war. The government denied that its troops had \
crossed the border."""


@dataclass(frozen=True)
class Text:
    text: str
    title: str | None = None
    published: datetime | None = None


@pytest.fixture(scope="module")
def coder() -> Coder:
    return Coder.load()


def spans(event: Event) -> list[Span]:
    single = [event.location, event.date, event.dead, event.injured]
    return [
        event.trigger,
        event.sentence,
        *event.actors,
        *event.recipients,
        *(span for actor in (*event.actors, *event.recipients) for span in actor.refers_to),
        *event.claimed_by,
        *(span for mention in event.mentions for span in (mention.trigger, mention.sentence)),
        *(one for one in single if one is not None),
    ]


def check(events: list[Event], text: str, title: str | None) -> None:
    for event in events:
        for span in spans(event):
            source = text if span.field == "text" else title or ""
            assert source[span.start : span.end] == span.text != ""
        assert set(event.modes) <= set(MODES[event.type])
        assert 0 <= event.confidence <= 1
        json.dumps(event.to_dict())


def test_the_coder_can_code_an_article(coder: Coder) -> None:
    events = coder.code(TEXT, title=TITLE, published=datetime(2026, 11, 20, 12, tzinfo=UTC))
    check(events, TEXT, TITLE)
    found = {(event.type, event.trigger.field, event.trigger.text) for event in events}
    assert ("ASSAULT", "text", "shelled") in found
    assert ("ACCUSE", "text", "condemned") in found
    shelled = next(event for event in events if event.trigger.text == "shelled")
    assert [mention.trigger.text for mention in shelled.mentions] == ["shell"]
    assert [actor.text for actor in shelled.actors] == ["M23 rebels"]
    assert shelled.location is not None
    assert shelled.location.text == "Goma"
    assert shelled.location.country == "COD"
    assert shelled.dead is not None
    assert (shelled.dead.min, shelled.dead.max) == (12, None)
    assert shelled.date is not None
    assert shelled.date.earliest == "2026-11-19"


def test_events_come_in_text_order(coder: Coder) -> None:
    events = coder.code(TEXT, title=TITLE)
    order = [(event.trigger.field != "title", event.trigger.start) for event in events]
    assert order == sorted(order)


def test_events_are_the_same_alone_and_in_a_batch(coder: Coder) -> None:
    articles = [
        Text(paragraph, TITLE if number % 2 else None) for number, paragraph in enumerate(TEXT.split("\n\n") * 3)
    ]
    alone = [coder.code(article.text, article.title, min_confidence=0) for article in articles]
    for tokens in (64, 512, 4096):
        assert list(coder.code_many(articles, batch_tokens=tokens, min_confidence=0)) == alone
    assert list(coder.code_many(reversed(articles), min_confidence=0)) == alone[::-1]


def test_the_fast_profile_can_code_an_article(coder: Coder) -> None:
    fast = Coder.load(profile="fast")
    assert fast.model != coder.model
    events = fast.code(TEXT, title=TITLE)
    check(events, TEXT, TITLE)
    assert any(event.type == "ASSAULT" and event.trigger.text == "shelled" for event in events)


def test_a_lower_threshold_only_adds_events(coder: Coder) -> None:
    def triggers(threshold: float | None) -> set[tuple[str, int]]:
        # An event of headline and lead has two.
        return {
            (trigger.field, trigger.start)
            for event in coder.code(TEXT, TITLE, min_confidence=threshold)
            for trigger in (event.trigger, *(mention.trigger for mention in event.mentions))
        }

    assert triggers(0.99) <= triggers(None) <= triggers(0)


def test_publication_may_be_a_day_or_a_time(coder: Coder) -> None:
    as_day = coder.code(TEXT, published=date(2026, 11, 20))
    as_time = coder.code(TEXT, published=datetime(2026, 11, 20, tzinfo=UTC))
    assert as_day == as_time


def test_an_article_may_come_in_any_form(coder: Coder) -> None:
    published = datetime(2026, 11, 20, tzinfo=UTC)
    forms = [
        Text(TEXT, TITLE, published),
        {"text": TEXT, "title": TITLE, "published": published},
        {"text": TEXT, "title": TITLE, "published": "2026-11-20"},
    ]
    (first, *others) = coder.code_many(forms)
    assert all(other == first for other in others)
    assert list(coder.code_many([TEXT, {"text": TEXT}])) == [coder.code(TEXT)] * 2
    with pytest.raises(TypeError, match="text"):
        next(coder.code_many([{"title": TITLE}]))


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n ",
        "\x00\x01\x1b[31mRebels\x07 shelled\x7f the town.",
        "Rebels \ud800 shelled \udfff the town of \ud83d Goma.",
        "المتمردون قصفوا السوق في غوما يوم الخميس.",
        "叛军周四炮击了戈马的市场，至少十二人死亡。",
        "\u202eRebels shelled the town\u202c of Goma.",
        "Rebels shelled " * 300,
        "a" * 100_000,
        "e\u0301" * 3_000,
        "🔥" * 5_000 + " Rebels shelled the town.",
    ],
    ids=lambda text: ascii(text[:12]),
)
def test_no_text_is_too_strange(coder: Coder, text: str) -> None:
    check(coder.code(text, title=text[:300], min_confidence=0.3), text, text[:300])


@settings(max_examples=20, deadline=None)
@given(st.text(max_size=200), st.one_of(st.none(), st.text(max_size=60)))
def test_offsets_cut_what_the_event_says(coder: Coder, text: str, title: str | None) -> None:
    text = f"{text} Rebels shelled the town of Goma on Monday, {text[:20]} killing 12. {text}"
    check(coder.code(text, title, min_confidence=0.1), text, title)


def test_every_argument_has_its_reason(coder: Coder) -> None:
    (coded,) = coder.explain_many([{"text": TEXT, "title": TITLE, "published": "2026-11-20"}])
    assert coded.events == coder.code(TEXT, TITLE, "2026-11-20")
    reasons = [(event, *reason) for event in coded.events for reason in coded.reasons(event)]
    resolved = [argument for event in coded.events for argument in spans(event) if type(argument) is not Span]
    assert len(reasons) == len(resolved)
    rules = {(role, argument.text): why.rule for _, role, argument, why in reasons}
    assert "named in the lists" in rules["actor", "M23 rebels"]
    assert rules["location", "Goma"] and rules["date", "Thursday"] and rules["dead", "at least 12 people"]


def test_no_articles_give_no_events(coder: Coder) -> None:
    assert list(coder.code_many([])) == []


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=str(tmp_path)):
        Coder.load(tmp_path)
