"""Edits: a step inside a property's value (insert, move, remove, set …), on a plain wire value.

Decides what an edit makes of a value that nobody else writes, and which edits turn one value of a property into another.
Strict about places: a path that leads nowhere, an index out of range or the wrong kind of container is an EditError and
changes nothing. Whether the *value* of an edit fits its type is not asked here (encoding.py). What is concurrent is
decided in tree.py. Values are never changed in place: what an edit returns shares what it did not touch.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from .alignment import CHANGED, MOVED, NEW, align
from .encoding import wire_key, wire_set
from .errors import RealmSyncError, ValueTypeError
from .messages import Add, AnyEdit, Clear, Insert, Move, Remove, Set, SetInsert, SetRemove
from .mixed import wrapper
from .schema import ObjectSchema, Property, Schema
from .values import decode, encode

Step = str | int


class EditError(RealmSyncError):
    """An edit that makes no sense where it points to. `code`: `UnknownProperty`, `InvalidPath`,
    `IndexOutOfRange`, `PropertyTypeMismatch` or `LimitExceeded`."""

    def __init__(self, code: str, reason: str, path: Sequence[Step]) -> None:
        super().__init__(code, reason, tuple(path))
        self.code, self.reason, self.path = code, reason, tuple(path)

    def __str__(self) -> str:
        return f"{path_text(self.path)}: {self.reason}"


def path_text(path: Sequence[Step]) -> str:
    """A path as people write it: `items[3].qty`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


class Shape:
    """What a place in a property's value can hold. `kind`: scalar (links too), counter, mixed, list, set, dictionary or
    embedded. Immutable; built once per property and kept by whoever merges."""

    __slots__ = ("_fields", "_prop", "_schema", "element", "is_int", "kind")

    def __init__(self, schema: Schema, prop: Property) -> None:
        self._schema, self._prop = schema, prop
        self._fields: dict[str, Shape] | None = None
        self.element: Shape = self
        """The shape of an element; of a mixed value: mixed again."""
        self.is_int = False
        """A property that is an int and no counter: a scalar that can be added to as well (R7)."""
        if prop.is_collection:
            self.kind = prop.type
            self.element = Shape(schema, schema.element(prop))
            self.element.is_int = False
        elif prop.type == "mixed":
            self.kind = "mixed"
        elif prop.type == "object" and schema.is_embedded(prop.object_type):
            self.kind = "embedded"
        else:
            self.kind = "counter" if prop.is_counter else "scalar"
            self.is_int = prop.type == "int" and not prop.is_counter

    @property
    def fields(self) -> dict[str, Shape]:
        """The properties of an embedded object."""
        if self._fields is None:
            properties = self._schema[str(self._prop.object_type)].properties
            self._fields = {name: Shape(self._schema, prop) for name, prop in properties.items()}
        return self._fields

    def container(self, wire: Any) -> str | None:
        """The kind of container that a wire value is here; None: it is a leaf."""
        kind = self.kind
        if kind == "mixed":
            if isinstance(wire, list):
                return "list"
            return "dictionary" if isinstance(wire, dict) and not wrapper(wire) else None
        if kind in ("embedded", "dictionary"):
            return kind if isinstance(wire, dict) else None
        return kind if kind in ("list", "set") and isinstance(wire, list) else None

    def read(self, wire: Any) -> Any:
        """The wire value, with the empty collection that null means in a property of a collection."""
        if wire is None:
            if self.kind in ("list", "set"):
                return []
            if self.kind == "dictionary":
                return {}
        return wire


def identity(wire: Any) -> Hashable:
    """Equal for equal wire values, whatever their spelling in JSON; false is not 0 and 1 is 1.0."""
    if wire is None or isinstance(wire, str):
        return wire
    if isinstance(wire, bool):
        return (wire,)
    if isinstance(wire, list):
        return ("[", *map(identity, wire))
    if isinstance(wire, dict):
        return ("{", *sorted((key, identity(value)) for key, value in wire.items()))
    number: float = wire
    return number


def identities(element: Shape, wires: list[Any]) -> Sequence[Hashable]:
    """The identities of the elements of a list; those of scalars are the elements themselves."""
    return wires if element.kind == "scalar" else list(map(identity, wires))


def increase(wire: Any, by: Any) -> Any:
    """An int's wire value plus that of an int, as 64-bit integers wrap."""
    total = int(wire) + int(by)
    return encode("int", (total + 2**63) % 2**64 - 2**63)


def check_by(edit: Add) -> int:
    """What an `add` adds. Raises EditError for what is not the wire value of an int."""
    try:
        by: int | None = decode("int", edit.by)
    except ValueTypeError:
        by = None
    if by is None:
        raise EditError("PropertyTypeMismatch", "What is added must be a 64-bit integer.", edit.path)
    return by


# --- applying --------------------------------------------------------------------------------------------------------


