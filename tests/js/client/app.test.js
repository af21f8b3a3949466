// client/app.js, with a fake fetch; a second instance of the module is another tab.
import { App, Credentials, files, ProviderType, User, UserState, VERSION } from "/realm_sync/client/app.js";
import { equal, ok, test, throws } from "../harness.js";

const API = "/api/client/v2.0";
const hour = () => Date.now() / 1000 + 3600;

function jwt(claims) {
  const bytes = new TextEncoder().encode(JSON.stringify({ exp: hour(), ...claims }));
  return `h.${btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}.s`;
}

/** What the server answers; `calls` is what it was asked. */
class Server {
  calls = [];
  revoked = false;
  failing = null;
  exp = hour();
  config = { newRealmFileBehavior: { type: "openImmediately" } };
  deletion = [204, null];
  #logIns = 0;

  fetch = async (url, { method, headers, body, credentials, signal }) => {
    ok(signal instanceof AbortSignal);
    const { pathname: path, search } = new URL(url);
    equal(search, path.endsWith("/config") ? "?client=web" : "");
    const token = headers.Authorization?.replace("Bearer ", "") ?? null;
    this.calls.push({ method, path, body: body ? JSON.parse(body) : null, token, credentials });
    if (this.failing) throw this.failing;
    const [status, answer] = this.answer(`${method} ${path.replace(API, "")}`, body && JSON.parse(body));
    return new Response(typeof answer === "string" || answer === null ? answer : JSON.stringify(answer), { status });
  };

  answer(route, body) {
    const logIn = /^POST \/app\/[^/]+\/auth\/providers\/([a-z-]+)\/login$/.exec(route);
    if (logIn) {
      if (body.password === "wrong") return [401, { error: "unauthorized", error_code: "InvalidPassword" }];
      if (logIn[1] === "api-key") return [200, { access_token: "no token" }];
      const number = ++this.#logIns;
      const id = logIn[1] === "anon-user" ? `anon${number}` : (body.username ?? logIn[1]);
      const access = jwt({ sub: id, number, exp: this.exp, user_data: { team: "Nørd ☃" } });
      return [200, { access_token: access, refresh_token: `refresh ${number}`, user_id: id, device_id: "d1" }];
    }
    if (this.revoked && !route.startsWith("GET /auth/profile")) {
      return [401, { error: "invalid session: revoked", error_code: "InvalidSession" }];
    }
    if (route === "GET /auth/profile") {
      const identities = [{ id: "1", provider_type: "local-userpass" }];
      return [200, { identities, data: { email: "nora@example.org", first_name: "Nora" } }];
    }
    if (route.endsWith("/config")) return this.config ? [200, { appId: "x", ...this.config }] : [503, "<html>"];
    if (route === "DELETE /auth/delete") return this.deletion;
    if (route === "POST /auth/session") return [201, { access_token: jwt({ sub: "fresh" }) }];
    if (route === "DELETE /auth/session") return [204, null];
    if (route.endsWith("/register")) return [201, {}];
    if (route === "POST /auth/api_keys") return [201, { _id: "k1", key: "secret", ...body, disabled: false }];
    if (route === "GET /auth/api_keys") return [200, [{ _id: "k1", name: "ci", disabled: false }]];
    if (route === "GET /auth/api_keys/k1") return [200, { _id: "k1", name: "ci", disabled: false }];
    if (/^(PUT|DELETE) \/auth\/api_keys\/k1/.test(route)) return [204, null];
    if (route.startsWith("GET /auth/api_keys/")) return [404, { error: "API key not found", error_code: "APIKeyNotFound" }];
    return [500, "<html>"];
  }

  get last() {
    return this.calls.at(-1);
  }
}

let number = 0;
/** An app of its own id, and its server. */
function world(options = {}) {
  const server = new Server();
  const app = new App({ id: `app-${Date.now()}-${++number}`, fetch: server.fetch, ...options });
  return { server, app, key: `mongodb-realm/${app.id}/server-utility/metadata` };
}

const logInAs = (app, name = "nora", module = { Credentials }) => app.logIn(module.Credentials.emailPassword(name, "secret"));
const nora = () => Credentials.emailPassword("nora", "secret");

