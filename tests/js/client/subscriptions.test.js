// Subscription sets of a realm that does not meet its server: what they contain, and what may be written.

import { Inspection, offline, offlineUser, otherTab, pause, SCHEMA, TEAM } from "./inspections.js";
import { equal, ok, test, throws, until } from "../harness.js";
import Realm from "/realm_sync/realm.js";

const contents = (subs) => [...subs].map(({ name, objectType, queryString }) => [name, objectType, queryString]);

/** `update` without waiting for a server. */
const update = (subs, body) => void subs.update(body).catch(() => {});

test("a new file's set, and what an update makes of it", async () => {
  const realm = await offline([]);
  const subs = realm.subscriptions;
  equal([subs.length, subs.isEmpty, subs.version, subs.error, subs[0]], [0, true, 0, null, undefined]);
  const before = Date.now();
  let seen;
  update(subs, (mutable, same) => {
    seen = [mutable instanceof Realm.MutableSubscriptionSet, same === realm];
    mutable.add(realm.objects("Inspection").filtered("priority > $0", 3), { name: "urgent" });
    mutable.add(realm.objects("Team"));
  });
  equal([seen, subs.length, subs.isEmpty, subs.version, subs.state, realm.subscriptions.version], [[true, true], 2, false, 1, "pending", 1]);
  equal(contents(subs), [["urgent", "Inspection", "priority > 3"], [null, "Team", "TRUEPREDICATE"]]);
  const [first] = subs;
  ok(first instanceof Realm.Subscription && subs instanceof Realm.SubscriptionSet);
  ok(first.id instanceof Realm.BSON.ObjectId && first.createdAt instanceof Date && Math.abs(first.createdAt - before) < 2000);
  equal([first.createdAt, subs[1].objectType, subs[2]], [first.updatedAt, "Team", undefined]);
  realm.close();
});

test("finding", async () => {
  const realm = await offline([]);
  const urgent = realm.objects("Inspection").filtered("priority > 3");
  update(realm.subscriptions, (subs) => {
    subs.add(urgent, { name: "urgent" });
    subs.add(realm.objects("Inspection"), { name: "" });
    equal(subs.findByName("urgent").queryString, "priority > 3");
  });
  const subs = realm.subscriptions;
  equal([subs.findByName("urgent").name, subs.findByName(""), subs.findByName("x")].map((each) => each?.name ?? each), ["urgent", "", null]);
  equal(subs.findByQuery(realm.objects("Inspection").filtered("priority > $0", 3).sorted("title")).name, "urgent");
  equal([subs.findByQuery(realm.objects("Team")), subs.findByQuery(realm.objects("Inspection").filtered("priority > 4"))], [null, null]);
  throws(() => subs.findByQuery("priority > 3"), "Expected 'query' to be an instance of Results, got a string");
  realm.close();
});

test("adding: by name, without a name by query", async () => {
  const realm = await offline([]);
  const all = realm.objects("Inspection");
  const subs = realm.subscriptions;
  update(subs, (mutable) => {
    mutable.add(all.filtered("priority == 1"));
    mutable.add(all.filtered("priority == 1"), { name: "one" });
  });
  const [unnamed, named] = subs;
  await pause(5);
  update(subs, (mutable) => {
    const again = mutable.add(all.filtered("priority == 1"));
    equal([again.id, again.createdAt, again.updatedAt > unnamed.updatedAt], [unnamed.id, unnamed.createdAt, true]);
    const changed = mutable.add(all.filtered("priority == 2"), { name: "one" });
    equal([changed.id, changed.queryString], [named.id, "priority == 2"]);
    mutable.add(all.filtered("priority == 2"));
    equal(mutable.add(all.filtered("priority == 2"), { name: "one", throwOnUpdate: true }).name, "one");
    throws(
      () => mutable.add(all.filtered("priority == 3"), { name: "one", throwOnUpdate: true }),
      "A subscription with the name 'one' already exists but has a different query. If you meant to update it, remove 'throwOnUpdate: true' from the subscription options.",
    );
    throws(() => mutable.add(all, { name: 5 }), "Expected 'name' to be a string, got a number");
    throws(() => mutable.add([]), "Expected 'query' to be an instance of Results, got an array");
  });
  equal(contents(subs), [[null, "Inspection", "priority == 1"], ["one", "Inspection", "priority == 2"], [null, "Inspection", "priority == 2"]]);
  realm.close();
});

