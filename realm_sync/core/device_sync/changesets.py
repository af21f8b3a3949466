"""Changesets: the bytes of instructions, as the official SDKs write and read them.

Decides how integers, interned strings, keys, paths and values are laid out. Knows no schema: whether an instruction fits
its class is for schema.py and translation.py to say. Bytes that are no changeset are a DeviceSyncError 212 that names the
offset, and reading never takes more memory than a constant times the bytes. Writing is canonical: a string is defined
once, right before the first instruction that needs it, in the order of that instruction's operands.

    integer       least significant 7 bits first; bit 7: more follows. The last byte has 6 bits, and bit 6 is the sign,
                  of a negative number n that travels as -(n + 1).
    string        its length, then UTF-8. Those that repeat (class, property, key of a dictionary, string as a key) are
                  defined once by the pseudo instruction 0x3f, index, string; and named by that index from then on.
    key, value    type tag, then what the type needs
    path          number of steps; a step is an index, or -1 and an interned string
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterable
from typing import Any, cast

from .errors import DeviceSyncError
from .instructions import (
    NULL,
    AddColumn,
    AddInteger,
    AddTable,
    AnyInstruction,
    ArrayErase,
    ArrayInsert,
    ArrayMove,
    Clear,
    CollectionType,
    ColumnType,
    CreateObject,
    EraseColumn,
    EraseObject,
    EraseTable,
    Path,
    PathInstruction,
    Payload,
    PayloadType,
    SetErase,
    SetInsert,
    TableKind,
    Update,
)

TAGS: dict[PayloadType, int] = {
    "set": -6, "list": -5, "erased": -4, "dictionary": -3, "object": -2, "globalKey": -1, "null": 0, "int": 1, "bool": 2,
    "string": 3, "binary": 4, "timestamp": 5, "float": 6, "double": 7, "decimal": 8, "link": 9, "objectId": 10, "uuid": 11,
}  # fmt: skip
TYPES = {tag: name for name, tag in TAGS.items()}
BARE: frozenset[str] = frozenset({"set", "list", "erased", "dictionary", "object", "null"})
"""Types whose values are nothing but the tag."""
COLUMN_TAGS: dict[str, int] = {"mixed": 0} | {str(name): tag for name, tag in TAGS.items() if tag > 0}
COLUMN_TYPES = cast(dict[int, ColumnType], {tag: name for name, tag in COLUMN_TAGS.items()})
KEY_TAGS: dict[str, int] = {"int": 1, "string": 3, "objectId": 10, "uuid": 11, "globalKey": -1}
KEY_TYPES: dict[int, Any] = {tag: name for name, tag in KEY_TAGS.items()}
COLLECTIONS: tuple[CollectionType, ...] = ("", "list", "dictionary", "set")
KINDS: tuple[TableKind, ...] = ("top-level", "embedded", "asymmetric")

DEFINE = 0x3F
DEEPEST = 256
"""Steps of a path. Realm nests collections in a mixed value 100 deep, and an embedded object takes two steps."""
INDEX_LIMIT = 1 << 32
COEFFICIENT_LIMIT = 1 << 113
EXPONENTS = range(-6176, 10208)
"""What the 14 bits of a decimal's exponent hold; payloads.py knows which of them are no numbers."""
LONG = 256
"""Characters from which on each use of an interned string counts for EXPANDED."""
EXPANDED = 64 << 20
"""Characters that the uses of long interned strings in a changeset may come to: a few bytes name one, and it is written
in full wherever it goes."""
INT64 = 1 << 63
UINT64 = 1 << 64

_float, _double = struct.Struct("<f"), struct.Struct("<d")


def decode(data: bytes, most: int | None = None) -> list[AnyInstruction]:
    """The instructions of a changeset; DeviceSyncError 212 if it is none, 101 if it has more than `most`. They take up to
    32 times the memory of the bytes."""
    reader = _Reader(data)
    found: list[AnyInstruction] = []
    while reader.position < len(data):
        instruction = reader.instruction()
        if instruction is not None:
            if len(found) == most:
                raise DeviceSyncError(101, f"A changeset of more than {most} instructions.")
            found.append(instruction)
    return found


def encode(instructions: Iterable[AnyInstruction]) -> bytes:
    """The changeset of these instructions. ValueError for a value that its type cannot hold."""
    encoder = Encoder()
    for instruction in instructions:
        encoder.write(instruction)
    return encoder.take()


def key_text(key: Payload) -> str:
    """A key in a report of rejected writes: tag and value in base64, a string in place of its index."""
    if key.type == "string":
        return base64.b64encode(b"\x03" + text(key.value)).decode()
    return base64.b64encode(Encoder().key(key)).decode()


