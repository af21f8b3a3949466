"""A Realm in memory that applies instructions as strictly as the official clients: AssertionError where they would die.

Values are payloads, lists, dictionaries by key, sets and embedded objects (Embedded, by property). Written from the
rules of the wire format, not from translation.py or assertions.py, which it judges.
"""

from __future__ import annotations

from collections.abc import Iterable
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
    PathInstruction,
    Payload,
    SetErase,
    SetInsert,
    Update,
)
from realm_sync.core.device_sync.payloads import decode_payload
from realm_sync.core.encoding import wire_set
from realm_sync.core.schema import ObjectSchema, Property, Schema

TYPES = {"decimal128": "decimal", "data": "binary", "date": "timestamp"}
ZEROS: dict[str, Any] = {
    "bool": False, "int": 0, "float": 0.0, "double": 0.0, "decimal": (0, 0, False), "string": "", "binary": b"",
    "timestamp": (0, 0), "objectId": bytes(12), "uuid": bytes(16),
}  # fmt: skip


class Embedded(dict[str, Any]):
    pass


class Store:
    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.objects: dict[tuple[str, Payload], dict[str, Any]] = {}

    def apply(self, instructions: Iterable[AnyInstruction]) -> None:
        for it in instructions:
            self._apply(it)

    def _apply(self, it: AnyInstruction) -> None:
        cls = self.schema[it.class_name]
        if isinstance(it, CreateObject | EraseObject):
            assert it.key.type == cls.key_type and not cls.embedded
            if isinstance(it, EraseObject):
                self.objects.pop((it.class_name, it.key), None)
            else:
                self.objects.setdefault((it.class_name, it.key), self._new(it.class_name))
            return
        assert isinstance(it, PathInstruction)
        assert (it.class_name, it.key) in self.objects, "an instruction on an object that is not there"
        assert it.property in cls.properties and it.property != "_id"
        holder: Any = self.objects[it.class_name, it.key]
        step: Any = it.property
        prop = cls.properties[it.property]
        for inner in it.path:
            value = holder[step]
            assert isinstance(value, list | dict), f"a path through {value}"
            if isinstance(value, list):
                assert isinstance(inner, int)
            else:
                assert isinstance(inner, str)
            prop = self._inside(prop, value, inner)
            holder, step = value, inner
        self._at(it, holder, step, prop)

    def _inside(self, prop: Property, value: Any, step: Any) -> Property:
        if isinstance(value, Embedded):
            return self.schema[str(prop.object_type)].properties[step]
        return self.schema.element(prop) if prop.is_collection else prop

    def _at(self, it: PathInstruction, holder: Any, step: Any, prop: Property) -> None:
        if isinstance(it, Update):
            is_entry = isinstance(holder, dict) and not isinstance(holder, Embedded) and bool(it.path)
            if it.value.type == "erased":
                assert is_entry, "only keys of dictionaries are erased"
                holder.pop(step, None)
                return
            if isinstance(holder, list):
                assert 0 <= step < len(holder) and it.prior_size == len(holder)
            self._set(holder, step, prop, it.value, is_entry or isinstance(holder, list))
        elif isinstance(it, ArrayInsert):
            assert isinstance(holder, list) and 0 <= step <= len(holder) and it.prior_size == len(holder)
            holder.insert(step, NULL)
            self._set(holder, step, prop, it.value, True)
        elif isinstance(it, ArrayErase):
            assert isinstance(holder, list) and 0 <= step < len(holder) and it.prior_size == len(holder)
            del holder[step]
        elif isinstance(it, ArrayMove):
            assert isinstance(holder, list) and 0 <= step < len(holder) and it.prior_size == len(holder)
            assert 0 <= it.to < len(holder) and it.to != step
            holder.insert(it.to, holder.pop(step))
        elif isinstance(it, Clear):
            if prop.type == "mixed":
                holder[step] = {"list": list, "dictionary": dict}[it.collection]()
            else:
                assert it.collection == prop.type
                holder[step].clear()
        elif isinstance(it, AddInteger):
            value = holder[step]
            if value != NULL:
                assert value.type == "int" and not isinstance(holder, list)
                holder[step] = Payload("int", (value.value + it.by + 2**63) % 2**64 - 2**63)
        else:
            assert isinstance(it, SetInsert | SetErase)
            found = holder[step]
            assert isinstance(found, set)
            self._check(self.schema.element(prop), it.value)
            (found.add if isinstance(it, SetInsert) else found.discard)(it.value)

    def _set(self, holder: Any, step: Any, prop: Property, value: Payload, is_element: bool) -> None:
        if value.type == "object":
            assert prop.type == "object" and self.schema.is_embedded(prop.object_type)
            if is_element or holder[step] == NULL:
                holder[step] = Embedded(self._new(str(prop.object_type)))
            return
        if value.type in ("list", "dictionary"):
            assert prop.type == "mixed"
            made: Any = [] if value.type == "list" else {}
            there = holder.get(step) if isinstance(holder, dict) else holder[step]
            if type(there) is not type(made):
                holder[step] = made
            return
        assert not prop.is_collection, "a collection is no value"
        self._check(prop, value)
        holder[step] = value

    def _check(self, prop: Property, value: Payload) -> None:
        if prop.type == "object":
            if value.type == "null":
                assert prop.optional
                return
            assert not self.schema.is_embedded(prop.object_type)
            assert value.type == "link" and value.value[0] == prop.object_type
            assert value.value[1].type == self.schema[str(prop.object_type)].key_type
        elif prop.type == "mixed":
            assert value.type in (*ZEROS, "link", "null")
        elif value.type == "null":
            assert prop.optional
        else:
            assert value.type == TYPES.get(prop.type, prop.type)

    def _new(self, class_name: str) -> dict[str, Any]:
        return {
            name: self._default(prop)
            for name, prop in self.schema[class_name].properties.items()
            if name != "_id" and prop.type != "linkingObjects"
        }

    def _default(self, prop: Property) -> Any:
        if prop.is_collection:
            return {"list": list, "set": set, "dictionary": dict}[prop.type]()
        if prop.optional or prop.type in ("object", "mixed"):
            return NULL
        kind = TYPES.get(prop.type, prop.type)
        return Payload(kind, ZEROS[kind])  # type: ignore[arg-type]


def image_of(schema: Schema, cls: ObjectSchema, held: dict[str, Any]) -> dict[str, Any]:
    """The wire values of what a Store holds of an object; values that ours cannot hold as near as they can."""
    return {name: _wire(schema, cls.properties[name], value) for name, value in held.items()}


def _wire(schema: Schema, prop: Property, value: Any) -> Any:
    if isinstance(value, Embedded):
        return image_of(schema, schema[str(prop.object_type)], value)
    inner = schema.element(prop) if prop.is_collection else prop
    if isinstance(value, list):
        return [_wire(schema, inner, item) for item in value]
    if isinstance(value, dict):
        return {key: _wire(schema, inner, item) for key, item in value.items()}
    if isinstance(value, set):
        return wire_set(_wire(schema, inner, item) for item in value)
    return decode_payload(schema, "value", inner, value)[0]
