"""Lists, sets, dictionaries, embedded objects, mixed values and counters as fields of models, on both databases."""

from __future__ import annotations

import json
import math
import re
import sys
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import pytest
from django.apps import apps
from django.core import serializers
from django.core.exceptions import ValidationError
from django.db import DataError, connections, models
from django.utils import timezone

from realm_sync.core.encoding import decode_property, encode_property
from realm_sync.core.mixed import Link as MixedLink
from realm_sync.core.values import ObjectId
from realm_sync.fields import EmbeddedField, ListField, plain_json, realm_type
from realm_sync.registry import Registry, registry
from tests.testapp.models import Address, Airfield, Kit, Part, Team
from tests.testapp.sync import AirfieldSync, KitSync, TeamSync

ID = uuid.UUID(int=7)
MOMENT = datetime(2026, 1, 1, 12, 0, 0, 5, tzinfo=UTC)
VALUES = {
    "tags": ["a", "ü𝄞", ""],
    "maybe_tags": ["a", None],
    "numbers": [1, 2**63 - 1, -(2**63)],
    "doubles": [0.5, math.inf, -0.5],
    "decimals": [Decimal("0.10"), Decimal("NaN")],
    "dates": [MOMENT],
    "days": [date(2026, 1, 1)],
    "blobs": [b"", b"\0\xff"],
    "flags": [True, False],
    "uuids": [ID],
    "object_ids": [ObjectId("0" * 24)],
    "mixes": [None, 1, 1.0, "x", [b"a", {"k": MOMENT}], MixedLink("Airfield", "ENGM")],
    "route": ["ENGM", "ENBR"],
    "tag_set": {"b", "a"},
    "maybe_number_set": {None, 3, 2},
    "decimal_set": {Decimal("2"), Decimal("1.5")},
    "mixed_set": [None, True, 1, "1", ID],
    "tag_map": {"a": "1", "ø": "2"},
    "number_map": {"a": None, "b": 2**60},
    "mixed_map": {"a": None, "b": [1]},
    "airfield_map": {"home": "ENGM", "away": None},
    "anything": {"a": [Decimal("1.5"), {"b": None}]},
    "json": {"a": [1, 1.5, None]},
    "address": Address(city="Oslo", lines=["x"]),
    "parts": [Part(name="rope", maker=Address(city="Bergen"), prices={"nok": Decimal("9.5"), "eur": None})],
    "part_map": {"a": Part(name="hook", notes=[1], labels={"z", "a"}, airfield="ENGM", used=3), "b": None},
}
WIRE = {
    "maybe_number_set": [None, 2, 3],
    "numbers": [1, "9223372036854775807", "-9223372036854775808"],
    "doubles": [0.5, "Infinity", -0.5],
    "decimals": ["0.1", "NaN"],
    "days": ["2026-01-01T00:00:00.000000Z"],
    "tag_set": ["a", "b"],
    "mixed_set": [None, True, {"$numberLong": "1"}, "1", {"$uuid": str(ID)}],
    "address": {"street": "", "city": "Oslo", "lines": ["x"]},
    "anything": {"a": [{"$numberDecimal": "1.5"}, {"b": None}]},
}


def own_registry() -> Registry:
    own = Registry()
    for model, sync_class in ((Airfield, AirfieldSync), (Team, TeamSync), (Kit, KitSync)):
        own.register(model, sync_class)
    return own


def stored(alias, column):
    with connections[alias].cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM testapp_kit")
        return json.loads(cursor.fetchone()[0])


def test_values_come_back_as_they_were_saved(each_database):
    kit = Kit.objects.create(**VALUES)
    found = Kit.objects.get(pk=kit.pk)
    for name, value in VALUES.items():
        got = getattr(found, name)
        if name == "decimals":
            assert got[0] == value[0] and got[1].is_nan()
        else:
            assert got == value and type(got) is type(value), name


def test_columns_hold_the_wire_value(each_database):
    kit = Kit.objects.create(**VALUES)
    schema = own_registry().schema
    schema.check()
    for name, value in VALUES.items():
        wire = stored(each_database, name)
        if name in WIRE:
            assert wire == WIRE[name], name
        prop = schema["Kit"].properties[name]
        again = decode_property(schema, name, prop, wire)
        assert encode_property(schema, name, prop, again) == wire or name == "json", name
        # What the core decodes is what the field takes.
        if name not in ("days", "json", "decimals"):
            assert Kit._meta.get_field(name).clean(again, kit) == value, name


