"""A schema with a property of every type, and strategies for its images."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from realm_sync.core.encoding import wire_set
from realm_sync.core.mixed import encode_mixed
from realm_sync.core.schema import ObjectSchema, Property, Schema
from realm_sync.core.values import DECIMAL128, ObjectId, encode

SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "int": st.integers(-(2**63), 2**63 - 1) | st.integers(-70, 70),
    "float": st.floats(width=32, allow_nan=False).map(lambda value: value + 0.0) | st.just(float("nan")),
    "double": st.floats(allow_nan=False).map(lambda value: value + 0.0) | st.just(float("nan")),
    "decimal128": st.builds(
        lambda sign, coefficient, exponent: DECIMAL128.create_decimal(f"{sign}{coefficient}E{exponent}"),
        st.sampled_from(["", "-"]),
        st.integers(0, 10**34 - 1) | st.integers(0, 100),
        st.integers(-6176, 6110) | st.integers(-40, 40),
    )
    | st.sampled_from([Decimal("NaN"), Decimal("Infinity"), Decimal("-Infinity"), Decimal("1E+6144")]),
    "string": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=80),
    "data": st.binary(max_size=80),
    "date": st.datetimes(timezones=st.just(UTC)) | st.just(datetime(1969, 12, 31, 23, 59, 57, 500_000, tzinfo=UTC)),
    "objectId": st.binary(min_size=12, max_size=12).map(ObjectId),
    "uuid": st.uuids() | st.just(uuid.UUID(int=0)),
}
WIRES = {kind: values.map(lambda value, kind=kind: encode(kind, value)) for kind, values in SCALARS.items()}  # type: ignore[misc]
KEYS = st.text("abcé ", max_size=3)
LINKS = WIRES["objectId"].map(lambda key: {"$link": ["Every", key]})
LEAVES = (
    st.none()
    | LINKS
    | st.one_of(*(values for kind, values in SCALARS.items() if kind != "float")).map(encode_mixed)
    | st.integers(-70, 70).map(float)
)
MIXED = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)


def _each(**more: Any) -> dict[str, Property]:
    """A property of every scalar type, of every kind of collection of it, with and without null."""
    found = {}
    for kind in SCALARS:
        found[kind] = Property(type=kind)
        found[f"{kind}OrNull"] = Property(type=kind, optional=True)
        for collection in ("list", "set", "dictionary"):
            found[f"{kind}{collection.capitalize()}"] = Property(type=collection, object_type=kind)
        found[f"{kind}ListOrNull"] = Property(type="list", object_type=kind, optional=True)
    return found | {name: Property(**fields) for name, fields in more.items()}


INNER = ObjectSchema(
    name="Inner",
    embedded=True,
    properties={
        "city": Property(type="string"),
        "qty": Property(type="int"),
        "used": Property(type="int", optional=True, presentation="counter"),
        "anything": Property(type="mixed", optional=True),
        "tags": Property(type="list", object_type="string"),
    },
)
OUTER = ObjectSchema(
    name="Outer",
    embedded=True,
    properties={
        "one": Property(type="object", object_type="Inner", optional=True),
        "many": Property(type="list", object_type="Inner"),
        "named": Property(type="dictionary", object_type="Inner", optional=True),
        "friend": Property(type="object", object_type="Every", optional=True),
        "labels": Property(type="set", object_type="mixed"),
    },
)
EVERY = ObjectSchema(
    name="Every",
    properties={
        "_id": Property(type="objectId"),
        **_each(
            link={"type": "object", "object_type": "Number", "optional": True},
            links={"type": "list", "object_type": "Number"},
            linkSet={"type": "set", "object_type": "Every"},
            linkDictionary={"type": "dictionary", "object_type": "Every"},
            mixed={"type": "mixed", "optional": True},
            mixedList={"type": "list", "object_type": "mixed"},
            mixedSet={"type": "set", "object_type": "mixed"},
            mixedDictionary={"type": "dictionary", "object_type": "mixed"},
            outer={"type": "object", "object_type": "Outer", "optional": True},
            outers={"type": "list", "object_type": "Outer"},
            outerDictionary={"type": "dictionary", "object_type": "Outer"},
            backlinks={"type": "linkingObjects", "object_type": "Number", "property": "every"},
        ),
    },
)
NUMBER = ObjectSchema(
    name="Number",
    properties={
        "_id": Property(type="int"),
        "every": Property(type="object", object_type="Every", optional=True),
        "title": Property(type="string", read_only=True),
    },
)
NOTE = ObjectSchema(
    name="Note", asymmetric=True, properties={"_id": Property(type="string"), "text": Property(type="string")}
)
SCHEMA = Schema([INNER, OUTER, EVERY, NUMBER, NOTE])
SCHEMA.check()


def wires(prop: Property) -> st.SearchStrategy[Any]:
    """Wire values that a property can have."""
    if prop.is_collection:
        element = wires(SCHEMA.element(prop))
        if prop.type == "dictionary":
            return st.dictionaries(KEYS, element, max_size=3)
        return st.lists(LEAVES if prop.type == "set" and prop.object_type == "mixed" else element, max_size=3).map(
            wire_set if prop.type == "set" else list
        )
    if prop.type == "mixed":
        return MIXED
    if SCHEMA.is_embedded(prop.object_type):
        found = images(SCHEMA[str(prop.object_type)])
        return st.none() | found if prop.optional else found
    found = WIRES[SCHEMA.wire_type(prop)]
    return st.none() | found if prop.optional else found


def images(cls: ObjectSchema, names: Any = None) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            name: wires(prop)
            for name, prop in cls.properties.items()
            if prop.type != "linkingObjects" and (names is None or name in names)
        }
    )
