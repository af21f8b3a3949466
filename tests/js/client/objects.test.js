// Objects of a local realm: live, enumerable, plain as JSON, with their links in both directions.

import { Inspection, opened, TEAM } from "./inspections.js";
import { equal, ok, test, throws } from "../harness.js";
import Realm from "/realm_sync/realm.js";

const INVALID = "Accessing object which has been invalidated or deleted";

test("objects are live", async () => {
  const realm = await opened();
  const a = realm.add("a", { title: "first" });
  const same = realm.objectForPrimaryKey("Inspection", "a");
  realm.write(() => (same.title = "second"));
  equal([a.title, a.isValid()], ["second", true]);
  a.scratch = 5;
  equal([a.scratch, same.scratch, Object.keys(a).includes("scratch"), "title" in a, "scratch" in same], [5, undefined, true, true, false]);
  realm.write(() => realm.delete(same));
  equal(a.isValid(), false);
  throws(() => a.title, INVALID);
  equal(throws(() => realm.write(() => (a.title = "x")), INVALID).codeName, "InvalidatedObject");
  realm.close();
});

test("enumerating gives the properties of the schema", async () => {
  const realm = await opened();
  const a = realm.add("a", { priority: 2 });
  const names = ["_id", "title", "priority", "done", "due", "cost", "team", "follows"];
  const values = { _id: "a", title: "untitled", priority: 2, done: false, due: null, cost: null, team: null, follows: null };
  equal([a.keys(), Object.keys(a), Reflect.ownKeys(a).length], [names, names, names.length]);
  equal(Object.fromEntries(a.entries()), values);
  equal({ ...a }, values);
  equal(Object.entries(a).length, names.length);
  equal(Object.assign({}, a), values);
  const listed = [];
  for (const name in a) if (Object.hasOwn(a, name)) listed.push(name);
  equal(listed, names);
  realm.close();
});

test("toJSON is a plain tree, with cycles as they are", async () => {
  const realm = await opened();
  const due = new Date();
  const a = realm.add("a", { due, team: { _id: "n", name: "North" } });
  realm.write(() => (a.follows = a));
  const plain = a.toJSON();
  equal(Object.getPrototypeOf(plain), Object.prototype);
  ok(plain.follows === plain && plain.team.inspections[0] === plain && plain.due instanceof Date);
  realm.write(() => realm.create("Inspection", { _id: "b", title: "B" }));
  equal(JSON.parse(JSON.stringify(realm.objectForPrimaryKey("Inspection", "b"))), { _id: "b", title: "B", priority: null, done: false, due: null, cost: null, team: null, follows: null });
  const [, b] = realm.objects("Inspection").toJSON();
  equal(b.title, "B");
  realm.close();
});

test("linking objects, as a property and as a method", async () => {
  const realm = await opened();
  const north = realm.write(() => realm.create("Team", { _id: "n", name: "North" }));
  const south = realm.write(() => realm.create("Team", { _id: "s", name: "South" }));
  equal([north.inspections.length, north.linkingObjectsCount()], [0, 0]);
  const live = north.inspections;
  const a = realm.add("a", { team: north, priority: 2 });
  realm.add("b", { team: north, follows: a, priority: 1 });
  realm.add("c", { team: south, follows: a });
  const ids = (results) => results.map(({ _id }) => _id);
  equal([ids(live), ids(north.linkingObjects("Inspection", "team")), ids(a.linkingObjects(Inspection, "follows")), a.linkingObjectsCount(), north.linkingObjectsCount()], [["a", "b"], ["a", "b"], ["b", "c"], 2, 2]);
  equal(ids(north.inspections.filtered("priority == 1")), ["b"]);
  equal(ids(north.inspections.sorted("priority")), ["b", "a"]);
  realm.write(() => (a.team = south));
  equal([ids(live), ids(south.inspections).sort()], [["b"], ["a", "c"]]);
  throws(() => north.linkingObjects("Inspection", "follows"), "'Inspection#follows' is not a relationship to 'Team'");
  throws(() => a.linkingObjects("Team", "inspections"), "'Team#inspections' is not a relationship to 'Inspection'");
  throws(() => realm.write(() => (north.inspections = [])), "Not supported");
  realm.write(() => realm.delete(south));
  equal([a.team, a.toJSON().team], [null, null]);
  realm.close();
});

test("what an object says of itself", async () => {
  const realm = await opened();
  const a = realm.add("a");
  const team = realm.write(() => realm.create("Team", { _id: "n", name: "North" }));
  equal([a.objectSchema().name, a.objectSchema().properties.team.objectType, team.objectSchema().primaryKey], ["Inspection", "Team", "_id"]);
  equal(["_id", "priority", "due", "cost", "team"].map((name) => a.getPropertyType(name)), ["string", "int", "date", "decimal128", "<Team>"]);
  throws(() => a.getPropertyType("nothing"), "Property 'nothing' does not exist on 'Inspection' objects");
  ok(a instanceof Realm.Object && team instanceof Realm.Object && !(team instanceof Inspection));
  equal([a._objectKey(), team._objectKey()], ["a", "n"]);
  realm.close();
});

test("the primary key never changes", async () => {
  const realm = await opened();
  const a = realm.add("a");
  equal(throws(() => realm.write(() => (a._id = "b")), "Cannot change value of primary key outside migration function").codeName, "ModifyPrimaryKey");
  realm.close();
});

test("a required property refuses null, an optional one takes undefined as null", async () => {
  const realm = await opened();
  const a = realm.add("a", { priority: 3 });
  throws(() => realm.write(() => (a.title = null)), "Expected 'title' to be a string, got null");
  realm.write(() => (a.priority = undefined));
  equal(a.priority, null);
  realm.close();
});

test("class members that a page initialises do not hide what is stored", async () => {
  class Declared extends Realm.Object {
    static schema = { name: "Declared", properties: { text: "string" } };
    text; // as TypeScript and some compilers write declarations
  }
  const realm = await opened({ schema: [Declared, TEAM, Inspection] });
  const made = realm.write(() => new Declared(realm, { text: "stored" }));
  equal(made.text, "stored");
  realm.write(() => (made.text = "changed"));
  equal([realm.objects(Declared)[0].text, made.text], ["changed", "changed"]);
  realm.close();
});
