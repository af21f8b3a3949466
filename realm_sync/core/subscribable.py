"""Subscribable queries: which of them the server can keep live.

Decides what a subscription may not use although a client can read with it: sorting and limits, whatever does not follow
from an object's own properties, and what PostgreSQL or SQLite would compute in its own way (R4). This is the list to
shorten when the server learns more. Knows no class and no user. Called by both sides before a subscription is stored
(subscriptions.py, client/subscriptions.py), and by filters.py, which must never meet what is refused here.
"""

from __future__ import annotations

from .errors import QueryError
from .lowering import lower
from .nodes import Arithmetic, Comparison, Constant, Index, Node, Path, Query, Subquery, comparisons, paths, type_of
from .schema import PRIMARY_KEY
from .text import to_text


def check_subscribable(query: Query) -> None:
    """Raises QueryError, with the reason, for a bound query that a subscription cannot keep live."""
    for clause in query.clauses:
        word = type(clause).__name__.upper()
        raise QueryError(
            f"{word} cannot be used in a subscription: sort and limit the objects when you read them.", query.text
        )
    for comparison in comparisons(query.predicate):
        word = comparison.operator
        if isinstance(comparison.left, Subquery) or isinstance(comparison.right, Subquery):
            word = "SUBQUERY"
        if word in ("TEXT", "GEOWITHIN", "SUBQUERY"):
            raise QueryError(f"{word} cannot be used in a subscription.", query.text, comparison.position)
    if problem := server_problem(lower(query.predicate)):
        raise QueryError(problem, query.text)
    for path in paths(query.predicate):
        if problem := _path_problem(path):
            raise QueryError(problem, query.text, path.position)


def server_problem(node: Node) -> str:
    """Why the server's databases cannot compute this lowered node as the clients do; "" if they can.

    Integers wrap everywhere. But PostgreSQL raises where a double overflows, rounds quotients of decimals in its own
    way, and has neither case folding nor `replace` for bytes.
    """
    return next(filter(None, map(_comparison_problem, comparisons(node))), "")


def _comparison_problem(comparison: Comparison) -> str:
    sides = (comparison.left, comparison.right)
    for side in sides:
        if isinstance(side, Arithmetic) and side.type not in ("", "int"):
            return f"Arithmetic on '{side.type}' values cannot be used in a subscription: only on 'int' ones."
    if "data" in map(type_of, sides):
        if comparison.fold:
            return "[c] on binary data cannot be used in a subscription."
        if comparison.operator == "LIKE" and not isinstance(comparison.right, Constant):
            return "LIKE with the pattern in a property cannot be used in a subscription on binary data."
    return ""


def _path_problem(path: Path) -> str:
    if path.quantifier or any(isinstance(step, Index) for step in path.steps):
        return "Collections cannot be used in a subscription."
    if any(str(step).startswith("@") for step in path.steps):
        return f"'{to_text(path)}' cannot be used in a subscription: aggregates and relations are for reads."
    if len(path.steps) > 1 and path.steps[1:] != (PRIMARY_KEY,):
        return f"The key path '{to_text(path)}' cannot be used in a subscription: only properties of the object itself."
    return ""
