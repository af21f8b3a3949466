// Store: one realm: its objects in memory, and what of them is durable in this browser.
//
// What is visible is the server's state at the file's progress plus the pending changesets replayed on it (R8). An object
// that pending changesets touch has a *shadow*: its image on the server, or null where it is absent there. Downloads go
// into shadows where there are any, into the tables elsewhere; then what was touched is computed anew.
//
// A local write is visible at once and durable a moment later (R9: before `writesFlushed` resolves, and before it is
// uploaded). Durable are: `log`, texts of changes that make the server's state in their order, folded into few now and
// then; `changeset`, what is pending, by client version; `file`, one record with everything else. The tabs of a page
// share them: whoever commits tells the others, who read what is new. Knows no network, no user and no lock.

import { realmError } from "../core/errors.js"
import { Fold, replay } from "./rebase.js"
import { addClasses, Table } from "./tables.js"

/** @typedef {import('./rebase.js').Image} Image */
/** @typedef {import('./rebase.js').Instruction} Instruction */
/** @typedef {import('./tables.js').StoredClass} StoredClass */
/** @typedef {{class: string, put?: Image[], patch?: Image[], erase?: any[]}} Changes */
/** @typedef {{clientVersion: number | null, baseVersion: number, timestamp: number, bytes: number, instructions: Instruction[]}} Changeset
 *   `clientVersion` is null until it is durable */
/** @typedef {{version: number, state: "pending" | "complete" | "error", error: string | null, after: number, subscriptions: any[]}} StoredSet */
/** @typedef {{clientVersion: number, writes: any[], told?: boolean}} Report compensating writes */
/** @typedef {"recover" | "discard" | "fallback"} Reset what becomes of what is pending; fallback: discarded, since recovering
 *   did not work */
/** @typedef {import('./disk.js').Disk | import('./disk.js').MemoryDisk | import('./encryptedDisk.js').EncryptedDisk} Storage */

const DEFAULT_MESSAGE_BYTES = 700_000; // until a server has said its own
const ENVELOPE_BYTES = 4096;
const FOLD_RECORDS = 400; // as many small records of the log become one
const FOLD_CHARACTERS = 4_000_000;
const PAGE_OBJECTS = 1000;
const RETRY_MILLISECONDS = [1000, 30_000];
const MOST_RESETS = 2; // in a row, before a client reset is not tried again

const encoder = new TextEncoder();

const newFile = () => ({
  revision: 0, // rises with every commit of any tab
  logged: 0, // the newest record of the log
  base: 0, // the log up to here is gone: who has not read it all reads everything
  rewritten: 0, // the log from `base` to here says what the log up to `base` said
  tail: 0, // records above are small and wait to be folded
  tailCharacters: 0,
  weight: 0, // objects named in the log, the same one counted again and again
  clientFile: /** @type {{ident: number, salt: string} | null} */ (null),
  epoch: /** @type {string | null} */ (null),
  serverVersion: 0,
  clientVersion: 0,
  queryVersion: 0,
  view: 0,
  nextClientVersion: 1,
  downloaded: false, // some download was applied once
  reset: /** @type {Reset | null} */ (null),
  resets: 0, // begun since one was through: its content here and everything pending acknowledged
  resetSet: /** @type {StoredSet | null} */ (null), // the newest that was complete when the reset began
  maxMessageBytes: 0,
  opened: false, // some opening of the file has succeeded
  owner: /** @type {string | null} */ (null), // the user whose objects these are
  schemaVersion: /** @type {number | null} */ (null),
  schema: /** @type {StoredClass[]} */ ([]),
  sets: /** @type {StoredSet[]} */ ([]),
  rejected: /** @type {Report[]} */ ([]),
});

/** @type {StoredSet} the set of a new file */
const NO_SET = { version: 0, state: "complete", error: null, after: 0, subscriptions: [] };

/** A local write transaction: the tables change at once, the changeset is made at the end. */
class Writer {
  #store;
  #fold = new Fold();
  /** @type {Map<Table, Map<any, Image | null>>} the objects before this transaction, by first touch */
  #originals = new Map();

  #end;

  /** @param {Store} store @param {() => void} end */
  constructor(store, end) {
    this.#store = store;
    this.#end = end;
  }

  /** @param {Table} table @param {any} key */
  #remember(table, key) {
    let originals = this.#originals.get(table);
    if (!originals) this.#originals.set(table, (originals = new Map()));
    if (!originals.has(key)) originals.set(key, table.objects.get(key) ?? null);
  }

  /** @param {Table} table @param {Image} image */
  create(table, image) {
    const { [table.keyName]: key, ...values } = image;
    this.#remember(table, key);
    table.set(key, image);
    this.#fold.create(table.name, key, values);
  }

  /** @param {Table} table @param {any} key @param {Image} values */
  update(table, key, values) {
    this.#remember(table, key);
    table.set(key, { ...table.objects.get(key), ...values });
    const links = table.links.filter(([name]) => values[name] != null);
    this.#fold.update(table.name, key, values, links.map(([name, target]) => [target, values[name]]));
  }

  /** @param {Table} table @param {any} key */
  delete(table, key) {
    this.#remember(table, key);
    table.delete(key);
    this.#fold.delete(table.name, key);
  }

  /** Makes the changeset pending. Throws if it is larger than the server takes; `cancel` then. @param {number} timestamp */
  finish(timestamp) {
    const instructions = this.#fold.steps();
    if (!instructions.length) return this.#end();
    const store = this.#store;
    const bytes = encoder.encode(JSON.stringify(instructions)).length;
    const limit = (store.file.maxMessageBytes || DEFAULT_MESSAGE_BYTES) - ENVELOPE_BYTES;
    if (store.synced && bytes > limit) {
      throw realmError(
        `This write transaction is ${bytes} bytes large and the server takes at most ${limit} at once: write it in several transactions.`,
        "LimitExceeded",
      );
    }
    const changeset = { clientVersion: null, baseVersion: store.file.serverVersion, timestamp, bytes, instructions };
    store._commit(changeset, this.#originals);
    this.#end();
  }

  /** Undoes everything. */
  cancel() {
    for (const [table, originals] of this.#originals) {
      for (const [key, image] of originals) image ? table.set(key, image) : table.delete(key);
    }
    this.#end();
  }
}

