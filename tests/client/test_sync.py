"""Whole sessions against the fake server: download, upload, faults, restarts, refused writes, client reset."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import threading
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
from realm_sync.client.settings import ClientSettings, Timeouts
from realm_sync.client.transport import Backoff
from realm_sync.core import client_session as client_session_module
from realm_sync.core.messages import Bind, Error, Mark, Ping, Query, QueryError, Unbind, Upload

from .conftest import Airfield, Inspection, inspection, key, make_user, until
from .fake_server import changes_of

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


def test_who_waits_for_a_download_in_any_moment_of_the_connecting_is_answered(open_realm, monkeypatch):
    realm = open_realm()
    transport = realm._transport
    realm.sync_session.pause()
    until(lambda: transport.connection_state == "disconnected")
    open_marks, waits = transport._open_marks, []

    def asked_meanwhile():
        found = open_marks()
        if not waits:
            waits.append(transport.wait_for_download())
        return found

    monkeypatch.setattr(transport, "_open_marks", asked_meanwhile)
    realm.sync_session.resume()
    until(lambda: waits)
    waits[0].result(5)


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
    until(lambda: errors)
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


# --- which troubles end waits, and which the app hears of (reference 5.6) --------------------------------------------


@pytest.fixture(params=[True, False], ids=["cancels", "goes on"])
def troubled(request, user, open_realm):
    """`troubled()` is a realm, opened, with an upload that waits, and the errors it hears of. `ends(wait, code)`: it
    does if that was asked for, and else waits on."""

    class Troubled:
        cancels = request.param

        def __init__(self):
            self.errors, self.realm, self.wait = [], None, None

        def open(self):
            self.realm = open_realm(
                on_error=lambda session, error: self.errors.append(error),
                cancel_waits_on_non_fatal_error=self.cancels,
                existing_realm_file_behavior=IMMEDIATELY,
                new_realm_file_behavior=IMMEDIATELY,
            )
            self.wait = self.realm.sync_session.upload_all_local_changes()
            return self.realm

        def connect(self):
            """Opens it, and waits until it was connected."""
            realm = self.open()
            until(lambda: realm.subscriptions.state == "complete")
            self.wait.result(5)

        def write(self):
            create(self.realm)
            self.wait = self.realm.sync_session.upload_all_local_changes()

        def ends(self, error):
            if self.cancels:
                with pytest.raises(SyncError, match=error):
                    self.wait.result(5)
            else:
                assert not self.wait.done()

        def goes_on(self):
            self.wait.result(5)

    return Troubled()


@contextlib.contextmanager
def silent_peer():
    """Accepts connections and says nothing. Gives its URL, and what it has accepted."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepted = []

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    accepted.append(listener.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}/", accepted
        listener.shutdown(socket.SHUT_RDWR)
        for each in accepted:
            each.close()


def timeouts(user, **seconds):
    user.app.settings = ClientSettings(timeouts=Timeouts(**seconds))


def test_a_server_that_is_gone_after_having_been_there_is_news(server, troubled):
    troubled.connect()
    server.stop()
    troubled.write()
    until(lambda: len(troubled.errors) > 1)
    assert {(e.code, e.is_fatal) for e in troubled.errors} == {("ConnectionFailed", False)}
    troubled.ends("Cannot connect to ws://")
    server.start()


def test_a_server_that_was_never_there_is_none(server, troubled):
    server.stop()
    connecting = []
    realm = troubled.open()
    create(realm)
    troubled.wait = realm.sync_session.download_all_server_changes()
    realm.sync_session.add_connection_notification(lambda new, old: connecting.append(new))
    until(lambda: connecting.count("connecting") > 1)
    troubled.ends("Cannot connect to ws://")
    assert troubled.errors == []
    server.start()


@pytest.mark.parametrize("was_there", [True, False])
def test_a_connection_that_takes_too_long_fails_with_a_code_of_its_own(user, troubled, was_there):
    timeouts(user, connect=0.1)
    with silent_peer() as (url, accepted):
        if was_there:
            troubled.connect()
            troubled.realm.sync_session.pause()
            until(lambda: troubled.realm.sync_session.connection_state == "disconnected")
        user.app.sync_address = url
        if was_there:
            troubled.realm.sync_session.resume()
        else:
            troubled.open()
        troubled.write()
        until(lambda: len(accepted) > 1)
        troubled.ends("ConnectTimeout: Sync connection was not fully established in time")
        codes = {(e.code, e.message, e.is_fatal) for e in troubled.errors}
        late = ("ConnectTimeout", "Sync connection was not fully established in time", False)
        assert codes == ({late} if was_there else set())


