"""Deliveries/s: one writer, two hundred connected clients that all see what it writes."""

from __future__ import annotations

import asyncio
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
    clients, changes = setting.size(CLIENTS, 20), setting.size(1000, 200)
    rows = setting.fill(changes)
    with setting.server() as server:
        taken, frames, frame = asyncio.run(_deliver(server.port, setting.token(), rows, clients, setting.repetitions))
    with setting.server("benchmarks.bare:application") as bare:
        plain = asyncio.run(_echo(bare.port, frame, clients, setting.repetitions))
    yield Figure(
        f"live changes delivered to {clients} clients", setting.name, clients * changes / taken, "deliveries/s",
        "bare ASGI echo to all, a frame each", plain, 30_000,
    )  # fmt: skip
    yield Figure(
        f"live frames sent to {clients} clients", setting.name, frames / taken, "frames/s",
        "bare ASGI echo to all, a frame each", plain,
    )  # fmt: skip


async def _deliver(
    port: int, token: str, rows: list[Inspection], clients: int, repetitions: int
) -> tuple[float, int, str]:
    """Median seconds from the first write to the last delivery, frames sent meanwhile, and one of them."""
    async with receivers(port, ROUTE, clients, acknowledge=True) as sockets:
        for receiver in sockets:
            receiver.send(m.encode(m.Bind(token=token)))
            receiver.send(m.encode(query("Inspection: TRUEPREDICATE")))
            await receiver.until(b'"queryVersion":1,"batchState":"last"')
        await asyncio.sleep(0.5)
        results = []
        for _ in range(repetitions + 1):
            before = sum(receiver.frames for receiver in sockets)
            begin = time.perf_counter()
            end = f"the end {next(_turn)}"
            writing = asyncio.create_task(asyncio.to_thread(_write, rows, end))
            for receiver in sockets:
                await receiver.until(end.encode())
            results.append((time.perf_counter() - begin, sum(receiver.frames for receiver in sockets) - before))
            await writing
        frame = sockets[0].last.decode()
    taken, frames = sorted(results[1:])[len(results[1:]) // 2]
    return taken, frames, frame


def _write(rows: list[Inspection], end: str) -> None:
    """A transaction each, as fast as one writer can."""
    number = next(_turn)
    for row in rows[:-1]:
        Inspection.objects.filter(pk=row.pk).update(title=f"Windsock {number}")
    Inspection.objects.filter(pk=rows[-1].pk).update(title=end)


async def _echo(port: int, frame: str, clients: int, repetitions: int) -> float:
    """Frames of the same bytes per second: what one process can send at all."""
    rounds = 50
    rates = []
    async with receivers(port, "/echo", clients, acknowledge=False) as sockets:
        for _ in range(repetitions + 1):
            before = [receiver.frames for receiver in sockets]
            begin = time.perf_counter()
            for _ in range(rounds):
                sockets[0].send(frame)
            for receiver, frames in zip(sockets, before, strict=True):
                while receiver.frames < frames + rounds:
                    await receiver.more()
            rates.append(clients * rounds / (time.perf_counter() - begin))
    return sorted(rates[1:])[len(rates[1:]) // 2]
