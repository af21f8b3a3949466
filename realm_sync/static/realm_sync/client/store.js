// Store: one realm: what is in memory of it (replica.js), and what of that is durable in this browser.
//
// A local write is visible at once and durable a moment later (R9: before `writesFlushed` resolves, and before it is
// uploaded). Durable are: `log`, texts of changes that make the server's state in their order, folded into few now and
// then; `changeset`, what is pending, by client version; `file`, one record with everything else. The tabs of a page
// share them: whoever commits tells the others, who read what is new. Knows no network, no user and no lock.

import { realmError } from "../core/errors.js"
import { addSchema, due, newFile } from "./fileRecord.js"
import { append, begin, clear, fold, isFoldDue, rewrite } from "./log.js"
import { Replica } from "./replica.js"
import { addClasses } from "./tables.js"
import { Writer } from "./writer.js"

/** @typedef {import('./rebase.js').Image} Image */
/** @typedef {import('./rebase.js').Changeset} Changeset */
/** @typedef {import('./replica.js').Changes} Changes */
/** @typedef {import('./tables.js').Table} Table */
/** @typedef {import('./tables.js').StoredClass} StoredClass */
/** @typedef {import('./fileRecord.js').FileRecord} FileRecord */
/** @typedef {import('./fileRecord.js').StoredSet} StoredSet */
/** @typedef {import('./fileRecord.js').Report} Report */
/** @typedef {import('./fileRecord.js').Reset} Reset */
/** @typedef {{changeset: Changeset} | {set: StoredSet} | {schema: StoredClass[], schemaVersion: number | null}} Unflushed */
/** @typedef {import('./disk.js').Disk | import('./disk.js').MemoryDisk | import('./encryptedDisk.js').EncryptedDisk} Storage */

const DEFAULT_MESSAGE_BYTES = 700_000; // until a server has said its own
const ENVELOPE_BYTES = 4096;
const RETRY_MILLISECONDS = [1000, 30_000];
const MOST_RESETS = 2; // in a row, before a client reset is not tried again

/** @type {StoredSet} the set of a new file */
const NO_SET = { version: 0, state: "complete", error: null, after: 0, subscriptions: [] };

