"""Strategies for what an official client does to an object it has, as the instructions it would upload."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from realm_sync.core.device_sync.instructions import (
    NULL,
    AddInteger,
    ArrayErase,
    ArrayInsert,
    ArrayMove,
    Clear,
    PathInstruction,
    Payload,
    SetErase,
    SetInsert,
    Update,
)
from realm_sync.core.device_sync.payloads import encode_mixed, encoder
from realm_sync.core.schema import Property
from tests.official_client.store import Embedded, Store

from .holding import apply
from .worlds import KEYS, LEAVES, SCHEMA, wires

DEEP = [
    "int", "intOrNull", "intList", "stringSet", "intDictionary", "linkDictionary", "mixed", "mixedList", "mixedSet",
    "mixedDictionary", "outer", "outers", "outerDictionary",
]  # fmt: skip
"""Properties in which more can happen than in others."""


@st.composite
def steps(
    draw: st.DrawFn, store: Store, class_name: str, key: Payload, names: list[str] | None = None
) -> list[PathInstruction]:
    """Up to a dozen instructions, each of which fits what those before it left in the store; they are applied to it."""
    done: list[PathInstruction] = []
    properties = SCHEMA[class_name].properties
    one = st.sampled_from([n for n, p in properties.items() if n != "_id" and p.type != "linkingObjects"])
    names = draw(st.lists(st.sampled_from(DEEP) | one, min_size=1, max_size=3) if names is None else st.just(names))
    for _ in range(draw(st.integers(1, 12))):
        name = draw(st.sampled_from(names))
        made = draw(_instructions(store.objects[class_name][key], name, properties[name], (class_name, key, name)))
        apply(store, made)
        done += made
    return done


@st.composite
def _instructions(draw: st.DrawFn, holder: Any, step: Any, prop: Property, at: Any) -> list[PathInstruction]:
    path: tuple[Any, ...] = ()
    while True:
        value = holder[step]
        is_element = bool(path) and not isinstance(holder, Embedded)
        if not isinstance(value, list | dict | set) or (is_element and draw(st.integers(0, 2)) == 0):
            return draw(_replaced(holder, step, prop, at, path, is_element))
        if isinstance(value, Embedded):
            if draw(st.integers(0, 5)) == 0 and not is_element:
                return [Update(*at, path, NULL), Update(*at, path, Payload("object"))]
            prop = SCHEMA[str(prop.object_type)].properties[inner := draw(st.sampled_from(sorted(value)))]
            holder, step, path = value, inner, (*path, inner)
            continue
        kind: Any = "list" if isinstance(value, list) else "set" if isinstance(value, set) else "dictionary"
        choice = draw(st.integers(0, 9))
        if choice == 0:
            return [Clear(*at, path, kind)]
        if choice == 1 and prop.type == "mixed" and not is_element:
            return draw(_replaced(holder, step, prop, at, path, is_element))
        element = SCHEMA.element(prop) if prop.is_collection else prop
        if isinstance(value, set):
            if value and draw(st.booleans()):
                return [SetErase(*at, path, draw(st.sampled_from(sorted(value, key=str))))]
            return [SetInsert(*at, path, draw(_payload(element, in_set=True)))]
        if not value or choice < 5:
            if kind == "list":
                place = (*path, draw(st.integers(0, len(value))))
                payload = draw(_payload(element))
                made: list[PathInstruction] = [ArrayInsert(*at, place, payload, len(value))]
            else:
                place = (*path, draw(KEYS))
                payload = draw(_payload(element))
                made = [Update(*at, place, payload)]
            return [*made, *_cleared(at, place, payload)]
        inner = draw(st.sampled_from(sorted(value))) if kind == "dictionary" else draw(st.integers(0, len(value) - 1))
        if choice == 5:
            if kind == "dictionary":
                return [Update(*at, (*path, inner), Payload("erased"))]
            return [ArrayErase(*at, (*path, inner), len(value))]
        if choice == 6 and kind == "list" and len(value) > 1:
            other = draw(st.integers(0, len(value) - 2))
            return [ArrayMove(*at, (*path, inner), other + (other >= inner), len(value))]
        holder, step, prop, path = value, inner, element, (*path, inner)


def _cleared(at: Any, path: Any, payload: Payload) -> list[PathInstruction]:
    """Collections in mixed values are always cleared after they were made."""
    return [Clear(*at, path, payload.type)] if payload.type in ("list", "dictionary") else []  # type: ignore[arg-type]


@st.composite
def _replaced(
    draw: st.DrawFn, holder: Any, step: Any, prop: Property, at: Any, path: Any, is_element: bool
) -> list[PathInstruction]:
    value = holder[step]
    is_int = isinstance(value, Payload) and (prop.type == "int" or value.type == "int")
    if is_int and not is_element and draw(st.booleans()):
        return [AddInteger(*at, path, draw(st.integers(-(2**63), 2**63 - 1) | st.integers(-9, 9)))]
    payload = draw(_payload(prop))
    size = len(holder) if isinstance(holder, list) else 0
    if isinstance(value, Embedded) and isinstance(holder, list):
        return [ArrayErase(*at, path, size), ArrayInsert(*at, path, Payload("object"), size - 1)]
    return [Update(*at, path, payload, size), *_cleared(at, path, payload)]


def _payload(prop: Property, *, in_set: bool = False) -> st.SearchStrategy[Payload]:
    if prop.type == "mixed":
        found = LEAVES.map(lambda wire: encode_mixed(SCHEMA, wire))
        return found if in_set else found | st.sampled_from([Payload("list"), Payload("dictionary")])
    if SCHEMA.is_embedded(prop.object_type):
        return st.sampled_from([Payload("object"), NULL] if prop.optional else [Payload("object")])
    encode = encoder(SCHEMA, prop)
    return wires(prop).map(lambda wire: NULL if wire is None else encode(wire))
