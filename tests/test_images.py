"""R12: an object has one wire image, and the database builds it as core/values.py would."""

from __future__ import annotations

import json
import math
import sqlite3
import subprocess
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections, models
from django.db.models.expressions import RawSQL
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realm_sync import capture, history
from realm_sync.capture.columns import storage
from realm_sync.core.encoding import decode_property, encode_property
from realm_sync.core.values import ObjectId, single
from realm_sync.registry import ModelSync, registry
from tests.testapp.models import Airfield, Inspection, Sample, Team

TEXTS = [
    "", " ", "a", "'", '"', "\\", '\\"', "%", "%s", "%%", "{}", "?", ":x", "null", "\t\n\r\b\f\v\x01\x1f\x7f\x80\x9f",
    "\u2028\u2029\ufeff\ufffd\uffff", "äß€", "e\u0301", "𝄞👩‍👩‍👧", "\U0010ffff", "<script>", "x" * 200,
]  # fmt: skip
INTEGERS = [0, 1, -1, 2**31, 2**53 - 1, 2**53, 2**53 + 1, -(2**53), -(2**53) - 1, 2**63 - 1, -(2**63)]
DOUBLES = [
    0.0, -0.0, 1.0, -1.0, 0.1, 0.1 + 0.2, 1 / 3, 100.0, 1e15, 1e16, 1e17, 1e21, 1e22, 1e23, 123456789.123456789,
    5e-324, 2.2250738585072009e-308, 2.2250738585072014e-308, 1.7976931348623157e308, 1.1754114033216373e269,
    2.0**53, 2.0**63, -(2.0**63), 9007199254740993.0, math.inf, -math.inf,
]  # fmt: skip
DECIMALS = [
    "0", "-0", "0.0", "1", "-1", "0.1", "0.10", "1000", "1E+3", "1.5E+20", "1E-20", "123456789012345678901234567890.1234",
    "9999999999999999999999999999999999", "-0.0000000000000000000000000000000001", "1E+6144", "-1E-6176", "NaN",
    "Infinity", "-Infinity",
]  # fmt: skip
FIXED = ["0", "-0", "-0.0000", "0.1", "0.0001", "-0.0001", "1000", "1000.5000", "99999999.9999", "-99999999.9999", "10"]
BYTES = [b"", b"\0", b"\xff", b"ab", b"abc", b"abcd", bytes(range(256)), b"\0" * 100, b"\xfb\xff\xfe" * 20]
DATES = [
    datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999999, UTC), datetime(2026, 2, 28, 1, 2, 3, 40, UTC),
    datetime(2026, 7, 1, 1, 30, tzinfo=timezone(timedelta(hours=5, minutes=45))), datetime(999, 1, 1, tzinfo=UTC),
]  # fmt: skip
DAYS = [date(2026, 1, 1), date(1, 1, 1), date(9999, 12, 31), date(2024, 2, 29)]
UUIDS = [uuid.UUID(int=0), uuid.UUID(int=2**128 - 1), uuid.UUID("00000000-0000-0000-0000-00000000000a")]
OBJECT_IDS = [ObjectId("0" * 24), ObjectId("f" * 24), ObjectId("00000000000000000000000a")]

finite = st.floats(allow_nan=False, allow_infinity=False)
strings = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "bigint": st.sampled_from(INTEGERS) | st.integers(-(2**63), 2**63 - 1),
    "double": st.sampled_from(DOUBLES) | st.floats(allow_nan=False),
    "float": (st.sampled_from(DOUBLES) | st.floats(allow_nan=False, width=32)).map(single),
    "decimal128": st.sampled_from(DECIMALS).map(Decimal)
    | st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**20), max_value=10**20),
    "fixed": (
        st.sampled_from(FIXED).map(Decimal)
        | st.decimals(min_value=Decimal(-(10**8)) + 1, max_value=Decimal(10**8) - 1, places=4)
    ),
    "string": st.sampled_from(TEXTS) | strings,
    "data": st.sampled_from(BYTES) | st.binary(max_size=50),
    "date": st.sampled_from(DATES) | st.datetimes(timezones=st.just(UTC)),
    "day": st.sampled_from(DAYS) | st.dates(),
    "uuid": st.sampled_from(UUIDS) | st.uuids(),
    "objectId": st.sampled_from(OBJECT_IDS) | st.binary(min_size=12, max_size=12).map(ObjectId),
}


