import { equal, test, throws } from "../harness.js";
import { ObjectId } from "/realm_sync/core/bson.js";
import { compareElements, decodeProperty, empty, encodeProperty, sortWire } from "/realm_sync/core/encoding.js";
import { parseClass, Schema } from "/realm_sync/core/schema.js";

const schema = new Schema([
  { name: "Point", embedded: true, properties: { x: "double", name: { type: "string", optional: true, mapTo: "label" } } },
  { name: "Team", primaryKey: "_id", properties: { _id: "objectId" } },
  {
    name: "Kit", primaryKey: "_id", properties: {
      _id: "int", tags: "string[]", maybes: "int?[]", ids: "objectId<>", any: "mixed<>", prices: "decimal128{}", teams: "Team[]", home: "Point", route: "Point[]", places: "Point{}", data: "mixed",
    },
  },
].map((each) => parseClass(each))).check();
const { wire } = schema.get("Kit");
const encoded = (name, value) => encodeProperty(schema, name, wire[name], value);
const decoded = (name, value) => decodeProperty(schema, name, wire[name], value);
const OID = "65f0a1b2c3d4e5f601234567";

test("plain values of every kind survive the round trip", () => {
  const values = {
    tags: ["b", "a"], maybes: [1, null], ids: [new ObjectId(OID)], any: [null, 1, "a"], teams: [new ObjectId(OID)], home: { x: 1, label: null }, route: [{ x: 1, label: "a" }],
    places: { a: { x: 1, label: null }, b: null }, data: { a: [1, { b: true }] },
  };
  for (const [name, value] of Object.entries(values)) equal(JSON.stringify(decoded(name, encoded(name, value))), JSON.stringify(value), name);
  equal(encoded("ids", [new ObjectId(OID), new ObjectId(OID)]), [OID]);
});

test("null is an empty collection, and no element where it may not be", () => {
  equal([encoded("tags", null), encoded("prices", undefined), decoded("ids", null), encoded("home", null)], [[], {}, [], null]);
  equal(["list", "set", "dictionary", "object", "int"].map((type) => empty({ type })), [[], [], {}, null, null]);
  throws(() => encoded("tags", ["a", null]), "Expected 'tags[1]' to be a string, got null");
  throws(() => encoded("route", [null]), "Expected 'route[0]' to be an object, got null");
});

test("what does not fit is named", () => {
  throws(() => encoded("tags", "abc"), "Expected 'tags' to be an array");
  throws(() => encoded("tags", ["a", 5]), "Expected 'tags[1]' to be a string, got a number");
  throws(() => encoded("prices", { a: 5 }), "Expected 'prices[\"a\"]' to be an instance of Decimal128");
  throws(() => encoded("prices", []), "Expected 'prices' to be an object");
  throws(() => encoded("prices", { "a.b": null }), "Dictionary::insert: key must not contain '.'");
  throws(() => encoded("home", { x: "1" }), "Expected 'home.x' to be a number");
  throws(() => encoded("home", { y: 1 }), /which has no property 'y'/);
  throws(() => encoded("any", [[1]]), "Lists within a Set are not supported.");
  throws(() => encoded("any", [{ a: 1 }]), "Dictionaries within a Set are not supported.");
});

test("a set has one order, and an int and a double of one value are one element", () => {
  const order = [null, false, true, { $numberDouble: "NaN" }, { $numberDouble: "-Infinity" }, -1, { $numberLong: "0" }, 2, { $numberLong: "9007199254740993" }, { $numberDouble: "Infinity" },
    "", "Z", "a", "\uffff", "😀", { $date: "2026-01-01T00:00:00.000000Z" }, { $oid: OID }, { $uuid: "6f1e3f0a-5f4b-4c8e-9a43-0123456789ab" }];
  equal(sortWire([...order].reverse()), order);
  equal(sortWire([...order, ...order]), order);
  equal(sortWire([{ $numberLong: "1" }, 1]), [{ $numberLong: "1" }]);
  equal([compareElements(1, { $numberLong: "1" }), compareElements("1", 1) === 0], [0, false]);
});
