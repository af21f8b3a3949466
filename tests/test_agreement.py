"""R4: every back end selects the same rows. Random well-typed queries over random rows of every type, as Django Q on
SQLite and on PostgreSQL, as Python predicate, as SQL of the client's store, and as JavaScript in a page; for the query
and for NOT the query."""

from __future__ import annotations

import asyncio
import datetime
import math
import sqlite3
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from django.db import connections
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from playwright.async_api import Browser

from realm_sync.core.binding import bind
from realm_sync.core.errors import QueryError
from realm_sync.core.lowering import equality_keys
from realm_sync.core.nodes import Node, not_
from realm_sync.core.predicate import apply_clauses, compile_predicate
from realm_sync.core.query import parse
from realm_sync.core.schema import ObjectSchema, Property, Schema
from realm_sync.core.sql import quoted, register_functions, to_where
from realm_sync.core.subscribable import check_subscribable
from realm_sync.core.text import to_text
from realm_sync.core.values import ObjectId, encode, single
from realm_sync.filters import register_sqlite_functions, to_q
from tests.javascript import static_server
from tests.testapp.models import Sample, Team

TEAM = ObjectSchema(name="Team", properties={"_id": Property(type="uuid"), "name": Property(type="string")})
TYPES = {
    "a_bool": "bool", "an_int": "int", "a_float": "float", "a_double": "double", "a_decimal": "decimal128",
    "a_fixed": "decimal128", "a_string": "string", "a_text": "string", "a_data": "data", "a_date": "date",
    "a_day": "date", "an_object_id": "objectId", "a_uuid": "uuid",
}  # fmt: skip
OPTIONAL = {"maybe_" + name.split("_", 1)[1]: kind for name, kind in TYPES.items()}
SAMPLE = ObjectSchema(
    name="Sample",
    properties={"_id": Property(type="objectId")}
    | {name: Property(type=kind) for name, kind in TYPES.items()}
    | {name: Property(type=kind, optional=True) for name, kind in OPTIONAL.items()}
    | {"team": Property(type="object", object_type="Team", optional=True)},
)
SCHEMA = Schema([TEAM, SAMPLE])
FIELDS = {"_id": Sample._meta.pk} | {name: Sample._meta.get_field(name) for name in SAMPLE.properties if name != "_id"}
COLUMN_TYPES = {"bool": "INTEGER", "int": "INTEGER", "float": "REAL", "double": "REAL", "data": "BLOB"}
BY_TYPE: dict[str, list[str]] = {}
for _name, _kind in (TYPES | OPTIONAL).items():
    BY_TYPE.setdefault(_kind, []).append(_name)
TEAMS = [uuid.UUID(int=n) for n in (1, 2, 3)]
ARGUMENT_TYPES = {
    "bool": bool, "int": int, "double": float, "decimal128": Decimal, "string": str, "data": bytes,
    "date": datetime.datetime, "objectId": ObjectId, "uuid": uuid.UUID,
}  # fmt: skip

