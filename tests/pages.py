"""Pages of a browser as an app uses the SDK: realms in tabs of Chromium, for tests with real servers.

    tab = await open_tab(context, server.url, "nora")
    await tab.create(title="Windsock", team=…); await tab.settle()

Everything a test wants of the page goes through `page.evaluate`; `realm`, `app`, `Realm` and the functions of HELPERS
are globals there. What the page complains about fails the test that closes it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
from playwright.async_api import BrowserContext, Page

from realm_sync.core.messages import AnyEdit

SETUP = """async ({user, options}) => {
  const { default: Realm } = await import("realm");
  const { delays } = await import("/static/realm_sync/client/transport.js");
  Object.assign(delays, { first: 100, longest: 500 });
  const classes = ["Inspection", "Team", "Airfield"];
  const app = new Realm.App();
  const isKnown = (each) => each.isLoggedIn && each.profile.email === `${user}@example.org`;
  const known = Object.values(app.allUsers).find(isKnown);
  const errors = [];
  const config = {
    sync: {
      user: known ?? (await app.logIn(Realm.Credentials.emailPassword(user, "pw"))),
      flexible: true,
      initialSubscriptions: { update: (subs, realm) => classes.forEach((name) => subs.add(realm.objects(name))) },
      existingRealmFileBehavior: { type: "openImmediately" },
      onError: (session, error) => errors.push(error),
      ...options,
    },
  };
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const until = async (condition, seconds = 15) => {
    const end = performance.now() + seconds * 1000;
    while (!(await condition())) {
      if (performance.now() > end) throw new Error(`did not happen within ${seconds} s: ${condition}`);
      await sleep(5);
    }
  };
  const titles = () => Object.fromEntries(realm.objects("Inspection").map((it) => [`${it._id}`, [it.title, it.priority]]));
  const images = (name) => Object.fromEntries([...realm._store.tables.get(name).objects.values()].map((image) => [image._id, image]));
  const { UUID } = Realm.BSON;
  const create = ({ team, ...values }) =>
    realm.write(() => `${realm.create("Inspection", { _id: new UUID(), team: new UUID(team), ...values })._id}`);
  const find = (id) => realm.objectForPrimaryKey("Inspection", new UUID(id));
  const change = (id, values) => realm.write(() => Object.assign(find(id), values));
  const settle = async () => {
    await realm.syncSession.uploadAllLocalChanges(30_000);
    await realm.syncSession.downloadAllServerChanges(30_000);
  };
  Object.assign(window, { Realm, delays, app, config, errors, sleep, until, titles, images, create, find, change, settle });
  window.realm = await Realm.open(config);
}"""


class Tab:
    """One tab with one realm open."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(f"{error.message}\n{error.stack}"))

    async def run(self, script: str, argument: Any = None) -> Any:
        """The value of a JavaScript function, called with `argument`."""
        return await self.page.evaluate(script, argument)

    async def create(self, **values: Any) -> str:
        created: str = await self.run("(values) => create(values)", values)
        return created

    async def change(self, key: str, **values: Any) -> None:
        await self.run("([key, values]) => void change(key, values)", [key, values])

    async def titles(self) -> dict[str, tuple[str, int]]:
        return {key: tuple(value) for key, value in (await self.run("() => titles()")).items()}

    async def settle(self) -> None:
        await self.run("() => settle()")

    async def until_titles(self, expected: dict[str, tuple[str, int]]) -> None:
        """Waits until the page shows just these; says what it shows otherwise."""
        text = json.dumps({key: list(value) for key, value in expected.items()}, sort_keys=True)
        script = """(text) => {
          const sorted = () => JSON.stringify(Object.fromEntries(Object.entries(titles()).sort()));
          return until(() => sorted() === JSON.stringify(JSON.parse(text))).then(() => null, () => titles());
        }"""
        found = await self.run(script, text)
        assert found is None, f"expected {expected}, the page shows {found}"

    async def close(self) -> None:
        """As a user closes a tab: without a word."""
        await self.page.close()
        assert not self.complaints, "\n".join(self.complaints)


async def open_tab(context: BrowserContext, url: str, user: str, **options: Any) -> Tab:
    """A tab of a user, with the realm open: a new one when its data is here, an existing one at once."""
    tab = Tab(await context.new_page())
    await tab.page.goto(f"{url}/page/")
    await tab.run(SETUP, {"user": user, "options": options})
    return tab


NETWORK = """() => {
  // A websocket that breaks after so many frames, in whichever direction, and sends some uploads twice.
  window.network = { left: Infinity, repeats: 0, open: new Set() };
  window.WebSocket = class extends WebSocket {
    constructor(...args) {
      super(...args);
      network.open.add(this);
      this.addEventListener("message", (event) => this.#lost() && event.stopImmediatePropagation());
      this.addEventListener("close", () => network.open.delete(this));
    }
    #lost() {
      network.left -= 1;
      if (network.left < 0) this.close();
      return network.left < 0;
    }
    send(frame) {
      if (this.#lost()) return;
      super.send(frame);
      if (frame.startsWith('{"type":"upload"') && Math.random() < network.repeats) super.send(frame);
    }
  };
}"""

