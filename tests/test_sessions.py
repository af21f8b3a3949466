"""Sessions against a real database: what a client is told, live and after being away, and what it can make others see."""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.db import DatabaseError, connections, transaction
from django.db.models.expressions import RawSQL

from realm_sync import feed, sync
from realm_sync.conf import settings as conf
from realm_sync.core import messages as m
from realm_sync.models import ClientFile, SubscriptionSet
from tests.testapp.models import Inspection, Kit
from tests.wire import Wire
from tests.world import World, db


def create(**values: Any) -> m.Create:
    return m.Create(class_name="Inspection", id=str(uuid.uuid4()), values=values)


async def test_a_new_file_is_named_and_gets_what_it_subscribes_to(world: World) -> None:
    mine, theirs = world.inspection(), world.inspection(world.south)
    async with Wire(world.nora) as wire:
        bound = await wire.next(m.Bound)
        assert wire.file is not None and {cls.name for cls in bound.schema} >= {"Inspection", "Airfield"}
        assert wire.objects == {}
        await wire.subscribe("Inspection: TRUEPREDICATE", 'Airfield: country == "ED"')
        assert set(wire.of("Inspection")) == {str(mine.pk)}, f"{theirs.pk} is none of hers"
        assert wire.of("Airfield")["EDDM"]["name"] == "Munich" and len(wire.of("Airfield")) == 1


async def test_a_socket_that_closes_while_a_message_comes_is_over_at_once(world: World) -> None:
    """At whatever step of the event loop it comes: Python 3.11 forgets that a task was cancelled that waits for just
    that."""
    for steps in range(8):
        wire = Wire(world.nora)
        task = wire._task = asyncio.create_task(wire.connect().run())
        await asyncio.sleep(0.01)
        task.cancel()
        for _ in range(steps):
            await asyncio.sleep(0)
        wire.bind()
        done, _ = await asyncio.wait([task], timeout=5)
        assert done, f"still there, though cancelled {steps} steps before the message"


async def test_any_writer_reaches_a_subscribed_client(world: World) -> None:
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection: priority < 5")
        one = await db(world.inspection)
        await wire.until(lambda: str(one.pk) in wire.of("Inspection"))
        await db(Inspection.objects.filter(pk=one.pk).update, title="Fence")
        await wire.until(lambda: wire.of("Inspection")[str(one.pk)]["title"] == "Fence")
        await db(Inspection.objects.filter(pk=one.pk).update, priority=9)
        await wire.until(lambda: not wire.of("Inspection"))
        await db(Inspection.objects.filter(pk=one.pk).update, priority=1)
        await wire.until(lambda: str(one.pk) in wire.of("Inspection"))
        await db(Inspection.objects.all().delete)
        await wire.until(lambda: not wire.of("Inspection"))


async def test_an_upload_reaches_the_table_its_writer_and_others(world: World) -> None:
    async with Wire(world.nora) as wire, Wire(world.nora) as other:
        await wire.subscribe("Inspection")
        await other.subscribe("Inspection")
        step = create(**world.values(priority=3))
        await wire.write(step)
        row = await db(Inspection.objects.get, pk=step.id)
        assert (row.title, row.airfield_id, row.priority, row.status) == ("Windsock", "ENSB", 3, "planned")
        assert wire.of("Inspection")[step.id]["priority"] == 3 and wire.rejected == []
        await other.until(lambda: step.id in other.of("Inspection"))
        await wire.write(m.Update(class_name="Inspection", id=step.id, values={"title": "Done"}))
        await other.until(lambda: other.of("Inspection")[step.id]["title"] == "Done")
        await wire.write(m.Delete(class_name="Inspection", id=step.id))
        await other.until(lambda: not other.of("Inspection"))
        assert not await db(Inspection.objects.exists)


async def test_a_file_that_was_away_gets_the_difference(world: World) -> None:
    kept, gone, moved = (world.inspection(title=title) for title in ("kept", "gone", "moved"))
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection")
        assert len(wire.objects) == 3
    await db(gone.delete)
    await db(Inspection.objects.filter(pk=moved.pk).update, team=world.south)
    await db(Inspection.objects.filter(pk=kept.pk).update, notes="seen")
    new = await db(world.inspection, title="new")
    async with Wire(world.nora, wire) as wire:
        await wire.mark()
        assert set(wire.of("Inspection")) == {str(kept.pk), str(new.pk)}
        assert wire.of("Inspection")[str(kept.pk)]["notes"] == "seen"
        puts = [
            image for it in wire.log if isinstance(it, m.Download) for changes in it.changes for image in changes.put
        ]
        assert [image["title"] for image in puts] == ["new"], "the difference, never everything again"


