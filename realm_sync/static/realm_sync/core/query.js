/**
 * Queries read: RQL text and its arguments to a tree of nodes.
 *
 * Decides what a sentence says and how large it may be. core/rql.lark of the Python package is the grammar, and its
 * documentation; the tokens and methods here are named as its tokens and rules. Errors quote the query and draw a caret,
 * and say the same as Python's. Knows no classes: whether the properties exist, and what the constants are compared
 * with, is for binding.js.
 */

import { QueryError } from "./errors.js"
import { LITERALS, LONE_SURROGATE, excerpt, fromJs, isPlainObject, narrow, numberOf, readGeometry, readLiteral, toBytes } from "./literals.js"
import { FALSE, STRING_OPERATORS, TRUE, constant, joined, not } from "./nodes.js"

/** @typedef {import('./nodes.js').Node} Node */
/** @typedef {import('./nodes.js').Operand} Operand */
/** @typedef {import('./nodes.js').Constant} Constant */
/** @typedef {import('./nodes.js').ListValue} ListValue */
/** @typedef {import('./nodes.js').Path} Path */
/** @typedef {{type: string, text: string, position: number}} Token */

/** Longest query text in UTF-8; a longer one is refused with code LimitExceeded. */
export const MAX_BYTES = 256 * 1024;
/** Deepest nesting of parentheses and NOTs (an arithmetic operator counts as three). */
export const MAX_DEPTH = 50;
/** Most steps of one key path after its first. */
const MAX_STEPS = 120;
/** The same as MAX_DEPTH for text that `toText` made, where conditions were joined and parentheses added. */
export const TRUSTED_DEPTH = 60;

/**
 * The query a text says, with `$0`, `$1` … replaced by `args`. Throws a QueryError with a caret.
 * @param {string} text
 * @param {any[]} args JavaScript and BSON values, arrays and Sets of them, Realm objects.
 * @param {{trusted?: boolean}} options `trusted` text came out of `toText`: it may be longer, and a little deeper.
 * @returns {import('./nodes.js').Query}
 */
export function parse(text, args = [], { trusted = false } = {}) {
  if (LONE_SURROGATE.test(text)) {
    throw new QueryError("Invalid predicate: it holds a lone surrogate, which is not a character.", text.slice(0, 80));
  }
  const size = trusted ? 0 : toBytes(text).length;
  if (size > MAX_BYTES) {
    const problem = `The query is ${size} bytes long; at most ${MAX_BYTES} are allowed.`;
    throw new QueryError(problem, "", null, "LimitExceeded");
  }
  try {
    return new Parser(new Lexer(text, trusted ? TRUSTED_DEPTH : MAX_DEPTH), args).query();
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    throw new QueryError(error.problem, text, error.position, error.code);
  }
}

// --- Tokens ---

const WORD = String.raw`[\w$\\\x80-\uffff-]`; // what may follow in an identifier: a word ends where none of it does
const HEX = "[0-9a-fA-F]";
const ESCAPE = String.raw`\\["'/bfnrt0\\]|\\u${HEX}{4}`;
/** What is tried at every place, in this order. */
const TOKENS = Object.entries({
  BLANK: String.raw`[ \t\r\n]+`,
  BASE64: `B64(?:"[A-Za-z0-9+/]*={0,2}"|'[A-Za-z0-9+/]*={0,2}')`,
  INTERNAL_KEY: String.raw`O\d+(?!${WORD})|L${HEX}+:-?\d+`,
  UUID: String.raw`uuid\(${HEX}{8}(?:-${HEX}{4}){3}-${HEX}{12}\)`,
  TIMESTAMP: String.raw`T-?\d{1,18}:-?\d{1,9}`,
  DATE: String.raw`\d{4}(?:-\d{1,2}){2}[@T]\d{1,2}(?::\d{1,2}){2}(?::\d{1,9})?`,
  OBJECT_ID: String.raw`oid\(${HEX}{24}\)`,
  ARGUMENT: String.raw`\$\d+(?!${WORD})`,
  NOT_FINITE: String.raw`[+-]?(?:[iI][nN][fF](?:[iI][nN][iI][tT][yY])?|[nN][aA][nN])(?!${WORD})`,
  AT_WORD: String.raw`@(?:count|size|min|max|sum|avg|type|keys|values|links)(?!${WORD})`,
  NOT: "!(?!=)",
  AND: "&&",
  OR: String.raw`\|\|`,
  FOLD: String.raw`\[c\]`,
  EQUALITY: "==|!=|<>|=(?![<>])",
  FLOAT: String.raw`[+-]?(?:(?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)f?`,
  HEX: `0[xX]${HEX}+`,
  RELATION: "<=|=<|>=|=>|<|>",
  INTEGER: String.raw`[+-]?\d+`,
  NAME: String.raw`[A-Za-z_$\x80-\uffff](?:[\w$\x80-\uffff-]|\\[ nrt])*`,
  STRING: String.raw`"(?:[^"\\]|${ESCAPE})*"|'(?:[^'\\]|${ESCAPE})*'`,
  SIGN: String.raw`[-,.{([+\])}/*]`,
});
const TOKEN = new RegExp(TOKENS.map(([name, source]) => `(?<${name}>${source})`).join("|"), "y");

