"""Client reset against the fake server: four modes, who is told what in which order, and a file that is put aside."""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from realm_sync.client import (
    ClientReset,
    ClientResetError,
    OpenBehavior,
    Realm,
    RealmError,
    SyncConfiguration,
    initiate_client_reset,
)
from realm_sync.client import reset as reset_module
from realm_sync.client import transport as transport_module
from realm_sync.client.integration import Integration
from realm_sync.client.store import Store
from realm_sync.core.messages import Bind, Error, Query, QueryError, Upload

from .conftest import Airfield, Inspection, inspection, key, until

RECOVER, DISCARD, EITHER = (
    "recover_unsynced_changes", "discard_unsynced_changes", "recover_or_discard_unsynced_changes",
)  # fmt: skip
AUTOMATIC = [RECOVER, DISCARD, EITHER]


@pytest.fixture(autouse=True)
def fast_retries(monkeypatch):
    monkeypatch.setattr(transport_module, "FIRST_DELAY", 0.02)


class Told:
    """Writes down what the callbacks get. `look` makes what is noted of a realm."""

    def __init__(self):
        self.notes, self.befores, self.threads = [], [], set()

    def realm(self, realm):
        return sorted(each.title for each in realm.objects(Inspection))

    def reset(self, mode, *names):
        every = {"on_before": self.before, "on_after": self.after, "on_fallback": self.fallback}
        if mode == "manual":
            every = {"on_manual": lambda session, path: self.notes.append(("manual", path))}
        return ClientReset(mode, **{name: every[name] for name in names or every})

    def before(self, before):
        self.befores.append(before)
        self.threads.add(threading.current_thread())
        self.notes.append(("before", self.realm(before)))

    def after(self, before, after):
        self.befores.append(before)
        self.notes.append(("after", self.realm(before), self.realm(after)))

    def fallback(self, session, path):
        self.notes.append(("fallback", session.state, path))

    def error(self, session, error):
        self.notes.append(("error", error))


def restored(server):
    """The server was restored from a backup: another epoch, other content, no memory of any file."""
    server.epoch += "'"
    server.files.clear()
    for name, number in [name for name in server.objects if name[0] == "Inspection"]:
        server.erase(name, number)
    server.put("Inspection", inspection(2))


def write(realm, title, number=None):
    with realm.write():
        return realm.create(Inspection, {"title": title} | ({"_id": UUID(int=number)} if number else {}))


def titles(realm):
    return sorted(each.title for each in realm.objects(Inspection))


def always(error="reset", times=10**6):
    """An `answer`: the first `times` binds are told to start over."""
    left = [times]

    def answer(message):
        if not isinstance(message, Bind) or not left[0]:
            return None
        left[0] -= 1
        return Error(code="ClientReset", message="Start over.", fatal=True, action="reset")

    return answer


def pause(realm):
    realm.sync_session.pause()
    until(lambda: realm.sync_session.connection_state == "disconnected")


# --- the automatic modes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", AUTOMATIC)
def test_before_and_after_are_called_around_the_swap(server, open_realm, mode):
    told = Told()
    server.put("Inspection", inspection(1))
    realm = open_realm(client_reset=told.reset(mode), on_error=told.error)
    pause(realm)
    write(realm, "Unsynced")
    restored(server)
    realm.sync_session.resume()
    uploaded = realm.sync_session.upload_all_local_changes()
    realm.sync_session.download_all_server_changes().result(5)
    uploaded.result(5)
    old, new = ["Inspection 1", "Unsynced"], ["Inspection 2"] + ([] if mode == DISCARD else ["Unsynced"])
    assert told.notes == [("before", old), ("after", old, new)]
    assert sorted(image["title"] for (name, _), image in server.objects.items() if name == "Inspection") == new
    assert told.befores[0] is told.befores[1] and told.befores[0].is_closed
    assert realm._store.file().resets == 0
    with realm.write():
        realm.create(Inspection, {"title": "And on it goes"})
    realm.sync_session.upload_all_local_changes().result(5)


