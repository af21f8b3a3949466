"""Files of realms: deleted, encrypted, read-only, compacted, copied; and what opening them many times leaves behind."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from realm_sync.client import (
    Configuration,
    Object,
    Realm,
    RealmError,
    RealmFileError,
    SyncConfiguration,
    ValueTypeError,
    database,
    files,
    open_files,
)
from realm_sync.client.store import Store

from .conftest import Airfield, Inspection, inspection, key, make_user, until

KEY, OTHER_KEY = bytes(range(64)), bytes(range(1, 65))
SECRET = "Secret of the north tower"


class Note(Object):
    _id: str
    text: str | None
    about: Airfield | None


def parts(path: Any) -> dict[str, bytes]:
    """What the realm has on disk, but for the index of its log: readers write to that."""
    found = {part: Path(f"{path}{part}") for part in ("", "-wal", ".lock", ".management")}
    return {part: each.read_bytes() for part, each in found.items() if each.exists() and each.stat().st_size}


def fill(realm: Realm, count: int = 3) -> None:
    with realm.write():
        field = realm.create(Airfield, {"_id": "EDDM", "name": SECRET})
        for number in range(count):
            realm.create(Note, {"_id": f"note {number}", "text": f"{SECRET} {number}", "about": field})


def local(path: Path, **options: Any) -> Realm:
    return Realm(path, schema=[Airfield, Note], **options)


@cache
def _died(directory: Path, key: bytes | None) -> Path:
    program = (
        "import os, sys\nfrom tests.client.test_files import *\n"
        "realm = local(Path(sys.argv[1]), encryption_key=bytes.fromhex(sys.argv[2]) or None)\n"
        "fill(realm)\nos._exit(0)"
    )
    path = directory / f"died-{key is not None}.realm"
    done = subprocess.run(
        [sys.executable, "-c", program, str(path), (key or b"").hex()],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert Path(f"{path}-wal").stat().st_size
    return path


@pytest.fixture
def died(tmp_path_factory):
    """Makes the file of a process that was killed: its commits are in the write-ahead log alone."""

    def make(path: Path, key: bytes | None) -> None:
        template = _died(tmp_path_factory.getbasetemp(), key)
        for part in ("", "-wal"):
            shutil.copy(f"{template}{part}", f"{path}{part}")

    return make


# --- places ----------------------------------------------------------------------------------------------------------


def test_local_realms_lie_where_their_path_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Realm.default_path == str(tmp_path / "default.realm")
    assert not Realm.exists()
    for path, found in ((None, "default.realm"), ("notes", "notes"), ("a/b/c.db", "a/b/c.db")):
        with local(path) as realm:
            assert realm.path == str(tmp_path / found)
        assert (tmp_path / found).exists()
    with local(tmp_path / "x" / "absolute") as realm:
        assert realm.path == str(tmp_path / "x" / "absolute")
    assert Realm.exists()
    assert Realm.exists("notes")


def test_two_ways_of_writing_a_path_are_one_file(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    with local(tmp_path / "a.realm") as one, local(tmp_path / "link" / "a.realm") as other:
        assert one._file is other._file
        with pytest.raises(RealmError, match="still in use"):
            Realm.delete_file(tmp_path / "link" / "a.realm")


def test_opening_a_file_that_is_there_waits_for_no_writer(tmp_path):
    local(tmp_path / "a.realm").close()
    writer = sqlite3.connect(tmp_path / "a.realm", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    with local(tmp_path / "a.realm") as realm:
        assert realm.is_empty
    writer.close()


# --- deleting --------------------------------------------------------------------------------------------------------


def test_delete_file_removes_all_that_belongs_to_it(died, tmp_path):
    path = tmp_path / "a.realm"
    died(path, None)
    (tmp_path / "a.realm.management").mkdir()
    (tmp_path / "a.realm.management" / "copy-1.realm").write_text("x")
    (tmp_path / "a.realm.lock").write_text("")
    (tmp_path / "a.realm2").write_text("another file")
    Realm.delete_file(path)
    assert [each.name for each in tmp_path.iterdir()] == ["a.realm2"]
    Realm.delete_file(path)
    Realm.delete_file(tmp_path / "nowhere" / "a.realm")
    with local(path) as realm:
        assert realm.is_empty


def test_delete_file_refuses_what_is_open(tmp_path):
    with local(tmp_path / "a.realm") as realm:
        fill(realm)
        with pytest.raises(RealmError) as caught:
            Realm.delete_file(realm.path)
        assert str(caught.value) == f"Cannot delete files of an open Realm: '{realm.path}' is still in use."
        assert caught.value.code == "DeleteOnOpenRealm"
        assert len(realm.objects(Note)) == 3
    Realm.delete_file(tmp_path / "a.realm")


def test_delete_file_ends_a_session_that_only_uploads(server, user, open_realm):
    realm = open_realm()
    server.answer = lambda message: [] if type(message).__name__ == "Upload" and message.changesets else None
    with realm.write():
        realm.create(Airfield, {"_id": "EDDM", "name": "Munich"})
    transport = realm._transport
    open_files.CLOSE_SECONDS, seconds = 0.05, open_files.CLOSE_SECONDS
    try:
        realm.close()
        assert transport.running
    finally:
        open_files.CLOSE_SECONDS = seconds
    Realm.delete_file(sync=SyncConfiguration(user))
    assert not transport.running
    assert parts(realm.path) == {}


@pytest.mark.parametrize(
    "program",
    [
        "import fcntl; f = open(sys.argv[1] + '.lock', 'a'); fcntl.flock(f, fcntl.LOCK_EX)",
        "import sqlite3; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM sqlite_master').fetchall()",
    ],
    ids=["that syncs", "that reads"],
)
def test_delete_file_refuses_while_another_process_uses_it(tmp_path, program):
    path = tmp_path / "a.realm"
    local(path).close()
    with subprocess.Popen(
        [sys.executable, "-c", f"import sys; {program}; print(flush=True); input()", path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        other.stdout.readline()
        with pytest.raises(RealmError, match="is still in use, by another process") as caught:
            Realm.delete_file(path)
        assert caught.value.code == "DeleteOnOpenRealm"
        assert path.exists()
        other.communicate(b"\n")
    Realm.delete_file(path)
    assert not path.exists()


def test_delete_file_refuses_an_encrypted_file_that_another_process_has_open(tmp_path):
    path = tmp_path / "a.realm"
    local(path, encryption_key=KEY).close()
    program = (
        "import sys\nfrom tests.client.test_files import *\nrealm = local(Path(sys.argv[1]), encryption_key=KEY)\n"
        "print(flush=True); input(); fill(realm); realm.close()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, path], cwd=Path(__file__).parents[2], stdin=-1, stdout=-1, text=True
    ) as other:
        other.stdout.readline()
        with pytest.raises(RealmError, match="is still in use, by another process"):
            Realm.delete_file(path)
        other.communicate("\n")
    with local(path, encryption_key=KEY) as realm:
        assert len(realm.objects(Note)) == 3
    Realm.delete_file(path)
    assert not path.exists()


def test_a_realm_closed_by_two_threads_is_released_once(tmp_path, monkeypatch):
    both = threading.Barrier(2)

    def meet():
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.1)

    with local(tmp_path / "a.realm") as other:
        realm = local(tmp_path / "a.realm")
        monkeypatch.setattr(realm, "remove_all_listeners", meet)
        threads = [threading.Thread(target=realm.close) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        fill(other)
        assert realm.is_closed and len(other.objects(Note)) == 3


def in_a_fork(work):
    """The exit status of a forked process: 0 if `work()` is true there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the threads that it does not have
        child = os.fork()
    if child:
        return child
    status = 1
    try:
        status = 0 if work() else 1
    finally:
        os._exit(status)


