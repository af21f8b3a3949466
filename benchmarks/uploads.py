"""Uploads: field writes/s of what one client wrote offline, until the server has acknowledged all of it."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator
from itertools import count

from realm_sync.core import messages as m
from tests.testapp.models import Inspection

from .clients import raw_client
from .setting import Figure, Setting, median_seconds

FIELDS = ("title", "status", "priority", "notes")
PER_MESSAGE = 500
_turn = count()


def run(setting: Setting) -> Iterator[Figure]:
    objects = setting.size(2500, 500)
    rows = setting.fill(objects)
    writes = objects * len(FIELDS)
    plain = writes / median_seconds(lambda: _bulk_update(rows), setting.repetitions)
    keys = [str(row.pk) for row in rows]
    with setting.server() as server:
        for number, per_changeset, chosen, what in (
            (objects, 1, keys, "each of another object"),
            (objects // 100, 100, keys, "each of 100 objects"),
            (objects // 10, 1, keys[:1] * (objects // 10), "all of one object"),
        ):
            token, repetitions = setting.token(), setting.repetitions
            taken = asyncio.run(_upload(server.port, token, chosen, per_changeset, repetitions))
            yield Figure(
                f"uploads, {number:,} changesets, {what}", setting.name, len(chosen) * len(FIELDS) / taken,
                "field writes/s", "`bulk_update`, with triggers", plain, 10_000 if len(chosen) == objects else None,
            )  # fmt: skip


def _bulk_update(rows: list[Inspection]) -> None:
    number = next(_turn)
    for row in rows:
        for name, value in _values(number).items():
            setattr(row, name, value)
    Inspection.objects.bulk_update(rows, FIELDS, batch_size=PER_MESSAGE)


async def _upload(port: int, token: str, keys: list[str], per_changeset: int, repetitions: int) -> float:
    """The median seconds from the first upload to the download that acknowledges the last."""
    timings = []
    async with raw_client(port, token) as client:
        await client.subscribe("Inspection: TRUEPREDICATE")
        version = 0
        for _ in range(repetitions + 1):
            values, changesets = _values(next(_turn)), []
            for start in range(0, len(keys), per_changeset):
                version += 1
                steps = [
                    m.Update(class_name="Inspection", id=key, values=values)
                    for key in keys[start : start + per_changeset]
                ]
                changesets.append(
                    m.Changeset(
                        client_version=version,
                        base_version=client.server_version,
                        # As of one who was offline: a change a second.
                        timestamp=int(time.time() - len(keys) + start) * 1000,
                        instructions=steps,  # type: ignore[arg-type]
                    )
                )
            per_message = max(1, PER_MESSAGE // per_changeset)
            begin = time.perf_counter()
            for start in range(0, len(changesets), per_message):
                await client.upload(changesets[start : start + per_message])
            await client.until_integrated(version)
            timings.append(time.perf_counter() - begin)
    return statistics.median(timings[1:])


def _values(number: int) -> dict[str, object]:
    return {
        "title": f"Runway lights, visit {number}",
        "status": ("planned", "running", "done")[number % 3],
        "priority": number,
        "notes": f"Two lamps are out; seen {number} times.",
    }