def test_the_realm_of_before_cannot_be_written_or_listened_to_and_stays_as_it_was(server, open_realm):
    server.put("Inspection", inspection(1))
    seen, kept = [], []

    def on_after(before, after):
        first = before.objects(Inspection)[0]
        before.write_copy_to(before.path + ".copy.realm")
        for attempt, text in (
            (lambda: before.write(lambda: None), "Can't perform transactions on a frozen Realm"),
            (lambda: setattr(first, "title", "x"), "Cannot modify managed objects outside of a write transaction"),
            (lambda: before.delete(first), "Can only delete objects within a transaction"),
            (lambda: before.subscriptions.update(lambda subs: None), "Can't perform transactions on a frozen Realm"),
            (lambda: before.objects(Inspection).add_listener(print), "Cannot create asynchronous query for immutable"),
        ):
            with pytest.raises(RealmError, match=text):
                attempt()
        with after.write():
            after.create(Inspection, {"title": "From before: " + first.title})
        seen.append((titles(before), titles(after), before.path == after.path, before.sync_session))
        kept.append(before)

    realm = open_realm(client_reset=ClientReset(RECOVER, on_after=on_after))
    pause(realm)
    restored(server)
    realm.sync_session.resume()
    until(lambda: seen)
    with Realm(realm.path + ".copy.realm", schema=[Airfield, Inspection]) as copy:
        assert titles(copy) == ["Inspection 1"]
    assert seen == [(["Inspection 1"], ["From before: Inspection 1", "Inspection 2"], True, None)]
    until(lambda: kept[0].is_closed)
    with pytest.raises(RealmError, match="closed"):
        kept[0].objects(Inspection)
    realm.sync_session.upload_all_local_changes().result(5)
    # Nothing keeps SQLite from shortening its log any more.
    assert realm._store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0


def test_a_file_that_never_held_anything_calls_nobody(server, user, open_realm):
    told = Told()
    server.answer = always(times=1)
    realm = open_realm(client_reset=told.reset(RECOVER), on_error=told.error)
    assert told.notes == [] and realm.subscriptions.state == "complete" and len(server.files) == 1


def test_what_a_callback_raises_is_logged_and_stops_nothing(server, open_realm, caplog):
    calls = []

    def fail(*arguments):
        calls.append(arguments)
        raise ValueError("of the app")

    realm = open_realm(client_reset=ClientReset(RECOVER, on_before=fail, on_after=fail))
    pause(realm)
    write(realm, "Unsynced")
    restored(server)
    realm.sync_session.resume()
    realm.sync_session.upload_all_local_changes().result(5)
    assert [len(each) for each in calls] == [1, 2] and calls[0][0].is_closed
    assert caplog.text.count("ValueError: of the app") == 2
    assert titles(realm) == ["Inspection 2", "Unsynced"]


async def test_with_asyncio_the_callbacks_run_in_the_loop(server, user):
    loop, told = asyncio.get_running_loop(), Told()
    both = asyncio.Event()

    def on_after(before, after):
        assert asyncio.get_running_loop() is loop
        told.after(before, after)
        both.set()

    server.put("Inspection", inspection(1))
    sync = SyncConfiguration(
        user,
        lambda subs, realm: subs.add(realm.objects(Inspection)),
        client_reset=ClientReset(RECOVER, told.before, on_after),
    )
    with await Realm.open(schema=[Airfield, Inspection], sync=sync) as realm:
        pause(realm)
        await asyncio.to_thread(restored, server)
        realm.sync_session.resume()
        await asyncio.wait_for(both.wait(), 5)
        # The thread did not wait for them: the realm of before shows the state of before all the same.
        assert told.notes == [("before", ["Inspection 1"]), ("after", ["Inspection 1"], ["Inspection 2"])]
        assert told.threads == {threading.current_thread()}
        await asyncio.to_thread(until, lambda: told.befores[0].is_closed)


def test_all_realms_of_a_file_are_told_in_the_order_of_opening(server, open_realm):
    calls = []

    def hooks(name):
        return ClientReset(
            EITHER,
            on_before=lambda before: calls.append((name, "before", titles(before))),
            on_after=lambda before, after: calls.append((name, "after", after)),
        )

    server.put("Inspection", inspection(1))
    first = open_realm(client_reset=hooks(1))
    closed = open_realm(client_reset=hooks(2))
    third = open_realm(client_reset=hooks(3))
    closed.close()
    with pytest.raises(RealmError, match="already opened with different sync configurations") as caught:
        open_realm(client_reset=ClientReset(DISCARD))
    assert caught.value.code == "MismatchedConfig"
    pause(first)
    restored(server)
    first.sync_session.resume()
    until(lambda: len(calls) == 4)
    old = ["Inspection 1"]
    assert calls == [(1, "before", old), (3, "before", old), (1, "after", first), (3, "after", third)]


