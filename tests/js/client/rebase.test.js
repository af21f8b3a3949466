// Pending edits: what a transaction folds to, and what downloads, other tabs, reloads and client resets make of them (R8, R9).

import { equal, ok, test } from "../harness.js";
import { Disk } from "/realm_sync/client/disk.js";
import { Fold, replay } from "/realm_sync/client/rebase.js";
import { Store } from "/realm_sync/client/store.js";
import { Shape } from "/realm_sync/core/edits.js";

const PROPERTIES = { _id: { type: "string" }, title: { type: "string", optional: true }, tags: { type: "list", objectType: "string" }, visits: { type: "int", presentation: "counter", optional: true }, notes: { type: "dictionary", objectType: "string", optional: true } };
const CLASSES = [{ name: "Kit", keyName: "_id", properties: PROPERTIES }];
let made = 0;

async function opened(name = `rebase-${Date.now()}-${(made += 1)}`) {
  const store = new Store(name, true);
  store.addSchema(CLASSES);
  await store.load(await Disk.open(name));
  return store;
}

const kit = (_id, values = {}) => ({ _id, title: null, tags: [], visits: 0, notes: {}, ...values });
const step = (op, path, fields = {}, _id = "k") => ({ op, class: "Kit", _id, path, ...fields });

/** One local transaction. */
function write(store, ...steps) {
  const writer = store.writer();
  const table = store.tables.get("Kit");
  for (const each of steps) {
    if (each.path) writer.edit(table, each._id, each);
    else if (each.op === "create") writer.create(table, { _id: each._id, ...each.values });
    else writer[each.op](table, each._id, each.values);
  }
  writer.finish(1000);
}

function download(store, changes, values = {}) {
  const text = JSON.stringify({ type: "download", changes });
  const message = { queryVersion: 0, batchState: "steady", serverVersion: 1, clientVersion: 0, progress: 1, view: 1, ...values };
  return store.apply(message, JSON.parse(text).changes, [text]);
}

const put = (...images) => [{ class: "Kit", put: images }];
const shown = (store, key = "k") => store.tables.get("Kit").objects.get(key);
const told = (store) => store.pending.flatMap(({ instructions }) => instructions.map(({ class: _, _id: __, ...rest }) => rest));

// --- folding --------------------------------------------------------------------------------------------------------

const schema = { get: () => ({ name: "Kit", keyName: "_id", properties: PROPERTIES, wire: PROPERTIES }), isEmbedded: () => false, element: () => ({ type: "string" }), wireType: ({ type }) => type };
const folded = (body) => {
  const fold = new Fold();
  body(fold, (op, path, fields, mayLink = false) => fold.edit(step(op, path, fields), new Shape(schema, PROPERTIES[path[0]]), mayLink));
  return fold.steps().map(({ class: _, _id: __, ...rest }) => rest);
};

test("edits fold into the value that the transaction wrote", () => {
  equal(folded((fold, edit) => {
    fold.create("Kit", "k", { title: "x" });
    edit("insert", ["tags", 0], { value: "late" });
    edit("insert", ["tags", 0], { value: "cold" });
  }), [{ op: "create", values: { title: "x", tags: ["cold", "late"] } }]);
  equal(folded((fold, edit) => {
    fold.update("Kit", "k", { visits: 3 }, []);
    edit("add", ["visits"], { by: 2 });
  }), [{ op: "update", values: { visits: 5 } }]);
});

test("what is written between edits keeps its place", () => {
  equal(folded((fold, edit) => {
    fold.update("Kit", "k", { title: "x" }, []);
    edit("add", ["visits"], { by: 1 });
    edit("add", ["visits"], { by: "9223372036854775807" });
    fold.update("Kit", "k", { visits: 9 }, []);
    edit("add", ["visits"], { by: 1 });
    edit("set", ["notes", "a"], { value: "1" });
    edit("set", ["notes", "a"], { value: "2" });
  }), [
    { op: "update", values: { title: "x" } }, { op: "add", path: ["visits"], by: "-9223372036854775808" }, { op: "update", values: { visits: 10 } }, { op: "set", path: ["notes", "a"], value: "2" },
  ]);
});

test("an edit does not go before an object that it may link to, and a delete drops edits", () => {
  equal(folded((fold, edit) => {
    fold.create("Kit", "k", {});
    fold.create("Kit", "other", {});
    edit("insert", ["tags", 0], { value: "a" }, true);
  }).map(({ op }) => op), ["create", "create", "insert"]);
  equal(folded((fold, edit) => {
    edit("insert", ["tags", 0], { value: "a" });
    fold.delete("Kit", "k");
  }), [{ op: "delete" }]);
});

