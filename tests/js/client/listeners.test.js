// Who is told what, and when.

import { heard, many, newPath, opened, pause, SCHEMA } from "./inspections.js";
import { equal, ok, test, throws, until } from "../harness.js";
import { collectionChanges } from "/realm_sync/client/listeners.js";
import Realm from "/realm_sync/realm.js";

const NOTHING = { insertions: [], deletions: [], newModifications: [], oldModifications: [] };
const changes = (values) => ({ ...NOTHING, ...values });

/** `body` with the errors of the page that it causes, which the page's runner does not see then. */
async function uncaught(body) {
  const messages = [];
  const listener = (event) => {
    event.preventDefault();
    event.stopImmediatePropagation();
    messages.push(event.error.message);
  };
  addEventListener("error", listener, true);
  await body(messages);
  removeEventListener("error", listener, true);
}

// --- collections ----------------------------------------------------------------------------------------------------

test("a collection's listener is called soon, with nothing, and then with every change", async () => {
  const realm = await opened();
  const all = realm.objects("Inspection");
  const calls = [];
  all.addListener((collection, each) => calls.push([collection === all, each]));
  equal(calls, []);
  await many(calls, 1);
  realm.write(() => ["a", "b", "c"].forEach((_id) => realm.create("Inspection", { _id })));
  equal(calls.length, 1, "in a task of its own");
  await many(calls, 2);
  realm.write(() => {
    realm.delete(realm.objectForPrimaryKey("Inspection", "a"));
    realm.objectForPrimaryKey("Inspection", "c").title = "C";
    realm.create("Inspection", { _id: "d" });
  });
  await many(calls, 3);
  equal(calls, [[true, NOTHING], [true, changes({ insertions: [0, 1, 2] })], [true, changes({ deletions: [0], insertions: [2], newModifications: [1], oldModifications: [2] })]]);
  realm.close();
});

test("several commits may come as one; what makes no difference is not told", async () => {
  const realm = await opened();
  const calls = heard(realm.objects("Inspection"));
  await many(calls, 1);
  const a = realm.add("a", { title: "x" });
  await many(calls, 2);
  realm.write(() => {});
  realm.write(() => (a.title = "x"));
  realm.write(() => realm.create("Team", { _id: "n", name: "North" }));
  realm.write(() => realm.delete(realm.create("Inspection", { _id: "z" })));
  await pause();
  equal(calls.length, 2);
  realm.write(() => (a.title = "y"));
  await many(calls, 3);
  equal(calls[2], changes({ newModifications: [0], oldModifications: [0] }));
  realm.close();
});

test("what is due is told before the next write begins", async () => {
  const realm = await opened();
  const seen = [];
  const all = realm.objects("Inspection");
  all.addListener((collection, { insertions }) => seen.push([collection.length, insertions]));
  await many(seen, 1);
  realm.add("a");
  realm.add("b");
  equal(seen, [[0, []], [1, [0]]]);
  await many(seen, 3);
  equal(seen[2], [2, [1]]);
  realm.close();
});

test("filtered and sorted collections: what enters, leaves and moves", async () => {
  const realm = await opened();
  realm.write(() => [5, 1, 3, 4].forEach((priority, at) => realm.create("Inspection", { _id: "abcd"[at], priority })));
  const calls = heard(realm.objects("Inspection").filtered("priority > 2").sorted("priority")); // c d a
  await many(calls, 1);
  const set = (id, priority) => realm.write(() => (realm.objectForPrimaryKey("Inspection", id).priority = priority));
  set("b", 9); // c d a b
  set("c", 0); // d a b
  set("d", 6); // a d b
  set("a", 5.0); // the same
  set("a", 4); // stays first
  await many(calls, 5);
  equal([calls[1], calls[2], calls[4]], [changes({ insertions: [3] }), changes({ deletions: [0] }), changes({ newModifications: [0], oldModifications: [0] })]);
  equal([calls[3].deletions.length, calls[3].insertions.length], [1, 1], "a move is a deletion and an insertion");
  realm.close();
});

test("a query that reads other classes: what enters and leaves when those change", async () => {
  const realm = await opened();
  realm.add("a", { team: { _id: "n", name: "North" } });
  const calls = heard(realm.objects("Inspection").filtered("team.name == 'North'"), []);
  const counted = heard(realm.objects("Team").filtered("@links.Inspection.team.@count == 2"), []);
  await many(calls, 1);
  realm.write(() => (realm.objects("Team")[0].name = "Nord"));
  await many(calls, 2);
  realm.write(() => (realm.objects("Team")[0].name = "North"));
  await many(calls, 3);
  equal(calls.slice(1), [changes({ deletions: [0] }), changes({ insertions: [0] })]);
  equal(counted.length, 1);
  realm.add("b", { team: realm.objects("Team")[0] });
  await many(counted, 2);
  equal(counted[1], changes({ insertions: [0] }));
  realm.close();
});

