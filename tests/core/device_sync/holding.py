"""What the model of an official client holds, as images of ours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from realm_sync.core.device_sync.instructions import AnyInstruction, Payload
from realm_sync.core.device_sync.payloads import decode_key, decode_payload
from realm_sync.core.device_sync.schema import declare
from realm_sync.core.encoding import wire_set
from realm_sync.core.schema import ObjectSchema, Property, Schema
from tests.official_client.store import Embedded, Store


def store_of(schema: Schema) -> Store:
    """A client that has the schema and nothing else."""
    store = Store()
    apply(store, declare(schema))
    return store


def apply(store: Store, instructions: Iterable[AnyInstruction]) -> None:
    for instruction in instructions:
        store.apply(instruction)


def held(schema: Schema, store: Store, class_name: str, key: Payload) -> dict[str, Any] | None:
    """The image of an object; values that ours cannot hold as near as they can."""
    found = store.objects[class_name].get(key)
    if found is None:
        return None
    cls = schema[class_name]
    return _image(schema, cls, found) | {"_id": decode_key(cls, key)}


def _image(schema: Schema, cls: ObjectSchema, values: dict[str, Any]) -> dict[str, Any]:
    return {name: _wire(schema, cls.properties[name], value) for name, value in values.items()}


def _wire(schema: Schema, prop: Property, value: Any) -> Any:
    if isinstance(value, Embedded):
        return _image(schema, schema[str(prop.object_type)], value)
    inner = schema.element(prop) if prop.is_collection else prop
    if isinstance(value, list):
        return [_wire(schema, inner, item) for item in value]
    if isinstance(value, dict):
        return {key: _wire(schema, inner, item) for key, item in value.items()}
    if isinstance(value, set):
        return wire_set(_wire(schema, inner, item) for item in value)
    return decode_payload(schema, "value", inner, value)[0]
