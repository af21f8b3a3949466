/**
 * Alignment: how one list became another, told from the two alone.
 *
 * Decides which element of the list after is which element of the list before: kept in its place, moved, changed, or new.
 * Deterministic and the same in every language: the server's outcome and a client's screen depend on it. Equality is that
 * of the keys it is given (`===`); knows nothing of values. Its cost is bounded: linear in what two lists have in common at
 * their ends; in between elements that occur once in both lead the way (patience) where most do, else the longest common
 * subsequence is looked for where that takes at most CELLS comparisons.
 */

/** Gaps of up to so many pairs of elements are compared pair by pair at once. */
const FEW_CELLS = 64;
/** Gaps of up to so many pairs are compared pair by pair where few elements are unique. */
const CELLS = 10_000;
/** How often a gap is divided by unique elements before what is left counts as replaced. */
const ROUNDS = 8;

export const KEPT = 0;
export const MOVED = 1;
export const CHANGED = 2;
export const NEW = 3;

/**
 * `origin[j]`: where element j of the list after was before, -1 for a new one. `fate[j]`: KEPT, MOVED, CHANGED (the same
 * element with another value, in its place) or NEW. `removed`: elements of before that are gone.
 * @typedef {{origin: number[], fate: number[], removed: number[]}} Alignment
 */

/** What became of each element; KEPT and CHANGED ones are in the order they had.
 * @param {any[]} before @param {any[]} after @returns {Alignment} */
export function align(before, after) {
  const origin = after.map(() => -1);
  const fate = after.map(() => NEW);
  /** @type {[number[], number[]][]} */
  const gaps = [];
  let i = 0;
  let j = 0;
  for (const [at, to] of [...common(before, after), [before.length, after.length]]) {
    if (at > i || to > j) gaps.push([range(i, at), range(j, to)]);
    if (at < before.length) [origin[to], fate[to]] = [at, KEPT];
    [i, j] = [at + 1, to + 1];
  }
  /** @type {Map<any, number[]>} */
  const free = new Map();
  for (const [left] of gaps.slice().reverse()) {
    for (const at of left.slice().reverse()) {
      const places = free.get(before[at]);
      if (places) places.push(at);
      else free.set(before[at], [at]);
    }
  }
  const gone = new Set();
  for (const [, arrived] of gaps) {
    for (const to of arrived) {
      const at = free.get(after[to])?.pop();
      if (at === undefined) continue;
      [origin[to], fate[to]] = [at, MOVED];
      gone.add(at);
    }
  }
  /** @type {number[]} */
  const removed = [];
  for (const [left, arrived] of gaps) {
    const stayed = left.filter((at) => !gone.has(at));
    const fresh = arrived.filter((to) => fate[to] === NEW);
    if (stayed.length === fresh.length) fresh.forEach((to, index) => ([origin[to], fate[to]] = [stayed[index], CHANGED]));
    else for (const at of stayed) removed.push(at);
  }
  return { origin, fate, removed };
}

/** @param {number} start @param {number} end */
function range(start, end) {
  return Array.from({ length: end - start }, (_, index) => start + index);
}

/** Pairs of equal elements, rising in both: a common subsequence, the longest where that is affordable.
 * @param {any[]} before @param {any[]} after @returns {[number, number][]} */
function common(before, after) {
  /** @type {[number, number][]} */
  const pairs = [];
  const todo = [[0, before.length, 0, after.length, 0]];
  for (let gap = todo.pop(); gap; gap = todo.pop()) {
    let [a, aEnd, b, bEnd, rounds] = gap;
    while (a < aEnd && b < bEnd && before[a] === after[b]) pairs.push([a++, b++]);
    while (a < aEnd && b < bEnd && before[aEnd - 1] === after[bEnd - 1]) pairs.push([--aEnd, --bEnd]);
    if (a === aEnd || b === bEnd) continue;
    const cells = (aEnd - a) * (bEnd - b);
    const found = cells > FEW_CELLS && rounds < ROUNDS ? anchors(before, after, a, aEnd, b, bEnd) : [];
    if (cells <= CELLS && 2 * found.length < Math.min(aEnd - a, bEnd - b)) {
      for (const pair of longest(before, after, a, aEnd, b, bEnd)) pairs.push(pair);
      continue;
    }
    for (const pair of found) pairs.push(pair);
    /** @type {[number, number][]} */
    const ends = found.length ? [...found, [aEnd, bEnd]] : [];
    for (const [at, to] of ends) {
      todo.push([a, at, b, to, rounds + 1]);
      [a, b] = [at + 1, to + 1];
    }
  }
  return pairs.sort((one, other) => one[0] - other[0]);
}

/** The longest common subsequence; of several the one that gives up elements of `before` first.
 * @param {any[]} before @param {any[]} after @param {number} a @param {number} aEnd @param {number} b @param {number} bEnd */
function longest(before, after, a, aEnd, b, bEnd) {
  const width = bEnd - b;
  const lengths = [new Array(width + 1).fill(0)];
  for (let i = aEnd - 1; i >= a; i -= 1) {
    const below = lengths[lengths.length - 1];
    const row = new Array(width + 1).fill(0);
    for (let j = width - 1; j >= 0; j -= 1) {
      row[j] = before[i] === after[b + j] ? below[j + 1] + 1 : Math.max(below[j], row[j + 1]);
    }
    lengths.push(row);
  }
  lengths.reverse();
  /** @type {[number, number][]} */
  const pairs = [];
  for (let i = a, j = b; i < aEnd && j < bEnd; ) {
    if (before[i] === after[j]) pairs.push([i++, j++]);
    else if (lengths[i - a + 1][j - b] >= lengths[i - a][j - b + 1]) i += 1;
    else j += 1;
  }
  return pairs;
}

/** Elements that occur once in both, as many as keep their order.
 * @param {any[]} before @param {any[]} after @param {number} a @param {number} aEnd @param {number} b @param {number} bEnd */
function anchors(before, after, a, aEnd, b, bEnd) {
  const places = unique(after, b, bEnd);
  /** @type {[number, number][]} */
  const candidates = [];
  for (const [item, at] of unique(before, a, aEnd)) {
    const to = places.get(item);
    if (to !== undefined) candidates.push([at, to]);
  }
  /** @type {number[]} */
  const ends = [];
  /** @type {number[]} */
  const previous = [];
  candidates.forEach(([, to], index) => {
    let low = 0;
    let high = ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (candidates[ends[middle]][1] < to) low = middle + 1;
      else high = middle;
    }
    ends[low] = index;
    previous.push(low ? ends[low - 1] : -1);
  });
  /** @type {[number, number][]} */
  const pairs = [];
  for (let index = ends.at(-1) ?? -1; index >= 0; index = previous[index]) pairs.push(candidates[index]);
  return pairs.reverse();
}

/** The items that occur once, in order, with their places.
 * @param {any[]} items @param {number} start @param {number} end @returns {Map<any, number>} */
function unique(items, start, end) {
  const places = new Map();
  for (let at = start; at < end; at += 1) places.set(items[at], places.has(items[at]) ? -1 : at);
  for (const [item, at] of places) if (at < 0) places.delete(item);
  return places;
}
