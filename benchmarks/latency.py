"""Latency: from a client's write to another client's socket, and from an ORM write to a client's socket."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator

from realm_sync.core import messages as m
from tests.testapp.models import Inspection

from .clients import raw_client, receivers
from .setting import Figure, Setting

PAUSE = 0.005
"""Between two samples, so that each starts at rest."""


def run(setting: Setting) -> Iterator[Figure]:
    samples = setting.size(200, 50)
    row = setting.fill(100)[0]
    with setting.server("benchmarks.bare:application") as bare:
        plain = asyncio.run(_echo(bare.port, samples))
    with setting.server() as server:
        uploaded, saved = asyncio.run(_synced(server.port, setting.token(), row, samples))
    for name, timings in (("write", uploaded), ("`QuerySet.update()`", saved)):
        for number, label in ((49, "p50"), (94, "p95")):
            yield Figure(
                f"{name} → other client, {label}", setting.name, _percentile(timings, number), "ms",
                f"bare ASGI echo, {label}", _percentile(plain, number),
                10 if number == 49 else None, at_most=True,
            )  # fmt: skip


def _percentile(timings: list[float], number: int) -> float:
    return statistics.quantiles(timings, n=100)[number] * 1000


async def _synced(port: int, token: str, row: Inspection, samples: int) -> tuple[list[float], list[float]]:
    uploaded, saved = [], []
    async with raw_client(port, token) as writer, raw_client(port, token) as reader:
        for client in (writer, reader):
            await client.subscribe("Inspection: TRUEPREDICATE")
        for number in range(1, samples + 1):
            await asyncio.sleep(PAUSE)
            step = m.Update(class_name="Inspection", id=str(row.pk), values={"title": f"Windsock {number}."})
            changeset = m.Changeset(
                client_version=number,
                base_version=writer.server_version,
                timestamp=int(time.time() * 1000),
                instructions=[step],
            )
            begin = time.perf_counter()
            await writer.upload([changeset])
            await reader.until(f"Windsock {number}.")
            uploaded.append(time.perf_counter() - begin)
            await writer.until_integrated(number)
        rows = Inspection.objects.filter(pk=row.pk)
        for number in range(samples):
            await asyncio.sleep(PAUSE)
            begin = time.perf_counter()
            writing = asyncio.create_task(asyncio.to_thread(rows.update, title=f"Beacon {number}."))
            await reader.until(f"Beacon {number}.")
            saved.append(time.perf_counter() - begin)
            await asyncio.gather(writing, writer.until(f"Beacon {number}."))
    return uploaded, saved


async def _echo(port: int, samples: int) -> list[float]:
    """The same way without a database: one socket writes, the other gets it."""
    timings = []
    async with receivers(port, "/echo", 2, acknowledge=False) as (writer, reader):
        for number in range(samples):
            await asyncio.sleep(PAUSE)
            begin = time.perf_counter()
            writer.send(f'{{"title":"Windsock {number}.","notes":"{"-" * 200}"}}')
            await reader.until(f"Windsock {number}.".encode())
            timings.append(time.perf_counter() - begin)
    return timings
