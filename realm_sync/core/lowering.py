"""Bound queries in the fewest words: what back ends translate, and what a view's index looks at.

Decides what lists, quantifiers and BETWEEN mean, by spelling them out as And, Or and Not of plain comparisons, so that
no back end has to (R4). Knows no back end, and nothing of what its operators select. Takes bound nodes only
(binding.bind); called by predicate.py, sql.py, filters.py and subscribable.py. `equality_keys` is for views.py (R5).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .nodes import (
    FALSE,
    STRING_OPERATORS,
    TRUE,
    And,
    Comparison,
    Constant,
    ListValue,
    Node,
    Not,
    Operand,
    Or,
    Path,
    Truth,
    and_,
    is_deep,
    not_,
    or_,
    type_of,
)
from .values import encode

_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def lower(node: Node) -> Node:
    """A bound node in the words that every back end must know: Truth, And, Or, Not, and Comparison of scalars (a
    constant never stands left of a property, except in string operators), or IN with a list without quantifier. Links
    are their keys. Deep comparisons stay as they are: predicate.py knows what they mean."""
    match node:
        case And(nodes):
            return and_(*map(lower, nodes))
        case Or(nodes):
            return or_(*map(lower, nodes))
        case Not(inner):
            return not_(lower(inner))
        case Comparison():
            return _lower_comparison(node)
    return node


def _lower_comparison(node: Comparison) -> Node:
    if is_deep(node):
        return node
    operator, left, right, fold = node.operator, node.left, node.right, node.fold
    if operator == "BETWEEN":
        assert isinstance(right, ListValue)
        low, high = right.items
        return and_(_plain(">=", left, low), _plain("<=", left, high))
    if isinstance(left, ListValue):
        return _spelled_out(left, lambda item: _plain(operator, item, right, fold))
    if isinstance(right, ListValue):
        each = "==" if operator == "IN" else operator
        if each == "==" and right.quantifier in ("", "ANY") and right.items:
            items = tuple(dict.fromkeys(map(key_of_link, right.items)))
            return Comparison("IN", left, ListValue(items), fold)  # type: ignore[arg-type]
        return _spelled_out(right, lambda item: _plain(each, left, item, fold))
    return _plain(operator, left, right, fold)


def _spelled_out(items: ListValue, compare: Callable[[Any], Node]) -> Node:
    nodes = map(compare, items.items)
    if items.quantifier == "ALL":
        return and_(*nodes)
    return not_(or_(*nodes)) if items.quantifier == "NONE" else or_(*nodes)


def _plain(operator: str, left: Operand, right: Operand, fold: bool = False) -> Comparison:
    left, right = key_of_link(left), key_of_link(right)
    if operator in STRING_OPERATORS and type_of(left) == "null":
        return Comparison("==", right, left)  # only null is in null
    if isinstance(left, Constant) and operator in _MIRRORED:
        return Comparison(_MIRRORED[operator], right, left, fold)
    return Comparison(operator, left, right, fold)


def key_of_link(operand: Operand) -> Operand:
    """The key, for the constant of a link; any other operand as it is."""
    if isinstance(operand, Constant) and operand.type == "object":
        key: Constant = operand.value[1]
        return key
    return operand


def widen(node: Node) -> Node:
    """What remains of a lowered node without its deep comparisons: it selects what the node selects, and perhaps more.
    Equal to the node if there are none."""
    return _without_deep(node, TRUE)


def _without_deep(node: Node, instead: Truth) -> Node:
    match node:
        case And(nodes):
            return and_(*(_without_deep(inner, instead) for inner in nodes))
        case Or(nodes):
            return or_(*(_without_deep(inner, instead) for inner in nodes))
        case Not(inner):
            return not_(_without_deep(inner, FALSE if instead.value else TRUE))
        case Comparison() if is_deep(node):
            return instead
    return node


def wire(constant: Constant) -> Any:
    """The wire value of a constant of a lowered node."""
    return None if constant.type == "null" else encode(constant.type, constant.value)


def equality_keys(node: Node) -> dict[str, frozenset[Any]]:
    """Every property for which the node implies that its wire value is one of these (None: null). How views are
    indexed (R5)."""
    return _equality_keys(lower(node))


def _equality_keys(node: Node) -> dict[str, frozenset[Any]]:
    match node:
        case Comparison("==", Path(counted="", hops=()) as path, Constant() as constant, False):
            return {path.name: frozenset((wire(constant),))}
        case Comparison("IN", Path(counted="", hops=()) as path, ListValue(items), False):
            return {path.name: frozenset(wire(item) for item in items if isinstance(item, Constant))}
        case And(nodes):
            found: dict[str, frozenset[Any]] = {}
            for inner in nodes:
                for name, values in _equality_keys(inner).items():
                    found[name] = found[name] & values if name in found else values
            return found
        case Or(nodes):
            branches = [_equality_keys(inner) for inner in nodes]
            shared = set(branches[0]).intersection(*branches[1:])
            return {name: frozenset().union(*(branch[name] for branch in branches)) for name in sorted(shared)}
    return {}
