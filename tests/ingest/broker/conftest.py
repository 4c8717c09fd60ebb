"""Fixtures of the brokers' tests."""

from tests.ingest.broker.places import make_place, place

__all__ = ["make_place", "place"]