def key_from_text(written: str) -> Payload:
    """What key_text made the text of; ValueError or DeviceSyncError for any other text."""
    reader = _Reader(base64.b64decode(written, validate=True))
    key = reader.payload()
    if reader.position < len(reader.data) or key.type not in ("null", *KEY_TAGS):
        raise ValueError(f"no key in {written!r}")
    return key


# --- Writing ---------------------------------------------------------------------------------------------------------


def integer(value: int) -> bytes:
    if -64 <= value < 64:
        return _SMALL[value]
    if 0 <= value < 0x2000:
        return bytes((0x80 | value & 0x7F, value >> 7))
    if 0 <= value < 0x100000:
        return bytes((0x80 | value & 0x7F, 0x80 | value >> 7 & 0x7F, value >> 14))
    sign, rest = (0x40, -(value + 1)) if value < 0 else (0, value)
    out = bytearray()
    while rest >> 6:
        out.append(0x80 | rest & 0x7F)
        rest >>= 7
    out.append(rest | sign)
    return bytes(out)


_SMALL = {value: bytes([value if value >= 0 else 0x40 | -(value + 1)]) for value in range(-64, 64)}


def text(value: str) -> bytes:
    """A string that is not interned."""
    raw = value.encode()
    return integer(len(raw)) + raw


class Encoder:
    """One changeset being written: `write` the instructions, look at `size`, `take` the bytes."""

    def __init__(self) -> None:
        self._out = bytearray()
        self._strings: dict[str, bytes] = {}
        self._templates: dict[tuple[str, tuple[str, ...]], bytes] = {}

    @property
    def size(self) -> int:
        return len(self._out)

    def take(self) -> bytes:
        """The changeset; the next instruction begins a new one."""
        data = bytes(self._out)
        self._out.clear()
        self._strings.clear()
        self._templates.clear()
        return data

    def write(self, instruction: AnyInstruction) -> None:
        # The operands come first: evaluating them writes the definitions that they need.
        body = _WRITERS[type(instruction)](self, instruction)
        self._out += body

    def interned(self, value: str) -> bytes:
        """The index of a string, which is defined if it is new."""
        known = self._strings.get(value)
        if known is None:
            self._strings[value] = known = integer(len(self._strings))
            self._out += b"\x3f" + known + text(value)
        return known

    def key(self, key: Payload) -> bytes:
        kind, value = key
        if kind == "int":
            return b"\x01" + _int64(value)
        if kind == "string":
            return b"\x03" + self.interned(value)
        if kind == "objectId":
            return b"\x0a" + _exactly(12, value)
        if kind == "uuid":
            return b"\x0b" + _exactly(16, value)
        if kind == "globalKey":
            return b"\x40" + integer(value[0]) + integer(value[1])
        if kind == "null":
            return b"\x00"
        raise ValueError(f"{kind} is no type of a key")

    def payload(self, payload: Payload) -> bytes:
        kind, value = payload
        if kind == "link":
            return b"\x09" + self.interned(value[0]) + self.key(value[1])
        return _VALUE_BYTES[kind](value)

    def path(self, path: Path) -> bytes:
        if not path:
            return b"\x00"
        parts = [integer(len(path))]
        for step in path:
            parts.append(b"\x40" + self.interned(step) if isinstance(step, str) else integer(step))
        return b"".join(parts)

    def object(self, opcode: bytes, i: CreateObject | EraseObject) -> bytes:
        return opcode + self.interned(i.class_name) + self.key(i.key)

    def place(self, opcode: bytes, i: PathInstruction) -> bytes:
        return (
            opcode + self.interned(i.class_name) + self.key(i.key) + self.interned(i.property) + self.path(i.path)
        )  # fmt: skip

    def add_table(self, i: AddTable) -> bytes:
        head = b"\x00" + self.interned(i.class_name) + integer(KINDS.index(i.kind))
        if i.kind == "embedded":
            return head
        return head + self.interned(i.key_name) + integer(KEY_TAGS[i.key_type]) + _bool(i.key_nullable)

    def add_column(self, i: AddColumn) -> bytes:
        parts = [b"\x06", self.interned(i.class_name), self.interned(i.property)]
        parts += [integer(COLUMN_TAGS[i.type]), _bool(i.nullable), integer(COLLECTIONS.index(i.collection))]
        if i.type == "link":
            parts.append(self.interned(i.target))
        if i.collection == "dictionary":
            parts.append(_SMALL[TAGS["string"]])
        return b"".join(parts)

    def update(self, i: Update) -> bytes:
        tail = integer(i.prior_size) if i.path and isinstance(i.path[-1], int) else _bool(i.is_default)
        return self.place(b"\x04", i) + self.payload(i.value) + tail

    def create(self, class_name: str, key: bytes, names: tuple[str, ...], values: Iterable[bytes]) -> None:
        """Writes CreateObject, and an Update for each of these properties of the new object, as `write` does but several
        times faster: what does not change from one object to the next is laid out once per changeset. `key` and
        `values` are bytes as those of `key` and `payload`."""
        template = self._templates.get((class_name, names)) or self._template(class_name, names)
        operands = [key]
        for value in values:
            operands += (key, value)
        self._out += template % tuple(operands)

    def _template(self, class_name: str, names: tuple[str, ...]) -> bytes:
        cls = self.interned(class_name).replace(b"%", b"%%")
        parts = [b"\x02", cls, b"%b"]
        for name in names:
            parts += [b"\x04", cls, b"%b", self.interned(name).replace(b"%", b"%%"), b"\x00%b\x00"]
        self._templates[class_name, names] = template = b"".join(parts)
        return template