def test_a_forked_process_cannot_use_what_its_parent_has_open(tmp_path):
    def refused():
        for use in (lambda: fill(realm), lambda: local(tmp_path / "a.realm")):
            with pytest.raises(RealmError, match="before this process was forked"):
                use()
        local(tmp_path / "b.realm").close()
        return True

    for name in list(open_files._open):  # a thread that other tests left may be inside SQLite while this one forks
        open_files.end(name)
    with local(tmp_path / "a.realm") as realm:
        assert os.waitpid(in_a_fork(refused), 0)[1] == 0
        fill(realm)


def test_a_forked_process_does_not_keep_others_from_syncing(server, open_realm):
    realm = open_realm()
    reads, writes = os.pipe()
    child = in_a_fork(lambda: (os.close(writes), os.read(reads, 1)))
    os.close(reads)
    try:
        transport = realm._transport
        realm.close()
        until(lambda: not transport.running)
        realm = open_realm()
        with realm.write():
            realm.create(Airfield, {"_id": "EDDM", "name": "Munich"})
        realm.sync_session.upload_all_local_changes().result(5)
    finally:
        os.close(writes)
        os.waitpid(child, 0)


# --- encryption ------------------------------------------------------------------------------------------------------


def test_an_encryption_key_has_64_bytes(tmp_path):
    for wrong in (b"", bytes(63), bytearray(65)):
        with pytest.raises(RealmError) as caught:
            Configuration(encryption_key=wrong)
        assert str(caught.value) == f"'encryption_key' on realm configuration has {len(wrong)} bytes; it must have 64."
        assert caught.value.code == "InvalidEncryptionKey"
    with pytest.raises(ValueTypeError, match="Expected 'encryption_key' on realm configuration to be bytes, got"):
        Configuration(encryption_key="k" * 64)
    assert Configuration(encryption_key=memoryview(KEY)) == Configuration(encryption_key=bytearray(KEY))
    assert str(KEY[10:20]) not in repr(Configuration(encryption_key=KEY))