async def test_changing_the_set_sends_the_difference(world: World) -> None:
    low, high = world.inspection(priority=1), world.inspection(priority=9)
    both = world.inspection(priority=5)
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection: priority < 6")
        wire.log.clear()
        await wire.subscribe("Inspection: priority > 4")
        assert set(wire.of("Inspection")) == {str(high.pk), str(both.pk)}
        [download] = [it for it in wire.log if isinstance(it, m.Download) and it.query_version == 2]
        assert [image["_id"] for it in download.changes for image in it.put] == [str(high.pk)]
        assert [id for it in download.changes for id in it.erase] == [str(low.pk)]
        await db(Inspection.objects.filter(pk=low.pk).update, title="unseen")
        await wire.mark()
        assert str(low.pk) not in wire.of("Inspection")


async def test_access_that_changes_is_followed_by_the_difference(world: World) -> None:
    north, south = world.inspection(), world.inspection(world.south)
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection")
        assert set(wire.of("Inspection")) == {str(north.pk)}

        def move() -> None:
            world.north.members.remove(world.nora)
            world.south.members.add(world.nora)
            sync.access_changed(world.nora)

        await db(move)
        await wire.until(lambda: set(wire.of("Inspection")) == {str(south.pk)})
        await db(Inspection.objects.filter(pk=north.pk).update, title="not hers any more")
        await db(Inspection.objects.filter(pk=south.pk).update, title="hers now")
        await wire.until(lambda: wire.of("Inspection")[str(south.pk)]["title"] == "hers now")
        assert set(wire.of("Inspection")) == {str(south.pk)}

    def move_back() -> None:
        world.south.members.remove(world.nora)
        world.north.members.add(world.nora)
        sync.access_changed(world.nora)

    await db(move_back)
    async with Wire(world.nora, wire) as wire:
        await wire.mark()
        assert set(wire.of("Inspection")) == {str(north.pk)}, "also if it changed while the file was away"


async def test_states_of_the_set_are_kept_for_the_admin(world: World) -> None:
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection: priority == 1")
        await wire.subscribe("Inspection: priority == 2")
        await wire.mark()

        def states() -> dict[int, str]:
            return dict(SubscriptionSet.objects.values_list("query_version", "state"))

        for _ in range(100):
            if (found := await db(states)) == {1: "superseded", 2: "complete"}:
                break
            await asyncio.sleep(0.02)
        assert found == {1: "superseded", 2: "complete"}


async def test_a_client_that_does_not_acknowledge_is_caught_up_later(world: World, settings: Any) -> None:
    settings.REALM_SYNC = {**settings.REALM_SYNC, "WINDOW": 4}
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection")
        wire.acknowledges = False
        sent = wire.received
        one = await db(world.inspection)
        for number in range(30):
            await db(Inspection.objects.filter(pk=one.pk).update, priority=number)
        await asyncio.sleep(0.3)
        assert wire.received - sent <= 4, "no more than the window is under way"
        wire.acknowledges = True
        wire.send(m.Upload(received=wire.received))
        await wire.until(lambda: wire.of("Inspection")[str(one.pk)]["priority"] == 29)
        assert wire.received - sent <= 8, "what was missed came folded"


