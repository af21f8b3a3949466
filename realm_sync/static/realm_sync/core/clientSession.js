/**
 * Client session: one connection's conversation, seen from the client file. Sans-I/O.
 *
 * Decides what is sent when: bind first, changesets and subscription sets in the order the user made them, never more
 * than the server wants, marks, pings; and what to do with everything the server says. Knows no socket, clock or
 * database: time (milliseconds) and the file's contents are arguments, wishes come back as effects, which the driver
 * performs in order and answers through `pendingRead`, `stored` and `applied`. One object lives for one connection.
 *
 *     new ──opened()──> binding ──bound──> bound ──close()──> unbinding ──unbound──> closed
 *                          └───────────────── error, lost() ──────────────────────────^
 *
 * State × message, what `downloadFirst` holds back, and which changesets that edit an object wait: the tables in core/client_session.py, held by the same tests.
 * Rules: R6 (nothing at or below `bound.clientVersion` is uploaded again), R9 (a compensating write is told after its
 * correction is applied), R10 (parts are stored, and applied with the last).
 */

import { ProtocolError } from "./errors.js"

/** Instructions in one upload, about; a single larger changeset travels alone. */
export const UPLOAD_BYTES = 128 * 1024;
/** Uploads on the way that no download has acknowledged yet. */
export const UPLOADS_AHEAD = 4;
/** The session's own mark; those of `requestMark` are above. */
export const CATCH_UP_MARK = 0;
export const PING_MS = 60_000;
export const PONG_MS = 120_000;
/** How long an ending session waits for `unbound`. */
export const UNBIND_MS = 3_000;

/**
 * @typedef {import("./messages.js").Download} Download
 * @typedef {import("./messages.js").ClientFile} ClientFile
 * @typedef {import("./messages.js").Changeset} Changeset
 * @typedef {"new" | "binding" | "bound" | "unbinding" | "closed"} State
 * @typedef {import("./errors.js").Action | "done"} EndAction
 */
/**
 * A set that this server may not have: it follows the changesets up to `after`.
 * @typedef {{queryVersion: number, after: number, subscriptions: import("./messages.js").SubscriptionItem[]}} UnsentSet
 */
/**
 * What the client file holds when the connection opens. `sets`: every set that is not complete, oldest first.
 * `resetting`: a client reset is under way: no uploads until the new content has replaced the old.
 * @typedef {{clientFile: ClientFile | null, epoch: string | null, progress: import("./messages.js").Progress,
 *   sets: UnsentSet[], resetting: boolean}} FileState
 */
/**
 * What the driver must do. StoreBound: durably, in one transaction, before what follows (`clientFile`: set if new).
 * StorePart: keep as long as this session lives, then call `stored()`. ApplyDownload: in one transaction (`withParts`:
 * with the stored parts before it), then call `applied()`. ReadPending: changesets above `after`, up to `upto` if given,
 * of `maxBytes` together but at least one, for `pendingRead()`. RefuseSet: store it, tell who waits. HoldRejected: tell
 * the app once a download with this client version is applied; it may come again. Ended: close the connection, do
 * `action`, not before `retryAfter` milliseconds.
 * @typedef {{kind: "Send", message: import("./messages.js").FromClient}
 *   | {kind: "StoreBound", clientFile: ClientFile | null, bound: import("./messages.js").Bound}
 *   | {kind: "DropParts"}
 *   | {kind: "StorePart", download: Download}
 *   | {kind: "ApplyDownload", download: Download, withParts: boolean}
 *   | {kind: "ReadPending", after: number, upto: number | null, maxBytes: number}
 *   | {kind: "RefuseSet", error: import("./messages.js").RefusedQuery}
 *   | {kind: "HoldRejected", rejected: import("./messages.js").Rejected}
 *   | {kind: "Marked", ident: number}
 *   | {kind: "Ended", action: EndAction, error: SessionError | null, retryAfter: number | null}} Effect
 * @typedef {import("./messages.js").ErrorMessage | ProtocolError} SessionError
 */

