"""Queries bound to a class: names resolved, operands type-checked, and every constant a value of the type it meets.

Decides what a parsed query means for one class, and refuses what means nothing, in Realm's words; where its paths lead
is for paths.py to say. A constant that meets a mixed value keeps the type it was written with. An extension of ours: a
link may be compared with a plain value of the target's key type. Knows no text and no images.
Every query passes here before any back end sees it: subscriptions, access rules (rules.py) and the client's reads.
"""

from __future__ import annotations

import math
import uuid
from dataclasses import replace
from decimal import Decimal
from typing import Any

from .errors import QueryError, ValueTypeError
from .full_text import search_problem
from .geometry import geometry_problem
from .literals import NAN, excerpt, from_float, read_number
from .nodes import (
    STRING_OPERATORS,
    And,
    Arithmetic,
    Clause,
    Comparison,
    Constant,
    Distinct,
    Geometry,
    ListValue,
    Node,
    Not,
    Operand,
    Or,
    Path,
    Query,
    Sort,
    Subquery,
    and_,
    is_many,
    not_,
    or_,
    quantifier_of,
    type_of,
)
from .operators import TYPE_NAMES
from .paths import element_class, is_collection, resolve
from .schema import ObjectSchema, Schema
from .text import to_text
from .values import DECIMAL128, ObjectId, encode, single

_NUMERIC = ("int", "float", "double", "decimal128")
_ORDERINGS = ("<", "<=", ">", ">=")


def bind(query: Query, cls: ObjectSchema, schema: Schema) -> Query:
    """The query for one class: names resolved, operands type-checked, constants converted to the type they are
    compared with. Required before any back end; binding a bound query again changes nothing. Raises QueryError,
    worded as Realm does."""
    binder = _Binder(cls, schema)
    try:
        return Query(binder.node(query.predicate), tuple(map(binder.clause, query.clauses)), query.text)
    except QueryError as error:
        raise QueryError(error.problem, query.text, error.position, error.code) from None


