"""Deep queries in the client's store select what core/predicate.py selects, in its order (R4)."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path as FilePath
from types import SimpleNamespace
from typing import Any, cast

import pytest

from realm_sync.client import Configuration, Realm
from realm_sync.client.queries import REMEMBERED, StoredObjects
from realm_sync.client.results import Results
from realm_sync.client.store import Store
from tests.core.test_collections import CASES, SCHEMA, VECTORS, WORLD, bound


def fill(store: Store, objects: dict[str, list[dict[str, Any]]]) -> None:
    store.add_schema(SCHEMA)
    with store.transaction() as connection:
        for name, images in objects.items():
            table = store.table(name)
            assert table is not None
            connection.executemany(table.upsert, table.rows(images, 1))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = Store(tmp_path_factory.mktemp("queries") / "world.realm", synced=False)
    fill(store, VECTORS["objects"])
    yield store
    store.close()


def results(store: Store, case: dict[str, Any]) -> Results[Any]:
    """As realm.objects(…).filtered(…), without a realm around it."""
    realm = SimpleNamespace(
        _store=store, _connection=store.connection, _schema_for_queries=SCHEMA, _class_schema=SCHEMA.__getitem__,
        _version=0,
    )  # fmt: skip
    query, table = bound(case), store.table(case["class"])
    assert table is not None
    return Results(cast(Any, realm), table, query.predicate, query.clauses)


def keys(store: Store, case: dict[str, Any]) -> list[Any]:
    found = results(store, case)
    assert len(found) == len(found._keys())
    return [found._table.key_to_wire(key) for key in found._keys()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["query"])
def test_the_store_selects(case: dict[str, Any], store: Store) -> None:
    assert keys(store, case) == case["keys"]


def test_a_query_knows_which_classes_it_reads(store: Store) -> None:
    def classes(query: str, name: str = "Person") -> set[str]:
        return results(store, {"class": name, "query": query})._classes_read()

    assert classes("age > 3 AND scores == 3 AND address.city == 'x' AND dogs.@count == 1") == {"Person"}
    assert classes("best.name == 'Rex'") == {"Person", "Dog"}
    assert classes("TRUEPREDICATE SORT(best.name ASC)") == {"Person", "Dog"}
    assert classes("@links.Person.dogs.@count == 1", "Dog") == {"Dog", "Person"}
    assert classes("SUBQUERY(owners, $o, $o.age > 3).@count == 1", "Dog") == {"Dog", "Person"}
    assert classes("@links.@count == 1", "Dog") == {"Dog", "Person"}
    assert classes("dogs.@max.age + 1 > 3 OR NOT friends.age == 1") == {"Dog", "Person"}


def test_backlinks_through_collections_follow_what_is_written(tmp_path: FilePath) -> None:
    store = Store(tmp_path / "world.realm", synced=False)
    try:
        fill(store, VECTORS["objects"])
        case = {"class": "Dog", "query": "@links.Person.dogs.name == 'Dan'"}
        assert keys(store, case) == []
        with store.transaction() as connection:
            dan = next(image for image in VECTORS["objects"]["Person"] if image["_id"] == "dan")
            table = store.table("Person")
            assert table is not None
            connection.executemany(table.upsert, table.rows([{**dan, "dogs": [2, 2]}], 2))
            assert keys(store, case) == [2]
        other = Store(tmp_path / "world.realm", synced=False)
        try:
            with other.transaction() as connection:
                connection.executemany(table.upsert, table.rows([{**dan, "dogs": [3]}], 3))
        finally:
            other.close()
        assert keys(store, case) == [3]
    finally:
        store.close()


def test_the_store_knows_the_objects_that_the_vectors_know(store: Store) -> None:
    objects = StoredObjects(store.connection, store.table)
    assert objects.get("Dog", 1) == WORLD.get("Dog", 1) and objects.get("Dog", 99) is None
    for name, prop, key in (
        ("Person", "dogs", 3),
        ("Person", "best", 4),
        ("Person", "kennel", 1),
        ("Dog", "owner", "ada"),
    ):
        found, known = (world.links_to(name, prop, key) for world in (objects, WORLD))
        assert [image["_id"] for image in found] == [image["_id"] for image in known]


def test_numbers_are_forgotten_when_there_are_many(store: Store) -> None:
    for number in range(REMEMBERED + 5):
        case = {"class": "Person", "query": f"scores == {number}"}
        expected = [image["_id"] for image in VECTORS["objects"]["Person"] if number in image["scores"]]
        assert keys(store, case) == expected
    assert keys(store, {"class": "Person", "query": "scores == 3"}) == ["ada", "cyd"]


def test_a_listener_hears_of_the_objects_that_its_query_reads(tmp_path: FilePath) -> None:
    dog = {"name": "Dog", "properties": {"_id": "int", "age": "int"}, "primaryKey": "_id"}
    person = {"name": "Person", "properties": {"_id": "string", "dogs": "Dog[]", "best": "Dog"}, "primaryKey": "_id"}
    with Realm(Configuration(path=tmp_path / "local.realm", schema=[person, dog])) as realm:
        with realm.write():
            rex = realm.create("Dog", {"_id": 1, "age": 1})
            realm.create("Person", {"_id": "ada", "dogs": [rex], "best": rex})
            realm.create("Person", {"_id": "bob"})
        heard: queue.Queue[list[Any]] = queue.Queue()
        old = realm.objects("Person").filtered("ANY dogs.age > 3")
        old.add_listener(lambda members, changes: heard.put([member._id for member in members]))
        by_age = realm.objects("Person").sorted("best.age")
        assert heard.get(timeout=5) == [] and [each._id for each in by_age] == ["ada", "bob"]
        with realm.write():
            rex.age = 5
        assert heard.get(timeout=5) == ["ada"]
        with realm.write():
            realm.delete(rex)
        assert heard.get(timeout=5) == []