# Few distinct values, so that comparisons hit, and the extremes.
LETTERS = st.text("aAbéÉ×÷ßÿŸ?*%_\\'\"😀ﬁ ", max_size=4)
REALS = [0.0, -0.0, 0.1, 1.0, -1.5, 2.5, 2.0**53, 2.0**63, -(2.0**63), 1e300, -1e-300, 1e22, math.inf, -math.inf]
REAL_NAN = st.sampled_from([*REALS, math.nan, math.nan])
DECIMALS = [
    Decimal(text) for text in ("0", "0.1", "-0.1", "1", "1.5", "-2.5", "9007199254740993", "1e-30", "-1e30", "0.3333")
]
SPECIAL = [Decimal("NaN"), Decimal("Infinity"), Decimal("-Infinity")]
MOMENT = datetime.datetime(2026, 1, 1, tzinfo=UTC)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "int": st.sampled_from([0, 1, -1, 2, 3, 5, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)]),
    "float": st.sampled_from([single(value) for value in REALS]),
    "double": st.sampled_from(REALS),
    "decimal128": st.sampled_from(DECIMALS + SPECIAL),
    "string": LETTERS,
    "data": st.one_of(st.binary(max_size=3), LETTERS.map(str.encode), st.sampled_from([b"", b"\0", b"\xc3", b"%_\\"])),
    "date": st.sampled_from(
        [MOMENT + datetime.timedelta(microseconds=n) for n in (0, 1, -1, 500_000, 86_400_000_000, 43_200_000_000)]
        + [datetime.datetime(1, 1, 1, tzinfo=UTC), datetime.datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)]
    ),
    "objectId": st.sampled_from([ObjectId(f"{n:024x}") for n in (0, 1, 10, 16**23)]),
    "uuid": st.sampled_from([uuid.UUID(int=n) for n in (0, 1, 10, 16**31)]),
}
FIXED = st.sampled_from([Decimal(text) for text in ("0", "0.1", "-0.1", "1", "1.5", "-2.5", "0.3333", "99999999.9999")])
DAYS = VALUES["date"].map(lambda value: value.replace(hour=0, minute=0, second=0, microsecond=0))


def stored(name: str, kind: str) -> st.SearchStrategy[Any]:
    return FIXED if name.endswith("fixed") else DAYS if name.endswith("day") else VALUES[kind]


ROWS = st.lists(
    st.fixed_dictionaries(
        {name: stored(name, kind) for name, kind in TYPES.items()}
        | {name: st.none() | stored(name, kind) for name, kind in OPTIONAL.items()}
        | {"team": st.none() | st.sampled_from(TEAMS)}
    ),
    min_size=4,
    max_size=8,
)


# --- Random well-typed queries, as text with arguments ---


@st.composite
def queries(draw: st.DrawFn, server: bool = True, depth: int = 2) -> tuple[str, list[Any]]:
    arguments: list[Any] = []

    def argument(value: Any) -> str:
        arguments.append(value)
        return f"${len(arguments) - 1}"

    def constant(kind: str, null: bool = True) -> str:
        if null and draw(st.integers(0, 9)) == 0:
            return "null"
        if kind in ("int", "float", "double", "decimal128"):
            kind = draw(
                st.sampled_from(["int", "double", "decimal128"] if kind == "decimal128" else ["int", kind, kind])
            )
        return argument(draw(REAL_NAN if kind in ("float", "double") else VALUES[kind]))

    def prop(*kinds: str) -> str:
        return draw(st.sampled_from([name for kind in kinds for name in BY_TYPE[kind]]))

    def number() -> str:
        if draw(st.booleans()):
            return prop("int", "float", "double", "decimal128")
        return arithmetic("int" if server else draw(st.sampled_from(["int", "double", "decimal128"])), 2)

    def arithmetic(kind: str, levels: int) -> str:
        def side() -> str:
            if levels and draw(st.integers(0, 2)) == 0:
                return f"({arithmetic(kind, levels - 1)})"
            if draw(st.integers(0, 2)) == 0:
                return constant(kind, null=False) if kind != "int" else argument(draw(VALUES["int"]))
            return prop(kind)

        sides = [prop(kind), side()]
        left, right = sides if draw(st.booleans()) else sides[::-1]
        return f"{left} {draw(st.sampled_from('+-*/'))} {right}"

    def comparison() -> str:
        kind = draw(
            st.sampled_from([*VALUES, "number", "link", "string", "text", "text", "text", "list", "list", "size"])
        )
        equality, relation = st.sampled_from(["==", "!="]), st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
        if kind == "link":
            return f"team {draw(equality)} {draw(st.sampled_from(['null', argument(draw(st.sampled_from(TEAMS)))]))}"
        if kind == "size":
            return f"{prop('string', 'data')}.@size {draw(relation)} {draw(st.integers(0, 5))}"
        if kind == "number":
            right = number() if draw(st.booleans()) else constant("double")
            left = number()
            return f"{left} {draw(relation)} {right}"
        if kind == "list":
            chosen = draw(st.sampled_from(list(VALUES)))
            items = ", ".join(constant(chosen) for _ in range(draw(st.integers(0, 3))))
            form = draw(
                st.sampled_from(
                    ["{p} IN {{{i}}}", "ALL {{{i}}} >= {p}", "{p} != NONE {{{i}}}", "{p} BETWEEN {{{c}, {d}}}"]
                )
            )
            if chosen == "string" and "null" not in items and draw(st.booleans()):
                form = "{p} IN[c] {{{i}}}"
            return form.format(p=prop(chosen), i=items, c=constant(chosen), d=constant(chosen))
        if kind == "text":
            operator = draw(st.sampled_from(["BEGINSWITH", "ENDSWITH", "CONTAINS", "LIKE"]))
            kinds = draw(
                st.sampled_from([("string", "string"), ("data", "data"), ("string", "data"), ("data", "string")])
            )
            fold = (
                "[c]"
                if kinds == ("string", "string") and draw(st.booleans()) or not server and draw(st.booleans())
                else ""
            )
            variable = draw(st.integers(0, 2)) == 0 and not (operator == "LIKE" and "data" in kinds)
            right = prop(kinds[1]) if variable else constant(kinds[1])
            return f"{prop(kinds[0])} {operator}{fold} {right}"
        left, right = prop(kind), prop(kind) if draw(st.integers(0, 2)) == 0 else constant(kind)
        if right.startswith("$") and draw(st.integers(0, 4)) == 0:
            left, right = right, left
        if kind == "string" and draw(st.booleans()):
            return f"{left} {draw(equality)}[c] {right}"
        return f"{left} {draw(relation)} {right}"

    def node(levels: int) -> str:
        choice = draw(st.integers(0, 5)) if levels else 0
        if choice < 3:
            return comparison()
        if choice == 3:
            return f"!({node(levels - 1)})"
        word = "AND" if choice == 4 else "OR"
        return f"({node(levels - 1)} {word} {node(levels - 1)})"

    return node(depth), arguments