test("removing", async () => {
  const realm = await offline([]);
  const all = realm.objects("Inspection");
  update(realm.subscriptions, (subs) => {
    subs.add(all, { name: "all" });
    subs.add(all.filtered("priority == 1"));
    subs.add(all.filtered("priority == 2"));
    subs.add(realm.objects("Team"), { name: "teams" });
    subs.add(realm.objects("Team"));
  });
  update(realm.subscriptions, (subs) => {
    equal([subs.removeByName("nobody"), subs.removeByName("all"), subs.removeByName("all")], [false, true, false]);
    equal([subs.remove(all.filtered("priority == 2")), subs.remove(all.filtered("priority == 2"))], [true, false]);
    const [first] = subs;
    equal([subs.removeSubscription(first), subs.removeSubscription(first), subs.length], [true, false, 2]);
    equal([subs.removeUnnamed(), subs.removeUnnamed(), subs.length], [1, 0, 1]);
    subs.add(all);
    equal([subs.removeByObjectType("Team"), subs.removeByObjectType("Team")], [1, 0]);
    throws(() => subs.removeByObjectType(Inspection), "Expected 'objectType' to be a string");
    subs.add(realm.objects("Team"));
    equal([subs.removeAll(), subs.isEmpty], [2, true]);
  });
  equal([realm.subscriptions.length, realm.subscriptions.version], [0, 2]);
  realm.close();
});

test("a set is a snapshot; updating an old one makes its content the newest", async () => {
  const realm = await offline([]);
  const all = realm.objects("Inspection");
  const old = realm.subscriptions;
  update(realm.subscriptions, (subs) => subs.add(all, { name: "one" }));
  equal([old.length, old.version, realm.subscriptions.length], [0, 0, 1]);
  update(old, (subs) => subs.add(all, { name: "two" }));
  equal([contents(realm.subscriptions).map(([name]) => name), old.version, old.length], [["two"], 2, 1]);
  update(realm.subscriptions, () => {});
  equal(realm.subscriptions.version, 3, "every update is another version");
  realm.close();
});

test("a callback that throws changes nothing", async () => {
  const realm = await offline([]);
  const subs = realm.subscriptions;
  await throws(() => subs.update((mutable) => {
    mutable.add(realm.objects("Inspection"));
    throw new Error("no");
  }), "no");
  equal([subs.length, subs.version, realm.subscriptions.version], [0, 0, 0]);
  await throws(() => subs.update(), "Expected 'callback' to be a function, got undefined");
  await realm.write(() => throws(() => realm.subscriptions.update(() => {}), "Subscriptions cannot be updated in a write transaction."));
  realm.close();
});

test("what cannot be kept live is refused, with the reason", async () => {
  const realm = await offline([]);
  const all = realm.objects("Inspection");
  const refused = (results, text) => throws(() => realm.subscriptions.update((subs) => subs.add(results)), text);
  await refused(all.filtered("TRUEPREDICATE LIMIT(3)"), "LIMIT cannot be used in a subscription: sort and limit the objects when you read them.");
  await refused(all.filtered("TRUEPREDICATE DISTINCT(title)"), "DISTINCT cannot be used in a subscription");
  update(realm.subscriptions, (subs) => subs.add(all.filtered("priority == 1 SORT(title ASC)").sorted("priority")));
  equal(contents(realm.subscriptions), [[null, "Inspection", "priority == 1"]]);
  realm.close();
});