export class Store {
  path;
  synced;
  file = newFile();
  /** @type {Map<string, Table>} */
  tables = new Map();
  /** @type {Changeset[]} in order: those that are durable, then those that are not yet */
  pending = [];
  /** Whether what is durable has been read. Until then the store is empty but for what is written meanwhile. */
  isLoaded = false;
  isClosed = false;
  isFrozen = false;
  onChange = () => {}; // objects, sets or schema in memory have changed
  onRebuild = () => {}; // what was pending is pending in other objects now
  onCommit = () => {}; // this tab has committed something: other tabs want to know
  onFailure = (/** @type {any} */ error) => console.error(error); // a commit failed; it is tried again

  /** @type {Storage | null} */
  #disk = null;
  /** @type {Map<string, Map<any, Image | null>>} */
  #shadows = new Map();
  /** @type {Map<string, Map<any, {changeset: Changeset, instruction: Instruction}[]>>} what is pending, by object */
  #steps = new Map();
  #logged = 0; // the newest record of the log that is in memory
  /** @type {({changeset: Changeset} | {set: StoredSet} | {schema: StoredClass[], schemaVersion: number | null})[]} */
  #unflushed = [];
  /** @type {StoredSet[]} those of #unflushed */
  #newSets = [];
  /** @type {Promise<any>} */
  #turn = Promise.resolve();
  /** @type {Promise<void> | null} */
  #flushing = null;
  /** @type {any} */
  #retry = null;
  #retryDelay = RETRY_MILLISECONDS[0];
  #folding = false;
  /** A local transaction may stay open over turns of the event loop. @type {Promise<void> | null} */
  #writing = null;
  /** @type {Promise<void> | null} */
  #reading = null;

  /** @param {string} path @param {boolean} synced local writes become pending changesets */
  constructor(path, synced) {
    this.path = path;
    this.synced = synced;
  }

  // --- transactions on the disk -------------------------------------------------------------------------------------

