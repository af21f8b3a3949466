"""How one list became another."""

from __future__ import annotations

import random
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from realm_sync.core.alignment import CHANGED, KEPT, MOVED, NEW, align

LISTS = st.lists(st.integers(0, 6), max_size=12)


@settings(max_examples=500)
@given(LISTS, LISTS)
def test_every_element_has_one_fate(before: list[int], after: list[int]) -> None:
    origin, fate, removed = align(before, after)
    used = [at for at in origin if at >= 0]
    assert sorted(used + removed) == list(range(len(before))), "each is somewhere, once"
    for to, at in enumerate(origin):
        assert (at < 0) == (fate[to] == NEW)
        if fate[to] in (KEPT, MOVED):
            assert before[at] == after[to]
        if fate[to] == CHANGED:
            assert before[at] != after[to]
    stayed = [at for at, what in zip(origin, fate, strict=True) if what in (KEPT, CHANGED)]
    assert stayed == sorted(stayed), "what is kept or changed is in its old order"
    lost = {before[at] for at in removed}
    assert not lost & {after[to] for to, what in enumerate(fate) if what == NEW}, "what is equal is moved, not replaced"


def test_what_only_moved_is_moved() -> None:
    assert align([1, 2, 3, 4], [2, 3, 4, 1]).fate == [KEPT, KEPT, KEPT, MOVED]


def test_a_gap_with_as_many_as_before_is_changed_in_place() -> None:
    assert align("abcd", "axyd").fate == [KEPT, CHANGED, CHANGED, KEPT]
    assert align("abcd", "axd") == ([0, -1, 3], [KEPT, NEW, KEPT], [1, 2])


def test_long_lists_are_aligned_by_elements_that_occur_once() -> None:
    before = list(range(3000))
    chosen = random.Random(1)
    after = [n for n in before if chosen.random() > 0.1]
    for n in range(200):
        after.insert(chosen.randrange(len(after)), 10_000 + n)
    origin, fate, _ = align(before, after)
    assert fate.count(MOVED) == 0 and sum(what in (NEW, CHANGED) for what in fate) == 200


def test_the_cost_is_bounded_where_nothing_is_unique() -> None:
    chosen = random.Random(2)
    before, after = ([chosen.randrange(3) for _ in range(10_000)] for _ in range(2))
    begin = time.perf_counter()
    align(before, after)
    assert time.perf_counter() - begin < 2
