"""Declarations: Realm object schemas, as the SDKs write them, read into ObjectSchemas.

    {"name": "Dog", "primaryKey": "_id", "properties": {"_id": "objectId", "age": "int?", "owner": "Person", "tags": "string[]"}}

Decides what shorthands (`"int?"`, `"Person"`, `"string?[]"`) and property objects mean, and words what is wrong with
them as Realm does. Knows no values; defaults are the caller's. Used by registry.py, management commands and clients.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .errors import SchemaError
from .schema import COLLECTIONS, PRIMARY_KEY, TYPES, ObjectSchema, Property, check_class
from .values import SCALARS

_SUFFIXES = {"[]": "list", "<>": "set", "{}": "dictionary"}
_ELEMENTS = (*SCALARS, "mixed")
_CLASS_KEYS = {"name", "primaryKey", "properties", "ctor", "embedded", "asymmetric"}
_PROPERTY_KEYS = {
    "type", "objectType", "property", "optional", "indexed", "presentation", "default", "name", "mapTo", "readOnly",
}  # fmt: skip


def parse_class(declaration: Mapping[str, Any]) -> ObjectSchema:
    """An ObjectSchema from a Realm object schema.

    Properties are shorthands or objects (`{"type": "object", "objectType": "Person"}`). Raises SchemaError naming the
    class and property for anything else, unknown keys included. Whether the classes that it names exist is for
    `Schema.check`, when all are known.
    """
    name = declaration.get("name")
    if not isinstance(name, str) or not name:
        raise SchemaError("schema", "'name' must be specified.")
    unknown = sorted(set(declaration) - _CLASS_KEYS)
    if unknown:
        listed = ", ".join(f"'{key}'" for key in unknown)
        raise SchemaError(name, f"Unexpected field(s) found on the schema for object '{name}': {listed}.")
    properties = declaration.get("properties")
    if not isinstance(properties, Mapping):
        raise SchemaError(name, "'properties' must be an object: property names with their types.")
    embedded, asymmetric = bool(declaration.get("embedded")), bool(declaration.get("asymmetric"))
    primary_key = declaration.get("primaryKey", None if embedded else PRIMARY_KEY)
    if embedded and primary_key is not None:
        raise SchemaError(name, f"Embedded object type '{name}' cannot have a primary key.")
    if not embedded and primary_key not in properties:
        raise SchemaError(name, f"'{primary_key}' is set as the primary key field but was not found in 'properties'.")
    parsed = {key: parse_property(f"{name}.{key}", value) for key, value in properties.items()}
    if primary_key == PRIMARY_KEY:
        parsed = {PRIMARY_KEY: parsed.pop(primary_key)} | parsed
    cls = ObjectSchema(
        name=name,
        properties=parsed,
        primary_key=primary_key or PRIMARY_KEY,
        embedded=embedded,
        asymmetric=asymmetric,
    )
    check_class(cls)
    return cls


def parse_property(where: str, declaration: str | Mapping[str, Any]) -> Property:
    """A Property from a shorthand or an object form; `where` names it in errors."""
    if isinstance(declaration, str):
        return _parse_shorthand(where, declaration)
    unknown = sorted(set(declaration) - _PROPERTY_KEYS)
    if unknown:
        raise SchemaError(where, f"has unexpected field(s): {', '.join(unknown)}.")
    kind, target = declaration.get("type"), declaration.get("objectType")
    if not isinstance(kind, str) or not kind:
        raise SchemaError(where, "'type' must be specified.")
    if re.search(r"[?\[\]<>{}]", kind + str(target or "")):
        raise SchemaError(
            where, "Cannot use shorthand symbols in 'type' or 'objectType' when defining property objects."
        )
    if kind not in TYPES:
        if kind == "counter":
            raise SchemaError(where, "a counter is written {'type': 'int', 'presentation': 'counter'}.")
        if kind[:1].isupper():
            raise SchemaError(where, f"If you meant a link, use {{'type': 'object', 'objectType': '{kind}'}}.")
        raise SchemaError(where, f"has the unknown type '{kind}'.", f"Use one of {', '.join(TYPES)}.")
    if kind in _ELEMENTS and target:
        raise SchemaError(where, f"'objectType' cannot be defined when 'type' is '{kind}'.")
    if (kind == "linkingObjects") != ("property" in declaration):
        raise SchemaError(where, "'property' is needed for 'linkingObjects', and for nothing else.")
    return Property(
        type=kind,
        object_type=target,
        optional=_optional(where, kind, target, declaration.get("optional")),
        indexed="full-text" if declaration.get("indexed") == "full-text" else bool(declaration.get("indexed")),
        read_only=bool(declaration.get("readOnly")),
        has_default="default" in declaration,
        presentation=declaration.get("presentation"),
        property=declaration.get("property"),
    )


def _optional(where: str, kind: str, target: Any, given: Any) -> bool:
    """Whether the property, or the elements of a collection, can be null: sometimes there is no choice."""
    is_class = target is not None and target not in _ELEMENTS
    if kind in ("mixed", "object") or target == "mixed" or (kind == "dictionary" and is_class):
        if given is False:
            raise SchemaError(where, f"'{target or kind}' values are always optional and cannot be made non-optional.")
        return True
    if kind == "linkingObjects" or (kind in ("list", "set") and is_class):
        if given:
            raise SchemaError(where, f"the elements of a {kind} of objects are never null: leave 'optional' out.")
        return False
    return bool(given)


_SHORTHAND = re.compile(r"(?P<element>[^?\[\]<>{}]*)(?P<optional>\?)?(?P<suffix>\[\]|<>|\{\})?")


def _parse_shorthand(where: str, text: str) -> Property:
    match = _SHORTHAND.fullmatch(text)
    if match is None:
        if re.fullmatch(r"[^?]+(\[\]|<>|\{\})\?", text):
            raise SchemaError(
                where, "collections cannot be optional.", "To make their elements optional, put '?' after the type."
            )
        if re.search(r"(\[\]|<>|\{\}).*(\[\]|<>|\{\})$", text):
            raise SchemaError(where, "nested collections are not supported.", "Use a mixed property.")
        raise SchemaError(where, f"'{text}' is not a type.", "Write for example 'int', 'string?', 'Dog' or 'int[]'.")
    element, given, suffix = match["element"], bool(match["optional"]), match["suffix"]
    if not element:
        raise SchemaError(where, "the type, or that of the elements, must be specified.")
    if element in COLLECTIONS:
        raise SchemaError(where, f"a {element} is written by its elements: 'int[]', 'int<>', 'int{{}}'.")
    if element == "object":
        raise SchemaError(where, "a link is written as the name of its class.")
    if element == "linkingObjects":
        raise SchemaError(where, "write {'type': 'linkingObjects', 'objectType': 'Class', 'property': 'its link'}.")
    if element == "counter":
        if suffix:
            raise SchemaError(where, "counters cannot be used in collections.")
        return Property(type="int", optional=given, presentation="counter")
    if not suffix and element in _ELEMENTS:
        return Property(type=element, optional=given or element == "mixed")
    if not suffix:
        return Property(type="object", object_type=element, optional=True)
    kind = _SUFFIXES[suffix]
    return Property(type=kind, object_type=element, optional=_optional(where, kind, element, given or None))