def binding_of(model: type[models.Model]) -> ModelSync:
    binding = registry.for_model(model)
    assert binding is not None
    return binding


def images(model: type[models.Model]) -> dict[str, str]:
    """What a bootstrap selects, by object id."""
    sql = capture.image_sql(binding_of(model), f'"{model._meta.db_table}"').replace("%", "%%")
    texts = model.objects.annotate(image=RawSQL(sql, ())).values_list("image", flat=True)
    return {str(json.loads(text)["_id"]): text for text in texts}


def expected(instance: models.Model) -> dict[str, Any]:
    """The image that the codec of the core makes of a model instance."""
    binding = binding_of(type(instance))
    result = {}
    for name, prop in binding.schema.properties.items():
        field = binding.fields_by_name[name]
        value = getattr(instance, field.attname)
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime.combine(value, time(), UTC)
        result[name] = encode_property(registry.schema, name, prop, value)
    return result


def kind(field: Any) -> str:
    return type(field).__name__ == "ObjectIdField" and "objectId" or storage(field)


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    values = {}
    for field in Sample._meta.concrete_fields:
        if field.name != "team":
            value = VALUES[kind(field)]
            values[field.name] = draw(st.none() | value if field.null else value)
    return Sample(**values)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(rows=st.lists(samples(), min_size=1, max_size=4, unique_by=lambda sample: sample.id))
def test_the_database_builds_the_image_that_the_codec_would(each_database: str, rows: list[Sample]) -> None:
    after = history.latest(connections[each_database])
    Sample.objects.bulk_create(rows)
    selected = images(Sample)
    properties = binding_of(Sample).schema.properties
    for row in rows:
        text = selected[str(row.id)]
        image = json.loads(text)
        assert image == expected(row)
        assert list(image) == list(properties)
        for name, prop in properties.items():
            assert type(image[name]) is not float or math.isfinite(image[name])
            decode_property(registry.schema, name, prop, image[name])
    changes = history.changes_of(connections[each_database], [("Sample", str(row.id)) for row in rows], after)
    assert {change.object_id: change.after for change in changes} == selected
    Sample.objects.all().delete()
    changes = history.changes_of(connections[each_database], [("Sample", key) for key in selected], after)
    assert {change.object_id: change.before for change in changes if change.kind == "delete"} == selected


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("maybe_bool", [True, False, None]),
        ("maybe_int", [*INTEGERS, None]),
        ("maybe_float", [*map(single, DOUBLES), None]),
        ("maybe_double", [*DOUBLES, None]),
        ("maybe_decimal", [*map(Decimal, DECIMALS), None]),
        ("maybe_fixed", [*map(Decimal, FIXED), None]),
        ("maybe_string", [*TEXTS, None]),
        ("maybe_text", [*TEXTS, "𝄞" * 10_000, None]),
        ("maybe_data", [*BYTES, *(bytes(range(256))[:size] for size in range(20)), b"\x01\x80" * 5_000, None]),
        ("maybe_date", [*DATES, None]),
        ("maybe_day", [*DAYS, None]),
        ("maybe_object_id", [*OBJECT_IDS, None]),
        ("maybe_uuid", [*UUIDS, None]),
    ],
)
def test_every_extreme_value(each_database: str, column: str, values: list[Any]) -> None:
    rows = [Sample(**{column: value}) for value in values]
    Sample.objects.bulk_create(rows)
    selected = images(Sample)
    for row in rows:
        found, wanted = json.loads(selected[str(row.id)]), expected(row)
        assert (found[column], type(found[column]) in (int, float)) == (
            wanted[column],
            type(wanted[column]) in (int, float),
        )


