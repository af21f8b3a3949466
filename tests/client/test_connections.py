"""Connections that outlive a session, and what a client does that was away: first see, then upload."""

from __future__ import annotations

import fcntl
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from realm_sync.client import Realm, SyncConfiguration, Timeouts, User, transport
from realm_sync.core.messages import Bind, Mark, Query, Unbind, Upload

from .conftest import Airfield, Inspection, make_user, until
from .fake_server import FakeServer


def app_of(server: FakeServer, directory: Path, id: str = "nora", **timeouts: float) -> User:
    server.lingers = True
    user = make_user(server.url, directory, id)
    user.app._timeouts = Timeouts(**timeouts)
    return user


def opened(user: User, path: str = "one.realm", **options: Any) -> Realm:
    def subscribe(subscriptions: Any, realm: Realm) -> None:
        subscriptions.add(realm.objects(Airfield))
        subscriptions.add(realm.objects(Inspection))

    sync = SyncConfiguration(user, subscribe, **options)
    return Realm.open(schema=(Airfield, Inspection), sync=sync, path=path).result(10)


def transports() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "realm-sync transport"}


@pytest.fixture(autouse=True)
def strangers() -> set[threading.Thread]:
    """What lingers from tests of other files."""
    _strangers.clear()
    _strangers.update(transports())
    return _strangers


_strangers: set[threading.Thread] = set()


def sync_threads() -> set[threading.Thread]:
    return transports() - _strangers


def binds(server: FakeServer) -> list[Bind]:
    return [message for message in server.received if isinstance(message, Bind)]


def test_a_realm_that_is_opened_again_takes_the_websocket_over(server: FakeServer, tmp_path: Path) -> None:
    user = app_of(server, tmp_path, linger=30)
    for number in range(3):
        realm = opened(user)
        realm.write(lambda realm=realm, number=number: realm.create(Airfield, {"_id": str(number), "name": "Field"}))
        realm.sync_session.upload_all_local_changes().result(10)
        assert len(sync_threads()) == 1
        realm.close()
    assert server.accepted == 1 and len(binds(server)) == 3
    assert {thread.is_alive() for thread in sync_threads()} == {True}, "it waits"


def test_another_file_and_another_user_take_it_over_too(server: FakeServer, tmp_path: Path) -> None:
    opened(app_of(server, tmp_path / "a", linger=30)).close()
    opened(app_of(server, tmp_path / "b", "sol", linger=30), "two.realm").close()
    assert server.accepted == 1
    first, second = binds(server)
    assert first.token != second.token and second.client_file is None


