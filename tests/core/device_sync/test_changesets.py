"""Changesets: the documented bytes are written and read, the recorded ones of a real client too, and any others are
refused without harm."""

from __future__ import annotations

import math
import struct
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realm_sync.core.device_sync.changesets import (
    COLUMN_TAGS,
    DEEPEST,
    EXPONENTS,
    KEY_TAGS,
    Encoder,
    decode,
    encode,
    integer,
    key_from_text,
    key_text,
)
from realm_sync.core.device_sync.errors import DeviceSyncError
from realm_sync.core.device_sync.frames import Upload, decode_from_client, entry_list, inflate
from realm_sync.core.device_sync.instructions import (
    NULL,
    AddColumn,
    AddInteger,
    AddTable,
    AnyInstruction,
    ArrayErase,
    ArrayInsert,
    ArrayMove,
    Clear,
    CreateObject,
    EraseColumn,
    EraseObject,
    EraseTable,
    Payload,
    SetErase,
    SetInsert,
    Update,
)
from realm_sync.core.device_sync.payloads import INFINITY, NAN

from .transcripts import NAMES, frames, instruction, same

STEADY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Other tests may keep the machine busy."""
ONE = Payload("int", 1)
BOB = Payload("link", ("Person", Payload("string", "bob")))
OBJECT_ID = Payload("objectId", bytes.fromhex("65a1b2c3d4e5f60718293a4b"))


def string(value: str) -> Payload:
    return Payload("string", value)


def at(prop: str, *path: int | str) -> tuple[str, Payload, str, tuple[int | str, ...]]:
    return "Task", ONE, prop, path


EXAMPLES: dict[str, tuple[str, list[AnyInstruction]]] = {
    "a schema": (
        """
        3f 00 04 54 61 73 6b 3f 01 03 5f 69 64 00 00 00 01 01 00
        3f 02 04 49 74 65 6d 00 02 01
        3f 03 05 74 69 74 6c 65 06 00 03 03 01 00
        3f 04 05 69 74 65 6d 73 06 00 04 09 00 01 02
        3f 05 05 61 74 74 72 73 06 00 05 00 01 02 03
        3f 06 06 6c 61 62 65 6c 73 06 00 06 03 00 03
        3f 07 03 61 6e 79 06 00 07 00 01 00
        """,
        [
            AddTable("Task", "top-level", "_id", "int", False),
            AddTable("Item", "embedded"),
            AddColumn("Task", "title", "string", True),
            AddColumn("Task", "items", "link", False, "list", "Item"),
            AddColumn("Task", "attrs", "mixed", True, "dictionary"),
            AddColumn("Task", "labels", "string", False, "set"),
            AddColumn("Task", "any", "mixed", True),
        ],
    ),
    "a new object": (
        """
        3f 00 04 54 61 73 6b 02 00 01 01
        3f 01 05 74 69 74 6c 65 04 00 01 01 01 00 03 02 48 69 00
        3f 02 04 64 6f 6e 65 04 00 01 01 02 00 02 01 00
        3f 03 04 6e 6f 74 65 04 00 01 01 03 00 00 00
        """,
        [
            CreateObject("Task", ONE),
            Update(*at("title"), string("Hi")),
            Update(*at("done"), Payload("bool", True)),
            Update(*at("note"), NULL),
        ],
    ),
    "increments": (
        "3f 00 04 54 61 73 6b 3f 01 05 63 6f 75 6e 74 05 00 01 01 01 00 05 05 00 01 01 01 00 42",
        [AddInteger(*at("count"), 5), AddInteger(*at("count"), -3)],
    ),
    "a list": (
        """
        3f 00 04 54 61 73 6b 3f 01 04 74 61 67 73
        08 00 01 01 01 01 00 03 01 61 00
        08 00 01 01 01 01 01 03 01 62 01
        04 00 01 01 01 01 01 03 01 63 02
        09 00 01 01 01 01 01 00 02
        0a 00 01 01 01 01 00 02
        """,
        [
            ArrayInsert(*at("tags", 0), string("a"), 0),
            ArrayInsert(*at("tags", 1), string("b"), 1),
            Update(*at("tags", 1), string("c"), 2),
            ArrayMove(*at("tags", 1), 0, 2),
            ArrayErase(*at("tags", 0), 2),
        ],
    ),
    "links": (
        """
        3f 00 04 54 61 73 6b 3f 01 05 6f 77 6e 65 72 3f 02 06 50 65 72 73 6f 6e 3f 03 03 62 6f 62
        04 00 01 01 01 00 09 02 03 03 00
        3f 04 04 63 72 65 77
        08 00 01 01 04 01 00 09 02 03 03 00
        """,
        [Update(*at("owner"), BOB), ArrayInsert(*at("crew", 0), BOB, 0)],
    ),
    "a set": (
        """
        3f 00 04 54 61 73 6b 3f 01 06 6c 61 62 65 6c 73
        0c 00 01 01 01 00 03 01 78 0d 00 01 01 01 00 03 01 79 0b 00 01 01 01 00 03
        """,
        [
            SetInsert(*at("labels"), string("x")),
            SetErase(*at("labels"), string("y")),
            Clear(*at("labels"), "set"),
        ],
    ),
    "embedded objects": (
        """
        3f 00 04 54 61 73 6b 3f 01 04 61 64 64 72
        04 00 01 01 01 00 41 00
        3f 02 04 63 69 74 79
        04 00 01 01 01 01 40 02 03 04 4f 73 6c 6f 00
        3f 03 05 69 74 65 6d 73
        08 00 01 01 03 01 00 41 00
        3f 04 03 71 74 79
        04 00 01 01 03 02 00 40 04 01 02 00
        """,
        [
            Update(*at("addr"), Payload("object")),
            Update(*at("addr", "city"), string("Oslo")),
            ArrayInsert(*at("items", 0), Payload("object"), 0),
            Update(*at("items", 0, "qty"), Payload("int", 2)),
        ],
    ),
    "a dictionary, and the end of an object": (
        """
        3f 00 04 54 61 73 6b 3f 01 05 61 74 74 72 73 3f 02 01 6b
        04 00 01 01 01 01 40 02 01 01 00
        04 00 01 01 01 01 40 02 43 00
        0b 00 01 01 01 00 02
        03 00 01 01
        """,
        [
            Update(*at("attrs", "k"), ONE),
            Update(*at("attrs", "k"), Payload("erased")),
            Clear(*at("attrs"), "dictionary"),
            EraseObject("Task", ONE),
        ],
    ),
    "collections in a mixed property": (
        """
        3f 00 04 54 61 73 6b 3f 01 03 61 6e 79
        04 00 01 01 01 00 44 00
        08 00 01 01 01 01 00 42 00
        3f 02 01 6b
        04 00 01 01 01 02 00 40 02 01 06 00
        0b 00 01 01 01 00 01
        """,
        [
            Update(*at("any"), Payload("list")),
            ArrayInsert(*at("any", 0), Payload("dictionary"), 0),
            Update(*at("any", 0, "k"), Payload("int", 6)),
            Clear(*at("any"), "list"),
        ],
    ),
    "an ObjectId as the key": (
        "3f 00 04 54 61 73 6b 03 00 0a 65 a1 b2 c3 d4 e5 f6 07 18 29 3a 4b",
        [EraseObject("Task", OBJECT_ID)],
    ),
    "what is true whatever was there": (
        """
        3f 00 04 54 61 73 6b 3f 01 04 74 61 67 73 0b 00 01 01 01 00 01
        08 00 01 01 01 01 00 03 01 61 00 08 00 01 01 01 01 01 03 01 62 01
        """,
        [
            Clear(*at("tags"), "list"),
            ArrayInsert(*at("tags", 0), string("a"), 0),
            ArrayInsert(*at("tags", 1), string("b"), 1),
        ],
    ),
    "what the SDKs never write": (
        "3f 00 04 54 61 73 6b 01 00 3f 01 01 61 07 00 01 3f 02 00 00 00 00 02 40 00 02 00 40 01 02",
        [
            EraseTable("Task"),
            EraseColumn("Task", "a"),
            AddTable("Task", "top-level", "", "globalKey", False),
            CreateObject("Task", Payload("globalKey", (1, 2))),
        ],
    ),
}


@pytest.mark.parametrize(("written", "instructions"), EXAMPLES.values(), ids=EXAMPLES)
def test_examples_are_read_and_written(written: str, instructions: list[AnyInstruction]) -> None:
    data = bytes.fromhex(written)
    assert decode(data) == instructions
    assert encode(instructions) == data


INTEGERS = {
    0: "00", 1: "01", 63: "3f", 64: "c000", 127: "ff00", 128: "8001", 300: "ac02", 8191: "ff3f", 8192: "80c000",
    -1: "40", -2: "41", -64: "7f", -65: "c040", 2**31: "8080808008", 2**63 - 1: "ff" * 9 + "00", -(2**63): "ff" * 9 + "40",
}  # fmt: skip


@pytest.mark.parametrize(("value", "written"), INTEGERS.items())
def test_integers_are_read_and_written(value: int, written: str) -> None:
    assert integer(value).hex() == written
    assert decode(adding(bytes.fromhex(written))) == [AddInteger("a", NULL, "a", (), value)]


@STEADY
@given(st.integers(-(2**63), 2**63 - 1))
def test_every_integer_returns(value: int) -> None:
    assert len(integer(value)) <= 10
    assert decode(adding(integer(value))) == [AddInteger("a", NULL, "a", (), value)]


def adding(written: bytes) -> bytes:
    return bytes.fromhex("3f000161 05 00 00 00 00") + written


def payload_of(written: str) -> Payload:
    [read] = decode(bytes.fromhex("3f000161 04 00 00 00 00" + written + "00"))
    assert isinstance(read, Update)
    return read.value


VALUES = {
    "05 80 e2 cf aa 06 c0 96 b1 02": Payload("timestamp", (1700000000, 5000000)),
    "05 40 ff c9 b5 ee 41": Payload("timestamp", (-1, -500000000)),
    "05 41 ff c9 b5 ee 41": Payload("timestamp", (-2, -500000000)),  # as an SDK writes 1.5 seconds before 1970
    "07 00 00 00 00 00 00 f8 3f": Payload("double", 1.5),
    "06 00 00 00 c0": Payload("float", -2.0),
    "08 0f 40 00": Payload("decimal", (15, -1, False)),
    "08 00" + integer(NAN).hex() + "00": Payload("decimal", (0, NAN, False)),
    "08 00" + integer(INFINITY).hex() + "01": Payload("decimal", (0, INFINITY, True)),
    "08" + integer(10**34 - 1).hex() + integer(-6176).hex() + "01": Payload("decimal", (10**34 - 1, -6176, True)),
    "04 02 00 ff": Payload("binary", b"\x00\xff"),
    "04 00": Payload("binary", b""),
    "0b" + "11" * 16: Payload("uuid", b"\x11" * 16),
    "45": Payload("set"),
    "02 00": Payload("bool", False),
    "03 04 f0 9f 9b a9": Payload("string", "\U0001f6e9"),
}


@pytest.mark.parametrize(("written", "value"), VALUES.items())
def test_values_are_read_and_written(written: str, value: Payload) -> None:
    assert payload_of(written) == value
    assert Encoder().payload(value) == bytes.fromhex(written)


@pytest.mark.parametrize(
    ("key", "written"),
    [
        (Payload("int", 123), "AfsA"),
        (string("short"), "AwVzaG9ydA=="),
        (NULL, "AA=="),
        (OBJECT_ID, "CmWhssPU5fYHGCk6Sw=="),
    ],
)
def test_keys_in_reports(key: Payload, written: str) -> None:
    assert key_text(key) == written
    assert key_from_text(written) == key


@pytest.mark.parametrize("written", ["AgE=", "AfsAAA==", "AfsA!", ""])
def test_other_texts_are_no_keys(written: str) -> None:
    with pytest.raises((ValueError, DeviceSyncError)):
        key_from_text(written)


# --- What was recorded -----------------------------------------------------------------------------------------------


def recorded_changesets(name: str) -> list[tuple[bool, bytes, list[dict[str, Any]]]]:
    """(is the client's, bytes, instructions as the recorder understood them) of each changeset."""
    found = []
    for frame in frames(name):
        if frame.word == "upload":
            upload = decode_from_client(frame.data)
            assert isinstance(upload, Upload)
            changesets = [entry.changeset for entry in upload.entries]
        elif frame.word == "download":
            head, _, body = frame.data.partition(b"\n")
            *_, is_compressed, size, _ = head.split(b" ")
            body = inflate(body, int(size)) if is_compressed == b"1" else body
            changesets = [data for _, data in entry_list(body, 5)]
        else:
            continue
        for data, entry in zip(changesets, frame.decoded, strict=True):
            found.append((frame.is_of_client, data, entry["instructions"]))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_recorded_changesets_are_read_and_written(name: str) -> None:
    for is_of_client, data, recorded in recorded_changesets(name):
        read = decode(data)
        assert len(read) == len(recorded)
        assert all(map(same, read, map(instruction, recorded)))
        again = encode(read)
        if is_of_client:  # it also defines strings that it does not use
            assert all(map(same, decode(again), read))
            assert len(again) <= len(data)
        else:
            assert again == data


# --- What is no changeset --------------------------------------------------------------------------------------------

A = "3f 00 01 61"
"""Defines "a" as the string 0."""

REFUSED = {
    "an unknown instruction": ("0e", "no instruction 14"),
    "a negative instruction": ("40", "no instruction -1"),
    "the end inside an integer": ("80", "ends inside an integer"),
    "the end inside an instruction": (A + "02 00", "ends inside an instruction"),
    "an integer of eleven bytes": (A + "05 00 00 00 00" + "80" * 10 + "00", "too long"),
    "an integer of 65 bits": (A + "05 00 00 00 00" + "80" * 9 + "02", "out of range"),
    "a string that is defined out of order": ("3f 01 01 61", "string 1 is defined where 0 is next"),
    "a string that is defined twice": (A + "3f 01 01 61", "a second time"),
    "a string that is not defined": (A + "01 01", "no string 1"),
    "a negative string": (A + "01 40", "no string -1"),
    "a string longer than the changeset": ("3f 00 ff ff ff 0f 61", "bytes are announced, and 1 are left"),
    "a string of a negative length": ("3f 00 40 61", "out of range"),
    "a string that is not UTF-8": ("3f 00 01 ff", "not UTF-8"),
    "half a surrogate pair": ("3f 00 03 ed a0 80", "not UTF-8"),
    "a value that is not UTF-8": (A + "04 00 00 00 00 03 01 80 00", "not UTF-8"),
    "an unknown kind of class": (A + "00 00 03", "out of range"),
    "a class keyed by a double": (A + "00 00 00 00 07 00", "no key of type 7"),
    "an unknown type of property": (A + "06 00 00 0c 00 00", "no property of type 12"),
    "a dictionary keyed by numbers": (A + "06 00 00 01 00 02 01", "whose keys are no strings"),
    "a key of another type": (A + "02 00 02 01", "no key of type 2"),
    "a key of half the bytes": (A + "02 00 0b 00", "16 bytes are announced"),
    "a global key of negative numbers": (A + "02 00 40 40 00", "out of range"),
    "a value of an unknown type": (A + "04 00 00 00 00 0c 00", "no value of type 12"),
    "a global key as a value": (A + "04 00 00 00 00 40 00 00 00", "no value of type -1"),
    "a boolean of two": (A + "04 00 00 00 00 02 02 00", "2 is out of range"),
    "a default of two": (A + "04 00 00 00 00 00 02", "2 is out of range"),
    "a timestamp of two signs": (A + "04 00 00 00 00 05 01 40 00", "a timestamp of 1 seconds and -1 nanoseconds"),
    "a second of nanoseconds": (A + "04 00 00 00 00 05 00 80 94 eb dc 03 00", "1000000000 nanoseconds"),
    "a decimal of 114 bits": (A + "04 00 00 00 00 08" + integer(1 << 113).hex() + "00 00 00", "out of range"),
    "a negative coefficient": (A + "04 00 00 00 00 08 40 00 00 00", "-1 is out of range"),
    "a coefficient without end": (A + "04 00 00 00 00 08" + "ff" * 40 + "00 00 00", "too long"),
    "an exponent below all": (A + "04 00 00 00 00 08 01" + integer(-6177).hex() + "00 00", "the exponent -6177"),
    "an exponent above all": (A + "04 00 00 00 00 08 01" + integer(10208).hex() + "00 00", "the exponent 10208"),
    "a path of a negative length": (A + "04 00 00 00 40 00 00", "a path of -1 steps"),
    "a path that is too deep": (A + "04 00 00 00" + integer(DEEPEST + 1).hex() + "00" * 400, "a path of 257 steps"),
    "an index below -1": (A + "04 00 00 00 01 41 00 00", "-2 is no index"),
    "an index of 33 bits": (A + "04 00 00 00 01" + integer(1 << 32).hex() + "00 00", "4294967296 is no index"),
    "a size of 33 bits": (A + "08 00 00 00 01 00 00" + integer(1 << 32).hex(), "out of range"),
    "an insertion at no index": (A + "08 00 00 00 00 00 00", "leads to no element of a list"),
    "an insertion at a name": (A + "08 00 00 00 01 40 00 00 00", "leads to no element of a list"),
    "a clearing of nothing": (A + "0b 00 00 00 00 00", "cleared as no collection"),
    "a clearing of an unknown kind": (A + "0b 00 00 00 00 04", "out of range"),
}


@pytest.mark.parametrize(("written", "problem"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_changeset_is_refused_with_the_offset(written: str, problem: str) -> None:
    with pytest.raises(DeviceSyncError) as caught:
        decode(bytes.fromhex(written))
    assert caught.value.number == 212
    assert problem in caught.value.message
    assert caught.value.message.startswith("At byte ")


def test_at_most_so_many_instructions_are_read() -> None:
    data = bytes.fromhex(A) + bytes.fromhex("01 00") * 3
    assert len(decode(data, most=3)) == 3
    with pytest.raises(DeviceSyncError) as caught:
        decode(data, most=2)
    assert caught.value.number == 101


WRONG_VALUES = [
    Payload("int", 1 << 63), Payload("uuid", b"1"), Payload("objectId", b"1" * 16), Payload("timestamp", (1, -1)),
    Payload("decimal", (1 << 113, 0, False)), Payload("decimal", (1, 10208, False)), Payload("decimal", (-1, 0, False)),
]  # fmt: skip


@pytest.mark.parametrize("value", WRONG_VALUES)
def test_what_a_type_cannot_hold_is_not_written(value: Payload) -> None:
    with pytest.raises(ValueError):
        encode([Update("Task", ONE, "any", (), value)])


# --- Any -------------------------------------------------------------------------------------------------------------

NAMES_OF_THINGS = st.sampled_from(["Task", "Person", "title", "", "ä", "_id", "%b"]) | st.text("abc%", max_size=70)
INT64 = st.integers(-(2**63), 2**63 - 1)
INDEXES = st.integers(0, 2**32 - 1)
BYTES12, BYTES16 = st.binary(min_size=12, max_size=12), st.binary(min_size=16, max_size=16)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=200)


def payloads(kind: Any, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Payload]:
    return values.map(lambda value: Payload(kind, value))


KEYS = st.one_of(
    st.just(NULL),
    payloads("int", INT64),
    payloads("string", NAMES_OF_THINGS),
    payloads("objectId", BYTES12),
    payloads("uuid", BYTES16),
    payloads("globalKey", st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))),
)
TIMES = st.tuples(INT64, st.integers(0, 10**9 - 1)).map(lambda t: (t[0], -t[1] if t[0] < 0 else t[1]))
PAYLOADS = st.one_of(
    st.sampled_from([NULL, *map(Payload, ("object", "list", "dictionary", "set", "erased"))]),
    payloads("int", INT64),
    payloads("bool", st.booleans()),
    payloads("string", TEXTS),
    payloads("binary", st.binary(max_size=200)),
    payloads("timestamp", TIMES),
    payloads("float", st.floats(width=32, allow_nan=False)),
    payloads("double", st.floats(allow_nan=False)),
    payloads("decimal", st.tuples(st.integers(0, 2**113 - 1), st.sampled_from(EXPONENTS), st.booleans())),
    payloads("link", st.tuples(NAMES_OF_THINGS, KEYS)),
    payloads("objectId", BYTES12),
    payloads("uuid", BYTES16),
)
STEPS = st.lists(INDEXES | NAMES_OF_THINGS, max_size=5)
PLACES = (NAMES_OF_THINGS, KEYS, NAMES_OF_THINGS, STEPS.map(tuple))
ELEMENTS = (*PLACES[:3], st.builds(lambda steps, last: (*steps, last), STEPS, INDEXES))
COLUMNS = st.sampled_from(sorted(COLUMN_TAGS))


