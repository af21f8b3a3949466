"""Client resets of a real server: whatever asks for one, every unsynced write of a mode that keeps them arrives."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connections

from realm_sync import history
from realm_sync.client import App, ClientReset, Credentials, Realm, SyncConfiguration, initiate_client_reset
from realm_sync.client.store import Store
from realm_sync.models import ClientFile
from tests.client.conftest import until
from tests.testapp.models import Inspection

RECOVER, DISCARD, EITHER = (
    "recover_unsynced_changes", "discard_unsynced_changes", "recover_or_discard_unsynced_changes",
)  # fmt: skip
WRITES = 8


def subscribe(subscriptions, realm):
    for name in ("Airfield", "Team", "Inspection"):
        subscriptions.add(realm.objects(name))


class Device:
    """One file of Nora's, with objects of its own to work on."""

    def __init__(self, name, mode, world, process, directory):
        self.name, self.mode, self.team = name, mode, world.north.pk
        self.told = []
        self.old = [world.inspection(title=f"{name} old {number}").pk for number in range(4)]
        app = App("realm-sync", base_url=process.url, base_file_path=directory / name)
        user = app.log_in(Credentials.email_password("nora@example.org", "pw")).result(10)
        self.configuration = SyncConfiguration(
            user,
            subscribe,
            client_reset=ClientReset(
                mode,
                on_before=lambda before: self.told.append("before"),
                on_after=lambda before, after: self.told.append("after"),
                on_fallback=lambda session, path: self.told.append("fallback"),
                on_manual=lambda session, path: self.told.append(path),
            ),
        )
        self.open()

    def open(self):
        self.realm = Realm.open(sync=self.configuration).result(20)

    def acknowledged_write(self):
        """One that only this server's later state knows."""
        with self.realm.write():
            self.realm.create("Inspection", self.values(f"{self.name} acknowledged"))
        self.realm.sync_session.upload_all_local_changes().result(20)

    def values(self, title):
        return {"_id": uuid4(), "title": title, "team": self.team, "airfield": "ENSB"}

    def go_offline(self):
        session = self.realm.sync_session
        session.pause()
        until(lambda: session.connection_state == "disconnected")

    def write(self):
        """Eight transactions: creates, one with a later update, updates, a delete."""
        realm = self.realm
        made = [self.write_one(lambda n=n: self.create(f"{self.name} new {n}")) for n in range(4)]
        self.write_one(lambda: setattr(made[0], "notes", "changed"))
        for number in (0, 1):
            there = realm.object_for_primary_key("Inspection", self.old[number])
            self.write_one(lambda there=there: setattr(there, "notes", "changed"))
        gone = realm.object_for_primary_key("Inspection", self.old[2])
        self.write_one(lambda: realm.delete(gone))
        assert realm._store.pending_count() == WRITES

    def write_one(self, callback):
        return self.realm.write(callback)

    def create(self, title):
        return self.realm.create("Inspection", self.values(title))

    def arrived(self):
        """How many of the writes the server has."""
        mine = Inspection.objects.filter(title__startswith=self.name)
        return (
            mine.filter(title__contains=" new ").count()
            + mine.filter(notes="changed").count()
            + (not mine.filter(pk=self.old[2]).exists())
        )

    def come_back(self):
        session = self.realm.sync_session
        session.resume()
        session.upload_all_local_changes().result(20)
        session.download_all_server_changes().result(20)

    def check(self):
        """Everything arrived, or nothing of it, and this file holds what the server does."""
        assert self.arrived() == (0 if self.mode == DISCARD else WRITES), (self.name, self.mode)
        assert self.told == ["before", "after"], (self.name, self.mode)
        self.realm.sync_session.download_all_server_changes().result(20)
        assert self.shown() == {
            (row.pk, row.title, row.notes) for row in Inspection.objects.filter(team_id=self.team)
        }, (self.name, self.mode)
        assert self.realm._store.file().resets == 0 and self.realm.subscriptions.state == "complete"

    def shown(self):
        return {(each._id, each.title, each.notes) for each in self.realm.objects("Inspection")}


