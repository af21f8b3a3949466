"""Every type in pages: real Chromium, a real server process, the ORM and a Python client beside them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from playwright.async_api import Browser

from realm_sync.client import App, Credentials, Realm, SyncConfiguration
from tests.pages import Tab, open_tab
from tests.servers import Server
from tests.testapp.models import Kit, Reading
from tests.world import World, db

KITS = """(subs, realm) => ["Kit", "Team", "Airfield"].forEach((name) => subs.add(realm.objects(name)))"""
MADE = """(team) => realm.write(() => {
  const { UUID, Decimal128, ObjectId } = Realm.BSON;
  const link = realm.objectForPrimaryKey("Airfield", "EDDM");
  const kit = realm.create("Kit", {
    _id: new UUID(), name: "Tools", visits: 3, anything: { a: [1n, 2.5, null, { b: new Decimal128("0.1") }], link },
    tags: ["a", "b", "a"], maybe_tags: ["x", null], numbers: [2n ** 60n, -1], doubles: [0.1, 1e300],
    decimals: [new Decimal128("0.1")], dates: [new Date("2026-01-01T12:00:00.123Z")], blobs: [new Uint8Array([0, 255])],
    flags: [true, false], uuids: [new UUID("00000000-0000-0000-0000-000000000001")],
    object_ids: [new ObjectId("0".repeat(24))], mixes: [1n, "x", null, [1, { a: 1 }]], route: ["EDDM", "ENSB", "EDDM"],
    tag_set: ["b", "a", "b"], mixed_set: [null, 1, "x"], teams: [realm.objectForPrimaryKey("Team", new UUID(team))],
    tag_map: { a: "x" }, number_map: { n: null, m: 2n ** 60n }, airfield_map: { home: "EDDM", none: null },
    address: { street: "Storgata", city: "Tromsø", lines: ["c/o", ""] },
    parts: [{ name: "bolt", amount: 3, used: 2, labels: ["m8"], prices: { nok: new Decimal128("9.5") } }],
    part_map: { spare: { name: "nut", amount: 1, used: 0 } },
  });
  return `${kit._id}`;
})"""
EDIT = """([id, body]) =>
  realm.write(() => new Function("kit", body)(realm.objectForPrimaryKey("Kit", new Realm.BSON.UUID(id))))"""
NORA = "kit.tags.splice(1, 1); kit.tags.push('nora'); kit.visits.increment(10); kit.tag_set.add('n')"
TABLET = """
  kit.tags.unshift("tablet"); kit.visits.increment(5); kit.tag_map.b = "y"; kit.parts[0].used.increment(3);
  kit.tag_set.delete("a")"""
REFUSED = """
  kit.tags.push("x".repeat(30)); kit.tags.push("fine"); kit.address.city = "y".repeat(60);
  kit.address.street = "Sjøgata"; kit.visits.increment(1)"""
SHOWN = """(id) => {
  const kit = realm.objectForPrimaryKey("Kit", new Realm.BSON.UUID(id));
  return {
    tags: [...kit.tags], visits: kit.visits.value, map: kit.tag_map.toJSON(), set: [...kit.tag_set].sort(),
    parts: kit.parts.map(({ name, used }) => [name, used.value]), city: kit.address?.city ?? null,
  };
}"""


async def opened(browser: Browser, url: str) -> Tab:
    """A device of Nora's, subscribed to kits."""
    context = await browser.new_context()
    tab = await open_tab(context, url, "nora")
    await tab.run(f"() => realm.subscriptions.update({KITS})")
    return tab


async def settle(*tabs: Tab) -> None:
    for _ in range(2):
        for tab in tabs:
            await tab.settle()


