"""R1 for sets of links: a change of a ManyToManyField's rows is a change of the object that has the field."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import IntegrityError, connections, models, transaction
from django.test.utils import isolate_apps
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realm_sync import capture, history
from realm_sync.capture import migrations
from realm_sync.core.encoding import wire_set
from realm_sync.registry import ModelSync, Registry
from tests.test_capture import changes, kinds, replayed, sql


class World:
    """Crews have pilots and fly to airports; the tables of another app, made for one test."""

    def __init__(self, alias: str, cascades: bool = False) -> None:
        class Pilot(models.Model):
            id = models.BigIntegerField(primary_key=True)

            class Meta:
                app_label = "testapp"

        class Airport(models.Model):
            code = models.CharField(max_length=20, primary_key=True)

            class Meta:
                app_label = "testapp"

        class Crew(models.Model):
            id = models.IntegerField(primary_key=True)
            name = models.CharField(max_length=20, blank=True)
            pilots = models.ManyToManyField(Pilot, related_name="crews")
            airports = models.ManyToManyField(Airport, related_name="+")

            class Meta:
                app_label = "testapp"

        self.alias, self.connection = alias, connections[alias]
        self.Crew, self.Pilot, self.Airport = Crew, Pilot, Airport
        self.through: Any = Crew.pilots.through
        self.registry = Registry()
        self.bindings = [self.registry.register(Crew, ModelSync), self.registry.register(Pilot, ModelSync)]
        self.create(cascades)
        capture.install(self.connection, self.bindings)

    def create(self, cascades: bool) -> None:
        with self.connection.schema_editor() as editor:
            editor.create_model(self.Pilot)
            editor.create_model(self.Airport)
            editor.create_model(self.Crew)
        if cascades:
            sql(self.alias, "DROP TABLE testapp_crew_pilots")
            kind = "serial" if self.connection.vendor == "postgresql" else "integer"
            sql(
                self.alias,
                f"CREATE TABLE testapp_crew_pilots (id {kind} PRIMARY KEY,"
                " crew_id integer REFERENCES testapp_crew (id) ON DELETE CASCADE ON UPDATE CASCADE,"
                " pilot_id bigint REFERENCES testapp_pilot (id) ON DELETE CASCADE ON UPDATE CASCADE,"
                " UNIQUE (crew_id, pilot_id))",
            )

    def crews(self, *ids: int, pilots: tuple[int, ...] = ()) -> Any:
        self.Crew.objects.bulk_create([self.Crew(id=id) for id in ids])
        self.Pilot.objects.bulk_create([self.Pilot(id=id) for id in pilots])
        return self.Crew.objects.filter(id__in=ids).first()

    def link(self, *pairs: tuple[int, int]) -> None:
        self.through.objects.bulk_create([self.through(crew_id=crew, pilot_id=pilot) for crew, pilot in pairs])

    def tables(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What the images of bootstraps say, checked against the rows."""
        state = {}
        for binding in self.bindings:
            table = binding.model._meta.db_table
            for (text,) in sql(self.alias, f'SELECT {capture.image_sql(binding, table)} FROM "{table}"'):
                image = json.loads(text)
                state[binding.class_name, str(image["_id"])] = image
        for crew in self.Crew.objects.all():
            image = state["Crew", str(crew.id)]
            assert list(image) == list(self.registry.schema["Crew"].properties)
            ids = self.through.objects.filter(crew_id=crew.id).values_list("pilot_id", flat=True)
            assert image["pilots"] == wire_set(id if abs(id) <= 2**53 else str(id) for id in ids)
            assert image["airports"] == wire_set(crew.airports.values_list("code", flat=True))
        return state

    def check(self) -> None:
        assert replayed([c for c in changes(self.alias) if c.class_name in ("Crew", "Pilot")]) == self.tables()

    def sets(self, after: int, crew: int = 1) -> list[tuple[list[int], list[int]]]:
        """(before, after) of every change of a crew's pilots."""
        return [
            (json.loads(change.before or "")["pilots"], json.loads(change.after or "")["pilots"])
            for change in changes(self.alias, after)
            if (change.class_name, change.object_id, change.kind) == ("Crew", str(crew), "update")
        ]


@pytest.fixture
def world(each_database: str) -> Iterator[World]:
    with isolate_apps("tests.testapp"):
        yield World(each_database)


@contextmanager
def cascading(alias: str) -> Iterator[World]:
    with isolate_apps("tests.testapp"):
        yield World(alias, cascades=True)


def latest(world: World) -> int:
    return history.latest(world.connection)


