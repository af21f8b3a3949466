// no Python twin: the logging of the standard library does this there. Logging: what the SDK says of itself, by level.

import { AssertionError } from "../core/errors.js"

const LEVELS = ["all", "trace", "debug", "detail", "info", "warn", "error", "fatal", "off"];
export const NumericLogLevel = Object.freeze({ All: 0, Trace: 1, Debug: 2, Detail: 3, Info: 4, Warn: 5, Error: 6, Fatal: 7, Off: 8 });
const CATEGORY = "Realm.Sync.Client.Session";
const CATEGORIES = [
  "Realm", "Realm.Storage", "Realm.Storage.Transaction", "Realm.Storage.Query", "Realm.Storage.Object", "Realm.Storage.Notification",
  "Realm.Sync", "Realm.Sync.Client", CATEGORY, "Realm.Sync.Client.Changeset", "Realm.Sync.Client.Network", "Realm.Sync.Client.Reset",
  "Realm.Sync.Server", "Realm.App", "Realm.SDK",
];

let threshold = /** @type {number} */ (NumericLogLevel.Warn);
/** @type {((entry: any, message?: string) => void) | null} */
let logger = null;

/** A category above the session's sets the level; others have nothing to say here. @param {string} level @param {string} [category] */
export function setLogLevel(level, category = "Realm") {
  if (!CATEGORIES.includes(category)) throw new AssertionError(`Unexpected log category: '${category}'`);
  if (!LEVELS.includes(level)) throw new AssertionError(`Unexpected log level: '${level}'`);
  if (CATEGORY.startsWith(category)) threshold = LEVELS.indexOf(level);
}

/** `callback({category, level, message})`, or, if it takes two arguments, `callback(level, message)`.
 * @param {(entry: any, message?: string) => void} callback */
export function setLogger(callback) {
  logger = callback;
}

/** @param {"info" | "warn"} level @param {string} message */
export function log(level, message) {
  if (LEVELS.indexOf(level) < threshold) return;
  if (!logger) console[level](`[${CATEGORY}] ${message}`);
  else if (logger.length === 2) logger(level, message);
  else logger({ category: CATEGORY, level, message });
}
