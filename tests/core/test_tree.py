"""Two views of one property: what the client file saw, and what is there."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from realm_sync.core.edits import edit_value, identity
from realm_sync.core.tree import Stamp, Tree, Write

from .kits import VALUES, edit, edits, part, shape

THEIRS = Write(20, Stamp(1000, 3))
EARLIER, LATER = Stamp(999, 7), Stamp(1001, 7)
BASE = 10


def tree(name: str, before: Any, *theirs: Any) -> Tree:
    """A property that was `before` when the file saw it last, and that another has since written."""
    made = Tree(shape(name), name, before)
    for value in theirs:
        made.absorb(value, THEIRS)
    return made


def plain(name: str, value: Any, steps: Any) -> Any:
    for step in steps:
        value = edit_value(shape(name), value, step)
    return shape(name).read(value)


@settings(max_examples=600)
@given(st.data(), st.sampled_from(list(VALUES)))
def test_both_views_are_what_plain_values_would_be(data: st.DataObject, name: str) -> None:
    """Edits read as they did in what was seen, and the edits returned read as they do in what is there."""
    seen = here = data.draw(VALUES[name])
    made = Tree(shape(name), name, seen)
    for version in range(20, 24 + data.draw(st.integers(0, 4))):
        move = data.draw(st.sampled_from(["absorb", "edit", "edit", "edit", "known"]))
        if move == "absorb":
            here = data.draw(VALUES[name])
            made.absorb(copy.deepcopy(here), Write(version, Stamp(data.draw(st.integers(0, 9)), 3)))
        elif move == "known" and identity(seen) == identity(here):
            seen = here = data.draw(VALUES[name])
            made.absorb(copy.deepcopy(here), Write(version, Stamp(data.draw(st.integers(0, 9)), 3)), is_known=True)
        else:
            step = data.draw(edits(name, seen))
            if step is None:
                seen = data.draw(VALUES[name])
                stands = made.assign(seen, BASE, Stamp(data.draw(st.integers(0, 9)), 7))
                here = made.value() if stands else here
            else:
                done = made.apply(step, BASE, Stamp(data.draw(st.integers(0, 9)), 7))
                seen, here = plain(name, seen, [step]), plain(name, here, done)
        if name not in ("things",):
            assert identity(made.seen_value()) == identity(shape(name).read(seen))
            assert identity(made.value()) == identity(shape(name).read(here))


# --- intent: lists whose elements can be told apart --------------------------------------------------------------------


@st.composite
def list_steps(draw: st.DrawFn, value: list[int], fresh: int) -> list[Any]:
    """A few edits, one after another, of a list of distinct numbers; inserts use numbers from `fresh` on."""
    steps: list[Any] = []
    for _ in range(draw(st.integers(0, 6))):
        op = draw(st.sampled_from(["insert", "insert", "remove", "move", "set"] if value else ["insert"]))
        if op in ("insert", "set"):
            at = draw(st.integers(0, len(value) - (op == "set")))
            step = edit(op, "numbers", at, value=fresh)
            fresh += 1
        else:
            at = draw(st.integers(0, len(value) - 1))
            to = {"to": draw(st.integers(0, len(value) - 1))} if op == "move" else {}
            step = edit(op, "numbers", at, **to)
        value = edit_value(shape("numbers"), value, step)
        steps.append(step)
    return steps


@settings(max_examples=500)
@given(st.data())
def test_a_list_keeps_every_intent(data: st.DataObject) -> None:
    before = list(range(data.draw(st.integers(0, 8))))
    theirs_steps = data.draw(list_steps(before, 100))
    mine_steps = data.draw(list_steps(before, 200))
    theirs, mine = plain("numbers", before, theirs_steps), plain("numbers", before, mine_steps)
    made = tree("numbers", before)
    here = before
    for step in theirs_steps:
        here = plain("numbers", here, [step])
        made.absorb(here, THEIRS)
    for step in mine_steps:
        made.apply(step, BASE, LATER)
    after = made.value()
    assert len(after) == len(set(after)), "nothing is there twice"
    replaced = {type(step).__name__ for step in theirs_steps + mine_steps} & {"Set"}
    if not replaced:
        kept = {*theirs, *mine} - (set(before) - set(theirs)) - (set(before) - set(mine))
        assert set(after) == kept, "every insert is there, and nothing that anybody removed"
    moved = "Move" in {type(step).__name__ for step in theirs_steps + mine_steps}
    if not moved:
        assert [n for n in after if n in before] == [n for n in before if n in after], "the untouched keep their order"


@settings(max_examples=300)
@given(st.lists(st.integers(-50, 50)), st.lists(st.integers(-50, 50)), st.integers(0, 9))
def test_increments_add_up(theirs: list[int], mine: list[int], start: int) -> None:
    made, here = tree("uses", start), start
    for by in theirs:
        here += by
        made.absorb(here, THEIRS)
    for by in mine:
        made.apply(edit("add", "uses", by=by), BASE, EARLIER)
    assert made.value() == start + sum(theirs) + sum(mine)


def test_a_tree_never_changes_what_it_is_given() -> None:
    before, theirs = [part("a")], [part("a", 1, "x"), part("b")]
    copies = copy.deepcopy((before, theirs))
    made = tree("parts", before, theirs)
    made.apply(edit("insert", "parts", 0, "notes", 0, value="y"), BASE, LATER)
    made.apply(edit("remove", "parts", 0), BASE, LATER)
    assert (before, theirs) == copies