def apply_edit(schema: Schema, cls: ObjectSchema, image: Mapping[str, Any], edit: AnyEdit) -> dict[str, Any]:
    """The image after a client's own edit. Raises EditError, and has changed nothing then."""
    shape = property_shape(schema, cls, edit)
    name = str(edit.path[0])
    return {**image, name: edit_value(shape, image.get(name), edit)}


def property_shape(schema: Schema, cls: ObjectSchema, edit: AnyEdit) -> Shape:
    """The shape of the property that an edit is in. Raises EditError if there is none."""
    prop = cls.properties.get(str(edit.path[0])) if edit.path and isinstance(edit.path[0], str) else None
    if prop is None:
        raise EditError("UnknownProperty", f"Class '{cls.name}' has no such property.", edit.path[:1])
    return Shape(schema, prop)


def edit_value(shape: Shape, value: Any, edit: AnyEdit) -> Any:
    """The value of a property after an edit in it."""
    return _edit(shape, shape.read(value), edit, 1)


def takes_place(edit: AnyEdit) -> bool:
    """Whether the last step of the path is a place in a container; if not, the whole path leads to what is edited."""
    return isinstance(edit, (Set, Insert, Move, Remove))


def _edit(shape: Shape, value: Any, edit: AnyEdit, depth: int) -> Any:
    path = edit.path
    if depth >= len(path):
        return _edit_here(shape, value, edit)
    kind, step = shape.container(value), path[depth]
    inside = depth < len(path) - takes_place(edit)
    if kind == "list":
        at = check_index(step, len(value) + (isinstance(edit, Insert) and not inside), path[: depth + 1])
        copy = list(value)
        if inside:
            copy[at] = _edit(shape.element, shape.element.read(value[at]), edit, depth + 1)
        elif isinstance(edit, Set):
            copy[at] = edit.value
        elif isinstance(edit, Insert):
            copy.insert(at, edit.value)
        elif isinstance(edit, Move):
            check_index(edit.to, len(value), path)
            copy.insert(edit.to, copy.pop(at))
        else:
            del copy[at]
        return copy
    child = child_shape(shape, kind, step, path[: depth + 1])
    if inside or isinstance(edit, Remove):
        check_present(kind, value, step, path[: depth + 1])
    if inside:
        inner = child.read(value.get(step))
        return {**value, str(step): _edit(child, inner, edit, depth + 1)}
    if isinstance(edit, Set):
        return {**value, str(step): edit.value}
    check_keyed(kind, edit)
    return {key: item for key, item in value.items() if key != step}


class _Members(list[Any]):
    """A set's wire value that is in order, so that of many edits each finds its member without asking every other."""


def _edit_here(shape: Shape, value: Any, edit: AnyEdit) -> Any:
    kind = shape.container(value)
    if isinstance(edit, Add):
        check_counter(shape, edit)
        by = check_by(edit)
        return None if value is None else increase(value, by)
    if isinstance(edit, Clear):
        kept = check_clear(kind, value, edit)
        if kind == "dictionary":
            return {key: item for key, item in value.items() if key in kept}
        if kind == "set":
            return [member for member in value if wire_key(member) in kept]
        return [item for at, item in enumerate(value) if at in kept]
    member_edit = check_set(kind, edit)
    key = wire_key(member_edit.value)
    members = value if isinstance(value, _Members) else _Members(wire_set(value))
    at = bisect_left(members, key, key=wire_key)
    is_there = at < len(members) and wire_key(members[at]) == key
    if is_there == isinstance(member_edit, SetInsert):
        return members
    members = _Members(members)
    if is_there:
        del members[at]
    else:
        members.insert(at, member_edit.value)
    return members


def check_index(step: Any, length: int, path: Sequence[Step]) -> int:
    """An index of a list. Raises EditError for anything else."""
    if not isinstance(step, int) or isinstance(step, bool):
        raise EditError("InvalidPath", "An element of a list is found by its index.", path)
    if not 0 <= step < length:
        raise EditError("IndexOutOfRange", f"The index {step} is not below {length}.", path)
    return step


def child_shape(shape: Shape, kind: str | None, step: Any, path: Sequence[Step]) -> Shape:
    """The shape of what a property of an embedded object or a key of a dictionary holds."""
    if kind not in ("embedded", "dictionary"):
        raise EditError("InvalidPath", "There is no list, dictionary or embedded object to step into.", path)
    if not isinstance(step, str):
        raise EditError("InvalidPath", "Properties and keys are strings.", path)
    if kind == "dictionary":
        return shape.element
    if step not in shape.fields:
        raise EditError("UnknownProperty", "The embedded object has no such property.", path)
    return shape.fields[step]


def check_present(kind: str | None, value: Mapping[str, Any], step: Any, path: Sequence[Step]) -> None:
    if kind == "dictionary" and step not in value:
        raise EditError("InvalidPath", "The dictionary has no such key.", path)


