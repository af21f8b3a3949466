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

from demo_project.inspections.models import Airfield, ChecklistItem, Inspection, Inspector, Team

PASSWORD = "demo"
USERS = {"nora": "North", "noah": "North", "sol": "South", "admin": None}
"""User name → team. Who has no team is a superuser."""

AIRFIELDS = {
    "North": "ENSB ENJA ENSS ENKR ENAT ENTC ENBO BIAR BIIS EKVG EGPU EGPR ESNQ EFIV BGBW BGGH",
    "South": "SAWH SAWG SAVE SCGZ SCCI SCBA SCIP EGYP SFAL FHAW YFLI YLHI NZQN NZMF NZCI NZIR",
}
WORK = [
    (
        "Runway surface after frost",
        "Cracks along the centre line between the second and third exit; measure depth.",
        "runway winter",
        "Close the runway by NOTAM|Walk the centre line with the gauge|Depth of each crack deeper than 2 cm|Open the runway again",
    ),
    (
        "Windsock and mast",
        "The sock is bleached and hangs on two of four rings. Spare one is in the fire hut.",
        "equipment",
        "Spare sock from the fire hut|Four new rings|Grease the bearing|Lamp at the top burns",
    ),
    (
        "Threshold and edge lights",
        "Circuit 2 drops out in rain. Check the transformer pit for water.",
        "lights electric",
        "Pump out the transformer pit|Insulation of circuit 2|Replace cracked lenses|Count lamps at dusk",
    ),
    (
        "PAPI alignment",
        "Pilots report one red too many on short final. Bring the levelling kit.",
        "lights flight-check",
        "Level all four units|Clean the filters|Ask a pilot for a check approach",
    ),
    (
        "Fuel storage and bunding",
        "Drain valve was found open last year. Photograph the seal number.",
        "fuel safety",
        "Drain valve closed and sealed|Photograph the seal number|Water in the sump|Spill kit complete|Dip the tank",
    ),
    (
        "Rescue and fire cover",
        "Foam expires this month; test the pump under load.",
        "safety",
        "Date on the foam drums|Pump under load for ten minutes|Two sets of breathing gear|Siren heard in the village",
    ),
    (
        "Perimeter fence",
        "Sheep on the strip twice. Walk the north side down to the river.",
        "safety wildlife",
        "North side down to the river|Gate locks oiled|Warning signs readable|Ask whose sheep they are",
    ),
    (
        "Wildlife log",
        "Geese are back. Compare with the counts of the last two seasons.",
        "wildlife paperwork",
        "Count geese at dawn|Compare with last two seasons|Batteries of the scare cannon",
    ),
    (
        "Apron markings",
        "Stand 3 was repainted without the lead-in line.",
        "apron",
        "Paint and stencils ordered|Lead-in line of stand 3|Tug driver signs off",
    ),
    (
        "Radio and recorder",
        "Recorder clock runs four minutes fast.",
        "electric",
        "Set the recorder's clock|Test on 121.5|Copy last month's tapes",
    ),
    (
        "Snow clearing plan",
        "The plan names a plough that was sold. Agree on a new one with the village.",
        "winter paperwork",
        "Visit the new plough|Agree on times with the village|Print two copies for the hut",
    ),
    (
        "Obstacle survey",
        "New mast on the ridge, not on the chart. Take its top with the total station.",
        "safety flight-check",
        "Set up on the survey point|Top of the new mast|Light on the mast|Send the figures to the chart office",
    ),
    (
        "Emergency generator",
        "Starts, then dies after ten minutes. Bring a fuel filter.",
        "electric",
        "New fuel filter|Run it for an hour|Switch-over under 15 seconds|Top up the day tank",
    ),
    (
        "Passenger hut",
        "Heating, extinguishers, exit signs. The key is with the postmistress.",
        "building",
        "Key from the postmistress|Heating holds 18 °C|Extinguishers in date|Exit signs lit",
    ),
    (
        "Taxiway drainage",
        "Water stands 5 cm deep at the holding point after rain.",
        "runway",
        "Rod the drain at the holding point|Clear the ditch|Come back after rain",
    ),
    (
        "Weather station",
        "Dew point is off by 3 °C against the handheld.",
        "equipment",
        "Clean the screen|Compare with the handheld for an hour|Order a new probe",
    ),
    (
        "Ground handling equipment",
        "Brakes of the tow bar trolley; hoses of the air starter.",
        "apron equipment",
        "Brakes of the tow bar trolley|Hoses of the air starter|Chocks: eight of them",
    ),
    (
        "Aerodrome manual",
        "Chapter 4 still describes the old turning pad.",
        "paperwork",
        "New drawing of the turning pad|Chapter 4 rewritten|Signed by the operator",
    ),
    (
        "Landing fees and visitors' book",
        "Three landings in the book that nobody was billed for.",
        "paperwork",
        "Three landings to bill|A new book for the hut",
    ),
    (
        "Helicopter pad",
        "Net is loose at two corners.",
        "safety",
        "Re-tension the net|Edge markers|Friction after rain",
    ),
]
"""Title, notes, tags, and what is on the checklist."""


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
            for (title, notes, tags, items), code, inspector in work:
                status = Inspection.Status.OPEN if inspector is None else chance.choice(Inspection.Status.values)
                texts = items.split("|")
                finished = {Inspection.Status.OPEN: 0, Inspection.Status.DONE: len(texts)}.get(status, len(texts) // 2)
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
                        checklist=[ChecklistItem(text=text, done=at < finished) for at, text in enumerate(texts)],
                        tags=set(tags.split()),
                        visits=(finished + 1) // 2,
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
