"""Sessions of the official SDKs against a real database: the model of the official client on real connections."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import DatabaseError, connections, transaction

from realm_sync import access, feed, history, sync
from realm_sync.conf import settings as conf
from realm_sync.core.device_sync.frames import Download, JsonError, Unbound
from realm_sync.core.device_sync.instructions import Payload
from realm_sync.core.errors import QueryError
from realm_sync.device_sync import downloads, files, parts, sessions, uploads
from realm_sync.device_sync.files import wire_ident
from realm_sync.models import ClientFile, Epoch, SubscriptionSet, UserSession
from tests.chaos import eventually, until
from tests.official_client.client import COMPLETE, ERROR, RealmFile
from tests.official_client.store import Store
from tests.phone import TIMEOUT, Phone, token_of
from tests.testapp.models import Airfield, Inspection, Team
from tests.world import World, db

sqlite = pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
"""For what has nothing to do with the database."""
EVERYTHING = {"Inspection": "TRUEPREDICATE"}


def titles(store: Store) -> list[Any]:
    return sorted(values["title"].value for values in store.objects["Inspection"].values())


def inspect(phone: Phone, title: str, **values: Any) -> uuid.UUID:
    """A new inspection of team North, on the phone."""
    key = uuid.uuid4()
    links = {
        "airfield": ("Airfield", Payload("string", "EDDM")),
        "team": ("Team", Payload("uuid", Team.objects.get(name="North").pk.bytes)),
    }
    with phone.file.write() as write:
        linked = {name: Payload("link", target) for name, target in links.items()}
        write.create("Inspection", key, {"title": title, **linked, **values})
    phone.talk()
    return key


def sent(phone: Phone, kind: type[Any]) -> list[Any]:
    return [message for message in phone.log if isinstance(message, kind)]


# --- what it is sent -------------------------------------------------------------------------------------------------


async def test_a_new_file_gets_the_schema_and_then_what_it_subscribes_to(world: World) -> None:
    world.inspection(title="mine"), world.inspection(world.south, title="theirs")
    async with Phone(world.nora) as phone:
        await phone.settle()
        assert {"Inspection", "Airfield", "Team"} <= set(phone.store.tables)
        assert not any(phone.store.objects.values())
        await phone.subscribe(Inspection="TRUEPREDICATE", Airfield='country == "ED"')
        assert titles(phone.store) == ["mine"]
        assert len(phone.store.objects["Airfield"]) == 1
        assert [it.query_version for it in sent(phone, Download) if it.batch_state != 2] == [0, 1]


async def test_any_writer_reaches_it(world: World) -> None:
    async with Phone(world.nora) as phone:
        await phone.subscribe(Inspection="priority < 5")
        one = await db(world.inspection)
        await phone.until(lambda: titles(phone.store) == ["Runway lights"])
        await db(Inspection.objects.filter(pk=one.pk).update, title="Fence")
        await phone.until(lambda: titles(phone.store) == ["Fence"])
        await db(Inspection.objects.filter(pk=one.pk).update, priority=9)
        await phone.until(lambda: titles(phone.store) == [])
        await db(Inspection.objects.filter(pk=one.pk).update, priority=1)
        await phone.until(lambda: titles(phone.store) == ["Fence"])
        await db(Inspection.objects.all().delete)
        await phone.until(lambda: titles(phone.store) == [])


async def test_a_file_that_was_away_gets_the_difference(world: World) -> None:
    kept = world.inspection(title="kept")
    file = RealmFile()
    async with Phone(world.nora, file) as phone:
        await phone.subscribe(**EVERYTHING)
    await db(Inspection.objects.filter(pk=kept.pk).update, title="changed")
    await db(world.inspection, title="new")
    async with Phone(world.nora, file) as phone:
        await phone.settle()
        assert titles(file.store) == ["changed", "new"]
        assert [it.batch_state for it in sent(phone, Download)] == [2]


@sqlite
async def test_every_ident_is_followed_by_a_download(world: World) -> None:
    """It acknowledges again what was uploaded, though nothing is new."""
    file = RealmFile()
    async with Phone(world.nora, file) as phone:
        await phone.subscribe(**EVERYTHING)
    async with Phone(world.nora, file, uploads_wait=False) as phone:
        assert (await phone.next(Download)).entries == ()


async def test_what_it_wrote_reaches_the_table_and_others_and_is_acknowledged(world: World) -> None:
    async with Phone(world.nora) as phone, Phone(world.nora) as other:
        await phone.subscribe(**EVERYTHING)
        await other.subscribe(**EVERYTHING)
        key = await db(inspect, phone, "Windsock")
        await phone.uploaded()
        row = await db(Inspection.objects.get, pk=key)
        assert (row.title, row.airfield_id, row.team_id) == ("Windsock", "EDDM", world.north.pk)
        await other.until(lambda: titles(other.store) == ["Windsock"])
        with other.file.write() as write:
            write.set("Inspection", key, "title", "Tower")
        await other.uploaded()
        await phone.until(lambda: titles(phone.store) == ["Tower"])


@sqlite
async def test_uploads_without_changesets_are_answered_by_nothing(world: World) -> None:
    """Or the two would answer each other for ever."""
    async with Phone(world.nora) as phone:
        await phone.subscribe(**EVERYTHING)
        await db(world.inspection)
        await phone.until(lambda: len(titles(phone.store)) == 1)
        await asyncio.sleep(0.2)
        count = len(phone.log)
        await asyncio.sleep(0.5)
        assert len(phone.log) == count


async def test_what_does_not_concern_it_sends_nothing_but_moves_marks(world: World) -> None:
    async with Phone(world.nora) as phone:
        await phone.subscribe(**EVERYTHING)
        before = phone.file.progress.download_server
        count = len(sent(phone, Download))
        await db(world.inspection, world.south)
        await asyncio.sleep(0.2)
        assert len(sent(phone, Download)) == count
        await phone.downloaded()
        assert phone.file.progress.download_server > before, "D.sv = L.sv at a mark"
        assert phone.file.progress.download_server == phone.file.progress.latest_server


@pytest.mark.parametrize("each_database", ["postgresql"], indirect=True)
async def test_a_bootstrap_that_ends_while_a_long_version_is_handed_on_misses_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was read before that version, and the feed has passed the part of it that concerns the file."""
    key = world.inspection(title="one", priority=1).pk
    monkeypatch.setattr(feed, "BATCH", 10)
    made, send, first, rest = (threading.Event() for _ in range(4))
    remember, read = downloads.remember_views, feed._next

    def remember_views(*args: Any) -> None:
        remember(*args)
        made.set()
        send.wait(TIMEOUT)

    def next_batch(after: int, cursor: Any) -> Any:
        if cursor is not None:
            first.set()
            rest.wait(TIMEOUT)
        return read(after, cursor)

    def write() -> None:
        with transaction.atomic(conf.DATABASE):
            Inspection.objects.filter(pk=key).update(title="two")
            Team.objects.bulk_create(Team(name=str(number)) for number in range(30))

    async with Phone(world.nora) as phone:
        await phone.subscribe(**EVERYTHING)
        monkeypatch.setattr(downloads, "remember_views", remember_views)
        monkeypatch.setattr(feed, "_next", next_batch)
        again = asyncio.create_task(phone.subscribe(Inspection="priority > 0"))
        await asyncio.to_thread(made.wait, TIMEOUT)
        await db(write)
        await asyncio.to_thread(first.wait, TIMEOUT)
        send.set()
        await phone.until(lambda: phone.file.active.version == 2)
        rest.set()
        await again
        await phone.until(lambda: titles(phone.store) == ["two"])