class _Binder:
    """Resolves names in one class; what needs no class is in the functions below."""

    def __init__(self, cls: ObjectSchema, schema: Schema, variable: str = "", outer: tuple[str, ...] = ()) -> None:
        self.cls, self.schema, self.variable = cls, schema, variable
        self.variables = (*outer, variable) if variable else outer

    def node(self, node: Node) -> Node:
        match node:
            case And(nodes):
                return and_(*map(self.node, nodes))
            case Or(nodes):
                return or_(*map(self.node, nodes))
            case Not(inner):
                return not_(self.node(inner))
            case Comparison():
                return self.comparison(node)
        return node

    def comparison(self, node: Comparison) -> Comparison:
        left, right = self.operand(node.left), self.operand(node.right)
        if node.operator == "TEXT":
            return self.full_text(node, left, right)
        if node.operator == "GEOWITHIN":
            return self.geo_within(node, left, right)
        _check_form(node, left, right)
        bound = replace(node, left=self.fitted(node, left, right), right=self.fitted(node, right, left))
        if not isinstance(left, (ListValue, Constant)) and not isinstance(right, (ListValue, Constant)):
            _check_pair(node, left, right)
        return bound

    def full_text(self, node: Comparison, left: Operand, right: Operand) -> Comparison:
        if not isinstance(left, Path) or not left.full_text:
            raise QueryError("Column has no fulltext index", "", node.position)
        if not isinstance(right, Constant) or right.type not in ("string", "text"):
            problem = f"Unsupported comparison between type 'string' and type '{_kind_text(right)}'"
            raise QueryError(problem, "", node.position)
        words = _convert(right, "string")
        if problem := search_problem(words.value):
            raise QueryError(problem, "", right.position)
        return replace(node, left=left, right=words)

    def geo_within(self, node: Comparison, left: Operand, right: Operand) -> Comparison:
        cls = self.schema.get(element_class(left)) if isinstance(left, Path) and left.type == "embedded" else None
        props = cls.properties if cls else {}
        kind, coordinates = props.get("type"), props.get("coordinates")
        if (
            kind is None or kind.type != "string"
            or coordinates is None or (coordinates.type, coordinates.object_type) != ("list", "double")
        ):  # fmt: skip
            problem = "The left hand side of 'geoWithin' must be a link to geoJSON formatted data."
            raise QueryError(problem, "", node.position)
        if not isinstance(right, Geometry):
            problem = (
                "The right hand side of 'geoWithin' must be a geospatial constant value. But the provided type is "
            )
            raise QueryError(f"{problem}'{_kind_text(right)}'", "", node.position)
        if problem := geometry_problem(right):
            raise QueryError(f"The Geospatial query argument region is invalid: '{problem}'", "", node.position)
        return replace(node, left=left, right=right)

    def operand(self, operand: Operand) -> Operand:
        match operand:
            case Path():
                return self.path(operand)
            case Arithmetic():
                return self.arithmetic(operand)
            case Subquery():
                return self.subquery(operand)
            case ListValue(items):
                for item in items:
                    self.operand(item)
            case Constant(type="internal", value=value, position=position):
                problem = f'Internal object keys ({value}) mean nothing here: write obj("Class", key).'
                raise QueryError(problem, "", position)
        return operand

    def path(self, path: Path) -> Path:
        return resolve(path, self.cls, self.schema, self.variable)

    def subquery(self, node: Subquery) -> Subquery:
        if node.variable in self.variables:
            problem = (
                f"Unable to create a subquery expression with variable '{node.variable}' "
                "since an identical variable already exists in this context"
            )
            raise QueryError(problem, "", node.path.position)
        path = self.path(replace(node.path, quantifier=""))
        cls = self.schema.get(element_class(path)) if path.many else None
        if cls is None:
            shown = to_text(path)
            if path.many:
                problem = f"A subquery can not operate on a list of primitive values (property '{shown}')"
            else:
                problem = f"A subquery must operate on a list property, but '{shown}' is type '{_kind_text(path)}'"
            raise QueryError(problem, "", path.position)
        inner = _Binder(cls, self.schema, node.variable, self.variables)
        return replace(node, path=path, predicate=inner.node(node.predicate))

    def arithmetic(self, node: Arithmetic) -> Arithmetic:
        left, right = self.operand(node.left), self.operand(node.right)
        sides = [left, right]
        kinds = [_number_kind(side) for side in sides]
        if "" in kinds:
            a, b = (f"'{_kind_text(side)}'" for side in sides)
            raise QueryError(
                f"Cannot perform '{node.operator}' operation on {a} and {b}", "", _find_position(left, right)
            )
        if is_many(left) and is_many(right):
            raise QueryError("Operations involving two lists are not supported", "", _find_position(left, right))
        widest = next((kind for kind in ("mixed", "decimal128") if kind in kinds), "")
        kind = widest or ("int" if kinds == ["int", "int"] else "double")
        left, right = (self.number(side, kind) for side in sides)
        return Arithmetic(node.operator, left, right, kind)

    def number(self, side: Operand, kind: str) -> Operand:
        """A side of arithmetic: constants become numbers of the result's kind."""
        if isinstance(side, ListValue):
            return replace(side, items=tuple(self.number(item, kind) for item in side.items))  # type: ignore[misc]
        if not isinstance(side, Constant):
            return side
        return self.loose(side) if kind == "mixed" else _convert(side, kind)

    def fitted(self, node: Comparison, side: Operand, other: Operand) -> Operand:
        """One side of a comparison: constants become values of the other side's type, what has a type must suit the
        operator."""
        match side:
            case ListValue(items):
                return replace(side, items=tuple(self.fit(node, i, other) for i in items if isinstance(i, Constant)))
            case Constant():
                return self.fit(node, side, other)
        _check_operator(node, side)
        return side

    def fit(self, node: Comparison, constant: Constant, other: Operand) -> Constant:
        kind = type_of(other)
        if constant.type == "null":
            if isinstance(other, Path) and other.target and is_collection(other):
                raise QueryError(f"Cannot compare linklist ('{to_text(other)}') with NULL", "", constant.position)
            return constant
        if target := _target(other):
            return self.link(constant, target, kind)
        if node.operator in STRING_OPERATORS:
            if constant.type in ("string", "text", "data"):
                return _string_operand(constant, "string" if kind == "mixed" else kind)
            _check_operator(node, constant)
        if kind == "mixed":
            return self.loose(constant)
        return _type_name(constant) if kind == "@type" else _convert(constant, kind)

    def loose(self, constant: Constant) -> Constant:
        """A constant that meets a mixed value: as it was written."""
        if constant.type == "object":
            cls = self.schema.get(self.named(constant.value[0]))
            if cls is None:
                raise QueryError(f"Unknown object type '{constant.value[0]}'", "", constant.position)
            return self.link(constant, cls.name, cls.key_type)
        if constant.type == "text":
            return _string_operand(constant, "string")
        if constant.type != "number":
            return _convert(constant, constant.type)
        number = _to_float(constant.value)
        if from_float(number) == constant.value or math.isnan(number):
            return _convert(constant, "double")
        return _convert(constant, "decimal128")

    def named(self, class_name: str) -> str:
        """The class that an `obj()` names: the official SDKs print it as its table is called in their files."""
        plain = class_name.removeprefix("class_")
        return plain if class_name not in self.schema and plain in self.schema else class_name

    def link(self, constant: Constant, target: str, key_type: str) -> Constant:
        """A link's constant: `obj()`, an object, or a key of the target's key type."""
        if constant.type == "object":
            name, key = self.named(constant.value[0]), constant.value[1]
            if constant.argument is None and name not in self.schema:
                raise QueryError(f"Unknown object type '{name}'", "", constant.position)
            if name in self.schema and name != target:
                problem = (
                    f"The relationship which links to type '{target}' cannot be compared "
                    f"to an argument of type '{name}'"
                )
                raise QueryError(problem, "", constant.position)
            key = replace(key, position=constant.position)
        else:
            key = constant
        if key.type in ("string", "text") and key_type in ("uuid", "objectId") and constant.argument is not None:
            key = _parsed_key(key, key_type)
        converted = _convert(key, key_type)
        if converted.type != key_type:
            raise _mismatch(key, key_type)
        return Constant("object", (target, converted), constant.argument, constant.position)

    # Clauses

    def clause(self, clause: Clause) -> Clause:
        if isinstance(clause, Sort):
            return Sort(tuple((self.column(path, "sort"), ascending) for path, ascending in clause.keys))
        if isinstance(clause, Distinct):
            return Distinct(tuple(self.column(path, "distinct") for path in clause.paths))
        return clause

    def column(self, path: Path, clause: str) -> Path:
        """What is sorted by, or told apart by: a value of the object, or of one that it links to."""
        if path.steps[0] not in self.cls.properties:
            problem = f"No property '{path.name}' found on object type '{self.cls.name}' specified in '{clause}' clause"
            raise QueryError(problem, "", path.position)
        bound = self.path(path)
        where = f"Cannot sort on key path '{to_text(path)}': property '{self.cls.name}.{path.name}'"
        if bound.many:
            kind = self.cls.properties[path.name].type
            raise QueryError(f"{where} is of unsupported type '{kind}'", "", path.position)
        whole = clause == "distinct" and bound.type == "embedded"
        if whole or bound.counted or (bound.hops and bound.hops[-1].via not in ("property", "entry", "element")):
            raise QueryError(f"'{clause}' takes properties, not '{bound.steps[-1]}'", "", path.position)
        if clause == "sort" and (bound.target or bound.type == "embedded"):
            problem = f"{where} of type 'object' cannot be the final property in the key path"
            raise QueryError(problem, "", path.position)
        if clause == "sort" and bound.type == "data":
            raise QueryError(f"{where} is of unsupported type 'data'", "", path.position)
        return bound


