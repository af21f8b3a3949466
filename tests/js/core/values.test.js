import { equal, ok, test, throws, vectors } from "../harness.js";
import { Decimal128, ObjectId, UUID } from "/realm_sync/core/bson.js";
import { identity } from "/realm_sync/core/edits.js";
import { decodeProperty, encodeProperty, sortWire } from "/realm_sync/core/encoding.js";
import { TypeAssertionError } from "/realm_sync/core/errors.js";
import { decodeMixed, encodeMixed, mixedType } from "/realm_sync/core/mixed.js";
import { parseClass, Schema } from "/realm_sync/core/schema.js";
import { SCALARS, decode, encode } from "/realm_sync/core/values.js";

const { roundTrip, refusedWire, equal: images, lone, mixed, setOrder, properties } = await vectors("values.json");

test("there are vectors of every type", () => {
  equal(Object.keys(roundTrip), SCALARS);
  equal(Object.keys(refusedWire), SCALARS);
});

test("a wire value survives the round trip", () => {
  for (const type of SCALARS) {
    for (const wire of roundTrip[type]) equal(encode(type, decode(type, wire)), wire, `${type} ${wire}`);
  }
});

test("another spelling is refused", () => {
  for (const type of SCALARS) {
    for (const wire of [...refusedWire[type], undefined]) {
      let read;
      try {
        read = decode(type, wire);
      } catch (error) {
        ok(error instanceof TypeAssertionError, `${error}`);
        continue;
      }
      throw new Error(`${type} ${JSON.stringify(wire)} was read as ${read}`);
    }
  }
});

test("different values may have one image", () => {
  for (const [value, wire] of images.float) equal(encode("float", value), wire);
  for (const [value, wire] of images.decimal128) equal(encode("decimal128", new Decimal128(value)), wire);
  for (const [value, wire] of images.int) equal(encode("int", value), wire);
  equal(encode("int", 5n), 5);
});

test("lone surrogates are refused both ways", () => {
  for (const text of lone) {
    throws(() => encode("string", text), "Expected value to be a string of valid Unicode (no lone surrogates)");
    throws(() => decode("string", text));
  }
});

test("null and undefined are null for every type", () => {
  for (const type of SCALARS) equal([encode(type, null), encode(type, undefined), decode(type, null)], [null, null, null]);
});

test("a value of another type is refused in Realm's words", () => {
  class ObjectIdOfAnotherCopy {}
  Object.defineProperty(ObjectIdOfAnotherCopy, "name", { value: "ObjectId" });
  const table = [
    ["bool", 1, "a boolean, got a number"],
    ["int", "5", "a number or bigint, got a string"],
    ["int", 1.5, "an integer, got a decimal number"],
    ["int", NaN, "an integer, got NaN"],
    ["int", 2 ** 60, "a bigint where it is beyond ±2^53, got a number"],
    ["int", 2 ** 53 + 2, "a bigint where it is beyond ±2^53, got a number"],
    ["int", 2n ** 63n, "a 64-bit integer, got a bigint"],
    ["float", "1", "a number, got a string"],
    ["double", 1n, "a number, got a bigint"],
    ["decimal128", 1, "an instance of Decimal128, got a number"],
    ["decimal128", "1", "an instance of Decimal128, got a string"],
    ["string", 5, "a string, got a number"],
    ["string", "a\0", "a string without U+0000, got a string"],
    ["data", [1], "an ArrayBuffer, a view of one or base64 text, got an array"],
    ["data", "é", "base64 text, got a string"],
    ["date", 0, "an instance of Date, got a number"],
    ["date", new Date(NaN), "a valid date, got an instance of Date"],
    ["date", "yesterday", "a valid date, got a string"],
    ["date", new Date(Date.UTC(10000, 0, 1)), "a date of the years 1 to 9999"],
    ["date", new Date(-62135596800001), "a date of the years 1 to 9999"],
    ["objectId", "65f0a1b2c3d4e5f601234567", "an instance of ObjectId, got a string"],
    ["objectId", new ObjectIdOfAnotherCopy(), "an instance of Realm's own ObjectId, got an instance of ObjectId"],
    ["uuid", new ObjectId(), "an instance of UUID, got an instance of ObjectId"],
  ];
  for (const [type, value, words] of table) {
    const error = throws(() => encode(type, value), `Expected value to be ${words}`);
    ok(error instanceof TypeAssertionError);
  }
  throws(() => encode("string", 5, "name"), "Expected 'name' to be a string, got a number");
  throws(() => decode("string", 5, "Team.name"), "Expected 'Team.name' to be a wire value of type 'string', got a number");
});

