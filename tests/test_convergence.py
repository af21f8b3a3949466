"""Convergence (R8): whatever arrives in whatever order, all fully synced clients hold exactly the server's data.

Client files edit, create and delete at random, offline and online, over connections that break, delay and repeat; they
are killed and restarted, change what they subscribe to, and the server's tables are written by others meanwhile. In
the end every device holds just what the database has in its view, and nothing is left pending. Intent is checked too:
what only one user wrote is what everybody has.
"""

from __future__ import annotations

import asyncio
import inspect
import random
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.db.models.expressions import RawSQL
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.async_api import Browser

from realm_sync import capture
from realm_sync.core.binding import bind
from realm_sync.core.predicate import compile_predicate
from realm_sync.core.query import parse
from realm_sync.registry import registry
from tests.network import Device
from tests.pages import PageDevice
from tests.servers import Server
from tests.testapp.models import Inspection, Team
from tests.world import World, db

DEVICES = 3
QUERIES = ("TRUEPREDICATE", "priority < 5", 'status == "planned" OR priority == 7', "priority IN {1, 2, 3, 8}")
FIELDS: dict[str, list[Any]] = {
    "title": ["", "Fence", "Ångström", "🛬 lights"],
    "notes": ["", "torn", '\u2028\x01"\\', "é" * 40],
    "priority": list(range(10)),
    "status": ["planned", "running", "done"],
    "hours": ["0", "1.5", "99.25"],
}
STEPS = {
    "create": 8, "update": 16, "delete": 5, "orm_create": 4, "orm_update": 6, "orm_bulk": 2, "orm_delete": 4,
    "connect": 8, "disconnect": 5, "restart": 3, "subscribe": 3, "settle": 8, "wait": 6,
}  # fmt: skip
"""How often each kind of step is taken, relative to the others."""


class Run:
    """One random history, from an empty team to the comparison at the end."""

    def __init__(self, world: World, directory: Path, seed: int, pages: list[PageDevice] | None = None) -> None:
        """With `pages`, devices of the browser SDK take part, next to one of Python."""
        self.random = random.Random(seed)
        self.team = Team.objects.create(name=f"Team {uuid.uuid4()}")
        self.team.members.add(world.nora)
        self.keys = [str(uuid.uuid4()) for _ in range(6)]
        python = DEVICES if pages is None else 1
        self.devices: list[Any] = [Device(directory / f"{number}.realm", world.nora) for number in range(python)]
        self.devices += pages or []
        self.queries = ["TRUEPREDICATE"] * len(self.devices)

    async def begin(self) -> None:
        for number in range(len(self.devices)):
            await self.subscribe(number, "TRUEPREDICATE")

    async def subscribe(self, number: int, query: str) -> None:
        self.queries[number] = query
        team = f"team == uuid({self.team.pk})"
        await done(
            self.devices[number].subscribe(
                ("Inspection", f"{team} AND ({query})"), ("Team", f"_id == uuid({self.team.pk})")
            )
        )

    async def step(self) -> None:
        [kind] = self.random.choices(list(STEPS), list(STEPS.values()))
        await getattr(self, f"step_{kind}")()

    @property
    def device(self) -> Any:
        return self.random.choice(self.devices)

    @property
    def key(self) -> str:
        return self.random.choice(self.keys)

    @property
    def values(self) -> dict[str, Any]:
        names = self.random.sample(list(FIELDS), self.random.randint(1, 3))
        return {name: self.random.choice(FIELDS[name]) for name in names}

    async def write(self, op: str, values: dict[str, Any]) -> None:
        skew = self.random.randint(-3000, 3000)
        await done(self.device.write(op, "Inspection", self.key, int(time.time() * 1000) + skew, **values))

    async def step_create(self) -> None:
        await self.write("create", {"team": str(self.team.pk), "airfield": "EDDM", **self.values})

    async def step_update(self) -> None:
        await self.write("update", self.values)

    async def step_delete(self) -> None:
        await self.write("delete", {})

    async def step_orm_create(self) -> None:
        row = Inspection(pk=self.key, team=self.team, airfield_id="EDDM", **self.values)
        await db(Inspection.objects.bulk_create, [row], ignore_conflicts=True)

    async def step_orm_update(self) -> None:
        await db(Inspection.objects.filter(pk=self.key).update, **self.values)

    async def step_orm_bulk(self) -> None:
        await db(Inspection.objects.filter(team=self.team).update, **self.values)

    async def step_orm_delete(self) -> None:
        await db(Inspection.objects.filter(pk=self.key).delete)

    async def step_connect(self) -> None:
        frames = self.random.choice([None, None, self.random.randint(1, 25)])
        await done(self.device.connect(self.random, frames))

    async def step_disconnect(self) -> None:
        await self.device.disconnect()

    async def step_restart(self) -> None:
        await self.device.restart()

    async def step_subscribe(self) -> None:
        await self.subscribe(self.random.randrange(len(self.devices)), self.random.choice(QUERIES))

    async def step_settle(self) -> None:
        """A device comes to hold what there is now; else nobody would ever have anything to lose."""
        await self.device.settle()

    async def step_wait(self) -> None:
        await asyncio.sleep(self.random.random() * 0.03)

    async def check(self) -> None:
        # Twice round: what the last device uploads must reach the first.
        for device in (*self.devices, *self.devices):
            await device.settle()
        rows = await db(self.rows)
        for number, device in enumerate(self.devices):
            schema = registry.schema
            query = bind(parse(self.queries[number]), schema["Inspection"], schema)
            in_view = compile_predicate(query.predicate, schema["Inspection"], schema)
            expected = {key: image for key, image in rows.items() if in_view(image)}
            held = await done(device.objects("Inspection"))
            assert _differences(held, expected) == [], f"device {number}: {self.queries[number]}"

    def rows(self) -> dict[str, dict[str, Any]]:
        sync = registry.get("Inspection")
        assert sync is not None
        image = RawSQL(capture.image_sql(sync, '"testapp_inspection"').replace("%", "%%"), ())
        texts = Inspection.objects.filter(team=self.team).values_list(image, flat=True)
        images = [msgspec.json.decode(text) for text in texts]
        return {it["_id"]: it for it in images}

    async def close(self) -> None:
        for device in self.devices:
            await device.disconnect()
            await done(device.close())


