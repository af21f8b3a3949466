"""Opening with the cable pulled at every single message of the handshake and the bootstrap, in both clients (R9, R10).

Cable *n* is dead once *n* messages have passed, until it is mended. Opening waits, is cancelled, and leaves nothing half
done: what is there is nothing or everything, what is written then is kept, and with the network comes what is missing.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser

from realm_sync.client import App, Credentials, OpenBehavior, Realm, RealmError, SyncConfiguration
from tests.chaos import Cables, until
from tests.devices import come_back_soon
from tests.servers import Server
from tests.testapp.models import Inspection
from tests.world import World, db

SQLITE = pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
NUMBERS = range(16)
"""More than an opening needs messages."""
ROWS = 12
SMALL = {"DOWNLOAD_BYTES": 600}
"""So that the bootstrap comes in several messages."""
KEY = {"_id": "uuid"}
LINKS = {name: {"type": "object", "objectType": name.title(), "optional": True} for name in ("airfield", "team")}
SCHEMA: list[Any] = [
    {"name": "Inspection", "primaryKey": "_id", "properties": KEY | LINKS | {"title": "string", "priority": "int"}},
    {"name": "Team", "primaryKey": "_id", "properties": KEY | {"name": "string"}},
    {"name": "Airfield", "primaryKey": "_id", "properties": {"_id": "string", "name": "string"}},
]


def check(world: World, cables: Cables, seen: list[tuple[str, int, int]]) -> None:
    """`seen`: of each file how the first attempt ended, how many objects were there then, and in the end."""
    opened = [ended == "opened" for ended, _, _ in seen]
    needed = opened.index(True)
    assert needed >= 8 and opened == [number >= needed for number in NUMBERS], (needed, seen, cables.passed)
    for number, (ended, then, finally_) in zip(NUMBERS, seen, strict=True):
        assert ended == "opened" or ended == "Async open canceled", (number, ended)
        assert then in (0, ROWS) and finally_ == ROWS + 1, (number, then, finally_)
    assert {then for _, then, _ in seen[:needed]} == {0, ROWS}
    written = Inspection.objects.exclude(priority=7).values_list("title", flat=True)
    assert sorted(written) == sorted(f"Offline {number}" for number in NUMBERS)


def prepare(world: World) -> None:
    for number in range(ROWS):
        world.inspection(title=f"Lamp {number}", priority=7)


@SQLITE
def test_python(world: World, server: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    come_back_soon(monkeypatch)
    prepare(world)
    process = server(realm_sync=SMALL)
    log_in = App("realm-sync", base_url=process.url, base_file_path=tmp_path).log_in
    log_in(Credentials.email_password("nora", "pw")).result(20)
    waits = OpenBehavior("download_before_open")

    with Cables(process.port) as cables, ThreadPoolExecutor(len(NUMBERS)) as pool:
        urls = [cables.url(number) for number in NUMBERS]

        def configuration(number: int) -> dict[str, Any]:
            user = App("realm-sync", base_url=urls[number], base_file_path=tmp_path).current_user
            query = f"priority == 7 OR title == 'Offline {number}'"
            sync = SyncConfiguration(
                user,
                lambda subscriptions, realm: subscriptions.add(realm.objects("Inspection").filtered(query)),
                new_realm_file_behavior=waits,
                existing_realm_file_behavior=waits,
            )
            return {"path": f"{number}", "schema": SCHEMA, "sync": sync}

        def first(number: int) -> tuple[str, int]:
            config, ended = configuration(number), "opened"
            opening = Realm.open(**config)
            until(lambda: opening.done() or cables.is_pulled(number))
            opening.cancel()
            try:
                opening.result(10).close()
            except RealmError as error:
                ended = str(error)
            with Realm(**config) as realm:
                then = len(realm.objects("Inspection"))
                values = {"_id": uuid.uuid4(), "title": f"Offline {number}", "team": world.north.pk, "airfield": "EDDM"}
                with realm.write():
                    realm.create("Inspection", values | {"priority": 0})
            return ended, then

        def second(number: int) -> int:
            with Realm.open(**configuration(number)).result(60) as realm:
                realm.sync_session.upload_all_local_changes(30).result()
                return len(realm.objects("Inspection"))

        firsts = list(pool.map(first, NUMBERS))
        cables.mend()
        seconds = list(pool.map(second, NUMBERS))
        check(world, cables, [(*one, two) for one, two in zip(firsts, seconds, strict=True)])


PAGE = """async ({ urls, schema, team }) => {
  const { default: Realm } = await import("realm");
  const { delays } = await import("/static/realm_sync/client/transport.js");
  Object.assign(delays, { first: 100, longest: 500 });
  const { UUID } = Realm.BSON;
  const { id } = await new Realm.App().logIn(Realm.Credentials.emailPassword("nora", "pw"));
  const appId = new Realm.App().id;
  const configuration = (number) => ({
    path: `${number}`,
    schema,
    sync: {
      user: new Realm.App({ id: appId, baseUrl: urls[number] }).allUsers[id],
      flexible: true,
      initialSubscriptions: {
        update: (subs, realm) => subs.add(realm.objects("Inspection").filtered("priority == 7 OR title == $0", `Offline ${number}`)),
      },
      newRealmFileBehavior: { type: "downloadBeforeOpen" },
      existingRealmFileBehavior: { type: "downloadBeforeOpen" },
      onError: () => {},
    },
  });
  window.begin = (number) => {
    const opening = Realm.open(configuration(number));
    window.opening = opening;
    window.ended = opening.then((realm) => (realm.close(), "opened"), (error) => error.message);
    window.ended.then(() => (window.isDone = true));
    window.isDone = false;
  };
  window.first = async (number) => {
    const config = configuration(number);
    opening.cancel();
    const ended = await window.ended;
    const realm = new Realm(config);
    await realm.whenLoaded();
    const then = realm.objects("Inspection").length;
    const values = { _id: new UUID(), title: `Offline ${number}`, team: new UUID(team), airfield: "EDDM", priority: 0 };
    realm.write(() => realm.create("Inspection", values));
    await realm.writesFlushed();
    realm.close();
    return [ended, then];
  };
  window.second = async (number) => {
    const realm = await Realm.open(configuration(number));
    await realm.syncSession.uploadAllLocalChanges(30_000);
    const { length } = realm.objects("Inspection");
    realm.close();
    return length;
  };
}"""


@SQLITE
async def test_browser(world: World, server: Callable[..., Server], chromium: Browser) -> None:
    await db(prepare, world)
    process = await asyncio.to_thread(server, realm_sync=SMALL)
    page = await chromium.new_page()
    await page.goto(f"{process.url}/page/")
    with Cables(process.port) as cables:
        urls = [await asyncio.to_thread(cables.url, number) for number in NUMBERS]
        await page.evaluate(PAGE, {"urls": urls, "schema": SCHEMA, "team": str(world.north.pk)})
        firsts, seconds = [], []
        for (
            number
        ) in NUMBERS:  # one by one: Chromium makes one connection to a host at a time, and later after failures
            await page.evaluate("(number) => begin(number)", number)
            while not (cables.is_pulled(number) or await page.evaluate("() => isDone")):
                await asyncio.sleep(0.005)
            firsts.append(await page.evaluate("(number) => first(number)", number))
        cables.mend()
        for number in NUMBERS:
            seconds.append(await page.evaluate("(number) => second(number)", number))
        await db(check, world, cables, [(*one, two) for one, two in zip(firsts, seconds, strict=True)])
