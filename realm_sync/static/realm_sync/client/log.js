// no Python twin: SQLite needs none. Log: texts of changes that make the server's state in their order, folded into few
// now and then.
//
// Decides when and how. Each function is called inside a transaction on the disk; store.js begins it.

/** @typedef {import('./fileRecord.js').FileRecord} FileRecord */
/** @typedef {import('./replica.js').Replica} Replica */

const FOLD_RECORDS = 400; // as many small records of the log become one
const FOLD_CHARACTERS = 4_000_000;
const PAGE_OBJECTS = 1000;

/** @param {any} transaction @param {FileRecord} file @param {string[]} texts @param {number} rows */
export function append(transaction, file, texts, rows) {
  const small = rows < PAGE_OBJECTS;
  for (const text of texts) {
    transaction.put("log", ++file.logged, text);
    if (small) file.tailCharacters += text.length;
  }
  file.weight += rows;
  if (!small) {
    file.tail = file.logged; // what is below stays apart: it would be folded into something large
    file.tailCharacters = 0;
  }
}

/** Whether it has grown enough. @param {FileRecord} file @param {Replica} replica */
export function isFoldDue(file, replica) {
  return file.logged - file.tail >= FOLD_RECORDS || file.tailCharacters >= FOLD_CHARACTERS || isHeavy(file, replica);
}

/** Whether the log says everything many times over. @param {FileRecord} file @param {Replica} replica */
function isHeavy(file, replica) {
  return file.weight > 3 * replica.size + 10 * PAGE_OBJECTS;
}

/** The small records at the end become one; or, where the log says everything many times over, all of it is written anew
 * in pages. @param {any} transaction @param {FileRecord} file @param {Replica} replica which has read it all */
export async function fold(transaction, file, replica) {
  if (isHeavy(file, replica)) return rewrite(transaction, file, replica);
  if (file.logged > file.tail) {
    const records = await transaction.above("log", file.tail);
    const text = replica.page(records.flatMap((/** @type {[number, string]} */ [, each]) => JSON.parse(each).changes));
    transaction.delete("log", file.tail, file.logged);
    transaction.put("log", file.logged, text);
  }
  file.tail = file.logged;
  file.tailCharacters = 0;
}

/** The log anew, of everything in it. @param {any} transaction @param {FileRecord} file @param {Replica} replica */
export function rewrite(transaction, file, replica) {
  transaction.delete("log", -1, file.logged);
  file.base = file.logged;
  for (const text of replica.pages()) transaction.put("log", ++file.logged, text);
  file.rewritten = file.tail = file.logged;
  file.tailCharacters = 0;
  file.weight = replica.size;
}

/** An empty one in place of it, which whoever has read the old one must read. @param {any} transaction @param {FileRecord} file */
export function clear(transaction, file) {
  transaction.delete("log", -1, file.logged);
  file.base = file.rewritten = file.tail = file.logged += 1; // so that even an empty log is another one
  file.weight = file.tailCharacters = 0;
}

/** As the first log of a file. @param {FileRecord} file @param {Replica} replica @returns {string[]} */
export function begin(file, replica) {
  const texts = [...replica.pages()];
  Object.assign(file, { logged: texts.length, tail: texts.length, weight: replica.size });
  return texts;
}