test("replay leaves out edits that make no sense, and those of what is not there", () => {
  const table = { name: "Kit", keyName: "_id" };
  equal(replay(schema, table, kit("k", { tags: ["a"] }), [step("remove", ["tags", 5]), step("insert", ["tags", 1], { value: "b" }), step("add", ["visits"], { by: 2 })]), kit("k", { tags: ["a", "b"], visits: 2 }));
  equal(replay(schema, table, null, [step("insert", ["tags", 0], { value: "b" })]), null);
});

// --- downloads ------------------------------------------------------------------------------------------------------

test("others' changes come: the pending edits are counted anew, and mean what they meant", async () => {
  const store = await opened();
  await download(store, put(kit("k", { tags: ["a", "b", "c"] })));
  write(store, step("remove", ["tags", 1]));
  write(store, step("insert", ["tags", 2], { value: "mine" }), step("add", ["visits"], { by: 2 }));
  equal(shown(store).tags, ["a", "c", "mine"]);
  await store.writesFlushed();
  await download(store, [{ class: "Kit", patch: [{ _id: "k", tags: ["x", "a", "b", "c"], visits: 5 }] }], { serverVersion: 7 });
  equal([shown(store).tags, shown(store).visits], [["x", "a", "c", "mine"], 7]);
  equal(told(store), [
    { op: "remove", path: ["tags", 2], base: 7 }, { op: "insert", path: ["tags", 3], value: "mine", base: 7 }, { op: "add", path: ["visits"], by: 2, base: 7 },
  ]);
  equal(store.pending.map(({ baseVersion }) => baseVersion), [1, 1], "what was written when stays as it was");
  await store.close();
  const again = await opened(store.path);
  equal([shown(again), told(again)], [shown(store), told(store)], "durably");
  // acknowledged: the server's own outcome, nothing twice
  await download(again, [{ class: "Kit", patch: [{ _id: "k", tags: ["x", "a", "c"] }] }], { serverVersion: 8, clientVersion: 1 });
  equal([shown(again).tags, told(again)[0]], [["x", "a", "c", "mine"], { op: "insert", path: ["tags", 3], value: "mine", base: 8 }]);
  await download(again, [{ class: "Kit", patch: [{ _id: "k", tags: ["x", "a", "c", "mine"], visits: 7 }] }], { serverVersion: 9, clientVersion: 2 });
  equal([shown(again), told(again)], [kit("k", { tags: ["x", "a", "c", "mine"], visits: 7 }), []]);
  await again.close();
});

test("an edit of what others took away is dropped; its changeset still counts", async () => {
  const store = await opened();
  await download(store, put(kit("k", { tags: ["a", "b"] })));
  write(store, step("remove", ["tags", 1]));
  await store.writesFlushed();
  await download(store, [{ class: "Kit", patch: [{ _id: "k", tags: ["a"] }] }], { serverVersion: 2 });
  equal([shown(store).tags, told(store), store.pendingAbove(0, null, 1e6)], [["a"], [], [{ clientVersion: 1, baseVersion: 1, timestamp: 1000, instructions: [] }]]);
  await store.close();
});

test("an edit that is not durable yet is counted anew as well", async () => {
  const store = await opened();
  await download(store, put(kit("k", { tags: ["a", "b"] })));
  const applied = download(store, [{ class: "Kit", patch: [{ _id: "k", tags: ["x", "a", "b"] }] }], { serverVersion: 2 });
  write(store, step("set", ["tags", 1], { value: "B" }));
  await applied;
  await store.writesFlushed();
  equal([shown(store).tags, told(store)], [["x", "a", "B"], [{ op: "set", path: ["tags", 2], value: "B", base: 2 }]]);
  await store.close();
  const again = await opened(store.path);
  equal(shown(again).tags, ["x", "a", "B"]);
  await again.close();
});

test("tabs agree on what pending edits read, whoever wrote them and whoever downloads", async () => {
  const one = await opened();
  const two = await opened(one.path);
  await download(one, put(kit("k", { tags: ["a", "b", "c"] })));
  await two.catchUp();
  write(one, step("remove", ["tags", 0]));
  await one.writesFlushed();
  // the second has seen neither the download nor the first one's edit when it writes
  const applied = download(one, [{ class: "Kit", patch: [{ _id: "k", tags: ["x", "a", "b", "c"] }] }], { serverVersion: 2 });
  write(two, step("remove", ["tags", 2]));
  await applied;
  await two.writesFlushed();
  await Promise.all([one.catchUp(), two.catchUp()]);
  equal([shown(one).tags, shown(two).tags], [["x", "b"], ["x", "b"]]);
  equal(told(one), told(two));
  equal(told(one).map(({ base }) => base), [2, 2]);
  await Promise.all([one.close(), two.close()]);
  const again = await opened(one.path);
  equal([shown(again).tags, told(again)], [["x", "b"], told(one)]);
  await again.close();
});