@pytest.mark.parametrize("crashed", [False, True])
def test_nothing_of_an_encrypted_realm_can_be_read_on_disk(died, tmp_path, crashed):
    path = tmp_path / "a.realm"
    if crashed:
        died(path, KEY)
    else:
        with local(path, encryption_key=KEY) as realm:
            fill(realm)
            assert SECRET.encode() not in b"".join(parts(path).values())
            assert b"Airfield" not in b"".join(parts(path).values())
    assert SECRET.encode() not in b"".join(parts(path).values())
    with local(path, encryption_key=KEY) as realm:
        assert realm.objects(Airfield)[0].name == SECRET
        assert len(realm.objects(Note).filtered("text LIKE[c] 'SECRET*' and about == 'EDDM'")) == 3
    assert SECRET.encode() not in b"".join(parts(path).values())


@pytest.mark.parametrize("crashed", [False, True])
@pytest.mark.parametrize(
    ("made_with", "opened_with", "code", "text"),
    [
        (KEY, OTHER_KEY, "DecryptionFailed", "The 'encryption_key' is not the one that it was made with"),
        (KEY, None, "InvalidDatabase", "It is encrypted, or no realm file"),
        (None, KEY, "InvalidDatabase", "It is not encrypted. Open it without 'encryption_key'"),
    ],
    ids=["another key", "no key", "a key for a plain file"],
)
def test_the_wrong_key_opens_nothing_and_changes_nothing(
    died, tmp_path, made_with, opened_with, code, text, crashed, capfd
):
    path = tmp_path / "a.realm"
    if crashed:
        died(path, made_with)
    else:
        with local(path, encryption_key=made_with) as realm:
            fill(realm)
    before = parts(path)
    for options in ({}, {"read_only": True}):
        with pytest.raises(RealmFileError) as caught:
            local(path, encryption_key=opened_with, **options)
        assert text in str(caught.value) and str(path) in str(caught.value)
        assert caught.value.code == code
        assert parts(path) == before
    assert capfd.readouterr() == ("", "")
    with local(path, encryption_key=made_with) as realm:
        assert len(realm.objects(Note)) == 3


def test_one_file_is_opened_with_one_key(tmp_path):
    with local(tmp_path / "a.realm", encryption_key=KEY) as realm:
        for other in (None, OTHER_KEY):
            with pytest.raises(RealmError) as caught:
                local(tmp_path / "a.realm", encryption_key=other)
            assert str(caught.value) == (
                f"Realm at path '{realm.path}' already opened with a different encryption key."
            )
            assert caught.value.code == "MismatchedConfig"