async def test_another_query_sends_the_difference(world: World) -> None:
    low, high = world.inspection(title="low", priority=1), world.inspection(title="high", priority=9)
    async with Phone(world.nora) as phone:
        await phone.subscribe(Inspection="priority < 6")
        assert titles(phone.store) == ["low"]
        await phone.subscribe(Inspection="priority > 4")
        assert titles(phone.store) == ["high"]
        await phone.subscribe()
        assert titles(phone.store) == [] and (low, high)


@sqlite
async def test_of_many_queries_in_a_row_the_last_one_counts(world: World) -> None:
    world.inspection(title="one", priority=1), world.inspection(title="two", priority=2)
    async with Phone(world.nora) as phone:
        await phone.settle()
        for priority in (1, 2, 1, 2):
            phone.file.subscribe({"Inspection": f"priority == {priority}"})
            phone.talk()
        await phone.settle()
        assert titles(phone.store) == ["two"] and phone.file.newest.version == 4


@sqlite
async def test_a_query_that_cannot_be_is_refused_and_the_one_before_stays(world: World) -> None:
    world.inspection(title="one")
    async with Phone(world.nora) as phone:
        await phone.subscribe(**EVERYTHING)
        await phone.subscribe(Inspection="no_such_property > 1")
        assert phone.file.newest.state == ERROR and "no_such_property" in phone.file.newest.error
        await db(world.inspection, title="two")
        await phone.until(lambda: titles(phone.store) == ["one", "two"])
        await phone.subscribe(Inspection='title == "two"')
        assert titles(phone.store) == ["two"] and phone.file.newest.state == COMPLETE


@sqlite
async def test_a_query_that_the_database_cannot_compute_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.inspection(title="one")
    async with Phone(world.nora) as phone:
        await phone.subscribe(**EVERYTHING)
        with monkeypatch.context() as patch:
            patch.setattr(downloads, "bootstrap", raising(QueryError("too large", code="LimitExceeded")))
            await phone.subscribe(Inspection="priority > 3")
            assert phone.file.newest.error == "too large"
        await db(world.inspection, title="two")
        await phone.until(lambda: titles(phone.store) == ["one", "two"])
        states = await db(lambda: dict(SubscriptionSet.objects.values_list("query_version", "state")))
        assert states == {1: "complete", 2: "error"}


