"""Instructions: what the changesets of the official SDKs are made of, as plain values.

Decides nothing: changesets.py reads and writes their bytes, translation.py says what they mean here. Names are those of
Realm's instructions; class names never carry the on-disk prefix `class_`. A property is never part of a path: `path` of
`obj.items[0].qty` is `(0, "qty")`, that of `obj.title` is empty.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import msgspec

PayloadType = Literal[
    "null", "int", "bool", "string", "binary", "timestamp", "float", "double", "decimal", "link", "objectId", "uuid",
    "object", "list", "dictionary", "set", "erased", "globalKey",
]  # fmt: skip
CollectionType = Literal["", "list", "dictionary", "set"]
"""Of a column or a Clear; empty: a single value."""
TableKind = Literal["top-level", "embedded", "asymmetric"]
ColumnType = Literal[
    "mixed", "int", "bool", "string", "binary", "timestamp", "float", "double", "decimal", "link", "objectId", "uuid"
]


class Payload(NamedTuple):
    """A typed value, as it travels. `value` by type:

    null, object, list, dictionary, set, erased: None. int: int of 64 bits. bool: bool. string: str. binary: bytes.
    timestamp: (seconds, nanoseconds) since 1970, both of one sign. float, double: float. decimal: (coefficient, exponent,
    is negative). link: (class name, Payload of the key). objectId: 12 bytes. uuid: 16 bytes. globalKey: (high, low).
    """

    type: PayloadType
    value: Any = None


NULL = Payload("null")
Key = Payload
"""A primary key: null, int, string, objectId, uuid or globalKey."""
Path = tuple[int | str, ...]


class Instruction(msgspec.Struct, frozen=True, tag_field="op"):
    class_name: str


class AddTable(Instruction, frozen=True):
    kind: TableKind
    key_name: str = ""
    """Empty for embedded classes, which have no key."""
    key_type: ColumnType | Literal["globalKey", ""] = ""
    key_nullable: bool = False


class EraseTable(Instruction, frozen=True):
    pass


class AddColumn(Instruction, frozen=True):
    property: str
    type: ColumnType
    nullable: bool
    collection: CollectionType = ""
    target: str = ""
    """The class that a `link` leads to."""


class EraseColumn(Instruction, frozen=True):
    property: str


class ObjectInstruction(Instruction, frozen=True):
    key: Payload


class CreateObject(ObjectInstruction, frozen=True):
    pass


class EraseObject(ObjectInstruction, frozen=True):
    pass


class PathInstruction(ObjectInstruction, frozen=True):
    property: str
    path: Path


class Update(PathInstruction, frozen=True):
    """Sets what is at the path. An index as its last step means an element of a list."""

    value: Payload
    prior_size: int = 0
    """Of the list, if the path ends with an index."""
    is_default: bool = False
    """If it does not: the value is a default, which loses against any other."""


class AddInteger(PathInstruction, frozen=True):
    by: int


class ArrayInsert(PathInstruction, frozen=True):
    """The path ends with the index that the element gets."""

    value: Payload
    prior_size: int


class ArrayMove(PathInstruction, frozen=True):
    """From the index at the end of the path to `to`, counted without the element."""

    to: int
    prior_size: int


class ArrayErase(PathInstruction, frozen=True):
    prior_size: int


class Clear(PathInstruction, frozen=True):
    collection: Literal["list", "dictionary", "set"]


class SetInsert(PathInstruction, frozen=True):
    value: Payload


class SetErase(PathInstruction, frozen=True):
    value: Payload


AnyInstruction = (
    AddTable | EraseTable | AddColumn | EraseColumn | CreateObject | EraseObject | Update | AddInteger
    | ArrayInsert | ArrayMove | ArrayErase | Clear | SetInsert | SetErase
)  # fmt: skip
