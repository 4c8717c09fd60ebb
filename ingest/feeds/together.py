"""One call in place of the many that wait for one thread, where together they take little longer than one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Generic, TypeVar

_In = TypeVar("_In")
_Out = TypeVar("_Out")
_Waiting = tuple[_In, Future[_Out]]


class Together(Generic[_In, _Out]):
    """`function` of many items, called with those that came since it was called last, in their order.

    It returns an outcome for each. A group is not made heavier than `limit` by the sum of `weight`, but for an item that
    is so alone. Where `function` raises, it is called for each item by itself, so it must bear being called again for
    what it was doing; save where `everyones` says of the error that it is no single item's: then all of the group have it.
    """

    def __init__(
        self,
        function: Callable[[Sequence[_In]], Sequence[_Out]],
        weight: Callable[[_In], int],
        limit: int,
        everyones: Callable[[Exception], bool],
    ) -> None:
        self._function = function
        self._weight = weight
        self._limit = limit
        self._everyones = everyones
        self._waiting: deque[_Waiting[_In, _Out]] = deque()

    def add(self, item: _In) -> Callable[[], _Out]:
        """What gives the outcome of `item`, or raises its error. To be called in one and the same thread for all."""
        outcome: Future[_Out] = Future()
        self._waiting.append((item, outcome))
        return partial(self._work_until, outcome)

    def _work_until(self, outcome: Future[_Out]) -> _Out:
        while not outcome.done():
            self._settle(self._next())
        return outcome.result()

    def _next(self) -> list[_Waiting[_In, _Out]]:
        group = [self._waiting.popleft()]
        weight = self._weight(group[0][0])
        while self._waiting and (weight := weight + self._weight(self._waiting[0][0])) <= self._limit:
            group.append(self._waiting.popleft())
        return group

    def _settle(self, group: Sequence[_Waiting[_In, _Out]]) -> None:
        try:
            for (_, outcome), result in zip(group, self._function([item for item, _ in group]), strict=True):
                outcome.set_result(result)
        except Exception as error:
            if len(group) == 1 or self._everyones(error):
                for _, outcome in group:
                    outcome.set_exception(error)
            else:
                self._settle_each(deque(group))

    def _settle_each(self, group: deque[_Waiting[_In, _Out]]) -> None:
        while group:
            first = group.popleft()
            self._settle([first])
            error = first[1].exception()
            if isinstance(error, Exception) and self._everyones(error):
                while group:
                    group.popleft()[1].set_exception(error)