@st.composite
def clauses(draw: st.DrawFn) -> str:
    """SORT, DISTINCT and LIMIT, in any order."""

    def chosen(names: Iterable[str], most: int) -> list[str]:
        return draw(st.lists(st.sampled_from([*names]), min_size=1, max_size=most))

    def clause() -> str:
        word = draw(st.sampled_from(["SORT", "SORT", "DISTINCT", "LIMIT"]))
        if word == "LIMIT":
            return f"LIMIT({draw(st.integers(0, 6))})"
        if word == "DISTINCT":
            return f"DISTINCT({', '.join(chosen(SAMPLE.properties, 2))})"
        return f"SORT({', '.join(f'{name} {draw(directions)}' for name in chosen(sortable, 3))})"

    sortable = [name for name in SAMPLE.properties if name != "team" and not name.endswith("data")]
    directions = st.sampled_from(["ASC", "DESC"])
    return " ".join(clause() for _ in range(draw(st.integers(0, 2))))


# --- The back ends ---


def client_value(kind: str, value: Any) -> Any:
    if value is None or kind == "data":
        return value
    wire = encode(kind, value)
    if kind in ("float", "double"):
        return "NaN" if wire == "NaN" else value
    return int(value) if kind in ("bool", "int") else wire


def image_of(row: dict[str, Any]) -> dict[str, Any]:
    return {name: encode(SCHEMA.wire_type(prop), row.get(name)) for name, prop in SAMPLE.properties.items()}


def client_store(rows: list[dict[str, Any]]) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    register_functions(connection)
    kinds = {name: SCHEMA.wire_type(prop) for name, prop in SAMPLE.properties.items()}
    columns = ", ".join(f"{quoted(name)} {COLUMN_TYPES.get(kind, 'TEXT')}" for name, kind in kinds.items())
    connection.execute(f"CREATE TABLE Sample ({columns})")
    marks = ", ".join("?" * len(kinds))
    values = [[client_value(kind, row.get(name)) for name, kind in kinds.items()] for row in rows]
    connection.executemany(f"INSERT INTO Sample VALUES ({marks})", values)
    return connection


