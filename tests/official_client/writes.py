"""Local writes of an official client: what the app does, as the instructions that the real client records for it.

Values may be Payloads or what Python has for them; `payload` converts by the property's type.
"""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

from realm_sync.core.device_sync.instructions import (
    NULL,
    AddInteger,
    AnyInstruction,
    ArrayErase,
    ArrayInsert,
    ArrayMove,
    Clear,
    CreateObject,
    EraseObject,
    ObjectInstruction,
    Path,
    PathInstruction,
    Payload,
    SetErase,
    SetInsert,
    Update,
)

from .errors import ApplyFailed
from .store import Embedded, Slot, Store

OBJECT = Payload("object")
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def payload(kind: str, value: Any) -> Payload:
    """A value of a column of this type ("mixed": of any)."""
    if isinstance(value, Payload):
        return value
    match kind, value:
        case _, None:
            return NULL
        case "mixed", bool():
            return Payload("bool", value)
        case "mixed", int():
            return Payload("int", value)
        case ("mixed", str()) | ("string", _):
            return Payload("string", value)
        case "mixed", float():
            return Payload("double", value)
        case _, uuid.UUID():
            return Payload("uuid", value.bytes)
        case "uuid", str():
            return Payload("uuid", uuid.UUID(value).bytes)
        case "objectId", str():
            return Payload("objectId", bytes.fromhex(value))
        case _, decimal.Decimal():
            sign, digits, exponent = value.as_tuple()
            return Payload("decimal", (int("".join(map(str, digits))), exponent, bool(sign)))
        case _, datetime.datetime():
            passed = value - EPOCH
            microseconds = passed // datetime.timedelta(microseconds=1)
            seconds, rest = divmod(abs(microseconds), 10**6)
            sign = -1 if microseconds < 0 else 1
            return Payload("timestamp", (sign * seconds, sign * rest * 1000))
        case "mixed", bytes():
            return Payload("binary", value)
        case "float" | "double", int() | float():
            return Payload(kind, float(value))
    return Payload(kind, value)


