"""What a real client and an experimental server said to each other: the recordings of tests/vectors/device_sync.

The client is npm `realm` 12.15.0. A line is one websocket message as JSON: `dir` (c2s, s2c), `kind` (ws, ws-close),
`head` (the header), `body_hex`, and `decoded`: what is in its changesets, as the recorder understood it.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

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

FOLDER = Path(__file__).parent.parent.parent / "vectors" / "device_sync"
NAMES = sorted(path.name.removesuffix(".jsonl.gz") for path in FOLDER.iterdir())


class Frame(NamedTuple):
    is_of_client: bool
    word: str
    data: bytes
    decoded: Any
    connection: int


@cache
def frames(name: str) -> tuple[Frame, ...]:
    """The messages of one recording."""
    return tuple(_frames(name))


def _frames(name: str) -> Iterator[Frame]:
    with gzip.open(FOLDER / f"{name}.jsonl.gz", "rt") as lines:
        for line in map(json.loads, lines):
            if line["kind"] == "ws":
                data = line["head"].encode() + b"\n" + bytes.fromhex(line["body_hex"])
                yield Frame(line["dir"] == "c2s", line["head"].split(" ")[0], data, line["decoded"], line["conn"])


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
    value = getattr(one, "value", None)
    is_nan = isinstance(value, Payload) and isinstance(value.value, float) and math.isnan(value.value)
    return repr(one) == repr(other) if is_nan else one == other
