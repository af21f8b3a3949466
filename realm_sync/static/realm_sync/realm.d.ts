// Made by `make types` of the modules beside it, sha256 400d61003833c9544e2c596f1fa1262214af548fe69e04ba8247d683d3955764. Not to be edited.
declare module "realm/core/errors" {
    /**
     * An error of misuse as Realm's core raises it: a plain Error with a number in `code`.
     * @param {string} message @param {keyof typeof ERROR_CODES} codeName
     */
    export function realmError(message: string, codeName?: keyof typeof ERROR_CODES): Error & {
        code: number;
        codeName: "PropertyTypeMismatch" | "InvalidQuery" | "LimitExceeded" | "AuthError" | "UserDisabled" | "SchemaMismatch" | "InternalServerError" | "AppUnknownError" | "RuntimeError" | "OutOfDiskSpace" | "IncompatibleSession" | "UnsupportedFileFormatVersion" | "ObjectAlreadyExists" | "FileOperationFailed" | "FileNotFound" | "InvalidDatabase" | "DecryptionFailed" | "SchemaVersionMismatch" | "NoSubscriptionForWrite" | "OperationAborted" | "NotSupported" | "WrongTransactionState" | "IllegalOperation" | "InvalidatedObject" | "ReadOnlyDB" | "DeleteOnOpenRealm" | "MismatchedConfig" | "ClosedRealm" | "SchemaValidationFailed" | "InvalidSchemaVersion" | "InvalidArgument" | "ReadOnlyProperty" | "MissingPropertyValue" | "ModifyPrimaryKey" | "InvalidProperty" | "InvalidDictionaryKey" | "InvalidEncryptionKey" | "InvalidQueryArg" | "KeyNotFound" | "OutOfBounds" | "NoSuchTable" | "IllegalCombination" | "CustomError" | "ClientUserNotFound" | "ClientUserNotLoggedIn" | "BadToken" | "MissingAuthReq" | "InvalidSession" | "InvalidParameter" | "MissingParameter" | "HTTPError" | "AuthProviderNotFound" | "APIKeyNotFound" | "APIKeyAlreadyExists" | "NotCallable" | "UserNotFound" | "BadRequest" | "AccountNameInUse" | "InvalidPassword" | "AppServerError";
    };
    /** How an error names a value's kind: `a string`, `null`, `an instance of Task`. @param {any} value */
    export function describe(value: any): string;
    export namespace WIRE_ERRORS {
        export { protocol as BadSyntax };
        export { protocol as UnknownMessage };
        export { protocol as BadMessageOrder };
        export let LimitExceeded: WireError;
        export let SlowConsumer: WireError;
        export let AuthError: WireError;
        export let UserDisabled: WireError;
        export let UserMismatch: WireError;
        export { reset as BadClientFileIdent };
        export { reset as BadServerVersion };
        export { reset as BadClientVersion };
        export { reset as DivergingHistories };
        export { reset as ClientFileExpired };
        export { reset as ClientReset };
        export let SchemaMismatch: WireError;
        export let BadChangeset: WireError;
        export let InvalidSubscriptionQuery: WireError;
        export let InternalServerError: WireError;
        export let ServerShutdown: WireError;
        export let ConnectionFailed: WireError;
        export let ConnectTimeout: WireError;
        export let CompensatingWrite: WireError;
        export let AutoClientResetFailed: WireError;
    }
    export namespace ERROR_CODES {
        export let RuntimeError: number;
        export let OutOfDiskSpace: number;
        export let IncompatibleSession: number;
        export let InvalidQuery: number;
        export let UnsupportedFileFormatVersion: number;
        export let ObjectAlreadyExists: number;
        export let FileOperationFailed: number;
        export let FileNotFound: number;
        export let InvalidDatabase: number;
        export let DecryptionFailed: number;
        export let SchemaVersionMismatch: number;
        export let NoSubscriptionForWrite: number;
        export let OperationAborted: number;
        export let NotSupported: number;
        export let WrongTransactionState: number;
        export let IllegalOperation: number;
        export let InvalidatedObject: number;
        export let ReadOnlyDB: number;
        export let DeleteOnOpenRealm: number;
        export let MismatchedConfig: number;
        export let ClosedRealm: number;
        export let SchemaValidationFailed: number;
        let SchemaMismatch_1: number;
        export { SchemaMismatch_1 as SchemaMismatch };
        export let InvalidSchemaVersion: number;
        export let InvalidArgument: number;
        export let PropertyTypeMismatch: number;
        export let ReadOnlyProperty: number;
        export let MissingPropertyValue: number;
        export let ModifyPrimaryKey: number;
        export let InvalidProperty: number;
        export let InvalidDictionaryKey: number;
        export let InvalidEncryptionKey: number;
        export let InvalidQueryArg: number;
        export let KeyNotFound: number;
        export let OutOfBounds: number;
        let LimitExceeded_1: number;
        export { LimitExceeded_1 as LimitExceeded };
        export let NoSuchTable: number;
        export let IllegalCombination: number;
        export let CustomError: number;
        export let ClientUserNotFound: number;
        export let ClientUserNotLoggedIn: number;
        export let BadToken: number;
        export let MissingAuthReq: number;
        export let InvalidSession: number;
        export let InvalidParameter: number;
        export let MissingParameter: number;
        export let HTTPError: number;
        let InternalServerError_1: number;
        export { InternalServerError_1 as InternalServerError };
        export let AuthProviderNotFound: number;
        export let APIKeyNotFound: number;
        export let APIKeyAlreadyExists: number;
        export let NotCallable: number;
        export let UserNotFound: number;
        let UserDisabled_1: number;
        export { UserDisabled_1 as UserDisabled };
        let AuthError_1: number;
        export { AuthError_1 as AuthError };
        export let BadRequest: number;
        export let AccountNameInUse: number;
        export let InvalidPassword: number;
        export let AppUnknownError: number;
        export let AppServerError: number;
    }
    /** An argument or a state is not what it must be. */
    export class AssertionError extends Error {
    }
    /** A value does not fit its type: `Expected 'name' to be a string, got a number`. */
    export class TypeAssertionError extends AssertionError {
        /** @param {string} expected @param {unknown} value @param {string} target */
        constructor(expected: string, value: unknown, target?: string);
        expected: string;
        value: unknown;
        target: string;
        code: string;
    }
    /** `new` was used on a class whose objects only a realm makes. */
    export class IllegalConstructorError extends AssertionError {
        /** @param {string} type */
        constructor(type: string);
    }
    /** What was waited for did not happen in time; it may still happen. */
    export class TimeoutError extends AssertionError {
        /** @param {string} message */
        constructor(message: string);
    }
    /** A declaration of a class cannot be understood. */
    export class SchemaParseError extends AssertionError {
    }
    /** What is wrong with a class declaration as a whole. */
    export class ObjectSchemaParseError extends SchemaParseError {
        /** @param {string} problem @param {string} [objectName] */
        constructor(problem: string, objectName?: string);
        objectName: string | undefined;
    }
    /** What is wrong with one property of a class declaration. */
    export class PropertySchemaParseError extends SchemaParseError {
        /** @param {string} problem @param {string} objectName @param {string} propertyName */
        constructor(problem: string, objectName: string, propertyName: string);
        objectName: string;
        propertyName: string;
    }
    /** RQL that does not parse, or does not fit the class; shows the query with a caret under `position` (code points). */
    export class QueryError extends Error {
        /** @param {string} problem @param {string} query @param {number | null} position @param {string} code */
        constructor(problem: string, query?: string, position?: number | null, code?: string);
        problem: string;
        query: string;
        position: number | null;
        code: string;
    }
    /** The session must end with this wire code; nothing of the offending message is applied. */
    export class ProtocolError extends Error {
        /** @param {keyof typeof WIRE_ERRORS} code @param {string} message */
        constructor(code: keyof typeof WIRE_ERRORS, message: string);
        code: "BadSyntax" | "UnknownMessage" | "BadMessageOrder" | "LimitExceeded" | "SlowConsumer" | "AuthError" | "UserDisabled" | "UserMismatch" | "BadClientFileIdent" | "BadServerVersion" | "BadClientVersion" | "DivergingHistories" | "ClientFileExpired" | "ClientReset" | "SchemaMismatch" | "BadChangeset" | "InvalidSubscriptionQuery" | "InternalServerError" | "ServerShutdown" | "ConnectionFailed" | "ConnectTimeout" | "CompensatingWrite" | "AutoClientResetFailed";
        action: Action;
        remedy: string;
    }
    /** The HTTP API refused or did not answer; `status` is the HTTP status, 0 without an answer. */
    export class AppError extends Error {
        /** @param {string} message @param {string} codeName @param {number} status */
        constructor(message: string, codeName?: string, status?: number);
        codeName: string;
        code: number;
        status: number;
        /** Whether trying again later may help. */
        get isNetwork(): boolean;
    }
    /** The session met an error; `codeName` is the wire code, `isFatal`: it does not recover by itself. */
    export class SyncError extends Error {
        /** @param {string} codeName @param {string} message @param {boolean} isFatal */
        constructor(codeName: string, message: string, isFatal: boolean);
        category: string;
        isOk: boolean;
        logUrl: string;
        /** @type {Record<string, string>} */
        userInfo: Record<string, string>;
        /** @type {string | undefined} */
        reason: string | undefined;
        /** @type {number | undefined} */
        code: number | undefined;
        codeName: string;
        isFatal: boolean;
        remedy: string;
    }
    /** A client reset that is left to the app, or failed; `config` opens the file as it was, once it is put aside. */
    export class ClientResetError extends SyncError {
        /** @param {string} codeName @param {string} message @param {string} path of the file @param {string} backup where it is put aside */
        constructor(codeName: string, message: string, path: string, backup: string);
        config: {
            path: string;
            readOnly: boolean;
        };
        userInfo: {
            ORIGINAL_FILE_PATH: string;
            RECOVERY_FILE_PATH: string;
        };
    }
    /**
     * One write that the server has undone: an object's changes of a transaction, or those of one `property`.
     * @typedef {{objectName: string, primaryKey: unknown, reason: string, property?: string, codeName: string}} CompensatedWrite
     */
    /** The server has undone `writes`; the local objects are corrected already. */
    export class CompensatingWriteError extends SyncError {
        /** @param {CompensatedWrite[]} writes */
        constructor(writes: CompensatedWrite[]);
        writes: CompensatedWrite[];
    }
    /**
     * What a client does after an `error` message.
     */
    export type Action = "retry" | "reauthenticate" | "reset" | "stop";
    export type WireError = {
        code: number;
        action: Action;
        remedy: string;
    };
    /**
     * One write that the server has undone: an object's changes of a transaction, or those of one `property`.
     */
    export type CompensatedWrite = {
        objectName: string;
        primaryKey: unknown;
        reason: string;
        property?: string;
        codeName: string;
    };
    const protocol: WireError;
    const reset: WireError;
    export {};
}
declare module "realm/core/decimal" {
    /** The exponent of the first figure of the largest decimal128s. */
    export const MAX_EXPONENT: 6144;
    export class Decimal {
        /** The decimal128 that a text says, plain or with an exponent; beyond its range a TypeAssertionError.
         * @param {string} text */
        static parse(text: string): Decimal;
        /** The same with every digit, whatever their number. @param {string} text */
        static exact(text: string): Decimal;
        /** Exact for integers; of other numbers, the decimal with the fewest digits that reads back as the number.
         * @param {number | bigint} value */
        static from(value: number | bigint): Decimal;
        /** @param {boolean} negative @param {string} figures "" for zero. @param {number} exponent
         * @param {number | null} special NaN, Infinity or -Infinity, where it is no finite number. */
        constructor(negative: boolean, figures: string, exponent: number, special?: number | null);
        negative: boolean;
        figures: string;
        exponent: number;
        special: number | null;
        get isNaN(): boolean;
        get isFinite(): boolean;
        get isInteger(): boolean;
        /** The exponent of the first figure. */
        get adjusted(): number;
        /** -1, 0 or 1; NaN where a side is NaN. @param {Decimal} other */
        compare(other: Decimal): number;
        /** @param {Decimal} other */
        add(other: Decimal): Decimal;
        /** @param {Decimal} other */
        subtract(other: Decimal): Decimal;
        /** @param {Decimal} other */
        multiply(other: Decimal): Decimal;
        /** @param {Decimal} other */
        divide(other: Decimal): Decimal;
        /** The nearest decimal128; beyond its range, an infinity. */
        rounded(): Decimal;
        /** The nearest double. */
        toNumber(): number;
        /** Of an integer: its value. */
        toBigInt(): bigint;
        /** Plain notation without trailing zeros, as on the wire; zero has no sign. */
        toString(): string;
        /** A double of the same sign that is zero, infinite or NaN when the decimal is; otherwise ±1. */
        sketch(): number;
        #private;
    }
}
declare module "realm/core/bson" {
    /** Whether it holds bytes. @param {any} value @returns {value is Bytes} */
    export function isBytes(value: any): value is Bytes;
    /** @param {Bytes} value */
    export function toBase64(value: Bytes): string;
    /** Throws if the text is not base64. @param {string} text */
    export function fromBase64(text: string): Uint8Array<ArrayBuffer>;
    /** @typedef {ArrayBuffer | ArrayBufferView} Bytes */
    /** The wire text of a UUID. */
    export const DASHED: RegExp;
    /** Twelve bytes as MongoDB's: four of seconds since 1970, eight that make it unique. */
    export class ObjectId extends Text {
        /** Whether the constructor takes it. @param {any} value */
        static isValid(value: any): boolean;
        /** @param {string} hex */
        static createFromHexString(hex: string): ObjectId;
        /** The smallest one of that second, to compare with. @param {number} seconds */
        static createFromTime(seconds: number): ObjectId;
        /** The bytes of a new one. @param {number} [seconds] */
        static generate(seconds?: number): Uint8Array<ArrayBuffer>;
        /** A new one, or the one of 24 hex digits, 12 bytes or another. @param {string | Bytes | ObjectId} [value] */
        constructor(value?: string | Bytes | ObjectId);
        get _bsontype(): string;
        get id(): Uint8Array<ArrayBuffer>;
        getTimestamp(): Date;
        toHexString(): string;
        toJSON(): string;
        /** @param {any} other Anything the constructor takes. */
        equals(other: any): boolean;
    }
    /** A universally unique identifier, RFC 9562. */
    export class UUID extends Text {
        /** Whether the constructor takes it. @param {any} value */
        static isValid(value: any): boolean;
        /** @param {string} hex */
        static createFromHexString(hex: string): UUID;
        /** The bytes of a new one. */
        static generate(): Uint8Array<ArrayBuffer>;
        /** A new one (version 4), or the one of 32 hex digits with or without dashes, 16 bytes or another.
         * @param {string | Bytes | UUID} [value] */
        constructor(value?: string | Bytes | UUID);
        get _bsontype(): string;
        get id(): Uint8Array<ArrayBuffer>;
        toHexString(includeDashes?: boolean): string;
        toJSON(): string;
        /** @param {any} other Anything the constructor takes. */
        equals(other: any): boolean;
    }
    /** A decimal of up to 34 digits; two of equal value have one text. */
    export class Decimal128 extends Text {
        /** @param {string} text */
        static fromString(text: string): Decimal128;
        get _bsontype(): string;
        toJSON(): {
            $numberDecimal: string;
        };
        /** @param {any} other */
        equals(other: any): boolean;
    }
    export namespace EJSON {
        function parse(text: string): any;
        function stringify(value: unknown, replacer?: any, space?: string | number): string;
        /** Plain JSON of a value. @param {any} value @returns {any} */
        function serialize(value: any): any;
        /** The value of plain JSON. @param {any} value @returns {any} */
        function deserialize(value: any): any;
    }
    export type Bytes = ArrayBuffer | ArrayBufferView;
    /** A value that is its text. */
    class Text {
        /** @param {string} text */
        constructor(text: string);
        get wire(): string;
        toString(): string;
        #private;
    }
    export {};
}
declare module "realm/core/nodes" {
    /** All of the conditions. @param {...Node} nodes */
    export function and(...nodes: Node[]): Node;
    /** Any of the conditions. @param {...Node} nodes */
    export function or(...nodes: Node[]): Node;
    /** The exact complement. @param {Node} node @returns {Node} */
    export function not(node: Node): Node;
    /** `and` or `or` of a list, which may be long. @param {"And" | "Or"} kind @param {Node[]} nodes @returns {Node} */
    export function joined(kind: "And" | "Or", nodes: Node[]): Node;
    /** @param {string} type @param {any} value @param {number | null} argument @param {number | null} position
     * @returns {Constant} */
    export function constant(type: string, value: any, argument?: number | null, position?: number | null): Constant;
    /** The type of a constant, and of what `bind` has typed; "" for the rest. @param {Operand} operand */
    export function typeOf(operand: Operand): string;
    /** Whether it stands for any number of values. @param {Operand} operand @returns {boolean} */
    export function isMany(operand: Operand): boolean;
    /** Whether a bound comparison, or one side of it, needs more than the object's own scalars. @param {Comparison | Operand} item
     * @returns {boolean} */
    export function isDeep(item: Comparison | Operand): boolean;
    /** The stored name, where all that a bound path reads is a property of the object itself; "" for other paths.
     * @param {Operand} operand */
    export function ownName(operand: Operand): string;
    /** Every path, from left to right, but for those inside subqueries: they start at other objects.
     * @param {Node | Operand} item @returns {Iterable<Path>} */
    export function paths(item: Node | Operand): Iterable<Path>;
    /** Every comparison, from left to right. @param {Node} node @returns {Iterable<Comparison>} */
    export function comparisons(node: Node): Iterable<Comparison>;
    /**
     * The query tree: what a query says, as plain objects told apart by `kind`, never changed once made.
     *
     * Decides which sentences there can be, and keeps them flat: build conditions with `and`, `or` and `not`. A tree is made
     * and used in this order: query.parse, binding.bind, lowering.lower, predicate.compilePredicate; text.toText writes it at
     * any stage. Knows neither text nor classes.
     */
    /**
     * From `parse` a constant's type is how it was written: a scalar type, `null`, `number` (a Decimal), `text` (the bytes of
     * a B64 literal), `object` or `internal`; after `bind` it is a scalar type, `null` or `object`: [class name, key constant].
     * Values: an int is a number, or a bigint beyond ±2^53; decimals are Decimals, data is bytes; dates, ObjectIds and UUIDs
     * are their wire text. `argument` is the number of the `$0` it was passed as; positions count code points of the query.
     * @typedef {{kind: "Constant", type: string, value: any, argument: number | null, position: number | null}} Constant
     * @typedef {{kind: "Index", value: Constant | string}} Index
     *
     * `bind` fills in what follows the quantifier: the type of the value (a link has that of its key, and names its class in
     * `target`; an embedded object is `embedded`); `hops`, the way to it; and `many`, whether that leads to any number of
     * values: through a collection, a backlink or a link of many. An own property is one hop.
     * @typedef {{kind: "Path", steps: (string | Index)[], quantifier: string, type: string, target: string, hops: Hop[],
     *   many: boolean, optional: boolean, position: number | null}} Path
     *
     * One step of a bound path, from an object or a value to the next; paths.js lists what `via` can be. `type` is what it
     * reads, `cls` the class it leads to, `name` a stored property or a key.
     * @typedef {{via: string, type?: string, name?: string, cls?: string, index?: number, key?: string, isFullText?: boolean, hides?: boolean,
     *   inner?: Hop[], origins?: [string, string][]}} Hop
     * @typedef {{kind: "ListValue", items: Constant[], quantifier: string, position: number | null}} ListValue
     * @typedef {{kind: "Arithmetic", operator: string, left: Operand, right: Operand, type: string}} Arithmetic
     * @typedef {{kind: "Subquery", path: Path, variable: string, predicate: Node, word: string, type: string,
     *   many?: boolean}} Subquery
     * @typedef {{kind: "Geometry", shape: string, rings: import('./decimal.js').Decimal[][][], radius: any}} Geometry
     * @typedef {Constant | Path | ListValue | Arithmetic | Subquery | Geometry} Operand
     *
     * @typedef {{kind: "Truth", value: boolean}} Truth
     * @typedef {{kind: "And", nodes: Node[]}} And
     * @typedef {{kind: "Or", nodes: Node[]}} Or
     * @typedef {{kind: "Not", node: Node}} Not
     * @typedef {{kind: "Comparison", operator: string, left: Operand, right: Operand, fold: boolean,
     *   position: number | null}} Comparison
     * @typedef {Truth | And | Or | Not | Comparison} Node
     *
     * @typedef {{kind: "Sort", keys: [Path, boolean][]}} Sort Paths, each with whether it ascends.
     * @typedef {{kind: "Distinct", paths: Path[]}} Distinct
     * @typedef {{kind: "Limit", count: number | bigint}} Limit
     * @typedef {Sort | Distinct | Limit} Clause
     * @typedef {{kind: "Query", predicate: Node, clauses: Clause[], text: string}} Query `text` is the source, for errors.
     */
    export const STRING_OPERATORS: string[];
    /** @type {Truth} */
    export const TRUE: Truth;
    /** @type {Truth} */
    export const FALSE: Truth;
    /**
     * From `parse` a constant's type is how it was written: a scalar type, `null`, `number` (a Decimal), `text` (the bytes of
     * a B64 literal), `object` or `internal`; after `bind` it is a scalar type, `null` or `object`: [class name, key constant].
     * Values: an int is a number, or a bigint beyond ±2^53; decimals are Decimals, data is bytes; dates, ObjectIds and UUIDs
     * are their wire text. `argument` is the number of the `$0` it was passed as; positions count code points of the query.
     */
    export type Constant = {
        kind: "Constant";
        type: string;
        value: any;
        argument: number | null;
        position: number | null;
    };
    /**
     * `bind` fills in what follows the quantifier: the type of the value (a link has that of its key, and names its class in
     * `target`; an embedded object is `embedded`); `hops`, the way to it; and `many`, whether that leads to any number of
     * values: through a collection, a backlink or a link of many. An own property is one hop.
     */
    export type Index = {
        kind: "Index";
        value: Constant | string;
    };
    /**
     * One step of a bound path, from an object or a value to the next; paths.js lists what `via` can be. `type` is what it
     * reads, `cls` the class it leads to, `name` a stored property or a key.
     */
    export type Path = {
        kind: "Path";
        steps: (string | Index)[];
        quantifier: string;
        type: string;
        target: string;
        hops: Hop[];
        many: boolean;
        optional: boolean;
        position: number | null;
    };
    /**
     * From `parse` a constant's type is how it was written: a scalar type, `null`, `number` (a Decimal), `text` (the bytes of
     * a B64 literal), `object` or `internal`; after `bind` it is a scalar type, `null` or `object`: [class name, key constant].
     * Values: an int is a number, or a bigint beyond ±2^53; decimals are Decimals, data is bytes; dates, ObjectIds and UUIDs
     * are their wire text. `argument` is the number of the `$0` it was passed as; positions count code points of the query.
     */
    export type Hop = {
        via: string;
        type?: string;
        name?: string;
        cls?: string;
        index?: number;
        key?: string;
        isFullText?: boolean;
        hides?: boolean;
        inner?: Hop[];
        origins?: [string, string][];
    };
    /**
     * From `parse` a constant's type is how it was written: a scalar type, `null`, `number` (a Decimal), `text` (the bytes of
     * a B64 literal), `object` or `internal`; after `bind` it is a scalar type, `null` or `object`: [class name, key constant].
     * Values: an int is a number, or a bigint beyond ±2^53; decimals are Decimals, data is bytes; dates, ObjectIds and UUIDs
     * are their wire text. `argument` is the number of the `$0` it was passed as; positions count code points of the query.
     */
    export type ListValue = {
        kind: "ListValue";
        items: Constant[];
        quantifier: string;
        position: number | null;
    };
    /**
     * From `parse` a constant's type is how it was written: a scalar type, `null`, `number` (a Decimal), `text` (the bytes of
     * a B64 literal), `object` or `internal`; after `bind` it is a scalar type, `null` or `object`: [class name, key constant].
     * Values: an int is a number, or a bigint beyond ±2^53; decimals are Decimals, data is bytes; dates, ObjectIds and UUIDs
     * are their wire text. `argument` is the number of the `$0` it was passed as; positions count code points of the query.
     */
    export type Arithmetic = {
        kind: "Arithmetic";
        operator: string;
        left: Operand;
        right: Operand;
        type: string;
    };
    /**
     * From `parse` a constant's type is how it was written: a scalar type, `null`, `number` (a Decimal), `text` (the bytes of
     * a B64 literal), `object` or `internal`; after `bind` it is a scalar type, `null` or `object`: [class name, key constant].
     * Values: an int is a number, or a bigint beyond ±2^53; decimals are Decimals, data is bytes; dates, ObjectIds and UUIDs
     * are their wire text. `argument` is the number of the `$0` it was passed as; positions count code points of the query.
     */
    export type Subquery = {
        kind: "Subquery";
        path: Path;
        variable: string;
        predicate: Node;
        word: string;
        type: string;
        many?: boolean;
    };
    /**
     * From `parse` a constant's type is how it was written: a scalar type, `null`, `number` (a Decimal), `text` (the bytes of
     * a B64 literal), `object` or `internal`; after `bind` it is a scalar type, `null` or `object`: [class name, key constant].
     * Values: an int is a number, or a bigint beyond ±2^53; decimals are Decimals, data is bytes; dates, ObjectIds and UUIDs
     * are their wire text. `argument` is the number of the `$0` it was passed as; positions count code points of the query.
     */
    export type Geometry = {
        kind: "Geometry";
        shape: string;
        rings: import("realm/core/decimal").Decimal[][][];
        radius: any;
    };
    /**
     * From `parse` a constant's type is how it was written: a scalar type, `null`, `number` (a Decimal), `text` (the bytes of
     * a B64 literal), `object` or `internal`; after `bind` it is a scalar type, `null` or `object`: [class name, key constant].
     * Values: an int is a number, or a bigint beyond ±2^53; decimals are Decimals, data is bytes; dates, ObjectIds and UUIDs
     * are their wire text. `argument` is the number of the `$0` it was passed as; positions count code points of the query.
     */
    export type Operand = Constant | Path | ListValue | Arithmetic | Subquery | Geometry;
    /**
     * From `parse` a constant's type is how it was written: a scalar type, `null`, `number` (a Decimal), `text` (the bytes of
     * a B64 literal), `object` or `internal`; after `bind` it is a scalar type, `null` or `object`: [class name, key constant].
     * Values: an int is a number, or a bigint beyond ±2^53; decimals are Decimals, data is bytes; dates, ObjectIds and UUIDs
     * are their wire text. `argument` is the number of the `$0` it was passed as; positions count code points of the query.
     */
    export type Truth = {
        kind: "Truth";
        value: boolean;
    };
    /**
     * From `parse` a constant's type is how it was written: a scalar type, `null`, `number` (a Decimal), `text` (the bytes of
     * a B64 literal), `object` or `internal`; after `bind` it is a scalar type, `null` or `object`: [class name, key constant].
     * Values: an int is a number, or a bigint beyond ±2^53; decimals are Decimals, data is bytes; dates, ObjectIds and UUIDs
     * are their wire text. `argument` is the number of the `$0` it was passed as; positions count code points of the query.
     */
    export type And = {
        kind: "And";
        nodes: Node[];
    };
    /**
     * From `parse` a constant's type is how it was written: a scalar type, `null`, `number` (a Decimal), `text` (the bytes of
     * a B64 literal), `object` or `internal`; after `bind` it is a scalar type, `null` or `object`: [class name, key constant].
     * Values: an int is a number, or a bigint beyond ±2^53; decimals are Decimals, data is bytes; dates, ObjectIds and UUIDs
     * are their wire text. `argument` is the number of the `$0` it was passed as; positions count code points of the query.
     */
    export type Or = {
        kind: "Or";
        nodes: Node[];
    };
    /**
     * From `parse` a constant's type is how it was written: a scalar type, `null`, `number` (a Decimal), `text` (the bytes of
     * a B64 literal), `object` or `internal`; after `bind` it is a scalar type, `null` or `object`: [class name, key constant].
     * Values: an int is a number, or a bigint beyond ±2^53; decimals are Decimals, data is bytes; dates, ObjectIds and UUIDs
     * are their wire text. `argument` is the number of the `$0` it was passed as; positions count code points of the query.
     */
    export type Not = {
        kind: "Not";
        node: Node;
    };
    /**
     * From `parse` a constant's type is how it was written: a scalar type, `null`, `number` (a Decimal), `text` (the bytes of
     * a B64 literal), `object` or `internal`; after `bind` it is a scalar type, `null` or `object`: [class name, key constant].
     * Values: an int is a number, or a bigint beyond ±2^53; decimals are Decimals, data is bytes; dates, ObjectIds and UUIDs
     * are their wire text. `argument` is the number of the `$0` it was passed as; positions count code points of the query.
     */
    export type Comparison = {
        kind: "Comparison";
        operator: string;
        left: Operand;
        right: Operand;
        fold: boolean;
        position: number | null;
    };
    /**
     * From `parse` a constant's type is how it was written: a scalar type, `null`, `number` (a Decimal), `text` (the bytes of
     * a B64 literal), `object` or `internal`; after `bind` it is a scalar type, `null` or `object`: [class name, key constant].
     * Values: an int is a number, or a bigint beyond ±2^53; decimals are Decimals, data is bytes; dates, ObjectIds and UUIDs
     * are their wire text. `argument` is the number of the `$0` it was passed as; positions count code points of the query.
     */
    export type Node = Truth | And | Or | Not | Comparison;
    /**
     * Paths, each with whether it ascends.
     */
    export type Sort = {
        kind: "Sort";
        keys: [Path, boolean][];
    };
    /**
     * From `parse` a constant's type is how it was written: a scalar type, `null`, `number` (a Decimal), `text` (the bytes of
     * a B64 literal), `object` or `internal`; after `bind` it is a scalar type, `null` or `object`: [class name, key constant].
     * Values: an int is a number, or a bigint beyond ±2^53; decimals are Decimals, data is bytes; dates, ObjectIds and UUIDs
     * are their wire text. `argument` is the number of the `$0` it was passed as; positions count code points of the query.
     */
    export type Distinct = {
        kind: "Distinct";
        paths: Path[];
    };
    /**
     * From `parse` a constant's type is how it was written: a scalar type, `null`, `number` (a Decimal), `text` (the bytes of
     * a B64 literal), `object` or `internal`; after `bind` it is a scalar type, `null` or `object`: [class name, key constant].
     * Values: an int is a number, or a bigint beyond ±2^53; decimals are Decimals, data is bytes; dates, ObjectIds and UUIDs
     * are their wire text. `argument` is the number of the `$0` it was passed as; positions count code points of the query.
     */
    export type Limit = {
        kind: "Limit";
        count: number | bigint;
    };
    /**
     * From `parse` a constant's type is how it was written: a scalar type, `null`, `number` (a Decimal), `text` (the bytes of
     * a B64 literal), `object` or `internal`; after `bind` it is a scalar type, `null` or `object`: [class name, key constant].
     * Values: an int is a number, or a bigint beyond ±2^53; decimals are Decimals, data is bytes; dates, ObjectIds and UUIDs
     * are their wire text. `argument` is the number of the `$0` it was passed as; positions count code points of the query.
     */
    export type Clause = Sort | Distinct | Limit;
    /**
     * `text` is the source, for errors.
     */
    export type Query = {
        kind: "Query";
        predicate: Node;
        clauses: Clause[];
        text: string;
    };
}
declare module "realm/core/geometry" {
    /** @typedef {import('./nodes.js').Geometry} Geometry */
    /** @typedef {[number, number, number]} Vector */
    /** @typedef {(longitude: number, latitude: number) => boolean} Contains */
    /** @typedef {(value: any) => Decimal | null} ReadNumber */
    /** Why this is no region; "" if it is one. @param {Geometry} geometry */
    export function geometryProblem({ shape, rings, radius }: Geometry): string;
    /** A function from wire values of embedded points to whether they lie within a region that has no problem. What is no
     * point (null, another type, too few or impossible coordinates) does not.
     * @param {Geometry} geometry @returns {(value: any) => boolean} */
    export function compileGeometry({ shape, rings, radius }: Geometry): (value: any) => boolean;
    /** The region that an argument object describes, as the Realm SDKs write them; a text says what is wrong with it.
     * @param {any} value @param {ReadNumber} number reads a coordinate @returns {Geometry | string} */
    export function fromShape(value: any, number: ReadNumber): Geometry | string;
    export type Geometry = import("realm/core/nodes").Geometry;
    export type Vector = [number, number, number];
    export type Contains = (longitude: number, latitude: number) => boolean;
    export type ReadNumber = (value: any) => Decimal | null;
    import { Decimal } from "realm/core/decimal";
}
declare module "realm/core/values" {
    /**
     * The wire value of a JavaScript value of `type`, one of SCALARS; null and undefined are null.
     * @param {string} type @param {any} value @param {string} [target] What an error names.
     */
    export function encode(type: string, value: any, target?: string): any;
    /**
     * The JavaScript value of a wire value of `type`. Strict: what `encode` cannot have made is refused, so that one value
     * has one image.
     * @param {string} type @param {any} wire @param {string} [target] @returns {any}
     */
    export function decode(type: string, wire: any, target?: string): any;
    /** Integers up to this magnitude are JSON numbers. */
    export const SAFE_INTEGER: number;
    /** What an error says was expected of a type. @type {Record<string, string>} */
    export const EXPECTED: Record<string, string>;
    /** The scalar type names of Realm, in the order of its documentation. */
    export const SCALARS: string[];
}
declare module "realm/core/mixed" {
    /** The wire value of a mixed value. Throws a TypeAssertionError that names the element: `data["a"][0]`.
     * @param {any} value @param {string} [where] @param {any} [context] @returns {any} */
    export function encodeMixed(value: any, where?: string, context?: any, depth?: number): any;
    /** The value of a wire value: arrays and plain objects for nested collections. Strict, as values.js.
     * @param {any} wire @param {string} [where] @returns {any} */
    export function decodeMixed(wire: any, where?: string, depth?: number): any;
    /** The key of a wrapper (`$oid` …); "" for every other wire value, dictionaries included. @param {any} wire */
    export function wrapper(wire: any): string;
    /** A key of a dictionary; Realm allows neither a leading `$` nor a dot. @param {any} key @returns {string} */
    export function checkKey(key: any): string;
    /** The type of a mixed wire value: a scalar type of values.js, `null`, `object` (a link), `list`, `dictionary`. @param {any} wire */
    export function mixedType(wire: any): string;
    /** How many lists and dictionaries may be nested in one value; as in Realm. */
    export const DEEPEST: 100;
    /** Of an object: a function that gives its wire value in a mixed property, or throws. It is told where that is wanted: the
     * `context` of `encodeMixed`. */
    export const WIRE: unique symbol;
    /** A link inside a mixed value: a class and the wire value of a key. Its target need not exist. */
    export class Link {
        /** @param {string} className @param {any} key */
        constructor(className: string, key: any);
        className: string;
        key: any;
        [WIRE](): {
            $link: any[];
        };
    }
}
declare module "realm/core/literals" {
    /** The constant that a text says; `token` is the name of its token in query.js.
     * @param {string} token @param {string} text @param {number | null} position */
    export function readLiteral(token: string, text: string, position: number | null): import("realm/core/nodes").Constant;
    /** The constant of a value, or of an element of a list, passed as `$number`.
     * @param {any} value @param {number} number @param {number} position */
    export function fromJs(value: any, number: number, position: number): import("realm/core/nodes").Constant;
    /** The region that an argument object describes. @param {any} value @param {number} argument @param {number} position */
    export function readGeometry(value: any, argument: number, position: number): import("realm/core/nodes").Geometry;
    /** The number that an argument in the place of a radius is. @param {Constant} given @returns {Decimal} */
    export function numberOf({ type, value, argument, position }: Constant): Decimal;
    /** @param {any} value */
    export function isPlainObject(value: any): boolean;
    /** The number that a string holds, for strings that are compared with numbers; null if it holds none.
     * @param {string} text @returns {Typed | null} */
    export function readNumber(text: string): Typed | null;
    /** An int in its form: a bigint only beyond ±2^53. @param {bigint} value */
    export function narrow(value: bigint): number | bigint;
    /** Whether a string can be written between quotes as it is; others are written in base64. @param {string} value */
    export function isPlain(value: string): boolean;
    /** The UTF-8 of a string. @param {string} value */
    export function toBytes(value: string): Uint8Array<ArrayBuffer>;
    /** The string of UTF-8, null if it is none. @param {Uint8Array} bytes */
    export function fromBytes(bytes: Uint8Array): string | null;
    /** The beginning of what was written, for errors that quote it. @param {string} text @param {number} length */
    export function excerpt(text: string, length: number): string;
    /** @typedef {import('./nodes.js').Constant} Constant */
    /** @typedef {[type: string, value: any]} Typed */
    /** Matches a surrogate without its other half. */
    export const LONE_SURROGATE: RegExp;
    /** The tokens that are literals. */
    export const LITERALS: string[];
    export type Constant = import("realm/core/nodes").Constant;
    export type Typed = [type: string, value: any];
    import { Decimal } from "realm/core/decimal";
}
declare module "realm/core/fullText" {
    /** Why this is no search, in Realm's words; "" if it is one. @param {string} search */
    export function searchProblem(search: string): "" | "Non alphanumeric characters not allowed inside search word" | "You can't include and exclude the same token";
    /** A function from texts to whether a search without a problem finds them. Null has no words; a search for no word at all
     * finds nothing. @param {string} search @returns {(text: string | null) => boolean} */
    export function compileSearch(search: string): (text: string | null) => boolean;
}
declare module "realm/core/operators" {
    /** Strings by code point, which is the order of their UTF-8. @param {string} a @param {string} b */
    export function compareText(a: string, b: string): 0 | 1 | -1;
    /** -1, 0 or 1 for two values of comparable types, null excepted; NaN if one is NaN. A double meets a decimal as the
     * decimal with the fewest digits. @param {any} a @param {any} b */
    export function compare(a: any, b: any): number;
    /** @param {any} value */
    export function isNaNValue(value: any): boolean;
    /** @param {any} left @param {any} right */
    export function equal(left: any, right: any): boolean;
    /** What `[c]` compares: ASCII and Latin-1 letters (without × and ÷) in lower case; other alphabets keep their case.
     * @param {any} value */
    export function fold(value: any): any;
    /** What `[c]` compares of data: ASCII letters in lower case. @param {any} value */
    export function foldBytes(value: any): any;
    /**
     * A function that matches a whole value: `?` is one character (of data: one byte), `*` any number, nothing is escaped.
     *
     * Finds the pieces between stars from left to right, each as early as possible: that needs no backtracking, so that no
     * pattern takes more than length of value × length of pattern.
     * @param {string} pattern @returns {(value: string) => boolean}
     */
    export function likePattern(pattern: string): (value: string) => boolean;
    /** The place of a mixed value's type: null < bool < numbers < string < data < date < objectId < uuid < links < lists <
     * dictionaries. @param {any} value */
    export function mixedRank(value: any): number;
    /** -1, 0 or 1 for mixed values of any types; NaN is below every number. @param {any} a @param {any} b @returns {number} */
    export function compareMixed(a: any, b: any): number;
    /** Text, equal for equal mixed values. @param {any} value */
    export function mixedIdentity(value: any): string;
    /** A string as data is: one character per byte of its UTF-8. @param {string | null} value */
    export function binary(value: string | null): string | null;
    /** What `[c]` compares of mixed values. @param {any} value */
    export function mixedFold(value: any): any;
    /** `left operator right` in `type`: int wraps at 64 bits and divides towards zero (by zero: the largest or smallest int),
     * double follows IEEE, decimal128 rounds to 34 digits. Null if a side is null. Never throws.
     * @param {string} operator @param {string} type @param {any} left @param {any} right @returns {any} */
    export function arithmetic(operator: string, type: string, left: any, right: any): any;
    /** Where the order of UTF-16 may not be that of code points. */
    export const HIGH: RegExp;
    /** Every operator between two values; lowering.js leaves no other but IN. A null right side is the beginning, end and
     * part of everything, null included, and is LIKE null only. @type {Record<string, (left: any, right: any) => boolean>} */
    export const OPERATORS: Record<string, (left: any, right: any) => boolean>;
    /** A mixed value that its JavaScript form does not tell from others: its type and a text: of data one character per byte, of
     * links, lists and dictionaries JSON. The other mixed values are null, booleans, strings, and numbers: an int is a bigint. */
    export class Typed {
        /** @param {string} type @param {string} value */
        constructor(type: string, value: string);
        type: string;
        value: string;
    }
    /** OPERATORS for mixed values, which compare only where their types do: numbers of all kinds as one; what is neither string
     * nor data begins, ends and contains nothing. @type {Record<string, (left: any, right: any) => boolean>} */
    export const MIXED_OPERATORS: Record<string, (left: any, right: any) => boolean>;
    /** What `@type` is compared with, in lower case → the types of mixed values it stands for. @type {Map<string, string[]>} */
    export const TYPE_NAMES: Map<string, string[]>;
}
declare module "realm/core/text" {
    /** @typedef {import('./nodes.js').Constant} Constant */
    /** @typedef {import('./nodes.js').Path} Path */
    /** The canonical text of a query or of a part of one.
     * @param {import('./nodes.js').Query | import('./nodes.js').Node | import('./nodes.js').Clause | import('./nodes.js').Operand} item
     * @returns {string} */
    export function toText(item: import("realm/core/nodes").Query | import("realm/core/nodes").Node | import("realm/core/nodes").Clause | import("realm/core/nodes").Operand): string;
    /** What stands between the brackets of a path's index. @param {import('./nodes.js').Index} index */
    export function indexText(index: import("realm/core/nodes").Index): string;
    export type Constant = import("realm/core/nodes").Constant;
    export type Path = import("realm/core/nodes").Path;
}
declare module "realm/core/paths" {
    /** The path bound to a class. Throws a QueryError. @param {Path} path @param {Class} cls @param {Schema} schema */
    export function resolve(path: Path, cls: Class, schema: Schema): import("realm/core/nodes").Path;
    /** The class of the objects that a path leads to; "" if it leads to values. @param {Path} path */
    export function elementClass({ type, target, hops }: Path): string;
    /** Whether a bound path ends in a collection itself, each of whose elements is compared. @param {Path} path */
    export function isCollection({ many, hops }: Path): boolean;
    /** The classes whose objects decide what a bound query selects, besides the one it is asked of.
     * @param {Node | Operand | Clause} item @param {Set<string>} [found] @returns {Set<string>} */
    export function classesRead(item: Node | Operand | Clause, found?: Set<string>): Set<string>;
    /** The property of a class that a step names, and the name it is stored under.
     * @param {Class} cls @param {unknown} step @returns {[string, Property | undefined]} */
    export function propertyOf({ aliases, wire, properties }: Class, step: unknown): [string, Property | undefined];
    /** The type of a class's keys. @param {Class} cls */
    export function keyType(cls: Class): string;
    /** @typedef {import('./nodes.js').Path} Path */
    /** @typedef {import('./nodes.js').Hop} Hop */
    /** @typedef {import('./nodes.js').Index} Index */
    /** @typedef {import('./nodes.js').Node} Node */
    /** @typedef {import('./nodes.js').Operand} Operand */
    /** @typedef {import('./nodes.js').Clause} Clause */
    /** @typedef {{type: string, objectType?: string, property?: string, optional?: boolean, indexed?: boolean | "full-text"}} Property */
    /** @typedef {{name: string, properties: Record<string, Property>, wire?: Record<string, Property>, keyName?: string,
     *   aliases?: Record<string, string>, embedded?: boolean}} Class `wire`, where given, has the properties by stored name
     *   (but for linkingObjects, which have none), else `properties`. */
    /** @typedef {{get: (name: string) => Class | undefined, has: (name: string) => boolean,
     *   [Symbol.iterator]: () => Iterator<Class>}} Schema */
    export const NUMERIC: string[];
    export type Path = import("realm/core/nodes").Path;
    export type Hop = import("realm/core/nodes").Hop;
    export type Index = import("realm/core/nodes").Index;
    export type Node = import("realm/core/nodes").Node;
    export type Operand = import("realm/core/nodes").Operand;
    export type Clause = import("realm/core/nodes").Clause;
    export type Property = {
        type: string;
        objectType?: string;
        property?: string;
        optional?: boolean;
        indexed?: boolean | "full-text";
    };
    /**
     * `wire`, where given, has the properties by stored name
     *  (but for linkingObjects, which have none), else `properties`.
     */
    export type Class = {
        name: string;
        properties: Record<string, Property>;
        wire?: Record<string, Property>;
        keyName?: string;
        aliases?: Record<string, string>;
        embedded?: boolean;
    };
    export type Schema = {
        get: (name: string) => Class | undefined;
        has: (name: string) => boolean;
        [Symbol.iterator]: () => Iterator<Class>;
    };
}
declare module "realm/core/binding" {
    /**
     * The query for one class. Required before any back end; binding a bound query again changes nothing. Throws a
     * QueryError, worded as Realm does.
     * @param {Query} query @param {Class} cls @param {Schema} schema @returns {Query}
     */
    export function bind(query: Query, cls: Class, schema: Schema): Query;
    export type Node = import("realm/core/nodes").Node;
    export type Operand = import("realm/core/nodes").Operand;
    export type Constant = import("realm/core/nodes").Constant;
    export type Comparison = import("realm/core/nodes").Comparison;
    export type Path = import("realm/core/nodes").Path;
    export type Query = import("realm/core/nodes").Query;
    export type Class = import("realm/core/paths").Class;
    export type Schema = import("realm/core/paths").Schema;
}
declare module "realm/core/schema" {
    /**
     * A class from a Realm object schema or from a class model (`static schema`).
     * @param {any} declaration
     * @param {{synced?: boolean, base?: Function}} options `base`: what a class model must extend.
     * @returns {ClassSchema}
     */
    export function parseClass(declaration: any, { synced, base }?: {
        synced?: boolean;
        base?: Function;
    }): ClassSchema;
    /**
     * A canonical property from a shorthand or an object form.
     * @param {string} className @param {string} name @param {any} declaration @param {boolean} isKey
     * @returns {Property}
     */
    export function parseProperty(className: string, name: string, declaration: any, isKey?: boolean): Property;
    /** What `realm.schema` and `objectSchema()` show of a class. @param {ClassSchema} cls */
    export function canonical({ name, primaryKey, embedded, asymmetric, properties, ctor }: ClassSchema): {
        ctor?: Function | undefined;
        name: string;
        primaryKey: string | undefined;
        embedded: boolean;
        asymmetric: boolean;
        properties: any;
    };
    /** The property that one element of a collection would be. @param {Property | WireProperty} prop @returns {WireProperty} */
    export function elementOf({ type, objectType, optional }: Property | WireProperty): WireProperty;
    /** The shorthand of a type, as people write it: `int?`, `string[]`, `counter`, `Team`. Whether links and mixed are
     * optional is no choice, so it is not said. @param {Property | WireProperty} prop */
    export function typeText({ type, objectType, optional, presentation }: Property | WireProperty): string;
    /** The wire name of every primary key of a synced class. */
    export const PRIMARY_KEY: "_id";
    /** The stored name of the key of a local class without primary key; its values are ObjectIds. */
    export const HIDDEN_KEY: "_key";
    export const KEY_TYPES: string[];
    export const INDEXABLE: string[];
    export function isCollection(type: string): type is "list" | "dictionary" | "set";
    /**
     * @typedef {{name: string, type: string, objectType?: string, property?: string, optional: boolean,
     *   indexed: boolean | "full-text", mapTo: string, default?: unknown, presentation?: "counter"}} Property
     * @typedef {{type: string, objectType?: string, optional?: boolean, indexed?: boolean | "full-text", readOnly?: boolean,
     *   hasDefault?: boolean, maxLength?: number, presentation?: "counter"}} WireProperty
     * @typedef {{name: string, primaryKey?: string, keyName: string, embedded: boolean, asymmetric: boolean,
     *   properties: Record<string, Property>, wire: Record<string, WireProperty>, aliases: Record<string, string>,
     *   readOnly: boolean, declared: boolean, synced: boolean, ctor?: Function}} ClassSchema
     * @typedef {{name: string, properties: Record<string, WireProperty>, primaryKey?: string, readOnly?: boolean,
     *   embedded?: boolean, asymmetric?: boolean}} WireClass
     * @typedef {(holds: unknown, problem: string) => void} Must
     * @typedef {Pick<Property, "type" | "objectType" | "property" | "presentation">
     *   & {optional: boolean, indexed?: Property["indexed"]}} Parsed
     */
    /** The classes by name; iterates over them in order of declaration. */
    export class Schema {
        /** The server's classes, of its `bound` message. @param {WireClass[]} list */
        static fromWire(list: WireClass[]): Schema;
        /** @param {Iterable<ClassSchema>} classes */
        constructor(classes?: Iterable<ClassSchema>);
        /** What `bind` sends: the classes that the app declares, under their wire names. @returns {WireClass[]} */
        toWire(): WireClass[];
        /** @param {string} name */
        get(name: string): ClassSchema | undefined;
        /** @param {string} name */
        has(name: string): boolean;
        names(): string[];
        /** Whether this is an embedded class of the schema. @param {string | undefined} name */
        isEmbedded(name: string | undefined): boolean;
        /** How a property's wire value is made: a scalar type (a link's is that of the key it holds), `mixed`, a collection's
         * type, or `embedded`. @param {Property | WireProperty} prop */
        wireType(prop: Property | WireProperty): string;
        /** The property that one element of a collection would be. @param {Property | WireProperty} prop */
        element(prop: Property | WireProperty): WireProperty;
        /** Throws one error that lists whatever of the declared classes cannot be; returns the schema. */
        check(): this;
        [Symbol.iterator](): MapIterator<ClassSchema>;
        #private;
    }
    export type Property = {
        name: string;
        type: string;
        objectType?: string;
        property?: string;
        optional: boolean;
        indexed: boolean | "full-text";
        mapTo: string;
        default?: unknown;
        presentation?: "counter";
    };
    export type WireProperty = {
        type: string;
        objectType?: string;
        optional?: boolean;
        indexed?: boolean | "full-text";
        readOnly?: boolean;
        hasDefault?: boolean;
        maxLength?: number;
        presentation?: "counter";
    };
    export type ClassSchema = {
        name: string;
        primaryKey?: string;
        keyName: string;
        embedded: boolean;
        asymmetric: boolean;
        properties: Record<string, Property>;
        wire: Record<string, WireProperty>;
        aliases: Record<string, string>;
        readOnly: boolean;
        declared: boolean;
        synced: boolean;
        ctor?: Function;
    };
    export type WireClass = {
        name: string;
        properties: Record<string, WireProperty>;
        primaryKey?: string;
        readOnly?: boolean;
        embedded?: boolean;
        asymmetric?: boolean;
    };
    export type Must = (holds: unknown, problem: string) => void;
    export type Parsed = Pick<Property, "type" | "objectType" | "property" | "presentation"> & {
        optional: boolean;
        indexed?: Property["indexed"];
    };
}
declare module "realm/client/app" {
    /** What `{% realm_sync_config %}` wrote into this page, or null. */
    export function pageConfiguration(): any;
    /** Encoded as one name in a directory. @param {string} text */
    export function pathComponent(text: string): string;
    /** What a user who is not logged in cannot do. */
    export function loggedOut(): AppError;
    export const VERSION: "0.1.0";
    /** How realm.js deletes a user's files, which are those in a directory; without it there are none.
     * @type {{open: (directory: string) => string | null, delete: ((directory: string, unused: boolean) => Promise<boolean>) | null}} */
    export const files: {
        open: (directory: string) => string | null;
        delete: ((directory: string, unused: boolean) => Promise<boolean>) | null;
    };
    export namespace UserState {
        let LoggedIn: string;
        let LoggedOut: string;
        let Removed: string;
    }
    export namespace ProviderType {
        let AnonUser: string;
        let ApiKey: string;
        let LocalUserPass: string;
        let CustomFunction: string;
        let CustomToken: string;
        let DjangoSession: string;
    }
    /** How to log in; see the factories. */
    export class Credentials {
        /** `reuse`: this browser's anonymous user if it has one, without asking the server. */
        static anonymous(reuse?: boolean): Credentials;
        /** `emailPassword(email, password)` or `emailPassword({ email, password })`.
         * @param {string | {email: string, password: string}} email @param {string} [password] */
        static emailPassword(email: string | {
            email: string;
            password: string;
        }, password?: string): Credentials;
        /** @param {string} key */
        static apiKey(key: string): Credentials;
        /** @param {string} token */
        static jwt(token: string): Credentials;
        /** @param {Record<string, any>} payload */
        static function(payload: Record<string, any>): Credentials;
        /** Whoever is logged in to this page's Django site, by its session cookie. */
        static djangoSession(): Credentials;
        /** @param {string} provider @param {Record<string, any>} payload */
        constructor(provider: string, payload: Record<string, any>, reuse?: boolean);
        provider: string;
        payload: Record<string, any>;
        reuse: boolean;
    }
    /** Somebody who logged in; one object per id. Listeners: the state, the tokens or the profile changed, in any tab. */
    export class User extends Listenable {
        /** @param {Accounts} accounts @param {string} id */
        constructor(accounts: Accounts, id: string);
        id: string;
        get app(): App;
        get state(): string;
        get isLoggedIn(): boolean;
        get identities(): {
            id: string;
            providerType: string;
        }[];
        get providerType(): string;
        get deviceId(): string | undefined;
        /** As of the last refresh; null once logged out. */
        get accessToken(): string | null;
        get refreshToken(): string | null;
        /** `name`, `email`, `firstName` … as of the log-in. @returns {Record<string, any>} */
        get profile(): Record<string, any>;
        /** The `user_data` claim of the access token. @returns {Record<string, any>} */
        get customData(): Record<string, any>;
        refreshCustomData(): Promise<Record<string, any>>;
        /** Forgets the tokens, then tells the server: if that rejects, the user is logged out all the same. */
        logOut(): Promise<void>;
        /** Keys are `{_id, name, disabled}`, and from `create` with the `key` itself. */
        get apiKeys(): {
            /** @param {string} name @returns {Promise<ApiKey>} */
            create: (name: string) => Promise<ApiKey>;
            /** @param {string} id @returns {Promise<ApiKey>} */
            fetch: (id: string) => Promise<ApiKey>;
            /** @returns {Promise<ApiKey[]>} */
            fetchAll: () => Promise<ApiKey[]>;
            /** @param {string} id @returns {Promise<void>} */
            delete: (id: string) => Promise<void>;
            /** @param {string} id @returns {Promise<void>} */
            enable: (id: string) => Promise<void>;
            /** @param {string} id @returns {Promise<void>} */
            disable: (id: string) => Promise<void>;
        };
        /** The access token, refreshed first if it has expired. */
        freshAccessToken(): Promise<string>;
        /** A new access token, and the operator's settings with it. Refused with 401 or 403, the user is logged out. */
        refreshAccessToken(): Promise<string>;
        get functions(): {};
        /** @param {string} name @returns {Promise<never>} */
        callFunction(name: string): Promise<never>;
        /** @returns {Promise<never>} */
        linkCredentials(): Promise<never>;
        /** @returns {never} */
        push(): never;
        /** @returns {never} */
        mongoClient(): never;
        #private;
    }
    /** One app on one server. Listeners: somebody logged in or out, or another user is current, in any tab. */
    export class App extends Listenable {
        static Credentials: typeof Credentials;
        /** Filled in by realm.js. @type {any} */
        static Sync: any;
        /** @param {string} id */
        static get(id: string): App;
        /**
         * What is left out is as in `{% realm_sync_config %}`; without that, `baseUrl` is the page's origin. A second App of
         * equal id, baseUrl and baseFilePath is the first one; making the first is a launch, which deletes the files of users
         * who were removed, unless a tab uses them. Throws AssertionError for what makes no sense.
         * @param {string | {id?: string, baseUrl?: string, timeout?: number, timeouts?: Partial<typeof TIMEOUTS>,
         *   baseFilePath?: string, fetch?: typeof fetch, multiplexSessions?: boolean,
         *   metadata?: {mode: "noEncryption" | "inMemory" | "noMetadata"}}} [config] `timeout`: ms for an HTTP request, `timeouts`:
         *   in ms; both come before what the operator decided
       */
        constructor(config?: string | {
            id?: string;
            baseUrl?: string;
            timeout?: number;
            timeouts?: Partial<typeof TIMEOUTS>;
            baseFilePath?: string;
            fetch?: any;
            multiplexSessions?: boolean;
            metadata?: {
                mode: "noEncryption" | "inMemory" | "noMetadata";
            };
        });
        /** @type {string} */
        id: string;
        baseUrl: string;
        /** @type {string} */
        baseFilePath: string;
        /** @type {boolean} */
        multiplexSessions: boolean;
        /** What the operator decided for browsers, or null: told by the page, else by the server at the last log-in or token
         * refresh, of whichever page. @returns {any} */
        get settings(): any;
        /** In ms, what is in force: this app's own, else the operator's, else the defaults. @returns {typeof TIMEOUTS} */
        get timeouts(): typeof TIMEOUTS;
        /** Of an HTTP request, in ms. */
        get timeout(): number;
        /** Who logged in last and is still logged in, else anybody who is, or null. @returns {User | null} */
        get currentUser(): User | null;
        /** @returns {Record<string, User>} */
        get allUsers(): Record<string, User>;
        /** The user, who becomes current; or AppError. @param {Credentials} credentials */
        logIn(credentials: Credentials): Promise<User>;
        /** Makes the user current, without network; AppError unless he is logged in. @param {User} user */
        switchUser({ id }: User): void;
        /** Logs out and forgets the user; if the server cannot be told, this rejects, and the user is removed all the same. His
         * files are deleted at the next launch, unless he logs in again before. @param {User} user */
        removeUser({ id }: User): Promise<void>;
        /** Ends the user's account on the server, then removes him and deletes his files, with all that was not uploaded. If the
         * server refuses or a realm of his is open in this page, nothing has changed; realms in other tabs are closed.
         * @param {User} user */
        deleteUser({ id }: User): Promise<void>;
        /** `registerUser` does not log in. The server offers nothing else. */
        get emailPasswordAuth(): {
            registerUser: (body: {
                email: string;
                password: string;
            }) => Promise<undefined>;
        };
        get syncUrl(): string;
        get directory(): string;
        /**
         * A synced realm's name. No `path`: by its partition; relative: beside that, under this name; absolute: as it is.
         * @param {string} userId @param {string} [path] @param {any} [partitionValue] undefined: flexible
       */
        realmPath(userId: string, path?: string, partitionValue?: any): string;
        #private;
    }
    export type UserRecord = {
        provider: string;
        state: string;
        accessToken: string | null;
        refreshToken: string | null;
        deviceId?: string;
        identities: {
            id: string;
            provider_type: string;
        }[];
        profile: Record<string, any>;
    };
    export type ApiKey = {
        _id: string;
        name: string;
        disabled: boolean;
        key?: string;
    };
    import { AppError } from "realm/core/errors";
    class Listenable {
        /** Calls all, whatever one of them throws. @param {Listenable} listenable */
        static tell(listenable: Listenable): void;
        /** @param {() => void} callback */
        addListener(callback: () => void): void;
        /** @param {() => void} callback */
        removeListener(callback: () => void): void;
        removeAllListeners(): void;
        #private;
    }
    /**
     * An app's HTTP calls and what it knows of users: a record each, replaced as a whole. In localStorage, for `currentUser`
     * is synchronous; a change begins with what is stored, for other tabs write too.
     */
    class Accounts {
        /** @param {App} app @param {any} page its settings, if it has some @param {typeof fetch} fetch @param {boolean} persistent */
        constructor(app: App, page: any, fetch: typeof globalThis.fetch, persistent: boolean);
        /** @type {Map<string, UserRecord>} */
        records: Map<string, UserRecord>;
        /** @type {Map<string, User>} */
        users: Map<string, User>;
        /** @type {string | null} */
        current: string | null;
        /** The operator's, as of the last contact. @type {any} */
        settings: any;
        /** Ids of users who were removed and still have files. @type {string[]} */
        removed: string[];
        app: App;
        page: any;
        get known(): User[];
        /** Reads what is stored, stores what `edit` makes of it (by `set` and `wipe`), and tells the listeners.
         * @param {() => void} [edit] */
        change(edit?: () => void): void;
        /** @param {string} id @param {Partial<UserRecord>} values */
        set(id: string, values: Partial<UserRecord>): void;
        /** @param {string} id @param {string} state */
        wipe(id: string, state: string): void;
        /** @param {string} id @param {string} state */
        forget(id: string, state: string): Promise<void>;
        /** Where the realms of a user are. @param {string} id */
        directoryOf(id: string): string;
        /** Deletes what removed users left; at a launch only what no tab uses. The rest stays until another one.
         * @param {string[]} ids @param {boolean} unused */
        deleteFiles(ids: string[], unused: boolean): Promise<void>;
        /** Nothing is to be deleted (any more). @param {string} id */
        keepFiles(id: string): void;
        /** One after the other, in all tabs: deleting files and logging in again. @param {() => any} work */
        exclusively(work: () => any): Promise<any>;
        /** Asks what the operator decided, unless the page said so, and keeps it. A failure changes nothing. */
        fetchSettings(): Promise<void>;
        /** `route` is below the API's root. → the JSON of the answer, `{}` if it has none. Rejects with AppError.
         * @param {string} method @param {string} route @param {{body?: object, token?: string, cookies?: boolean}} [options]
         * @returns {Promise<any>} */
        request(method: string, route: string, { body, token, cookies }?: {
            body?: object;
            token?: string;
            cookies?: boolean;
        }): Promise<any>;
        #private;
    }
    namespace TIMEOUTS {
        let request: number;
        let connect: number;
        let ping: number;
        let pong: number;
        let linger: number;
        let fastReconnect: number;
    }
    export {};
}
declare module "realm/client/links" {
    /** What this needs to know of classes.
     * @typedef {{get: (name: string) => any, isEmbedded: (name: string | undefined) => boolean, element: (prop: any) => any}} Classes */
    /** Whether a property can hold links. @param {Classes} schema @param {any} prop */
    export function mayLink(schema: Classes, { type, objectType }: any): boolean;
    /** Every link in a wire value: class, key, and the path of properties that leads there. @param {Classes} schema @param {any} prop
     * @param {any} wire @param {(target: string, key: any) => void} visit */
    export function eachLink(schema: Classes, prop: any, wire: any, visit: (target: string, key: any) => void): void;
    /** A wire value with other keys in its links, mixed ones left out. @param {Classes} schema @param {any} prop @param {any} wire
     * @param {(target: string, key: any) => any} change @returns {any} */
    export function withKeys(schema: Classes, prop: any, wire: any, change: (target: string, key: any) => any): any;
    /** Every link of an object. @param {Classes} schema @param {{properties: Record<string, any>}} cls @param {Record<string, any>} image
     * @param {(target: string, key: any) => void} visit */
    export function eachLinkOf(schema: Classes, { properties }: {
        properties: Record<string, any>;
    }, image: Record<string, any>, visit: (target: string, key: any) => void): void;
    /**
     * What this needs to know of classes.
     */
    export type Classes = {
        get: (name: string) => any;
        isEmbedded: (name: string | undefined) => boolean;
        element: (prop: any) => any;
    };
}
declare module "realm/core/alignment" {
    /**
     * `origin[j]`: where element j of the list after was before, -1 for a new one. `fate[j]`: KEPT, MOVED, CHANGED (the same
     * element with another value, in its place) or NEW. `removed`: elements of before that are gone.
     * @typedef {{origin: number[], fate: number[], removed: number[]}} Alignment
     */
    /** What became of each element; KEPT and CHANGED ones are in the order they had.
     * @param {any[]} before @param {any[]} after @returns {Alignment} */
    export function align(before: any[], after: any[]): Alignment;
    export const KEPT: 0;
    export const MOVED: 1;
    export const CHANGED: 2;
    export const NEW: 3;
    /**
     * `origin[j]`: where element j of the list after was before, -1 for a new one. `fate[j]`: KEPT, MOVED, CHANGED (the same
     * element with another value, in its place) or NEW. `removed`: elements of before that are gone.
     */
    export type Alignment = {
        origin: number[];
        fate: number[];
        removed: number[];
    };
}
declare module "realm/core/encoding" {
    /** @typedef {import("./schema.js").WireProperty} WireProperty */
    /** What this needs to know of classes.
     * @typedef {{get: (name: string) => any, wireType: (prop: any) => string, element: (prop: any) => WireProperty}} Classes */
    /** The wire value of a plain value. @param {Classes} schema @param {string} where @param {WireProperty} prop @param {any} value @returns {any} */
    export function encodeProperty(schema: Classes, where: string, prop: WireProperty, value: any): any;
    /** The plain value of a wire value. @param {Classes} schema @param {string} where @param {WireProperty} prop @param {any} wire @returns {any} */
    export function decodeProperty(schema: Classes, where: string, prop: WireProperty, wire: any): any;
    /** The wire value of a property that nobody has written: an empty collection, else null. @param {{type: string}} prop */
    export function empty({ type }: {
        type: string;
    }): {} | null;
    /** An element of a set: anything but arrays and plain objects. @param {any} wire */
    export function checkMember(wire: any): any;
    /** The order of elements in a set's wire value; 0: they are one element. @param {any} a @param {any} b */
    export function compareElements(a: any, b: any): number;
    /** Puts an element that is not in it yet into a set's wire value. @param {any[]} wire in its order @param {any} element */
    export function insertWire(wire: any[], element: any): void;
    export function sortWire(elements: any[]): any[];
    export type WireProperty = import("realm/core/schema").WireProperty;
    /**
     * What this needs to know of classes.
     */
    export type Classes = {
        get: (name: string) => any;
        wireType: (prop: any) => string;
        element: (prop: any) => WireProperty;
    };
}
declare module "realm/core/messages" {
    /** The text frame of a message. @param {FromClient} message */
    export function encode(message: FromClient): string;
    /** The message of a frame. Throws ProtocolError `BadSyntax` or `UnknownMessage`. @param {string} text @returns {FromServer} */
    export function decodeFromServer(text: string): FromServer;
    /** The websocket subprotocol of this encoding. */
    export const SUBPROTOCOL: "realm-sync.v1";
    export type ClientFile = {
        ident: number;
        salt: string;
    };
    export type Progress = {
        serverVersion: number;
        clientVersion: number;
        queryVersion: number;
        view: number;
    };
    export type SubscriptionItem = {
        id: string;
        class: string;
        query: string;
        name?: string | null;
        createdAt: string;
        updatedAt: string;
    };
    /**
     * the property, then properties of embedded objects and keys of dictionaries as strings,
     * and indexes of lists as integers
     */
    export type Path = (string | number)[];
    /**
     * `base`: the server version whose state the indexes
     * are meant for, with the file's own earlier changesets on top; none: the changeset's
     */
    export type InObject = {
        class: string;
        _id: any;
        path: Path;
        base?: number;
    };
    export type Edit = InObject & ({
        op: "set" | "insert" | "setInsert" | "setRemove";
        value: any;
    } | {
        op: "add";
        by: number | string;
    } | {
        op: "move";
        to: number;
    } | {
        op: "remove" | "clear";
        keep?: any[];
    });
    export type Instruction = {
        op: "create" | "update";
        class: string;
        _id: any;
        values: Record<string, any>;
    } | {
        op: "delete";
        class: string;
        _id: any;
    } | Edit;
    export type Changeset = {
        clientVersion: number;
        baseVersion: number;
        timestamp: number;
        instructions: Instruction[];
    };
    export type Changes = {
        class: string;
        put: Record<string, any>[];
        patch: Record<string, any>[];
        erase: any[];
    };
    export type RejectedWrite = {
        class: string;
        _id: any;
        property: string | null;
        code: string;
        reason: string;
    };
    export type Limits = {
        maxMessageBytes: number;
        maxSubscriptions: number;
        maxQueryBytes: number;
        window: number;
    };
    export type WireClass = import("realm/core/schema").WireClass;
    export type Mark = {
        type: "mark";
        requestIdent: number;
    };
    export type FromClient = {
        type: "bind";
        token: string | null;
        clientFile: ClientFile | null;
        epoch: string | null;
        progress: Progress;
        schema: WireClass[] | null;
        userAgent: string;
    } | {
        type: "query";
        queryVersion: number;
        subscriptions: SubscriptionItem[];
    } | {
        type: "upload";
        changesets: Changeset[];
        received: number;
    } | Mark | {
        type: "unbind";
    } | {
        type: "ping";
        timestamp: number;
    };
    export type Ident = {
        type: "ident";
        clientFile: ClientFile;
    };
    export type Bound = {
        type: "bound";
        epoch: string;
        serverVersion: number;
        clientVersion: number;
        queryVersion: number;
        serverTime: number;
        schema: WireClass[];
        limits: Limits;
    };
    export type Download = {
        type: "download";
        queryVersion: number;
        batchState: "more" | "last" | "steady";
        serverVersion: number;
        clientVersion: number;
        progress: number;
        view: number;
        changes: Changes[];
    };
    export type RefusedQuery = {
        type: "queryError";
        queryVersion: number;
        code: string;
        message: string;
    };
    export type Rejected = {
        type: "rejected";
        clientVersion: number;
        writes: RejectedWrite[];
    };
    export type ErrorMessage = {
        type: "error";
        code: string;
        message: string;
        fatal: boolean;
        action: import("realm/core/errors").Action;
        retryAfter: number | null;
        clientVersion: number | null;
    };
    export type FromServer = Ident | Bound | Download | Mark | RefusedQuery | Rejected | {
        type: "unbound";
    } | ErrorMessage | {
        type: "pong";
        timestamp: number;
    };
    /**
     * Throws unless the value has the shape; fills in defaults.
     */
    export type Check = (value: any, where: string) => void;
    /**
     * A field with a default may be left out.
     */
    export type Fields = Record<string, Check | [Check, unknown]>;
}
declare module "realm/core/edits" {
    /** A path as people write it: `items[3].qty`. @param {Step[]} path */
    export function pathText(path: Step[]): string;
    /** Equal (`===`) for equal wire values, whatever their spelling in JSON; false is not 0. @param {any} wire @returns {any} */
    export function identity(wire: any): any;
    /** The identities of the elements of a list; those of scalars are the elements themselves.
     * @param {Shape} element @param {any[]} wires */
    export function identities(element: Shape, wires: any[]): any[];
    /** Equal (`===`) for elements that are one element of a set. @param {any} wire @returns {string} */
    export function memberKey(wire: any): string;
    /** Where an element of a set is; -1: it is not in it. @param {any[]} wire @param {any} element */
    export function memberIndex(wire: any[], element: any): number;
    /** An int's wire value plus that of an int, as 64-bit integers wrap. @param {any} wire @param {any} by */
    export function increase(wire: any, by: any): any;
    /** What an `add` adds. Throws an EditError for what is not the wire value of an int. @param {Edit & {op: "add"}} edit */
    export function checkBy(edit: Edit & {
        op: "add";
    }): any;
    /** The image after a client's own edit. Throws an EditError, and has changed nothing then.
     * @param {Schema} schema @param {ClassSchema} cls @param {Image} image @param {Edit} edit @returns {Image} */
    export function applyEdit(schema: Schema, cls: ClassSchema, image: Image, edit: Edit): Image;
    /** The shape of the property that an edit is in. Throws an EditError if there is none.
     * @param {Schema} schema @param {ClassSchema} cls @param {Edit} edit */
    export function propertyShape(schema: Schema, cls: ClassSchema, edit: Edit): Shape;
    /** The value of a property after an edit in it. @param {Shape} shape @param {any} value @param {Edit} edit
     * @param {Set<object>} [own] containers that the caller made itself, by edits before: they are changed in place, so that many
     * edits of something large cost little each */
    export function editValue(shape: Shape, value: any, edit: Edit, own?: Set<object>): any;
    /** Whether the last step of the path is a place in a container; if not, the whole path leads to what is edited.
     * @param {Edit} edit @returns {edit is Edit & {op: "set" | "insert" | "move" | "remove"}} */
    export function takesPlace(edit: Edit): edit is Edit & {
        op: "set" | "insert" | "move" | "remove";
    };
    /** An index of a list. Throws an EditError for anything else. @param {any} step @param {number} length @param {Step[]} path */
    export function checkIndex(step: any, length: number, path: Step[]): number;
    /** The shape of what a property of an embedded object or a key of a dictionary holds.
     * @param {Shape} shape @param {string | null} kind @param {any} step @param {Step[]} path */
    export function childShape(shape: Shape, kind: string | null, step: any, path: Step[]): Shape;
    /** @param {Step[]} path */
    export function noSuchKey(path: Step[]): EditError;
    /** @param {string | null} kind @param {Edit} edit */
    export function checkKeyed(kind: string | null, edit: Edit): void;
    /** @param {Shape} shape @param {Edit} edit */
    export function checkCounter(shape: Shape, edit: Edit): void;
    /** What a clear keeps of a container: indexes, keys, or what tells members apart.
     * @param {string | null | undefined} kind @param {any} value @param {Edit & {op: "remove" | "clear"}} edit @returns {Set<any>} */
    export function checkClear(kind: string | null | undefined, value: any, edit: Edit & {
        op: "remove" | "clear";
    }): Set<any>;
    /** @param {string | null | undefined} kind @param {Edit} edit */
    export function checkSet(kind: string | null | undefined, edit: Edit): import("realm/core/messages").InObject & {
        op: "set" | "insert" | "setInsert" | "setRemove";
        value: any;
    };
    /** The edits that turn one value of a property into another: what assigning a whole list, set or dictionary means.
     * Elements of a list that are there before and after are kept or moved, not replaced. A property that is no collection and
     * no mixed container cannot be assigned by edits: write it as a whole.
     * @param {Schema} schema @param {ClassSchema} cls @param {any} id @param {string} name @param {any} before @param {any} after
     * @returns {Edit[]} */
    export function derive(schema: Schema, cls: ClassSchema, id: any, name: string, before: any, after: any): Edit[];
    /** @typedef {import("./schema.js").Schema} Schema */
    /** @typedef {import("./schema.js").ClassSchema} ClassSchema */
    /** @typedef {import("./schema.js").WireProperty} WireProperty */
    /** @typedef {import("./messages.js").Edit} Edit */
    /** @typedef {string | number} Step */
    /** @typedef {Record<string, any>} Image wire values by stored name */
    /** An edit that makes no sense where it points to. `code`: `UnknownProperty`, `InvalidPath`, `IndexOutOfRange` or
     * `PropertyTypeMismatch`. */
    export class EditError extends Error {
        /** @param {string} code @param {string} reason @param {Step[]} path */
        constructor(code: string, reason: string, path: Step[]);
        code: string;
        reason: string;
        path: Step[];
    }
    /** What a place in a property's value can hold. `kind`: scalar (links too), counter, mixed, list, set, dictionary or
     * embedded. Immutable. */
    export class Shape {
        /** @param {Schema} schema @param {WireProperty} prop */
        constructor(schema: Schema, prop: WireProperty);
        /** The shape of an element; of a mixed value: mixed again. @type {Shape} */
        element: Shape;
        kind: string;
        /** A property that is an int and no counter: a scalar that can be added to as well (R7). */
        isInt: boolean;
        /** The properties of an embedded object. */
        get fields(): Map<string, Shape>;
        /** The kind of container that a wire value is here; null: it is a leaf. @param {any} wire @returns {string | null} */
        container(wire: any): string | null;
        /** The wire value, with the empty collection that null means in a property of a collection. @param {any} [wire] */
        read(wire?: any): any;
        #private;
    }
    export type Schema = import("realm/core/schema").Schema;
    export type ClassSchema = import("realm/core/schema").ClassSchema;
    export type WireProperty = import("realm/core/schema").WireProperty;
    export type Edit = import("realm/core/messages").Edit;
    export type Step = string | number;
    /**
     * wire values by stored name
     */
    export type Image = Record<string, any>;
}
declare module "realm/client/tables" {
    /** Whether two images say the same; a missing property is null. @param {Image} a @param {Image} b */
    export function sameImage(a: Image, b: Image): boolean;
    /** Whether two wire values say the same; a missing one is null, and the order of keys says nothing. @param {any} a @param {any} b
     * @returns {boolean} */
    export function sameWire(a: any, b: any): boolean;
    /** `known` with the classes and properties of `added`, or null if there is nothing to add. Like Realm's additive mode, a
     * property never changes its type and nothing is ever removed. @param {Map<string, StoredClass>} known
     * @param {Iterable<StoredClass>} added */
    export function addClasses(known: Map<string, StoredClass>, added: Iterable<StoredClass>): Map<string, StoredClass> | null;
    /** @typedef {Record<string, any>} Image an object's wire values by property, its key included */
    /** @typedef {{name: string, keyName: string, properties: Record<string, any>, readOnly?: boolean, embedded?: boolean, asymmetric?: boolean}} StoredClass
     *   a class as its file keeps it: properties by wire name */
    /** @typedef {{isEmbedded: (name: string | undefined) => boolean}} Classes */
    export class Table {
        /** @param {StoredClass} cls @param {Classes} classes @param {Map<any, Image>} [objects] */
        constructor(cls: StoredClass, classes: Classes, objects?: Map<any, Image>);
        cls: StoredClass;
        name: string;
        keyName: string;
        /** @type {Map<any, Image>} by the wire value of the key, in the order they came */
        objects: Map<any, Image>;
        /** Rises whenever an object comes, goes or changes: what was computed from the table before is stale then. */
        revision: number;
        /** @type {Map<any, Image | undefined> | null} What changed since the notifier looked, as it was; null: nobody listens. */
        touched: Map<any, Image | undefined> | null;
        /** This moment of it. @param {Classes} classes */
        frozen(classes: Classes): Table;
        /** The links of the class that are properties of their own: [wire name, target class]. @returns {[string, string][]} */
        get links(): [string, string][];
        /** @param {any} key @param {Image} image */
        set(key: any, image: Image): void;
        /** Of an image that is known to say something else. @param {any} key @param {Image} image */
        put(key: any, image: Image): void;
        /** @param {any} key */
        delete(key: any): void;
        /** Puts other objects in place of all; what is equal stays the same image. @param {Map<any, Image>} objects */
        replace(objects: Map<any, Image>): void;
        /** The objects whose property has one of these wire values, from an index; undefined if the property has none: only
         * keys, links and `indexed` properties do. An index is made at its first use and kept up to date from then on.
         * In the order of the objects, as a scan gives them.
         * @param {string} name @param {Iterable<any>} values */
        lookUp(name: string, values: Iterable<any>): Image[] | undefined;
        /** The objects whose property, a link or a collection of links, holds a key; in the order of the objects.
         * @param {string} name @param {any} key */
        linksTo(name: string, key: any): Image[];
        #private;
    }
    export function storedClasses(classes: Iterable<any>): any[];
    /**
     * an object's wire values by property, its key included
     */
    export type Image = Record<string, any>;
    /**
     * a class as its file keeps it: properties by wire name
     */
    export type StoredClass = {
        name: string;
        keyName: string;
        properties: Record<string, any>;
        readOnly?: boolean;
        embedded?: boolean;
        asymmetric?: boolean;
    };
    export type Classes = {
        isEmbedded: (name: string | undefined) => boolean;
    };
}
declare module "realm/client/live" {
    /** An edit made `after` of `before`, the values of a property: what it leads through are the same containers. @param {any} before
     * @param {any} after @param {(string | number)[]} steps from the property to what was edited */
    export function succeed(before: any, after: any, steps: (string | number)[]): void;
    /** What is written in its place is another value. @param {any} wire @param {object[]} undo for `restore` */
    export function replace(wire: any, undo: object[]): void;
    /** The write was cancelled. @param {object[]} undo */
    export function restore(undo: object[]): void;
    /** @typedef {import('./tables.js').Table} Table */
    /** @typedef {import('../core/schema.js').WireProperty} WireProperty */
    export const INVALID: "Accessing object which has been invalidated or deleted";
    /** The place of a live collection or counter. */
    export const PLACE: unique symbol;
    /** @type {WireProperty} what is inside a mixed value */
    export const MIXED: WireProperty;
    export class Place {
        /** @param {any} realm @param {Table} table @param {any} key of the object @param {(string | number)[]} path
         * @param {WireProperty} prop the type of what is here @param {any} root the value of the whole property in which `path` leads here
         * @param {string | null} [kind] of a mixed value: list or dictionary, and invalid once it is something else */
        constructor(realm: any, table: Table, key: any, path: (string | number)[], prop: WireProperty, root: any, kind?: string | null);
        realm: any;
        table: import("realm/client/tables").Table;
        key: any;
        prop: import("realm/core/schema").WireProperty;
        /** Where it is now. Throws if it is gone. */
        get path(): (string | number)[];
        /** As errors name it: `items[3].qty`. */
        get where(): string;
        /** The wire value that is here now. Throws if there is none any more. @returns {any} */
        wire(): any;
        get isValid(): boolean;
        /** A place in what is here. @param {string | number} step @param {WireProperty} prop @param {string | null} [kind] */
        child(step: string | number, prop: WireProperty, kind?: string | null): Place;
        /** The JavaScript value of an element of what is here. @param {string | number} step @param {WireProperty} prop @param {any} wire */
        read(step: string | number, prop: WireProperty, wire: any): any;
        /** Throws unless it may be changed now. */
        writing(): any;
        /** One edit of what is here, at `steps` from here. @param {string} op @param {(string | number)[]} [steps]
         * @param {Record<string, any>} [fields] */
        edit(op: string, steps?: (string | number)[], fields?: Record<string, any>): void;
        /** Inserts and removes in the list that is here, all of them in one go. @param {{op: "insert" | "remove", at: number, value?: any}[]} edits */
        editList(edits: {
            op: "insert" | "remove";
            at: number;
            value?: any;
        }[]): void;
        #private;
    }
    export type Table = import("realm/client/tables").Table;
    export type WireProperty = import("realm/core/schema").WireProperty;
}
declare module "realm/client/objects" {
    /** The prototype of a class's objects in one realm: that of the app's class, with accessors.
     * @param {import('../core/schema.js').ClassSchema} cls */
    export function prototypeFor(cls: import("realm/core/schema").ClassSchema): any;
    /** @param {any} prototype @param {Identity} identity */
    export function wrap(prototype: any, identity: Identity): any;
    /** Plain values of what `toJSON` meets. @param {any} value @param {Map<string, any>} cache @returns {any} */
    export function plain(value: any, cache: Map<string, any>): any;
    /** The wire value of a key that an app gives. @param {import('../core/schema.js').ClassSchema} cls @param {any} key */
    export function encodeKey(cls: import("realm/core/schema").ClassSchema, key: any): any;
    export function identityOf(value: any): Identity | undefined;
    /** One object of a realm; a class of an app extends it. Each access makes a new one: compare keys.
     * @template [T=any] */
    export class RealmObject<T = any> {
        /** The properties are defined for each realm by `prototypeFor`. @type {any} */
        static schema: any;
        /** `new Task(realm, values)` is `realm.create(Task, values)`. @param {any} realm @param {any} values */
        constructor(realm: any, values: any);
        /** False once it is deleted or its realm is closed. @returns {boolean} */
        isValid(): boolean;
        objectSchema(): {
            ctor?: Function | undefined;
            name: string;
            primaryKey: string | undefined;
            embedded: boolean;
            asymmetric: boolean;
            properties: any;
        };
        keys(): string[];
        /** @returns {[string, any][]} */
        entries(): [string, any][];
        /** A plain tree; an object that occurs twice is the same one in it. @param {string} [_] the key JSON.stringify gives
         * @param {Map<string, any>} [cache] @returns {Record<string, any>} */
        toJSON(_?: string, cache?: Map<string, any>): Record<string, any>;
        /** Live results of the objects of `type` whose link `property` leads here. @param {any} type @param {string} property */
        linkingObjects(type: any, property: string): any;
        /** How many links lead here, of every class. */
        linkingObjectsCount(): number;
        /** @param {string} name */
        getPropertyType(name: string): string;
        /** `callback(object, {deleted, changedProperties})`: soon, with nothing, and then whenever the object changes.
         * @param {(object: this & T, changes: {deleted: boolean, changedProperties: string[]}) => void} callback @param {string | string[]} [keyPaths] */
        addListener(callback: (object: this & T, changes: {
            deleted: boolean;
            changedProperties: string[];
        }) => void, keyPaths?: string | string[]): void;
        /** @param {Function} callback */
        removeListener(callback: Function): void;
        removeAllListeners(): void;
        /** The key that a link holds, even if its target is not in this file and the link reads as null; not in Realm.
         * @param {string} name of the link @returns {any} */
        linkedKey(name: string): any;
        /** Tells objects of one class and file apart. */
        _objectKey(): string;
        /** What a mixed property of `realm` holds of it. @param {any} realm */
        [WIRE](realm: any): {
            $link: any[];
        };
    }
    /**
     * `place`: of an embedded object, which is in the object that `table` and `key` tell.
     */
    export type Identity = {
        realm: any;
        table: import("realm/client/tables").Table;
        cls: import("realm/core/schema").ClassSchema;
        key: any;
        place?: import("realm/client/live").Place;
    };
    import { WIRE } from "realm/core/mixed";
}
declare module "realm/client/configuration" {
    /** A configuration that may be opened: its path, its classes and its options.
     * @param {string | RealmConfiguration} [given] */
    export function readConfiguration(given?: string | RealmConfiguration): {
        sync: SyncConfiguration | undefined;
        encryptionKey: Uint8Array<ArrayBufferLike> | undefined;
        schemaVersion: number | null;
        classes: Schema | undefined;
        path: string;
        schema?: any[];
        inMemory?: boolean;
        readOnly?: boolean;
        shouldCompact?: Function;
        deleteRealmIfMigrationNeeded?: boolean;
        _store?: any;
        _isAwaited?: boolean;
        _ran?: boolean;
    };
    /** @param {any} path */
    export function checkPath(path: any): void;
    /** A copy: what the app does to its own does not matter then. @param {any} key @returns {Uint8Array} */
    export function keyBytes(key: any): Uint8Array;
    /** @param {any} value @param {string} target */
    export function mustBeFunction(value: any, target: string): any;
    export const OpenRealmBehaviorType: Readonly<{
        DownloadBeforeOpen: "downloadBeforeOpen";
        OpenImmediately: "openImmediately";
    }>;
    export const OpenRealmTimeOutBehavior: Readonly<{
        OpenLocalRealm: "openLocalRealm";
        ThrowException: "throwException";
    }>;
    export const ClientResetMode: Readonly<{
        Manual: "manual";
        DiscardUnsyncedChanges: "discardUnsyncedChanges";
        RecoverUnsyncedChanges: "recoverUnsyncedChanges";
        RecoverOrDiscardUnsyncedChanges: "recoverOrDiscardUnsyncedChanges";
    }>;
    /** @typedef {{type: "downloadBeforeOpen" | "openImmediately", timeOut?: number | null, timeOutBehavior?: "openLocalRealm" | "throwException"}} OpenBehavior */
    /** As realm.js has them, unchecked. @typedef {{user: User, newRealmFileBehavior?: OpenBehavior, existingRealmFileBehavior?: OpenBehavior, [other: string]: any}} SyncConfiguration */
    /** @typedef {{path?: string, schema?: any[], schemaVersion?: number, inMemory?: boolean, readOnly?: boolean, encryptionKey?: ArrayBuffer | ArrayBufferView,
     *   shouldCompact?: (totalBytes: number, usedBytes: number) => boolean, sync?: SyncConfiguration, [other: string]: any}} RealmConfiguration */
    /** @type {OpenBehavior} */
    export const DEFAULT_BEHAVIOR: OpenBehavior;
    export namespace defaults {
        let path: string;
    }
    export type Configuration = ReturnType<typeof readConfiguration>;
    export type OpenBehavior = {
        type: "downloadBeforeOpen" | "openImmediately";
        timeOut?: number | null;
        timeOutBehavior?: "openLocalRealm" | "throwException";
    };
    /**
     * As realm.js has them, unchecked.
     */
    export type SyncConfiguration = {
        user: User;
        newRealmFileBehavior?: OpenBehavior;
        existingRealmFileBehavior?: OpenBehavior;
        [other: string]: any;
    };
    export type RealmConfiguration = {
        path?: string;
        schema?: any[];
        schemaVersion?: number;
        inMemory?: boolean;
        readOnly?: boolean;
        encryptionKey?: ArrayBuffer | ArrayBufferView;
        shouldCompact?: (totalBytes: number, usedBytes: number) => boolean;
        sync?: SyncConfiguration;
        [other: string]: any;
    };
    import { Schema } from "realm/core/schema";
    import { User } from "realm/client/app";
}
declare module "realm/core/tree" {
    /** @typedef {ListBody | SetBody | MapBody} Body */
    /** A property in the views of one client file and of everybody. Wire values given to it are never changed. */
    export class Tree {
        /** `value`: what the client file saw and what was there, before everything that is absorbed and applied.
         * @param {Shape} shape @param {string} name @param {any} value */
        constructor(shape: Shape, name: string, value: any);
        /** Dotted paths of the counters and ints that the last `apply`, `assign` or `join` set; with a plus in front, of the ints
         * that it added to. @type {string[]} */
        counters: string[];
        /** The wire value that is there. */
        value(): any;
        /** The wire value as the client file sees it. */
        seenValue(): any;
        /** `value`: what a writer made of what was there. `write`: a rival's; null: not to be compared with anybody's.
         * `isKnown`: the client file saw it happen. `sets`: dotted paths of counters that it set, not increased, and, with a plus
         * in front, of ints that it increased.
         * @param {any} value @param {Write | null} [write] @param {{isKnown?: boolean, sets?: string[]}} [options] */
        absorb(value: any, write?: Write | null, { isKnown, sets }?: {
            isKnown?: boolean;
            sets?: string[];
        }): void;
        /** Does an edit of the client file, and returns what of it stands, as edits of what was there: none, one, or for a
         * `clear` several. `base` and `stamp` are its changeset's. Throws an EditError if it makes no sense in what the file saw,
         * and has changed nothing then. @param {Edit} edit @param {number} [base] @param {Stamp} [stamp] @returns {Edit[]} */
        apply(edit: Edit, base?: number, stamp?: Stamp): Edit[];
        /** The client file writes the property as a whole; whether anything of that stands.
         * @param {any} value @param {number} [base] @param {Stamp} [stamp] */
        assign(value: any, base?: number, stamp?: Stamp): boolean;
        /** The client file created an object that there is already, with this value: what both have comes together, and elements
         * that both have are one. Whether that wrote anything. @param {any} value @param {number} [base] @param {Stamp} [stamp] */
        join(value: any, base?: number, stamp?: Stamp): boolean;
        #private;
    }
    export type Edit = import("realm/core/edits").Edit;
    export type Step = import("realm/core/edits").Step;
    /**
     * when a write was made and by which client file; later stands
     */
    export type Stamp = [timestamp: number, origin: number];
    /**
     * another's write: its version in the history and its stamp
     */
    export type Write = {
        version: number;
        stamp: Stamp;
    };
    export type Body = ListBody | SetBody | MapBody;
    import { Shape } from "realm/core/edits";
    class ListBody {
        /** @param {Shape} shape @param {any[]} wires */
        constructor(shape: Shape, wires: any[]);
        kind: string;
        /** Others' changes in the list, of any kind. @type {Write[]} */
        writes: Write[];
        shape: Shape;
        /** @type {Slot[]} */
        seen: Slot[];
        /** The same array until the views part. */
        here: Slot[];
        part(): void;
    }
    class SetBody {
        /** @param {any[]} wires */
        constructor(wires: any[]);
        kind: string;
        /** @type {Map<string, Member>} */
        members: Map<string, Member>;
        /** The member of a value, which this body may not have met yet. @param {any} wire */
        member(wire: any): Member;
    }
    /** A dictionary or an embedded object. */
    class MapBody {
        /** @param {Shape} shape @param {string} kind @param {Record<string, any>} wire */
        constructor(shape: Shape, kind: string, wire: Record<string, any>);
        shape: Shape;
        kind: string;
        /** @type {Map<string, Slot>} */
        slots: Map<string, Slot>;
        /** The place of a key that this body may not have met yet. @param {string} key */
        slot(key: string): Slot;
    }
    /** A place: the property itself, an element, the value of a key, a property of an embedded object. Each view holds ABSENT,
     * a leaf's wire value, or a container: its wire value until somebody looks inside, then a body. One body (or wire
     * container) in both views is one container; two are the former and what replaced it. */
    class Slot {
        /** @param {Shape} shape @param {any} seen @param {any} here */
        constructor(shape: Shape, seen: any, here: any);
        /** Others' writes of the whole place. @type {Write[] | null} */
        writes: Write[] | null;
        /** Others' moves of an element (Write), or increments of a counter or int. @type {any[] | null} */
        marks: any[] | null;
        shape: Shape;
        seen: any;
        here: any;
    }
    class Member {
        /** @param {any} wire @param {boolean} seen @param {boolean} here */
        constructor(wire: any, seen: boolean, here: boolean);
        /** @type {Write[] | null} */
        writes: Write[] | null;
        wire: any;
        seen: boolean;
        here: boolean;
    }
    export {};
}
declare module "realm/core/merge" {
    /** @typedef {import("./edits.js").Schema} Schema */
    /** @typedef {import("./edits.js").ClassSchema} ClassSchema */
    /** @typedef {import("./edits.js").Edit} Edit */
    /** @typedef {import("./edits.js").Image} Image */
    /** @typedef {import("./messages.js").Instruction} Instruction */
    /** @param {Instruction} step @returns {step is Edit} */
    export function isEdit(step: Instruction): step is Edit;
    /**
     * What a download makes of one object of a client file: its visible image, and for each pending step what it reads from now
     * on (nothing, itself, or several steps).
     *
     * `old` and `now`: the server's image before and after the download, at `version`. `acknowledged`: the steps that the
     * download takes out of what is pending, in order; `pending`: those that are left. Where nothing pending is an edit, this is
     * `replay` and every step stays as it is. Otherwise the edits are counted in the new image, with `version` as their base. A
     * step that can have no effect any more is dropped; one that cannot be understood stays as it is, for the server to decide.
     * @param {Schema} schema @param {ClassSchema} cls @param {Image | null} old @param {Instruction[]} acknowledged
     * @param {Image | null} now @param {Instruction[]} pending @param {number} version
     * @returns {[visible: Image | null, rewritten: Instruction[][]]}
     */
    export function rebase(schema: Schema, cls: ClassSchema, old: Image | null, acknowledged: Instruction[], now: Image | null, pending: Instruction[], version: number): [visible: Image | null, rewritten: Instruction[][]];
    /** The object after steps of the client file that nobody else's come between. An update or edit of an absent object does
     * nothing (R8), nor does an edit that makes no sense; a create of an object that is there already joins it.
     * @param {Schema} schema @param {ClassSchema} cls @param {Image | null} image @param {Iterable<Instruction>} steps */
    export function replay(schema: Schema, cls: ClassSchema, image: Image | null, steps: Iterable<Instruction>): {
        [x: string]: any;
    } | null;
    export type Schema = import("realm/core/edits").Schema;
    export type ClassSchema = import("realm/core/edits").ClassSchema;
    export type Edit = import("realm/core/edits").Edit;
    export type Image = import("realm/core/edits").Image;
    export type Instruction = import("realm/core/messages").Instruction;
}
declare module "realm/client/rebase" {
    /** The object after `steps`, null if there is none. An update or edit of an absent object does nothing (R8); a create of an
     * object that is there joins it. @param {any} schema @param {any} table @param {Image | null} image @param {Instruction[]} steps
     * @returns {Image | null} */
    export function replay(schema: any, { name, keyName }: any, image: Image | null, steps: Instruction[]): Image | null;
    /** @typedef {Record<string, any>} Image an object's wire values by property, its key included */
    /** @typedef {{op: "create" | "update" | "delete" | "set" | "add" | "insert" | "move" | "remove" | "clear" | "setInsert" | "setRemove",
     *   class: string, _id: any, values?: Image, path?: (string | number)[], base?: number, value?: any, by?: any, to?: number}} Instruction */
    /** @typedef {{clientVersion: number | null, baseVersion: number, timestamp: number, bytes: number, instructions: Instruction[]}} Changeset
     *   `clientVersion` is null until it is durable */
    /** The instructions of one transaction, in order, folded per object where the meaning stays.
     *
     * Updates and edits fold into the create or update before them, and an object that was created and deleted in one
     * transaction leaves nothing. One stays apart where folding would let an object link to one that is created only later:
     * the server applies the steps in order. */
    export class Fold {
        /** @param {string} name @param {any} key @param {Image} values without the key */
        create(name: string, key: any, values: Image): void;
        /** @param {string} name @param {any} key @param {Image} values @param {[string, any][] | null} links what `values` link to;
         * null: perhaps anything */
        update(name: string, key: any, values: Image, links: [string, any][] | null): void;
        /** @param {Instruction} step @param {any} shape of its property (core/edits.js) @param {boolean} mayLink */
        edit(step: Instruction, shape: any, mayLink: boolean): void;
        /** Edits that together make `value` of a property. @param {Instruction[]} steps @param {string} property @param {any} value @param {boolean} mayLink */
        assign(steps: Instruction[], property: string, value: any, mayLink: boolean): void;
        /** @param {string} name @param {any} key */
        delete(name: string, key: any): void;
        steps(): Instruction[];
        #private;
    }
    /**
     * an object's wire values by property, its key included
     */
    export type Image = Record<string, any>;
    export type Instruction = {
        op: "create" | "update" | "delete" | "set" | "add" | "insert" | "move" | "remove" | "clear" | "setInsert" | "setRemove";
        class: string;
        _id: any;
        values?: Image;
        path?: (string | number)[];
        base?: number;
        value?: any;
        by?: any;
        to?: number;
    };
    /**
     * `clientVersion` is null until it is durable
     */
    export type Changeset = {
        clientVersion: number | null;
        baseVersion: number;
        timestamp: number;
        bytes: number;
        instructions: Instruction[];
    };
}
declare module "realm/client/listeners" {
    /** What makes `next` of `old`, two lists of images. A member that moved is a deletion and an insertion.
     * @param {Image[]} old @param {Image[]} next @param {string} keyName @param {(old: Image, next: Image) => boolean} isModified */
    export function collectionChanges(old: Image[], next: Image[], keyName: string, isModified: (old: Image, next: Image) => boolean): CollectionChanges;
    /** @param {() => void} call what an app's callback throws has nobody to be thrown to */
    export function deliver(call: () => void): void;
    /** Key paths as lists of wire names; null: everything. Throws in Realm's words if one leads nowhere.
     * @param {any} realm @param {string} name class @param {string | string[] | undefined} keyPaths
     * @returns {string[][] | null} */
    export function resolveKeyPaths(realm: any, name: string, keyPaths: string | string[] | undefined): string[][] | null;
    /** One listener of a collection. */
    export class CollectionObserver {
        /** @param {World} world @param {any} results live @param {(collection: any, changes: any) => void} callback
         * @param {string[][] | null} paths */
        constructor(world: World, results: any, callback: (collection: any, changes: any) => void, paths: string[][] | null);
        /** @param {Touched} touched */
        look(touched: Touched): void;
        #private;
    }
    /** One listener of a list or set. */
    export class ElementsObserver {
        /** @param {World} world @param {import('./live.js').Place} place @param {(changes: CollectionChanges) => void} tell @param {string[][] | null} paths */
        constructor(world: World, place: import("realm/client/live").Place, tell: (changes: CollectionChanges) => void, paths: string[][] | null);
        /** @param {Touched} touched */
        look(touched: Touched): void;
        #private;
    }
    /** One listener of a dictionary. */
    export class DictionaryObserver {
        /** @param {World} world @param {import('./live.js').Place} place @param {(changes: DictionaryChanges) => void} tell @param {string[][] | null} paths */
        constructor(world: World, place: import("realm/client/live").Place, tell: (changes: DictionaryChanges) => void, paths: string[][] | null);
        /** @param {Touched} touched */
        look(touched: Touched): void;
        #private;
    }
    /** One listener of an object. */
    export class ObjectObserver {
        /** @param {() => Image | undefined} read what is there now @param {(changes: ObjectChanges) => void} tell @param {string[][] | null} paths
         * @param {[string, string][]} names [wire name, name in JavaScript] of every property */
        constructor(read: () => Image | undefined, tell: (changes: ObjectChanges) => void, paths: string[][] | null, names: [string, string][]);
        look(): void;
        #private;
    }
    /** One per open file: lets the observers look, once per turn of the event loop in which something changed. */
    export class Notifier {
        /** @param {{tables: Map<string, Table>}} store */
        constructor(store: {
            tables: Map<string, Table>;
        });
        changed(): void;
        /** @param {{look: (touched: Touched) => void}} observer @param {boolean} isFirst it looks before those that are there */
        add(observer: {
            look: (touched: Touched) => void;
        }, isFirst: boolean): void;
        /** @param {{look: (touched: Touched) => void}} observer */
        remove(observer: {
            look: (touched: Touched) => void;
        }): void;
        /** What is due is told now. */
        deliver(): void;
        close(): void;
        #private;
    }
    export type Table = import("realm/client/tables").Table;
    export type Image = import("realm/client/rebase").Image;
    /**
     * class → key → the object as it was
     */
    export type Touched = Map<string, Map<any, Image | undefined>>;
    /**
     * `deletions` and `oldModifications` are indices in the previous state, the others in the new one; ascending
     */
    export type CollectionChanges = {
        insertions: number[];
        deletions: number[];
        newModifications: number[];
        oldModifications: number[];
    };
    export type ObjectChanges = {
        deleted: boolean;
        changedProperties: string[];
    };
    export type DictionaryChanges = {
        insertions: string[];
        deletions: string[];
        modifications: string[];
    };
    export type World = {
        tables: Map<string, Table>;
        schema: any;
    };
}
declare module "realm/client/fileRecord" {
    /** @param {{schema: StoredClass[]}} file @param {StoredClass[]} classes */
    export function addSchema(file: {
        schema: StoredClass[];
    }, classes: StoredClass[]): void;
    export function newFile(): {
        revision: number;
        logged: number;
        base: number;
        rewritten: number;
        tail: number;
        tailCharacters: number;
        weight: number;
        clientFile: {
            ident: number;
            salt: string;
        } | null;
        epoch: string | null;
        serverVersion: number;
        clientVersion: number;
        queryVersion: number;
        view: number;
        nextClientVersion: number;
        downloaded: boolean;
        reset: Reset | null;
        resets: number;
        integrated: number;
        resetSet: StoredSet | null;
        maxMessageBytes: number;
        opened: boolean;
        owner: string | null;
        schemaVersion: number | null;
        schema: StoredClass[];
        sets: StoredSet[];
        rejected: Report[];
    };
    export function due(file: {
        rejected: Report[];
        clientVersion: number;
    }): Report[];
    export type StoredClass = import("realm/client/tables").StoredClass;
    export type StoredSet = {
        version: number;
        state: "pending" | "complete" | "error";
        error: string | null;
        after: number;
        subscriptions: any[];
    };
    /**
     * compensating writes
     */
    export type Report = {
        clientVersion: number;
        writes: any[];
        told?: boolean;
    };
    /**
     * what becomes of what is pending; fallback: discarded, since recovering
     *  did not work
     */
    export type Reset = "recover" | "discard" | "fallback";
    export type FileRecord = ReturnType<typeof newFile>;
}
declare module "realm/client/replica" {
    export class Replica {
        /** @param {boolean} synced a local realm's classes may change in any way */
        constructor(synced: boolean);
        /** @type {Map<string, Table>} */
        tables: Map<string, Table>;
        /** @type {Changeset[]} in order: those that are durable, then those that are not yet */
        pending: Changeset[];
        /** What the core wants to know of classes. */
        schema: {
            get: (name: string) => any;
            has: (name: string) => boolean;
            isEmbedded: (name: string | undefined) => boolean;
            element: typeof elementOf;
            wireType: (property: any) => any;
        };
        /** The classes of the file. @param {StoredClass[]} classes */
        adoptSchema(classes: StoredClass[]): void;
        /** @param {StoredClass} cls */
        tableFor(cls: StoredClass): Table;
        /** Other classes and objects; nothing is pending any more. @param {StoredClass[]} classes @param {Map<string, Map<any, Image>>} objects
         * @param {() => void} change what else is done before */
        replace(classes: StoredClass[], objects: Map<string, Map<any, Image>>, change: () => void): void;
        /** A local transaction, whose effect is in the tables already. @param {Changeset} changeset @param {Map<Table, Map<any, Image | null>>} originals */
        commit(changeset: Changeset, originals: Map<Table, Map<any, Image | null>>): void;
        /** A pending changeset of another tab, in its place among ours; the objects it touches are to be shown anew.
         * @param {Changeset} changeset @param {Map<string, Set<any>>} touched */
        insert(changeset: Changeset, touched: Map<string, Set<any>>): void;
        /** What the edits that are pending read from now on, by changeset, if `merge` is called with the same: those of the changesets
         * that nothing changes are left out. @param {Changes[]} list @param {(changeset: Changeset) => boolean} done
         * @param {number | null} version the server's; null: nobody else writes, so every edit stays as it is
         * @returns {Map<Changeset, Instruction[]>} */
        rebased(list: Changes[], done: (changeset: Changeset) => boolean, version: number | null): Map<Changeset, Instruction[]>;
        /** A changeset reads so from now on; its objects are to be shown anew. @param {Changeset} changeset @param {Instruction[]} instructions
         * @param {Map<string, Set<any>>} touched */
        reword(changeset: Changeset, instructions: Instruction[], touched: Map<string, Set<any>>): void;
        /** What another tab committed. Its edits, and ours that it counted anew, read as they are stored; ours that are not durable
         * yet come after them all. @param {Changes[]} list @param {Changeset[]} changesets as stored @param {number} clientVersion the
         * server has those up to this one @param {number} version the server's */
        receive(list: Changes[], changesets: Changeset[], clientVersion: number, version: number): void;
        /** Server state forward, changesets that are `done` dropped, the rest replayed, their edits counted anew. @param {Changes[]} list
         * @param {(changeset: Changeset) => boolean} done @param {number | null} version as in `rebased` @param {Map<string, Set<any>>} [touched] */
        merge(list: Changes[], done: (changeset: Changeset) => boolean, version: number | null, touched?: Map<string, Set<any>>): void;
        /** What changesets of a local realm, the oldest that are pending, mean to the log: changes for each. @param {Changeset[]} changesets
         * @returns {Changes[][]} */
        localChanges(changesets: Changeset[]): Changes[][];
        /** What is durable of what is pending reads so in a client reset, when the server's state is that of `list`.
         * @param {Changeset[]} kept as stored @param {Changes[]} list @param {number} version @returns {Changeset[]} */
        recovered(kept: Changeset[], list: Changes[], version: number): Changeset[];
        /** Everything anew: what `list` makes, with `changesets` and what is not durable yet on top. @param {Changes[]} list
         * @param {Changeset[]} changesets @param {number} serverVersion what `list` says is the state at this version */
        rebuild(list: Changes[], changesets: Changeset[], serverVersion: number): void;
        /** How many objects are visible. */
        get size(): number;
        /** One text that says what these changes came to. @param {Changes[]} list */
        page(list: Changes[]): string;
        /** The whole server state. */
        pages(): Generator<string, void, unknown>;
        #private;
    }
    export type Image = import("realm/client/rebase").Image;
    export type Instruction = import("realm/client/rebase").Instruction;
    export type Changeset = import("realm/client/rebase").Changeset;
    export type StoredClass = import("realm/client/tables").StoredClass;
    export type Changes = {
        class: string;
        put?: Image[];
        patch?: Image[];
        erase?: any[];
    };
    import { Table } from "realm/client/tables";
    import { elementOf } from "realm/core/schema";
}
declare module "realm/client/log" {
    /** @param {any} transaction @param {FileRecord} file @param {string[]} texts @param {number} rows */
    export function append(transaction: any, file: FileRecord, texts: string[], rows: number): void;
    /** Whether it has grown enough. @param {FileRecord} file @param {Replica} replica */
    export function isFoldDue(file: FileRecord, replica: Replica): boolean;
    /** The small records at the end become one; or, where the log says everything many times over, all of it is written anew
     * in pages. @param {any} transaction @param {FileRecord} file @param {Replica} replica which has read it all */
    export function fold(transaction: any, file: FileRecord, replica: Replica): Promise<void>;
    /** The log anew, of everything in it. @param {any} transaction @param {FileRecord} file @param {Replica} replica */
    export function rewrite(transaction: any, file: FileRecord, replica: Replica): void;
    /** An empty one in place of it, which whoever has read the old one must read. @param {any} transaction @param {FileRecord} file */
    export function clear(transaction: any, file: FileRecord): void;
    /** As the first log of a file. @param {FileRecord} file @param {Replica} replica @returns {string[]} */
    export function begin(file: FileRecord, replica: Replica): string[];
    export type FileRecord = import("realm/client/fileRecord").FileRecord;
    export type Replica = import("realm/client/replica").Replica;
}
declare module "realm/client/writer" {
    export class Writer {
        /** @param {any} schema @param {() => Commit} commit asked at the end */
        constructor(schema: any, commit: () => Commit);
        /** What was replaced, for `restore`. @type {object[]} */
        replaced: object[];
        /** @param {Table} table @param {Image} image */
        create(table: Table, image: Image): void;
        /** @param {Table} table @param {any} key @param {Image} values */
        update(table: Table, key: any, values: Image): void;
        /** A step inside a property. Throws an EditError, and changes nothing, where it leads nowhere.
         * @param {Table} table @param {any} key @param {import('./rebase.js').Instruction & {path: (string | number)[]}} step */
        edit(table: Table, key: any, step: import("realm/client/rebase").Instruction & {
            path: (string | number)[];
        }): void;
        /** Steps that together make `value` of a property. @param {Table} table @param {any} key @param {import('./rebase.js').Instruction[]} steps
         * @param {string} name @param {any} value */
        assign(table: Table, key: any, steps: import("realm/client/rebase").Instruction[], name: string, value: any): void;
        /** @param {Table} table @param {any} key */
        delete(table: Table, key: any): void;
        /** Makes the changeset pending. Throws if it is larger than the server takes; `cancel` then. @param {number} timestamp */
        finish(timestamp: number): void;
        /** Undoes everything. */
        cancel(): void;
        #private;
    }
    export type Image = import("realm/client/rebase").Image;
    export type Changeset = import("realm/client/rebase").Changeset;
    export type Table = import("realm/client/tables").Table;
    /**
     * What a transaction needs of its store. `limit`: bytes that one changeset may have, null: any number.
     */
    export type Commit = {
        baseVersion: number;
        limit: number | null;
        commit: (changeset: Changeset, originals: Map<Table, Map<any, Image | null>>) => void;
        end: () => void;
    };
}
declare module "realm/client/disk" {
    export function fileError(name: string, problem: string, code: Parameters<typeof realmError>[1]): Error & {
        code: number;
        codeName: "PropertyTypeMismatch" | "InvalidQuery" | "LimitExceeded" | "AuthError" | "UserDisabled" | "SchemaMismatch" | "InternalServerError" | "AppUnknownError" | "RuntimeError" | "OutOfDiskSpace" | "IncompatibleSession" | "UnsupportedFileFormatVersion" | "ObjectAlreadyExists" | "FileOperationFailed" | "FileNotFound" | "InvalidDatabase" | "DecryptionFailed" | "SchemaVersionMismatch" | "NoSubscriptionForWrite" | "OperationAborted" | "NotSupported" | "WrongTransactionState" | "IllegalOperation" | "InvalidatedObject" | "ReadOnlyDB" | "DeleteOnOpenRealm" | "MismatchedConfig" | "ClosedRealm" | "SchemaValidationFailed" | "InvalidSchemaVersion" | "InvalidArgument" | "ReadOnlyProperty" | "MissingPropertyValue" | "ModifyPrimaryKey" | "InvalidProperty" | "InvalidDictionaryKey" | "InvalidEncryptionKey" | "InvalidQueryArg" | "KeyNotFound" | "OutOfBounds" | "NoSuchTable" | "IllegalCombination" | "CustomError" | "ClientUserNotFound" | "ClientUserNotLoggedIn" | "BadToken" | "MissingAuthReq" | "InvalidSession" | "InvalidParameter" | "MissingParameter" | "HTTPError" | "AuthProviderNotFound" | "APIKeyNotFound" | "APIKeyAlreadyExists" | "NotCallable" | "UserNotFound" | "BadRequest" | "AccountNameInUse" | "InvalidPassword" | "AppServerError";
    };
    /** A realm's database in IndexedDB; every tab of the origin may have it open. */
    export class Disk {
        /** Opens the database, which is made if need be. Without storage in this browser, what it gives is a MemoryDisk.
         * @param {string} name @param {boolean} [isThere] it was made before: then nothing takes its place, and this throws */
        static open(name: string, isThere?: boolean): Promise<Disk | MemoryDisk>;
        /** @param {string} name */
        static delete(name: string): Promise<void>;
        /** Puts a database elsewhere, record by record as they are: an encrypted one keeps its key. Other tabs that have it open
         * lose it first, as when it is deleted: what is durable then is all there is. It may be done again after it failed halfway.
         * @param {string} from @param {string} to @returns {Promise<boolean>} false: this browser has no storage, so there is nothing */
        static move(from: string, to: string): Promise<boolean>;
        /** @param {IDBDatabase} database */
        constructor(database: IDBDatabase);
        /** Called when another tab deletes the database. */
        onGone: () => void;
        /** Runs `work` in one transaction over all stores: all of it happens, durably once this resolves, or nothing.
         * @template T @param {(transaction: IndexedTransaction) => Promise<T>} work
         * @param {{mode?: IDBTransactionMode, durability?: "strict" | "relaxed"}} [options] @returns {Promise<T>} */
        transact<T>(work: (transaction: IndexedTransaction) => Promise<T>, { mode, durability }?: {
            mode?: IDBTransactionMode;
            durability?: "strict" | "relaxed";
        }): Promise<T>;
        close(): void;
        #private;
    }
    /** The same without storage: for `inMemory` realms and for browsers that give none. One tab only. */
    export class MemoryDisk {
        onGone: () => void;
        /** @template T @param {(transaction: any) => Promise<T>} work */
        transact<T>(work: (transaction: any) => Promise<T>): Promise<T>;
        close(): void;
        #private;
    }
    import { realmError } from "realm/core/errors";
    /** What a transaction can do. Reads are awaited; writes need not be: the transaction fails if one of them does. */
    class IndexedTransaction {
        /** @param {IDBTransaction} transaction @param {string} name of the database */
        constructor(transaction: IDBTransaction, name: string);
        /** Throws if an EncryptedDisk wrote it. @param {string} store @param {number} key */
        get(store: string, key: number): Promise<any>;
        /** The record as it is. @param {string} store @param {number} key @returns {Promise<any>} */
        read(store: string, key: number): Promise<any>;
        /** The records above `after`, as [[key, value]]. @param {string} store @param {number} after */
        above(store: string, after?: number): Promise<[number, any][]>;
        /** @param {string} store @param {number} key @param {any} value */
        put(store: string, key: number, value: any): void;
        /** Deletes the records above `after` up to `upto`. @param {string} store @param {number} after @param {number} upto */
        delete(store: string, after: number, upto: number): void;
        #private;
    }
    export {};
}
declare module "realm/client/encryptedDisk" {
    /** A realm's database, opened with or without a key. @param {string} name @param {Uint8Array | undefined} key
     * @param {boolean} [isThere] see Disk.open */
    export function openDisk(name: string, key: Uint8Array | undefined, isThere?: boolean): Promise<Disk | import("realm/client/disk").MemoryDisk | EncryptedDisk>;
    export class EncryptedDisk {
        /** @param {Disk} disk @param {string} name @param {Uint8Array} bytes what the app calls the key */
        constructor(disk: Disk, name: string, bytes: Uint8Array);
        /** Called when another tab deletes the database. */
        onGone: () => void;
        /** Runs `work` as Disk does: all of it happens, durably once this resolves, or nothing. It may run several times.
         * @template T @param {(transaction: any) => Promise<T>} work
         * @param {{mode?: IDBTransactionMode, durability?: "strict" | "relaxed"}} [options] @returns {Promise<T>} */
        transact<T>(work: (transaction: any) => Promise<T>, { mode, durability }?: {
            mode?: IDBTransactionMode;
            durability?: "strict" | "relaxed";
        }): Promise<T>;
        close(): void;
        #private;
    }
    /**
     * the `file` record
     */
    export type Header = {
        salt: Uint8Array;
        stamp: string;
        data: Uint8Array | null;
    };
    /**
     * one write that is kept back; without `key`: a deletion
     */
    export type Step = {
        key?: number;
        value?: any;
        after: number;
        upto: number;
    };
    import { Disk } from "realm/client/disk";
}
declare module "realm/client/store" {
    export class Store {
        /** @param {string} path @param {boolean} synced local writes become pending changesets */
        constructor(path: string, synced: boolean);
        path: string;
        synced: boolean;
        file: {
            revision: number;
            logged: number;
            base: number;
            rewritten: number;
            tail: number;
            tailCharacters: number;
            weight: number;
            clientFile: {
                ident: number;
                salt: string;
            } | null;
            epoch: string | null;
            serverVersion: number;
            clientVersion: number;
            queryVersion: number;
            view: number;
            nextClientVersion: number;
            downloaded: boolean;
            reset: import("realm/client/fileRecord").Reset | null;
            resets: number;
            integrated: number;
            resetSet: import("realm/client/fileRecord").StoredSet | null;
            maxMessageBytes: number;
            opened: boolean;
            owner: string | null;
            schemaVersion: number | null;
            schema: import("realm/client/fileRecord").StoredClass[];
            sets: import("realm/client/fileRecord").StoredSet[];
            rejected: import("realm/client/fileRecord").Report[];
        };
        /** Whether what is durable has been read. Until then the store is empty but for what is written meanwhile. */
        isLoaded: boolean;
        isClosed: boolean;
        isFrozen: boolean;
        onChange: () => void;
        onRebuild: () => void;
        onCommit: () => void;
        onFailure: (/** @type {any} */ error: any) => void;
        /** By class. */
        get tables(): Map<string, import("realm/client/tables").Table>;
        /** In order: those that are durable, then those that are not yet. */
        get pending(): import("realm/client/rebase").Changeset[];
        /** What the core wants to know of classes. */
        get schema(): {
            get: (name: string) => any;
            has: (name: string) => boolean;
            isEmbedded: (name: string | undefined) => boolean;
            element: typeof import("realm/core/schema").elementOf;
            wireType: (property: any) => any;
        };
        /** Reads what is durable. Until it resolves the store shows only what was written to it.
         * @param {Storage} disk @param {boolean} [isNew] it was thought that there is nothing to read */
        load(disk: Storage, isNew?: boolean): Promise<void>;
        /** Another tab has committed: reads what. One reading serves everybody who asks before it begins. @returns {Promise<any>} */
        catchUp(): Promise<any>;
        /** Ends it. What is not durable yet becomes so first. */
        close(): Promise<void>;
        /** One at a time; until it ends, nothing else changes the tables. */
        writer(): Writer;
        /** Resolves when everything written so far is durable; rejects if the browser could not store it (it is kept in memory
         * and tried again). */
        writesFlushed(): Promise<void>;
        /** Some opening of the file has succeeded. Files of before this was noted were all opened. */
        get wasOpened(): boolean;
        /** @param {string} id of the user who opens a file that is nobody's */
        setOwner(id: string): Promise<undefined>;
        setOpened(): Promise<undefined>;
        /** What a session needs to know when its connection opens. */
        fileState(): {
            clientFile: {
                ident: number;
                salt: string;
            } | null;
            epoch: string | null;
            progress: {
                serverVersion: number;
                clientVersion: number;
                queryVersion: number;
                view: number;
            };
            sets: {
                queryVersion: number;
                after: number;
                subscriptions: any[];
            }[];
            resetting: boolean;
        };
        /** Durable changesets above `after`, up to `upto` if given, of `maxBytes` together but at least one. @param {number} after
         * @param {number | null} upto @param {number} maxBytes */
        pendingAbove(after: number, upto: number | null, maxBytes: number): {
            clientVersion: number;
            baseVersion: number;
            timestamp: number;
            instructions: import("realm/client/rebase").Instruction[];
        }[];
        /** The server's answer to `bind`. @param {any} clientFile @param {any} bound */
        storeBound(clientFile: any, bound: any): Promise<void>;
        /** Whether a client reset waits for content, of a subscription set that the server may have. */
        get isAwaitingReset(): boolean;
        /** Whether anything is here that a client reset could take away. */
        get hasHistory(): boolean;
        /** What becomes of what is pending in the client reset that this download completes. @param {any} download */
        resetEndedBy({ queryVersion }: any, file?: {
            revision: number;
            logged: number;
            base: number;
            rewritten: number;
            tail: number;
            tailCharacters: number;
            weight: number;
            clientFile: {
                ident: number;
                salt: string;
            } | null;
            epoch: string | null;
            serverVersion: number;
            clientVersion: number;
            queryVersion: number;
            view: number;
            nextClientVersion: number;
            downloaded: boolean;
            reset: import("realm/client/fileRecord").Reset | null;
            resets: number;
            integrated: number;
            resetSet: import("realm/client/fileRecord").StoredSet | null;
            maxMessageBytes: number;
            opened: boolean;
            owner: string | null;
            schemaVersion: number | null;
            schema: import("realm/client/fileRecord").StoredClass[];
            sets: import("realm/client/fileRecord").StoredSet[];
            rejected: import("realm/client/fileRecord").Report[];
        }): import("realm/client/fileRecord").Reset | null;
        /** Resolves when no local transaction is open. */
        idle(): Promise<void>;
        /** One download, or one bootstrap with all its parts, in one transaction (R10): durable first, then visible. What a
         * client reset discards is what is pending at the call: what is written later, nobody was shown before it went.
         * @param {any} download the last part @param {Changes[]} changes of all parts @param {string[]} texts the frames they came in */
        apply(download: any, changes: Changes[], texts: string[]): Promise<{
            rejected: import("realm/client/fileRecord").Report[];
            reset: import("realm/client/fileRecord").Reset | null;
        }>;
        /** Keeps a report of compensating writes until its correction is here; gives those whose correction is here already.
         * @param {Report} report */
        holdRejected({ clientVersion, writes }: Report): Promise<import("realm/client/fileRecord").Report[]>;
        /** Reports whose correction is applied and that the app has not been told: its tab was closed in between. */
        dueReports(): import("realm/client/fileRecord").Report[];
        /** The app knows these. The same may come again after a reconnect, so the newest are remembered. @param {Report[]} reports */
        reportsTold(reports: Report[]): Promise<void>;
        /** @param {number} version @param {string} message */
        refuseSet(version: number, message: string): Promise<void>;
        /** Client reset: the file asks for a new ident and everything anew. What is visible stays until that is here, pending
         * changesets stay as well; of the subscription sets the newest, or, where unsynced changes are discarded, the newest that
         * was complete. Rejects, and changes nothing, if those before this one did not get through; where recovering may end in
         * discarding, one more is tried, which discards.
         * @param {"recoverUnsyncedChanges" | "recoverOrDiscardUnsyncedChanges" | "discardUnsyncedChanges"} mode
         * @param {number | null} [integrated] the server has the changesets up to this one, so the new content has what they did and
         *   they are not sent again (R6); null: it knows nothing of them, whatever was said before */
        beginReset(mode: "recoverUnsyncedChanges" | "recoverOrDiscardUnsyncedChanges" | "discardUnsyncedChanges", integrated?: number | null): Promise<void>;
        /** @returns {StoredSet[]} every set that is not superseded, oldest first */
        get sets(): StoredSet[];
        /** The newest set; version 0, empty and complete, in a new file. */
        newestSet(): import("realm/client/fileRecord").StoredSet;
        /** A new newest set, to be sent after the changesets that exist now. @param {any[]} subscriptions @returns {StoredSet} */
        addSet(subscriptions: any[]): StoredSet;
        /** Every pending set that is durable, oldest first. */
        unsentSets(): {
            queryVersion: number;
            after: number;
            subscriptions: any[];
        }[];
        /** Adds classes and properties. Throws if they contradict what is there. @param {StoredClass[]} classes
         * @param {number | null} [schemaVersion] */
        addSchema(classes: StoredClass[], schemaVersion?: number | null): void;
        /** @param {StoredClass} cls */
        _tableFor(cls: StoredClass): import("realm/client/tables").Table;
        /** For the migration of a local realm: other classes and objects, and what `change` makes of them. Nothing of it is
         * durable if that throws. @param {StoredClass[]} classes @param {number} schemaVersion
         * @param {Map<string, Map<any, Image>>} objects @param {() => void} change */
        replaceLocal(classes: StoredClass[], schemaVersion: number, objects: Map<string, Map<any, Image>>, change: () => void): Promise<void>;
        /** How many characters the log has, and how many it would have if it were written anew. */
        sizes(): Promise<{
            total: number;
            used: number;
        }>;
        /** Writes the log anew. False if another tab wrote meanwhile, or a transaction is open. */
        compact(): Promise<boolean>;
        /** What a frozen store has as the contents of another file: its record and the texts of its log. A synced one has no
         * ident: it fetches everything anew when it first connects, with the same subscriptions. */
        asNewFile(): {
            file: {
                revision: number;
                opened: boolean;
                schema: import("realm/client/tables").StoredClass[];
                schemaVersion: number | null;
                logged: number;
                base: number;
                rewritten: number;
                tail: number;
                tailCharacters: number;
                weight: number;
                clientFile: {
                    ident: number;
                    salt: string;
                } | null;
                epoch: string | null;
                serverVersion: number;
                clientVersion: number;
                queryVersion: number;
                view: number;
                nextClientVersion: number;
                downloaded: boolean;
                reset: import("realm/client/fileRecord").Reset | null;
                resets: number;
                integrated: number;
                resetSet: import("realm/client/fileRecord").StoredSet | null;
                maxMessageBytes: number;
                owner: string | null;
                sets: import("realm/client/fileRecord").StoredSet[];
                rejected: import("realm/client/fileRecord").Report[];
            };
            texts: string[];
        };
        /** This moment as a store that never changes. */
        freeze(): Store;
        #private;
    }
    export type Image = import("realm/client/rebase").Image;
    export type Changeset = import("realm/client/rebase").Changeset;
    export type Changes = import("realm/client/replica").Changes;
    export type Table = import("realm/client/tables").Table;
    export type StoredClass = import("realm/client/tables").StoredClass;
    export type FileRecord = import("realm/client/fileRecord").FileRecord;
    export type StoredSet = import("realm/client/fileRecord").StoredSet;
    export type Report = import("realm/client/fileRecord").Report;
    export type Reset = import("realm/client/fileRecord").Reset;
    export type Unflushed = {
        changeset: Changeset;
    } | {
        set: StoredSet;
    } | {
        schema: StoredClass[];
        schemaVersion: number | null;
    };
    export type Storage = import("realm/client/disk").Disk | import("realm/client/disk").MemoryDisk | import("realm/client/encryptedDisk").EncryptedDisk;
    import { Writer } from "realm/client/writer";
}
declare module "realm/client/clientReset" {
    /** @typedef {import('../core/errors.js').ClientResetError} ClientResetError */
    export class ClientResetHooks {
        /** @param {{path: string, realms: Set<any>, store: import('./store.js').Store, session: any}} file
         * @param {() => string} putAside schedules that, and gives where */
        constructor(file: {
            path: string;
            realms: Set<any>;
            store: import("realm/client/store").Store;
            session: any;
        }, putAside: () => string);
        putAside: () => string;
        /** The new content is about to replace the old: `onBefore` of each realm. `after` must be called with what this gives. */
        before(): {
            realm: any;
            before: any;
        }[];
        /** It has: `onAfter` of each realm, or `onFallback` where what was to be recovered is discarded. The realms of before are
         * closed. @param {{realm: any, before: any}[]} frozen @param {string | null} reset null: it failed */
        after(frozen: {
            realm: any;
            before: any;
        }[], reset: string | null): void;
        /** It is left to the app (`onManual`, else `onError`), or failed (`onError`). @param {ClientResetError} error */
        failed(error: ClientResetError): any;
        #private;
    }
    export type ClientResetError = import("realm/core/errors").ClientResetError;
}
declare module "realm/client/migration" {
    /** Brings the file to the declared classes; throws, and changes nothing, where that needs another `schemaVersion`.
     * @param {any} file @param {any} config */
    export function migrate({ store, realms }: any, { classes, schemaVersion, readOnly, deleteRealmIfMigrationNeeded, onMigration }: any): Promise<any>;
}
declare module "realm/core/clientSession" {
    /** Instructions in one upload, about; a single larger changeset travels alone. */
    export const UPLOAD_BYTES: number;
    /** Uploads on the way that no download has acknowledged yet. */
    export const UPLOADS_AHEAD: 4;
    /** The session's own mark; those of `requestMark` are above. */
    export const CATCH_UP_MARK: 0;
    export const PING_MS: 60000;
    export const PONG_MS: 120000;
    /** How long an ending session waits for `unbound`. */
    export const UNBIND_MS: 3000;
    /**
     * @typedef {import("./messages.js").Download} Download
     * @typedef {import("./messages.js").ClientFile} ClientFile
     * @typedef {import("./messages.js").Changeset} Changeset
     * @typedef {"new" | "binding" | "bound" | "unbinding" | "closed"} State
     * @typedef {import("./errors.js").Action | "done"} EndAction
     */
    /**
     * A set that this server may not have: it follows the changesets up to `after`.
     * @typedef {{queryVersion: number, after: number, subscriptions: import("./messages.js").SubscriptionItem[]}} UnsentSet
     */
    /**
     * What the client file holds when the connection opens. `sets`: every set that is not complete, oldest first.
     * `resetting`: a client reset is under way: no uploads until the new content has replaced the old.
     * @typedef {{clientFile: ClientFile | null, epoch: string | null, progress: import("./messages.js").Progress,
     *   sets: UnsentSet[], resetting: boolean}} FileState
     */
    /**
     * What the driver must do. StoreBound: durably, in one transaction, before what follows (`clientFile`: set if new).
     * StorePart: keep as long as this session lives, then call `stored()`. ApplyDownload: in one transaction (`withParts`:
     * with the stored parts before it), then call `applied()`. ReadPending: changesets above `after`, up to `upto` if given,
     * of `maxBytes` together but at least one, for `pendingRead()`. RefuseSet: store it, tell who waits. HoldRejected: tell
     * the app once a download with this client version is applied; it may come again. Ended: close the connection, do
     * `action`, not before `retryAfter` milliseconds.
     * @typedef {{kind: "Send", message: import("./messages.js").FromClient}
     *   | {kind: "StoreBound", clientFile: ClientFile | null, bound: import("./messages.js").Bound}
     *   | {kind: "DropParts"}
     *   | {kind: "StorePart", download: Download}
     *   | {kind: "ApplyDownload", download: Download, withParts: boolean}
     *   | {kind: "ReadPending", after: number, upto: number | null, maxBytes: number}
     *   | {kind: "RefuseSet", error: import("./messages.js").RefusedQuery}
     *   | {kind: "HoldRejected", rejected: import("./messages.js").Rejected}
     *   | {kind: "Marked", ident: number}
     *   | {kind: "Ended", action: EndAction, error: SessionError | null, retryAfter: number | null}} Effect
     * @typedef {import("./messages.js").ErrorMessage | ProtocolError} SessionError
     */
    /** One connection. Every method returns the effects to perform, in order; none throws for what the server does. */
    export class ClientSession {
        /** `downloadFirst`: nothing is uploaded before everything that the server has at `bound` is here.
         * @param {FileState} file @param {string | null} token @param {import("./schema.js").WireClass[] | null} schema */
        constructor(file: FileState, token: string | null, schema: import("realm/core/schema").WireClass[] | null, userAgent?: string, { ping, pong, downloadFirst }?: {
            ping?: number | undefined;
            pong?: number | undefined;
            downloadFirst?: boolean | undefined;
        });
        /** @type {State} */
        state: State;
        /** @type {import("./messages.js").Limits | null} */
        limits: import("realm/core/messages").Limits | null;
        /** Changesets up to this client version are with the server, or on their way to it. */
        uploaded: number;
        /** Bound, and nothing holds uploads back for `downloadFirst`. */
        caughtUp: boolean;
        /** Ended by `unbound`: the socket is free for another session. */
        unbound: boolean;
        file: FileState;
        token: string | null;
        schema: import("realm/core/schema").WireClass[] | null;
        userAgent: string;
        ping: number;
        pong: number;
        downloadFirst: boolean;
        /** The socket is open. Parts of an earlier session are thrown away, then the file presents itself.
         * @param {number} now @returns {Effect[]} */
        opened(now: number): Effect[];
        /** The effects of one message. A message that the state does not allow ends the session.
         * @param {import("./messages.js").FromServer} message @param {number} now @returns {Effect[]} */
        receive(message: import("realm/core/messages").FromServer, now: number): Effect[];
        /** The server sent a frame that is no message. @param {ProtocolError} error @returns {Effect[]} */
        undecodable(error: ProtocolError): Effect[];
        /** There are new changesets in the file. */
        localCommit(): Effect[];
        /** There are new subscription sets in the file; those known already are skipped. @param {UnsentSet[]} sets */
        subscriptionsChanged(sets: UnsentSet[]): Effect[];
        /** Ask for a mark, above CATCH_UP_MARK; sent as soon as the session is bound. `Marked` is the answer.
         * @param {number} ident @returns {Effect[]} */
        requestMark(ident: number): Effect[];
        /** The answer to ReadPending; none: there are no more for now. @param {Changeset[]} changesets @returns {Effect[]} */
        pendingRead(changesets: Changeset[]): Effect[];
        /** A part is stored. */
        stored(): Effect[];
        /** The download is applied, and the file's progress is what it says. @param {Download} download */
        applied(download: Download): Effect[];
        /** Call every second or so. Sends pings; ends a session whose server has fallen silent.
         * @param {number} now @returns {Effect[]} */
        tick(now: number): Effect[];
        /** The client wants to end: say so and wait for `unbound`. @returns {Effect[]} */
        close(): Effect[];
        /** The socket is gone. @returns {Effect[]} */
        lost(): Effect[];
        #private;
    }
    export type Download = import("realm/core/messages").Download;
    export type ClientFile = import("realm/core/messages").ClientFile;
    export type Changeset = import("realm/core/messages").Changeset;
    export type State = "new" | "binding" | "bound" | "unbinding" | "closed";
    export type EndAction = import("realm/core/errors").Action | "done";
    /**
     * A set that this server may not have: it follows the changesets up to `after`.
     */
    export type UnsentSet = {
        queryVersion: number;
        after: number;
        subscriptions: import("realm/core/messages").SubscriptionItem[];
    };
    /**
     * What the client file holds when the connection opens. `sets`: every set that is not complete, oldest first.
     * `resetting`: a client reset is under way: no uploads until the new content has replaced the old.
     */
    export type FileState = {
        clientFile: ClientFile | null;
        epoch: string | null;
        progress: import("realm/core/messages").Progress;
        sets: UnsentSet[];
        resetting: boolean;
    };
    /**
     * What the driver must do. StoreBound: durably, in one transaction, before what follows (`clientFile`: set if new).
     * StorePart: keep as long as this session lives, then call `stored()`. ApplyDownload: in one transaction (`withParts`:
     * with the stored parts before it), then call `applied()`. ReadPending: changesets above `after`, up to `upto` if given,
     * of `maxBytes` together but at least one, for `pendingRead()`. RefuseSet: store it, tell who waits. HoldRejected: tell
     * the app once a download with this client version is applied; it may come again. Ended: close the connection, do
     * `action`, not before `retryAfter` milliseconds.
     */
    export type Effect = {
        kind: "Send";
        message: import("realm/core/messages").FromClient;
    } | {
        kind: "StoreBound";
        clientFile: ClientFile | null;
        bound: import("realm/core/messages").Bound;
    } | {
        kind: "DropParts";
    } | {
        kind: "StorePart";
        download: Download;
    } | {
        kind: "ApplyDownload";
        download: Download;
        withParts: boolean;
    } | {
        kind: "ReadPending";
        after: number;
        upto: number | null;
        maxBytes: number;
    } | {
        kind: "RefuseSet";
        error: import("realm/core/messages").RefusedQuery;
    } | {
        kind: "HoldRejected";
        rejected: import("realm/core/messages").Rejected;
    } | {
        kind: "Marked";
        ident: number;
    } | {
        kind: "Ended";
        action: EndAction;
        error: SessionError | null;
        retryAfter: number | null;
    };
    /**
     * What the driver must do. StoreBound: durably, in one transaction, before what follows (`clientFile`: set if new).
     * StorePart: keep as long as this session lives, then call `stored()`. ApplyDownload: in one transaction (`withParts`:
     * with the stored parts before it), then call `applied()`. ReadPending: changesets above `after`, up to `upto` if given,
     * of `maxBytes` together but at least one, for `pendingRead()`. RefuseSet: store it, tell who waits. HoldRejected: tell
     * the app once a download with this client version is applied; it may come again. Ended: close the connection, do
     * `action`, not before `retryAfter` milliseconds.
     */
    export type SessionError = import("realm/core/messages").ErrorMessage | ProtocolError;
    import { ProtocolError } from "realm/core/errors";
}
declare module "realm/client/connections" {
    /** Keeps a websocket whose session has ended by `unbound`; false if it will not: close it.
     * @param {string} url @param {WebSocket} socket @param {number} milliseconds */
    export function keep(url: string, socket: WebSocket, milliseconds: number): boolean;
    /** A websocket that was kept for `url`, if there is one that is open still. @param {string} url @returns {WebSocket | null} */
    export function take(url: string): WebSocket | null;
}
declare module "realm/client/logging" {
    /** A category above the session's sets the level; others have nothing to say here. @param {string} level @param {string} [category] */
    export function setLogLevel(level: string, category?: string): void;
    /** `callback({category, level, message})`, or, if it takes two arguments, `callback(level, message)`.
     * @param {(entry: any, message?: string) => void} callback */
    export function setLogger(callback: (entry: any, message?: string) => void): void;
    /** @param {"info" | "warn"} level @param {string} message */
    export function log(level: "info" | "warn", message: string): void;
    export const NumericLogLevel: Readonly<{
        All: 0;
        Trace: 1;
        Debug: 2;
        Detail: 3;
        Info: 4;
        Warn: 5;
        Error: 6;
        Fatal: 7;
        Off: 8;
    }>;
}
declare module "realm/client/tabs" {
    /** One tab at a time does the work of this name. @param {string} name @param {() => Promise<void>} work @returns {Promise<void>} */
    export function alone(name: string, work: () => Promise<void>): Promise<void>;
    export class Tabs {
        /** Runs `work` unless some tab has the realm open. → whether it did. @param {string} name @param {() => Promise<any>} work
         * @returns {Promise<boolean>} */
        static ifUnused(name: string, work: () => Promise<any>): Promise<boolean>;
        /** @param {string} name of the realm */
        constructor(name: string);
        /** This tab talks to the server. */
        isLeader: boolean;
        /** Handles messages of one type from other tabs. @param {string} type @param {(message: any) => void} handler */
        on(type: string, handler: (message: any) => void): void;
        /** Tells all other tabs. @param {{type: string, [other: string]: any}} message */
        send(message: {
            type: string;
            [other: string]: any;
        }): void;
        /** Before the storage is used. Throws without Web Locks where another tab is there already. */
        join(): Promise<void>;
        /** Nothing is shared: each tab keeps its own in memory, and leads. */
        separate(): void;
        /** Resolves when this tab is the leader; false if it was closed before. @returns {Promise<boolean>} */
        lead(): Promise<boolean>;
        close(): void;
        #private;
    }
}
declare module "realm/client/transport" {
    export namespace delays {
        let first: number;
        let longest: number;
        let jitter: number;
        let answer: number;
    }
    export class Transport {
        /** @param {import('./store.js').Store} store @param {import('./tabs.js').Tabs} tabs
         * @param {import('./configuration.js').SyncConfiguration} sync */
        constructor(store: import("realm/client/store").Store, tabs: import("realm/client/tabs").Tabs, sync: import("realm/client/configuration").SyncConfiguration);
        onError: (/** @type {SyncError} */ error: SyncError) => void;
        onProgress: (/** @type {Progress} */ _progress: Progress) => void;
        onConnection: (/** @type {ConnectionState} */ _now: ConnectionState, /** @type {ConnectionState} */ _before: ConnectionState) => void;
        /** What client resets say to the realms of the file, and where it will be put aside.
         * @type {{before: () => any, after: (before: any, reset: string | null) => void, failed: (error: ClientResetError) => void, putAside: () => string}} */
        resets: {
            before: () => any;
            after: (before: any, reset: string | null) => void;
            failed: (error: ClientResetError) => void;
            putAside: () => string;
        };
        /** The classes that the app declares, as `bind` sends them; null: it takes the server's. @type {any} */
        schema: any;
        /** @type {ConnectionState} */
        connectionState: ConnectionState;
        /** False while paused, after a fatal error, and while the user is logged out. */
        active: boolean;
        /** @type {Record<string, Progress>} */
        progress: Record<string, Progress>;
        get user(): import("realm/client/app").User;
        get path(): string;
        get pendingTransactions(): number;
        start(): void;
        /** Ends the session; resolves when its socket is closed. Open waits fail. */
        stop(): Promise<void>;
        /** Calls `finished` as soon as nothing is pending, or at once where nobody would upload it. @param {() => void} finished */
        finish(finished: () => void): void;
        /** Takes `finish` back. */
        revive(): void;
        /** There may be something new in the store, or in what is wanted. */
        wake(): void;
        pause(): void;
        resume(): void;
        /** Ends the current delay: the next attempt is now. */
        reconnect(): void;
        /** Resolves when the server has acknowledged everything committed so far. @returns {Promise<void>} */
        waitForUpload(): Promise<void>;
        /** Resolves when the set is complete or superseded; rejects if the server refuses it.
         * @param {import('./fileRecord.js').StoredSet} set @returns {Promise<void>} */
        waitForSet(set: import("realm/client/fileRecord").StoredSet): Promise<void>;
        /** Resolves when everything that the server had when it got the question is here. @returns {Promise<void>} */
        waitForDownload(): Promise<void>;
        #private;
    }
    export type ConnectionState = "disconnected" | "connecting" | "connected";
    export type Progress = {
        direction: "download" | "upload";
        estimate: number;
        transferred: number;
        transferable: number;
    };
    export type Wait = {
        kind: "upload" | "set" | "download";
        target: any;
        resolve: () => void;
        reject: (error: any) => void;
    };
    export type Ended = {
        kind: "Ended";
        action: string;
        error: any;
        retryAfter?: number | null;
    };
    import { SyncError } from "realm/core/errors";
    import { ClientResetError } from "realm/core/errors";
}
declare module "realm/client/syncSession" {
    /** Calls a progress callback as its number of parameters asks: one gets the estimate, any other two bytes.
     * @param {Function} callback @param {Progress} progress */
    export function callWithProgress(callback: Function, { estimate, transferred, transferable }: Progress): void;
    /** @param {Promise<void>} wait @param {number | undefined} milliseconds @param {string} message @returns {Promise<void>} */
    export function limited(wait: Promise<void>, milliseconds: number | undefined, message: string): Promise<void>;
    export const ConnectionState: Readonly<{
        Disconnected: "disconnected";
        Connecting: "connecting";
        Connected: "connected";
    }>;
    export const SessionState: Readonly<{
        Invalid: "invalid";
        Active: "active";
        Inactive: "inactive";
    }>;
    export const ProgressDirection: Readonly<{
        Download: "download";
        Upload: "upload";
    }>;
    export const ProgressMode: Readonly<{
        ReportIndefinitely: "reportIndefinitely";
        ForCurrentlyOutstandingWork: "forCurrentlyOutstandingWork";
    }>;
    export const SessionStopPolicy: Readonly<{
        AfterUpload: "after-upload";
        Immediately: "immediately";
        Never: "never";
    }>;
    /** The session of one realm file: one per file and page, shared by its realms. */
    export class SyncSession {
        /** @param {import('./transport.js').Transport} transport */
        constructor(transport: import("realm/client/transport").Transport);
        /** @type {Set<(session: SyncSession, error: any) => void>} */
        _errorCallbacks: Set<(session: SyncSession, error: any) => void>;
        get user(): import("realm").User;
        get url(): string;
        get config(): {
            user: import("realm").User;
            flexible: boolean;
        };
        /** Inactive: paused, the user is logged out, or a fatal error ended it. */
        get state(): "inactive" | "active";
        get connectionState(): import("realm/client/transport").ConnectionState;
        get _path(): string;
        /** How many transactions of this realm the server has not acknowledged, known offline as well; not in Realm. */
        get pendingTransactions(): number;
        isConnected(): boolean;
        /** Ends the session now, in every tab; waits reject with `Sync session became inactive`. Reading and writing go on. */
        pause(): void;
        /** Starts it again; also after a fatal error. */
        resume(): void;
        /** Ends the current delay between attempts: the next one is now. */
        reconnect(): void;
        /** Resolves when the server has acknowledged everything committed before; rejects with a TimeoutError after
         * `timeoutMs`, and the upload goes on. @param {number} [timeoutMs] @returns {Promise<void>} */
        uploadAllLocalChanges(timeoutMs?: number): Promise<void>;
        /** Resolves when everything that the server had at the call is here. @param {number} [timeoutMs] @returns {Promise<void>} */
        downloadAllServerChanges(timeoutMs?: number): Promise<void>;
        /** `callback(estimate)`, or `callback(transferred, transferable)` in bytes if it takes two parameters, on every change; in
         * mode `forCurrentlyOutstandingWork` until that is done. @param {"download" | "upload"} direction
         * @param {"reportIndefinitely" | "forCurrentlyOutstandingWork"} mode @param {(estimate: number, transferable: number) => void} callback */
        addProgressNotification(direction: "download" | "upload", mode: "reportIndefinitely" | "forCurrentlyOutstandingWork", callback: (estimate: number, transferable: number) => void): void;
        /** @param {Function} callback */
        removeProgressNotification(callback: Function): void;
        /** `callback(newState, oldState)` on each change. @param {(now: string, before: string) => void} callback */
        addConnectionNotification(callback: (now: string, before: string) => void): void;
        /** @param {(now: string, before: string) => void} callback */
        removeConnectionNotification(callback: (now: string, before: string) => void): void;
        /** For the realms' `onError`; without any, what goes wrong is a warning in the console. @param {any} error */
        _failed(error: any): void;
        #private;
    }
    export type Progress = import("realm/client/transport").Progress;
}
declare module "realm/client/openFiles" {
    /** The open file of a configuration, opened if need be; `release` it. Throws if it is open in another way.
     * @param {Configuration} config @param {any} realm */
    export function share(config: Configuration, realm: any): OpenFile;
    /** One realm less. The last one ends the session, after its uploads. @param {OpenFile} file @param {any} realm */
    export function release(file: OpenFile, realm: any): void;
    /** Ends it now; nothing that was written is lost. @param {OpenFile} file */
    export function end(file: OpenFile): Promise<void>;
    /** Deletes the file of a realm that is not open in this page; other tabs' realms of it are closed. What a closed realm had
     * still to upload is given up. @param {string} path */
    export function deleteFile(path: string): Promise<void>;
    /** Makes a file with these contents. False if there is one, though it was never known: it stays as it is.
     * @param {Configuration} config @param {{file: any, texts: string[]}} contents @returns {Promise<boolean>} */
    export function makeFile({ path, encryptionKey, schemaVersion }: Configuration, { file, texts }: {
        file: any;
        texts: string[];
    }): Promise<boolean>;
    /** The same now; the realm must be closed. @param {string} path */
    export function resetFile(path: string): Promise<void>;
    export namespace known {
        let memory: Map<string, string>;
        /** The schema version of a file, null if there is no such file. @param {string} path */
        function get(path: string): string | null;
        /** Of all files, also of those that are to be put aside. */
        function paths(): string[];
        /** Whether a page before this one may have made it. @param {string} path */
        function isKept(path: string): boolean;
        /** @param {string} path @param {string | null} version null: there is none any more @param {boolean} [isKept] false: it is in memory */
        function set(path: string, version: string | null, isKept?: boolean): undefined;
    }
    /** One file. `realms` are those that use it. */
    export class OpenFile {
        /** @param {Configuration} config */
        constructor(config: Configuration);
        /** @type {Set<any>} */
        realms: Set<any>;
        /** The local write transaction that is open, and the realm it belongs to. @type {any} */
        writer: any;
        /** @type {Transport | null} */
        transport: Transport | null;
        /** @type {SyncSession | null} */
        session: SyncSession | null;
        isNew: boolean;
        /** Whether some opening of the file succeeded before this page had it open; true while a realm is, that did. */
        wasOpened: boolean;
        /** It outlives this page. */
        isKept: boolean;
        config: {
            sync: import("realm/client/configuration").SyncConfiguration | undefined;
            encryptionKey: Uint8Array<ArrayBufferLike> | undefined;
            schemaVersion: number | null;
            classes: import("realm/core/schema").Schema | undefined;
            path: string;
            schema?: any[];
            inMemory?: boolean;
            readOnly?: boolean;
            shouldCompact?: Function;
            deleteRealmIfMigrationNeeded?: boolean;
            _store?: any;
            _isAwaited?: boolean;
            _ran?: boolean;
        };
        path: string;
        store: Store;
        notifier: Notifier;
        tabs: Tabs;
        /** Resolves when what is durable is here. @type {Promise<void>} */
        loaded: Promise<void>;
        /** The first realm with classes of a local file that was open without. @param {Configuration} config */
        declare(config: Configuration): void;
        /** An opening has succeeded. */
        opened(): void;
        /** The store has changed. */
        changed(): void;
        /** The browser could not store something: what was written is in memory only, for now. @param {any} error */
        failed(error: any): void;
        #private;
    }
    export function isThere(path: string): boolean;
    export namespace userFiles {
        export function open(directory: string): string | null;
        /** Deletes them, with all that was not uploaded. → whether they are gone. @param {string} directory
         * @param {boolean} unused only those that no tab has open; else other tabs' realms of them are closed */
        function _delete(directory: string, unused: boolean): Promise<boolean>;
        export { _delete as delete };
    }
    export function sessions(): SyncSession[];
    export type Configuration = import("realm/client/configuration").Configuration;
    import { Transport } from "realm/client/transport";
    import { SyncSession } from "realm/client/syncSession";
    import { Store } from "realm/client/store";
    import { Notifier } from "realm/client/listeners";
    import { Tabs } from "realm/client/tabs";
}
declare module "realm/client/counters" {
    /** @typedef {import('./live.js').Place} Place */
    export class Counter {
        /** @param {Place} place */
        constructor(place: Place);
        set value(_: any);
        /** A bigint past ±2^53. @returns {any} */
        get value(): any;
        /** @param {number | bigint} [by] */
        increment(by?: number | bigint): void;
        /** @param {number | bigint} [by] */
        decrement(by?: number | bigint): void;
        /** Others' increments that are not here yet are lost. @param {number | bigint} value */
        set(value: number | bigint): void;
        toJSON(): any;
        toString(): string;
        /** @returns {never} */
        [WIRE](): never;
    }
    export type Place = import("realm/client/live").Place;
    import { WIRE } from "realm/core/mixed";
}
declare module "realm/client/writing" {
    /** @typedef {import('./tables.js').Table} Table */
    /** @typedef {import('../core/schema.js').WireProperty} WireProperty */
    /** How nested plain objects are created; null: they are not, a value is only looked for. @typedef {"never" | "modified" | "all" | null} Mode */
    /** The wire value of what an app gives for a property; `where` names it in errors.
     * @param {any} realm @param {string} where @param {WireProperty} prop @param {any} value @param {Mode} mode @returns {any} */
    export function toWire(realm: any, where: string, prop: WireProperty, value: any, mode: Mode): any;
    /** The wire value of a property of a new object. @param {any} realm @param {string} where @param {import('../core/schema.js').Property} prop
     * @param {any} given undefined: the default @param {Mode} mode */
    export function withDefault(realm: any, where: string, prop: import("realm/core/schema").Property, given: any, mode: Mode): any;
    /** Makes a wire value that of the property or element to which `path` leads. @param {any} realm @param {Table} table @param {any} key
     * @param {(string | number)[]} path @param {WireProperty} prop @param {any} wire */
    export function write(realm: any, table: Table, key: any, path: (string | number)[], prop: WireProperty, wire: any): void;
    /** Makes a list what `edits` together make of it. @param {import('./live.js').Place} place @param {any[]} wire @param {any[]} edits */
    export function replaceList({ realm, table, key, path }: import("realm/client/live").Place, wire: any[], edits: any[]): void;
    /** A counter is set by its methods; by assignment only where there is none yet. @param {WireProperty} prop @param {any} present wire
     * @param {any} value */
    export function checkAssignable({ presentation, optional }: WireProperty, present: any, value: any): void;
    /** Takes an embedded object out of what it is in. @param {import('./live.js').Place} place */
    export function removeEmbedded(place: import("realm/client/live").Place): void;
    export function defaultOf({ default: given }: any): any;
    export function isPlain(value: any): boolean;
    export type Table = import("realm/client/tables").Table;
    export type WireProperty = import("realm/core/schema").WireProperty;
    /**
     * How nested plain objects are created; null: they are not, a value is only looked for.
     */
    export type Mode = "never" | "modified" | "all" | null;
}
declare module "realm/client/copying" {
    /** @param {any} realm @param {any} sync its configuration @param {any[] | null} declared its classes, as a file keeps them; null: those of the file
     * @param {Configuration} config of the copy @param {() => any} openTarget opens the copy that is there already */
    export function writeCopy(realm: any, sync: any, declared: any[] | null, config: Configuration, openTarget: () => any): Promise<void>;
    export type Configuration = import("realm/client/configuration").Configuration;
}
declare module "realm/client/dictionaries" {
    /** A dictionary property, or a dictionary inside a mixed value. @template [T=any] */
    export class Dictionary<T = any> {
        [key: string]: any;
        /** @param {Place} place */
        constructor(place: Place);
        /** @param {string} key @returns {T | undefined} */
        _read(key: string): T | undefined;
        isValid(): boolean;
        /** Sets a key, or all of an object's. @param {string | Record<string, T>} key @param {T} [value] @returns {this} */
        set(key: string | Record<string, T>, value?: T): this;
        /** Those that are missing are ignored. @param {string | string[]} keys @returns {this} */
        remove(keys: string | string[]): this;
        /** @returns {Generator<string, void>} */
        keys(): Generator<string, void>;
        /** @returns {Generator<T, void>} */
        values(): Generator<T, void>;
        /** Of this moment. @returns {Generator<[string, T], void>} */
        entries(): Generator<[string, T], void>;
        /** @param {string} [_] @param {Map<string, any>} [cache] @returns {Record<string, any>} */
        toJSON(_?: string, cache?: Map<string, any>): Record<string, any>;
        /** `callback(dictionary, changes)`: soon, with nothing, and then whenever a key or an object in it changes.
         * @param {(dictionary: any, changes: DictionaryChanges) => void} callback @param {string | string[]} [keyPaths] */
        addListener(callback: (dictionary: any, changes: DictionaryChanges) => void, keyPaths?: string | string[]): void;
        /** @param {Function} callback */
        removeListener(callback: Function): void;
        removeAllListeners(): void;
        /** @returns {Generator<[string, T], void>} */
        [Symbol.iterator](): Generator<[string, T], void>;
        [WIRE](): any;
    }
    export type Place = import("realm/client/live").Place;
    export type DictionaryChanges = {
        insertions: string[];
        deletions: string[];
        modifications: string[];
    };
    import { WIRE } from "realm/core/mixed";
}
declare module "realm/client/orderedCollection" {
    export function isIndex(name: any): boolean;
    /** Makes `collection[0]` work; `_at(index)` reads, `_setAt(index, value)` writes. @type {ProxyHandler<any>} */
    export const INDEXED: ProxyHandler<any>;
    /** @template [T=any] */
    export class OrderedCollection<T = any> {
        [index: number]: T;
        /** The elements of this moment. @returns {any[]} */
        _list(): any[];
        /** @returns {number} */
        get length(): number;
        isEmpty(): boolean;
        /** @param {number} index @returns {T | undefined} */
        at(index: number): T | undefined;
        /** @returns {Generator<T, void>} */
        values(): Generator<T, void>;
        /** @returns {IterableIterator<number>} */
        keys(): IterableIterator<number>;
        /** @returns {IterableIterator<[number, T]>} */
        entries(): IterableIterator<[number, T]>;
        /** @template U @param {(object: T, index: number) => U} callback @param {any} [self] @returns {U[]} */
        map<U>(callback: (object: T, index: number) => U, self?: any): U[];
        /** @param {(object: T, index: number) => unknown} callback @param {any} [self] @returns {T[]} */
        filter(callback: (object: T, index: number) => unknown, self?: any): T[];
        /** @param {(object: T, index: number) => unknown} callback @param {any} [self] */
        forEach(callback: (object: T, index: number) => unknown, self?: any): void;
        /** @param {(object: T, index: number) => unknown} callback @param {any} [self] @returns {T | undefined} */
        find(callback: (object: T, index: number) => unknown, self?: any): T | undefined;
        /** @param {(object: T, index: number) => unknown} callback @param {any} [self] */
        findIndex(callback: (object: T, index: number) => unknown, self?: any): number;
        /** @param {(object: T, index: number) => unknown} callback @param {any} [self] */
        some(callback: (object: T, index: number) => unknown, self?: any): boolean;
        /** @param {(object: T, index: number) => unknown} callback @param {any} [self] */
        every(callback: (object: T, index: number) => unknown, self?: any): boolean;
        /** @template U @param {(object: T, index: number) => U | readonly U[]} callback @param {any} [self] @returns {U[]} */
        flatMap<U>(callback: (object: T, index: number) => U | readonly U[], self?: any): U[];
        /** @param {[any, any?]} rest @returns {any} */
        reduce(rest_0: any, rest_1?: any): any;
        /** @param {[any, any?]} rest @returns {any} */
        reduceRight(rest_0: any, rest_1?: any): any;
        /** @param {number} [start] @param {number} [end] @returns {T[]} */
        slice(start?: number, end?: number): T[];
        /** @param {...any} others @returns {any[]} */
        concat(...others: any[]): any[];
        /** @param {string} [separator] */
        join(separator?: string): string;
        /** Where a value is; -1 if it is not here. @param {any} value @param {never} [fromIndex] @returns {number} */
        indexOf(value: any, fromIndex?: never): number;
        /** @param {any} value @returns {number} */
        lastIndexOf(value: any): number;
        /** @param {any} value */
        includes(value: any): boolean;
        /** @returns {never} */
        flat(): never;
        toLocaleString(): string;
        /** What is here at the call. @returns {Generator<T, void>} */
        [Symbol.iterator](): Generator<T, void>;
    }
}
declare module "realm/core/lowering" {
    /** A bound node in the words that a back end must know: Truth, And, Or, Not, and Comparison of scalars (a constant never
     * stands left of a property, except in string operators), or IN with a list without quantifier. Links are their keys.
     * @param {Node} node @returns {Node} */
    export function lower(node: Node): Node;
    /** The wire value of a constant of a lowered node; of null, null. @param {Constant} constant @returns {any} */
    export function wire({ type, value }: Constant): any;
    /** Every property for which the node implies that its wire value is one of these (null: null), by stored name.
     * @param {Node} node @returns {Map<string, Set<any>>} */
    export function equalityKeys(node: Node): Map<string, Set<any>>;
    /** @typedef {import('./nodes.js').Node} Node */
    /** @typedef {import('./nodes.js').Operand} Operand */
    /** @typedef {import('./nodes.js').Constant} Constant */
    /** @typedef {import('./nodes.js').ListValue} ListValue */
    /** Types whose values are equal exactly when their wire values are. */
    export const COMPARED_AS_WIRE: RegExp;
    export type Node = import("realm/core/nodes").Node;
    export type Operand = import("realm/core/nodes").Operand;
    export type Constant = import("realm/core/nodes").Constant;
    export type ListValue = import("realm/core/nodes").ListValue;
}
declare module "realm/core/reading" {
    /** How the value of a typed operand meets a mixed one. @param {string} type @param {string} target of a link
     * @returns {(value: any) => any} */
    export function asMixed(type: string, target: string): (value: any) => any;
    /**
     * Reads what a path leads to: one value, or an array of them if it has `many`.
     * @param {Pick<import('./nodes.js').Path, "hops" | "type" | "many">} path @param {Objects} objects
     * @param {((value: any) => any) | null} [read] what makes a comparable value of a wire value
     * @param {boolean} [isSort] whether what stands behind a null is undefined
     * @returns {Getter}
     */
    export function reader({ hops, type, many }: Pick<import("realm/core/nodes").Path, "hops" | "type" | "many">, objects: Objects, read?: ((value: any) => any) | null, isSort?: boolean): Getter;
    /** @typedef {import('./nodes.js').Hop} Hop */
    /** @typedef {Record<string, any>} Image wire values by stored name */
    /** @typedef {(image: Image) => any} Getter */
    /** Images of other objects: by key, and those whose property holds a link to a key. Both in no more time than an index needs.
     * @typedef {{get: (className: string, key: any) => Image | undefined,
     *   linksTo: (className: string, property: string, key: any) => Image[]}} Objects */
    /** From wire value to comparable value, for the types whose wire values do not compare as they should.
     * @type {Record<string, (value: any) => any>} */
    export const READERS: Record<string, (value: any) => any>;
    export type Hop = import("realm/core/nodes").Hop;
    /**
     * wire values by stored name
     */
    export type Image = Record<string, any>;
    export type Getter = (image: Image) => any;
    /**
     * Images of other objects: by key, and those whose property holds a link to a key. Both in no more time than an index needs.
     */
    export type Objects = {
        get: (className: string, key: any) => Image | undefined;
        linksTo: (className: string, property: string, key: any) => Image[];
    };
}
declare module "realm/core/predicate" {
    /** A function from images to whether the bound `node` selects them. Never throws for images that fit the class.
     * @param {Node} node @param {Objects} objects which links and backlinks lead to; needed by no other query */
    export function compilePredicate(node: Node, objects?: Objects): Predicate;
    /** The images sorted, thinned and cut as the bound clauses say, in written order; stable, so that of two adjacent SORTs
     * the later is the primary one. Ascending: null, then NaN, then values, and at the end objects with a null link on the way to
     * the value; strings by code point. DISTINCT leaves those out. @param {Iterable<Image>} images @param {import('./nodes.js').Clause[]} clauses @param {Objects} objects
     * @returns {Image[]} A new array. */
    export function applyClauses(images: Iterable<Image>, clauses: import("realm/core/nodes").Clause[], objects?: Objects): Image[];
    /**
     * One key of a SORT for all rows: `sketch` has numbers in the same order, which may be equal where values are not; then
     * `exact` decides.
     */
    export type Column = {
        sketch: Float64Array;
        exact: (a: number, b: number) => number;
    };
    export type Node = import("realm/core/nodes").Node;
    export type Operand = import("realm/core/nodes").Operand;
    export type Path = import("realm/core/nodes").Path;
    export type Image = import("realm/core/reading").Image;
    export type Objects = import("realm/core/reading").Objects;
    export type Getter = import("realm/core/reading").Getter;
    export type Predicate = (image: Image) => boolean;
}
declare module "realm/core/query" {
    /**
     * The query a text says, with `$0`, `$1` … replaced by `args`. Throws a QueryError with a caret.
     * @param {string} text
     * @param {any[]} args JavaScript and BSON values, arrays and Sets of them, Realm objects.
     * @param {{trusted?: boolean}} options `trusted` text came out of `toText`: it may be longer, and a little deeper.
     * @returns {import('./nodes.js').Query}
     */
    export function parse(text: string, args?: any[], { trusted }?: {
        trusted?: boolean;
    }): import("realm/core/nodes").Query;
    /** @typedef {import('./nodes.js').Node} Node */
    /** @typedef {import('./nodes.js').Operand} Operand */
    /** @typedef {import('./nodes.js').Constant} Constant */
    /** @typedef {import('./nodes.js').ListValue} ListValue */
    /** @typedef {import('./nodes.js').Path} Path */
    /** @typedef {{type: string, text: string, position: number}} Token */
    /** Longest query text in UTF-8; a longer one is refused with code LimitExceeded. */
    export const MAX_BYTES: number;
    /** Deepest nesting of parentheses and NOTs (an arithmetic operator counts as three). */
    export const MAX_DEPTH: 50;
    /** The same as MAX_DEPTH for text that `toText` made, where conditions were joined and parentheses added. */
    export const TRUSTED_DEPTH: 60;
    export type Node = import("realm/core/nodes").Node;
    export type Operand = import("realm/core/nodes").Operand;
    export type Constant = import("realm/core/nodes").Constant;
    export type ListValue = import("realm/core/nodes").ListValue;
    export type Path = import("realm/core/nodes").Path;
    export type Token = {
        type: string;
        text: string;
        position: number;
    };
}
declare module "realm/client/results" {
    /** Live results. Made by `realm.objects()`; `filtered` and `sorted` narrow and order, and return new ones.
     * @template [T=any] @extends {OrderedCollection<T>} */
    export class Results<T = any> extends OrderedCollection<T> {
        /** @param {any} realm @param {import('./tables.js').Table} table @param {any} [predicate] bound
         * @param {any[]} [clauses] bound @param {(() => Image[]) | null} [source] of which objects, none: all of the class; it gives
         * the same array as long as these are the same */
        constructor(realm: any, table: import("realm/client/tables").Table, predicate?: any, clauses?: any[], source?: (() => Image[]) | null);
        /** The images of the members, in order. Not to be changed. @returns {Image[]} */
        _images(): Image[];
        /** Rises whenever an object changes that the query reads. */
        _stamp(): any;
        /** @param {Image | undefined} image */
        _object(image: Image | undefined): any;
        /** @param {number} index */
        _at(index: number): any;
        /** @param {number} _index @param {any} _value @returns {never} */
        _setAt(_index: number, _value: any): never;
        /** The class name. @returns {string} */
        get type(): string;
        get optional(): boolean;
        isValid(): boolean;
        /** The objects that also match `query`, with `$0`, `$1` … for `args`. Throws a QueryError with a caret.
         * @param {string} query @param {...any} args @returns {Results<T>} */
        filtered(query: string, ...args: any[]): Results<T>;
        /** Ordered: `sorted("due")`, `sorted("due", true)` descending, `sorted([["priority", true], "due"])`. Sorting what is
         * sorted: the newest order is the primary one.
         * @param {string | boolean | (string | [string, boolean])[]} [by] @param {boolean} [reverse] @returns {Results<T>} */
        sorted(by?: string | boolean | (string | [string, boolean])[], reverse?: boolean): Results<T>;
        /** The same objects in the same order from now on; a deleted one reads as null. @returns {Results<T>} */
        snapshot(): Results<T>;
        /** The query as canonical RQL. @returns {string} */
        description(): string;
        /** @param {string} [_] @param {Map<string, any>} [cache] @returns {any[]} */
        toJSON(_?: string, cache?: Map<string, any>): any[];
        /** The smallest value, undefined if there is none. @param {string} property */
        min(property: string): any;
        /** @param {string} property */
        max(property: string): any;
        /** The sum of what is not null; 0 for nothing. @param {string} property */
        sum(property: string): any;
        /** The mean of what is not null; undefined if there is nothing. @param {string} property */
        avg(property: string): number | Decimal128 | undefined;
        /** Sets the property of every member, in a write transaction. @param {string} property @param {any} value */
        update(property: string, value: any): void;
        /** `callback(collection, changes)`: soon, with nothing, and then whenever the collection or an object in it changes.
         * @param {(collection: Results<T>, changes: CollectionChanges) => void} callback
         * @param {string | string[]} [keyPaths] which changes of objects are told: `"name"`, `"owner.name"`, `"*"`; `[]`: none */
        addListener(callback: (collection: Results<T>, changes: CollectionChanges) => void, keyPaths?: string | string[]): void;
        /** @param {Function} callback */
        removeListener(callback: Function): void;
        removeAllListeners(): void;
        /** Subscribes to these objects; resolves to this, when its data is here. With options, it waits only if `behavior` says so.
         * @param {{name?: string, behavior?: "first-time" | "always" | "never", timeout?: number, throwOnUpdate?: boolean}} [options] @returns {Promise<Results<T>>} */
        subscribe(options?: {
            name?: string;
            behavior?: "first-time" | "always" | "never";
            timeout?: number;
            throwOnUpdate?: boolean;
        }): Promise<Results<T>>;
        /** Removes the subscription made by `subscribe`; the data goes when the server has been told. */
        unsubscribe(): void;
    }
    export type Image = import("realm/client/rebase").Image;
    export type CollectionChanges = Record<"insertions" | "deletions" | "newModifications" | "oldModifications", number[]>;
    import { OrderedCollection } from "realm/client/orderedCollection";
    import { Decimal128 } from "realm/core/bson";
}
declare module "realm/client/elements" {
    /** @template [T=any] @extends {OrderedCollection<T>} */
    export class Elements<T = any> extends OrderedCollection<T> {
        /** @param {Place} place */
        constructor(place: Place);
        /** @returns {Place} */
        get _place(): Place;
        /** The type of one element. @returns {import('../core/schema.js').WireProperty} */
        get _element(): import("realm/core/schema").WireProperty;
        /** The class of the links that are here; null: these are no links. @returns {string | null} */
        get _target(): string | null;
        /** `object`, or the type of the elements. */
        get type(): string;
        /** Whether elements can be null. */
        get optional(): boolean;
        get length(): any;
        isValid(): boolean;
        /** Where on the wire the links are whose targets are here, in order. @returns {number[]} */
        _shown(): number[];
        /** The place on the wire of an element; at the end that of one to come. @param {number} index */
        _wireIndex(index: number): number;
        /** @param {number} index */
        _at(index: number): any;
        /** @returns {T[]} */
        _list(): T[];
        /** The wire value of an element that an app gives. @param {any} value @param {number | null} index where it is to be; null: it
         * is only looked for */
        _encode(value: any, index: number | null): any;
        /** The places on the wire where a value is. @param {any} value @returns {number[]} */
        _found(value: any): number[];
        /** The keys of all targets, also of those that are not in this file; not in Realm. @returns {any[]} */
        linkedKeys(): any[];
        /** @param {string} [_] @param {Map<string, any>} [cache] @returns {any[]} */
        toJSON(_?: string, cache?: Map<string, any>): any[];
        /** Live results of the objects here that match. @param {string} query @param {...any} args @returns {Results<T>} */
        filtered(query: string, ...args: any[]): Results<T>;
        /** Of objects: live results, ordered as `Results.sorted` says; of values: an array of them now.
         * @param {any} [by] @param {boolean} [reverse] @returns {any} */
        sorted(by?: any, reverse?: boolean): any;
        /** The objects as they are now, in fixed membership and order. */
        snapshot(): Results<any> | T[];
        /** @returns {Results<any>} */
        _results(): Results<any>;
        /** The smallest value, undefined if there is none. @param {string} [property] of objects @returns {any} */
        min(property?: string): any;
        /** @param {string} [property] @returns {any} */
        max(property?: string): any;
        /** The sum of what is not null; 0 for nothing. @param {string} [property] @returns {any} */
        sum(property?: string): any;
        /** @param {string} [property] @returns {any} */
        avg(property?: string): any;
        /** @param {string} operation @param {string | undefined} property @param {string[]} types */
        _numbers(operation: string, property: string | undefined, types: string[]): (T & ({} | undefined))[];
        /** @param {string} operation @param {string | undefined} property @param {1 | -1} sign */
        _extreme(operation: string, property: string | undefined, sign: 1 | -1): any;
        /** @param {string} operation @param {string | undefined} property @returns {[any, number]} */
        _total(operation: string, property: string | undefined): [any, number];
        /** `callback(collection, changes)`: soon, with nothing, and then whenever it or an object in it changes.
         * @param {(collection: any, changes: CollectionChanges) => void} callback @param {string | string[]} [keyPaths] */
        addListener(callback: (collection: any, changes: CollectionChanges) => void, keyPaths?: string | string[]): void;
        /** @param {Function} callback */
        removeListener(callback: Function): void;
        removeAllListeners(): void;
        [WIRE](): any;
    }
    export type Place = import("realm/client/live").Place;
    export type CollectionChanges = import("realm/client/results").CollectionChanges;
    import { OrderedCollection } from "realm/client/orderedCollection";
    import { Results } from "realm/client/results";
    import { WIRE } from "realm/core/mixed";
}
declare module "realm/client/lists" {
    /** A list property, or a list inside a mixed value. @template [T=any] @extends {Elements<T>} */
    export class List<T = any> extends Elements<T> {
        /** Replaces an element. @param {number} index @param {any} value */
        _setAt(index: number, value: any): void;
        /** @param {number} index @param {any[]} values */
        _insert(index: number, values: any[]): void;
        /** Appends; gives the new length. @param {...T} values */
        push(...values: T[]): any;
        /** Removes the last element and gives it; undefined if there is none. @returns {T | undefined} */
        pop(): T | undefined;
        /** Removes the first element and gives it. @returns {T | undefined} */
        shift(): T | undefined;
        /** @param {number} index */
        _take(index: number): any;
        /** Inserts at the beginning; gives the new length. @param {...T} values */
        unshift(...values: T[]): any;
        /** Removes and inserts; gives the removed elements. @param {number} start @param {number} [deleteCount] @param {...T} values @returns {T[]} */
        splice(start: number, deleteCount?: number, ...values: T[]): T[];
        /** @param {number} index */
        remove(index: number): void;
        /** @param {number} from @param {number} to where it is afterwards */
        move(from: number, to: number): void;
        /** @param {number} first @param {number} second */
        swap(first: number, second: number): void;
    }
    import { Elements } from "realm/client/elements";
}
declare module "realm/client/opening" {
    /** The promise of `Realm.open`, with `progress` and `cancel`. @template {any} Opened the realm */
    export class ProgressRealmPromise<Opened extends unknown> {
        /** @type {Set<ProgressRealmPromise<any>>} */
        static "__#private@#pending": Set<ProgressRealmPromise<any>>;
        /** @param {any} config what `Realm.open` was given @param {(config: any) => Opened} make opens it at once */
        constructor(config: any, make: (config: any) => Opened);
        /** Called at once, and as the download goes on: `callback(estimate)`, or `callback(transferred, transferable)`.
         * @param {(estimate: number, transferable: number) => void} callback @returns {this} */
        progress(callback: (estimate: number, transferable: number) => void): this;
        /** Rejects with `Async open canceled`, and ends the download; so do other openings of the same file that wait. */
        cancel(): void;
        /** @template [R=Opened] @template [E=never] @param {((realm: Opened) => R | PromiseLike<R>) | null} [fulfilled]
         * @param {((error: any) => E | PromiseLike<E>) | null} [rejected] */
        then<R = Opened, E = never>(fulfilled?: ((realm: Opened) => R | PromiseLike<R>) | null, rejected?: ((error: any) => E | PromiseLike<E>) | null): Promise<R | E>;
        /** @template [E=never] @param {((error: any) => E | PromiseLike<E>) | null} [rejected] @returns {Promise<Opened | E>} */
        catch<E = never>(rejected?: ((error: any) => E | PromiseLike<E>) | null): Promise<Opened | E>;
        /** @param {(() => void) | null} [callback] @returns {Promise<Opened>} */
        finally(callback?: (() => void) | null): Promise<Opened>;
        get [Symbol.toStringTag](): string;
        #private;
    }
}
declare module "realm/client/sets" {
    /** A set property. @template [T=any] @extends {Elements<T>} */
    export class RealmSet<T = any> extends Elements<T> {
        get size(): any;
        /** Where elements stand is nobody's to say: it does nothing. @param {number} _index @param {any} _value */
        _setAt(_index: number, _value: any): void;
        /** @param {T} value @returns {this} */
        add(value: T): this;
        /** Whether it was there. @param {T} value */
        delete(value: T): boolean;
        /** @param {T} value */
        has(value: T): boolean;
        /** @param {any} value */
        _wireOf(value: any): any;
        clear(): void;
        /** @returns {never} */
        [WIRE](): never;
    }
    export namespace RealmSet {
        let name: string;
    }
    import { Elements } from "realm/client/elements";
    import { WIRE } from "realm/core/mixed";
}
declare module "realm/client/reading" {
    /** @typedef {import('../core/schema.js').WireProperty} WireProperty */
    /** @param {any} realm @param {WireProperty} prop @param {any} wire @param {(kind: string | null) => import('./live.js').Place} place makes
     * the place where the value is; `kind`: what a mixed value is there @returns {any} */
    export function valueOf(realm: any, prop: WireProperty, wire: any, place: (kind: string | null) => import("realm/client/live").Place): any;
    export type WireProperty = import("realm/core/schema").WireProperty;
}
declare module "realm/core/subscribable" {
    /** Throws a QueryError, with the reason, for a bound query that a subscription cannot keep live.
     * @param {import('./nodes.js').Query} query */
    export function checkSubscribable(query: import("realm/core/nodes").Query): void;
}
declare module "realm/client/subscriptions" {
    /** @typedef {import('../core/messages.js').SubscriptionItem} Item */
    /** @typedef {import('./fileRecord.js').StoredSet} StoredSet */
    /** One query of a set. */
    export class Subscription {
        /** @param {Item} item */
        constructor(item: Item);
        get id(): ObjectId;
        get name(): string | null;
        get objectType(): string;
        /** Canonical RQL with its arguments written out. */
        get queryString(): string;
        /** @returns {Date} */
        get createdAt(): Date;
        /** @returns {Date} */
        get updatedAt(): Date;
        #private;
    }
    /** The set as of one version. `realm.subscriptions` is the newest. */
    export class SubscriptionSet extends BaseSet {
        /** @param {any} realm @param {StoredSet} stored */
        constructor(realm: any, stored: StoredSet);
        /** 0 in a new realm; rises with every update. @returns {number} */
        get version(): number;
        /** @returns {"pending" | "complete" | "error" | "superseded"} */
        get state(): "pending" | "complete" | "error" | "superseded";
        /** The server's reason, in state `error`. */
        get error(): string | null;
        /** Calls `callback(subscriptions, realm)` at once with a set to change, and stores the result as the newest set.
         * Resolves when its data is here; rejects if the callback throws, and nothing is changed then.
         * @param {(subscriptions: MutableSubscriptionSet, realm: any) => void} callback */
        update(callback: (subscriptions: MutableSubscriptionSet, realm: any) => void): Promise<void>;
        /** @param {Function} callback */
        _updateNow(callback: Function): void;
        /** Resolves when this set is complete or superseded; rejects with the server's reason if it is refused.
         * @returns {Promise<void>} */
        waitForSynchronization(): Promise<void>;
    }
    /** The set while `update` runs. */
    export class MutableSubscriptionSet extends BaseSet {
        /** Adds the query of `results`, or renews the subscription of that name, or without a name of that query. Sorting is left
         * out. @param {any} results @param {{name?: string, throwOnUpdate?: boolean}} [options] */
        add(results: any, { name, throwOnUpdate }?: {
            name?: string;
            throwOnUpdate?: boolean;
        }): Subscription;
        /** The first subscription, named or not, with this class and query. @param {any} results */
        remove(results: any): boolean;
        /** @param {string} name */
        removeByName(name: string): boolean;
        /** @param {Subscription} subscription */
        removeSubscription(subscription: Subscription): boolean;
        /** @param {string} objectType @returns {number} how many there were */
        removeByObjectType(objectType: string): number;
        removeAll(): number;
        removeUnnamed(): number;
        /** @param {(item: Item) => boolean} wanted */
        _keep(wanted: (item: Item) => boolean): number;
    }
    export type Item = import("realm/core/messages").SubscriptionItem;
    export type StoredSet = import("realm/client/fileRecord").StoredSet;
    import { ObjectId } from "realm/core/bson";
    /** What both kinds of set have. An index gives a subscription, as in an array. */
    class BaseSet {
        [index: number]: Subscription;
        /** @param {Item[]} items */
        constructor(items: Item[]);
        /** @type {Item[]} */
        _items: Item[];
        get length(): number;
        get isEmpty(): boolean;
        /** @param {string} name */
        findByName(name: string): Subscription | null;
        /** The first subscription, named or not, with the class and query of `results`. @param {any} results */
        findByQuery(results: any): Subscription | null;
        [Symbol.iterator](): Generator<Subscription, void, unknown>;
    }
    export {};
}
declare module "realm/client/realm" {
    /** @typedef {import('./tables.js').Table} Table */
    /** @typedef {import('./configuration.js').OpenBehavior} OpenBehavior */
    /** @typedef {{mode: "discardUnsyncedChanges" | "recoverUnsyncedChanges" | "recoverOrDiscardUnsyncedChanges" | "manual", onBefore?: (before: Realm) => void,
     *   onAfter?: (before: Realm, after: Realm) => void, onManual?: (session: SyncSession, path: string) => void, onFallback?: Function}} ClientReset */
    /** @typedef {{user: User, flexible?: true, partitionValue?: string | number | BSON.ObjectId | BSON.UUID | null,
     *   initialSubscriptions?: {update: (subscriptions: MutableSubscriptionSet, realm: Realm) => void, rerunOnOpen?: boolean},
     *   newRealmFileBehavior?: OpenBehavior, existingRealmFileBehavior?: OpenBehavior, clientReset?: ClientReset,
     *   onError?: (session: SyncSession, error: SyncError) => void, cancelWaitsOnNonFatalError?: boolean,
     *   customHttpHeaders?: Record<string, string>, ssl?: object, proxyConfig?: object}} SyncConfiguration */
    /** @typedef {{name: string, primaryKey?: string, properties: Record<string, any>}} ObjectSchema */
    /** @typedef {{path?: string, schema?: (ObjectSchema | (new (...args: any[]) => RealmObject))[], schemaVersion?: number, inMemory?: boolean, readOnly?: boolean,
     *   encryptionKey?: ArrayBuffer | ArrayBufferView, shouldCompact?: (totalBytes: number, usedBytes: number) => boolean,
     *   migrationOptions?: {resolveEmbeddedConstraints?: boolean}, disableFormatUpgrade?: boolean, fifoFilesFallbackPath?: string,
     *   excludeFromIcloudBackup?: boolean, onFirstOpen?: (realm: Realm) => void,
     *   deleteRealmIfMigrationNeeded?: boolean, onMigration?: (oldRealm: Realm, newRealm: Realm) => void, sync?: SyncConfiguration}} RealmConfiguration */
    /** @typedef {import('./configuration.js').Configuration} Configuration */
    /** @typedef {import('../core/schema.js').ClassSchema} ClassSchema */
    /** A class of the schema, or its name. @template [T=any] @typedef {string | (new (...args: any[]) => T)} ObjectType */
    export const UpdateMode: Readonly<{
        Never: "never";
        Modified: "modified";
        All: "all";
    }>;
    export const WaitForSync: Readonly<{
        FirstTime: "first-time";
        Always: "always";
        Never: "never";
    }>;
    export const SubscriptionSetState: Readonly<{
        Pending: "pending";
        Complete: "complete";
        Error: "error";
        Superseded: "superseded";
    }>;
    /** An open realm. */
    export class Realm {
        /** Opens by the table of R11: by default when everything subscribed to is here, at most after 30 s. Never throws itself:
         * what is wrong with the configuration is a rejection as well. @param {string | RealmConfiguration} [config] */
        static open(config?: string | RealmConfiguration): ProgressRealmPromise<Realm>;
        /** Whether there is such a file in this browser. @param {string | RealmConfiguration} [config] */
        static exists(config?: string | RealmConfiguration): boolean;
        /** Deletes the realm in this browser; other tabs' realms of it are closed. Resolves when it is gone, which opening it
         * anew waits for by itself. @param {string | RealmConfiguration} [config] */
        static deleteFile(config?: string | RealmConfiguration): Promise<void>;
        /** -1 if there is no such file. It is known without reading the file, so a wrong `encryptionKey` is not found out.
         * @param {string} path @param {ArrayBuffer | ArrayBufferView} [encryptionKey] */
        static schemaVersion(path: string, encryptionKey?: ArrayBuffer | ArrayBufferView): number;
        /** A plain object with the default of every property. @param {any} schema */
        static createTemplateObject(schema: any): Record<string, any>;
        static set defaultPath(path: string);
        /** Where realms are whose configuration says no path and no sync. */
        static get defaultPath(): string;
        /** Opens at once, without waiting for disk or network: what the file holds appears a moment later (`whenLoaded`), what
         * the server has when it arrives. @param {string | RealmConfiguration} [config] */
        constructor(config?: string | RealmConfiguration);
        /** @type {OpenFile} */
        _file: OpenFile;
        /** @type {import('./store.js').Store} */
        _store: import("realm/client/store").Store;
        get path(): string;
        /** The classes of this realm: those it was opened with, else all of the file. */
        get schema(): {
            ctor?: Function | undefined;
            name: string;
            primaryKey: string | undefined;
            embedded: boolean;
            asymmetric: boolean;
            properties: any;
        }[];
        get schemaVersion(): number;
        get isClosed(): boolean;
        get isInTransaction(): boolean;
        get isInMigration(): boolean;
        get isReadOnly(): boolean;
        get isInMemory(): boolean;
        get isEmpty(): boolean;
        /** The session; null for a local realm. */
        get syncSession(): SyncSession | null;
        /** The newest subscription set. */
        get subscriptions(): SubscriptionSet;
        /** Resolves when what the file held when it was opened is here; only `new Realm` is usable before. */
        whenLoaded(): Promise<void>;
        /** Resolves when everything written so far is durable in this browser; rejects if it could not be stored, and is tried
         * again. `sync.onError` hears of that, too (without sync, the console). */
        writesFlushed(): Promise<void>;
        /** A write transaction: what `callback` does happens as a whole, at once; if it throws, nothing of it happened.
         * @template T @param {() => T} callback */
        write<T>(callback: () => T): T;
        beginTransaction(): void;
        /** Makes the changes pending; throws, and undoes them, if they are more than the server takes at once. */
        commitTransaction(): void;
        cancelTransaction(): void;
        /** Live results of all objects of a class. @template [T=any] @param {ObjectType<T>} type @returns {Results<T & RealmObject>} */
        objects<T = any>(type: ObjectType<T>): Results<T & RealmObject>;
        /** The object with this key, or null. @template [T=any] @param {ObjectType<T>} type @param {any} key
         * @returns {(T & RealmObject) | null} */
        objectForPrimaryKey<T = any>(type: ObjectType<T>, key: any): (T & RealmObject) | null;
        /** A new object, or with mode `modified` or `all` the existing one with this key, changed. Links take an object, a plain
         * object, which is created likewise, or the target's key. Of an asymmetric class: undefined. @template [T=any] @param {ObjectType<T>} type @param {Record<string, any>} [values]
         * @param {"never" | "modified" | "all" | boolean} [mode] @returns {T & RealmObject} */
        create<T = any>(type: ObjectType<T>, values?: Record<string, any>, mode?: "never" | "modified" | "all" | boolean): T & RealmObject;
        /** Deletes an object, or all of an iterable or Results. @param {any} subject */
        delete(subject: any): void;
        /** Deletes every object of every class. */
        deleteAll(): void;
        /** `callback(realm, event, schema?)`: "change" at the end of each local commit and when others have written,
         * "beforenotify" before listeners are told, "schema" when classes are added. @param {"change" | "beforenotify" | "schema"} event
         * @param {(realm: Realm, event: string, schema?: any[]) => void} callback */
        addListener(event: "change" | "beforenotify" | "schema", callback: (realm: Realm, event: string, schema?: any[]) => void): void;
        /** @param {string} event @param {Function} callback */
        removeListener(event: string, callback: Function): void;
        /** Of this event, or of all; listeners of objects and collections stay. @param {string} [event] */
        removeAllListeners(event?: string): void;
        /** For OpenFile: something in the store has changed. */
        _advanced(): void;
        /** @param {any} results @param {any} callback @param {string | string[] | undefined} keyPaths */
        _listenToResults(results: any, callback: any, keyPaths: string | string[] | undefined): void;
        /** @param {any} object @param {import('./objects.js').Identity} identity @param {any} callback @param {string | string[] | undefined} keyPaths */
        _listenToObject(object: any, { table, key, cls, place }: import("realm/client/objects").Identity, callback: any, keyPaths: string | string[] | undefined): void;
        /** A list or set. @param {any} elements @param {any} callback @param {string | string[] | undefined} keyPaths */
        _listenToElements(elements: any, callback: any, keyPaths: string | string[] | undefined): void;
        /** @param {any} dictionary @param {any} callback @param {string | string[] | undefined} keyPaths */
        _listenToDictionary(dictionary: any, callback: any, keyPaths: string | string[] | undefined): void;
        /** @param {any} target @param {Function} [callback] none: all */
        _stopListening(target: any, callback?: Function): void;
        /** Removes a class and its objects; in `onMigration` only. @param {string} name */
        deleteModel(name: string): void;
        /** Writes what is visible to another file: of another encryption, local, or synced in the same way. Resolves when it is
         * durable; the copy of a synced realm is usable offline at once and fetches everything anew when it first connects. Is
         * there such a file, then objects are merged into it by their keys. @param {string | RealmConfiguration} config */
        writeCopyTo(config: string | RealmConfiguration): Promise<void>;
        /** Writes the file anew without what is outdated in it. Resolves to whether it did: not while another realm of it is in a
         * transaction. */
        compact(): Promise<boolean>;
        /** Idempotent. An open transaction is cancelled, listeners end. What is written becomes durable; what is pending is
         * uploaded while the page lives, and else when the realm is opened again. */
        close(): void;
        _open(): import("realm/client/store").Store;
        get _transport(): import("realm/client/transport").Transport | null;
        /** @param {ObjectType} type */
        _classOf(type: ObjectType): import("realm/core/schema").ClassSchema;
        /** @param {any} query @param {string} type */
        _bind(query: any, type: string): import("realm/core/nodes").Query;
        /** Whether the realm has been opened with this class. @param {string} name */
        _knows(name: string): boolean;
        /** An embedded object. @param {Place} place @returns {any} */
        _wrapEmbedded(place: Place): any;
        /** @param {Table} table @param {any} key @returns {any} */
        _wrap(table: Table, key: any): any;
        /** @param {Table} table @param {any} key @param {import('../core/schema.js').Property} property */
        _get(table: Table, key: any, property: import("realm/core/schema").Property): any;
        /** A property of an embedded object. @param {Place} place @param {import('../core/schema.js').Property} property */
        _getIn(place: Place, property: import("realm/core/schema").Property): any;
        /** An element. @param {import('../core/schema.js').WireProperty} prop @param {any} wire @param {(kind: string | null) => Place} place */
        _value(prop: import("realm/core/schema").WireProperty, wire: any, place: (kind: string | null) => Place): any;
        /** @param {string} where @param {import('../core/schema.js').WireProperty} prop @param {any} value @param {"never" | null} mode */
        _encode(where: string, prop: import("realm/core/schema").WireProperty, value: any, mode: "never" | null): any;
        /** @param {Table} table @param {any} key @param {import('../core/schema.js').Property} property @param {any} value */
        _set(table: Table, key: any, property: import("realm/core/schema").Property, value: any): void;
        /** A property of an embedded object. @param {Place} place @param {import('../core/schema.js').Property} property @param {any} value */
        _setIn(place: Place, property: import("realm/core/schema").Property, value: any): void;
        /** What is at a step from a place. @param {Place} place @param {string | number} step @param {import('../core/schema.js').WireProperty} prop
         * @param {any} wire */
        _assign(place: Place, step: string | number, prop: import("realm/core/schema").WireProperty, wire: any): void;
        /** What is at a place. @param {Place} place @param {any} wire */
        _write(place: Place, wire: any): void;
        /** @param {Place} place @param {any[]} wire @param {any[]} edits */
        _replaceList(place: Place, wire: any[], edits: any[]): void;
        /** @param {Table} table @param {any} key @param {any[]} edits */
        _edit(table: Table, key: any, edits: any[]): void;
        /** Throws unless objects of the class may be changed now. @param {string} name */
        _writing(name: string): void;
        /** The objects whose property leads to an object. @param {import('./objects.js').Identity} identity @param {ClassSchema} origin
         * @param {import('../core/schema.js').Property} property */
        _backlinks({ table, key, place }: import("realm/client/objects").Identity, origin: ClassSchema, property: import("realm/core/schema").Property): Results<any>;
        /** @param {string} name */
        _checkWritable(name: string): void;
        /** @param {any[]} items */
        _addSet(items: any[]): import("realm/client/fileRecord").StoredSet;
        /** Whether some opening of the file succeeded before this one. */
        get _wasOpened(): boolean;
        /** This opening succeeded: from now on the file counts as existing. */
        _opened(): void;
        /** In a file whose first opening this is, or on every open where asked for; once the classes are known. */
        _runInitialSubscriptions(): void;
        /** @param {any} results @param {{name?: string, behavior?: string, timeout?: number, throwOnUpdate?: boolean}} options */
        _subscribe(results: any, { name, behavior, timeout, throwOnUpdate }: {
            name?: string;
            behavior?: string;
            timeout?: number;
            throwOnUpdate?: boolean;
        }): Promise<any>;
        /** @param {any} results */
        _unsubscribe(results: any): void;
        /** What it was opened with. */
        get _sync(): import("realm/client/configuration").SyncConfiguration | undefined;
        /** A realm of a moment, read-only. @param {import('./store.js').Store} store */
        _frozen(store: import("realm/client/store").Store): Realm;
        /** @param {import('./store.js').Store} before @param {Map<string, any>} stored classes @param {Function} onMigration */
        _migrate(before: import("realm/client/store").Store, stored: Map<string, any>, onMigration: Function): void;
        #private;
    }
    export namespace Realm {
        export { App };
        export { Credentials };
        export { User };
        export { BSON };
        export { RealmObject as Object };
        export { Results };
        export { List };
        export { RealmSet as Set };
        export { Dictionary };
        export { Counter };
        export { SyncSession };
        export { Subscription };
        export { SubscriptionSet };
        export { MutableSubscriptionSet };
        export { ProgressRealmPromise };
        export { BSON as Types };
        export { OpenRealmBehaviorType };
        export { OpenRealmTimeOutBehavior };
        export { ClientResetMode };
        export { UpdateMode };
        export { WaitForSync };
        export { SubscriptionSetState };
        export { ConnectionState };
        export { SessionState };
        export { ProgressDirection };
        export { ProgressMode };
        export { SessionStopPolicy };
        export { UserState };
        export { ProviderType };
        export { NumericLogLevel };
        export { setLogLevel };
        export { setLogger };
        export { SyncError };
        export { ClientResetError };
        export { CompensatingWriteError };
        export { AssertionError };
        export { TypeAssertionError };
        export { SchemaParseError };
        export { PropertySchemaParseError };
        export { IllegalConstructorError };
    }
    export type Table = import("realm/client/tables").Table;
    export type OpenBehavior = import("realm/client/configuration").OpenBehavior;
    export type ClientReset = {
        mode: "discardUnsyncedChanges" | "recoverUnsyncedChanges" | "recoverOrDiscardUnsyncedChanges" | "manual";
        onBefore?: (before: Realm) => void;
        onAfter?: (before: Realm, after: Realm) => void;
        onManual?: (session: SyncSession, path: string) => void;
        onFallback?: Function;
    };
    export type SyncConfiguration = {
        user: User;
        flexible?: true;
        partitionValue?: string | number | BSON.ObjectId | BSON.UUID | null;
        initialSubscriptions?: {
            update: (subscriptions: MutableSubscriptionSet, realm: Realm) => void;
            rerunOnOpen?: boolean;
        };
        newRealmFileBehavior?: OpenBehavior;
        existingRealmFileBehavior?: OpenBehavior;
        clientReset?: ClientReset;
        onError?: (session: SyncSession, error: SyncError) => void;
        cancelWaitsOnNonFatalError?: boolean;
        customHttpHeaders?: Record<string, string>;
        ssl?: object;
        proxyConfig?: object;
    };
    export type ObjectSchema = {
        name: string;
        primaryKey?: string;
        properties: Record<string, any>;
    };
    export type RealmConfiguration = {
        path?: string;
        schema?: (ObjectSchema | (new (...args: any[]) => RealmObject))[];
        schemaVersion?: number;
        inMemory?: boolean;
        readOnly?: boolean;
        encryptionKey?: ArrayBuffer | ArrayBufferView;
        shouldCompact?: (totalBytes: number, usedBytes: number) => boolean;
        migrationOptions?: {
            resolveEmbeddedConstraints?: boolean;
        };
        disableFormatUpgrade?: boolean;
        fifoFilesFallbackPath?: string;
        excludeFromIcloudBackup?: boolean;
        onFirstOpen?: (realm: Realm) => void;
        deleteRealmIfMigrationNeeded?: boolean;
        onMigration?: (oldRealm: Realm, newRealm: Realm) => void;
        sync?: SyncConfiguration;
    };
    export type Configuration = import("realm/client/configuration").Configuration;
    export type ClassSchema = import("realm/core/schema").ClassSchema;
    /**
     * A class of the schema, or its name.
     */
    export type ObjectType<T = any> = string | (new (...args: any[]) => T);
    import { OpenFile } from "realm/client/openFiles";
    import { SyncSession } from "realm/client/syncSession";
    import { SubscriptionSet } from "realm/client/subscriptions";
    import { Results } from "realm/client/results";
    import { RealmObject } from "realm/client/objects";
    import { Place } from "realm/client/live";
    import { ProgressRealmPromise } from "realm/client/opening";
    import { App } from "realm/client/app";
    import { Credentials } from "realm/client/app";
    import { User } from "realm/client/app";
    import * as BSON from "realm/core/bson";
    import { List } from "realm/client/lists";
    import { RealmSet } from "realm/client/sets";
    import { Dictionary } from "realm/client/dictionaries";
    import { Counter } from "realm/client/counters";
    import { Subscription } from "realm/client/subscriptions";
    import { MutableSubscriptionSet } from "realm/client/subscriptions";
    import { OpenRealmBehaviorType } from "realm/client/configuration";
    import { OpenRealmTimeOutBehavior } from "realm/client/configuration";
    import { ClientResetMode } from "realm/client/configuration";
    import { ConnectionState } from "realm/client/syncSession";
    import { SessionState } from "realm/client/syncSession";
    import { ProgressDirection } from "realm/client/syncSession";
    import { ProgressMode } from "realm/client/syncSession";
    import { SessionStopPolicy } from "realm/client/syncSession";
    import { UserState } from "realm/client/app";
    import { ProviderType } from "realm/client/app";
    import { NumericLogLevel } from "realm/client/logging";
    import { setLogLevel } from "realm/client/logging";
    import { setLogger } from "realm/client/logging";
    import { SyncError } from "realm/core/errors";
    import { ClientResetError } from "realm/core/errors";
    import { CompensatingWriteError } from "realm/core/errors";
    import { AssertionError } from "realm/core/errors";
    import { TypeAssertionError } from "realm/core/errors";
    import { SchemaParseError } from "realm/core/errors";
    import { PropertySchemaParseError } from "realm/core/errors";
    import { IllegalConstructorError } from "realm/core/errors";
}
declare module "realm" {
    export default Realm;
    export { Realm };
    export { Counter } from "realm/client/counters";
    export { Dictionary } from "realm/client/dictionaries";
    export { List } from "realm/client/lists";
    export { ProgressRealmPromise } from "realm/client/opening";
    export { Results } from "realm/client/results";
    export { RealmSet as Set } from "realm/client/sets";
    export * as BSON from "realm/core/bson";
    export type Configuration = Exclude<ConstructorParameters<typeof Realm>[0], string | undefined>;
    export type SyncConfiguration = NonNullable<Configuration["sync"]>;
    import { Realm } from "realm/client/realm";
    export { App, Credentials, ProviderType, User, UserState } from "realm/client/app";
    export { ClientResetMode, OpenRealmBehaviorType, OpenRealmTimeOutBehavior } from "realm/client/configuration";
    export { NumericLogLevel, setLogger, setLogLevel } from "realm/client/logging";
    export { RealmObject as Object, RealmObject } from "realm/client/objects";
    export { SubscriptionSetState, UpdateMode, WaitForSync } from "realm/client/realm";
    export { MutableSubscriptionSet, Subscription, SubscriptionSet } from "realm/client/subscriptions";
    export { ConnectionState, ProgressDirection, ProgressMode, SessionState, SessionStopPolicy, SyncSession } from "realm/client/syncSession";
    export { AssertionError, ClientResetError, CompensatingWriteError, PropertySchemaParseError, SchemaParseError, SyncError, TypeAssertionError } from "realm/core/errors";
}
