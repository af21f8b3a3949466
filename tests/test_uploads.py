"""Uploads: exactly once (R6), merged (R7), and refusals that cost only what was refused."""

from __future__ import annotations

import time
import uuid
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.db.models.signals import post_save

from realm_sync.core import messages as m
from realm_sync.models import Change, ClientFile
from tests.testapp.models import Inspection, Team
from tests.wire import Wire
from tests.world import World, db

NOW = int(time.time() * 1000)


def create(id: str | None = None, **values: Any) -> m.Create:
    return m.Create(class_name="Inspection", id=id or str(uuid.uuid4()), values=values)


def update(id: Any, **values: Any) -> m.Update:
    return m.Update(class_name="Inspection", id=str(id), values=values)


def delete(id: Any) -> m.Delete:
    return m.Delete(class_name="Inspection", id=str(id))


async def test_a_changeset_sent_twice_is_applied_once(world: World) -> None:
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection")
        changeset = wire.changeset(create(**world.values()))
        wire.upload(changeset)
        wire.upload(changeset)
        await wire.integrated()
        await db(Inspection.objects.update, title="changed since")
    async with Wire(world.nora, wire) as wire:
        wire.upload(changeset)
        await wire.mark()
        assert [it["title"] for it in wire.of("Inspection").values()] == ["changed since"]
        assert await db(Change.objects.filter(kind="advance").count) == 1


async def test_rows_of_an_upload_carry_its_origin_and_the_time_of_the_users_write(world: World) -> None:
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection")
        await wire.write(create(**world.values()), create(**world.values()), timestamp=NOW - 5000)
        future = NOW + 10**9
        await wire.write(create(**world.values()), timestamp=future)
        rows = await db(lambda: list(Change.objects.filter(class_name="Inspection").values_list("origin", "timestamp")))
        assert {origin for origin, _ in rows} == {wire.file.ident}
        assert [stamp for _, stamp in rows[:2]] == [NOW - 5000] * 2
        assert rows[2][1] < future, "the future counts as now"


async def test_the_later_write_stands_whoever_uploads_first(world: World) -> None:
    one = world.inspection(title="old", notes="old")
    for first, second in ((1, 2), (2, 1)):
        await db(Inspection.objects.filter(pk=one.pk).update, title="old")
        async with Wire(world.nora) as a, Wire(world.nora) as b:
            await a.subscribe("Inspection")
            await b.subscribe("Inspection")
            base = min(a.progress.server_version, b.progress.server_version)
            now = int(time.time() * 1000) - 1000
            await a.write(update(one.pk, title=f"at {first}"), timestamp=now + first, base=base)
            await b.write(update(one.pk, title=f"at {second}"), timestamp=now + second, base=base)
            await a.mark()
            await b.mark()
            row = await db(Inspection.objects.get, pk=one.pk)
            titles = {row.title, *(it["title"] for wire in (a, b) for it in wire.of("Inspection").values())}
            assert titles == {"at 2"}


async def test_an_orm_write_competes_by_its_time(world: World) -> None:
    one = world.inspection(title="old")
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection")
        base = wire.progress.server_version
        await db(Inspection.objects.filter(pk=one.pk).update, title="by the admin")
        await wire.write(update(one.pk, title="before that", notes="stands"), base=base, timestamp=NOW - 60_000)
        row = await db(Inspection.objects.get, pk=one.pk)
        assert (row.title, row.notes) == ("by the admin", "stands") and wire.rejected == []
        assert wire.of("Inspection")[str(one.pk)]["title"] == "by the admin"


async def test_what_is_created_and_deleted_at_once_never_was(world: World) -> None:
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection")
        pk = str(uuid.uuid4())
        await wire.write(create(pk, **world.values(title="t")), delete(pk), update(pk, title="late"))
        assert wire.rejected == [] and wire.of("Inspection") == {} and not await db(Inspection.objects.exists)
        await wire.write(create(pk, **world.values(title="t")))
        assert [it["title"] for it in wire.of("Inspection").values()] == ["t"]


async def test_a_delete_beats_what_was_written_meanwhile(world: World) -> None:
    one = world.inspection()
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection")
        base, pk = wire.progress.server_version, one.pk
        await db(one.delete)
        await wire.write(update(pk, title="too late"), base=base, timestamp=NOW + 10**6)
        assert not await db(Inspection.objects.exists) and wire.rejected == [] and wire.of("Inspection") == {}


