import { equal, ok, test, throws } from "../harness.js";
import { Decimal128, EJSON, ObjectId, UUID } from "/realm_sync/core/bson.js";

const HEX = "65f0a1b2c3d4e5f601234567";
const DASHED = "6f1e3f0a-5f4b-4c8e-9a43-0123456789ab";

test("an ObjectId is made of digits, bytes, another, or anew", () => {
  const id = new ObjectId(HEX);
  equal([id.toHexString(), String(id), JSON.stringify(id), id.wire, id._bsontype], [HEX, HEX, `"${HEX}"`, HEX, "ObjectId"]);
  for (const same of [new ObjectId(HEX.toUpperCase()), new ObjectId(id), new ObjectId(id.id), new ObjectId(id.id.buffer), ObjectId.createFromHexString(HEX)]) {
    ok(same.equals(id) && id.equals(same));
  }
  ok(id.equals(HEX) && !id.equals(undefined) && !id.equals(null) && !id.equals(new ObjectId()));
  equal(id.getTimestamp(), new Date(0x65f0a1b2 * 1000));
  equal(ObjectId.createFromTime(1).wire, `00000001${"0".repeat(16)}`);
  equal([ObjectId.isValid(HEX), ObjectId.isValid("x"), ObjectId.isValid(), ObjectId.isValid(DASHED)], [true, false, false, false]);
  throws(() => new ObjectId("x"), "Expected value to be an ObjectId (12 bytes or 24 hex digits), got a string");
  throws(() => new ObjectId(null), "Expected value to be an ObjectId");
});

test("new ObjectIds are of now, differ and rise", () => {
  const made = Array.from({ length: 1000 }, () => new ObjectId());
  equal(new Set(made.map(String)).size, 1000);
  ok(Math.abs(made[0].getTimestamp() - Date.now()) < 5000);
  equal(ObjectId.generate(5).length, 12);
  equal(new ObjectId(ObjectId.generate(5)).getTimestamp(), new Date(5000));
});

test("a UUID is made of digits, bytes, another, or anew", () => {
  const id = new UUID(DASHED);
  equal([id.toHexString(), id.toHexString(false), String(id), JSON.stringify(id)], [DASHED, DASHED.replaceAll("-", ""), DASHED, `"${DASHED}"`]);
  for (const same of [DASHED.toUpperCase(), id.toHexString(false), id, id.id, id.id.buffer]) ok(new UUID(same).equals(id));
  ok(id.equals(DASHED) && !id.equals(new UUID()) && !id.equals(null));
  equal([UUID.isValid(DASHED), UUID.isValid("x"), UUID.isValid(HEX)], [true, false, false]);
  ok(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(new UUID().wire));
  equal([id._bsontype, UUID.generate().length], ["UUID", 16]);
  throws(() => new UUID("6f1e-3f0a5f4b4c8e9a430123456789ab"), "Expected value to be a UUID");
  throws(() => new UUID(null), "Expected value to be a UUID");
});

test("decimals of equal value have one text", () => {
  equal(new Decimal128("1.10").toString(), "1.1");
  ok(Decimal128.fromString("1E+3").equals(new Decimal128("1000.0")) && !new Decimal128("1").equals("1"));
  equal(JSON.stringify(new Decimal128("0.50")), '{"$numberDecimal":"0.5"}');
  throws(() => new Decimal128(5), "Expected value to be a decimal as a string, got a number");
});

test("extended JSON keeps every type", () => {
  const value = {
    id: new ObjectId(HEX), uuid: new UUID(DASHED), price: new Decimal128("0.10"), at: new Date(1234567890123), old: new Date(-1),
    bytes: new Uint8Array([1, 2, 255]).buffer, big: 2n ** 62n, nan: NaN, list: [1, "a", null, true, { x: new ObjectId(HEX) }],
  };
  const text = EJSON.stringify(value);
  equal(EJSON.parse(text), value);
  equal(JSON.parse(text).id, { $oid: HEX });
  equal(JSON.parse(text).at, { $date: "2009-02-13T23:31:30.123Z" });
  equal(JSON.parse(text).old, { $date: { $numberLong: "-1" } });
  equal(EJSON.serialize(5n), 5);
  equal(EJSON.serialize(new Uint8Array([1, 2, 3]).subarray(1)), { $binary: { base64: "AgM=", subType: "00" } });
  equal(EJSON.deserialize({ a: { $numberInt: "7" }, b: { $numberDouble: "-Infinity" }, c: { $numberLong: "9" } }), { a: 7, b: -Infinity, c: 9 });
  equal(EJSON.deserialize({ $uuid: DASHED }), new UUID(DASHED));
  equal(EJSON.deserialize({ constructor: 1 }), { constructor: 1 });
  equal(EJSON.stringify({ a: 1 }, null, 2), '{\n  "a": 1\n}');
});
