"""What assertions say is what a strict client then holds: for every type, whatever was there before."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realm_sync.core.device_sync.assertions import Assertions
from realm_sync.core.device_sync.changesets import Encoder, decode
from realm_sync.core.device_sync.instructions import (
    AddInteger,
    Clear,
    CreateObject,
    EraseObject,
    PathInstruction,
    Payload,
    Update,
)
from realm_sync.core.edits import identity, increase
from realm_sync.core.errors import ValueTypeError
from realm_sync.core.mixed import mixed_type
from tests.official_client.merge import Changeset, merge
from tests.official_client.store import Store

from .clients import DEEP, steps
from .holding import apply, held, store_of
from .worlds import EVERY, MIXED, NOTE, NUMBER, SCHEMA, images, wires

NAMES = sorted(name for name, prop in EVERY.properties.items() if prop.type != "linkingObjects" and name != "_id")
KEY = "65a1b2c3d4e5f60718293a4b"
SAY = Assertions(SCHEMA, EVERY)


def image_in(store: Store) -> dict[str, Any]:
    found = held(SCHEMA, store, "Every", Payload("objectId", bytes.fromhex(KEY)))
    assert found is not None
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(images(EVERY), images(EVERY))
def test_an_object_is_what_was_said_whatever_it_was_before(image: dict[str, Any], before: dict[str, Any]) -> None:
    image["_id"] = before["_id"] = KEY
    store = store_of(SCHEMA)
    apply(store, SAY.create(image))
    assert identity(image_in(store)) == identity(image)
    apply(store, SAY.create(before))
    apply(store, SAY.create(image))
    apply(store, SAY.create(image))
    assert identity(image_in(store)) == identity(image)
    # The same as bytes.
    apply(store, SAY.create(before))
    encoder = Encoder()
    SAY.write(encoder, image)
    apply(store, decode(encoder.take()))
    assert identity(image_in(store)) == identity(image)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_some_properties_are_what_was_said_and_the_others_stay(data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    before = {name: data.draw(wires(EVERY.properties[name])) for name in names} | {"_id": KEY}
    image = {name: data.draw(wires(EVERY.properties[name])) for name in names} | {"_id": KEY}
    store = store_of(SCHEMA)
    apply(store, SAY.create(before))
    others = {name: value for name, value in image_in(store).items() if name not in names}
    apply(store, SAY.properties(image, names))
    assert identity(image_in(store)) == identity(image | others)


@given(MIXED)
def test_a_mixed_value_is_said_by_one_instruction_and_what_is_in_it(value: Any) -> None:
    """Two might be told apart by a client that has a later write of its own."""
    first, *others = SAY.properties({"_id": KEY, "mixed": value}, ["mixed"])
    assert isinstance(first, Clear if mixed_type(value) in ("list", "dictionary") else Update) and not first.path
    assert all(isinstance(it, PathInstruction) and it.path for it in others)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_over_pending_edits_the_client_has_either_what_was_said_or_what_it_wrote(data: st.DataObject) -> None:
    """By its own merge, which must not fail: never half of both. What it wrote is on its way to the server."""
    names = data.draw(st.lists(st.sampled_from(DEEP) | st.sampled_from(NAMES), min_size=1, max_size=2, unique=True))
    known = {name: data.draw(wires(EVERY.properties[name])) for name in names} | {"_id": KEY}
    image = {name: data.draw(wires(EVERY.properties[name])) for name in names} | {"_id": KEY}
    client = store_of(SCHEMA)
    apply(client, SAY.create(known))
    pending = data.draw(steps(client, "Every", Payload("objectId", bytes.fromhex(KEY)), names))
    mine = image_in(client)
    incoming = Changeset((data.draw(st.sampled_from([1, 3])), 1), [*SAY.properties(image, names)])
    merge([incoming], [Changeset((2, 9), [*pending])])
    apply(client, incoming.left)
    for name in names:
        found = image_in(client)[name]
        added = sum(it.by for it in pending if isinstance(it, AddInteger) and it.property == name and not it.path)
        if added and EVERY.properties[name].type == "int" and image[name] is not None:
            both = increase(image[name], added)  # that is what increments are for
            assert found in (image[name], mine[name], both) or any(isinstance(it, Update) for it in pending)
        elif not added:
            assert identity(found) in (identity(image[name]), identity(mine[name])), name


def test_what_the_image_lacks_is_said_as_realms_default() -> None:
    said = SAY.create({"_id": KEY})
    assert said[0] == CreateObject("Every", Payload("objectId", bytes.fromhex(KEY)))
    assert {it.property for it in said[1:]} == set(NAMES)  # type: ignore[union-attr]
    store, fresh = store_of(SCHEMA), store_of(SCHEMA)
    apply(store, said)
    apply(fresh, said[:1])
    assert image_in(store) == image_in(fresh)


def test_names_that_are_no_properties_are_passed_over() -> None:
    assert SAY.properties({"_id": KEY}, ["_id", "backlinks", "nothing"]) == []


def test_erase() -> None:
    assert Assertions(SCHEMA, NUMBER).erase("9007199254740993") == [
        EraseObject("Number", Payload("int", 9007199254740993))
    ]
    assert Assertions(SCHEMA, NOTE).erase("") == [EraseObject("Note", Payload("string", ""))]
    for cls, key in ((NUMBER, "text"), (EVERY, "65a1"), (EVERY, 5), (NOTE, 5), (NUMBER, 2**63), (NUMBER, 1.5)):
        says = Assertions(SCHEMA, cls)
        for say in (says.erase, lambda key: says.create({"_id": key}), lambda key: says.write(Encoder(), {"_id": key})):  # noqa: B023
            with pytest.raises(ValueTypeError):
                say(key)


BROKEN: list[Any] = [
    None,
    5,
    "text",
    True,
    [],
    {},
    [None, 5, "text", [], {}],
    {"a": None, "b": 5, "c": []},
    {"$oid": 1},
]


@pytest.mark.parametrize("name", NAMES)
def test_a_value_of_another_type_does_no_harm(name: str) -> None:
    """Raw SQL writes such values; clients would die of them."""
    for value in BROKEN:
        store = store_of(SCHEMA)
        apply(store, SAY.create({"_id": KEY, name: value}))
        apply(store, SAY.properties({"_id": KEY, name: value}, [name]))
        encoder = Encoder()
        SAY.write(encoder, {"_id": KEY, name: value})
        apply(store, decode(encoder.take()))


def test_what_realm_cannot_store_is_not_said() -> None:
    said = SAY.properties({"_id": KEY, "string": "x" * 2**24, "mixed": "é" * 2**23}, ["string", "mixed"])
    assert [it.value for it in said if isinstance(it, Update)] == [Payload("string", ""), Payload("null")]