@pytest.mark.parametrize("size", [3, 700])
async def test_a_bootstrap_of_several_parts_is_applied_as_a_whole(world: World, settings: Any, size: int) -> None:
    settings.REALM_SYNC = {**settings.REALM_SYNC, "DOWNLOAD_BYTES": 20_000, "WINDOW": 3}
    await db(
        Inspection.objects.bulk_create,
        [Inspection(team=world.north, airfield_id="EDDM", title=f"{number} " + "é" * 60) for number in range(size)],
    )
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection")
        assert len(wire.of("Inspection")) == size
        downloads = [it for it in wire.log if isinstance(it, m.Download) and it.query_version == 1]
        assert [it.batch_state for it in downloads] == ["more"] * (len(downloads) - 1) + ["last"]
        assert [it.progress for it in downloads] == sorted(it.progress for it in downloads) and downloads[
            -1
        ].progress == 1
        assert (len(downloads) > 1) == (size > 3)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"epoch": "another"}, "DivergingHistories"),
        ({"progress": m.Progress(server_version=10**15, view=1)}, "BadServerVersion"),
        ({"progress": m.Progress(server_version=1, client_version=99, view=1)}, "BadClientVersion"),
        ({"progress": m.Progress(server_version=1, view=99)}, "BadServerVersion"),
        ({"client_file": m.ClientFile(ident=1, salt="1")}, "BadClientFileIdent"),
        ({"client_file": m.ClientFile(ident=2**62, salt="1")}, "BadClientFileIdent"),
        ({"token": "not.a.token"}, "AuthError"),
    ],
)
async def test_a_file_that_cannot_go_on_is_told_what_to_do(world: World, change: dict[str, Any], code: str) -> None:
    async with Wire(world.nora) as first:
        await first.subscribe("Inspection")
    if "epoch" in change:
        first.progress = m.Progress()
    async with Wire(world.nora, first, **change) as wire:
        error = await wire.ended()
        assert error.code == code and error.action == ("reauthenticate" if code == "AuthError" else "reset")


async def test_another_users_file_is_not_opened(world: World) -> None:
    async with Wire(world.nora) as first:
        await first.subscribe("Inspection")
    async with Wire(world.sol, first) as wire:
        assert (await wire.ended()).code == "UserMismatch"


async def test_a_file_marked_for_reset_is_sent_away(world: World) -> None:
    async with Wire(world.nora) as first:
        await first.subscribe("Inspection")
    await db(ClientFile.objects.filter(ident=first.file.ident).update, reset_reason="Asked for by an operator.")
    async with Wire(world.nora, first) as wire:
        error = await wire.ended()
        assert (error.code, error.action, error.message) == ("ClientReset", "reset", "Asked for by an operator.")


@pytest.mark.parametrize(
    "query",
    ["Inspection: priority >", "Inspection: colour == 1", "Inspection: TRUEPREDICATE SORT(title ASC)", "Nothing: TRUEPREDICATE",
     "Inspection: TRUEPREDICATE LIMIT(3)", "Inspection: team.name == 'North'", "Inspection: " + "(" * 5000, "Inspection: priority == 'x'"],
)  # fmt: skip
async def test_a_set_that_is_refused_leaves_the_one_before_in_force(world: World, query: str) -> None:
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection")
        wire.query(query)
        refused = await wire.next(m.QueryError)
        assert refused.query_version == 2 and refused.message
        one = await db(world.inspection)
        await wire.until(lambda: str(one.pk) in wire.of("Inspection"))
        wire.query("Inspection: priority == 7")
        await wire.until(lambda: wire.progress.query_version == 3 and not wire.objects)


