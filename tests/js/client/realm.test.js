// A local realm: objects created, read, changed and deleted, transactions, and what misuse is answered with.

import { Inspection, many, newPath, opened, otherTab, pause, SCHEMA, TEAM } from "./inspections.js";
import { equal, ok, test, throws, until } from "../harness.js";
import Realm, { BSON } from "/realm_sync/realm.js";

const { ObjectId, UUID, Decimal128 } = BSON;

const AIRFIELD = {
  name: "Airfield",
  primaryKey: "_id",
  properties: {
    _id: "objectId", open: "bool", runways: "int", length: "double", width: "float", fee: "decimal128", name: "string",
    map: "data", built: "date", code: "uuid", owner: "objectId?", notes: "string?",
  },
};
const airfield = (values = {}) => ({
  _id: new ObjectId("0123456789abcdef01234567"), open: true, runways: 2, length: 1234.5, width: 45, fee: new Decimal128("12.50"), name: "Højby",
  map: new Uint8Array([1, 2, 3]), built: new Date("1962-05-01T12:00:00.250Z"), code: new UUID("2f3b5a40-7a51-4f6e-9a51-0f9b1de1a3a2"), ...values,
});

// --- values ---------------------------------------------------------------------------------------------------------

test("every scalar type reads as it was written, also after a reload", async () => {
  const path = newPath();
  const values = airfield();
  const first = await Realm.open({ path, schema: [AIRFIELD] });
  first.write(() => first.create("Airfield", values));
  const check = (realm) => {
    const found = realm.objects("Airfield")[0];
    equal(found._id.toHexString(), "0123456789abcdef01234567");
    equal([found.open, found.runways, found.length, found.width, found.name, found.owner, found.notes], [true, 2, 1234.5, 45, "Højby", null, null]);
    ok(found.fee instanceof Decimal128 && String(found.fee) === "12.5" && found.map instanceof ArrayBuffer);
    equal([...new Uint8Array(found.map)], [1, 2, 3]);
    equal(found.built, values.built);
    ok(found.code.equals(values.code) && found.code instanceof UUID);
  };
  check(first);
  await first.writesFlushed();
  first.close();
  const again = await Realm.open({ path, schema: [AIRFIELD] });
  check(again);
  again.close();
});

test("integers beyond 2^53 are bigints, floats have 32 bits, dates keep their microseconds", async () => {
  const realm = await opened({ schema: [AIRFIELD] });
  const found = realm.write(() => realm.create("Airfield", airfield({ runways: 2n ** 62n, width: 0.1, notes: "x" })));
  equal([found.runways, found.width], [2n ** 62n, Math.fround(0.1)]);
  realm.write(() => (found.runways = 7n));
  equal(found.runways, 7);
  throws(() => realm.write(() => (found.runways = 1.5)), "Expected 'runways' to be an integer, got a decimal number");
  throws(() => realm.write(() => (found.runways = 2n ** 63n)), "Expected 'runways' to be a 64-bit integer");
  // As a server would write it, which is where microseconds come from.
  const table = realm._store.tables.get("Airfield");
  const wire = () => [...table.objects.values()][0].built;
  realm.write(() => realm._file.writer.update(table, found._objectKey(), { built: "1962-05-01T12:00:00.250123Z" }));
  const exact = found.built;
  realm.write(() => (found.built = new Date(exact)));
  equal(wire(), "1962-05-01T12:00:00.250000Z");
  realm.write(() => (found.built = exact));
  equal([wire(), realm.objects("Airfield").filtered("built == $0", exact).length], ["1962-05-01T12:00:00.250123Z", 1]);
  realm.close();
});

test("a value of another type is refused in Realm's words", async () => {
  const realm = await opened({ schema: [AIRFIELD] });
  const wrong = (name, value) => () => realm.write(() => realm.create("Airfield", airfield({ [name]: value })));
  throws(wrong("name", 5), "Expected 'name' to be a string, got a number");
  throws(wrong("open", "yes"), "Expected 'open' to be a boolean, got a string");
  throws(wrong("runways", "2"), "Expected 'runways' to be a number or bigint, got a string");
  throws(wrong("fee", 12.5), "Expected 'fee' to be an instance of Decimal128, got a decimal number");
  throws(wrong("built", 0), "Expected 'built' to be an instance of Date, got a number");
  throws(wrong("map", {}), "Expected 'map' to be an ArrayBuffer");
  throws(wrong("code", "2f3b5a40-7a51-4f6e-9a51-0f9b1de1a3a2"), "Expected 'code' to be an instance of UUID, got a string");
  throws(wrong("_id", "0123456789abcdef01234567"), "Expected '_id' to be an instance of ObjectId, got a string");
  throws(wrong("name", null), "Expected 'name' to be a string, got null");
  const error = throws(wrong("name", undefined), "Missing value for property 'name'");
  equal([error.code, error.codeName], [3004, "MissingPropertyValue"]);
  equal(realm.objects("Airfield").length, 0);
  realm.close();
});