def test_waits_are_carried_over_and_uploads_end_with_the_recovered_changes(server, open_realm):
    realm = open_realm()
    pause(realm)
    for number in range(5):
        write(realm, f"Unsynced {number}")
    restored(server)
    server.answer = lambda message: [] if isinstance(message, Upload) and message.changesets else None
    realm.sync_session.resume()
    session, south = realm.sync_session, realm.objects(Inspection).filtered("team == 'South'")
    waits = [session.upload_all_local_changes(), session.download_all_server_changes(), south.subscribe(name="south")]
    for each in waits[1:]:
        each.result(5)
    assert not waits[0].done() and titles(realm) == ["Inspection 2"] + [f"Unsynced {n}" for n in range(5)]
    server.answer = lambda message: None
    pause(realm)
    realm.sync_session.resume()
    # `pause` ended that wait; a wait of now ends when the changes that were recovered are acknowledged.
    with pytest.raises(RealmError, match="Sync session became inactive"):
        waits[0].result(1)
    session.upload_all_local_changes().result(5)
    assert len([name for name, _ in server.objects if name == "Inspection"]) == 6


# --- subscriptions ---------------------------------------------------------------------------------------------------


def test_a_realm_that_is_opened_anew_in_on_before_loses_nothing(server, user, open_realm):
    """In another mode, so that the session that is resetting ends at once: that is no failure of the reset."""
    told, again = Told(), []

    def reopen(before):
        if not again:
            realm.close()
            sync = SyncConfiguration(user, client_reset=ClientReset(EITHER), on_error=told.error)
            again.append(Realm(schema=[Airfield, Inspection], sync=sync))

    server.put("Inspection", inspection(1))
    realm = open_realm(client_reset=ClientReset(RECOVER, on_before=reopen), on_error=told.error)
    pause(realm)
    write(realm, "Unsynced")
    restored(server)
    realm.sync_session.resume()
    until(lambda: again)
    with again[0] as after:
        after.sync_session.upload_all_local_changes().result(5)
        assert titles(after) == ["Inspection 2", "Unsynced"] and told.notes == []
        assert reset_module.scheduled(after.path) is None


def test_who_closes_another_realm_in_on_before_has_it_left_alone(server, open_realm):
    told = Told()
    server.put("Inspection", inspection(1))
    first = open_realm(client_reset=ClientReset(RECOVER, on_before=lambda before: second.close()))
    second = open_realm(client_reset=told.reset(RECOVER))
    pause(first)
    restored(server)
    first.sync_session.resume()
    first.sync_session.download_all_server_changes().result(5)
    assert titles(first) == ["Inspection 2"] and told.notes == []


@pytest.mark.parametrize("mode", [RECOVER, DISCARD])
def test_pending_sets_are_kept_or_dropped_with_the_writes(server, open_realm, mode):
    realm = open_realm(client_reset=ClientReset(mode))
    active = realm.subscriptions
    pause(realm)
    pending = realm.subscriptions
    pending.update(lambda subs: subs.remove_by_object_type("Airfield"))
    restored(server)
    realm.sync_session.resume()
    pending.wait_for_synchronization().result(5)
    realm.sync_session.download_all_server_changes().result(5)
    newest = realm.subscriptions
    assert newest.state == "complete" and titles(realm) == ["Inspection 2"]
    if mode == RECOVER:
        assert [s.object_type for s in newest] == ["Inspection"] and newest.version == pending.version
    else:
        assert [s.object_type for s in newest] == ["Airfield", "Inspection"] and newest.version == active.version
        assert pending.state == "superseded"


def test_a_pending_set_that_is_refused_leaves_the_one_that_was_complete(server, open_realm):
    server.put("Inspection", inspection(1))
    realm = open_realm()
    pause(realm)
    titled = realm.objects(Inspection).filtered("title == 'x'")
    pending = realm.subscriptions
    pending.update(lambda subs: (subs.remove_all(), subs.add(titled)))
    restored(server)
    server.answer = lambda message: (
        QueryError(query_version=message.query_version, code="InvalidSubscriptionQuery", message="not queryable")
        if isinstance(message, Query) and any("title" in s.query for s in message.subscriptions)
        else None
    )
    realm.sync_session.resume()
    with pytest.raises(RealmError, match="not queryable"):
        pending.wait_for_synchronization().result(5)
    until(lambda: titles(realm) == ["Inspection 2"])
    assert [s.object_type for s in realm.subscriptions] == ["Airfield", "Inspection"]
    assert (pending.state, realm.subscriptions.state) == ("superseded", "complete")


