// The client's half of the protocol: a total table of state × message, then what each rule promises.

import { equal, ok, test } from "../harness.js";
import { CATCH_UP_MARK, ClientSession, PING_MS, PONG_MS, UNBIND_MS, UPLOADS_AHEAD } from "/realm_sync/core/clientSession.js";
import { ProtocolError } from "/realm_sync/core/errors.js";

const FILE = { ident: 7, salt: "42" };
const LIMITS = { maxMessageBytes: 700_000, maxSubscriptions: 10, maxQueryBytes: 1000, window: 4 };
const NOTHING = { serverVersion: 0, clientVersion: 0, queryVersion: 0, view: 0 };

const bound = (values = {}) => ({
  type: "bound", epoch: "e", serverVersion: 5, clientVersion: 0, queryVersion: 0, serverTime: 0, schema: [], limits: LIMITS, ...values,
});
const download = (values = {}) => ({
  type: "download", queryVersion: 1, batchState: "steady", serverVersion: 9, clientVersion: 0, progress: 1, view: 1, changes: [], ...values,
});
const changeset = (clientVersion) => ({
  clientVersion, baseVersion: 0, timestamp: 0, instructions: [{ op: "delete", class: "Inspection", _id: "x" }],
});
const upTo = (count) => Array.from({ length: count }, (_, at) => changeset(at + 1));
const set = (queryVersion, after = 0) => ({ queryVersion, after, subscriptions: [] });
const sent = (effects) => effects.filter((effect) => effect.kind === "Send").map((effect) => effect.message);
const kinds = (messages) => messages.map(({ type }) => type);
const numbers = (messages) => messages.map((m) => (m.type === "upload" ? m.changesets[0].clientVersion : m.type));
const ended = (action, error = null, retryAfter = null) => [{ kind: "Ended", action, error, retryAfter }];

/** A session brought into `state` by the regular way. */
function session(state = "bound", { clientFile = FILE, sets = [], resetting = false } = {}) {
  const made = new ClientSession({ clientFile, epoch: "e", progress: NOTHING, sets, resetting }, "token", null);
  if (state !== "new") made.opened(0);
  if (state === "bound" || state === "unbinding") perform(made, made.receive(bound(), 0), []);
  if (state === "unbinding") made.close();
  if (state === "closed") made.lost();
  equal(made.state, state);
  return made;
}

/** Performs ReadPending against a list of changesets; everything else is collected. */
function perform(made, effects, pending) {
  const done = [];
  for (let queue = effects; queue.length; ) {
    const [effect, ...rest] = queue;
    if (effect.kind === "ReadPending") {
      const { after, upto } = effect;
      const chosen = pending.filter((c) => c.clientVersion > after && (upto === null || c.clientVersion <= upto));
      queue = [...made.pendingRead(chosen.slice(0, 1)), ...rest];
    } else {
      done.push(effect);
      queue = rest;
    }
  }
  return done;
}

const MESSAGES = {
  ident: { type: "ident", clientFile: FILE },
  bound: bound(),
  download: download(),
  mark: { type: "mark", requestIdent: 1 },
  queryError: { type: "queryError", queryVersion: 1, code: "InvalidSubscriptionQuery", message: "no" },
  rejected: { type: "rejected", clientVersion: 1, writes: [] },
  pong: { type: "pong", timestamp: 1 },
  unbound: { type: "unbound" },
  error: { type: "error", code: "InternalServerError", message: "oops", fatal: false, action: "retry", retryAfter: null },
};
const all = (outcome) => Object.fromEntries(Object.keys(MESSAGES).map((kind) => [kind, outcome]));
const TABLE = {
  new: { ...all("violation"), error: "Ended" },
  binding: { ...all("violation"), bound: "StoreBound", error: "Ended" },
  bound: {
    ident: "violation", bound: "violation", download: "ApplyDownload", mark: "Marked", queryError: "RefuseSet",
    rejected: "HoldRejected", pong: null, unbound: "violation", error: "Ended",
  },
  unbinding: { ...all(null), unbound: "Ended", error: "Ended" },
  closed: all(null),
};

for (const state of Object.keys(TABLE)) {
  test(`a session that is ${state} answers every message`, () => {
    for (const [kind, message] of Object.entries(MESSAGES)) {
      const made = session(state);
      made.requestMark(1);
      const effects = made.receive(message, 1);
      const expected = TABLE[state][kind];
      if (expected === null) {
        equal(effects, [], kind);
      } else if (expected === "violation") {
        equal([effects.length, effects[0].action, effects[0].error?.code], [1, "stop", "BadMessageOrder"], kind);
        equal(effects[0].error.message, `The server sent '${kind}' while the session was ${state}.`);
        equal(made.state, "closed");
      } else {
        equal(effects[0].kind, expected, kind);
      }
    }
  });
}

