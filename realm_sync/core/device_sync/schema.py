"""Schema: our classes as instructions that declare them, and whether a client's declarations are the same.

Decides how a property of ours is a column of Realm. Declarations of both sides must agree to the letter, or the client's
merge fails; links, embedded objects and mixed values are nullable there wherever they can be, whatever ours say:

    single link or embedded object, dictionary of them     nullable
    list or set of links, list of embedded objects         not nullable
    mixed, alone and in collections                        nullable
    everything else                                        as declared

Backlinks are no columns. The key is declared with its class and is none either. Knows no sessions: who is told the
schema, and when, is for downloads.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from ..schema import PRIMARY_KEY, ObjectSchema, Property, Schema
from .errors import DeviceSyncError
from .instructions import AddColumn, AddTable, AnyInstruction, CollectionType, ColumnType, EraseColumn, EraseTable
from .payloads import COLUMN_TYPES


def declare(schema: Schema) -> list[AnyInstruction]:
    """The instructions that declare a schema: all classes by name, then their properties, as those may lead to any."""
    classes = sorted(schema, key=lambda cls: cls.name)
    columns = [
        column(schema, cls.name, name, prop)
        for cls in classes
        for name, prop in cls.properties.items()
        if is_column(cls, name, prop)
    ]
    return [*map(table, classes), *columns]


def table(cls: ObjectSchema) -> AddTable:
    """How a class is declared."""
    if cls.embedded:
        return AddTable(cls.name, "embedded")
    kind = COLUMN_TYPES[cls.key_type]
    return AddTable(cls.name, "asymmetric" if cls.asymmetric else "top-level", PRIMARY_KEY, kind, False)


def is_column(cls: ObjectSchema, name: str, prop: Property) -> bool:
    return prop.type != "linkingObjects" and (cls.embedded or name != PRIMARY_KEY)


def column(schema: Schema, class_name: str, name: str, prop: Property) -> AddColumn:
    """How a property is declared."""
    collection = cast(CollectionType, prop.type if prop.is_collection else "")
    element = schema.element(prop) if collection else prop
    if element.type == "object":
        is_nullable = collection in ("", "dictionary")
        return AddColumn(class_name, name, "link", is_nullable, collection, str(element.object_type))
    kind: ColumnType = "mixed" if element.type == "mixed" else COLUMN_TYPES[element.type]
    return AddColumn(class_name, name, kind, kind == "mixed" or element.optional, collection)


def check(instructions: Iterable[AnyInstruction], schema: Schema) -> None:
    """Raises DeviceSyncError 225 for declarations that are not those of the schema; instructions on objects are passed
    over. What is declared the same changes nothing."""
    differences = [text for it in instructions if (text := _difference(it, schema))]
    if differences:
        raise DeviceSyncError(225, " ".join(differences))


def _difference(it: AnyInstruction, schema: Schema) -> str:
    if isinstance(it, EraseTable):
        return f"The app removes class '{it.class_name}'; the server's models decide which classes there are."
    if isinstance(it, EraseColumn):
        where = f"{it.class_name}.{it.property}"
        return f"The app removes property '{where}'; the server's models decide which properties there are."
    if not isinstance(it, AddTable | AddColumn):
        return ""
    cls = schema.get(it.class_name)
    if cls is None:
        return f"The app declares class '{it.class_name}', which the server does not have."
    if isinstance(it, AddTable):
        expected = table(cls)
        if it == expected:
            return ""
        return f"Class '{it.class_name}' is {_of_table(it)} in the app and {_of_table(expected)} on the server."
    where = f"{it.class_name}.{it.property}"
    prop = cls.properties.get(it.property)
    if prop is None or not is_column(cls, it.property, prop):
        return f"The app declares property '{where}', which the server does not have."
    wanted = column(schema, it.class_name, it.property, prop)
    if it == wanted:
        return ""
    return f"Property '{where}' is '{_of_column(it)}' in the app and '{_of_column(wanted)}' on the server."


def _of_table(it: AddTable) -> str:
    if it.kind == "embedded":
        return "embedded"
    null = " or null" if it.key_nullable else ""
    return f"{it.kind}, with the key '{it.key_name}' of type {it.key_type}{null},"


def _of_column(it: AddColumn) -> str:
    """A type as people write it: `int?`, `string[]`, `Airfield`; in the words of object schemas."""
    base = it.target if it.type == "link" else _OURS.get(it.type, it.type)
    is_usual = it.type == "mixed" or (it.type == "link" and it.collection in ("", "dictionary"))
    null = "" if it.nullable == is_usual else "?" if it.nullable else "!"
    return base + null + {"list": "[]", "set": "<>", "dictionary": "{}"}.get(it.collection, "")


_OURS = {theirs: ours for ours, theirs in COLUMN_TYPES.items()}
