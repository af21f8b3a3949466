"""Edits in uploads: merged in what the file saw, validated where they end up, and refused each by itself."""

from __future__ import annotations

import time
import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connections

from realm_sync.core import messages as m
from realm_sync.models import Change
from tests.testapp.models import Address, Inspection, Kit, Part, Reading
from tests.wire import Wire
from tests.world import World, db

NOW = int(time.time() * 1000)


def on(kit: Any, op: type[m.Edit], *path: str | int, **fields: Any) -> Any:
    return op(class_name="Kit", id=str(kit.pk), path=list(path), **fields)


def update(kit: Any, **values: Any) -> m.Update:
    return m.Update(class_name="Kit", id=str(kit.pk), values=values)


def part(**values: Any) -> dict[str, Any]:
    """The wire value of a Part."""
    blank = {"name": "", "amount": 1, "weight": None, "made": None, "maker": None, "notes": None}
    return blank | {"prices": {}, "labels": [], "airfield": None, "used": 0} | values


async def row(kit: Any) -> Any:
    return await db(Kit.objects.get, pk=kit.pk)


async def test_every_edit_does_what_it_says(world: World) -> None:
    kit = await db(
        Kit.objects.create,
        tags=["a", "b", "c"], tag_set={"x", "y"}, tag_map={"k": "v", "l": "w"}, visits=5, mixed_map={"deep": [1, {"a": 2}]},
        part=Part(name="p"), parts=[Part(name="one"), Part(name="two")], numbers=[1, 2],
    )  # fmt: skip
    async with Wire(world.nora) as wire:
        await wire.subscribe("Kit")
        await wire.write(
            on(kit, m.Insert, "tags", 1, value="new"),
            on(kit, m.Move, "tags", 0, to=3),
            on(kit, m.Remove, "tags", 1),
            on(kit, m.Set, "tags", 0, value="NEW"),
            on(kit, m.SetInsert, "tag_set", value="z"),
            on(kit, m.SetRemove, "tag_set", value="x"),
            on(kit, m.Set, "tag_map", "n", value="1"),
            on(kit, m.Remove, "tag_map", "k"),
            on(kit, m.Add, "visits", by=3),
            on(kit, m.Set, "part", "name", value="q"),
            on(kit, m.Add, "part", "used", by=2),
            on(kit, m.Set, "parts", 1, "amount", value=7),
            on(kit, m.Insert, "parts", 0, value=part(name="zero")),
            on(kit, m.Insert, "mixed_map", "deep", 0, value={"$numberLong": "9007199254740993"}),
            on(kit, m.Set, "mixed_map", "deep", 2, "a", value="changed"),
            on(kit, m.Clear, "numbers"),
        )
        assert wire.rejected == []
        image = wire.of("Kit")[str(kit.pk)]
        assert (image["tags"], image["tag_set"]) == (["NEW", "c", "a"], ["y", "z"])
        assert (image["tag_map"], image["visits"], image["numbers"]) == ({"l": "w", "n": "1"}, 8, [])
        assert (image["part"]["name"], image["part"]["used"]) == ("q", 2)
        assert [it["name"] for it in image["parts"]] == ["zero", "one", "two"]
        assert [it["amount"] for it in image["parts"]] == [1, 1, 7]
        assert image["mixed_map"]["deep"] == [
            {"$numberLong": "9007199254740993"},
            {"$numberLong": "1"},
            {"a": "changed"},
        ]
        found = await row(kit)
        assert (found.tags, found.tag_set, found.visits) == (["NEW", "c", "a"], {"y", "z"}, 8)
        assert found.mixed_map == {"deep": [9007199254740993, 1, {"a": "changed"}]}


async def test_edits_of_two_files_are_merged_in_what_each_saw(world: World) -> None:
    kit = await db(Kit.objects.create, tags=["a", "b", "c"], tag_set={"x"}, visits=10)
    async with Wire(world.nora) as one, Wire(world.nora) as two:
        await one.subscribe("Kit")
        await two.subscribe("Kit")
        base = two.progress.server_version
        await one.write(
            on(kit, m.Insert, "tags", 1, value="one"), on(kit, m.Remove, "tags", 0), on(kit, m.Add, "visits", by=1)
        )
        # Indexes of what the second file saw.
        await two.write(
            on(kit, m.Insert, "tags", 3, value="two"), on(kit, m.Set, "tags", 2, value="C"),
            on(kit, m.SetInsert, "tag_set", value="y"), on(kit, m.Add, "visits", by=2), base=base,
        )  # fmt: skip
        await db(Kit.objects.filter(pk=kit.pk).update, tags=["one", "b", "C", "two", "orm"])
        await one.mark()
        await one.write(on(kit, m.Remove, "tags", 4), on(kit, m.Move, "tags", 3, to=0))
        found = await row(kit)
        assert (found.tags, found.tag_set, found.visits) == (["two", "one", "b", "C"], {"x", "y"}, 13)
        await one.mark()
        await two.mark()
        assert one.of("Kit") == two.of("Kit") and one.rejected == two.rejected == []