// --- creating -------------------------------------------------------------------------------------------------------

test("defaults, functions among them, once per object; unknown keys are ignored", async () => {
  let asked = 0;
  const schema = [{ name: "Note", primaryKey: "_id", properties: { _id: { type: "objectId", default: () => (asked++, new ObjectId()) }, text: { type: "string", default: "-" }, at: { type: "int", optional: true } } }];
  const realm = await opened({ schema });
  const note = realm.write(() => realm.create("Note", { unknown: 1 }));
  equal([asked, note.text, note.at, note.unknown], [1, "-", null, undefined]);
  realm.write(() => realm.create("Note", { _id: null, text: undefined }));
  equal([asked, realm.objects("Note").length], [2, 2]);
  realm.close();
});

test("a default is a value like any other", async () => {
  const made = new Date(86_400_000);
  const schema = [{ name: "Note", properties: { at: { type: "date", default: () => made }, by: { type: "objectId", default: new ObjectId("0123456789abcdef01234567") }, bad: { type: "int", optional: true, default: "5" } } }];
  const realm = await opened({ schema });
  const note = realm.write(() => realm.create("Note", { bad: null }));
  equal([note.at, note.by.toHexString(), note.bad], [made, "0123456789abcdef01234567", null]);
  equal(realm.objects("Note").filtered("at == $0", made).length, 1);
  throws(() => realm.write(() => realm.create("Note", {})), "Expected 'bad' to be a number or bigint, got a string");
  realm.close();
});

test("a class without primary key always makes a new object, and shows no key", async () => {
  const path = newPath();
  const schema = [{ name: "Line", properties: { text: "string" } }];
  const realm = await Realm.open({ path, schema });
  realm.write(() => (realm.create("Line", { text: "a" }), realm.create("Line", { text: "a" })));
  const [line] = realm.objects("Line");
  equal([realm.objects("Line").length, line.keys(), { ...line }], [2, ["text"], { text: "a" }]);
  throws(() => realm.objectForPrimaryKey("Line", "a"), "Expected a primary key on 'Line'");
  await realm.writesFlushed();
  realm.close();
  const dynamic = await Realm.open({ path });
  equal([Object.keys(dynamic.schema[0].properties), dynamic.schema[0].primaryKey, dynamic.objects("Line")[1].toJSON()], [["text"], undefined, { text: "a" }]);
  dynamic.write(() => dynamic.create("Line", { text: "b" }));
  equal(dynamic.objects("Line").length, 3);
  dynamic.close();
});

test("objectForPrimaryKey", async () => {
  const realm = await opened();
  realm.add("a");
  equal(realm.objectForPrimaryKey("Inspection", "a").title, "untitled");
  equal(realm.objectForPrimaryKey(Inspection, "b"), null);
  throws(() => realm.objectForPrimaryKey("Inspection", 5), "Expected '_id' to be a string, got a number");
  throws(() => realm.objectForPrimaryKey("Inspection", null), "Expected value to be a string, got null");
  realm.close();
});

test("update modes", async () => {
  const realm = await opened();
  const due = new Date();
  realm.add("a", { title: "first", priority: 3, due });
  const create = (values, mode) => realm.write(() => realm.create("Inspection", values, mode));
  const error = throws(() => create({ _id: "a" }), "Attempting to create an object of type 'Inspection' with an existing primary key value 'a'.");
  equal(error.codeName, "ObjectAlreadyExists");
  throws(() => create({ _id: "a" }, false), "Attempting to create an object");
  for (const mode of ["modified", "all", true]) {
    const found = create({ _id: "a", priority: null, title: undefined }, mode);
    equal([found.title, found.priority, found.due], ["first", null, due]);
    realm.write(() => (found.priority = 3));
  }
  equal(create({ _id: "b" }, "modified").title, "untitled");
  throws(() => create({ _id: "a" }, "sometimes"), "Unsupported 'updateMode'. Only 'never', 'modified' or 'all' is supported.");
  throws(() => create(["a"]), "Array values on object creation is no longer supported");
  throws(() => create(Object.create(Inspection.prototype)), "Cannot create an object from a detached RealmObject instance");
  realm.close();
});