test("change sets turn the old list into the new one, whatever happened", () => {
  let seed = 7;
  const random = (limit) => (seed = (seed * 48271) % 2147483647) % limit;
  for (let turn = 0; turn < 400; turn += 1) {
    const old = [...new Set(Array.from({ length: random(9) }, () => random(12)))].map((id) => ({ id, version: 0 }));
    const next = old.filter(() => random(4)).map((each) => (random(3) ? each : { ...each, version: 1 }));
    for (let count = random(4); count > 0; count -= 1) {
      const id = random(20);
      if (!next.some((each) => each.id === id)) next.splice(random(next.length + 1), 0, { id, version: 0 });
    }
    if (!random(3)) next.reverse();
    const { deletions, insertions, newModifications, oldModifications } = collectionChanges(old, next, "id", (a, b) => a !== b);
    const list = old.map(({ id }) => id);
    for (const at of [...deletions].reverse()) list.splice(at, 1);
    for (const at of insertions) list.splice(at, 0, next[at].id);
    equal(list, next.map(({ id }) => id));
    const modified = next.flatMap((each, at) => (!insertions.includes(at) && !old.includes(each) ? [at] : []));
    equal(newModifications, modified);
    equal(oldModifications.map((at) => old[at].id).sort(), newModifications.map((at) => next[at].id).sort());
    for (const list of [deletions, insertions, newModifications, oldModifications]) equal(list, [...list].sort((a, b) => a - b));
  }
});

test("a collection's listener follows four links", async () => {
  const realm = await opened();
  // a → b → c → d → e → f
  realm.write(() => [..."fedcba"].forEach((_id, at) => realm.create("Inspection", { _id, follows: at ? "fedcba"[at - 1] : null })));
  const calls = heard(realm.objects("Inspection").filtered("_id == 'a'"));
  await many(calls, 1);
  for (const id of "fedcb") realm.write(() => (realm.objectForPrimaryKey("Inspection", id).title = `changed ${id}`));
  await many(calls, 5);
  await pause();
  equal(calls.slice(1), Array(4).fill(changes({ newModifications: [0], oldModifications: [0] })));
  realm.write(() => realm.delete(realm.objectForPrimaryKey("Inspection", "b")));
  await many(calls, 6);
  realm.close();
});

test("key paths: which modifications are told; what enters and leaves always is", async () => {
  const realm = await opened();
  const a = realm.add("a", { team: { _id: "n", name: "North" }, follows: { _id: "b" } });
  const all = realm.objects("Inspection").filtered("_id == 'a' OR _id == 'z'");
  const asked = ["title", ["title", "due"], "team.name", "team", "*", "*.name", "*.*", []];
  const calls = asked.map((keyPaths) => heard(all, keyPaths));
  await many(calls.at(-1), 1);
  /** Who was told of `body`. */
  const told = async (body) => {
    const before = calls.map((each) => each.length);
    realm.write(body);
    await pause(15);
    return asked.filter((_, at) => calls[at].length > before[at]).map(String);
  };
  equal(await told(() => (a.title = "T")), ["title", "title,due", "*"]);
  equal(await told(() => (a.due = new Date())), ["title,due", "*"]);
  equal(await told(() => (a.priority = 1)), ["*"]);
  equal(await told(() => (a.team.name = "Nord")), ["team.name", "*.name", "*.*"]);
  equal(await told(() => (a.follows.title = "B")), ["*.*"]);
  equal(await told(() => (a.team = null)), ["team.name", "team", "*", "*.name", "*.*"]);
  equal(await told(() => realm.create("Inspection", { _id: "z" })), asked.map(String));
  const error = (keyPaths, text) => throws(() => all.addListener(() => {}, keyPaths), text);
  error("nothing", "Property 'nothing' in KeyPath 'nothing' is not a valid property in Inspection.");
  error("team.nothing", "Property 'nothing' in KeyPath 'team.nothing' is not a valid property in Team.");
  error("title.name", "Property 'title' in KeyPath 'title.name' is not a collection of objects or an object reference, so it cannot be used as an intermediate keypath element.");
  error("title.title", "Property 'title' in KeyPath 'title.title' is not a collection of objects");
  error("*.nothing", "'*.nothing' does not resolve in any valid key paths.");
  throws(() => realm.objects("Team").addListener(() => {}, "*.name"), "'*.name' does not resolve in any valid key paths.");
  realm.close();
});