def test_without_sqlcipher_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "sqlcipher", None)
    with pytest.raises(RealmFileError, match=r"pip install 'django-realm-sync\[encryption\]'"):
        local(tmp_path / "a.realm", encryption_key=KEY)


def test_an_encrypted_device_syncs(server, user, tmp_path):
    server.part_size = 7
    server.put_all("Inspection", [inspection(number, title=f"{SECRET} {number}") for number in range(30)])

    def subscribe(subscriptions: Any, realm: Realm) -> None:
        subscriptions.add(realm.objects("Inspection"))

    def open() -> Realm:
        sync = SyncConfiguration(user, subscribe)
        return Realm.open(schema=[Airfield, Inspection], sync=sync, encryption_key=KEY).result(10)

    with open() as realm:
        assert len(realm.objects(Inspection).filtered("title LIKE 'Secret*'")) == 30
        with realm.write():
            realm.create(Inspection, {"title": f"{SECRET} mine"})
        realm.sync_session.upload_all_local_changes().result(10)
        server.put("Inspection", inspection(3, title="Changed there"))
        realm.sync_session.download_all_server_changes().result(10)
        assert realm.object_for_primary_key("Inspection", UUID(key(3))).title == "Changed there"
        assert SECRET.encode() not in b"".join(parts(realm.path).values())
        seen: list[int] = []
        thread = threading.Thread(target=lambda: seen.append(len(realm.objects(Inspection))))
        thread.start()
        thread.join()
        assert seen == [31]
    with open() as realm:
        device = {str(each._id): each.title for each in realm.objects(Inspection)}
        assert device == {ident: image["title"] for (_, ident), image in server.objects.items()}
    assert SECRET.encode() not in b"".join(parts(realm.path).values())


# --- read-only -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encryption_key", [None, KEY], ids=["plain", "encrypted"])
def test_a_read_only_realm_shows_everything_and_changes_nothing(died, tmp_path, encryption_key):
    path = tmp_path / "a.realm"
    died(path, encryption_key)
    before = parts(path)
    with local(path, read_only=True, encryption_key=encryption_key) as realm:
        assert realm.is_read_only
        assert [note.about.name for note in realm.objects(Note).filtered("text CONTAINS '1'")] == [SECRET]
        for action in (realm.begin_transaction, lambda: realm.write(lambda: None)):
            with pytest.raises(RealmError) as caught:
                action()
            assert str(caught.value) == "Can't perform transactions on read-only Realms."
        with pytest.raises(RealmError, match="Can't compact a read-only Realm"):
            realm.compact()
    assert parts(path) == before


def test_a_read_only_file_must_exist_and_have_the_schema(tmp_path):
    with pytest.raises(RealmFileError, match="There is no such file") as caught:
        local(tmp_path / "sub" / "a.realm", read_only=True)
    assert caught.value.code == "FileNotFound"
    assert not (tmp_path / "sub").exists()
    Realm(tmp_path / "a.realm", schema=[Airfield]).close()
    before = parts(tmp_path / "a.realm")
    with pytest.raises(RealmError) as caught:
        local(tmp_path / "a.realm", read_only=True)
    assert str(caught.value) == (
        "The following changes cannot be made in read-only schema mode:\n- Class 'Note' has been added."
    )
    assert parts(tmp_path / "a.realm") == before
    with Realm(tmp_path / "a.realm", read_only=True) as realm:
        assert [cls.name for cls in realm.schema] == ["Airfield"]


def test_read_only_does_not_go_with_sync_nor_with_writers(user, tmp_path):
    with pytest.raises(RealmError, match="Synchronized Realms cannot be opened in immutable mode") as caught:
        Configuration(sync=SyncConfiguration(user), read_only=True)
    assert caught.value.code == "IllegalCombination"
    with pytest.raises(ValueTypeError, match="'read_only' on realm configuration to be a boolean"):
        Configuration(read_only=1)
    with local(tmp_path / "a.realm"), pytest.raises(RealmError, match="opened with different read permissions"):
        local(tmp_path / "a.realm", read_only=True)


