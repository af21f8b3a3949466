"""Old and new clients side by side: an app of an official Realm SDK, a Python client and a page of the browser SDK.

They speak two protocols with one real server, edit the same inspections and kits, online and offline, and see each
other's edits; beside them others write to the tables. In the end all three hold what the database has, field by field.
"""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import pytest
import pytest_asyncio
from django.db.models import F
from playwright.async_api import Browser

from realm_sync.client import CompensatingWriteError
from realm_sync.core.changes import decode_image
from realm_sync.core.device_sync.assertions import Assertions
from realm_sync.core.device_sync.instructions import Payload
from realm_sync.core.device_sync.payloads import zeros
from realm_sync.core.nodes import TRUE
from realm_sync.downloads import select_images
from realm_sync.registry import registry
from tests.devices import Device, Devices, come_back_soon
from tests.official_client.driver import OfficialClient
from tests.official_client.store import Store, plain
from tests.official_client.writes import Transaction
from tests.pages import Tab, open_tab
from tests.servers import Server
from tests.test_web_client import until
from tests.testapp.models import Inspection, Kit
from tests.world import World, db

CLASSES = ("Inspection", "Kit")
Edit = tuple[Any, ...]
"""What all three can say, each in its own words: an operation, a property, and what it needs. Indexes count round."""


class Client(Protocol):
    """A client of Nora's. Classes and keys are texts."""

    async def create(self, name: str, key: str, /, **values: Any) -> None: ...
    async def edit(self, name: str, key: str, *edits: Edit) -> None:
        """One transaction; of an object that is not there, none."""

    async def delete(self, name: str, key: str) -> None: ...
    async def value(self, name: str, key: str, property: str) -> Any:
        """Of a scalar; None if there is no such object."""

    async def offline(self) -> None: ...
    async def online(self) -> None: ...
    async def settle(self) -> None: ...
    async def check(self, expected: dict[str, dict[str, Any]]) -> None:
        """It holds just these images, by class and key."""


class Phone:
    """An app of an official SDK."""

    def __init__(self, client: OfficialClient) -> None:
        self.client = client

    async def create(self, name: str, key: str, /, **values: Any) -> None:
        links = {"team": "Team", "airfield": "Airfield"}
        for each in links.keys() & values.keys():
            values[each] = Payload("link", (links[each], self.client.key(links[each], values[each])))
        with self.client.write() as write:
            write.create(name, key, values)

    async def edit(self, name: str, key: str, *edits: Edit) -> None:
        at = name, self.client.key(name, key)
        if at[1] in self.client.file.store.objects[name]:
            with self.client.write() as write:
                for edit in edits:
                    self._edit(write, at, self.client.file.store.objects[name][at[1]], edit)

    def _edit(self, write: Transaction, at: Any, held: dict[str, Any], edit: Edit) -> None:
        match edit:
            case "set", name, value:
                write.assign(*at, name, value)
            case "insert", name, index, value:
                write.insert(*at, name, value, (index % (len(held[name]) + 1),))
            case "remove", name, index if held[name]:
                write.remove(*at, name, (index % len(held[name]),))
            case "move", name, index, to if (size := len(held[name])) and index % size != to % size:
                write.move(*at, name, (index % size,), to % size)
            case "include", name, value:
                write.include(*at, name, value)
            case "exclude", name, value:
                write.exclude(*at, name, value)
            case "put", name, step, value:
                write.put(*at, name, step, value)
            case "drop", name, step if step in held[name]:
                write.drop(*at, name, step)
            case "add", name, by:
                write.add(*at, name, by)
            case "inside", name, index, inner, value if held[name]:
                write.set(*at, name, value, (index % len(held[name]), inner))
            case "addInside", name, index, inner, by if held[name]:
                write.add(*at, name, by, (index % len(held[name]), inner))

    async def delete(self, name: str, key: str) -> None:
        if self.client.key(name, key) in self.client.file.store.objects[name]:
            with self.client.write() as write:
                write.delete(name, key)

    async def value(self, name: str, key: str, property: str) -> Any:
        found = self.client.file.store.objects[name].get(self.client.key(name, key))
        return found and found[property].value

    async def offline(self) -> None:
        await self.client.disconnect()

    async def online(self) -> None:
        await self.client.reconnect()

    async def settle(self) -> None:
        await self.client.uploaded()
        await self.client.downloaded()

    async def check(self, expected: dict[str, dict[str, Any]]) -> None:
        wanted = Store()
        for instruction in self.client.file.store.schema:
            wanted.apply(instruction)
        for name, images in expected.items():
            says = Assertions(registry.schema, registry.schema[name])
            for image in images.values():
                for instruction in says.create(image):
                    wanted.apply(instruction)
            held = self.client.file.store.objects[name]
            assert {key.value.hex(): plain(values) for key, values in held.items()} == {
                key.value.hex(): plain(values) for key, values in wanted.objects[name].items()
            }


