"""Client resets of the browser SDK end to end: every reason a server has for one, in every mode, counted; and what goes on
when they do not get through, with several realms of one file, and in several tabs."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from django.db import connections
from django.utils import timezone
from playwright.async_api import Browser, BrowserContext

from realm_sync import history
from realm_sync.conf import settings
from realm_sync.models import ClientFile
from tests.devices import on_server
from tests.pages import Tab, open_tab
from tests.servers import Server
from tests.testapp.models import Inspection
from tests.world import World, db

pytestmark = pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
MODES = ("recoverUnsyncedChanges", "recoverOrDiscardUnsyncedChanges", "discardUnsyncedChanges", "manual")
CREATED, UPDATED, DELETED = 20, 10, 5
"""What each file has not synced when it is reset, in a transaction each."""

HELPERS = """() => {
  Object.assign(delays, { first: 20, longest: 100 });
  window.files = {};
  window.again = 0; // times that the server answers `bind` with another client reset
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (frame) {
    if (!again || !frame.startsWith('{"type":"bind"')) return send.call(this, frame);
    again -= 1;
    const error = { type: "error", code: "ClientReset", message: "again", fatal: false, action: "reset" };
    setTimeout(() => this.onmessage?.({ data: JSON.stringify(error) }));
  };
  /** A file of its own; `heard` is what its hooks were called with. */
  window.openFile = async (name, mode, options = {}) => {
    const heard = [];
    const counted = (realm) => realm.objects("Inspection").filtered("title BEGINSWITH $0", name).length;
    const hooks = {
      onBefore: (before) => heard.push(["before", counted(before), before.isReadOnly]),
      onAfter: (before, after) => heard.push(["after", counted(before), counted(after)]),
      onFallback: (session, path) => heard.push(["fallback", session.state, path === files[name].realm.path]),
      onManual: (session, path) => heard.push(["manual", session.state, path]),
    };
    const { onManual, ...automatic } = hooks;
    const onError = (session, error) => heard.push(["error", session.state, error]);
    const clientReset = { mode, ...(mode === "manual" ? options.left === "onError" ? {} : { onManual } : automatic) };
    const settings = { ...config, path: `${name}.realm`, sync: { ...config.sync, clientReset, onError } };
    files[name] = { heard, counted, settings, realm: await Realm.open(settings) };
  };
  /** Closes it and opens it anew. Opened at `config`, it shows what was not synced. */
  window.putAside = async (name, backup, isByHand) => {
    const file = files[name];
    const { path } = file.realm;
    file.realm.close();
    if (isByHand) await Realm.App.Sync.initiateClientReset(app, path);
    file.realm = await Realm.open({ ...file.settings, sync: { ...file.settings.sync, newRealmFileBehavior: undefined } });
    const copy = await Realm.open(backup);
    const titles = copy.objects("Inspection").filtered("title BEGINSWITH $0", name).map((each) => each.title);
    copy.close();
    return titles;
  };
  window.ofFile = (name) => files[name].realm.objects("Inspection").filtered("title BEGINSWITH $0", name).map((each) => each.title).sort();
}"""
OPEN = "([name, mode, options]) => openFile(name, mode, options)"
WRITE_OFFLINE = """async ([name, team, created, updated, deleted]) => {
  const { realm } = files[name];
  const { UUID } = Realm.BSON;
  realm.syncSession.pause();
  const there = [...realm.objects("Inspection").filtered("title BEGINSWITH $0", name)];
  there.slice(0, deleted).forEach((each) => realm.write(() => realm.delete(each)));
  there.slice(deleted, deleted + updated).forEach((each) => realm.write(() => (each.title = `${name} updated`)));
  for (let at = 0; at < created; at += 1) {
    const values = { _id: new UUID(), title: `${name} created ${at}`, priority: at, airfield: "EDDM", team: new UUID(team) };
    realm.write(() => realm.create("Inspection", values));
  }
  await realm.writesFlushed();
  return realm.syncSession.pendingTransactions;
}"""
BACK = """async (name) => {
  const { realm, heard } = files[name];
  realm.syncSession.resume();
  await until(() => heard.length >= 2 || ["manual", "error"].includes(heard[0]?.[0]));
  if (realm.syncSession.state !== "active") return;
  await realm.syncSession.uploadAllLocalChanges(10_000);
  await realm.syncSession.downloadAllServerChanges(10_000);
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def context(chromium: Browser) -> AsyncIterator[BrowserContext]:
    made = await chromium.new_context()
    yield made
    await made.close()


async def opened(context: BrowserContext, url: str) -> Tab:
    tab = await open_tab(context, url, "nora")
    await tab.run(HELPERS)
    return tab


def inspections(world: World, name: str) -> None:
    count = DELETED + UPDATED + 1
    rows = [Inspection(team=world.north, airfield_id="EDDM", title=f"{name} before") for _ in range(count)]
    Inspection.objects.bulk_create(rows)


def held(world: World, name: str) -> list[str]:
    return sorted(title for title, _ in on_server(world).values() if title.startswith(name))


BEFORE = DELETED + UPDATED + 1
HERE = BEFORE - DELETED + CREATED


def with_all_of(name: str) -> list[str]:
    """The titles once everything that a file had not synced is there."""
    return sorted(
        [f"{name} before", *[f"{name} updated"] * UPDATED, *(f"{name} created {number}" for number in range(CREATED))]
    )


def prune(path: Path, world: World) -> None:
    Inspection.objects.filter(title="Nobody's").delete()
    history.prune(connections[settings.DATABASE], timezone.now() + timedelta(days=1))


def renew_epoch(path: Path, world: World) -> None:
    history.renew_epoch(connections[settings.DATABASE])


def put_back(path: Path, world: World) -> None:
    """The database as it was when `path` was copied, and nobody told it."""
    _copy(path, connections[settings.DATABASE].settings_dict["NAME"])


def ask_to_reset(path: Path, world: World) -> None:
    ClientFile.objects.using(settings.DATABASE).update(reset_reason="The operator says so.")


def keep_a_copy(path: Path) -> None:
    _copy(connections[settings.DATABASE].settings_dict["NAME"], path)


def _copy(source: Any, target: Any) -> None:
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


REASONS: dict[str, tuple[Callable[[Path, World], None], str, str]] = {
    "pruned": (prune, "onManual", "was pruned"),
    "epoch": (renew_epoch, "onError", "The file is of epoch"),
    "future": (put_back, "onError", "the newest here is"),
    "operator": (ask_to_reset, "onManual", "The operator says so."),
}


async def test_every_reason_in_every_mode(
    world: World, server: Callable[..., Server], context: BrowserContext, tmp_path: Path
) -> None:
    running = server()
    tab = await opened(context, running.url)
    await db(world.inspection, title="Nobody's")
    for reason, (happen, left, text) in REASONS.items():
        names = {mode: f"{reason}-{mode}" for mode in MODES}
        for mode, name in names.items():
            await db(inspections, world, name)
            await tab.run(OPEN, [name, mode, {"left": left}])
        if happen is put_back:
            await db(keep_a_copy, tmp_path / "copy.sqlite3")
            await db(Inspection.objects.filter(title__endswith="before").update, priority=3)
            for name in names.values():
                await tab.run("(name) => files[name].realm.syncSession.downloadAllServerChanges(10_000)", name)
        for name in names.values():
            pending = await tab.run(WRITE_OFFLINE, [name, str(world.north.pk), CREATED, UPDATED, DELETED])
            assert pending == CREATED + UPDATED + DELETED
        if happen is put_back:
            running.kill()
        else:
            await db(world.inspection, title="Meanwhile")
        await db(happen, tmp_path / "copy.sqlite3", world)
        if happen is put_back:
            running.start()

        for mode, name in names.items():
            await tab.run(BACK, name)
            heard = await tab.run(
                "(name) => files[name].heard.map((it) => it.map((each) => each?.message ?? each))", name
            )
            if mode == "manual":
                [[kind, state, told]] = heard
                assert (kind, state) == ("error" if left == "onError" else "manual", "inactive")
                assert left != "onError" or text in told
                at = "([,, told]) => told.config ?? { path: told, readOnly: true }"
                script = f"async ([name, isByHand]) => putAside(name, ({at})(files[name].heard[0]), isByHand)"
                aside = await tab.run(script, [name, left == "onManual"])
                assert sorted(aside) == with_all_of(name)
                expected = [f"{name} before"] * BEFORE
            else:
                is_kept = mode != "discardUnsyncedChanges"
                expected = with_all_of(name) if is_kept else [f"{name} before"] * BEFORE
                assert heard == [["before", HERE, True], ["after", HERE, len(expected)]]
            assert await db(held, world, name) == expected, name
            assert await tab.run("(name) => ofFile(name)", name) == expected, name
            assert await tab.run("(name) => files[name].realm.syncSession.pendingTransactions", name) == 0
            await tab.run("(name) => files[name].realm.close()", name)
    await tab.close()


async def test_resets_that_do_not_get_through(
    world: World, server: Callable[..., Server], context: BrowserContext, tmp_path: Path
) -> None:
    """The third in a row discards where that is allowed, and else fails: the file is put aside, and nothing is lost."""
    tab = await opened(context, server().url)
    for name, mode, again, end in (
        ("twice", "recoverUnsyncedChanges", 2, "after"),
        ("thrice", "recoverOrDiscardUnsyncedChanges", 3, "fallback"),
        ("failed", "recoverUnsyncedChanges", 3, "error"),
        ("lost", "discardUnsyncedChanges", 3, "error"),
        ("often", "recoverOrDiscardUnsyncedChanges", 4, "error"),
    ):
        await db(inspections, world, name)
        await tab.run(OPEN, [name, mode, {}])
        await tab.run(WRITE_OFFLINE, [name, str(world.north.pk), CREATED, UPDATED, DELETED])
        await tab.run("(times) => void (again = times)", again)
        await tab.run(BACK, name)
        heard = await tab.run("(name) => files[name].heard.map((it) => it.slice(0, 3))", name)
        if end == "after":
            assert heard == [["before", HERE, True], ["after", HERE, HERE]]
            assert await db(held, world, name) == with_all_of(name)
        elif end == "fallback":
            assert heard == [["before", HERE, True], ["fallback", "active", True]]
            assert await tab.run("(name) => ofFile(name)", name) == [f"{name} before"] * BEFORE
        else:
            script = """(name) => {
              const { heard: [[, state, error]], realm } = files[name];
              const { name: kind, code, codeName, isFatal, message, logUrl, config, userInfo } = error;
              const { ORIGINAL_FILE_PATH: original, RECOVERY_FILE_PATH: backup } = userInfo;
              const paths = [original === realm.path, backup === config.path, config.readOnly];
              const text = message.startsWith(`A fatal error occurred during 'ClientReset' client reset for '${realm.path}': `);
              return [state, kind, code, codeName, isFatal, logUrl, text, ...paths];
            }"""
            failure = ["inactive", "ClientReset", 1028, "AutoClientResetFailed", True, ""]
            assert await tab.run(script, name) == [*failure, True, True, True, True]
            assert len(heard) == 1
            assert await tab.run("(name) => files[name].realm.syncSession.pendingTransactions", name) == 35
            aside = await tab.run("(name) => putAside(name, files[name].heard[0][2].config, false)", name)
            assert sorted(aside) == with_all_of(name)
            assert await tab.run("(name) => ofFile(name)", name) == [f"{name} before"] * BEFORE
            assert await db(held, world, name) == [f"{name} before"] * BEFORE
        await tab.run("(name) => files[name].realm.close()", name)
    await tab.close()


async def test_every_realm_of_the_file_hears_in_the_order_of_opening(
    world: World, server: Callable[..., Server], context: BrowserContext
) -> None:
    await db(world.inspection)
    tab = await opened(context, server().url)
    script = """async () => {
      realm.close();
      window.heard = [];
      const complaints = [];
      addEventListener("error", (event) => (complaints.push(event.message), event.preventDefault()));
      const wrong = () => { throw new Error("a hook of the app's"); };
      const hooks = (who) => ({
        mode: "recoverUnsyncedChanges",
        onBefore: (before) => {
          heard.push([`${who} before`, before]);
          if (who === "first") wrong();
        },
        onAfter: (before, after) => {
          heard.push([`${who} after`, before, after, before.isClosed, before.objects("Inspection").length]);
          if (who === "first") wrong();
        },
      });
      const open = (clientReset) => Realm.open({ ...config, sync: { ...config.sync, clientReset } });
      const realms = [await open(hooks("first")), await open(undefined), await open(hooks("second"))];
      const closed = await open(hooks("closed"));
      closed.close();
      await until(() => realms[0].syncSession.isConnected());
      again = 1;
      realms[0].syncSession.pause();
      await until(() => !realms[0].syncSession.isConnected());
      realms[0].syncSession.resume();
      await until(() => heard.length === 4);
      await realms[0].syncSession.downloadAllServerChanges();
      const [one, two, three, four] = heard;
      realms[1].close();
      return [
        heard.map(([what]) => what), [three[1] === one[1], four[1] === two[1], three[2] === realms[0], four[2] === realms[2]],
        [three[3], four[3], three[4], four[4]], [one[1].isClosed, two[1].isClosed], complaints.length,
        realms[0].objects("Inspection").length,
      ];
    }"""
    assert await tab.run(script) == [
        ["first before", "second before", "first after", "second after"],
        [True] * 4,
        [False, False, 1, 1],
        [True, True],
        2,
        1,
    ]
    await tab.page.close()


async def test_two_tabs(world: World, server: Callable[..., Server], context: BrowserContext) -> None:
    """Hooks run where the session is, in the leading tab; a reset that is left to the app, or failed, stops every tab and
    is told to each."""
    url = server().url
    await db(world.inspection)
    leader, other = await opened(context, url), await opened(context, url)
    for name, mode, again in (
        ("both", "recoverUnsyncedChanges", 1),
        ("failing", "recoverUnsyncedChanges", 3),
        ("left", "manual", 1),
    ):
        await db(inspections, world, name)
        for tab in (leader, other):
            await tab.run(OPEN, [name, mode, {}])
        for tab in (leader, other):
            await tab.run("(name) => until(() => files[name].realm.syncSession.connectionState === 'connected')", name)
        write = """([name, team, what]) => {
          const { realm } = files[name];
          const values = { _id: new Realm.BSON.UUID(), title: `${name} of ${what}`, airfield: "EDDM", team: new Realm.BSON.UUID(team) };
          realm.write(() => realm.create("Inspection", values));
          return realm.writesFlushed();
        }"""
        await leader.run("(name) => files[name].realm.syncSession.pause()", name)
        for tab, what in ((leader, "the leader"), (other, "the other")):
            await tab.run(write, [name, str(world.north.pk), what])
        wait = """(name) => {
          files[name].ended = files[name].realm.syncSession.downloadAllServerChanges().then(() => "done", (error) => error.name);
        }"""
        for tab in (leader, other):
            await tab.run("(name) => until(() => ofFile(name).length === 18)", name)
            await tab.run("(name) => until(() => files[name].realm.syncSession.state === 'inactive')", name)
            await tab.run(wait, name)
        await leader.run("(times) => void (again = times)", again)
        await leader.run("(name) => files[name].realm.syncSession.resume()", name)
        states = []
        for tab in (leader, other):
            states.append(await tab.run("(name) => files[name].ended", name))
        if name == "both":
            assert states == ["done", "done"]
            assert [len(await tab.run("(name) => files[name].heard", name)) for tab in (leader, other)] == [2, 0]
            await other.run("(name) => files[name].realm.syncSession.uploadAllLocalChanges()", name)
            expected = sorted([f"{name} before"] * BEFORE + [f"{name} of the leader", f"{name} of the other"])
            assert await db(held, world, name) == expected
            for tab in (leader, other):
                assert await tab.run("(name) => ofFile(name)", name) == expected
            continue
        assert states == ["ClientReset", "ClientReset"]
        told = """(name) => files[name].heard.map(([kind, state, what]) =>
          [kind, state, files[name].realm.syncSession.state, what.config?.path ?? what])"""
        first, second = [await tab.run(told, name) for tab in (leader, other)]
        assert first == second and len(first) == 1
        assert first[0][:3] == ["manual" if name == "left" else "error", "inactive", "inactive"]
        await other.run("(name) => files[name].realm.close()", name)
        aside = await leader.run(
            "([name, path]) => putAside(name, { path, readOnly: true }, false)", [name, first[0][3]]
        )
        assert len(aside) == 18 and f"{name} of the other" in aside
        assert await leader.run("(name) => ofFile(name)", name) == [f"{name} before"] * BEFORE
    for tab in (leader, other):
        await tab.close()