@pytest.mark.parametrize(
    "query",
    [" OR ".join(f"tags CONTAINS '{each}'" for each in range(101)), "name LIKE '" + "?" * 2100 + "a*'"],
    ids=["elements", "pattern"],
)
async def test_what_would_cost_every_change_too_much_is_refused(world: World, query: str) -> None:
    async with Wire(world.nora) as wire:
        wire.query(f"Kit: {query}")
        refused = await wire.next(m.QueryError)
        assert refused.code == "LimitExceeded" and "every change" in refused.message
        halves = [
            query[: len(query) // 2].rpartition(" OR ")[0] or "name LIKE null",
            "tags IN {" + "'x', " * 500 + "'y'}",
        ]
        await wire.subscribe(*(f"Kit: {half}" for half in halves))


MISFITS: dict[str, tuple[str, Any, str]] = {
    "wrapper": ("json", {"$numberDecimal": "abc"}, "json == 5"),
    "wrapped list": ("json", {"$numberLong": []}, "json > 5"),
    "wrapped link": ("json", {"$link": 5}, "json == 5"),
    "wrapped data": ("json", [{"$binary": {"a": 1}}], "json[0].@size == 5"),
    "surrogate": ("json", "\ud800 \U0001f600", "json == 'a'"),
    "surrogate key": ("json", {"\ud800": 1}, "json.a == 'a'"),
    "number": ("json", 10**400, "json < 5"),
    "dictionary for list": ("numbers", {"a": 1}, "ANY numbers > 5"),
    "string for int": ("numbers", ["x"], "ANY numbers > 5"),
    "no list": ("numbers", 5, "ANY numbers > 5"),
    "ints for strings": ("tags", [5], "ANY tags CONTAINS 'a'"),
    "lists for strings": ("tags", [[5]], "ANY tags IN {'a', 'b'}"),
    "no decimals": ("decimals", ["x"], "ANY decimals > 5"),
    "no object": ("address", [1], "address.city == 'a'"),
    "no objects": ("parts", [5], "ANY parts.name == 'a'"),
}


@pytest.mark.parametrize("misfit", MISFITS)
async def test_what_other_programs_wrote_into_columns_of_json_stops_nobody(world: World, misfit: str) -> None:
    name, value, query = MISFITS[misfit]

    def write() -> None:
        with connections[conf.DATABASE].cursor() as cursor:
            cursor.execute(f"UPDATE testapp_kit SET {name} = %s WHERE name = 'odd'", [json.dumps(value)])

    async with Wire(world.nora) as wire, Wire(world.nora) as other:
        await wire.subscribe(f"Kit: {query} OR name == 'sound'")
        await other.subscribe("Kit")
        odd = await db(Kit.objects.create, name="odd")
        try:
            await db(write)
        except DatabaseError:
            assert conf.DATABASE == "postgres" and "surrogate" in misfit, "jsonb has no halves of pairs"
            return
        sound = await db(Kit.objects.create, name="sound")
        await wire.until(lambda: wire.of("Kit").keys() == {str(sound.pk)})
        await other.until(lambda: len(other.of("Kit")) == 2)
    async with Wire(world.nora) as wire, Wire(world.nora, other) as other:
        await wire.subscribe(f"Kit: {query} OR name == 'sound'")
        assert wire.of("Kit").keys() == {str(sound.pk)}
        await other.write(m.Update(class_name="Kit", id=str(odd.pk), values={"name": "sound"}))
        assert other.rejected == [] and other.of("Kit")[str(odd.pk)]["name"] == "sound"
        await wire.until(lambda: len(wire.of("Kit")) == 2)


@pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)  # PostgreSQL's columns hold what they are for
async def test_an_image_that_is_no_json_stops_nothing_else(world: World) -> None:
    async with Wire(world.nora) as wire, Wire(world.nora) as away:
        await wire.subscribe("Inspection: priority < 9")
        await away.subscribe("Inspection: priority < 9")
        odd = await db(world.inspection)
        await away.until(lambda: str(odd.pk) in away.of("Inspection"))
        await away.drop()
        await db(Inspection.objects.filter(pk=odd.pk).update, priority=RawSQL("'high'", ()))
        sound = await db(world.inspection)
        await wire.until(lambda: str(sound.pk) in wire.of("Inspection"))
    async with Wire(world.nora, away) as wire:
        await wire.until(lambda: str(sound.pk) in wire.of("Inspection"))


@pytest.mark.parametrize("value", ["1" + "0" * 400, '{"$numberDecimal": "%s"}' % ("9" * 7000)], ids=["int", "decimal"])
async def test_numbers_out_of_range_are_refused_with_their_property(world: World, value: str) -> None:
    async with Wire(world.nora) as wire:
        kit = await db(Kit.objects.create)
        await wire.subscribe("Kit")
        step = f'{{"op": "update", "class": "Kit", "_id": "{kit.pk}", "values": {{"anything": {value}, "name": "n"}}}}'
        wire.client_version = 1
        wire.send(
            f'{{"type": "upload", "received": {wire.received}, "changesets": [{{"clientVersion": 1,'
            f' "baseVersion": {wire.progress.server_version}, "timestamp": 1, "instructions": [{step}]}}]}}'
        )
        await wire.integrated()
        assert [(it.property, it.code) for it in wire.rejected] == [("anything", "PropertyTypeMismatch")]
        assert wire.of("Kit")[str(kit.pk)]["name"] == "n"


async def test_bad_input_ends_one_session_and_no_other(world: World) -> None:
    async with Wire(world.nora) as good:
        await good.subscribe("Inspection")
        for frame in ("{", None, '{"type":"nothing"}', "x" * (conf.MAX_MESSAGE_BYTES + 1), m.encode(m.Bind())):
            async with Wire(world.nora) as bad:
                await bad.next(m.Bound)
                bad.send(frame)
                assert (await bad.ended()).action == "stop"
        one = await db(world.inspection)
        await good.until(lambda: str(one.pk) in good.of("Inspection"))