export class Store {
  path;
  synced;
  file = newFile();
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
  /** @type {Replica} */
  #replica;
  #logged = 0; // the newest record of the log that is in memory
  /** @type {Unflushed[]} */
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
    this.#replica = new Replica(synced);
  }

  /** By class. */
  get tables() {
    return this.#replica.tables;
  }

  /** In order: those that are durable, then those that are not yet. */
  get pending() {
    return this.#replica.pending;
  }

  /** What the core wants to know of classes. */
  get schema() {
    return this.#replica.schema;
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
   * followed by `then`, which changes the memory once it is durable. With `fresh` it is not called, and nothing written,
   * before what other tabs committed is in memory: what it writes depends on that. Inside #exclusive.
   * @template T @param {((transaction: any, file: FileRecord) => Promise<T>) | null} work null: only read
   * @param {(result: T, file: FileRecord) => void} [then] @param {{durability?: "strict" | "relaxed", fresh?: boolean}} [options]
   * @returns {Promise<T>} */
  async #transact(work, then, { durability = "strict", fresh = false } = {}) {
    if (this.isClosed || !this.#disk) throw realmError("Cannot access realm that has been closed.", "ClosedRealm");
    /** @type {any} */ let news = null;
    /** @type {any} */ let file;
    let isDone = true;
    const result = await this.#disk.transact(
      async (/** @type {any} */ transaction) => {
        news = null; // it may run again
        file = (await transaction.get("file", 1)) ?? newFile();
        if (file.revision !== this.file.revision || !this.isLoaded) news = await this.#readNews(transaction, file);
        isDone = !work || !(fresh && news);
        if (!work || !isDone) return undefined;
        const found = await work(transaction, file);
        file.revision += 1;
        transaction.put("file", 1, file);
        return found;
      },
      { mode: work ? "readwrite" : "readonly", durability },
    );
    while (this.#writing) await this.#writing;
    if (this.isClosed) return /** @type {T} */ (result);
    this.#replica.adoptSchema(file.schema);
    if (news) this.#mergeNews(news);
    if (isDone) then?.(/** @type {T} */ (result), file);
    this.file = file;
    if (work && isDone) this.onCommit();
    if (news || then) this.onChange();
    return isDone ? /** @type {T} */ (result) : this.#transact(work, then, { durability, fresh });
  }

  /** @param {any} transaction @param {FileRecord} file */
  async #readNews(transaction, file) {
    const everything = !this.isLoaded || this.#logged < file.base;
    // What others wrote of the server's state has made the edits that are pending read otherwise.
    const isReworded = file.serverVersion !== this.file.serverVersion && this.pending.some(({ instructions }) => instructions.some((step) => step.path));
    const newest = everything || isReworded ? 0 : this.pending.reduce((most, { clientVersion }) => Math.max(most, clientVersion ?? 0), 0);
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
    if (everything) {
      this.#replica.rebuild(changes, changesets, serverVersion);
      this.onRebuild();
    }
    else {
      this.#replica.receive(changes, changesets, clientVersion, serverVersion);
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
   * @param {(file: FileRecord) => T} change */
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
    return new Writer(this.schema, () => ({
      baseVersion: this.file.serverVersion,
      limit: this.synced ? (this.file.maxMessageBytes || DEFAULT_MESSAGE_BYTES) - ENVELOPE_BYTES : null,
      commit: (changeset, originals) => {
        this.#replica.commit(changeset, originals);
        this.#enqueue({ changeset });
      },
      end,
    }));
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
    /** @type {Unflushed[]} */ let items = [];
    if (!this.#unflushed.length) return;
    await this.#transact(
      async (transaction, file) => {
        items = [...this.#unflushed];
        const numbers = [];
        const local = this.synced ? [] : this.#replica.localChanges(items.flatMap((item) => ("changeset" in item ? [item.changeset] : [])));
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
          } else append(transaction, file, [JSON.stringify({ changes: local.shift() })], item.changeset.instructions.length);
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
        if (local.size) this.#replica.merge(this.#replica.localChanges([...local]).flat(), (changeset) => local.has(changeset), null);
        this.#logged = file.logged;
      },
      { fresh: true },
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
      const classes = bound.schema.map((/** @type {any} */ { name, properties, ...cls }) => ({ name, keyName: "_id", properties, ...flags(cls) }));
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
    const isDone = (/** @type {Changeset} */ { clientVersion }) => clientVersion !== null && clientVersion <= download.clientVersion;
    return this.#exclusive(async () => {
      /** @type {Changeset[]} */ let renumbered = [];
      const applied = await this.#transact(
        async (transaction, file) => {
          const reset = this.resetEndedBy(download, file);
          if (reset) {
            clear(transaction, file);
            const discarded = new Set(reset === "recover" ? [] : [...shown].map(({ clientVersion }) => clientVersion));
            const { integrated = 0 } = file;
            const kept = (await transaction.above("changeset", integrated)).filter((/** @type {[number, any]} */ [version]) => !discarded.has(version));
            transaction.delete("changeset", -1, file.nextClientVersion);
            // The new client file has sent nothing yet: its changesets count from one, and stand on what it just got.
            const reworded = this.#replica.recovered(kept.map((/** @type {any} */ [, changeset]) => changeset), changes, download.serverVersion);
            renumbered = reworded.map((changeset, at) => ({ ...changeset, clientVersion: at + 1, baseVersion: download.serverVersion }));
            for (const changeset of renumbered) transaction.put("changeset", changeset.clientVersion, changeset);
            file.nextClientVersion = renumbered.length + 1;
            for (const set of file.sets) if (set.state === "pending") set.after = renumbered.length;
            file.reset = file.resetSet = null;
            file.integrated = 0;
          } else {
            for (const [changeset, instructions] of this.#replica.rebased(changes, isDone, download.serverVersion)) {
              if (changeset.clientVersion !== null) transaction.put("changeset", changeset.clientVersion, { ...changeset, instructions });
            }
            transaction.delete("changeset", -1, download.clientVersion);
            // A restored file meets its own later changesets: it must not use their numbers again.
            file.nextClientVersion = Math.max(file.nextClientVersion, download.clientVersion + 1);
          }
          if (rows) append(transaction, file, texts, rows);
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
              this.#replica.pending = this.pending.filter((changeset) => !shown.has(changeset));
              this.#unflushed = this.#unflushed.filter((item) => !("changeset" in item && shown.has(item.changeset)));
            }
            this.#replica.rebuild(changes, renumbered, download.serverVersion);
            this.onRebuild();
          } else this.#replica.merge(changes, isDone, download.serverVersion);
          this.#logged = file.logged;
        },
        { durability: "relaxed", fresh: true },
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
   * @param {"recoverUnsyncedChanges" | "recoverOrDiscardUnsyncedChanges" | "discardUnsyncedChanges"} mode
   * @param {number | null} [integrated] the server has the changesets up to this one, so the new content has what they did and
   *   they are not sent again (R6); null: it knows nothing of them, whatever was said before */
  beginReset(mode, integrated = null) {
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
      const known = integrated === null ? 0 : Math.max(file.integrated ?? 0, integrated);
      Object.assign(file, { ...nothing, downloaded, reset, resets: resets + 1, integrated: known });
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
    if (merged) this.#replica.adoptSchema([...merged.values()]);
    if (merged || (schemaVersion !== null && schemaVersion !== this.file.schemaVersion)) this.#enqueue({ schema: classes, schemaVersion });
  }

  /** @param {StoredClass} cls */
  _tableFor(cls) {
    return this.#replica.tableFor(cls);
  }

  /** For the migration of a local realm: other classes and objects, and what `change` makes of them. Nothing of it is
   * durable if that throws. @param {StoredClass[]} classes @param {number} schemaVersion
   * @param {Map<string, Map<any, Image>>} objects @param {() => void} change */
  async replaceLocal(classes, schemaVersion, objects, change) {
    const write = async (/** @type {any} */ transaction, /** @type {FileRecord} */ file) => {
      clear(transaction, file);
      rewrite(transaction, file, this.#replica);
      file.schemaVersion = schemaVersion;
      file.schema = [...this.tables.values()].map((table) => table.cls);
    };
    await this.#exclusive(async () => {
      this.#replica.replace(classes, objects, change);
      this.#unflushed = [];
      await this.#transact(write, (_, file) => void (this.#logged = file.logged));
    });
  }

  // --- the log ------------------------------------------------------------------------------------------------------

  /** Folds it when it has grown, in a quiet moment. */
  #foldSoon() {
    if (this.#folding || !isFoldDue(this.file, this.#replica)) return;
    this.#folding = true;
    setTimeout(() => {
      this.#exclusive(async () => this.isClosed || (await this.#rework(fold, "relaxed")))
        .catch((error) => this.isClosed || this.onFailure(error))
        .finally(() => (this.#folding = false));
    });
  }

  /** False if another tab wrote meanwhile, or what is half written is no state. Inside #exclusive.
   * @param {(transaction: any, file: FileRecord, replica: Replica) => any} work @param {"strict" | "relaxed"} [durability] */
  async #rework(work, durability) {
    await this.#transact(null);
    return this.#transact(
      async (transaction, file) => {
        if (file.logged !== this.#logged || this.#writing) return false;
        await work(transaction, file, this.#replica);
        return true;
      },
      (isDone, file) => {
        if (isDone) this.#logged = file.logged;
      },
      { durability },
    );
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
      return { total, used: [...this.#replica.pages()].reduce((sum, text) => sum + text.length, 0) };
    });
  }

  /** Writes the log anew. False if another tab wrote meanwhile, or a transaction is open. */
  async compact() {
    if (this.#writing) return false; // what holds the turn may wait for it
    return this.#exclusive(async () => !this.#writing && this.#rework(rewrite));
  }

  /** What a frozen store has as the contents of another file: its record and the texts of its log. A synced one has no
   * ident: it fetches everything anew when it first connects, with the same subscriptions. */
  asNewFile() {
    const schema = [...this.tables.values()].map((table) => table.cls);
    const { schemaVersion } = this.file;
    const file = { ...newFile(), revision: 1, opened: true, schema, schemaVersion };
    const texts = begin(file, this.#replica);
    if (this.synced) {
      file.sets = this.file.sets.filter((set) => set.state !== "error").slice(-1).map((set) => ({ ...set, state: "pending", after: 0 }));
      file.reset = "recover";
    }
    return { file, texts };
  }

  /** This moment as a store that never changes. */
  freeze() {
    const frozen = new Store(this.path, this.synced);
    for (const [name, table] of this.tables) frozen.tables.set(name, table.frozen(frozen.schema));
    frozen.file = { ...this.file };
    frozen.isFrozen = frozen.isLoaded = true;
    return frozen;
  }
}

/** What a class is, besides its properties. @param {any} cls */
const flags = ({ readOnly, embedded, asymmetric }) => ({ ...(readOnly && { readOnly }), ...(embedded && { embedded }), ...(asymmetric && { asymmetric }) });
