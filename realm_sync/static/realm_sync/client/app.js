// App, credentials and users: log-in, tokens, and what of them the browser keeps. Decides the HTTP calls, the names of
// realm files and the life of a user. Who logged in once is known offline and after a reload, in every tab, and so is what
// the operator decided for clients. Knows nothing of realms; realm.js says how a user's files are deleted (`files`):
//
//   logIn → LoggedIn → logOut, or the server refuses the user → LoggedOut → logIn …    the files stay
//   LoggedIn, LoggedOut → removeUser, logOut of an anonymous user → Removed            they go at the next launch
//   LoggedIn → deleteUser → Removed                                                    they go at once

import { AppError, AssertionError, realmError, TypeAssertionError } from "../core/errors.js"

export const VERSION = "0.1.0";
const API = "/api/client/v2.0";
const SLACK = 5000; // ms before its end at which a token counts as expired
const TIMEOUTS = { request: 60_000, connect: 120_000, ping: 60_000, pong: 120_000, linger: 30_000, fastReconnect: 60_000 };
const LONGEST_TIMER = 2 ** 31 - 1; // ms; browsers take a longer one for none
const METADATA = ["noEncryption", "inMemory", "noMetadata"];

/** How realm.js deletes a user's files, which are those in a directory; without it there are none.
 * @type {{open: (directory: string) => string | null, delete: ((directory: string, unused: boolean) => Promise<boolean>) | null}} */
export const files = { open: () => null, delete: null };

/** @typedef {{provider: string, state: string, accessToken: string | null, refreshToken: string | null, deviceId?: string,
 *   identities: {id: string, provider_type: string}[], profile: Record<string, any>}} UserRecord */
/** @typedef {{_id: string, name: string, disabled: boolean, key?: string}} ApiKey */

export const UserState = { LoggedIn: "LoggedIn", LoggedOut: "LoggedOut", Removed: "Removed" };
export const ProviderType = {
  AnonUser: "anon-user",
  ApiKey: "api-key",
  LocalUserPass: "local-userpass",
  CustomFunction: "custom-function",
  CustomToken: "custom-token",
  DjangoSession: "django-session",
};

/** How to log in; see the factories. */
export class Credentials {
  /** @param {string} provider @param {Record<string, any>} payload */
  constructor(provider, payload, reuse = false) {
    this.provider = provider;
    this.payload = payload;
    this.reuse = reuse;
  }

  /** `reuse`: this browser's anonymous user if it has one, without asking the server. */
  static anonymous(reuse = true) {
    return new Credentials(ProviderType.AnonUser, {}, reuse);
  }

  /** `emailPassword(email, password)` or `emailPassword({ email, password })`.
   * @param {string | {email: string, password: string}} email @param {string} [password] */
  static emailPassword(email, password) {
    if (email instanceof Object) ({ email, password } = email);
    const payload = { username: expect("email", "a string", email), password: expect("password", "a string", password) };
    return new Credentials(ProviderType.LocalUserPass, payload);
  }

  /** @param {string} key */
  static apiKey(key) {
    return new Credentials(ProviderType.ApiKey, { key: expect("key", "a string", key) });
  }

  /** @param {string} token */
  static jwt(token) {
    return new Credentials(ProviderType.CustomToken, { token: expect("token", "a string", token) });
  }

  /** @param {Record<string, any>} payload */
  static function(payload) {
    return new Credentials(ProviderType.CustomFunction, expect("payload", "an object", payload));
  }

  /** Whoever is logged in to this page's Django site, by its session cookie. */
  static djangoSession() {
    return new Credentials(ProviderType.DjangoSession, {});
  }
}

class Listenable {
  /** @type {Set<() => void>} */
  #callbacks = new Set();

