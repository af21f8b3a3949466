"""Encoding: the wire value of a property of any type, scalar or not (R12), and the Python value back.

    list                array of the elements' wire values                  list
    set                 array without duplicates, in the order of wire_key  list in that order (elements may be unhashable)
    dictionary          object; keys as check_key allows                    dict
    embedded object     object with every property of its class             dict by property
    mixed               as mixed.py says                                    as mixed.py says
    link                the key of the target                               the key
    scalars             as values.py says                                   as values.py says

A collection is never null: null on the wire reads as an empty one. Decoding is strict about values, not about order:
sets come in any order, objects may lack properties that can be null, are collections or have a default. Errors name the element:
`Kit.tags[2]`, `Kit.address.street`, `Kit.prices['a']`. Knows classes (schema.py), no storage.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .errors import ValueTypeError
from .mixed import Link, check_key, decode_mixed, encode_mixed, wrapper
from .schema import Property, Schema
from .values import SCALARS, decode, encode


def encode_property(schema: Schema, where: str, prop: Property, value: Any) -> Any:
    """The wire value for a property; ValueTypeError names `where`. A link takes the key of its target."""
    return _convert(schema, where, prop, value, encode)


def decode_property(schema: Schema, where: str, prop: Property, wire: Any) -> Any:
    """The Python value of a property's wire value; ValueTypeError names `where`."""
    return _convert(schema, where, prop, wire, decode)


def _convert(schema: Schema, where: str, prop: Property, value: Any, scalar: Callable[[str, Any], Any]) -> Any:
    kind = prop.type if prop.type in SCALARS else schema.wire_type(prop)
    if value is not None and kind in SCALARS:  # most values by far
        try:
            return scalar(kind, value)
        except ValueTypeError as error:
            raise ValueTypeError(error.expected, error.value, where) from None
    return _Codec(schema, scalar is encode).convert(where, prop, value)


def empty(prop: Property) -> Any:
    """The wire value of a property that nobody has written: an empty collection, else null."""
    return {"list": [], "set": [], "dictionary": {}}.get(prop.type)


def wire_key(wire: Any) -> tuple[Any, ...]:
    """Equal for elements that are one element of a set, and ordered as sets are on the wire: null, false, true, numbers
    (an int and a double of one value are one element, NaN comes first), strings by code point, then wrappers by their
    key and text. Any wire value but arrays and plain objects, which no set contains."""
    if wire is None:
        return (0,)
    if isinstance(wire, bool):
        return 1, wire
    if isinstance(wire, (int, float)):
        return 2, 1, wire
    if isinstance(wire, str):
        return 3, wire
    kind = wrapper(wire)
    inner = wire[kind]
    if kind == "$numberLong":
        return 2, 1, int(inner)
    if kind == "$numberDouble":
        return (2, 0) if inner == "NaN" else (2, 1, math.inf if inner == "Infinity" else -math.inf)
    return (4, kind, *map(str, inner)) if isinstance(inner, list) else (4, kind, inner)


def wire_set(elements: Iterable[Any]) -> list[Any]:
    """A set's wire value of elements in any order, with or without repetitions; of equal ones the first stays."""
    found: dict[tuple[Any, ...], Any] = {}
    for element in elements:
        found.setdefault(wire_key(element), element)
    return [found[key] for key in sorted(found)]


