"""The event coder: text in, PLOVER events out. It knows nothing of feeds, brokers or databases."""

from models.coder import Coder
from models.events import Event

__all__ = ["Coder", "Event"]
