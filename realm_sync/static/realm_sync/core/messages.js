/**
 * Messages: everything that travels between a client and the server, and nothing else.
 *
 * PROTOCOL.md says when each is sent and what it obliges to; here are the shapes, with the wire's own names. Strict: an
 * unknown field, a wrong type or an unknown message is a ProtocolError, and nothing of the message is applied. Only the
 * rows of a download are not looked at: they are many, and values.js is strict where they are used.
 */

import { ProtocolError, describe } from "./errors.js"

/** The websocket subprotocol of this encoding. */
export const SUBPROTOCOL = "realm-sync.v1";

/**
 * @typedef {{ident: number, salt: string}} ClientFile
 * @typedef {{serverVersion: number, clientVersion: number, queryVersion: number, view: number}} Progress
 * @typedef {{id: string, class: string, query: string, name?: string | null, createdAt: string, updatedAt: string}} SubscriptionItem
 * @typedef {(string | number)[]} Path the property, then properties of embedded objects and keys of dictionaries as strings,
 *   and indexes of lists as integers
 * @typedef {{class: string, _id: any, path: Path, base?: number}} InObject `base`: the server version whose state the indexes
 *   are meant for, with the file's own earlier changesets on top; none: the changeset's
 * @typedef {InObject & ({op: "set" | "insert" | "setInsert" | "setRemove", value: any} | {op: "add", by: number | string}
 *   | {op: "move", to: number} | {op: "remove" | "clear", keep?: any[]})} Edit
 * @typedef {{op: "create" | "update", class: string, _id: any, values: Record<string, any>}
 *   | {op: "delete", class: string, _id: any} | Edit} Instruction
 * @typedef {{clientVersion: number, baseVersion: number, timestamp: number, instructions: Instruction[]}} Changeset
 * @typedef {{class: string, put: Record<string, any>[], patch: Record<string, any>[], erase: any[]}} Changes
 * @typedef {{class: string, _id: any, property: string | null, code: string, reason: string}} RejectedWrite
 * @typedef {{maxMessageBytes: number, maxSubscriptions: number, maxQueryBytes: number, window: number}} Limits
 * @typedef {import("./schema.js").WireClass} WireClass
 */
/**
 * @typedef {{type: "mark", requestIdent: number}} Mark
 * @typedef {{type: "bind", token: string | null, clientFile: ClientFile | null, epoch: string | null,
 *   progress: Progress, schema: WireClass[] | null, userAgent: string}
 *   | {type: "query", queryVersion: number, subscriptions: SubscriptionItem[]}
 *   | {type: "upload", changesets: Changeset[], received: number}
 *   | Mark | {type: "unbind"} | {type: "ping", timestamp: number}} FromClient
 */
/**
 * @typedef {{type: "ident", clientFile: ClientFile}} Ident
 * @typedef {{type: "bound", epoch: string, serverVersion: number, clientVersion: number, queryVersion: number,
 *   serverTime: number, schema: WireClass[], limits: Limits}} Bound
 * @typedef {{type: "download", queryVersion: number, batchState: "more" | "last" | "steady", serverVersion: number,
 *   clientVersion: number, progress: number, view: number, changes: Changes[]}} Download
 * @typedef {{type: "queryError", queryVersion: number, code: string, message: string}} RefusedQuery
 * @typedef {{type: "rejected", clientVersion: number, writes: RejectedWrite[]}} Rejected
 * @typedef {{type: "error", code: string, message: string, fatal: boolean, action: import("./errors.js").Action,
 *   retryAfter: number | null, clientVersion: number | null}} ErrorMessage
 * @typedef {Ident | Bound | Download | Mark | RefusedQuery | Rejected | {type: "unbound"} | ErrorMessage
 *   | {type: "pong", timestamp: number}} FromServer
 */

/** @typedef {(value: any, where: string) => void} Check Throws unless the value has the shape; fills in defaults. */
/** @typedef {Record<string, Check | [Check, unknown]>} Fields A field with a default may be left out. */

/** @param {string} words @param {(value: any) => boolean} holds @returns {Check} */
const is = (words, holds) => (value, where) => {
  if (!holds(value)) throw new ProtocolError("BadSyntax", `Expected ${words} at ${where}, got ${describe(value)}.`);
};

/** @param {any[]} names @returns {Check} */
const oneOf = (...names) => is(`one of ${names.join(", ")}`, (value) => names.includes(value));