def selected_by_client(connection: sqlite3.Connection, node: Node) -> set[str]:
    where, params = to_where(node)
    return {key for (key,) in connection.execute(f'SELECT "_id" FROM Sample WHERE {where}', params)}


def selected_by_python(images: list[dict[str, Any]], node: Node) -> set[str]:
    matches = compile_predicate(node, SAMPLE, SCHEMA)
    return {image["_id"] for image in images if matches(image)}


def argument_on_the_wire(value: Any) -> tuple[str, Any] | None:
    """A value as tests/js/agreement.js takes it: its type, and its wire value."""
    if value is None:
        return None
    [kind] = [kind for kind, cls in ARGUMENT_TYPES.items() if type(value) is cls]
    return kind, encode(kind, value)


def read_json(value: Any) -> Any:
    """A wire value out of a page, where JSON writes a large double as an integer that it is not."""
    return float(value) if type(value) is int and abs(value) > 2**53 else value


def answer_of_python(images: list[dict[str, Any]], text: str, arguments: list[Any]) -> dict[str, Any]:
    query = bind(parse(text, arguments), SAMPLE, SCHEMA)
    matches, never = (compile_predicate(each, SAMPLE, SCHEMA) for each in (query.predicate, not_(query.predicate)))
    found = [image for image in images if matches(image)]
    return {
        "text": to_text(query),
        "again": to_text(query),
        "implied": equality_keys(query.predicate),
        "keys": [image["_id"] for image in found],
        "others": [image["_id"] for image in images if never(image)],
        "ordered": [image["_id"] for image in apply_clauses(found, query.clauses, SAMPLE, SCHEMA)],
    }


def selected_by_django(alias: str, node: Node) -> set[str]:
    condition = to_q(node, FIELDS)
    found = {str(key) for key in Sample.objects.using(alias).filter(condition).values_list("pk", flat=True)}
    inverse = {str(key) for key in Sample.objects.using(alias).filter(~condition).values_list("pk", flat=True)}
    everything = {str(key) for key in Sample.objects.using(alias).values_list("pk", flat=True)}
    assert inverse == everything - found
    return found


def sample(row: dict[str, Any]) -> Sample:
    values = {name: value.date() if name.endswith("day") and value else value for name, value in row.items()}
    return Sample(id=values.pop("_id"), team_id=values.pop("team"), **values)


def keyed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"_id": ObjectId(f"{number:024x}")} | row for number, row in enumerate(rows)]


# --- The promise ---

NORMAL = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture
def database(each_database: str) -> Iterator[str]:
    connection = connections[each_database]
    connection.ensure_connection()
    register_sqlite_functions(None, connection)
    Team.objects.using(each_database).bulk_create(Team(id=key, name=str(key)) for key in TEAMS)
    yield each_database


@NORMAL
@given(rows=ROWS, nan=st.tuples(REAL_NAN, st.none() | REAL_NAN), asked=st.lists(queries(), min_size=3, max_size=6))
def test_django_selects_the_rows_that_the_clients_select(
    database: str, rows: list[Any], nan: Any, asked: list[Any]
) -> None:
    rows = keyed(rows)
    if database == "postgres":  # SQLite itself makes NULL of NaN, and the client keeps a text instead
        rows[0] |= {"a_double": nan[0], "maybe_double": nan[1], "a_float": single(nan[0])}
    Sample.objects.using(database).all().delete()
    Sample.objects.using(database).bulk_create(map(sample, rows))
    images, store = [image_of(row) for row in rows], client_store(rows)
    for text, arguments in asked:
        node = bind(parse(text, arguments), SAMPLE, SCHEMA).predicate
        for each in (node, not_(node)):
            expected = selected_by_python(images, each)
            assert selected_by_client(store, each) == expected, (to_text(each), "client")
            assert selected_by_django(database, each) == expected, (to_text(each), database)