/** One connection. Every method returns the effects to perform, in order; none throws for what the server does. */
export class ClientSession {
  /** @type {State} */
  state = "new";
  /** @type {import("./messages.js").Limits | null} */
  limits = null;
  /** Changesets up to this client version are with the server, or on their way to it. */
  uploaded = 0;
  /** Bound, and nothing holds uploads back for `downloadFirst`. */
  caughtUp = false;
  /** Ended by `unbound`: the socket is free for another session. */
  unbound = false;
  /** @type {UnsentSet[]} */
  #sets = [];
  #querySent = 0;
  /** The subscription set whose download completes a client reset. */
  #awaited = 0;
  /** @type {ClientFile | null} */
  #newFile = null;
  /** Uploads that no download has acknowledged: their last client version, and the objects they touch.
   * @type {{version: number, touched: Set<string>}[]} */
  #ahead = [];
  #unseen = 0; // the server has changesets up to this one, by an earlier session; what they touch is not known here
  #held = false; // the next changeset waits for an acknowledgement
  #reading = false;
  #unread = true;
  #heldBack = false;
  #received = 0;
  #reported = 0;
  /** The bootstrap that the stored parts are of. @type {string | null} */
  #parts = null;
  /** @type {number[]} */
  #marks = [];
  #pinged = 0;
  #heard = 0;
  /** @type {number | null} */
  #unbinding = null;

  /** `downloadFirst`: nothing is uploaded before everything that the server has at `bound` is here.
   * @param {FileState} file @param {string | null} token @param {import("./schema.js").WireClass[] | null} schema */
  constructor(file, token, schema, userAgent = "", { ping = PING_MS, pong = PONG_MS, downloadFirst = false } = {}) {
    this.file = file;
    this.token = token;
    this.schema = schema;
    this.userAgent = userAgent;
    this.ping = ping;
    this.pong = pong;
    this.downloadFirst = downloadFirst;
  }

  /** The socket is open. Parts of an earlier session are thrown away, then the file presents itself.
   * @param {number} now @returns {Effect[]} */
  opened(now) {
    const { clientFile, epoch, progress, sets, resetting } = this.file;
    this.state = "binding";
    this.#sets.push(...sets);
    this.#heldBack = resetting;
    this.#pinged = this.#heard = now;
    const { token, schema, userAgent } = this;
    return [{ kind: "DropParts" }, send({ type: "bind", token, clientFile, epoch, progress, schema, userAgent })];
  }

