"""Lists, sets, dictionaries, embedded objects, mixed values and counters of local realms; and what misuse meets."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import pytest

from realm_sync.client import (
    CollectionChanges,
    Counter,
    Dictionary,
    DictionaryChanges,
    EmbeddedObject,
    List,
    Mixed,
    Object,
    ObjectChanges,
    ObjectId,
    Realm,
    RealmError,
    SchemaError,
    Set,
    ValueTypeError,
    field,
    linking_objects,
)
from realm_sync.core.schema import Property

from .conftest import until


class Airfield(Object):
    _id: str
    name: str = ""
    height: int | None
    kits = linking_objects("Kit", "airfield")
    listed = linking_objects("Kit", "airfields")


class Street(EmbeddedObject):
    name: str
    number: int = 1


class Address(EmbeddedObject):
    city: str
    street: Street | None
    lines: list[str]
    airfield: Airfield | None
    visits: Counter = 0


class Kit(Object):
    _id: str
    title: str = ""
    tags: list[str]
    notes: list[str | None]
    scores: list[float]
    small: set[int]
    prices: dict[str, Decimal]
    airfield: Airfield | None
    airfields: list[Airfield]
    near: set[Airfield]
    by_code: dict[str, Airfield | None]
    address: Address | None
    addresses: list[Address]
    places: dict[str, Address | None]
    extra: Mixed
    extras: list[Mixed]
    any: set[Mixed]
    visits: Counter = field(default=0)
    maybe: Counter | None


CLASSES = [Airfield, Street, Address, Kit]
TYPES = {
    "tags": Property(type="list", object_type="string"),
    "notes": Property(type="list", object_type="string", optional=True),
    "scores": Property(type="list", object_type="double"),
    "small": Property(type="set", object_type="int"),
    "prices": Property(type="dictionary", object_type="decimal128"),
    "airfields": Property(type="list", object_type="Airfield"),
    "near": Property(type="set", object_type="Airfield"),
    "by_code": Property(type="dictionary", object_type="Airfield", optional=True),
    "address": Property(type="object", object_type="Address", optional=True),
    "addresses": Property(type="list", object_type="Address"),
    "places": Property(type="dictionary", object_type="Address", optional=True),
    "extra": Property(type="mixed", optional=True),
    "extras": Property(type="list", object_type="mixed", optional=True),
    "any": Property(type="set", object_type="mixed", optional=True),
    "visits": Property(type="int", presentation="counter", has_default=True),
    "maybe": Property(type="int", presentation="counter", optional=True),
}


@pytest.fixture
def realm(tmp_path):
    with Realm(tmp_path / "local.realm", schema=CLASSES) as realm:
        yield realm


@pytest.fixture
def kit(realm):
    with realm.write():
        for code in ("ENSB", "ENTC", "ENVA"):
            realm.create(Airfield, {"_id": code, "name": code.lower(), "height": len(code)})
        return realm.create(Kit, {"_id": "k"})


@pytest.fixture
def writing(realm, kit):
    with realm.write():
        yield kit


# --- declarations ----------------------------------------------------------------------------------------------------


def test_annotations_give_the_types(realm):
    found = next(cls for cls in realm.schema if cls.name == "Kit").properties
    assert {name: found[name] for name in TYPES} == TYPES
    address = next(cls for cls in realm.schema if cls.name == "Address")
    assert address.embedded and "_id" not in address.properties
    airfield = next(cls for cls in realm.schema if cls.name == "Airfield")
    assert airfield.properties["kits"] == Property(type="linkingObjects", object_type="Kit", property="airfield")


@pytest.mark.parametrize(
    ("hint", "problem"),
    [
        (list, "the type of the elements must be specified"),
        (list[list[int]], "nested collections are not supported"),
        (list[str] | None, "collections cannot be optional"),
        (list[Counter], "counters cannot be used in collections"),
        (list[Airfield | None], "are never null"),
        (dict[int, str], "a dictionary has strings as keys"),
        (dict[str, Airfield], "can be null"),
        (Address, "always optional"),
        (int | str, "more than one type"),
        (complex, "does not sync"),
    ],
)
def test_what_cannot_be_declared_is_refused(tmp_path, hint, problem):
    made = type("Wrong", (Object,), {"__annotations__": {"_id": str, "value": hint}, "__module__": __name__})
    with pytest.raises(SchemaError, match=problem):
        Realm(tmp_path / "wrong.realm", schema=[made, Airfield, Street, Address, Kit])


# --- lists -----------------------------------------------------------------------------------------------------------


def test_a_list_is_a_python_sequence(writing):
    tags = writing.tags
    assert isinstance(tags, List) and tags == [] and tags.is_empty() and tags.first() is None
    tags.append("b")
    tags.insert(0, "a")
    tags.extend(["c", "d"])
    tags += ["e"]
    assert list(writing.tags) == ["a", "b", "c", "d", "e"] == writing.tags
    assert (tags[0], tags[-1], tags[1:3], len(tags), "c" in tags, "x" in tags) == ("a", "e", ["b", "c"], 5, True, False)
    assert (tags.index("c"), tags.count("c"), tags.type, tags.optional) == (2, 1, "string", False)
    tags[1] = "B"
    del tags[0]
    assert tags.pop() == "e" and tags.pop(0) == "B"
    tags.remove("d")
    assert tags == ["c"]
    tags[:] = ["x", "c", "y", "z"]
    tags[1:3] = ["n"]
    tags[::2] = ["1", "3"]
    assert tags == ["1", "n", "3"]
    del tags[::2]
    assert tags == ["n"]
    tags.clear()
    assert tags == []


def test_a_list_moves_and_swaps(writing):
    writing.tags = list("abcd")
    writing.tags.move(0, 2)
    assert writing.tags == list("bcad")
    writing.tags.move(3, 0)
    assert writing.tags == list("dbca")
    writing.tags.swap(0, 3)
    assert writing.tags == list("abcd")
    writing.tags.swap(1, 2)
    assert writing.tags == list("acbd")
    writing.tags.reverse()
    assert writing.tags == list("dbca")


def test_misuse_of_a_list_is_answered_in_realms_words(writing):
    writing.tags = ["a", "b"]
    for use, error, text in (
        (lambda: writing.tags.append(1), ValueTypeError, r"Expected 'tags\[2\]' to be a string, got a number"),
        (lambda: setattr(writing, "tags", ["a", None]), ValueTypeError, r"Expected 'tags\[1\]' to be a string"),
        (lambda: setattr(writing, "tags", "ab"), ValueTypeError, "Expected 'tags' to be a list, got a string"),
        (lambda: setattr(writing, "tags", None), ValueTypeError, "Expected 'tags' to be a list"),
        (lambda: writing.tags.move(-1, 0), RealmError, "Indexes cannot be smaller than 0"),
        (lambda: writing.tags.swap(0, 2), RealmError, "Indexes cannot be greater than the size of the list"),
        (lambda: writing.tags.__setitem__(2, "c"), RealmError, r"Requested index 2 calling set\(\) on list 'Kit.tags' when max is 1"),
        (lambda: writing.tags.__setitem__(-3, "c"), RealmError, "Cannot set item at negative index -3"),
        (lambda: writing.tags[2], IndexError, "out of range"),
        (lambda: writing.tags.filtered("TRUEPREDICATE"), RealmError, "only collections of objects"),
        (lambda: writing.tags.sum(), RealmError, "Operation 'sum' not supported for string list 'Kit.tags'"),
        (lambda: writing.tags.linked_keys(), RealmError, "holds no links"),
    ):  # fmt: skip
        with pytest.raises(error, match=text):
            use()
    assert writing.tags == ["a", "b"]


def test_collections_change_only_in_a_write_transaction(kit):
    for use in (
        lambda: kit.tags.append("a"),
        lambda: kit.small.add(1),
        lambda: kit.prices.set("a", Decimal(1)),
        lambda: kit.visits.increment(),
        lambda: setattr(kit, "tags", []),
    ):
        with pytest.raises(RealmError, match="Cannot modify managed objects outside of a write transaction"):
            use()


def test_iterating_a_list_is_safe_while_it_changes(writing):
    writing.tags = list("abcd")
    for tag in writing.tags:
        if tag in "bc":
            writing.tags.remove(tag)
    assert writing.tags == ["a", "d"]


def test_values_of_all_types_come_back_from_a_list_of_mixed(realm, writing):
    values = [
        None, True, 1, -(2**63), 1.0, 0.1, math.inf, "x", b"\x00", datetime(2026, 1, 1, 12, 0, 0, 123456, UTC),
        Decimal("0.10"), ObjectId("0" * 24), UUID(int=1),
    ]  # fmt: skip
    writing.extras = values
    read = list(writing.extras)
    assert [(type(v), v) for v in read[:10]] == [(type(v), v) for v in values[:10]]
    assert read[10:] == values[10:]
    assert writing.to_dict()["extras"] == read
    writing.extras = [math.nan]
    assert math.isnan(writing.extras[0])


def test_aggregates_of_numbers(writing):
    writing.scores = [1.5, 3.0, -2.0]
    assert (writing.scores.min(), writing.scores.max(), writing.scores.sum()) == (-2.0, 3.0, 2.5)
    assert writing.scores.avg() == pytest.approx(2.5 / 3)
    writing.small = {3, 1}
    assert (writing.small.sum(), writing.small.max()) == (4, 3)
    writing.scores.clear()
    assert (writing.scores.min(), writing.scores.sum(), writing.scores.avg()) == (None, 0, None)
    writing.notes = ["b", None, "a"]
    assert writing.notes.sorted() == [None, "a", "b"] and writing.notes.sorted(True) == ["b", "a", None]


# --- links -----------------------------------------------------------------------------------------------------------


def test_lists_of_links(realm, writing):
    ensb, entc = (realm.object_for_primary_key(Airfield, code) for code in ("ENSB", "ENTC"))
    writing.airfields = [ensb, "ENTC", {"_id": "NEW", "name": "new"}, ensb]
    assert [field._id for field in writing.airfields] == ["ENSB", "ENTC", "NEW", "ENSB"]
    assert realm.object_for_primary_key(Airfield, "NEW").name == "new"
    assert writing.airfields.index(entc) == 1 and entc in writing.airfields and writing.airfields.count(ensb) == 2
    assert [field._id for field in writing.airfields.sorted("name", True)] == ["NEW", "ENTC", "ENSB", "ENSB"]
    assert [field._id for field in writing.airfields.filtered("name BEGINSWITH 'en'")] == ["ENSB", "ENTC", "ENSB"]
    assert writing.airfields.max("height") == 4
    for wrong in (None, writing, 3):
        with pytest.raises(ValueTypeError, match=r"Expected 'airfields\[4\]' to be an instance of Airfield"):
            writing.airfields.append(wrong)


def test_missing_targets_are_hidden_and_keep_their_places(realm, writing):
    writing.airfields = ["GONE", "ENSB", "LOST", "ENTC", "AWAY"]
    fields = writing.airfields
    assert [field._id for field in fields] == ["ENSB", "ENTC"] and len(fields) == 2
    assert fields.linked_keys() == ["GONE", "ENSB", "LOST", "ENTC", "AWAY"]
    fields.insert(1, "ENVA")
    assert fields.linked_keys() == ["GONE", "ENSB", "LOST", "ENVA", "ENTC", "AWAY"]
    fields.append("ENSB")
    fields.move(1, 0)
    assert [field._id for field in fields] == ["ENVA", "ENSB", "ENTC", "ENSB"]
    assert fields.linked_keys() == ["GONE", "ENVA", "ENSB", "LOST", "ENTC", "AWAY", "ENSB"]
    del fields[2]
    fields[0:2] = ["ENTC"]
    assert fields.linked_keys() == ["GONE", "ENTC", "LOST", "AWAY", "ENSB"]
    realm.create(Airfield, {"_id": "LOST"})
    assert [field._id for field in fields] == ["ENTC", "LOST", "ENSB"]
    realm.delete(fields[0])
    assert [field._id for field in fields] == ["LOST", "ENSB"]


def test_a_missing_target_of_one_link_is_told_by_its_key(writing):
    writing.airfield = "GONE"
    writing.by_code = {"a": "GONE", "b": "ENSB", "c": None}
    writing.near = {"GONE", "ENSB"}
    assert writing.airfield is None and writing.linked_key("airfield") == "GONE"
    assert {key: value and value._id for key, value in writing.by_code.items()} == {"a": None, "b": "ENSB", "c": None}
    assert writing.by_code.linked_key("a") == "GONE" and writing.by_code.linked_key("c") is None
    assert [field._id for field in writing.near] == ["ENSB"] and writing.near.linked_keys() == ["ENSB", "GONE"]
    with pytest.raises(RealmError, match="is no link"):
        writing.linked_key("tags")


def test_linking_objects(realm, writing):
    writing.airfield = "ENSB"
    writing.airfields = ["ENSB", "ENTC"]
    ensb, entc = (realm.object_for_primary_key(Airfield, code) for code in ("ENSB", "ENTC"))
    assert list(ensb.kits) == [writing] and list(entc.kits) == []
    assert list(entc.listed) == [writing] == list(entc.linking_objects(Kit, "airfields"))
    with pytest.raises(RealmError, match="is not supported"):
        ensb.kits = []
    with pytest.raises(RealmError, match="'Kit#title' is not a relationship to 'Airfield'"):
        ensb.linking_objects("Kit", "title")


# --- sets and dictionaries -------------------------------------------------------------------------------------------


def test_a_set_is_a_python_set(writing):
    small = writing.small
    assert isinstance(small, Set)
    small.add(3)
    small.update([1, 3, 2])
    assert small == {1, 2, 3} and list(small) == [1, 2, 3] and 2 in small and 9 not in small
    small.discard(9)
    small.remove(2)
    assert small.delete(1) and not small.delete(1)
    with pytest.raises(KeyError):
        small.remove(2)
    small |= {7, 8}
    assert small == {3, 7, 8} and small & {7} == {7} and small[0] == 3
    writing.small = {8, 9}
    assert writing.small == {8, 9}
    small.clear()
    assert len(small) == 0
    with pytest.raises(ValueTypeError, match="Expected 'small\\[0\\]' to be an integer"):
        small.add("x")


def test_a_set_of_mixed_holds_one_of_equal_numbers(writing):
    writing.any.update([1, 1.0, "1", None, None, True])
    assert len(writing.any) == 4 and 1.0 in writing.any and 1 in writing.any and 0 not in writing.any
    with pytest.raises(RealmError, match="Lists within a Set are not supported"):
        writing.any = [[1]]
    with pytest.raises(RealmError, match="Dictionaries within a Set are not supported"):
        writing.any.add({"a": 1})


def test_a_dictionary_is_a_python_mapping(writing):
    prices = writing.prices
    assert isinstance(prices, Dictionary) and prices == {}
    prices["b"] = Decimal("0.10")
    prices.set({"a": Decimal(1), "c": Decimal(3)})
    assert dict(prices) == {"a": Decimal(1), "b": Decimal("0.1"), "c": Decimal(3)} == prices
    assert list(prices) == ["a", "b", "c"] and "a" in prices and prices.get("x") is None
    del prices["a"]
    prices.remove("b", "missing")
    with pytest.raises(KeyError):
        del prices["a"]
    writing.prices = {"z": Decimal(9)}
    assert prices.to_dict() == {"z": Decimal(9)} and prices.pop("z") == Decimal(9)
    for key, text in (("$a", "must not start with"), ("a.b", "must not contain"), (1, "a string as key")):
        with pytest.raises(RealmError, match=text) as raised:
            prices[key] = Decimal(1)
        assert raised.value.code == "InvalidDictionaryKey"
    with pytest.raises(ValueTypeError, match=r"""Expected 'prices\["a"\]' to be a Decimal"""):
        prices["a"] = 1.5
    with pytest.raises(ValueTypeError, match="Expected 'prices' to be a dictionary"):
        writing.prices = [1]


# --- embedded objects ------------------------------------------------------------------------------------------------


def test_embedded_objects_are_live(realm, writing):
    writing.address = {"city": "Tromsø", "street": {"name": "Storgata"}, "airfield": "ENTC"}
    address = writing.address
    assert isinstance(address, Address) and address.street.number == 1 and address.airfield._id == "ENTC"
    address.city = "Bodø"
    address.street.number = 7
    address.lines.append("c/o")
    address.lines = ["a", "b"]
    address.visits.increment(2)
    assert writing.address.to_dict() == {
        "city": "Bodø", "street": {"name": "Storgata", "number": 7}, "lines": ["a", "b"], "airfield": "ENTC",
        "visits": 2,
    }  # fmt: skip
    assert writing.to_dict()["address"] == address.to_dict() and address.parent == writing
    address.street = None
    assert address.street is None and address.linked_key("airfield") == "ENTC"
    with pytest.raises(ValueTypeError, match="Expected 'address.city' to be a string"):
        address.city = 3
    with pytest.raises(RealmError, match="does not exist on 'Address'"):
        address["nothing"] = 3
    with pytest.raises(RealmError, match="Missing value for property 'Address.city'"):
        writing.address = {}
    with pytest.raises(RealmError, match="You cannot query an embedded object"):
        realm.objects(Address)


def test_assigning_an_embedded_object_copies_it(writing):
    writing.address = {"city": "Tromsø"}
    first = writing.address
    writing.addresses.append(first)
    writing.addresses[0].city = "Bodø"
    assert writing.address.city == "Tromsø"
    writing.address = writing.addresses[0]
    writing.address.city = "Alta"
    assert writing.addresses[0].city == "Bodø"
    writing.address = None
    assert not first.is_valid()
    with pytest.raises(RealmError, match="invalidated or deleted"):
        first.city  # noqa: B018


def test_an_embedded_object_follows_its_element(realm, writing):
    writing.addresses = [{"city": city} for city in "abcd"]
    a, b, c, d = writing.addresses
    writing.addresses.insert(0, {"city": "new"})
    writing.addresses.move(4, 0)
    del writing.addresses[2]
    assert [each.city for each in writing.addresses] == ["d", "new", "b", "c"]
    assert (b.city, c.city, d.city, a.is_valid()) == ("b", "c", "d", False)
    c.city = "C"
    d.city = "D"
    assert [each.city for each in writing.addresses] == ["D", "new", "b", "C"]
    assert writing.addresses.index(c) == 3 and c == writing.addresses[3] and c != d
    realm.delete(c)
    assert not c.is_valid() and len(writing.addresses) == 3
    assert writing.addresses.pop(0)["city"] == "D"


def test_embedded_dictionaries(realm, writing):
    writing.places = {"home": {"city": "Alta"}, "none": None}
    writing.places["home"].city = "Bodø"
    writing.places["work"] = writing.places["home"]
    home = writing.places["home"]
    assert writing.places["none"] is None and writing.places["work"].city == "Bodø"
    realm.delete(home)
    assert writing.places["home"] is None and not home.is_valid()


# --- mixed -----------------------------------------------------------------------------------------------------------


def test_mixed_holds_nested_collections(realm, writing):
    writing.extra = {"list": [1, {"deep": [None, "x"]}], "link": realm.object_for_primary_key(Airfield, "ENSB")}
    extra = writing.extra
    assert isinstance(extra, Dictionary) and isinstance(extra["list"], List) and extra["link"]._id == "ENSB"
    deep = extra["list"][1]["deep"]
    extra["list"].insert(0, "first")
    deep.append(2.5)
    extra["list"][2]["more"] = True
    assert extra["list"] == ["first", 1, extra["list"][2]] and list(deep) == [None, "x", 2.5]
    assert writing.extra.to_dict()["list"] == ["first", 1, {"deep": [None, "x", 2.5], "more": True}]
    writing.extra = 3
    assert writing.extra == 3 and not deep.is_valid() and not extra.is_valid()


def test_what_mixed_cannot_hold_is_refused(realm, writing):
    writing.address = {"city": "Alta"}
    for value, text in (
        ({1}, "Using a Set as a Mixed value is not supported"),
        (writing.small, "Using a Set as a Mixed value is not supported"),
        (writing.visits, "Using a Counter as a Mixed value is not supported"),
        (writing.address, r"Using an embedded object \(Address\) as a Mixed value is not supported"),
        ({"$a": 1}, "must not start with"),
    ):
        with pytest.raises(RealmError, match=text):
            writing.extra = value
    with pytest.raises(ValueTypeError, match="Expected 'extra' to be"):
        writing.extra = object()
    nested: list = []
    for _ in range(200):
        nested = [nested]
    with pytest.raises(ValueTypeError, match="nested"):
        writing.extra = nested


# --- counters --------------------------------------------------------------------------------------------------------


def test_counters(writing):
    visits = writing.visits
    visits.increment()
    visits.increment(5)
    visits.decrement(2)
    assert visits.value == 4 == visits and int(visits) == 4 and writing.to_dict()["visits"] == 4
    visits.set(2**60)
    visits.increment()
    assert writing.visits.value == 2**60 + 1
    with pytest.raises(AttributeError, match="use the methods on the Counter"):
        visits.value = 5
    with pytest.raises(RealmError, match="You can only reset a Counter instance"):
        writing.visits = 5
    with pytest.raises(ValueTypeError, match="Expected 'by' to be an integer, got"):
        visits.increment(1.5)
    assert writing.maybe is None
    writing.maybe = 3
    writing.maybe.increment()
    assert writing.maybe.value == 4
    writing.maybe = None
    assert writing.maybe is None


# --- create and delete -----------------------------------------------------------------------------------------------


def test_create_takes_plain_values_at_any_depth(realm):
    with realm.write():
        made = realm.create(
            Kit,
            {
                "_id": "n", "tags": ["a"], "airfields": [{"_id": "X", "height": 3}], "address": {"city": "Alta"},
                "addresses": [{"city": "Bodø", "street": {"name": "S"}}], "prices": {"a": Decimal(1)}, "maybe": 7,
            },
        )  # fmt: skip
        assert made.airfields[0].height == 3 and made.addresses[0].street.name == "S" and made.maybe.value == 7
        with pytest.raises(RealmError, match="existing primary key"):
            realm.create(Kit, {"_id": "m", "airfields": [{"_id": "X"}]})
        made = realm.create(Kit, {"_id": "n", "tags": ["b", "a"], "airfields": [{"_id": "X", "name": "x"}]}, "modified")
        assert made.tags == ["b", "a"] and made.airfields[0].to_dict() == {"_id": "X", "name": "x", "height": 3}
        assert made.address.city == "Alta"
        with pytest.raises(RealmError, match="You can only reset a Counter"):
            realm.create(Kit, {"_id": "n", "visits": 3}, "all")


def test_deleting_collections(realm, writing):
    writing.airfields = ["ENSB", "ENTC"]
    writing.tags = ["a"]
    realm.delete(writing.airfields)
    realm.delete(writing.tags)
    assert [field._id for field in realm.objects(Airfield)] == ["ENVA"] and writing.tags == []
    tags = writing.tags
    realm.delete(writing)
    assert not tags.is_valid()
    with pytest.raises(RealmError, match="invalidated or deleted"):
        len(tags)


def test_a_cancelled_transaction_leaves_the_collections_as_they_were(realm, kit):
    with realm.write():
        kit.tags = ["a"]
    tags = kit.tags
    realm.begin_transaction()
    tags.append("b")
    assert tags == ["a", "b"]
    realm.cancel_transaction()
    assert tags == ["a"]


def test_objects_without_classes_have_collections_too(tmp_path, realm, kit):
    with realm.write():
        kit.tags = ["a"]
        kit.address = {"city": "Alta"}
        kit.extra = [1, {"a": None}]
    realm.close()
    with Realm(realm.path) as dynamic, dynamic.write():
        (found,) = dynamic.objects("Kit")
        found.tags.append("b")
        found.address.city = "Bodø"
        found.extra[1]["a"] = 2
        assert found.to_dict()["tags"] == ["a", "b"] and found["address"]["city"] == "Bodø"
        assert found.extra[1].to_dict() == {"a": 2}


def test_narrow_numbers_in_lists(tmp_path):
    class Narrow(Object):
        _id: int
        values: list[Annotated[float, "float"]]

    with Realm(tmp_path / "narrow.realm", schema=[Narrow]) as realm, realm.write():
        made = realm.create(Narrow, {"_id": 1, "values": [0.1]})
        assert made.values[0] != 0.1 and made.values[0] == pytest.approx(0.1)


# --- listeners -------------------------------------------------------------------------------------------------------


class Told:
    """A listener that keeps what it was told."""

    def __init__(self):
        self.calls = []

    def __call__(self, place, changes):
        shown = None
        if place.is_valid():
            shown = list(place) if isinstance(place, List | Set) else place.to_dict()
        self.calls.append((shown, changes))

    def next(self):
        until(lambda: self.calls)
        return self.calls.pop(0)


def test_a_list_tells_what_changed(realm, kit):
    with realm.write():
        kit.tags = list("abcd")
    told = Told()
    kit.tags.add_listener(told)
    assert told.next() == (list("abcd"), CollectionChanges())
    with realm.write():
        kit.tags.insert(0, "new")
        kit.tags.remove("c")
        kit.tags[3] = "D"
    assert told.next() == (
        ["new", "a", "b", "D"],
        CollectionChanges(insertions=(0, 3), deletions=(2, 3)),
    )
    with realm.write():
        kit.tags[3] = "e"
    assert told.next()[1] == CollectionChanges(new_modifications=(3,), old_modifications=(3,))
    with realm.write():
        kit.tags.move(0, 3)
        kit.title = "elsewhere"
    assert told.next() == (["a", "b", "e", "new"], CollectionChanges(insertions=(3,), deletions=(0,)))
    with realm.write():
        kit.title = "no news for the list"
    with realm.write():
        realm.delete(kit)
    assert told.next()[1] == CollectionChanges(deletions=(0, 1, 2, 3))


def test_a_list_of_links_tells_of_its_objects(realm, kit):
    with realm.write():
        kit.airfields = ["ENSB", "LATER", "ENTC"]
    told = Told()
    fields = kit.airfields
    fields.add_listener(told)
    told.next()
    with realm.write():
        realm.object_for_primary_key(Airfield, "ENTC").name = "x"
    assert told.next()[1] == CollectionChanges(new_modifications=(1,), old_modifications=(1,))
    with realm.write():
        realm.create(Airfield, {"_id": "LATER"})
    assert told.next()[1] == CollectionChanges(insertions=(1,))
    fields.remove_listener(told)


def test_a_dictionary_of_links_tells_of_its_objects(realm, kit):
    with realm.write():
        kit.by_code.set({"a": "ENSB", "b": "LATER", "c": None})
    told = Told()
    kit.by_code.add_listener(told)
    told.next()
    with realm.write():
        realm.object_for_primary_key(Airfield, "ENSB").name = "x"
    assert told.next()[1] == DictionaryChanges(modifications=("a",))
    with realm.write():
        realm.create(Airfield, {"_id": "LATER"})
        realm.object_for_primary_key(Airfield, "ENVA").name = "linked by none"
    assert told.next()[1] == DictionaryChanges(modifications=("b",))


def test_sets_dictionaries_and_embedded_objects_tell_what_changed(realm, kit):
    with realm.write():
        kit.small = {1, 5}
        kit.prices = {"a": Decimal(1), "b": Decimal(2)}
        kit.address = {"city": "Alta"}
        kit.extra = [1]
    told = [Told() for _ in range(4)]
    for place, listener in zip((kit.small, kit.prices, kit.address, kit.extra), told, strict=True):
        place.add_listener(listener)
        listener.next()
    with realm.write():
        kit.small.add(3)
        kit.prices.set({"b": Decimal(3), "c": Decimal(4)})
        del kit.prices["a"]
        kit.address.city = "Bodø"
        kit.extra.append("x")
    assert told[0].next() == ([1, 3, 5], CollectionChanges(insertions=(1,)))
    assert told[1].next()[1] == DictionaryChanges(insertions=("c",), deletions=("a",), modifications=("b",))
    assert told[2].next()[1] == ObjectChanges(changed_properties=("city",))
    assert told[3].next() == ([1, "x"], CollectionChanges(insertions=(1,)))
    with realm.write():
        kit.address = None
    assert told[2].next() == (None, ObjectChanges(deleted=True))
    with pytest.raises(RealmError, match="Remove callback before adding it again"):
        kit.small.add_listener(told[0])


def test_an_object_tells_of_its_collections(realm, kit):
    told = []
    kit.add_listener(lambda each, changes: told.append(changes))
    until(lambda: told)
    with realm.write():
        kit.tags.append("a")
        kit.visits.increment()
    until(lambda: len(told) == 2)
    assert set(told[1].changed_properties) == {"tags", "visits"}


def test_a_frozen_realm_keeps_its_collections_and_answers_deep_queries(realm, kit):
    with realm.write():
        kit.tags = ["a", "b"]
        kit.airfields = ["ENSB"]
    frozen = realm._freeze()
    with realm.write():
        kit.tags.clear()
        kit.airfields.append("ENTC")
    (seen,) = frozen.objects(Kit).filtered("tags == 'b' AND airfields.name == 'ensb'")
    assert seen.tags == ["a", "b"] and [field._id for field in seen.airfields] == ["ENSB"]
    frozen.close()
