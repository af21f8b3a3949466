"""Whole sessions against the fake server: download, upload, faults, restarts, refused writes, client reset."""

from __future__ import annotations

import asyncio
import fcntl
import time

import pytest

from realm_sync.client import (
    ClientReset,
    CompensatingWriteError,
    OpenBehavior,
    Realm,
    RealmError,
    SyncConfiguration,
    SyncError,
    WaitTimeout,
)
from realm_sync.client import transport as transport_module
from realm_sync.client.app import AppError
from realm_sync.client.transport import Backoff
from realm_sync.core.messages import Bind, Error, Mark, Query, QueryError, Upload

from .conftest import Airfield, Inspection, inspection, key, make_user, until

IMMEDIATELY = OpenBehavior("open_immediately")


@pytest.fixture(autouse=True)
def fast_retries(monkeypatch):
    monkeypatch.setattr(transport_module, "FIRST_DELAY", 0.02)


def create(realm, title="Runway lights", **values):
    with realm.write():
        return realm.create(Inspection, {"title": title} | values)


def uploaded(server):
    return [c.client_version for m in server.received if isinstance(m, Upload) for c in m.changesets]


# --- the regular way -------------------------------------------------------------------------------------------------


def test_what_the_server_has_is_there_after_open(server, open_realm):
    server.put_all("Inspection", [inspection(n) for n in range(2500)])
    realm = open_realm()
    assert len(realm.objects(Inspection)) == 2500
    assert realm.objects(Inspection).filtered("title == $0", "Inspection 7").first()._id.int == 7


def test_a_local_write_reaches_the_server_and_is_no_longer_pending(server, open_realm):
    realm = open_realm()
    made = create(realm)
    realm.sync_session.upload_all_local_changes().result(5)
    assert server.image("Inspection", str(made._id))["title"] == "Runway lights"
    assert realm._store.pending_count() == 0
    assert made.title == "Runway lights"


def test_a_write_of_somebody_else_arrives(server, open_realm):
    realm = open_realm()
    server.put("Inspection", inspection(1))
    until(lambda: len(realm.objects(Inspection)) == 1)
    server.put("Inspection", inspection(1, title="Changed"))
    until(lambda: realm.objects(Inspection)[0].title == "Changed")
    server.erase("Inspection", key(1))
    until(lambda: len(realm.objects(Inspection)) == 0)


def test_without_classes_the_servers_schema_is_used(server, open_realm):
    server.put("Airfield", {"_id": "EDDF", "name": "Frankfurt"})
    server.put("Inspection", inspection(1, airfield="EDDF"))
    realm = open_realm(schema=None)
    found = realm.objects("Inspection")[0]
    assert found.airfield.name == "Frankfurt"
    with realm.write():
        found.title = "Changed"
        found["airfield"] = None
    realm.sync_session.upload_all_local_changes().result(5)
    assert server.image("Inspection", key(1))["title"] == "Changed"
    assert server.image("Inspection", key(1))["airfield"] is None


def test_many_transactions_are_uploaded_in_order_and_once(server, open_realm):
    realm = open_realm()
    for number in range(60):
        create(realm, f"Inspection {number}")
    realm.sync_session.upload_all_local_changes().result(10)
    assert uploaded(server) == list(range(1, 61))
    assert len(server.objects) == 60


def test_downloads_are_acknowledged_so_that_the_server_goes_on(server, open_realm):
    server.part_size = 100
    server.put_all("Inspection", [inspection(n) for n in range(2000)])
    open_realm()
    until(lambda: max((m.received for m in server.received if isinstance(m, Upload)), default=0) >= 17)


# --- subscriptions ---------------------------------------------------------------------------------------------------


def test_subscribing_brings_and_unsubscribing_removes_objects(server, open_realm):
    server.put_all("Inspection", [inspection(1), inspection(2, team="South")])
    realm = open_realm(everything=False)
    south = realm.objects(Inspection).filtered("team == $0", "South")
    assert len(realm.objects(Inspection)) == 0
    assert south.subscribe(name="south").result(5) is south
    assert [i._id.int for i in realm.objects(Inspection)] == [2]
    assert realm.subscriptions.find_by_name("south").query_string == 'team == "South"'
    south.unsubscribe()
    realm.subscriptions.wait_for_synchronization().result(5)
    assert len(realm.objects(Inspection)) == 0


