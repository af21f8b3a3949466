// no Python twin: there it is tables of SQLite. File record: what one realm's file holds besides its log and its pending
// changesets, in one record.

import { addClasses } from "./tables.js"

/** @typedef {import('./tables.js').StoredClass} StoredClass */
/** @typedef {{version: number, state: "pending" | "complete" | "error", error: string | null, after: number, subscriptions: any[]}} StoredSet */
/** @typedef {{clientVersion: number, writes: any[], told?: boolean}} Report compensating writes */
/** @typedef {"recover" | "discard" | "fallback"} Reset what becomes of what is pending; fallback: discarded, since recovering
 *   did not work */
/** @typedef {ReturnType<typeof newFile>} FileRecord */

export const newFile = () => ({
  revision: 0, // rises with every commit of any tab
  logged: 0, // the newest record of the log
  base: 0, // the log up to here is gone: who has not read it all reads everything
  rewritten: 0, // the log from `base` to here says what the log up to `base` said
  tail: 0, // records above are small and wait to be folded
  tailCharacters: 0,
  weight: 0, // objects named in the log, the same one counted again and again
  clientFile: /** @type {{ident: number, salt: string} | null} */ (null),
  epoch: /** @type {string | null} */ (null),
  serverVersion: 0,
  clientVersion: 0,
  queryVersion: 0,
  view: 0,
  nextClientVersion: 1,
  downloaded: false, // some download was applied once
  reset: /** @type {Reset | null} */ (null),
  resets: 0, // begun since one was through: its content here and everything pending acknowledged
  integrated: 0, // the server that asks for a reset has the changesets up to here
  resetSet: /** @type {StoredSet | null} */ (null), // the newest that was complete when the reset began
  maxMessageBytes: 0,
  opened: false, // some opening of the file has succeeded
  owner: /** @type {string | null} */ (null), // the user whose objects these are
  schemaVersion: /** @type {number | null} */ (null),
  schema: /** @type {StoredClass[]} */ ([]),
  sets: /** @type {StoredSet[]} */ ([]),
  rejected: /** @type {Report[]} */ ([]),
});

/** @param {{rejected: Report[], clientVersion: number}} file */
export const due = (file) => file.rejected.filter((report) => !report.told && report.clientVersion <= file.clientVersion);

/** @param {{schema: StoredClass[]}} file @param {StoredClass[]} classes */
export function addSchema(file, classes) {
  const merged = addClasses(new Map(file.schema.map((cls) => [cls.name, cls])), classes);
  if (merged) file.schema = [...merged.values()];
}