def test_every_way_of_the_orm(world: World) -> None:
    crew = world.crews(1, pilots=(1, 2, 3))
    start = latest(world)
    crew.pilots.add(2)
    crew.pilots.add(3, 1)
    # One change of the set for each statement.
    assert world.sets(start) == [([], [2]), ([2], [1, 2, 3])]
    start = latest(world)
    crew.pilots.add(1, 2)
    crew.pilots.remove(7)
    assert world.sets(start) == []
    crew.pilots.remove(2)
    crew.pilots.set([3])
    assert world.sets(start) == [([1, 2, 3], [1, 3]), ([1, 3], [3])]
    start = latest(world)
    world.Pilot.objects.get(id=1).crews.add(crew)
    crew.pilots.clear()
    assert world.sets(start) == [([3], [1, 3]), ([1, 3], [])]
    start = latest(world)
    world.Airport.objects.create(code="EDDF")
    crew.airports.add("EDDF")
    (change,) = (each for each in changes(world.alias, start) if each.class_name == "Crew")
    assert json.loads(change.before or "") == {"airports": []}
    assert json.loads(change.after or "") == {"_id": 1, "name": "", "pilots": [], "airports": ["EDDF"]}
    crew.name = "Night"
    crew.save()
    assert json.loads(changes(world.alias)[-1].before or "") == {"name": ""}
    world.check()


def test_bulk_and_raw(world: World) -> None:
    world.crews(1, 2, 3, pilots=(1, 2, 3))
    world.link((1, 1), (2, 1), (2, 2), (3, 3))
    start = latest(world)
    sql(world.alias, "UPDATE testapp_crew_pilots SET pilot_id = 3 WHERE pilot_id = 1")
    sql(world.alias, "UPDATE testapp_crew_pilots SET pilot_id = pilot_id")
    assert (world.sets(start, 1), world.sets(start, 2)) == ([([1], [3])], [([1, 2], [2, 3])])
    start = latest(world)
    sql(world.alias, "UPDATE testapp_crew_pilots SET crew_id = 1 WHERE crew_id = 2 AND pilot_id = 2")
    assert (world.sets(start, 1), world.sets(start, 2)) == ([([3], [2, 3])], [([2, 3], [3])])
    start = latest(world)
    sql(world.alias, "DELETE FROM testapp_crew_pilots WHERE pilot_id = 3")
    assert (world.sets(start, 1), world.sets(start, 3)) == ([([2, 3], [2])], [([3], [])])
    world.check()
    with transaction.atomic(world.alias):
        world.link((3, 1))
        transaction.set_rollback(True, world.alias)
    world.check()


def test_the_order_is_that_of_sets_on_the_wire(world: World) -> None:
    numbers = (5, -3, 10, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 99)
    crew = world.crews(1, pilots=numbers)
    crew.pilots.set(numbers)
    names = ["b", "a", "B", "Z", '"', "\\", "é", "ß"]
    world.Airport.objects.bulk_create([world.Airport(code=name) for name in names])
    crew.airports.set(names)
    world.check()
    image = world.tables()["Crew", "1"]
    assert image["pilots"][:5] == [-3, 5, 10, 99, 2**53] and image["airports"] == sorted(names)


@pytest.mark.parametrize("way", ["instance", "queryset", "raw"])
def test_an_owner_that_is_deleted(world: World, way: str) -> None:
    crew = world.crews(1, 2, pilots=(1, 2))
    world.link((1, 1), (1, 2), (2, 1))
    if way == "instance":
        crew.delete()
    elif way == "queryset":
        world.Crew.objects.filter(id=1).delete()
    else:
        with transaction.atomic(world.alias):  # constraints are deferred
            sql(world.alias, "DELETE FROM testapp_crew WHERE id = 1")
            sql(world.alias, "DELETE FROM testapp_crew_pilots WHERE crew_id = 1")
    assert kinds(world.alias)[-1] == ("delete", "1")
    world.check()


def test_a_target_that_is_deleted_leaves_every_set(world: World) -> None:
    world.crews(1, 2, pilots=(1, 2))
    world.link((1, 1), (1, 2), (2, 1))
    start = latest(world)
    world.Pilot.objects.get(id=1).delete()
    assert (world.sets(start, 1), world.sets(start, 2)) == ([([1, 2], [2])], [([1], [])])
    world.check()