def test_a_token_that_cannot_be_had_now_is_no_news(user, troubled, monkeypatch):
    asked = []

    def refuse():
        asked.append(1)
        raise AppError("no route to host")

    troubled.connect()
    troubled.realm.sync_session.pause()
    until(lambda: troubled.realm.sync_session.connection_state == "disconnected")
    monkeypatch.setattr(user, "fresh_access_token", refuse)
    troubled.write()
    troubled.realm.sync_session.resume()
    until(lambda: len(asked) > 1)
    troubled.ends("ConnectionFailed: no route to host")
    assert troubled.errors == []


@pytest.mark.parametrize("trouble", ["drop", "silence", "retry"])
def test_lost_connections_silence_and_errors_to_retry_end_no_wait_and_are_no_news(server, user, troubled, trouble):
    timeouts(user, ping=0.05, pong=0.15)
    troubled.connect()
    met = []

    def meet(message):
        uploads = isinstance(message, Upload) and message.changesets
        if trouble == "silence" and (uploads or met) and not (isinstance(message, Bind) and met):
            met.append(message)
            return []
        if isinstance(message, Bind):
            server.answer = lambda message: None
        if not uploads:
            return None
        met.append(message)
        return "drop" if trouble == "drop" else error("InternalServerError", "retry", retry_after=0.01)

    server.answer = meet
    troubled.write()
    troubled.goes_on()
    assert met and troubled.errors == [] and len(server.objects) == 1
    if trouble == "silence":
        assert any(isinstance(message, Ping) for message in met)


def test_a_peer_that_reads_nothing_is_noticed(server, user, open_realm, monkeypatch):
    """Once every buffer on the way is full, sending takes for ever: the session must not."""
    timeouts(user, pong=0.2)
    realm = open_realm()
    stuck, send = [], transport_module.ClientConnection.send

    async def send_or_hang(self, frame):
        if b'"instructions"' in frame.encode() and not stuck:
            stuck.append(frame)
            await asyncio.sleep(3600)
        await send(self, frame)

    monkeypatch.setattr(transport_module.ClientConnection, "send", send_or_hang)
    create(realm)
    realm.sync_session.upload_all_local_changes().result(5)
    assert stuck and len(server.objects) == 1


def test_a_compensating_write_is_news_and_ends_waits(server, troubled):
    troubled.connect()
    server.refuse = lambda cls, step: "not allowed"
    made = []

    def hold(message):  # a second write that is not answered: its wait is still open
        return [] if isinstance(message, Upload) and any(c.client_version > 1 for c in message.changesets) else None

    server.answer = hold
    troubled.realm.sync_session.pause()
    until(lambda: troubled.realm.sync_session.connection_state == "disconnected")
    made = create(troubled.realm)
    troubled.realm.subscriptions.update(lambda subs: subs.remove_by_object_type("Airfield"))
    troubled.write()
    troubled.realm.sync_session.resume()
    troubled.wait = troubled.realm.sync_session.upload_all_local_changes()
    until(lambda: troubled.errors)
    assert [type(each) for each in troubled.errors] == [CompensatingWriteError] and not made.is_valid()
    troubled.ends("it has been reverted")
    troubled.realm.sync_session.pause()


# --- closing, and what can happen meanwhile --------------------------------------------------------------------------


def ends_soon(realm, seconds=0.5):
    """Closing takes no time, and leaves no thread."""
    transport, began = realm._transport, time.monotonic()
    realm.close()
    assert time.monotonic() - began < seconds
    transport.join(seconds)
    assert not transport.running