DEVICE = """async (path) => {
  const config = { ...window.config, path, sync: { ...window.config.sync, initialSubscriptions: undefined } };
  for (const behavior of ["newRealmFileBehavior", "existingRealmFileBehavior"]) config.sync[behavior] = { type: "openImmediately" };
  const opening = Realm.open(config);
  window.realm = await opening;
  const { store } = realm._file;
  window.device = {
    write(op, name, key, timestamp, values) {
      const table = store.tables.get(name);
      if (!table || table.objects.has(key) === (op === "create")) return false;
      const writer = store.writer();
      if (op === "create") writer.create(table, { _id: key, ...values });
      else if (op === "update") writer.update(table, key, values);
      else writer.delete(table, key);
      writer.finish(timestamp);
      realm._file.changed();
      return true;
    },
    edit(timestamp, steps) {
      const [{ class: name, _id: key }] = steps;
      const table = store.tables.get(name);
      if (!table?.objects.has(key)) return false;
      const writer = store.writer();
      try {
        for (const step of steps) writer.edit(table, key, step);
      } catch (error) {
        writer.cancel();
        if (error.name === "EditError") return false;
        throw error;
      }
      writer.finish(timestamp);
      realm._file.changed();
      return true;
    },
    subscribe(queries) {
      const now = new Date().toISOString();
      const made = { createdAt: now, updatedAt: now };
      const items = queries.map(([name, query], at) => ({ id: `${at}`.padStart(24, "0"), class: name, query, ...made }));
      realm._addSet(items);
    },
    async settle() {
      network.left = Infinity;
      network.repeats = 0;
      realm.syncSession.resume();
      await realm.writesFlushed();
      for (const _ of [1, 2]) {
        await realm.syncSession.uploadAllLocalChanges(20_000);
        await realm.subscriptions.waitForSynchronization();
        await realm.syncSession.downloadAllServerChanges(20_000);
      }
    },
  };
}"""


class PageDevice:
    """A client file in a page, with the face of tests/network.py's Device: what that does in this process, this does in
    a browser that talks to a real server. A restart kills the tab."""

    def __init__(self, context: BrowserContext, url: str, path: str) -> None:
        self.context, self.url, self.path = context, url, path
        self.complaints: list[str] = []

    @classmethod
    async def open(cls, context: BrowserContext, url: str, path: str) -> PageDevice:
        device = cls(context, url, path)
        await device._start()
        return device

    async def _start(self) -> None:
        self.page = await self.context.new_page()
        self.page.on("pageerror", lambda error: self.complaints.append(f"{error.message}\n{error.stack}"))
        await self.page.goto(f"{self.url}/page/")
        await self.page.evaluate(NETWORK)
        await self.page.evaluate(
            SETUP, {"user": "nora", "options": {"newRealmFileBehavior": {"type": "openImmediately"}}}
        )
        await self.page.evaluate("() => realm.close()")
        await self.page.evaluate(DEVICE, self.path)
        await self.disconnect()

    async def write(self, op: str, class_name: str, key: Any, timestamp: int, **values: Any) -> bool:
        written: bool = await self.page.evaluate(
            "(all) => device.write(...all)", [op, class_name, key, timestamp, values]
        )
        return written

    async def edit(self, timestamp: int, edits: Sequence[AnyEdit]) -> bool:
        """False also if what they were made for has changed meanwhile: a page does not wait for a test."""
        steps = [msgspec.to_builtins(edit) for edit in edits]
        written: bool = await self.page.evaluate("(all) => device.edit(...all)", [timestamp, steps])
        return written

    async def ident(self) -> int | None:
        """The client file's, once the server has given it one."""
        ident: int | None = await self.page.evaluate("() => realm._file.store.file.clientFile?.ident ?? null")
        return ident

    async def subscribe(self, *queries: tuple[str, str]) -> None:
        await self.page.evaluate("(queries) => device.subscribe(queries)", [list(query) for query in queries])

    async def connect(self, chaos: Any = None, frames: int | None = None) -> None:
        script = "([left, repeats]) => { Object.assign(network, { left, repeats }); realm.syncSession.resume(); }"
        await self.page.evaluate(script.replace("left, repeats }", "left: left ?? Infinity, repeats }"), [frames, 0.2])

    async def disconnect(self) -> None:
        await self.page.evaluate(
            "() => { for (const socket of network.open) socket.close(); realm.syncSession.pause(); }"
        )

    async def restart(self) -> None:
        await self.page.evaluate("() => realm.writesFlushed()")  # what is not durable, nobody was promised
        await self.page.close()
        await self._start()

    async def settle(self) -> None:
        await self.page.evaluate("() => device.settle()")

    async def objects(self, class_name: str) -> dict[Any, dict[str, Any]]:
        script = "(name) => JSON.stringify(realm._file.store.tables.has(name) ? images(name) : {})"
        found: dict[Any, dict[str, Any]] = json.loads(await self.page.evaluate(script, class_name))
        return found

    async def close(self) -> None:
        await self.page.close()