def columns(name: str, prop: str, kind: Any, nullable: bool, collection: Any, target: str) -> AddColumn:
    return AddColumn(name, prop, kind, nullable, collection, target if kind == "link" else "")


INSTRUCTIONS = st.one_of(
    st.builds(AddTable, NAMES_OF_THINGS, st.just("embedded")),
    st.builds(
        AddTable,
        NAMES_OF_THINGS,
        st.sampled_from(["top-level", "asymmetric"]),
        NAMES_OF_THINGS,
        st.sampled_from(sorted(KEY_TAGS)),
        st.booleans(),
    ),
    st.builds(EraseTable, NAMES_OF_THINGS),
    st.builds(EraseColumn, NAMES_OF_THINGS, NAMES_OF_THINGS),
    st.builds(
        columns,
        NAMES_OF_THINGS,
        NAMES_OF_THINGS,
        COLUMNS,
        st.booleans(),
        st.sampled_from(["", "list", "dictionary", "set"]),
        NAMES_OF_THINGS,
    ),
    st.builds(CreateObject, NAMES_OF_THINGS, KEYS),
    st.builds(EraseObject, NAMES_OF_THINGS, KEYS),
    st.builds(Update, *ELEMENTS, PAYLOADS, INDEXES),
    st.builds(
        lambda name, key, prop, steps, last, value, default: Update(
            name, key, prop, (*steps, *last), value, 0, default
        ),
        *PLACES,
        NAMES_OF_THINGS.map(lambda name: (name,)),
        PAYLOADS,
        st.booleans(),
    ),
    st.builds(AddInteger, *PLACES, INT64),
    st.builds(ArrayInsert, *ELEMENTS, PAYLOADS, INDEXES),
    st.builds(ArrayMove, *ELEMENTS, INDEXES, INDEXES),
    st.builds(ArrayErase, *ELEMENTS, INDEXES),
    st.builds(Clear, *PLACES, st.sampled_from(["list", "dictionary", "set"])),
    st.builds(SetInsert, *PLACES, PAYLOADS),
    st.builds(SetErase, *PLACES, PAYLOADS),
)