test("a client reset keeps pending edits, counted in the new content and without a base", async () => {
  const store = await opened();
  await download(store, put(kit("k", { tags: ["a", "b", "c"] })), { serverVersion: 90 });
  write(store, { op: "update", class: "Kit", _id: "k", values: { title: "mine" } }, step("remove", ["tags", 2]), step("add", ["visits"], { by: 1 }));
  await store.writesFlushed();
  await store.beginReset("recoverUnsyncedChanges");
  write(store, step("insert", ["tags", 0], { value: "late" }));
  await store.writesFlushed();
  await download(store, put(kit("k", { tags: ["new", "a", "b", "c"], visits: 4 })), { serverVersion: 3, batchState: "last" });
  equal(shown(store), kit("k", { title: "mine", tags: ["new", "late", "a", "b"], visits: 5 }));
  equal(store.pending.map(({ clientVersion, baseVersion }) => [clientVersion, baseVersion]), [[1, 3], [2, 3]]);
  equal(told(store).filter(({ base }) => base !== undefined && base !== 3), []);
  ok(told(store).some(({ op, path }) => op === "remove" && path[1] === 3));
  await store.close();
  const again = await opened(store.path);
  equal(shown(again), shown(store));
  await again.close();
});

test("an object that was deleted and comes again is edited no more", async () => {
  const store = await opened();
  await download(store, put(kit("k", { tags: ["a"] })));
  write(store, step("insert", ["tags", 1], { value: "b" }));
  await store.writesFlushed();
  await download(store, [{ class: "Kit", erase: ["k"] }], { serverVersion: 2 });
  equal(shown(store), undefined);
  await store.close();
});

// --- at random ------------------------------------------------------------------------------------------------------

test("whatever tabs, downloads, acknowledgements and reloads do, every tab shows the same, and so does the next page", async () => {
  let seed = 7;
  const random = (below) => ((seed = (seed * 48271) % 2147483647), seed % below);
  const name = `rebase-random-${Date.now()}`;
  const tabs = [await opened(name), await opened(name), await opened(name)];
  let version = 1;
  let acknowledged = 0;
  let server = kit("k", { tags: ["s0", "s1", "s2"] });
  await download(tabs[0], put(server));
  let dropped = 0;
  for (let turn = 0; turn < 400; turn += 1) {
    const at = random(3);
    const store = tabs[at];
    const kind = random(10);
    const image = shown(store);
    if (kind < 5 && image) {
      const length = image.tags.length;
      const place = random(length || 1);
      const steps = [step("insert", ["tags", random(length + 1)], { value: `t${turn}` }), step("add", ["visits"], { by: 1 }), step("set", ["notes", `n${random(3)}`], { value: `t${turn}` })];
      if (length) steps.push(step("remove", ["tags", place]), step("move", ["tags", place], { to: random(length) }), step("set", ["tags", place], { value: `t${turn}` }));
      write(store, steps[random(steps.length)]);
    } else if (kind < 7) {
      // the leader downloads: somebody wrote, and the server may have taken some of what is pending
      const leader = tabs[0];
      await leader.writesFlushed();
      await leader.catchUp();
      const taken = random(2) ? leader.pendingAbove(acknowledged, null, random(2) ? 1 : 1e6) : [];
      for (const { clientVersion, instructions } of taken) {
        server = replay(schema, { name: "Kit", keyName: "_id" }, server, instructions);
        acknowledged = clientVersion;
      }
      const tags = [...server.tags];
      if (random(2)) tags.splice(random(tags.length + 1), 0, `o${turn}`);
      else if (tags.length) tags.splice(random(tags.length), 1);
      server = { ...server, tags };
      await download(leader, [{ class: "Kit", patch: [{ _id: "k", tags, visits: server.visits, notes: server.notes }] }], { serverVersion: (version += 1), clientVersion: acknowledged });
    } else if (kind === 7) await store.catchUp();
    else if (kind === 8) await store.writesFlushed();
    else if (random(4) === 0) {
      await store.close();
      tabs[at] = await opened(name);
      dropped += 1;
    } else await new Promise((resolve) => setTimeout(resolve, random(3)));
  }
  await Promise.all(tabs.map((store) => store.writesFlushed()));
  await Promise.all(tabs.map((store) => store.catchUp()));
  const fresh = await opened(name);
  for (const store of tabs) {
    equal(told(store), told(fresh));
    equal(shown(store), shown(fresh));
  }
  ok(acknowledged > 30 && dropped > 5, `${acknowledged} acknowledged, ${dropped} reloads`);
  const left = fresh.pending.flatMap(({ instructions }) => instructions.filter(({ op }) => op === "add").map(({ by }) => by));
  equal(shown(fresh).visits, server.visits + left.reduce((sum, by) => sum + by, 0), "no increment is lost");
  await Promise.all([...tabs, fresh].map((store) => store.close()));
});
