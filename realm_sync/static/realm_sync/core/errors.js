/**
 * Every error of the SDK, in the classes and words of Realm's, and the codes that travel on the wire.
 *
 *     Error
 *     ├── AssertionError              an argument or a state is wrong
 *     │   ├── TypeAssertionError      a value does not fit its type
 *     │   ├── IllegalConstructorError, TimeoutError
 *     │   └── SchemaParseError        ObjectSchemaParseError, PropertySchemaParseError
 *     ├── QueryError                  RQL that does not parse or does not fit the schema
 *     ├── ProtocolError               the session must end: a wire code and an action
 *     ├── AppError                    the HTTP API
 *     └── SyncError                   what `onError` gets: ClientResetError, CompensatingWriteError
 *
 * `code` is the number of Realm's documentation, `codeName` the word it stands for, `remedy` what to do.
 */

/** @typedef {"retry" | "reauthenticate" | "reset" | "stop"} Action What a client does after an `error` message. */

/** @typedef {{code: number, action: Action, remedy: string}} WireError */

/** @param {number} code @param {Action} action @param {string} remedy @returns {WireError} */
const wire = (code, action, remedy) => ({ code, action, remedy });
const protocol = wire(1038, "stop", "Client and server disagree on the protocol: update the older one.");
const reset = wire(1032, "reset", "The client fetches everything anew and keeps what the server has not got yet.");
const reconnects = "Nothing was lost; the client reconnects by itself.";

/** Wire code → Realm's number, the action and the remedy; the last four arise in the client. */
export const WIRE_ERRORS = {
  BadSyntax: protocol,
  UnknownMessage: protocol,
  BadMessageOrder: protocol,
  LimitExceeded: wire(3018, "stop", "Write, or subscribe to, less at once."),
  SlowConsumer: wire(1030, "retry", reconnects),
  AuthError: wire(1037, "reauthenticate", "Log in again."),
  UserDisabled: wire(1037, "reauthenticate", "Ask the operator to activate the account."),
  UserMismatch: wire(1041, "stop", "Open the file as the user it belongs to, or another file."),
  BadClientFileIdent: reset,
  BadServerVersion: reset,
  BadClientVersion: reset,
  DivergingHistories: reset,
  ClientFileExpired: reset,
  ClientReset: reset,
  SchemaMismatch: wire(2019, "stop", "Change the classes here, or the models there, so that they agree."),
  BadChangeset: wire(1015, "stop", "This is a bug in the client; please report it."),
  InvalidSubscriptionQuery: wire(1031, "stop", "Correct the query and update the subscriptions."),
  InternalServerError: wire(1000, "retry", reconnects),
  ServerShutdown: wire(1030, "retry", reconnects),
  ConnectionFailed: wire(1034, "retry", reconnects),
  ConnectTimeout: wire(1035, "retry", reconnects),
  CompensatingWrite: wire(1033, "retry", "Write what the user may write, within the subscriptions."),
  AutoClientResetFailed: wire(1028, "stop", "Save what is needed of the file, delete it and open it anew."),
};

