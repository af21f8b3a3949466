"""What queries select: Python closures and the client's SQL on the vectors, and the limits of SQLite."""

from __future__ import annotations

import math
import sqlite3
from base64 import b64decode
from typing import Any

import pytest

from realm_sync.core.nodes import not_
from realm_sync.core.predicate import apply_clauses, compile_predicate
from realm_sync.core.query import MAX_DEPTH
from realm_sync.core.sql import quoted, register_functions, to_order, to_where
from tests.core.test_query import INSPECTION, SCHEMA, VECTORS, argument, bound

OBJECTS: list[dict[str, Any]] = VECTORS["objects"]
COLUMNS = {"bool": "INTEGER", "int": "INTEGER", "float": "REAL", "double": "REAL", "data": "BLOB"}


def stored(kind: str, wire: Any) -> Any:
    """A wire value as the client's store keeps it."""
    if wire is None:
        return None
    if kind == "int":
        return int(wire)
    if kind in ("float", "double"):
        return {"Infinity": math.inf, "-Infinity": -math.inf}.get(wire, wire) if isinstance(wire, str) else wire
    return b64decode(wire) if kind == "data" else wire


@pytest.fixture(scope="module")
def store() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    register_functions(connection)
    kinds = {name: SCHEMA.wire_type(prop) for name, prop in INSPECTION.properties.items()}
    columns = ", ".join(f"{quoted(name)} {COLUMNS.get(kind, 'TEXT')}" for name, kind in kinds.items())
    connection.execute(f"CREATE TABLE Inspection ({columns})")
    for image in OBJECTS:
        values = [stored(kind, image[name]) for name, kind in kinds.items()]
        connection.execute(f"INSERT INTO Inspection VALUES ({', '.join('?' * len(values))})", values)
    return connection


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["query"])
def test_python_selects(case: dict[str, Any]) -> None:
    query = bound(case["query"], *argument(case.get("args", [])))
    matches = compile_predicate(query.predicate, INSPECTION, SCHEMA)
    selected = [image for image in OBJECTS if matches(image)]
    assert [image["_id"] for image in apply_clauses(selected, query.clauses, INSPECTION, SCHEMA)] == case["keys"]
    never = compile_predicate(not_(query.predicate), INSPECTION, SCHEMA)
    assert [image for image in OBJECTS if not never(image)] == selected


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["query"])
def test_the_client_store_selects(case: dict[str, Any], store: sqlite3.Connection) -> None:
    query = bound(case["query"], *argument(case.get("args", [])))
    where, params = to_where(query.predicate)
    order = to_order(query.clauses) or "rowid"
    keys = [
        key for (key,) in store.execute(f'SELECT "_id" FROM Inspection WHERE {where} ORDER BY {order}, rowid', params)
    ]
    if any(word in case["query"] for word in ("LIMIT(", "DISTINCT(")):
        assert set(case["keys"]) <= set(keys)
    else:
        assert keys == case["keys"]


def test_a_missing_key_is_null() -> None:
    assert compile_predicate(bound("note == null AND NOT priority > 3 AND team == null").predicate, INSPECTION, SCHEMA)(
        {}
    )


@pytest.mark.parametrize(
    "levels",
    [
        "(priority == 1 AND (note == null OR {}))",
        "NOT (title == 'x' OR {})",
        "(NOT {} AND done != true)",
        "(hours <= 1 AND {})",
    ],
)
def test_the_deepest_queries_pass_sqlite(levels: str, store: sqlite3.Connection) -> None:
    text = "visits < priority"
    while True:
        deeper = levels.format(text)
        if deeper.count("(") + deeper.count("NOT ") > MAX_DEPTH:
            break
        text = deeper
    node = bound(text).predicate
    where, params = to_where(node)
    found = {key for (key,) in store.execute(f'SELECT "_id" FROM Inspection WHERE {where}', params)}
    matches = compile_predicate(node, INSPECTION, SCHEMA)
    assert found == {image["_id"] for image in OBJECTS if matches(image)}


def test_the_deepest_arithmetic_passes_sqlite(store: sqlite3.Connection) -> None:
    for text in ("visits" + " + 1" * 16 + " == 19", "visits == " + "(1 + " * 12 + "visits" + ")" * 12):
        where, params = to_where(bound(text).predicate)
        store.execute(f'SELECT "_id" FROM Inspection WHERE {where}', params).fetchall()


def test_long_lists_pass_sqlite(store: sqlite3.Connection) -> None:
    for prop, values in (
        ("title", [str(n) for n in range(40_000)] + ["Apron"]),
        ("priority", [*range(2, 40_000), None]),
    ):
        where, params = to_where(bound(f"{prop} IN $0", values).predicate)
        found = [key for (key,) in store.execute(f'SELECT "_id" FROM Inspection WHERE {where}', params)]
        assert found == (["c"] if prop == "title" else ["b", "c"])


def test_names_are_quoted_in_sql() -> None:
    assert quoted('a"b') == '"a""b"'