test("queries travel under stored names with their arguments written out", async () => {
  const realm = await offline(["Team"]);
  const team = realm.write(() => realm.create("Team", { _id: "n", name: "North" }));
  update(realm.subscriptions, (subs) => {
    subs.removeAll();
    subs.add(realm.objects("Inspection").filtered("due > $0 AND title == $1 AND team == $2", new Date(0), 'a "b"', team));
  });
  const { queryString } = realm.subscriptions[0];
  ok(queryString.startsWith("due_at > "), queryString);
  const [item] = realm._store.newestSet().subscriptions;
  equal(item.query, queryString);
  equal(realm.objects("Inspection").filtered(queryString).description(), queryString);
  realm.close();
});

// --- subscribing by Results -----------------------------------------------------------------------------------------

test("results.subscribe waits as asked, and remembers its name", async () => {
  const realm = await offline([]);
  const all = realm.objects("Inspection");
  const later = (promise) => Promise.race([promise.then(() => "done", (error) => error.message), pause(30).then(() => "waits")]);
  equal(await later(all.subscribe({ name: "all" })), "done", "options without behavior do not wait");
  equal([all.subscriptionName, realm.subscriptions.version, contents(realm.subscriptions)], ["all", 1, [["all", "Inspection", "TRUEPREDICATE"]]]);
  ok((await all.subscribe({ name: "all", behavior: "never" })) === all);
  equal(realm.subscriptions.version, 2, "added on every call");
  equal(await later(all.subscribe()), "done", "first-time does not wait for what is subscribed to");
  const teams = realm.objects("Team");
  equal(await later(teams.subscribe()), "waits");
  equal(await later(teams.subscribe({ behavior: "always" })), "waits");
  equal(await later(realm.objects("Team").filtered("name == 'x'").subscribe({ behavior: "first-time" })), "waits");
  const began = performance.now();
  ok((await teams.subscribe({ behavior: "always", timeout: 50 })) === teams);
  ok(performance.now() - began > 40, "a time-out resolves");
  await throws(() => teams.subscribe({ behavior: "sometimes" }), "Unsupported 'behavior': 'sometimes'.");
  await throws(() => realm.objects("Team").filtered("name == 'y'").subscribe({ name: "all", throwOnUpdate: true }), "A subscription with the name 'all' already exists");
  realm.close();
});

test("results.unsubscribe: by the remembered name, else by query", async () => {
  const realm = await offline([]);
  const all = realm.objects("Inspection");
  await all.subscribe({ name: "one" });
  await realm.objects("Inspection").subscribe({ name: "two" });
  equal(all.unsubscribe(), undefined);
  equal([contents(realm.subscriptions).map(([name]) => name), all.subscriptionName], [["two"], null]);
  realm.objects("Inspection").unsubscribe();
  equal(realm.subscriptions.length, 0);
  const { version } = realm.subscriptions;
  all.unsubscribe();
  equal(realm.subscriptions.version, version + 1, "nothing found is another version as well");
  realm.close();
});

// --- writing --------------------------------------------------------------------------------------------------------

test("writing needs a subscription to the class, whatever its query and state", async () => {
  const realm = await offline(["Team"]);
  const team = realm.write(() => realm.create("Team", { _id: "n", name: "North" }));
  const text = "Cannot write to class Inspection when no flexible sync subscription has been created.";
  const error = throws(() => realm.add("a"), text);
  equal([error.code, error.codeName], [1026, "NoSubscriptionForWrite"]);
  update(realm.subscriptions, (subs) => subs.add(realm.objects("Inspection").filtered("_id == 'nothing like it'")));
  const a = realm.add("a", { team });
  update(realm.subscriptions, (subs) => subs.removeByObjectType("Inspection"));
  throws(() => realm.write(() => (a.title = "x")), text);
  throws(() => realm.write(() => realm.delete(a)), text);
  throws(() => realm.write(() => realm.deleteAll()), text);
  equal([a.title, a.team.name, realm.objects("Team").length], ["untitled", "North", 1]);
  realm.close();
});

test("the check is the newest set's, whether or not it was read yet; before that, nothing can be said", async () => {
  const realm = await offline(["Inspection"]);
  const { user } = realm.syncSession;
  await realm.writesFlushed();
  realm.close();
  const again = new Realm({ schema: SCHEMA, sync: { user, flexible: true, onError() {} } });
  again.write(() => again.create("Inspection", { _id: "early" }));
  await again.whenLoaded();
  throws(() => again.write(() => again.create("Team", { _id: "n", name: "" })), "Cannot write to class Team");
  again.close();
});

