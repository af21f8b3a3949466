"""Alignment: how one list became another, told from the two alone.

Decides which element of the list after is which element of the list before: kept in its place, moved, changed, or new.
Deterministic and the same in every language: the server's outcome and a client's screen depend on it. Equality is that
of the keys it is given; knows nothing of values. Its cost is bounded: linear in what two lists have in common at their
ends; in between elements that occur once in both lead the way (patience) where most do, else the longest common
subsequence is looked for where that takes at most CELLS comparisons.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import NamedTuple

FEW_CELLS = 64
"""Gaps of up to so many pairs of elements are compared pair by pair at once."""
CELLS = 10_000
"""Gaps of up to so many pairs are compared pair by pair where few elements are unique."""
ROUNDS = 8
"""How often a gap is divided by unique elements before what is left counts as replaced."""

KEPT, MOVED, CHANGED, NEW = range(4)


class Alignment(NamedTuple):
    """`origin[j]`: where element j of the list after was before, -1 for a new one. `fate[j]`: KEPT, MOVED, CHANGED
    (the same element with another value, in its place) or NEW. `removed`: elements of before that are gone."""

    origin: list[int]
    fate: list[int]
    removed: list[int]


def align(before: Sequence[Hashable], after: Sequence[Hashable]) -> Alignment:
    """What became of each element; KEPT and CHANGED ones are in the order they had."""
    origin, fate = [-1] * len(after), [NEW] * len(after)
    pairs = _common(before, after)
    left: list[list[int]] = []
    arrived: list[list[int]] = []
    i = j = 0
    for at, to in [*pairs, (len(before), len(after))]:
        if at > i or to > j:
            left.append(list(range(i, at)))
            arrived.append(list(range(j, to)))
        if at < len(before):
            origin[to], fate[to] = at, KEPT
        i, j = at + 1, to + 1
    free: dict[Hashable, list[int]] = defaultdict(list)
    for gap in reversed(left):
        for at in reversed(gap):
            free[before[at]].append(at)
    gone = set()
    for gap in arrived:
        for to in gap:
            if places := free.get(after[to]):
                origin[to], fate[to] = places.pop(), MOVED
                gone.add(origin[to])
    removed: list[int] = []
    for old, new in zip(left, arrived, strict=True):
        stayed = [at for at in old if at not in gone]
        fresh = [to for to in new if fate[to] == NEW]
        if len(stayed) == len(fresh):
            for at, to in zip(stayed, fresh, strict=True):
                origin[to], fate[to] = at, CHANGED
        else:
            removed += stayed
    return Alignment(origin, fate, removed)


def _common(before: Sequence[Hashable], after: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Pairs of equal elements, rising in both: a common subsequence, the longest where that is affordable."""
    pairs: list[tuple[int, int]] = []
    todo = [(0, len(before), 0, len(after), 0)]
    while todo:
        a, a_end, b, b_end, rounds = todo.pop()
        while a < a_end and b < b_end and before[a] == after[b]:
            pairs.append((a, b))
            a, b = a + 1, b + 1
        while a < a_end and b < b_end and before[a_end - 1] == after[b_end - 1]:
            a_end, b_end = a_end - 1, b_end - 1
            pairs.append((a_end, b_end))
        if a == a_end or b == b_end:
            continue
        shorter, cells = min(a_end - a, b_end - b), (a_end - a) * (b_end - b)
        anchors = _anchors(before, after, a, a_end, b, b_end) if cells > FEW_CELLS and rounds < ROUNDS else []
        if cells <= CELLS and 2 * len(anchors) < shorter:
            pairs += _longest(before, after, a, a_end, b, b_end)
            continue
        pairs += anchors
        for at, to in [*anchors, (a_end, b_end)] if anchors else ():
            todo.append((a, at, b, to, rounds + 1))
            a, b = at + 1, to + 1
    pairs.sort()
    return pairs


def _longest(
    before: Sequence[Hashable], after: Sequence[Hashable], a: int, a_end: int, b: int, b_end: int
) -> list[tuple[int, int]]:
    """The longest common subsequence; of several the one that gives up elements of `before` first."""
    width = b_end - b
    lengths = [[0] * (width + 1)]
    for i in range(a_end - 1, a - 1, -1):
        below, row, item = lengths[-1], [0] * (width + 1), before[i]
        for j in range(width - 1, -1, -1):
            row[j] = below[j + 1] + 1 if item == after[b + j] else max(below[j], row[j + 1])
        lengths.append(row)
    lengths.reverse()
    pairs = []
    i, j = a, b
    while i < a_end and j < b_end:
        if before[i] == after[j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif lengths[i - a + 1][j - b] >= lengths[i - a][j - b + 1]:
            i += 1
        else:
            j += 1
    return pairs


def _anchors(
    before: Sequence[Hashable], after: Sequence[Hashable], a: int, a_end: int, b: int, b_end: int
) -> list[tuple[int, int]]:
    """Elements that occur once in both, as many as keep their order."""
    places = _unique(after, b, b_end)
    candidates = [(at, places[item]) for item, at in _unique(before, a, a_end).items() if item in places]
    tails: list[int] = []
    ends: list[int] = []
    previous: list[int] = []
    for index, (_, to) in enumerate(candidates):
        pile = bisect_left(tails, to)
        if pile == len(tails):
            tails.append(to)
            ends.append(index)
        else:
            tails[pile], ends[pile] = to, index
        previous.append(ends[pile - 1] if pile else -1)
    pairs = []
    index = ends[-1] if ends else -1
    while index >= 0:
        pairs.append(candidates[index])
        index = previous[index]
    pairs.reverse()
    return pairs


def _unique(items: Sequence[Hashable], start: int, end: int) -> dict[Hashable, int]:
    """The items that occur once, in order, with their places."""
    places: dict[Hashable, int] = {}
    for at in range(start, end):
        places[items[at]] = -1 if items[at] in places else at
    return {item: at for item, at in places.items() if at >= 0}