test("adding and removing", async () => {
  const realm = await opened();
  const all = realm.objects("Inspection");
  let [one, two] = [0, 0];
  const first = () => (one += 1);
  const second = () => (two += 1);
  all.addListener(first);
  throws(() => all.addListener(first), "Remove callback before adding it again");
  throws(() => all.addListener("no"), "Expected 'callback' to be a function, got a string");
  all.addListener(second);
  realm.objects("Inspection").addListener(first); // another wrapper
  await until(() => one === 2 && two === 1);
  all.removeListener(first);
  realm.add("a");
  await until(() => two === 2);
  equal(one, 3);
  all.removeAllListeners();
  all.removeListener(first);
  realm.add("b");
  await until(() => one === 4);
  equal(two, 2);
  all.addListener(first);
  await until(() => one === 5);
  realm.close();
  await pause();
  equal([one, two], [5, 2]);
});

test("a listener that removes another one in time spares it the call", async () => {
  const realm = await opened();
  const all = realm.objects("Inspection");
  const calls = [];
  const second = () => calls.push("second");
  all.addListener(() => {
    calls.push("first");
    all.removeListener(second);
  });
  all.addListener(second);
  await many(calls, 1);
  await pause();
  equal(calls, ["first"]);
  realm.close();
});

test("no listeners once a write transaction has changed something", async () => {
  const realm = await opened();
  const all = realm.objects("Inspection");
  const a = realm.add("a");
  realm.write(() => all.addListener(() => {}));
  realm.write(() => {
    a.title = "x";
    throws(() => all.addListener(() => {}), "Cannot create asynchronous query after making changes in a write transaction.");
    throws(() => a.addListener(() => {}), "Cannot create asynchronous query after making changes in a write transaction.");
  });
  realm.close();
});

test("what a collection's or object's listener throws is an uncaught error, and spares the others", async () => {
  const realm = await opened();
  await uncaught(async (messages) => {
    const all = realm.objects("Inspection");
    all.addListener(() => {
      throw new Error("from a collection");
    });
    const a = realm.add("a");
    a.addListener(() => {
      throw new Error("from an object");
    });
    const calls = heard(all);
    await many(calls, 1);
    await until(() => messages.includes("from a collection") && messages.includes("from an object"));
    realm.write(() => (a.title = "x"));
    await many(calls, 2);
  });
  realm.close();
});

// --- objects --------------------------------------------------------------------------------------------------------

test("an object's listener: its own properties, and its end, once", async () => {
  const realm = await opened();
  const a = realm.add("a", { team: { _id: "n", name: "North" } });
  const calls = heard(a);
  await many(calls, 1);
  realm.write(() => {
    a.title = "x";
    a.due = new Date();
  });
  await many(calls, 2);
  realm.write(() => (a.team.name = "Nord"));
  await pause();
  realm.write(() => (a.team = { _id: "s", name: "South" }));
  await many(calls, 3);
  realm.write(() => realm.delete(a));
  await many(calls, 4);
  await pause();
  equal(calls, [
    { deleted: false, changedProperties: [] }, { deleted: false, changedProperties: ["title", "due"] },
    { deleted: false, changedProperties: ["team"] }, { deleted: true, changedProperties: [] },
  ]);
  realm.close();
});

test("an object's listener with key paths", async () => {
  const realm = await opened();
  const a = realm.add("a");
  const calls = heard(a, ["due", "priority"]);
  const none = heard(a, []);
  await many(none, 1);
  realm.write(() => (a.title = "x"));
  realm.write(() => (a.priority = 4));
  await many(calls, 2);
  realm.write(() => realm.delete(a));
  await many(none, 2);
  equal([calls.slice(1), none.slice(1)], [[{ deleted: false, changedProperties: ["priority"] }, { deleted: true, changedProperties: [] }], [{ deleted: true, changedProperties: [] }]]);
  realm.close();
});