def test_closing_does_not_wait_and_frees_the_file(server: FakeServer, tmp_path: Path) -> None:
    user = app_of(server, tmp_path, linger=30)
    realm = opened(user)
    store = realm._store
    began = time.monotonic()
    realm.close()
    assert time.monotonic() - began < 1 and store.closed
    with open(f"{store.path}.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_without_linger_every_session_has_its_own_websocket(server: FakeServer, tmp_path: Path) -> None:
    user = app_of(server, tmp_path, linger=0)
    for _ in range(2):
        opened(user).close()
    assert server.accepted == 2
    until(lambda: not server.connections and not sync_threads())


def test_after_linger_nothing_is_left(server: FakeServer, tmp_path: Path) -> None:
    opened(app_of(server, tmp_path, linger=0.1)).close()
    assert len(server.connections) == 1
    until(lambda: not server.connections and not sync_threads())


def test_a_session_that_pauses_keeps_its_websocket_for_itself(server: FakeServer, tmp_path: Path) -> None:
    realm = opened(app_of(server, tmp_path, linger=30))
    realm.sync_session.pause()
    until(lambda: any(isinstance(message, Unbind) for message in server.received))
    realm.sync_session.resume()
    realm.sync_session.download_all_server_changes().result(10)
    assert server.accepted == 1 and len(binds(server)) == 2
    realm.close()


def test_a_paused_session_lets_its_websocket_go_after_linger(server: FakeServer, tmp_path: Path) -> None:
    realm = opened(app_of(server, tmp_path, linger=0.1))
    realm.sync_session.pause()
    until(lambda: not server.connections)
    realm.sync_session.resume()
    realm.sync_session.download_all_server_changes().result(10)
    assert server.accepted == 2
    realm.close()


def test_a_websocket_that_breaks_meanwhile_is_dropped(server: FakeServer, tmp_path: Path) -> None:
    user = app_of(server, tmp_path, linger=30)
    opened(user).close()
    server.stop()
    until(lambda: not sync_threads())
    server.start()
    opened(user).close()
    assert server.accepted == 2


@pytest.mark.parametrize("silent", [False, True])
def test_a_websocket_that_turns_out_to_be_dead_is_replaced_at_once(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, silent: bool
) -> None:
    monkeypatch.setattr(transport, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(transport, "FIRST_DELAY", 30.0)
    user = app_of(server, tmp_path, linger=30)
    opened(user).close()

    def answer(message: Any) -> Any:
        if isinstance(message, Bind) and len(binds(server)) == 2:
            return [] if silent else "drop"
        return None

    server.answer = answer
    errors: list[Any] = []
    began = time.monotonic()
    realm = opened(user, on_error=lambda session, error: errors.append(error))
    assert time.monotonic() - began < 5 and errors == []
    assert server.accepted == 2 and len(binds(server)) == 3
    realm.close()


def test_few_websockets_are_kept(server: FakeServer, tmp_path: Path) -> None:
    user = app_of(server, tmp_path, linger=30)
    realms = [opened(user, f"{number}.realm") for number in range(6)]
    for realm in realms:
        realm.close()
    until(lambda: len(server.connections) == len(sync_threads()) == 4)


# --- first what happened, then uploads --------------------------------------------------------------------------------


def kinds(server: FakeServer) -> list[str]:
    """What was sent since the last bind, acknowledgements aside."""
    last = max(at for at, message in enumerate(server.received) if isinstance(message, Bind))
    names = {Mark: "mark", Upload: "upload", Query: "query"}
    after = [it for it in server.received[last:] if not isinstance(it, Upload) or it.changesets]
    return [
        f"{names[type(it)]} {it.request_ident}" if isinstance(it, Mark) else names[type(it)]
        for it in after
        if type(it) in names
    ]


def write_offline(server: FakeServer, realm: Realm, number: int) -> None:
    server.stop()
    until(lambda: realm.sync_session.connection_state == "disconnected")
    realm.write(lambda: realm.create(Airfield, {"_id": str(number), "name": "Field"}))


@pytest.mark.parametrize(("away", "expected"), [(0.001, ["mark 0", "upload"]), (60.0, ["upload"])])
def test_who_was_away_for_long_downloads_before_uploading(
    server: FakeServer, tmp_path: Path, away: float, expected: list[str]
) -> None:
    realm = opened(app_of(server, tmp_path, linger=0, fast_reconnect=away))
    assert "mark 0" not in kinds(server), "a new file has nothing to see first"
    write_offline(server, realm, 1)
    time.sleep(0.002)
    server.start()
    realm.sync_session.reconnect()
    realm.sync_session.upload_all_local_changes().result(10)
    assert kinds(server)[: len(expected)] == expected
    realm.close()


def test_a_file_that_is_opened_again_downloads_before_uploading(server: FakeServer, tmp_path: Path) -> None:
    user = app_of(server, tmp_path, linger=0)
    opened(user).close()
    realm = opened(user)
    realm.write(lambda: realm.create(Airfield, {"_id": "1", "name": "Field"}))
    realm.sync_session.upload_all_local_changes().result(10)
    assert [kind for kind in kinds(server) if kind in ("mark 0", "upload")] == ["mark 0", "upload"]
    realm.close()
