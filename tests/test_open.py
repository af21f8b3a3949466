"""R11: every way to open a realm, the same table for both clients: tests/vectors/open.json, which says what its words mean.

Each case is a file of its own, opened against a real server through a proxy that is cut or slow; all of them at once,
because most of them wait. What must come later is looked at when the network is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from playwright.async_api import Browser

from realm_sync.client import (
    App,
    Credentials,
    InitialSubscriptions,
    OpenBehavior,
    Realm,
    SyncConfiguration,
    User,
    open_files,
)
from realm_sync.client.settings import ClientSettings
from tests.chaos import Proxy, until
from tests.devices import come_back_soon
from tests.servers import Server
from tests.world import World, db

VECTORS = json.loads((Path(__file__).parent / "vectors" / "open.json").read_text())
BEHAVIORS, CASES = VECTORS["behaviors"], VECTORS["cases"]
INSPECTION = {
    "name": "Inspection",
    "primaryKey": "_id",
    "properties": {"_id": "uuid", "title": "string", "priority": "int"},
}
CONTENTS = {"nothing": [], "kept": ["First"], "all": ["First", "Second"]}
TOO_LONG = "n" * 201  # a subscription's name that the server refuses
SQLITE = pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)


class Site:
    """One server with its settings, a network that is away and one that is slow."""

    def __init__(self, server: Server, cables: contextlib.ExitStack) -> None:
        self.url = server.url
        self.offline, self.slow = cables.enter_context(Proxy(server.port)), cables.enter_context(Proxy(server.port))
        self.offline.refuses, self.slow.delay = True, 0.25
        self.urls = {"online": self.url, "refused": self.url, "offline": self.offline.url, "slow": self.slow.url}

    def mend(self) -> None:
        self.offline.refuses, self.slow.delay = False, 0


@pytest.fixture
def sites(world: World, server: Callable[..., Server]) -> Iterator[dict[str | None, Site]]:
    """By the name of their settings."""

    def start(name: str | None) -> Server:
        given = VECTORS["settings"].get(name, {})
        return server(realm_sync={key: BEHAVIORS.get(str(value), value) for key, value in given.items()})

    get_user_model().objects.create_user("nils", "nils@example.org", "pw").teams.add(world.north)
    with contextlib.ExitStack() as cables, ThreadPoolExecutor() as pool:
        names = [None, *VECTORS["settings"]]
        yield {name: Site(each, cables) for name, each in zip(names, pool.map(start, names), strict=True)}


def of(contents: list[str]) -> str:
    return next((name for name, titles in CONTENTS.items() if titles == contents), str(contents))


def differences(case: dict[str, Any], got: dict[str, Any]) -> Iterator[str]:
    """What is not as the case says, in sentences."""
    if "rejects" in case:
        texts = [case["rejects"]] if isinstance(case["rejects"], str) else case["rejects"]
        if not str(got["rejected"]).startswith(tuple(texts)):
            yield f"should be rejected with {case['rejects']!r}, not {got['rejected']!r}"
    elif got["rejected"] is not None:
        yield f"was rejected: {got['rejected']}"
    else:
        # Where it is online the rest may have come before anybody could look.
        accepted = {case["opens"]} | ({case["later"]} if case["network"] == "online" and "later" in case else set())
        if of(got["opened"]) not in accepted:
            yield f"opened with {of(got['opened'])}, not {case['opens']}"
        if "later" in case and of(got["later"]) != case["later"]:
            yield f"came to {of(got['later'])}, not {case['later']}"
    if got["waited"] < case.get("waits", 0):
        yield f"waited {got['waited']:.0f} ms, less than {case['waits']}"
    if bool(case.get("pending")) != got["pending"]:
        yield f"was {'' if got['pending'] else 'not '}pending while the network was away"
    if "runs" in case and got["runs"] != case["runs"]:
        yield f"its subscriptions ran {got['runs']} times, not {case['runs']}"
    if "rejects" in case and got["left"]:
        yield "left a session behind"


def check(results: dict[str, dict[str, Any]]) -> None:
    assert list(results) == [case["name"] for case in CASES]
    wrong = [f"{case['name']}: {line}" for case in CASES for line in differences(case, results[case["name"]])]
    assert not wrong, "\n".join(wrong)


# --- Python ----------------------------------------------------------------------------------------------------------


class PythonCase:
    """One case, one file."""

    def __init__(self, case: dict[str, Any], user: Callable[[str], User], directory: Path) -> None:
        self.case, self._user, self.runs = case, user, 0
        self.local = directory / f"{CASES.index(case)}.realm" if case.get("call") == "local" else None
        self.realm: Realm | None = None
        self.got: dict[str, Any] = {"rejected": None, "opened": [], "later": [], "waited": 0.0, "left": False}

    def config(self, network: str, **options: Any) -> dict[str, Any]:
        case = self.case
        if self.local is not None:
            return {"path": self.local, "schema": [INSPECTION]}

        def subscribe(subscriptions: Any, realm: Realm) -> None:
            self.runs += 1
            name = TOO_LONG if case.get("subscriptions") == "refused" and "prepares" not in options else None
            subscriptions.add(realm.objects("Inspection"), name=name)

        given = {"new_realm_file_behavior": case.get("new"), "existing_realm_file_behavior": case.get("existing")}
        given |= options.get("behaviors", {})
        sync = SyncConfiguration(
            self._user(network),
            None
            if case.get("subscriptions") == "none" and "prepares" not in options
            else InitialSubscriptions(subscribe, case.get("rerun", False)),
            cancel_waits_on_non_fatal_error=None if "prepares" in options else case.get("cancelWaits"),
            **{name: behavior(given[name]) for name in given},
        )
        schema = [INSPECTION] if case.get("classes", True) else None
        return {"path": f"case {CASES.index(case)}", "schema": schema, "sync": sync}

    def prepare(self) -> None:
        if self.local is not None and self.case["file"] == "existing":
            with Realm(**self.config("")) as realm, realm.write():
                realm.create("Inspection", {"_id": uuid.uuid4(), "title": "First", "priority": 0})
        elif self.local is None and self.case["file"] == "existing":
            wait = {"new_realm_file_behavior": "wait"}
            Realm.open(**self.config("online", prepares=True, behaviors=wait)).result(30).close()

    def abort(self) -> None:
        if self.case["file"] == "aborted":
            wait = {"new_realm_file_behavior": "waitOrThrow"}
            with pytest.raises(TimeoutError):
                Realm.open(**self.config("offline", prepares=True, behaviors=wait)).result(30)

    def run(self) -> None:
        config, call = self.config(self.case["network"]), self.case.get("call")
        self.runs, began = 0, time.monotonic()
        try:
            if call == "synchronously":
                self.realm = Realm(**config)
            else:
                opening = Realm.open(**config)
                if call == "cancelled":
                    threading.Timer(0.3, opening.cancel).start()
                self.realm = opening.result(60)
            self.got["opened"] = self.titles()
        except Exception as error:
            self.got["rejected"] = getattr(error, "message", str(error))
        self.got["waited"] = (time.monotonic() - began) * 1000

    def titles(self) -> list[str]:
        names = {cls.name for cls in self.realm.schema}
        return sorted(it.title for it in self.realm.objects("Inspection")) if "Inspection" in names else []

    def end(self) -> None:
        if self.realm is not None and "later" in self.case:
            with contextlib.suppress(AssertionError):
                until(lambda: self.titles() == CONTENTS[self.case["later"]])
            self.got["later"] = self.titles()
        if self.realm is not None:
            self.realm.close()
        elif self.local is None:
            path = str(
                self._user(self.case["network"]).app.realm_path(
                    self._user("online").id, f"case {CASES.index(self.case)}"
                )
            )
            with contextlib.suppress(AssertionError):
                until(lambda: path not in open_files._open)
            self.got["left"] = path in open_files._open
        self.got["runs"] = self.runs


def behavior(name: str | None) -> OpenBehavior | None:
    if name is None:
        return None
    return ClientSettings.from_wire({"newRealmFileBehavior": BEHAVIORS[name]}).new_realm_file_behavior


@SQLITE
def test_python(world: World, sites: dict[str | None, Site], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    come_back_soon(monkeypatch)
    world.inspection(title="First")
    apps: dict[Any, App] = {}
    for name, site in sites.items():
        directory = tmp_path / str(name)
        for person in ("nora", "nils"):
            App("realm-sync", base_url=site.url, base_file_path=directory).log_in(
                Credentials.email_password(person, "pw")
            ).result(20)
        for network, url in site.urls.items():
            apps[name, network] = App("realm-sync", base_url=url, base_file_path=directory)

    def user_of(case: dict[str, Any]) -> Callable[[str], User]:
        email = "nils@example.org" if case["network"] == "refused" else "nora@example.org"

        def user(network: str) -> User:
            users = apps[case.get("settings"), network].all_users.values()
            return next(each for each in users if each.profile["email"] == email)

        return user

    cases = [PythonCase(case, user_of(case), tmp_path) for case in CASES]
    with ThreadPoolExecutor(len(cases)) as pool:
        list(pool.map(PythonCase.prepare, cases))
        world.inspection(title="Second")
        list(pool.map(PythonCase.abort, cases))
        get_user_model().objects.filter(username="nils").update(is_active=False)
        running = {case.case["name"]: pool.submit(case.run) for case in cases}
        for case in cases:
            if not case.case.get("pending"):
                running[case.case["name"]].result(60)
        for case in cases:
            case.got["pending"] = not running[case.case["name"]].done()
        for site in sites.values():
            site.mend()
        list(pool.map(lambda case: (running[case.case["name"]].result(60), case.end()), cases))
    check({case.case["name"]: case.got for case in cases})


# --- the browser SDK -------------------------------------------------------------------------------------------------

PAGE = """async ({ cases, behaviors, urls, contents, inspection, tooLong }) => {
  const { default: Realm } = await import("realm");
  const { delays } = await import("/static/realm_sync/client/transport.js");
  Object.assign(delays, { first: 100, longest: 500 });
  const { UUID } = Realm.BSON;
  const first = new Realm.App();
  for (const person of ["nora", "nils"]) await first.logIn(Realm.Credentials.emailPassword(person, "pw"));
  const apps = Object.fromEntries(Object.entries(urls).map(([network, baseUrl]) => [network, new Realm.App({ baseUrl, id: first.id })]));
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const userOf = ({ network }, over) => {
    const email = `${network === "refused" ? "nils" : "nora"}@example.org`;
    return Object.values(apps[over].allUsers).find((each) => each.profile.email === email);
  };
  const files = cases.map((spec, at) => {
    const got = { rejected: null, opened: [], later: [], waited: 0, left: false, pending: true, runs: 0 };
    const path = `case ${at}`;
    const isLocal = spec.call === "local";
    let realm = null;
    const configuration = (over, overrides) => {
      if (isLocal) return { path, schema: [inspection] };
      const isPreparing = overrides !== undefined;
      const name = spec.subscriptions === "refused" && !isPreparing ? tooLong : undefined;
      const update = (subs, realm) => {
        got.runs += 1;
        subs.add(realm.objects("Inspection"), { name });
      };
      const chosen = { new: spec.new, existing: spec.existing, ...overrides };
      const sync = { user: userOf(spec, over), flexible: true, onError: () => {} };
      if (isPreparing || spec.subscriptions !== "none") sync.initialSubscriptions = { update, rerunOnOpen: spec.rerun };
      if (chosen.new) sync.newRealmFileBehavior = behaviors[chosen.new];
      if (chosen.existing) sync.existingRealmFileBehavior = behaviors[chosen.existing];
      if (!isPreparing && spec.cancelWaits !== undefined) sync.cancelWaitsOnNonFatalError = spec.cancelWaits;
      return { path, sync, ...(spec.classes !== false && { schema: [inspection] }) };
    };
    const titles = () =>
      realm.schema.some(({ name }) => name === "Inspection") ? [...realm.objects("Inspection")].map((it) => it.title).sort() : [];
    const file = `/${encodeURIComponent(path)}.realm`;
    const ended = async () => {
      const isOpen = () => Realm.App.Sync.getAllSyncSessions(userOf(spec, spec.network)).some((each) => each._path.endsWith(file));
      for (let tries = 0; isOpen() && tries < 500; tries += 1) await sleep(10);
      got.left = isOpen();
    };
    return {
      got,
      spec,
      async prepare() {
        if (spec.file !== "existing") return;
        const made = await Realm.open(configuration("online", { new: "wait" }));
        if (isLocal) made.write(() => made.create("Inspection", { _id: new UUID(), title: "First", priority: 0 }));
        await made.writesFlushed();
        made.close();
        await ended();
      },
      async abort() {
        if (spec.file !== "aborted") return;
        const error = await Realm.open(configuration("offline", { new: "waitOrThrow" })).then(() => null, (error) => error);
        if (!error?.message.startsWith("Timed out")) throw new Error(`the first attempt was not aborted: ${error}`);
        await ended();
      },
      async run() {
        const config = configuration(spec.network);
        got.runs = 0;
        const began = performance.now();
        try {
          if (spec.call === "synchronously") {
            realm = new Realm(config);
            await realm.whenLoaded();
          } else {
            const opening = Realm.open(config);
            if (spec.call === "cancelled") setTimeout(() => opening.cancel(), 300);
            realm = await opening;
          }
          got.opened = titles();
        } catch (error) {
          got.rejected = error.message;
        }
        got.waited = performance.now() - began;
        got.pending = false;
      },
      async end() {
        if (realm && spec.later) {
          const wanted = JSON.stringify(contents[spec.later]);
          for (let tries = 0; tries < 2000 && JSON.stringify(titles()) !== wanted; tries += 1) await sleep(10);
          got.later = titles();
        }
        if (realm) realm.close();
        else if (!isLocal) await ended();
      },
    };
  });
  const within = (work, { spec }) =>
    Promise.race([work, sleep(45_000).then(() => Promise.reject(new Error(`hangs: ${spec.name}`)))]);
  const all = (verb) => Promise.all(files.map((file) => within(file[verb](), file)));
  window.steps = {
    prepare: () => all("prepare"),
    abort: () => all("abort"),
    run: async () => {
      window.running = files.map((file) => file.run());
      await Promise.all(files.map((file, at) => file.spec.pending || within(window.running[at], file)));
      return files.map(({ got }) => got.pending);
    },
    end: async () => {
      await Promise.all(files.map((file, at) => within(window.running[at], file)));
      await all("end");
      return files.map(({ got }) => got);
    },
  };
}"""


@SQLITE
async def test_browser(world: World, sites: dict[str | None, Site], chromium: Browser) -> None:
    await db(world.inspection, title="First")
    context = await chromium.new_context()
    pages, cases = {}, {name: [case for case in CASES if case.get("settings") == name] for name in sites}
    for name, site in sites.items():
        pages[name] = page = await context.new_page()
        await page.goto(f"{site.url}/page/")
        setup = {"cases": cases[name], "behaviors": BEHAVIORS, "urls": site.urls, "contents": CONTENTS}
        await page.evaluate(PAGE, setup | {"inspection": INSPECTION, "tooLong": TOO_LONG})

    async def step(verb: str) -> dict[str, Any]:
        """Of all cases, by name."""
        answers = await asyncio.gather(*(pages[name].evaluate(f"() => steps.{verb}()") for name in sites))
        pairs = [zip(cases[name], answer, strict=True) for name, answer in zip(sites, answers, strict=True)]
        found = {case["name"]: value for each in pairs for case, value in each}
        return {case["name"]: found[case["name"]] for case in CASES}

    await step("prepare")
    await db(world.inspection, title="Second")
    await step("abort")
    await db(get_user_model().objects.filter(username="nils").update, is_active=False)
    pending = await step("run")
    for site in sites.values():
        site.mend()
    results = await step("end")
    check({name: got | {"pending": pending[name]} for name, got in results.items()})
