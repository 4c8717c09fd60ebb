"""The same article gives the same events: alone, in any batch and order, on any number of threads, with either profile."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models import Coder, Event, Profile
from models.coder import WEIGHTS
from models.corpus.reading import read
from models.reader import Reader
from models.training.data import CORPUS


@dataclass(frozen=True)
class Article:
    title: str
    text: str
    published: None = None


@cache
def articles() -> tuple[Article, ...]:
    """Whole articles of the corpus: the headline is the first sentence, and a paragraph holds two of the others."""
    records = read([CORPUS / "articles-2.jsonl", CORPUS / "articles-4.jsonl"])
    found = []
    for _, group in groupby(records, key=lambda record: record["article"]):
        title, *body = (record["text"] for record in group)
        found.append(Article(title, "\n\n".join(" ".join(body[at : at + 2]) for at in range(0, len(body), 2))))
    return tuple(found[::24])


@pytest.fixture(scope="module", params=["accurate", "fast"])
def profile(request: pytest.FixtureRequest) -> Profile:
    chosen: Profile = request.param
    return chosen


@pytest.fixture(scope="module")
def coder(profile: Profile) -> Coder:
    return Coder.load(profile=profile)


@pytest.fixture(scope="module")
def alone(coder: Coder) -> list[list[Event]]:
    return [coder.code(article.text, article.title) for article in articles()]


def bare(event: Event) -> Event:
    """The event without its confidences."""
    actors, recipients = (
        tuple(replace(actor, confidence=0.0) for actor in actors) for actors in (event.actors, event.recipients)
    )
    return replace(event, confidence=0.0, actors=actors, recipients=recipients)


def confidences(event: Event) -> list[float]:
    return [event.confidence, *(actor.confidence for actor in (*event.actors, *event.recipients))]


def assert_same(found: Sequence[Event], expected: Sequence[Event]) -> None:
    assert [bare(event) for event in found] == [bare(event) for event in expected]
    for one, other in zip(found, expected, strict=True):
        assert confidences(one) == pytest.approx(confidences(other), abs=0.0005)


def test_the_articles_hold_events_and_sentences_without(alone: list[list[Event]]) -> None:
    assert sum(len(events) for events in alone) > 5
    assert any(not events for events in alone)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.lists(st.integers(0, len(articles()) - 1), min_size=1, max_size=5),
    batch_tokens=st.sampled_from([16, 200, 1024, 5000]),
)
@pytest.mark.timeout(300)
def test_an_article_has_the_same_events_in_any_company(
    coder: Coder, alone: list[list[Event]], order: list[int], batch_tokens: int
) -> None:
    found = coder.code_many([articles()[number] for number in order], batch_tokens=batch_tokens)
    for number, events in zip(order, found, strict=True):
        assert_same(events, alone[number])


@pytest.mark.timeout(300)
def test_the_probe_and_the_gate_decide_the_same_in_any_batch() -> None:
    reader = Reader.load(WEIGHTS / "fast")
    sentences = [line for article in articles() for line in article.text.split("\n\n")]
    alone = reader.event_logits(sentences, batch_tokens=1)
    assert 0 < np.isneginf(alone).sum() < len(alone)
    for batch_tokens in (200, 1024, 5000):
        found = reader.event_logits(sentences[::-1], batch_tokens)[::-1]
        assert np.isneginf(found).tolist() == np.isneginf(alone).tolist()
        assert found == pytest.approx(alone, abs=0.0005)


@pytest.mark.parametrize("threads", [1, 3])
def test_an_article_has_the_same_events_on_any_number_of_threads(
    alone: list[list[Event]], profile: Profile, threads: int
) -> None:
    coder = Coder.load(threads=threads, profile=profile)
    for events, expected in zip(coder.code_many(articles()), alone, strict=True):
        assert_same(events, expected)


# What processors of other kinds compute with: AVX2 alone, and AVX-512 before VNNI.
@pytest.mark.parametrize("vectors", ["AVX2", "AVX512_CORE"])
@pytest.mark.timeout(300)
def test_an_article_has_the_same_events_on_any_processor(
    alone: list[list[Event]], profile: Profile, vectors: str
) -> None:
    limits = {
        "ONEDNN_MAX_CPU_ISA": vectors,
        "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR",
        "OPENBLAS_CORETYPE": "Haswell",
    }
    answer = subprocess.run(
        [sys.executable, "-c", _CODE, profile],
        env=os.environ | limits,
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.splitlines() == [repr(events) for events in alone]


_CODE = """
import sys
from models import Coder
from tests.models.test_same_events import articles

for events in Coder.load(profile=sys.argv[1]).code_many(articles()):
    print(repr(events))
"""
