"""The small world most tests live in: two teams, one inspector each, three airfields. `world` is a fixture in conftest."""

from __future__ import annotations

import asyncio
from typing import Any

from django.contrib.auth import get_user_model

from tests.testapp.models import Airfield, Inspection, Team

AIRFIELDS = (("EDDM", "Munich"), ("ENSB", "Longyear"), ("FAPE", "Gqeberha"))


async def db(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Runs database code in a thread, as another writer would."""
    return await asyncio.to_thread(function, *args, **kwargs)


class World:
    def __init__(self) -> None:
        users = get_user_model().objects
        self.nora, self.sol = (users.create_user(name, f"{name}@example.org", "pw") for name in ("nora", "sol"))
        self.north, self.south = Team.objects.create(name="North"), Team.objects.create(name="South")
        self.north.members.add(self.nora)
        self.south.members.add(self.sol)
        Airfield.objects.bulk_create(Airfield(icao=icao, name=name, country=icao[:2]) for icao, name in AIRFIELDS)

    def inspection(self, team: Team | None = None, **values: Any) -> Inspection:
        values = {"title": "Runway lights", "airfield_id": "EDDM"} | values
        return Inspection.objects.create(team=team or self.north, **values)

    def values(self, **values: Any) -> dict[str, Any]:
        """Wire values of an inspection of team North."""
        return {"title": "Windsock", "airfield": "ENSB", "team": str(self.north.pk), **values}
