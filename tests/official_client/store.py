"""What an official client's realm file holds: classes and objects, and how strictly it applies an instruction.

Values: a Payload for whatever is one value, links and null included; `Embedded` for an embedded object; list, set (of
Payload) and dict for collections, those inside of a mixed value too. A link is only (class, key): whether its object is
there is seen when it is followed, as with the tombstones of the real client, so dangling ones count in lists.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from realm_sync.core.device_sync.instructions import (
    NULL,
    AddColumn,
    AddInteger,
    AddTable,
    AnyInstruction,
    ArrayErase,
    ArrayInsert,
    ArrayMove,
    Clear,
    CreateObject,
    EraseObject,
    PathInstruction,
    Payload,
    SetErase,
    SetInsert,
    Update,
)

from .errors import ApplyFailed
from .merge import wrapped

DEFAULTS: dict[str, Any] = {
    "int": 0, "bool": False, "string": "", "binary": b"", "timestamp": (0, 0), "float": 0.0, "double": 0.0,
    "decimal": (0, 0, False), "objectId": bytes(12), "uuid": bytes(16),
}  # fmt: skip
PYTHON_TYPES: dict[str, type] = {
    "int": int, "bool": bool, "string": str, "binary": bytes, "timestamp": tuple, "float": float, "double": float,
    "decimal": tuple, "link": tuple, "objectId": bytes, "uuid": bytes, "globalKey": tuple,
}  # fmt: skip
MOST = 16 * 2**20
"""Bytes of a string or binary, a little under which the client ends."""


class Embedded(dict[str, Any]):
    """An embedded object's properties."""


class Table:
    def __init__(self, definition: AddTable) -> None:
        self.definition = definition
        self.columns: dict[str, AddColumn] = {}


class Slot(NamedTuple):
    """A place that holds a value: `container[step]`."""

    container: Any
    step: Any
    column: AddColumn
    is_column: bool
    """The property itself; False: something inside of its collection."""

    @property
    def value(self) -> Any:
        return self.container[self.step]

    @property
    def is_collection(self) -> bool:
        return self.is_column and bool(self.column.collection)


