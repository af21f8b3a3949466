"""Reading the history without gaps (R2), its own rows, its epoch and its end."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.contrib.auth import get_user_model
from django.db import connections, transaction

from realm_sync import capture, history
from realm_sync.core.changes import Change
from realm_sync.models import Epoch
from tests.testapp.models import Airfield, Team

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def write(*icaos: str) -> None:
    Airfield.objects.bulk_create([Airfield(icao=icao) for icao in icaos])


def ids(batch: history.Batch) -> list[str]:
    return [change.object_id for change in batch.changes]


def execute(alias: str, statement: str, *parameters: Any) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute(statement, parameters or None)


def test_an_empty_history(each_database: str) -> None:
    connection = connections[each_database]
    assert history.latest(connection) == 0
    batch = history.read(connection, 0, 10)
    assert (batch.changes, batch.upto, batch.complete, batch.cursor) == ([], history.newest(connection), True, None)
    assert history.changes_of(connection, [], 0) == []
    assert history.oldest(connection) == 0
    assert history.prune(connection, NOW) == 0


def test_reading_goes_on_where_it_ended(each_database: str) -> None:
    connection = connections[each_database]
    start = history.newest(connection)
    write("A")
    batch = history.read(connection, start, 10)
    assert ids(batch) == ["A"] and batch.complete and batch.upto == history.newest(connection) > start
    assert ids(history.read(connection, batch.upto, 10)) == []
    write("B", "C")
    assert ids(history.read(connection, batch.upto, 10)) == ["B", "C"]
    assert ids(history.read(connection, start, 10, upto=batch.upto)) == ["A"]
    change = history.read(connection, start, 10).changes[0]
    assert isinstance(change, Change) and abs(change.timestamp - time.time() * 1000) < 60_000


def test_a_long_batch_is_cut_after_a_whole_version(each_database: str) -> None:
    connection = connections[each_database]
    start = history.newest(connection)
    write("A", "B")
    write("C")
    write("D", "E")
    read, upto, batches = [], start, 0
    while True:
        batch = history.read(connection, upto, 3)
        assert batch.complete
        batches += 1
        read += ids(batch)
        upto = batch.upto
        if not batch.changes:
            break
        assert all(change.version <= upto for change in batch.changes)
    assert read == ["A", "B", "C", "D", "E"] and batches == 3


@pytest.mark.parametrize("each_database", ["postgresql"], indirect=True)
def test_a_version_longer_than_the_limit_comes_in_parts(each_database: str) -> None:
    connection = connections[each_database]
    start = history.newest(connection)
    write(*"ABCDEFG")
    write("H")
    read, cursor, upto, completes = [], None, start, []
    for _ in range(4):
        batch = history.read(connection, upto, 3, cursor=cursor)
        read.append("".join(ids(batch)))
        completes.append(batch.complete)
        cursor = batch.cursor
        if batch.complete:
            upto = batch.upto
    assert read == ["ABC", "DEF", "G", "H"] or read == ["ABC", "DEF", "GH", ""]
    assert completes[:2] == [False, False] and completes[2:] == [True, True]
    assert upto >= history.latest(connection)


def test_classes_choose_and_rows_of_no_class_have_the_empty_one(each_database: str) -> None:
    connection = connections[each_database]
    user = get_user_model().objects.create_user("nora")
    write("A")
    team = Team.objects.create()
    with transaction.atomic(each_database):
        history.record_advance(connection, 7, '{"clientVersion":3}')
    history.record_access_change(user, each_database)
    found = {names: ids(history.read(connection, 0, 10, classes=names)) for names in [(), ("Team",), ("Airfield", "")]}
    assert found == {(): [], ("Team",): [str(team.id)], ("Airfield", ""): ["A", "7", str(user.pk)]}
    advance, access = history.read(connection, 0, 10, classes=[""]).changes
    assert (advance.kind, advance.origin, advance.after) == ("advance", 7, '{"clientVersion":3}')
    assert (access.kind, access.origin, access.after) == ("access", 0, None)
    assert history.read(connection, 0, 10, classes=[]).upto == history.newest(connection)


def test_the_advance_comes_after_what_was_uploaded(each_database: str) -> None:
    connection = connections[each_database]
    with transaction.atomic(each_database):
        write("A")
        history.record_advance(connection, 7, "{}")
    first, second = history.read(connection, 0, 10).changes
    assert (first.kind, second.kind) == ("insert", "advance")
    assert (second.version, second.id) > (first.version, first.id)
    if connection.vendor == "postgresql":
        assert first.version == second.version


@pytest.mark.parametrize("each_database", ["postgresql"], indirect=True)
def test_a_running_transaction_hides_what_comes_after_it(each_database: str, postgres_cluster: Any) -> None:
    connection = connections[each_database]
    start = history.newest(connection)
    with psycopg.connect(postgres_cluster.url(connection.settings_dict["NAME"])) as other:
        other.execute("INSERT INTO testapp_airfield (icao, name, country) VALUES ('OLD', '', '')")
        write("NEW")
        batch = history.read(connection, start, 10)
        assert batch.changes == [] and batch.complete
        assert history.latest(connection) > batch.upto
        # Who looks for conflicts sees it all the same, and so does a snapshot.
        assert [change.kind for change in history.changes_of(connection, [("Airfield", "NEW")], start)] == ["insert"]
        assert ids(history.read(connection, start, 10, in_snapshot=True)) == ["NEW"]
        other.commit()
    assert ids(history.read(connection, batch.upto, 10)) == ["OLD", "NEW"]


def test_changes_of_some_objects(each_database: str) -> None:
    connection = connections[each_database]
    write("A", "B", "'")
    middle = history.latest(connection)
    Airfield.objects.update(name="x")
    wanted = [("Airfield", "A"), ("Airfield", "'"), ("Team", "B"), ("Airfield", "C")]
    found = history.changes_of(connection, wanted, 0)
    assert [(change.kind, change.object_id) for change in found[:2]] == [("insert", "A"), ("insert", "'")]
    assert sorted((change.kind, change.object_id) for change in found[2:]) == [("update", "'"), ("update", "A")]
    assert {change.object_id for change in history.changes_of(connection, wanted, middle)} == {"A", "'"}
    many = [("Airfield", str(number)) for number in range(5000)]
    assert history.changes_of(connection, [*many, ("Airfield", "B")], middle)[0].before == '{"name":""}'


def test_uploads_bear_the_time_of_the_user(each_database: str) -> None:
    connection = connections[each_database]
    with transaction.atomic(each_database):
        capture.set_origin(connection, 7)
        write("A")
        mark = history.mark(connection)
        write("B", "C", "D")
        history.restamp(connection, mark, 7, {("Airfield", "A"): 1, ("Airfield", "B"): 1000, ("Airfield", "C"): 2000})
        capture.set_origin(connection, 0)
        write("E")
    stamps = {change.object_id: change.timestamp for change in history.read(connection, 0, 10).changes}
    assert (stamps["B"], stamps["C"]) == (1000, 2000)
    assert min(stamps["A"], stamps["D"], stamps["E"]) > 1_000_000_000_000


def test_uploads_say_which_counters_they_set(each_database: str) -> None:
    connection = connections[each_database]
    with transaction.atomic(each_database):
        capture.set_origin(connection, 7)
        mark = history.mark(connection)
        write("A", "B", "C")
        sets = {("Airfield", "A"): ["visits", "part.used"], ("Airfield", "C"): []}
        history.restamp(connection, mark, 7, {("Airfield", "B"): 1000}, sets)
        capture.set_origin(connection, 0)
    found = history.changes_of(connection, [("Airfield", icao) for icao in "ABC"], 0)
    assert [change.sets and json.loads(change.sets) for change in found] == [["part.used", "visits"], None, None]
    assert [change.timestamp == 1000 for change in found] == [False, True, False]
    assert found == history.read(connection, 0, 10, in_snapshot=True).changes


# Epoch


def test_the_epoch_stays_until_it_is_renewed(each_database: str) -> None:
    connection = connections[each_database]
    epoch = history.epoch(connection)
    assert len(epoch) == 32 and history.epoch(connection) == epoch
    write("A")
    assert history.epoch(connection) == epoch
    history.renew_epoch(connection)
    assert history.epoch(connection) != epoch
    assert history.read(connection, 0, 10).changes == []
    before = history.newest(connection)
    write("B")
    assert ids(history.read(connection, before, 10)) == ["B"]


def test_a_database_without_an_epoch_gets_one(each_database: str) -> None:
    Epoch.objects.all().delete()
    connection = connections[each_database]
    assert history.oldest(connection) == 0
    assert history.epoch(connection) == history.epoch(connection)


@pytest.mark.parametrize("each_database", ["postgresql"], indirect=True)
def test_a_dump_restored_into_a_younger_cluster_is_a_new_life(each_database: str) -> None:
    """Its history has versions that the cluster's transactions have not reached."""
    connection = connections[each_database]
    write("A")
    epoch = history.epoch(connection)
    with transaction.atomic(each_database):
        write("B")
        assert history.epoch(connection) == epoch
    execute(each_database, "UPDATE realm_sync_change SET version = version + 1000000000")
    assert history.epoch(connection) != epoch
    write("C")
    assert ids(history.read(connection, 0, 10)) == ["C"]