/** Realm's number of what else `realmError` and the HTTP API can say. */
export const ERROR_CODES = {
  RuntimeError: 1000, OutOfDiskSpace: 1004, IncompatibleSession: 1007, InvalidQuery: 1009,
  UnsupportedFileFormatVersion: 1011, ObjectAlreadyExists: 1013, FileOperationFailed: 1017, FileNotFound: 1019,
  InvalidDatabase: 1021, DecryptionFailed: 1022, SchemaVersionMismatch: 1025, NoSubscriptionForWrite: 1026,
  OperationAborted: 1027, NotSupported: 2001,
  WrongTransactionState: 2005, IllegalOperation: 2007, InvalidatedObject: 2010, ReadOnlyDB: 2011,
  DeleteOnOpenRealm: 2012, MismatchedConfig: 2013, ClosedRealm: 2014, SchemaValidationFailed: 2016,
  SchemaMismatch: 2017, InvalidSchemaVersion: 2018, InvalidArgument: 3000, PropertyTypeMismatch: 3001,
  ReadOnlyProperty: 3003, MissingPropertyValue: 3004, ModifyPrimaryKey: 3007, InvalidProperty: 3009, InvalidDictionaryKey: 3011,
  InvalidEncryptionKey: 3014, InvalidQueryArg: 3015, KeyNotFound: 3016, OutOfBounds: 3017, LimitExceeded: 3018,
  NoSuchTable: 3020, IllegalCombination: 3022,
  CustomError: 4000, ClientUserNotFound: 4100, ClientUserNotLoggedIn: 4101, BadToken: 4200, MissingAuthReq: 4300,
  InvalidSession: 4301, InvalidParameter: 4305, MissingParameter: 4306, HTTPError: 4309, InternalServerError: 4315,
  AuthProviderNotFound: 4316, APIKeyNotFound: 4334, APIKeyAlreadyExists: 4339, NotCallable: 4342, UserNotFound: 4344,
  UserDisabled: 4345, AuthError: 4346, BadRequest: 4347, AccountNameInUse: 4348, InvalidPassword: 4349, AppUnknownError: 4351,
  AppServerError: 4355,
};

/** An argument or a state is not what it must be. */
export class AssertionError extends Error {}

/** A value does not fit its type: `Expected 'name' to be a string, got a number`. */
export class TypeAssertionError extends AssertionError {
  /** @param {string} expected @param {unknown} value @param {string} target */
  constructor(expected, value, target = "value") {
    const quoted = target === "value" || target.includes("'") ? target : `'${target}'`;
    super(`Expected ${quoted} to be ${expected}, got ${describe(value)}`);
    this.expected = expected;
    this.value = value;
    this.target = target;
    this.code = "PropertyTypeMismatch";
  }
}

/** `new` was used on a class whose objects only a realm makes. */
export class IllegalConstructorError extends AssertionError {
  /** @param {string} type */
  constructor(type) {
    super(`Illegal constructor: ${type} objects are read from managed objects only.`);
  }
}

/** What was waited for did not happen in time; it may still happen. */
export class TimeoutError extends AssertionError {
  /** @param {string} message */
  constructor(message) {
    super(`Timed out: ${message}`);
  }
}

/** A declaration of a class cannot be understood. */
export class SchemaParseError extends AssertionError {}

/** What is wrong with a class declaration as a whole. */
export class ObjectSchemaParseError extends SchemaParseError {
  /** @param {string} problem @param {string} [objectName] */
  constructor(problem, objectName) {
    super(`Invalid schema for ${objectName ? `object '${objectName}'` : "unnamed object"}: ${problem}`);
    this.objectName = objectName;
  }
}

/** What is wrong with one property of a class declaration. */
export class PropertySchemaParseError extends SchemaParseError {
  /** @param {string} problem @param {string} objectName @param {string} propertyName */
  constructor(problem, objectName, propertyName) {
    super(`Invalid type declaration for property '${propertyName}' on '${objectName}': ${problem}`);
    this.objectName = objectName;
    this.propertyName = propertyName;
  }
}

/** RQL that does not parse, or does not fit the class; shows the query with a caret under `position` (code points). */
export class QueryError extends Error {
  /** @param {string} problem @param {string} query @param {number | null} position @param {string} code */
  constructor(problem, query = "", position = null, code = "InvalidQuery") {
    let text = problem;
    if (position !== null && query) {
      const start = Math.max(0, position - 60);
      const excerpt = [...query].slice(start, position + 20).join("").replaceAll("\n", " ");
      text += `\n  ${excerpt}\n  ${" ".repeat(position - start)}^`;
    }
    super(text);
    this.problem = problem;
    this.query = query;
    this.position = position;
    this.code = code;
  }
}

