"""Merge rules (R7): each row of the table in PROTOCOL.md §6 is a test here."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

import realm_sync
from realm_sync.core.changes import Change
from realm_sync.core.edits import EditError, Shape, derive, identity
from realm_sync.core.merge import MOST_LEARNED, Outcome, Rivals, Stamp, ints_of, merge, rebase, shapes_of, witness
from realm_sync.core.messages import AnyEdit, AnyInstruction, Create, Delete, Update
from realm_sync.core.tree import Tree, Write

from .kits import KIT, SCHEMA, edit, part

KEY = "11111111-1111-4111-8111-111111111111"
ME = 7


def row(
    kind: str, version: int, timestamp: int, after: dict[str, Any] | None, changed: dict[str, Any] | None = None
) -> Change:
    """A row of the history by client file 3."""
    before = {"_id": KEY} if kind == "delete" else changed
    texts = [None if image is None else json.dumps(image) for image in (before, after)]
    return Change(version, version, "Inspection", KEY, kind, texts[0], texts[1], timestamp, 3)


def image(**values: Any) -> dict[str, Any]:
    return {"_id": KEY, **values}


def update(**values: Any) -> Update:
    return Update(class_name="Inspection", id=KEY, values=values)


def create(**values: Any) -> Create:
    return Create(class_name="Inspection", id=KEY, values=values)


DELETE = Delete(class_name="Inspection", id=KEY)


def test_the_later_write_of_one_property_stands() -> None:
    rivals = Rivals([row("update", 20, 1000, image(title="theirs"), {"title": "old"})])
    mine_later = merge(image(title="theirs"), update(title="mine"), 10, Stamp(1001, ME), rivals)
    mine_earlier = merge(image(title="theirs"), update(title="mine"), 10, Stamp(999, ME), rivals)
    assert mine_later.image == image(title="mine") and mine_later.written == ("title",)
    assert mine_earlier.image == image(title="theirs") and mine_earlier.written == ()


def test_equal_timestamps_are_decided_by_the_client_file_ident() -> None:
    rivals = Rivals([row("update", 20, 1000, image(title="theirs"), {"title": "old"})])
    assert merge(image(title="theirs"), update(title="mine"), 10, Stamp(1000, 4), rivals).written == ("title",)
    assert merge(image(title="theirs"), update(title="mine"), 10, Stamp(1000, 2), rivals).written == ()


def test_what_the_writer_had_seen_is_no_rival() -> None:
    rivals = Rivals([row("update", 20, 5000, image(title="theirs"), {"title": "old"})])
    assert merge(image(title="theirs"), update(title="mine"), 20, Stamp(1000, ME), rivals).written == ("title",)


def test_writes_of_two_properties_both_stand() -> None:
    rivals = Rivals([row("update", 20, 5000, image(title="theirs", notes=""), {"title": "old"})])
    outcome = merge(image(title="theirs", notes=""), update(title="mine", notes="mine"), 10, Stamp(1000, ME), rivals)
    assert outcome.image == image(title="theirs", notes="mine")


def test_two_creates_of_one_key_are_one_object() -> None:
    rivals = Rivals([row("insert", 20, 5000, image(title="theirs", notes=""))], {"notes": ""})
    outcome = merge(image(title="theirs", notes=""), create(title="mine", notes="mine"), 10, Stamp(1000, ME), rivals)
    assert outcome.image == image(title="theirs", notes="mine"), "a default never beats what somebody wrote"


def test_a_delete_beats_update_and_create_whatever_the_times() -> None:
    rivals = Rivals([row("delete", 20, 1, None)])
    for step in (update(title="mine"), create(title="mine")):
        assert merge(None, step, 10, Stamp(9000, ME), rivals).image is None


def test_writes_on_the_old_life_of_a_recreated_object_are_dropped() -> None:
    rivals = Rivals([row("delete", 20, 1, None), row("insert", 21, 2, image(title="reborn"))])
    outcome = merge(image(title="reborn"), update(title="mine"), 10, Stamp(9000, ME), rivals)
    assert outcome.image == image(title="reborn") and outcome.written == ()


def test_a_delete_beats_a_concurrent_update() -> None:
    rivals = Rivals([row("update", 20, 9000, image(title="theirs"), {"title": "old"})])
    assert merge(image(title="theirs"), DELETE, 10, Stamp(1, ME), rivals).image is None


def test_an_update_of_an_absent_object_is_nothing() -> None:
    assert merge(None, update(title="mine"), 10, Stamp(1, ME), Rivals()).image is None


def test_a_create_makes_the_object_and_writes_its_values() -> None:
    outcome = merge(None, create(title="mine"), 10, Stamp(1, ME), Rivals())
    assert outcome.image == image(title="mine") and outcome.written == ("title",)


# --- the tables of PROTOCOL.md §6, and what JavaScript reads too -------------------------------------------------------

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "merge.json").read_text())
ME_LATER, ME_EARLIER = Stamp(1001, ME), Stamp(999, ME)
KIT_SHAPES = shapes_of(SCHEMA, KIT)


def bare(step: AnyInstruction) -> dict[str, Any]:
    """An edit as vectors tell it: without the object it is of."""
    return {name: value for name, value in msgspec.to_builtins(step).items() if name not in ("class", "_id")}


def made(told: dict[str, Any]) -> AnyEdit:
    return edit(told["op"], *told["path"], **{name: told[name] for name in told if name not in ("op", "path")})


def perform(tree: Tree, step: dict[str, Any]) -> dict[str, Any]:
    if "absorb" in step:
        write = step.get("write") and Write(step["write"][0], Stamp(*step["write"][1:]))
        tree.absorb(step["absorb"], write, is_known=step.get("known", False), sets=step.get("sets", ()))
        return {}
    base, stamp = step.get("base", 10), Stamp(*step["stamp"])
    if "assign" in step:
        return {"stands": tree.assign(step["assign"], base, stamp)}
    if "join" in step:
        return {"stands": tree.join(step["join"], base, stamp)}
    try:
        return {"done": [bare(it) for it in tree.apply(made(step["apply"]), base, stamp)]}
    except EditError as error:
        return {"error": error.code}


@pytest.mark.parametrize("case", VECTORS["trees"], ids=lambda case: case.get("cell", "random"))
def test_every_cell_of_the_tables(case: dict[str, Any]) -> None:
    tree = Tree(Shape(SCHEMA, KIT.properties[case["property"]]), case["property"], case["value"])
    for step in case["steps"]:
        result = perform(tree, step)
        assert result == {name: step[name] for name in ("done", "error", "stands") if name in step}
        assert "absorb" in step or tree.counters == step.get("counters", [])
    assert identity(tree.value()) == identity(case["here"]) and identity(tree.seen_value()) == identity(case["seen"])


def test_derived_edits_are_those_of_the_vectors() -> None:
    for case in VECTORS["derived"]:
        found = derive(SCHEMA, KIT, "kit", case["property"], case["before"], case["after"])
        assert [bare(it) for it in found] == case["edits"]


def test_pending_steps_are_counted_anew_as_in_the_vectors() -> None:
    decode = msgspec.convert
    for case in VECTORS["rebases"]:
        acknowledged = decode(case["acknowledged"], list[AnyInstruction])
        pending = decode(case["pending"], list[AnyInstruction])
        visible, rewritten = rebase(SCHEMA, KIT, case["old"], acknowledged, case["now"], pending, case["version"])
        assert identity(visible) == identity(case["visible"])
        assert [[msgspec.to_builtins(step) for step in steps] for steps in rewritten] == case["rewritten"]


def test_the_protocol_names_every_cell_and_every_name_has_its_case() -> None:
    text = (Path(realm_sync.__file__).parent / "PROTOCOL.md").read_text()
    told = set(
        re.findall(r"^\| ((?:list|set|dictionary|embedded|counter|int|mixed|create, create): .*?) \|", text, re.M)
    )
    told = {cell for cell in told if "what happens" not in cell}
    assert told == {case["cell"] for case in VECTORS["trees"] if "cell" in case}


# --- edits in an upload ------------------------------------------------------------------------------------------------


def kit_row(version: int, before: dict[str, Any] | None, after: dict[str, Any], origin: int = 3) -> Change:
    images = [None if it is None else json.dumps({"_id": "kit", **it}) for it in (before, after)]
    if before is not None:
        images[0] = json.dumps(before)
    kind = "insert" if before is None else "update"
    return Change(version, version, "Kit", "kit", kind, images[0], images[1], 1000, origin)


def kit(**values: Any) -> dict[str, Any]:
    return {"_id": "kit", **values}


def test_edits_of_an_object_that_nobody_else_wrote_are_done_as_they_are() -> None:
    rivals = Rivals((), None, KIT_SHAPES, ME)
    outcome = merge(kit(numbers=[1]), edit("insert", "numbers", 1, value=2), 10, ME_EARLIER, rivals)
    assert outcome.image == kit(numbers=[1, 2]) and outcome.written == ("numbers",)
    assert outcome.edits == (edit("insert", "numbers", 1, value=2),)


def test_an_edit_is_counted_in_what_the_file_had_seen() -> None:
    rows = [
        kit_row(11, {"numbers": [1, 2]}, {"numbers": [7, 1, 2]}),
        kit_row(12, {"numbers": [7, 1, 2]}, {"numbers": [8, 7, 1, 2]}),
    ]
    for base, rest in ((10, [8, 7, 1]), (11, [8, 7, 2]), (12, [8, 1, 2])):
        rivals = Rivals(rows, None, KIT_SHAPES, ME)
        step = msgspec.structs.replace(edit("remove", "numbers", 1), base=base)
        assert merge(kit(numbers=[8, 7, 1, 2]), step, 10, ME_LATER, rivals).image == kit(numbers=rest)


def test_the_files_own_rows_are_no_rivals_and_it_saw_them() -> None:
    rows = [
        kit_row(11, {"numbers": [1]}, {"numbers": [1, 8]}),
        kit_row(12, {"numbers": [1, 8]}, {"numbers": [5, 1, 8]}, ME),
    ]
    rivals = Rivals(rows, None, KIT_SHAPES, ME)
    outcome = merge(kit(numbers=[5, 1, 8]), edit("remove", "numbers", 1), 10, ME_EARLIER, rivals)
    assert outcome.image == kit(numbers=[5, 8])


def test_later_edits_are_counted_with_those_that_were_refused() -> None:
    rivals = Rivals((), None, KIT_SHAPES, ME)
    present = kit(numbers=[1, 2, 3])
    merge(present, edit("insert", "numbers", 0, value=9), 10, ME_LATER, rivals)  # an outcome that is not taken
    witness(present, edit("insert", "numbers", 0, value="no number"), 10, ME_LATER, rivals)
    outcome = merge(present, edit("remove", "numbers", 3), 10, ME_LATER, rivals)
    assert outcome.image == kit(numbers=[1, 3])


def test_counters_that_were_set_are_told() -> None:
    rivals = Rivals((), None, KIT_SHAPES, ME)
    step = Update(class_name="Kit", id="kit", values={"uses": 5, "drawers": {"a": part()}})
    assert merge(kit(uses=1, drawers={}), step, 10, ME_LATER, rivals).sets == ("uses", "drawers.a.used")
    assert merge(kit(uses=1), edit("add", "uses", by=2), 10, ME_LATER, rivals).sets == ()
    step = edit("set", "parts", 0, "used", value=3)
    assert merge(kit(parts=[part()]), step, 10, ME_LATER, rivals).sets == ("parts.0.used",)


def test_a_set_of_a_counter_is_known_from_the_history() -> None:
    added = kit_row(11, {"uses": 1}, {"uses": 10})
    was_set = msgspec.structs.replace(added, sets='["uses"]')
    for row_, expected in ((added, 15), (was_set, 10)):
        outcome = merge(kit(uses=10), edit("add", "uses", by=5), 10, ME_EARLIER, Rivals([row_], None, KIT_SHAPES, ME))
        assert outcome.image == kit(uses=expected)


def int_row(version: int, before: int, after: int, timestamp: int, *sets: str) -> Change:
    row_ = kit_row(version, {"size": before}, {"size": after})
    return msgspec.structs.replace(row_, timestamp=timestamp, sets=json.dumps(sets) if sets else None)


SET, INCREASE = (), ("+size",)


@pytest.mark.parametrize(
    ("sets", "stamp", "added", "assigned"),
    [
        (INCREASE, ME_EARLIER, 15, 103),
        (INCREASE, ME_LATER, 15, 100),
        (SET, ME_EARLIER, 10, 10),
        (SET, ME_LATER, 15, 100),
        (("+size", "size"), ME_EARLIER, 10, 10),
    ],
)
def test_an_int_is_added_to_or_set(sets: tuple[str, ...], stamp: Stamp, added: int, assigned: int) -> None:
    """As in the table of the tree, which ints that are properties of an object do not need."""
    theirs = int_row(20, 7, 10, 1000, *sets)
    rivals = Rivals([theirs], None, KIT_SHAPES, ME, ints_of(KIT))
    outcome = merge(kit(size=10), edit("add", "size", by=5), 10, stamp, rivals)
    assert outcome.image == kit(size=added)
    is_done = added != 10
    assert (outcome.written, outcome.sets) == ((("size",), ("+size",)) if is_done else ((), ()))
    step = Update(class_name="Kit", id="kit", values={"size": 100, "name": "n"})
    outcome = merge(kit(size=10), step, 10, stamp, rivals)
    assert outcome.image == kit(size=assigned, name="n") and "name" in outcome.written
    assert outcome.sums == (("size",) if assigned == 103 else ())
    with_inside = Update(class_name="Kit", id="kit", values={"size": 100, "numbers": []})
    assert merge(kit(size=10), with_inside, 10, stamp, rivals).image == kit(size=assigned, numbers=[])


def test_what_the_file_knew_or_another_object_had_is_not_added() -> None:
    rivals = Rivals([int_row(20, 7, 10, 9000, "+size")], None, {}, ME, ints_of(KIT))
    step = Update(class_name="Kit", id="kit", values={"size": 100})
    assert merge(kit(size=10), step, 20, ME_EARLIER, rivals).image == kit(size=100)
    assert merge(kit(size=10), Delete(class_name="Kit", id="kit"), 10, ME_EARLIER, rivals).image is None
    rivals.forget()
    assert merge(kit(size=0), step, 10, ME_EARLIER, rivals).image == kit(size=100)


def test_null_is_not_added_to_and_nothing_else_is() -> None:
    rivals = Rivals((), None, KIT_SHAPES, ME, ints_of(KIT))
    assert merge(kit(size=None), edit("add", "size", by=5), 10, ME_LATER, rivals) == Outcome(kit(size=None))
    for path, code in (
        (["name"], "InvalidPath"),
        (["_id"], "InvalidPath"),
        (["numbers", 0], "InvalidPath"),
        (["tags"], "InvalidPath"),
    ):
        with pytest.raises(EditError) as raised:
            merge(kit(name="5", numbers=[1], tags=[]), edit("add", *path, by=5), 10, ME_LATER, rivals)
        assert raised.value.code == code
    with pytest.raises(EditError):
        merge(kit(size=5), edit("add", "size", by=1.5), 10, ME_LATER, rivals)


def test_edits_of_an_object_that_another_deleted_are_nothing() -> None:
    gone = Change(11, 11, "Kit", "kit", "delete", '{"_id": "kit"}', None, 1, 3)
    again = kit_row(12, None, {"numbers": [4]})
    rivals = Rivals([gone, again], None, KIT_SHAPES, ME)
    outcome = merge(kit(numbers=[4]), edit("clear", "numbers"), 10, ME_LATER, rivals)
    assert outcome.image == kit(numbers=[4]) and outcome.written == ()


def test_an_upload_cannot_claim_to_know_ever_more_of_what_others_wrote() -> None:
    """Each time the whole property would be merged again."""
    numbers = list(range(40))
    changes = [
        Change(at, at, "Kit", KEY, "update", *(json.dumps({"numbers": numbers[:n]}) for n in (at - 1, at)), 5, 3)
        for at in range(1, len(numbers) + 1)
    ]
    rivals, present = Rivals(changes, None, shapes_of(SCHEMA, KIT), ME), {"_id": KEY, "numbers": numbers}
    for base in range(1, MOST_LEARNED + 1):
        outcome = merge(present, edit("insert", "numbers", 0, value=-base, base=base), 0, Stamp(9, ME), rivals)
        present = outcome.image or {}
    with pytest.raises(EditError) as raised:
        merge(present, edit("insert", "numbers", 0, value=99, base=len(numbers)), 0, Stamp(9, ME), rivals)
    assert raised.value.code == "LimitExceeded"
    later = merge(present, edit("insert", "numbers", 0, value=98, base=MOST_LEARNED), 0, Stamp(9, ME), rivals)
    assert later.image is not None and later.image["numbers"].count(98) == 1


def test_forged_edits_are_refused_with_a_code_or_do_something_harmless() -> None:
    rows = [kit_row(11, {"numbers": [1]}, {"numbers": [2, 1]})]
    table = [
        (edit("insert", "numbers", 5, value=1), "IndexOutOfRange"),
        (edit("set", "name", 0, value="x"), "InvalidPath"),
        (edit("set", "nothing", value="x"), "InvalidPath"),
        (edit("set", value="x"), "InvalidPath"),
        (msgspec.structs.replace(edit("remove", "numbers", 3), base=10**9), "IndexOutOfRange"),
    ]
    for step, code in table:
        with pytest.raises(EditError) as caught:
            merge(kit(numbers=[2, 1]), step, 10, ME_LATER, Rivals(rows, None, KIT_SHAPES, ME))
        assert caught.value.code == code
