import { equal, ok, test, throws, vectors } from "../harness.js";
import { ProtocolError } from "/realm_sync/core/errors.js";
import { parseClass, Schema } from "/realm_sync/core/schema.js";
import { SUBPROTOCOL, decodeFromServer, encode } from "/realm_sync/core/messages.js";

const { decode, refuse, fromClient } = await vectors("messages.json");

test("the server's frames are read, with what they leave out filled in", () => {
  for (const [frame, message] of decode) equal(decodeFromServer(frame), message, frame);
});

test("any other frame is refused with a code", () => {
  for (const [frame, code] of refuse) {
    let message;
    try {
      message = decodeFromServer(frame);
    } catch (error) {
      ok(error instanceof ProtocolError, `${frame}: ${error.stack}`);
      equal(error.code, code, frame);
      continue;
    }
    throw new Error(`${frame} was read as ${JSON.stringify(message)}`);
  }
});

test("a refusal says what was found where", () => {
  const refused = (frame, words) => throws(() => decodeFromServer(frame), words);
  refused("{", "The frame is not JSON: ");
  refused("[]", "Expected an object at $, got an array.");
  refused('{"type":"bind"}', "There is no message 'bind' from the server.");
  refused('{"type":"pong"}', "Field 'timestamp' is missing at $.");
  refused('{"type":"pong","timestamp":1,"x":2}', "Unknown field 'x' at $.");
  refused('{"type":"rejected","clientVersion":1,"writes":[{"class":7}]}', "Expected a string at $.writes[0].class, got a number.");
});

test("defaults are not shared between messages", () => {
  const frame = decode.find(([text]) => text.includes("download"))[0];
  decodeFromServer(frame).changes.push(1);
  equal(decodeFromServer(frame).changes, []);
});

test("what is sent is one JSON object in the wire's own names", () => {
  const upload = { type: "upload", changesets: [{ clientVersion: 1, baseVersion: 0, timestamp: 2, instructions: [{ op: "delete", class: "Team", _id: 1 }] }], received: 0 };
  equal(JSON.parse(encode(upload)), upload);
  equal(SUBPROTOCOL, "realm-sync.v1");
});

test("a client's messages are written as Python reads them", () => {
  for (const message of fromClient) equal(JSON.parse(encode(message)), message);
  const { schema: [spot, kit, event] } = fromClient[0];
  const declared = [
    { name: "Spot", embedded: true, properties: { x: "double" } },
    { name: "Kit", primaryKey: "_id", properties: { _id: "string", tags: "string[]", maybes: "int?[]", words: "string<>", prices: "decimal128{}", any: "mixed", spot: "Spot", count: "counter", bio: { type: "string", indexed: "full-text" } } },
    { name: "Event", asymmetric: true, primaryKey: "_id", properties: { _id: "string" } },
  ];
  equal(new Schema(declared.map((each) => parseClass(each))).toWire(), [spot, kit, event]);
});

test("the rows of a download are not looked at: there may be many", () => {
  const changes = [{ class: "Team", put: [{ _id: 1 }, { _id: 2 }], patch: [{ _id: 3 }], erase: [4] }];
  const frame = JSON.stringify({ type: "download", queryVersion: 1, batchState: "last", serverVersion: 1, clientVersion: 0, progress: 1, view: 1, changes });
  const untouchable = new Proxy({}, { get: () => ok(false, "a row was read"), ownKeys: () => ok(false, "a row was listed") });
  const { parse } = JSON;
  JSON.parse = (text) => {
    const message = parse(text);
    for (const kind of ["put", "patch"]) message.changes[0][kind].fill(untouchable);
    return message;
  };
  try {
    equal(decodeFromServer(frame).changes[0].put.length, 2);
  } finally {
    JSON.parse = parse;
  }
});