@pytest.mark.parametrize(
    ("values", "property", "code"),
    [
        ({"title": "x" * 201}, "title", "ValidationFailed"),
        ({"status": "nonsense"}, "status", "ValidationFailed"),
        ({"title": None}, "title", "PropertyTypeMismatch"),
        ({"priority": "high"}, "priority", "PropertyTypeMismatch"),
        ({"priority": 1.5}, "priority", "PropertyTypeMismatch"),
        ({"priority": 2**63}, "priority", "PropertyTypeMismatch"),
        ({"hours": "12345678"}, "hours", "ValidationFailed"),
        ({"due": "2026-01-01T12:00:00.000000Z"}, "due", "ValidationFailed"),
        ({"due": "yesterday"}, "due", "PropertyTypeMismatch"),
        ({"hours": "1.234"}, "hours", "ValidationFailed"),
        ({"title": "nul \0"}, "title", "PropertyTypeMismatch"),
        ({"created_at": "2026-01-01T12:00:00.000000Z"}, "created_at", "ReadOnlyProperty"),
        ({"colour": "red"}, "colour", "UnknownProperty"),
        ({"_id": str(uuid.uuid4())}, "_id", "ReadOnlyProperty"),
        ({"airfield": "XXXX"}, "airfield", "ForeignKeyViolation"),
        ({"airfield": None}, "airfield", "ValidationFailed"),
        ({"team": str(uuid.uuid4())}, "team", "ForeignKeyViolation"),
        ({"inspector": 999999}, "inspector", "ForeignKeyViolation"),
    ],
)
async def test_an_illegal_value_is_undone_and_everything_else_stands(
    world: World, values: dict[str, Any], property: str, code: str
) -> None:
    one, two = world.inspection(notes="old"), world.inspection()
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection")
        await wire.write(update(one.pk, notes="new", **values), update(two.pk, title="stands"))
        [refused] = wire.rejected
        assert (refused.class_name, refused.id, refused.property) == ("Inspection", str(one.pk), property)
        assert refused.code == code and refused.reason
        assert (await db(Inspection.objects.get, pk=one.pk)).notes == "new"
        assert wire.of("Inspection")[str(two.pk)]["title"] == "stands"
        await wire.write(update(one.pk, notes="newer"))
        assert wire.of("Inspection")[str(one.pk)]["notes"] == "newer" and len(wire.rejected) == 1


async def test_what_the_user_may_not_write_is_undone(world: World) -> None:
    mine, theirs = world.inspection(priority=1), world.inspection(world.south, priority=1)
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection: priority < 5")
        north, south = str(world.north.pk), str(world.south.pk)
        for step, code in (
            (update(theirs.pk, title="stolen"), "OutsideView"),
            (delete(theirs.pk), "OutsideView"),
            (update(uuid.uuid4(), title="nowhere"), "OutsideView"),
            (create(str(theirs.pk), **world.values()), "OutsideView"),
            (update(mine.pk, team=south), "WriteNotAllowed"),
            (create(**world.values(team=south)), "WriteNotAllowed"),
            (create(**world.values(team=north, priority=7)), "OutsideView"),
            (create(title="no airfield", team=north), "MissingPropertyValue"),
            (m.Create(class_name="Airfield", id="EDDF", values={"name": "Frankfurt"}), "WriteNotAllowed"),
            (m.Delete(class_name="Airfield", id="EDDM"), "WriteNotAllowed"),
            (m.Create(class_name="Nothing", id="1", values={}), "WriteNotAllowed"),
            (m.Create(class_name="Inspection", id=5, values={}), "PropertyTypeMismatch"),
            (m.Create(class_name="Inspection", id=[1], values={}), "PropertyTypeMismatch"),
        ):
            wire.rejected.clear()
            before = wire.client_version
            await wire.write(step)
            assert [it.code for it in wire.rejected] == [code], step
            assert wire.client_version == before + 1
        rows = await db(lambda: list(Inspection.objects.order_by("pk").values_list("pk", "title", "team_id")))
        assert sorted(rows) == sorted((it.pk, "Runway lights", it.team_id) for it in (mine, theirs))
        assert set(wire.of("Inspection")) == {str(mine.pk)}