  /** One at a time in this tab, so that what is read from the disk meets the memory it was read for.
   * @template T @param {() => Promise<T>} work */
  #exclusive(work) {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {});
    return done;
  }

  /** One durable transaction, which begins with what other tabs committed. `work` changes the file's record and may be
   * followed by `then`, which changes the memory once it is durable. Inside #exclusive.
   * @template T @param {((transaction: any, file: ReturnType<typeof newFile>) => Promise<T>) | null} work null: only read
   * @param {(result: T, file: ReturnType<typeof newFile>) => void} [then] @param {"strict" | "relaxed"} [durability] */
  async #transact(work, then, durability = "strict") {
    if (this.isClosed || !this.#disk) throw realmError("Cannot access realm that has been closed.", "ClosedRealm");
    /** @type {any} */ let news = null;
    /** @type {any} */ let file;
    const result = await this.#disk.transact(
      async (/** @type {any} */ transaction) => {
        news = null; // it may run again
        file = (await transaction.get("file", 1)) ?? newFile();
        if (file.revision !== this.file.revision || !this.isLoaded) news = await this.#readNews(transaction, file);
        if (!work) return undefined;
        const found = await work(transaction, file);
        file.revision += 1;
        transaction.put("file", 1, file);
        return found;
      },
      { mode: work ? "readwrite" : "readonly", durability },
    );
    while (this.#writing) await this.#writing;
    if (this.isClosed) return /** @type {T} */ (result);
    this.#adoptSchema(file.schema);
    if (news) this.#mergeNews(news);
    then?.(/** @type {T} */ (result), file);
    this.file = file;
    if (work) this.onCommit();
    if (news || then) this.onChange();
    return /** @type {T} */ (result);
  }

  /** @param {any} transaction @param {ReturnType<typeof newFile>} file */
  async #readNews(transaction, file) {
    const everything = !this.isLoaded || this.#logged < file.base;
    const newest = everything ? 0 : this.pending.reduce((most, { clientVersion }) => Math.max(most, clientVersion ?? 0), 0);
    return {
      everything,
      // Who had read everything that a rewrite of the log replaced need not read it again.
      log: await transaction.above("log", everything ? -1 : this.#logged === file.base ? file.rewritten : this.#logged),
      changesets: (await transaction.above("changeset", newest)).map((/** @type {any} */ record) => record[1]),
      logged: file.logged,
      serverVersion: file.serverVersion,
      clientVersion: file.clientVersion,
    };
  }

  /** @param {any} news */
  #mergeNews({ everything, log, changesets, logged, serverVersion, clientVersion }) {
    /** @type {Changes[]} */
    const changes = log.flatMap((/** @type {[number, string]} */ [, text]) => JSON.parse(text).changes);
    if (everything) this.#rebuild(changes, changesets, serverVersion);
    else {
      const known = new Set(this.pending.map((changeset) => changeset.clientVersion));
      /** @type {Map<string, Set<any>>} */
      const touched = new Map();
      for (const each of changesets) if (!known.has(each.clientVersion)) this.#insert(each, touched);
      this.#merge(changes, (changeset) => changeset.clientVersion !== null && changeset.clientVersion <= clientVersion, touched);
    }
    this.#logged = logged;
    this.isLoaded = true;
  }

  /** Reads what is durable. Until it resolves the store shows only what was written to it.
   * @param {Storage} disk @param {boolean} [isNew] it was thought that there is nothing to read */
  async load(disk, isNew = false) {
    this.#disk = disk;
    await this.#exclusive(() => this.#transact(null));
    if (isNew) this.#meetFile();
    this.#flushSoon();
  }

  /** What was done in the belief that there is no file, which there may be (the list of files can be lost): its subscriptions
   * stay, and of its classes migration.js decides. */
  #meetFile() {
    const { sets, schema } = this.file;
    for (const set of this.#newSets) {
      const isSame = (/** @type {any} */ one, /** @type {any} */ other) =>
        (one.name ?? null) === (other.name ?? null) && (one.name != null || (one.class === other.class && one.query === other.query));
      const there = sets.at(-1)?.subscriptions.filter((old) => !set.subscriptions.some((each) => isSame(each, old)));
      set.subscriptions = [...(there ?? []), ...set.subscriptions];
    }
    if (!this.synced && schema.length) this.#unflushed = this.#unflushed.filter((item) => !("schema" in item));
  }

  /** Another tab has committed: reads what. One reading serves everybody who asks before it begins. @returns {Promise<any>} */
  catchUp() {
    if (!this.isLoaded) return this.#turn;
    return (this.#reading ??= this.#exclusive(async () => {
      this.#reading = null;
      if (!this.isClosed) await this.#transact(null);
    }));
  }

  /** Changes the file's record in one durable transaction. @template T
   * @param {(file: ReturnType<typeof newFile>) => T} change */
  #update(change) {
    return this.#exclusive(() => this.#transact(async (_, file) => change(file), () => {}));
  }

  /** Ends it. What is not durable yet becomes so first. */
  async close() {
    if (this.isLoaded) await this.writesFlushed().catch(() => {});
    await this.#exclusive(async () => {
      this.isClosed = true;
      this.#disk?.close();
    });
    clearTimeout(this.#retry);
  }

  // --- local writes -------------------------------------------------------------------------------------------------

  /** One at a time; until it ends, nothing else changes the tables. */
  writer() {
    let end = () => {};
    this.#writing = new Promise((/** @type {(value?: any) => void} */ resolve) => {
      end = () => {
        this.#writing = null;
        resolve();
      };
    });
    return new Writer(this, end);
  }

  /** For Writer. @param {Changeset} changeset @param {Map<Table, Map<any, Image | null>>} originals */
  _commit(changeset, originals) {
    for (const [table, images] of originals) {
      for (const [key, image] of images) this.#shadow(table.name, key, image);
    }
    this.pending.push(changeset);
    for (const instruction of changeset.instructions) this.#stepsOf(instruction).push({ changeset, instruction });
    this.#dropShadows(originals);
    this.#enqueue({ changeset });
  }

  /** Objects of the transaction that nothing pending touches (created and deleted at once) need no shadow.
   * @param {Map<Table, Map<any, Image | null>>} originals */
  #dropShadows(originals) {
    for (const [table, images] of originals) {
      for (const key of images.keys()) {
        if (!this.#steps.get(table.name)?.get(key)?.length) this.#shadows.get(table.name)?.delete(key);
      }
    }
  }

  /** @param {any} item */
  #enqueue(item) {
    this.#unflushed.push(item);
    this.#flushSoon();
  }

  #flushSoon() {
    if (this.#flushing || !this.isLoaded || this.isClosed || this.isFrozen || !this.#unflushed.length) return;
    clearTimeout(this.#retry);
    const flushing = this.#exclusive(() => this.#flush()).then(
      () => {
        this.#flushing = null;
        this.#retryDelay = RETRY_MILLISECONDS[0];
        this.#flushSoon();
      },
      (error) => {
        this.#flushing = null;
        this.#retry = setTimeout(() => this.#flushSoon(), this.#retryDelay);
        this.#retryDelay = Math.min(2 * this.#retryDelay, RETRY_MILLISECONDS[1]);
        throw error;
      },
    );
    this.#flushing = flushing;
    flushing.catch((error) => this.onFailure(error));
  }

  /** Everything that is not durable yet, in one transaction. */
  async #flush() {
    const items = [...this.#unflushed];
    if (!items.length) return;
    await this.#transact(
      async (transaction, file) => {
        const numbers = [];
        for (const item of items) {
          if ("schema" in item) {
            addSchema(file, item.schema);
            file.schemaVersion = item.schemaVersion ?? file.schemaVersion;
          } else if ("set" in item) {
            const version = Math.max(0, ...file.sets.map((set) => set.version)) + 1;
            file.sets.push({ ...item.set, version, after: file.nextClientVersion - 1 });
            numbers.push(version);
            continue;
          } else if (this.synced) {
            const version = file.nextClientVersion++;
            transaction.put("changeset", version, { ...item.changeset, clientVersion: version });
            numbers.push(version);
            continue;
          } else this.#log(transaction, file, [JSON.stringify({ changes: this.#changesOf(item.changeset) })], item.changeset.instructions.length);
          numbers.push(0);
        }
        return numbers;
      },
      (numbers, file) => {
        this.#unflushed.splice(0, items.length);
        /** @type {Set<Changeset>} */
        const local = new Set();
        items.forEach((item, at) => {
          if ("set" in item) Object.assign(/** @type {StoredSet} */ (this.#newSets.shift()), { version: numbers[at] });
          else if ("changeset" in item && this.synced) item.changeset.clientVersion = numbers[at];
          else if ("changeset" in item) local.add(item.changeset);
        });
        if (local.size) this.#merge([...local].flatMap((changeset) => this.#changesOf(changeset)), (changeset) => local.has(changeset));
        this.#logged = file.logged;
      },
    );
    this.#foldSoon();
  }

  /** Resolves when everything written so far is durable; rejects if the browser could not store it (it is kept in memory
   * and tried again). */
  async writesFlushed() {
    const last = this.#unflushed.at(-1);
    while (last && this.#unflushed.includes(last) && !this.isFrozen) {
      if (!this.isLoaded) await new Promise((resolve) => setTimeout(resolve, 5));
      else {
        this.#flushSoon();
        await this.#flushing;
      }
      if (this.isClosed) throw realmError("Cannot access realm that has been closed.", "ClosedRealm");
    }
  }

  /** What a changeset of a local realm means to the log. @param {Changeset} changeset @returns {Changes[]} */
  #changesOf({ instructions }) {
    return instructions.map(({ op, class: name, _id, values }) => {
      const keyName = /** @type {Table} */ (this.tables.get(name)).keyName;
      if (op === "delete") return { class: name, erase: [_id] };
      return { class: name, [op === "create" ? "put" : "patch"]: [{ [keyName]: _id, ...values }] };
    });
  }

  // --- for the session ----------------------------------------------------------------------------------------------

  /** Some opening of the file has succeeded. Files of before this was noted were all opened. */
  get wasOpened() {
    return this.file.opened !== false;
  }

  /** @param {string} id of the user who opens a file that is nobody's */
  setOwner(id) {
    return this.#update((file) => void (file.owner ??= id));
  }

  setOpened() {
    return this.#update((file) => void (file.opened = true));
  }

  /** What a session needs to know when its connection opens. */
  fileState() {
    const { clientFile, epoch, serverVersion, clientVersion, queryVersion, view, reset } = this.file;
    const progress = { serverVersion, clientVersion, queryVersion, view };
    return { clientFile, epoch, progress, sets: this.unsentSets(), resetting: reset !== null };
  }

  /** Durable changesets above `after`, up to `upto` if given, of `maxBytes` together but at least one. @param {number} after
   * @param {number | null} upto @param {number} maxBytes */
  pendingAbove(after, upto, maxBytes) {
    const found = [];
    let bytes = 0;
    for (const changeset of this.pending) {
      if (changeset.clientVersion === null || changeset.clientVersion > (upto ?? Infinity)) break;
      if (changeset.clientVersion <= after) continue;
      bytes += changeset.bytes;
      if (found.length && bytes > maxBytes) break;
      const { clientVersion, baseVersion, timestamp, instructions } = changeset;
      found.push({ clientVersion, baseVersion, timestamp, instructions });
    }
    return found;
  }

  /** The server's answer to `bind`. @param {any} clientFile @param {any} bound */
  storeBound(clientFile, bound) {
    return this.#update((file) => {
      if (clientFile) file.clientFile = clientFile;
      file.epoch = bound.epoch;
      file.maxMessageBytes = bound.limits.maxMessageBytes;
      const classes = bound.schema.map((/** @type {any} */ { name, properties, readOnly }) => ({ name, keyName: "_id", properties, ...(readOnly && { readOnly }) }));
      addSchema(file, classes);
    });
  }

  /** Whether a client reset waits for content, of a subscription set that the server may have. */
  get isAwaitingReset() {
    const { reset, sets, queryVersion } = this.file;
    return reset !== null && sets.some(({ state, version }) => state !== "error" && version > queryVersion);
  }

  /** Whether anything is here that a client reset could take away. */
  get hasHistory() {
    return this.file.downloaded || this.pending.length > 0;
  }

  /** What becomes of what is pending in the client reset that this download completes. @param {any} download */
  resetEndedBy({ queryVersion }, file = this.file) {
    const wanted = Math.max(0, ...file.sets.map((set) => (set.state === "error" ? 0 : set.version)));
    return queryVersion >= wanted ? file.reset : null;
  }

  /** Resolves when no local transaction is open. */
  async idle() {
    while (this.#writing) await this.#writing;
  }

  /** One download, or one bootstrap with all its parts, in one transaction (R10): durable first, then visible. What a
   * client reset discards is what is pending at the call: what is written later, nobody was shown before it went.
   * @param {any} download the last part @param {Changes[]} changes of all parts @param {string[]} texts the frames they came in */
  apply(download, changes, texts) {
    const rows = changes.reduce((sum, { put, patch, erase }) => sum + (put?.length ?? 0) + (patch?.length ?? 0) + (erase?.length ?? 0), 0);
    const shown = new Set(this.pending);
    return this.#exclusive(async () => {
      /** @type {Changeset[]} */ let renumbered = [];
      const applied = await this.#transact(
        async (transaction, file) => {
          const reset = this.resetEndedBy(download, file);
          if (reset) {
            transaction.delete("log", -1, file.logged);
            file.base = file.rewritten = file.tail = file.logged += 1; // so that even an empty log is another one
            file.weight = file.tailCharacters = 0;
            const discarded = new Set(reset === "recover" ? [] : [...shown].map(({ clientVersion }) => clientVersion));
            const kept = (await transaction.above("changeset")).filter((/** @type {[number, any]} */ [version]) => !discarded.has(version));
            transaction.delete("changeset", -1, file.nextClientVersion);
            // The new client file has sent nothing yet: its changesets count from one, and stand on what it just got.
            renumbered = kept.map((/** @type {any} */ [, changeset], /** @type {number} */ at) => ({ ...changeset, clientVersion: at + 1, baseVersion: download.serverVersion }));
            for (const changeset of renumbered) transaction.put("changeset", changeset.clientVersion, changeset);
            file.nextClientVersion = renumbered.length + 1;
            for (const set of file.sets) if (set.state === "pending") set.after = renumbered.length;
            file.reset = file.resetSet = null;
          } else {
            transaction.delete("changeset", -1, download.clientVersion);
            // A restored file meets its own later changesets: it must not use their numbers again.
            file.nextClientVersion = Math.max(file.nextClientVersion, download.clientVersion + 1);
          }
          if (rows) this.#log(transaction, file, texts, rows);
          const { serverVersion, clientVersion, queryVersion, view } = download;
          Object.assign(file, { serverVersion, clientVersion, queryVersion, view, downloaded: true });
          if (file.reset === null && file.nextClientVersion <= clientVersion + 1) file.resets = 0;
          file.sets = file.sets.filter((set) => set.version >= queryVersion);
          for (const set of file.sets) if (set.version === queryVersion) Object.assign(set, { state: "complete", error: null });
          return { rejected: due(file), reset };
        },
        ({ reset }, file) => {
          if (reset) {
            if (reset !== "recover") {
              this.pending = this.pending.filter((changeset) => !shown.has(changeset));
              this.#unflushed = this.#unflushed.filter((item) => !("changeset" in item && shown.has(item.changeset)));
            }
            this.#rebuild(changes, renumbered, download.serverVersion);
          } else this.#merge(changes, (changeset) => changeset.clientVersion !== null && changeset.clientVersion <= download.clientVersion);
          this.#logged = file.logged;
        },
        "relaxed",
      );
      this.#foldSoon();
      return applied;
    });
  }

  /** Keeps a report of compensating writes until its correction is here; gives those whose correction is here already.
   * @param {Report} report */
  holdRejected({ clientVersion, writes }) {
    return this.#update((file) => {
      const text = JSON.stringify(writes);
      const known = file.rejected.some((held) => held.clientVersion === clientVersion && JSON.stringify(held.writes) === text);
      if (!known) file.rejected.push({ clientVersion, writes });
      return due(file);
    });
  }

  /** Reports whose correction is applied and that the app has not been told: its tab was closed in between. */
  dueReports() {
    return due(this.file);
  }

  /** The app knows these. The same may come again after a reconnect, so the newest are remembered. @param {Report[]} reports */
  reportsTold(reports) {
    const versions = new Set(reports.map((report) => report.clientVersion));
    return this.#update((file) => {
      for (const report of file.rejected) if (versions.has(report.clientVersion)) report.told = true;
      const old = file.rejected.filter((report) => report.told);
      if (old.length > 100) file.rejected = file.rejected.filter((report) => !report.told || old.indexOf(report) >= old.length - 100);
    });
  }

  /** @param {number} version @param {string} message */
  refuseSet(version, message) {
    return this.#update((file) => {
      for (const set of file.sets) if (set.version === version) Object.assign(set, { state: "error", error: message });
      // In a client reset it was to bring the content. What was in use before must not go with it: it is asked for instead.
      const { reset, resetSet, sets } = file;
      if (reset === null || !resetSet || sets.some((set) => set.state !== "error")) return;
      sets.push({ ...resetSet, version: Math.max(...sets.map((set) => set.version)) + 1, state: "pending", error: null, after: 0 });
    });
  }

  /** Client reset: the file asks for a new ident and everything anew. What is visible stays until that is here, pending
   * changesets stay as well; of the subscription sets the newest, or, where unsynced changes are discarded, the newest that
   * was complete. Rejects, and changes nothing, if those before this one did not get through; where recovering may end in
   * discarding, one more is tried, which discards.
   * @param {"recoverUnsyncedChanges" | "recoverOrDiscardUnsyncedChanges" | "discardUnsyncedChanges"} mode */
  beginReset(mode) {
    return this.#update((file) => {
      const mayDiscard = mode === "recoverOrDiscardUnsyncedChanges";
      const { resets = 0 } = file; // of before it was counted
      if (resets >= MOST_RESETS + (mayDiscard ? 1 : 0)) {
        throw realmError(`The server asked for it again and again: the ${resets} client resets before this one did not get through.`);
      }
      /** @type {Reset} */
      const reset = mode === "discardUnsyncedChanges" ? "discard" : resets < MOST_RESETS ? "recover" : "fallback";
      if (file.reset === null) file.resetSet = file.sets.filter((set) => set.state === "complete").at(-1) ?? null;
      // What a file without content is subscribed to was never complete, and nobody would subscribe again.
      const isNewest = reset === "recover" || !file.downloaded;
      const set = isNewest ? file.sets.filter((each) => each.state !== "error").at(-1) : file.resetSet;
      file.sets = set ? [{ ...set, state: "pending", after: 0 }] : [];
      const downloaded = file.downloaded || file.serverVersion > 0; // the files of before this was noted
      const nothing = { clientFile: null, epoch: null, serverVersion: 0, clientVersion: 0, queryVersion: 0, view: 0, rejected: [] };
      Object.assign(file, { ...nothing, downloaded, reset, resets: resets + 1 });
    });
  }

  // --- subscription sets --------------------------------------------------------------------------------------------

  /** @returns {StoredSet[]} every set that is not superseded, oldest first */
  get sets() {
    return [...this.file.sets, ...this.#newSets];
  }

  /** The newest set; version 0, empty and complete, in a new file. */
  newestSet() {
    return this.sets.at(-1) ?? NO_SET;
  }

  /** A new newest set, to be sent after the changesets that exist now. @param {any[]} subscriptions @returns {StoredSet} */
  addSet(subscriptions) {
    const set = { version: this.newestSet().version + 1, state: /** @type {const} */ ("pending"), error: null, after: 0, subscriptions };
    this.#newSets.push(set);
    this.#enqueue({ set });
    return set;
  }

  /** Every pending set that is durable, oldest first. */
  unsentSets() {
    const pending = this.file.sets.filter((set) => set.state === "pending");
    return pending.map(({ version, after, subscriptions }) => ({ queryVersion: version, after, subscriptions }));
  }

  // --- schema -------------------------------------------------------------------------------------------------------

  /** Adds classes and properties. Throws if they contradict what is there. @param {StoredClass[]} classes
   * @param {number | null} [schemaVersion] */
  addSchema(classes, schemaVersion = null) {
    // Not what the tables say: one may have been made on first use, before the file was read.
    const merged = addClasses(new Map(this.file.schema.map((cls) => [cls.name, cls])), classes);
    if (merged) this.#adoptSchema([...merged.values()]);
    if (merged || (schemaVersion !== null && schemaVersion !== this.file.schemaVersion)) this.#enqueue({ schema: classes, schemaVersion });
  }

  /** The classes of the file. @param {StoredClass[]} classes */
  #adoptSchema(classes) {
    const known = new Map([...this.tables].map(([name, table]) => [name, table.cls]));
    // A local realm's classes may have changed in any way: migration.js sees to that.
    for (const cls of this.synced ? (addClasses(known, classes)?.values() ?? []) : classes) this._tableFor(cls).cls = cls;
  }

  /** @param {StoredClass} cls */
  _tableFor(cls) {
    let table = this.tables.get(cls.name);
    if (!table) this.tables.set(cls.name, (table = new Table(cls)));
    return table;
  }

  /** For the migration of a local realm: other classes and objects, and what `change` makes of them. Nothing of it is
   * durable if that throws. @param {StoredClass[]} classes @param {number} schemaVersion
   * @param {Map<string, Map<any, Image>>} objects @param {() => void} change */
  async replaceLocal(classes, schemaVersion, objects, change) {
    const replace = async (/** @type {any} */ transaction, /** @type {ReturnType<typeof newFile>} */ file) => {
      transaction.delete("log", -1, file.logged);
      file.base = file.rewritten = file.logged += 1;
      for (const text of this.#pages()) transaction.put("log", ++file.logged, text);
      Object.assign(file, { tail: file.logged, tailCharacters: 0, weight: this.#live, schemaVersion });
      file.schema = [...this.tables.values()].map((table) => table.cls);
    };
    await this.#exclusive(async () => {
      for (const cls of classes) {
        const table = this._tableFor(cls); // which Results made before the file was read hold on to
        table.cls = cls;
        table.keyName = cls.keyName;
        table.replace(objects.get(cls.name) ?? new Map());
      }
      change();
      this.pending = [];
      this.#unflushed = [];
      this.#shadows.clear();
      this.#steps.clear();
      await this.#transact(replace, (_, file) => void (this.#logged = file.logged));
    });
  }

  /** What the core wants to know of classes. */
  schema = {
    get: (/** @type {string} */ name) => this.tables.get(name)?.cls,
    has: (/** @type {string} */ name) => this.tables.has(name),
    wireType: (/** @type {any} */ property) => {
      if (property.type !== "object") return property.type;
      const target = this.tables.get(property.objectType);
      return target ? (target.cls.properties[target.keyName]?.type ?? "string") : "string";
    },
  };

  // --- memory -------------------------------------------------------------------------------------------------------

  /** The steps pending on an instruction's object. @param {Instruction} instruction */
  #stepsOf({ class: name, _id }) {
    let byKey = this.#steps.get(name);
    if (!byKey) this.#steps.set(name, (byKey = new Map()));
    let steps = byKey.get(_id);
    if (!steps) byKey.set(_id, (steps = []));
    return steps;
  }

  /** An object that has a shadow keeps it: older pending changesets touched it before. @param {string} name @param {any} key
   * @param {Image | null} image */
  #shadow(name, key, image) {
    let shadows = this.#shadows.get(name);
    if (!shadows) this.#shadows.set(name, (shadows = new Map()));
    if (!shadows.has(key)) shadows.set(key, image);
  }

  /** A pending changeset of another tab, in its place among ours; the objects it touches are to be shown anew.
   * @param {Changeset} changeset @param {Map<string, Set<any>>} touched */
  #insert(changeset, touched) {
    const comesLater = (/** @type {Changeset} */ other) =>
      other.clientVersion === null || (changeset.clientVersion !== null && other.clientVersion > changeset.clientVersion);
    insertBefore(this.pending, changeset, comesLater);
    for (const instruction of changeset.instructions) {
      const { class: name, _id: key } = instruction;
      this.#shadow(name, key, this.tables.get(name)?.objects.get(key) ?? null);
      insertBefore(this.#stepsOf(instruction), { changeset, instruction }, (step) => comesLater(step.changeset));
      note(touched, name, key);
    }
  }

  /** Server state forward, changesets that are `done` dropped, the rest replayed. @param {Changes[]} list
   * @param {(changeset: Changeset) => boolean} done @param {Map<string, Set<any>>} [touched] */
  #merge(list, done, touched = new Map()) {
    for (const changes of list) this.#change(changes, touched);
    const dropped = new Set(this.pending.filter(done));
    if (dropped.size) {
      this.pending = this.pending.filter((changeset) => !dropped.has(changeset));
      /** @type {Map<string, Set<any>>} */
      const concerned = new Map(); // each object once, however many of them touched it
      for (const { instructions } of dropped) for (const { class: name, _id: key } of instructions) note(concerned, name, key);
      for (const [name, keys] of concerned) {
        const steps = this.#steps.get(name);
        for (const key of keys) {
          const left = (steps?.get(key) ?? []).filter(({ changeset }) => !dropped.has(changeset));
          left.length ? steps?.set(key, left) : steps?.delete(key);
          note(touched, name, key);
        }
      }
    }
    this.#show(touched);
  }

  /** @param {Changes} changes @param {Map<string, Set<any>>} touched */
  #change({ class: name, put = [], patch = [], erase = [] }, touched) {
    const table = this.tables.get(name);
    if (!table) return;
    const { keyName, objects } = table;
    const shadows = this.#shadows.get(name);
    const state = shadows?.size ? shadows : null;
    for (const image of put) {
      const key = image[keyName];
      if (state?.has(key)) note(touched, name, (state.set(key, image), key));
      else table.set(key, image);
    }
    for (const values of patch) {
      const key = values[keyName];
      if (state?.has(key)) {
        const old = state.get(key);
        if (old) note(touched, name, (state.set(key, { ...old, ...values }), key));
      } else if (objects.has(key)) table.set(key, { ...objects.get(key), ...values });
    }
    for (const key of erase) {
      if (state?.has(key)) note(touched, name, (state.set(key, null), key));
      else table.delete(key);
    }
  }

  /** Visible = shadow + pending; shadows that nothing pending needs any more are dropped. @param {Map<string, Set<any>>} touched */
  #show(touched) {
    for (const [name, keys] of touched) {
      const table = this.tables.get(name);
      const shadows = this.#shadows.get(name);
      if (!table || !shadows) continue;
      for (const key of keys) {
        let image = shadows.get(key) ?? null;
        const steps = this.#steps.get(name)?.get(key);
        if (steps?.length) image = replay(image, steps.map(({ instruction }) => instruction), table.keyName);
        else shadows.delete(key);
        image ? table.set(key, image) : table.delete(key);
      }
    }
  }

  /** Everything anew: what `list` makes, with `changesets` and what is not durable yet on top. @param {Changes[]} list
   * @param {Changeset[]} changesets @param {number} serverVersion what `list` says is the state at this version */
  #rebuild(list, changesets, serverVersion) {
    /** @type {Map<string, Map<any, Image>>} */
    const built = new Map([...this.tables.keys()].map((name) => [name, new Map()]));
    for (const { class: name, put = [], patch = [], erase = [] } of list) {
      const objects = built.get(name);
      const keyName = this.tables.get(name)?.keyName;
      if (!objects || !keyName) continue;
      for (const image of put) objects.set(image[keyName], image);
      for (const values of patch) {
        const old = objects.get(values[keyName]);
        if (old) objects.set(values[keyName], { ...old, ...values });
      }
      for (const key of erase) objects.delete(key);
    }
    for (const [name, objects] of built) this.tables.get(name)?.replace(objects);
    const unflushed = this.pending.filter((changeset) => changeset.clientVersion === null);
    this.pending = [];
    this.#shadows.clear();
    this.#steps.clear();
    /** @type {Map<string, Set<any>>} */
    const touched = new Map();
    for (const changeset of unflushed) changeset.baseVersion = serverVersion;
    for (const changeset of [...changesets, ...unflushed]) this.#insert(changeset, touched);
    this.#show(touched);
    this.onRebuild();
  }

  // --- the log ------------------------------------------------------------------------------------------------------

  /** @param {any} transaction @param {ReturnType<typeof newFile>} file @param {string[]} texts @param {number} rows */
  #log(transaction, file, texts, rows) {
    const small = rows < PAGE_OBJECTS;
    for (const text of texts) {
      transaction.put("log", ++file.logged, text);
      if (small) file.tailCharacters += text.length;
    }
    file.weight += rows;
    if (!small) {
      file.tail = file.logged; // what is below stays apart: it would be folded into something large
      file.tailCharacters = 0;
    }
  }

  /** Folds the log when it has grown, in a quiet moment. */
  #foldSoon() {
    const { logged, tail, tailCharacters } = this.file;
    if (this.#folding || (logged - tail < FOLD_RECORDS && tailCharacters < FOLD_CHARACTERS && !this.#isHeavy(this.file))) return;
    this.#folding = true;
    setTimeout(() => {
      this.#exclusive(() => this.#fold())
        .catch((error) => this.isClosed || this.onFailure(error))
        .finally(() => (this.#folding = false));
    });
  }

  get #live() {
    return [...this.tables.values()].reduce((sum, table) => sum + table.objects.size, 0);
  }

  /** Whether the log says everything many times over. @param {ReturnType<typeof newFile>} file */
  #isHeavy(file) {
    return file.weight > 3 * this.#live + 10 * PAGE_OBJECTS;
  }

  /** The small records at the end become one; or, where the log says everything many times over, all of it is written anew
   * in pages. */
  async #fold() {
    if (this.isClosed) return;
    await this.#transact(null);
    await this.#transact(
      async (transaction, file) => {
        if (file.logged !== this.#logged || this.#writing) return; // another tab was faster; or what is half written is no state
        if (this.#isHeavy(file)) this.#rewrite(transaction, file);
        else if (file.logged > file.tail) {
          const records = await transaction.above("log", file.tail);
          const text = this.#page(records.flatMap((/** @type {[number, string]} */ [, each]) => JSON.parse(each).changes));
          transaction.delete("log", file.tail, file.logged);
          transaction.put("log", file.logged, text);
        }
        file.tail = file.logged;
        file.tailCharacters = 0;
      },
      (_, file) => {
        this.#logged = file.logged;
      },
      "relaxed",
    );
  }

  /** The log anew, of everything in it. @param {any} transaction @param {ReturnType<typeof newFile>} file */
  #rewrite(transaction, file) {
    transaction.delete("log", -1, file.logged);
    file.base = file.logged;
    for (const text of this.#pages()) transaction.put("log", ++file.logged, text);
    file.rewritten = file.logged;
    file.weight = this.#live;
  }

  /** How many characters the log has, and how many it would have if it were written anew. */
  sizes() {
    return this.#exclusive(async () => {
      let total = 0;
      await this.#transact(null);
      await /** @type {Storage} */ (this.#disk).transact(
        async (/** @type {any} */ transaction) => {
          total = (await transaction.above("log")).reduce((/** @type {number} */ sum, /** @type {[number, string]} */ [, text]) => sum + text.length, 0);
        },
        { mode: "readonly" },
      );
      return { total, used: [...this.#pages()].reduce((sum, text) => sum + text.length, 0) };
    });
  }

  /** Writes the log anew. False if another tab wrote meanwhile, or a transaction is open. */
  async compact() {
    if (this.#writing) return false; // what holds the turn may wait for it
    return this.#exclusive(async () => {
      if (this.#writing) return false;
      await this.#transact(null);
      return this.#transact(
        async (transaction, file) => {
          if (file.logged !== this.#logged || this.#writing) return false;
          this.#rewrite(transaction, file);
          file.tail = file.logged;
          file.tailCharacters = 0;
          return true;
        },
        (isDone, file) => {
          if (isDone) this.#logged = file.logged;
        },
      );
    });
  }

  /** The server's image of an object. @param {Table} table @param {any} key */
  #serverImage(table, key) {
    const shadows = this.#shadows.get(table.name);
    return shadows?.has(key) ? shadows.get(key) : table.objects.get(key);
  }

  /** One text that says what these changes came to. @param {Changes[]} list */
  #page(list) {
    /** @type {Map<string, Set<any>>} */
    const touched = new Map();
    for (const { class: name, put = [], patch = [], erase = [] } of list) {
      const keyName = this.tables.get(name)?.keyName;
      if (!keyName) continue;
      for (const image of [...put, ...patch]) note(touched, name, image[keyName]);
      for (const key of erase) note(touched, name, key);
    }
    const changes = [...touched].map(([name, keys]) => {
      const table = /** @type {Table} */ (this.tables.get(name));
      const images = [...keys].map((key) => /** @type {const} */ ([key, this.#serverImage(table, key)]));
      return {
        class: name,
        put: images.flatMap(([, image]) => image ?? []),
        erase: images.flatMap(([key, image]) => (image ? [] : [key])),
      };
    });
    return JSON.stringify({ changes });
  }

  /** The whole server state. */
  *#pages() {
    for (const table of this.tables.values()) {
      const keys = new Set([...table.objects.keys(), ...(this.#shadows.get(table.name)?.keys() ?? [])]);
      let put = [];
      for (const key of keys) {
        const image = this.#serverImage(table, key);
        if (image) put.push(image);
        if (put.length === PAGE_OBJECTS) {
          yield JSON.stringify({ changes: [{ class: table.name, put }] });
          put = [];
        }
      }
      if (put.length) yield JSON.stringify({ changes: [{ class: table.name, put }] });
    }
  }

  /** What a frozen store has as the contents of another file: its record and the texts of its log. A synced one has no
   * ident: it fetches everything anew when it first connects, with the same subscriptions. */
  asNewFile() {
    const texts = [...this.#pages()];
    const schema = [...this.tables.values()].map((table) => table.cls);
    const { schemaVersion } = this.file;
    const file = { ...newFile(), revision: 1, logged: texts.length, tail: texts.length, weight: this.#live, opened: true, schema, schemaVersion };
    if (this.synced) {
      file.sets = this.file.sets.filter((set) => set.state !== "error").slice(-1).map((set) => ({ ...set, state: "pending", after: 0 }));
      file.reset = "recover";
    }
    return { file, texts };
  }

  /** This moment as a store that never changes. */
  freeze() {
    const frozen = new Store(this.path, this.synced);
    for (const [name, table] of this.tables) frozen.tables.set(name, new Table(table.cls, new Map(table.objects)));
    frozen.file = { ...this.file };
    frozen.isFrozen = frozen.isLoaded = true;
    return frozen;
  }
}

/** @param {{rejected: Report[], clientVersion: number}} file */
const due = (file) => file.rejected.filter((report) => !report.told && report.clientVersion <= file.clientVersion);

/** @param {{schema: StoredClass[]}} file @param {StoredClass[]} classes */
function addSchema(file, classes) {
  const merged = addClasses(new Map(file.schema.map((cls) => [cls.name, cls])), classes);
  if (merged) file.schema = [...merged.values()];
}

/** @template T @param {T[]} list @param {T} item @param {(other: T) => boolean} comesLater */
function insertBefore(list, item, comesLater) {
  const at = list.findIndex(comesLater);
  list.splice(at < 0 ? list.length : at, 0, item);
}

/** @param {Map<string, Set<any>>} touched @param {string} name @param {any} key */
function note(touched, name, key) {
  const keys = touched.get(name);
  if (keys) keys.add(key);
  else touched.set(name, new Set([key]));
}
