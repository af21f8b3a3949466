"""Deliveries/s: one writer, two hundred connected clients that all see what it writes."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator
from itertools import count

from realm_sync.core import messages as m
from tests.testapp.models import Inspection

from .clients import ROUTE, query, receivers
from .setting import Figure, Setting

CLIENTS = 200
_turn = count()


def run(setting: Setting) -> Iterator[Figure]:
    clients, changes, steps = setting.size(CLIENTS, 20), setting.size(1000, 200), setting.size(100, 50)
    rows = setting.fill(changes)
    with setting.server() as server:
        token = setting.token()
        at_once, frame = asyncio.run(_deliver(server.port, token, [rows], clients, setting.repetitions))
        singly, _ = asyncio.run(_deliver(server.port, token, [[row] for row in rows[:steps]], clients, 1))
    with setting.server("benchmarks.bare:application") as bare:
        plain_at_once = asyncio.run(_echo(bare.port, frame, clients, 20, 20))
        plain_singly = asyncio.run(_echo(bare.port, frame, clients, 1, steps))
    for what, rate, baseline, target in (
        ("written without a pause", changes / at_once, plain_at_once, 30_000),
        ("each written when the one before has reached all", steps / singly, plain_singly, None),
    ):
        yield Figure(
            f"live changes to {clients} clients, {what}", setting.name, clients * rate, "deliveries/s",
            "bare ASGI echo to all, likewise", clients * baseline, target,
        )  # fmt: skip


async def _deliver(
    port: int, token: str, steps: list[list[Inspection]], clients: int, repetitions: int
) -> tuple[float, str]:
    """Median seconds from the first write to the last delivery, and one frame. Each step is awaited by all clients."""
    async with receivers(port, ROUTE, clients, acknowledge=True) as sockets:
        for receiver in sockets:
            receiver.send(m.encode(m.Bind(token=token)))
            receiver.send(m.encode(query("Inspection: TRUEPREDICATE")))
            await receiver.until(b'"queryVersion":1,"batchState":"last"')
        await asyncio.sleep(0.5)
        timings = []
        for _ in range(repetitions + 1):
            begin = time.perf_counter()
            for rows in steps:
                end = f"the end {next(_turn)}."
                writing = asyncio.create_task(asyncio.to_thread(_write, rows, end))
                for receiver in sockets:
                    await receiver.until(end.encode())
                await writing
            timings.append(time.perf_counter() - begin)
        return statistics.median(timings[1:]), sockets[0].last.decode()


def _write(rows: list[Inspection], end: str) -> None:
    """A transaction each, as fast as one writer can."""
    number = next(_turn)
    for row in rows[:-1]:
        Inspection.objects.filter(pk=row.pk).update(title=f"Windsock {number}")
    Inspection.objects.filter(pk=rows[-1].pk).update(title=end)


async def _echo(port: int, frame: str, clients: int, at_once: int, rounds: int) -> float:
    """Frames of the same bytes to each client per second; `at_once` are sent before they are awaited."""
    async with receivers(port, "/echo", clients, acknowledge=False) as sockets:
        wanted = 0
        for number in range(rounds + 1):
            if number == 1:
                begin = time.perf_counter()
            for _ in range(at_once):
                sockets[0].send(frame)
            wanted += at_once
            for receiver in sockets:
                while receiver.frames < wanted:
                    await receiver.more()
        return rounds * at_once / (time.perf_counter() - begin)
