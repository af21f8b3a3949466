"""The tree: built flat, and asked what it reads."""

from __future__ import annotations

from realm_sync.core.nodes import FALSE, TRUE, And, Comparison, Constant, Path, and_, not_, or_, properties
from tests.core.test_query import node


def test_constructors_simplify() -> None:
    a, b = Comparison("==", Path(("a",)), Constant("int", 1)), Comparison("==", Path(("b",)), Constant("int", 1))
    assert and_() == TRUE and or_() == FALSE and not_(TRUE) == FALSE and not_(not_(a)) == a
    assert and_(a, TRUE) == a and and_(a, FALSE) == FALSE and or_(a, FALSE) == a and or_(a, TRUE) == TRUE
    assert and_(a, and_(b, a)) == And((a, b, a))
    assert len({and_(a, b), and_(a, b)}) == 1


def test_properties() -> None:
    assert properties(node('priority + limit > 3 AND NOT ("x" CONTAINS note OR team._id == "north")')) == {
        "priority", "limit", "note", "team",
    }  # fmt: skip