_WRITERS: dict[type, Callable[[Encoder, Any], bytes]] = {
    AddTable: Encoder.add_table,
    EraseTable: lambda e, i: b"\x01" + e.interned(i.class_name),
    CreateObject: lambda e, i: e.object(b"\x02", i),
    EraseObject: lambda e, i: e.object(b"\x03", i),
    Update: Encoder.update,
    AddInteger: lambda e, i: e.place(b"\x05", i) + _int64(i.by),
    AddColumn: Encoder.add_column,
    EraseColumn: lambda e, i: b"\x07" + e.interned(i.class_name) + e.interned(i.property),
    ArrayInsert: lambda e, i: e.place(b"\x08", i) + e.payload(i.value) + integer(i.prior_size),
    ArrayMove: lambda e, i: e.place(b"\x09", i) + integer(i.to) + integer(i.prior_size),
    ArrayErase: lambda e, i: e.place(b"\x0a", i) + integer(i.prior_size),
    Clear: lambda e, i: e.place(b"\x0b", i) + integer(COLLECTIONS.index(i.collection)),
    SetInsert: lambda e, i: e.place(b"\x0c", i) + e.payload(i.value),
    SetErase: lambda e, i: e.place(b"\x0d", i) + e.payload(i.value),
}


def _bool(value: bool) -> bytes:
    return b"\x01" if value else b"\x00"


def _int64(value: int) -> bytes:
    if not -INT64 <= value < INT64:
        raise ValueError(f"{value} does not fit into 64 bits")
    return integer(value)


def _exactly(size: int, value: bytes) -> bytes:
    if len(value) != size:
        raise ValueError(f"{len(value)} bytes in place of {size}")
    return value


def _nanoseconds(value: tuple[int, int]) -> bytes:
    if not are_of_one_sign(*value):
        raise ValueError(f"seconds and nanoseconds of two signs, or too many nanoseconds: {value}")
    return integer(value[1])


def are_of_one_sign(seconds: int, nanoseconds: int) -> bool:
    """Whether the two make a timestamp: less than a second of nanoseconds, and in the direction of the seconds."""
    return -(10**9) < nanoseconds < 10**9 and (seconds == 0 or nanoseconds == 0 or (seconds < 0) == (nanoseconds < 0))


def _decimal(coefficient: int, exponent: int, is_negative: bool) -> bytes:
    if not 0 <= coefficient < COEFFICIENT_LIMIT or exponent not in EXPONENTS:
        raise ValueError(f"{coefficient}e{exponent} does not fit into a decimal of 128 bits")
    return integer(coefficient) + integer(exponent) + _bool(is_negative)


_VALUE_BYTES: dict[PayloadType, Callable[[Any], bytes]] = {
    "int": lambda value: b"\x01" + _int64(value),
    "bool": lambda value: b"\x02\x01" if value else b"\x02\x00",
    "string": lambda value: b"\x03" + text(value),
    "binary": lambda value: b"\x04" + integer(len(value)) + bytes(value),
    "timestamp": lambda value: b"\x05" + _int64(value[0]) + _nanoseconds(value),
    "float": lambda value: b"\x06" + _float.pack(value),
    "double": lambda value: b"\x07" + _double.pack(value),
    "decimal": lambda value: b"\x08" + _decimal(*value),
    "objectId": lambda value: b"\x0a" + _exactly(12, value),
    "uuid": lambda value: b"\x0b" + _exactly(16, value),
    "null": lambda value: b"\x00",
    "object": lambda value: b"\x41",
    "dictionary": lambda value: b"\x42",
    "erased": lambda value: b"\x43",
    "list": lambda value: b"\x44",
    "set": lambda value: b"\x45",
}
"""Tag and value of what needs no interned string."""


