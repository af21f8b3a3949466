"""Canonical text: the one RQL spelling of a query tree.

Decides that two texts are equal exactly when the queries are, and that each parses to an equal query: subscriptions,
views and their keys are compared by it (R5). Strings that need more than plain ASCII are written in base64, and numbers
with a fraction always in the same spelling. Works on parsed and on bound trees alike. Knows no classes. Called wherever
a query is stored, sent or compared, and by the errors of binding.py and subscribable.py, which quote parts of one.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from .literals import from_float, is_plain
from .nodes import (
    And,
    Arithmetic,
    Clause,
    Comparison,
    Constant,
    Distinct,
    Geometry,
    Index,
    Limit,
    ListValue,
    Node,
    Not,
    Operand,
    Or,
    Path,
    Query,
    Sort,
    Subquery,
    Truth,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BLANK = re.compile(r"[ \n\r\t]")
_ESCAPES = {" ": "\\ ", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def to_text(item: Query | Node | Clause | Operand) -> str:
    """The canonical text of a query or of a part of one."""
    match item:
        case Comparison(operator, left, right, fold):
            return f"{to_text(left)} {operator}{'[c]' if fold else ''} {to_text(right)}"
        case Path():
            return _path(item)
        case Constant():
            return _constant(item)
        case And(nodes):
            return " and ".join(f"({to_text(node)})" if isinstance(node, Or) else to_text(node) for node in nodes)
        case Or(nodes):
            return " or ".join(map(to_text, nodes))
        case Not(node):
            return f"!({to_text(node)})"
        case Truth(value):
            return "TRUEPREDICATE" if value else "FALSEPREDICATE"
        case Query(predicate, clauses):
            return " ".join(map(to_text, (predicate, *clauses)))
        case ListValue(items, quantifier):
            return f"{quantifier} {{{_listed(items)}}}".lstrip()
        case Arithmetic(operator, left, right):
            a, b = (f"({to_text(side)})" if isinstance(side, Arithmetic) else to_text(side) for side in (left, right))
            return f"{a} {operator} {b}"
        case Sort(keys):
            return "SORT(" + ", ".join(f"{_path(path)} {'ASC' if up else 'DESC'}" for path, up in keys) + ")"
        case Distinct(paths):
            return f"DISTINCT({_listed(paths)})"
        case Limit(count):
            return f"LIMIT({count})"
        case Subquery(path, variable, predicate, word):
            return f"SUBQUERY({_path(path)}, {variable}, {to_text(predicate)}).{word}"
        case Geometry():
            return _geometry(item)
    raise TypeError(f"not a part of a query: {item!r}")


def index_text(index: Index) -> str:
    """What stands between the brackets of a path's index."""
    return index.value if isinstance(index.value, str) else to_text(index.value)


def _listed(items: Iterable[Operand]) -> str:
    return ", ".join(map(to_text, items))


def _path(path: Path) -> str:
    text = f"{path.quantifier} " if path.quantifier else ""
    for position, step in enumerate(path.steps):
        if isinstance(step, Index):
            text += f"[{index_text(step)}]"
        else:
            escaped = _BLANK.sub(lambda match: _ESCAPES[match[0]], step)
            text += f".{escaped}" if position else escaped
    return text


def _geometry(geometry: Geometry) -> str:
    rings = [", ".join("[" + ", ".join(map(_number, point)) + "]" for point in ring) for ring in geometry.rings]
    if geometry.shape == "geoPolygon":
        return f"geoPolygon({', '.join(f'{{{ring}}}' for ring in rings)})"
    if geometry.shape == "geoBox":
        return f"geoBox({rings[0]})"
    assert isinstance(geometry.radius, Decimal)
    return f"geoCircle({rings[0]}, {_number(geometry.radius)})"


def _constant(constant: Constant) -> str:
    value = constant.value
    match constant.type:
        case "null":
            return "NULL"
        case "bool":
            return "true" if value else "false"
        case "int" | "internal":
            return str(value)
        case "number" | "decimal128":
            return _number(value)
        case "float" | "double":
            return _number(from_float(value))
        case "string":
            return f'"{value}"' if is_plain(value) else _base64(value.encode())
        case "text":
            return _base64(value)
        case "data":
            return f"binary({_base64(value)})"
        case "date":
            seconds, rest = divmod(value - _EPOCH, timedelta(seconds=1))
            return f"T{seconds}:{rest.microseconds * 1000}"
        case "objectId":
            return f"oid({value})"
        case "uuid":
            return f"uuid({value})"
        case "object":
            name, key = value
            return f'obj("{name}", {_constant(key)})'
    raise TypeError(f"not a constant: {constant!r}")


def _base64(value: bytes) -> str:
    return f'B64"{base64.b64encode(value).decode()}"'


def _number(value: Decimal) -> str:
    """A number with a fraction or an exponent, always in the same spelling: 0.1, 5.0, 1.5e+30."""
    if not value.is_finite():
        return "NaN" if value.is_nan() else ("inf" if value > 0 else "-inf")
    sign, digits, _ = value.as_tuple()
    prefix = "-" if sign else ""
    figures = "".join(map(str, digits)).strip("0") if value else ""
    if not figures:
        return f"{prefix}0.0"
    point = value.adjusted() + 1  # digits before the point
    if not -6 < point <= 17:
        return f"{prefix}{figures[0]}.{figures[1:] or '0'}e{point - 1:+d}"
    if point <= 0:
        return f"{prefix}0.{'0' * -point}{figures}"
    return f"{prefix}{figures[:point].ljust(point, '0')}.{figures[point:] or '0'}"