/** Words of the language, in any case → their token. @type {Map<string, string>} */
const KEYWORDS = new Map([
  ["BIN", "BINARY"], ["ASC", "ASCENDING"], ["DESC", "DESCENDING"], ["FULLTEXT", "TEXT"],
]);
for (const word of [
  "AND OR TEXT BETWEEN GEOWITHIN TRUEPREDICATE FALSEPREDICATE SUBQUERY SORT DISTINCT LIMIT ASCENDING DESCENDING",
  "BEGINSWITH ENDSWITH CONTAINS LIKE OBJ BINARY GEOBOX GEOCIRCLE GEOPOLYGON NULL NIL NOT IN FIRST LAST SIZE TRUE FALSE",
].join(" ").split(" ")) {
  KEYWORDS.set(word, word);
}
for (const word of ["ANY", "SOME", "ALL", "NONE"]) KEYWORDS.set(word, "QUANTIFIER");
/** Those that are words in lower and in upper case only. */
const TWO_CASES = /^(NOT|IN|FIRST|LAST|SIZE|TRUE|FALSE|QUANTIFIER)$/;

/** Words that mean something elsewhere and may still name a property. */
const NAMES = "NAME BETWEEN SORT DISTINCT LIMIT ASCENDING DESCENDING IN TEXT BINARY FIRST LAST SIZE".split(" ");
NAMES.push(...STRING_OPERATORS);

/** Tokens on demand: an error of the parser comes before those of the text after it. */
class Lexer {
  #at = 0;
  /** For every open parenthesis: the weight of the operators before it in its comparison. @type {number[]} */
  #enclosing = [];
  #operators = 0;
  #points = 0;
  #counted = 0;
  /** @type {Token | null} */
  #next = null;

  /** @param {string} text @param {number} limit */
  constructor(text, limit) {
    this.text = text;
    this.limit = limit;
    this.isNarrow = !/[\ud800-\udbff]/.test(text);
  }

