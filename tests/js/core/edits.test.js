import { equal, ok, test } from "../harness.js";
import { EditError, applyEdit, identity, memberKey, pathText } from "/realm_sync/core/edits.js";
import { Schema } from "/realm_sync/core/schema.js";

const schema = Schema.fromWire([
  { name: "Part", embedded: true, properties: { label: { type: "string" }, notes: { type: "list", objectType: "string" } } },
  {
    name: "Kit",
    properties: {
      _id: { type: "string" },
      numbers: { type: "list", objectType: "int" },
      parts: { type: "list", objectType: "Part" },
      tags: { type: "set", objectType: "string" },
      prices: { type: "dictionary", objectType: "int" },
      drawers: { type: "dictionary", objectType: "Part" },
      anything: { type: "mixed", optional: true },
      uses: { type: "int", presentation: "counter" },
    },
  },
]);
const kit = schema.get("Kit");
const bolt = { label: "bolt", notes: [] };

function applied(op, path, fields, value) {
  const image = { _id: "kit", [path[0]]: value };
  return applyEdit(schema, kit, image, { op, class: "Kit", _id: "kit", path, ...fields })[path[0]];
}

test("an edit changes one place, and nothing in place", () => {
  const table = [
    ["insert", ["numbers", 1], { value: 9 }, [1, 2], [1, 9, 2]],
    ["insert", ["numbers", 0], { value: 9 }, null, [9]],
    ["set", ["numbers", 1], { value: 9 }, [1, 2], [1, 9]],
    ["move", ["numbers", 0], { to: 2 }, [1, 2, 3], [2, 3, 1]],
    ["remove", ["numbers", 1], {}, [1, 2, 3], [1, 3]],
    ["clear", ["numbers"], {}, [1, 2], []],
    ["insert", ["parts", 0, "notes", 0], { value: "new" }, [bolt], [{ label: "bolt", notes: ["new"] }]],
    ["setInsert", ["tags"], { value: "a" }, ["b"], ["a", "b"]],
    ["setRemove", ["tags"], { value: "a" }, ["a", "b"], ["b"]],
    ["set", ["prices", "b"], { value: 2 }, { a: 1 }, { a: 1, b: 2 }],
    ["remove", ["prices", "a"], {}, { a: 1 }, {}],
    ["set", ["anything", "a", 1, "b"], { value: 3 }, { a: [1, { b: 2 }] }, { a: [1, { b: 3 }] }],
    ["add", ["uses"], { by: -3 }, 1, -2],
    ["add", ["uses"], { by: 1 }, "9223372036854775807", "-9223372036854775808"],
    ["add", ["uses"], { by: 1 }, 9007199254740992, "9007199254740993"],
  ];
  for (const [op, path, fields, value, result] of table) {
    const before = JSON.stringify(value);
    equal(applied(op, path, fields, value), result, op);
    equal(JSON.stringify(value), before);
  }
});

test("what makes no sense is refused with a code", () => {
  const table = [
    ["insert", ["numbers", 2], { value: 1 }, [1], "IndexOutOfRange"],
    ["remove", ["numbers", -1], {}, [1], "IndexOutOfRange"],
    ["remove", ["numbers", 0.5], {}, [1], "InvalidPath"],
    ["move", ["numbers", 0], { to: 1 }, [1], "IndexOutOfRange"],
    ["insert", ["numbers"], { value: 1 }, [1], "InvalidPath"],
    ["setInsert", ["numbers"], { value: 1 }, [1], "InvalidPath"],
    ["remove", ["prices", "b"], {}, { a: 1 }, "InvalidPath"],
    ["set", ["drawers", "a", "size"], { value: 1 }, { a: bolt }, "UnknownProperty"],
    ["clear", ["constructor"], {}, null, "UnknownProperty"],
    ["set", ["drawers", "constructor", "label"], { value: 1 }, {}, "InvalidPath"],
    ["clear", ["anything"], {}, null, "InvalidPath"],
    ["add", ["uses"], { by: "1_0" }, 1, "PropertyTypeMismatch"],
  ];
  for (const [op, path, fields, value, code] of table) {
    let error;
    try {
      applied(op, path, fields, value);
    } catch (problem) {
      error = problem;
    }
    ok(error instanceof EditError, `${op} ${path}`);
    equal(error.code, code, `${op} ${path}`);
  }
});

test("paths are written as people write them", () => equal(pathText(["items", 3, "qty"]), "items[3].qty"));

test("equal values have one identity", () => {
  const distinct = [null, false, true, 0, 1, "1", "", [], {}, [1], [true], { a: 1 }, { a: [1] }, { $numberLong: "1" }];
  equal(new Set(distinct.map(identity)).size, distinct.length);
  ok(identity({ a: 1, b: [2] }) === identity({ b: [2], a: 1 }));
  ok(memberKey({ $numberLong: "1152921504606846976" }) === memberKey(2 ** 60) && memberKey(-0) === memberKey(0));
});
