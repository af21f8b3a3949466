"""One edit on a plain value, and the edits between two values."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realm_sync.core.edits import EditError, apply_edit, derive, edit_value, identity, path_text
from realm_sync.core.encoding import wire_key
from realm_sync.core.messages import AnyEdit

from .kits import KEY, KIT, SCHEMA, VALUES, edit, edits, part, shape

WITH_INSIDE = [name for name in VALUES if name not in ("case", "size", "uses", "maybe_uses")]


def applied(value: Any, *steps: AnyEdit) -> Any:
    for step in steps:
        value = edit_value(shape(str(step.path[0])), value, step)
    return value


@pytest.mark.parametrize(
    ("value", "step", "result"),
    [
        ([1, 2], edit("insert", "numbers", 1, value=9), [1, 9, 2]),
        ([1, 2], edit("insert", "numbers", 2, value=9), [1, 2, 9]),
        (None, edit("insert", "numbers", 0, value=9), [9]),
        ([1, 2], edit("set", "numbers", 1, value=9), [1, 9]),
        ([1, 2, 3], edit("move", "numbers", 0, to=2), [2, 3, 1]),
        ([1, 2, 3], edit("remove", "numbers", 1), [1, 3]),
        ([1, 2, 3], edit("clear", "numbers"), []),
        ([part()], edit("set", "parts", 0, "label", value="nut"), [part("nut")]),
        ([part()], edit("insert", "parts", 0, "notes", 0, value="new"), [part("bolt", 0, "new")]),
        ([part()], edit("add", "parts", 0, "used", by=3), [part("bolt", 3)]),
        (["b"], edit("setInsert", "tags", value="a"), ["a", "b"]),
        (["b"], edit("setInsert", "tags", value="b"), ["b"]),
        (["a", "b"], edit("setRemove", "tags", value="a"), ["b"]),
        (["a"], edit("setRemove", "tags", value="b"), ["a"]),
        ([{"$numberLong": "1"}], edit("setInsert", "things", value=1), [{"$numberLong": "1"}]),
        ({"a": 1}, edit("set", "prices", "b", value=2), {"a": 1, "b": 2}),
        ({"a": 1}, edit("remove", "prices", "a"), {}),
        ({"a": 1}, edit("clear", "prices"), {}),
        ({"a": None}, edit("set", "drawers", "a", value=part()), {"a": part()}),
        ({"a": [1, {"b": 2}]}, edit("set", "anything", "a", 1, "b", value=3), {"a": [1, {"b": 3}]}),
        ([[1], 2], edit("insert", "anything", 0, 1, value=None), [[1, None], 2]),
        (1, edit("add", "uses", by=-3), -2),
        ("9223372036854775807", edit("add", "uses", by=1), "-9223372036854775808"),
        (9007199254740992, edit("add", "uses", by=1), "9007199254740993"),
        (None, edit("add", "maybe_uses", by=1), None),
    ],
)
def test_an_edit_changes_one_place(value: Any, step: AnyEdit, result: Any) -> None:
    before = copy.deepcopy(value)
    assert applied(value, step) == result
    assert value == before, "values are never changed in place"


@pytest.mark.parametrize(
    ("value", "step", "code"),
    [
        ([1], edit("insert", "numbers", 2, value=1), "IndexOutOfRange"),
        ([1], edit("insert", "numbers", -1, value=1), "IndexOutOfRange"),
        ([1], edit("set", "numbers", 1, value=1), "IndexOutOfRange"),
        ([1], edit("remove", "numbers", 10**30), "IndexOutOfRange"),
        ([1], edit("move", "numbers", 0, to=1), "IndexOutOfRange"),
        ([1], edit("insert", "numbers", "0", value=1), "InvalidPath"),
        ([1], edit("insert", "numbers", value=1), "InvalidPath"),
        ([1], edit("insert", "numbers", 0, 0, value=1), "InvalidPath"),
        ([1], edit("setInsert", "numbers", value=1), "InvalidPath"),
        ([1], edit("add", "numbers", by=1), "InvalidPath"),
        (["a"], edit("insert", "tags", 0, value="b"), "InvalidPath"),
        (["a"], edit("setInsert", "tags", 0, value="b"), "InvalidPath"),
        ([1], edit("setInsert", "things", value=[1]), "InvalidPath"),
        ({"a": 1}, edit("remove", "prices", "b"), "InvalidPath"),
        ({"a": 1}, edit("set", "prices", 0, value=1), "InvalidPath"),
        ({"a": 1}, edit("move", "prices", "a", to=0), "InvalidPath"),
        ({"a": 1}, edit("set", "prices", "a", "b", value=1), "InvalidPath"),
        ({"a": None}, edit("set", "drawers", "a", "label", value=""), "InvalidPath"),
        ({"a": part()}, edit("set", "drawers", "a", "size", value=1), "UnknownProperty"),
        ({"a": part()}, edit("remove", "drawers", "a", "label"), "InvalidPath"),
        ({"a": part()}, edit("clear", "drawers", "a"), "InvalidPath"),
        (None, edit("set", "case", "color", value="red"), "InvalidPath"),
        (None, edit("clear", "anything"), "InvalidPath"),
        ({"$oid": "0" * 24}, edit("set", "anything", "$oid", value=""), "InvalidPath"),
        (1, edit("add", "uses", "x", by=1), "InvalidPath"),
        (1, edit("add", "uses", by="1_0"), "PropertyTypeMismatch"),
        (1, edit("add", "uses", by=2**63), "PropertyTypeMismatch"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_code(value: Any, step: AnyEdit, code: str) -> None:
    before = copy.deepcopy(value)
    with pytest.raises(EditError) as caught:
        applied(value, step)
    assert caught.value.code == code and caught.value.path[0] == step.path[0] and str(caught.value)
    assert value == before


def test_an_edit_of_an_image_names_its_class() -> None:
    image = {"_id": KEY, "numbers": [1], "tags": []}
    assert apply_edit(SCHEMA, KIT, image, edit("remove", "numbers", 0)) == {"_id": KEY, "numbers": [], "tags": []}
    for path in ([], ["nothing"], [0]):
        with pytest.raises(EditError, match="no such property"):
            apply_edit(SCHEMA, KIT, image, edit("clear", *path))


def test_paths_are_written_as_people_write_them() -> None:
    assert path_text(["items", 3, "qty"]) == "items[3].qty"


def test_equal_values_have_one_identity() -> None:
    distinct = [None, False, True, 0, 1, "1", "", [], {}, [1], [True], {"a": 1}, {"a": [1]}, {"$numberLong": "1"}]
    assert len({identity(value) for value in distinct}) == len(distinct)
    assert identity({"a": 1, "b": [2.0]}) == identity({"b": [2], "a": 1.0})


# --- derived edits ---------------------------------------------------------------------------------------------------


def ops(name: str, before: Any, after: Any) -> list[tuple[Any, ...]]:
    found = derive(SCHEMA, KIT, KEY, name, before, after)
    return [(type(it).__name__, *it.path[1:], *([it.to] if hasattr(it, "to") else [])) for it in found]


@pytest.mark.parametrize(
    ("name", "before", "after", "expected"),
    [
        ("numbers", [1, 2, 3], [1, 2, 3], []),
        ("numbers", [1, 2, 3], [1, 9, 2, 3], [("Insert", 1)]),
        ("numbers", [1, 2, 3], [1, 3], [("Remove", 1)]),
        ("numbers", [1, 2, 3], [2, 3, 1], [("Move", 0, 2)]),
        ("numbers", [1, 2, 3], [1, 9, 3], [("Set", 1)]),
        ("numbers", [1, 2, 3], [], [("Clear",)]),
        ("numbers", None, [4], [("Insert", 0)]),
        ("parts", [part("a"), part("b")], [part("a"), part("b", 2)], [("Set", 1, "used")]),
        ("parts", [part("a")], [part("a", 0, "x")], [("Insert", 0, "notes", 0)]),
        ("tags", ["a", "b"], ["b", "c"], [("SetRemove",), ("SetInsert",)]),
        ("prices", {"a": 1, "b": 2}, {"b": 3, "c": 4}, [("Remove", "a"), ("Set", "b"), ("Set", "c")]),
        ("anything", {"a": [1, 2]}, {"a": [2]}, [("Remove", "a", 0)]),
    ],
)
def test_assigning_a_whole_value_means_these_edits(name: str, before: Any, after: Any, expected: list[Any]) -> None:
    assert ops(name, before, after) == expected


@settings(max_examples=500)
@given(st.data(), st.sampled_from(WITH_INSIDE))
def test_derived_edits_turn_one_value_into_the_other(data: st.DataObject, name: str) -> None:
    before, after = data.draw(VALUES[name]), data.draw(VALUES[name])
    if name == "anything" and shape(name).container(before) != shape(name).container(after):
        return
    steps = derive(SCHEMA, KIT, KEY, name, before, after)
    if any(len(step.path) == 1 and type(step).__name__ == "Set" for step in steps):
        return  # a mixed leaf is written as a whole
    found = applied(shape(name).read(before), *steps)
    if name == "things":  # an int and a double of one value are one member
        assert [wire_key(wire) for wire in found] == [wire_key(wire) for wire in after]
    else:
        assert identity(found) == identity(after)


@settings(max_examples=300)
@given(st.data(), st.sampled_from(list(VALUES)))
def test_every_edit_that_makes_sense_can_be_applied(data: st.DataObject, name: str) -> None:
    value = data.draw(VALUES[name])
    for _ in range(4):
        step = data.draw(edits(name, value))
        if step is not None:
            value = applied(value, step)


PATHS = st.lists(st.sampled_from([*KIT.properties, "label", "a", 0, 1, -1, 99]), max_size=4)
ANY_EDITS = st.one_of(
    *(
        st.builds(
            lambda path, fields, op=op: edit(op, *path, **fields),
            PATHS,
            st.just({"to": 1}) if op == "move" else st.just({"by": 1}) if op == "add"
            else st.just({}) if op in ("remove", "clear") else st.just({"value": "a"}),
        )
        for op in ("set", "add", "insert", "move", "remove", "clear", "setInsert", "setRemove")
    )
)  # fmt: skip


@settings(max_examples=500)
@given(st.fixed_dictionaries(VALUES), ANY_EDITS)
def test_forged_edits_are_refused_or_done_never_anything_else(image: dict[str, Any], step: AnyEdit) -> None:
    before = copy.deepcopy(image)
    try:
        apply_edit(SCHEMA, KIT, image, step)
    except EditError as error:
        assert error.code and error.reason
    assert image == before