  /** The next token, which stays the next. */
  peek() {
    return (this.#next ??= this.#read());
  }

  /** The next token, which is passed. */
  next() {
    const token = this.peek();
    this.#next = null;
    return token;
  }

  /** @returns {Token} */
  #read() {
    for (;;) {
      const position = this.#position();
      if (this.#at === this.text.length) return { type: "$END", text: "", position };
      TOKEN.lastIndex = this.#at;
      const match = TOKEN.exec(this.text);
      if (!match) {
        throw this.error(`character '${String.fromCodePoint(this.text.codePointAt(this.#at) ?? 0)}'`, position);
      }
      const text = match[0];
      this.#at += text.length;
      const type = TOKENS[match.indexOf(text, 1) - 1][0];
      if (type === "BLANK") continue;
      const token = { type: type === "SIGN" ? text : type === "NAME" ? this.#word(text) : type, text, position };
      this.#weigh(token);
      return token;
    }
  }

  /** @param {string} text */
  #word(text) {
    const upper = text.toUpperCase();
    const type = KEYWORDS.get(upper);
    if (!type || /[^A-Za-z]/.test(text) || this.text[this.#at] === "\\") return "NAME";
    return TWO_CASES.test(type) && text !== upper && text !== text.toLowerCase() ? "NAME" : type;
  }

  /** Refuses deep nesting while tokens pass by, before anything recursive sees the query. @param {Token} token */
  #weigh({ type, position }) {
    if (type === "NOT") this.#operators += 1;
    else if ("+-*/".includes(type)) this.#operators += 3;
    else if ("({[".includes(type)) this.#enclosing.push(this.#operators);
    else if (")}]".includes(type)) this.#operators = this.#enclosing.pop() ?? this.#operators;
    else if (type === "AND" || type === "OR") this.#operators = this.#enclosing.at(-1) ?? 0;
    if (this.#enclosing.length + this.#operators > this.limit) {
      const problem = `The query is nested too deeply: at most ${this.limit} levels are allowed.`;
      throw new QueryError(problem, "", position, "LimitExceeded");
    }
  }

  /** The place in code points, as errors count. */
  #position() {
    if (this.isNarrow) return this.#at;
    this.#points += Array.from(this.text.slice(this.#counted, this.#at)).length;
    this.#counted = this.#at;
    return this.#points;
  }

  /** @param {string} found @param {number} position */
  error(found, position) {
    const problem = `Invalid predicate: '${excerpt(this.text, 200)}': syntax error, unexpected ${found}`;
    return new QueryError(problem, "", position);
  }
}

// --- Sentences ---

/** @type {Record<string, string>} */
const SPELLINGS = { "=": "==", "<>": "!=", "=<": "<=", "=>": ">=", FULLTEXT: "TEXT" };
/** @type {Record<string, string>} */
const ESCAPED = { "\\ ": " ", "\\n": "\n", "\\r": "\r", "\\t": "\t" };

const BEGINNINGS = "NAME ARGUMENT QUANTIFIER SUBQUERY OBJ BINARY FIRST LAST SIZE AT_WORD NOT ( {".split(" ");
BEGINNINGS.push("TRUEPREDICATE", "FALSEPREDICATE", "GEOBOX", "GEOCIRCLE", "GEOPOLYGON", ...LITERALS);

/** Recursive descent; the Lexer has bounded the depth. */
class Parser {
  /** Whether the last `sum` was a value, without operators and parentheses. */
  #plain = false;

  /** @param {Lexer} lexer @param {any[]} args */
  constructor(lexer, args) {
    this.lexer = lexer;
    this.args = args;
    this.refused = false;
  }

  /** @returns {import('./nodes.js').Query} */
  query() {
    const predicate = this.disjunction();
    const clauses = [];
    while (this.type !== "$END") clauses.push(this.clause());
    const query = { kind: /** @type {const} */ ("Query"), predicate, clauses, text: this.lexer.text };
    const refusal = this.refused && findRefusal(query);
    if (refusal) throw refusal;
    return query;
  }

  get type() {
    return this.lexer.peek().type;
  }

  /** Passes the next token if it is of a type. @param {...string} types */
  accept(...types) {
    return types.includes(this.type) ? this.lexer.next() : null;
  }

  /** @param {...string} types */
  expect(...types) {
    return this.accept(...types) ?? this.unexpected();
  }

  /** @returns {never} */
  unexpected() {
    const { type, text, position } = this.lexer.peek();
    throw this.lexer.error(type === "$END" ? "end of query" : `'${excerpt(text, 40)}'`, position);
  }

  /** Before what is wrong beyond syntax: nothing that begins an operand may follow one. */
  settle() {
    if (BEGINNINGS.includes(this.type)) this.unexpected();
  }

  /** A list of what `rule` reads, with commas. @template T @param {() => T} rule */
  several(rule) {
    const items = [rule()];
    while (this.accept(",")) items.push(rule());
    return items;
  }

  // Conditions. `mixed`: just after a parenthesis, where a sum may stand instead.

  /** @returns {any} */
  disjunction(mixed = false) {
    return this.chain("Or", mixed, (inner) => this.chain("And", inner, (each) => this.condition(each)));
  }

