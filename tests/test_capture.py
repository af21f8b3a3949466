"""R1: every committed change of a synced table, by whatever writer, is in the history exactly once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import IntegrityError, OperationalError, connections, models, transaction
from django.db.migrations import AddField, RemoveField, RunSQL
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.test.utils import isolate_apps
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realm_sync import capture, history
from realm_sync.capture import migrations
from realm_sync.capture.columns import LONGEST_NAME, trigger_name
from realm_sync.core.changes import Change
from realm_sync.models import Change as HistoryRow
from realm_sync.registry import ModelSync, Registry
from tests.test_images import images
from tests.testapp.models import Airfield, Inspection, Sample, Team


def sql(alias: str, statement: str, *parameters: Any) -> Any:
    with connections[alias].cursor() as cursor:
        cursor.execute(statement, parameters or None)
        return cursor.fetchall() if cursor.description else None


def changes(alias: str, after: int = 0) -> list[Change]:
    """All there is, also what cannot be read without a gap yet."""
    return history.read(connections[alias], after, 1_000_000, in_snapshot=True).changes


def kinds(alias: str, after: int = 0) -> list[tuple[str, str]]:
    return [(change.kind, change.object_id) for change in changes(alias, after)]


def replayed(found: list[Change]) -> dict[tuple[str, str], dict[str, Any]]:
    """The tables as the history tells them; checks that every change fits what was before it."""
    state: dict[tuple[str, str], dict[str, Any]] = {}
    for change in found:
        key = change.class_name, change.object_id
        if change.kind == "insert":
            assert key not in state and change.before is None
            state[key] = json.loads(change.after or "")
        elif change.kind == "update":
            before, after = json.loads(change.before or ""), json.loads(change.after or "")
            assert before and {**after, **before} == state[key]
            assert all(after[name] != value for name, value in before.items())
            state[key] = after
        else:
            assert change.kind == "delete" and change.after is None
            assert json.loads(change.before or "") == state.pop(key)
    return state


def tables(*selected: type[models.Model]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (model.__name__, key): json.loads(image)
        for model in selected or (Airfield, Team, Inspection, Sample)
        for key, image in images(model).items()
    }


def airfield(icao: str, **values: Any) -> Airfield:
    return Airfield(icao=icao, **values)


# Writers


def test_every_way_of_the_orm(each_database: str) -> None:
    frankfurt = Airfield.objects.create(icao="EDDF", name="Frankfurt")
    frankfurt.name = "Frankfurt am Main"
    frankfurt.save()
    Airfield.objects.bulk_create([airfield(f"X{number}") for number in range(3)])
    fields = list(Airfield.objects.filter(icao__startswith="X"))
    for number, each in enumerate(fields):
        each.elevation = number
    Airfield.objects.bulk_update(fields, ["elevation"])
    Airfield.objects.filter(icao="X0").update(country="DE")
    Airfield.objects.update_or_create(icao="X1", defaults={"name": "one"})
    Airfield.objects.filter(icao="X2").delete()
    frankfurt.delete()
    assert kinds(each_database) == [
        ("insert", "EDDF"), ("update", "EDDF"), ("insert", "X0"), ("insert", "X1"), ("insert", "X2"),
        ("update", "X0"), ("update", "X1"), ("update", "X2"), ("update", "X0"), ("update", "X1"),
        ("delete", "X2"), ("delete", "EDDF"),
    ]  # fmt: skip
    assert replayed(changes(each_database)) == tables()


def test_an_update_that_changes_nothing_that_syncs_logs_nothing(each_database: str) -> None:
    team = Team.objects.create(name="North")
    before = history.latest(connections[each_database])
    team.save()
    Team.objects.update(name="North")
    sql(each_database, "UPDATE testapp_team SET name = name")
    assert kinds(each_database, before) == []
    Team.objects.update(name="north")
    assert kinds(each_database, before) == [("update", str(team.id))]


def test_bulk_create_that_ignores_or_updates_conflicts(each_database: str) -> None:
    Airfield.objects.create(icao="EDDF", name="old")
    before = history.latest(connections[each_database])
    Airfield.objects.bulk_create([airfield("EDDF", name="new"), airfield("EDDM")], ignore_conflicts=True)
    assert kinds(each_database, before) == [("insert", "EDDM")]
    Airfield.objects.bulk_create(
        [airfield("EDDF", name="new"), airfield("EDDN")],
        update_conflicts=True, update_fields=["name"], unique_fields=["icao"],
    )  # fmt: skip
    assert sorted(kinds(each_database, before)[1:]) == [("insert", "EDDN"), ("update", "EDDF")]
    Airfield.objects.all().delete()
    assert replayed(changes(each_database)) == tables() == {}


def test_cascades_of_django_and_of_the_database(each_database: str) -> None:
    team = Team.objects.create(name="North")
    field = Airfield.objects.create(icao="EDDF")
    planned = Inspection.objects.create(team=team, airfield=field)
    sample = Sample.objects.create(team=team)
    before = history.latest(connections[each_database])
    expected = [("delete", str(team.id)), ("delete", str(planned.id)), ("update", str(sample.id))]
    team.delete()
    assert sorted(kinds(each_database, before)) == sorted(expected)
    assert replayed(changes(each_database)) == tables()


@contextmanager
def hangar_tables(alias: str, name: str = "hangar") -> Iterator[tuple[type[models.Model], type[models.Model], Any]]:
    """Two more classes: hangars with two unique keys, and planes that the database deletes with their hangar."""
    with isolate_apps("tests.testapp"):

        class Hangar(models.Model):
            id = models.IntegerField(primary_key=True)
            code = models.CharField(max_length=20, unique=True)
            row = models.IntegerField(null=True)
            place = models.IntegerField(null=True)
            unsynced = models.IntegerField(null=True, unique=True)

            class Meta:
                app_label = "testapp"
                db_table = name
                constraints = (models.UniqueConstraint(fields=["row", "place"], name=f"{name[:20]}_place"),)

        class Plane(models.Model):
            id = models.IntegerField(primary_key=True)
            hangar = models.ForeignKey(Hangar, models.DO_NOTHING, db_constraint=False)

            class Meta:
                app_label = "testapp"

        class HangarSync(ModelSync):
            exclude = ("unsynced",)

        registry = Registry()
        bindings = [registry.register(Hangar, HangarSync), registry.register(Plane, ModelSync)]
        connection = connections[alias]
        with connection.schema_editor() as editor:
            editor.create_model(Hangar)
        sql(
            alias,
            "CREATE TABLE testapp_plane (id integer PRIMARY KEY,"
            f' hangar_id integer REFERENCES "{name}" (id) ON DELETE CASCADE ON UPDATE CASCADE)',
        )
        capture.install(connection, bindings)
        yield Hangar, Plane, bindings


def test_cascades_that_only_the_database_knows(each_database: str) -> None:
    with hangar_tables(each_database):
        sql(each_database, "INSERT INTO hangar (id, code) VALUES (1, 'a'), (2, 'b')")
        sql(each_database, "INSERT INTO testapp_plane (id, hangar_id) VALUES (10, 1), (20, 2)")
        before = history.latest(connections[each_database])
        sql(each_database, "DELETE FROM hangar WHERE id = 1")
        assert sorted(kinds(each_database, before)) == [("delete", "1"), ("delete", "10")]
        before = history.latest(connections[each_database])
        sql(each_database, "UPDATE hangar SET id = 3 WHERE id = 2")
        found = kinds(each_database, before)
        assert sorted(found) == [("delete", "2"), ("insert", "3"), ("update", "20")]
        assert replayed(changes(each_database))["Plane", "20"] == {"_id": 20, "hangar": 3}


def test_a_new_primary_key_is_a_delete_and_an_insert(each_database: str) -> None:
    Airfield.objects.bulk_create([airfield("A"), airfield("B")])
    before = history.latest(connections[each_database])
    sql(each_database, "UPDATE testapp_airfield SET icao = 'C', name = 'x' WHERE icao = 'A'")
    assert kinds(each_database, before) == [("delete", "A"), ("insert", "C")]
    assert replayed(changes(each_database)) == tables()


def test_delete_without_where_and_truncate(each_database: str) -> None:
    Airfield.objects.bulk_create([airfield("A"), airfield("B")])
    Team.objects.create()
    before = history.latest(connections[each_database])
    if connections[each_database].vendor == "postgresql":
        sql(each_database, "TRUNCATE testapp_airfield, testapp_team CASCADE")
    else:
        sql(each_database, "DELETE FROM testapp_airfield")
        sql(each_database, "DELETE FROM testapp_team")
    assert [kind for kind, _ in kinds(each_database, before)] == ["delete"] * 3
    assert replayed(changes(each_database)) == {}


def test_flush_begins_a_new_life(each_database: str) -> None:
    """It empties the tables of realm_sync too."""
    connection = connections[each_database]
    Airfield.objects.create(icao="A")
    epoch = history.epoch(connection)
    call_command("flush", database=each_database, interactive=False, verbosity=0)
    assert history.epoch(connection) != epoch
    before = history.latest(connection)
    Airfield.objects.create(icao="A")
    assert kinds(each_database, before) == [("insert", "A")]


def test_nothing_is_left_of_what_was_rolled_back(each_database: str) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic(each_database):
        Airfield.objects.create(icao="A")
        raise ZeroDivisionError
    with transaction.atomic(each_database):
        Airfield.objects.create(icao="B")
        with pytest.raises(IntegrityError), transaction.atomic(each_database):
            Airfield.objects.create(icao="C")
            sql(each_database, "INSERT INTO testapp_airfield (icao, name, country) VALUES ('B', '', '')")
        Airfield.objects.create(icao="D")
    with pytest.raises(IntegrityError):
        sql(each_database, "INSERT INTO testapp_airfield (icao, name, country) VALUES ('E', '', ''), ('B', '', '')")
    assert kinds(each_database) == [("insert", "B"), ("insert", "D")]
    assert replayed(changes(each_database)) == tables()


def test_an_upload_bears_its_origin_until_it_ends(each_database: str) -> None:
    connection = connections[each_database]
    with transaction.atomic(each_database):
        capture.set_origin(connection, 7)
        Airfield.objects.create(icao="A")
        capture.set_origin(connection, 0)
        Airfield.objects.create(icao="B")
    with pytest.raises(ZeroDivisionError), transaction.atomic(each_database):
        capture.set_origin(connection, 7)
        raise ZeroDivisionError
    Airfield.objects.create(icao="C")
    assert [(change.object_id, change.origin) for change in changes(each_database)] == [("A", 7), ("B", 0), ("C", 0)]


def test_one_transaction_is_one_version_on_postgresql_and_a_row_is_one_on_sqlite(each_database: str) -> None:
    with transaction.atomic(each_database):
        Airfield.objects.bulk_create([airfield(f"A{number}") for number in range(5)])
        Team.objects.create()
    Airfield.objects.all().delete()
    found = changes(each_database)
    if connections[each_database].vendor == "postgresql":
        assert [len([c for c in found if c.version == version]) for version in sorted({c.version for c in found})] == [
            6,
            5,
        ]
    else:
        assert all(change.version == change.id for change in found)


@pytest.mark.parametrize("each_database", ["postgresql"], indirect=True)
def test_versions_tell_the_order_in_which_an_object_was_written(each_database: str, postgres_cluster: Any) -> None:
    """Also if the transaction that wrote it last began first; and nobody reads half of that order."""
    connection = connections[each_database]
    insert = "INSERT INTO testapp_airfield (icao, name, country) VALUES (%s, '', '')"
    url = postgres_cluster.url(connection.settings_dict["NAME"])
    with psycopg.connect(url) as first, psycopg.connect(url) as between, psycopg.connect(url) as second:
        first.execute(insert, ["EDDM"])
        between.execute("SELECT pg_current_xact_id()")
        second.execute(insert, ["EDDF"])
        second.commit()
        first.execute("DELETE FROM testapp_airfield WHERE icao = 'EDDF'")
        assert history.read(connection, 0, 10).changes == []
        first.commit()
        # Begun after the first and before the second, it still hides what the second wrote, and its deletion.
        batch = history.read(connection, 0, 10)
        assert [change.object_id for change in batch.changes] == ["EDDM"]
        between.commit()
    rest = history.read(connection, batch.upto, 10).changes
    assert [(change.kind, change.object_id) for change in rest] == [("insert", "EDDF"), ("delete", "EDDF")]
    assert replayed(batch.changes + rest) == tables()


# REPLACE, which SQLite's delete triggers do not see


@pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("recursive", [False, True])
def test_rows_that_replace_removes_are_logged(each_database: str, recursive: bool) -> None:
    def run(statement: str) -> list[tuple[str, str]]:
        before = history.latest(connections[each_database])
        sql(each_database, statement)
        assert replayed(changes(each_database)) == {
            ("Hangar", str(row[0])): {"_id": row[0], "code": row[1], "row": row[2], "place": row[3]}
            for row in sql(each_database, "SELECT id, code, row, place FROM hangar")
        }
        return kinds(each_database, before)

    sql(each_database, f"PRAGMA recursive_triggers = {int(recursive)}")
    with hangar_tables(each_database):
        insert, replace = "INSERT INTO hangar VALUES ", "REPLACE INTO hangar VALUES "
        assert run(insert + "(1, 'a', 1, 1, 1), (2, 'b', 1, 2, 2)") == [("insert", "1"), ("insert", "2")]
        assert run(replace + "(1, 'a', 1, 1, 1)") == [("delete", "1"), ("insert", "1")]
        assert run(replace + "(3, 'a', 9, 9, 9)") == [("delete", "1"), ("insert", "3")]
        assert sorted(run(replace + "(4, 'a', 1, 2, 8)")) == [("delete", "2"), ("delete", "3"), ("insert", "4")]
        assert run(replace + "(5, 'e', 5, 5, 8)") == [("delete", "4"), ("insert", "5")]
        assert run(replace + "(6, 'f', 6, 6, 6), (6, 'g', 6, 6, 6), (7, 'g', 7, 7, 7)") == [
            ("insert", "6"), ("delete", "6"), ("insert", "6"), ("delete", "6"), ("insert", "7"),
        ]  # fmt: skip
        # Rows that collide and stay.
        assert run("INSERT OR IGNORE INTO hangar VALUES (7, 'x', 8, 8, 8), (8, 'h', 8, 8, 88)") == [("insert", "8")]
        assert run("INSERT OR IGNORE INTO hangar VALUES (7, 'x', 8, 8, 8)") == []
        assert run("DELETE FROM hangar WHERE id = 7") == [("delete", "7")]
        assert run(insert + "(7, 'g', 7, 7, 7)") == [("insert", "7")]
        upsert = " ON CONFLICT (id) DO UPDATE SET code = excluded.code, unsynced = excluded.unsynced"
        assert run(insert + "(7, 'G', 7, 7, 70)" + upsert) == [("update", "7")]
        assert run(insert + "(7, 'G', 7, 7, 71)" + upsert) == []
        assert run("UPDATE hangar SET id = 70 WHERE id = 7") == [("delete", "7"), ("insert", "70")]
        assert run(insert + "(9, 'i', 9, 9, 9)") == [("insert", "9")]
        # The same by UPDATE: by a unique key, by one that does not sync, by the primary key.
        assert run("UPDATE OR REPLACE hangar SET code = 'i' WHERE id = 70") == [("delete", "9"), ("update", "70")] or (
            kinds(each_database)[-2:] == [("update", "70"), ("delete", "9")]
        )
        assert run("UPDATE OR REPLACE hangar SET unsynced = 88 WHERE id = 70") == [("delete", "8")]
        assert run("UPDATE OR IGNORE hangar SET id = 5 WHERE id = 70") == []
        assert run("UPDATE OR REPLACE hangar SET id = 5 WHERE id = 70") == [
            ("delete", "5"), ("delete", "70"), ("insert", "5"),
        ]  # fmt: skip


# Triggers


def states(alias: str, *arguments: Any) -> set[str]:
    return {row.state for row in capture.status(connections[alias], *arguments)}


def test_installing_is_idempotent_and_mends_what_is_wrong(each_database: str) -> None:
    connection = connections[each_database]
    assert states(each_database) == {"INSTALLED"}
    name = trigger_name("testapp_airfield", "insert")
    on = " ON testapp_airfield" if connection.vendor == "postgresql" else ""
    sql(each_database, f"DROP TRIGGER {name}{on}")
    assert [row.name for row in capture.status(connection) if row.state == "MISSING"] == [name]
    if connection.vendor == "postgresql":
        sql(each_database, f"CREATE TRIGGER {name} AFTER INSERT ON testapp_airfield EXECUTE FUNCTION {name}()")
        sql(each_database, f"COMMENT ON TRIGGER {name} ON testapp_airfield IS 'of another version'")
    else:
        sql(each_database, f"CREATE TRIGGER {name} AFTER INSERT ON testapp_airfield BEGIN SELECT 1; END")
    assert [row.name for row in capture.status(connection) if row.state == "OUTDATED"] == [name]
    capture.install(connection)
    assert states(each_database) == {"INSTALLED"}
    with connection.execute_wrapper(refuse_changes):
        capture.install(connection)
    capture.uninstall(connection)
    assert states(each_database) == {"MISSING"}
    Airfield.objects.create(icao="A")
    assert kinds(each_database) == []
    capture.install(connection)
    assert states(each_database) == {"INSTALLED"}


def refuse_changes(execute: Callable[..., Any], statement: str, *rest: Any) -> Any:
    assert not statement.startswith(("CREATE", "DROP", "COMMENT")), statement
    return execute(statement, *rest)


def test_a_disabled_trigger_is_missing(each_database: str) -> None:
    if connections[each_database].vendor == "postgresql":
        sql(each_database, "ALTER TABLE testapp_airfield DISABLE TRIGGER USER")
        assert "MISSING" in states(each_database)
        capture.install(connections[each_database])
        assert states(each_database) == {"INSTALLED"}
        Airfield.objects.create(icao="A")
        assert kinds(each_database) == [("insert", "A")]


def test_triggers_of_models_that_no_longer_sync_are_stray_and_go(each_database: str) -> None:
    with hangar_tables(each_database) as (_, _, bindings):
        connection = connections[each_database]
        assert states(each_database, bindings[:1]) == {"INSTALLED", "STRAY"}
        capture.install(connection, bindings[:1])
        assert states(each_database, bindings[:1]) == {"INSTALLED"}
        sql(each_database, "INSERT INTO hangar (id, code) VALUES (1, 'a')")
        sql(each_database, "INSERT INTO testapp_plane VALUES (1, 1)")
        assert kinds(each_database) == [("insert", "1")]


def test_a_model_without_a_table_is_left_for_later(each_database: str) -> None:
    with hangar_tables(each_database) as (_, _, bindings):
        sql(each_database, "DROP TABLE testapp_plane")
        capture.install(connections[each_database], bindings)
        assert {row.table.split(".")[-1] for row in capture.status(connections[each_database], bindings)} == {"hangar"}


def test_long_and_awkward_table_names(each_database: str) -> None:
    name = "Hangars & 'sheds' of North; " + "ä" * 16
    assert len(name.encode()) <= LONGEST_NAME
    with hangar_tables(each_database, name) as (hangar, _, bindings):
        assert states(each_database, bindings) == {"INSTALLED"}
        assert all(
            len(row.name.encode()) <= LONGEST_NAME for row in capture.status(connections[each_database], bindings)
        )
        hangar(id=1, code="a").save()
        hangar.objects.update(code="b")
        hangar.objects.all().delete()
        assert [kind for kind, _ in kinds(each_database)] == ["insert", "update", "delete"]


def test_many_columns(each_database: str) -> None:
    """More than functions have arguments."""
    with isolate_apps("tests.testapp"):
        fields = {f"f{number}": models.IntegerField(null=True) for number in range(150)}
        meta = type("Meta", (), {"app_label": "testapp"})
        log_book = type("LogBook", (models.Model,), {"__module__": __name__, "Meta": meta, **fields})
        binding = Registry().register(log_book, ModelSync)
        with connections[each_database].schema_editor() as editor:
            editor.create_model(log_book)
        capture.install(connections[each_database], [binding])
        log_book.objects.create(f149=1)
        log_book.objects.update(f0=2)
        log_book.objects.all().delete()
        assert len(json.loads(changes(each_database)[1].after or "")) == 151
        replayed(changes(each_database))


@pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
def test_triggers_are_back_after_django_rebuilt_the_table(each_database: str) -> None:
    connection = connections[each_database]
    Airfield.objects.create(icao="A")
    with connection.schema_editor() as editor:
        old = Airfield._meta.get_field("name")
        new = models.CharField(max_length=500)
        new.set_attributes_from_name("name")
        editor.alter_field(Airfield, old, new, strict=True)
        editor._remake_table(Airfield)
    assert "MISSING" in states(each_database)
    call_command("migrate", database=each_database, verbosity=0)
    assert states(each_database) == {"INSTALLED"}
    Airfield.objects.create(icao="B")
    assert kinds(each_database) == [("insert", "A"), ("insert", "B")]


def apply(alias: str, state: ProjectState, *operations: Operation) -> ProjectState:
    """One migration of the test app."""
    with connections[alias].schema_editor() as editor:
        for operation in operations:
            old, state = state, state.clone()
            operation.state_forwards("testapp", state)
            operation.database_forwards("testapp", editor, old, state)
    return state


def test_migrations_may_change_tables_and_write_to_them(each_database: str) -> None:
    """As a migrate does whose models have two new fields, with data migrations before, between and after."""
    connection = connections[each_database]
    fields = {name: Airfield._meta.get_field(name).clone() for name in ("elevation", "country", "latitude")}
    add = {name: AddField("airfield", name, field) for name, field in fields.items()}
    remove = {name: RemoveField("airfield", name) for name in fields}
    Airfield.objects.bulk_create([airfield("A", name="x"), airfield("B")])
    capture.uninstall(connection)
    state = apply(each_database, ProjectState.from_apps(apps), remove["elevation"], remove["country"])
    capture.install(connection)
    start = history.latest(connection)

    migrations.begin(connection)
    fill = "UPDATE testapp_airfield SET name = 'filled' WHERE icao = 'A'"
    state = apply(each_database, state, RunSQL(fill), add["country"], RunSQL(fill.replace("filled", "again")))
    # SQLite rebuilds the table for one of them and alters it in place for the other.
    state = apply(each_database, state, add["elevation"], remove["latitude"])
    sql(each_database, "UPDATE testapp_airfield SET elevation = 7 WHERE icao = 'B'")
    sql(each_database, "DELETE FROM testapp_airfield WHERE icao = 'B'")
    apply(each_database, state, add["latitude"])
    migrations.end(connection)

    assert states(each_database) == {"INSTALLED"} and not connection.execute_wrappers
    found = [
        (change.kind, change.object_id, json.loads(change.before or "")) for change in changes(each_database, start)
    ]
    assert found[:1] == [("update", "A", {"name": "x"})]
    # A column that is new holds something that no client knows.
    assert sorted(found[1:3], key=str) == [("update", "A", {"country": None}), ("update", "B", {"country": None})]
    assert found[3:] == [
        ("update", "A", {"name": "filled"}),
        ("update", "B", {"elevation": None}),
        ("delete", "B", {"_id": "B", "name": "", "country": "", "longitude": None, "elevation": 7}),
    ]
    assert json.loads(changes(each_database, start)[1].after or "")["country"] == ""
    Airfield.objects.filter(icao="A").update(elevation=1)
    assert kinds(each_database)[-1] == ("update", "A")


def test_a_property_that_begins_to_sync_is_logged_for_every_row(each_database: str) -> None:
    with hangar_tables(each_database) as (_, _, bindings):
        sql(each_database, "INSERT INTO hangar (id, code, unsynced) VALUES (1, 'a', 10), (2, 'b', NULL)")
        start = history.latest(connections[each_database])
        bindings[0].exclude = ()
        del bindings[0].fields_by_name
        capture.install(connections[each_database], bindings)
        (change,) = changes(each_database, start)
        assert (change.kind, change.object_id, change.before) == ("update", "1", '{"unsynced":null}')
        assert json.loads(change.after or "")["unsynced"] == 10
        capture.install(connections[each_database], bindings)
        assert len(changes(each_database, start)) == 1


@pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
def test_the_history_itself_may_be_migrated(each_database: str) -> None:
    connection = connections[each_database]
    migrations.begin(connection)
    with connection.schema_editor() as editor:
        editor._remake_table(HistoryRow)
    migrations.end(connection)
    assert states(each_database) == {"INSTALLED"}
    Airfield.objects.create(icao="A")
    assert kinds(each_database) == [("insert", "A")]


@pytest.mark.parametrize("each_database", ["postgresql"], indirect=True)
def test_writers_need_no_rights_on_the_history_and_no_search_path(each_database: str, postgres_cluster: Any) -> None:
    role = f"{postgres_cluster.prefix}writer"
    sql(each_database, f"CREATE ROLE {role} LOGIN")
    try:
        sql(each_database, f"GRANT INSERT, UPDATE, DELETE, SELECT, TRUNCATE ON testapp_airfield TO {role}")
        url = postgres_cluster.url(connections[each_database].settings_dict["NAME"])
        with psycopg.connect(url, user=role, autocommit=True) as writer:
            writer.execute("SET search_path = ''")
            writer.execute("SET extra_float_digits = 0")
            writer.execute("SET TimeZone = 'Asia/Kathmandu'")
            writer.execute("CREATE TEMP TABLE realm_sync_change (class text)")
            writer.execute(
                "INSERT INTO public.testapp_airfield (icao, name, country, latitude) VALUES ('A', '', '', 0.1::float8 + 0.2)"
            )
            with writer.cursor().copy("COPY public.testapp_airfield (icao, name, country) FROM STDIN") as copy:
                copy.write_row(("B", "", ""))
    finally:
        sql(each_database, f"DROP OWNED BY {role}")
        sql(each_database, f"DROP ROLE {role}")
    assert kinds(each_database) == [("insert", "A"), ("insert", "B")]
    assert json.loads(changes(each_database)[0].after or "")["latitude"] == 0.1 + 0.2


@pytest.mark.parametrize("each_database", ["postgresql"], indirect=True)
def test_small_and_large_updates_do_not_spoil_each_other(each_database: str) -> None:
    """A connection keeps the plan of a trigger: one for a row must do for many rows, and one for many for a row."""
    Airfield.objects.bulk_create([airfield(f"{number}") for number in range(10)])
    for number in range(10):
        Airfield.objects.filter(icao=f"{number}").update(elevation=number)
    insert = "INSERT INTO testapp_airfield (icao, name, country)"
    sql(
        each_database,
        f"{insert} SELECT 'B' || chr(1000 + i / 200) || chr(1000 + i %% 200), '', '' FROM generate_series(1, %s) i",
        20_000,
    )
    sql(each_database, "SET statement_timeout = '8s'")
    sql(each_database, "UPDATE testapp_airfield SET elevation = 7777")
    assert len(changes(each_database)) == 10 + 10 + 20_000 + 20_010
    connections[each_database].close()
    sql(each_database, "UPDATE testapp_airfield SET elevation = 8888")
    began = time.monotonic()
    for number in range(20):
        sql(each_database, "UPDATE testapp_airfield SET elevation = %s WHERE icao = '1'", number)
    assert time.monotonic() - began < 1.5


# Any mix of writers

Step = tuple[Any, ...]
KEYS = [f"A{number}" for number in range(6)]
keys, sets = st.sampled_from(KEYS), st.lists(st.sampled_from(KEYS), min_size=1, max_size=4, unique=True)
numbers = st.integers(0, 3)
steps = st.one_of(
    st.tuples(st.sampled_from(["save", "raw update", "raw upsert"]), keys, numbers),
    st.tuples(st.sampled_from(["bulk_create", "bulk_update", "update", "upsert", "ignore"]), sets, numbers),
    st.tuples(st.sampled_from(["delete", "raw delete"]), sets),
    st.tuples(st.sampled_from(["move"]), keys, keys),
    st.tuples(st.sampled_from(["replace"]), keys, numbers),
)
programs = st.lists(
    st.tuples(st.sampled_from(["autocommit", "commit", "roll back", "savepoint"]), st.lists(steps, max_size=4)),
    max_size=4,
)


def perform(alias: str, step: Step) -> None:
    """One statement, or a few; whatever the database refuses is undone by the caller."""
    kind, key, *rest = step
    number = rest[0] if rest else 0
    match kind:
        case "save":
            airfield(key, elevation=number, name="'" * len(key)).save()
        case "bulk_create":
            Airfield.objects.bulk_create([airfield(each, elevation=number) for each in key])
        case "bulk_update":
            Airfield.objects.bulk_update([airfield(each, elevation=number) for each in key], ["elevation"])
        case "update":
            Airfield.objects.filter(icao__in=key).update(elevation=number, latitude=number / 3)
        case "upsert" | "ignore":
            options: dict[str, Any] = {"ignore_conflicts": True}
            if kind == "upsert":
                options = {"update_conflicts": True, "update_fields": ["elevation"], "unique_fields": ["icao"]}
            Airfield.objects.bulk_create([airfield(each, elevation=number) for each in key], **options)
        case "delete":
            Airfield.objects.filter(icao__in=key).delete()
        case "raw delete":
            sql(alias, f"DELETE FROM testapp_airfield WHERE icao IN ({', '.join(['%s'] * len(key))})", *key)
        case "raw update":
            sql(alias, "UPDATE testapp_airfield SET elevation = %s, name = 'raw' WHERE icao >= %s", number, key)
        case "raw upsert":
            sql(
                alias,
                "INSERT INTO testapp_airfield (icao, name, country, elevation) VALUES (%s, '', '', %s)"
                " ON CONFLICT (icao) DO UPDATE SET elevation = excluded.elevation + 1",
                key,
                number,
            )
        case "move":
            sql(alias, "UPDATE testapp_airfield SET icao = %s WHERE icao = %s", number, key)
        case "replace":
            if connections[alias].vendor == "sqlite":
                values = "VALUES (%s, 'replaced', '', %s)"
                sql(alias, f"REPLACE INTO testapp_airfield (icao, name, country, elevation) {values}", key, number)


def run(alias: str, program: list[tuple[str, list[Step]]]) -> None:
    """A program, statement by statement and transaction by transaction; one that the database refuses is skipped."""
    for mode, body in program:
        try:
            if mode == "autocommit":
                for step in body:
                    perform(alias, step)
                continue
            with transaction.atomic(alias):
                for step in body:
                    if mode == "savepoint":
                        try:
                            with transaction.atomic(alias):
                                perform(alias, step)
                                if hash(str(step)) % 3 == 0:
                                    transaction.set_rollback(True, alias)
                        except IntegrityError:
                            continue
                    else:
                        perform(alias, step)
                if mode == "roll back":
                    transaction.set_rollback(True, alias)
        except (IntegrityError, OperationalError):
            continue  # a duplicate key; on PostgreSQL also a deadlock of two writers


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(program=programs)
def test_replaying_the_history_gives_the_tables(each_database: str, program: list[tuple[str, list[Step]]]) -> None:
    run(each_database, program)
    assert replayed(changes(each_database)) == tables(Airfield)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(writers=st.lists(programs, min_size=3, max_size=3))
def test_with_many_writers_at_once_a_reader_misses_nothing(
    each_database: str, writers: list[list[tuple[str, list[Step]]]]
) -> None:
    """R2: what a reader polls while they write is everything, in order, once, and gives the tables."""
    connection = connections[each_database]
    start = history.newest(connection)
    Airfield.objects.all().delete()
    failures: list[BaseException] = []
    barrier = threading.Barrier(len(writers) + 1)

    def write(program: list[tuple[str, list[Step]]]) -> None:
        try:
            barrier.wait(10)
            run(each_database, program)
        except BaseException as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=write, args=(program,)) for program in writers]
    for thread in threads:
        thread.start()
    seen: list[Change] = []
    upto, cursor = start, None
    barrier.wait(10)
    while True:
        last = not any(thread.is_alive() for thread in threads)
        batch = history.read(connection, upto, 3, cursor=cursor)
        assert all(change.version > upto for change in batch.changes)
        seen += batch.changes
        cursor = batch.cursor
        if batch.complete:
            assert batch.upto >= upto
            upto = batch.upto
        if last and batch.complete and not batch.changes:
            break
    assert not failures
    assert [(change.version, change.id) for change in seen] == sorted({(change.version, change.id) for change in seen})
    assert seen == [change for change in changes(each_database) if change.version > start]
    assert replayed(changes(each_database)) == tables(Airfield)