def test_a_synced_file_opens_without_sync_for_reading(server, user, open_realm, tmp_path):
    realm = open_realm()
    server.stop()
    with realm.write():
        realm.create(Airfield, {"_id": "EDDM", "name": "Munich, not uploaded"})
    path = Path(realm.path)
    realm.close()
    until(lambda: str(path) not in open_files._open or not open_files._open[str(path)].realms)
    backup = tmp_path / "backup.realm"
    for part in ("", "-wal"):
        if Path(f"{path}{part}").exists():
            shutil.copy(f"{path}{part}", f"{backup}{part}")
    before = parts(backup)
    with Realm(backup, read_only=True) as copy:
        assert [field.name for field in copy.objects("Airfield")] == ["Munich, not uploaded"]
        assert copy.sync_session is None
    assert parts(backup) == before
    with Realm(backup) as copy:
        assert len(copy.objects("Airfield")) == 1
        with pytest.raises(RealmError, match="would never be uploaded") as caught:
            copy.begin_transaction()
        assert caught.value.code == "IncompatibleHistories"
    server.start()


def test_a_read_only_directory(tmp_path, monkeypatch):
    """Nothing stops root from writing, so that only what SQLite is told can be tested."""
    with local(tmp_path / "a.realm") as realm:
        fill(realm)
    monkeypatch.setattr(database.os, "access", lambda path, mode: False)
    with local(tmp_path / "a.realm", read_only=True) as realm:
        assert len(realm.objects(Note)) == 3
        assert [each.name for each in tmp_path.iterdir()] == ["a.realm"]


# --- partitions, modes -----------------------------------------------------------------------------------------------


def test_one_file_is_synced_in_one_way(server, user, tmp_path):
    path = tmp_path / "a.realm"
    with Realm(path, sync=SyncConfiguration(user, partition_value="North")):
        for sync, difference in (
            (None, "different sync configurations"),
            (SyncConfiguration(make_user(server.url, tmp_path / "other", "sol")), "different sync user"),
            (SyncConfiguration(user), "a different synchronization mode"),
            (SyncConfiguration(user, partition_value="South"), "different partition value"),
        ):
            with pytest.raises(RealmError, match=f"already opened with {difference}") as caught:
                Realm(path, sync=sync)
            assert caught.value.code == "MismatchedConfig"
        Realm(path, sync=SyncConfiguration(user, partition_value="North")).close()


# --- compacting ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encryption_key", [None, KEY], ids=["plain", "encrypted"])
def test_should_compact_is_asked_at_the_first_opening(tmp_path, encryption_key):
    path = tmp_path / "a.realm"
    asked: list[tuple[int, int]] = []

    def should_compact(total: int, used: int) -> bool:
        asked.append((total, used))
        return used < total / 2

    with local(path, encryption_key=encryption_key) as realm:
        fill(realm, 5000)
        order = [note._id for note in realm.objects(Note)][4000:]
        with realm.write():
            realm.delete(realm.objects(Note)[:4000])
    large = path.stat().st_size
    with (
        local(path, encryption_key=encryption_key, should_compact=should_compact) as realm,
        local(path, encryption_key=encryption_key, should_compact=should_compact),
    ):
        assert asked == [(large, asked[0][1])]
        assert path.stat().st_size < large / 2
        assert Path(f"{path}-wal").stat().st_size == 0
        assert [note._id for note in realm.objects(Note)] == order
    with local(path, encryption_key=encryption_key, should_compact=should_compact):
        assert len(asked) == 2
    with pytest.raises(ValueTypeError, match="'should_compact' on realm configuration to be a function"):
        Configuration(should_compact=True)


def test_compact(tmp_path):
    with local(tmp_path / "a.realm") as realm:
        fill(realm, 2000)
        with realm.write():
            realm.delete(realm.objects(Note))
            with pytest.raises(RealmError) as caught:
                realm.compact()
            assert str(caught.value) == "Cannot compact a Realm within a transaction."
        assert realm.compact()
        assert Path(realm.path).stat().st_size < 100_000
        with realm.write():
            realm.create(Note, {"_id": "later"})
        other = sqlite3.connect(realm.path)
        other.execute("BEGIN IMMEDIATE")
        realm._connection.execute("PRAGMA busy_timeout = 10")
        assert not realm.compact()
        other.close()


