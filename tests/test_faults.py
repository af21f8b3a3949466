"""What goes wrong, and that nobody else notices: bad input, bad networks, crashes, sockets that nobody reads.

After each fault two things hold: every client holds exactly the server's data, and every write is there exactly once.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from realm_sync import feed, sync
from realm_sync.core import messages as m
from tests.testapp.models import Inspection, Sample
from tests.wire import Wire
from tests.world import World, db


def inspections(world: World, count: int, **values: Any) -> list[Inspection]:
    fields = {"team": world.north, "airfield_id": "EDDM", "title": "old"} | values
    return Inspection.objects.bulk_create(Inspection(**fields) for _ in range(count))


def titles(wire: Wire) -> list[str]:
    return sorted(image["title"] for image in wire.of("Inspection").values())


# --- one version in parts (PostgreSQL: one transaction is one version, however large) ---------------------------------


async def test_a_transaction_in_parts_ends_for_those_whom_its_last_part_does_not_concern(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "BATCH", 10)
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection")

        def write() -> None:
            with transaction.atomic(Inspection.objects.db):
                inspections(world, 25)
                Sample.objects.bulk_create(Sample() for _ in range(25))

        await db(write)
        await wire.until(lambda: len(titles(wire)) == 25)
        await wire.mark()


async def test_parts_that_were_given_up_do_not_come_back(
    world: World, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """The window closes in the middle of a transaction; what the client had of it must not overwrite what follows."""
    monkeypatch.setattr(feed, "BATCH", 10)
    settings.REALM_SYNC = {**settings.REALM_SYNC, "WINDOW": 3}
    rows = await db(inspections, world, 45)
    everything = Inspection.objects.filter(team=world.north)
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection")
        for turn in ("first", "second"):
            wire.acknowledges, unread = False, wire.received
            await db(everything.update, title=turn)
            await wire.until(lambda unread=unread: wire.received - unread >= 3)
            await db(everything.filter(pk=rows[0].pk).update, title=f"after {turn}")
            await db(everything.filter(pk=rows[1].pk).update, team=world.south)
            wire.acknowledges = True
            wire.send(m.Upload(received=wire.received))
            await wire.mark()
            assert titles(wire) == [f"after {turn}"] + [turn] * 43
            await db(Inspection.objects.filter(pk=rows[1].pk).update, team=world.north, title=turn)
            await wire.mark()
            assert len(titles(wire)) == 45
            held = titles(wire)
            few = [row.pk for row in rows[:25]]
            await db(Inspection.objects.filter(pk__in=few).update, priority=len(turn))  # in parts that do fit
            await wire.mark()
            assert titles(wire) == held


async def test_subscriptions_and_access_may_change_at_the_same_time(world: World) -> None:
    await db(inspections, world, 3, priority=7)
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection")
        for turn in range(6):
            wire.query(f"Inspection: priority != {turn}")
            await db(sync.access_changed, world.nora)
            await wire.until(lambda: wire.progress.query_version == wire.query_version)
            assert len(wire.objects) == 3


async def test_thousands_of_refused_writes_are_all_reported(world: World) -> None:
    """In frames that every server can send: Daphne drops larger ones without a word."""
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection")
        frames = []
        take = wire._take

        async def measured(frame: str) -> None:
            frames.append(len(frame))
            await take(frame)

        wire.session._send = measured
        await wire.write(*(m.Delete(class_name="Colour", id=number) for number in range(12_000)))
        assert [write.id for write in wire.rejected] == list(range(12_000))
        assert max(frames) < 768 * 1024
        one = await db(world.inspection)
        await wire.until(lambda: wire.objects)
        await wire.write(m.Update(class_name="Inspection", id=str(one.pk), values={"x" * 300_000: 1}))
        assert len(wire.rejected) == 12_001 and len(wire.rejected[-1].reason) <= 500