test("an ident is stored with bound before anything else", () => {
  const made = session("binding", { clientFile: null });
  equal(made.receive(MESSAGES.ident, 0), []);
  equal(made.receive(bound(), 0)[0], { kind: "StoreBound", clientFile: FILE, bound: bound() });
});

test("bound without the ident that was asked for is a violation, and so is a second ident", () => {
  equal(session("binding", { clientFile: null }).receive(bound(), 0)[0].error.code, "BadMessageOrder");
  const made = session("binding", { clientFile: null });
  made.receive(MESSAGES.ident, 0);
  equal(made.receive(MESSAGES.ident, 0)[0].error.code, "BadMessageOrder");
});

test("opening drops the parts of dead sessions and binds", () => {
  const progress = { ...NOTHING, serverVersion: 3 };
  const made = new ClientSession({ clientFile: FILE, epoch: "e", progress, sets: [], resetting: false }, "token", null, "agent");
  const bind = { type: "bind", token: "token", clientFile: FILE, epoch: "e", progress, schema: null, userAgent: "agent" };
  equal(made.opened(0), [{ kind: "DropParts" }, { kind: "Send", message: bind }]);
});

test("an error ends the session by its action", () => {
  for (const action of ["retry", "reauthenticate", "reset", "stop"]) {
    const error = { ...MESSAGES.error, code: "AuthError", action, retryAfter: 3 };
    const made = session();
    equal(made.receive(error, 0), ended(action, error, 3000));
    equal(made.state, "closed");
  }
});

test("a frame that is no message ends the session", () => {
  const made = session();
  const error = new ProtocolError("BadSyntax", "The frame is not JSON");
  equal(made.undecodable(error), ended("stop", error));
  equal(made.undecodable(error), []);
});

// --- uploads (R6) ----------------------------------------------------------------------------------------------------

test("nothing is uploaded before bound", () => equal(session("binding").localCommit(), []));

test("what the server has already is not uploaded again", () => {
  const made = session("binding");
  equal(numbers(sent(perform(made, made.receive(bound({ clientVersion: 2 }), 0), upTo(3)))), [3]);
});

test("at most so many uploads are ahead of the acknowledgement", () => {
  const made = session();
  equal(numbers(sent(perform(made, made.localCommit(), upTo(10)))), upTo(UPLOADS_AHEAD).map((c) => c.clientVersion));
  const answer = download({ clientVersion: 2 });
  made.receive(answer, 0);
  equal(numbers(sent(perform(made, made.applied(answer), upTo(10)))), [5, 6]);
});

test("uploads stay below the server's limit", () => {
  const made = session("binding");
  const effects = made.receive(bound({ limits: { ...LIMITS, maxMessageBytes: 10_001 } }), 0);
  equal(effects.filter(({ kind }) => kind === "ReadPending").map(({ maxBytes }) => maxBytes), [7500]);
});

test("reading stops when there is nothing and goes on after a commit", () => {
  const made = session();
  equal(perform(made, made.applied(download()), []), []);
  equal(made.localCommit().map(({ kind }) => kind), ["ReadPending"]);
  equal(made.localCommit(), [], "one read at a time");
});

// --- subscriptions ---------------------------------------------------------------------------------------------------

test("a set follows the changesets made before it and precedes those after", () => {
  const made = session("binding", { sets: [set(1, 2)] });
  equal(numbers(sent(perform(made, made.receive(bound(), 0), upTo(3)))), [1, 2, "query", 3]);
});

test("a set waits for changesets that wait for acknowledgement", () => {
  const made = session("binding", { sets: [set(1, 6)] });
  ok(!kinds(sent(perform(made, made.receive(bound(), 0), upTo(7)))).includes("query"));
  const messages = sent(perform(made, made.applied(download({ clientVersion: 4 })), upTo(7)));
  equal(kinds(messages), ["upload", "upload", "query", "upload"]);
});

test("of several sets with no changeset between only the newest is sent", () => {
  const made = session("binding", { sets: [set(1), set(2), set(3, 1)] });
  const messages = sent(perform(made, made.receive(bound(), 0), upTo(1)));
  equal(messages.map((m) => m.queryVersion ?? m.type), [2, "upload", 3]);
});