test("links: an object, a plain object, a key; nested objects follow the mode", async () => {
  const realm = await opened();
  const north = realm.write(() => realm.create("Team", { _id: "n", name: "North" }));
  const a = realm.add("a", { team: north });
  const b = realm.add("b", { team: { _id: "s", name: "South" }, follows: { _id: "c", team: "n" } });
  equal([a.team.name, b.team.name, b.follows._id, b.follows.team.name], ["North", "South", "c", "North"]);
  throws(() => realm.add("d", { team: { _id: "n", name: "again" } }), "Attempting to create an object of type 'Team' with an existing");
  realm.write(() => realm.create("Inspection", { _id: "a", team: { _id: "n", name: "Nord" } }, "modified"));
  equal(north.name, "Nord");
  realm.write(() => (a.team = "s"));
  equal(a.team.name, "South");
  realm.write(() => (a.team = { _id: "w", name: "West" }));
  equal(a.team._objectKey(), "w");
  realm.write(() => (a.team = null));
  equal(a.team, null);
  realm.write(() => (a.team = "nobody"));
  equal(a.team, null);
  throws(() => realm.write(() => (a.team = a)), "Expected 'team' to be an instance of Team, got an instance of Inspection");
  throws(() => realm.write(() => (a.team = 5)), "Expected 'team' to be an instance of Team, got a number");
  throws(() => realm.write(() => (a.team = new Date())), "Expected 'team' to be an instance of Team, got an instance of Date");
  realm.close();
});

test("an object of another realm is copied", async () => {
  const [one, two] = [await opened(), await opened()];
  const team = one.write(() => one.create("Team", { _id: "n", name: "North" }));
  const copy = two.add("a", { team });
  equal([copy.team.name, two.objects("Team").length], ["North", 1]);
  const whole = two.write(() => two.create("Inspection", one.add("b", { title: "B" })));
  equal([whole.title, two.objects("Inspection").length], ["B", 2]);
  throws(() => two.write(() => two.delete(team)), "Can't delete an object from another Realm");
  one.close();
  two.close();
});

test("class models", async () => {
  class Renamed extends Realm.Object {
    static schema = { name: "Thing", properties: { size: "int" } };
  }
  const realm = await opened({ schema: [...SCHEMA, Renamed] });
  const made = realm.write(() => new Inspection(realm, { _id: "a", title: "A", priority: 2 }));
  ok(made instanceof Inspection && made instanceof Realm.Object);
  equal(made.label, "A (2)");
  realm.write(() => made.rename("B"));
  const [found] = realm.objects(Inspection);
  equal([found.title, found.constructor, found.constructed], ["B", Inspection, undefined]);
  equal(realm.write(() => new Renamed(realm, { size: 4 })).size, 4);
  equal(realm.objects(Renamed).type, "Thing");
  class Stranger extends Realm.Object {
    static schema = { name: "Stranger", properties: {} };
  }
  throws(() => realm.objects(Stranger), "Constructor was not registered in the schema for this Realm");
  throws(() => realm.objects("Nothing"), "Object type 'Nothing' not found in schema.");
  throws(() => realm.objects(5), "Expected 'type' to be a string or a class, got a number");
  throws(() => new Inspection(), "Illegal constructor: Inspection objects are read from managed objects only.");
  realm.close();
  await throws(() => Realm.open({ path: newPath(), schema: [class Plain {}] }), "Invalid schema for object 'Plain': Class 'Plain' must extend Realm.Object");
});

test("mapTo: the page's name outside, the stored one inside", async () => {
  const realm = await opened();
  const due = new Date("2026-01-02T03:04:05.006Z");
  const a = realm.add("a", { due });
  equal([a.due, a.due_at, Object.keys(a).includes("due"), realm._store.tables.get("Inspection").objects.get("a").due_at], [due, undefined, true, "2026-01-02T03:04:05.006000Z"]);
  equal(realm.objects("Inspection").filtered("due == $0", due).length, 1);
  realm.close();
});

// --- deleting -------------------------------------------------------------------------------------------------------