# --- Reading ---------------------------------------------------------------------------------------------------------


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0
        self.strings: list[str] = []
        self._known: set[str] = set()
        self._expanded = 0

    def refusal(self, problem: str) -> DeviceSyncError:
        return DeviceSyncError(212, f"At byte {self.position} of a changeset of {len(self.data)}: {problem}.")

    def instruction(self) -> AnyInstruction | None:
        """The next one; None if it only defined a string."""
        opcode = self.integer()
        if opcode == DEFINE:
            self.define()
            return None
        read = _READERS.get(opcode)
        if read is None:
            raise self.refusal(f"there is no instruction {opcode}")
        return read(self)

    def integer(self) -> int:
        """Of 64 bits, signed."""
        try:
            byte = self.data[self.position]
        except IndexError:
            raise self.refusal("it ends inside an instruction") from None
        if byte < 0x40:  # most by far
            self.position += 1
            return byte
        return self.wide(-INT64, INT64)

    def unsigned(self, limit: int = INDEX_LIMIT) -> int:
        return self.wide(0, limit)

    def wide(self, low: int, limit: int) -> int:
        """An integer from `low` on and below `limit`."""
        data, position, value, shift = self.data, self.position, 0, 0
        longest = (limit.bit_length() + 7) // 7 * 7  # an overlong one must not become a big number first
        while position < len(data) and shift < longest:
            byte = data[position]
            position += 1
            if byte & 0x80:
                value |= (byte & 0x7F) << shift
                shift += 7
                continue
            value |= (byte & 0x3F) << shift
            if byte & 0x40:
                value = -(value + 1)
            if not low <= value < limit:
                raise self.refusal(f"{value} is out of range")
            self.position = position
            return value
        raise self.refusal("an integer is too long" if position < len(data) else "it ends inside an integer")

    def boolean(self) -> bool:
        return self.unsigned(2) == 1

    def choice(self, choices: tuple[Any, ...]) -> Any:
        return choices[self.unsigned(len(choices))]

    def raw(self, size: int) -> bytes:
        end = self.position + size
        if end > len(self.data):
            raise self.refusal(f"{size} bytes are announced, and {len(self.data) - self.position} are left")
        value = self.data[self.position : end]
        self.position = end
        return value

    def text(self) -> str:
        size = self.unsigned()
        try:
            return self.raw(size).decode()
        except UnicodeDecodeError:
            raise self.refusal("a string is not UTF-8") from None

    def define(self) -> None:
        index = self.unsigned()
        if index != len(self.strings):
            raise self.refusal(f"string {index} is defined where {len(self.strings)} is next")
        value = self.text()
        if value in self._known:
            raise self.refusal(f"string {index} is defined a second time")
        self._known.add(value)
        self.strings.append(value)

    def interned(self) -> str:
        index = self.integer()
        if not 0 <= index < len(self.strings):
            raise self.refusal(f"there is no string {index}")
        value = self.strings[index]
        if len(value) >= LONG:
            self._expanded += len(value)
            if self._expanded > EXPANDED:
                raise DeviceSyncError(101, f"A changeset uses long strings as names and keys, {EXPANDED} characters.")
        return value

    def key(self) -> Payload:
        tag = self.integer()
        if tag == 1:
            return Payload("int", self.integer())
        if tag == 3:
            return Payload("string", self.interned())
        if tag == 10:
            return Payload("objectId", self.raw(12))
        if tag == 11:
            return Payload("uuid", self.raw(16))
        if tag == 0:
            return NULL
        if tag == -1:
            return Payload("globalKey", (self.unsigned(UINT64), self.unsigned(UINT64)))
        raise self.refusal(f"there is no key of type {tag}")

    def payload(self) -> Payload:
        tag = self.integer()
        kind = TYPES.get(tag)
        if kind is None or tag == -1:
            raise self.refusal(f"there is no value of type {tag}")
        if kind in BARE:
            return Payload(kind) if tag else NULL
        return Payload(kind, _VALUES[tag](self))

    def timestamp(self) -> tuple[int, int]:
        seconds, nanoseconds = self.integer(), self.integer()
        if not are_of_one_sign(seconds, nanoseconds):
            raise self.refusal(f"a timestamp of {seconds} seconds and {nanoseconds} nanoseconds")
        return seconds, nanoseconds

    def decimal(self) -> tuple[int, int, bool]:
        coefficient, exponent, is_negative = self.unsigned(COEFFICIENT_LIMIT), self.integer(), self.boolean()
        if exponent not in EXPONENTS:
            raise self.refusal(f"a decimal with the exponent {exponent}")
        return coefficient, exponent, is_negative

    def path(self) -> Path:
        count = self.integer()
        if not count:
            return ()
        if not 0 < count <= DEEPEST:
            raise self.refusal(f"a path of {count} steps, and at most {DEEPEST} are allowed")
        steps: list[int | str] = []
        for _ in range(count):
            step = self.integer()
            if not -1 <= step < INDEX_LIMIT:
                raise self.refusal(f"{step} is no index")
            steps.append(self.interned() if step == -1 else step)
        return tuple(steps)

    def element(self) -> tuple[str, Payload, str, Path]:
        """Where an instruction on an element of a list leads."""
        class_name, key, prop, path = self.interned(), self.key(), self.interned(), self.path()
        if not path or isinstance(path[-1], str):
            raise self.refusal(f"an instruction on {class_name}.{prop} leads to no element of a list")
        return class_name, key, prop, path

    def add_table(self) -> AddTable:
        class_name, kind = self.interned(), self.choice(KINDS)
        if kind == "embedded":
            return AddTable(class_name, kind)
        key_name, tag = self.interned(), self.integer()
        if tag not in KEY_TYPES:
            raise self.refusal(f"there is no key of type {tag}")
        return AddTable(class_name, kind, key_name, KEY_TYPES[tag], self.boolean())

    def add_column(self) -> AddColumn:
        class_name, prop, tag = self.interned(), self.interned(), self.integer()
        if tag not in COLUMN_TYPES:
            raise self.refusal(f"there is no property of type {tag}")
        kind, is_nullable, collection = COLUMN_TYPES[tag], self.boolean(), self.choice(COLLECTIONS)
        target = self.interned() if kind == "link" else ""
        if collection == "dictionary" and self.integer() != TAGS["string"]:
            raise self.refusal("a dictionary whose keys are no strings")
        return AddColumn(class_name, prop, kind, is_nullable, collection, target)

    def clear(self) -> Clear:
        class_name, key, prop, path, collection = (
            self.interned(), self.key(), self.interned(), self.path(), self.choice(COLLECTIONS)
        )  # fmt: skip
        if not collection:
            raise self.refusal(f"{class_name}.{prop} is cleared as no collection")
        return Clear(class_name, key, prop, path, collection)

    def update(self) -> Update:
        class_name, key, prop, path = self.interned(), self.key(), self.interned(), self.path()
        value = self.payload()
        if path and isinstance(path[-1], int):
            return Update(class_name, key, prop, path, value, self.unsigned())
        return Update(class_name, key, prop, path, value, 0, self.boolean())


