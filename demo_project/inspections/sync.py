"""How models that know nothing of sync do sync: imported when Django starts, as admin.py is."""

from __future__ import annotations

from typing import Any

from realm_sync import sync

from .models import Airfield


@sync.register(Airfield)
class AirfieldSync(sync.ModelSync):
    read_only = True

    def readable_by(self, user: Any) -> bool:
        return True