# --- resets in circles, and resets that fail -------------------------------------------------------------------------


@pytest.mark.parametrize("mode", AUTOMATIC)
@pytest.mark.parametrize("times", [1, 2, 3, 4])
def test_the_third_reset_in_a_row_fails_or_discards_and_the_fourth_fails(server, user, open_realm, mode, times):
    told = Told()
    realm = open_realm(client_reset=told.reset(mode), on_error=told.error)
    pause(realm)
    write(realm, "Unsynced")
    del server.received[:]
    server.answer = always(times=times)
    realm.sync_session.resume()
    uploaded = realm.sync_session.upload_all_local_changes()
    if times < 3 or (times == 3 and mode == EITHER):
        uploaded.result(5)
        until(lambda: len(told.notes) == 2)
        assert told.notes[1] == (
            ("after", ["Unsynced"], [] if mode == DISCARD else ["Unsynced"])
            if times < 3
            else ("fallback", "active", realm.path)
        )
        assert len(server.objects) == (1 if times < 3 and mode != DISCARD else 0)
        assert len([m for m in server.received if isinstance(m, Bind)]) == times + 1
        assert realm._store.file().resets == 0
        return
    with pytest.raises(ClientResetError):
        uploaded.result(5)
    ((kind, error),) = told.notes
    assert (kind, error.code, error.is_fatal) == ("error", "AutoClientResetFailed", True)
    assert error.message.startswith(
        f"A fatal error occurred during 'ClientReset' client reset for '{realm.path}': Start over."
    )
    assert realm.sync_session.state == "inactive" and titles(realm) == ["Unsynced"]
    realm.close()
    again = open_realm(client_reset=told.reset(mode))
    assert titles(again) == []
    assert_holds(error.config, ["Unsynced"])


def assert_holds(config, expected):
    """The file that was put aside still has the writes that the server never got."""
    store = Store(config.path, create=False)
    try:
        table = store.table("Inspection")
        found = sorted(table.image(row)["title"] for row in store.connection.execute(table.select))
        assert found == expected
        assert store.pending_count() == len([title for title in expected if title.startswith("Unsynced")])
    finally:
        store.close()


@pytest.mark.parametrize("mode", AUTOMATIC)
def test_writes_that_cannot_be_recovered_are_discarded_if_that_is_allowed(server, open_realm, monkeypatch, mode):
    """A bug, in the replay: the file takes the new content only without the writes."""
    told, original = Told(), Integration.replace

    def replace(self, changes, download, keep_pending):
        original(self, changes, download, keep_pending)
        if keep_pending:
            raise ValueError("this cannot be replayed")

    realm = open_realm(client_reset=told.reset(mode), on_error=told.error)
    pause(realm)
    write(realm, "Unsynced")
    restored(server)
    monkeypatch.setattr(Integration, "replace", replace)
    realm.sync_session.resume()
    if mode == RECOVER:
        until(lambda: len(told.notes) == 2)
        assert told.notes[0] == ("before", ["Unsynced"])
        assert told.notes[1][1].message.endswith("this cannot be replayed")
        assert told.befores[0].is_closed and titles(realm) == ["Unsynced"]
        path = realm.path
        realm.close()
        initiate_client_reset(path)
        assert_holds(told.notes[1][1].config, ["Unsynced"])
    else:
        realm.sync_session.upload_all_local_changes().result(5)
        kinds = ["before", "before", "fallback"] if mode == EITHER else ["before", "after"]
        assert [note[0] for note in told.notes] == kinds and titles(realm) == ["Inspection 2"]


def test_a_schema_that_the_file_cannot_take_makes_the_reset_fail(server, open_realm, monkeypatch):
    from realm_sync.core.declarations import parse_class
    from realm_sync.core.schema import Schema

    told = Told()
    realm = open_realm(schema=None, client_reset=told.reset(EITHER), on_error=told.error)
    pause(realm)
    with realm.write():
        realm.create("Airfield", {"_id": "EDDF", "name": "Frankfurt"})
    restored(server)
    other = {"name": "Airfield", "primaryKey": "_id", "properties": {"_id": "string", "name": "int"}}
    server.schema = Schema([server.schema["Inspection"], parse_class(other)])
    realm.sync_session.resume()
    until(lambda: told.notes)
    assert told.notes[0][1].code == "AutoClientResetFailed"
    assert "'Airfield.name' has been changed from 'string' to 'int'" in told.notes[0][1].message
    realm.close()
    again = open_realm(schema=None)
    assert again._store.table("Airfield").cls.properties["name"].type == "int"