@sqlite
@pytest.mark.parametrize("is_first", [True, False])
async def test_when_a_query_cannot_be_computed_the_newest_before_it_stands(
    world: World, monkeypatch: pytest.MonkeyPatch, is_first: bool
) -> None:
    """Its bootstrap was made, and not sent because another query came; but that one is refused."""
    for number in range(3):
        world.inspection(title=str(number), priority=number)
    asked, begun = threading.Event(), threading.Event()
    make, calls = downloads.bootstrap, []

    def bootstrap(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) == 2:
            raise QueryError("too large")
        transfer = make(*args, **kwargs)
        if len(calls) == 1:
            begun.set()
            asked.wait(TIMEOUT)
        return transfer

    async with Phone(world.nora) as phone:
        await phone.subscribe(**({} if is_first else EVERYTHING))
        monkeypatch.setattr(downloads, "bootstrap", bootstrap)
        phone.file.subscribe({"Inspection": "priority > 0"})
        phone.talk()
        await asyncio.to_thread(begun.wait, TIMEOUT)
        phone.file.subscribe({"Inspection": "priority > 1"})
        phone.talk()
        (session,) = phone.connection._sessions.values()
        await eventually(lambda: session._wanted[0][0] == 3)
        asked.set()
        await phone.until(lambda: phone.file.newest.error == "too large")
        await phone.downloaded()
        assert titles(phone.store) == ["1", "2"] and phone.file.active.version == 2
        await db(world.inspection, title="3", priority=3)
        await phone.until(lambda: titles(phone.store) == ["1", "2", "3"])


def raising(error: Exception) -> Callable[..., Any]:
    def function(*_: Any, **__: Any) -> Any:
        raise error

    return function


async def test_access_that_changes_is_followed_by_a_bootstrap_of_the_same_query(world: World) -> None:
    world.inspection(title="north"), world.inspection(world.south, title="south")
    async with Phone(world.nora) as phone:
        await phone.subscribe(**EVERYTHING)

        def move() -> None:
            world.north.members.remove(world.nora)
            world.south.members.add(world.nora)
            sync.access_changed(world.nora)

        await db(move)
        await phone.until(lambda: titles(phone.store) == ["south"])
        assert [it.query_version for it in sent(phone, Download) if it.batch_state == 1] == [0, 1, 1]
        await phone.downloaded()


@sqlite
async def test_sets_are_noted_for_the_admin(world: World) -> None:
    async with Phone(world.nora) as phone:
        await phone.subscribe(**EVERYTHING)
        await phone.subscribe(Airfield="TRUEPREDICATE")
        rows = SubscriptionSet.objects.order_by("query_version")

        def states() -> list[tuple[int, str]]:
            return list(rows.values_list("query_version", "state"))

        await eventually(lambda: states() == [(1, "superseded"), (2, "complete")], "completing the sets")
        file = await db(ClientFile.objects.get)
        assert wire_ident(file.ident) == phone.file.ident and file.user_agent.startswith("RealmSync/")
    assert (await db(ClientFile.objects.get)).server_version == phone.file.progress.download_server
    # As if the connection had broken before the client said that it holds the set.
    await db(rows.filter(query_version=2).update, state=SubscriptionSet.State.BOOTSTRAPPING)
    async with Phone(world.nora, phone.file):
        await eventually(lambda: states() == [(1, "superseded"), (2, "complete")], "completing the set again")


# --- what it writes --------------------------------------------------------------------------------------------------


async def test_what_is_not_allowed_is_undone_and_said(world: World) -> None:
    async with Phone(world.nora) as phone:
        await phone.subscribe(**EVERYTHING, Airfield="TRUEPREDICATE")
        with phone.file.write() as write:
            write.set("Airfield", "EDDM", "name", "Mine")
        await phone.uploaded()
        await phone.until(lambda: phone.file.reported)
        [undone] = phone.file.reported
        assert undone.class_name == "Airfield" and undone.key.value == "EDDM"
        values = phone.store.objects["Airfield"][undone.key]
        assert values["name"].value == "Munich" and (await db(Airfield.objects.get, pk="EDDM")).name == "Munich"