# --- Checks of comparisons ---


def _check_form(node: Comparison, left: Operand, right: Operand) -> None:
    """IN and BETWEEN want lists, and something must be there to compare with."""
    operator = node.operator
    if operator == "IN" and not is_many(right):
        problem = f"The keypath following 'IN' must contain a list. Found '{to_text(right)}'"
        raise QueryError(problem, "", getattr(right, "position", node.position))
    if operator == "BETWEEN" and isinstance(right, ListValue):
        if len(right.items) != 2:
            raise QueryError("Operator 'BETWEEN' requires list with 2 elements.", "", right.position)
        if right.quantifier:
            raise QueryError("ANY/ALL/NONE have no meaning for 'BETWEEN'.", "", right.position)
        if is_many(left) and quantifier_of(left) != "ALL":
            problem = "Only 'ALL' supported for operator 'BETWEEN' when applied to lists."
            raise QueryError(problem, "", node.position)
    if isinstance(left, Path) and isinstance(right, Path) and _is_primitive_list(left) and _is_primitive_list(right):
        a, b = to_text(left), to_text(right)
        problem = f"Ordered comparison between two primitive lists is not implemented yet ('{a}' and '{b}')"
        raise QueryError(problem, "", node.position)
    if not _has_property(left) and not _has_property(right):
        raise QueryError("Cannot compare two constants", "", node.position)