@STEADY
@given(st.lists(INSTRUCTIONS, max_size=8))
def test_any_instructions_return(instructions: list[AnyInstruction]) -> None:
    assert decode(encode(instructions)) == instructions


@STEADY
@given(st.lists(st.tuples(KEYS, PAYLOADS, PAYLOADS), max_size=5))
def test_objects_are_written_at_once_as_instruction_by_instruction(
    objects: list[tuple[Payload, Payload, Payload]],
) -> None:
    encoder = Encoder()
    expected: list[AnyInstruction] = []
    for key, first, second in objects:
        encoder.create("Task", encoder.key(key), ("title", "n"), (encoder.payload(first), encoder.payload(second)))
        expected += [
            CreateObject("Task", key),
            Update("Task", key, "title", (), first),
            Update("Task", key, "n", (), second),
        ]
    assert decode(encoder.take()) == expected
    assert encoder.size == 0
    encoder.create("Task", b"\x01\x01", ("title", "n"), (b"\x00", b"\x00"))  # defines all strings again
    assert decode(encoder.take())[0] == CreateObject("Task", ONE)


@pytest.mark.parametrize("before", range(34, 39))
def test_an_index_may_be_the_byte_of_a_per_cent_sign(before: int) -> None:
    encoder = Encoder()
    others: list[AnyInstruction] = [EraseTable(f"c{number}") for number in range(before)]
    for one in others:
        encoder.write(one)
    encoder.create("Task", encoder.key(ONE), ("title",), (encoder.payload(ONE),))
    assert decode(encoder.take()) == [*others, CreateObject("Task", ONE), Update(*at("title"), ONE)]