# --- copying ---------------------------------------------------------------------------------------------------------


def content(realm: Realm) -> dict[str, list[dict[str, Any]]]:
    return {cls.name: realm.objects(cls.name).to_dicts() for cls in realm.schema if len(realm.objects(cls.name))}


@pytest.mark.parametrize("source_key", [None, KEY], ids=["plain", "encrypted"])
@pytest.mark.parametrize("target_key", [None, KEY, OTHER_KEY], ids=["plain", "same", "other"])
def test_a_local_realm_is_copied_with_any_encryption(tmp_path, source_key, target_key):
    with local(tmp_path / "a.realm", encryption_key=source_key) as realm:
        fill(realm)
        Path(f"{tmp_path}/new").mkdir()
        (tmp_path / "new" / "b.realm-wal").write_bytes(b"left over of a file that is gone")
        realm.write_copy_to(tmp_path / "new" / "b.realm", encryption_key=target_key)
        assert [each.name for each in (tmp_path / "new").iterdir()] == ["b.realm"]
        with local(tmp_path / "new" / "b.realm", encryption_key=target_key) as copy:
            assert content(copy) == content(realm)
            assert copy.objects(Note)[0].about.name == SECRET
            with copy.write():
                copy.create(Note, {"_id": "more"})


def test_a_copy_is_refused_in_a_transaction_and_onto_itself(tmp_path):
    with local(tmp_path / "a.realm") as realm:
        with realm.write(), pytest.raises(RealmError) as caught:
            realm.write_copy_to(tmp_path / "b.realm")
        assert str(caught.value) == "Can only convert Realms outside a transaction."
        with pytest.raises(RealmError, match="to itself"):
            realm.write_copy_to(realm.path)
        assert not (tmp_path / "b.realm").exists()


def test_a_copy_appears_as_a_whole_or_not_at_all(tmp_path, monkeypatch):
    with local(tmp_path / "a.realm") as realm:
        fill(realm)

        def fail(path: Path) -> None:
            raise OSError("the disk is full")

        monkeypatch.setattr(files, "synchronize", fail)
        with pytest.raises(OSError, match="the disk is full"):
            realm.write_copy_to(tmp_path / "b.realm")
        assert {each.name for each in tmp_path.iterdir()} == {"a.realm", "a.realm-wal", "a.realm-shm"}


def test_others_read_and_write_while_a_copy_is_made(tmp_path, monkeypatch):
    with local(tmp_path / "a.realm") as realm:
        fill(realm)
        add_schema = Store._add_schema

        def meanwhile(store: Store, *arguments: Any) -> Any:
            if ".management" in store.path:
                thread = threading.Thread(target=lambda: realm.write(lambda: realm.create(Note, {"_id": "meanwhile"})))
                thread.start()
                thread.join(5)
                assert not thread.is_alive()
            return add_schema(store, *arguments)

        monkeypatch.setattr(Store, "_add_schema", meanwhile)
        realm.write_copy_to(tmp_path / "b.realm")
        assert len(realm.objects(Note)) == 4
        with local(tmp_path / "b.realm") as copy:
            assert len(copy.objects(Note)) == 3


def test_a_copy_is_merged_into_a_file_that_exists(tmp_path):
    with local(tmp_path / "a.realm") as realm, local(tmp_path / "b.realm", encryption_key=KEY) as other:
        fill(realm)
        with realm.write():
            realm.create(Note, {"_id": "unlinked", "text": None, "about": None})
        with other.write():
            there = other.create(Airfield, {"_id": "ENSB", "name": "Longyear"})
            other.create(Note, {"_id": "note 1", "text": "theirs", "about": there})
            other.create(Note, {"_id": "unlinked", "text": "theirs", "about": there})
            other.create(Note, {"_id": "only there"})
        realm.write_copy_to(tmp_path / "b.realm", encryption_key=KEY)
        assert {field._id for field in other.objects(Airfield)} == {"EDDM", "ENSB"}
        notes = {note._id: (note.text, note.about and note.about._id) for note in other.objects(Note)}
        assert notes == {
            "note 0": (f"{SECRET} 0", "EDDM"), "note 1": (f"{SECRET} 1", "EDDM"), "note 2": (f"{SECRET} 2", "EDDM"),
            "unlinked": (None, None), "only there": (None, None),
        }  # fmt: skip


