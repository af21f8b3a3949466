"""A class with a property of every kind, edits of it, and strategies for both: what tests of edits and merges share."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from realm_sync.core.edits import Shape
from realm_sync.core.encoding import wire_set
from realm_sync.core.messages import (
    Add,
    AnyEdit,
    Clear,
    Insert,
    Move,
    Remove,
    Set,
    SetInsert,
    SetRemove,
)
from realm_sync.core.schema import ObjectSchema, Property, Schema

PART = ObjectSchema(
    name="Part",
    embedded=True,
    properties={
        "label": Property(type="string"),
        "used": Property(type="int", presentation="counter"),
        "notes": Property(type="list", object_type="string"),
    },
)
CASE = ObjectSchema(
    name="Case",
    embedded=True,
    properties={
        "color": Property(type="string", optional=True),
        "inner": Property(type="object", object_type="Part", optional=True),
        "prices": Property(type="dictionary", object_type="int"),
    },
)
KIT = ObjectSchema(
    name="Kit",
    properties={
        "_id": Property(type="string"),
        "name": Property(type="string", optional=True),
        "numbers": Property(type="list", object_type="int"),
        "maybes": Property(type="list", object_type="string", optional=True),
        "parts": Property(type="list", object_type="Part"),
        "friends": Property(type="list", object_type="Kit"),
        "tags": Property(type="set", object_type="string"),
        "things": Property(type="set", object_type="mixed"),
        "prices": Property(type="dictionary", object_type="int"),
        "drawers": Property(type="dictionary", object_type="Part"),
        "case": Property(type="object", object_type="Case", optional=True),
        "anything": Property(type="mixed", optional=True),
        "anythings": Property(type="list", object_type="mixed"),
        "size": Property(type="int"),
        "uses": Property(type="int", presentation="counter"),
        "maybe_uses": Property(type="int", presentation="counter", optional=True),
    },
)
SCHEMA = Schema([PART, CASE, KIT])
OPS: dict[str, Any] = {
    "set": Set, "add": Add, "insert": Insert, "move": Move, "remove": Remove, "clear": Clear,
    "setInsert": SetInsert, "setRemove": SetRemove,
}  # fmt: skip
KEY = "kit"


def shape(name: str) -> Shape:
    return Shape(SCHEMA, KIT.properties[name])


def edit(op: str, *path: str | int, **fields: Any) -> AnyEdit:
    made: AnyEdit = OPS[op](class_name="Kit", id=KEY, path=list(path), **fields)
    return made


def part(label: str = "bolt", used: int = 0, *notes: str) -> dict[str, Any]:
    return {"label": label, "used": used, "notes": list(notes)}


# --- strategies ------------------------------------------------------------------------------------------------------

INTS = st.integers(0, 5)
TEXTS = st.sampled_from(["a", "b", "c", "d"])
PARTS = st.builds(lambda label, used, notes: part(label, used, *notes), TEXTS, INTS, st.lists(TEXTS, max_size=3))
LEAVES = st.sampled_from(
    [None, True, False, 0, 1, 1.5, "a", {"$numberLong": "1"}, {"$oid": "0" * 24}, {"$link": ["Kit", "kit"]}]
)
MIXED = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8
)
PRICES = st.dictionaries(TEXTS, INTS, max_size=3)
CASES = st.none() | st.fixed_dictionaries({"color": st.none() | TEXTS, "inner": st.none() | PARTS, "prices": PRICES})
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "numbers": st.lists(INTS, max_size=7),
    "maybes": st.lists(st.none() | TEXTS, max_size=5),
    "parts": st.lists(PARTS, max_size=4),
    "tags": st.lists(TEXTS, max_size=4).map(wire_set),
    "things": st.lists(LEAVES, max_size=4).map(wire_set),
    "prices": PRICES,
    "drawers": st.dictionaries(TEXTS, PARTS, max_size=3),
    "case": CASES,
    "anything": MIXED,
    "anythings": st.lists(MIXED, max_size=4),
    "size": INTS,
    "uses": INTS,
    "maybe_uses": st.none() | INTS,
}


def value_of(place: Shape) -> st.SearchStrategy[Any]:
    """Wire values that fit a place inside a property."""
    if place.kind == "embedded":
        return PARTS if "label" in place.fields else CASES.filter(bool)
    if place.kind == "mixed":
        return MIXED
    if place.kind == "list":
        return st.lists(value_of(place.element), max_size=3)
    if place.kind == "dictionary":
        return st.dictionaries(TEXTS, value_of(place.element), max_size=3)
    return INTS if place._prop.type == "int" else TEXTS


@st.composite
def edits(draw: st.DrawFn, name: str, value: Any) -> AnyEdit | None:
    """An edit that makes sense in a property's value; None if none can be made."""
    place, path = shape(name), [name]
    value = place.read(value)
    while True:
        kind = place.container(value)
        if kind is None:
            if place.kind == "counter" or place.is_int:
                return edit("add", *path, by=draw(st.integers(-3, 9)))
            return edit("set", *path, value=draw(value_of(place))) if len(path) > 1 else None
        choices = ["here", "inside", "inside"] if value else ["here"]
        if kind != "embedded" and draw(st.integers(0, 7)) == 0:
            return edit("clear", *path)
        if kind == "set":
            op = draw(st.sampled_from(["setInsert", "setRemove"]))
            return edit(op, *path, value=draw(LEAVES if name == "things" else TEXTS))
        if kind == "embedded":
            step: Any = draw(st.sampled_from(sorted(value)))
            place, value = place.fields[step], place.fields[step].read(value[step])
            path.append(step)
            if draw(st.integers(0, 3)) == 0 and place.kind != "counter":
                return edit("set", *path, value=draw(value_of(place)))
            continue
        inner = place.element
        if draw(st.sampled_from(choices)) == "here":
            if kind == "dictionary":
                return edit("set", *path, draw(TEXTS), value=draw(value_of(inner)))
            return edit("insert", *path, draw(st.integers(0, len(value))), value=draw(value_of(inner)))
        step = draw(st.integers(0, len(value) - 1)) if kind == "list" else draw(st.sampled_from(sorted(value)))
        choice = draw(st.integers(0, 3))
        if choice == 0:
            return edit("remove", *path, step)
        if choice == 1:
            return edit("set", *path, step, value=draw(value_of(inner)))
        if choice == 2 and kind == "list":
            return edit("move", *path, step, to=draw(st.integers(0, len(value) - 1)))
        path.append(step)
        place, value = inner, inner.read(value[step])
