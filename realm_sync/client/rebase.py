"""Rebase: what a local transaction says, and what it makes of an object.

Decides how the writes of one transaction fold into instructions, and what an object looks like when pending
instructions are replayed on the server's image of it (R8). Pure: no SQLite, no clock; `store.py` calls it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Op = Literal["create", "update", "delete"]
Key = tuple[str, Any]
"""Class and the wire value of `_id`."""
Image = dict[str, Any]
"""An object's wire values by property, `_id` included."""


@dataclass
class Step:
    """One instruction of the transaction that is being written."""

    op: Op
    key: Key
    values: Image = field(default_factory=dict)


class Fold:
    """The instructions of one transaction, in order, folded per object where the meaning stays.

    Updates fold into the create or update before them, and an object that was created and deleted in one transaction
    leaves nothing. An update stays apart where folding would let an object link to one that is created only later:
    the server applies the steps in order.
    """

    def __init__(self) -> None:
        self._steps: list[Step | None] = []
        self._places: dict[Key, list[int]] = {}

    def create(self, key: Key, values: Mapping[str, Any]) -> None:
        self._add(Step("create", key, dict(values)))

    def update(self, key: Key, values: Mapping[str, Any], links: Iterable[Key] = ()) -> None:
        """`links`: the objects that `values` link to."""
        places = self._places.get(key)
        last = self._steps[places[-1]] if places else None
        if not places or last is None or any(self._created_at(link) > places[-1] for link in links):
            self._add(Step("update", key, dict(values)))
        else:
            last.values |= values

    def delete(self, key: Key) -> None:
        places = self._places.pop(key, [])
        ops = {step.op for at in places if (step := self._steps[at])}
        kept = []
        for at in places:
            step = self._steps[at]
            if step is not None and step.op == "delete":
                kept.append(at)
            else:
                self._steps[at] = None
        if kept:
            self._places[key] = kept
        elif "create" not in ops:
            self._add(Step("delete", key))

    def _add(self, step: Step) -> None:
        self._places.setdefault(step.key, []).append(len(self._steps))
        self._steps.append(step)

    def _created_at(self, key: Key) -> int:
        for at in self._places.get(key, ()):
            step = self._steps[at]
            if step is not None and step.op == "create":
                return at
        return -1

    def steps(self) -> list[Step]:
        return [step for step in self._steps if step is not None]


def replay(image: Image | None, steps: Iterable[tuple[str, Image]], blank: Image) -> Image | None:
    """The object after `steps` of (op, values). An update of an absent object does nothing (R8); the values of a
    create win over an object that is there already; `blank` is the object with every property null."""
    for op, values in steps:
        if op == "delete":
            image = None
        elif op == "create":
            image = {**(blank if image is None else image), **values}
        elif image is not None:
            image = {**image, **values}
    return image
