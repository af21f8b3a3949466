"""R12 for every type that is more than a scalar: the database's JSON is the value that the codec of the core makes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections, models
from django.test.utils import isolate_apps
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realm_sync import capture, history
from realm_sync.capture.columns import storage
from realm_sync.core.encoding import decode_property, encode_property, wire_set
from realm_sync.core.mixed import Link as MixedLink
from realm_sync.core.values import ObjectId
from realm_sync.fields import (
    CounterField,
    DictionaryField,
    EmbeddedField,
    Link,
    ListField,
    MixedField,
    SetField,
    is_array,
    to_wire,
)
from realm_sync.registry import ModelSync, Registry
from tests.test_capture import changes, replayed, sql
from tests.test_images import DATES, DECIMALS, DOUBLES, INTEGERS, TEXTS, UUIDS, VALUES, finite, strings
from tests.testapp.models import Airfield, Kit, Reading, Team

keys = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0.$"), max_size=8) | st.sampled_from(
    ["", " ", '"', "\\", "\n", "ß", "𝄞", "a'b", "%s"]
)
scalars = st.one_of(
    st.none(),
    *(VALUES[kind] for kind in ("bool", "bigint", "double", "string", "data", "date", "uuid", "objectId")),
    st.sampled_from(DECIMALS).map(Decimal),
    st.builds(MixedLink, st.just("Airfield"), st.sampled_from(["EDDF", 'E"D'])),
)
mixed = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=6
)
plain = st.recursive(
    st.none() | st.booleans() | finite | st.integers(-(2**53), 2**53) | strings,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)


def values_of(field: Any) -> st.SearchStrategy[Any]:
    """Python values of a field, a part of one included."""
    found: st.SearchStrategy[Any]
    match field:
        case ListField():
            found = st.lists(values_of(field.base), max_size=3)
        case SetField(is_mixed=True):
            found = st.lists(scalars, max_size=3)
        case SetField():
            found = st.lists(values_of(field.base), max_size=3).map(set)
        case DictionaryField():
            found = st.dictionaries(keys, values_of(field.base), max_size=3)
        case EmbeddedField():
            parts = {name: values_of(part) for name, part in field.embedded.fields.items()}
            found = st.fixed_dictionaries(parts).map(lambda values: field.embedded(**values))
        case MixedField():
            found = mixed
        case models.JSONField():
            found = plain
        case Link():
            found = values_of(field.key_field)
        case models.ForeignKey():
            return st.none()
        case _ if is_array(field):
            found = st.lists(values_of(field.base_field), max_size=4)
        case _:
            found = VALUES[{"string": "string"}.get(storage(field), storage(field))]
            if getattr(field, "realm_type", "") == "objectId":
                found = VALUES["objectId"]
            if field.max_length:
                found = found.map(lambda value: value[: field.max_length] if isinstance(value, str) else value)
    return st.none() | found if field.null else found


class Tables:
    """Models with a registry of their own, captured for one test."""

    def __init__(self, alias: str, *models: type[models.Model]) -> None:
        self.alias, self.registry = alias, Registry()
        self.bindings = {model: self.registry.register(model, ModelSync) for model in models}
        capture.install(connections[alias], self.registry)

    def images(self, model: type[models.Model]) -> dict[str, str]:
        binding, table = self.bindings[model], model._meta.db_table
        found = sql(self.alias, f'SELECT {capture.image_sql(binding, table)} FROM "{table}"')
        return {str(json.loads(text)["_id"]): text for (text,) in found}

    def wire(self, instance: models.Model) -> dict[str, Any]:
        """The image that fields and the codec make of an instance."""
        binding = self.bindings[type(instance)]
        image = {}
        for name, field in binding.fields_by_name.items():
            value = getattr(instance, field.attname)
            prop = binding.schema.properties[name]
            if isinstance(field, models.JSONField) and prop.type == "mixed" and not isinstance(field, MixedField):
                image[name] = value
            elif is_array(field):
                image[name] = encode_property(self.registry.schema, name, prop, [_moment(each) for each in value or ()])
            elif isinstance(field, models.ForeignKey) or value is None:
                image[name] = encode_property(self.registry.schema, name, prop, value)
            else:
                image[name] = to_wire(field, value)
        return image

    def decoded(self, model: type[models.Model], image: dict[str, Any]) -> dict[str, Any]:
        properties = self.bindings[model].schema.properties
        return {
            name: typed(decode_property(self.registry.schema, name, properties[name], wire))
            for name, wire in image.items()
        }


def _moment(value: Any) -> Any:
    is_day = isinstance(value, date) and not isinstance(value, datetime)
    return datetime.combine(value, time(), UTC) if is_day else value


def typed(value: Any) -> Any:
    """A value whose parts are equal only if their types are: True is not 1, and 1 is not 1.0."""
    if isinstance(value, list):
        return [typed(each) for each in value]
    if isinstance(value, dict):
        return {key: typed(each) for key, each in value.items()}
    return type(value).__name__, str(value) if isinstance(value, Decimal) else value  # NaN is not itself


@st.composite
def kits(draw: st.DrawFn) -> Kit:
    return Kit(**{field.attname: draw(values_of(field)) for field in Kit._meta.concrete_fields})


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(old=kits(), new=kits())
def test_the_database_builds_the_image_that_the_codec_would(each_database: str, old: Kit, new: Kit) -> None:
    tables = Tables(each_database, Airfield, Team, Kit)
    after = history.latest(connections[each_database])
    new.id = old.id
    for kit, write in ((old, old.save), (new, new.save)):
        write(force_insert=kit is old, force_update=kit is not old)
        image = json.loads(tables.images(Kit)[str(kit.id)])
        assert tables.decoded(Kit, image) == tables.decoded(Kit, tables.wire(kit) | {"teams": []})
        assert list(image) == list(tables.bindings[Kit].schema.properties)
    Kit.objects.all().delete()
    assert replayed([change for change in changes(each_database, after) if change.class_name == "Kit"]) == {}


EXTREMES = [*INTEGERS, *DOUBLES, *TEXTS, *UUIDS, *DATES, *map(Decimal, DECIMALS), b"", b"\0\xff", ObjectId("0" * 24)]


@pytest.mark.parametrize("column", ["anything", "mixes", "mixed_set", "mixed_map"])
def test_every_extreme_value(each_database: str, column: str) -> None:
    tables = Tables(each_database, Airfield, Team, Kit)
    values: dict[str, Any] = {
        "anything": [EXTREMES, {"deep": [[EXTREMES]]}],
        "mixes": EXTREMES,
        "mixed_set": EXTREMES,
        "mixed_map": {f"k{at}": value for at, value in enumerate(EXTREMES)},
    }
    kit = Kit.objects.create(**{column: values[column]})
    image = json.loads(tables.images(Kit)[str(kit.id)])
    assert tables.decoded(Kit, image)[column] == tables.decoded(Kit, tables.wire(kit))[column]


@pytest.mark.parametrize(
    "number", ["9007199254740993", "123456789012345678901234567890", "0.30000000000000004", "1e300", "-5e-324", "1.10"]
)
def test_numbers_inside_json_keep_every_digit(each_database: str, number: str) -> None:
    tables = Tables(each_database, Airfield, Team, Kit)
    kit = Kit.objects.create()
    sql(each_database, "UPDATE testapp_kit SET json = %s", f'{{"x": [{number}]}}')
    image = json.loads(tables.images(Kit)[str(kit.id)], parse_float=Decimal, parse_int=Decimal)
    assert image["json"] == {"x": [Decimal(number)]}


def test_nothing_is_empty_and_null(each_database: str) -> None:
    tables = Tables(each_database, Airfield, Team, Kit)
    kit = Kit.objects.create()
    image = json.loads(tables.images(Kit)[str(kit.id)])
    empty = {"list": [], "set": [], "dictionary": {}, "mixed": None, "object": None}
    for name, prop in tables.bindings[Kit].schema.properties.items():
        if prop.type in empty:
            assert image[name] == empty[prop.type]
    sql(each_database, "UPDATE testapp_kit SET json = 'null', anything = 'null'")
    image = json.loads(tables.images(Kit)[str(kit.id)])
    assert (image["json"], image["anything"]) == (None, None)


def test_a_set_of_links_is_part_of_the_image(each_database: str) -> None:
    tables = Tables(each_database, Airfield, Team, Kit)
    after = history.latest(connections[each_database])
    teams = [Team.objects.create(name=f"{number}") for number in range(3)]
    kit = Kit.objects.create(tags=["a"])
    kit.teams.set(teams)
    wanted = wire_set(str(team.id) for team in teams)
    assert json.loads(tables.images(Kit)[str(kit.id)])["teams"] == wanted
    last = [change for change in changes(each_database, after) if change.class_name == "Kit"][-1]
    assert (json.loads(last.after or "")["teams"], json.loads(last.after or "")["tags"]) == (wanted, ["a"])


@pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
def test_what_is_no_json_is_nothing(each_database: str) -> None:
    tables = Tables(each_database, Airfield, Team, Kit)
    kit = Kit.objects.create(tags=["a"])
    with connections[each_database].cursor() as cursor:
        cursor.execute("PRAGMA ignore_check_constraints = ON")
        cursor.execute("UPDATE testapp_kit SET tags = '[1', anything = '{]', tag_map = x'00'")
    image = json.loads(tables.images(Kit)[str(kit.id)])
    assert (image["tags"], image["anything"], image["tag_map"]) == ([], None, {})


def test_an_asymmetric_class_is_not_captured(each_database: str) -> None:
    registry = Registry()
    registry.register(Reading, type("ReadingSync", (ModelSync,), {"asymmetric": True}))
    assert capture.status(connections[each_database], registry) == [
        row for row in capture.status(connections[each_database], []) if row.state == "STRAY"
    ]


def test_a_file_is_its_name(each_database: str) -> None:
    with isolate_apps("tests.testapp"):

        class Report(models.Model):
            id = models.IntegerField(primary_key=True)
            file = models.FileField(upload_to="reports", blank=True)
            maybe = models.FileField(null=True)

            class Meta:
                app_label = "testapp"

        with connections[each_database].schema_editor() as editor:
            editor.create_model(Report)
        tables = Tables(each_database, Report)
        Report.objects.create(id=1, file='reports/a "b".pdf')
        Report.objects.create(id=2)
        images = [json.loads(text) for text in tables.images(Report).values()]
        assert images[0] == {"_id": 1, "file": 'reports/a "b".pdf', "maybe": images[0]["maybe"]}
        assert images[1]["file"] == ""


@pytest.fixture
def arrays(each_database: str) -> Iterator[Tables]:
    from django.contrib.postgres.fields import ArrayField

    with isolate_apps("tests.testapp"):

        class Arrays(models.Model):
            id = models.IntegerField(primary_key=True)
            flags = ArrayField(models.BooleanField(null=True))
            numbers = ArrayField(models.BigIntegerField(null=True))
            doubles = ArrayField(models.FloatField(null=True))
            fixed = ArrayField(models.DecimalField(max_digits=12, decimal_places=4))
            texts = ArrayField(models.CharField(max_length=200), null=True)
            moments = ArrayField(models.DateTimeField(null=True))
            days = ArrayField(models.DateField())
            uuids = ArrayField(models.UUIDField(null=True))
            visits = CounterField()

            class Meta:
                app_label = "testapp"

        with connections[each_database].schema_editor() as editor:
            editor.create_model(Arrays)
        yield Tables(each_database, Arrays)


@pytest.mark.parametrize("each_database", ["postgresql"], indirect=True)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_arrays_are_lists(arrays: Tables, data: st.DataObject) -> None:
    (model,) = arrays.bindings
    model.objects.all().delete()  # type: ignore[attr-defined]
    after = history.latest(connections[arrays.alias])
    fields = [field for field in model._meta.concrete_fields if field.name != "id"]
    for first in (True, False):
        row = model(id=1, **{field.name: data.draw(values_of(field), label=field.name) for field in fields})
        row.save(force_insert=first, force_update=not first)
        image = json.loads(arrays.images(model)["1"])
        assert arrays.decoded(model, image) == arrays.decoded(model, arrays.wire(row))
        assert all(not isinstance(each, float) or math.isfinite(each) for each in image["doubles"])
    model.objects.all().delete()  # type: ignore[attr-defined]
    assert replayed([change for change in changes(arrays.alias, after) if change.class_name == "Arrays"]) == {}