# Pruning


def aged(alias: str, icao: str, days: int, origin: int = 0) -> int:
    """A change that bears a time so many days before NOW; returns its version."""
    with transaction.atomic(alias):
        capture.set_origin(connections[alias], origin)
        write(icao)
        capture.set_origin(connections[alias], 0)
        if origin:
            history.record_advance(connections[alias], origin, "{}")
    stamp = int((NOW - timedelta(days=days)).timestamp() * 1000)
    execute(alias, "UPDATE realm_sync_change SET timestamp = %s WHERE object_id = %s", stamp, icao)
    return history.latest(connections[alias])


def left(alias: str) -> list[str]:
    return ids(history.read(connections[alias], 0, 100, classes=["Airfield"]))


def test_pruning_removes_what_is_old_and_remembers_up_to_where(
    each_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "_PRUNE_ROWS", 2)
    connection = connections[each_database]
    versions = [aged(each_database, f"A{number}", 50 - number) for number in range(10)]
    aged(each_database, "NEW", 1)
    assert history.prune(connection, NOW - timedelta(days=45.5)) == 5
    assert history.oldest(connection) == versions[4]
    assert left(each_database) == ["A5", "A6", "A7", "A8", "A9", "NEW"]
    assert history.prune(connection, NOW - timedelta(days=45.5)) == 0
    assert history.oldest(connection) == versions[4]


