import { equal, ok, test, throws } from "../harness.js";
import { Decimal128, ObjectId, UUID } from "/realm_sync/core/bson.js";
import { decodeMixed, DEEPEST, encodeMixed, Link, mixedType, WIRE, wrapper } from "/realm_sync/core/mixed.js";

const OID = "65f0a1b2c3d4e5f601234567";
const UUID_TEXT = "6f1e3f0a-5f4b-4c8e-9a43-0123456789ab";
const WIRES = [
  [null, "null"], [true, "bool"], ["text", "string"], [1.5, "double"], [3, "double"], [{ $numberDouble: "NaN" }, "double"],
  [{ $numberLong: "9007199254740993" }, "int"], [{ $numberDecimal: "0.1" }, "decimal128"], [{ $date: "2026-01-01T12:00:00.123456Z" }, "date"],
  [{ $binary: "AAEC" }, "data"], [{ $oid: OID }, "objectId"], [{ $uuid: UUID_TEXT }, "uuid"], [{ $link: ["Team", 5] }, "object"],
  [[], "list"], [{}, "dictionary"], [{ a: [1, { b: { $oid: OID } }], "c d": null }, "dictionary"],
];

test("a wire value survives the round trip and says its type", () => {
  for (const [wire, type] of WIRES) {
    equal(encodeMixed(decodeMixed(wire)), wire);
    equal(mixedType(wire), type);
  }
});

test("numbers are doubles, bigints ints; an int is read as a number where that is exact", () => {
  equal([encodeMixed(5), encodeMixed(5n), encodeMixed(-0)], [5, { $numberLong: "5" }, 0]);
  equal([decodeMixed({ $numberLong: "5" }), decodeMixed({ $numberLong: "-9223372036854775808" })], [5, -(2n ** 63n)]);
  throws(() => encodeMixed(2n ** 63n), /to be a 64-bit integer/);
});

test("values of every type", () => {
  equal(encodeMixed([new ObjectId(OID), new UUID(UUID_TEXT), new Decimal128("1.10"), new Date(0), new Uint8Array([0, 1, 2]), new Link("Team", 5), undefined]), [
    { $oid: OID }, { $uuid: UUID_TEXT }, { $numberDecimal: "1.1" }, { $date: "1970-01-01T00:00:00.000000Z" }, { $binary: "AAEC" }, { $link: ["Team", 5] }, null,
  ]);
  equal(encodeMixed({ [WIRE]: () => [1] }), [1]);
});

test("what cannot be is refused, and the element named", () => {
  throws(() => encodeMixed(new Set()), "Using a Set as a Mixed value is not supported.");
  throws(() => encodeMixed({ a: [() => 1] }, "data"), "Expected 'data[\"a\"][0]' to be a value that mixed can hold");
  throws(() => encodeMixed({ $a: 1 }), "Dictionary::insert: key must not start with '$'");
  throws(() => encodeMixed({ "a.b": 1 }), "Dictionary::insert: key must not contain '.'");
  let deep = [];
  for (let at = 1; at < DEEPEST; at += 1) deep = [deep];
  equal(encodeMixed(deep), deep);
  throws(() => encodeMixed([deep]), /at most 100 nested lists and dictionaries/);
  throws(() => encodeMixed([{ [WIRE]: () => deep }]), /at most 100 nested lists and dictionaries/);
  throws(() => decodeMixed([deep]), /at most 100 nested lists and dictionaries/);
});

test("another spelling is refused", () => {
  const refused = [undefined, { $oid: 5 }, { $numberLong: 5 }, { $numberLong: "05" }, { $numberLong: "9223372036854775808" }, { $numberLong: "-0" }, { $foo: "1" }, { $link: ["Team"] },
    { $link: ["Team", null] }, { $numberDouble: 1 }, { $a: 1, b: 2 }, { $date: "today" }, [undefined]];
  for (const wire of refused) throws(() => decodeMixed(wire));
  equal([wrapper({ $oid: 1 }), wrapper({ $a: 1, b: 2 }), wrapper({}), wrapper([1]), wrapper(null)], ["$oid", "", "", "", ""]);
  ok(!wrapper({ b: 2 }));
});