_VALUES: dict[int, Callable[[_Reader], Any]] = {
    1: _Reader.integer,
    2: _Reader.boolean,
    3: _Reader.text,
    4: lambda r: r.raw(r.unsigned()),
    5: _Reader.timestamp,
    6: lambda r: _float.unpack(r.raw(4))[0],
    7: lambda r: _double.unpack(r.raw(8))[0],
    8: _Reader.decimal,
    9: lambda r: (r.interned(), r.key()),
    10: lambda r: r.raw(12),
    11: lambda r: r.raw(16),
}

_READERS: dict[int, Callable[[_Reader], AnyInstruction]] = {
    0: _Reader.add_table,
    1: lambda r: EraseTable(r.interned()),
    2: lambda r: CreateObject(r.interned(), r.key()),
    3: lambda r: EraseObject(r.interned(), r.key()),
    4: _Reader.update,
    5: lambda r: AddInteger(r.interned(), r.key(), r.interned(), r.path(), r.integer()),
    6: _Reader.add_column,
    7: lambda r: EraseColumn(r.interned(), r.interned()),
    8: lambda r: ArrayInsert(*r.element(), r.payload(), r.unsigned()),
    9: lambda r: ArrayMove(*r.element(), r.unsigned(), r.unsigned()),
    10: lambda r: ArrayErase(*r.element(), r.unsigned()),
    11: _Reader.clear,
    12: lambda r: SetInsert(r.interned(), r.key(), r.interned(), r.path(), r.payload()),
    13: lambda r: SetErase(r.interned(), r.key(), r.interned(), r.path(), r.payload()),
}
