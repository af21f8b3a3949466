"""Random writes of an app of an official SDK: anything it may do to an object of any class, wherever inside."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from realm_sync.core.device_sync.instructions import (
    NULL,
    AddColumn,
    Payload,
    Update,
)

from .store import Embedded, Slot
from .writes import Transaction

VALUES: dict[str, list[Any]] = {
    "int": [0, 1, -7, 42, 2**53 + 1, -(2**63)],
    "bool": [True, False],
    "string": ["a", "b", "c", "Ångström", "🛬", "\u2028'\"\\"],
    "binary": [b"", b"\x00\x01\x02", b"\xff" * 3],
    "timestamp": [(1767268800, 123456000), (-1, -1000), (0, 0), (1767268800, 123456789)],
    "float": [0.0, 1.5, -2.25],
    "double": [0.0, 0.1, -1e300, float("inf")],
    "decimal": [(0, 0, False), (1, -1, False), (1999, -2, True), (12345678901234567895, -1, False), (150, -2, False)],
    "objectId": [bytes(11) + b"\x01", b"\xff" * 12],
    "uuid": [bytes(15) + b"\x01", b"\xff" * 16],
}
STEPS = ["a", "b", "c"]
MOST = 12
"""Elements of a list: longer ones are rather shortened."""


class Edits:
    def __init__(
        self, rng: random.Random, pools: Mapping[str, Sequence[Any]], links: Mapping[str, Sequence[Any]]
    ) -> None:
        """`pools`: property → what it takes in place of the usual; `links`: class → keys that are linked to."""
        self.random, self.pools, self.links = rng, pools, links

    # --- values

    def scalar(self, column: AddColumn) -> Any:
        if column.property in self.pools:
            return self.random.choice(self.pools[column.property])
        if column.nullable and self.random.random() < 0.2:
            return NULL
        if column.type == "link":
            return self.link(column.target)
        kind = column.type
        if kind == "mixed":
            kind = self.random.choice(["int", "bool", "string", "double", "decimal", "objectId", "timestamp", "link"])
            if kind == "link":
                return self.link(self.random.choice(list(self.links)))
        return Payload(kind, self.random.choice(VALUES[kind]))

    def link(self, target: str) -> Payload:
        return Payload("link", (target, self.random.choice(self.links[target])))

    def element(self, transaction: Transaction, column: AddColumn, depth: int) -> Any:
        """What may stand in a collection, or as a single value."""
        if self.is_embedded(transaction, column):
            return self.embedded(transaction, column.target, depth)
        if column.type == "mixed" and column.collection != "set" and depth < 3 and self.random.random() < 0.3:
            inner = [self.element(transaction, column, depth + 1) for _ in range(self.random.randint(0, 3))]
            return inner if self.random.random() < 0.5 else dict(zip(STEPS, inner, strict=False))
        return self.scalar(column)

    def embedded(self, transaction: Transaction, class_name: str, depth: int) -> dict[str, Any]:
        columns = list(transaction.store.table(class_name).columns.values())
        chosen = [column for column in columns if self.random.random() < 0.6]
        return {column.property: self.whole(transaction, column, depth + 1) for column in chosen}

    def whole(self, transaction: Transaction, column: AddColumn, depth: int = 0) -> Any:
        """A value of a property."""
        if not column.collection:
            if self.is_embedded(transaction, column) and (depth > 2 or self.random.random() < 0.2):
                return NULL
            return self.element(transaction, column, depth)
        items = [self.element(transaction, column, depth + 1) for _ in range(self.random.randint(0, 3))]
        if column.collection == "dictionary":
            return dict(zip(self.random.sample(STEPS, len(items)), items, strict=True))
        return items

    @staticmethod
    def is_embedded(transaction: Transaction, column: AddColumn) -> bool:
        return column.type == "link" and transaction.store.kind(column.target) == "embedded"

    # --- writes

    def create(self, transaction: Transaction, class_name: str, key: Payload, **values: Any) -> None:
        columns = list(transaction.store.table(class_name).columns.values())
        chosen = self.random.sample(columns, min(len(columns), self.random.randint(0, 8)))
        given = {column.property: self.whole(transaction, column) for column in chosen}
        transaction.create(class_name, key, given | values)

    def edit(self, transaction: Transaction, class_name: str, key: Payload, names: Sequence[str] = ()) -> None:
        """One write to one property of an object, anywhere inside; of `names`, if given."""
        columns = transaction.store.table(class_name).columns
        column = columns[self.random.choice(list(names or columns))]
        at: Any = (class_name, key, column.property)
        if self.random.random() < 0.06:
            transaction.assign(*at, self.whole(transaction, column))
            return
        slot = transaction.store.slot(Update(*at, (), NULL))
        self._inside(transaction, at, (), slot)

    def _inside(self, transaction: Transaction, at: Any, path: tuple[Any, ...], slot: Slot) -> None:
        value, column = slot.value, slot.column
        if isinstance(value, Embedded):
            if self.random.random() < 0.1 and slot.is_column:
                transaction.set(*at, NULL, path)
                return
            inner = self.random.choice(list(value))
            deeper = transaction.store.slot(Update(*at, (*path, inner), NULL))
            self._inside(transaction, at, (*path, inner), deeper)
        elif isinstance(value, list):
            self._list(transaction, at, path, slot)
        elif isinstance(value, set):
            self._set(transaction, at, path, value, column)
        elif isinstance(value, dict):
            self._dictionary(transaction, at, path, slot)
        elif column.type == "int" and slot.is_column and value != NULL and self.random.random() < 0.5:
            transaction.add(*at, self.random.choice([1, 2, -1, 5]), path)
        else:
            transaction.assign(*at, self.element(transaction, column, len(path)), path)

    def _list(self, transaction: Transaction, at: Any, path: tuple[Any, ...], slot: Slot) -> None:
        size, act = len(slot.value), self.random.random()
        if not size or act < (0.4 if size < MOST else 0.1):
            place = (*path, self.random.randint(0, size))
            transaction.insert(*at, self.element(transaction, slot.column, len(path) + 1), place)
        elif act < 0.5:
            transaction.remove(*at, (*path, self.random.randrange(size)))
        elif act < 0.6 and size > 1:
            source, to = self.random.sample(range(size), 2)
            transaction.move(*at, (*path, source), to)
        elif act < 0.63:
            transaction.clear(*at, path)
        else:
            index = self.random.randrange(size)
            inner = transaction.store.slot(Update(*at, (*path, index), NULL))
            if isinstance(inner.value, (list, dict)):
                self._inside(transaction, at, (*path, index), inner)
            elif self.is_embedded(transaction, slot.column):
                transaction.remove(*at, (*path, index))
            else:
                transaction.set(*at, self.scalar(slot.column), (*path, index))

    def _set(self, transaction: Transaction, at: Any, path: Any, value: set[Payload], column: AddColumn) -> None:
        if value and self.random.random() < 0.35:
            transaction.exclude(*at, self.random.choice(sorted(value, key=repr)), path)
        elif value and self.random.random() < 0.05:
            transaction.clear(*at, path)
        else:
            transaction.include(*at, self.scalar(column), path)

    def _dictionary(self, transaction: Transaction, at: Any, path: tuple[Any, ...], slot: Slot) -> None:
        held, act = slot.value, self.random.random()
        if held and act < 0.25:
            transaction.drop(*at, self.random.choice(sorted(held)), path)
        elif held and act < 0.29:
            transaction.clear(*at, path)
        elif held and act < 0.6:
            step = self.random.choice(sorted(held))
            inner = transaction.store.slot(Update(*at, (*path, step), NULL))
            if isinstance(inner.value, (list, dict)):
                self._inside(transaction, at, (*path, step), inner)
            else:
                transaction.put(*at, step, self.element(transaction, slot.column, len(path) + 1), path)
        else:
            step = self.random.choice(STEPS)
            transaction.put(*at, step, self.element(transaction, slot.column, len(path) + 1), path)