# --- manual ----------------------------------------------------------------------------------------------------------


def manual_reset(server, open_realm, **options):
    """A realm with two writes that the server does not have, and wants to start over."""
    server.put("Inspection", inspection(1))
    realm = open_realm(**options)
    pause(realm)
    write(realm, "Unsynced 1")
    write(realm, "Unsynced 2")
    restored(server)
    realm.sync_session.resume()
    with pytest.raises(ClientResetError, match="Start over"):
        realm.sync_session.upload_all_local_changes().result(5)
    until(lambda: realm.sync_session.connection_state == "disconnected")
    assert realm.sync_session.state == "inactive"
    return realm


ASIDE = re.compile(r".*/mongodb-realm/realm-sync/recovered-realms/recovered_realm-\d{8}-\d{6}-[A-Z0-9]{6}")
KEPT = ["Inspection 1", "Unsynced 1", "Unsynced 2"]


def test_a_manual_reset_is_told_and_puts_the_file_aside_at_the_next_opening(server, open_realm):
    told = Told()
    realm = manual_reset(server, open_realm, client_reset=told.reset("manual"), on_error=told.error)
    until(lambda: told.notes)
    ((kind, path),) = told.notes
    assert kind == "manual" and ASIDE.fullmatch(path) and not Path(path).exists()
    assert titles(realm) == KEPT, "until then the realm can be read, and written"
    second = open_realm(
        client_reset=told.reset("manual"), existing_realm_file_behavior=OpenBehavior("open_immediately")
    )
    assert second.sync_session is realm.sync_session
    for each in (realm, second):
        each.close()
    again = open_realm(client_reset=told.reset("manual"))
    assert titles(again) == ["Inspection 2"] and again.sync_session.state == "active"
    assert len([name for name, _ in server.objects if name == "Inspection"]) == 1
    with closing(sqlite3.connect(path)) as aside:
        assert aside.execute("SELECT count(*) FROM __realm_changeset").fetchone() == (2,)


def test_without_on_manual_on_error_gets_where_the_file_will_be(server, open_realm):
    told = Told()
    realm = manual_reset(server, open_realm, client_reset=ClientReset("manual"), on_error=told.error)
    until(lambda: told.notes)
    ((kind, error),) = told.notes
    assert (kind, type(error), error.is_fatal, error.code) == ("error", ClientResetError, True, "BadClientFileIdent")
    assert ASIDE.fullmatch(str(error.config.path)) and str(error.config.path) in str(error)
    path = realm.path
    with pytest.raises(RealmError, match="Client Reset could not be run"):
        initiate_client_reset(path)  # it is open
    realm.close()
    initiate_client_reset(path)
    assert not Path(path).exists() and not Path(f"{path}-wal").exists() and not Path(f"{path}.reset").exists()
    assert_holds(error.config, KEPT)
    expected = f"Realm was not configured correctly. Client Reset could not be run for Realm at: {path}"
    with pytest.raises(RealmError, match=re.escape(expected)):
        initiate_client_reset(path)
    assert titles(open_realm()) == ["Inspection 2"]


def test_asked_twice_the_file_still_goes_to_one_place(server, open_realm):
    told = Told()
    realm = manual_reset(server, open_realm, client_reset=told.reset("manual"))
    realm.sync_session.resume()
    until(lambda: len(told.notes) == 2)
    assert told.notes[0] == told.notes[1]


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("crash_at", range(7))
def test_a_crash_while_the_file_is_put_aside_loses_nothing(tmp_path, monkeypatch, crash_at, encrypted):
    """Killed before any of the steps, the next opening does the rest."""
    path = tmp_path / "files" / "test.realm"
    path.parent.mkdir()
    contents = {"": b"not for SQLite's eyes", "-wal": b"log", "-shm": b"index"}
    if encrypted:
        for suffix, content in contents.items():
            Path(f"{path}{suffix}").write_bytes(content)
    else:
        with closing(sqlite3.connect(path)) as file:
            file.execute("PRAGMA journal_mode = WAL")
            file.execute("CREATE TABLE kept AS SELECT 1 AS one")
            file.commit()
    backup = reset_module.schedule(path, tmp_path / "app")
    steps = [0]

    def crashing(function):
        def step(*arguments, **options):
            if steps[0] == crash_at:
                raise KeyboardInterrupt
            steps[0] += 1
            return function(*arguments, **options)

        return step

    monkeypatch.setattr(reset_module, "_move", crashing(reset_module._move))
    monkeypatch.setattr(reset_module, "synchronize", crashing(reset_module.synchronize))
    with pytest.raises(KeyboardInterrupt):
        reset_module.carry_out(path)
    monkeypatch.undo()
    assert path.exists() != backup.exists(), "the database is in one place, with what belongs to it"
    reset_module.carry_out(path)
    assert reset_module.scheduled(path) is None and os.listdir(path.parent) == []
    if encrypted:
        assert {suffix: Path(f"{backup}{suffix}").read_bytes() for suffix in contents} == contents
    else:
        with closing(sqlite3.connect(backup)) as file:
            assert file.execute("SELECT one FROM kept").fetchone() == (1,)
    assert not reset_module.carry_out(path)


