"""Fixtures of the client's tests: a small world, a fake server, a user who is logged in, realms that get closed."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from realm_sync.client import App, Object, Realm, SyncConfiguration, Timeouts, User, field
from realm_sync.core.declarations import parse_class
from realm_sync.core.schema import Schema

from .fake_server import FakeServer


class Airfield(Object):
    _id: str
    name: str


class Inspection(Object):
    _id: UUID = field(primary_key=True, default=uuid4)
    title: str
    team: str = "North"
    priority: int | None
    airfield: Airfield | None


WORLD = Schema(
    [
        parse_class({"name": "Airfield", "primaryKey": "_id", "properties": {"_id": "string", "name": "string"}}),
        parse_class(
            {
                "name": "Inspection",
                "primaryKey": "_id",
                "properties": {
                    "_id": "uuid",
                    "title": "string",
                    "team": "string",
                    "priority": "int?",
                    "airfield": "Airfield",
                },
            }
        ),
    ]
)


def key(number: int) -> str:
    """The wire value of a UUID key."""
    return str(UUID(int=number))


def inspection(number: int, **values: Any) -> dict[str, Any]:
    """The wire image of an inspection."""
    return {
        "_id": key(number),
        "title": f"Inspection {number}",
        "team": "North",
        "priority": None,
        "airfield": None,
    } | values


def jwt(**claims: Any) -> str:
    payload = base64.urlsafe_b64encode(json.dumps({"exp": time.time() + 3600} | claims).encode()).decode().rstrip("=")
    return f"e30.{payload}.c2ln"


def until(condition: Callable[[], Any], seconds: float = 5) -> None:
    """Waits until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


class LocalApp(App):
    """An app whose sync server is a fake one; `sync_address` is set by the fixture."""

    sync_address = "ws://127.0.0.1:1/"

    @property
    def sync_url(self) -> str:
        return self.sync_address


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer(WORLD) as server:
        yield server


@pytest.fixture
def user(server: FakeServer, tmp_path: Path) -> User:
    return make_user(server.url, tmp_path)


def make_user(url: str, directory: Path, id: str = "nora") -> User:
    # Tests count sessions' threads and websockets; test_connections.py has those that linger.
    app = LocalApp("realm-sync", base_url="http://127.0.0.1:1", base_file_path=directory, timeouts=Timeouts(linger=0))
    app.sync_address = url
    record = {
        "id": id, "provider": "local-userpass", "state": "LoggedIn",
        "access_token": jwt(sub=id), "refresh_token": jwt(sub=id),
    }  # fmt: skip
    with app._changing():
        app._users[id] = User(app, record)
        app._current = id
    return app._users[id]


@pytest.fixture
def open_realm(user: User) -> Iterator[Callable[..., Realm]]:
    """Opens realms of the user; closes them after the test."""
    realms: list[Realm] = []

    def open(everything: bool = True, schema: Any = (Airfield, Inspection), path: Any = None, **options: Any) -> Realm:
        def subscribe(subscriptions: Any, realm: Realm) -> None:
            for cls in ("Airfield", "Inspection"):
                subscriptions.add(realm.objects(cls))

        sync = SyncConfiguration(options.pop("user", user), subscribe if everything else None, **options)
        realm = Realm.open(schema=schema, sync=sync, path=path).result(10)
        realms.append(realm)
        return realm

    yield open
    for realm in realms:
        if not realm.is_closed and realm._store.pending_count():
            realm.sync_session.pause()  # else it would go on trying to upload
        realm.close()
