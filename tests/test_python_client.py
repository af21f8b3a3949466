"""The Python client against real server processes: log-in, open, live changes, offline, refused writes, kill -9."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest

from realm_sync.client import (
    App,
    AppError,
    CompensatingWriteError,
    Credentials,
    OpenBehavior,
    Realm,
    RealmError,
    SyncConfiguration,
    new_object_id,
)
from tests.testapp.models import Airfield, Inspection, Sample


def until(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def subscribe(subscriptions, realm):
    for name in ("Airfield", "Team", "Inspection", "Sample"):
        subscriptions.add(realm.objects(name))


@pytest.fixture
def open_realm(world, tmp_path):
    realms = []

    def open(process, name="nora", device="laptop", encryption_key=None, **options):
        app = App("realm-sync", base_url=process.url, base_file_path=tmp_path / device)
        user = app.current_user or app.log_in(Credentials.email_password(f"{name}@example.org", "pw")).result(10)
        sync = SyncConfiguration(user, subscribe, **options)
        realm = Realm.open(sync=sync, encryption_key=encryption_key).result(20)
        realms.append(realm)
        return realm

    yield open
    for realm in realms:
        realm.close()


def test_a_day_of_an_inspector(server, world, open_realm):
    mine, theirs = world.inspection(), world.inspection(world.south)
    process = server()
    with pytest.raises(AppError):
        App("realm-sync", base_url=process.url).log_in(Credentials.email_password("nora@example.org", "no")).result(10)

    errors = []
    realm = open_realm(process, on_error=lambda session, error: errors.append(error))
    assert len(realm.objects("Airfield")) == 3
    assert [i._id for i in realm.objects("Inspection")] == [mine.pk]
    there = realm.object_for_primary_key("Inspection", mine.pk)
    assert there.airfield.name == "Munich" and there.team.name == "North"

    # Others write: through the ORM, in bulk, and another device of the same user.
    Inspection.objects.filter(pk=mine.pk).update(title="From the office")
    until(lambda: there.title == "From the office")
    phone = open_realm(process, device="phone")
    with phone.write():
        phone.object_for_primary_key("Inspection", mine.pk).notes = "From the phone"
    until(lambda: there.notes == "From the phone")

    # Offline: the server is gone, the work goes on; a restart of the app in between.
    process.kill()
    with realm.write():
        there.priority = 5
        made = realm.create("Inspection", {"_id": uuid4(), "title": "Windsock", "team": there.team})
        made.airfield = realm.object_for_primary_key("Airfield", "ENSB")
        number = made._id
    process.start()
    realm.sync_session.reconnect()
    realm.sync_session.upload_all_local_changes(20).result(30)
    mine.refresh_from_db()
    stored = Inspection.objects.get(pk=number)
    assert (mine.priority, mine.title, mine.notes) == (5, "From the office", "From the phone")
    assert (stored.title, stored.airfield_id, stored.team) == ("Windsock", "ENSB", world.north)
    assert made.created_at is not None and made.status == "planned", "the server's defaults arrived"

    # A write that is not allowed: the team of others. It is undone and told.
    # Whether an attempt fell into the time without a server is chance.
    assert {(error.code, error.is_fatal) for error in errors} <= {("ConnectionFailed", False)}
    errors.clear()
    with realm.write():
        realm.create("Airfield", {"_id": "XXXX", "name": "Mine"})
    until(lambda: errors)
    assert isinstance(errors[0], CompensatingWriteError)
    assert errors[0].writes[0].object_name == "Airfield" and errors[0].writes[0].code == "WriteNotAllowed"
    assert realm.object_for_primary_key("Airfield", "XXXX") is None
    assert not Airfield.objects.filter(pk="XXXX").exists()

    # Somebody is moved to another team: the difference arrives at once.
    theirs.team = world.north
    theirs.save()
    until(lambda: realm.object_for_primary_key("Inspection", theirs.pk) is not None)
    Inspection.objects.filter(pk=theirs.pk).delete()
    until(lambda: realm.object_for_primary_key("Inspection", theirs.pk) is None)


@pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
def test_an_encrypted_device_converges_with_the_server_and_with_a_plain_one(server, world, open_realm):
    encryption_key = bytes(range(64))
    first = world.inspection()
    process = server()
    tablet, phone = open_realm(process, device="tablet", encryption_key=encryption_key), open_realm(process)
    process.kill()
    for realm, title in ((tablet, "On the tablet"), (phone, "On the phone")):
        with realm.write():
            there = realm.object_for_primary_key("Inspection", first.pk)
            there.title = title
            for _ in range(20):
                values = {"_id": uuid4(), "title": title, "team": there.team, "airfield": there.airfield}
                realm.create("Inspection", values)
    tablet.close()
    process.start()
    tablet = open_realm(process, device="tablet", encryption_key=encryption_key)
    for realm in (tablet, phone, tablet):
        realm.sync_session.reconnect()
        realm.sync_session.upload_all_local_changes(20).result(30)
        realm.sync_session.download_all_server_changes(20).result(30)
    stored = {row.pk: row.title for row in Inspection.objects.all()}
    assert len(stored) == 41
    for realm in (tablet, phone):
        assert {each._id: each.title for each in realm.objects("Inspection")} == stored
    tablet.close()
    assert b"On the tablet" not in Path(tablet.path).read_bytes()


def test_every_type_goes_there_and_comes_back(server, world, open_realm):
    process = server()
    realm = open_realm(process)
    values = {
        "a_bool": True, "an_int": 2**62, "a_float": 0.5, "a_double": 0.1, "a_decimal": Decimal("0.1"),
        "a_fixed": Decimal("12.5"), "a_string": "Zürich 🛩", "a_data": b"\x00\xff", "maybe_double": -0.0,
    }  # fmt: skip
    with realm.write():
        made = realm.create("Sample", {"_id": new_object_id()} | values)
    realm.sync_session.upload_all_local_changes().result(20)
    assert {name: getattr(made, name) for name in values} == values
    stored = Sample.objects.get(pk=made._id)
    assert {name: getattr(stored, name) for name in values if name != "a_data"} == {
        name: value for name, value in values.items() if name != "a_data"
    }
    other = open_realm(process, "sol", "other").object_for_primary_key("Sample", made._id)
    assert other.to_dict() == made.to_dict()


@pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
def test_a_deactivated_user_keeps_what_was_not_uploaded(server, world, open_realm, tmp_path):
    mine = world.inspection()
    process = server()
    errors = []
    realm = open_realm(process, on_error=lambda session, error: errors.append(error))
    user, app = realm.sync_session.user, realm.sync_session.user.app
    realm.sync_session.pause()
    with realm.write():
        realm.object_for_primary_key("Inspection", mine.pk).notes = "Not uploaded yet"
    world.nora.is_active = False
    world.nora.save()
    realm.sync_session.resume()
    until(lambda: user.state == "LoggedOut")
    until(lambda: errors)
    assert errors[0].code == "AuthError" and errors[0].is_fatal
    with realm.write():  # the realm is as good as ever
        realm.object_for_primary_key("Inspection", mine.pk).title = "Nor is this"
    realm.close()

    again = App("realm-sync", base_url=process.url, base_file_path=app.base_file_path)
    assert again.current_user is None and again.all_users[user.id].state == "LoggedOut"
    credentials = Credentials.email_password("nora@example.org", "pw")
    with pytest.raises(AppError, match="user disabled"):
        again.log_in(credentials).result(10)
    assert again.all_users[user.id].state == "LoggedOut"
    world.nora.is_active = True
    world.nora.save()
    again.log_in(credentials).result(10)
    with Realm.open(sync=SyncConfiguration(again.current_user)).result(20) as realm:
        realm.sync_session.upload_all_local_changes().result(20)
    mine.refresh_from_db()
    assert (mine.notes, mine.title) == ("Not uploaded yet", "Nor is this")


@pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
def test_a_user_deletes_the_account(server, world, open_realm):
    realm = open_realm(server())
    user, app, path = realm.sync_session.user, realm.sync_session.user.app, Path(realm.path)
    assert app.settings.new_realm_file_behavior == OpenBehavior("download_before_open", 30, "throw_exception")
    with pytest.raises(RealmError, match="Close it, then delete the user"):
        app.delete_user(user).result(10)
    realm.close()
    app.delete_user(user).result(10)
    world.nora.refresh_from_db()
    assert not world.nora.is_active and user.state == "Removed" and not path.parent.exists()


@pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
def test_partition_sync_is_one_value_and_a_file_for_each(server, world, tmp_path):
    north, south = world.inspection(), world.inspection(world.south)
    world.north.members.add(world.sol)
    process = server(realm_sync={"PARTITION_FIELD": "team"})
    app = App("realm-sync", base_url=process.url, base_file_path=tmp_path)
    user = app.log_in(Credentials.email_password("sol@example.org", "pw")).result(10)
    assert app.settings.partition_field == "team"
    teams = {world.north.pk: north.pk, world.south.pk: south.pk}
    for team, inspection in teams.items():
        with Realm.open(sync=SyncConfiguration(user, partition_value=team)).result(20) as realm:
            assert realm.path.endswith(f"/u_{team}.realm")
            assert [it._id for it in realm.objects("Inspection")] == [inspection]
            with realm.write():
                realm.create("Inspection", {"_id": uuid4(), "title": f"of {team}", "airfield": "EDDM"})
            realm.sync_session.upload_all_local_changes(10).result()
    made = Inspection.objects.filter(title__startswith="of ").values_list("title", "team_id")
    assert sorted(made) == sorted((f"of {team}", team) for team in teams)