@pytest.mark.parametrize(
    "encrypted, program",
    [
        (False, "from realm_sync.client.store import Store; store = Store(sys.argv[1])"),
        # As SQLite locks a database that only it can read.
        (True, "file = open(sys.argv[1], 'r+b'); fcntl.lockf(file, fcntl.LOCK_SH, 510, 0x40000002)"),
    ],
)
def test_a_file_that_another_process_has_open_is_left_where_it_is(tmp_path, encrypted, program):
    path = tmp_path / "test.realm"
    Store(path).close()
    backup = reset_module.schedule(path, tmp_path)
    if encrypted:
        with path.open("r+b") as file:
            file.write(b"salt of 16 bytes")
    program = f"import fcntl, sys\n{program}\nprint('open', flush=True); sys.stdin.read()"
    other = subprocess.Popen(
        [sys.executable, "-c", program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with other:
        assert other.stdout.readline() == "open\n"
        assert not reset_module.carry_out(path) and path.exists()
        other.stdin.close()
        other.wait(10)
    assert reset_module.carry_out(path) and backup.exists() and not path.exists()
    assert reset_module.schedule(path, tmp_path) != backup


def test_two_processes_put_a_file_aside_once(tmp_path, monkeypatch):
    """The second one finds the file free, and the first one goes on and makes a new one, which stays."""
    path = tmp_path / "test.realm"
    Store(path).close()
    backup = reset_module.schedule(path, tmp_path)
    looked, made, done = threading.Event(), threading.Event(), []
    second = threading.Thread(target=lambda: done.append(reset_module.carry_out(path)))
    is_free, move = reset_module._is_free, reset_module._move

    def look(path):
        free = is_free(path)
        if threading.current_thread() is second:
            looked.set()
            made.wait(5)
        return free

    def moving(source, target):
        move(source, target)
        if source == path and not looked.is_set():
            second.start()
            looked.wait(0.2)

    monkeypatch.setattr(reset_module, "_is_free", look)
    monkeypatch.setattr(reset_module, "_move", moving)
    assert reset_module.carry_out(path)
    path.write_text("the new file")
    made.set()
    second.join(5)
    assert done == [False] and path.read_text() == "the new file" and backup.exists()


def test_a_backup_on_another_file_system_is_copied_first(tmp_path, monkeypatch):
    path = tmp_path / "test.realm"
    Store(path).close()
    backup = reset_module.schedule(path, tmp_path / "elsewhere")

    def refuse(source, target):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(reset_module.os, "rename", refuse)
    assert reset_module.carry_out(path)
    assert os.listdir(backup.parent) == [backup.name] and os.listdir(tmp_path) == ["elsewhere"]


def test_the_file_of_a_killed_process_goes_on_with_its_reset(server, user, open_realm):
    """The reset was begun, the process ended before the new content came."""
    told = Told()
    server.put("Inspection", inspection(1))
    realm = open_realm()
    pause(realm)
    write(realm, "Unsynced")
    restored(server)
    server.answer = lambda message: [] if isinstance(message, Query) else None
    realm.sync_session.resume()
    until(lambda: realm._store.file().reset == "recover" and any(isinstance(m, Query) for m in server.received[-2:]))
    assert titles(realm) == ["Inspection 1", "Unsynced"]
    pause(realm)
    realm.close()
    server.answer = lambda message: None
    again = open_realm(client_reset=told.reset(RECOVER))
    again.sync_session.upload_all_local_changes().result(5)
    assert titles(again) == ["Inspection 2", "Unsynced"]
    assert told.notes[0] == ("before", ["Inspection 1", "Unsynced"])
    assert server.image("Inspection", key(2)) is not None
