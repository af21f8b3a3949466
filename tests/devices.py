"""Devices of users: the Python client as an app uses it, for tests with real servers.

with Devices(tmp_path) as device:
    nora, tablet = device("nora", server.url), device("nora", server.url)
    nora.create(title="Windsock", …); nora.settle()
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from realm_sync.client import App, Credentials, OpenBehavior, Realm, SyncConfiguration, SyncError
from realm_sync.client import transport as client_transport
from tests.testapp.models import Inspection
from tests.world import World


def come_back_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients of this process reconnect soon, so that tests end soon."""
    monkeypatch.setattr(client_transport, "FIRST_DELAY", 0.1)
    monkeypatch.setattr(client_transport, "LONGEST_DELAY", 0.5)


class Device:
    """A device of one user: an app in its own directory and one realm file."""

    def __init__(self, name: str, url: str, directory: Path) -> None:
        self.name, self.directory = name, directory
        self.errors: list[Exception] = []
        self.open(url)

    def open(self, url: str) -> None:
        app = App("realm-sync", base_url=url, base_file_path=self.directory)
        user = app.current_user or app.log_in(Credentials.email_password(self.name, "pw")).result(20)

        def subscribe(subscriptions: Any, realm: Realm) -> None:
            for class_name in ("Inspection", "Team", "Airfield"):
                subscriptions.add(realm.objects(class_name))

        sync = SyncConfiguration(
            user,
            subscribe,
            existing_realm_file_behavior=OpenBehavior("open_immediately"),
            on_error=lambda _, error: self.hear(error),
        )
        self.realm = Realm.open(sync=sync).result(30)

    def hear(self, error: SyncError) -> None:
        """That a server which was killed is gone is news to an app, and none to a test."""
        if error.code not in ("ConnectionFailed", "ConnectTimeout"):
            self.errors.append(error)

    def close(self) -> None:
        self.realm.close()

    @property
    def session(self) -> Any:
        return self.realm.sync_session

    def settle(self) -> None:
        """Everything written here is with the server, and everything there is here."""
        self.session.upload_all_local_changes(30).result()
        self.session.download_all_server_changes(30).result()

    def titles(self) -> dict[str, tuple[str, int]]:
        return {str(it._id): (it.title, it.priority) for it in self.realm.objects("Inspection")}

    def create(self, **values: Any) -> str:
        with self.realm.write():
            made = self.realm.create("Inspection", {"_id": uuid.uuid4(), "title": "", "priority": 0} | values)
        return str(made._id)


class Devices:
    """Makes devices, each in a directory of its own, and closes them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._made: list[Device] = []

    def __enter__(self) -> Devices:
        return self

    def __exit__(self, *_: Any) -> None:
        for device in self._made:
            device.close()

    def __call__(self, name: str, url: str) -> Device:
        self._made.append(Device(name, url, self._directory / f"device-{len(self._made)}"))
        return self._made[-1]


def on_server(world: World, *teams: Any) -> dict[str, tuple[str, int]]:
    rows = Inspection.objects.filter(team__in=teams or [world.north])
    return {str(pk): (title, priority) for pk, title, priority in rows.values_list("pk", "title", "priority")}


def team_of(device: Device, name: str) -> Any:
    return device.realm.objects("Team").filtered("name == $0", name).first()