def test_pruning_keeps_the_newest_change_so_that_versions_never_begin_again(each_database: str) -> None:
    connection = connections[each_database]
    aged(each_database, "A", 50)
    newest = aged(each_database, "B", 50)
    assert history.prune(connection, NOW) == 1
    assert left(each_database) == ["B"] and history.latest(connection) == newest
    assert aged(each_database, "C", 50) > newest


def test_pruning_never_reaches_beyond_a_newer_change(each_database: str) -> None:
    connection = connections[each_database]
    aged(each_database, "A", 50)
    aged(each_database, "B", 1)
    aged(each_database, "C", 50)
    aged(each_database, "D", 50)
    assert history.prune(connection, NOW - timedelta(days=30)) == 1
    assert left(each_database) == ["B", "C", "D"]


def test_an_upload_of_what_was_written_long_ago_is_not_old(each_database: str) -> None:
    connection = connections[each_database]
    aged(each_database, "A", 50)
    aged(each_database, "B", 50, origin=7)
    write("C")
    execute(each_database, "UPDATE realm_sync_change SET timestamp = %s WHERE kind = 'advance'", 10**15)
    assert history.prune(connection, NOW - timedelta(days=30)) == 1
    assert left(each_database) == ["B", "C"]


@pytest.mark.parametrize("each_database", ["postgresql"], indirect=True)
def test_pruning_stays_below_what_can_be_read(each_database: str, postgres_cluster: Any) -> None:
    connection = connections[each_database]
    aged(each_database, "A", 50)
    with psycopg.connect(postgres_cluster.url(connection.settings_dict["NAME"])) as other:
        other.execute("SELECT pg_current_xact_id()")
        aged(each_database, "B", 50)
        aged(each_database, "C", 50)
        assert history.prune(connection, NOW) == 1


def test_reading_is_fast(each_database: str) -> None:
    """Of the order of 100 000 rows a second; the bound leaves room for a busy machine."""
    connection = connections[each_database]
    write(*(f"{number}" for number in range(5_000)))
    began = time.perf_counter()
    batch = history.read(connection, 0, 5_000)
    assert time.perf_counter() - began < 0.5
    assert len(batch.changes) == 5_000 and json.loads(batch.changes[-1].after or "")["_id"] == "4999"