def test_not_a_number_is_a_value_on_postgresql_and_null_on_sqlite(each_database: str) -> None:
    """SQLite turns NaN into NULL when it is stored."""
    sample = Sample.objects.create(maybe_double=math.nan, maybe_decimal=Decimal("NaN"))
    image = json.loads(images(Sample)[str(sample.id)])
    assert image["maybe_double"] == ("NaN" if connections[each_database].vendor == "postgresql" else None)
    assert image["maybe_decimal"] == "NaN"


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(old=samples(), new=samples())
def test_an_update_logs_the_old_values_of_what_changed(each_database: str, old: Sample, new: Sample) -> None:
    new.id = old.id
    old.save(force_insert=True)
    before = json.loads(images(Sample)[str(old.id)])
    after = history.latest(connections[each_database])
    new.save(force_update=True)
    now = json.loads(images(Sample)[str(old.id)])
    changes = history.changes_of(connections[each_database], [("Sample", str(old.id))], after)
    differing = {name: value for name, value in before.items() if value != now[name]}
    if differing:
        (change,) = changes
        assert json.loads(change.before or "") == differing
        assert json.loads(change.after or "") == now
    else:
        assert not changes
    old.delete()


def test_links_are_keys_of_their_targets(each_database: str) -> None:
    team = Team.objects.create(name="North")
    field = Airfield.objects.create(icao='E"D', name="Frankfurt")
    inspection = Inspection.objects.create(airfield=field, team=team)
    image = json.loads(images(Inspection)[str(inspection.id)])
    assert (image["airfield"], image["team"], image["inspector"]) == ('E"D', str(team.id), None)
    assert image == expected(Inspection.objects.get())
    (change,) = history.changes_of(connections[each_database], [("Airfield", 'E"D')], 0)
    assert change.object_id == 'E"D'


@pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
def test_dates_that_django_did_not_write(each_database: str) -> None:
    sample = Sample.objects.create()
    for written, wanted in (
        ("2026-01-01 12:00", "2026-01-01T12:00:00.000000Z"),
        ("2026-01-01T12:00:00", "2026-01-01T12:00:00.000000Z"),
        ("2026-01-01 12:00:00.5", "2026-01-01T12:00:00.500000Z"),
        ("2026-01-01 12:00:00+02:00", "2026-01-01T10:00:00.000000Z"),
        ("2026-01-01 12:00:00.250+02:00", "2026-01-01T10:00:00.250000Z"),
        ("nonsense", None),
    ):
        with connections[each_database].cursor() as cursor:
            cursor.execute("UPDATE testapp_sample SET maybe_date = %s", [written])
        assert json.loads(images(Sample)[str(sample.id)])["maybe_date"] == wanted


@pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
def test_triggers_need_nothing_that_python_registers(each_database: str) -> None:
    """Another program writes every type; its SQLite knows none of our functions."""
    sample = Sample.objects.create(a_data=b"\xfb\xff", maybe_double=0.1, maybe_decimal=Decimal("1.50"))
    path = connections.settings["default"]["NAME"]
    connections[each_database].close()
    statement = "UPDATE testapp_sample SET an_int = 7, maybe_data = x'00ff10'; DELETE FROM testapp_sample;"
    subprocess.run(["sqlite3", str(path), statement], check=True)
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO testapp_airfield (icao, name, country) VALUES ('EDDF', 'x', '')")
    connection.close()
    changes = history.read(connections[each_database], 0, 100).changes
    assert [change.kind for change in changes] == ["insert", "update", "delete", "insert"]
    assert json.loads(changes[1].before or "") == {"an_int": 0, "maybe_data": None}
    assert json.loads(changes[1].after or "") == json.loads(changes[0].after or "") | {
        "an_int": 7,
        "maybe_data": "AP8Q",
    }
    assert changes[2].object_id == str(sample.id)