  /** @param {() => void} callback */
  addListener(callback) {
    if (this.#callbacks.has(callback)) throw new Error("Remove callback before adding it again");
    this.#callbacks.add(expect("callback", "a function", callback));
  }

  /** @param {() => void} callback */
  removeListener(callback) {
    this.#callbacks.delete(callback);
  }

  removeAllListeners() {
    this.#callbacks.clear();
  }

  /** Calls all, whatever one of them throws. @param {Listenable} listenable */
  static tell(listenable) {
    for (const callback of [...listenable.#callbacks]) {
      try {
        callback();
      } catch (error) {
        reportError(error);
      }
    }
  }
}

/** Somebody who logged in; one object per id. Listeners: the state, the tokens or the profile changed, in any tab. */
export class User extends Listenable {
  #accounts;
  /** @type {Promise<string> | null} */
  #refreshing = null;

  /** @param {Accounts} accounts @param {string} id */
  constructor(accounts, id) {
    super();
    this.#accounts = accounts;
    this.id = id;
  }

  get #record() {
    return /** @type {UserRecord} */ (this.#accounts.records.get(this.id));
  }

  get app() {
    return this.#accounts.app;
  }

  get state() {
    return this.#record.state;
  }

  get isLoggedIn() {
    return this.state === UserState.LoggedIn;
  }

  get identities() {
    return this.#record.identities.map(({ id, provider_type }) => ({ id, providerType: provider_type }));
  }

  get providerType() {
    return this.#record.provider;
  }

  get deviceId() {
    return this.#record.deviceId;
  }

  /** As of the last refresh; null once logged out. */
  get accessToken() {
    return this.#record.accessToken;
  }

  get refreshToken() {
    return this.#record.refreshToken;
  }

  /** `name`, `email`, `firstName` … as of the log-in. @returns {Record<string, any>} */
  get profile() {
    const camel = (/** @type {string} */ name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
    return Object.fromEntries(Object.entries(this.#record.profile).map(([name, value]) => [camel(name), value]));
  }

  /** The `user_data` claim of the access token. @returns {Record<string, any>} */
  get customData() {
    return claims(this.accessToken)?.user_data ?? {};
  }

  async refreshCustomData() {
    await this.refreshAccessToken();
    return this.customData;
  }

  /** Forgets the tokens, then tells the server: if that rejects, the user is logged out all the same. */
  logOut() {
    const anonymous = this.providerType === ProviderType.AnonUser;
    return this.#accounts.forget(this.id, anonymous ? UserState.Removed : UserState.LoggedOut);
  }

  /** Keys are `{_id, name, disabled}`, and from `create` with the `key` itself. */
  get apiKeys() {
    /** @param {string} method @param {string} [path] @param {object} [body] */
    const call = async (method, path = "", body) => this.#authorized(method, `/auth/api_keys${path}`, body);
    const at = (/** @type {string} */ id) => `/${encodeURIComponent(id)}`;
    return {
      /** @param {string} name @returns {Promise<ApiKey>} */
      create: (name) => call("POST", "", { name }),
      /** @param {string} id @returns {Promise<ApiKey>} */
      fetch: (id) => call("GET", at(id)),
      /** @returns {Promise<ApiKey[]>} */
      fetchAll: () => call("GET"),
      /** @param {string} id @returns {Promise<void>} */
      delete: (id) => call("DELETE", at(id)),
      /** @param {string} id @returns {Promise<void>} */
      enable: (id) => call("PUT", `${at(id)}/enable`),
      /** @param {string} id @returns {Promise<void>} */
      disable: (id) => call("PUT", `${at(id)}/disable`),
    };
  }

  /** The access token, refreshed first if it has expired. */
  async freshAccessToken() {
    this.#accounts.change(); // another tab may have refreshed it
    const expires = claims(this.accessToken)?.exp ?? Infinity;
    return this.accessToken && expires * 1000 - SLACK > Date.now() ? this.accessToken : this.refreshAccessToken();
  }

  /** A new access token, and the operator's settings with it. Refused with 401 or 403, the user is logged out. */
  refreshAccessToken() {
    this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = null));
    return this.#refreshing;
  }

  async #refresh() {
    const token = this.refreshToken;
    if (!token) throw loggedOut();
    // Meanwhile the user may log out, and in again: an old token's answer changes nothing.
    try {
      const accessToken = accessTokenOf(await this.#authorized("POST", "/auth/session"));
      this.#accounts.change(() => this.refreshToken === token && this.#accounts.set(this.id, { accessToken }));
      await this.#accounts.fetchSettings();
    } catch (refused) {
      const error = /** @type {AppError} */ (refused);
      if (error.status !== 401 && error.status !== 403) throw error;
      const text = `Unable to refresh the user access token: ${error.message}`;
      if (!this.isLoggedIn) throw new AppError(text, "AuthError", error.status);
    }
    if (!this.isLoggedIn) throw loggedOut();
    return /** @type {string} */ (this.accessToken);
  }

  /** A request by refresh token; logs out if that is no longer good.
   * @param {string} method @param {string} route @param {object} [body] */
  async #authorized(method, route, body) {
    const token = this.refreshToken;
    if (!token) throw loggedOut();
    try {
      return await this.#accounts.request(method, route, { token, body });
    } catch (refused) {
      const error = /** @type {AppError} */ (refused);
      // For the API keys 403 has other reasons.
      if (error.status === 401 || (error.status === 403 && route === "/auth/session")) {
        this.#accounts.change(() => this.refreshToken === token && this.#accounts.wipe(this.id, UserState.LoggedOut));
      }
      throw error;
    }
  }

  get functions() {
    return new Proxy({}, { get: (_, name) => (typeof name === "string" ? () => this.callFunction(name) : undefined) });
  }

  /** @param {string} name @returns {Promise<never>} */
  async callFunction(name) {
    throw notOffered(`functions (${name})`);
  }

  /** @returns {Promise<never>} */
  async linkCredentials() {
    throw notOffered("linkCredentials");
  }

  /** @returns {never} */
  push() {
    throw notOffered("push");
  }

  /** @returns {never} */
  mongoClient() {
    throw notOffered("mongoClient");
  }
}

/**
 * An app's HTTP calls and what it knows of users: a record each, replaced as a whole. In localStorage, for `currentUser`
 * is synchronous; a change begins with what is stored, for other tabs write too.
 */
class Accounts {
  /** @type {Map<string, UserRecord>} */
  records = new Map();
  /** @type {Map<string, User>} */
  users = new Map();
  /** @type {string | null} */
  current = null;
  /** The operator's, as of the last contact. @type {any} */
  settings = null;
  /** Ids of users who were removed and still have files. @type {string[]} */
  removed = [];
  #fetch;
  /** @type {Storage | null} */
  #storage = null;
  #key;
  /** @type {string | null | undefined} */
  #raw;

  /** @param {App} app @param {any} page its settings, if it has some @param {typeof fetch} fetch @param {boolean} persistent */
  constructor(app, page, fetch, persistent) {
    this.app = app;
    this.page = page;
    this.#fetch = fetch;
    this.#key = `${app.directory}/server-utility/metadata`;
    try {
      this.#storage = persistent ? window.localStorage : null;
      this.change();
    } catch (error) {
      this.#forgetful(error);
    }
    if (!this.#storage) return;
    addEventListener("storage", ({ key }) => (key === null || key === this.#key) && this.change());
  }

  get known() {
    return [...this.users.values()].filter((user) => user.state !== UserState.Removed);
  }

  /** Reads what is stored, stores what `edit` makes of it (by `set` and `wipe`), and tells the listeners.
   * @param {() => void} [edit] */
  change(edit) {
    const [before, summary] = [new Map(this.records), this.#summary];
    this.#read();
    if (edit) {
      edit();
      this.#write();
    }
    for (const [id, record] of before) if (this.records.get(id) !== record) Listenable.tell(/** @type {User} */ (this.users.get(id)));
    if (this.#summary !== summary) Listenable.tell(this.app);
  }

  /** @param {string} id @param {Partial<UserRecord>} values */
  set(id, values) {
    this.records.set(id, /** @type {UserRecord} */ ({ ...this.records.get(id), ...values }));
    if (!this.users.has(id)) this.users.set(id, new User(this, id));
  }

  /** @param {string} id @param {string} state */
  wipe(id, state) {
    this.set(id, { state, accessToken: null, refreshToken: null });
  }

  /** @param {string} id @param {string} state */
  async forget(id, state) {
    this.change();
    const { refreshToken: token, state: old } = /** @type {UserRecord} */ (this.records.get(id));
    const removed = state === UserState.Removed && state !== old;
    if (token || removed) {
      this.change(() => {
        this.wipe(id, state);
        if (removed) this.removed.push(id);
      });
    }
    if (token) await this.request("DELETE", "/auth/session", { token });
  }

  /** Where the realms of a user are. @param {string} id */
  directoryOf(id) {
    return `${this.app.directory}/${pathComponent(id)}/`;
  }

  /** Deletes what removed users left; at a launch only what no tab uses. The rest stays until another one.
   * @param {string[]} ids @param {boolean} unused */
  async deleteFiles(ids, unused) {
    if (!ids.length || !files.delete) return;
    await this.exclusively(async () => {
      this.change(); // who logged in again keeps his files
      for (const id of ids) {
        if (this.removed.includes(id) && (await files.delete?.(this.directoryOf(id), unused))) this.change(() => this.keepFiles(id));
      }
    });
  }

  /** Nothing is to be deleted (any more). @param {string} id */
  keepFiles(id) {
    this.removed = this.removed.filter((each) => each !== id);
  }

  /** One after the other, in all tabs: deleting files and logging in again. @param {() => any} work */
  async exclusively(work) {
    return this.#storage && navigator.locks ? navigator.locks.request(this.#key, work) : work();
  }

  /** Asks what the operator decided, unless the page said so, and keeps it. A failure changes nothing. */
  async fetchSettings() {
    const settings = this.page ?? await this.request("GET", `/app/${encodeURIComponent(this.app.id)}/config?client=web`).catch(() => null);
    if (settings && usable(settings) && JSON.stringify(settings) !== JSON.stringify(this.settings)) {
      this.change(() => (this.settings = settings));
    }
  }

  /** What an app's listeners hear of; a log-in makes a new refresh token. */
  get #summary() {
    return [this.current, ...[...this.records].flatMap(([id, each]) => [id, each.refreshToken])].join();
  }

  #read() {
    const raw = this.#storage?.getItem(this.#key);
    if (!this.#storage || raw === this.#raw) return;
    this.#raw = raw;
    /** @type {any} */
    let stored = {};
    try {
      stored = JSON.parse(/** @type {string} */ (raw)) ?? {};
    } catch (error) {
      console.warn(`realm_sync: the users in localStorage '${this.#key}' cannot be read: ${/** @type {Error} */ (error).message}`);
    }
    ({ current: this.current = null, removed: this.removed = [] } = stored);
    this.settings = stored.settings && usable(stored.settings) ? stored.settings : null;
    const records = /** @type {Map<string, UserRecord>} */ (new Map(stored.records));
    for (const [id, record] of records) {
      if (JSON.stringify(record) !== JSON.stringify(this.records.get(id))) this.set(id, record);
      if (record.state === UserState.LoggedIn && !(claims(record.accessToken) && record.refreshToken)) {
        this.wipe(id, UserState.LoggedOut);
      }
    }
    for (const { id } of this.known) if (!records.has(id)) this.wipe(id, UserState.Removed);
  }

  #write() {
    const { current, settings, removed } = this;
    const records = this.known.map(({ id }) => [id, this.records.get(id)]);
    const raw = JSON.stringify({ current, settings, records, removed });
    try {
      this.#storage?.setItem(this.#key, raw);
      this.#raw = raw;
    } catch (error) {
      this.#forgetful(error);
    }
  }

  /** @param {any} error */
  #forgetful(error) {
    this.#storage = null;
    console.warn(`realm_sync: localStorage does not work, so users are known until the page ends: ${error.message}`);
  }

  /** `route` is below the API's root. → the JSON of the answer, `{}` if it has none. Rejects with AppError.
   * @param {string} method @param {string} route @param {{body?: object, token?: string, cookies?: boolean}} [options]
   * @returns {Promise<any>} */
  async request(method, route, { body, token, cookies } = {}) {
    const url = this.app.baseUrl + API + route;
    /** @type {Record<string, string>} */
    const headers = { Accept: "application/json" };
    if (body) headers["Content-Type"] = "application/json";
    if (token) headers.Authorization = `Bearer ${token}`;
    let response, text, answer;
    try {
      const signal = AbortSignal.timeout(this.app.timeout);
      const credentials = cookies ? "same-origin" : "omit";
      response = await this.#fetch(url, { method, headers, body: body && JSON.stringify(body), signal, credentials });
      text = await response.text();
      if (response.ok) return text ? JSON.parse(text) : {};
    } catch (error) {
      throw new AppError(`request to ${url} failed, reason: ${/** @type {Error} */ (error).message}`, "CustomError");
    }
    const { status } = response;
    try {
      answer = JSON.parse(text);
    } catch {
      // said below
    }
    if (typeof answer?.error === "string") throw new AppError(answer.error, answer.error_code || undefined, status);
    throw new AppError(`http error code considered fatal. Client Error: ${status}`, "HTTPError", status);
  }
}

/** @type {Map<string, App>} */
const apps = new Map();

/** One app on one server. Listeners: somebody logged in or out, or another user is current, in any tab. */
export class App extends Listenable {
  static Credentials = Credentials;
  /** Filled in by realm.js. @type {any} */
  static Sync;
  /** @type {Accounts} */
  #accounts = /** @type {any} */ (null);
  /** @type {Partial<typeof TIMEOUTS>} */
  #timeouts;

  /**
   * What is left out is as in `{% realm_sync_config %}`; without that, `baseUrl` is the page's origin. A second App of
   * equal id, baseUrl and baseFilePath is the first one; making the first is a launch, which deletes the files of users
   * who were removed, unless a tab uses them. Throws AssertionError for what makes no sense.
   * @param {string | {id?: string, baseUrl?: string, timeout?: number, timeouts?: Partial<typeof TIMEOUTS>,
   *   baseFilePath?: string, fetch?: typeof fetch, multiplexSessions?: boolean,
   *   metadata?: {mode: "noEncryption" | "inMemory" | "noMetadata"}}} [config] `timeout`: ms for an HTTP request, `timeouts`:
   *   in ms; both come before what the operator decided
 */
  constructor(config = {}) {
    super();
    const page = pageConfiguration();
    if (typeof config === "string") config = { id: config };
    const { fetch, metadata = { mode: "noEncryption" }, multiplexSessions = true } = expect("config", "an object", config);
    /** @type {string} */
    this.id = expect("id", "a string", config.id ?? page?.appId);
    this.baseUrl = absolute(expect("baseUrl", "a string", config.baseUrl ?? page?.baseUrl ?? ""));
    /** @type {string} */
    this.baseFilePath = expect("baseFilePath", "a string", config.baseFilePath ?? "");
    /** @type {boolean} */
    this.multiplexSessions = expect("multiplexSessions", "a boolean", multiplexSessions);
    if (fetch !== undefined) expect("fetch", "a function", fetch);
    const persistent = isPersistent(expect("metadata", "an object", metadata).mode);
    const timeout = expect("timeout", "a number", config.timeout ?? 0);
    this.#timeouts = checkedTimeouts({ ...expect("timeouts", "an object", config.timeouts ?? {}), ...(timeout && { request: timeout }) });
    const key = JSON.stringify([this.id, this.baseUrl, this.baseFilePath]);
    const known = apps.get(key);
    if (known) return known;
    apps.set(key, this);
    const settings = page?.appId === this.id && absolute(page.baseUrl) === this.baseUrl ? page : null;
    this.#accounts = new Accounts(this, settings, fetch ?? ((...args) => globalThis.fetch(...args)), persistent);
    this.#accounts.deleteFiles(this.#accounts.removed, true).catch((error) => console.warn("realm_sync:", error));
  }

  /** @param {string} id */
  static get(id) {
    return new App(id);
  }

  /** What the operator decided for browsers, or null: told by the page, else by the server at the last log-in or token
   * refresh, of whichever page. @returns {any} */
  get settings() {
    return this.#accounts.page ?? this.#accounts.settings;
  }

  /** In ms, what is in force: this app's own, else the operator's, else the defaults. @returns {typeof TIMEOUTS} */
  get timeouts() {
    const told = this.settings?.timeouts;
    const all = /** @type {[keyof typeof TIMEOUTS, number][]} */ (Object.entries(TIMEOUTS));
    return /** @type {any} */ (Object.fromEntries(all.map(([name, value]) => [name, Math.min(this.#timeouts[name] ?? told?.[name] ?? value, LONGEST_TIMER)])));
  }

  /** Of an HTTP request, in ms. */
  get timeout() {
    return this.timeouts.request;
  }

  /** Who logged in last and is still logged in, else anybody who is, or null. @returns {User | null} */
  get currentUser() {
    const loggedIn = this.#accounts.known.filter((user) => user.isLoggedIn);
    return loggedIn.find(({ id }) => id === this.#accounts.current) ?? loggedIn[0] ?? null;
  }

  /** @returns {Record<string, User>} */
  get allUsers() {
    return Object.fromEntries(this.#accounts.known.map((user) => [user.id, user]));
  }

  /** The user, who becomes current; or AppError. @param {Credentials} credentials */
  async logIn(credentials) {
    if (!(credentials instanceof Credentials)) expect("credentials", "an instance of Credentials", credentials);
    const { provider, payload, reuse } = credentials;
    const accounts = this.#accounts;
    accounts.change();
    const same = reuse && accounts.known.find((user) => user.isLoggedIn && user.providerType === provider);
    if (same) {
      accounts.change(() => (accounts.current = same.id));
      return same;
    }
    const device = {
      appId: this.id,
      platform: "browser",
      platformVersion: navigator.userAgent,
      sdk: "realm_sync",
      sdkVersion: VERSION,
      coreVersion: VERSION,
      bundleId: location.host,
      deviceId: accounts.known[0]?.deviceId,
    };
    const answer = await this.#online("POST", `${this.#route}/auth/providers/${provider}/login`, {
      body: { ...payload, options: { device } },
      cookies: provider === ProviderType.DjangoSession,
    });
    const { user_id: id, refresh_token: refreshToken, device_id: deviceId } = answer;
    const accessToken = accessTokenOf(answer);
    const [profile] = await Promise.all([this.#online("GET", "/auth/profile", { token: accessToken }), accounts.fetchSettings()]);
    const { identities = [], data = {} } = profile;
    const store = () =>
      accounts.change(() => {
        const state = UserState.LoggedIn;
        accounts.set(id, { provider, state, accessToken, refreshToken, deviceId, identities, profile: data });
        accounts.current = id;
        accounts.keepFiles(id);
      });
    accounts.change();
    if (accounts.removed.includes(id)) await accounts.exclusively(store);
    else store();
    return /** @type {User} */ (accounts.users.get(id));
  }

  /** A request without which nobody logs in. @param {string} method @param {string} route @param {object} options */
  async #online(method, route, options) {
    try {
      return await this.#accounts.request(method, route, options);
    } catch (failed) {
      const { message, codeName, status } = /** @type {AppError} */ (failed);
      if (codeName !== "CustomError") throw failed;
      const id = this.currentUser?.id;
      const advice = id
        ? `A log-in needs the network. Who is logged in on this device can go on without: user '${id}', as app.currentUser, or another one of app.allUsers by app.switchUser(user).`
        : "The first log-in on this device needs the network.";
      throw new AppError(`${message}. ${advice}`, codeName, status);
    }
  }

  /** Makes the user current, without network; AppError unless he is logged in. @param {User} user */
  switchUser({ id }) {
    this.#accounts.change();
    const user = this.#accounts.users.get(id);
    if (!user) throw new AppError("User does not exist", "ClientUserNotFound");
    if (!user.isLoggedIn) throw loggedOut();
    this.#accounts.change(() => (this.#accounts.current = id));
  }

  /** Logs out and forgets the user; if the server cannot be told, this rejects, and the user is removed all the same. His
   * files are deleted at the next launch, unless he logs in again before. @param {User} user */
  async removeUser({ id }) {
    const found = this.#accounts.users.get(id);
    const problem = found ? "User has already been removed" : "No user has been found";
    if (!this.allUsers[id]) throw new AppError(problem, "ClientUserNotFound");
    await this.#accounts.forget(id, UserState.Removed);
  }

  /** Ends the user's account on the server, then removes him and deletes his files, with all that was not uploaded. If the
   * server refuses or a realm of his is open in this page, nothing has changed; realms in other tabs are closed.
   * @param {User} user */
  async deleteUser({ id }) {
    const accounts = this.#accounts;
    accounts.change();
    const user = accounts.users.get(id);
    if (!user?.isLoggedIn) throw new AppError("User must be logged in to be deleted.", "ClientUserNotLoggedIn");
    const used = files.open(accounts.directoryOf(id));
    if (used) {
      throw realmError(`Cannot delete files of an open Realm: '${used}' is still in use. Close it, then delete the user.`, "DeleteOnOpenRealm");
    }
    const ask = (/** @type {string} */ token) => accounts.request("DELETE", "/auth/delete", { token });
    await ask(await user.freshAccessToken()).catch(async (error) => {
      if (error.status !== 401 || !user.isLoggedIn) throw error;
      return ask(await user.refreshAccessToken());
    });
    accounts.change(() => {
      accounts.wipe(id, UserState.Removed);
      accounts.removed.push(id);
    });
    await accounts.deleteFiles([id], false);
  }

  /** `registerUser` does not log in. The server offers nothing else. */
  get emailPasswordAuth() {
    const route = `${this.#route}/auth/providers/local-userpass/register`;
    return {
      registerUser: async (/** @type {{email: string, password: string}} */ body) => void (await this.#accounts.request("POST", route, { body })),
    };
  }

  get syncUrl() {
    return `ws${this.baseUrl.slice(4)}${API}${this.#route}/realm-sync`;
  }

  get directory() {
    return `${this.baseFilePath.replace(/\/*$/, this.baseFilePath && "/")}mongodb-realm/${pathComponent(this.id)}`;
  }

  /**
   * A synced realm's name. No `path`: by its partition; relative: beside that, under this name; absolute: as it is.
   * @param {string} userId @param {string} [path] @param {any} [partitionValue] undefined: flexible
 */
  realmPath(userId, path, partitionValue) {
    if (path?.startsWith("/")) return path;
    const name = path?.replace(/\.realm$/, "") ?? partitionName(partitionValue);
    return `${this.directory}/${pathComponent(userId)}/${pathComponent(name)}.realm`;
  }

  get #route() {
    return `/app/${encodeURIComponent(this.id)}`;
  }
}

/** What `{% realm_sync_config %}` wrote into this page, or null. */
export function pageConfiguration() {
  const element = globalThis.document?.getElementById("realm-sync-config");
  return element ? JSON.parse(`${element.textContent}`) : null;
}

/** Encoded as one name in a directory. @param {string} text */
export function pathComponent(text) {
  if (text === "." || text === "..") {
    throw new Error(`A path can't have an identifier reserved by the filesystem: '${text}'`);
  }
  return encodeURIComponent(text).replace(/[!~*'()]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** @param {any} value */
function partitionName(value) {
  if (value === undefined) return "flx_sync_default";
  if (value === null) return "null";
  if (typeof value === "string") return `s_${value}`;
  const number = typeof value === "bigint" ? Number(value) : value;
  if (Number.isInteger(number)) return `${number === (number | 0) ? "i" : "l"}_${value}`;
  const letter = /** @type {Record<string, string>} */ ({ ObjectId: "o", UUID: "u" })[value._bsontype];
  if (letter) return `${letter}_${value}`;
  const accepted = "Only int, string UUID and ObjectId types are currently supported.";
  throw new Error(`Unsupported partition key value: ${value}. ${accepted}`);
}

/** @param {string} url */
function absolute(url) {
  try {
    const { protocol, origin, pathname } = new URL(url, location.origin);
    if (/^https?:$/.test(protocol)) return (origin + pathname).replace(/\/+$/, "");
  } catch {
    // said below
  }
  throw new Error(`Expected 'baseUrl' to be an http or https URL, got '${url}'`);
}

/** `value`, if it is `type`: "a string" … @param {string} target @param {string} type @param {any} value */
function expect(target, type, value) {
  if (typeof value === type.split(" ").pop() && value !== null) return value;
  throw new TypeAssertionError(type, value, target);
}

/** Whether users are kept in localStorage. @param {string} mode */
function isPersistent(mode) {
  if (mode === "encryption") {
    throw new AssertionError("'metadata.mode' cannot be 'encryption': browsers keep users in localStorage, which cannot encrypt. Use 'noEncryption' or 'inMemory'.");
  }
  if (!METADATA.includes(mode)) throw new AssertionError(`Expected 'metadata.mode' to be one of '${METADATA.join("', '")}', got '${mode}'`);
  return mode === "noEncryption";
}

/** @param {Record<string, any>} timeouts @returns {Partial<typeof TIMEOUTS>} */
function checkedTimeouts(timeouts) {
  for (const [name, value] of Object.entries(timeouts)) {
    if (!(name in TIMEOUTS)) throw new AssertionError(`Unexpected '${name}' in 'timeouts'. Use ${Object.keys(TIMEOUTS).join(", ")}.`);
    if (value === undefined) continue;
    expect(`timeouts.${name}`, "a number", value);
    if (!(value > 0 || (value === 0 && name === "linger"))) {
      throw new AssertionError(`Expected 'timeouts.${name}' to be above 0 milliseconds, got ${value}`);
    }
  }
  return timeouts;
}

/** Whether these are settings for clients, and not what a proxy said. @param {any} settings */
function usable({ appId, newRealmFileBehavior, existingRealmFileBehavior, timeouts, cancelWaitsOnNonFatalError, partitionField }) {
  const is = (/** @type {string} */ type, /** @type {any} */ value) => value === undefined || typeof value === type;
  const good =
    typeof appId === "string" &&
    [newRealmFileBehavior, existingRealmFileBehavior].every(
      (each) => each === undefined || (/^(downloadBeforeOpen|openImmediately)$/.test(each?.type) && is("number", each.timeOut)),
    ) &&
    Object.values(timeouts ?? {}).every((value) => typeof value === "number" && value >= 0) &&
    is("boolean", cancelWaitsOnNonFatalError) &&
    is("string", partitionField);
  if (!good) console.warn("realm_sync: the settings for clients stay as they are, for what the server said are none.");
  return good;
}

/** @param {{access_token: string}} answer */
function accessTokenOf({ access_token: token }) {
  if (claims(token)) return token;
  throw new AppError("Could not log in user: received malformed JWT", "BadToken");
}

/** What a JWT says, unverified; null if it is none. @param {string | null} token */
function claims(token) {
  try {
    const binary = atob(`${token}`.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(binary, (char) => char.charCodeAt(0))));
  } catch {
    return null;
  }
}

/** What a user who is not logged in cannot do. */
export function loggedOut() {
  return new AppError("User is no longer valid or is logged out", "ClientUserNotLoggedIn", 401);
}

/** @param {string} what */
function notOffered(what) {
  return new Error(`The server does not offer this yet: ${what}.`);
}