class Store:
    def __init__(self) -> None:
        self.tables: dict[str, Table] = {}
        self.objects: dict[str, dict[Payload, dict[str, Any]]] = {}

    def copy(self) -> Store:
        return copy.deepcopy(self)

    @property
    def schema(self) -> list[AnyInstruction]:
        """In the order in which a client declares it."""
        tables: list[AnyInstruction] = [self.tables[name].definition for name in sorted(self.tables)]
        return tables + [column for name in sorted(self.tables) for column in self.tables[name].columns.values()]

    def kind(self, class_name: str) -> str:
        return self.table(class_name).definition.kind

    def table(self, class_name: str) -> Table:
        if (table := self.tables.get(class_name)) is None:
            raise ApplyFailed(f"no class {class_name!r}")
        return table

    def apply(self, instruction: AnyInstruction) -> None:
        """ApplyFailed, and nothing changed, where the real client would give up."""
        try:
            self._apply(instruction)
        except ApplyFailed as error:
            raise ApplyFailed(f"{instruction}: {error}") from None

    def _apply(self, instruction: AnyInstruction) -> None:
        match instruction:
            case AddTable():
                self._add_table(instruction)
            case AddColumn():
                self._add_column(instruction)
            case CreateObject(class_name, key):
                self._check_key(class_name, key)
                if key not in self.objects[class_name]:
                    self.objects[class_name][key] = self.defaults(class_name)
            case EraseObject(class_name, key):
                self._check_key(class_name, key)
                self.objects[class_name].pop(key, None)
            case Update():
                self._update(instruction)
            case AddInteger():
                self._add(instruction)
            case ArrayInsert(value=value):
                elements, column, index = self._list(instruction)
                if index > len(elements):
                    raise ApplyFailed(f"index beyond {len(elements)} elements")
                elements.insert(index, self._new(column, value))
            case ArrayMove(to=to):
                elements, _, index = self._list(instruction)
                if index == to or index >= len(elements) or to >= len(elements):
                    raise ApplyFailed(f"no such move in a list of {len(elements)}")
                elements.insert(to, elements.pop(index))
            case ArrayErase():
                elements, _, index = self._list(instruction)
                if index >= len(elements):
                    raise ApplyFailed(f"index beyond {len(elements)} elements")
                del elements[index]
            case Clear():
                self._clear(instruction)
            case SetInsert(value=value):
                elements, column = self._set(instruction)
                elements.add(self._new(column, value))
            case SetErase(value=value):
                self._set(instruction)[0].discard(value)
            case _:
                raise ApplyFailed("the schema only grows")

    # --- schema

    def _add_table(self, instruction: AddTable) -> None:
        if (table := self.tables.get(instruction.class_name)) is not None:
            if table.definition != instruction:
                raise ApplyFailed(f"the class is {table.definition}")
            return
        if len(instruction.class_name.encode()) > 57 or instruction.class_name.startswith("class_"):
            raise ApplyFailed("not a name of a class on the wire")
        if (instruction.kind == "embedded") == bool(instruction.key_name):
            raise ApplyFailed("embedded classes have no key, all others have one")
        if instruction.kind != "embedded" and instruction.key_type not in ("int", "string", "objectId", "uuid"):
            raise ApplyFailed("not a type of a primary key")
        self.tables[instruction.class_name] = Table(instruction)
        self.objects[instruction.class_name] = {}

    def _add_column(self, instruction: AddColumn) -> None:
        table = self.table(instruction.class_name)
        if (column := table.columns.get(instruction.property)) is not None:
            if column != instruction:
                raise ApplyFailed(f"the property is {column}")
            return
        if instruction.property == table.definition.key_name:
            raise ApplyFailed("the key comes with AddTable only")
        if len(instruction.property.encode()) > 63:
            raise ApplyFailed("longer than 63 bytes")
        if instruction.type == "link":
            kind = self.kind(instruction.target)
            if kind == "asymmetric":
                raise ApplyFailed("nothing links to asymmetric classes")
            nullable = instruction.collection in ("", "dictionary")
            if instruction.nullable != nullable:
                raise ApplyFailed(f"links here are declared nullable={nullable}")
            if kind == "embedded" and instruction.collection == "set":
                raise ApplyFailed("no sets of embedded objects")
        elif instruction.type == "mixed" and not instruction.nullable:
            raise ApplyFailed("mixed is always nullable")
        table.columns[instruction.property] = instruction
        for values in self._all(instruction.class_name):
            values.setdefault(instruction.property, self.default(instruction))

    def _all(self, class_name: str) -> Iterator[dict[str, Any]]:
        """The properties of every object of a class, wherever it is embedded."""
        if self.kind(class_name) != "embedded":
            yield from self.objects[class_name].values()
            return
        for owner, objects in self.objects.items():
            for values in objects.values():
                yield from self._embedded(owner, values, class_name)

    def _embedded(self, owner: str, values: dict[str, Any], class_name: str) -> Iterator[dict[str, Any]]:
        for name, column in self.table(owner).columns.items():
            if not self._is_embedded(column) or name not in values:
                continue
            held = values[name]
            for one in held if isinstance(held, list) else held.values() if type(held) is dict else [held]:
                if isinstance(one, Embedded):
                    if column.target == class_name:
                        yield one
                    yield from self._embedded(column.target, one, class_name)

    def defaults(self, class_name: str) -> dict[str, Any]:
        return {name: self.default(column) for name, column in self.table(class_name).columns.items()}

    @staticmethod
    def default(column: AddColumn) -> Any:
        match column.collection:
            case "list":
                return []
            case "set":
                return set()
            case "dictionary":
                return {}
        return NULL if column.nullable else Payload(column.type, DEFAULTS[column.type])

    # --- places

    def values(self, instruction: PathInstruction) -> dict[str, Any]:
        self._check_key(instruction.class_name, instruction.key)
        if (values := self.objects[instruction.class_name].get(instruction.key)) is None:
            raise ApplyFailed("no such object")
        return values

    def _check_key(self, class_name: str, key: Payload) -> None:
        definition = self.table(class_name).definition
        if definition.kind == "embedded":
            raise ApplyFailed("embedded objects have no key")
        if key.type != definition.key_type and not (key == NULL and definition.key_nullable):
            raise ApplyFailed(f"keys of the class are {definition.key_type}")

    def column(self, class_name: str, name: str) -> AddColumn:
        if (column := self.table(class_name).columns.get(name)) is None:
            raise ApplyFailed(f"no property {class_name}.{name}")
        return column

    def _is_embedded(self, column: AddColumn) -> bool:
        return column.type == "link" and self.kind(column.target) == "embedded"

    def slot(self, instruction: PathInstruction) -> Slot:
        """Where the path leads; what its last step names need not be there yet."""
        slot = Slot(
            self.values(instruction),
            instruction.property,
            self.column(instruction.class_name, instruction.property),
            True,
        )
        for step in instruction.path:
            slot = self._down(slot, step)
        return slot

    def _down(self, slot: Slot, step: Any) -> Slot:
        if isinstance(slot.container, list) and slot.step >= len(slot.container):
            raise ApplyFailed(f"the path leaves a list of {len(slot.container)}")
        if isinstance(slot.container, dict) and slot.step not in slot.container:
            raise ApplyFailed(f"the path goes through a missing key {slot.step!r}")
        value, column = slot.value, slot.column
        if not slot.is_collection and self._is_embedded(column):
            if not isinstance(value, Embedded):
                raise ApplyFailed("the path goes through a null object")
            if not isinstance(step, str):
                raise ApplyFailed(f"{step!r} is not a property")
            return Slot(value, step, self.column(column.target, step), True)
        if isinstance(value, list) and isinstance(step, int):
            return Slot(value, step, column, False)
        if type(value) is dict and isinstance(step, str):
            return Slot(value, step, column, False)
        raise ApplyFailed(f"the path cannot go through {value!r} by {step!r}")

    def _list(self, instruction: ArrayInsert | ArrayMove | ArrayErase) -> tuple[list[Any], AddColumn, int]:
        slot = self.slot(instruction)
        if not isinstance(slot.container, list) or slot.is_column:
            raise ApplyFailed("not in a list")
        if len(slot.container) != instruction.prior_size:
            raise ApplyFailed(f"prior_size, but the list has {len(slot.container)}: {slot.container}")
        return slot.container, slot.column, slot.step

    def _set(self, instruction: SetInsert | SetErase) -> tuple[set[Any], AddColumn]:
        slot = self.slot(instruction)
        if not slot.is_column or slot.column.collection != "set":
            raise ApplyFailed("not a set")
        return slot.value, slot.column

    # --- values

    def _new(self, column: AddColumn, value: Payload) -> Any:
        """As an element of a collection, or a single property."""
        kind = value.type
        if kind == "object":
            if not self._is_embedded(column):
                raise ApplyFailed("not a place for embedded objects")
            return Embedded(self.defaults(column.target))
        if kind in ("list", "dictionary"):
            if column.type != "mixed" or column.collection == "set":
                raise ApplyFailed("not a mixed value")
            return [] if kind == "list" else {}
        if kind == "null":
            if not column.nullable:
                raise ApplyFailed("null is not allowed")
            return NULL
        if kind not in PYTHON_TYPES or not isinstance(value.value, PYTHON_TYPES[kind]):
            raise ApplyFailed("not a value")
        if kind == "link":
            target, key = value.value
            if self.kind(target) != "top-level" or (column.type == "link" and column.target != target):
                raise ApplyFailed("not a link that may stand here")
            self._check_key(target, key)
        if column.type not in (kind, "mixed"):
            raise ApplyFailed(f"the property is {column.type}")
        if kind in ("string", "binary") and len(value.value) >= MOST:
            raise ApplyFailed("too long")
        return value

    def _update(self, instruction: Update) -> None:
        slot, value = self.slot(instruction), instruction.value
        if slot.is_collection:
            raise ApplyFailed("a collection is not set as a whole")
        container, step = slot.container, slot.step
        if isinstance(container, list) and step >= len(container):
            raise ApplyFailed(f"index beyond {len(container)} elements")
        if value.type == "erased":
            if slot.is_column or not isinstance(container, dict):
                raise ApplyFailed("not the key of a dictionary")
            container.pop(step, None)
            return
        new = self._new(slot.column, value)
        held = container[step] if slot.is_column or isinstance(container, list) else container.get(step)
        if isinstance(new, Embedded) and slot.is_column and isinstance(held, Embedded):
            return  # a single one stays; elements and entries are replaced
        if value.type in ("list", "dictionary") and type(held) is type(new):
            return
        container[step] = new

    def _add(self, instruction: AddInteger) -> None:
        slot = self.slot(instruction)
        if slot.is_collection or isinstance(slot.container, list) or slot.step not in slot.container:
            raise ApplyFailed("nothing to add to")
        held = slot.value
        if held == NULL and slot.column.type == "int":
            return
        if not isinstance(held, Payload) or held.type != "int":
            raise ApplyFailed(f"not a number: {held!r}")
        slot.container[slot.step] = Payload("int", wrapped(held.value + instruction.by))

    def _clear(self, instruction: Clear) -> None:
        slot, collection = self.slot(instruction), instruction.collection
        if slot.is_collection:
            if slot.column.collection != collection:
                raise ApplyFailed(f"the property is a {slot.column.collection}")
            slot.value.clear()
            return
        if slot.column.type != "mixed" or collection == "set":
            raise ApplyFailed("nothing to clear")
        if isinstance(slot.container, list) and slot.step >= len(slot.container):
            raise ApplyFailed(f"index beyond {len(slot.container)} elements")
        if not slot.is_column and isinstance(slot.container, dict) and slot.step not in slot.container:
            raise ApplyFailed("no such key")
        slot.container[slot.step] = [] if collection == "list" else {}

    # --- for those who compare and delete

    def links_to(self, target: Payload) -> Iterator[tuple[str, Payload, str, tuple[Any, ...]]]:
        """(class, key, property, path) of every place that holds the link, the last element of a list first."""
        for class_name, objects in self.objects.items():
            for key, values in objects.items():
                for name in self.table(class_name).columns:
                    for path in _places(values[name], target):
                        yield class_name, key, name, path


def _places(value: Any, target: Payload) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, Payload):
        if value == target:
            yield ()
        return
    if isinstance(value, set):
        if target in value:
            yield (target,)
        return
    items: Iterable[tuple[Any, Any]] = (
        reversed(list(enumerate(value))) if isinstance(value, list) else list(value.items())
    )
    for step, inner in items:
        for path in _places(inner, target):
            yield (step, *path)


def plain(value: Any) -> Any:
    """As sorted, comparable data, for a test's comparison and its messages."""
    if isinstance(value, Payload):
        return (value.type, value.value) if value.type != "null" else None
    if isinstance(value, set):
        return sorted((plain(each) for each in value), key=repr)
    if isinstance(value, list):
        return [plain(each) for each in value]
    return {key: plain(value[key]) for key in sorted(value)}