test("a set whose changesets are gone waits for none, and the next one for those between", () => {
  const made = session("binding", { sets: [set(1, 5), set(2, 9)] });
  equal(numbers(sent(perform(made, made.receive(bound(), 0), [changeset(7)]))), ["query", 7, "query"]);
});

test("a set the server has is not sent again", () => {
  const made = session("binding", { sets: [set(4)] });
  equal(sent(perform(made, made.receive(bound({ queryVersion: 4 }), 0), [])), []);
  const messages = sent(perform(made, made.subscriptionsChanged([set(4), set(5)]), []));
  equal(messages.map((m) => m.queryVersion), [5]);
  equal(made.subscriptionsChanged([set(5)]), []);
});

// --- downloads (R10) -------------------------------------------------------------------------------------------------

test("parts are stored and applied with the last", () => {
  const made = session();
  for (const [batchState, effect] of [["more", { kind: "StorePart" }], ["last", { kind: "ApplyDownload", withParts: true }], ["steady", { kind: "ApplyDownload", withParts: false }]]) {
    const message = download({ batchState });
    equal(made.receive(message, 0), [{ ...effect, download: message }]);
  }
});

test("parts of a bootstrap that another one replaced are dropped", () => {
  const made = session();
  made.receive(download({ batchState: "more" }), 0);
  const again = download({ batchState: "more", queryVersion: 2, view: 2 });
  equal(made.receive(again, 0), [{ kind: "DropParts" }, { kind: "StorePart", download: again }]);
  equal(made.receive(again, 0), [{ kind: "StorePart", download: again }]);
  made.receive(download({ batchState: "last", queryVersion: 2, view: 2 }), 0);
  const next = download({ batchState: "more", queryVersion: 3, view: 3 });
  equal(made.receive(next, 0), [{ kind: "StorePart", download: next }], "the last one has used the parts up");
});

test("the server is told to go on when half its window is used", () => {
  const made = session();
  equal(sent(made.stored()), []);
  equal(sent(made.stored()), [{ type: "upload", changesets: [], received: 2 }]);
  equal(sent(made.stored()), []);
  equal(sent(perform(made, made.localCommit(), upTo(1)))[0].received, 3);
});

test("the end of a bootstrap is acknowledged at once", () => {
  const made = session();
  const last = download({ batchState: "last" });
  made.receive(last, 0);
  equal(sent(perform(made, made.applied(last), [])), [{ type: "upload", changesets: [], received: 1 }]);
});

// --- first what happened, then uploads -------------------------------------------------------------------------------

const CAUGHT_UP = { type: "mark", requestIdent: CATCH_UP_MARK };

/** A session that is to catch up first, bound; and what it sent at that. */
function returning(pending = [], { sets = [], clientFile = FILE, resetting = false } = {}) {
  const file = { clientFile, epoch: "e", progress: NOTHING, sets, resetting };
  const made = new ClientSession(file, "token", null, "", { downloadFirst: true });
  made.opened(0);
  if (!clientFile) made.receive(MESSAGES.ident, 0);
  const atOnce = sent(perform(made, made.receive(bound(), 0), pending));
  ok(!made.caughtUp);
  return [made, atOnce];
}

test("who was away uploads once everything that happened is there", () => {
  const [made, atOnce] = returning(upTo(2));
  equal(atOnce, [CAUGHT_UP]);
  equal(perform(made, made.localCommit(), upTo(2)), []);
  equal(perform(made, made.applied(download()), upTo(2)), []);
  equal(numbers(sent(perform(made, made.receive(CAUGHT_UP, 0), upTo(2)))), [1, 2]);
  ok(made.caughtUp);
  equal(perform(made, made.receive(CAUGHT_UP, 0), upTo(2)), [], "one answer is enough");
});

test("catching up acknowledges as ever", () => {
  const [made] = returning(upTo(1));
  made.stored();
  equal(sent(made.stored()), [{ type: "upload", changesets: [], received: 2 }]);
  const last = download({ batchState: "last" });
  equal(sent(perform(made, made.applied(last), upTo(1))), [{ type: "upload", changesets: [], received: 3 }]);
});

test("while catching up sets go out that follow no changeset", () => {
  const [made, atOnce] = returning(upTo(2), { sets: [set(1), set(2, 1)] });
  equal(kinds(atOnce), ["query", "mark"]);
  equal(numbers(sent(perform(made, made.receive(CAUGHT_UP, 0), upTo(2)))), [1, "query", 2]);
});

test("a set whose changesets are gone is sent when all is there", () => {
  const [made, atOnce] = returning([], { sets: [set(1, 4)] });
  equal(atOnce, [CAUGHT_UP]);
  equal(kinds(sent(perform(made, made.receive(CAUGHT_UP, 0), []))), ["query"]);
});

