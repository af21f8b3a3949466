"""Hostile clients of Device Sync: whatever they send is answered with a code, changes nothing, and holds nobody else up."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from realm_sync import sync
from realm_sync.access import access_of
from realm_sync.core.device_sync import changesets
from realm_sync.core.device_sync import session as core
from realm_sync.core.device_sync.changesets import encode
from realm_sync.core.device_sync.doubt import decode_advance
from realm_sync.core.device_sync.errors import DeviceSyncError
from realm_sync.core.device_sync.frames import (
    Allocated,
    Bind,
    Download,
    FromClient,
    FromServer,
    Ident,
    JsonError,
    Mark,
    Ping,
    Pong,
    Unbound,
    Upload,
    UploadEntry,
)
from realm_sync.core.device_sync.instructions import (
    AddInteger,
    AnyInstruction,
    ArrayInsert,
    CreateObject,
    EraseObject,
    Payload,
    SetErase,
    SetInsert,
    Update,
)
from realm_sync.device_sync import files, sessions, uploads
from realm_sync.device_sync.sessions import DeviceConnection
from realm_sync.models import Change, ClientFile, SubscriptionSet
from tests.official_client.client import RealmFile
from tests.official_client.driver import OfficialClient
from tests.official_client.wire import decode_from_server, encode_from_client
from tests.phone import TIMEOUT, Phone, token_of
from tests.servers import SDK_OPTIONS, Server
from tests.testapp.models import Kit
from tests.world import World, db

sqlite = pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
FLEXIBLE = b'{"sessionReason":0,"schemaVersion":0}'


class Raw:
    """A connection on which anything can be said."""

    def __init__(self, user: Any, *, is_flexible: bool = True) -> None:
        self._user, self._is_flexible = user, is_flexible
        self.heard: list[FromServer] = []
        self._changed = asyncio.Event()
        self.is_reading = asyncio.Event()
        self.is_reading.set()

    async def __aenter__(self) -> Raw:
        token = await db(token_of, self._user)
        self.connection = DeviceConnection(self._take, token, "hostile", is_flexible=self._is_flexible)
        self._task = asyncio.create_task(self.connection.run())
        return self

    async def __aexit__(self, *_: Any) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _take(self, frame: bytes) -> None:
        await self.is_reading.wait()
        self.heard.append(decode_from_server(frame))
        self._changed.set()

    async def say(self, *messages: FromClient | bytes) -> None:
        for message in messages:
            await self.connection.receive(message if isinstance(message, bytes) else encode_from_client(message))

    async def hear(self, kind: type[Any]) -> Any:
        """The next message of this kind, and what came before it is forgotten."""
        async with asyncio.timeout(TIMEOUT):
            while True:
                while self.heard:
                    if isinstance(message := self.heard.pop(0), kind):
                        return message
                self._changed.clear()
                await self._changed.wait()

    async def opened(self, query: bytes = b"{}") -> Allocated:
        """A session of a new file, live."""
        await self.say(Bind(1, FLEXIBLE, True))
        file: Allocated = await self.hear(Allocated)
        await self.say(self.ident(file, query))
        return file

    @staticmethod
    def ident(file: Any, query: bytes = b"{}", session: int = 1) -> Ident:
        return Ident(session, *file[1:3], 0, 0, 0, 0, 0, query)

    async def closed(self) -> int:
        return await asyncio.wait_for(self._task, TIMEOUT)


def upload(*instructions: AnyInstruction, version: int = 1) -> Upload:
    return Upload(1, version, 0, 0, (UploadEntry(version, 0, 0, 0, encode(instructions)),))


# --- bytes -----------------------------------------------------------------------------------------------------------

NO_JSON = [b"\xff", b'{"a":"\xff"}', b"[" * 100_000, b'{"a":' * 100_000, b"\0", b"7", b""]


@sqlite
@pytest.mark.parametrize("body", NO_JSON, ids=[f"{body[:8]!r}" for body in NO_JSON])
async def test_bodies_that_are_no_json_are_answered_with_a_code(world: World, body: bytes) -> None:
    async with Raw(world.nora) as raw:
        await raw.say(Bind(1, body, False))
        error = await raw.hear(JsonError)
        assert (error.session, error.code) == (1, 204)
        await raw.say(b"unbind 1\n")
        file = await raw.opened()
        await raw.say(b"query 1 1 %d\n%b" % (len(body), body))
        error = await raw.hear(JsonError)
        assert (error.session, error.code) == (0, 103) and file
        assert await raw.closed() == 1000


@sqlite
@pytest.mark.parametrize("path", [*NO_JSON[:5], b'{"$binary":{"base64":"\xff","subType":"04"}}', b'{"$oid":7}'])
async def test_partitions_that_are_no_values_are_answered_with_a_code(world: World, path: bytes) -> None:
    async with Raw(world.nora, is_flexible=False) as raw:
        await raw.say(Bind(1, path, True))
        file = await raw.hear(Allocated)
        await raw.say(b"ident 1 %d %d 0 0 0 0\n" % file[1:])
        assert (await raw.hear(JsonError)).code == 204


@sqlite
async def test_an_error_that_nobody_foresaw_ends_the_connection_with_a_code(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(core.ServerConnection, "receive", fail)
    async with Raw(world.nora) as raw:
        await raw.say(Bind(1, FLEXIBLE, True))
        error = await raw.hear(JsonError)
        assert (error.session, error.code) == (0, 100) and b"a bug" not in error.body
        assert await raw.closed() == 1000


# --- more than there is room for -------------------------------------------------------------------------------------


@sqlite
async def test_a_connection_has_so_many_sessions_and_so_many_new_files(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "MOST_SESSIONS", 3)
    async with Raw(world.nora) as raw:
        await raw.say(*(Bind(number, FLEXIBLE, False) for number in range(1, 5)))
        assert (await raw.hear(JsonError)).code == 101
    async with Raw(world.nora) as raw:
        for _ in range(4):
            await raw.say(Bind(1, FLEXIBLE, True), b"unbind 1\n")
        assert (await raw.hear(JsonError)).code == 101
        await raw.closed()
    assert await db(ClientFile.objects.count) == 3


@sqlite
async def test_marks_that_wait_are_so_many(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "MOST_MARKS", 3)
    async with Raw(world.nora) as raw:
        await raw.opened()
        for request in range(1, 9):
            await raw.say(b"mark 1 %d\n" % request)
            assert (await raw.hear(Mark)).request == request
        raw.connection._sessions[raw.connection.core.sessions[1]]._answer_marks = lambda: None  # type: ignore[method-assign]
        await raw.say(*(b"mark 1 %d\n" % request for request in range(9, 13)))
        assert (await raw.hear(JsonError)).code == 101


@sqlite
async def test_whoever_reads_nothing_is_answered_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "OUTBOX", 10)
    async with Raw(world.nora) as raw:
        await raw.opened()
        await raw.say(b"mark 1 1\n")
        await raw.hear(Mark)
        raw.is_reading.clear()
        await raw.say(*(Ping(number, 0) for number in range(500)))
        await raw.say(*(each for _ in range(50) for each in (Bind(2, FLEXIBLE, False), b"unbind 2\n")))
        await asyncio.sleep(0.05)
        assert len(raw.connection._outbox) <= 10
        raw.is_reading.set()
        for _ in range(50):
            await raw.hear(Unbound)
        await raw.say(Ping(77, 0))
        while (await raw.hear(Pong)).timestamp != 77:
            pass
        raw.connection.close()
        await raw.say(*(b"mark 1 2\n" for _ in range(100)))
        assert not raw.connection._inbox, "what comes after the end is not kept"


@sqlite
async def test_an_upload_has_so_many_instructions_and_objects(world: World, settings: Any) -> None:
    settings.REALM_SYNC = {**settings.REALM_SYNC, "DEVICE_SYNC_INSTRUCTIONS": 20}
    keys = [Payload("uuid", uuid.uuid4().bytes) for _ in range(5)]
    names = [Update("Kit", keys[0], "name", (), Payload("string", f"{number}")) for number in range(21)]
    for instructions in (names, [CreateObject("Kit", key) for key in keys]):
        async with Raw(world.nora) as raw:
            await raw.opened()
            await raw.say(upload(*instructions))
            error = await raw.hear(JsonError)
            assert (error.session, error.code) == (0, 101)
            await raw.closed()
    assert not await db(Kit.objects.exists)


def test_names_and_keys_that_are_long_are_not_used_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changesets, "EXPANDED", 100_000)
    link = Payload("link", ("Airfield", Payload("string", "x" * 10_000)))
    for count in (9, 11):
        written = encode([ArrayInsert("Kit", Payload("int", 1), "route", (0,), link, 0)] * count)
        assert len(written) < 11_000
        if count == 9:
            assert len(changesets.decode(written)) == 9
            continue
        with pytest.raises(DeviceSyncError) as caught:
            changesets.decode(written)
        assert caught.value.number == 101


@sqlite
def test_sets_cost_by_the_edit_not_by_their_size(world: World) -> None:
    """3000 edits of a set with 3000 members; each asked every member, and that took a minute."""
    kit = Kit.objects.create(team=world.north)
    ident = files.allocate(world.nora, "")[0] - 1
    key, access = Payload("uuid", kit.pk.bytes), access_of(world.nora)
    views = files.wanted_views(ident, 1, {"Kit": "TRUEPREDICATE"}, access)
    members = [Payload("string", f"{number}") for number in range(3000)]
    began = time.process_time()
    for version, edit in enumerate((SetInsert, SetErase), 1):
        written = encode(edit("Kit", key, "tag_set", (), member) for member in members[version - 1 :])
        uploads.integrate(ident, [UploadEntry(version, 0, 0, 0, written)], version, 0, access, views, 2**50)
    assert time.process_time() - began < 20
    assert Kit.objects.get().tag_set == {"0"}


@sqlite
async def test_sets_of_queries_do_not_pile_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "KEPT_SETS", 3)
    async with Raw(world.nora) as raw:
        await raw.opened()
        for version in range(1, 9):
            await raw.say(b'query 1 %d 23\n{"Kit":"TRUEPREDICATE"}' % version)
        await raw.say(b"mark 1 1\n")
        await raw.hear(Mark)
        assert await db(SubscriptionSet.objects.count) == 4


# --- who may what ----------------------------------------------------------------------------------------------------


@sqlite
async def test_a_session_on_an_old_connection_has_the_rights_of_now(world: World) -> None:
    await db(world.inspection)
    file = RealmFile()
    async with Phone(world.nora, file) as phone:
        await phone.subscribe(Inspection="TRUEPREDICATE")
    async with Raw(world.nora) as raw:
        await raw.say(Bind(1, FLEXIBLE, True))
        await raw.hear(Allocated)
        await db(get_user_model().objects.filter(pk=world.nora.pk).update, is_active=False)
        await raw.say(Bind(2, FLEXIBLE, True))
        assert await raw.closed() == sessions.REFRESH_TOKEN
    await db(get_user_model().objects.filter(pk=world.nora.pk).update, is_active=True)
    async with Raw(world.nora) as raw:
        await raw.say(Bind(1, FLEXIBLE, True))
        other = await raw.hear(Allocated)
        await db(get_user_model().objects.filter(pk=world.nora.pk).update, is_active=False)
        await raw.say(raw.ident(other))
        assert await raw.closed() == sessions.REFRESH_TOKEN


@sqlite
@pytest.mark.parametrize("kind", ["update", "delete", "create", "create_of_another_team"])
def test_what_is_done_to_hidden_objects_is_answered_as_if_there_were_none(world: World, kind: str) -> None:
    hidden = world.inspection(world.south, title="secret")
    access = access_of(world.nora)
    answers: list[Any] = []
    for key in (hidden.pk, uuid.uuid4()):
        ident = files.allocate(world.nora, "")[0] - 1
        views = files.wanted_views(ident, 1, {"Inspection": "TRUEPREDICATE"}, access)
        it = ("Inspection", Payload("uuid", key.bytes))
        team = world.south if kind == "create_of_another_team" else world.north
        links = {"airfield": ("Airfield", Payload("string", "EDDM")), "team": ("Team", Payload("uuid", team.pk.bytes))}
        written: list[AnyInstruction] = [Update(*it, name, (), Payload("link", to)) for name, to in links.items()]
        if kind == "delete":
            written = [EraseObject(*it)]
        elif kind != "update":
            written = [CreateObject(*it), *written]
        for timestamp in (0, 2**50):  # older and newer than what is there
            done = timestamp // 2**50 + 1
            entry = UploadEntry(done, 0, timestamp, 0, encode(written))
            uploads.integrate(ident, [entry], done, 0, access, views, 2**50)
        if kind == "create":
            hidden.refresh_from_db()
            assert (hidden.title, hidden.team_id) == ("secret", world.south.pk)
            return  # whoever may create it learns that there is one: it would be overwritten otherwise
        advances = Change.objects.filter(object_id=str(ident), kind="advance").order_by("pk")
        said = [decode_advance(after or "") for after in advances.values_list("after", flat=True)]
        answers.append(
            [([(each.code, each.reason) for each in it.rejected], *it.owed["Inspection"].values()) for it in said]
        )
        assert all(it.rejected for it in said)
    assert answers[0] == answers[1]


async def test_the_same_upload_on_two_connections_at_once_is_integrated_once(world: World) -> None:
    kit = await db(Kit.objects.create, team=world.north)
    ident = (await db(files.allocate, world.nora, ""))[0] - 1
    access = access_of(world.nora)
    views = await db(files.wanted_views, ident, 1, {"Kit": "TRUEPREDICATE"}, access)
    key = Payload("uuid", kit.pk.bytes)
    written = encode(
        [AddInteger("Kit", key, "visits", (), 1), ArrayInsert("Kit", key, "tags", (0,), Payload("string", "a"), 0)]
    )
    entries = [UploadEntry(version, 0, 0, 0, written) for version in range(1, 6)]
    integrate = (uploads.integrate, ident, entries, 5, 0, access, views, 2**50)
    assert await asyncio.gather(*(db(*integrate) for _ in range(2))) == [5, 5]
    await db(kit.refresh_from_db)
    assert (kit.visits, kit.tags) == (5, ["a"] * 5)


async def test_a_server_that_is_killed_in_the_middle_of_uploads_integrates_each_once(
    world: World, server: Callable[..., Server]
) -> None:
    process = await db(server, "daphne", options=SDK_OPTIONS["daphne"])
    kit = await db(Kit.objects.create, team=world.north, name="kit")
    async with OfficialClient(process.url, ("nora", "pw")) as nora:
        await nora.subscribe({"Kit": "TRUEPREDICATE"})
        for turn in range(3):
            for _ in range(20):
                with nora.write() as write:
                    write.add("Kit", kit.pk, "visits", 1)
            await nora.pump()
            await asyncio.sleep(0.02 * turn)
            await db(process.kill)
            await nora.disconnect()
            await db(process.start)
            await nora.reconnect()
        await nora.uploaded()
        await db(kit.refresh_from_db)
        assert kit.visits == 60
        [held] = nora.objects("Kit").values()
        assert held["visits"][1] == 60


async def test_what_came_after_access_changed_is_not_said_before_the_feed_tells_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions.DeviceSession, "access_changed", lambda _: None)  # the feed is late
    await db(world.inspection, title="before")
    async with Phone(world.nora) as phone:
        await phone.subscribe(Inspection="TRUEPREDICATE")
        assert len(phone.store.objects["Inspection"]) == 1

        def leave() -> None:
            world.north.members.remove(world.nora)
            sync.access_changed(world.nora)
            world.inspection(title="after")

        await db(leave)
        await phone.until(lambda: not phone.store.objects["Inspection"])
        said = [frame for frame in phone.log if isinstance(frame, Download)]
        assert not any(b"after" in entry.changeset for frame in said for entry in frame.entries)
