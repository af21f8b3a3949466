"""Changes: one row of the history, what it means to a view, and how many of them fold into one.

Decides put, patch or erase (DESIGN §7) from images alone; knows neither the database that built them nor the socket
they leave by. Images stay JSON text from the database to the socket (R12): a change is parsed once, into raw pieces,
and only the properties that queries look at are ever decoded.
"""

from __future__ import annotations

import msgspec


class Change(msgspec.Struct, frozen=True):
    """One row of the history; see models.Change for the columns."""

    version: int
    id: int
    class_name: str
    object_id: str
    kind: str
    before: str | None
    after: str | None
    timestamp: int
    origin: int