class Transaction:
    """One write transaction. Every method does it in the file and notes the instructions; an error undoes nothing, as
    tests do not go on after one."""

    def __init__(self, store: Store, commit: Callable[[list[AnyInstruction]], None]) -> None:
        self.store = store
        self.done: list[AnyInstruction] = []
        self._commit = commit

    def __enter__(self) -> Transaction:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._commit(self.done)

    def do(self, instruction: AnyInstruction) -> None:
        """An instruction as it is."""
        self.store.apply(instruction)
        self.done.append(instruction)

    # --- objects

    def create(self, class_name: str, key: Any, values: Mapping[str, Any] | None = None) -> Payload:
        """A new object; of one that is there, the values are set. Its key."""
        key = self.key(class_name, key)
        self.do(CreateObject(class_name, key))
        for name in self.store.table(class_name).columns:
            if values and name in values:
                self.assign(class_name, key, name, values[name])
        if self.store.kind(class_name) == "asymmetric":
            self.store.objects[class_name].clear()
        return key

    def delete(self, class_name: str, key: Any) -> None:
        """Erases an object, after every link to it that the file knows."""
        key = self.key(class_name, key)
        for owner, owner_key, name, path in list(self.store.links_to(Payload("link", (class_name, key)))):
            column = self.store.column(owner, name)
            at: Any = (owner, owner_key, name)
            if path and isinstance(path[-1], int):
                self.remove(*at, path=path)
            elif path and isinstance(path[-1], Payload):
                self.do(SetErase(*at, path[:-1], path[-1]))
            elif not path and column.collection:
                raise AssertionError(f"a link where {column} has its collection")
            else:
                self.do(Update(*at, path, NULL))
        self.do(EraseObject(class_name, key))

    def key(self, class_name: str, key: Any) -> Payload:
        return payload(self.store.table(class_name).definition.key_type, key)

    # --- values

    def set(self, class_name: str, key: Any, name: str, value: Any, path: Path = ()) -> None:
        """One value: of a property, of an element, of a key of a dictionary, or within an embedded object."""
        at: Any = (class_name, self.key(class_name, key), name, path)
        slot = self.store.slot(Update(*at, NULL))
        size = len(slot.container) if isinstance(slot.container, list) else 0
        self.do(Update(*at, payload(slot.column.type, value), size))

    def add(self, class_name: str, key: Any, name: str, by: int, path: Path = ()) -> None:
        self.do(AddInteger(class_name, self.key(class_name, key), name, path, by))

    def assign(self, class_name: str, key: Any, name: str, value: Any, path: Path = ()) -> None:
        """A whole value of any kind, as an assignment in an SDK: collections are cleared and filled, embedded objects
        replaced."""
        key = self.key(class_name, key)
        at: Any = (class_name, key, name, path)
        slot = self.store.slot(Update(*at, NULL))
        match slot.column.collection if slot.is_column else "":
            case "list":
                self._fill_list(at, slot, value, slot.value)
            case "set":
                if slot.value:
                    self.do(Clear(*at, "set"))
                for each in value:
                    self.do(SetInsert(*at, payload(slot.column.type, each)))
            case "dictionary":
                if slot.value:
                    self.do(Clear(*at, "dictionary"))
                for step, each in value.items():
                    self.assign(class_name, key, name, each, (*path, step))
            case _:
                self._assign_one(at, slot, value)

    def _assign_one(self, at: Any, slot: Slot, value: Any) -> None:
        size = len(slot.container) if isinstance(slot.container, list) else 0
        if isinstance(value, dict) and self._is_embedded(slot):
            held = slot.container[slot.step] if slot.is_column else None
            if isinstance(held, Embedded):
                self.do(Update(*at, NULL))
            self.do(Update(*at, OBJECT, size))
            for name, each in value.items():
                self.assign(*at[:3], each, (*at[3], name))
        elif isinstance(value, (list, dict)) and slot.column.type == "mixed":
            kind: Any = "list" if isinstance(value, list) else "dictionary"
            self.do(Update(*at, Payload(kind), size))
            self.do(Clear(*at, kind))
            self._fill_mixed(at, value)
        else:
            self.do(Update(*at, payload(slot.column.type, value), size))

    def _fill_mixed(self, at: Any, value: Any) -> None:
        if isinstance(value, list):
            for index, each in enumerate(value):
                self.insert(*at[:3], each, (*at[3], index))
        else:
            for step, each in value.items():
                self.assign(*at[:3], each, (*at[3], step))

    def _is_embedded(self, slot: Slot) -> bool:
        return slot.column.type == "link" and self.store.kind(slot.column.target) == "embedded"

    def _fill_list(self, at: Any, slot: Slot, value: Sequence[Any], held: Sequence[Any]) -> None:
        if held:
            self.do(Clear(*at, "list"))
        for index, each in enumerate(value):
            self.insert(*at[:3], each, (*at[3], index))

    def insert(self, class_name: str, key: Any, name: str, value: Any, path: Path) -> None:
        """An element; the path ends with the index that it gets."""
        at: Any = (class_name, self.key(class_name, key), name, path)
        slot = self.store.slot(ArrayInsert(*at, NULL, 0))
        size = len(slot.container)
        if isinstance(value, dict) and self._is_embedded(slot):
            self.do(ArrayInsert(*at, OBJECT, size))
            for step, each in value.items():
                self.assign(class_name, key, name, each, (*path, step))
        elif isinstance(value, (list, dict)):
            kind: Any = "list" if isinstance(value, list) else "dictionary"
            self.do(ArrayInsert(*at, Payload(kind), size))
            self._fill_mixed(at, value)
        else:
            self.do(ArrayInsert(*at, payload(slot.column.type, value), size))

    def remove(self, class_name: str, key: Any, name: str, path: Path) -> None:
        """An element of a list."""
        at: Any = (class_name, self.key(class_name, key), name, path)
        self.do(ArrayErase(*at, len(self.store.slot(ArrayErase(*at, 0)).container)))

    def move(self, class_name: str, key: Any, name: str, path: Path, to: int) -> None:
        at: Any = (class_name, self.key(class_name, key), name, path)
        self.do(ArrayMove(*at, to, len(self.store.slot(ArrayErase(*at, 0)).container)))

    def clear(self, class_name: str, key: Any, name: str, path: Path = ()) -> None:
        at: Any = (class_name, self.key(class_name, key), name, path)
        held = self.store.slot(Update(*at, NULL)).value
        kind: Any = "list" if isinstance(held, list) else "set" if isinstance(held, set) else "dictionary"
        self.do(Clear(*at, kind))

    def put(self, class_name: str, key: Any, name: str, step: str, value: Any, path: Path = ()) -> None:
        """A key of a dictionary."""
        self.assign(class_name, key, name, value, (*path, step))

    def drop(self, class_name: str, key: Any, name: str, step: str, path: Path = ()) -> None:
        at: Any = (class_name, self.key(class_name, key), name, (*path, step))
        self.do(Update(*at, Payload("erased")))

    def include(self, class_name: str, key: Any, name: str, value: Any, path: Path = ()) -> None:
        """An element of a set."""
        at: Any = (class_name, self.key(class_name, key), name, path)
        self.do(SetInsert(*at, payload(self.store.slot(SetInsert(*at, NULL)).column.type, value)))

    def exclude(self, class_name: str, key: Any, name: str, value: Any, path: Path = ()) -> None:
        at: Any = (class_name, self.key(class_name, key), name, path)
        self.do(SetErase(*at, payload(self.store.slot(SetErase(*at, NULL)).column.type, value)))

    # --- recovery after a client reset

    def recover(self, instructions: Iterable[AnyInstruction], before: Store) -> None:
        """Does again what an earlier file's transaction did. What has lost its object or place is skipped; a list that
        has another size by now becomes what it was in that file."""
        copied: set[tuple[Any, ...]] = set()
        for instruction in instructions:
            if isinstance(instruction, ObjectInstruction) and not isinstance(instruction, (CreateObject, EraseObject)):
                if instruction.key not in self.store.objects[instruction.class_name]:
                    continue
                assert isinstance(instruction, PathInstruction)
                place = (instruction.class_name, instruction.key, instruction.property)
                if place in copied:
                    continue
                if self._is_ambiguous(instruction):
                    held = before.objects[instruction.class_name].get(instruction.key)
                    if held is not None:
                        copied.add(place)
                        self.assign(*place, native(held[instruction.property]))
                    continue
            try:
                self.do(instruction)
            except ApplyFailed:
                continue

    def _is_ambiguous(self, instruction: PathInstruction) -> bool:
        if not any(isinstance(step, int) for step in instruction.path):
            return False
        try:
            slot = self.store.slot(instruction)
        except ApplyFailed:
            return True
        return isinstance(slot.container, list) and len(slot.container) != getattr(instruction, "prior_size", -1)


def native(value: Any) -> Any:
    """What `assign` takes for what a store holds."""
    if isinstance(value, list):
        return [native(each) for each in value]
    if isinstance(value, dict):
        return {key: native(each) for key, each in value.items()}
    return set(value) if isinstance(value, set) else value
