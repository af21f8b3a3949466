"""The store: what a file holds after downloads, local writes, acknowledgements and restarts (R8, R9, R10)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realm_sync.client.errors import RealmError, RealmFileError
from realm_sync.client.store import Store
from realm_sync.core.declarations import parse_class
from realm_sync.core.messages import (
    Bound,
    Changes,
    ClientFile,
    Create,
    Delete,
    Download,
    Limits,
    Rejected,
    RejectedWrite,
    SubscriptionItem,
    Update,
)
from realm_sync.core.schema import Schema

from .conftest import WORLD, inspection, key

LIMITS = Limits(max_message_bytes=700_000, max_subscriptions=10, max_query_bytes=1000, window=4)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "test.realm")
    store.add_schema(WORLD)
    yield store
    store.close()


def write(store, *steps):
    """One local transaction of (op, number, values)."""
    table = store.table("Inspection")
    with store.transaction() as connection:
        writer = store.writer(connection)
        for op, number, values in steps:
            if op == "create":
                writer.create(table, {"_id": key(number)} | values)
            elif op == "update":
                writer.update(table, key(number), values)
            else:
                writer.delete(table, key(number))
        return writer.finish(1000)


def download(*changes, client_version=0, server_version=1, state="steady", query_version=0, view=1):
    return Download(
        query_version=query_version, batch_state=state, server_version=server_version, client_version=client_version,
        progress=1.0, view=view, changes=list(changes),
    )  # fmt: skip


def put(*images):
    return Changes(class_name="Inspection", put=list(images))


def visible(store):
    """Every inspection as its wire image, by number."""
    table = store.table("Inspection")
    rows = store.connection.execute(table.select).fetchall()
    return {UUID(row[0]).int: table.image(row) for row in rows}


def subscription(query="TRUEPREDICATE"):
    at = "2026-01-01T12:00:00.000000Z"
    return SubscriptionItem(id="0" * 24, class_name="Inspection", query=query, created_at=at, updated_at=at)


# --- downloads and pending writes ------------------------------------------------------------------------------------


def test_put_patch_and_erase_in_this_order(store):
    store.apply(download(put(inspection(1), inspection(2))), False)
    changes = Changes(
        class_name="Inspection",
        put=[inspection(3)],
        patch=[{"_id": key(3), "title": "patched"}, {"_id": key(9), "title": "absent"}],
        erase=[key(1), key(8)],
    )
    store.apply(download(changes), False)
    assert visible(store) == {2: inspection(2), 3: inspection(3, title="patched")}


def test_patches_of_one_object_are_applied_in_their_order_whatever_they_name(store):
    store.apply(download(put(inspection(1), inspection(2))), False)
    patches = [
        {"_id": key(2), "title": "other", "priority": 9},
        {"_id": key(1), "title": "turn 133"},
        {"_id": key(1), "title": "turn 141", "priority": 1},
    ]
    store.apply(download(Changes(class_name="Inspection", patch=patches), server_version=2), False)
    table = store.table("Inspection")
    row = table.image(store.connection.execute(table.select_one, (key(1),)).fetchone())
    assert (row["title"], row["priority"]) == ("turn 141", 1)


def test_a_pending_write_stays_on_top_of_a_download(store):
    store.apply(download(put(inspection(1))), False)
    write(store, ("update", 1, {"title": "mine"}))
    store.apply(download(put(inspection(1, title="theirs", team="South"))), False)
    assert visible(store)[1] == inspection(1, title="mine", team="South")


def test_what_the_server_made_of_an_acknowledged_write_stands(store):
    store.apply(download(put(inspection(1))), False)
    write(store, ("update", 1, {"title": "mine"}))
    store.apply(download(put(inspection(1, title="merged")), client_version=1), False)
    assert visible(store)[1]["title"] == "merged"
    assert store.pending_count() == 0
    assert store.connection.execute("SELECT count(*) FROM __realm_shadow").fetchone() == (0,)


def test_a_refused_create_disappears_with_its_acknowledgement(store):
    write(store, ("create", 1, inspection(1)))
    assert 1 in visible(store)
    store.apply(download(client_version=1), False)
    assert visible(store) == {}


def test_a_deleted_object_comes_back_if_the_delete_was_refused(store):
    store.apply(download(put(inspection(1))), False)
    write(store, ("delete", 1, {}))
    assert visible(store) == {}
    store.apply(download(put(inspection(1)), client_version=1), False)
    assert visible(store) == {1: inspection(1)}


def test_an_update_of_an_object_that_the_server_erased_does_nothing(store):
    store.apply(download(put(inspection(1))), False)
    write(store, ("update", 1, {"title": "mine"}))
    store.apply(download(Changes(class_name="Inspection", erase=[key(1)])), False)
    assert visible(store) == {}


def test_applying_a_download_twice_changes_no_revision(store):
    """R3: what is sent again tells no listener."""
    store.apply(download(put(inspection(1))), False)
    before = store.connection.execute('SELECT __rev FROM "Inspection"').fetchall()
    store.apply(download(put(inspection(1))), False)
    assert store.connection.execute('SELECT __rev FROM "Inspection"').fetchall() == before


def test_unknown_classes_and_properties_of_a_newer_server_are_passed_over(store):
    store.apply(
        download(put(inspection(1, helicopter=True)), Changes(class_name="Helicopter", put=[{"_id": 1}])), False
    )
    assert visible(store) == {1: inspection(1)}


def test_every_type_survives_the_way_through_the_file(tmp_path):
    kinds = {
        "bool": True, "int": "9223372036854775807", "float": 0.10000000149011612, "double": "NaN",
        "decimal128": "0.1", "string": "Zürich 🛩", "data": "AAEC/w==", "date": "2026-01-01T12:00:00.123456Z",
        "objectId": "0123456789abcdef01234567", "uuid": key(5),
    }  # fmt: skip
    properties = {"_id": "int"} | {f"a_{kind}": kind for kind in kinds} | {f"no_{kind}": f"{kind}?" for kind in kinds}
    cls = parse_class({"name": "Everything", "primaryKey": "_id", "properties": properties})
    store = Store(tmp_path / "types.realm")
    store.add_schema(Schema([cls]))
    image = {"_id": -5} | {f"a_{kind}": value for kind, value in kinds.items()} | {f"no_{kind}": None for kind in kinds}
    extremes = image | {"_id": "9007199254740993", "a_double": "-Infinity", "a_float": "Infinity", "a_int": -(2**53)}
    store.apply(download(Changes(class_name="Everything", put=[image, extremes])), False)
    table = store.table("Everything")
    rows = store.connection.execute(table.select + " ORDER BY _id").fetchall()
    assert [table.image(row) for row in rows] == [image, extremes]
    with store.transaction() as connection:
        writer = store.writer(connection)
        writer.update(table, 9007199254740993, {"a_data": "/w=="})
        writer.finish(1)
    (changeset,) = store.pending(0, None, 1000)
    assert changeset.instructions == [Update(class_name="Everything", id="9007199254740993", values={"a_data": "/w=="})]
    store.close()


# --- what is uploaded ------------------------------------------------------------------------------------------------


def test_a_transaction_becomes_one_changeset_with_its_base(store):
    store.apply(download(put(inspection(1)), server_version=40), False)
    write(store, ("update", 1, {"title": "a"}), ("create", 2, {"title": "b"}))
    write(store, ("delete", 1, {}))
    first, second = store.pending(0, None, 10**6)
    assert (first.client_version, first.base_version, first.timestamp) == (1, 40, 1000)
    assert first.instructions == [
        Update(class_name="Inspection", id=key(1), values={"title": "a"}),
        Create(class_name="Inspection", id=key(2), values={"title": "b"}),
    ]
    assert second.instructions == [Delete(class_name="Inspection", id=key(1))]
    assert [c.client_version for c in store.pending(1, None, 10**6)] == [2]
    assert [c.client_version for c in store.pending(0, 1, 10**6)] == [1]
    assert [c.client_version for c in store.pending(0, None, 1)] == [1]


def test_a_transaction_without_effect_is_no_changeset(store):
    assert write(store) is None
    assert write(store, ("create", 1, {"title": "x"}), ("delete", 1, {})) is None
    assert store.pending_count() == 0


def test_a_transaction_that_no_message_can_carry_is_refused_and_rolled_back(store):
    with pytest.raises(RealmError, match="write it in several transactions"):
        write(store, ("create", 1, {"title": "x" * 800_000}))
    assert visible(store) == {}
    assert store.pending_count() == 0


def test_the_servers_limit_counts_once_it_is_known(store):
    limits = Limits(max_message_bytes=10_000, max_subscriptions=1, max_query_bytes=1, window=1)
    bound = Bound(
        epoch="e", server_version=0, client_version=0, query_version=0, server_time=0, schema=[], limits=limits
    )
    store.store_bound(ClientFile(ident=1, salt="1"), bound)
    with pytest.raises(RealmError, match="at most 5904 at once"):
        write(store, ("create", 1, {"title": "x" * 8000}))


# --- bootstraps (R10) ------------------------------------------------------------------------------------------------


def test_a_bootstrap_is_invisible_until_its_last_part(store):
    with store.transaction():
        store.add_set([subscription()])
    store.store_part(download(put(inspection(1)), state="more", query_version=1))
    assert visible(store) == {}
    assert store.newest_set().state == "pending"
    store.apply(download(put(inspection(2)), state="last", query_version=1), True)
    assert sorted(visible(store)) == [1, 2]
    assert store.newest_set().state == "complete"


def test_parts_of_a_dead_session_are_dropped(store):
    store.store_part(download(put(inspection(1)), state="more"))
    store.drop_parts()
    store.apply(download(put(inspection(2)), state="last"), True)
    assert sorted(visible(store)) == [2]


# --- subscription sets -----------------------------------------------------------------------------------------------


def test_a_completed_set_supersedes_older_ones(store):
    for _ in range(3):
        with store.transaction():
            store.add_set([subscription()])
    assert [s.query_version for s in store.unsent_sets()] == [1, 2, 3]
    store.apply(download(query_version=2), False)
    assert [s.query_version for s in store.unsent_sets()] == [3]
    assert store.set_states() == (2, {2: ("complete", None), 3: ("pending", None)})
    store.refuse_set(3, "not a queryable field")
    assert store.newest_set().error == "not a queryable field"


def test_a_set_remembers_what_was_written_before_it(store):
    write(store, ("create", 1, {"title": "x"}))
    with store.transaction():
        store.add_set([subscription()])
    assert store.unsent_sets()[0].after == 1


# --- compensating writes ---------------------------------------------------------------------------------------------


def test_a_rejection_is_due_when_its_correction_is_applied_and_only_once(store):
    wrong = RejectedWrite(class_name="Inspection", id=key(1), code="WriteNotAllowed", reason="not yours")
    report = Rejected(client_version=1, writes=[wrong])
    write(store, ("create", 1, inspection(1)))
    assert store.hold_rejected(report) == []
    assert store.apply(download(client_version=1), False).rejected == [report]
    store.reports_told([report])
    assert store.hold_rejected(report) == []
    assert store.apply(download(client_version=1), False).rejected == []


# --- client reset ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [True, False])
def test_a_client_reset_replaces_everything_and_keeps_or_drops_what_was_pending(store, keep):
    with store.transaction():
        store.add_set([subscription()])
    store.apply(download(put(inspection(1), inspection(2)), query_version=1, server_version=90, client_version=4), True)
    write(store, ("update", 1, {"title": "mine"}))
    write(store, ("create", 5, inspection(5)))
    store.begin_reset("recover" if keep else "discard")
    assert sorted(visible(store)) == [1, 2, 5], "the old content stays until the new is here"
    state = store.file_state()
    assert state.client_file is None and state.resetting and [s.after for s in state.sets] == [0]
    write(store, ("update", 2, {"title": "meanwhile"}))
    store.store_part(download(put(inspection(1, team="South")), state="more", query_version=1))
    store.apply(download(put(inspection(3)), state="last", query_version=1, server_version=7), True)
    if keep:
        assert visible(store) == {1: inspection(1, title="mine", team="South"), 3: inspection(3), 5: inspection(5)}
        pending = store.pending(0, None, 10**6)
        assert [(c.client_version, c.base_version) for c in pending] == [(1, 7), (2, 7), (3, 7)]
    else:
        assert visible(store) == {1: inspection(1, team="South"), 3: inspection(3)}
        assert store.pending_count() == 0
    assert not store.file_state().resetting
    assert write(store, ("update", 3, {"title": "x"})) == (4 if keep else 1)


# --- files -----------------------------------------------------------------------------------------------------------


def test_the_schema_grows_and_never_changes_a_type(store):
    more = parse_class(
        {
            "name": "Airfield",
            "primaryKey": "_id",
            "properties": {"_id": "string", "name": "string", "elevation": "int?"},
        }
    )
    assert store.add_schema([more])
    assert not store.add_schema([more])
    other = parse_class({"name": "Airfield", "primaryKey": "_id", "properties": {"_id": "string", "name": "int"}})
    with pytest.raises(RealmError, match=r"'Airfield\.name' has been changed from 'string' to 'int'"):
        store.add_schema([other])
    assert list(store.schema["Airfield"].properties) == ["_id", "name", "elevation"]


def test_a_file_that_is_no_realm_is_left_alone(tmp_path):
    text = tmp_path / "notes.realm"
    text.write_text("not a database, but long enough to look like one " * 100)
    with pytest.raises(RealmFileError, match="Cannot open the realm"):
        Store(text)
    assert text.read_text().startswith("not a database")


def test_killed_at_any_point_the_file_is_consistent(tmp_path):
    """A process writes transactions of two objects each and is killed with SIGKILL: what it reported is there (R9),
    and never half a transaction."""
    path = tmp_path / "killed.realm"
    script = f"""
        from tests.client.test_store import *
        store = Store({str(path)!r})
        store.add_schema(WORLD)
        print("ready", flush=True)
        for number in range(0, 100000, 2):
            write(store, ("create", number, inspection(number)), ("create", number + 1, inspection(number + 1)))
            print(number, flush=True)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, cwd=ROOT, text=True
    )
    reported = -1
    for line in process.stdout:
        if line.strip() != "ready":
            reported = int(line)
        if reported >= 60:
            os.kill(process.pid, signal.SIGKILL)
            break
    process.wait()
    process.stdout.close()
    store = Store(path)
    found = sorted(visible(store))
    assert len(found) >= 62 and found == list(range(len(found))) and len(found) % 2 == 0
    assert store.pending_count() == len(found) // 2
    store.close()


