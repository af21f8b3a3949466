"""The fields that Realm's types add, on both databases."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.core import serializers
from django.core.exceptions import ValidationError
from django.db import connections
from django.forms import modelform_factory

from realm_sync.core.values import ObjectId
from realm_sync.fields import Decimal128Field, Float32Field, ObjectIdField, new_object_id
from tests.testapp.models import Sample

ID = "0123456789abcdef01234567"


def stored(alias: str, column: str) -> object:
    with connections[alias].cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM testapp_sample")
        return cursor.fetchone()[0]


def test_new_object_ids_are_of_now_and_differ():
    made = {new_object_id() for _ in range(100)}
    assert len(made) == 100
    assert abs((datetime.now(UTC) - made.pop().generation_time).total_seconds()) < 5


def test_object_ids_are_hex_digits_in_the_database(each_database):
    Sample.objects.create(id=ID, an_object_id=ObjectId(ID), maybe_object_id=None)
    found = Sample.objects.get(an_object_id=ID.upper())
    assert found.pk == found.an_object_id == ObjectId(ID) and found.maybe_object_id is None
    assert stored(each_database, "an_object_id") == ID
    assert Sample.objects.filter(an_object_id__in=[ObjectId(ID)], maybe_object_id__isnull=True).exists()
    assert Sample.objects.filter(an_object_id__gt=ObjectId(b"\0" * 12)).exists()


@pytest.mark.parametrize("value", ["12", 12, "g" * 24, b"short"])
def test_what_is_not_an_object_id_is_a_validation_error(value):
    with pytest.raises(ValidationError, match="is not an ObjectId"):
        ObjectIdField().to_python(value)


@pytest.mark.parametrize(
    "text", ["0", "-0.1", "1234567890123456789012345678901234", "1e-40", "-9.5e40", "NaN", "Infinity", "-Infinity"]
)
def test_decimals_keep_34_digits(each_database, text):
    value = Decimal(text)
    Sample.objects.create(a_decimal=value)
    found = Sample.objects.get().a_decimal
    assert found == value or (found.is_nan() and value.is_nan())
    assert Sample.objects.filter(a_decimal=value).exists()


def test_decimals_are_canonical_text_on_sqlite_and_rounded_to_34_digits():
    connection = connections["default"]
    field = Decimal128Field()
    assert field.get_db_prep_value(Decimal("1.500"), connection) == "1.5"
    assert field.get_db_prep_value(0.1, connection) == "0.1"
    assert field.to_python("0." + "3" * 40) == Decimal("0." + "3" * 34)
    for refused in ("one", "1e7000", [], object()):
        with pytest.raises(ValidationError, match="within the range of decimal128"):
            field.to_python(refused)


def test_decimals_compare_by_value(each_database):
    for text in ("-10", "-9.5", "0", "2", "10.25", "Infinity"):
        Sample.objects.create(a_decimal=Decimal(text))

    def count(**condition):
        return Sample.objects.filter(**condition).count()

    assert count(a_decimal__gt=Decimal("9")) == 2
    assert count(a_decimal__lt=0) == 2
    assert count(a_decimal__lte=Decimal("-9.50")) == 2
    assert count(a_decimal__gte="2.0") == 3
    assert count(a_decimal__range=(Decimal("-9.5"), Decimal("2"))) == 3


def test_floats_are_rounded_to_32_bits_when_written(each_database):
    Sample.objects.create(a_float=0.1, maybe_float=1e300)
    found = Sample.objects.get()
    assert found.a_float == 0.10000000149011612 and math.isinf(found.maybe_float)
    assert Sample.objects.filter(a_float=0.1).exists()
    assert Float32Field().to_python("0.1") == 0.10000000149011612


def test_fixtures_and_forms_know_the_fields(each_database):
    sample = Sample.objects.create(id=ID, a_decimal=Decimal("1.5"), a_float=0.5)
    text = serializers.serialize("json", [sample])
    row = json.loads(text)[0]
    assert (row["pk"], row["fields"]["a_decimal"], row["fields"]["maybe_object_id"]) == (ID, "1.5", None)
    again = next(iter(serializers.deserialize("json", text))).object
    assert (again.pk, again.a_decimal, again.maybe_decimal) == (ObjectId(ID), Decimal("1.5"), None)
    form_class = modelform_factory(Sample, fields=["an_object_id", "a_decimal", "a_float"])
    form = form_class({"an_object_id": ID, "a_decimal": "2.50", "a_float": "0.1"})
    assert form.is_valid(), form.errors
    filled = form.save(commit=False)
    assert (filled.an_object_id, filled.a_decimal) == (ObjectId(ID), Decimal("2.5"))
    assert "is not an ObjectId" in str(form_class({"an_object_id": "x", "a_decimal": "1", "a_float": "1"}).errors)