@sqlite
async def test_what_was_undone_is_said_until_the_client_has_integrated_it(world: World) -> None:
    file = RealmFile()
    async with Phone(world.nora, file) as phone:
        await phone.subscribe(**EVERYTHING, Airfield="TRUEPREDICATE")
        phone.is_reading = False
        with phone.file.write() as write:
            write.set("Airfield", "EDDM", "name", "Mine")
        phone.talk()
        await eventually(lambda: ClientFile.objects.get().client_version)
    assert not file.reported
    async with Phone(world.nora, file) as phone:
        await phone.settle()
        assert [undone.class_name for undone in file.reported] == ["Airfield"]
        assert next(iter(file.store.objects["Airfield"].values()))["name"].value == "Munich"
    async with Phone(world.nora, file) as phone:
        await phone.settle()
        assert not sent(phone, JsonError) and len(file.reported) == 1


@sqlite
async def test_what_was_undone_before_a_bootstrap_is_said_after_it(world: World) -> None:
    file = RealmFile()
    async with Phone(world.nora, file) as phone:
        await phone.subscribe(Airfield="TRUEPREDICATE")
        phone.is_reading = False
        with phone.file.write() as write:
            write.set("Airfield", "EDDM", "name", "Mine")
        phone.talk()
        await eventually(lambda: ClientFile.objects.get().client_version)
    await db(ClientFile.objects.update, views=without_schema())
    async with Phone(world.nora, file) as phone:
        await phone.settle()
        assert [it.batch_state for it in sent(phone, Download)][:2] == [1, 2], "the schema is another: a bootstrap"
        assert [undone.class_name for undone in file.reported] == ["Airfield"]


def without_schema() -> dict[str, Any]:
    """The views of the one client file, as if it had them from an older schema."""
    return {
        version: texts | {"": "older"}
        for version, texts in ClientFile.objects.values_list("views", flat=True).get().items()
    }


async def test_an_upload_is_judged_by_the_query_before_it(world: World) -> None:
    async with Phone(world.nora) as phone:
        await phone.subscribe(Inspection="priority < 5")
        phone.file.subscribe({"Inspection": "priority > 4"})
        key = await db(inspect, phone, "new", priority=9)
        await phone.uploaded()
        await phone.settle()
        assert titles(phone.store) == ["new"] and not phone.file.reported
        assert await db(Inspection.objects.filter(pk=key).exists)


async def test_what_was_integrated_is_not_integrated_again(world: World) -> None:
    file = RealmFile()
    async with Phone(world.nora, file) as phone:
        await phone.subscribe(**EVERYTHING)
        phone.is_reading = False
        key = await db(inspect, phone, "once")
        await eventually(Inspection.objects.filter(pk=key).exists)
    await db(Inspection.objects.filter(pk=key).update, title="twice")
    assert not file.is_uploaded
    async with Phone(world.nora, file) as phone:
        await phone.settle()
        await phone.uploaded()
        assert titles(file.store) == ["twice"] == [(await db(Inspection.objects.get)).title]


# --- connections -----------------------------------------------------------------------------------------------------


@sqlite
async def test_several_files_share_a_connection(world: World) -> None:
    world.inspection(title="one", priority=1), world.inspection(title="two", priority=2)
    first, second = RealmFile(), RealmFile()
    async with Phone(world.nora, first, second) as phone:
        await phone.settle()
        first.subscribe({"Inspection": "priority == 1"}), second.subscribe({"Inspection": "priority == 2"})
        phone.talk()
        await phone.settle()
        assert (titles(first.store), titles(second.store)) == (["one"], ["two"])
        phone.sessions[1].unbind()
        phone.talk()
        await phone.next(Unbound)
        await db(Inspection.objects.update, title="changed")
        await phone.until(lambda: titles(second.store) == ["changed"])
        assert titles(first.store) == ["one"]
        phone.rebind()
        await phone.settle()
        assert titles(first.store) == ["changed"]


@sqlite
async def test_a_file_can_be_open_once_per_connection(world: World) -> None:
    file = RealmFile()
    async with Phone(world.nora, file) as phone:
        await phone.settle()
    async with Phone(world.nora, file, file) as phone:
        error = await phone.next(JsonError)
        assert (error.code, error.session) == (108, 0) and await phone.closed() == 1000


@sqlite
async def test_an_older_connection_of_the_file_is_dropped(world: World) -> None:
    file = RealmFile()
    async with Phone(world.nora, file) as older:
        await older.settle()
        async with Phone(world.nora, file) as newer:
            await newer.settle()
            assert await older.closed() == 1000, "without a word: its client does not hear it"
            await newer.subscribe(**EVERYTHING)
            await db(world.inspection)
            await newer.until(lambda: len(titles(file.store)) == 1)


async def test_a_socket_that_closes_while_a_message_comes_is_over_at_once(world: World) -> None:
    """At whatever step of the event loop it comes: Python 3.11 forgets that a task was cancelled that waits for just
    that."""
    async with Phone(world.nora) as phone:
        await phone.settle()
    token = await db(token_of, world.nora)
    for steps in range(8):
        async with Phone(world.nora, token=token) as phone:
            await phone.settle()
            assert phone._task is not None
            phone._task.cancel()
            for _ in range(steps):
                await asyncio.sleep(0)
            await phone.connection.receive(b"mark 1 77\n")
            done, _ = await asyncio.wait([phone._task], timeout=5)
            assert done, f"still there, though cancelled {steps} steps before the message"