async def test_changesets_of_one_message_are_counted_on_top_of_each_other(world: World) -> None:
    kit = await db(Kit.objects.create, tags=["a"])
    async with Wire(world.nora) as wire:
        await wire.subscribe("Kit")
        base = wire.progress.server_version
        await db(Kit.objects.filter(pk=kit.pk).update, tags=["orm", "a"])
        wire.upload(
            wire.changeset(on(kit, m.Insert, "tags", 1, value="b"), base=base),
            wire.changeset(on(kit, m.Insert, "tags", 2, value="c"), base=base, timestamp=NOW + 5),
            wire.changeset(on(kit, m.Remove, "tags", 1), base=base, timestamp=NOW + 6),
        )
        await wire.integrated()
        assert (await row(kit)).tags == ["orm", "a", "c"] and wire.rejected == []


async def test_an_edit_is_counted_from_its_own_base(world: World) -> None:
    """A client that learns of others' changes counts its pending edits anew; who is later is still told by the
    changeset's base and time."""
    kit = await db(Kit.objects.create, tags=["a", "b"])
    async with Wire(world.nora) as wire:
        await wire.subscribe("Kit")
        base = wire.progress.server_version
        await db(Kit.objects.filter(pk=kit.pk).update, tags=["orm", "a", "b"])
        await wire.mark()
        now = wire.progress.server_version
        await wire.write(on(kit, m.Remove, "tags", 2, base=now), base=base)
        assert (await row(kit)).tags == ["orm", "a"]


async def test_of_ten_writes_the_two_illegal_ones_come_back(world: World) -> None:
    kit = await db(Kit.objects.create, tags=["a"], parts=[Part(name="one")], visits=1)
    async with Wire(world.nora) as wire:
        await wire.subscribe("Kit")
        ten = wire.changeset(
            on(kit, m.Insert, "tags", 0, value="x" * 21),  # refused: too long
            on(kit, m.Insert, "tags", 1, value="b"),  # counted with it
            on(kit, m.Insert, "tags", 3, value="c"),
            on(kit, m.Set, "parts", 0, "amount", value="many"),  # refused: no integer
            on(kit, m.Set, "parts", 0, "weight", value=2.5),
            on(kit, m.Add, "visits", by=1),
            on(kit, m.SetInsert, "number_set", value=5),
            on(kit, m.Set, "tag_map", "k", value="v"),
            update(kit, name="Nora's", address={"street": "", "city": "Bergen", "lines": []}),
        )
        next = wire.changeset(on(kit, m.Insert, "tags", 0, value="first"), on(kit, m.Add, "visits", by=1))
        wire.upload(ten, next)
        await wire.integrated()
        told = {it.property: (it.class_name, it.id, it.code) for it in wire.rejected}
        assert told == {
            "tags[0]": ("Kit", str(kit.pk), "ValidationFailed"),
            "parts[0].amount": ("Kit", str(kit.pk), "PropertyTypeMismatch"),
        }
        assert len(wire.rejected) == 2 and all("tags[0]" in it.reason or "amount" in it.reason for it in wire.rejected)
        found = await row(kit)
        assert (found.tags, found.visits, found.number_set) == (["first", "b", "a", "c"], 3, {5})
        assert (found.name, found.address, found.tag_map) == ("Nora's", Address(city="Bergen"), {"k": "v"})
        assert (found.parts[0].weight, found.parts[0].amount) == (2.5, 1)
        assert wire.of("Kit")[str(kit.pk)]["tags"] == found.tags


