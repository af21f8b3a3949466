"""Deep queries: over collections, links, mixed values, embedded objects, text and geometry, on the vectors."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

import pytest

from realm_sync.core.binding import bind
from realm_sync.core.declarations import parse_class
from realm_sync.core.errors import QueryError
from realm_sync.core.mixed import Link
from realm_sync.core.nodes import Query, not_
from realm_sync.core.predicate import apply_clauses, compile_predicate
from realm_sync.core.query import parse
from realm_sync.core.schema import Schema
from realm_sync.core.subscribable import check_subscribable
from realm_sync.core.text import to_text
from tests.core.test_query import argument as scalar_argument

VECTORS = json.loads((FilePath(__file__).parent.parent / "vectors" / "collections.json").read_text(encoding="utf-8"))
SCHEMA = Schema(map(parse_class, VECTORS["classes"]))
CASES: list[dict[str, Any]] = VECTORS["cases"]


def argument(value: Any) -> Any:
    return value["geo"] if isinstance(value, dict) and "geo" in value else scalar_argument(value)


class World:
    """The objects of the vectors."""

    def __init__(self, objects: dict[str, list[dict[str, Any]]]) -> None:
        self.objects = {name: {image["_id"]: image for image in images} for name, images in objects.items()}

    def get(self, class_name: str, key: Any) -> dict[str, Any] | None:
        return self.objects[class_name].get(key)

    def links_to(self, class_name: str, property_name: str, key: Any) -> Iterator[dict[str, Any]]:
        for image in self.objects[class_name].values():
            held = image[property_name]
            keys = held if isinstance(held, list) else held.values() if isinstance(held, dict) else [held]
            if key in keys:
                yield image


WORLD = World(VECTORS["objects"])


def bound(case: dict[str, Any]) -> Query:
    return bind(parse(case["query"], list(map(argument, case.get("args", [])))), SCHEMA[case["class"]], SCHEMA)


def test_the_world_fits_its_classes() -> None:
    from realm_sync.core.encoding import decode_property, encode_property

    SCHEMA.check()
    for name, images in VECTORS["objects"].items():
        for image in images:
            assert set(image) == {n for n, p in SCHEMA[name].properties.items() if p.type != "linkingObjects"}
            for each, wire in image.items():
                prop = SCHEMA[name].properties[each]
                value = decode_property(SCHEMA, each, prop, wire)
                assert encode_property(SCHEMA, each, prop, value) == wire


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["query"])
def test_canonical_text(case: dict[str, Any]) -> None:
    parsed = parse(case["query"], list(map(argument, case.get("args", []))))
    assert parse(to_text(parsed)) == parsed
    cls = SCHEMA[case["class"]]
    query = bind(parsed, cls, SCHEMA)
    assert to_text(query) == case["text"]
    assert to_text(parse(case["text"])) == case["text"]
    assert bind(parse(case["text"]), cls, SCHEMA) == query == bind(query, cls, SCHEMA)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["query"])
def test_python_selects(case: dict[str, Any]) -> None:
    query, cls = bound(case), SCHEMA[case["class"]]
    images = VECTORS["objects"][case["class"]]
    matches = compile_predicate(query.predicate, cls, SCHEMA, WORLD)
    selected = [image for image in images if matches(image)]
    assert [image["_id"] for image in apply_clauses(selected, query.clauses, cls, SCHEMA, WORLD)] == case["keys"]
    never = compile_predicate(not_(query.predicate), cls, SCHEMA, WORLD)
    assert [image for image in images if not never(image)] == selected


@pytest.mark.parametrize("case", VECTORS["refusals"], ids=lambda case: case["query"])
def test_refusal(case: dict[str, Any]) -> None:
    with pytest.raises(QueryError) as caught:
        bound(case)
    assert caught.value.problem.startswith(case["error"])
    assert caught.value.code == case.get("code", "InvalidQuery")
    assert caught.value.position == case.get("position")


GUIDE = (FilePath(__file__).parents[2] / "docs" / "queries.md").read_text(encoding="utf-8")
EXAMPLES = [
    (line.split("//")[0].strip(), bool(kind))
    for kind, block in re.findall(r"```rql( subscription)?\n(.*?)```", GUIDE, re.DOTALL)
    for line in block.splitlines()
]


@pytest.mark.parametrize(("text", "subscribable"), EXAMPLES)
def test_the_examples_of_the_guide_mean_something(text: str, subscribable: bool) -> None:
    query = bound({"class": "Person", "query": text})
    if subscribable:
        check_subscribable(query)


def test_a_link_of_a_mixed_value_is_an_argument() -> None:
    query = bind(parse("thing == $0 OR best == $0", [Link("Dog", 1)]), SCHEMA["Person"], SCHEMA)
    matches = compile_predicate(query.predicate, SCHEMA["Person"], SCHEMA, WORLD)
    assert [image["_id"] for image in VECTORS["objects"]["Person"] if matches(image)] == ["ada"]


def test_a_long_list_is_looked_up_not_walked() -> None:
    cls = SCHEMA["Person"]
    query = bind(parse("ANY scores IN $0", [list(range(1, 200_000, 2))]), cls, SCHEMA)
    matches = compile_predicate(query.predicate, cls, SCHEMA)
    scores = list(range(0, 20_000, 2))
    start = time.perf_counter()
    assert not matches({"scores": scores}) and matches({"scores": [*scores, 7]})
    assert time.perf_counter() - start < 0.5