/** The same app in another tab: storage is shared, and its writes are told to the tab `here`. */
async function otherTab(app, server) {
  const module = await import(`/realm_sync/client/app.js?tab=${++number}`);
  return { app: new module.App({ id: app.id, fetch: server.fetch }), module };
}

const storageEvent = (key) => dispatchEvent(new StorageEvent("storage", { key, storageArea: localStorage }));

test("log-in", async () => {
  const { app, server } = world();
  equal(app.currentUser, null);
  let told = 0;
  app.addListener(() => told++);
  const user = await app.logIn(nora());
  ok(user instanceof User && user === app.currentUser && user.app === app && app.allUsers.nora === user && told === 1);
  equal([user.id, user.state, user.isLoggedIn, user.providerType], ["nora", "LoggedIn", true, "local-userpass"]);
  equal([user.deviceId, user.refreshToken], ["d1", "refresh 1"]);
  equal(user.identities, [{ id: "1", providerType: "local-userpass" }]);
  equal(user.profile, { email: "nora@example.org", firstName: "Nora" });
  equal(user.customData, { team: "Nørd ☃" });
  const { method, path, body, credentials } = server.calls[0];
  equal([method, path], ["POST", `${API}/app/${app.id}/auth/providers/local-userpass/login`]);
  equal([body.username, body.password, credentials], ["nora", "secret", "omit"]);
  const { appId, platform, sdk, sdkVersion } = body.options.device;
  equal({ appId, platform, sdk, sdkVersion }, { appId: app.id, platform: "browser", sdk: "realm_sync", sdkVersion: VERSION });
  equal(app.settings.newRealmFileBehavior, { type: "openImmediately" });
  await app.logIn(nora());
  equal([server.calls.at(-3).body.options.device.deviceId, told], ["d1", 2]);
});

test("credentials", async () => {
  const { app, server } = world();
  equal(Credentials.emailPassword({ email: "n", password: "p" }), Credentials.emailPassword("n", "p"));
  throws(() => Credentials.emailPassword("n"), "Expected 'password' to be a string, got undefined");
  throws(() => Credentials.function(null), "Expected 'payload' to be an object, got null");
  await throws(() => app.logIn({ provider: "anon-user" }), "Expected 'credentials' to be an instance of Credentials, got an object");
  await app.logIn(Credentials.jwt("t"));
  equal([server.calls[0].path.split("/").at(-2), server.calls[0].body.token], ["custom-token", "t"]);
  server.calls = [];
  await app.logIn(Credentials.function({ key: 1 }));
  equal([server.calls[0].path.split("/").at(-2), server.calls[0].body.key], ["custom-function", 1]);
  server.calls = [];
  await app.logIn(Credentials.djangoSession());
  equal(server.calls.map((call) => call.credentials), ["same-origin", "omit", "omit"]);
  equal([app.currentUser.providerType, ProviderType.DjangoSession], ["django-session", "django-session"]);
});

test("errors are Realm's", async () => {
  const { app, server } = world();
  const wrong = await throws(() => app.logIn(Credentials.emailPassword("nora", "wrong")), "unauthorized");
  equal([wrong.code, wrong.codeName, wrong.status, wrong.isNetwork], [4349, "InvalidPassword", 401, false]);
  await throws(() => app.logIn(Credentials.apiKey("k")), "Could not log in user: received malformed JWT");
  equal(app.currentUser, null);
  server.answer = () => [502, "<html>"];
  const proxy = await throws(() => app.logIn(nora()), "http error code considered fatal. Client Error: 502");
  equal([proxy.code, proxy.isNetwork], [4309, true]);
  server.answer = () => [418, { error: "teapot" }];
  equal((await throws(() => app.logIn(nora()), "teapot")).code, 4351);
  server.answer = () => [418, { error: "teapot", error_code: "Teapot" }];
  equal((await throws(() => app.logIn(nora()), "teapot")).code, 4355);
  server.answer = () => [200, "<html>"];
  await throws(() => app.logIn(nora()), /^request to http.* failed, reason: .*JSON/);
  server.failing = new TypeError("Failed to fetch");
  const offline = await throws(() => app.logIn(nora()), `request to ${location.origin}${API}/app/${app.id}/auth`);
  equal([offline.code, offline.status, offline.isNetwork], [4000, 0, true]);
  ok(offline.message.endsWith("failed, reason: Failed to fetch. The first log-in on this device needs the network."));
});