test("a set made while catching up does not wait, and may be refused", () => {
  const [made] = returning(upTo(1));
  equal(kinds(sent(made.subscriptionsChanged([set(1)]))), ["query"]);
  equal(made.receive(MESSAGES.queryError, 0).length, 1);
  equal(kinds(sent(perform(made, made.receive(CAUGHT_UP, 0), upTo(1)))), ["upload"]);
});

test("marks of the app are answered while catching up", () => {
  const [made] = returning(upTo(1));
  equal(sent(made.requestMark(1)), [{ type: "mark", requestIdent: 1 }]);
  equal(made.receive(MESSAGES.mark, 0), [{ kind: "Marked", ident: 1 }]);
  ok(!made.caughtUp);
});

test("a client reset that catches up waits for both", () => {
  for (const markFirst of [true, false]) {
    const [made, atOnce] = returning(upTo(1), { sets: [set(3, 2)], clientFile: null, resetting: true });
    equal(kinds(atOnce), ["query", "mark"]);
    const steps = [() => made.receive(CAUGHT_UP, 0), () => made.applied(download({ batchState: "last", queryVersion: 3 }))];
    const [first, second] = markFirst ? steps : steps.reverse();
    const uploads = (step) => sent(perform(made, step(), upTo(1))).filter((m) => m.type === "upload" && m.changesets.length);
    equal([uploads(first).length, uploads(second).length], [0, 1]);
  }
});

test("a session may end while it catches up", () => {
  for (const end of [(made) => made.receive(MESSAGES.error, 0), (made) => made.lost(), (made) => made.close()]) {
    const [made] = returning(upTo(1));
    equal(end(made).length, 1);
    equal(made.receive(CAUGHT_UP, 0), []);
    ok(!made.caughtUp);
  }
});

// --- marks, pings, the end -------------------------------------------------------------------------------------------

test("marks wait for bound and are answered once", () => {
  const made = session("new");
  equal(made.requestMark(5), []);
  made.opened(0);
  equal(sent(made.receive(bound(), 0)), [{ type: "mark", requestIdent: 5 }]);
  equal(made.receive({ type: "mark", requestIdent: 5 }, 0), [{ kind: "Marked", ident: 5 }]);
  equal(made.receive({ type: "mark", requestIdent: 5 }, 0), []);
  equal(sent(made.requestMark(6)), [{ type: "mark", requestIdent: 6 }]);
});

test("pings go out and silence ends the session", () => {
  const made = session();
  equal(session("new").tick(PONG_MS * 2), []);
  equal(made.tick(PING_MS - 1), []);
  equal(sent(made.tick(PING_MS + 0.5)), [{ type: "ping", timestamp: PING_MS }]);
  equal(made.tick(PING_MS + 1000), []);
  made.receive(MESSAGES.pong, PING_MS + 1000);
  equal(kinds(sent(made.tick(PONG_MS + 1))), ["ping"]);
  equal(made.tick(PING_MS + 1000 + PONG_MS), ended("retry"));
  equal(session("binding").tick(PONG_MS), ended("retry"));
});

test("closing says good-bye and does not wait for ever", () => {
  const made = session();
  equal(made.close(), [{ kind: "Send", message: { type: "unbind" } }]);
  equal(made.close(), []);
  equal(made.tick(1000), []);
  equal(made.tick(1000 + UNBIND_MS), ended("done"));
  equal(made.close(), []);
  equal(session("binding").close(), ended("done"));
});

test("only unbound leaves the socket free for another session", () => {
  const [unbound, refused, lost] = [1, 2, 3].map(() => session("unbinding"));
  unbound.receive(download(), 0);
  equal(unbound.unbound, false);
  equal([unbound.receive(MESSAGES.unbound, 0), refused.receive(MESSAGES.error, 0), lost.lost()], Array(3).fill(ended("done")));
  equal([unbound.unbound, refused.unbound, lost.unbound], [true, false, false]);
});

test("a lost socket is retried unless the session was ending", () => {
  equal(session().lost(), ended("retry"));
  equal(session("unbinding").lost(), ended("done"));
  equal(session("closed").lost(), []);
});

// --- client reset (R9) -----------------------------------------------------------------------------------------------