  /** @param {"And" | "Or"} kind @param {boolean} mixed @param {(mixed: boolean) => any} rule @returns {any} */
  chain(kind, mixed, rule) {
    const first = rule(mixed);
    if (!isNode(first)) return first;
    const nodes = [first];
    while (this.accept(kind.toUpperCase())) nodes.push(rule(false));
    return nodes.length > 1 ? joined(kind, nodes) : first;
  }

  /** @param {boolean} mixed @returns {any} */
  condition(mixed) {
    if (this.accept("NOT")) return not(this.condition(false));
    if (this.accept("TRUEPREDICATE")) return TRUE;
    if (this.accept("FALSEPREDICATE")) return FALSE;
    const left = this.sum(true);
    if (isNode(left) || (mixed && this.type === ")")) return left;
    const ofValues = this.#plain ? [...STRING_OPERATORS, "TEXT", "BETWEEN", "GEOWITHIN"] : [];
    const { type, text, position } = this.expect("EQUALITY", "IN", "RELATION", ...ofValues);
    const fold = ["EQUALITY", "IN", ...STRING_OPERATORS].includes(type) && this.accept("FOLD") !== null;
    let right;
    if (type === "BETWEEN") right = this.values(this.quantifier());
    else if (type === "GEOWITHIN") right = this.geo();
    else right = ofValues.includes(type) ? this.value() : this.sum(false);
    const word = text.toUpperCase();
    return { kind: "Comparison", operator: SPELLINGS[word] ?? word, left, right, fold, position };
  }

  // Operands. `first`: where a parenthesis may hold a condition instead.

  /** @param {boolean} first @returns {any} */
  sum(first) {
    return this.operation(first, ["+", "-"], (inner) => this.operation(inner, ["*", "/"], (each) => this.factor(each)));
  }

  /** @param {boolean} first @param {string[]} operators @param {(first: boolean) => any} rule @returns {any} */
  operation(first, operators, rule) {
    let left = rule(first);
    if (isNode(left)) return left;
    for (let token; (token = this.accept(...operators)); ) {
      left = { kind: "Arithmetic", operator: token.text, left, right: rule(false), type: "" };
      this.#plain = false;
    }
    return left;
  }

  /** @param {boolean} first @returns {any} */
  factor(first) {
    this.#plain = this.type !== "(";
    if (!this.accept("(")) return this.value();
    const inner = first ? this.disjunction(true) : this.sum(false);
    this.expect(")");
    this.#plain = false;
    return inner;
  }

  /** @returns {Operand} */
  value() {
    const quantifier = this.quantifier();
    if (this.type === "{") return this.values(quantifier);
    if (this.type === "ARGUMENT") return this.argument(quantifier);
    if (quantifier) return this.path(quantifier);
    if (this.type === "SUBQUERY") return this.subquery();
    const word = this.accept("BINARY");
    if (word) return this.type === "(" ? this.binary(word) : this.path("", word);
    return this.type === "OBJ" || LITERALS.includes(this.type) ? this.constant() : this.path("");
  }

  /** ANY, ALL, NONE or nothing (SOME is ANY). */
  quantifier() {
    const word = this.accept("QUANTIFIER")?.text.toUpperCase() ?? "";
    return word === "SOME" ? "ANY" : word;
  }

  /** @param {string} quantifier @param {Token | null} first @returns {Path} */
  path(quantifier, first = null) {
    const start = first ?? this.expect("AT_WORD", ...NAMES);
    /** @type {Path["steps"]} */
    const steps = [this.step(start)];
    for (let token; (token = this.accept(".", "[")); ) {
      if (steps.length > MAX_STEPS) {
        const problem = `The key path is too long: at most ${MAX_STEPS} steps are allowed.`;
        throw new QueryError(problem, "", token.position, "LimitExceeded");
      }
      steps.push(token.type === "." ? this.step(this.expect("AT_WORD", ...NAMES)) : this.index());
    }
    const { position } = start;
    return { kind: "Path", steps, quantifier, type: "", target: "", hops: [], many: false, optional: true, position };
  }