async def test_a_deactivated_user_is_ended_within_seconds(world: World, settings: Any) -> None:
    settings.REALM_SYNC = {**settings.REALM_SYNC, "RECHECK_SECONDS": 0.1}
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection")
        world.nora.is_active = False
        await db(world.nora.save)
        assert (await wire.ended()).code == "UserDisabled"


async def test_nobody_in_particular_sees_nothing(world: World) -> None:
    world.inspection()
    stranger = await db(get_user_model().objects.create_user, "stranger")
    async with Wire(stranger) as wire:
        await wire.subscribe("Inspection", "Team", "Airfield")
        assert wire.of("Inspection") == {} and wire.of("Team") == {} and len(wire.of("Airfield")) == 3


async def test_a_live_file_that_an_operator_resets_is_sent_away_at_once(world: World, settings: Any) -> None:
    settings.REALM_SYNC = {**settings.REALM_SYNC, "RECHECK_SECONDS": 0.1}
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection")
        await db(ClientFile.objects.filter(ident=wire.file.ident).update, reset_reason="Asked for by an operator.")
        assert (await wire.ended()).code == "ClientReset"


async def test_how_far_a_file_has_come_is_noted_for_the_admin(world: World) -> None:
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection")
        await db(world.inspection)
        await wire.mark()
        wire.send(m.Upload(received=wire.received))
        await wire.until(lambda: wire.session._core.acknowledged_version == wire.progress.server_version)
    file = await db(ClientFile.objects.get, ident=wire.file.ident)
    assert file.server_version == wire.progress.server_version > 0


async def test_nothing_is_delivered_under_access_that_is_no_more(world: World) -> None:
    """The change of access and what it hides are written in one transaction: the client learns of neither row."""
    one = world.inspection(title="hers")
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection")

        def dismiss() -> None:
            with transaction.atomic(conf.DATABASE):
                world.north.members.remove(world.nora)
                sync.access_changed(world.nora)
                Inspection.objects.filter(pk=one.pk).update(title="not hers any more")
                world.inspection(title="never hers")

        await db(dismiss)
        await wire.until(lambda: not wire.of("Inspection"))
        await wire.mark()
        seen = "".join(m.encode(it) for it in wire.log if isinstance(it, m.Download))
        assert "hers any more" not in seen and "never hers" not in seen
        await wire.write(create(**world.values()))
        assert [it.code for it in wire.rejected] == ["WriteNotAllowed"] and wire.objects == {}


# --- several sessions on one websocket --------------------------------------------------------------------------------