@NORMAL
@given(
    rows=ROWS,
    nan=st.tuples(REAL_NAN, st.none() | REAL_NAN),
    asked=st.lists(queries(server=False), min_size=3, max_size=6),
)
def test_the_client_store_selects_the_rows_that_python_selects(rows: list[Any], nan: Any, asked: list[Any]) -> None:
    rows = keyed(rows)
    rows[0] |= {"a_double": nan[0], "maybe_double": nan[1], "a_float": single(nan[0])}
    images, store = [image_of(row) for row in rows], client_store(rows)
    for text, arguments in asked:
        node = bind(parse(text, arguments), SAMPLE, SCHEMA).predicate
        everything = {image["_id"] for image in images}
        found = selected_by_python(images, node)
        assert selected_by_python(images, not_(node)) == everything - found
        assert selected_by_client(store, node) == found, to_text(node)
        assert selected_by_client(store, not_(node)) == everything - found, to_text(not_(node))


@NORMAL
@given(rows=ROWS, query=queries(server=False))
def test_text_keeps_the_meaning_and_keys_are_implied(rows: list[Any], query: Any) -> None:
    parsed = parse(*query)
    assert parse(to_text(parsed)) == parsed
    bound = bind(parsed, SAMPLE, SCHEMA)
    assert bind(bound, SAMPLE, SCHEMA) == bound
    text = to_text(bound)
    assert to_text(parse(text)) == text
    assert bind(parse(text), SAMPLE, SCHEMA) == bound
    try:
        check_subscribable(bound)
    except QueryError:
        pass
    else:
        to_q(bound.predicate, FIELDS)  # which never refuses what a subscription may use
    matches, keys = compile_predicate(bound.predicate, SAMPLE, SCHEMA), equality_keys(bound.predicate)
    for image in map(image_of, keyed(rows)):
        if matches(image):
            assert all(image[name] in values for name, values in keys.items())


async def test_javascript_selects_the_rows_that_python_selects(chromium: Browser) -> None:
    """One page, which has many rows, and is asked one query after the other."""
    loop = asyncio.get_running_loop()
    rows: list[dict[str, Any]] = []

    def ask(script: str, argument: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(page.evaluate(script, argument), loop).result()

    @settings(NORMAL, max_examples=15, phases=[Phase.generate])
    @given(drawn=ROWS, nan=st.tuples(REAL_NAN, st.none() | REAL_NAN))
    def draw_rows(drawn: list[Any], nan: Any) -> None:
        rows.extend(drawn)
        rows[-1] |= {"a_double": nan[0], "maybe_double": nan[1], "a_float": single(nan[0])}

    @settings(NORMAL, max_examples=1000)
    @given(query=queries(server=False), order=clauses())
    def property(query: tuple[str, list[Any]], order: str) -> None:
        text, arguments = f"{query[0]} {order}", query[1]
        answer = ask("(question) => window.answer(question)", [text, list(map(argument_on_the_wire, arguments))])
        answer["implied"] = {name: frozenset(map(read_json, values)) for name, values in answer["implied"]}
        assert answer == answer_of_python(images, text, arguments)

    draw_rows()
    images = [image_of(row) for row in keyed(rows)]
    with static_server() as origin:
        page = await chromium.new_page()
        await page.goto(origin)
        await page.evaluate(
            "async (world) => { window.answer = (await import('/tests/js/agreement.js')).answering(world); }",
            {"classes": [msgspec.to_builtins(cls) for cls in (SAMPLE, TEAM)], "images": images},
        )
        await asyncio.to_thread(property)  # the page belongs to this loop, which answers meanwhile


def test_every_type_is_covered() -> None:
    assert set(TYPES.values()) == set(VALUES) == set(ARGUMENT_TYPES) | {"float"}