class Laptop:
    """A Python client."""

    def __init__(self, device: Device) -> None:
        self.device = device

    async def create(self, name: str, key: str, /, **values: Any) -> None:
        def create() -> None:
            for each in ("team",) if name == "Inspection" else ():
                values[each] = uuid.UUID(values[each])
            with self.device.realm.write():
                self.device.realm.create(name, {"_id": uuid.UUID(key), **values})

        await asyncio.to_thread(create)

    def _found(self, name: str, key: str) -> Any:
        return self.device.realm.object_for_primary_key(name, uuid.UUID(key))

    async def edit(self, name: str, key: str, *edits: Edit) -> None:
        def write() -> None:
            with self.device.realm.write():
                found = self._found(name, key)
                for edit in edits if found else ():
                    self._edit(found, edit)

        await asyncio.to_thread(write)

    def _edit(self, it: Any, edit: Edit) -> None:
        held = getattr(it, edit[1])
        match edit:
            case "set", name, value:
                setattr(it, name, value)
            case "insert", _, index, value:
                held.insert(index % (len(held) + 1), value)
            case "remove", _, index if held:
                del held[index % len(held)]
            case "move", _, index, to if held:
                held.move(index % len(held), to % len(held))
            case "include", _, value:
                held.add(value)
            case "exclude", _, value:
                held.discard(value)
            case "put", _, step, value:
                held[step] = value
            case "drop", _, step:
                held.remove(step)
            case "add", _, by:
                held.increment(by)
            case "inside", _, index, inner, value if held:
                setattr(held[index % len(held)], inner, value)
            case "addInside", _, index, inner, by if held:
                getattr(held[index % len(held)], inner).increment(by)

    async def delete(self, name: str, key: str) -> None:
        def delete() -> None:
            with self.device.realm.write():
                if found := self._found(name, key):
                    self.device.realm.delete(found)

        await asyncio.to_thread(delete)

    async def value(self, name: str, key: str, property: str) -> Any:
        def value() -> Any:
            found = self._found(name, key)
            held = found and getattr(found, property)
            return getattr(held, "value", held)

        return await asyncio.to_thread(value)

    async def offline(self) -> None:
        self.device.session.pause()

    async def online(self) -> None:
        self.device.session.resume()

    async def settle(self) -> None:
        await asyncio.to_thread(self.device.settle)

    async def check(self, expected: dict[str, dict[str, Any]]) -> None:
        store = self.device.realm._store
        for name, images in expected.items():
            table = store.table(name)
            held = [table.image(row) for row in store.connection.execute(table.select).fetchall()]
            assert {image["_id"]: image for image in held} == images


EDIT = """([name, id, edits]) => realm.write(() => {
  const it = realm.objectForPrimaryKey(name, new Realm.BSON.UUID(id));
  const at = (list, index) => index % list.length;
  const edit = {
    set: (name, value) => void (it[name] = value),
    insert: (name, index, value) => it[name].splice(index % (it[name].length + 1), 0, value),
    remove: (name, index) => it[name].splice(at(it[name], index), 1),
    move: (name, index, to) => it[name].move(at(it[name], index), at(it[name], to)),
    include: (name, value) => it[name].add(value),
    exclude: (name, value) => it[name].delete(value),
    put: (name, step, value) => void (it[name][step] = value),
    drop: (name, step) => it[name].remove(step),
    add: (name, by) => it[name].increment(by),
    inside: (name, index, inner, value) => void (it[name][at(it[name], index)][inner] = value),
    addInside: (name, index, inner, by) => it[name][at(it[name], index)][inner].increment(by),
  };
  const needs = new Set(["remove", "move", "inside", "addInside"]);
  for (const [op, name, ...args] of it ? edits : []) if (!needs.has(op) || it[name].length) edit[op](name, ...args);
})"""
FOUND = "realm.objectForPrimaryKey(name, new Realm.BSON.UUID(id))"