  /** @param {Token} token */
  step({ text, position }) {
    this.settle();
    if (/^\$K\d+$/.test(text)) {
      throw new QueryError(`Key-path arguments (${text}) are not supported: write the path.`, "", position);
    }
    return text.replace(/\\[ nrt]/g, (escape) => ESCAPED[escape]);
  }

  /** @returns {Path["steps"][0]} */
  index() {
    const word = this.accept("FIRST", "LAST", "SIZE", "*")?.text.toUpperCase();
    let value;
    if (word !== undefined) value = word;
    else if (this.type === "INTEGER" || this.type === "STRING") value = this.constant();
    else value = this.scalarArgument();
    this.expect("]");
    return value === "SIZE" ? "@size" : { kind: "Index", value };
  }

  /** @returns {Operand} */
  subquery() {
    this.expect("SUBQUERY");
    this.expect("(");
    const path = this.path(this.quantifier());
    this.expect(",");
    const variable = this.expect("NAME");
    this.expect(",");
    const predicate = this.disjunction();
    this.expect(")");
    this.expect(".");
    const word = this.expect("AT_WORD");
    this.settle();
    if (!variable.text.startsWith("$")) {
      throw new QueryError(`The subquery variable '${variable.text}' must start with '$'`, "", variable.position);
    }
    if (word.text !== "@count" && word.text !== "@size") {
      throw new QueryError("Only @count and @size may follow a subquery.", "", word.position);
    }
    return { kind: "Subquery", path, variable: variable.text, predicate, word: word.text, type: "" };
  }

  /** @param {string} quantifier @returns {ListValue} */
  values(quantifier) {
    this.expect("{");
    const items = this.type === "}" ? [] : this.several(() => this.constant());
    this.expect("}");
    return { kind: "ListValue", items, quantifier, position: items[0]?.position ?? null };
  }

  /** @returns {Constant} */
  constant() {
    if (this.type === "QUANTIFIER" || this.type === "ARGUMENT") return this.scalarArgument();
    const token = this.expect("OBJ", "BINARY", ...LITERALS);
    if (token.type === "OBJ") return this.obj(token);
    if (token.type === "BINARY") return this.binary(token);
    this.settle();
    return readLiteral(token.type, token.text, token.position);
  }

  /** @param {Token} token @returns {Constant} */
  binary(token) {
    this.expect("(");
    const content = this.expect("STRING", "BASE64");
    this.expect(")");
    this.settle();
    const { value } = readLiteral(content.type, content.text, content.position);
    return constant("data", typeof value === "string" ? toBytes(value) : value, null, token.position);
  }

  /** @param {Token} token @returns {Constant} */
  obj(token) {
    this.expect("(");
    const name = this.expect("STRING").text.slice(1, -1);
    this.expect(",");
    const key = this.constant();
    this.expect(")");
    return constant("object", [name, key], null, token.position);
  }

  /** @returns {Operand} */
  geo() {
    const token = this.accept("GEOBOX", "GEOCIRCLE", "GEOPOLYGON");
    if (!token) return this.geoArgument();
    this.expect("(");
    let rings;
    let radius = null;
    if (token.type === "GEOPOLYGON") {
      rings = this.several(() => {
        this.expect("{");
        const ring = this.several(() => this.point());
        this.expect("}");
        return ring;
      });
    } else {
      rings = [[this.point()]];
      this.expect(",");
      if (token.type === "GEOBOX") rings[0].push(this.point());
      else radius = /QUANTIFIER|ARGUMENT/.test(this.type) ? this.radius() : this.number();
    }
    this.expect(")");
    return { kind: "Geometry", shape: { GEOBOX: "geoBox", GEOCIRCLE: "geoCircle" }[token.type] ?? "geoPolygon", rings, radius };
  }

  /** @returns {any} */
  geoArgument() {
    const quantifier = this.quantifier();
    const { text, position } = this.lexer.peek();
    const value = this.type === "ARGUMENT" && this.args[Number(text.slice(1, 10))];
    if (!isPlainObject(value)) return this.argument(quantifier);
    this.lexer.next();
    return this.refusing(() => readGeometry(value, Number(text.slice(1, 10)), position));
  }