async def refused(token: str, world: World) -> int:
    phone = Phone(world.nora, token=token)
    async with phone:
        return await phone.closed()


@sqlite
async def test_a_token_that_proves_nothing_is_refused_so_that_the_client_refreshes_it(
    world: World, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "REFUSAL_SECONDS", 0.01)
    settings.REALM_SYNC = {**settings.REALM_SYNC, "ACCESS_TOKEN_SECONDS": -60}
    expired = await db(token_of, world.nora)
    settings.REALM_SYNC = {**settings.REALM_SYNC, "ACCESS_TOKEN_SECONDS": 60}
    ended = await db(token_of, world.nora)
    await db(UserSession.objects.update, revoked=True)
    off = await db(token_of, world.sol)
    await db(get_user_model().objects.filter(pk=world.sol.pk).update, is_active=False)
    for token in ("", "x.y.z", expired, ended, off):
        assert await refused(token, world) == 4001


@sqlite
async def test_refusals_take_their_time(world: World) -> None:
    """The SDK would come back at once, some 300 times a second."""
    began = time.monotonic()
    assert await refused("forged", world) == 4001
    assert time.monotonic() - began >= sessions.REFUSAL_SECONDS


@sqlite
async def test_a_user_who_is_deactivated_and_a_token_that_expires_end_it(world: World, settings: Any) -> None:
    settings.REALM_SYNC = {**settings.REALM_SYNC, "RECHECK_SECONDS": 0.05}
    async with Phone(world.nora) as phone:
        await phone.settle()
        await db(get_user_model().objects.filter(pk=world.nora.pk).update, is_active=False)
        assert await phone.closed() == 4001
    settings.REALM_SYNC = {**settings.REALM_SYNC, "ACCESS_TOKEN_SECONDS": 1}
    async with Phone(world.sol) as phone:
        await phone.settle()
        assert await phone.closed() == 4001


@sqlite
async def test_another_app_is_named(world: World) -> None:
    async with Phone(world.nora) as phone:
        phone.connection.refuse_app("other")
        error = await phone.next(JsonError)
        assert error.session == 0 and b"other" in error.body and b"realm-sync" in error.body
        assert await phone.closed() == 1000


@sqlite
async def test_whoever_is_silent_is_dropped(world: World, settings: Any) -> None:
    settings.REALM_SYNC = {**settings.REALM_SYNC, "IDLE_SECONDS": 0.2}
    async with Phone(world.nora) as phone:
        for number in range(5):
            phone.send(b"ping %d 0\n" % number)
            await phone.until(lambda number=number: b"pong %d\n" % number in phone.frames)
            await asyncio.sleep(0.1)
        assert await phone.closed() == 1000


# --- resets and failures ---------------------------------------------------------------------------------------------


@sqlite
@pytest.mark.parametrize(
    "number, spoil",
    [
        (208, lambda file: ClientFile.objects.update(salt=file.salt + 1)),
        (223, lambda file: ClientFile.objects.update(user=get_user_model().objects.get(username="sol"))),
        (211, lambda file: Epoch.objects.update(epoch="f" * 32)),
        (217, lambda file: ClientFile.objects.update(reset_reason="because")),
    ],
)
async def test_a_file_that_does_not_fit_must_start_over(
    world: World, number: int, spoil: Callable[[RealmFile], Any]
) -> None:
    file = RealmFile()
    async with Phone(world.nora, file) as phone:
        await phone.settle()
    await db(spoil, file)
    async with Phone(world.nora, file) as phone:
        error = await phone.next(JsonError)
        assert (error.code, error.session) == (number, 1) and b'"ClientReset"' in error.body
        await phone.until(lambda: phone.session.is_ended)
        await asyncio.sleep(0.05)
        assert not sent(phone, Unbound), "none after an error"


@sqlite
async def test_an_operator_may_have_a_live_file_start_over(world: World, settings: Any) -> None:
    settings.REALM_SYNC = {**settings.REALM_SYNC, "RECHECK_SECONDS": 0.05}
    async with Phone(world.nora) as phone:
        await phone.settle()
        await db(ClientFile.objects.update, reset_reason="because")
        error = await phone.next(JsonError)
        assert (error.code, error.session) == (217, 1) and b"because" in error.body
        await asyncio.sleep(0.05)
        assert not sent(phone, Unbound)
        # The client now downloads everything as a new file, on the same connection.
        fresh = RealmFile()
        phone.sessions[2] = type(phone.session)(fresh, 2, uploads=False, is_reset=True)
        phone.talk()
        await phone.until(lambda: phone.sessions[2].is_downloaded)