def test_a_set_goes_out_after_the_writes_made_before_it(server, user, open_realm):
    realm = open_realm()
    realm.sync_session.pause()
    create(realm, "before")
    realm.subscriptions.update(lambda subs: subs.remove_by_object_type("Airfield"))
    create(realm, "after")
    del server.received[:]
    realm.sync_session.resume()
    realm.sync_session.upload_all_local_changes().result(5)
    order = [
        type(m).__name__ for m in server.received if isinstance(m, Query) or (isinstance(m, Upload) and m.changesets)
    ]
    assert order == ["Upload", "Query", "Upload"]


def test_a_refused_set_tells_its_reason_and_can_be_repaired(server, open_realm):
    realm = open_realm()
    server.answer = lambda message: (
        QueryError(
            query_version=message.query_version, code="InvalidSubscriptionQuery", message="not a queryable field"
        )
        if isinstance(message, Query) and any("title" in s.query for s in message.subscriptions)
        else None
    )
    subscriptions = realm.subscriptions
    titled = realm.objects(Inspection).filtered("title == 'x'")
    with pytest.raises(RealmError, match="not a queryable field"):
        subscriptions.update(lambda subs: subs.add(titled, name="titled")).result(5)
    assert (subscriptions.state, subscriptions.error) == ("error", "not a queryable field")
    subscriptions.update(lambda subs: subs.remove_by_name("titled")).result(5)
    assert subscriptions.state == "complete"
    server.put("Inspection", inspection(1))
    until(lambda: len(realm.objects(Inspection)) == 1)


def test_older_sets_are_superseded_and_their_waits_end(server, open_realm):
    realm = open_realm()
    realm.sync_session.pause()
    first = realm.subscriptions
    first.update(lambda subs: subs.remove_all())
    second = realm.subscriptions
    realm.sync_session.resume()
    waiting = first.wait_for_synchronization()
    second.update(lambda subs: subs.add(realm.objects(Inspection))).result(5)
    waiting.result(5)
    assert (first.state, second.state) == ("superseded", "complete")


# --- faults ----------------------------------------------------------------------------------------------------------


def test_writes_made_offline_arrive_after_the_reconnect(server, open_realm):
    realm = open_realm()
    server.stop()
    until(lambda: realm.sync_session.connection_state != "connected")
    for number in range(5):
        create(realm, f"Offline {number}")
    assert len(realm.objects(Inspection)) == 5
    server.start()
    realm.sync_session.reconnect()
    realm.sync_session.upload_all_local_changes().result(10)
    assert len(server.objects) == 5


def test_pending_writes_survive_a_restart(server, user, open_realm):
    realm = open_realm()
    realm.sync_session.pause()
    made = create(realm, "Before the restart")
    number = made._id
    realm.close()
    again = Realm(schema=[Airfield, Inspection], sync=SyncConfiguration(user, existing_realm_file_behavior=IMMEDIATELY))
    try:
        assert again.object_for_primary_key(Inspection, number).title == "Before the restart"
        again.sync_session.upload_all_local_changes().result(5)
        assert server.image("Inspection", str(number))["title"] == "Before the restart"
    finally:
        again.close()


def test_a_lost_acknowledgement_does_not_repeat_a_write(server, open_realm):
    realm = open_realm()
    lost = []

    def lose(message):
        if isinstance(message, Upload) and message.changesets and not lost:
            lost.append(message)
            connection = next(iter(server.connections.values()))
            for changeset in message.changesets:
                server._loop.create_task(connection.integrate(changeset))
            return "drop"
        return None

    server.answer = lose
    create(realm)
    realm.sync_session.upload_all_local_changes().result(5)
    assert lost and uploaded(server) == [1]
    assert len(server.objects) == 1


@pytest.mark.parametrize("frames", range(1, 8))
def test_a_connection_that_drops_after_any_frame_changes_nothing_in_the_end(server, open_realm, frames):
    server.put_all("Inspection", [inspection(n) for n in range(5)])
    realm = open_realm()
    server.drop_after = frames
    realm.sync_session.pause()
    realm.sync_session.resume()
    for number in range(4):
        create(realm, f"Made {number}")
    time.sleep(0.1)
    server.drop_after = None
    realm.sync_session.reconnect()
    realm.sync_session.upload_all_local_changes().result(10)
    realm.sync_session.download_all_server_changes().result(10)
    assert {str(i._id): i.title for i in realm.objects(Inspection)} == {
        image["_id"]: image["title"] for image in server.objects.values()
    }


