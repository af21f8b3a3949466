"""Subscribable queries: which of them the server can keep live.

Decides what a subscription may not use although a client can read with it: sorting and limits, whatever does not follow
from an object's own properties (collections, mixed values and embedded objects are its own; what it links to is not), and
what PostgreSQL or SQLite would compute in its own way (R4). This is the list to shorten when the server learns more.
Knows no class and no user. Called by both sides before a subscription is stored (subscriptions.py,
client/subscriptions.py), and by filters.py, which must never meet what is refused here.
"""

from __future__ import annotations

from .errors import QueryError
from .lowering import lower
from .nodes import (
    Arithmetic,
    Comparison,
    Constant,
    Geometry,
    ListValue,
    Node,
    Path,
    Query,
    Subquery,
    comparisons,
    is_deep,
    is_many,
    paths,
    type_of,
)
from .predicate import is_hashed
from .text import to_text

LONGEST_LIST = 100
"""Most values that each element of a collection is compared with, where they cannot be looked up."""

MOST_COMPARED = 100
"""How much `weight` the subscriptions of one class may have together."""


def check_subscribable(query: Query) -> None:
    """Raises QueryError, with the reason, for a bound query that a subscription cannot keep live."""
    for clause in query.clauses:
        word = type(clause).__name__.upper()
        raise QueryError(
            f"{word} cannot be used in a subscription: sort and limit the objects when you read them.", query.text
        )
    for comparison in comparisons(query.predicate):
        if isinstance(comparison.left, Subquery) or isinstance(comparison.right, Subquery):
            problem = "SUBQUERY cannot be used in a subscription: it looks at other objects, or at parts of this one"
            raise QueryError(f"{problem} that the server does not count.", query.text, comparison.position)
        if comparison.operator == "TEXT":
            problem = "TEXT cannot be used in a subscription: full-text search is for reads; use CONTAINS."
            raise QueryError(problem, query.text, comparison.position)
        if problem := _list_problem(comparison):
            raise QueryError(problem, query.text, comparison.position)
    if problem := server_problem(lower(query.predicate)):
        raise QueryError(problem, query.text)
    for path in paths(query.predicate):
        if problem := _path_problem(path):
            raise QueryError(problem, query.text, path.position)


def server_problem(node: Node) -> str:
    """Why the server's databases cannot compute this lowered node as the clients do; "" if they can.

    Integers wrap everywhere. But PostgreSQL raises where a double overflows, rounds quotients of decimals in its own
    way, and has neither case folding nor `replace` for bytes. Deep comparisons they leave to predicate.py.
    """
    return next(filter(None, map(_comparison_problem, comparisons(node))), "")


def _comparison_problem(comparison: Comparison) -> str:
    sides = (comparison.left, comparison.right)
    for side in sides:
        if isinstance(side, Arithmetic) and side.type not in ("", "int"):
            return f"Arithmetic on '{side.type}' values cannot be used in a subscription: only on 'int' ones."
    if "data" in map(type_of, sides) and not is_deep(comparison):
        if comparison.fold:
            return "[c] on binary data cannot be used in a subscription."
        if comparison.operator == "LIKE" and not isinstance(comparison.right, Constant):
            return "LIKE with the pattern in a property cannot be used in a subscription on binary data."
    return ""


def _list_problem(comparison: Comparison) -> str:
    """Two lists are compared each with each, for every change of the object."""
    sides = (comparison.left, comparison.right)
    if not all(map(is_many, sides)):
        return ""
    if not any(isinstance(side, ListValue) for side in sides):
        return "Comparing two collections with each other cannot be used in a subscription."
    longest = max(len(side.items) for side in sides if isinstance(side, ListValue))
    if longest > LONGEST_LIST and not is_hashed(comparison):
        return (
            f"A list of more than {LONGEST_LIST} values can be compared with a collection in a subscription by == and IN "
            "only, and not with mixed values."
        )
    return ""


def weight(query: Query) -> int:
    """With how many values a bound query compares each element of collections, for every change of an object, and what
    long patterns of LIKE cost beyond. Whatever else a query costs is bounded by its length."""
    return sum(map(_weight, comparisons(query.predicate)))


def _weight(comparison: Comparison) -> int:
    sides = (comparison.left, comparison.right)
    items = [item for side in sides for item in (side.items if isinstance(side, ListValue) else [side])]
    pattern = 0
    if comparison.operator == "LIKE":
        pattern = sum(len(item.value or "") for item in items if isinstance(item, Constant)) // 20
    if not any(is_many(side) and not isinstance(side, ListValue) for side in sides):
        return pattern
    if isinstance(comparison.right, Geometry):  # whose edges cost less than a comparison each
        return 1 + sum(map(len, comparison.right.rings)) // 10
    return 1 + pattern + (0 if is_hashed(comparison) else len(items) // 10)


def _path_problem(path: Path) -> str:
    for hop in path.hops:
        if hop.via in ("backlinks", "incoming"):
            return (
                f"'{to_text(path)}' cannot be used in a subscription: it asks which objects link to this one, "
                "and only the object's own properties decide what is synchronized."
            )
        if hop.via == "link":
            return (
                f"The key path '{to_text(path)}' cannot be used in a subscription: it follows a link, "
                "and only properties of the object itself decide what is synchronized."
            )
        if hop.inner:
            return f"'{to_text(path)}' cannot be used in a subscription: of the aggregates only @count and @size can."
    return ""
