"""What a real client and an experimental server said to each other, as recorded: see tests/vectors/device_sync."""

from __future__ import annotations

import math
from typing import Any

from realm_sync.core.device_sync.changesets import COLLECTIONS, COLUMN_TYPES, KEY_TYPES, KINDS
from realm_sync.core.device_sync.instructions import (
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
    Payload,
    SetErase,
    SetInsert,
    Update,
)


def payload(recorded: list[Any]) -> Payload:
    kind: Any = {"oid": "objectId", "dict": "dictionary", "obj": "object"}.get(recorded[0], recorded[0])
    match [kind, *recorded[1:]]:
        case ["binary" | "objectId" | "uuid", written]:
            return Payload(kind, bytes.fromhex(written))
        case ["link", target, key]:
            return Payload(kind, (target, payload(key)))
        case ["timestamp", seconds, nanoseconds]:
            return Payload(kind, (seconds, nanoseconds))
        case ["decimal", coefficient, exponent, sign]:
            return Payload(kind, (coefficient, exponent, bool(sign)))
        case ["bool", value]:
            return Payload(kind, bool(value))
    return Payload(kind, *recorded[1:])


def instruction(r: dict[str, Any]) -> AnyInstruction:
    """The instruction that was recorded as this."""
    if r["op"] == "AddTable":
        if KINDS[r["kind"]] == "embedded":
            return AddTable(r["table"], "embedded")
        name, tag, nullable = r["pk"]
        return AddTable(r["table"], KINDS[r["kind"]], name, KEY_TYPES[tag], bool(nullable))
    if r["op"] == "AddColumn":
        kind, collection = COLUMN_TYPES[r["type"]], COLLECTIONS[r["coll"]]
        return AddColumn(r["table"], r["field"], kind, bool(r["nullable"]), collection, r.get("target") or "")
    key = payload(r["pk"])
    if r["op"] == "CreateObject":
        return CreateObject(r["table"], key)
    if r["op"] == "EraseObject":
        return EraseObject(r["table"], key)
    at = (r["table"], key, r["field"], tuple(r["path"]))
    if r["op"] == "Update":
        value = payload(r["value"])
        return Update(*at, value, r.get("prior_size") or 0, bool(r.get("is_default")))
    if r["op"] == "AddInteger":
        return AddInteger(*at, r["add"])
    if r["op"] == "ArrayInsert":
        return ArrayInsert(*at, payload(r["value"]), r["prior_size"])
    if r["op"] == "ArrayMove":
        return ArrayMove(*at, r["to"], r["prior_size"])
    if r["op"] == "ArrayErase":
        return ArrayErase(*at, r["prior_size"])
    if r["op"] == "Clear":
        return Clear(*at, COLLECTIONS[r["coll"]])
    return {"SetInsert": SetInsert, "SetErase": SetErase}[r["op"]](*at, payload(r["value"]))


def same(one: AnyInstruction, other: AnyInstruction) -> bool:
    """Equality, but NaN equals itself."""
    return one == other or (
        isinstance(one, (Update, ArrayInsert, SetInsert, SetErase))
        and type(one) is type(other)
        and isinstance(one.value.value, float)
        and math.isnan(one.value.value)
        and repr(one) == repr(other)
    )