test("what is read is of the language's own types", () => {
  equal([decode("int", 5), decode("int", "9223372036854775807")], [5, 2n ** 63n - 1n]);
  equal(decode("date", "2026-01-01T12:00:00.123456Z"), new Date("2026-01-01T12:00:00.123Z"));
  equal(decode("data", "AAE="), new Uint8Array([0, 1]).buffer);
  equal(decode("decimal128", "0.1"), new Decimal128("0.1"));
  ok(decode("objectId", "65f0a1b2c3d4e5f601234567") instanceof ObjectId && decode("uuid", roundTrip.uuid[2]) instanceof UUID);
  equal([decode("double", "NaN"), decode("float", "-Infinity")], [NaN, -Infinity]);
});

test("a decimal zero has no sign on the wire", () => throws(() => decode("decimal128", "-0")));

test("data is written from buffers, views and base64 text", () => {
  const bytes = new Uint8Array([9, 0, 1, 2, 9]);
  const inner = bytes.subarray(1, 4);
  for (const value of [inner, inner.slice().buffer, new DataView(bytes.buffer, 1, 3), "AAEC"]) equal(encode("data", value), "AAEC");
  equal(encode("data", new Uint16Array([0x0100])), "AAE=");
  const large = new Uint8Array(300_000).map((_, at) => at % 251);
  equal(new Uint8Array(decode("data", encode("data", large))), large);
});

test("microseconds survive as long as the date is not changed", () => {
  const date = decode("date", "2026-01-01T12:00:00.123456Z");
  equal(encode("date", date), "2026-01-01T12:00:00.123456Z");
  equal(encode("date", new Date(date)), "2026-01-01T12:00:00.123000Z");
  date.setSeconds(1);
  equal(encode("date", date), "2026-01-01T12:00:01.123000Z");
  equal(encode("date", "2026-01-01T12:00:00+01:00"), "2026-01-01T11:00:00.000000Z");
  equal(encode("date", new Date(-62135596800000)), "0001-01-01T00:00:00.000000Z");
});

// --- mixed, collections and embedded objects ---

const same = (actual, expected, note) => equal(identity(actual), identity(expected), note);
/** What JavaScript writes of what it read: an int that a number holds is a double from then on. */
const asNumber = (wire) => (Number.isSafeInteger(Number(wire?.$numberLong ?? NaN)) ? Number(wire.$numberLong) : wire);

test("a mixed wire value survives the round trip and says its type", () => {
  for (const [wire, type] of mixed.roundTrip) {
    same(encodeMixed(decodeMixed(wire)), asNumber(wire), JSON.stringify(wire));
    equal(mixedType(wire), type);
  }
});

test("another spelling of a mixed value is refused", () => {
  for (const wire of mixed.refusedWire) throws(() => decodeMixed(wire));
});

test("a set has one order", () => {
  const { order, same: pairs } = setOrder;
  same(sortWire([...[...order].reverse(), ...order]), order);
  for (const pair of pairs) same(sortWire(pair), pair.slice(0, 1));
});

const schema = new Schema(properties.classes.map((each) => parseClass(each))).check();
const again = (name, wire) => {
  const prop = schema.get("Kit").wire[name];
  return encodeProperty(schema, name, prop, decodeProperty(schema, name, prop, wire));
};

test("a property survives the round trip", () => {
  for (const [name, wire, written] of properties.roundTrip) same(again(name, wire), written, `${name} ${JSON.stringify(wire)}`);
});

test("what does not fit a property is refused", () => {
  for (const [name, wire] of properties.refusedWire) {
    let made;
    try {
      made = again(name, wire);
    } catch {
      continue;
    }
    throw new Error(`${name} ${JSON.stringify(wire)} was read as ${JSON.stringify(made)}`);
  }
});