class _Codec:
    """One direction of the conversion; both walk the same types."""

    def __init__(self, schema: Schema, encoding: bool) -> None:
        self.schema, self.encoding = schema, encoding

    def convert(self, where: str, prop: Property, value: Any) -> Any:
        kind = self.schema.wire_type(prop)
        if kind in _CONTAINERS:
            return getattr(self, f"of_{kind}")(where, prop, value)
        if value is None:
            if prop.optional:
                return None
            raise ValueTypeError(_EXPECTED.get(kind, "a value"), None, where)
        if kind == "embedded":
            return self.embedded(where, prop, value)
        if kind == "mixed":
            return self.mixed(where, value)
        try:
            return encode(kind, value) if self.encoding else decode(kind, value)
        except ValueTypeError as error:
            raise ValueTypeError(error.expected, error.value, where) from None

    def of_list(self, where: str, prop: Property, value: Any) -> list[Any]:
        element = self.schema.element(prop)
        return [self.convert(f"{where}[{at}]", element, item) for at, item in enumerate(self.items(where, value))]

    def of_set(self, where: str, prop: Property, value: Any) -> list[Any]:
        element = self.schema.element(prop)
        items = [self.convert(f"{where}[{at}]", element, item) for at, item in enumerate(self.items(where, value))]
        if self.encoding:
            if element.type == "mixed":
                self.check_members(where, items)
            return wire_set(items)
        wires = list(value or ())
        if element.type == "mixed":
            self.check_members(where, wires)
        # In canonical order, without repetitions.
        first: dict[tuple[Any, ...], Any] = {}
        for wire, item in zip(wires, items, strict=True):
            first.setdefault(wire_key(wire), item)
        return [first[key] for key in sorted(first)]

    def check_members(self, where: str, wires: Iterable[Any]) -> None:
        for at, wire in enumerate(wires):
            if isinstance(wire, list) or (isinstance(wire, dict) and not wrapper(wire)):
                kind = "Lists" if isinstance(wire, list) else "Dictionaries"
                raise ValueTypeError(f"a value ({kind} within a Set are not supported)", wire, f"{where}[{at}]")

    def of_dictionary(self, where: str, prop: Property, value: Any) -> dict[str, Any]:
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise ValueTypeError("a dictionary", value, where)
        element = self.schema.element(prop)
        return {check_key(key, where): self.convert(f"{where}['{key}']", element, it) for key, it in value.items()}

    def embedded(self, where: str, prop: Property, value: Any) -> dict[str, Any]:
        cls = self.schema[str(prop.object_type)]
        if not isinstance(value, Mapping):
            raise ValueTypeError(f"an object of class '{cls.name}'", value, where)
        for name in value:
            if name not in cls.properties:
                raise ValueTypeError(f"an object of class '{cls.name}', which has no property '{name}'", value, where)
        return {
            name: self.convert(f"{where}.{name}", inner, value.get(name))
            for name, inner in cls.properties.items()
            if not self.is_left_out(inner, name, value)
        }

    def is_left_out(self, prop: Property, name: str, value: Mapping[str, Any]) -> bool:
        """Whether the default is to take the place of what is missing: a client need not know the property, and JSON
        that was written before there was one lacks it; a merge then reads null."""
        missing = name not in value or (not self.encoding and value[name] is None)
        return missing and prop.has_default and not prop.optional and not prop.is_collection

    def mixed(self, where: str, value: Any) -> Any:
        if self.encoding:
            wire = encode_mixed(value, where)
            self.check_links(where, wire)
            return wire
        decoded = decode_mixed(value, where)
        self.check_links(where, value)
        return decoded

    def check_links(self, where: str, wire: Any) -> None:
        """Links of a mixed value lead to top-level classes, by keys of their type."""
        if isinstance(wire, list):
            for at, item in enumerate(wire):
                self.check_links(f"{where}[{at}]", item)
        elif isinstance(wire, dict):
            if wrapper(wire) == "$link":
                link = Link(*wire["$link"])
                cls = self.schema.get(link.class_name)
                if cls is None or cls.embedded or cls.asymmetric:
                    raise ValueTypeError(
                        f"a link to a class that can be linked to, not '{link.class_name}'", wire, where
                    )
                self.convert_key(where, cls.key_type, link.key)
            elif not wrapper(wire):
                for key, item in wire.items():
                    self.check_links(f"{where}['{key}']", item)

    def convert_key(self, where: str, key_type: str, key: Any) -> None:
        try:
            decode(key_type, key)
        except ValueTypeError as error:
            raise ValueTypeError(error.expected, error.value, where) from None

    def items(self, where: str, value: Any) -> Iterable[Any]:
        if value is None:
            return ()
        if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
            raise ValueTypeError("an array", value, where)
        if not self.encoding and not isinstance(value, list):
            raise ValueTypeError("an array", value, where)
        return value


_CONTAINERS = ("list", "set", "dictionary")
_EXPECTED = {
    "bool": "a boolean", "int": "an integer", "float": "a number", "double": "a number", "decimal128": "a Decimal",
    "string": "a string", "data": "binary data", "date": "a date", "objectId": "an ObjectId", "uuid": "a UUID",
    "embedded": "an object",
}  # fmt: skip