def _check_operator(node: Comparison, side: Operand) -> None:
    """The operator must make sense for the type of this property, arithmetic or constant."""
    kind = _kind_text(side)
    position = getattr(side, "position", None)
    kind_of_side = type_of(side)
    only_equal = _target(side) or kind_of_side in ("@type", "embedded")
    if node.operator in (*_ORDERINGS, "BETWEEN") and only_equal:
        operator = ">=" if node.operator == "BETWEEN" else node.operator
        problem = (
            f"Unsupported operator {operator} in query. Only equal (==) and not equal (!=) are supported for this type."
        )
        raise QueryError(problem, "", position)
    is_text = kind_of_side in ("string", "data", "mixed") and not _target(side)
    if (node.operator in STRING_OPERATORS or node.fold) and not is_text:
        operator = f"{node.operator.lower()}{'[c]' if node.fold else ''}"
        problem = (
            f"Unsupported comparison operator '{operator}' against type '{kind}', "
            "right side must be a string or binary type"
        )
        raise QueryError(problem, "", position)


def _check_pair(node: Comparison, left: Operand, right: Operand) -> None:
    """Two properties, or arithmetic: of one type, both numbers, or links to one class."""
    kinds = type_of(left), type_of(right)
    if "embedded" in kinds or _target(left) != _target(right):
        comparable = "mixed" in kinds and "embedded" not in kinds
    elif "mixed" in kinds:
        comparable = "@type" not in kinds
    elif node.operator in STRING_OPERATORS:
        comparable = True
    else:
        comparable = kinds[0] == kinds[1] or all(kind in _NUMERIC for kind in kinds)
    if not comparable:
        problem = f"Unsupported comparison between type '{_kind_text(left)}' and type '{_kind_text(right)}'"
        raise QueryError(problem, "", node.position)


def _target(operand: Operand) -> str:
    return operand.target if isinstance(operand, Path) else ""


def _kind_text(operand: Operand) -> str:
    """A type as errors name it: Realm calls `link` what holds an object."""
    if _target(operand) or type_of(operand) in ("object", "embedded"):
        return "link"
    if isinstance(operand, ListValue):
        return "list"
    return {"number": "double", "text": "string"}.get(type_of(operand), type_of(operand))


def _find_position(*operands: Operand) -> int | None:
    for operand in operands:
        inner = (operand.left, operand.right) if isinstance(operand, Arithmetic) else ()
        position = _find_position(*inner) if inner else getattr(operand, "position", None)
        if position is not None:
            return position
    return None


def _has_property(operand: Operand) -> bool:
    if isinstance(operand, Arithmetic):
        return _has_property(operand.left) or _has_property(operand.right)
    return isinstance(operand, (Path, Subquery))


def _is_primitive_list(path: Path) -> bool:
    """A collection of scalars itself, without a quantifier."""
    return not path.quantifier and not path.target and is_collection(path)


def _number_kind(side: Operand) -> str:
    """The type that arithmetic computes with; "" if it cannot."""
    if isinstance(side, ListValue):
        kinds = {_number_kind(item) for item in side.items} or {"int"}
        order = ("", "mixed", "decimal128", "number", "int")
        return next((kind for kind in order if kind in kinds), "double")
    if isinstance(side, Subquery):
        return "int"
    kind = type_of(side)
    return kind if kind in (*_NUMERIC, "number", "mixed") and not _target(side) else ""


def _type_name(constant: Constant) -> Constant:
    """A name that `@type` is compared with."""
    name = constant.value if constant.type == "string" else to_text(constant)
    if constant.type == "string" and name.lower() in TYPE_NAMES:
        return constant
    supported = ", ".join(f"'{each}'" for each in TYPE_NAMES)
    problem = (
        f"Unable to parse the type attribute string '{name}', supported case insensitive values are: [{supported}]"
    )
    raise QueryError(problem, "", constant.position)