def check_keyed(kind: str | None, edit: AnyEdit) -> None:
    if kind != "dictionary" or not isinstance(edit, Remove):
        what = "Keys of dictionaries and elements of lists" if isinstance(edit, Remove) else "Elements of lists"
        raise EditError("InvalidPath", f"{what} can be treated so, nothing else.", edit.path)


def check_counter(shape: Shape, edit: AnyEdit) -> None:
    if shape.kind != "counter" and not shape.is_int:
        raise EditError("InvalidPath", "Only counters, and properties that are integers, can be added to.", edit.path)


def check_clear(kind: str | None, value: Any, edit: Clear) -> frozenset[Any]:
    """What a clear keeps of a container: indexes, keys, or what tells members apart."""
    if kind not in ("list", "set", "dictionary"):
        raise EditError("InvalidPath", "Only lists, sets and dictionaries can be cleared.", edit.path)
    if kind == "list":
        return frozenset(check_index(at, len(value), edit.path) for at in edit.keep)
    if kind == "dictionary":
        if not all(isinstance(key, str) for key in edit.keep):
            raise EditError("InvalidPath", "What a clear keeps of a dictionary are keys.", edit.path)
        return frozenset(edit.keep)
    try:
        return frozenset(map(wire_key, edit.keep))
    except (TypeError, ValueError, KeyError):
        raise EditError("InvalidPath", "Only scalars and links can be members.", edit.path) from None


def check_set(kind: str | None, edit: AnyEdit) -> SetInsert | SetRemove:
    if not isinstance(edit, (SetInsert, SetRemove)):
        raise EditError("InvalidPath", "The path ends too early.", edit.path)
    if kind != "set" or isinstance(edit.value, list) or (isinstance(edit.value, dict) and not wrapper(edit.value)):
        raise EditError("InvalidPath", "Only sets have members, and only scalars and links can be members.", edit.path)
    return edit


# --- deriving --------------------------------------------------------------------------------------------------------


def derive(schema: Schema, cls: ObjectSchema, id: Any, name: str, before: Any, after: Any) -> list[AnyEdit]:
    """The edits that turn one value of a property into another: what assigning a whole list, set or dictionary means.
    Elements of a list that are there before and after are kept or moved, not replaced. A property that is no collection
    and no mixed container cannot be assigned by edits: write it as a whole."""
    writer = _Deriver(cls.name, id)
    shape = Shape(schema, cls.properties[name])
    writer.inside(shape, [name], shape.read(before), shape.read(after))
    return writer.edits


class _Deriver:
    def __init__(self, class_name: str, id: Any) -> None:
        self.edits: list[AnyEdit] = []
        self._class, self._id = class_name, id

    def _add(self, op: Any, path: list[Step], **fields: Any) -> None:
        self.edits.append(op(class_name=self._class, id=self._id, path=path, **fields))

    def inside(self, shape: Shape, path: list[Step], before: Any, after: Any) -> None:
        kind = shape.container(before)
        if kind is None or kind != shape.container(after):
            if identity(before) != identity(after):
                self._add(Set, path, value=after)
        elif kind == "list":
            self._list(shape, path, before, after)
        elif kind == "set":
            self._set(path, before, after)
        else:
            for key in before:
                if kind == "dictionary" and key not in after:
                    self._add(Remove, [*path, key])
            for key, value in after.items():
                child = shape.element if kind == "dictionary" else shape.fields.get(key)
                if child is None:
                    continue
                if kind == "dictionary" and key not in before:
                    self._add(Set, [*path, key], value=value)
                else:
                    self.inside(child, [*path, key], child.read(before.get(key)), child.read(value))

    def _set(self, path: list[Step], before: list[Any], after: list[Any]) -> None:
        old, new = {wire_key(item) for item in before}, {wire_key(item) for item in after}
        for item in before:
            if wire_key(item) not in new:
                self._add(SetRemove, path, value=item)
        for item in after:
            if wire_key(item) not in old:
                self._add(SetInsert, path, value=item)
                old.add(wire_key(item))

    def _list(self, shape: Shape, path: list[Step], before: list[Any], after: list[Any]) -> None:
        """Removes from the end, then inserts and moves from the beginning, then changes inside elements."""
        if before and not after:
            self._add(Clear, path)
            return
        origin, fate, removed = align(identities(shape.element, before), identities(shape.element, after))
        for at in reversed(removed):
            self._add(Remove, [*path, at])
        gone = set(removed)
        present = [at for at in range(len(before)) if at not in gone]
        place = -1
        for to, at in enumerate(origin):
            if fate[to] == NEW:
                place += 1
                present.insert(place, -1)
                self._add(Insert, [*path, place], value=after[to])
            elif fate[to] == MOVED:
                source = present.index(at)
                del present[source]
                place += source > place
                present.insert(place, at)
                if source != place:
                    self._add(Move, [*path, source], to=place)
            else:
                place = present.index(at, place + 1)
        for to, at in enumerate(origin):
            if fate[to] == CHANGED:
                self.inside(shape.element, [*path, to], before[at], after[to])