@pytest.fixture
def devices(world, tmp_path):
    made = []

    def make(process, trigger, modes=(RECOVER, DISCARD, EITHER)):
        new = [Device(f"{trigger} {number}", mode, world, process, tmp_path) for number, mode in enumerate(modes)]
        made.extend(new)
        return new

    yield make
    for device in made:
        device.realm.close()


def copy(source, target):
    with closing(sqlite3.connect(source)) as of, closing(sqlite3.connect(target)) as to:
        of.backup(to)


def all_reset(some, caplog, message):
    """Every one of them meets a reset with this message, and comes through it."""
    caplog.clear()
    for device in some:
        device.come_back()
    resets = [record.getMessage() for record in caplog.records if "client reset of" in record.getMessage()]
    assert len(resets) == len(some) and all(message in text for text in resets), resets
    for device in some:
        device.check()


def test_no_unsynced_write_is_lost_whoever_asks_for_a_reset(server, world, devices, each_database, caplog):
    process = server()
    pruned, renewed, asked = (devices(process, trigger) for trigger in ("pruned", "renewed", "asked"))
    for device in (*pruned, *renewed, *asked):
        device.go_offline()
        device.write()

    # The history that they need is pruned.
    world.inspection(title="of the office 1")
    world.inspection(title="of the office 2")
    history.prune(connections[each_database], datetime.now(UTC) + timedelta(days=1))
    all_reset(pruned, caplog, "was pruned")

    # An operator asks them to start over.
    files = ClientFile.objects.using(each_database)
    directories = [device.realm._store.file().client_file.ident for device in asked]
    files.filter(ident__in=directories).update(reset_reason="Asked for by an operator.")
    all_reset(asked, caplog, "Asked for by an operator.")

    # A backup was restored, as the manual says: with a new epoch.
    history.renew_epoch(connections[each_database])
    all_reset(renewed, caplog, "is of epoch")


@pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
def test_a_database_restored_without_a_new_epoch_meets_files_from_its_future(
    server, world, devices, each_database, caplog, databases, tmp_path
):
    """PostgreSQL counts the versions of a whole cluster, which a database that was put back shares."""
    process = server()
    ahead, uploaded = devices(process, "ahead"), devices(process, "uploaded", [RECOVER])
    database = connections.settings[each_database]["NAME"]
    copy(database, tmp_path / "backup")
    for device in uploaded:
        device.acknowledged_write()
    new = {"team": world.north, "airfield_id": "ENSB"}
    Inspection.objects.bulk_create(Inspection(title=f"of the office {number}", **new) for number in range(60))
    for device in (*ahead, *uploaded):
        device.realm.sync_session.download_all_server_changes().result(20)
        device.go_offline()
        device.write()
    future = max(device.realm._store.file().progress.server_version for device in uploaded)
    process.kill()
    databases.close()
    copy(tmp_path / "backup", database)
    process.start()
    all_reset(ahead, caplog, "the newest here is")

    # The restored database has gone on: its versions no longer tell.
    while history.newest(connections[each_database]) <= future:
        world.inspection(title="of the office, again")
    all_reset(uploaded, caplog, "as integrated; the server has")


@pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
def test_a_manual_reset_leaves_every_unsynced_write_in_the_file_that_is_put_aside(
    server, world, devices, each_database
):
    process = server()
    (device,) = devices(process, "manual", ["manual"])
    device.go_offline()
    device.write()
    held = device.shown()
    history.renew_epoch(connections[each_database])
    device.realm.sync_session.resume()
    until(lambda: device.told)
    (backup,) = device.told
    assert device.realm.sync_session.state == "inactive" and device.arrived() == 0
    path = device.realm.path
    device.realm.close()
    initiate_client_reset(path)
    aside = Store(backup, create=False)
    assert aside.pending_count() == WRITES
    aside.close()
    with Realm(path=backup) as aside:
        assert device.shown.__func__(type("", (), {"realm": aside})) == held
    device.open()
    assert {pk for pk, _, _ in device.shown()} == set(device.old) and device.realm.sync_session.state == "active"