def test_a_synced_copy_works_offline_and_then_downloads_anew(server, user, open_realm, tmp_path):
    server.put_all("Inspection", [inspection(number) for number in range(20)])
    realm = open_realm()
    ada = make_user(server.url, tmp_path / "ada", "ada")
    for target, sync in ((tmp_path / "copy.realm", SyncConfiguration(user)), (None, SyncConfiguration(ada))):
        realm.write_copy_to(target, sync=sync, encryption_key=KEY)
    server.erase("Inspection", key(3))
    server.stop()
    for target, sync in ((tmp_path / "copy.realm", SyncConfiguration(user)), (None, SyncConfiguration(ada))):
        with Realm(target, schema=[Airfield, Inspection], sync=sync, encryption_key=KEY) as copy:
            assert copy._was_opened
            assert len(copy.objects(Inspection)) == 20
            with copy.write():
                mine = copy.create(Inspection, {"title": f"by {sync.user.id}"})
            assert len(copy.subscriptions) == 2
            server.start()
            copy.sync_session.download_all_server_changes().result(10)
            copy.sync_session.upload_all_local_changes().result(10)
            until(lambda copy=copy: len(copy.objects(Inspection)) in (20, 21))
            assert copy.object_for_primary_key(Inspection, UUID(key(3))) is None
            assert server.image("Inspection", str(mine._id))["title"] == f"by {sync.user.id}"
        server.stop()
    assert len(server.files) == 3
    server.start()


def test_a_synced_copy_waits_for_what_is_pending(server, user, open_realm, tmp_path):
    realm = open_realm()
    server.stop()
    with realm.write():
        realm.create(Airfield, {"_id": "EDDM", "name": "Munich"})
    with pytest.raises(RealmError) as caught:
        realm.write_copy_to(tmp_path / "copy.realm", sync=SyncConfiguration(user))
    assert str(caught.value) == "Could not write file as not all client changes are integrated in server"
    assert not (tmp_path / "copy.realm").exists()
    realm.write_copy_to(tmp_path / "local.realm")
    with Realm(tmp_path / "local.realm", schema=[Airfield]) as copy:
        assert copy.objects(Airfield)[0].name == "Munich"
        with copy.write():
            copy.create(Airfield, {"_id": "ENSB", "name": "Longyear"})
        assert copy._store.pending_count() == 0
    server.start()


def test_what_cannot_become_what(server, user, open_realm, tmp_path):
    flexible, partition = SyncConfiguration(user), SyncConfiguration(user, partition_value="North")
    with local(tmp_path / "a.realm") as realm:
        for sync, text in (
            (flexible, "Realm cannot be converted to a flexible sync realm unless flexible sync is already enabled"),
            (partition, "Realm cannot be converted to a partition based sync realm unless it is one already"),
        ):
            with pytest.raises(RealmError) as caught:
                realm.write_copy_to(tmp_path / "b.realm", sync=sync)
            assert str(caught.value) == text and caught.value.code == "IllegalOperation"
    with pytest.raises(RealmError) as caught:
        open_realm().write_copy_to(tmp_path / "b.realm", sync=partition)
    assert str(caught.value) == ("Realm cannot be converted from a flexible sync realm to a partition based sync realm")
    with Realm(tmp_path / "p.realm", sync=partition) as realm:
        for sync in (flexible, SyncConfiguration(user, partition_value="South")):
            with pytest.raises(RealmError, match="Realm cannot be converted to a "):
                realm.write_copy_to(tmp_path / "b.realm", sync=sync)
        realm.write_copy_to(tmp_path / "b.realm", sync=partition)
    assert {each.name for each in tmp_path.glob("b.realm*")} == {"b.realm"}