async def test_what_refuses_a_property_as_a_whole_names_the_element(world: World) -> None:
    kit = await db(Kit.objects.create, colours=["red"])
    async with Wire(world.nora) as wire:
        await wire.subscribe("Kit")
        await wire.write(update(kit, colours=["red", "green"], numbers=[1, "2"], tags=["fits"]))
        told = {it.property: it for it in wire.rejected}
        assert told.keys() == {"colours", "numbers"} and (await row(kit)).tags == ["fits"]
        assert "colours[1]" in told["colours"].reason and "numbers[1]" in told["numbers"].reason


async def test_counters_are_set_and_added_to(world: World) -> None:
    kit = await db(Kit.objects.create, visits=10, part=Part(used=1))
    async with Wire(world.nora) as one, Wire(world.nora) as two:
        await one.subscribe("Kit")
        await two.subscribe("Kit")
        base = two.progress.server_version
        await one.write(update(kit, visits=100), timestamp=NOW)
        await one.write(on(kit, m.Set, "part", "used", value=50), timestamp=NOW)
        rows = await db(
            lambda: list(Change.objects.filter(class_name="Kit", kind="update").values_list("sets", flat=True))
        )
        assert rows == ['["visits"]', '["part.used"]']
        await two.write(
            on(kit, m.Add, "visits", by=1), on(kit, m.Add, "part", "used", by=1), base=base, timestamp=NOW - 9
        )
        found = await row(kit)
        assert (found.visits, found.part.used) == (100, 50), "an earlier increment is discarded by a set"
        await two.write(on(kit, m.Add, "visits", by=1), base=base, timestamp=NOW + 9)
        assert (await row(kit)).visits == 101
        await db(Kit.objects.filter(pk=kit.pk).update, visits=2**63 - 2)
        await two.write(on(kit, m.Add, "visits", by=5), on(kit, m.Add, "maybe_visits", by=5))
        assert [(it.property, it.code) for it in two.rejected] == [("visits", "ValidationFailed")]
        found = await row(kit)
        assert (found.visits, found.maybe_visits) == (2**63 - 2, None)


async def test_integers_are_set_and_added_to(world: World) -> None:
    """What the official SDKs call increment; of properties with and without others that have an inside."""
    kit = await db(Kit.objects.create, part=Part(amount=1))
    inspection = world.inspection(title="t", priority=1)

    def added(by: int | str) -> list[Any]:
        told = {"class_name": "Inspection", "id": str(inspection.pk)}
        return [on(kit, m.Add, "part", "amount", by=by), m.Add(path=["priority"], by=by, **told)]

    def assigned(value: int) -> list[Any]:
        values = {"priority": value, "title": "new"}
        whole = m.Update(class_name="Inspection", id=str(inspection.pk), values=values)
        return [on(kit, m.Set, "part", "amount", value=value), whole]

    async def there() -> tuple[int, int]:
        return (await row(kit)).part.amount, (await db(Inspection.objects.get, pk=inspection.pk)).priority

    async with Wire(world.nora) as one, Wire(world.nora) as two:
        for wire in (one, two):
            await wire.subscribe("Kit", "Inspection")
        base = two.progress.server_version
        await one.write(*added(2), timestamp=NOW)
        await two.write(*added(3), base=base, timestamp=NOW - 9)
        assert await there() == (6, 6), "increments add up, whatever the times"
        rows = await db(lambda: set(Change.objects.filter(kind="update").values_list("class_name", "sets")))
        assert rows == {("Kit", '["+part.amount"]'), ("Inspection", '["+priority"]')}
        await two.write(*assigned(100), base=base, timestamp=NOW - 5)
        assert await there() == (102, 102), "a later increment is added to what was set"
        await one.write(*added(1), base=base, timestamp=NOW - 7)
        assert await there() == (102, 102), "an earlier increment is discarded by a set"
        for steps, value in (([*added(1), *assigned(50), *added(5)], 55), ([*assigned(60), *added(6)], 66)):
            base = one.progress.server_version
            await one.write(*steps, timestamp=NOW + 5)
            await two.write(*added(1), base=base, timestamp=NOW + 4)
            assert await there() == (value, value), "both at once is no increment"
        await one.write(*added(str(2**63 - 1)), timestamp=NOW + 8)
        assert sorted((it.property, it.code) for it in one.rejected) == [
            ("part.amount", "ValidationFailed"), ("priority", "ValidationFailed")
        ]  # fmt: skip
        assert await there() == (66, 66)