def test_a_new_object_has_empty_collections_of_its_own(each_database):
    first, second = Kit(), Kit()
    assert (first.tags, first.tag_set, first.tag_map, first.mixed_set) == ([], set(), {}, [])
    assert (first.visits, first.maybe_visits, first.anything, first.address) == (0, None, None, None)
    first.tags.append("x")
    first.tag_map["a"] = "b"
    assert second.tags == [] and second.tag_map == {} and Kit().tags == []
    first.save()
    first.refresh_from_db()
    assert first.tags == ["x"]


@pytest.mark.parametrize(
    ("name", "value", "messages"),
    [
        ("tags", ["a", "x" * 21], ["tags[1]: Ensure this value has at most 20 characters (it has 21)."]),
        ("tags", [None, "a", 5, "b" * 30], ["tags[0]: This field cannot be null.",
         "tags[3]: Ensure this value has at most 20 characters (it has 30)."]),
        ("tags", "abc", ["Expected list, got str."]),
        ("colours", ["red", "green"], ["colours[1]: Value 'green' is not a valid choice."]),
        ("numbers", [1, "x"], ["numbers[1]: “x” value must be an integer."]),
        ("tag_map", {"a.b": "x"}, ['tag_map["a.b"]: A key is text that does not start with “$” and has no “.”.']),
        ("tag_map", {"a": "x" * 21}, ['tag_map["a"]: Ensure this value has at most 20 characters (it has 21).']),
        ("tag_map", {"\0": "x"}, ['tag_map["\\u0000"]: A key is text that does not start with “$” and has no “.”.']),
        ("tag_map", {5: "x"}, ['tag_map["5"]: A key is text that does not start with “$” and has no “.”.']),
        ("tag_map", ["a"], ["Expected dictionary, got list."]),
        ("address", {"city": "x" * 41}, ["address.city: Ensure this value has at most 40 characters (it has 41)."]),
        ("address", {"city": "x", "zip": 1}, ["address.zip: There is no such property."]),
        ("parts", [{"name": "a", "maker": {"city": "b", "lines": ["c", "d" * 21]}}],
         ["parts[0].maker.lines[1]: Ensure this value has at most 20 characters (it has 21)."]),
        ("parts", [None], ["parts[0]: This field cannot be null."]),
        ("mixes", [1, object()], ["mixes[1]: Expected a value that mixed can hold, got an instance of object."]),
        ("mixed_set", [[1]], ["mixed_set[0]: Expected no list or dictionary, which sets do not hold."]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_of_the_element(name, value, messages):
    with pytest.raises(ValidationError) as error:
        Kit._meta.get_field(name).clean(value, Kit())
    assert error.value.messages == messages


def test_saving_what_cannot_be_stored_names_the_element(each_database):
    with pytest.raises(ValidationError, match=r"numbers\[1\]: .*must be an integer"):
        Kit.objects.create(numbers=[1, "x"])
    assert not Kit.objects.exists()


def test_full_clean_speaks_of_every_field():
    with pytest.raises(ValidationError) as error:
        Kit(tags=["x" * 21], address=Address()).full_clean(validate_unique=False)
    assert error.value.message_dict == {
        "tags": ["tags[0]: Ensure this value has at most 20 characters (it has 21)."],
        "address": ["address.city: This field cannot be blank."],
    }


def test_objects_of_the_model_stand_for_links(each_database):
    engm = Airfield.objects.create(icao="ENGM", name="Oslo")
    kit = Kit.objects.create(route=[engm, "ENBR"], part=Part(name="a", airfield=engm))
    kit.refresh_from_db()
    assert kit.route == ["ENGM", "ENBR"] and kit.part.airfield == "ENGM"
    with pytest.raises(ValidationError, match=r"route\[0\]: Expected an object of Airfield, got one of Kit."):
        Kit._meta.get_field("route").clean([kit], kit)


def test_what_does_not_fit_the_type_comes_out_as_it_is(each_database):
    kit = Kit.objects.create()
    with connections[each_database].cursor() as cursor:
        cursor.execute("""UPDATE testapp_kit SET numbers = '["x", 5]', tag_map = '[1]', address = '{"other": 1}'""")
    kit.refresh_from_db()
    assert (kit.numbers, kit.tag_map, kit.address) == (["x", 5], [1], Address())


def test_counters_add_in_the_database(each_database):
    kit = Kit.objects.create(visits=5)
    other = Kit.objects.get()
    assert kit.visits.increment(3) == 8 and kit.visits == 8
    assert other.visits.increment() == 9 and other.visits.decrement(4) == 5
    kit.name = "North"
    kit.save()  # does not write the 8 it knows
    kit.refresh_from_db()
    assert (kit.visits, kit.visits + 1, f"{kit.visits}", kit.visits.value) == (5, 6, "5", 5)
    kit.visits = 7
    kit.save()
    assert Kit.objects.get().visits == 7 and other.visits.set(1) == 1


def test_counters_never_leave_64_bits(each_database):
    kit = Kit.objects.create(visits=2**63 - 2)
    with pytest.raises(DataError, match="leaves 64 bits"):
        kit.visits.increment(2)
    assert Kit.objects.get().visits == 2**63 - 2 and kit.visits.increment(1) == 2**63 - 1
    with pytest.raises(DataError):
        kit.visits.increment(2**70)
    kit.visits.set(-(2**63))
    with pytest.raises(DataError):
        kit.visits.decrement()


def test_counters_of_unsaved_objects_say_so():
    with pytest.raises(ValueError, match="'visits' cannot be changed in the database before its object is saved"):
        Kit().visits.increment()
    with pytest.raises(TypeError, match="Expected 'by' to be an integer, got float."):
        Kit().visits.increment(1.5)
    assert Kit().maybe_visits is None


def test_fixtures_hold_the_wire_values(each_database):
    kit = Kit.objects.create(**VALUES | {"decimals": []})
    text = serializers.serialize("json", [kit])
    again = next(iter(serializers.deserialize("json", text))).object
    for name in VALUES:
        assert getattr(again, name) == getattr(kit, name), name


def test_a_json_field_takes_what_json_has():
    assert plain_json({"a": [1, 2.5, None, True, {"b": 2**60}]}) == {"a": [1, 2.5, None, True, {"b": 2**60}]}
    for refused in (ID, [MOMENT], {"a": b""}, Decimal(1), math.nan, MixedLink("Airfield", "ENGM")):
        with pytest.raises(ValidationError, match="JSON has no such value"):
            plain_json(refused)


def test_types_of_the_fields():
    fields = {field.name: realm_type(field) for field in Kit._meta.concrete_fields}
    assert (fields["tags"], fields["tag_set"], fields["tag_map"], fields["address"]) == (
        "list", "set", "dictionary", "object",
    )  # fmt: skip
    assert (fields["anything"], fields["json"], fields["visits"]) == ("mixed", "mixed", "int")
    assert isinstance(Kit._meta.get_field("parts").base, EmbeddedField)
    assert ListField(Address).deconstruct()[1] == "realm_sync.fields.ListField"
    assert isinstance(ListField(models.CharField(max_length=3)).deconstruct()[3]["base"], models.CharField)


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ({"tags__contains": "a"}, True), ({"tags__contains": ["a", "ü𝄞"]}, True), ({"tags__contains": "A"}, False),
        ({"tags__contains": ["a", "z"]}, False), ({"maybe_tags__contains": None}, True), ({"tags__contains": []}, True),
        ({"flags__contains": True}, True), ({"numbers__contains": 2**63 - 1}, True), ({"numbers__contains": 2}, False),
        ({"doubles__contains": 0.5}, True), ({"dates__contains": MOMENT}, True), ({"uuids__contains": ID}, True),
        ({"route__contains": "ENGM"}, True), ({"decimal_set__contains": Decimal("1.50")}, True),
        ({"mixes__contains": 1}, True), ({"mixed_set__contains": "1"}, True), ({"mixed_set__contains": False}, False),
        ({"parts__contains": VALUES["parts"][0]}, True), ({"parts__contains": Part(name="x")}, False),
        ({"tags__len": 3}, True), ({"tags__len__gt": 3}, False), ({"tag_map__len": 2}, True), ({"number_set__len": 0}, True),
        ({"tags__0": "a"}, True), ({"tags__1": "a"}, False), ({"dates__0": MOMENT}, True), ({"days__0": date(2026, 1, 1)}, True),
        ({"address__city": "Oslo"}, True), ({"address__city__icontains": "os"}, True), ({"address__city": "Bergen"}, False),
        ({"address__lines__contains": "x"}, True), ({"parts__0__maker__city": "Bergen"}, True),
        ({"parts__0__amount__gte": 1}, True), ({"parts__0__prices__nok": Decimal("9.5")}, True),
        ({"part_map__a__labels__len": 2}, True), ({"part_map__a__airfield": "ENGM"}, True), ({"tag_map__a": "1"}, True),
        ({"tag_map__has_key": "ø"}, True), ({"tag_map__has_key": "z"}, False), ({"anything__a__1__b": None}, True),
        ({"anything__isnull": False}, True), ({"anything": None}, False), ({"part": None}, True), ({"part__isnull": True}, True),
        ({"tags": ["a", "ü𝄞", ""]}, True), ({"tags": []}, False), ({"tag_set": {"b", "a"}}, True), ({"number_set": []}, True),
        ({"address": Address(city="Oslo", lines=["x"])}, True), ({"flags__0": True}, True), ({"flags__1": True}, False),
    ],
)  # fmt: skip
def test_lookups(kit_of_each_database, condition, found):
    assert Kit.objects.filter(**condition).exists() is found
    assert Kit.objects.exclude(**condition).exists() is not found


@pytest.fixture
def kit_of_each_database(each_database):
    return Kit.objects.create(**VALUES)


def test_parts_are_selected_as_python_values(kit_of_each_database):
    names = ["tags__0", "dates__0", "days__0", "uuids__0", "flags__0", "numbers__1", "doubles__1", "decimals__0",
             "address__city", "address__lines", "parts__0__maker", "part_map__a__labels", "number_map__a", "tags__len"]  # fmt: skip
    assert list(Kit.objects.values_list(*names)) == [
        ("a", MOMENT, date(2026, 1, 1), ID, True, 2**63 - 1, math.inf, Decimal("0.1"),
         "Oslo", ["x"], Address(city="Bergen"), {"a", "z"}, None, 3)
    ]  # fmt: skip


def test_bulk_writes_and_expressions(each_database):
    kits = Kit.objects.bulk_create([Kit(name=str(at), tags=[str(at)]) for at in range(3)])
    Kit.objects.update(address=Address(city="Oslo"), anything=None, number_set={2, 1})
    kits[0].tags.append("x")
    kits[0].address = None
    Kit.objects.bulk_update(kits[:1], ["tags", "address"])
    first = Kit.objects.get(name="0")
    assert (first.tags, first.address, first.number_set) == (["0", "x"], None, {1, 2})
    assert Kit.objects.get(name="1").address == Address(city="Oslo")
    assert Kit.objects.filter(anything=None).count() == 3
    Kit.objects.update(visits=models.F("visits") + 2)
    assert {kit.visits for kit in Kit.objects.all()} == {2}


def test_what_the_page_of_types_says_is_true(each_database, monkeypatch):
    text = (Path(__file__).resolve().parent.parent / "docs" / "types.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    module = ModuleType("tests.testapp.depots")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    before, synced = dict(apps.all_models["testapp"]), list(registry.registered)
    for icao in ("ENGM", "ENBR"):
        Airfield.objects.create(icao=icao, name=icao)
    space = vars(module) | {"ValidationError": ValidationError, "Airfield": Airfield, "timezone": timezone}
    try:
        exec(
            blocks[0].replace(
                "class Depot(sync.SyncedModel):",
                "class Depot(sync.SyncedModel):\n    class Meta:\n        app_label = 'testapp'\n",
            ),
            space,
        )
        with connections[each_database].schema_editor() as editor:
            editor.create_model(space["Depot"])
        for block in blocks[1:]:
            exec(block, space)
        depot = space["Depot"].objects.get()
        assert depot.route == ["ENGM", "ENBR"] and depot.address.phones == {"night": "+47 22"}
        filters = [line for line in blocks[3].splitlines() if line.startswith("Depot")]
        assert len(filters) == 6 and all(len(eval(line, space)) == 1 for line in filters)
        assert list(eval(filters[-1], space)) == [("Oslo", 3)]
        registry.schema.check()
        assert registry.schema["Walk"].properties["spots"].object_type == "Spot"
    finally:
        for name in set(apps.all_models["testapp"]) - set(before):
            del apps.all_models["testapp"][name]
        for binding in registry.registered:
            if binding not in synced:
                registry.unregister(binding.model)
        apps.clear_cache()
