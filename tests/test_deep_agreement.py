"""R4 for deep queries, which both clients evaluate on images: Python and JavaScript select the same objects, spell a query
alike and refuse the same in the same words; the Python client's store selects them in SQLite. Random worlds, made of the
values of the vectors and some awkward ones, and random queries, made of the vectors' and of their parts: most mean
something, some do not."""

from __future__ import annotations

import asyncio
import random
import re
from pathlib import Path as FilePath
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from playwright.async_api import Browser

from realm_sync.client.store import Store
from realm_sync.core.binding import bind
from realm_sync.core.errors import QueryError
from realm_sync.core.nodes import not_
from realm_sync.core.predicate import apply_clauses, compile_predicate
from realm_sync.core.query import parse
from realm_sync.core.subscribable import check_subscribable
from realm_sync.core.text import to_text
from tests.client.test_queries import fill, keys
from tests.core.test_collections import CASES, SCHEMA, VECTORS, World, bound
from tests.javascript import static_server

AWKWARD: dict[str, list[Any]] = {
    "thing": [
        True, False, "", "Five", {"$numberDouble": "NaN"}, {"$numberLong": "9007199254740993"}, 9007199254740992.0,
        {"$numberDecimal": "5"}, {"$date": "2026-01-01T12:00:00.000000Z"}, {"$binary": "ZmlmdA=="}, [], {},
        {"$oid": "000000000000000000000001"}, {"$uuid": "00000000-0000-0000-0000-000000000001"}, {"$link": ["Dog", 1]},
        [{"$numberLong": "1"}, "x"], {"a": [1.0, {"b": "deep"}], "n": 0.1}, {"a": "text", "1": 2.0},
    ],
    "anys": [[{"$numberLong": "1"}, 1.0, {"$numberDecimal": "1"}, None, [], {}], [True, "five"]],
    "things": [{"b": 1.0, "1": {"$numberLong": "2"}, "a": None}, {"link": {"$link": ["Dog", 3]}}],
    "prices": [{"2": 1.0, "10": "NaN", "eur": "Infinity"}, {"usd": 10.0, "eur": 10.0}],
    "labels": [{"é": "x", "z": None, "😀": "y"}],
    "scores": [[1, 2], [2, 2], [3, 1, 2]],
    "dogs": [[1, 1, 2], [2, 1], [3, 4]],
    "costs": [["NaN", "Infinity"], ["0.1", "0.2"]],
    "ratings": [[0.1, 0.2, 0.3], ["Infinity", "-Infinity"], ["NaN"]],
    "place": [{"type": kind, "coordinates": at} for kind, at in (
        ("Point", [0.0, 0.0]), ("Point", [15.0, 50.0]), ("Line", [1.0, 46.0]), ("Point", ["NaN", 1.0]), ("Point", []))],
}  # fmt: skip
POOLS = {
    (name, each): [image[each] for image in images] + (AWKWARD.get(each, []) if name == "Person" else [])
    for name, images in VECTORS["objects"].items()
    for each in images[0]
}
PATHS = sorted(
    {
        path
        for case in CASES
        for path in re.findall(
            r"(?:(?:ANY|ALL|NONE) )?[@a-z][\w.@]*(?:\[[^\]]*\][\w.@]*)*",
            re.sub(r"\"[^\"]*\"|'[^']*'|\{[^}]*\}|\$\d", "", case["query"]),
        )
        if len(path) > 2 and not re.match(r"geo|oid|uuid|obj|binary|and|not|true|null|ANY and", path)
    }
)
OPERATORS = [
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "IN",
    "BEGINSWITH",
    "CONTAINS",
    "ENDSWITH",
    "LIKE",
    "==[c]",
    "!=[c]",
    "CONTAINS[c]",
    "BETWEEN",
    "TEXT",
]
CONSTANTS = [
    "1", "2", "3.5", "0.1", "null", '"Ada"', '"a*"', '"five"', "true", "{1, 2}", "{3, 1, 2}", "ANY {1, 5}", "NaN", "inf",
    "ALL {1, 2}", "NONE {2}", "{}", '{"ab", "cde", ""}', "{null}", "{1, null}", 'obj("Dog", 1)', 'obj("Person", "ada")',
    'binary(B64"AAEC")', "2026-01-01@12:00:00", "oid(000000000000000000000001)", '"int"', '"numeric"', '"5"',
    "uuid(00000000-0000-0000-0000-000000000001)", "9007199254740993", 'B64"w6Q="',
]  # fmt: skip
LISTS = ["dogs", "friends", "minors", "addresses", "kennel", "homes", "pets", "scores", "best"]