test("delete takes an object, an array, Results; deleteAll everything", async () => {
  const realm = await opened();
  const a = realm.add("a");
  for (const id of ["b", "c", "d", "e"]) realm.add(id);
  const fill = (body) => realm.write(body);
  fill(() => realm.delete(a));
  equal([a.isValid(), realm.objects("Inspection").length], [false, 4]);
  fill(() => realm.delete([realm.objects("Inspection")[0], realm.objects("Inspection")[1]]));
  fill(() => realm.delete(realm.objects("Inspection").filtered("_id == 'd'")));
  equal(realm.objects("Inspection").map((each) => each._id), ["e"]);
  throws(() => fill(() => realm.delete(a)), "Object is invalid. Either it has been previously deleted or the Realm it belongs to has been closed.");
  for (const wrong of [{}, "e", null, 5, [1]]) throws(() => fill(() => realm.delete(wrong)), "Can only delete objects, lists and results.");
  throws(() => realm.delete(realm.objects("Inspection")[0]), "Can only delete objects within a transaction.");
  throws(() => realm.deleteAll(), "Can only delete objects within a transaction.");
  fill(() => realm.create("Team", { _id: "n", name: "North" }));
  fill(() => realm.deleteAll());
  equal([realm.isEmpty, realm.objects("Team").length], [true, 0]);
  realm.close();
});

// --- transactions ---------------------------------------------------------------------------------------------------

test("write returns what its callback does, and undoes everything if that throws", async () => {
  const realm = await opened();
  const a = realm.add("a", { title: "first" });
  equal(realm.write(() => 5), 5);
  throws(() => realm.write(() => {
    a.title = "second";
    realm.create("Inspection", { _id: "b" });
    throw new Error("no");
  }), "no");
  equal([a.title, realm.objects("Inspection").length, realm.isInTransaction], ["first", 1, false]);
  realm.close();
});

test("begin, commit, cancel, and their misuse", async () => {
  const realm = await opened();
  throws(() => realm.commitTransaction(), "Can't commit a non-existing write transaction");
  throws(() => realm.cancelTransaction(), "Can't cancel a non-existing write transaction");
  realm.beginTransaction();
  ok(realm.isInTransaction);
  throws(() => realm.beginTransaction(), "The Realm is already in a write transaction");
  equal(throws(() => realm.write(() => {}), "The Realm is already in a write transaction").codeName, "WrongTransactionState");
  realm.create("Inspection", { _id: "a" });
  equal(realm.objects("Inspection").filtered("_id == 'a'").length, 1, "a transaction sees its own changes");
  realm.cancelTransaction();
  equal(realm.objects("Inspection").length, 0);
  realm.beginTransaction();
  realm.create("Inspection", { _id: "a" });
  realm.commitTransaction();
  equal(realm.objects("Inspection").length, 1);
  equal(realm.write(() => void realm.cancelTransaction()), undefined, "a callback may end the transaction itself");
  const outside = "Cannot modify managed objects outside of a write transaction.";
  throws(() => realm.create("Inspection", { _id: "b" }), outside);
  throws(() => (realm.objects("Inspection")[0].title = "x"), outside);
  realm.close();
});

test("an async callback commits when it gives its promise", async () => {
  const realm = await opened();
  const late = realm.write(async () => {
    realm.create("Inspection", { _id: "a" });
    await null;
    realm.create("Inspection", { _id: "b" });
  });
  equal([realm.isInTransaction, realm.objects("Inspection").length], [false, 1]);
  await throws(() => late, "Cannot modify managed objects outside of a write transaction.");
  realm.close();
});

test("close: everything of the realm ends, an open transaction is cancelled", async () => {
  const path = newPath();
  const realm = await opened({ path });
  const a = realm.add("a");
  const all = realm.objects("Inspection");
  realm.beginTransaction();
  a.title = "never";
  realm.close();
  realm.close();
  equal([realm.isClosed, realm.isInTransaction, a.isValid(), all.isValid()], [true, false, false, false]);
  throws(() => a.title, "Accessing object which has been invalidated or deleted");
  const closed = "Cannot access realm that has been closed.";
  for (const use of [() => realm.write(() => {}), () => realm.objects("Inspection"), () => all.length, () => all[0], () => realm.create("Inspection", {}), () => realm.delete(a), () => realm.objectForPrimaryKey("Inspection", "a"), () => realm.addListener("change", () => {}), () => all.addListener(() => {})]) {
    equal(throws(use, closed).codeName, "ClosedRealm");
  }
  const again = await opened({ path });
  equal(again.objects("Inspection")[0].title, "untitled");
  again.close();
});

