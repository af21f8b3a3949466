"""Queries read: RQL text and its arguments to a tree of nodes.

Decides what a sentence says and how large it may be. rql.lark is the grammar, and its documentation; here are the nodes
that each of its rules makes, and the places of arguments taken by their values. Errors quote the query and draw a caret.
Knows no classes: whether the properties exist, and what the constants are compared with, is for binding.py. Called by
subscriptions.py on the server, and by the client for `filtered`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import cache
from pathlib import Path as FilePath
from typing import Any

import lark

from .errors import QueryError
from .literals import excerpt, from_python, number_of, read_geometry, read_literal
from .mixed import Link
from .nodes import (
    FALSE,
    TRUE,
    And,
    Argument,
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
    and_,
    not_,
    or_,
)

MAX_BYTES = 256 * 1024
"""Longest query text in UTF-8, as on Atlas; a longer one is refused with code LimitExceeded."""
MAX_DEPTH = 50
"""Deepest nesting of parentheses and NOTs (an arithmetic operator counts as three); deeper is refused with code
LimitExceeded. The narrowest place that a query has to pass is SQLite's parser, which has a stack of 100 entries."""
MAX_STEPS = 120
"""Most steps of one key path after its first: mixed values nest 100 deep, and links are few; more is refused with code
LimitExceeded."""
TRUSTED_DEPTH = 60
"""The same for text that `to_text` made, where conditions were joined and parentheses added."""