async def test_a_many_to_many_field_is_a_set_of_links(world: World) -> None:
    kit = await db(Kit.objects.create)
    north, south = str(world.north.pk), str(world.south.pk)
    async with Wire(world.nora) as wire:
        await wire.subscribe("Kit")
        nowhere = str(uuid.uuid4())
        await wire.write(
            on(kit, m.SetInsert, "teams", value=north),
            on(kit, m.SetInsert, "teams", value=nowhere),
            timestamp=NOW - 7000,
        )
        assert [(it.property, it.code) for it in wire.rejected] == [("teams", "ForeignKeyViolation")]
        assert wire.of("Kit")[str(kit.pk)]["teams"] == [north]
        rows = await db(
            lambda: list(Change.objects.filter(class_name="Kit").exclude(origin=0).values_list("origin", "timestamp"))
        )
        assert rows == [(wire.file.ident, NOW - 7000)]
        await wire.write(update(kit, teams=[south]))
        assert wire.of("Kit")[str(kit.pk)]["teams"] == [south]
        await wire.write(on(kit, m.SetInsert, "teams", value=north), on(kit, m.SetRemove, "teams", value=south))
        new = m.Create(class_name="Kit", id=str(uuid.uuid4()), values={"teams": [north, south]})
        await wire.write(new)
        found = await db(
            lambda: {str(it.pk): {str(pk) for pk in it.teams.values_list("pk", flat=True)} for it in Kit.objects.all()}
        )
        assert found == {str(kit.pk): {north}, new.id: {north, south}}
        assert wire.of("Kit")[new.id]["teams"] == sorted([north, south])
        assert len(wire.rejected) == 1


async def test_links_in_json_may_lead_nowhere_and_have_the_right_type(world: World) -> None:
    kit = await db(Kit.objects.create)
    async with Wire(world.nora) as wire:
        await wire.subscribe("Kit")
        team = {"$link": ["Team", str(uuid.uuid4())]}
        await wire.write(
            on(kit, m.Insert, "route", 0, value="XXXX"),
            on(kit, m.Insert, "route", 0, value=5),
            on(kit, m.Insert, "mixes", 0, value=team),
            on(kit, m.Insert, "mixes", 0, value={"$link": ["Team", 5]}),
            on(kit, m.Insert, "mixes", 0, value={"$link": ["Nothing", "a"]}),
        )
        assert [(it.property, it.code) for it in wire.rejected] == [
            ("route[0]", "PropertyTypeMismatch"), ("mixes[0]", "PropertyTypeMismatch"), ("mixes[0]", "PropertyTypeMismatch"),
        ]  # fmt: skip
        image = wire.of("Kit")[str(kit.pk)]
        assert (image["route"], image["mixes"]) == (["XXXX"], [team])


async def test_a_plain_json_field_holds_what_json_has(world: World) -> None:
    kit = await db(Kit.objects.create)
    async with Wire(world.nora) as wire:
        await wire.subscribe("Kit")
        await wire.write(update(kit, json={"a": [{"$numberLong": "5"}, 1.5, None, "x"]}))
        assert (await row(kit)).json == {"a": [5, 1.5, None, "x"]}
        assert wire.of("Kit")[str(kit.pk)]["json"] == {"a": [5, 1.5, None, "x"]}
        await wire.write(on(kit, m.Set, "json", "b", value={"$date": "2026-01-01T12:00:00.000000Z"}))
        [refused] = wire.rejected
        assert (refused.property, refused.code) == ("json.b", "ValidationFailed") and "date" in refused.reason


async def test_embedded_objects_may_lack_what_has_a_default(world: World) -> None:
    """A client that does not know a property, and JSON of the time before there was one."""
    kit = await db(Kit.objects.create, address=Address(city="Oslo"))

    def forget_streets() -> None:
        with connections[Kit.objects.db].cursor() as cursor:
            cursor.execute("""UPDATE testapp_kit SET address = '{"city": "Oslo"}'""")

    async with Wire(world.nora) as wire:
        await wire.subscribe("Kit")
        await db(forget_streets)
        await wire.mark()
        await wire.write(on(kit, m.Set, "address", "city", value="Bergen"))
        await wire.write(on(kit, m.Insert, "parts", 0, value={"name": "p"}), update(kit, part={"name": "q"}))
        new = m.Create(class_name="Kit", id=str(uuid.uuid4()), values={"part": {"name": "r"}})
        await wire.write(new, m.Set(class_name="Kit", id=new.id, path=["part", "weight"], value=1.0))
        assert wire.rejected == []
        found = await row(kit)
        assert (found.address, found.parts[0].amount, found.part) == (Address(city="Bergen"), 1, Part(name="q"))
        assert wire.of("Kit")[new.id]["part"] == part(name="r", weight=1.0)
        await wire.write(on(kit, m.Set, "address", "city", value=None))
        assert [(it.property, it.code) for it in wire.rejected] == [("address.city", "PropertyTypeMismatch")]


