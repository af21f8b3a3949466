"""Counters: integers that several people raise at once, and whose increments add up.

`increment` and `decrement` merge; `set` is a write like any other: the later one wins, over increments before it, too.
"""

from __future__ import annotations

from typing import Any

from realm_sync.core.errors import ValueTypeError
from realm_sync.core.values import decode, encode

from .live import Live


class Counter(Live):
    """A counter property: `inspection.visits.increment()`. Also its annotation, `visits: Counter` or
    `visits: Counter | None`. A counter that is null reads as None, and is given a value by assignment."""

    _kind = (int, str)  # type: ignore[assignment]  # beyond 2^53 integers are text on the wire

    @property
    def value(self) -> int:
        number: int = decode("int", self._wire())
        return number

    @value.setter
    def value(self, value: object) -> None:
        raise AttributeError("To update the value, use the methods on the Counter.")

    def increment(self, by: int = 1) -> None:
        """Adds to it; needs a write transaction."""
        self._add(by, by)

    def decrement(self, by: int = 1) -> None:
        self._add(by, -by if _is_integer(by) else by)

    def set(self, value: int) -> None:
        """Writes it, and so discards what others add meanwhile, unless they did so later."""
        self._check(value, "value")
        self._writing()
        self._assign(encode("int", value))

    def _add(self, given: Any, by: Any) -> None:
        self._check(given, "by")
        self._writing()
        self._edit("add", by=encode("int", by))

    def _check(self, value: object, name: str) -> None:
        if not _is_integer(value):
            raise ValueTypeError("an integer", value, name)

    def __int__(self) -> int:
        return self.value

    __index__ = __int__

    def __eq__(self, other: object) -> bool:
        """Also equal to the number that it shows."""
        return self.value == other if _is_integer(other) else super().__eq__(other)

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        where = f"{self._owner._table.name}.{self._where}"
        return f"<Counter {where} {self.value}>" if self.is_valid() else f"<Counter {where} (invalid)>"


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