def parse(text: str, arguments: Sequence[Any] = (), *, trusted: bool = False) -> Query:
    """The query a text says, with `$0`, `$1` … replaced by `arguments`.

    Arguments are Python values (values.py), lists of them, and objects that have an `_id` or a `pk`. Raises QueryError
    with a caret; code LimitExceeded beyond MAX_BYTES or MAX_DEPTH. `trusted` text came out of `to_text`, joined from
    several queries perhaps: it may be longer, and a little deeper.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise QueryError(
            "Invalid predicate: it holds a lone surrogate, which is not a character.", text[:80], None
        ) from error
    if size > MAX_BYTES and not trusted:
        raise QueryError(f"The query is {size} bytes long; at most {MAX_BYTES} are allowed.", "", None, "LimitExceeded")
    try:
        query: Query = _parser(TRUSTED_DEPTH if trusted else MAX_DEPTH).parse(text)  # type: ignore[assignment]
        inlined = _Arguments(arguments).query(query)
    except lark.exceptions.UnexpectedInput as error:
        raise _syntax_error(text, error) from None
    except QueryError as error:
        raise QueryError(error.problem, text, error.position, error.code) from None
    return replace(inlined, text=text)


@cache
def _parser(depth: int) -> lark.Lark:
    grammar = FilePath(__file__).with_name("rql.lark").read_text(encoding="utf-8")
    return lark.Lark(
        grammar, parser="lalr", lexer="basic", transformer=_Builder(), postlex=_Depth(depth), maybe_placeholders=False
    )


def _syntax_error(text: str, error: lark.exceptions.UnexpectedInput) -> QueryError:
    if isinstance(error, lark.exceptions.UnexpectedToken) and error.token.type != "$END":
        position, found = error.token.start_pos or 0, f"'{excerpt(str(error.token), 40)}'"
    elif isinstance(error, lark.exceptions.UnexpectedCharacters):
        position = error.pos_in_stream or 0
        found = f"character '{text[position]}'"
    else:
        position, found = len(text), "end of query"
    return QueryError(f"Invalid predicate: '{excerpt(text, 200)}': syntax error, unexpected {found}", text, position)


_IN_PATHS = ("RSQB", "NAME", "AT_WORD", "INTEGER", "STRING", "BASE64", "STAR", "FIRST", "LAST", "SIZE", "ARGUMENT")
"""Tokens that do not end a path; a keyword after a dot is a name, too."""


class _Depth(lark.lark.PostLex):
    """Refuses deep nesting and endless paths while tokens stream by, before anything recursive (or SQLite) sees the query."""

    always_accept = ()

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def process(self, stream: Iterator[lark.Token]) -> Iterator[lark.Token]:
        enclosing: list[int] = []  # for every open parenthesis: the weight of the operators before it in its comparison
        operators = steps = 0
        previous = ""
        for token in stream:
            kind = token.type
            if kind in ("DOT", "LSQB"):
                steps += 1
            elif kind not in _IN_PATHS and previous != "DOT":
                steps = 0
            if steps > MAX_STEPS:
                problem = f"The key path is too long: at most {MAX_STEPS} steps are allowed."
                raise QueryError(problem, "", token.start_pos, "LimitExceeded")
            previous = kind
            if kind == "NOT":
                operators += 1
            elif kind in ("PLUS", "MINUS", "SLASH", "STAR"):
                operators += 3
            elif kind in ("LPAR", "LBRACE", "LSQB"):
                enclosing.append(operators)
            elif kind in ("RPAR", "RBRACE", "RSQB") and enclosing:
                operators = enclosing.pop()
            elif kind in ("_AND", "_OR"):
                operators = enclosing[-1] if enclosing else 0
            if len(enclosing) + operators > self.limit:
                problem = f"The query is nested too deeply: at most {self.limit} levels are allowed."
                raise QueryError(problem, "", token.start_pos, "LimitExceeded")
            yield token


_ESCAPED = {"\\ ": " ", "\\n": "\n", "\\r": "\r", "\\t": "\t"}
_SPELLINGS = {"=": "==", "<>": "!=", "=<": "<=", "=>": ">=", "FULLTEXT": "TEXT"}
"""How else an operator may be written; FULLTEXT is what the official SDKs print."""


class _Builder(lark.Transformer[lark.Token, Query]):
    """Nodes from the rules of rql.lark, called by the parser as it reduces; one method per rule."""

    def start(self, parts: list[Any]) -> Query:
        return Query(parts[0], tuple(parts[1:]))

    def disjunction(self, parts: list[Node]) -> Node:
        return or_(*parts)

    def conjunction(self, parts: list[Node]) -> Node:
        return and_(*parts)

    def negation(self, parts: list[Any]) -> Node:
        return not_(parts[1])

    def truth(self, parts: list[lark.Token]) -> Node:
        return TRUE if parts[0].type == "TRUEPREDICATE" else FALSE

    def comparison(self, parts: list[Any]) -> Node:
        left, operator, right = parts[0], parts[1], parts[-1]
        word = operator.upper()
        return Comparison(_SPELLINGS.get(word, word), left, right, fold=len(parts) == 4, position=operator.start_pos)

    def sum(self, parts: list[Any]) -> Operand:
        value: Operand = parts[0]
        for operator, right in zip(parts[1::2], parts[2::2], strict=True):
            value = Arithmetic(str(operator), value, right)
        return value

    product = sum

    def constant(self, parts: list[Any]) -> Constant | Argument:
        return _literal(parts[0]) if isinstance(parts[0], lark.Token) else parts[0]

    def path(self, parts: list[Any]) -> Path:
        quantifier = _quantifier(parts)
        steps: list[str | Index] = []
        for part in parts:
            if isinstance(part, Index) and part.value == "SIZE":
                steps.append("@size")
            else:
                steps.append(part if isinstance(part, Index) else str(part))
        return Path(tuple(steps), quantifier, position=getattr(parts[0], "start_pos", None))

    def step(self, parts: list[lark.Token]) -> lark.Token:
        token = parts[0]
        if token.type == "NAME" and re.fullmatch(r"\$K\d+", token):
            raise QueryError(f"Key-path arguments ({token}) are not supported: write the path.", "", token.start_pos)
        return token

    def name(self, parts: list[lark.Token]) -> lark.Token:
        token = parts[0]
        return (
            token.update(value=re.sub(r"\\[ nrt]", lambda match: _ESCAPED[match[0]], token)) if "\\" in token else token
        )

    def index(self, parts: list[Any]) -> Index:
        token = parts[0]
        if not isinstance(token, lark.Token):
            return Index(token)
        if token.type in ("FIRST", "LAST", "SIZE", "STAR"):
            return Index(token.upper())
        return Index(_literal(token))

    def subquery(self, parts: list[Any]) -> Subquery:
        _, path, variable, predicate, word = parts
        if not variable.startswith("$"):
            raise QueryError(f"The subquery variable '{variable}' must start with '$'", "", variable.start_pos)
        if word not in ("@count", "@size"):
            raise QueryError("Only @count and @size may follow a subquery.", "", word.start_pos)
        return Subquery(path, str(variable), predicate, str(word))

    def values(self, parts: list[Any]) -> ListValue:
        quantifier = _quantifier(parts)
        return ListValue(tuple(parts), quantifier, parts[0].position if parts else None)

    def argument(self, parts: list[lark.Token]) -> Argument:
        quantifier = _quantifier(parts)
        return Argument(int(parts[0][1:10]), quantifier, parts[0].start_pos)

    def binary(self, parts: list[lark.Token]) -> Constant:
        constant = _literal(parts[1])
        value = constant.value if isinstance(constant.value, bytes) else constant.value.encode()
        return Constant("data", value, position=parts[0].start_pos)

    def obj(self, parts: list[Any]) -> Constant:
        name = str(parts[1])[1:-1]
        return Constant("object", (name, parts[2]), position=parts[0].start_pos)

    def geo(self, parts: list[Any]) -> Geometry:
        shape = parts[0].type
        if shape == "GEOBOX":
            return Geometry("geoBox", ((parts[1], parts[2]),))
        if shape == "GEOCIRCLE":
            radius = parts[2] if isinstance(parts[2], Argument) else Decimal(parts[2].rstrip("f"))
            return Geometry("geoCircle", ((parts[1],),), radius)
        return Geometry("geoPolygon", tuple(parts[1:]))

    def ring(self, parts: list[Any]) -> tuple[Any, ...]:
        return tuple(parts)

    def point(self, parts: list[lark.Token]) -> tuple[Decimal, ...]:
        return tuple(Decimal(part.rstrip("f")) for part in parts)

    def clause(self, parts: list[Any]) -> Clause:
        word = parts[0].type
        if word == "SORT":
            return Sort(tuple(parts[1:]))
        if word == "DISTINCT":
            return Distinct(tuple(parts[1:]))
        if not 0 <= (count := int(parts[1][:20])) < 2**63:
            raise QueryError("LIMIT takes a natural number.", "", parts[1].start_pos)
        return Limit(count)

    def order(self, parts: list[Any]) -> tuple[Path, bool]:
        return parts[0], parts[1].type == "ASCENDING"


def _quantifier(parts: list[Any]) -> str:
    """Takes a leading quantifier off the parts: ANY, ALL, NONE or nothing (SOME is ANY)."""
    if parts and isinstance(parts[0], lark.Token) and parts[0].type == "QUANTIFIER":
        word = parts.pop(0).upper()
        return "ANY" if word == "SOME" else str(word)
    return ""


def _literal(token: lark.Token) -> Constant:
    return read_literal(token.type, str(token), token.start_pos)


class _Arguments:
    """Replaces arguments by constants and lists. Recursive: `_Depth` has bounded the tree."""

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = values

    def query(self, query: Query) -> Query:
        return Query(self.node(query.predicate), tuple(map(self.clause, query.clauses)))

    def clause(self, clause: Clause) -> Clause:
        match clause:
            case Sort(keys):
                return Sort(tuple((self.path(path), ascending) for path, ascending in keys))
            case Distinct(paths):
                return Distinct(tuple(map(self.path, paths)))
        return clause

    def node(self, node: Node) -> Node:
        if isinstance(node, Comparison):
            right = node.right
            if node.operator == "GEOWITHIN" and isinstance(right, Argument):
                return replace(node, left=self.operand(node.left), right=self.geometry(right))
            return replace(node, left=self.operand(node.left), right=self.operand(right))
        if isinstance(node, Not):
            return not_(self.node(node.node))
        if isinstance(node, And | Or):
            return type(node)(tuple(map(self.node, node.nodes)))
        return node

    def operand(self, operand: Operand) -> Operand:
        match operand:
            case Argument():
                return self.argument(operand)
            case ListValue(items, quantifier, position):
                return ListValue(tuple(map(self.scalar, items)), quantifier, position)
            case Arithmetic(operator, left, right):
                return Arithmetic(operator, self.operand(left), self.operand(right))
            case Subquery():
                return replace(operand, path=self.path(operand.path), predicate=self.node(operand.predicate))
            case Geometry(radius=Argument() as radius):
                return replace(operand, radius=number_of(self.scalar(radius)))
            case Path():
                return self.path(operand)
            case Constant(type="object", value=(name, key)):
                return replace(operand, value=(name, self.scalar(key)))
        return operand

    def path(self, path: Path) -> Path:
        if any(isinstance(step, Index) for step in path.steps):
            return replace(path, steps=tuple(map(self.step, path.steps)))
        return path

    def step(self, step: str | Index) -> str | Index:
        return Index(self.scalar(step.value)) if isinstance(step, Index) and isinstance(step.value, Argument) else step

    def scalar(self, item: Constant | Argument) -> Constant:
        resolved = self.operand(item)
        if isinstance(resolved, Constant):
            return resolved
        if isinstance(item, Argument) and not item.quantifier:
            problem = f"Request for scalar argument at index {item.index} but a list was provided"
            raise QueryError(problem, "", item.position)
        raise QueryError("A list cannot hold a list.", "", item.position)

    def geometry(self, item: Argument) -> Operand:
        value = self.value(item)
        return read_geometry(value, item) if isinstance(value, Mapping) else self.argument(item)

    def value(self, item: Argument) -> Any:
        count = len(self.values)
        if item.index >= count:
            provided = {0: "no arguments are", 1: "only 1 argument is"}.get(count, f"only {count} arguments are")
            raise QueryError(f"Request for argument at index {item.index} but {provided} provided", "", item.position)
        return self.values[item.index]

    def argument(self, item: Argument) -> Constant | ListValue:
        value = self.value(item)
        if isinstance(value, (list, tuple, set, frozenset)) and not isinstance(value, Link):
            constants = tuple(from_python(element, item) for element in value)
            return ListValue(constants, item.quantifier, item.position)
        if item.quantifier:
            problem = (
                "ANY/ALL/NONE are only allowed on arguments which contain a list "
                f"but '{excerpt(str(value), 40)}' is not a list."
            )
            raise QueryError(problem, "", item.position)
        return from_python(value, item)