async def done(result: Any) -> Any:
    """What a device gives: at once in Python, in a while in a page."""
    return await result if inspect.isawaitable(result) else result


def _differences(held: dict[str, Any], expected: dict[str, Any]) -> list[tuple[str, str, Any, Any]]:
    """(key, property, what the device holds, what the database has)"""
    found = []
    for key in held.keys() | expected.keys():
        mine, theirs = held.get(key, {}), expected.get(key, {})
        found += [
            (key, name, mine.get(name), theirs.get(name))
            for name in mine | theirs
            if mine.get(name) != theirs.get(name)
        ]
    return found


async def converge(world: World, directory: Path, steps: int, seed: int, pages: list[PageDevice] | None = None) -> None:
    run = Run(world, directory, seed, pages)
    await run.begin()
    try:
        for _ in range(steps):
            await run.step()
        await run.check()
    finally:
        await run.close()


@pytest.fixture
def small_chunks(settings: Any) -> None:
    """Small windows and downloads, so that short histories meet parts, full windows and chunks."""
    settings.REALM_SYNC = {**settings.REALM_SYNC, "DOWNLOAD_BYTES": 900, "WINDOW": 3}


def test_all_clients_end_with_the_servers_data(world: World, small_chunks: None, tmp_path: Path) -> None:
    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
    @given(steps=st.integers(40, 120), seed=st.integers(0, 2**32))
    def property(steps: int, seed: int) -> None:
        runner.run(converge(world, tmp_path / str(uuid.uuid4()), steps, seed))

    with asyncio.Runner() as runner:
        property()


@pytest.mark.soak
def test_all_clients_end_with_the_servers_data_for_an_hour(world: World, small_chunks: None, tmp_path: Path) -> None:
    """Half an hour per database."""
    end = time.monotonic() + 1800

    @settings(max_examples=10**6, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
    @given(steps=st.integers(40, 400), seed=st.integers(0, 2**32))
    def property(steps: int, seed: int) -> None:
        if time.monotonic() < end:
            runner.run(converge(world, tmp_path / str(uuid.uuid4()), steps, seed))

    with asyncio.Runner() as runner:
        property()


async def test_what_only_one_user_wrote_is_what_everybody_has(world: World, small_chunks: None, tmp_path: Path) -> None:
    """Each device owns objects that nobody else touches; whatever the network does, none of its last words is lost."""
    run = Run(world, tmp_path, 1)
    await run.begin()
    rng = random.Random(7)
    last: dict[str, dict[str, Any]] = {}
    try:
        for device in run.devices:
            device.connect(rng, 40)
        await asyncio.sleep(0.3)
        for turn in range(150):
            number = rng.randrange(DEVICES)
            device = run.devices[number]
            key = str(uuid.UUID(int=rng.randrange(8) * DEVICES + number + 2**100))
            now = int(time.time() * 1000)
            values = {"title": f"turn {turn}", "priority": turn % 10}
            if key in last:
                assert device.write("update", "Inspection", key, now, **values)
            else:
                base = {"team": str(run.team.pk), "airfield": "EDDM"}
                if not device.write("create", "Inspection", key, now, **base, **values):
                    continue
            last[key] = values
            match rng.randrange(6):
                case 0:
                    await device.disconnect()
                case 1:
                    await device.restart()
                case 2 | 3:
                    device.connect(rng, rng.randrange(3, 30))
                case _:
                    await asyncio.sleep(rng.random() * 0.01)
        await run.check()
        assert not any(device.told for device in run.devices)
        found = run.devices[0].objects("Inspection")
        assert {key: {name: found[key][name] for name in values} for key, values in last.items()} == last
    finally:
        await run.close()


# --- The browser SDK among the devices ---


async def test_pages_end_with_the_servers_data(
    world: World, server: Callable[..., Server], small_chunks: None, chromium: Browser, tmp_path: Path
) -> None:
    """Two realms in pages, one in Python; pages are killed, their sockets break and repeat."""
    await pages_converge(world, server().url, chromium, tmp_path, histories=4, steps=80)


@pytest.mark.soak
async def test_pages_end_with_the_servers_data_for_half_an_hour(
    world: World, server: Callable[..., Server], small_chunks: None, chromium: Browser, tmp_path: Path
) -> None:
    end = time.monotonic() + 900
    while time.monotonic() < end:
        await pages_converge(world, server().url, chromium, tmp_path, histories=20, steps=150)


async def pages_converge(
    world: World, url: str, chromium: Browser, directory: Path, histories: int, steps: int
) -> None:
    for history in range(histories):
        seed = random.Random(f"{history} {steps} {time.time() if steps > 100 else ''}").randrange(2**32)
        print("seed", seed)
        context = await chromium.new_context()
        pages = [await PageDevice.open(context, url, f"device-{number}") for number in range(2)]
        await converge(world, directory / str(uuid.uuid4()), steps, seed, pages)
        assert not [complaint for page in pages for complaint in page.complaints]
        await context.close()