def test_a_bootstrap_cut_in_the_middle_is_invisible_and_fetched_anew(server, user, open_realm):
    server.part_size = 10
    server.put_all("Inspection", [inspection(n) for n in range(100)])
    realm = open_realm(everything=False)
    original, sent = server.answer, []

    def cut(message):
        if isinstance(message, Query) and not sent:
            sent.append(message)
            connection = next(iter(server.connections.values()))
            connection.file.query_version = message.query_version
            connection.file.subscriptions = message.subscriptions
            from .fake_server import changes_of

            images = [(("Inspection", key(n)), inspection(n)) for n in range(10)]
            return [connection.download("more", changes_of(images), 0.1)]
        return original(message)

    server.answer = cut
    waiting = realm.objects(Inspection).subscribe()
    until(lambda: realm._transport.download_estimate == 0.1)
    assert len(realm.objects(Inspection)) == 0
    server.stop()
    server.start()
    realm.sync_session.reconnect()
    waiting.result(10)
    assert len(realm.objects(Inspection)) == 100


def test_downloads_that_come_twice_do_no_harm(server, open_realm):
    realm = open_realm()
    server.put("Inspection", inspection(1))
    until(lambda: len(realm.objects(Inspection)) == 1)
    connection = next(iter(server.connections.values()))

    async def send_again():
        from .fake_server import changes_of

        for _ in range(3):
            await connection.send(
                connection.download("steady", changes_of([(("Inspection", key(1)), inspection(1))]), 1.0)
            )

    server.call(send_again())
    realm.sync_session.download_all_server_changes().result(5)
    assert len(realm.objects(Inspection)) == 1


def test_nonsense_from_the_server_stops_the_session_and_reaches_on_error(server, open_realm):
    errors = []
    realm = open_realm(on_error=lambda session, error: errors.append(error))
    connection = next(iter(server.connections.values()))
    server.call(connection.socket.send('{"type": "download", "half'))
    until(lambda: errors)
    assert (errors[0].code, errors[0].is_fatal, realm.sync_session.state) == ("BadSyntax", True, "inactive")
    realm.sync_session.resume()
    create(realm)
    realm.sync_session.upload_all_local_changes().result(5)


def test_backoff_doubles_to_five_minutes_less_up_to_a_quarter(monkeypatch):
    monkeypatch.setattr(transport_module, "FIRST_DELAY", 1.0)
    backoff = Backoff(rng=lambda: 0.0)
    assert [backoff.delay() for _ in range(11)] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    backoff.reset()
    assert backoff.delay() == 1
    assert Backoff(rng=lambda: 1.0).delay() == 0.75


# --- errors of the server --------------------------------------------------------------------------------------------


def error(code, action, **values):
    return Error(code=code, message="because", fatal=action in ("stop", "reset"), action=action, **values)


def test_an_error_to_retry_is_retried(server, open_realm):
    realm = open_realm()
    refused = []

    def refuse(message):
        if isinstance(message, Upload) and message.changesets and len(refused) < 2:
            refused.append(message)
            return error("InternalServerError", "retry", retry_after=0.01)
        return None

    server.answer = refuse
    create(realm)
    realm.sync_session.upload_all_local_changes().result(5)
    assert len(refused) == 2


def test_an_error_to_stop_ends_the_session_and_its_waits(server, open_realm):
    errors = []
    realm = open_realm(on_error=lambda session, error: errors.append((session, error)))
    server.answer = lambda m: error("BadChangeset", "stop") if isinstance(m, Upload) and m.changesets else None
    create(realm)
    with pytest.raises(SyncError, match="BadChangeset: because"):
        realm.sync_session.upload_all_local_changes().result(5)
    assert errors[0][1].is_fatal and errors[0][0] is realm.sync_session
    assert realm.sync_session.state == "inactive"
    assert realm._store.pending_count() == 1


def test_an_expired_token_is_refreshed_and_the_session_goes_on(server, user, open_realm, monkeypatch):
    realm = open_realm()
    tokens = []

    def refresh():
        tokens.append("new")
        user._app._update(user.id, user.refresh_token, access_token="e30.e30.new")
        return "e30.e30.new"

    monkeypatch.setattr(user, "refresh_access_token", refresh)
    server.answer = lambda m: (
        error("AuthError", "reauthenticate") if isinstance(m, Bind) and m.token != "e30.e30.new" else None
    )
    server.stop()
    server.start()
    create(realm)
    realm.sync_session.reconnect()
    realm.sync_session.upload_all_local_changes().result(5)
    assert tokens == ["new"]