  /** @returns {any} */
  radius() {
    const given = this.scalarArgument();
    return given.type === "refused" ? given : this.refusing(() => numberOf(given));
  }

  point() {
    this.expect("[");
    const point = [this.number()];
    this.expect(",");
    point.push(this.number());
    if (this.accept(",")) point.push(this.number());
    this.expect("]");
    return point;
  }

  /** @returns {import('./decimal.js').Decimal} */
  number() {
    const { text, position } = this.expect("INTEGER", "FLOAT");
    return readLiteral("FLOAT", text.replace("f", ""), position).value;
  }

  /** @returns {import('./nodes.js').Clause} */
  clause() {
    const { type } = this.expect("SORT", "DISTINCT", "LIMIT");
    this.expect("(");
    /** @type {import('./nodes.js').Clause} */
    let clause;
    if (type === "SORT") clause = { kind: "Sort", keys: this.several(() => this.order()) };
    else if (type === "DISTINCT") clause = { kind: "Distinct", paths: this.several(() => this.path(this.quantifier())) };
    else {
      const { text, position } = this.expect("INTEGER");
      this.expect(")");
      this.settle();
      const count = BigInt(text.slice(0, 20));
      if (count < 0 || count >= 2n ** 63n) throw new QueryError("LIMIT takes a natural number.", "", position);
      return { kind: "Limit", count: narrow(count) };
    }
    this.expect(")");
    return clause;
  }

  /** @returns {[Path, boolean]} */
  order() {
    const path = this.path(this.quantifier());
    return [path, this.expect("ASCENDING", "DESCENDING").type === "ASCENDING"];
  }

  // Arguments. What is wrong with one matters only where the syntax is right and the condition counts: see findRefusal.

  /** @param {string} quantifier @returns {Constant | ListValue} */
  argument(quantifier) {
    const { text, position } = this.expect("ARGUMENT");
    return this.refusing(() => this.resolve(Number(text.slice(1, 10)), quantifier, position));
  }

  /** @returns {Constant} */
  scalarArgument() {
    const quantifier = this.quantifier();
    const { text, position } = this.lexer.peek();
    const item = this.argument(quantifier);
    if (item.kind === "Constant") return item;
    return this.refusing(() => {
      const problem = `Request for scalar argument at index ${Number(text.slice(1, 10))} but a list was provided`;
      throw new QueryError(quantifier ? "A list cannot hold a list." : problem, "", position);
    });
  }

  /** @template T @param {() => T} make @returns {T | Constant} */
  refusing(make) {
    try {
      return make();
    } catch (error) {
      if (!(error instanceof QueryError)) throw error;
      this.refused = true;
      return constant("refused", error, null, error.position);
    }
  }

  /** @param {number} index @param {string} quantifier @param {number} position @returns {Constant | ListValue} */
  resolve(index, quantifier, position) {
    const count = this.args.length;
    if (index >= count) {
      const provided = count === 0 ? "no arguments are" : count === 1 ? "only 1 argument is" : `only ${count} arguments are`;
      throw new QueryError(`Request for argument at index ${index} but ${provided} provided`, "", position);
    }
    const value = this.args[index];
    if (Array.isArray(value) || value instanceof Set) {
      const items = Array.from(value, (element) => fromJs(element, index, position));
      return { kind: "ListValue", items, quantifier, position };
    }
    if (quantifier) {
      const shown = excerpt(String(value), 40);
      const problem = `ANY/ALL/NONE are only allowed on arguments which contain a list but '${shown}' is not a list.`;
      throw new QueryError(problem, "", position);
    }
    return fromJs(value, index, position);
  }
}

/** @param {Node | Operand} item @returns {item is Node} */
function isNode({ kind }) {
  return kind === "Comparison" || kind === "And" || kind === "Or" || kind === "Not" || kind === "Truth";
}

/** The first error among the arguments that the query still holds. @param {any} item @returns {QueryError | null} */
function findRefusal(item) {
  if (item instanceof QueryError) return item;
  if (typeof item === "object" && item !== null) {
    for (const part of Object.values(item)) {
      const found = findRefusal(part);
      if (found) return found;
    }
  }
  return null;
}
