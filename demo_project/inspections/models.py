"""Airfields, the teams that inspect them, and their inspections.

Two ways to make a model sync are shown: `Team` and `Inspection` are synced models; `Airfield` is a plain model that
sync.py registers. `Inspector` does not sync: it only tells the access rules which team a user belongs to.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models import Q

from realm_sync import sync
from realm_sync.fields import CounterField, EmbeddedObject, ListField, SetField


def team_of(user: Any) -> UUID | None:
    """The key of the user's team; None for whoever is in no team."""
    return Inspector.objects.filter(user_id=user.pk).values_list("team_id", flat=True).first()


class Airfield(models.Model):
    """One of the world's airfields. Everyone may read it; nobody changes it from a client."""

    icao = models.CharField("ICAO code", max_length=4, primary_key=True)
    iata = models.CharField("IATA code", max_length=3, blank=True)
    name = models.CharField(max_length=100)
    city = models.CharField(max_length=100, blank=True)
    subdivision = models.CharField(max_length=100, blank=True)
    country = models.CharField("country code", max_length=2, db_index=True)
    elevation = models.FloatField("elevation (ft)")
    latitude = models.FloatField()
    longitude = models.FloatField()
    time_zone = models.CharField(max_length=50)

    class Meta:
        ordering = ["icao"]

    def __str__(self) -> str:
        return f"{self.icao} {self.name}"


class Team(sync.SyncedModel):
    name = models.CharField(max_length=50, unique=True)

    class Meta:
        ordering = ["name"]

    class Sync:
        read_only = True

        def readable_by(self, user: Any) -> Q | bool:
            team = team_of(user)
            return user.is_superuser or (Q(pk=team) if team else False)

    def __str__(self) -> str:
        return self.name


class Inspector(models.Model):
    """A user's place in a team: what they may see and write follows from it."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="inspector")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="inspectors")

    class Meta:
        ordering = ["user__username"]

    def __str__(self) -> str:
        return f"{self.user.get_username()} of team {self.team}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        with transaction.atomic():
            super().save(*args, **kwargs)
            sync.access_changed(self.user)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        with transaction.atomic():
            sync.access_changed(self.user)
            return super().delete(*args, **kwargs)


class ChecklistItem(EmbeddedObject):
    """One thing to do on an inspection. It has no row of its own: it lives in its inspection's checklist."""

    text = models.CharField(max_length=80)
    done = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.text


class Inspection(sync.SyncedModel):
    """Something to look at on an airfield: seen and written by the team it belongs to."""

    class Status(models.TextChoices):
        OPEN = "open", "open"
        IN_PROGRESS = "in progress", "in progress"
        DONE = "done", "done"

    airfield = models.ForeignKey(Airfield, on_delete=models.PROTECT, related_name="inspections")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="inspections")
    inspector = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    title = models.CharField(max_length=200)
    status = models.CharField(max_length=11, choices=Status, default=Status.OPEN)
    priority = models.IntegerField(
        default=3, validators=[MinValueValidator(1), MaxValueValidator(5)], help_text="1 (can wait) to 5 (at once)"
    )
    due = models.DateField()
    hours = models.DecimalField("hours worked", max_digits=6, decimal_places=2, default=0)
    notes = models.TextField(blank=True)
    checklist = ListField(ChecklistItem)
    tags = SetField(models.CharField(max_length=20))
    visits = CounterField(help_text="How often somebody was there")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["due", "-priority"]

    class Sync:
        def readable_by(self, user: Any) -> Q | bool:
            team = team_of(user)
            return user.is_superuser or (Q(team=team) if team else False)

        def writable_by(self, user: Any) -> Q | bool:
            return self.readable_by(user)

    def __str__(self) -> str:
        return f"{self.title}, {self.airfield_id}"