def world(chance: random.Random) -> dict[str, list[dict[str, Any]]]:
    return {
        name: [
            {each: image[each] if each == "_id" else chance.choice(POOLS[name, each]) for each in image}
            for image in images
        ]
        for name, images in VECTORS["objects"].items()
    }


def asked(chance: random.Random) -> dict[str, Any]:
    case = chance.choice(CASES)
    path, other, operator = chance.choice(PATHS), chance.choice(PATHS), chance.choice(OPERATORS)
    right = chance.choice([*CONSTANTS, other])
    match chance.randrange(8):
        case 0 | 1:
            text = case["query"]
        case 2 | 3:
            known = r"==\[c\]|==|!=|<=|>=|<|>|\bIN\b|BEGINSWITH|CONTAINS|LIKE"
            text = re.sub(known, operator, case["query"], count=1)
        case 4:
            text = f"{path} {operator} {right}"
        case 5:
            term = f"{path} {chance.choice('+-*/')} {chance.choice(['1', '2.5', '{1, 2}', other])}"
            text = f"{term} {operator} {right}" if chance.random() < 0.8 else f"{right} {operator} {term}"
        case 6:
            text = f"TRUEPREDICATE SORT({path} {chance.choice(['ASC', 'DESC'])}, name ASC) DISTINCT({other})"
        case _:
            inner = f"{chance.choice(['$x.', ''])}{path} {operator} {right}"
            text = f"SUBQUERY({chance.choice(LISTS)}, $x, {inner}).@count {chance.choice(OPERATORS)} 1"
    return {"class": case["class"], "query": text, "args": case.get("args", [])}


def answer_of_python(objects: dict[str, list[dict[str, Any]]], case: dict[str, Any]) -> dict[str, Any]:
    try:
        query = bound(case)
    except QueryError as error:
        return {"error": [error.problem.replace("Using a dict", "Using a Object"), error.position]}
    refusal = ""
    try:
        check_subscribable(query)
    except QueryError as error:
        refusal = error.problem
    cls, reached, images = SCHEMA[case["class"]], World(objects), objects[case["class"]]
    matches, misses = (
        compile_predicate(node, cls, SCHEMA, reached) for node in (query.predicate, not_(query.predicate))
    )
    found = apply_clauses(filter(matches, images), query.clauses, cls, SCHEMA, reached)
    text = to_text(query)
    return {
        "keys": [image["_id"] for image in found],
        "others": [image["_id"] for image in filter(misses, images)],
        "text": text,
        "again": to_text(bind(parse(text), cls, SCHEMA)),
        "refusal": refusal,
    }


async def test_javascript_answers_deep_queries_as_python_does(chromium: Browser) -> None:
    loop = asyncio.get_running_loop()

    @settings(
        max_examples=40, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck), database=None
    )
    @given(seed=st.integers(0, 2**32))
    def property(seed: int) -> None:
        chance = random.Random(seed)
        objects, cases = world(chance), [asked(chance) for _ in range(50)]
        script = "(world) => window.answer(world)"
        answers = asyncio.run_coroutine_threadsafe(
            page.evaluate(script, {"objects": objects, "cases": cases}), loop
        ).result()
        for case, answer in zip(cases, answers, strict=True):
            assert answer == answer_of_python(objects, case), (seed, case)

    with static_server() as origin:
        page = await chromium.new_page()
        await page.goto(origin)
        await page.evaluate("async () => { window.answer = (await import('/tests/js/agreement.js')).answerDeep; }")
        await asyncio.to_thread(property)  # the page belongs to this loop, which answers meanwhile


@settings(
    max_examples=40, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck), database=None
)
@given(seed=st.integers(0, 2**32))
def test_the_client_store_selects_what_python_selects(tmp_path: FilePath, seed: int) -> None:
    chance = random.Random(seed)
    objects = world(chance)
    store = Store(tmp_path / f"{seed}.realm", synced=False)
    try:
        fill(store, objects)
        for case in (asked(chance) for _ in range(50)):
            expected = answer_of_python(objects, case)
            if "error" not in expected:
                assert keys(store, case) == expected["keys"], (seed, case)
    finally:
        store.close()
