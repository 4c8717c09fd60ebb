"""From the words of an argument to data: who, where, when, how many.

Every function takes any string, never raises for one, and answers None where the words do not tell.
"""

from models.resolve.actors import ActorCode, resolve_actor
from models.resolve.casualties import resolve_count
from models.resolve.dates import resolve_date
from models.resolve.lexicon import countries_named
from models.resolve.places import Place, resolve_place

__all__ = ["ActorCode", "Place", "countries_named", "resolve_actor", "resolve_count", "resolve_date", "resolve_place"]
