"""Access rules into collections, embedded objects and mixed values; and what of them, and of subscriptions, a bootstrap
sends: exactly what the predicate selects, whatever the database can say."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections
from django.db.models import Q
from django.db.models.expressions import RawSQL

from realm_sync import capture, downloads
from realm_sync.core.binding import bind
from realm_sync.core.errors import SchemaError
from realm_sync.core.nodes import Node, not_
from realm_sync.core.predicate import compile_predicate
from realm_sync.core.query import parse
from realm_sync.core.subscribable import check_subscribable
from realm_sync.core.text import to_text
from realm_sync.filters import is_exact, register_sqlite_functions
from realm_sync.rules import from_q
from tests.test_collections import own_registry
from tests.testapp.models import Address, Airfield, Kit, Part, Team

REGISTRY = own_registry()
BINDING: Any = REGISTRY.get("Kit")
CLS = REGISTRY.schema["Kit"]
NORTH, SOUTH = uuid.UUID(int=1), uuid.UUID(int=2)


def node(q: Any) -> Node:
    return from_q(q, BINDING.fields_by_name, CLS, REGISTRY.schema)


@pytest.fixture
def kits(each_database: str) -> Iterator[str]:
    connection = connections[each_database]
    connection.ensure_connection()
    register_sqlite_functions(None, connection)
    north, south = Team(id=NORTH, name="North"), Team(id=SOUTH, name="South")
    Team.objects.using(each_database).bulk_create([north, south])
    Airfield.objects.using(each_database).create(icao="ENGM", name="Oslo")
    rows: list[dict[str, Any]] = [
        {"name": "a", "tags": ["x", "y"], "numbers": [1, 2], "tag_set": {"x"}, "team": north, "visits": 1,
         "tag_map": {"k": "v"}, "number_map": {"n": None}, "anything": {"level": 3, "tags": ["x"]}, "json": {"level": 3}},
        {"name": "b", "tags": ["y"], "numbers": [], "tag_set": {"y", "z"}, "tag_map": {"k": "w", "l": "v"},
         "number_map": {"n": 5}, "anything": "x", "json": [1, "x"], "address": Address(city="Oslo", lines=["x"]),
         "route": ["ENGM"]},
        {"name": "c", "anything": None, "json": None, "address": Address(city="Bergen"),
         "parts": [Part(name="rope", maker=Address(city="Oslo"))], "airfield_map": {"home": "ENGM", "away": None}},
        {"name": "d", "tags": ["x"], "numbers": [1], "anything": [{"level": 3}], "visits": 5},
    ]  # fmt: skip
    for number, row in enumerate(rows):
        kit = Kit.objects.using(each_database).create(id=uuid.UUID(int=number + 1), **row)
        if row["name"] in "ad":
            kit.teams.add(north)
        if row["name"] == "b":
            kit.teams.add(north, south)
    yield each_database


def images(alias: str) -> list[dict[str, Any]]:
    sql = capture.image_sql(BINDING, connections[alias].ops.quote_name(Kit._meta.db_table)).replace("%", "%%")
    texts = Kit.objects.using(alias).order_by("name").values_list(RawSQL(sql, ()), flat=True)
    return [json.loads(text) for text in texts]


def selected(alias: str, it: Node) -> str:
    matches = compile_predicate(it, CLS, REGISTRY.schema)
    return "".join(image["name"] for image in images(alias) if matches(image))


RULES: dict[str, tuple[Q, str]] = {
    "list contains": (Q(tags__contains="x"), "ad"),
    "list contains all": (Q(tags__contains=["x", "y"]), "a"),
    "list overlaps": (Q(tags__overlap=["y", "z"]), "ab"),
    "list is": (Q(tags=["x"]), "d"),
    "list has length": (Q(numbers__len=0), "bc"),
    "list is long": (Q(tags__len__gt=1), "a"),
    "dictionary has length": (Q(tag_map__len__in=[1, 2]), "ab"),
    "list element": (Q(tags__0="y"), "b"),
    "set contains": (Q(tag_set__contains="z"), "b"),
    "not": (~Q(tag_set__contains="x"), "bcd"),
    "dictionary key": (Q(tag_map__has_key="l"), "b"),
    "dictionary value": (Q(tag_map__k="v"), "a"),
    "dictionary null": (Q(number_map__n__isnull=True), "acd"),
    "dictionary compared": (Q(number_map__n__gt=3), "b"),
    "mixed": (Q(anything="x"), "b"),
    "mixed nested": (Q(anything__level=3), "a"),
    "mixed null": (Q(anything__isnull=True), "c"),
    "mixed in list": (Q(anything__0__level__in=[3, 4]), "d"),
    "json": (Q(json__level__gte=3), "a"),
    "json element": (Q(json__1="x"), "b"),
    "embedded": (Q(address__city="Oslo"), "b"),
    "embedded begins": (Q(address__city__startswith="B"), "c"),
    "embedded list": (Q(address__lines__contains="x"), "b"),
    "embedded null": (Q(address__isnull=True), "ad"),
    "embedded in list": (Q(parts__0__maker__city="Oslo"), "c"),
    "link in list": (Q(route__contains="ENGM"), "b"),
    "link in dictionary": (Q(airfield_map__home="ENGM"), "c"),
    "counter": (Q(visits__gte=1), "ad"),
    "objects of a ManyToManyField": (Q(teams=SOUTH), "b"),
    "some of a ManyToManyField": (Q(teams__in=[NORTH]), "abd"),
    "instance of a ManyToManyField": (Q(teams=Team(id=SOUTH)), "b"),
    "none of a ManyToManyField": (Q(teams__isnull=True), "c"),
    "with a column": (Q(team=NORTH, tags__contains="x") | Q(name="d", tags__contains="x"), "ad"),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_into_a_value(kits: str, rule: str) -> None:
    q, expected = RULES[rule]
    it = node(q)
    assert selected(kits, it) == expected
    assert bind(parse(to_text(it), trusted=True), CLS, REGISTRY.schema).predicate == it


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Q(tags__icontains="x"), ["tags__icontains", "Use one of contains, overlap, exact, len"]),
        (Q(tag_set={"x"}), ["tag_set", "contains, overlap, len"]),
        (Q(tag_map={"k": "v"}), ["tag_map", "has_key"]),
        (Q(tag_map__has_keys=["k"], tag_map__k__nothing="x"), ["tag_map"]),
        (Q(anything__contains={"a": 1}), ["anything__contains"]),
        (Q(address={"city": "Oslo"}), ["address", "isnull"]),
        (Q(address__nothing="x"), ["address__nothing"]),
        (Q(address__city__regex="x"), ["address__city__regex"]),
        (Q(tags__contains=3), ["does not fit the class"]),
        (Q(tags__overlap="xy"), ["takes a list"]),
        (Q(anything__level=object()), ["anything__level"]),
        (Q(anything__level__gt=None), ["isnull"]),
        (Q(teams__name="North"), ["teams__name"]),
        (Q(teams=Team(id=None)), ["never saved"]),
        (Q(nothing=1), ["'nothing'", "tags", "teams"]),
    ],
)
def test_what_no_rule_can_say(rule: Q, words: list[str]) -> None:
    with pytest.raises(SchemaError) as caught:
        node(rule)
    assert all(word in str(caught.value) for word in words), str(caught.value)


QUERIES = {
    "tags == 'x'": "ad",
    "visits > 0 AND ALL tags == 'x'": "d",
    "NOT (visits > 0 AND ALL tags == 'x')": "abc",
    "visits == 1 OR address.city == 'Bergen'": "ac",
    "tag_map['k'] == 'v' OR number_map.n > 3": "ab",
    "anything['tags'][0] == 'x' OR anything.@type == 'list'": "ad",
    "ANY parts.maker.city == 'Oslo'": "c",
    "teams.@count > 1": "b",
    f"ANY teams == uuid({SOUTH})": "b",
    "ANY tag_map.@keys == 'l'": "b",
    "json.level == 3 OR json[1] == 'x'": "ab",
    "team != null AND numbers.@count == 2": "a",
}


@pytest.mark.parametrize("text", QUERIES)
def test_a_bootstrap_sends_what_the_query_selects(kits: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "registry", REGISTRY)
    monkeypatch.setattr("realm_sync.conf.settings.DATABASE", kits, raising=False)
    query = bind(parse(text), CLS, REGISTRY.schema)
    check_subscribable(query)
    it = query.predicate
    assert not is_exact(it)
    assert selected(kits, it) == QUERIES[text]
    names = {image["_id"]: image["name"] for image in images(kits)}
    for each, expected in ((it, QUERIES[text]), (not_(it), "".join(sorted(set("abcd") - set(QUERIES[text]))))):
        put, erase = downloads.Transfer(), downloads.Transfer()
        downloads._put(put, BINDING, each)
        downloads._erase(erase, BINDING, each)
        objects = [image for text in put.finish() for group in json.loads(text) for image in group["put"]]
        keys = [key for text in erase.finish() for group in json.loads(text) for key in group["erase"]]
        assert "".join(sorted(image["name"] for image in objects)) == expected
        assert "".join(sorted(names[key] for key in keys)) == expected