@sqlite
async def test_a_database_that_fails_is_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    file = RealmFile()
    async with Phone(world.nora, file) as phone:
        await phone.subscribe(**EVERYTHING)
        with monkeypatch.context() as patch:
            patch.setattr(uploads, "integrate", raising(DatabaseError("gone")))
            await db(inspect, phone, "Windsock")
            error = await phone.next(JsonError)
            assert (error.code, error.session) == (201, 1) and b'"tryAgain":true' in error.body
            await phone.until(lambda: phone.session.is_ended)
        phone.rebind(uploads_wait=False)
        await phone.uploaded()
        assert (await db(Inspection.objects.get)).title == "Windsock"


@sqlite
async def test_an_error_of_one_session_leaves_the_others_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = RealmFile(), RealmFile()
    async with Phone(world.nora, first, second) as phone:
        await phone.settle()
        phone._checker.sent(b"upload 1 0 0 0 99 77 0\n")
        phone._inbox.put_nowait(b"upload 1 0 0 0 99 77 0\n")
        error = await phone.next(JsonError)
        assert (error.code, error.session) == (209, 1)
        second.subscribe(EVERYTHING)
        phone.talk()
        await phone.until(lambda: second.newest.state == COMPLETE)


@sqlite
async def test_a_session_that_fails_in_the_pump_tells_its_client(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Phone(world.nora) as phone:
        await phone.subscribe(**EVERYTHING)
        with monkeypatch.context() as patch:
            patch.setattr(downloads, "steady", raising(RuntimeError("a bug")))
            await db(world.inspection)
            error = await phone.next(JsonError)
            assert (error.code, error.session) == (201, 1) and b"a bug" not in error.body
            await phone.until(lambda: phone.session.is_ended)
        phone.rebind()
        await phone.settle()
        assert len(titles(phone.store)) == 1


def held_up(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> threading.Event:
    """A function that waits, in its thread, until the event is set."""
    function, may_end = getattr(module, name), threading.Event()

    def slow(*args: Any, **given: Any) -> Any:
        may_end.wait(TIMEOUT)
        return function(*args, **given)

    monkeypatch.setattr(module, name, slow)
    return may_end


# --- fast and slow ---------------------------------------------------------------------------------------------------


async def test_a_long_bootstrap_stops_neither_pings_nor_uploads_nor_other_sessions(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = RealmFile(), RealmFile()
    async with Phone(world.nora, first, second) as phone:
        await phone.settle()
        second.subscribe(EVERYTHING)
        phone.talk()
        await phone.settle()
        may_end = held_up(monkeypatch, downloads, "bootstrap")
        first.subscribe(EVERYTHING)
        phone.talk()
        phone.send(b"ping 7 0\n")
        await phone.until(lambda: b"pong 7\n" in phone.frames)
        await db(world.inspection, title="meanwhile")
        await phone.until(lambda: titles(second.store) == ["meanwhile"])
        with second.write() as write:
            [key] = second.store.objects["Inspection"]
            write.set("Inspection", key, "title", "x")
        phone.talk()
        await phone.until(lambda: second.is_uploaded)
        may_end.set()
        await phone.settle()
        assert titles(first.store) == ["x"]


@sqlite
@pytest.mark.parametrize("turns", range(6))
async def test_a_socket_that_goes_while_a_message_arrives_leaves_nothing_behind(world: World, turns: int) -> None:
    """However many turns of the event loop are between the two."""
    async with Phone(world.nora) as phone:
        await phone.settle()
        assert phone._task is not None
        phone._task.cancel()
        for _ in range(turns):
            await asyncio.sleep(0)
        await phone.connection.receive(b"mark 1 99\n")
        await asyncio.wait([phone._task], timeout=TIMEOUT)
        assert phone._task.done()


@sqlite
async def test_whoever_sends_too_fast_waits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "INBOX", 3)
    async with Phone(world.nora) as phone:
        await phone.subscribe(**EVERYTHING)
        may_end = held_up(monkeypatch, uploads, "integrate")
        for number in range(10):
            await db(inspect, phone, f"{number}")
        await eventually(lambda: len(phone.connection._inbox) == 3)
        await asyncio.sleep(0.1)
        assert len(phone.connection._inbox) == 3 and phone._inbox.qsize() >= 3
        phone.send(b"ping 7 0\n")
        may_end.set()
        await phone.uploaded()
        assert len(titles(phone.store)) == 10 and b"pong 7\n" in phone.frames
        assert await db(Inspection.objects.count) == 10


@sqlite
async def test_whoever_integrates_slowly_is_sent_fewer_and_larger_downloads(world: World, settings: Any) -> None:
    settings.REALM_SYNC = {**settings.REALM_SYNC, "WINDOW": 2}
    async with Phone(world.nora) as phone:
        await phone.subscribe(**EVERYTHING)
        one = await db(world.inspection)
        await phone.until(lambda: len(titles(phone.store)) == 1)
        await asyncio.sleep(0.1)
        count = len(phone.frames)
        phone.is_reading = False
        for number in range(30):
            await db(Inspection.objects.filter(pk=one.pk).update, title=f"{number}")
            await asyncio.sleep(0.02)
        phone.is_reading = True
        await phone.until(lambda: titles(phone.store) == ["29"])
        assert len(phone.frames) - count <= 5


@pytest.mark.parametrize("each_database", ["postgresql"], indirect=True)
async def test_a_mark_waits_for_a_transaction_that_is_still_open(world: World, each_database: str) -> None:
    async with Phone(world.nora) as phone:
        await phone.subscribe(**EVERYTHING)
        begun, may_end = threading.Event(), threading.Event()

        def long() -> None:
            with transaction.atomic(each_database):
                world.inspection(title="early")
                begun.set()
                may_end.wait(TIMEOUT)
            connections[each_database].close()

        writing = asyncio.create_task(db(long))
        await db(begun.wait, TIMEOUT)
        await db(world.inspection, title="late")
        mark = phone.session.request_mark()
        phone.talk()
        await asyncio.sleep(0.3)
        assert phone.session.mark_received < mark and titles(phone.store) == []
        # So do bootstraps, without a thread that others need.
        async with contextlib.AsyncExitStack() as stack:
            others = [await stack.enter_async_context(Phone(world.nora)) for _ in range(conf.DATABASE_THREADS)]
            for other in others:
                other.file.subscribe(EVERYTHING)
                await other.until(lambda other=other: other.file.active.version == 0 and other.store.tables)
            key = await db(inspect, phone, "uploaded")
            await eventually(Inspection.objects.filter(pk=key).exists)
            assert not any(titles(other.store) for other in others)
            may_end.set()
            await writing
            await phone.until(lambda: phone.session.mark_received == mark)
            await phone.until(lambda: titles(phone.store) == ["early", "late", "uploaded"])
            for other in others:
                await other.until(lambda other=other: titles(other.store) == ["early", "late", "uploaded"])


# --- at the same time ------------------------------------------------------------------------------------------------


def feed_caught_up() -> None:
    """Waits, in a thread, until the feed that is running has delivered everything."""
    [each] = [each for loop, each in feed._feeds.items() if loop.is_running() and each._tasks]
    until(lambda: each.version >= history.latest(connections[conf.DATABASE]), "delivering")


def after(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, then: Callable[[], Any]) -> None:
    """Once, after a function has returned and before its result is used, something else happens, and is delivered."""
    function = getattr(module, name)

    def and_then(*args: Any, **given: Any) -> Any:
        result = function(*args, **given)
        monkeypatch.setattr(module, name, function)
        then()
        feed_caught_up()
        return result

    monkeypatch.setattr(module, name, and_then)


def leave_north(world: World) -> None:
    world.north.members.remove(world.nora)
    sync.access_changed(world.nora)


@sqlite
async def test_what_happens_right_after_a_bootstrap_is_not_missed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Phone(world.nora), Phone(world.nora) as phone:
        await phone.settle()
        after(monkeypatch, downloads, "bootstrap", world.inspection)
        await phone.subscribe(**EVERYTHING)
        await phone.until(lambda: len(titles(phone.store)) == 1)


@sqlite
async def test_access_that_changes_while_a_file_is_opened_counts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.inspection()
    file = RealmFile()
    async with Phone(world.sol) as other:
        await other.settle()  # so that the feed runs, and has passed the change before the session joins it
        async with Phone(world.nora, file) as phone:
            await phone.subscribe(**EVERYTHING)
            assert len(titles(file.store)) == 1
        after(monkeypatch, files, "wanted_views", lambda: leave_north(world))
        async with Phone(world.nora, file) as phone:
            await phone.until(lambda: titles(file.store) == [])


@sqlite
async def test_an_upload_is_not_acknowledged_under_a_query_that_is_no_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Phone(world.nora) as phone:
        await phone.subscribe(Inspection="priority < 5")
        may_end = held_up(monkeypatch, downloads, "steady")
        await db(world.inspection)
        phone.file.subscribe({"Inspection": "priority > 4"})
        key = await db(inspect, phone, "new", priority=9)
        await eventually(lambda: SubscriptionSet.objects.filter(query_version=2).exists())
        await phone.until(lambda: phone.file.sets)
        count = len(phone.log)
        phone.talk()
        may_end.set()
        await phone.settle()
        await phone.uploaded()
        first = next(it for it in phone.log[count:] if isinstance(it, Download))
        assert (first.query_version, first.batch_state) == (2, 1)
        assert [it.value for it in phone.store.objects["Inspection"]] == [key.bytes]


@sqlite
async def test_an_upload_is_judged_by_the_access_of_now(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Phone(world.nora) as phone:
        await phone.subscribe(**EVERYTHING)
        team = world.north.pk
        may_end = held_up(monkeypatch, access, "access_for_session")
        await db(leave_north, world)
        await db(feed_caught_up)
        await asyncio.sleep(0.05)  # it is being renewed
        key = await db(inspect, phone, "late")
        await asyncio.sleep(0.1)
        may_end.set()
        await phone.uploaded()
        await phone.until(lambda: phone.file.reported)
        assert not await db(Inspection.objects.filter(pk=key).exists) and team


@sqlite
async def test_access_that_changed_while_a_query_failed_counts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.inspection(title="one")
    async with Phone(world.nora) as phone:
        await phone.subscribe(**EVERYTHING, Airfield="TRUEPREDICATE")
        make, begun, may_end = downloads.bootstrap, threading.Event(), threading.Event()

        def failing(*_: Any, **__: Any) -> Any:
            begun.set()
            may_end.wait(TIMEOUT)
            monkeypatch.setattr(downloads, "bootstrap", make)
            raise QueryError("too large")

        monkeypatch.setattr(downloads, "bootstrap", failing)
        phone.file.subscribe({"Inspection": "priority > 3"})
        phone.talk()
        await db(begun.wait, TIMEOUT)
        await db(leave_north, world)
        await db(feed_caught_up)
        with phone.file.write() as write:  # for which access is renewed
            write.set("Airfield", "EDDM", "name", "Mine")
        phone.talk()
        await eventually(lambda: ClientFile.objects.get().client_version)
        may_end.set()
        await phone.until(lambda: phone.file.newest.state == ERROR)
        await phone.until(lambda: titles(phone.store) == [])


@sqlite
async def test_the_history_is_read_from_where_something_concerned_the_file(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not from what the client was told last: a quiet client's next download would read everything since."""
    async with Phone(world.nora) as phone:
        await phone.subscribe(**EVERYTHING)
        for _ in range(5):
            await db(world.inspection, world.south)
        await db(feed_caught_up)
        newest = await db(lambda: history.latest(connections[conf.DATABASE]))
        steady, read = downloads.steady, []
        monkeypatch.setattr(downloads, "steady", lambda *args, **given: read.append(args[1]) or steady(*args, **given))
        await db(world.inspection)
        await phone.until(lambda: len(titles(phone.store)) == 1)
        assert phone.file.progress.download_server > newest == read[0]


@sqlite
async def test_a_long_difference_comes_in_several_downloads(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "CHUNK", 4)
    file = RealmFile()
    async with Phone(world.nora, file) as phone:
        await phone.subscribe(**EVERYTHING)
    for number in range(20):
        await db(world.inspection, title=f"{number:02}")
    async with Phone(world.nora, file) as phone:
        await phone.settle()
        assert titles(file.store) == [f"{number:02}" for number in range(20)]
        assert len(sent(phone, Download)) >= 5


@sqlite
async def test_nothing_is_made_while_much_waits_to_be_sent(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Phone(world.nora) as phone:
        await phone.subscribe(**EVERYTHING)
        await asyncio.sleep(0.1)
        monkeypatch.setattr(sessions, "OUTBOX_BYTES", 10)
        steady, made = downloads.steady, []
        monkeypatch.setattr(downloads, "steady", lambda *args, **given: made.append(1) or steady(*args, **given))
        phone.is_reading = False
        for _ in range(10):
            await db(world.inspection)
            await db(feed_caught_up)
            await asyncio.sleep(0.02)
        assert len(made) <= 3
        phone.is_reading = True
        await phone.until(lambda: len(titles(phone.store)) == 10)


# --- partitions ------------------------------------------------------------------------------------------------------


async def test_a_partition_is_opened_written_to_and_followed(world: World, settings: Any) -> None:
    settings.REALM_SYNC = {**settings.REALM_SYNC, "PARTITION_FIELD": "title"}
    world.inspection(title="mine"), world.inspection(title="other")
    file = RealmFile(partition='"mine"')
    async with Phone(world.nora, file) as phone:
        await phone.settle()
        assert titles(file.store) == ["mine"]
        await db(inspect, phone, "mine")
        await phone.uploaded()
        await db(Inspection.objects.filter(title="other").update, title="mine")
        await phone.until(lambda: len(titles(file.store)) == 3)
        await db(Inspection.objects.update, priority=8)
        await phone.until(lambda: {it["priority"].value for it in file.store.objects["Inspection"].values()} == {8})
    await db(world.inspection, title="mine", priority=9)
    async with Phone(world.nora, file) as phone:
        await phone.settle()
        assert len(titles(file.store)) == 4


@sqlite
async def test_a_partition_that_is_none_is_refused(world: World) -> None:
    async with Phone(world.nora, RealmFile(partition="[1]")) as phone:
        error = await phone.next(JsonError)
        assert (error.code, error.session) == (204, 1)