# --- the property ----------------------------------------------------------------------------------------------------

NUMBERS = st.integers(0, 4)
VALUES = st.fixed_dictionaries(
    {}, optional={"title": st.sampled_from("abc"), "team": st.sampled_from(["North", "South"])}
)
LOCAL = st.lists(st.tuples(st.sampled_from(["create", "update", "delete"]), NUMBERS, VALUES), min_size=1, max_size=4)
REMOTE = st.lists(st.tuples(st.sampled_from(["put", "patch", "erase"]), NUMBERS, VALUES), max_size=4)
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("local"), LOCAL),
        st.tuples(st.just("download"), REMOTE, st.integers(0, 3), st.booleans()),
        st.tuples(st.just("reopen")),
    ),
    max_size=12,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(EVENTS)
def test_visible_is_server_plus_replay(events):
    """R8, against a model that keeps whole states and replays everything from the start each time."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "model.realm"
        store = Store(path)
        store.add_schema(WORLD)
        server, pending, version = {}, [], 0
        try:
            for event in events:
                if event[0] == "local":
                    version = local_write(store, event[1], pending, version)
                elif event[0] == "download":
                    apply_remote(store, server, event[1], event[3])
                    acknowledged = min(event[2], len(pending))
                    upto = pending[acknowledged - 1][0] if acknowledged else (pending[0][0] - 1 if pending else version)
                    del pending[:acknowledged]
                    store.apply(download(client_version=upto), False)
                else:
                    store.close()
                    store = Store(path)
                assert visible(store) == model(server, pending)
                shadowed = {row[0] for row in store.connection.execute("SELECT key FROM __realm_shadow")}
                assert shadowed == {key(n) for _, steps in pending for _, n, _ in steps}
        finally:
            store.close()


def local_write(store, wanted, pending, version):
    """Writes what is possible of `wanted`; the model keeps it unfolded."""
    present, steps = set(visible(store)), []
    for op, number, values in wanted:
        if (op == "create") == (number in present) or (op == "update" and not values):
            continue
        present ^= {number} if op != "update" else set()
        steps.append((op, number, inspection(number) | values if op == "create" else values))
    folded = write(store, *[(op, n, {k: v for k, v in values.items() if k != "_id"}) for op, n, values in steps])
    if folded is None:
        return version
    # Objects that were created and deleted in the transaction left nothing.
    kept = {UUID(i.id).int for c in store.pending(folded - 1, None, 1) for i in c.instructions}
    pending.append((folded, [step for step in steps if step[1] in kept]))
    return folded


def apply_remote(store, server, writes, together):
    """Changes the server's state and tells the store, in one download or one each."""
    downloads = []
    for op, number, values in writes:
        if op == "put":
            server[number] = inspection(number) | values
            downloads.append(put(server[number]))
        elif op == "patch":
            if number in server:
                server[number] = server[number] | values
            downloads.append(Changes(class_name="Inspection", patch=[{"_id": key(number)} | values]))
        else:
            server.pop(number, None)
            downloads.append(Changes(class_name="Inspection", erase=[key(number)]))
    known = store.file().progress.client_version
    if together:
        store.apply(download(*downloads, client_version=known), False)
    else:
        for changes in downloads:
            store.apply(download(changes, client_version=known), False)


def model(server, pending):
    state = {number: dict(image) for number, image in server.items()}
    for _, steps in pending:
        for op, number, values in steps:
            if op == "delete":
                state.pop(number, None)
            elif op == "create":
                blank = dict.fromkeys(inspection(number))
                state[number] = {**state.get(number, blank), **values, "_id": key(number)}
            elif number in state:
                state[number] |= values
    return state