test("mode modified uploads what differs, mode all what is given", async () => {
  const realm = await offline();
  realm.add("a", { title: "A", priority: 1 });
  const written = (mode, values) => {
    const before = realm._store.pending.length;
    realm.write(() => realm.create("Inspection", { _id: "a", ...values }, mode));
    return realm._store.pending.slice(before).flatMap(({ instructions }) => instructions.map((each) => each.values));
  };
  equal(written("modified", { title: "A", priority: 1 }), []);
  equal(written("modified", { title: "A", priority: 2 }), [{ priority: 2 }]);
  equal(written("all", { title: "A", priority: 2 }), [{ title: "A", priority: 2 }]);
  realm.close();
});

test("waits end with the realm", async () => {
  const realm = await offline();
  const subs = realm.subscriptions;
  const waits = [subs.waitForSynchronization(), subs.update(() => {})];
  const settled = Promise.allSettled(waits);
  realm.close();
  equal((await settled).map(({ reason }) => reason.message), ["Sync session became inactive", "Sync session became inactive"]);
  throws(() => realm.subscriptions, "Cannot access realm that has been closed.");
  await throws(() => subs.update(() => {}), "Cannot access realm that has been closed.");
  await throws(() => subs.waitForSynchronization(), "Cannot access realm that has been closed.");
});

test("sets survive a reload, and other tabs see them", async () => {
  const realm = await offline([]);
  const { user } = realm.syncSession;
  update(realm.subscriptions, (subs) => subs.add(realm.objects("Inspection"), { name: "all" }));
  update(realm.subscriptions, (subs) => subs.add(realm.objects("Team"), { name: "teams" }));
  await realm.writesFlushed();
  equal([realm.subscriptions.version, realm.subscriptions.state], [2, "pending"]);
  const tab = await otherTab();
  const fetch = async (url) => new Response(JSON.stringify(url.endsWith("/config") ? {} : { identities: [], data: {} }), { status: 200 });
  const app = new tab.Realm.App({ id: user.app.id, baseUrl: location.origin, fetch });
  const config = { schema: [{ ...Inspection.schema }, TEAM], sync: { user: app.currentUser, flexible: true, onError() {} } };
  const other = new tab.Realm(config);
  await other.whenLoaded();
  equal(contents(other.subscriptions).map(([name]) => name), ["all", "teams"]);
  other.subscriptions.update((subs) => subs.removeByName("all")).catch(() => {});
  await until(() => realm.subscriptions.version === 3, "this tab sees the other's set");
  equal(contents(realm.subscriptions).map(([name]) => name), ["teams"]);
  other.write(() => other.create("Team", { _id: "n", name: "North" }));
  await until(() => realm.objects("Team").length === 1, "this tab sees the other's write");
  other.close();
  tab.close();
  realm.close();
  const again = await offline([], { user });
  equal([again.subscriptions.version, contents(again.subscriptions).length, again.objects("Team").length], [3, 1, 1]);
  again.close();
});

test("partition sync has no subscriptions to see, and writes the partition's field", async () => {
  const user = await offlineUser();
  const schema = [{ name: "Note", primaryKey: "_id", properties: { _id: "string", text: "string", _partition: "string?" } }, { name: "Shared", primaryKey: "_id", properties: { _id: "string" } }];
  const realm = new Realm({ schema, sync: { user, partitionValue: "north", onError() {} } });
  await realm.whenLoaded();
  throws(() => realm.subscriptions, "`subscriptions` can only be accessed if flexible sync is enabled, but partition based sync is enabled for your app.");
  const note = realm.write(() => realm.create("Note", { _id: "a", text: "x" }));
  equal([note._partition, realm._store.newestSet().subscriptions.map(({ class: name, query }) => `${name}: ${query}`)], ["north", ['Note: _partition == "north"']]);
  throws(() => realm.write(() => realm.create("Shared", { _id: "a" })), "Cannot write to class Shared");
  realm.close();
});
