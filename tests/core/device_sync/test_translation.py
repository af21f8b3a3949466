"""A changeset of an official client, in our words, does to an object what its own instructions do to it."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realm_sync.core import messages as ours
from realm_sync.core.device_sync.changesets import decode, encode
from realm_sync.core.device_sync.errors import DeviceSyncError
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
    EraseObject,
    ObjectInstruction,
    Payload,
    SetErase,
    SetInsert,
    Update,
)
from realm_sync.core.device_sync.payloads import decode_key, zeros
from realm_sync.core.device_sync.schema import declare
from realm_sync.core.device_sync.translation import Translation, Translator
from realm_sync.core.edits import identity
from realm_sync.core.merge import replay
from realm_sync.core.schema import ObjectSchema, Property, Schema
from tests.official_client.errors import ApplyFailed
from tests.official_client.store import Store

from . import transcripts
from .clients import steps
from .holding import apply, held, store_of
from .worlds import EVERY, SCHEMA

TRANSLATOR = Translator(SCHEMA)
KEY = Payload("objectId", bytes(11) + b"\x01")
ID = "0" * 23 + "1"
OBJECT, LIST, DICTIONARY = Payload("object"), Payload("list"), Payload("dictionary")


def string(value: str) -> Payload:
    return Payload("string", value)


def integer(value: int) -> Payload:
    return Payload("int", value)


def translated(*instructions: AnyInstruction) -> list[ours.AnyInstruction]:
    return TRANSLATOR.translate(instructions).instructions


def update(prop: str, value: Payload, *path: int | str, **more: Any) -> Update:
    return Update("Every", KEY, prop, path, value, **more)


def insert(prop: str, value: Payload, *path: int | str) -> ArrayInsert:
    return ArrayInsert("Every", KEY, prop, path, value, 0)


def erase(prop: str, *path: int | str) -> ArrayErase:
    return ArrayErase("Every", KEY, prop, path, 0)


def at(op: Any, *path: int | str, **fields: Any) -> Any:
    return op(class_name="Every", id=ID, path=list(path), **fields)


def written(**values: Any) -> ours.Update:
    return ours.Update(class_name="Every", id=ID, values=values)


INNER = {"city": "", "qty": 0, "used": None, "anything": None, "tags": []}
OUTER = {"one": None, "many": [], "named": {}, "friend": None, "labels": []}


# --- against a strict client -----------------------------------------------------------------------------------------


def replayed(schema: Schema, cls: ObjectSchema, image: Any, found: list[ours.AnyInstruction]) -> Any:
    for step in found:
        if isinstance(step, ours.Create):
            assert set(step.values) <= set(cls.properties)
            step = ours.Create(class_name=step.class_name, id=step.id, values=zeros(schema, cls) | step.values)
        image = replay(schema, cls, image, [step])
    return image


@settings(max_examples=400)
@given(st.data())
def test_an_object_becomes_what_the_client_made_of_it(data: st.DataObject) -> None:
    store = store_of(SCHEMA)
    known = data.draw(st.booleans())
    if known:
        apply(store, [CreateObject("Every", KEY)])
        data.draw(steps(store, "Every", KEY))
    before = held(SCHEMA, store, "Every", KEY)
    changeset = [] if known else [CreateObject("Every", KEY)]
    apply(store, changeset)
    changeset += data.draw(steps(store, "Every", KEY))
    found = TRANSLATOR.translate(decode(encode(changeset)))
    image = replayed(SCHEMA, EVERY, before, found.instructions)
    expected = held(SCHEMA, store, "Every", KEY)
    assert image is not None and expected is not None
    told = found.inexact.get(("Every", ID), set())
    for name in expected:
        assert name in told or identity(image[name]) == identity(expected[name]), name
    if not known:
        assert len(found.instructions) == 1


def test_recordings_translate_to_what_the_client_has() -> None:
    compared = 0
    for name in transcripts.NAMES:
        compared += _compare(name)
    assert compared > 550


def _compare(name: str) -> int:
    """Plays all uploads of a recording in the order in which they came. What does not fit any more, as other clients
    wrote in between, is left out until the object is made anew."""
    declared = dict(_declared("s2-write"))  # some recordings begin with a client that has the schema
    store, schema = Store(), schema_of(declared.values())
    apply(store, declared.values())
    compared = 0
    for frame in transcripts.frames(name):
        if frame.word not in ("upload", "download"):
            continue
        for entry in frame.decoded:
            instructions = [transcripts.instruction(it) for it in entry["instructions"]]
            declarations = [it for it in instructions if isinstance(it, AddTable | AddColumn)]
            declared |= {(it.class_name, getattr(it, "property", "")): it for it in declarations}
            apply(store, declarations)
            schema = schema_of(declared.values())
            if frame.word == "upload":
                compared += _compare_entry(schema, store, instructions)
    return compared


def _compare_entry(schema: Schema, store: Store, instructions: list[AnyInstruction]) -> int:
    found = Translator(schema).translate(instructions)
    objects: dict[tuple[str, Payload], list[ObjectInstruction]] = {}
    for it in instructions:
        if isinstance(it, ObjectInstruction):
            objects.setdefault((it.class_name, it.key), []).append(it)
    return sum(_compare_object(schema, store, *name, mine, found) for name, mine in objects.items())


def _compare_object(
    schema: Schema, store: Store, class_name: str, key: Payload, mine: list[Any], found: Translation
) -> bool:
    cls = schema[class_name]
    before = held(schema, store, class_name, key)
    if before is None and not isinstance(mine[0], CreateObject):
        return False
    try:
        apply(store, mine)
    except ApplyFailed:
        del store.objects[class_name][key]
        return False
    id = decode_key(cls, key)
    translation = [it for it in found.instructions if it.class_name == class_name and it.id == id]
    image, expected = replayed(schema, cls, before, translation), held(schema, store, class_name, key)
    if image is None or expected is None:
        assert image is expected
        return True
    differing = {name for name in expected if identity(image[name]) != identity(expected[name])}
    assert differing <= found.inexact.get((class_name, str(id)), set())
    return True


def schema_of(declared: Any) -> Schema:
    """The schema that these instructions declare."""
    classes: dict[str, dict[str, Property]] = {}
    kinds: dict[str, AddTable] = {}
    ours_of = {"binary": "data", "timestamp": "date", "decimal": "decimal128"}
    for it in declared:
        if isinstance(it, AddTable):
            kinds[it.class_name] = it
            key = {} if it.kind == "embedded" else {"_id": Property(type=ours_of.get(it.key_type, it.key_type))}
            classes.setdefault(it.class_name, {}).update(key)
    for it in declared:
        if isinstance(it, AddColumn):
            kind = it.target if it.type == "link" else ours_of.get(it.type, it.type)
            if it.collection:
                prop = Property(type=it.collection, object_type=kind, optional=it.nullable)
            elif it.type == "link":
                prop = Property(type="object", object_type=kind, optional=True)
            else:
                prop = Property(type=kind, optional=it.nullable)
            classes[it.class_name][it.property] = prop
    return Schema(
        ObjectSchema(
            name=name,
            properties=properties,
            embedded=kinds[name].kind == "embedded",
            asymmetric=kinds[name].kind == "asymmetric",
        )
        for name, properties in classes.items()
    )


@cache
def _declared(name: str) -> dict[Any, AddTable | AddColumn]:
    """What the client declared in a recording."""
    return {
        (it.class_name, getattr(it, "property", "")): it
        for frame in transcripts.frames(name)
        if frame.word == "upload"
        for entry in frame.decoded
        for it in map(transcripts.instruction, entry["instructions"])
        if isinstance(it, AddTable | AddColumn)
    }


@pytest.mark.parametrize("name", ["s2-write", "s12-i", "s12-e", "s12-f", "s11-pbs"])
def test_a_schema_is_declared_as_the_client_declares_it(name: str) -> None:
    declared = _declared(name)
    said = declare(schema_of(declared.values()))
    assert said and {(it.class_name, getattr(it, "property", "")): it for it in said} == declared


# --- what becomes one ------------------------------------------------------------------------------------------------


def test_a_new_object_is_one_create_with_realms_defaults() -> None:
    found = TRANSLATOR.translate(
        [
            CreateObject("Every", KEY),
            update("string", string("a")),
            update("outer", OBJECT),
            update("outer", OBJECT, "one"),
            update("outer", string("Oslo"), "one", "city"),
            insert("outers", OBJECT, 0),
            insert("outers", OBJECT, 0, "many", 0),
            update("outers", integer(7), 0, "many", 0, "qty"),
            SetInsert("Every", KEY, "stringSet", (), string("b")),
            SetInsert("Every", KEY, "stringSet", (), string("a")),
            SetInsert("Every", KEY, "stringSet", (), string("b")),
            AddInteger("Every", KEY, "int", (), 3),
            AddInteger("Every", KEY, "intOrNull", (), 3),
            update("doubleOrNull", Payload("double", 1.0), is_default=True),
        ]
    )
    (create,) = found.instructions
    assert isinstance(create, ours.Create) and create.id == ID
    expected = zeros(SCHEMA, EVERY) | {
        "string": "a",
        "outer": OUTER | {"one": INNER | {"city": "Oslo"}},
        "outers": [OUTER | {"many": [INNER | {"qty": 7}]}],
        "stringSet": ["a", "b"],
        "int": 3,
        "doubleOrNull": 1.0,
    }
    assert create.values == expected
    written = {"string", "outer", "outers", "stringSet", "int", "intOrNull"}
    assert found.defaults == {("Every", ID): set(expected) - written}
    assert not found.inexact


def test_a_new_object_is_given_nothing_where_clients_do_not_write() -> None:
    key = Payload("int", 1)
    title = Update("Number", key, "title", (), string("x"))
    nothing = ours.Create(class_name="Number", id=1, values={"every": None})
    assert TRANSLATOR.translate([CreateObject("Number", key)])[:3] == ([nothing], {}, {("Number", "1"): {"every"}})
    created = TRANSLATOR.translate([CreateObject("Number", key), title])
    assert created.instructions == [nothing] and created.inexact == {("Number", "1"): {"title"}}
    changed = TRANSLATOR.translate([title])
    assert changed.instructions == [ours.Update(class_name="Number", id=1, values={"title": "x"})]
    assert not changed.inexact


def test_asymmetric_objects_are_created() -> None:
    key = string("a")
    assert translated(CreateObject("Note", key), Update("Note", key, "text", (), string("x"))) == [
        ours.Create(class_name="Note", id="a", values={"text": "x"})
    ]


def test_created_and_deleted_at_once() -> None:
    create, delete, again = translated(
        CreateObject("Every", KEY), update("int", integer(1)), EraseObject("Every", KEY), CreateObject("Every", KEY)
    )
    assert isinstance(create, ours.Create) and create.values["int"] == 1
    assert delete == ours.Delete(class_name="Every", id=ID)
    assert isinstance(again, ours.Create) and again.values["int"] == 0


def test_updates_are_one_as_far_as_order_allows() -> None:
    assert translated(
        update("int", integer(1)),
        update("string", string("a")),
        insert("stringList", string("x"), 0),
        update("bool", Payload("bool", True)),
        update("int", integer(2)),
        AddInteger("Every", KEY, "int", (), 5),
    ) == [written(int=7, string="a", bool=True), at(ours.Insert, "stringList", 0, value="x")]
    assert translated(
        AddInteger("Every", KEY, "int", (), 5),
        update("string", string("a")),
        update("int", integer(1)),
        update("string", string("b")),
    ) == [at(ours.Add, "int", by=5), written(string="b", int=1)]


def test_objects_come_together_in_order_of_appearance() -> None:
    one, two = integer(1), integer(2)
    found = translated(
        CreateObject("Number", one), CreateObject("Number", two),
        Update("Number", one, "every", (), Payload("link", ("Every", KEY))),
    )  # fmt: skip
    assert found == [
        ours.Create(class_name="Number", id=1, values={"every": ID}),
        ours.Create(class_name="Number", id=2, values={"every": None}),
    ]


def test_a_single_embedded_object_that_may_be_there_already_is_noted() -> None:
    def anew(*instructions: AnyInstruction) -> Any:
        return TRANSLATOR.translate(instructions).anew.get(("Every", ID))

    assert anew(update("outer", OBJECT), update("outer", OBJECT, "one")) == {("outer",)}
    assert anew(update("outer", OBJECT, "one")) == {("outer", "one")}
    assert anew(update("outer", NULL), update("outer", OBJECT)) is None
    assert anew(insert("outers", OBJECT, 0), update("outers", OBJECT, 0, "one")) is None
    assert anew(update("outer", OBJECT, "named", "a")) is None, "one at a key is replaced"


def test_embedded_objects() -> None:
    assert translated(
        update("outer", NULL), update("outer", OBJECT), update("outer", OBJECT, "one"),
        update("outer", integer(5), "one", "qty"), update("outer", OBJECT), update("outer", OBJECT, "one"),
    ) == [written(outer=OUTER | {"one": INNER | {"qty": 5}})]  # fmt: skip
    assert translated(update("outer", integer(5), "one", "qty")) == [at(ours.Set, "outer", "one", "qty", value=5)]
    assert translated(update("outer", OBJECT, "one"), update("outer", integer(5), "one", "qty")) == [
        at(ours.Set, "outer", "one", value=INNER | {"qty": 5})
    ]
    assert translated(
        insert("outers", OBJECT, 2), update("outers", OBJECT, 2, "one"), update("outers", string("a"), 2, "one", "city"),
        insert("outers", string("x"), 2, "one", "tags", 0), erase("outers", 0),
    ) == [
        at(ours.Insert, "outers", 2, value=OUTER | {"one": INNER | {"city": "a", "tags": ["x"]}}),
        at(ours.Remove, "outers", 0),
    ]  # fmt: skip
    # At a key a new object takes the place of the one that is there.
    assert translated(
        update("outerDictionary", OBJECT, "k"), update("outerDictionary", OBJECT, "k", "one"),
        update("outerDictionary", OBJECT, "k"), update("outerDictionary", NULL, "n"),
    ) == [
        at(ours.Set, "outerDictionary", "k", value=OUTER | {"one": INNER}),
        at(ours.Set, "outerDictionary", "k", value=OUTER),
        at(ours.Set, "outerDictionary", "n", value=None),
    ]  # fmt: skip


def test_dictionaries_lists_and_sets() -> None:
    assert translated(
        update("intDictionary", integer(1), "a"),
        update("intDictionary", Payload("erased"), "b"),
        Clear("Every", KEY, "intDictionary", (), "dictionary"),
        update("intList", integer(5), 3, prior_size=4),
        ArrayMove("Every", KEY, "intList", (3,), 0, 4),
        erase("intList", 1),
        Clear("Every", KEY, "intList", (), "list"),
        SetInsert("Every", KEY, "linkSet", (), Payload("link", ("Every", KEY))),
        SetErase("Every", KEY, "stringSet", (), string("x")),
        SetInsert("Every", KEY, "outer", ("labels",), string("x")),
        Clear("Every", KEY, "stringSet", (), "set"),
    ) == [
        at(ours.Set, "intDictionary", "a", value=1),
        at(ours.Remove, "intDictionary", "b"),
        at(ours.Clear, "intDictionary"),
        at(ours.Set, "intList", 3, value=5),
        at(ours.Move, "intList", 3, to=0),
        at(ours.Remove, "intList", 1),
        at(ours.Clear, "intList"),
        at(ours.SetInsert, "linkSet", value=ID),
        at(ours.SetRemove, "stringSet", value="x"),
        at(ours.SetInsert, "outer", "labels", value="x"),
        at(ours.Clear, "stringSet"),
    ]


def clear(prop: str, collection: Any, *path: int | str) -> Clear:
    return Clear("Every", KEY, prop, path, collection)


def test_collections_in_mixed_values() -> None:
    """As realm-js writes them: to a collection, then cleared, then filled."""
    found = TRANSLATOR.translate(
        [
            update("mixed", LIST), clear("mixed", "list"), insert("mixed", integer(1), 0), insert("mixed", DICTIONARY, 1),
            clear("mixed", "dictionary", 1), update("mixed", LIST, 1, "k"), clear("mixed", "list", 1, "k"),
            insert("mixed", string("x"), 1, "k", 0), AddInteger("Every", KEY, "mixed", (0,), 4),
        ]
    )  # fmt: skip
    assert found.instructions == [written(mixed=[{"$numberLong": "5"}, {"k": ["x"]}])]
    assert not found.inexact
    assert translated(update("mixedDictionary", LIST, "k"), clear("mixedDictionary", "dictionary", "k")) == [
        at(ours.Set, "mixedDictionary", "k", value={})
    ]
    assert translated(insert("mixed", string("x"), 0)) == [at(ours.Insert, "mixed", 0, value="x")]
    assert translated(clear("mixed", "list")) == [at(ours.Clear, "mixed")]


def test_a_collection_that_may_have_been_there_is_told_back() -> None:
    for changeset in ([update("mixed", LIST)], [update("mixed", LIST), insert("mixed", string("x"), 0)]):
        assert TRANSLATOR.translate(changeset).inexact == {("Every", ID): {"mixed"}}


def test_what_a_replaced_element_leaves_behind_is_nothing() -> None:
    """realm-js replaces an element of a list of embedded objects twice, and writes its properties the first time."""
    new = [erase("outers", 1), insert("outers", OBJECT, 1), update("outers", OBJECT, 1, "one")]
    pair = new[:2]
    other = [update("int", integer(1))]
    meant = [at(ours.Remove, "outers", 1), at(ours.Insert, "outers", 1, value=OUTER | {"one": INNER})]
    bare = [at(ours.Remove, "outers", 1), at(ours.Insert, "outers", 1, value=OUTER)]
    found = TRANSLATOR.translate([*new, *pair])
    assert found.instructions == meant and found.inexact == {("Every", ID): {"outers"}}
    assert translated(*new, *other, *pair, *other) == [*meant, written(int=1)]
    assert translated(*new, *pair, *new, *pair) == meant * 2
    assert translated(*new, *pair, erase("outers", 0)) == [*meant, at(ours.Remove, "outers", 0)]
    # What only looks like it.
    assert translated(*new, *new) == meant * 2
    assert translated(*pair, *pair) == bare * 2
    assert translated(*new, erase("outers", 0), insert("outers", OBJECT, 0)) == [
        *meant, at(ours.Remove, "outers", 0), at(ours.Insert, "outers", 0, value=OUTER),
    ]  # fmt: skip
    assert translated(*new, insert("outers", OBJECT, 0), *pair) == [
        *meant, at(ours.Insert, "outers", 0, value=OUTER), *bare
    ]  # fmt: skip


# --- what is not the same --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("instruction", "prop"),
    [
        (update("date", Payload("timestamp", (1, 1))), "date"),
        (update("decimal128Dictionary", Payload("decimal", (10, -1, False)), "k"), "decimal128Dictionary"),
        (update("outer", Payload("float", 1.5), "one", "anything"), "outer"),
        (SetInsert("Every", KEY, "mixedSet", (), integer(1)), "mixedSet"),
        (SetErase("Every", KEY, "outer", ("labels",), Payload("double", 1.0)), "outer"),
    ],
)
def test_values_that_ours_cannot_hold_are_told_of(instruction: AnyInstruction, prop: str) -> None:
    assert TRANSLATOR.translate([instruction]).inexact == {("Every", ID): {prop}}
    found = TRANSLATOR.translate(
        [CreateObject("Every", KEY), update("outer", OBJECT), update("outer", OBJECT, "one"), instruction]
    )
    assert found.inexact == {("Every", ID): {prop}}


REFUSED: dict[str, list[AnyInstruction]] = {
    "no class 'Nothing'": [CreateObject("Nothing", KEY)],
    "no class 'Inner'": [CreateObject("Inner", KEY)],
    "of type 'objectId', not string": [CreateObject("Every", string("a"))],
    "of type 'objectId', not null": [EraseObject("Every", NULL)],
    "no such property": [update("nothing", NULL)],
    "'Every._id'": [update("_id", KEY)],
    "'Every.backlinks'": [update("backlinks", NULL)],
    "'Every.outer.nothing'": [update("outer", NULL, "nothing")],
    "'Every.string.x'": [update("string", NULL, "x")],
    "'Every.intList.x'": [update("intList", NULL, "x")],
    r"'Every.intDictionary\[0\]'": [update("intDictionary", NULL, 0)],
    "payload of type 'string' cannot stand in a list": [update("intList", string("x"))],
    "payload of type 'null' cannot stand in a dictionary": [update("intDictionary", NULL)],
    "expected a value of type 'int', got a payload of type 'string'": [update("int", string("x"))],
    "payload of type 'list' cannot": [update("outer", LIST)],
    "expected a value of type 'int', got a payload of type 'object'": [update("int", OBJECT)],
    "expected a link to 'Number'": [update("link", Payload("link", ("Every", KEY)))],
    "only keys": [update("int", Payload("erased"))],
    "only keys of": [insert("intList", Payload("erased"), 0)],
    "cleared as a set": [clear("intList", "set")],
    "not cleared": [clear("int", "list")],
    "only integers": [AddInteger("Every", KEY, "string", (), 1)],
    "no member of type 'list'": [SetInsert("Every", KEY, "mixedSet", (), LIST)],
    "a list has no member": [SetInsert("Every", KEY, "intList", (), integer(1))],
    "not fit": [CreateObject("Every", KEY), insert("intList", integer(1), 1)],
    "does not fit": [CreateObject("Every", KEY), erase("intList", 0)],
    "it does not fit": [CreateObject("Every", KEY), update("outer", OBJECT, "one")],
    "ArrayMove at": [
        CreateObject("Every", KEY), insert("intList", integer(1), 0), ArrayMove("Every", KEY, "intList", (0,), 1, 1)
    ],
    "AddInteger at 'Every.mixed'": [update("mixed", string("1")), AddInteger("Every", KEY, "mixed", (), 1)],
    "what the changeset made": [update("mixed", string("1")), insert("mixed", integer(1), 0)],
    "changeset made there": [update("mixed", LIST), update("mixed", integer(1), "k")],
}  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_what_no_sdk_sends_is_refused(text: str) -> None:
    with pytest.raises(DeviceSyncError, match=text) as error:
        translated(*REFUSED[text])
    assert error.value.number == 212


def test_declarations_are_compared() -> None:
    assert translated(AddTable("Note", "asymmetric", "_id", "string"), AddColumn("Note", "text", "string", False)) == []
    with pytest.raises(DeviceSyncError) as error:
        translated(AddColumn("Note", "text", "string", True))
    assert error.value.number == 225


def test_a_large_list_takes_no_longer_than_it_is() -> None:
    many = 20_000
    changeset = [CreateObject("Every", KEY), *(insert("intList", integer(at), at) for at in range(many))]
    (create,) = translated(*changeset)
    assert isinstance(create, ours.Create) and create.values["intList"] == list(range(many))