/** The session must end with this wire code; nothing of the offending message is applied. */
export class ProtocolError extends Error {
  /** @param {keyof typeof WIRE_ERRORS} code @param {string} message */
  constructor(code, message) {
    super(message);
    this.code = code;
    this.action = WIRE_ERRORS[code].action;
    this.remedy = WIRE_ERRORS[code].remedy;
  }
}

/** The HTTP API refused or did not answer; `status` is the HTTP status, 0 without an answer. */
export class AppError extends Error {
  /** @param {string} message @param {string} codeName @param {number} status */
  constructor(message, codeName = "AppUnknownError", status = 0) {
    super(message);
    this.codeName = codeName;
    this.code = /** @type {Record<string, number>} */ (ERROR_CODES)[codeName] ?? ERROR_CODES.AppServerError;
    this.status = status;
  }

  /** Whether trying again later may help. */
  get isNetwork() {
    return this.status === 0 || this.status >= 500;
  }
}

/** The session met an error; `codeName` is the wire code, `isFatal`: it does not recover by itself. */
export class SyncError extends Error {
  category = "UNKNOWN";
  isOk = false;
  logUrl = "";
  /** @type {Record<string, string>} */
  userInfo = {};

  /** @param {string} codeName @param {string} message @param {boolean} isFatal */
  constructor(codeName, message, isFatal) {
    super(message);
    const known = /** @type {Record<string, WireError | undefined>} */ (WIRE_ERRORS)[codeName];
    this.name = "SyncError";
    /** @type {string | undefined} */
    this.reason = message;
    /** @type {number | undefined} */
    this.code = known?.code ?? 2000000;
    this.codeName = codeName;
    this.isFatal = isFatal;
    this.remedy = known?.remedy ?? "";
  }
}

/** A client reset that is left to the app, or failed; `config` opens the file as it was, once it is put aside. */
export class ClientResetError extends SyncError {
  /** @param {string} codeName @param {string} message @param {string} path of the file @param {string} backup where it is put aside */
  constructor(codeName, message, path, backup) {
    super(codeName, message, true);
    this.name = "ClientReset";
    this.config = { path: backup, readOnly: true };
    this.userInfo = { ORIGINAL_FILE_PATH: path, RECOVERY_FILE_PATH: backup };
  }
}

/**
 * One write that the server has undone: an object's changes of a transaction, or those of one `property`.
 * @typedef {{objectName: string, primaryKey: unknown, reason: string, property?: string, codeName: string}} CompensatedWrite
 */

/** The server has undone `writes`; the local objects are corrected already. */
export class CompensatingWriteError extends SyncError {
  /** @param {CompensatedWrite[]} writes */
  constructor(writes) {
    const lines = writes.map((w) => `${w.objectName} ${w.primaryKey}${w.property ? `.${w.property}` : ""}: ${w.reason}`);
    const text = `Client attempted a write that is not allowed; it has been reverted (${lines.join("; ")}).`;
    super("CompensatingWrite", text, false);
    this.writes = writes;
  }
}

/**
 * An error of misuse as Realm's core raises it: a plain Error with a number in `code`.
 * @param {string} message @param {keyof typeof ERROR_CODES} codeName
 */
export function realmError(message, codeName = "RuntimeError") {
  return Object.assign(new Error(message), { code: ERROR_CODES[codeName], codeName });
}

/** How an error names a value's kind: `a string`, `null`, `an instance of Task`. @param {any} value */
export function describe(value) {
  if (value === null || value === undefined) return String(value);
  if (typeof value === "function") return `a function or class named ${value.name}`;
  if (typeof value === "number" && !Number.isInteger(value)) return Number.isNaN(value) ? "NaN" : "a decimal number";
  if (typeof value !== "object") return `a ${typeof value}`;
  if (Array.isArray(value)) return "an array";
  const name = value.constructor?.name;
  return !name || name === "Object" ? "an object" : `an instance of ${name}`;
}