test("a request ends after the time out", async () => {
  const hang = (_, { signal }) => new Promise((__, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  const { app } = world({ timeout: 20, fetch: hang });
  equal((await throws(() => app.logIn(nora()), /failed, reason: signal timed out/)).isNetwork, true);
  equal([world({ timeout: 0 }).app.timeout, world().app.timeout], [60000, 60000]);
});

test("a user is known after a reload, and offline", async () => {
  const { app, server, key } = world();
  const token = (await app.logIn(nora())).refreshToken;
  ok(localStorage.getItem(key).includes("refresh 1"));
  server.failing = new TypeError("Failed to fetch");
  const { app: reloaded } = await otherTab(app, server);
  equal([reloaded.currentUser.id, reloaded.currentUser.refreshToken], ["nora", token]);
  equal(reloaded.settings.newRealmFileBehavior, { type: "openImmediately" });
  const error = await throws(() => reloaded.currentUser.refreshAccessToken(), "request to");
  ok(error.isNetwork && reloaded.currentUser.isLoggedIn);
});

test("tokens that cannot be used count as logged out, and what cannot be read as nothing", async () => {
  const { app, server, key } = world();
  await app.logIn(nora());
  const stored = JSON.parse(localStorage.getItem(key));
  stored.records[0][1].accessToken = "corrupt";
  localStorage.setItem(key, JSON.stringify(stored));
  const { app: reloaded } = await otherTab(app, server);
  equal([reloaded.currentUser, reloaded.allUsers.nora.state, reloaded.allUsers.nora.accessToken], [null, "LoggedOut", null]);
  localStorage.setItem(key, "{");
  const { app: empty, module } = await otherTab(app, server);
  equal(empty.allUsers, {});
  await logInAs(empty, "nora", module);
  ok(JSON.parse(localStorage.getItem(key)));
});

test("an expired token is refreshed once, however many ask", async () => {
  const { app, server } = world();
  server.exp = 1;
  const user = await app.logIn(nora());
  let told = 0;
  user.addListener(() => told++);
  app.addListener(() => ok(false, "a refreshed token is no news to the app's listeners"));
  server.calls = [];
  const [first, second] = await Promise.all([user.freshAccessToken(), user.freshAccessToken()]);
  ok(first === second && first === user.accessToken && told === 1);
  equal(
    server.calls.map(({ method, path, token }) => [method, path, token]),
    [["POST", `${API}/auth/session`, "refresh 1"], ["GET", `${API}/app/${app.id}/config`, null]],
  );
  await user.freshAccessToken();
  equal(server.calls.length, 2);
  equal(await user.refreshCustomData(), {});
  equal(server.calls.length, 4);
});

test("a refused refresh logs out", async () => {
  const { app, server } = world();
  const user = await app.logIn(nora());
  const told = [];
  app.addListener(() => told.push(user.state));
  user.addListener(() => told.push("user"));
  server.revoked = true;
  const error = await throws(() => user.refreshAccessToken(), "Unable to refresh the user access token: invalid session");
  equal([error.status, user.state, user.accessToken, user.refreshToken, app.currentUser], [401, "LoggedOut", null, null, null]);
  equal(told, ["user", "LoggedOut"]);
  equal((await throws(() => user.freshAccessToken(), "User is no longer valid or is logged out")).code, 4101);
});

test("a user who logged in again meanwhile keeps the new tokens", async () => {
  const { app, server } = world();
  const user = await app.logIn(nora());
  let answer;
  server.answer = () => [401, { error: "invalid session: revoked", error_code: "InvalidSession" }];
  const waiting = new Promise((resolve) => (answer = resolve));
  const { text } = Response.prototype;
  Response.prototype.text = async function () {
    if (this.status === 401) await waiting;
    return text.call(this);
  };
  const refreshing = user.refreshAccessToken();
  delete server.answer;
  await app.logIn(nora());
  answer();
  equal([await refreshing, user.isLoggedIn, user.refreshToken], [user.accessToken, true, "refresh 2"]);
  Response.prototype.text = text;
});

test("log-out forgets the tokens and tells the server", async () => {
  const { app, server } = world();
  const user = await app.logIn(nora());
  const leaving = user.logOut();
  equal([user.state, user.refreshToken, app.currentUser], ["LoggedOut", null, null]);
  await leaving;
  equal([server.last.method, server.last.path, server.last.token], ["DELETE", `${API}/auth/session`, "refresh 1"]);
  equal(throws(() => app.switchUser(user), "User is no longer valid or is logged out").code, 4101);
  const calls = server.calls.length;
  await user.logOut();
  equal(server.calls.length, calls);
  ok((await app.logIn(nora())) === user && user.isLoggedIn);
  server.failing = new TypeError("Failed to fetch");
  await throws(() => user.logOut(), "request to");
  equal(user.state, "LoggedOut");
});

test("the anonymous user is reused, and removed by its log-out", async () => {
  const { app, server } = world();
  const first = await app.logIn(Credentials.anonymous());
  await app.logIn(nora());
  const calls = server.calls.length;
  ok((await app.logIn(Credentials.anonymous())) === first && app.currentUser === first && server.calls.length === calls);
  const second = await app.logIn(Credentials.anonymous(false));
  ok(second !== first);
  await second.logOut();
  equal([second.state, Object.keys(app.allUsers)], [UserState.Removed, ["anon1", "nora"]]);
});

test("users are switched and removed", async () => {
  const { app, server, key } = world();
  const [first, sol] = [await app.logIn(nora()), await app.logIn(Credentials.emailPassword("sol", "s"))];
  ok(app.currentUser === sol);
  app.switchUser(first);
  ok(app.currentUser === first);
  equal(throws(() => app.switchUser({ id: "who" }), "User does not exist").code, 4100);
  await app.removeUser(first);
  equal([first.state, Object.keys(app.allUsers), server.last.token], ["Removed", ["sol"], "refresh 1"]);
  ok(app.currentUser === sol && !localStorage.getItem(key).includes("nora@example.org\":"));
  equal(JSON.parse(localStorage.getItem(key)).records.length, 1);
  await throws(() => app.removeUser(first), "User has already been removed");
  await throws(() => app.removeUser({ id: "who" }), "No user has been found");
  await throws(() => app.deleteUser(first), "User must be logged in to be deleted.");
  equal(throws(() => app.switchUser(first), "User is no longer valid or is logged out").code, 4101);
  equal((await throws(() => app.removeUser(first), "User has already been removed")).code, 4100);
});

test("offline everything but a log-in works, after a reload too", async () => {
  const { app, server, key } = world();
  await app.logIn(Credentials.anonymous());
  await app.logIn(nora());
  server.failing = new TypeError("Failed to fetch");
  const { app: offline, module } = await otherTab(app, server);
  const advice = /failed, reason: Failed to fetch\. A log-in needs the network\. Who is logged in on this device can go on without: user 'nora', as app.currentUser/;
  await throws(() => logInAs(offline, "sol", module), advice);
  equal(Object.keys(offline.allUsers), ["anon1", "nora"]);
  const anon = await offline.logIn(module.Credentials.anonymous());
  equal([anon.id, offline.currentUser.id], ["anon1", "anon1"]);
  offline.switchUser(offline.allUsers.nora);
  ok((await throws(() => offline.currentUser.refreshAccessToken(), "request to")).isNetwork && offline.currentUser.id === "nora");
  await throws(() => offline.removeUser(offline.currentUser), "request to");
  equal([offline.currentUser.id, Object.keys(offline.allUsers)], ["anon1", ["anon1"]]);
  equal(JSON.parse(localStorage.getItem(key)).removed, ["nora"]);
});

test("who is refused by the server stays known, an anonymous user too", async () => {
  const { app, server, key } = world();
  const user = await app.logIn(Credentials.anonymous());
  server.revoked = true;
  await throws(() => user.refreshAccessToken(), "Unable to refresh");
  equal([user.state, Object.keys(app.allUsers), JSON.parse(localStorage.getItem(key)).removed], ["LoggedOut", ["anon1"], []]);
});

test("settings come with the log-in and every refresh, and what cannot be had or read changes nothing", async () => {
  const { app, server } = world();
  equal([app.settings, app.timeouts.connect], [null, 120_000]);
  server.config.timeouts = { connect: 5000, "of a later version": 1 };
  const user = await app.logIn(nora());
  equal([app.timeouts.connect, app.timeouts["of a later version"]], [5000, undefined]);
  const warnings = [];
  const { warn } = console;
  console.warn = (text) => warnings.push(text);
  const nonsense = [null, { appId: 7 }, { timeouts: { pong: "x" } }, { newRealmFileBehavior: { type: "x" } }, { cancelWaitsOnNonFatalError: 1 }];
  for (const each of nonsense) {
    server.config = each;
    await user.refreshAccessToken();
    equal([app.timeouts.connect, app.settings.newRealmFileBehavior], [5000, { type: "openImmediately" }]);
  }
  console.warn = warn;
  equal(warnings.length, 4);
  server.config = { timeouts: { connect: 7000 }, cancelWaitsOnNonFatalError: true };
  await user.refreshAccessToken();
  server.failing = new TypeError("Failed to fetch");
  for (const each of [app, (await otherTab(app, server)).app]) {
    equal([each.timeouts.connect, each.settings.cancelWaitsOnNonFatalError], [7000, true]);
  }
});

test("an app's own timeouts come first", async () => {
  const { app, server } = world({ timeout: 3000, timeouts: { request: 4000, connect: 7000, linger: 0 } });
  server.config.timeouts = { request: 20_000, connect: 5000, pong: 9000 };
  await app.logIn(nora());
  equal(app.timeouts, { request: 3000, connect: 7000, ping: 60_000, pong: 9000, linger: 0, fastReconnect: 60_000 });
  equal([app.timeout, world({ timeouts: { request: 4000, ping: undefined } }).app.timeout], [3000, 4000]);
});

/** What realm.js says of a user's files, recorded; `gone` is what a deletion reports. */
async function withFiles(work) {
  const before = { ...files };
  const recorder = { gone: true, open: null, deleted: [] };
  Object.assign(files, {
    open: (directory) => recorder.open && `${directory}${recorder.open}`,
    delete: async (directory, unused) => {
      recorder.deleted.push([directory, unused]);
      return recorder.gone;
    },
  });
  try {
    await work(recorder);
  } finally {
    Object.assign(files, before);
  }
}

test("files of a removed user are deleted at the next launch", async () => {
  const { app, server, key } = world();
  const removed = () => JSON.parse(localStorage.getItem(key)).removed;
  const launch = async () => {
    const module = await import(`/realm_sync/client/app.js?tab=${++number}`);
    Object.assign(module.files, files);
    const launched = new module.App({ id: app.id, fetch: server.fetch });
    if (navigator.locks) await navigator.locks.request(key, () => {});
    return { launched, module };
  };
  await withFiles(async (recorder) => {
    await app.removeUser(await app.logIn(nora()));
    const anon = await app.logIn(Credentials.anonymous());
    await anon.logOut();
    equal([removed(), recorder.deleted], [["nora", anon.id], []]);
    recorder.gone = false;
    await launch();
    const directory = `mongodb-realm/${app.id}`;
    equal([recorder.deleted.splice(0), removed()], [[[`${directory}/nora/`, true], [`${directory}/${anon.id}/`, true]], ["nora", anon.id]]);
    await app.logIn(nora());
    equal(removed(), [anon.id], "who logs in again keeps his files");
    recorder.gone = true;
    await launch();
    equal([recorder.deleted.splice(0), removed()], [[[`${directory}/${anon.id}/`, true]], []]);
    await launch();
    equal(recorder.deleted, []);
  });
});

test("an account is deleted with its files", async () => {
  const { app, server } = world();
  const user = await app.logIn(nora());
  await withFiles(async (recorder) => {
    recorder.open = "flx_sync_default.realm";
    const calls = server.calls.length;
    const used = await throws(() => app.deleteUser(user), `Cannot delete files of an open Realm: 'mongodb-realm/${app.id}/nora/flx_`);
    equal([used.codeName, server.calls.length, user.isLoggedIn], ["DeleteOnOpenRealm", calls, true]);
    recorder.open = null;
    server.deletion = [403, { error: "ask the operator", error_code: "NotCallable" }];
    equal((await throws(() => app.deleteUser(user), "ask the operator")).code, 4342);
    equal([user.isLoggedIn, recorder.deleted], [true, []]);
    server.deletion = [401, { error: "invalid session", error_code: "InvalidSession" }];
    await throws(() => app.deleteUser(user), "invalid session");
    ok(user.isLoggedIn, "after one more try with a fresh token");
    server.deletion = [204, null];
    const { accessToken } = user;
    await app.deleteUser(user);
    equal([server.last.method, server.last.path, server.last.token], ["DELETE", `${API}/auth/delete`, accessToken]);
    equal([user.state, app.allUsers, recorder.deleted], ["Removed", {}, [[`mongodb-realm/${app.id}/nora/`, false]]]);
    await throws(() => app.deleteUser(user), "User must be logged in to be deleted.");
  });
});

test("what another tab does is seen here", async () => {
  const { app, server, key } = world();
  const told = [];
  app.addListener(() => told.push(app.currentUser?.id ?? null));
  const { app: there, module } = await otherTab(app, server);
  const user = await logInAs(there, "nora", module);
  storageEvent(key);
  equal([app.currentUser.id, app.currentUser.accessToken, told], ["nora", user.accessToken, ["nora"]]);
  const here = app.currentUser;
  let changed = 0;
  here.addListener(() => changed++);
  await user.refreshAccessToken();
  storageEvent(key);
  equal([here.accessToken, changed, told.length], [user.accessToken, 1, 1]);
  await user.logOut();
  storageEvent("something else");
  ok(here.isLoggedIn);
  storageEvent(key);
  equal([here.state, here.refreshToken, changed, told], ["LoggedOut", null, 2, ["nora", null]]);
  await throws(() => here.freshAccessToken(), "User is no longer valid or is logged out");
});

test("a change here keeps what another tab wrote", async () => {
  const { app, server } = world();
  await app.logIn(nora());
  const { app: there, module } = await otherTab(app, server);
  await logInAs(there, "sol", module);
  await logInAs(app, "mia"); // without having heard of sol
  equal(Object.keys(app.allUsers).sort(), ["mia", "nora", "sol"]);
  await there.allUsers.nora.logOut();
  equal(await app.allUsers.nora.freshAccessToken().catch((error) => error.code), 4101);
});

test("a cleared storage removes the users", async () => {
  const { app, key } = world();
  const user = await app.logIn(nora());
  localStorage.removeItem(key);
  storageEvent(null);
  equal([user.state, user.isLoggedIn, app.currentUser], ["Removed", false, null]);
});

test("without localStorage users are known until the page ends", async () => {
  const warnings = [];
  const { warn } = console;
  console.warn = (text) => warnings.push(text);
  const getter = Object.getOwnPropertyDescriptor(window, "localStorage");
  const setItem = Storage.prototype.setItem;
  try {
    Object.defineProperty(window, "localStorage", {
      configurable: true,
      get() {
        throw new DOMException("The operation is insecure.", "SecurityError");
      },
    });
    const { app } = world();
    const user = await app.logIn(nora());
    ok(app.currentUser === user);
    await user.logOut();
    equal([user.state, warnings.length], ["LoggedOut", 1]);
    ok(warnings[0].includes("The operation is insecure."));
    Object.defineProperty(window, "localStorage", getter);
    Storage.prototype.setItem = () => {
      throw new DOMException("full", "QuotaExceededError");
    };
    const { app: full } = world();
    await full.logIn(nora());
    ok(full.currentUser.isLoggedIn && (await full.currentUser.freshAccessToken()) && warnings.length === 2);
  } finally {
    console.warn = warn;
    Storage.prototype.setItem = setItem;
    Object.defineProperty(window, "localStorage", getter);
  }
  const { app, key } = world({ metadata: { mode: "inMemory" } });
  await app.logIn(nora());
  equal([app.currentUser.id, localStorage.getItem(key)], ["nora", null]);
});

test("listeners", async () => {
  const { app } = world();
  let told = 0;
  const callback = () => told++;
  app.addListener(callback);
  throws(() => app.addListener(callback), "Remove callback before adding it again");
  throws(() => app.addListener("no"), "Expected 'callback' to be a function, got a string");
  app.removeListener(callback);
  const user = await app.logIn(nora());
  equal(told, 0);
  app.addListener(callback);
  user.addListener(callback);
  user.removeAllListeners();
  app.removeAllListeners();
  await user.logOut();
  equal(told, 0);
});

test("a listener that throws does not keep the others from being told", async () => {
  const { app } = world();
  const reported = [];
  const catcher = (event) => {
    event.preventDefault();
    reported.push(event.error.message);
  };
  addEventListener("error", catcher);
  let told = false;
  app.addListener(() => {
    throw new Error("a mistake of the app");
  });
  app.addListener(() => (told = true));
  await app.logIn(nora());
  removeEventListener("error", catcher);
  ok(told);
  equal(reported, ["a mistake of the app"]);
});

test("API keys", async () => {
  const { app, server } = world();
  const user = await app.logIn(nora());
  equal(await user.apiKeys.create("ci"), { _id: "k1", key: "secret", name: "ci", disabled: false });
  equal([server.last.token, server.last.body], [user.refreshToken, { name: "ci" }]);
  equal((await user.apiKeys.fetchAll()).map((key) => key._id), ["k1"]);
  equal((await user.apiKeys.fetch("k1")).name, "ci");
  equal((await throws(() => user.apiKeys.fetch("k/2"), "API key not found")).code, 4334);
  equal(server.last.path.split("/").at(-1), "k%2F2");
  await user.apiKeys.disable("k1");
  equal([server.last.method, server.last.path], ["PUT", `${API}/auth/api_keys/k1/disable`]);
  await user.apiKeys.enable("k1");
  await user.apiKeys.delete("k1");
  equal(server.last.method, "DELETE");
  server.revoked = true;
  await throws(() => user.apiKeys.fetchAll(), "invalid session: revoked");
  equal(user.state, "LoggedOut");
});

test("registering does not log in", async () => {
  const { app, server } = world();
  equal(await app.emailPasswordAuth.registerUser({ email: "otto@example.org", password: "secret" }), undefined);
  equal(server.last.path, `${API}/app/${app.id}/auth/providers/local-userpass/register`);
  equal([server.last.body, app.currentUser], [{ email: "otto@example.org", password: "secret" }, null]);
});

test("what the server does not offer is said", async () => {
  const { app } = world();
  const user = await app.logIn(nora());
  await throws(() => user.functions.sum(1, 2), "The server does not offer this yet: functions (sum).");
  await throws(() => user.callFunction("sum"), "The server does not offer this yet");
  await throws(() => user.linkCredentials(nora()), "The server does not offer this yet");
  throws(() => user.mongoClient("mongodb-atlas"), "The server does not offer this yet: mongoClient.");
  throws(() => user.push("gcm"), "The server does not offer this yet: push.");
});

test("configurations", () => {
  throws(() => new App(), "Expected 'id' to be a string, got undefined");
  throws(() => new App(7), "Expected 'config' to be an object, got a number");
  throws(() => new App({ id: "x", timeout: "7" }), "Expected 'timeout' to be a number, got a string");
  throws(() => new App(null), "Expected 'config' to be an object, got null");
  throws(() => new App({ id: 7 }), "Expected 'id' to be a string, got a number");
  throws(() => new App({ id: "x", timeout: -1 }), "Expected 'timeouts.request' to be above 0 milliseconds, got -1");
  throws(() => new App({ id: "x", timeouts: 5 }), "Expected 'timeouts' to be an object, got a number");
  throws(() => new App({ id: "x", timeouts: { connect: "5" } }), "Expected 'timeouts.connect' to be a number, got a string");
  throws(() => new App({ id: "x", timeouts: { ping: 0 } }), "Expected 'timeouts.ping' to be above 0 milliseconds, got 0");
  throws(() => new App({ id: "x", timeouts: { conect: 5 } }), "Unexpected 'conect' in 'timeouts'. Use request, connect, ping, pong, linger, fastReconnect.");
  for (const [name, type] of Object.entries({ baseUrl: "a string", baseFilePath: "a string", multiplexSessions: "a boolean", fetch: "a function", metadata: "an object" })) {
    throws(() => new App({ id: "x", [name]: 7 }), `Expected '${name}' to be ${type}, got a number`);
  }
  throws(() => new App({ id: "x", metadata: { mode: "encryption" } }), "'metadata.mode' cannot be 'encryption': browsers keep users in localStorage");
  throws(() => new App({ id: "x", metadata: {} }), "Expected 'metadata.mode' to be one of 'noEncryption', 'inMemory', 'noMetadata', got 'undefined'");
  for (const mode of ["noEncryption", "inMemory", "noMetadata"]) ok(new App({ id: mode, metadata: { mode } }).id === mode);
  for (const baseUrl of ["ftp://x", "http://", "javascript:1"]) {
    throws(() => new App({ id: "x", baseUrl }), `Expected 'baseUrl' to be an http or https URL, got '${baseUrl}'`);
  }
  const app = new App({ id: "a b", baseUrl: "https://sync.example/field//" });
  equal([app.baseUrl, app.syncUrl], ["https://sync.example/field", `wss://sync.example/field${API}/app/a%20b/realm-sync`]);
  ok(new App({ id: "a b", baseUrl: "https://sync.example/field" }) === app);
  ok(new App({ id: "a b", baseUrl: "https://sync.example/field", baseFilePath: "/x" }) !== app);
  ok(App.get("one") === App.get("one") && App.get("one") === new App("one"));
  equal([App.get("one").baseUrl, App.get("one").settings], [location.origin, null]);
  equal(App.get("one").syncUrl, `${location.origin.replace("http", "ws")}${API}/app/one/realm-sync`);
});

test("the page's configuration fills what is left out", () => {
  const element = document.createElement("script");
  element.type = "application/json";
  element.id = "realm-sync-config";
  const page = { appId: "of the page", baseUrl: "/field", timeouts: { request: 5000 } };
  element.textContent = JSON.stringify(page);
  document.head.append(element);
  try {
    const app = new App();
    equal([app.id, app.baseUrl, app.timeout], ["of the page", `${location.origin}/field`, 5000]);
    equal(app.settings, page);
    ok(new App({ id: "of the page" }) === app && new App("of the page") === app);
    const other = new App("another");
    equal([other.baseUrl, other.settings, other.timeout], [`${location.origin}/field`, null, 60000]);
    const elsewhere = new App({ baseUrl: "https://elsewhere.example", timeout: 7 });
    equal([elsewhere.id, elsewhere.settings, elsewhere.timeout], ["of the page", null, 7]);
  } finally {
    element.remove();
  }
});

test("paths", () => {
  const at = (...args) => new App("my.app").realmPath(...args);
  equal(at("u 1"), "mongodb-realm/my.app/u%201/flx_sync_default.realm");
  equal(at("u", "a/b.realm"), "mongodb-realm/my.app/u/a%2Fb.realm");
  equal(at("u", "it's (a) ~test*!"), "mongodb-realm/my.app/u/it%27s%20%28a%29%20%7Etest%2A%21.realm");
  equal(at("u", "/elsewhere/x"), "/elsewhere/x");
  const bson = (type, text) => ({ _bsontype: type, toString: () => text });
  const id = bson("ObjectId", "0123456789abcdef01234567");
  const uuid = bson("UUID", "12345678-1234-1234-1234-123456789abc");
  const names = [["text", "s_text"], [7, "i_7"], [-7n, "i_-7"], [2 ** 40, "l_1099511627776"], [2n ** 60n, `l_${2n ** 60n}`], [null, "null"], [id, `o_${id}`], [uuid, `u_${uuid}`]];
  for (const [value, name] of names) equal(at("u", undefined, value), `mongodb-realm/my.app/u/${name}.realm`);
  throws(() => at("u", undefined, 1.5), "Unsupported partition key value: 1.5. Only int, string UUID and ObjectId types are currently supported.");
  throws(() => at("u", undefined, {}), "Unsupported partition key value: ");
  throws(() => at(".."), "A path can't have an identifier reserved by the filesystem: '..'");
  throws(() => new App("."), "A path can't have an identifier reserved by the filesystem: '.'");
  equal(new App({ id: "x", baseFilePath: "/data/" }).realmPath("u"), "/data/mongodb-realm/x/u/flx_sync_default.realm");
  equal(new App({ id: "x", baseFilePath: "/" }).directory, "/mongodb-realm/x");
});