  /** The effects of one message. A message that the state does not allow ends the session.
   * @param {import("./messages.js").FromServer} message @param {number} now @returns {Effect[]} */
  receive(message, now) {
    this.#heard = now;
    const { state } = this;
    const { type } = message;
    if (state === "closed") return [];
    if (state === "unbinding") {
      this.unbound = type === "unbound";
      return this.unbound || type === "error" ? this.#end("done") : [];
    }
    if (type === "error") {
      return this.#end(message.action, message, message.retryAfter === null ? null : message.retryAfter * 1000);
    }
    if (state === "binding") {
      const hasFile = this.file.clientFile !== null || this.#newFile !== null;
      if (type === "ident" && !hasFile) {
        this.#newFile = message.clientFile;
        return [];
      }
      if (type === "bound" && hasFile) return this.#bound(message);
    } else if (state === "bound") {
      switch (type) {
        case "download":
          return this.#download(message);
        case "mark": {
          if (message.requestIdent === CATCH_UP_MARK && !this.caughtUp) {
            this.caughtUp = true;
            return this.#proceed();
          }
          const at = this.#marks.indexOf(message.requestIdent);
          return at < 0 ? [] : [{ kind: "Marked", ident: this.#marks.splice(at, 1)[0] }];
        }
        case "queryError":
          // A client reset then ends with what the server sends anyway.
          if (message.queryVersion === this.#awaited) this.#awaited = 0;
          return [{ kind: "RefuseSet", error: message }];
        case "rejected":
          return [{ kind: "HoldRejected", rejected: message }];
        case "pong":
          return [];
      }
    }
    const text = `The server sent '${type}' while the session was ${state}.`;
    return this.#end("stop", new ProtocolError("BadMessageOrder", text));
  }

  /** The server sent a frame that is no message. @param {ProtocolError} error @returns {Effect[]} */
  undecodable(error) {
    return this.state === "closed" ? [] : this.#end("stop", error);
  }

  /** There are new changesets in the file. */
  localCommit() {
    this.#unread = true;
    return this.#proceed();
  }

  /** There are new subscription sets in the file; those known already are skipped. @param {UnsentSet[]} sets */
  subscriptionsChanged(sets) {
    const newest = this.#sets.at(-1)?.queryVersion ?? this.#querySent;
    this.#sets.push(...sets.filter((set) => set.queryVersion > newest));
    return this.#proceed();
  }

  /** Ask for a mark, above CATCH_UP_MARK; sent as soon as the session is bound. `Marked` is the answer.
   * @param {number} ident @returns {Effect[]} */
  requestMark(ident) {
    this.#marks.push(ident);
    return this.state === "bound" ? [send({ type: "mark", requestIdent: ident })] : [];
  }

  /** The answer to ReadPending; none: there are no more for now. @param {Changeset[]} changesets @returns {Effect[]} */
  pendingRead(changesets) {
    this.#reading = false;
    if (!changesets.length) return this.#proceed(true);
    this.#unread = true;
    const free = this.#free(changesets);
    this.#held = free < changesets.length;
    if (!free) return [];
    const sent = changesets.slice(0, free);
    this.uploaded = sent[free - 1].clientVersion;
    this.#ahead.push({ version: this.uploaded, touched: new Set(sent.flatMap((changeset) => touchedBy(changeset))) });
    return [this.#upload(sent), ...this.#proceed()];
  }

  /** How many of these may be sent. One that edits an object is held while an upload that touches it is not acknowledged:
   * others' changes may come with the acknowledgement, and the indexes of its edits are counted from what both together
   * leave. Within one message they follow each other. @param {Changeset[]} changesets */
  #free(changesets) {
    const at = changesets.findIndex((changeset) => {
      const edited = touchedBy(changeset, true);
      return edited.length && (this.#unseen || edited.some((key) => this.#ahead.some(({ touched }) => touched.has(key))));
    });
    return at < 0 ? changesets.length : at;
  }

  /** A part is stored. */
  stored() {
    return this.#countReceived();
  }

  /** The download is applied, and the file's progress is what it says. @param {Download} download */
  applied(download) {
    while (this.#ahead.length && this.#ahead[0].version <= download.clientVersion) {
      this.#ahead.shift();
      this.#held = false;
    }
    if (this.#unseen && this.#unseen <= download.clientVersion) {
      this.#unseen = 0;
      this.#held = false;
    }
    if (!this.#sets.length && download.queryVersion >= this.#awaited) this.#heldBack = false;
    // The end of a bootstrap is told at once: the server then knows the subscription set to be complete.
    return [...this.#countReceived(download.batchState === "last"), ...this.#proceed()];
  }

  /** Call every second or so. Sends pings; ends a session whose server has fallen silent.
   * @param {number} now @returns {Effect[]} */
  tick(now) {
    if (this.state === "new" || this.state === "closed") return [];
    if (this.state === "unbinding") {
      this.#unbinding ??= now;
      return now - this.#unbinding >= UNBIND_MS ? this.#end("done") : [];
    }
    if (now - this.#heard >= this.pong) return this.#end("retry");
    if (this.state !== "bound" || now - this.#pinged < this.ping) return [];
    this.#pinged = now;
    return [send({ type: "ping", timestamp: Math.trunc(now) })];
  }

  /** The client wants to end: say so and wait for `unbound`. @returns {Effect[]} */
  close() {
    if (this.state === "bound") {
      this.state = "unbinding";
      return [send({ type: "unbind" })];
    }
    return this.state === "unbinding" || this.state === "closed" ? [] : this.#end("done");
  }

  /** The socket is gone. @returns {Effect[]} */
  lost() {
    return this.state === "closed" ? [] : this.#end(this.state === "unbinding" ? "done" : "retry");
  }

  /** @param {import("./messages.js").Bound} bound @returns {Effect[]} */
  #bound(bound) {
    this.state = "bound";
    this.limits = bound.limits;
    this.uploaded = bound.clientVersion;
    this.#unseen = bound.clientVersion > this.file.progress.clientVersion ? bound.clientVersion : 0;
    this.#querySent = this.#awaited = bound.queryVersion;
    this.#sets = this.#sets.filter((set) => set.queryVersion > bound.queryVersion);
    this.caughtUp = !this.downloadFirst;
    const own = this.caughtUp ? [] : [CATCH_UP_MARK];
    const marks = [...own, ...this.#marks].map((ident) => send({ type: "mark", requestIdent: ident }));
    return [{ kind: "StoreBound", clientFile: this.#newFile, bound }, ...this.#proceed(), ...marks];
  }

  /** @param {Download} download @returns {Effect[]} */
  #download(download) {
    if (download.batchState !== "more") {
      const withParts = download.batchState === "last";
      if (withParts) this.#parts = null;
      return [{ kind: "ApplyDownload", download, withParts }];
    }
    const view = `${download.queryVersion} ${download.view}`;
    /** @type {Effect[]} */
    const effects = this.#parts !== null && this.#parts !== view ? [{ kind: "DropParts" }] : [];
    this.#parts = view;
    return [...effects, { kind: "StorePart", download }];
  }

  /** Upload what may be uploaded, and send the next subscription set when all before it is on its way. */
  #proceed(drained = false) {
    if (this.state !== "bound" || this.#reading) return [];
    /** @type {Effect[]} */
    const effects = [];
    while (this.#sets.length && (this.#heldBack || drained || this.uploaded >= this.#sets[0].after)) {
      const { queryVersion, after, subscriptions } = /** @type {UnsentSet} */ (this.#sets.shift());
      // Nothing was written between the two: the newer one alone says all.
      if (this.#sets.length && this.#sets[0].after <= Math.max(this.uploaded, after)) continue;
      this.#querySent = this.#awaited = queryVersion;
      effects.push(send({ type: "query", queryVersion, subscriptions }));
      drained = false;
      this.#unread = true;
    }
    if (drained) this.#unread = false;
    const waits = this.#held || this.#heldBack || this.#ahead.length >= UPLOADS_AHEAD;
    if (this.#unread && this.caughtUp && !waits) {
      this.#reading = true;
      const limit = this.limits ? Math.floor((this.limits.maxMessageBytes * 3) / 4) : UPLOAD_BYTES;
      const upto = this.#sets[0]?.after ?? null;
      effects.push({ kind: "ReadPending", after: this.uploaded, upto, maxBytes: Math.min(UPLOAD_BYTES, limit) });
    }
    return effects;
  }

  /** An empty upload tells the server to go on, once half its window is used and no changeset went out.
   * @returns {Effect[]} */
  #countReceived(atOnce = false) {
    this.#received += 1;
    const half = Math.max(1, Math.floor((this.limits?.window ?? 1) / 2));
    return this.state === "bound" && (atOnce || this.#received - this.#reported >= half) ? [this.#upload([])] : [];
  }

  /** @param {Changeset[]} changesets */
  #upload(changesets) {
    this.#reported = this.#received;
    return send({ type: "upload", changesets, received: this.#received });
  }

  /** @param {EndAction} action @param {SessionError | null} error @param {number | null} retryAfter @returns {Effect[]} */
  #end(action, error = null, retryAfter = null) {
    this.state = "closed";
    return [{ kind: "Ended", action, error, retryAfter }];
  }
}

/** The objects that its instructions, or only its edits, are about. @param {Changeset} changeset @param {boolean} [edited] */
function touchedBy({ instructions }, edited = false) {
  return instructions.filter((step) => !edited || "path" in step).map((step) => `${step.class}\0${step._id}`);
}

/** @param {import("./messages.js").FromClient} message @returns {Effect} */
function send(message) {
  return { kind: "Send", message };
}