# --- Constants ---


def _convert(constant: Constant, kind: str) -> Constant:
    """The constant as a `kind`. A number that an int property cannot hold stays a double, and just never equals it."""
    if kind in _NUMERIC:
        return _as_number(constant, kind)
    if (constant.type, kind) == ("text", "data"):
        return replace(constant, type="data")
    if (constant.type, kind) == ("text", "string"):
        try:
            return _checked(replace(constant, type="string", value=constant.value.decode()))
        except UnicodeDecodeError:
            raise _mismatch(constant, kind) from None
    if constant.type != kind:
        raise _mismatch(constant, kind)
    return _checked(constant)


def _as_number(constant: Constant, kind: str) -> Constant:
    value = constant.value
    if constant.type in ("string", "text"):
        value = read_number(value.decode(errors="replace") if isinstance(value, bytes) else value)
    elif constant.type not in (*_NUMERIC, "number"):
        value = None
    if value is None:
        raise _mismatch(constant, kind)
    converted = _convert_number(value, kind)
    if converted is None:
        problem = f"Cannot convert '{excerpt(to_text(constant), 40)}' to a {kind}"
        raise QueryError(problem, "", constant.position)
    return _checked(replace(constant, type=converted[0], value=converted[1]))


def _convert_number(value: Any, kind: str) -> tuple[str, Any] | None:
    """An int, float or Decimal as (type, value) for comparison with a `kind`; None if it does not fit."""
    if kind == "decimal128":
        exact = from_float(value) if isinstance(value, float) else Decimal(value)
        if exact.is_nan():
            return kind, NAN
        if exact.is_finite() and exact.adjusted() > DECIMAL128.Emax:
            return None
        return kind, DECIMAL128.create_decimal(exact)
    if kind == "int":
        if isinstance(value, int):
            return (kind, value) if -(2**63) <= value < 2**63 else None
        exact = Decimal(value)
        if (
            exact.is_finite()
            and exact.adjusted() < 20
            and exact == exact.to_integral_value()
            and -(2**63) <= int(exact) < 2**63
        ):
            return kind, int(exact)
        return "double", _to_float(exact)
    number = _to_float(value)
    return kind, _to_float(single(number)) if kind == "float" else number


def _to_float(value: Any) -> float:
    """A double; NaN always as the same object, as for `NAN`."""
    number = float(value)  # a Decimal beyond the range becomes infinity; ints are bounded by the lexer
    return math.nan if math.isnan(number) else number


def _string_operand(constant: Constant, kind: str) -> Constant:
    """A string where it can be one; bytes that are no text may still be the end or the start of a string."""
    value = constant.value
    if kind == "string" and isinstance(value, bytes):
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return replace(constant, type="data")
        return replace(constant, type="data") if "\0" in text else replace(constant, type="string", value=text)
    if kind == "data" and isinstance(value, str):
        return replace(constant, type="data", value=value.encode())
    return _checked(replace(constant, type="data" if isinstance(value, bytes) else "string"))


def _parsed_key(key: Constant, key_type: str) -> Constant:
    """Arguments may hold a key as it travels: the text of a UUID or an ObjectId."""
    try:
        return replace(key, type=key_type, value=uuid.UUID(key.value) if key_type == "uuid" else ObjectId(key.value))
    except (ValueError, ValueTypeError, AttributeError):
        raise _mismatch(key, key_type) from None


def _checked(constant: Constant) -> Constant:
    """Only values that a property could hold: no U+0000 in strings, integers within 64 bits."""
    try:
        encode(constant.type, constant.value)
    except ValueTypeError as error:
        raise QueryError(f"Expected {error.expected} in the query.", "", constant.position) from None
    return constant


def _mismatch(constant: Constant, kind: str) -> QueryError:
    kind = "link" if kind == "embedded" else kind
    if constant.argument is not None:
        shown = excerpt(str(constant.value), 40)
        problem = f"Cannot compare argument ${constant.argument} with value '{shown}' to a {kind}"
    else:
        problem = f"Unsupported comparison between type '{kind}' and type '{_kind_text(constant)}'"
    return QueryError(problem, "", constant.position)