async def test_every_type_and_every_edit_goes_from_page_to_server_to_page(
    world: World, server: Callable[..., Server], chromium: Browser
) -> None:
    url = server().url
    nora, tablet = await opened(chromium, url), await opened(chromium, url)
    key = await nora.run(MADE, str(world.north.pk))
    await settle(nora, tablet)
    kit = await db(Kit.objects.get)
    assert str(kit.pk) == key and kit.tags == ["a", "b", "a"] and kit.visits == 3 and kit.numbers == [2**60, -1]
    assert kit.address.city == "Tromsø" and kit.parts[0].prices == {"nok": Decimal("9.5")}
    assert kit.anything["a"][0] == 1 and await db(lambda: [team.pk for team in kit.teams.all()]) == [world.north.pk]
    one, two = [(await tab.run("() => images('Kit')"))[key] for tab in (nora, tablet)]
    assert {name: (one.get(name), two.get(name)) for name in one | two if one.get(name) != two.get(name)} == {}

    # Offline edits on both sides and by the ORM, then convergence with every intent kept.
    for tab in (nora, tablet):
        await tab.run("() => realm.syncSession.pause()")
    await nora.run(EDIT, [key, NORA])
    await tablet.run(EDIT, [key, TABLET])
    await db(Kit.objects.filter(pk=key).update, tags=["a", "b", "orm", "a"])
    for tab in (nora, tablet):
        await tab.run("() => realm.syncSession.resume()")
    await settle(nora, tablet)
    expected = {
        "tags": ["tablet", "a", "orm", "a", "nora"], "visits": 18, "map": {"a": "x", "b": "y"}, "set": ["b", "n"],
        "parts": [["bolt", 5]], "city": "Tromsø",
    }  # fmt: skip
    assert await nora.run(SHOWN, key) == await tablet.run(SHOWN, key) == expected
    kit = await db(Kit.objects.get)
    assert kit.tags == expected["tags"] and kit.visits == 18 and kit.parts[0].used == 5
    for tab in (nora, tablet):
        assert await tab.run("() => errors.map((error) => error.message)") == []
        await tab.close()


async def test_what_is_refused_comes_back_with_its_path_and_the_rest_stays(
    world: World, server: Callable[..., Server], chromium: Browser
) -> None:
    nora = await opened(chromium, server().url)
    key = await nora.run(MADE, str(world.north.pk))
    await nora.settle()
    await nora.run(EDIT, [key, REFUSED])
    await nora.settle()
    await nora.run("() => until(() => errors.length)")
    writes = await nora.run("() => errors[0].writes.map(({ objectName, property }) => [objectName, property])")
    assert writes == [["Kit", "tags[3]"], ["Kit", "address.city"]]
    shown = await nora.run(SHOWN, key)
    assert shown["tags"] == ["a", "b", "a", "fine"] and shown["city"] == "Tromsø" and shown["visits"] == 4
    await nora.close()


async def test_asymmetric_objects_go_up_and_are_seen_no_more(
    world: World, server: Callable[..., Server], chromium: Browser
) -> None:
    nora = await opened(chromium, server().url)
    script = """(team) => realm.write(() => {
      const { UUID } = Realm.BSON;
      const place = { street: "", city: "Bodø" };
      const made = realm.create("Reading", { _id: new UUID(), team: new UUID(team), value: 1.5, at: new Date(), place });
      return made === undefined;
    })"""
    assert await nora.run(script, str(world.north.pk))
    await nora.settle()
    reading = await db(Reading.objects.get)
    assert reading.value == 1.5 and reading.place.city == "Bodø"
    seen = await nora.run("() => [Object.keys(images('Reading')).length, realm.syncSession.pendingTransactions]")
    assert seen == [0, 0]
    await nora.close()


async def test_a_page_and_a_python_client_edit_one_list(
    world: World, server: Callable[..., Server], chromium: Browser, tmp_path: Path
) -> None:
    url = server().url
    nora = await opened(chromium, url)
    key = await nora.run(MADE, str(world.north.pk))
    await nora.settle()

    def subscribe(subscriptions: Any, realm: Realm) -> None:
        for name in ("Kit", "Team", "Airfield"):
            subscriptions.add(realm.objects(name))

    def python() -> Realm:
        app = App("realm-sync", base_url=url, base_file_path=tmp_path / "device")
        user = app.log_in(Credentials.email_password("nora@example.org", "pw")).result(10)
        return Realm.open(sync=SyncConfiguration(user, subscribe)).result(20)

    realm = await asyncio.to_thread(python)

    def write() -> None:
        kit = realm.object_for_primary_key("Kit", uuid.UUID(key))
        with realm.write():
            kit.tags.insert(0, "python")
            kit.tags.remove("b")
            kit.visits.increment(2)
        realm.sync_session.upload_all_local_changes().result(20)

    def read() -> tuple[list[str], int]:
        realm.sync_session.download_all_server_changes().result(20)
        kit = realm.object_for_primary_key("Kit", uuid.UUID(key))
        return list(kit.tags), kit.visits.value

    try:
        await nora.run("() => realm.syncSession.pause()")
        await nora.run(EDIT, [key, "kit.tags.push('page'); kit.visits.increment(1)"])
        await asyncio.to_thread(write)
        await nora.run("() => realm.syncSession.resume()")
        await settle(nora)
        shown = await nora.run(SHOWN, key)
        assert (shown["tags"], shown["visits"]) == (["python", "a", "a", "page"], 6)
        assert await asyncio.to_thread(read) == (shown["tags"], 6)
    finally:
        await asyncio.to_thread(realm.close)
    await nora.close()