def test_a_merge_into_a_synced_realm_is_uploaded(server, user, open_realm, tmp_path):
    target = open_realm(path=tmp_path / "target.realm")
    with target.write():
        target.create(Airfield, {"_id": "EDDM", "name": "theirs"})
    ada = make_user(server.url, tmp_path / "ada", "ada")
    with Realm(tmp_path / "b.realm", schema=[Airfield, Inspection], sync=SyncConfiguration(ada)) as realm:
        realm.sync_session.pause()
        store = realm._store
        with store.transaction() as connection:
            writer = store.writer(connection)
            for name, image in (
                ("Inspection", inspection(1, airfield="ENSB")),
                ("Airfield", {"_id": "ENSB", "name": "Longyear"}),
                ("Airfield", {"_id": "EDDM", "name": "Munich"}),
                *(("Inspection", inspection(number, title="x" * 5000)) for number in range(2, 100)),
            ):
                writer.create(store.table(name), image)
            writer.finish(0)
        realm.write_copy_to(tmp_path / "target.realm", sync=SyncConfiguration(user))
    target.sync_session.upload_all_local_changes().result(10)
    assert server.image("Airfield", "EDDM")["name"] == "Munich"
    assert server.image("Inspection", key(1))["airfield"] == "ENSB"
    assert len(server.objects) == 101
    links = [
        step for message in server.received if type(message).__name__ == "Upload"
        for changeset in message.changesets for step in changeset.instructions if "airfield" in getattr(step, "values", {})
        and step.values["airfield"]
    ]  # fmt: skip
    assert [type(step).__name__ for step in links] == ["Update"]


# --- many openings ---------------------------------------------------------------------------------------------------


def held() -> Counter[str]:
    """Files, sockets and threads of this process, by kind."""
    found = Counter(thread.name.rstrip("0123456789") for thread in threading.enumerate())
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the one that lists them
            found[os.readlink(f"/proc/self/fd/{name}").partition(":[")[0]] += 1
    return found


@pytest.mark.parametrize("encryption_key", [None, KEY], ids=["plain", "encrypted"])
@pytest.mark.parametrize("synced", [False, True])
def test_openings_leave_nothing_behind(server, user, tmp_path, synced, encryption_key):
    def open() -> Realm:
        if not synced:
            return local(tmp_path / "a.realm", encryption_key=encryption_key)
        sync = SyncConfiguration(user)
        return Realm(schema=[Airfield, Inspection], sync=sync, encryption_key=encryption_key)

    with open() as realm:
        path = realm.path

    def one() -> None:
        with open() as realm:
            realm.is_empty  # noqa: B018

    def settled() -> bool:
        return os.path.realpath(path) not in open_files._open and not server.connections

    for name in list(open_files._open):  # sessions that other tests left without a server
        open_files.end(name)
    one()
    until(settled)
    before = held()
    for _ in range(200):
        one()

    def downloaded() -> None:
        Realm.open(path, sync=SyncConfiguration(user), encryption_key=encryption_key).result(20).close()

    threads = [threading.Thread(target=downloaded if synced else one) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(settled, 20)
    deadline = time.monotonic() + 10
    while (more := held() - before) and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
    assert not more


def test_a_forgotten_connection_closes(tmp_path):
    """A file that is closed while another thread reads leaves that thread's connection to be forgotten."""
    with local(tmp_path / "a.realm") as realm:
        connection = realm._store.new_connection()
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        forgotten = weakref.ref(connection)
        del connection
        gc.collect()
        assert forgotten() is None


def test_a_file_is_closed_while_other_threads_read_it(tmp_path):
    """Python would crash: in a process of its own."""
    program = """
import random, sys, threading, time
from realm_sync.client import RealmError
from realm_sync.client.store import FrozenStore, Store

def read(store):
    try:
        while True:
            store.set_states()
            store.pending(0, None, 0)
    except RealmError:
        pass

for _ in range(40):
    store = Store(sys.argv[1])
    frozen = FrozenStore(store)
    threads = [threading.Thread(target=read, args=(each,)) for each in (store, store, frozen)]
    for thread in threads:
        thread.start()
    time.sleep(random.random() * 0.004)
    frozen.close()
    store.close()
    for thread in threads:
        thread.join()
"""
    command = [sys.executable, "-c", program, tmp_path / "a.realm"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert [each.name for each in tmp_path.iterdir()] == ["a.realm"]
