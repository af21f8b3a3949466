"""Which models of the test app sync, besides Inspection, which says so itself."""

from __future__ import annotations

from django.db.models import Q

from realm_sync import sync

from .models import Airfield, Kit, Reading, Sample, Team


@sync.register(Airfield)
class AirfieldSync(sync.ModelSync):
    read_only = True

    def readable_by(self, user):
        return True


@sync.register(Team)
class TeamSync(sync.ModelSync):
    fields = ["name"]
    read_only_fields = ["name"]

    def readable_by(self, user):
        return Q(pk__in=user.teams.all())


@sync.register(Sample)
class SampleSync(sync.ModelSync):
    def readable_by(self, user):
        return True

    def writable_by(self, user):
        return True


@sync.register(Kit)
class KitSync(sync.ModelSync):
    def readable_by(self, user):
        return True

    def writable_by(self, user):
        return True


@sync.register(Reading)
class ReadingSync(sync.ModelSync):
    asymmetric = True

    def writable_by(self, user):
        return Q(team__in=user.teams.all())
