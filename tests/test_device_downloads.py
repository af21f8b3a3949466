"""Downloads to the official SDKs: whatever is sent, a model of the official client comes to hold what its views select."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections, transaction

from realm_sync import capture, history
from realm_sync.conf import settings as realm_settings
from realm_sync.core.binding import bind
from realm_sync.core.changes import decode_image
from realm_sync.core.device_sync import frames
from realm_sync.core.device_sync.assertions import Assertions
from realm_sync.core.device_sync.doubt import Advance, encode_advance
from realm_sync.core.device_sync.frames import Bind, Download, Ident
from realm_sync.core.nodes import FALSE, Node
from realm_sync.core.query import parse
from realm_sync.device_sync import downloads, files
from realm_sync.device_sync.downloads import Transfer
from realm_sync.downloads import select_images
from realm_sync.models import ClientFile
from realm_sync.registry import registry
from tests.official_client.checker import SessionChecker
from tests.official_client.client import Progress, RealmFile
from tests.official_client.store import Store, plain
from tests.official_client.wire import decode_from_server, instructions
from tests.world import World

pytestmark = pytest.mark.usefixtures("each_database")


def connection() -> Any:
    return connections[realm_settings.DATABASE]


def views(**queries: str) -> dict[str, Node]:
    schema = registry.schema
    return {name: bind(parse(text), schema[name], schema).predicate for name, text in queries.items()}


class Device:
    """A client file, the model of its client, and what a session does between the two: all in one place."""

    def __init__(self, user: Any, *, is_flexible: bool = True) -> None:
        wire, salt = files.allocate(user, "RealmJS")
        self.user, self.is_flexible = user, is_flexible
        self.realm = RealmFile()
        self.realm.ident, self.realm.salt = wire, salt
        self.realm.sets[1] = self.realm.newest
        self.views: Mapping[str, Node] = {}
        self.sent: list[Download] = []
        self.connect()

    def connect(self) -> None:
        progress = self.realm.progress
        message = Ident(
            1, self.realm.ident, self.realm.salt, progress.download_server, progress.download_client,
            progress.latest_server, progress.latest_salt, 1, b"{}" if self.is_flexible else None,
        )  # fmt: skip
        self.file = files.open_file(self.user, message, "RealmJS")
        self.views, self.has_schema = self.file.views, self.file.schema_known
        self.checker = SessionChecker(Bind(1, b"", False), lambda: self.realm.version)
        self.checker.sent(message)
        self.checker.progress = progress

    @property
    def ident(self) -> int:
        return self.file.ident

    @property
    def progress(self) -> Progress:
        return self.realm.progress

    def open(self, **queries: str) -> None:
        """Schema and first subscription."""
        if self.is_flexible:
            self.deliver(downloads.schema_only(self.file), 1)
            self.has_schema = True
        self.subscribe(**queries)

    def subscribe(self, **queries: str) -> Transfer:
        wanted = views(**queries)
        transfer = downloads.bootstrap(
            self.file, self.progress.download_server, self.views, wanted,
            has_schema=self.has_schema, is_flexible=self.is_flexible,
        )  # fmt: skip
        self.views, self.has_schema = wanted, True
        self.deliver(transfer, 1)
        return transfer

    def catch_up(self, commit_after: int | None = None) -> Transfer:
        transfer = downloads.steady(
            self.file, self.progress.download_server, self.progress.download_client, self.views,
            is_flexible=self.is_flexible,
        )  # fmt: skip
        self.deliver(transfer, 2, commit_after)
        return transfer

    def deliver(self, transfer: Transfer, batch_state: int, commit_after: int | None = None) -> None:
        """Over the wire, past the checks that a client makes, into its file."""
        salt = self.file.salt
        message = Download(
            1, transfer.version, transfer.client_version, max(transfer.version, self.progress.latest_server), salt,
            max(transfer.upload_client, self.file.client_version),
            max(transfer.upload_server, self.progress.upload_server),
            1 if self.is_flexible else None, batch_state, 1, transfer.entries,
        )  # fmt: skip
        received = decode_from_server(frames.encode_from_server(message))
        assert isinstance(received, Download)
        self.checker.received(received)
        self.sent.append(received)
        entries = list(received.entries)
        if batch_state == 2 and self.is_flexible:
            assert all(entry.server_version == self.progress.download_server for entry in entries[:-1])
        progress = self.checker.progress
        if commit_after is not None:
            entries = entries[:commit_after]
            last = entries[-1]
            progress = progress._replace(download_server=last.server_version, download_client=last.client_version)
        self.realm.integrate(entries, progress)

    @contextmanager
    def upload(self, advance: Advance | None = None) -> Iterator[None]:
        """What is written inside is an upload of the file; its realm's newest local version is then integrated."""
        advance = advance or Advance(self.realm.version)
        with transaction.atomic(realm_settings.DATABASE):
            capture.set_origin(connection(), self.ident)
            yield
            capture.set_origin(connection(), 0)
            ClientFile.objects.filter(ident=self.ident).update(client_version=advance.client_version)
            history.record_advance(connection(), self.ident, encode_advance(advance).decode())

    def said(self) -> list[str]:
        """The instructions of the newest download, without their operands."""
        return [
            type(instruction).__name__
            for entry in self.sent[-1].entries
            for instruction in instructions(entry.changeset)
        ]

    def check(self) -> None:
        """The realm holds what the views select, and nothing else."""
        assert objects(self.realm.store) == objects(expected(self.views))


def expected(wanted: Mapping[str, Node]) -> Store:
    store = Store()
    for instruction in files.schema_instructions():
        store.apply(instruction)
    for model_sync in registry:
        says = Assertions(registry.schema, model_sync.schema)
        for chunk in select_images(model_sync, wanted.get(model_sync.class_name, FALSE)):
            for text in chunk:
                for instruction in says.create(decode_image(text)):
                    store.apply(instruction)
    return store


def objects(store: Store) -> dict[str, Any]:
    return {
        name: {repr(plain(key)): plain(values) for key, values in held.items()}
        for name, held in store.objects.items()
        if held
    }


@pytest.fixture
def small_world() -> World:
    return World()


def test_first_the_classes_then_what_is_subscribed_to(small_world: World) -> None:
    small_world.inspection(title="Lights", priority=3)
    small_world.inspection(title="Windsock", priority=1)
    device = Device(small_world.nora)
    device.open(Inspection="priority > 2", Airfield="TRUEPREDICATE")
    device.check()
    assert len(device.realm.store.objects["Inspection"]) == 1
    assert len(device.realm.store.objects["Airfield"]) == 3