def test_a_refused_refresh_ends_the_session_and_keeps_the_writes(server, user, open_realm, monkeypatch):
    errors = []
    realm = open_realm(on_error=lambda session, error: errors.append(error))

    def refresh():
        user._app._forget(user.id, "LoggedOut")
        raise AppError("Unable to refresh the user access token: revoked", "AuthError", 401)

    monkeypatch.setattr(user, "refresh_access_token", refresh)
    server.answer = lambda m: error("AuthError", "reauthenticate") if isinstance(m, Mark) else None
    with pytest.raises(SyncError, match="Unable to refresh"):
        realm.sync_session.download_all_server_changes().result(5)
    assert errors[0].code == "AuthError" and not user.is_logged_in
    assert realm.sync_session.state == "inactive"
    create(realm)
    assert realm._store.pending_count() == 1


def test_a_compensating_write_is_told_after_its_correction(server, open_realm):
    told = []

    def on_error(session, error):
        told.append((error, len(realm.objects(Inspection))))

    realm = open_realm(on_error=on_error)
    server.refuse = lambda cls, step: "not your team" if step.values.get("team") == "South" else None
    made = create(realm, team="South")
    number = made._id
    until(lambda: told)
    error, count = told[0]
    assert isinstance(error, CompensatingWriteError) and not error.is_fatal
    (write,) = error.writes
    assert (write.object_name, write.primary_key, write.reason) == ("Inspection", number, "not your team")
    assert count == 0 and not made.is_valid()
    create(realm, team="North")
    realm.sync_session.upload_all_local_changes().result(5)
    assert len(told) == 1


# --- client reset ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["recover_unsynced_changes", "discard_unsynced_changes"])
def test_a_client_reset_keeps_or_discards_unsynced_writes(server, open_realm, mode):
    server.put("Inspection", inspection(1))
    realm = open_realm(client_reset=ClientReset(mode))
    realm.sync_session.pause()
    made = create(realm, "Unsynced")
    number = made._id
    # The server was restored from a backup: another epoch, other content, no memory of this file.
    server.epoch = "second"
    server.files.clear()
    server.erase("Inspection", key(1))
    server.put("Inspection", inspection(2))
    realm.sync_session.resume()
    realm.sync_session.download_all_server_changes().result(5)
    until(lambda: realm.object_for_primary_key(Inspection, inspection_key(2)) is not None)
    realm.sync_session.upload_all_local_changes().result(5)
    titles = {i.title for i in realm.objects(Inspection)}
    if mode == "recover_unsynced_changes":
        assert titles == {"Inspection 2", "Unsynced"}
        assert server.image("Inspection", str(number))["title"] == "Unsynced"
    else:
        assert titles == {"Inspection 2"}
    assert realm.subscriptions.state == "complete" and len(realm.subscriptions) == 2
    create(realm, "After the reset")
    realm.sync_session.upload_all_local_changes().result(5)


def inspection_key(number):
    from uuid import UUID

    return UUID(int=number)


# --- opening ---------------------------------------------------------------------------------------------------------


def test_opening_offline_times_out_or_opens_what_is_there(server, user, tmp_path):
    server.stop()
    short = OpenBehavior("download_before_open", 0.1, "throw_exception")
    sync = SyncConfiguration(user, new_realm_file_behavior=short, existing_realm_file_behavior=short)
    with pytest.raises(WaitTimeout, match="Timed out: Realm could not be downloaded in the allocated time: 0.1 s."):
        Realm.open(schema=[Airfield, Inspection], sync=sync).result(5)
    local = OpenBehavior("download_before_open", 0.1, "open_local_realm")
    for behavior in (local, IMMEDIATELY, OpenBehavior("open_immediately", 0.1)):
        sync = SyncConfiguration(user, new_realm_file_behavior=behavior, existing_realm_file_behavior=behavior)
        with Realm.open(schema=[Airfield, Inspection], sync=sync).result(5) as realm:
            assert len(realm.objects(Inspection)) == 0
    server.start()