def test_not_a_number_returns() -> None:
    for kind in ("float", "double"):
        encoder = Encoder()
        encoder.write(Update("Task", ONE, "x", (), Payload(kind, math.nan)))  # type: ignore[arg-type]
        [read] = decode(encoder.take())
        assert isinstance(read, Update)
        assert math.isnan(read.value.value)
    assert struct.pack("<d", payload_of("07 00 00 00 00 00 00 f8 7f").value) == bytes.fromhex("000000000000f87f")


MUTATIONS: list[Callable[[bytes, int, int], bytes]] = [
    lambda data, place, byte: data[:place] + bytes([byte]) + data[place + 1 :],
    lambda data, place, byte: data[:place] + data[place + 1 :],
    lambda data, place, byte: data[:place] + bytes([byte]) + data[place:],
    lambda data, place, byte: data[:place],
    lambda data, place, byte: data[place:] + data[:place],
]
SOURCES = [bytes.fromhex(written) for written, _ in EXAMPLES.values()]


@STEADY
@given(
    st.sampled_from(SOURCES),
    st.lists(st.tuples(st.sampled_from(MUTATIONS), st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_changed_bytes_are_refused_or_mean_something(data: bytes, changes: list[Any]) -> None:
    for change, place, byte in changes:
        data = change(data, place % (len(data) + 1), byte)
    is_read_or_refused(data)


@STEADY
@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_mean_something(data: bytes) -> None:
    is_read_or_refused(data)


def is_read_or_refused(data: bytes) -> None:
    try:
        read = decode(data)
    except DeviceSyncError as error:
        assert error.number == 212
    else:
        assert all(map(same, decode(encode(read)), read))


@pytest.mark.parametrize(
    "unit",
    ["01 00", "02 00 00", "04 00 00 00 20" + "00" * 32 + "00 00", "04 00 00 00 00 03 08" + "61" * 8 + "00", "01 80"],
)
def test_memory_is_bounded_by_the_bytes(unit: str) -> None:
    """The worst that an instruction can do is a small object for two bytes."""
    data = bytes.fromhex(A) + bytes.fromhex(unit) * (300_000 // len(bytes.fromhex(unit)))
    tracemalloc.start()
    try:
        decode(data)
    except DeviceSyncError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 40 * len(data)