test("the state of a realm", async () => {
  const realm = await opened({ schemaVersion: 3 });
  equal([realm.schemaVersion, realm.isReadOnly, realm.isInMemory, realm.isInMigration, realm.isEmpty, realm.isClosed, realm.syncSession], [3, false, false, false, true, false, null]);
  throws(() => realm.subscriptions, "`subscriptions` can only be accessed if flexible sync is enabled, but sync is currently disabled for your app.");
  const [cls, team] = realm.schema;
  equal([cls.name, cls.primaryKey, cls.embedded, cls.asymmetric, cls.ctor], ["Inspection", "_id", false, false, Inspection]);
  equal(cls.properties.due, { name: "due", type: "date", optional: true, indexed: false, mapTo: "due_at" });
  equal(cls.properties.team, { name: "team", type: "object", objectType: "Team", optional: true, indexed: false, mapTo: "team" });
  equal([team.properties._id.indexed, team.properties.inspections.type], [true, "linkingObjects"]);
  realm.close();
});

// --- durability, tabs -----------------------------------------------------------------------------------------------

test("what is written before the file is read stays, on top of what it holds", async () => {
  const path = newPath();
  const first = await opened({ path });
  first.add("a", { title: "old" });
  await first.writesFlushed();
  first.close();
  const realm = new Realm({ path, schema: SCHEMA });
  equal([realm.objects("Inspection").length, realm.isClosed], [0, false]);
  const all = realm.objects("Inspection");
  realm.write(() => realm.create("Inspection", { _id: "b", title: "new" }));
  equal(all.map((each) => each._id), ["b"]);
  await realm.whenLoaded();
  equal(all.map((each) => each.title).sort(), ["new", "old"]);
  realm.close();
  const again = await opened({ path });
  equal(again.objects("Inspection").length, 2);
  again.close();
});

test("a class that the file does not know yet is kept, whenever it is first used", async () => {
  const path = newPath();
  const first = await Realm.open({ path, schema: [{ name: "Line", properties: { text: "string" } }] });
  await first.writesFlushed();
  first.close();
  const schema = [{ name: "Line", properties: { text: "string" } }, { name: "Page", primaryKey: "_id", properties: { _id: "int" } }];
  const second = new Realm({ path, schema });
  second.write(() => second.create("Page", { _id: 1 }));
  await second.whenLoaded();
  second.write(() => second.create("Page", { _id: 2 }));
  await second.writesFlushed();
  second.close();
  const third = await Realm.open({ path });
  equal(third.objects("Page").map((each) => each._id), [1, 2]);
  third.close();
});

test("two realms of one file share everything but their listeners", async () => {
  const path = newPath();
  const one = await opened({ path });
  const two = await opened({ path });
  const calls = [];
  two.objects("Inspection").addListener((_, { insertions }) => calls.push(insertions));
  await many(calls, 1);
  one.add("a");
  equal(two.objects("Inspection")[0].title, "untitled");
  await many(calls, 2);
  equal(calls, [[], [0]]);
  one.beginTransaction();
  throws(() => two.beginTransaction(), "The Realm is already in a write transaction");
  one.cancelTransaction();
  one.close();
  two.write(() => two.create("Inspection", { _id: "b" }));
  equal(two.objects("Inspection").length, 2);
  two.close();
});

test("another tab sees what this one writes, and the other way round", async () => {
  const path = newPath();
  const realm = await opened({ path });
  const tab = await otherTab();
  const config = { path, schema: [{ ...Inspection.schema }, TEAM] };
  const other = await tab.Realm.open(config);
  realm.add("a", { title: "here" });
  await until(() => other.objects("Inspection").length === 1, "the other tab sees it");
  const calls = [];
  realm.addListener("change", () => calls.push(realm.objects("Inspection").length));
  other.write(() => other.create("Inspection", { _id: "b", title: "there" }));
  await until(() => realm.objects("Inspection").length === 2, "this tab sees it");
  await many(calls, 1);
  equal(calls, [2]);
  other.write(() => (other.objectForPrimaryKey("Inspection", "a").title = "changed"));
  await until(() => realm.objectForPrimaryKey("Inspection", "a").title === "changed");
  other.close();
  tab.close();
  await pause();
  realm.add("c");
  await realm.writesFlushed();
  realm.close();
});