def test_closing_ends_a_connection_that_is_being_made(server, user, open_realm):
    with silent_peer() as (url, accepted):
        user.app.sync_address = url
        realm = open_realm(new_realm_file_behavior=IMMEDIATELY)
        until(lambda: accepted)
        ends_soon(realm)
        accepted[0].settimeout(5)
        assert b"Upgrade" in accepted[0].recv(100_000)
        with contextlib.suppress(ConnectionResetError):
            assert accepted[0].recv(1) == b"", "the socket is closed"


def test_closing_does_not_wait_for_a_token(user, open_realm, monkeypatch):
    asked, answer = threading.Event(), threading.Event()

    def ask():
        asked.set()
        answer.wait(5)
        return "too late"

    monkeypatch.setattr(user, "fresh_access_token", ask)
    realm = open_realm(new_realm_file_behavior=IMMEDIATELY)
    asked.wait(5)
    ends_soon(realm)
    answer.set()


def test_closing_offline_takes_no_time(server, open_realm):
    realm = open_realm()
    server.stop()
    until(lambda: realm.sync_session.connection_state != "connected")
    ends_soon(realm)
    server.start()


@pytest.mark.parametrize("how", ["close", "cancel"])
def test_a_bootstrap_that_is_under_way_can_be_left(server, user, monkeypatch, how):
    """Half of it is here; the server says nothing more, not even good-bye."""
    monkeypatch.setattr(client_session_module, "UNBIND_SECONDS", 0.3)
    server.put_all("Inspection", [inspection(n) for n in range(20)])

    def half(message):
        if isinstance(message, Query):
            (connection,) = server.connections.values()
            connection.file.query_version = message.query_version
            return [connection.download("more", changes_of([(("Inspection", key(1)), inspection(1))]), 0.5)]
        return [] if isinstance(message, Unbind) else None

    server.answer = half
    sync = SyncConfiguration(user, lambda subs, realm: subs.add(realm.objects(Inspection)))
    seen, others = [], set(threading.enumerate())
    opening = Realm.open(schema=[Airfield, Inspection], sync=sync).progress(seen.append)
    until(lambda: 0.5 in seen)
    (thread,) = [each for each in set(threading.enumerate()) - others if each.name == "realm-sync transport"]
    began = time.monotonic()
    if how == "cancel":
        opening.cancel()
    else:
        opening._close()
    assert time.monotonic() - began < 1
    with pytest.raises(RealmError, match="Async open canceled"):
        opening.result(1)
    thread.join(5)
    assert not thread.is_alive()
    until(lambda: not server.connections)


def test_a_realm_that_is_opened_while_its_session_ends_gets_a_session(server, open_realm):
    for number in range(10):
        realm = open_realm()
        create(realm)
        realm.sync_session.upload_all_local_changes().result(5)
        if number % 2:
            create(realm)
        closing = threading.Thread(target=realm.close)
        closing.start()
    closing.join()
    assert len(server.objects) == 15


def test_a_session_that_fails_strands_nobody(server, open_realm, monkeypatch, caplog):
    errors = []
    realm = open_realm(on_error=lambda session, error: errors.append(error))

    def fail(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(realm._store, "apply", fail)
    create(realm)
    until(lambda: errors)
    assert (errors[0].code, errors[0].is_fatal) == ("RuntimeError", True)
    assert realm.sync_session.state == "inactive" and "No space left on device" in caplog.text
    for wait in (realm.sync_session.download_all_server_changes(), realm.subscriptions.update(lambda subs: None)):
        with pytest.raises(SyncError, match="No space left on device"):
            wait.result(5)
    monkeypatch.undo()
    realm.sync_session.resume()
    realm.sync_session.upload_all_local_changes().result(5)
    assert len(server.objects) == 1


def test_waits_of_a_user_who_logs_out_or_of_a_closed_realm_end(user, server, open_realm):
    realm = open_realm()
    record, session = dict(user._record), realm.sync_session
    server.answer = lambda message: [] if isinstance(message, Mark) else None
    waiting = session.download_all_server_changes()
    user._app._forget(user.id, "LoggedOut")
    with pytest.raises(AppError, match="logged out"):
        waiting.result(5)
    later = session.download_all_server_changes()
    server.answer = lambda message: None
    user._record = record
    user._app._tell()
    later.result(5)
    realm.close()
    with pytest.raises(RealmError, match="Sync session became inactive"):
        session.download_all_server_changes().result(5)


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