async def test_database_errors_cost_the_property_and_not_what_others_saw(world: World, monkeypatch: Any) -> None:
    """A trigger of the database's own that refuses a value nobody could know of."""
    from django.db import IntegrityError

    from realm_sync.writing import Writer

    rows = Writer._update_rows

    def strict(self: Any, table: Any, columns: Any, chunk: Any) -> None:
        rows(self, table, columns, chunk)
        if any("forbidden" in str(values) for _, values in chunk):
            raise IntegrityError("CHECK constraint failed: no such word")

    monkeypatch.setattr(Writer, "_update_rows", strict)
    kit = await db(Kit.objects.create, tags=["a"], tag_set={"x"})
    async with Wire(world.nora) as wire:
        await wire.subscribe("Kit")
        wire.upload(
            wire.changeset(
                on(kit, m.Insert, "tags", 0, value="forbidden"),
                on(kit, m.SetInsert, "tag_set", value="y"),
                timestamp=NOW,
            ),
            wire.changeset(on(kit, m.Insert, "tags", 1, value="b"), timestamp=NOW),
            wire.changeset(on(kit, m.Insert, "tags", 0, value="0"), timestamp=NOW + 1),
        )
        await wire.integrated()
        assert [(it.property, it.code) for it in wire.rejected] == [("tags", "ConstraintViolation")]
        found = await row(kit)
        assert (found.tags, found.tag_set) == (["0", "b", "a"], {"x", "y"})


async def test_readings_go_up_and_never_come_down(world: World) -> None:
    def reading(team: Any, id: str | None = None, **values: Any) -> m.Create:
        all = {"team": str(team.pk), "value": 1.5, "at": "2026-01-01T12:00:00.000000Z"} | values
        return m.Create(class_name="Reading", id=id or str(uuid.uuid4()), values=all)

    mine = reading(world.north, place={"street": "", "city": "Bergen", "lines": []})
    async with Wire(world.nora) as wire:
        await wire.subscribe("Kit")
        await wire.write(mine)
        await wire.write(reading(world.north, mine.id, value=9.0))
        assert wire.objects == {} and wire.rejected == []
        [found] = await db(lambda: list(Reading.objects.all()))
        assert (found.value, found.place.city, found.team_id) == (1.5, "Bergen", world.north.pk)
        for step, code in (
            (reading(world.south), "WriteNotAllowed"),
            (m.Update(class_name="Reading", id=mine.id, values={"value": 2.0}), "WriteNotAllowed"),
            (m.Delete(class_name="Reading", id=mine.id), "WriteNotAllowed"),
            (reading(world.north, value="much"), "PropertyTypeMismatch"),
        ):
            wire.rejected.clear()
            await wire.write(step)
            assert [it.code for it in wire.rejected] == [code]
        wire.query("Reading")
        refused = await wire.next(m.QueryError)
        assert "asymmetric" in refused.message
        wire.log.clear()
        wire.query("Part")
        assert "embedded" in (await wire.next(m.QueryError)).message
        assert await db(Reading.objects.count) == 1


DEEP = "x"
for _ in range(150):
    DEEP = [DEEP]