def test_open_can_be_cancelled_and_shows_progress(server, user):
    server.answer = lambda message: [] if isinstance(message, Query) else None
    seen = []
    sync = SyncConfiguration(user, lambda subs, realm: subs.add(realm.objects(Inspection)))
    opening = Realm.open(schema=[Airfield, Inspection], sync=sync).progress(seen.append)
    assert seen == [0.0]
    until(lambda: any(isinstance(m, Query) for m in server.received))
    opening.cancel()
    with pytest.raises(RealmError, match="Async open canceled"):
        opening.result(1)


def test_the_first_failing_connection_ends_waits_if_asked_for(server, user):
    server.stop()
    sync = SyncConfiguration(user, cancel_waits_on_non_fatal_error=True)
    with pytest.raises(SyncError, match="Cannot connect to ws://"):
        Realm.open(schema=[Airfield, Inspection], sync=sync).result(5)
    server.start()


async def test_with_asyncio_everything_is_awaited_and_listeners_run_in_the_loop(server, user):
    loop, heard = asyncio.get_running_loop(), asyncio.Queue()

    def listen(collection, changes):
        assert asyncio.get_running_loop() is loop
        heard.put_nowait((len(collection), changes.insertions))

    sync = SyncConfiguration(user, lambda subs, realm: subs.add(realm.objects(Inspection)))
    realm = await Realm.open(schema=[Airfield, Inspection], sync=sync)
    with realm:
        inspections = realm.objects(Inspection)
        inspections.add_listener(listen)
        assert await asyncio.wait_for(heard.get(), 5) == (0, ())
        await asyncio.to_thread(server.put, "Inspection", inspection(1))
        assert await asyncio.wait_for(heard.get(), 5) == (1, (0,))
        with realm.write():
            inspections[0].title = "Changed"
        await realm.sync_session.upload_all_local_changes(timeout=5)
        await realm.sync_session.download_all_server_changes()
        assert server.image("Inspection", key(1))["title"] == "Changed"


def test_two_realms_of_one_file_share_the_session(server, user, open_realm):
    first, second = open_realm(), open_realm()
    assert first.sync_session is second.sync_session
    create(first)
    assert len(second.objects(Inspection)) == 1
    first.close()
    create(second)
    second.sync_session.upload_all_local_changes().result(5)
    assert len(server.objects) == 2
    other = make_user(server.url, user.app.base_file_path / "other", "otto")
    with pytest.raises(RealmError, match="different sync user"):
        open_realm(user=other, path=second.path)


def test_one_process_syncs_a_file_and_the_others_follow(server, open_realm):
    realm = open_realm()
    realm.close()
    with open(f"{realm.path}.lock", "a") as other_process:
        fcntl.flock(other_process, fcntl.LOCK_EX)
        realm = open_realm()
        made = create(realm)
        time.sleep(0.1)
        assert realm.sync_session.connection_state == "disconnected" and realm._store.pending_count() == 1
    realm.sync_session.upload_all_local_changes().result(5)
    assert server.image("Inspection", str(made._id)) is not None


def test_logging_in_again_revives_the_session(server, user, open_realm):
    realm = open_realm()
    record = dict(user._record)
    user._app._forget(user.id, "LoggedOut")
    until(lambda: realm.sync_session.state == "inactive")
    create(realm)
    user._record = record
    user._app._tell()
    realm.sync_session.upload_all_local_changes().result(5)
    assert len(server.objects) == 1 and realm.sync_session.state == "active"


def test_close_waits_for_uploads_that_are_on_their_way(server, open_realm):
    realm = open_realm()
    create(realm)
    realm.close()
    assert len(server.objects) == 1


def test_progress_and_connection_notifications(server, open_realm):
    realm = open_realm()
    session, states, estimates = realm.sync_session, [], []
    session.add_connection_notification(lambda new, old: states.append((old, new)))
    session.add_progress_notification("upload", "report_indefinitely", estimates.append)
    with pytest.raises(RealmError, match="Remove callback before adding it again"):
        session.add_progress_notification("upload", "report_indefinitely", estimates.append)
    create(realm)
    session.upload_all_local_changes().result(5)
    until(lambda: estimates and estimates[-1] == 1.0)
    session.pause()
    until(lambda: ("connected", "disconnected") in states)
    assert (session.state, session.is_connected()) == ("inactive", False)
    session.resume()
    until(session.is_connected)
