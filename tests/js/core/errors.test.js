import { equal, ok, test, vectors } from "../harness.js";
import * as errors from "/realm_sync/core/errors.js";

const { AssertionError, ProtocolError, QueryError, SyncError, TypeAssertionError } = errors;

test("classes, names and words are those users of Realm match on", () => {
  const table = [
    [new errors.IllegalConstructorError("List"), "Illegal constructor: List objects are read from managed objects only."],
    [new errors.TimeoutError("no answer"), "Timed out: no answer"],
    [new errors.ObjectSchemaParseError("oh.", "Team"), "Invalid schema for object 'Team': oh."],
    [new errors.ObjectSchemaParseError("oh."), "Invalid schema for unnamed object: oh."],
    [new errors.PropertySchemaParseError("oh.", "Team", "name"), "Invalid type declaration for property 'name' on 'Team': oh."],
  ];
  for (const [error, message] of table) {
    equal(error.message, message);
    equal(error.name, "Error");
    ok(error instanceof AssertionError);
  }
  const { objectName, propertyName } = table[4][0];
  equal([objectName, propertyName], ["Team", "name"]);
  ok(table[4][0] instanceof errors.SchemaParseError);
});

test("a type error names the target and the kind of the value", () => {
  class Team {}
  const kinds = [
    [null, "null"], [undefined, "undefined"], [{}, "an object"], [Object.create(null), "an object"], [[], "an array"],
    [new Team(), "an instance of Team"], [Team, "a function or class named Team"], [NaN, "NaN"], [1.5, "a decimal number"],
    [7, "a number"], [7n, "a bigint"], ["x", "a string"], [true, "a boolean"], [new Date(), "an instance of Date"],
  ];
  for (const [value, words] of kinds) {
    equal(new TypeAssertionError("a thing", value).message, `Expected value to be a thing, got ${words}`);
  }
  const error = new TypeAssertionError("a string", 5, "name");
  equal(error.message, "Expected 'name' to be a string, got a number");
  equal([error.expected, error.value, error.target, error.code], ["a string", 5, "name", "PropertyTypeMismatch"]);
  equal(new TypeAssertionError("x", 5, "'a' of b").message, "Expected 'a' of b to be x, got a number");
});

test("a query error draws a caret under the code point", () => {
  equal(new QueryError("Unexpected end.").message, "Unexpected end.");
  equal(new QueryError("Oh.", "name == ", 8).message, "Oh.\n  name == \n          ^");
  equal(new QueryError("Oh.", "'😀😀' ==\nx", 7).message, "Oh.\n  '😀😀' == x\n         ^");
  const long = `${"a".repeat(100)}!${"b".repeat(100)}`;
  equal(new QueryError("Oh.", long, 100).message, `Oh.\n  ${"a".repeat(60)}!${"b".repeat(19)}\n  ${" ".repeat(60)}^`);
  equal(new QueryError("Oh.", "😀".repeat(100), 50).message, `Oh.\n  ${"😀".repeat(70)}\n  ${" ".repeat(50)}^`);
  const { problem, query, position, code } = new QueryError("Oh.", "x", 0, "InvalidQueryArg");
  equal([problem, query, position, code], ["Oh.", "x", 0, "InvalidQueryArg"]);
});

test("every code of the wire has its action, and Realm's number", async () => {
  const { actions } = await vectors("messages.json");
  for (const [code, action] of Object.entries(actions)) equal(errors.WIRE_ERRORS[code]?.action, action, code);
  for (const [code, { code: number, remedy }] of Object.entries(errors.WIRE_ERRORS)) {
    ok(Number.isInteger(number) && remedy.endsWith("."), code);
  }
  const error = new ProtocolError("BadClientVersion", "too high");
  equal([error.code, error.action, error.message], ["BadClientVersion", "reset", "too high"]);
});

test("a sync error has Realm's members", () => {
  const error = new SyncError("UserMismatch", "not yours", true);
  const { name, message, reason, code, category, isOk, isFatal, logUrl, userInfo, codeName } = error;
  equal([name, message, reason, code, category], ["SyncError", "not yours", "not yours", 1041, "UNKNOWN"]);
  equal([isOk, isFatal, logUrl, userInfo, codeName], [false, true, "", {}, "UserMismatch"]);
  ok(error.remedy);
  equal(new SyncError("FromTheFuture", "?", false).code, 2000000);
  const reset = new errors.ClientResetError("AutoClientResetFailed", "gone", "a.realm", "b.realm");
  equal([reset.name, reset.code, reset.isFatal, reset.config], ["ClientReset", 1028, true, { path: "b.realm", readOnly: true }]);
  equal([reset.userInfo, reset.logUrl], [{ ORIGINAL_FILE_PATH: "a.realm", RECOVERY_FILE_PATH: "b.realm" }, ""]);
  ok(reset instanceof SyncError);
});

test("compensated writes are listed", () => {
  const write = { objectName: "Team", primaryKey: "n", reason: "too long", property: "name", codeName: "ValidationFailed" };
  const error = new errors.CompensatingWriteError([write]);
  equal(
    error.message,
    "Client attempted a write that is not allowed; it has been reverted (Team n.name: too long).",
  );
  equal([error.name, error.code, error.isFatal, error.writes], ["SyncError", 1033, false, [write]]);
});

test("an error of the HTTP API has Realm's number", () => {
  const wrong = new errors.AppError("unauthorized", "InvalidPassword", 401);
  equal([wrong.message, wrong.code, wrong.codeName, wrong.status, wrong.isNetwork], ["unauthorized", 4349, "InvalidPassword", 401, false]);
  equal(new errors.AppError("?", "NeverHeardOf", 400).code, 4355);
  ok(new errors.AppError("no route").isNetwork && new errors.AppError("oh", "InternalServerError", 500).isNetwork);
});

test("misuse is a plain Error with a number", () => {
  const error = errors.realmError("The Realm is already in a write transaction", "WrongTransactionState");
  equal([error.constructor, error.code, error.codeName], [Error, 2005, "WrongTransactionState"]);
});