def test_cascades_of_the_database(each_database: str) -> None:
    with cascading(each_database) as world:
        world.crews(1, 2, 3, pilots=(1, 2, 3))
        world.link((1, 1), (1, 2), (2, 1), (3, 3))
        start = latest(world)
        sql(each_database, "DELETE FROM testapp_crew WHERE id = 1")
        (change,) = changes(each_database, start)
        assert (change.kind, json.loads(change.before or "")["pilots"]) == ("delete", [1, 2])
        start = latest(world)
        sql(each_database, "DELETE FROM testapp_pilot WHERE id = 1")
        assert sorted(kinds(each_database, start)) == [("delete", "1"), ("update", "2")]
        sql(each_database, "UPDATE testapp_pilot SET id = 4 WHERE id = 3")
        assert world.sets(start, 3) == [([3], [4])]
        world.check()
        # What was noted of one life is not told of the next.
        with transaction.atomic(each_database):
            for pilots in ((2,), (4, 2)):
                world.crews(5)
                world.link(*((5, pilot) for pilot in pilots))
                sql(each_database, "DELETE FROM testapp_crew WHERE id = 5")
        world.check()
        start = latest(world)
        sql(each_database, "UPDATE testapp_crew SET id = 6 WHERE id = 3")
        found = {(change.kind, change.object_id): change for change in changes(each_database, start)}
        assert json.loads(found["delete", "3"].before or "")["pilots"] == [4]
        assert json.loads(found["insert", "6"].after or "")["pilots"] == [4]


@pytest.mark.parametrize("each_database", ["postgresql"], indirect=True)
def test_many_owners_that_the_database_cascades_from(each_database: str) -> None:
    with cascading(each_database) as world:
        world.crews(*range(2000), pilots=(1, 2))
        world.link(*((crew, pilot) for crew in range(2000) for pilot in (1, 2)))
        began = time.monotonic()
        sql(each_database, "DELETE FROM testapp_crew")
        assert time.monotonic() - began < 10
        world.check()


