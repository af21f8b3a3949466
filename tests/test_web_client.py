"""The browser SDK end to end: real Chromium, real Daphne, on both databases, next to Python clients and other writers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, WebSocketRoute

from tests.devices import Devices, come_back_soon, on_server, team_of
from tests.pages import SETUP, Tab, open_tab
from tests.servers import Server
from tests.testapp.models import Inspection
from tests.world import World, db

SQLITE = pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
OFFLINE, ONLINE = "() => realm.syncSession.pause()", "() => realm.syncSession.resume()"


@pytest_asyncio.fixture(loop_scope="session")
async def contexts(chromium: Browser) -> AsyncIterator[Callable[[], Any]]:
    """Makes profiles of the browser, each a device of its own."""
    made: list[BrowserContext] = []

    async def new() -> BrowserContext:
        made.append(await chromium.new_context())
        return made[-1]

    yield new
    for context in made:
        await context.close()


async def until(condition: Callable[[], Any], seconds: float = 15) -> None:
    end = asyncio.get_running_loop().time() + seconds
    while not await condition():
        assert asyncio.get_running_loop().time() < end, f"did not happen within {seconds} s"
        await asyncio.sleep(0.02)


def values(world: World, **more: Any) -> dict[str, Any]:
    return {"title": "Windsock", "priority": 0, "airfield": "EDDM", "team": str(world.north.pk)} | more


async def test_two_browsers_and_a_python_client_edit_the_same_inspections(
    world: World, server: Callable[..., Server], contexts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    come_back_soon(monkeypatch)
    url = server().url
    first = await db(world.inspection)
    south = await db(world.inspection, team=world.south)
    nora, tablet = await open_tab(await contexts(), url, "nora"), await open_tab(await contexts(), url, "nora")
    assert await nora.titles() == await tablet.titles() == {str(first.pk): ("Runway lights", 0)}
    assert str(south.pk) not in await nora.titles()
    assert await nora.run("() => [realm.objects('Team').length, realm.objects('Airfield').length]") == [1, 3]

    with Devices(tmp_path) as device:
        python = await asyncio.to_thread(device, "nora", url)
        made = await nora.create(
            team=await nora.run("() => `${realm.objects('Team')[0]._id}`"), title="Apron", airfield="EDDM"
        )
        await nora.settle()
        await db(Inspection.objects.filter(pk=first.pk).update, title="By the ORM")
        expected = {str(first.pk): ("By the ORM", 0), made: ("Apron", 0)}
        for tab in (nora, tablet):
            await tab.until_titles(expected)

        # Offline edits on all sides, then convergence.
        for tab in (nora, tablet):
            await tab.run(OFFLINE)
        await asyncio.to_thread(python.settle)
        python.session.pause()
        await nora.change(made, title="Apron by Nora")
        await tablet.change(made, priority=4)
        third = await tablet.create(**values(world, title="Made offline"))

        def edit() -> None:
            with python.realm.write():
                python.realm.object_for_primary_key("Inspection", first.pk).title = "By Python"
                python.realm.create(
                    "Inspection",
                    {
                        "_id": uuid.uuid4(),
                        "title": "Python's",
                        "priority": 2,
                        "airfield": "ENSB",
                        "team": team_of(python, "North"),
                    },
                )

        await asyncio.to_thread(edit)
        await db(Inspection.objects.filter(pk=first.pk).update, priority=9)
        for tab in (nora, tablet):
            await tab.run(ONLINE)
        python.session.resume()
        for _ in range(2):
            for tab in (nora, tablet):
                await tab.settle()
            await asyncio.to_thread(python.settle)
        held = await db(on_server, world)
        assert held[made] == ("Apron by Nora", 4) and held[third] == ("Made offline", 0)
        assert held[str(first.pk)] == ("By Python", 9) and len(held) == 4
        assert await asyncio.to_thread(python.titles) == held
        for tab in (nora, tablet):
            await tab.until_titles(held)
            assert await tab.run("() => errors.length") == 0
    for tab in (nora, tablet):
        await tab.close()


async def test_the_network_goes_away_in_the_middle(world: World, server: Callable[..., Server], contexts: Any) -> None:
    """The server is killed, not told; edits go on on both sides, and come together when it is back."""
    running = server()
    nora, tablet = (
        await open_tab(await contexts(), running.url, "nora"),
        await open_tab(await contexts(), running.url, "nora"),
    )
    made = await nora.create(**values(world))
    await nora.settle()
    await tablet.settle()
    await asyncio.to_thread(running.kill)
    await nora.change(made, title="Written offline")
    await tablet.change(made, priority=7)
    created = await tablet.create(**values(world, title="Created offline"))
    await nora.run("() => until(() => !realm.syncSession.isConnected())")
    await asyncio.to_thread(running.start)
    for tab in (nora, tablet, nora):
        await tab.settle()
    expected = {made: ("Written offline", 7), created: ("Created offline", 0)}
    assert await db(on_server, world) == expected
    for tab in (nora, tablet):
        await tab.until_titles(expected)
        await tab.close()


@SQLITE
async def test_both_browsers_lose_their_network(world: World, server: Callable[..., Server], contexts: Any) -> None:
    """Edits on both sides, then convergence as soon as the browsers are online again."""
    url = server().url
    profiles = [await contexts(), await contexts()]
    sockets: list[WebSocketRoute] = []
    is_offline = False

    async def route(socket: WebSocketRoute) -> None:
        # Chromium's offline mode spares websockets.
        if is_offline:
            await socket.close()
        else:
            socket.connect_to_server()
            sockets.append(socket)

    for profile in profiles:
        await profile.route_web_socket("**/realm-sync", route)
    nora, tablet = [await open_tab(profile, url, "nora") for profile in profiles]
    made = await nora.create(**values(world))
    for tab in (nora, tablet):
        await tab.settle()
    is_offline = True
    for profile in profiles:
        await profile.set_offline(True)
    for socket in sockets:
        await socket.close()
    await nora.change(made, title="By Nora")
    await tablet.change(made, priority=7)
    created = await tablet.create(**values(world, title="Created offline"))
    for tab in (nora, tablet):
        await tab.run("() => Object.assign(delays, { first: 60_000, longest: 60_000 })")
        await tab.run("() => sleep(700)")
        assert await tab.run("() => [navigator.onLine, realm.syncSession.isConnected()]") == [False, False]
    assert await db(on_server, world) == {made: ("Windsock", 0)}
    is_offline = False
    for profile in profiles:
        await profile.set_offline(False)  # which the page hears of: it does not wait for its delay of a minute
    for tab in (nora, tablet, nora):
        await tab.settle()
    expected = {made: ("By Nora", 7), created: ("Created offline", 0)}
    assert await db(on_server, world) == expected
    for tab in (nora, tablet):
        await tab.until_titles(expected)
        await tab.close()


@SQLITE
async def test_a_reload_while_offline_keeps_pending_writes(
    world: World, server: Callable[..., Server], contexts: Any
) -> None:
    url = server().url
    context = await contexts()
    nora = await open_tab(context, url, "nora")
    await nora.run(OFFLINE)
    made = await nora.create(**values(world))
    await nora.change(made, title="Changed twice")
    await nora.run("() => realm.writesFlushed()")
    await nora.close()

    # The page comes from the server, its websocket does not: as behind a captive portal.
    async def cut(route: Any) -> None:
        await route.close()

    page = await context.new_page()
    await page.route_web_socket("**/realm-sync", cut)
    again = Tab(page)
    await page.goto(f"{url}/page/")
    await again.run(SETUP, {"user": "nora", "options": {}})
    assert await again.titles() == {made: ("Changed twice", 0)}
    assert await db(on_server, world) == {}
    await again.change(made, priority=3)
    await again.run("() => realm.writesFlushed()")
    await again.close()

    online = await open_tab(context, url, "nora")
    await online.settle()
    assert await db(on_server, world) == {made: ("Changed twice", 3)}
    await online.close()


@SQLITE
async def test_a_refused_write_comes_back_with_its_reason_in_every_tab(
    world: World, server: Callable[..., Server], contexts: Any
) -> None:
    url = server().url
    first = await db(world.inspection)
    context = await contexts()
    nora, beside = await open_tab(context, url, "nora"), await open_tab(context, url, "nora")
    await nora.change(str(first.pk), title="x" * 201, priority=5)
    await nora.run("() => until(() => errors.length)")
    await beside.run("() => until(() => errors.length)")
    for tab in (nora, beside):
        told = await tab.run(
            """() => errors.map(({ constructor, code, writes }) => [constructor.name, code,
                writes.map((w) => [w.objectName, `${w.primaryKey}`, w.property, w.codeName])])"""
        )
        assert told == [["CompensatingWriteError", 1033, [["Inspection", str(first.pk), "title", "ValidationFailed"]]]]
        await tab.until_titles({str(first.pk): ("Runway lights", 5)})
    message = await nora.run(
        "() => { try { realm.write(() => realm.create('Sample', {})); } catch (error) { return error.message; } }"
    )
    assert message == "Cannot write to class Sample when no flexible sync subscription has been created."
    for tab in (nora, beside):
        await tab.close()


@SQLITE
async def test_three_tabs_and_the_leader_closes(world: World, server: Callable[..., Server], contexts: Any) -> None:
    url = server().url
    context = await contexts()
    tabs = [await open_tab(context, url, "nora") for _ in range(3)]
    leading = [await tab.run("() => realm._file.tabs.isLeader") for tab in tabs]
    assert leading == [True, False, False]
    made = await tabs[2].create(**values(world))
    await tabs[1].until_titles({made: ("Windsock", 0)})
    await tabs[2].settle()
    assert await db(on_server, world) == {made: ("Windsock", 0)}
    assert await tabs[1].run("() => realm.syncSession.connectionState") == "connected"

    # A pending write of a tab that does not lead, made while nobody is connected, and then the leader is gone.
    await tabs[1].run(OFFLINE)
    await tabs[0].run("() => until(() => realm.syncSession.connectionState === 'disconnected')")
    await tabs[2].change(made, title="Nobody was connected")
    await tabs[0].close()
    await tabs[2].run("() => until(() => realm._file.tabs.isLeader || true)")
    await tabs[2].run(ONLINE)
    await tabs[2].settle()
    assert await db(on_server, world) == {made: ("Nobody was connected", 0)}
    await tabs[1].until_titles({made: ("Nobody was connected", 0)})
    await db(Inspection.objects.filter(pk=made).update, priority=8)
    for tab in tabs[1:]:
        await tab.until_titles({made: ("Nobody was connected", 8)})

    # A wait in one tab for what the other does; a listener in a tab that does not lead.
    follower = tabs[1] if await tabs[2].run("() => realm._file.tabs.isLeader") else tabs[2]
    await follower.run("() => { window.heard = []; realm.objects('Inspection').addListener((_, c) => heard.push(c)); }")
    await follower.run("() => until(() => heard.length)")
    other = tabs[1] if follower is tabs[2] else tabs[2]
    await other.change(made, title="Heard")
    await follower.run("() => until(() => heard.length === 2)")
    assert await follower.run("() => heard[1].newModifications") == [0]
    for tab in tabs[1:]:
        await tab.close()


@SQLITE
async def test_a_tab_that_dies_in_the_middle_of_a_bootstrap_leaves_nothing_in_between(
    world: World, server: Callable[..., Server], contexts: Any
) -> None:
    """R10: all of it or nothing, and the next tab gets it all."""
    url = server(realm_sync={"DOWNLOAD_BYTES": 4000}).url
    rows = [Inspection(team=world.north, airfield_id="EDDM", title=f"Lamp {number}") for number in range(3000)]
    await db(Inspection.objects.bulk_create, rows)
    context = await contexts()
    tab = Tab(await context.new_page())
    await tab.page.goto(f"{url}/page/")
    opening = asyncio.ensure_future(
        tab.run(SETUP, {"user": "nora", "options": {"newRealmFileBehavior": {"type": "openImmediately"}}})
    )
    await opening
    await tab.run("() => until(() => realm.syncSession && realm._transport.progress.download?.estimate > 0.2)")
    assert await tab.run("() => realm.objects('Inspection').length") == 0
    await tab.page.close()
    again = await open_tab(context, url, "nora")
    seen = await again.run(
        """async () => {
          const seen = new Set();
          realm.objects('Inspection').addListener((all) => seen.add(all.length));
          await settle();
          await until(() => seen.has(3000));
          return [...seen];
        }"""
    )
    assert set(seen) <= {0, 3000}
    await again.close()


@SQLITE
async def test_two_users_in_one_page_and_a_log_out(world: World, server: Callable[..., Server], contexts: Any) -> None:
    url = server().url
    north, south = await db(world.inspection), await db(world.inspection, team=world.south)
    context = await contexts()
    tab = await open_tab(context, url, "nora")
    assert await tab.titles() == {str(north.pk): ("Runway lights", 0)}
    script = """async () => {
      const user = await app.logIn(Realm.Credentials.emailPassword("sol", "pw"));
      window.other = await Realm.open({ ...config, sync: { ...config.sync, user } });
      const keys = other.objects("Inspection").map((it) => `${it._id}`);
      return [other.path !== realm.path, keys, app.currentUser.id === user.id, Object.keys(app.allUsers).length];
    }"""
    assert await tab.run(script) == [True, [str(south.pk)], True, 2]
    assert await tab.run(
        """async () => {
          const { user } = config.sync;
          await user.logOut();
          await until(() => realm.syncSession.state === "inactive");
          return [user.state, other.syncSession.state];
        }"""
    ) == ["LoggedOut", "active"]
    made = await tab.create(**values(world, title="While logged out"))
    assert made not in await db(on_server, world)
    await tab.run('async () => { await app.logIn(Realm.Credentials.emailPassword("nora", "pw")); }')
    await tab.settle()
    assert (await db(on_server, world))[made] == ("While logged out", 0)
    await tab.close()


@SQLITE
async def test_subscriptions_progress_and_notifications(
    world: World, server: Callable[..., Server], contexts: Any
) -> None:
    url = server().url
    for number in range(30):
        await db(world.inspection, title=f"Lamp {number}", priority=number % 3)
    tab = await open_tab(await contexts(), url, "nora")
    script = """async () => {
      const seen = [];
      realm.syncSession.addProgressNotification("download", "reportIndefinitely", (estimate) => seen.push(estimate));
      await realm.subscriptions.update((subs) => {
        subs.removeByObjectType("Inspection");
        subs.add(realm.objects("Inspection").filtered("priority == $0", 2), { name: "urgent" });
      });
      const set = realm.subscriptions;
      const first = [realm.objects("Inspection").length, set.state, set.version, set.findByName("urgent").queryString];
      const results = await realm.objects("Inspection").filtered("priority == 1").subscribe({ behavior: "always", name: "other" });
      const second = [results.length, realm.objects("Inspection").length];
      results.unsubscribe();
      await realm.subscriptions.waitForSynchronization();
      const limited = realm.objects("Inspection").filtered("priority == 5 LIMIT(3)");
      const refusal = await realm.subscriptions.update((subs) => subs.add(limited)).catch((error) => error);
      const refused = refusal.message.split("\\n")[0];
      return [first, second, realm.objects("Inspection").length, refused, seen.at(-1), realm.syncSession.connectionState];
    }"""
    first, second, left, refused, estimate, connection = await tab.run(script)
    assert first == [10, "complete", 2, "priority == 2"] and second == [10, 20] and left == 10
    assert refused == "LIMIT cannot be used in a subscription: sort and limit the objects when you read them."
    assert (estimate, connection) == (1, "connected")
    await tab.close()


@SQLITE
async def test_partition_sync_is_a_subscription_for_each_class_with_the_field(
    world: World, server: Callable[..., Server], contexts: Any
) -> None:
    url = server(realm_sync={"PARTITION_FIELD": "team"}).url
    north, south = await db(world.inspection), await db(world.inspection, team=world.south)
    tab = await open_tab(await contexts(), url, "nora")
    script = """async (team) => {
      const { flexible, initialSubscriptions, ...sync } = config.sync;
      window.realm.close();
      window.realm = await Realm.open({ sync: { ...sync, partitionValue: new Realm.BSON.UUID(team) } });
      return [realm.path.split("/").pop(), Object.keys(titles()), realm._store.newestSet().subscriptions.map((s) => s.class)];
    }"""
    found = await tab.run(script, str(world.north.pk))
    assert found == [f"u_{world.north.pk}.realm", [str(north.pk)], ["Inspection", "Sample", "Kit"]]
    made = await tab.run(
        """() => realm.write(() => {
          const values = { _id: new Realm.BSON.UUID(), title: "x", priority: 1, airfield: "EDDM" };
          return `${realm.create("Inspection", values)._id}`;
        })"""
    )
    await tab.settle()
    inspection = await db(Inspection.objects.get, pk=made)
    assert inspection.team_id == world.north.pk and str(south.pk) not in await tab.titles()
    assert (await tab.run("() => { try { realm.subscriptions } catch (error) { return error.message } }")).startswith(
        "`subscriptions` can only be accessed if flexible sync is enabled"
    )
    await tab.close()


@SQLITE
async def test_without_web_locks_one_tab_has_the_realm(
    world: World, server: Callable[..., Server], contexts: Any
) -> None:
    url = server().url
    context = await contexts()
    await context.add_init_script("Object.defineProperty(Navigator.prototype, 'locks', { value: undefined })")
    nora = await open_tab(context, url, "nora")
    made = await nora.create(**values(world))
    await nora.settle()
    with pytest.raises(Exception, match="is open in another tab, and this page has no Web Locks"):
        await open_tab(context, url, "nora")
    await nora.close()
    again = await open_tab(context, url, "nora")
    assert await again.titles() == {made: ("Windsock", 0)}
    await again.close()


@SQLITE
async def test_without_indexed_db_a_realm_lives_in_its_tab_and_says_so(
    world: World, server: Callable[..., Server], contexts: Any
) -> None:
    url = server().url
    context = await contexts()
    await context.add_init_script(
        "IDBFactory.prototype.open = () => { throw new DOMException('not here', 'SecurityError') }"
    )
    tab = Tab(await context.new_page())
    said: list[str] = []
    tab.page.on("console", lambda message: said.append(message.text))
    await tab.page.goto(f"{url}/page/")
    await tab.run(SETUP, {"user": "nora", "options": {}})
    made = await tab.create(**values(world))
    await tab.settle()
    assert await db(on_server, world) == {made: ("Windsock", 0)}
    assert any("this browser gives no storage here" in text for text in said)
    await tab.close()


@SQLITE
async def test_a_user_deactivated_on_the_server_keeps_what_is_unsynced(
    world: World, server: Callable[..., Server], contexts: Any
) -> None:
    url = server(realm_sync={"RECHECK_SECONDS": 1}).url
    tab = await open_tab(await contexts(), url, "nora")
    world.nora.is_active = False
    await db(world.nora.save)
    await tab.run("() => until(() => realm.syncSession.state === 'inactive')")
    made = await tab.create(**values(world))
    await tab.run("() => realm.writesFlushed()")
    assert await tab.titles() == {made: ("Windsock", 0)}
    assert await tab.run("() => [errors.at(-1).isFatal, errors.at(-1).codeName, config.sync.user.state]") == [
        True,
        "AuthError",
        "LoggedOut",
    ]
    world.nora.is_active = True
    await db(world.nora.save)
    await tab.run('async () => { await app.logIn(Realm.Credentials.emailPassword("nora", "pw")); }')
    await tab.settle()
    assert await db(on_server, world) == {made: ("Windsock", 0)}
    await tab.close()


@SQLITE
async def test_an_expired_token_is_refreshed_without_anybody_noticing(
    world: World, server: Callable[..., Server], contexts: Any
) -> None:
    url = server(realm_sync={"ACCESS_TOKEN_SECONDS": 2, "RECHECK_SECONDS": 1}).url
    tab = await open_tab(await contexts(), url, "nora")
    token = await tab.run("() => app.currentUser.accessToken")
    await asyncio.sleep(2.5)
    await tab.run("() => realm.syncSession.reconnect()")
    made = await tab.create(**values(world))
    await tab.settle()
    await tab.run(OFFLINE)
    await tab.run(ONLINE)
    await tab.settle()
    assert await tab.run("() => app.currentUser.accessToken") != token
    assert await db(on_server, world) == {made: ("Windsock", 0)} and await tab.run("() => errors.length") == 0
    await tab.close()


@SQLITE
async def test_many_objects(world: World, server: Callable[..., Server], contexts: Any) -> None:
    """They arrive, are durable, are found again after a reload, and can be asked."""
    url = server().url
    count = 30_000  # benchmarks/browser.py has more
    rows = (
        Inspection(team=world.north, airfield_id="EDDM", title=f"Lamp {number:06}", priority=number % 1000)
        for number in range(count)
    )
    await db(Inspection.objects.bulk_create, rows, batch_size=5000)
    context = await contexts()
    tab = await open_tab(context, url, "nora", newRealmFileBehavior={"type": "downloadBeforeOpen"})
    asked = """() => {
      const all = realm.objects("Inspection");
      const found = all.filtered("priority == 7").sorted("title", true);
      return [all.length, found.length, found[0].title, all.filtered("title ENDSWITH '29999'").map((it) => it.title)];
    }"""
    expected = [count, 30, "Lamp 029007", ["Lamp 029999"]]
    assert await tab.run(asked) == expected
    key = await tab.run("() => `${realm.objects('Inspection').filtered('title == \"Lamp 000000\"')[0]._id}`")
    await tab.change(key, title="Changed")
    await tab.settle()
    await tab.close()
    again = await open_tab(context, url, "nora")
    assert await again.run(asked) == expected
    assert await again.run("(key) => find(key).title", key) == "Changed"
    await again.close()


@SQLITE
async def test_an_encrypted_realm_syncs_is_shared_by_tabs_and_copied(
    world: World, server: Callable[..., Server], contexts: Any
) -> None:
    url = server().url
    first = await db(world.inspection)
    context = await contexts()
    opening = """async () => {
      const { realm: plain } = window;
      window.key = new Uint8Array(64).fill(7);
      window.encrypted = (path, more) => ({ ...config, path, encryptionKey: key, ...more });
      window.realm = await Realm.open(encrypted("secret"));
      plain.close();
    }"""
    nora, other = await open_tab(context, url, "nora"), await open_tab(context, url, "nora")
    for tab in (nora, other):
        await tab.run(opening)
    made = await nora.create(**values(world))
    await other.until_titles({str(first.pk): ("Runway lights", 0), made: ("Windsock", 0)})
    await nora.settle()
    await db(Inspection.objects.filter(pk=first.pk).update, title="By the ORM")
    expected = {str(first.pk): ("By the ORM", 0), made: ("Windsock", 0)}
    for tab in (nora, other):
        await tab.until_titles(expected)
        await tab.run(OFFLINE)
    await other.change(made, title="Offline")
    refusal = "Could not write file as not all client changes are integrated in server"
    copying = "() => realm.writeCopyTo(encrypted('copy')).then(() => null, (error) => error.message)"
    assert await other.run(copying) == refusal
    await other.run("() => realm.writesFlushed()")
    for tab in (nora, other):
        await tab.close()

    # A new page: what was pending is there, is uploaded, and the copy of it all works offline and then as any other.
    again = await open_tab(context, url, "nora")
    await again.run(opening)
    expected[made] = ("Offline", 0)
    await again.until_titles(expected)
    await again.settle()
    assert await db(on_server, world) == expected
    assert await again.run(copying) is None
    await db(Inspection.objects.filter(pk=first.pk).update, priority=5)
    assert await again.run(
        """async () => {
          realm.close();
          window.realm = await Realm.open(encrypted("copy"));
          realm.syncSession.pause();
          return [Object.keys(titles()).length, realm.subscriptions.length];
        }"""
    ) == [2, 3]
    await again.change(made, priority=3)
    await again.run(ONLINE)
    await again.settle()
    expected = {str(first.pk): ("By the ORM", 5), made: ("Offline", 3)}
    await again.until_titles(expected)
    assert await db(on_server, world) == expected
    wrong = "() => Realm.open(encrypted('secret', { encryptionKey: new Uint8Array(64) }))"
    assert "is not the one that it was made with" in await again.run(f"{wrong}.catch((error) => error.message)")
    assert await again.run("() => errors.length") == 0
    await again.close()