test("an object's listeners are added, removed and refused as a collection's", async () => {
  const realm = await opened();
  const a = realm.add("a");
  let calls = 0;
  const listener = (object, { deleted }) => (calls += Number(object === a && !deleted));
  a.addListener(listener);
  throws(() => a.addListener(listener), "Remove callback before adding it again");
  await until(() => calls === 1);
  a.removeListener(listener);
  realm.write(() => (a.title = "x"));
  await pause();
  a.addListener(listener);
  await until(() => calls === 2);
  a.removeAllListeners();
  realm.write(() => (a.title = "y"));
  await pause();
  equal(calls, 2);
  realm.write(() => realm.delete(a));
  throws(() => a.addListener(listener), "Accessing object which has been invalidated or deleted");
  realm.close();
});

// --- realms ---------------------------------------------------------------------------------------------------------

test("a realm's change listener is called in the commit, once per function, for an empty transaction too", async () => {
  const realm = await opened();
  const calls = [];
  const listener = (...args) => calls.push(args);
  realm.addListener("change", listener);
  realm.addListener("change", listener);
  realm.write(() => equal(calls.length, 0));
  equal([calls.length, calls[0][0] === realm, calls[0][1], calls[0].length], [1, true, "change", 2]);
  realm.add("a");
  equal(calls.length, 2);
  await pause();
  equal(calls.length, 2, "not once more when the listeners of collections are told");
  realm.removeListener("change", listener);
  realm.add("b");
  realm.addListener("change", listener);
  realm.removeAllListeners("change");
  realm.addListener("change", listener);
  realm.removeAllListeners();
  realm.add("c");
  equal(calls.length, 2);
  throws(() => realm.addListener("changed", listener), "Unknown event name 'changed': only 'change', 'schema' and 'beforenotify' are supported.");
  throws(() => realm.addListener("change"), "Expected 'callback' to be a function, got undefined");
  realm.close();
});

test("what a change listener throws leaves through the write, whose data stays", async () => {
  const realm = await opened();
  const listener = () => {
    throw new Error("from a change listener");
  };
  realm.addListener("change", listener);
  throws(() => realm.add("a"), "from a change listener");
  equal([realm.objects("Inspection").length, realm.isInTransaction], [1, false]);
  realm.removeListener("change", listener);
  realm.close();
});

test("other realms of the file hear of it as well, and what their listeners throw stays with them", async () => {
  const path = newPath();
  const [one, two] = [await opened({ path }), await opened({ path })];
  await uncaught(async (messages) => {
    two.addListener("change", () => {
      throw new Error("from another realm");
    });
    const calls = heard(one.objects("Inspection"));
    await many(calls, 1);
    one.add("a");
    await many(calls, 2);
    await until(() => messages.length);
    equal(messages, ["from another realm"]);
    one.add("b");
    one.add("c");
    await many(calls, 4);
  });
  one.close();
  two.close();
});

test("beforenotify comes before the listeners, schema when a class comes", async () => {
  const path = newPath();
  const realm = await opened({ path });
  const order = [];
  realm.objects("Inspection").addListener(() => order.push("collection"));
  realm.addListener("beforenotify", (_, name) => order.push(name));
  await many(order, 2);
  realm.add("a");
  await until(() => order.filter((each) => each === "collection").length === 2);
  ok(order.every((each, at) => each === "beforenotify" || order[at - 1] === "beforenotify"), String(order));
  realm.close();
  const dynamic = new Realm({ path });
  const schemas = [];
  dynamic.addListener("schema", (_, name, schema) => schemas.push([name, schema.map((each) => each.name).sort()]));
  await dynamic.whenLoaded();
  equal(schemas.at(-1), ["schema", ["Inspection", "Team"]]);
  dynamic.close();
});

test("a listener that writes is told of its own write as well", async () => {
  const realm = await opened();
  const all = realm.objects("Inspection");
  const lengths = [];
  all.addListener((collection) => {
    lengths.push(collection.length);
    if (collection.length < 3) realm.write(() => realm.create("Inspection", { _id: `${collection.length}` }));
  });
  await many(lengths, 4);
  await pause();
  equal(lengths, [0, 1, 2, 3]);
  ok(!realm.isInTransaction);
  realm.close();
});

test("listeners hear of what was in the file when it has been read", async () => {
  const path = newPath();
  const first = await opened({ path });
  first.add("a");
  await first.writesFlushed();
  first.close();
  const realm = new Realm({ path, schema: SCHEMA });
  const calls = heard(realm.objects("Inspection"));
  await until(() => calls.some(({ insertions }) => insertions.length) || realm.objects("Inspection").length);
  await many(calls, 1);
  equal(realm.objects("Inspection").length, 1);
  realm.close();
});