class Page:
    """A page of the browser SDK."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab

    async def create(self, name: str, key: str, /, **values: Any) -> None:
        script = """([name, id, { team, ...values }]) => {
          const { UUID } = Realm.BSON;
          if (team) values.team = new UUID(team);
          realm.write(() => void realm.create(name, { _id: new UUID(id), ...values }));
        }"""
        await self.tab.run(script, [name, key, values])

    async def edit(self, name: str, key: str, *edits: Edit) -> None:
        await self.tab.run(EDIT, [name, key, [list(edit) for edit in edits]])

    async def delete(self, name: str, key: str) -> None:
        await self.tab.run(
            f"([name, id]) => realm.write(() => {{ const it = {FOUND}; if (it) realm.delete(it); }})", [name, key]
        )

    async def value(self, name: str, key: str, property: str) -> Any:
        script = f"([name, id, property]) => {{ const v = {FOUND}?.[property]; return v?.value ?? v ?? null; }}"
        return await self.tab.run(script, [name, key, property])

    async def offline(self) -> None:
        await self.tab.run("() => realm.syncSession.pause()")

    async def online(self) -> None:
        await self.tab.run("() => realm.syncSession.resume()")

    async def settle(self) -> None:
        await self.tab.settle()

    async def check(self, expected: dict[str, dict[str, Any]]) -> None:
        for name, images in expected.items():
            held = json.loads(await self.tab.run("(name) => JSON.stringify(images(name))", name))
            # What it made itself has no null and nothing empty in it.
            empty = zeros(registry.schema, registry.schema[name])
            assert {key: empty | image for key, image in held.items()} == images


class Trio:
    """The three of them on one server."""

    def __init__(self, phone: Phone, laptop: Laptop, page: Page) -> None:
        self.phone, self.laptop, self.page = phone, laptop, page
        self.all: tuple[Client, ...] = (phone, laptop, page)

    async def settle(self) -> None:
        """Everything written anywhere is everywhere."""
        for _ in range(2):
            for client in self.all:
                await client.settle()

    async def same(self) -> dict[str, dict[str, Any]]:
        """Settles, and compares: what everybody has."""
        await self.settle()
        images = await db(on_server)
        for client in self.all:
            await client.check(images)
        return images

    async def see(self, name: str, key: str, property: str, value: Any) -> None:
        """Waits until it has arrived at all three, without asking for it."""
        for client in self.all:

            async def is_here(client: Client = client) -> bool:
                return bool(await client.value(name, key, property) == value)

            await until(is_here)


def on_server() -> dict[str, dict[str, Any]]:
    found = {}
    for name in CLASSES:
        model_sync = registry.get(name)
        assert model_sync is not None
        images = [decode_image(text) for chunk in select_images(model_sync, TRUE) for text in chunk]
        found[name] = {image["_id"]: image for image in images}
    return found


@pytest_asyncio.fixture(loop_scope="session")
async def trio(
    world: World,
    server: Callable[..., Server],
    chromium: Browser,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Trio]:
    come_back_soon(monkeypatch)
    url = server().url
    with Devices(tmp_path) as device:
        async with OfficialClient(url, ("nora@example.org", "pw")) as client:
            laptop = await asyncio.to_thread(device, "nora", url)
            tab = await open_tab(await chromium.new_context(), url, "nora")
            await client.subscribe(dict.fromkeys((*CLASSES, "Team", "Airfield"), "TRUEPREDICATE"))
            await asyncio.to_thread(lambda: laptop.realm.objects("Kit").subscribe().result(20))
            await tab.run("() => realm.subscriptions.update((subs, realm) => subs.add(realm.objects('Kit')))")
            yield Trio(Phone(client), Laptop(laptop), Page(tab))
            await tab.close()


def new_key() -> str:
    return str(uuid.uuid4())


def part(name: str) -> dict[str, Any]:
    return {"name": name, "amount": 1, "used": 0}


async def test_three_clients_edit_the_same_inspections(trio: Trio, world: World) -> None:
    phone, laptop, page = trio.phone, trio.laptop, trio.page
    first = str((await db(world.inspection)).pk)
    kit, spare, lost = new_key(), new_key(), new_key()

    # Online: what one writes, the others see.
    await trio.see("Inspection", first, "title", "Runway lights")
    given = {"team": str(world.north.pk), "airfield": "EDDM", "status": "planned"}
    made = {each: new_key() for each in trio.all}
    for client in trio.all:
        # An SDK has to give a required property something, even one that clients do not write.
        more = {"created_at": datetime(2001, 1, 1, tzinfo=UTC)} if client is phone else {}
        await client.create("Inspection", made[client], title=type(client).__name__, priority=1, **given, **more)
        await trio.see("Inspection", made[client], "title", type(client).__name__)
        await client.edit("Inspection", first, ("set", "title", f"By the {type(client).__name__}"))
        await trio.see("Inspection", first, "title", f"By the {type(client).__name__}")
    await phone.create(
        "Kit", kit, name="Tools", visits=1, tags=["a", "b", "c"], tag_set=["a", "b"], tag_map={"a": "x", "b": "y"},
        parts=[part("bolt"), part("nut")], address={"city": "Oslo"}, route=[Payload("link", ("Airfield", Payload("string", "EDDM")))],
    )  # fmt: skip
    await laptop.create("Kit", spare, name="Spare", visits=0, tags=["1"])
    await page.create("Kit", lost, name="Lost")
    await trio.see("Kit", kit, "name", "Tools")
    await trio.see("Kit", spare, "name", "Spare")
    for by, client in zip((10, 100, 1000), trio.all, strict=True):
        await client.edit("Kit", kit, ("add", "visits", by), ("insert", "tags", 1, type(client).__name__))
    await db(Kit.objects.filter(pk=kit).update, visits=F("visits") + 10_000)
    await trio.see("Kit", kit, "visits", 11_111)
    images = await trio.same()
    assert sorted(images["Kit"][kit]["tags"]) == sorted(["a", "b", "c", "Phone", "Laptop", "Page"])
    assert all(image["created_at"] > "2020" for image in images["Inspection"].values())
    assert phone.client.errors == [] and laptop.device.errors == [] and await page.tab.run("() => errors.length") == 0

    # Offline: they contradict each other, and others write meanwhile.
    for client in trio.all:
        await client.offline()
    steps: dict[Client, list[Edit]] = {
        phone: [
            ("add", "visits", 5), ("insert", "tags", 0, "p"), ("insert", "tags", 9, "q"), ("include", "tag_set", "p"),
            ("exclude", "tag_set", "a"), ("put", "tag_map", "p", "x"), ("drop", "tag_map", "a"), ("set", "name", "phone's"),
            ("inside", "parts", 0, "amount", 7), ("addInside", "parts", 1, "used", 2), ("insert", "parts", 2, part("pin")),
            ("set", "anything", {"phone": ["x"]}), ("set", "address", {"city": "Bodø", "lines": ["c/o"]}),
        ],
        laptop: [
            ("add", "visits", 50), ("insert", "tags", 6, "l"), ("remove", "tags", 0), ("include", "tag_set", "l"),
            ("put", "tag_map", "b", "laptop"), ("insert", "parts", 0, part("washer")), ("addInside", "parts", 2, "used", 3),
            ("move", "parts", 1, 2),
        ],
        page: [
            ("add", "visits", 500), ("insert", "tags", 0, "w"), ("exclude", "tag_set", "b"), ("include", "tag_set", "p"),
            ("put", "tag_map", "w", "x"), ("addInside", "parts", 1, "used", 4), ("remove", "parts", 0),
        ],
    }  # fmt: skip
    for client, edits in steps.items():
        for each in edits:
            # What one row of the history says of a list is told from the list before and after.
            await asyncio.sleep(0.002)
            await client.edit("Kit", kit, each)
    await phone.edit("Kit", lost, ("insert", "tags", 0, "too late"))
    await laptop.delete("Kit", lost)
    await phone.delete("Kit", spare)
    await page.edit("Kit", spare, ("insert", "tags", 0, "too late"))
    await db(Inspection.objects.filter(pk=first).update, notes="by the ORM", priority=3)
    for client in trio.all:  # the last one to write wins, not the last one to come back
        await asyncio.sleep(0.02)
        await client.edit("Inspection", first, ("set", "title", f"{type(client).__name__} again"))
    await phone.edit("Inspection", made[laptop], ("set", "priority", 5))
    await laptop.edit("Inspection", made[laptop], ("set", "notes", "Mine."))
    await page.delete("Inspection", made[phone])
    await phone.edit("Inspection", made[phone], ("set", "title", "too late"))
    for client in (page, phone, laptop):
        await client.online()
        await client.settle()
    images = await trio.same()
    held = images["Kit"][kit]
    assert set(images["Kit"]) == {kit} and set(images["Inspection"]) == {first, made[laptop], made[page]}
    assert held["visits"] == 11_666 and held["name"] == "phone's" and held["anything"] == {"phone": ["x"]}
    assert held["tag_set"] == ["l", "p"] and held["tag_map"] == {"b": "laptop", "p": "x", "w": "x"}
    assert sorted(held["tags"]) == sorted(["b", "c", "Phone", "Laptop", "Page", "p", "q", "l", "w"])
    assert sorted((it["name"], it["amount"], it["used"]) for it in held["parts"]) == [
        ("nut", 1, 9), ("pin", 1, 0), ("washer", 1, 0),
    ]  # fmt: skip
    assert held["address"] == {"street": "", "city": "Bodø", "lines": ["c/o"]}
    changed = images["Inspection"][first]
    assert (changed["title"], changed["notes"], changed["priority"]) == ("Page again", "by the ORM", 3)
    other = images["Inspection"][made[laptop]]
    assert (other["priority"], other["notes"]) == (5, "Mine.")

    # Refused: it comes back to whom it was refused, and the others never see it.
    for client in trio.all:
        what = ("set", "title", "x" * 201), ("set", "notes", type(client).__name__)
        await client.edit("Inspection", made[client] if client is not phone else first, *what)
        await client.edit("Kit", kit, ("insert", "colours", 0, "green"), ("insert", "colours", 1, "red"))
        await client.settle()
    after = await trio.same()
    titles = [{key: it["title"] for key, it in each["Inspection"].items()} for each in (images, after)]
    assert titles[0] == titles[1]
    assert {it["notes"] for it in after["Inspection"].values()} == {"Phone", "Laptop", "Page"}
    assert after["Kit"][kit]["colours"] == ["red"] * 3
    reasons = [each.reason for each in phone.client.file.reported]
    assert [reason.split(":")[0] for reason in reasons] == ["title", "colours[0]"]
    assert [reason.count("title") + reason.count("colours") for reason in reasons] == [1, 1]
    told = [write.property for each in laptop.device.errors for write in each.writes]  # type: ignore[attr-defined]
    assert told == ["title", "colours[0]"] and isinstance(laptop.device.errors[0], CompensatingWriteError)
    assert await page.tab.run("() => errors.flatMap(({ writes }) => writes.map((it) => it.property))") == told

    await write_at_random(trio, world, random.Random(1))


def change(rng: random.Random, key: str, number: int) -> None:
    """What somebody else does to a table."""
    if rng.random() < 0.5:
        Inspection.objects.filter(pk=key).update(notes=f"orm {number}")
    else:
        Kit.objects.filter(pk=key).update(visits=F("visits") + 1, tags=[f"orm {number}", "a", "b"])


def edit(rng: random.Random, name: str, number: int) -> Edit:
    at, to = rng.randrange(6), rng.randrange(6)
    letter = rng.choice("abc")
    if name == "Inspection":
        title = "x" * 201 if rng.random() < 0.1 else f"{number}"
        return rng.choice([("set", "title", title), ("set", "priority", at), ("set", "notes", f"{number}")])
    return rng.choice(
        [
            ("set", "name", f"{number}"), ("set", "anything", [letter, {"at": number}]), ("add", "visits", to),
            ("insert", "tags", at, f"{number}"), ("insert", "tags", at, f"{number}"), ("remove", "tags", at),
            ("move", "tags", at, to), ("include", "tag_set", letter), ("exclude", "tag_set", letter),
            ("put", "tag_map", letter, f"{number}"), ("drop", "tag_map", letter),
            ("set", "address", rng.choice([None, {"street": "", "city": f"{number}", "lines": [letter]}])),
            ("insert", "parts", at, part(letter)), ("remove", "parts", at), ("move", "parts", at, to),
            ("inside", "parts", at, "name", f"{number}"), ("addInside", "parts", at, "used", to),
            ("insert", "colours", 0, rng.choice(["red", "green"])),
        ]
    )  # fmt: skip


async def write_at_random(trio: Trio, world: World, rng: random.Random) -> None:
    """Whatever they write, online and offline, all end with what the database has."""
    keys = {name: [new_key() for _ in range(2)] for name in CLASSES}
    new: dict[str, dict[str, Any]] = {
        "Inspection": {
            "team": str(world.north.pk),
            "airfield": "EDDM",
            "status": "planned",
            "title": "",
            "priority": 0,
        },
        "Kit": {"name": "", "visits": 1, "tags": ["a", "b"], "parts": [part("a"), part("b")]},
    }
    connected = dict.fromkeys(trio.all, True)
    for number in range(150):
        client, name = rng.choice(trio.all), rng.choice(CLASSES)
        key, kind = rng.choice(keys[name]), rng.random()
        if await client.value(name, key, "title" if name == "Inspection" else "name") is None:
            await client.create(name, key, **new[name])
        elif kind < 0.03:
            await client.delete(name, key)
        elif kind < 0.15:
            connected[client] = not connected[client]
            await (client.online() if connected[client] else client.offline())
        elif kind < 0.2:
            await db(change, rng, rng.choice(keys["Kit"] + keys["Inspection"]), number)
        else:
            await client.edit(name, key, *[edit(rng, name, number) for _ in range(rng.randint(1, 3))])
    for client in trio.all:
        if not connected[client]:
            await client.online()
    await trio.same()