async def happened(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def test_after_unbound_the_same_socket_has_another_session(world: World) -> None:
    one = world.inspection()
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection")
        await wire.write(create(**world.values()))
        held = wire.objects
        await wire.unbind()
        await happened(lambda: feed.current()._attached == {} and wire.session.ident == 0)
        await db(Inspection.objects.filter(pk=one.pk).update, title="Fence")
        wire.bind()
        await wire.until(lambda: wire.of("Inspection")[str(one.pk)]["title"] == "Fence")
        assert set(wire.objects) == set(held), "the file went on where it was"
        await wire.write(create(**world.values()))
        assert wire.rejected == [] and len(wire.objects) == 3


async def test_every_session_is_of_the_user_that_its_own_bind_proves(world: World) -> None:
    mine, theirs = world.inspection(), world.inspection(world.south)
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection")
        assert set(wire.of("Inspection")) == {str(mine.pk)}
        await wire.unbind()
        wire.user = world.sol
        wire.bind()
        assert (await wire.ended()).code == "UserMismatch"
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection")
        await wire.unbind()
        wire.user = world.sol
        wire.forget()
        wire.bind()
        await wire.subscribe("Inspection")
        assert set(wire.of("Inspection")) == {str(theirs.pk)}
        await wire.unbind()
        wire.user = AnonymousUser()
        wire.bind()
        assert (await wire.ended()).code == "AuthError"


async def test_nothing_of_a_session_follows_its_unbound(world: World, settings: Any) -> None:
    """Unbound in the middle of a bootstrap, of live changes and of a mark; the next session is another file's."""
    settings.REALM_SYNC = {**settings.REALM_SYNC, "DOWNLOAD_BYTES": 20_000, "WINDOW": 3}
    many = [Inspection(team=world.north, airfield_id="EDDM", title="é" * 60) for _ in range(700)]
    await db(Inspection.objects.bulk_create, many)
    async with Wire(world.nora) as wire:
        wire.query("Inspection")
        wire.send(m.Mark(request_ident=1))
        await wire.until(lambda: any(isinstance(it, m.Download) and it.batch_state == "more" for it in wire.log))
        writing = asyncio.create_task(db(world.inspection))
        await wire.unbind()
        wire.forget()
        wire.bind()
        await wire.next(m.Bound)
        await writing
        await wire.mark()
        kinds = [type(message) for message in wire.log]
        assert kinds[:2] == [m.Ident, m.Bound] and kinds.count(m.Mark) == 1
        assert not any(message.changes for message in wire.log if isinstance(message, m.Download))
        assert wire.objects == {}


@pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
async def test_what_is_out_of_order_between_two_sessions_ends_the_socket(world: World) -> None:
    for frame in (
        m.Upload(received=0),
        m.Mark(request_ident=1),
        m.Ping(timestamp=1),
        m.Query(query_version=9, subscriptions=[]),
    ):
        async with Wire(world.nora) as wire:
            await wire.next(m.Download)
            wire.send(m.Unbind())
            wire.send(frame)
            error = await wire.ended()
            assert error.code == "BadMessageOrder" and "bind must come first" in error.message
            assert [type(message) for message in wire.log][-2:] == [m.Unbound, m.Error]
    async with Wire(world.nora) as wire:
        await wire.next(m.Download)
        await wire.unbind()
        wire.bind()
        wire.bind()
        assert (await wire.ended()).code == "BadMessageOrder", "two binds without unbind"
    async with Wire(world.nora) as wire:
        await wire.next(m.Download)
        wire.send(m.Unbind())
        wire.send(m.Unbind())
        await wire.closed()
        assert [type(message) for message in wire.log][-2:] == [m.Unbound, m.Unbound]
    async with Wire(world.nora) as wire:
        await wire.next(m.Download)
        wire.send(m.Unbind())
        for number in range(3000):
            wire.send(m.Mark(request_ident=number))
        assert len(wire.connection._inbox) <= 65
        assert (await wire.ended()).code == "LimitExceeded"


@pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
async def test_many_sessions_on_one_socket_leave_nothing_behind(world: World) -> None:
    async with Wire(world.nora) as other, Wire(world.nora) as wire:
        await other.subscribe("Inspection")
        await wire.subscribe("Inspection: priority == 1")
        await wire.unbind()

        def held() -> tuple[int, ...]:
            hub = feed.current()
            listed = sum(map(len, hub._by_ident.values())), sum(map(len, hub._by_user.values()))
            return len(asyncio.all_tasks()), threading.active_count(), len(hub._attached), *listed, len(hub._waiting)

        await happened(lambda: len(feed.current()._attached) == 1 and not wire.session.ident)
        before = held()
        for number in range(60):
            wire.bind()
            if number % 3:  # without waiting for an answer, too
                wire.send(m.Mark(request_ident=number))
            if number % 2:
                await wire.next(m.Mark if number % 3 else m.Bound)
            await wire.unbind()
        await happened(lambda: held()[0] <= before[0] and held()[2:] == before[2:])
        assert held()[1] <= before[1] + conf.DATABASE_THREADS, "the pool's threads, which start when they are needed"


@pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
async def test_a_socket_without_a_session_is_closed_when_it_is_idle(world: World, settings: Any) -> None:
    settings.REALM_SYNC = {**settings.REALM_SYNC, "IDLE_SECONDS": 0.2}
    async with Wire(world.nora) as wire:
        await wire.next(m.Download)
        await wire.unbind()
        await wire.closed()
        assert wire.log == []


async def test_each_session_of_a_socket_is_rechecked(world: World, settings: Any) -> None:
    settings.REALM_SYNC = {**settings.REALM_SYNC, "RECHECK_SECONDS": 0.1}
    async with Wire(world.nora) as wire:
        await wire.next(m.Download)
        await wire.unbind()
        wire.user = world.sol
        wire.forget()
        wire.bind()
        await wire.next(m.Download)
        await db(get_user_model().objects.filter(pk=world.nora.pk).update, is_active=False)
        await wire.mark()
        await db(get_user_model().objects.filter(pk=world.sol.pk).update, is_active=False)
        assert (await wire.ended()).code == "UserDisabled"
