"""Opening in the Python client: what the table of tests/test_open.py does not see."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from uuid import UUID

import pytest

from realm_sync.client import (
    InitialSubscriptions,
    ObjectId,
    OpenBehavior,
    Realm,
    RealmError,
    SyncConfiguration,
    ValueTypeError,
    WaitTimeout,
)
from realm_sync.client import settings as client_settings
from realm_sync.client.open_files import _open as open_files

from .conftest import Airfield, Inspection, inspection, make_user, until

WAIT = OpenBehavior("download_before_open")
IMMEDIATELY = OpenBehavior("open_immediately")
NOTE = {
    "name": "Note",
    "primaryKey": "_id",
    "properties": {
        "_id": "string", "text": "string?", "a_string": "string?", "an_int": "int?", "a_uuid": "uuid?", "an_oid": "objectId?",
    },
}  # fmt: skip


def everything(subscriptions, realm):
    subscriptions.add(realm.objects("Inspection"))


def offline(tmp_path):
    return make_user("ws://127.0.0.1:1/", tmp_path)


# --- awaiting, progress, cancel --------------------------------------------------------------------------------------


def test_nothing_is_raised_by_open_itself_but_comes_out_of_it(user):
    for options in ({"path": ""}, {"sync": "nora"}, {"schema": [{"name": "A"}]}, {"nonsense": 1}):
        opening = Realm.open(**options)
        assert isinstance(opening.exception(5), (RealmError, ValueTypeError, TypeError, Exception))


async def test_progress_is_told_at_once_and_ends_with_one(server, user):
    server.put_all("Inspection", [inspection(n) for n in range(50)])
    seen, threads = [], set()

    def progress(estimate):
        seen.append(estimate)
        threads.add(threading.current_thread())

    opening = Realm.open(schema=[Airfield, Inspection], sync=SyncConfiguration(user, everything)).progress(progress)
    assert seen == [0]
    with await opening as realm:
        assert len(realm.objects(Inspection)) == 50
    assert seen[-1] == 1 and seen == sorted(seen) and threads == {threading.current_thread()}


def test_cancel_ends_every_opening_of_the_file_that_waits_and_no_other(tmp_path):
    before = set(threading.enumerate())  # of other tests some linger
    user = offline(tmp_path)
    waiting = SyncConfiguration(user, new_realm_file_behavior=WAIT, existing_realm_file_behavior=WAIT)
    first, second, other = (
        Realm.open(sync=waiting),
        Realm.open(sync=waiting),
        Realm.open(path="other", sync=waiting),
    )
    until(lambda: len(open_files) == 2)
    with Realm(sync=SyncConfiguration(user)) as realm:
        first.cancel()
        for each in (first, second):
            with pytest.raises(RealmError, match="^Async open canceled$") as caught:
                each.result(5)
            assert caught.value.code == "OperationAborted"
        assert not realm.is_closed and not other.done()
    first.cancel()  # harmless now
    other.cancel()
    until(lambda: not open_files)
    until(lambda: not [each for each in {*threading.enumerate()} - before if each.name.startswith("realm-sync")])


def test_cancelled_before_it_had_begun(tmp_path):
    opening = Realm.open(sync=SyncConfiguration(offline(tmp_path), new_realm_file_behavior=WAIT))
    opening.cancel()
    assert str(opening.exception(5)) == "Async open canceled"
    until(lambda: not open_files)


async def test_cancelling_an_awaiting_task_leaves_the_opening_alone(tmp_path):
    opening = Realm.open(sync=SyncConfiguration(offline(tmp_path), new_realm_file_behavior=WAIT))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(opening, 0.05)
    assert not opening.done()
    opening.cancel()


# --- which behaviour -------------------------------------------------------------------------------------------------


def test_built_in_defaults_are_realms():
    behavior = client_settings.DEFAULT_BEHAVIOR
    assert behavior == OpenBehavior("download_before_open", 30, "throw_exception")


def test_settings_stand_behind_the_code(tmp_path):
    user = offline(tmp_path)
    brief = OpenBehavior("download_before_open", 0.05, "throw_exception")
    user.app.settings = replace(user.app.settings, new_realm_file_behavior=brief, existing_realm_file_behavior=brief)
    with pytest.raises(WaitTimeout, match="Realm could not be downloaded in the allocated time: 0.05 s"):
        Realm.open(sync=SyncConfiguration(user)).result(5)
    Realm.open(sync=SyncConfiguration(user, new_realm_file_behavior=IMMEDIATELY)).result(5).close()
    with pytest.raises(WaitTimeout):
        Realm.open(sync=SyncConfiguration(user)).result(5)


def test_a_logged_out_user_opens_what_is_there_and_cannot_wait(tmp_path):
    user = offline(tmp_path)
    user.app._forget(user.id, "LoggedOut")
    opening = Realm.open(sync=SyncConfiguration(user, new_realm_file_behavior=WAIT))
    with pytest.raises(Exception, match="User is no longer valid or is logged out"):
        opening.result(5)
    with Realm.open(sync=SyncConfiguration(user, new_realm_file_behavior=IMMEDIATELY)).result(5) as realm:
        assert realm.sync_session.state == "inactive"


# --- initial subscriptions -------------------------------------------------------------------------------------------


def test_what_the_apps_function_raises_comes_out_of_the_opening(server, user):
    def broken(subscriptions, realm):
        raise LookupError("no such team")

    for behavior in (WAIT, IMMEDIATELY):
        config = {"schema": [Airfield, Inspection], "path": behavior.type}
        sync = SyncConfiguration(user, InitialSubscriptions(broken), new_realm_file_behavior=behavior)
        with pytest.raises(LookupError, match="no such team"):
            Realm.open(sync=sync, **config).result(5)
        with pytest.raises(LookupError):
            Realm(sync=sync, **config)
        # Nothing succeeded: the next one is still the first.
        sync = SyncConfiguration(user, everything, existing_realm_file_behavior=IMMEDIATELY)
        with Realm.open(sync=sync, **config).result(5) as realm:
            assert len(realm.subscriptions) == 1
    until(lambda: not open_files)


# --- partition-based sync --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "query"),
    [
        ("a_string", "north", 'a_string == "north"'),
        ("an_int", 5, "an_int == 5"),
        ("an_int", 2**60, f"an_int == {2**60}"),
        ("a_uuid", UUID(int=7), f"a_uuid == uuid({UUID(int=7)})"),
        ("an_oid", ObjectId("64a000000000000000000001"), "an_oid == oid(64a000000000000000000001)"),
        ("a_string", None, "a_string == NULL"),
    ],
)
def test_partition_sync_is_a_subscription_and_fills_in_its_property(tmp_path, field, value, query):
    user = offline(tmp_path)
    user.app.settings = replace(user.app.settings, partition_field=field)
    shared = {"name": "Shared", "primaryKey": "_id", "properties": {"_id": "string"}}
    with Realm(schema=[NOTE, shared], sync=SyncConfiguration(user, partition_value=value)) as realm:
        (item,) = realm._store.newest_set().subscriptions
        assert (item.class_name, item.query) == ("Note", query)
        with realm.write():
            note = realm.create("Note", {"_id": "a", "text": "hello"})
        assert getattr(note, field) == value
        with pytest.raises(RealmError, match="can only be accessed if flexible sync is enabled, but partition based"):
            realm.subscriptions  # noqa: B018
    # Opened again, it has what it had.
    with Realm(schema=[NOTE, shared], sync=SyncConfiguration(user, partition_value=value)) as realm:
        assert realm._store.newest_set().version == 1 and len(realm.objects("Note")) == 1


@pytest.mark.parametrize("value", [True, 1.5, b"x", ["north"]])
def test_other_partition_values_are_refused(user, value):
    text = "Expected 'partition_value' on realm sync configuration to be an integer, string, ObjectId, UUID, or None"
    with pytest.raises(ValueTypeError, match=text):
        SyncConfiguration(user, partition_value=value)


def test_partition_and_flexible_exclude_each_other(user):
    with pytest.raises(RealmError, match="'initial_subscriptions' can only be specified when flexible sync is enabled"):
        SyncConfiguration(user, everything, partition_value="north")
    with pytest.raises(RealmError, match="must be a 64-bit integer|to be a 64-bit integer"):
        SyncConfiguration(user, partition_value=2**63)


def test_partition_sync_downloads_its_partition(server, user):
    user.app.settings = replace(user.app.settings, partition_field="team")
    server.put_all("Inspection", [inspection(n, team="North" if n < 3 else "South") for n in range(5)])
    sync = SyncConfiguration(user, partition_value="North")
    with Realm.open(schema=[Airfield, Inspection], sync=sync).result(10) as realm:
        assert [item.query for item in realm._store.newest_set().subscriptions] == ['team == "North"']
        with realm.write():
            realm.create(Inspection, {"title": "Windsock"})
        realm.sync_session.upload_all_local_changes(5).result()


def test_what_somebody_else_left_at_an_absolute_path_stays_his(tmp_path):
    mine, theirs = (make_user("ws://127.0.0.1:1/", tmp_path / name, name) for name in ("nora", "tom"))
    path = tmp_path / "shared.realm"
    Realm(path, schema=[Airfield, Inspection], sync=SyncConfiguration(mine, everything)).close()
    until(lambda: str(path) not in open_files)
    refused = f"^Realm at path '{path}' belongs to another user. Open it as that user, or use another path.$"
    for opening in (lambda config: Realm(path, sync=config), lambda config: Realm.open(path, sync=config).result(5)):
        with pytest.raises(RealmError, match=refused) as caught:
            opening(SyncConfiguration(theirs))
        assert caught.value.code == "MismatchedConfig"
    with Realm(path, sync=SyncConfiguration(mine)) as realm:
        assert len(realm.subscriptions) == 1
