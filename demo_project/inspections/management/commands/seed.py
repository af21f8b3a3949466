"""`manage.py seed`: the world's airfields, two teams with their inspectors, and some work for them.

Adds what is missing and leaves everything else as it is, so it may run before every start.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from itertools import cycle
from random import Random
from typing import Any

import airportsdata
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand
from django.db import transaction

from demo_project.inspections.models import Airfield, Inspection, Inspector, Team

PASSWORD = "demo"
USERS = {"nora": "North", "noah": "North", "sol": "South", "admin": None}
"""User name → team. Who has no team is a superuser."""

AIRFIELDS = {
    "North": "ENSB ENJA ENSS ENKR ENAT ENTC ENBO BIAR BIIS EKVG EGPU EGPR ESNQ EFIV BGBW BGGH",
    "South": "SAWH SAWG SAVE SCGZ SCCI SCBA SCIP EGYP SFAL FHAW YFLI YLHI NZQN NZMF NZCI NZIR",
}
WORK = [
    ("Runway surface after frost", "Cracks along the centre line between the second and third exit; measure depth."),
    ("Windsock and mast", "The sock is bleached and hangs on two of four rings. Spare one is in the fire hut."),
    ("Threshold and edge lights", "Circuit 2 drops out in rain. Check the transformer pit for water."),
    ("PAPI alignment", "Pilots report one red too many on short final. Bring the levelling kit."),
    ("Fuel storage and bunding", "Drain valve was found open last year. Photograph the seal number."),
    ("Rescue and fire cover", "Foam expires this month; test the pump under load."),
    ("Perimeter fence", "Sheep on the strip twice. Walk the north side down to the river."),
    ("Wildlife log", "Geese are back. Compare with the counts of the last two seasons."),
    ("Apron markings", "Stand 3 was repainted without the lead-in line."),
    ("Radio and recorder", "Recorder clock runs four minutes fast."),
    ("Snow clearing plan", "The plan names a plough that was sold. Agree on a new one with the village."),
    ("Obstacle survey", "New mast on the ridge, not on the chart. Take its top with the total station."),
    ("Emergency generator", "Starts, then dies after ten minutes. Bring a fuel filter."),
    ("Passenger hut", "Heating, extinguishers, exit signs. The key is with the postmistress."),
    ("Taxiway drainage", "Water stands 5 cm deep at the holding point after rain."),
    ("Weather station", "Dew point is off by 3 °C against the handheld."),
    ("Ground handling equipment", "Brakes of the tow bar trolley; hoses of the air starter."),
    ("Aerodrome manual", "Chapter 4 still describes the old turning pad."),
    ("Landing fees and visitors' book", "Three landings in the book that nobody was billed for."),
    ("Helicopter pad", "Net is loose at two corners."),
]


class Command(BaseCommand):
    help = "Fills the demo: airfields, teams, users, inspections. May run any number of times."

    def handle(self, *args: Any, **options: Any) -> None:
        self.seed_airfields()
        self.seed_users()
        self.seed_inspections()

    def seed_airfields(self) -> None:
        known = set(Airfield.objects.values_list("icao", flat=True))
        missing = [row for code, row in airportsdata.load("ICAO").items() if code not in known]
        size = 2000
        for start in range(0, len(missing), size):
            batch = missing[start : start + size]
            Airfield.objects.bulk_create(map(airfield, batch))
            self.stdout.write(f"Airfields: {len(known) + start + len(batch)} of {len(known) + len(missing)}")

    def seed_users(self) -> None:
        for username, team_name in USERS.items():
            self.seed_user(username, team_name)

    @transaction.atomic
    def seed_user(self, username: str, team_name: str | None) -> None:
        staff = team_name is None
        user, created = get_user_model().objects.get_or_create(
            username=username, defaults={"is_staff": staff, "is_superuser": staff}
        )
        if not created:
            return
        user.set_password(PASSWORD)
        user.save()
        if team_name:
            team, _ = Team.objects.get_or_create(name=team_name)
            Inspector.objects.create(user=user, team=team)
        self.stdout.write(f"User: {username}" + (f", team {team_name}" if team_name else ", superuser"))

    def seed_inspections(self) -> None:
        if Inspection.objects.exists():
            return
        chance = Random(2025)  # the same work on every machine, relative to the day it is made
        inspections = []
        for name, line in AIRFIELDS.items():
            codes = line.split()
            team = Team.objects.get(name=name)
            inspectors = cycle([None, *(inspector.user for inspector in team.inspectors.select_related("user"))])
            places = Airfield.objects.in_bulk(codes)
            work = zip(chance.sample(WORK, len(WORK)), cycle(codes), inspectors, strict=False)
            for (title, notes), code, inspector in work:
                status = Inspection.Status.OPEN if inspector is None else chance.choice(Inspection.Status.values)
                inspections.append(
                    Inspection(
                        airfield=places[code],
                        team=team,
                        inspector=inspector,
                        title=title,
                        notes=notes,
                        status=status,
                        priority=chance.randint(1, 5),
                        due=date.today() + timedelta(days=chance.randint(-10, 50)),
                        hours=0 if status == Inspection.Status.OPEN else Decimal(chance.randint(2, 48)) / 4,
                    )
                )
        Inspection.objects.bulk_create(inspections)
        self.stdout.write(f"Inspections: {len(inspections)}")


def airfield(row: dict[str, Any]) -> Airfield:
    return Airfield(
        icao=row["icao"],
        iata=row["iata"],
        name=row["name"],
        city=row["city"],
        subdivision=row["subd"],
        country=row["country"],
        elevation=row["elevation"],
        latitude=row["lat"],
        longitude=row["lon"],
        time_zone=row["tz"],
    )