test("a client reset uploads nothing until the new content is there", () => {
  const made = session("binding", { clientFile: null, sets: [set(3, 1)], resetting: true });
  made.receive(MESSAGES.ident, 0);
  equal(kinds(sent(perform(made, made.receive(bound(), 0), upTo(1)))), ["query"]);
  equal(perform(made, made.localCommit(), upTo(1)), []);
  const last = download({ batchState: "last", queryVersion: 3 });
  equal(made.applied(download({ queryVersion: 2 })), []);
  const messages = sent(perform(made, made.applied(last), upTo(1)));
  equal(messages.map(({ changesets }) => changesets.length), [0, 1], "the acknowledgement, then the changesets");
});

test("a client reset whose set is refused ends with what the server sends anyway", () => {
  const made = session("binding", { sets: [set(3)], resetting: true });
  perform(made, made.receive(bound(), 0), []);
  made.receive({ ...MESSAGES.queryError, queryVersion: 3 }, 0);
  const messages = sent(perform(made, made.applied(download({ queryVersion: 0 })), upTo(1)));
  equal(numbers(messages), [1]);
});

// --- the hold rule ---------------------------------------------------------------------------------------------------

const of = (clientVersion, step, keys) => ({ clientVersion, baseVersion: 0, timestamp: 0, instructions: keys.map((_id) => ({ ...step, class: "Inspection", _id })) });
const editing = (version, ...keys) => of(version, { op: "insert", path: ["tags", 0], value: "new" }, keys);
const writing = (version, ...keys) => of(version, { op: "update", values: { title: "Fence" } }, keys);
const uploaded = (effects) => sent(effects).flatMap(({ changesets = [] }) => changesets.map(({ clientVersion }) => clientVersion));

/** What is on its way, what is pending, and how many of these are sent. */
const HOLDS = {
  "nothing is on its way": [[], [editing(1, "x")], 1],
  "another object is on its way": [[writing(1, "y")], [editing(2, "x")], 1],
  "its object is on its way": [[writing(1, "x")], [editing(2, "x")], 0],
  "an edit of its object is on its way": [[editing(1, "x")], [editing(2, "x")], 0],
  "a delete of its object is on its way": [[changeset(1)], [editing(2, "x")], 0],
  "one of its objects is on its way": [[writing(1, "y")], [editing(2, "x", "y")], 0],
  "it writes whole values only": [[editing(1, "x")], [writing(2, "x")], 1],
  "an earlier one of the same message edits its object": [[], [editing(1, "x"), editing(2, "x")], 2],
  "what stands before it goes": [[writing(1, "x")], [writing(2, "z"), editing(3, "x")], 1],
  "what stands after it waits as well": [[writing(1, "x")], [editing(2, "x"), writing(3, "z")], 0],
};

for (const [name, [before, pending, count]] of Object.entries(HOLDS)) {
  for (const acknowledged of [false, true]) {
    test(`an edit where ${name}${acknowledged ? ", and acknowledged" : ""}`, () => {
      const made = session();
      made.localCommit();
      if (before.length) made.pendingRead(before);
      if (acknowledged) made.applied(download({ clientVersion: before.length }));
      equal(uploaded(made.pendingRead(pending)), pending.slice(0, acknowledged ? pending.length : count).map((each) => each.clientVersion));
    });
  }
}

test("a held edit is read again when what it waits for is acknowledged", () => {
  const made = session();
  const pending = [writing(1, "x"), editing(2, "x"), editing(3, "x")];
  equal(uploaded(perform(made, made.localCommit(), pending)), [1]);
  equal(perform(made, made.localCommit(), pending), []);
  equal(uploaded(perform(made, made.applied(download()), pending)), []);
  equal(uploaded(perform(made, made.applied(download({ clientVersion: 1 })), pending)), [2]);
});

test("a held edit holds the set made after it", () => {
  const made = session("binding", { sets: [set(1, 2)] });
  const pending = [writing(1, "x"), editing(2, "x")];
  equal(kinds(sent(perform(made, made.receive(bound(), 0), pending))), ["upload"]);
  const messages = sent(perform(made, made.applied(download({ clientVersion: 1 })), pending));
  equal(kinds(messages.filter((message) => message.changesets?.length !== 0)), ["upload", "query"]);
});

test("edits wait for what an earlier session sent: what that touched cannot be told any more", () => {
  const made = session("binding");
  const pending = [writing(1, "x"), writing(2, "z"), editing(3, "y")];
  equal(uploaded(perform(made, made.receive(bound({ clientVersion: 1 }), 0), pending)), [2]);
  equal(uploaded(perform(made, made.applied(download()), pending)), []);
  equal(uploaded(perform(made, made.applied(download({ clientVersion: 1 })), pending)), [3]);
});
