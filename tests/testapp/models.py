"""The small world of the tests: inspectors of teams inspect airfields. And one model with every type."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime
from decimal import Decimal

from django.conf import settings
from django.db import models

from realm_sync import sync
from realm_sync.fields import (
    CounterField,
    Decimal128Field,
    DictionaryField,
    EmbeddedField,
    EmbeddedObject,
    Float32Field,
    Link,
    ListField,
    MixedField,
    ObjectIdField,
    SetField,
    new_object_id,
)


class Airfield(models.Model):
    """Comes from elsewhere; clients only read it."""

    icao = models.CharField(max_length=4, primary_key=True)
    name = models.CharField(max_length=120)
    country = models.CharField(max_length=2, blank=True, db_index=True)
    latitude = models.FloatField(null=True)
    longitude = models.FloatField(null=True)
    elevation = models.IntegerField(null=True)

    def __str__(self) -> str:
        return self.icao


class Team(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=60, unique=True)
    members = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="teams", blank=True)

    def __str__(self) -> str:
        return self.name


class Inspection(sync.SyncedModel):
    class Status(models.TextChoices):
        PLANNED = "planned"
        RUNNING = "running"
        DONE = "done"

    airfield = models.ForeignKey(Airfield, on_delete=models.PROTECT, related_name="inspections")
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.CASCADE, related_name="inspections")
    inspector = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    title = models.CharField(max_length=200, blank=True)
    status = models.CharField(max_length=10, choices=Status, default=Status.PLANNED)
    priority = models.IntegerField(default=0, db_index=True)
    due = models.DateField(null=True, blank=True)
    hours = models.DecimalField(max_digits=6, decimal_places=2, default=Decimal)
    notes = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Sync:
        def readable_by(self, user):
            return models.Q(team__in=user.teams.all()) | models.Q(inspector=user)

        def writable_by(self, user):
            return models.Q(team__in=user.teams.all())

    def __str__(self) -> str:
        return self.title or str(self.pk)


class Sample(models.Model):
    """Every scalar type, required and optional."""

    id = ObjectIdField(primary_key=True, default=new_object_id)
    a_bool = models.BooleanField(default=False)
    an_int = models.BigIntegerField(default=0)
    a_float = Float32Field(default=0)
    a_double = models.FloatField(default=0)
    a_decimal = Decimal128Field(default=Decimal)
    a_fixed = models.DecimalField(max_digits=12, decimal_places=4, default=Decimal)
    a_string = models.CharField(max_length=200, blank=True)
    a_text = models.TextField(blank=True)
    a_data = models.BinaryField(default=b"")
    a_date = models.DateTimeField(default=datetime(2026, 1, 1, 12, tzinfo=UTC))
    a_day = models.DateField(default=date(2026, 1, 1))
    an_object_id = ObjectIdField(default=new_object_id)
    a_uuid = models.UUIDField(default=uuid.uuid4)
    maybe_bool = models.BooleanField(null=True)
    maybe_int = models.BigIntegerField(null=True)
    maybe_float = Float32Field(null=True)
    maybe_double = models.FloatField(null=True)
    maybe_decimal = Decimal128Field(null=True)
    maybe_fixed = models.DecimalField(max_digits=12, decimal_places=4, null=True)
    maybe_string = models.CharField(max_length=200, null=True)
    maybe_text = models.TextField(null=True)
    maybe_data = models.BinaryField(null=True)
    maybe_date = models.DateTimeField(null=True)
    maybe_day = models.DateField(null=True)
    maybe_object_id = ObjectIdField(null=True)
    maybe_uuid = models.UUIDField(null=True)
    team = models.ForeignKey(Team, null=True, on_delete=models.SET_NULL, related_name="samples")


class Address(EmbeddedObject):
    street = models.CharField(max_length=60, blank=True)
    city = models.CharField(max_length=40)
    lines = ListField(models.CharField(max_length=20, blank=True))


class Part(EmbeddedObject):
    """An embedded object of every kind of property."""

    name = models.CharField(max_length=20, blank=True)
    amount = models.BigIntegerField(default=1)
    weight = models.FloatField(null=True)
    made = models.DateTimeField(null=True)
    maker = EmbeddedField(Address, null=True)
    notes = MixedField()
    prices = DictionaryField(Decimal128Field(null=True))
    labels = SetField(models.CharField(max_length=20, blank=True))
    airfield = Link("testapp.Airfield", null=True)
    used = CounterField()


class Kit(models.Model):
    """What inspectors carry: every type that is more than a scalar."""

    class Colour(models.TextChoices):
        RED = "red"
        BLUE = "blue"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=60, blank=True)
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.SET_NULL, related_name="kits")
    visits = CounterField()
    maybe_visits = CounterField(null=True, blank=True)
    anything = MixedField()
    json = models.JSONField(null=True, blank=True)
    tags = ListField(models.CharField(max_length=20, blank=True))
    colours = ListField(models.CharField(max_length=10, choices=Colour))
    maybe_tags = ListField(models.CharField(max_length=20, null=True, blank=True))
    numbers = ListField(models.BigIntegerField())
    doubles = ListField(models.FloatField())
    decimals = ListField(Decimal128Field())
    dates = ListField(models.DateTimeField())
    days = ListField(models.DateField())
    blobs = ListField(models.BinaryField())
    flags = ListField(models.BooleanField())
    uuids = ListField(models.UUIDField())
    object_ids = ListField(ObjectIdField())
    mixes = ListField(MixedField())
    route = ListField(Link(Airfield))
    tag_set = SetField(models.CharField(max_length=20, blank=True))
    number_set = SetField(models.BigIntegerField())
    maybe_number_set = SetField(models.BigIntegerField(null=True))
    decimal_set = SetField(Decimal128Field())
    date_set = SetField(models.DateTimeField())
    uuid_set = SetField(models.UUIDField())
    mixed_set = SetField(MixedField())
    airfield_set = SetField(Link(Airfield))
    teams = models.ManyToManyField(Team, blank=True, related_name="shared_kits")
    tag_map = DictionaryField(models.CharField(max_length=20, blank=True))
    number_map = DictionaryField(models.BigIntegerField(null=True))
    date_map = DictionaryField(models.DateTimeField())
    mixed_map = DictionaryField(MixedField())
    airfield_map = DictionaryField(Link(Airfield))
    address = EmbeddedField(Address, null=True, blank=True)
    part = EmbeddedField(Part, null=True, blank=True)
    parts = ListField(Part)
    part_map = DictionaryField(Part)

    def __str__(self) -> str:
        return self.name or str(self.pk)


class Reading(models.Model):
    """A measurement on its way up: nobody reads it back."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="readings")
    value = models.FloatField()
    at = models.DateTimeField()
    place = EmbeddedField(Address, null=True)