HOSTILE: list[tuple[str, dict[str, Any]]] = [
    ("a negative index", {"op": "insert", "path": ["tags", -1], "value": "x"}),
    ("an index beyond the end", {"op": "insert", "path": ["tags", 3], "value": "x"}),
    ("a huge index", {"op": "remove", "path": ["tags", 10**30]}),
    ("a float index", {"op": "remove", "path": ["tags", 0.5]}),
    ("a boolean index", {"op": "remove", "path": ["tags", True]}),
    ("a string for an index", {"op": "remove", "path": ["tags", "0"]}),
    ("no path", {"op": "remove", "path": []}),
    ("a path that is text", {"op": "remove", "path": "tags"}),
    ("a path that begins with an index", {"op": "remove", "path": [0, "tags"]}),
    ("a path of 10,000 steps", {"op": "set", "path": ["anything", *["a"] * 10_000], "value": 1}),
    ("a path of 10,000 indexes", {"op": "set", "path": ["mixes", *[0] * 10_000], "value": 1}),
    ("a value of 150 levels", {"op": "set", "path": ["mixed_map", "a"], "value": DEEP}),
    ("a value of 150 levels as a whole", {"op": "update", "values": {"anything": DEEP}}),
    ("a list in a set of mixed", {"op": "setInsert", "path": ["mixed_set"], "value": [1]}),
    ("a dictionary in a set of mixed", {"op": "setInsert", "path": ["mixed_set"], "value": {"a": 1}}),
    ("an empty dictionary in a set", {"op": "setInsert", "path": ["mixed_set"], "value": {}}),
    ("setInsert on a list", {"op": "setInsert", "path": ["tags"], "value": "x"}),
    ("setRemove on a dictionary", {"op": "setRemove", "path": ["tag_map"], "value": "x"}),
    ("insert on a set", {"op": "insert", "path": ["tag_set", 0], "value": "x"}),
    ("insert on a dictionary", {"op": "insert", "path": ["tag_map", 0], "value": "x"}),
    ("insert at a key", {"op": "insert", "path": ["tag_map", "k"], "value": "x"}),
    ("move on a dictionary", {"op": "move", "path": ["tag_map", "k"], "to": 0}),
    ("a move to nowhere", {"op": "move", "path": ["tags", 0], "to": 2}),
    ("a move below zero", {"op": "move", "path": ["tags", 0], "to": -1}),
    ("a key with a dollar", {"op": "set", "path": ["mixed_map", "$a"], "value": 1}),
    ("a key with a dot", {"op": "set", "path": ["tag_map", "a.b"], "value": "x"}),
    ("a key with a null character", {"op": "set", "path": ["tag_map", "a\0b"], "value": "x"}),
    ("a key that is not there", {"op": "remove", "path": ["tag_map", "nothing"]}),
    ("a property of the class's base", {"op": "set", "path": ["part", "__class__"], "value": 1}),
    ("an unknown embedded property", {"op": "set", "path": ["part", "colour"], "value": 1}),
    ("an embedded object without a property it needs", {"op": "update", "values": {"address": {"street": "x"}}}),
    ("an embedded object with a key", {"op": "insert", "path": ["parts", 0], "value": {"_id": "1"}}),
    ("removing an embedded property", {"op": "remove", "path": ["part", "name"]}),
    ("a step into null", {"op": "set", "path": ["address", "city"], "value": "x"}),
    ("add on a string", {"op": "add", "path": ["name"], "by": 1}),
    ("add on a list", {"op": "add", "path": ["tags"], "by": 1}),
    ("add on a number that is no int", {"op": "add", "path": ["part", "weight"], "by": 1}),
    ("add on an element", {"op": "add", "path": ["tags", 0], "by": 1}),
    ("add of a fraction", {"op": "add", "path": ["visits"], "by": 1.5}),
    ("add of text", {"op": "add", "path": ["visits"], "by": "many"}),
    ("add of very much", {"op": "add", "path": ["visits"], "by": "9223372036854775808"}),
    ("set of a property by its name alone", {"op": "set", "path": ["tags"], "value": ["x"]}),
    ("clear of a scalar", {"op": "clear", "path": ["name"]}),
    ("clear of an embedded object", {"op": "clear", "path": ["part"]}),
    ("a step through a link", {"op": "set", "path": ["team", "name"], "value": "x"}),
    ("a step through a set of links", {"op": "set", "path": ["teams", 0, "name"], "value": "x"}),
    ("an edit of the key", {"op": "set", "path": ["_id", "a"], "value": "x"}),
    ("an edit of what there is not", {"op": "clear", "path": ["nothing"]}),
    ("an edit of the class's name", {"op": "clear", "path": ["\0"]}),
    ("a wrapper that is none", {"op": "set", "path": ["mixed_map", "a"], "value": {"$where": "1"}}),
    ("a wrapper with more keys", {"op": "set", "path": ["mixed_map", "a"], "value": {"$oid": "0" * 24, "b": 1}}),
    ("a link of the wrong key", {"op": "set", "path": ["mixed_map", "a"], "value": {"$link": ["Team", {}]}}),
    ("an insert without a value", {"op": "insert", "path": ["tags", 0]}),
    ("an unknown operation", {"op": "explode", "path": ["tags"]}),
    ("a base of another world", {"op": "remove", "path": ["tags", 7], "base": 10**40}),
    ("an embedded class as one of its own", {"op": "set", "class": "Part", "path": ["name", "x"], "value": "x"}),
    ("a set with another's elements", {"op": "update", "values": {"tag_set": [["x"]]}}),
    ("a set that is an object", {"op": "update", "values": {"tag_set": {"x": 1}}}),
    ("a list that is a number", {"op": "update", "values": {"tags": 5}}),
]  # fmt: skip