/** @param {Check} check @returns {[Check, null]} */
const optional = (check) => [(value, where) => value === null || check(value, where), null];

/** @param {Check} check @returns {Check} */
const listOf = (check) => (value, where) => {
  list(value, where);
  value.forEach((/** @type {any} */ item, /** @type {number} */ at) => check(item, `${where}[${at}]`));
};

/** @param {Check} check @returns {Check} */
const mapOf = (check) => (value, where) => {
  object(value, where);
  for (const key of Object.keys(value)) check(value[key], `${where}.${key}`);
};

/** @param {Fields} fields @returns {Check} */
const record = (fields) => (value, where) => {
  object(value, where);
  for (const key of Object.keys(value)) {
    if (!Object.hasOwn(fields, key)) throw new ProtocolError("BadSyntax", `Unknown field '${key}' at ${where}.`);
  }
  for (const [key, field] of Object.entries(fields)) {
    const check = Array.isArray(field) ? field[0] : field;
    if (Object.hasOwn(value, key)) check(value[key], `${where}.${key}`);
    else if (!Array.isArray(field)) {
      throw new ProtocolError("BadSyntax", `Field '${key}' is missing at ${where}.`);
    } else if (field[1] !== undefined) {
      value[key] = Array.isArray(field[1]) ? [] : field[1];
    }
  }
};

const string = is("a string", (value) => typeof value === "string");
const bool = is("a boolean", (value) => typeof value === "boolean");
const int = is("an integer", Number.isInteger);
const number = is("a number", (value) => typeof value === "number");
const list = is("an array", Array.isArray);
const object = is("an object", (value) => typeof value === "object" && value !== null && !Array.isArray(value));
/** @type {Check} */
const any = () => {};
/** @type {(check: Check) => [Check, unknown]} */
const omittable = (check) => [check, undefined];
/** @type {[Check, unknown]} */
const rows = [list, []];

const property = record({
  type: string, objectType: omittable(string), optional: omittable(bool), indexed: omittable(oneOf(true, false, "full-text")),
  readOnly: omittable(bool), hasDefault: omittable(bool), maxLength: omittable(int), presentation: omittable(oneOf("counter")),
  property: omittable(string),
});
const objectSchema = record({
  name: string, properties: mapOf(property), primaryKey: omittable(string), readOnly: omittable(bool), embedded: omittable(bool),
  asymmetric: omittable(bool),
});
const changes = record({ class: string, put: rows, patch: rows, erase: rows });
const write = record({ class: string, _id: any, property: optional(string), code: string, reason: string });
const limits = record({ maxMessageBytes: int, maxSubscriptions: int, maxQueryBytes: int, window: int });

/** @type {Record<string, Fields>} */
const FROM_SERVER = {
  ident: { clientFile: record({ ident: int, salt: string }) },
  bound: {
    epoch: string, serverVersion: int, clientVersion: int, queryVersion: int, serverTime: int,
    schema: listOf(objectSchema), limits,
  },
  download: {
    queryVersion: int, batchState: oneOf("more", "last", "steady"), serverVersion: int, clientVersion: int,
    progress: number, view: int, changes: [listOf(changes), []],
  },
  mark: { requestIdent: int },
  queryError: { queryVersion: int, code: string, message: string },
  rejected: { clientVersion: int, writes: listOf(write) },
  unbound: {},
  error: {
    code: string, message: string, fatal: bool, action: oneOf("retry", "reauthenticate", "reset", "stop"),
    retryAfter: optional(number), clientVersion: optional(int),
  },
  pong: { timestamp: int },
};

/** The text frame of a message. @param {FromClient} message */
export function encode(message) {
  return JSON.stringify(message);
}

/** The message of a frame. Throws ProtocolError `BadSyntax` or `UnknownMessage`. @param {string} text @returns {FromServer} */
export function decodeFromServer(text) {
  let message;
  try {
    message = JSON.parse(text);
  } catch (error) {
    throw new ProtocolError("BadSyntax", `The frame is not JSON: ${/** @type {Error} */ (error).message}`);
  }
  object(message, "$");
  string(message.type, "$.type");
  if (!Object.hasOwn(FROM_SERVER, message.type)) {
    throw new ProtocolError("UnknownMessage", `There is no message '${message.type}' from the server.`);
  }
  record({ type: string, ...FROM_SERVER[message.type] })(message, "$");
  return message;
}