async def test_an_edit_that_leaves_the_view_is_kept(world: World) -> None:
    one = world.inspection(priority=1)
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection: priority < 5")
        await wire.write(update(one.pk, priority=9))
        assert wire.rejected == [] and wire.of("Inspection") == {}
        assert (await db(Inspection.objects.get, pk=one.pk)).priority == 9


async def test_constraints_of_the_database_cost_only_the_culprit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from realm_sync.registry import registry

    for name in ("Team", "Inspection"):
        sync = registry.get(name)
        monkeypatch.setattr(type(sync), "read_only_fields", ())
        monkeypatch.setattr(type(sync), "readable_by", lambda self, user: True)
        monkeypatch.setattr(type(sync), "writable_by", lambda self, user: True)
    monkeypatch.setattr(registry, "_derived", None)
    ids = [str(uuid.uuid4()) for _ in range(3)]
    async with Wire(world.nora) as wire:
        await wire.subscribe("Team", "Inspection")
        teams = [
            m.Create(class_name="Team", id=id, values={"name": name})
            for id, name in zip(ids, ("East", "North", "West"), strict=True)
        ]
        first = wire.changeset(*teams, create(**world.values(team=ids[0])))
        second = wire.changeset(m.Update(class_name="Team", id=ids[0], values={"name": "South"}))
        third = wire.changeset(m.Update(class_name="Team", id=ids[2], values={"name": "Far West"}))
        wire.upload(first, second, third)
        await wire.integrated()
        assert [(it.id, it.code) for it in wire.rejected] == [(ids[1], "UniqueViolation"), (ids[0], "UniqueViolation")]
        names = await db(lambda: set(Team.objects.values_list("name", flat=True)))
        assert names == {"North", "South", "East", "Far West"}
        assert {it["name"] for it in wire.of("Team").values()} == names
        assert await db(Inspection.objects.filter(team=ids[0]).count) == 1


async def test_types_arrive_as_the_models_hold_them(world: World) -> None:
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection")
        step = create(**world.values(due="2026-12-24T00:00:00.000000Z", hours="7.5", inspector=world.nora.pk))
        await wire.write(step)
        row = await db(Inspection.objects.get, pk=step.id)
        assert (row.due, row.hours, row.inspector_id) == (date(2026, 12, 24), Decimal("7.5"), world.nora.pk)
        assert wire.of("Inspection")[step.id] | step.values == wire.of("Inspection")[step.id]


async def test_models_that_watch_their_saves_are_saved_one_by_one(world: World) -> None:
    saved: list[Any] = []

    def watch(sender: Any, instance: Any, **_: Any) -> None:
        saved.append(instance.pk)

    post_save.connect(watch, sender=Inspection)
    try:
        async with Wire(world.nora) as wire:
            await wire.subscribe("Inspection")
            steps = [create(**world.values()) for _ in range(3)]
            await wire.write(*steps)
            await wire.write(update(steps[0].id, title="again"))
            assert [str(pk) for pk in saved] == [*(it.id for it in steps), steps[0].id]
    finally:
        post_save.disconnect(watch, sender=Inspection)


async def test_create_and_delete_in_one_upload_leave_nothing(world: World) -> None:
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection")
        step = create(**world.values())
        wire.upload(wire.changeset(step), wire.changeset(update(step.id, title="x")), wire.changeset(delete(step.id)))
        await wire.integrated()
        assert not await db(Inspection.objects.exists) and wire.rejected == [] and wire.objects == {}


async def test_deleting_and_making_anew_starts_from_the_defaults(world: World) -> None:
    one = world.inspection(notes="old", priority=4)
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection")
        await wire.write(delete(one.pk), create(str(one.pk), **world.values(title="new life")))
        row = await db(Inspection.objects.get, pk=one.pk)
        assert (row.title, row.notes, row.priority) == ("new life", "", 0)
        assert wire.of("Inspection")[str(one.pk)]["notes"] == ""


async def test_many_edits_of_one_field_end_with_the_last(world: World) -> None:
    one = world.inspection()
    async with Wire(world.nora) as wire:
        await wire.subscribe("Inspection")
        sets = [wire.changeset(update(one.pk, title=f"typed {n}"), timestamp=NOW + n) for n in range(20)]
        wire.upload(*sets)
        await wire.integrated()
        assert (await db(Inspection.objects.get, pk=one.pk)).title == "typed 19"
        assert await db(ClientFile.objects.get, ident=wire.file.ident)