async def test_hostile_edits_change_nothing_and_are_told_why(world: World) -> None:
    kit = await db(
        Kit.objects.create,
        name="n", tags=["a", "b"], tag_set={"x"}, tag_map={"k": "v"}, part=Part(name="p"), parts=[Part()], visits=5,
    )  # fmt: skip
    wire = Wire(world.nora)
    async with wire:
        await wire.subscribe("Kit")
    before = wire.of("Kit")
    for what, fields in HOSTILE:
        async with Wire(world.nora, wire) as wire:
            await wire.next(m.Bound)
            step = {"class": "Kit", "_id": str(kit.pk)} | fields
            version = wire.client_version + 1
            changeset = {"clientVersion": version, "baseVersion": wire.progress.server_version, "timestamp": NOW}
            upload = {"type": "upload", "received": wire.received, "changesets": [changeset | {"instructions": [step]}]}
            wire.send(m.msgspec.json.encode(upload).decode())
            refused = lambda: wire.rejected or any(isinstance(it, m.Error) for it in wire.log)  # noqa: E731
            await wire.until(refused)
            if wire.rejected:
                wire.client_version = version
                assert [it.code for it in wire.rejected] != ["InternalServerError"] and wire.rejected[0].reason, what
                await wire.write(on(kit, m.Add, "part", "used", by=0))
            else:
                [error] = [it for it in wire.log if isinstance(it, m.Error)]
                assert error.code in ("BadSyntax", "UnknownMessage", "BadChangeset"), (what, error)
        assert wire.of("Kit") == before, what
    async with Wire(world.nora, wire) as wire:
        await wire.write(on(kit, m.Insert, "tags", 0, value="well"))
        assert (await row(kit)).tags == ["well", "a", "b"]


async def test_many_bad_edits_of_one_list_are_refused_soon(world: World) -> None:
    kit = await db(Kit.objects.create, tags=["x"] * 2000)
    async with Wire(world.nora) as wire:
        await wire.subscribe("Kit")
        bad = [on(kit, m.Insert, "tags", 0, value="y" * 21) for _ in range(500)]
        await wire.write(*bad, on(kit, m.Set, "tags", 500, value="z"))
        assert [(it.property, it.code) for it in wire.rejected] == [("tags[0]", "ValidationFailed")] * 500
        assert (await row(kit)).tags == ["z"] + ["x"] * 1999


async def test_edits_that_only_together_are_too_much_are_told_apart(world: World, monkeypatch: Any) -> None:
    def few(value: Any) -> None:
        if len(value) > 3:
            raise ValidationError("At most three.")

    monkeypatch.setattr(Kit._meta.get_field("tags"), "validators", [few])
    kit = await db(Kit.objects.create, tags=["a", "b"])
    async with Wire(world.nora) as wire:
        await wire.subscribe("Kit")
        await wire.write(
            on(kit, m.Insert, "tags", 0, value="1"),
            on(kit, m.Insert, "tags", 1, value="2"),  # one too many
            on(kit, m.Set, "tags", 1, value="3"),  # of what was refused
            on(kit, m.Set, "tags", 3, value="B"),
            on(kit, m.Set, "part_map", "p", value=part(name="p")),
            on(kit, m.Remove, "tags", 2),
            on(kit, m.Insert, "tags", 0, value="0"),
        )
        assert [(it.property, it.code) for it in wire.rejected] == [("tags[1]", "ValidationFailed")]
        found = await row(kit)
        assert found.tags == ["0", "1", "B"] and found.part_map.keys() == {"p"}
        many = [on(kit, m.Insert, "tags", 0, value=str(number)) for number in range(300)]
        wire.rejected.clear()
        await wire.write(*many)
        assert len(wire.rejected) == 300 and {it.code for it in wire.rejected} == {"ValidationFailed", "LimitExceeded"}
        assert (await row(kit)).tags == found.tags
