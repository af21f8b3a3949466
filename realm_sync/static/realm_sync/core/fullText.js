/**
 * Full text: the words of a text, and what a search for some of them finds (reference 10.9).
 *
 * Decides what a word is: ASCII letters and digits in lower case, Latin-1 letters by their base letter; every other
 * character separates, so that other scripts are not found. A search is words in any order, all of which must occur;
 * `-word` must not, `word*` may go on. Knows no queries.
 */

/** @param {string} text the words of it, folded, in order */
function words(text) {
  const folded = text.replace(/[A-ZÀ-ÖØ-öø-ÿ]/g, (letter) => letter.toLowerCase().normalize("NFD")[0]);
  return folded.match(/[a-z0-9æðøþß]+/g) ?? [];
}

/** What must occur, what must begin a word, and what must not occur: each the words cut of one written word.
 * @param {string} search */
function parts(search) {
  /** @type {Record<"included" | "prefixes" | "excluded", string[][]>} */
  const found = { included: [], prefixes: [], excluded: [] };
  for (const written of search.split(/[ \t\r\n]+/)) {
    const cut = words(written);
    if (cut.length) found[written.startsWith("-") ? "excluded" : written.endsWith("*") ? "prefixes" : "included"].push(cut);
  }
  return found;
}

/** Why this is no search, in Realm's words; "" if it is one. @param {string} search */
export function searchProblem(search) {
  const { included, prefixes, excluded } = parts(search);
  const wanted = [...included, ...prefixes];
  if ([...wanted, ...excluded].some((cut) => cut.length > 1)) return "Non alphanumeric characters not allowed inside search word";
  if (excluded.some(([word]) => wanted.some(([each]) => each === word))) return "You can't include and exclude the same token";
  return "";
}

/** A function from texts to whether a search without a problem finds them. Null has no words; a search for no word at all
 * finds nothing. @param {string} search @returns {(text: string | null) => boolean} */
export function compileSearch(search) {
  const { included, prefixes, excluded } = parts(search);
  if (!included.length && !prefixes.length && !excluded.length) return () => false;
  return (text) => {
    const found = new Set(words(text ?? ""));
    if (!included.every(([word]) => found.has(word)) || excluded.some(([word]) => found.has(word))) return false;
    return prefixes.every(([start]) => [...found].some((word) => word.startsWith(start)));
  };
}