@pytest.mark.parametrize("each_database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("tables", ["testapp_crew_pilots", "testapp_crew, testapp_crew_pilots, testapp_crew_airports"])
def test_truncate(world: World, tables: str) -> None:
    world.crews(1, 2, 3, pilots=(1, 2))
    world.link((1, 1), (1, 2), (2, 1))
    sql(world.alias, f"TRUNCATE {tables}")
    world.check()


@pytest.mark.parametrize("each_database", ["postgresql"], indirect=True)
def test_two_transactions_that_add_to_one_set(world: World) -> None:
    """Each sees only its own rows, but the last word of the history has both."""
    crew = world.crews(1, pilots=(1, 2))
    added, may_commit = threading.Event(), threading.Event()

    def other() -> None:
        try:
            with transaction.atomic(world.alias):
                world.through.objects.create(crew_id=1, pilot_id=1)
                added.set()
                assert may_commit.wait(10)
        finally:
            connections.close_all()

    def update() -> None:
        try:
            world.Crew.objects.filter(id=1).update(name="Night")
        finally:
            connections.close_all()

    first, third = threading.Thread(target=other), threading.Thread(target=update)
    first.start()
    assert added.wait(10)
    threading.Timer(0.5, may_commit.set).start()
    third.start()
    crew.pilots.add(2)
    first.join()
    third.join()
    world.check()


@pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("recursive", [False, True])
def test_owners_that_replace_removes(world: World, recursive: bool) -> None:
    sql(world.alias, f"PRAGMA recursive_triggers = {int(recursive)}")
    world.crews(1, 2, pilots=(1, 2))
    world.link((1, 1), (2, 1), (2, 2))
    sql(world.alias, "REPLACE INTO testapp_crew (id, name) VALUES (1, 'again')")
    world.check()
    with transaction.atomic(world.alias):
        sql(world.alias, "UPDATE OR REPLACE testapp_crew SET id = 2 WHERE id = 1")
        sql(world.alias, "DELETE FROM testapp_crew_pilots WHERE crew_id = 1")
    world.check()
    assert world.tables()["Crew", "2"]["pilots"] == [1, 2]


def test_statements_that_follow_each_other_are_changes_of_their_own(world: World) -> None:
    """However fast, in one transaction or in several, by one connection or by new ones."""
    crew = world.crews(1, pilots=tuple(range(40)))
    start = latest(world)
    for number in range(10):
        crew.pilots.add(number)
    with transaction.atomic(world.alias):
        for number in range(10, 20):
            crew.pilots.add(number)
    for number in range(20, 40):
        if number % 5 == 0:
            world.connection.close()
        sql(world.alias, "INSERT INTO testapp_crew_pilots (crew_id, pilot_id) VALUES (1, %s)", number)
    assert world.sets(start) == [(list(range(at)), list(range(at + 1))) for at in range(40)]
    world.check()


def test_large_sets_and_many_owners(world: World) -> None:
    many = 500 if world.connection.vendor == "sqlite" else 5000
    crew = world.crews(*range(1, many), pilots=tuple(range(many)))
    began = time.monotonic()
    crew.pilots.add(*range(many))
    world.link(*((number, number) for number in range(2, many)))
    # A plan that was made for many rows and is kept does for one.
    for number in range(2, 40):
        world.link((number, 1))
    world.Pilot.objects.get(id=1).delete()
    crew.pilots.clear()
    assert time.monotonic() - began < 20
    world.check()


# Triggers


def test_a_set_that_begins_to_sync_is_logged_where_it_is_not_empty(world: World) -> None:
    world.crews(1, 2, pilots=(1,))
    world.link((1, 1))
    (binding, _) = world.bindings
    binding.exclude = ("pilots",)
    del binding.sets_by_name
    capture.install(world.connection, world.bindings)
    assert {row.state for row in capture.status(world.connection, world.bindings)} == {"INSTALLED"}
    world.link((2, 1))
    world.through.objects.filter(crew_id=2).delete()
    binding.exclude = ()
    del binding.sets_by_name
    start = latest(world)
    assert "MISSING" in {row.state for row in capture.status(world.connection, world.bindings)}
    capture.install(world.connection, world.bindings)
    (change,) = changes(world.alias, start)
    assert (change.object_id, change.before) == ("1", '{"pilots":null}')
    assert json.loads(change.after or "")["pilots"] == [1]
    capture.install(world.connection, world.bindings)
    assert len(changes(world.alias, start)) == 1


def test_its_tables_may_be_migrated(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their triggers name each other's columns, and step aside together."""
    world.crews(1, pilots=(1, 2))
    world.link((1, 1))
    monkeypatch.setattr(capture, "registry", world.bindings)
    migrations.begin(world.connection)
    field = models.IntegerField(null=True)
    field.set_attributes_from_name("hours")
    with world.connection.schema_editor() as editor:
        editor.add_field(world.Crew, field)
        editor.remove_field(world.Crew, world.Crew._meta.get_field("name"))
    world.link((1, 2))
    with world.connection.schema_editor() as editor:
        editor.alter_db_table(world.through, "testapp_crew_pilots", "crew_and_pilot")
        editor.alter_db_table(world.through, "crew_and_pilot", "testapp_crew_pilots")
    sql(world.alias, "DELETE FROM testapp_crew_pilots WHERE pilot_id = 1")
    assert world.sets(0) == [([], [1]), ([1], [1, 2]), ([1, 2], [2])]
    with world.connection.schema_editor() as editor:
        editor.delete_model(world.through)
    sql(world.alias, "UPDATE testapp_crew SET hours = 7")
    migrations.end(world.connection)
    assert {row.state for row in capture.status(world.connection, world.bindings)} == {"INSTALLED"}
    sql(world.alias, "DELETE FROM testapp_crew")
    assert json.loads(changes(world.alias)[-1].before or "") == {"_id": 1, "airports": []}


# Any mix of writers

ids = st.integers(1, 3)
steps = st.one_of(
    st.tuples(st.sampled_from(["add", "remove", "set", "bulk", "retarget", "reown"]), ids, st.sets(ids, max_size=3)),
    st.tuples(st.sampled_from(["drop crew", "drop pilot", "make", "name", "raw drop"]), ids, st.just(frozenset())),
)


def perform(world: World, kind: str, id: int, others: set[int]) -> None:
    crew = world.Crew(id=id)
    match kind:
        case "add":
            crew.pilots.add(*others)
        case "remove":
            crew.pilots.remove(*others)
        case "set":
            crew.pilots.set(others)
        case "bulk":
            world.through.objects.bulk_create(
                [world.through(crew_id=other, pilot_id=id) for other in others], ignore_conflicts=True
            )
        case "retarget" | "reown":
            column, key = ("pilot_id", "crew_id") if kind == "retarget" else ("crew_id", "pilot_id")
            for other in others:
                sql(
                    world.alias,
                    f"UPDATE testapp_crew_pilots SET {column} = %s WHERE {key} = %s AND {column} = %s"
                    f" AND NOT EXISTS (SELECT 1 FROM testapp_crew_pilots p WHERE p.{key} = %s AND p.{column} = %s)",
                    id,
                    other,
                    other,
                    other,
                    id,
                )
        case "drop crew":
            world.Crew.objects.filter(id=id).delete()
        case "drop pilot":
            world.Pilot.objects.filter(id=id).delete()
        case "raw drop":
            sql(world.alias, "DELETE FROM testapp_crew WHERE id = %s", id)
            sql(world.alias, "DELETE FROM testapp_crew_pilots WHERE crew_id = %s", id)
        case "make":
            world.Crew.objects.bulk_create([crew], ignore_conflicts=True)
            world.Pilot.objects.bulk_create([world.Pilot(id=id)], ignore_conflicts=True)
        case "name":
            world.Crew.objects.update(name=str(time.monotonic())[-5:])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(program=st.lists(st.lists(steps, max_size=4), max_size=6))
def test_replaying_the_history_gives_the_tables(world: World, program: list[list[Any]]) -> None:
    world.crews(*({1, 2} - set(world.Crew.objects.values_list("id", flat=True))))
    for body in program:
        try:
            with transaction.atomic(world.alias):
                for step in body:
                    perform(world, *step)
        except IntegrityError:  # a link to what is not there
            continue
    world.check()
