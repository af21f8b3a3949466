"""Convergence and intent over every type (R7, R8): lists, sets, dictionaries, mixed, embedded objects, counters, links.

As test_convergence.py, with a class that has everything: client files, in Python and in pages, edit inside its values,
offline and online, over connections that break, delay and repeat; they are killed and restarted, and reset by an admin;
other writers assign whole values meanwhile. In the end all hold the same, field by field. A second property looks at
what people meant: no insert is lost, nothing that was removed comes back, nothing is there twice, and counters are the
sums of their increments.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.core.exceptions import ObjectDoesNotExist
from django.db import DataError, IntegrityError, OperationalError, transaction
from django.db.models.expressions import RawSQL
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.async_api import Browser

from realm_sync import capture
from realm_sync.core.edits import identity
from realm_sync.core.encoding import decode_property
from realm_sync.core.messages import Add, AnyEdit, Insert, Move, Remove
from realm_sync.models import ClientFile
from realm_sync.registry import registry
from tests.mutations import Mutations
from tests.network import Device
from tests.pages import PageDevice
from tests.servers import Server
from tests.test_convergence import done
from tests.testapp.models import Kit, Team
from tests.world import World, db

DEVICES = 3
STEPS = {
    "create": 6, "edit": 60, "delete": 3, "orm_create": 2, "orm_update": 14, "orm_increment": 4, "orm_members": 4,
    "orm_delete": 2, "connect": 7, "disconnect": 4, "restart": 2, "settle": 3, "wait": 3, "reset": 1,
}  # fmt: skip
"""How often each kind of step is taken, relative to the others."""
NOT_JSON = ("json",)
"""Properties that hold plain JSON: what JSON has not is refused."""


class Run:
    """One random history of the kits of one team, from none to the comparison at the end."""

    def __init__(self, world: World, directory: Path, seed: int, pages: list[PageDevice] | None = None) -> None:
        """With `pages`, devices of the browser SDK take part, next to one of Python."""
        self.random = random.Random(seed)
        self.schema, self.cls = registry.schema, registry.schema["Kit"]
        self.teams = [Team.objects.create(name=f"Team {uuid.uuid4()}") for _ in range(3)]
        for team in self.teams:
            team.members.add(world.nora)
        self.keys = [str(uuid.uuid4()) for _ in range(4)]
        self.mutations = Mutations(self.random, self.schema, self.pools())
        python = DEVICES if pages is None else 1
        self.devices: list[Any] = [Device(directory / f"{number}.realm", world.nora) for number in range(python)]
        self.devices += pages or []

    async def begin(self) -> None:
        kits = " OR ".join(f"_id == uuid({key})" for key in self.keys)
        for device in self.devices:
            await done(device.subscribe(("Kit", kits), ("Team", "TRUEPREDICATE")))

    def pools(self) -> dict[str, list[Any]]:
        teams = [str(team.pk) for team in self.teams]
        return {
            "colours": ["red", "blue", "red", "blue", "green"],
            "json": [None, True, 1.5, "a", "b", 7],
            "days": ["2026-01-01T00:00:00.000000Z", "1969-12-31T00:00:00.000000Z"],
            "Team": teams,
            "teams": [*teams, *teams, str(uuid.UUID(int=5))],
            "Airfield": ["EDDM", "ENSB", "XXXX"],
            "tags": ["a", "b", "c", "d", "e", "too long for twenty characters"],
        }

    @property
    def names(self) -> list[str]:
        return [name for name, prop in self.cls.properties.items() if name != "_id" and not prop.read_only]

    async def step(self) -> None:
        [kind] = self.random.choices(list(STEPS), list(STEPS.values()))
        await getattr(self, f"step_{kind}")()

    @property
    def device(self) -> Any:
        return self.random.choice(self.devices)

    @property
    def key(self) -> str:
        return self.random.choice(self.keys)

    def now(self) -> int:
        return int(time.time() * 1000) + self.random.randint(-3000, 3000)

    async def step_create(self) -> None:
        names = self.random.sample(self.names, 8)
        values = {name: self.mutations.value(name, self.cls.properties[name]) for name in names}
        await done(self.device.write("create", "Kit", self.key, self.now(), **values))

    async def step_edit(self) -> None:
        device, key = self.device, self.key
        image = (await done(device.objects("Kit"))).get(key)
        if image is None:
            return
        steps = self.mutations.steps(self.cls, key, image, self.random.choice(self.names))
        if isinstance(steps, dict):
            await done(device.write("update", "Kit", key, self.now(), **steps))
        else:
            await done(device.edit(self.now(), steps))

    async def step_delete(self) -> None:
        await done(self.device.write("delete", "Kit", self.key, self.now()))

    async def step_orm_create(self) -> None:
        await db(Kit.objects.bulk_create, [Kit(pk=self.key, name="server's")], ignore_conflicts=True)

    async def step_orm_update(self) -> None:
        with suppress(IntegrityError, Kit.DoesNotExist):  # deleted by others meanwhile, and created anew
            await db(self.orm_update, self.key, self.random.choice(self.names), self.random.random() < 0.5)

    def orm_update(self, key: str, name: str, save: bool) -> None:
        """Reads, changes and writes a property as an app does, while nobody else does."""
        prop, field = self.cls.properties[name], registry.get("Kit").fields_by_name.get(name)  # type: ignore[union-attr]
        with transaction.atomic(registry_database()):
            image = self.rows().get(key)
            if image is None or field is None:
                return
            wire = self.mutations.changed(self.cls, image, name)
            decoded = wire if name in NOT_JSON else decode_property(self.schema, name, prop, wire)
            value = field.to_python(decoded)
            if save:
                kit = Kit.objects.get(pk=key)
                setattr(kit, field.attname, value)
                kit.save()
            else:
                Kit.objects.filter(pk=key).update(**{field.attname: value})

    async def step_orm_increment(self) -> None:
        await db(increment, self.key, self.random.choice([1, 3, -2]))

    async def step_orm_members(self) -> None:
        await db(self.orm_members, self.key, self.random.sample(self.teams, self.random.randint(0, 2)))

    def orm_members(self, key: str, teams: list[Team]) -> None:
        if kit := Kit.objects.filter(pk=key).first():
            with suppress(IntegrityError, OperationalError):  # gone meanwhile; ended for a deadlock
                kit.teams.set(teams)

    async def step_orm_delete(self) -> None:
        with suppress(IntegrityError, OperationalError):  # an upload has linked it meanwhile
            await db(Kit.objects.filter(pk=self.key).delete)

    async def step_connect(self) -> None:
        frames = self.random.choice([None, None, self.random.randint(1, 25)])
        await done(self.device.connect(self.random, frames))

    async def step_disconnect(self) -> None:
        await self.device.disconnect()

    async def step_restart(self) -> None:
        await self.device.restart()

    async def step_settle(self) -> None:
        await self.device.settle()

    async def step_wait(self) -> None:
        await asyncio.sleep(self.random.random() * 0.02)

    async def step_reset(self) -> None:
        """An admin asks the file to start over: what is pending is recovered."""
        device = self.device
        ident = await done(device.ident())
        if ident is not None:
            await db(ClientFile.objects.filter(ident=ident).update, reset_reason="The test asks for it.")
            if isinstance(device, PageDevice):
                await device.settle()  # a page gives up after some resets in a row

    async def check(self) -> None:
        for device in (*self.devices, *self.devices):
            await device.settle()
        rows = await db(self.rows)
        for number, device in enumerate(self.devices):
            assert differences(await done(device.objects("Kit")), rows) == [], f"device {number}"

    def rows(self) -> dict[str, dict[str, Any]]:
        sync = registry.get("Kit")
        assert sync is not None
        image = RawSQL(capture.image_sql(sync, '"testapp_kit"').replace("%", "%%"), ())
        texts = Kit.objects.filter(pk__in=self.keys).values_list(image, flat=True)
        images = [msgspec.json.decode(text) for text in texts]
        return {it["_id"]: it for it in images}

    async def close(self) -> None:
        for device in self.devices:
            await device.disconnect()
            await done(device.close())


def registry_database() -> str:
    from realm_sync.conf import settings as ours

    return ours.DATABASE


def increment(key: str, by: int) -> None:
    if kit := Kit.objects.filter(pk=key).first():
        with suppress(ObjectDoesNotExist, DataError):  # gone meanwhile; at the end of 64 bits
            kit.visits.increment(by)


def differences(held: dict[str, Any], expected: dict[str, Any]) -> list[tuple[str, str, Any, Any]]:
    """(key, property, what the device holds, what the database has)"""
    return [
        (key, name, held.get(key, {}).get(name), expected.get(key, {}).get(name))
        for key in held.keys() | expected.keys()
        for name in held.get(key, {}) | expected.get(key, {})
        if identity(as_read(held.get(key, {}).get(name))) != identity(as_read(expected.get(key, {}).get(name)))
    ]


def as_read(wire: Any) -> Any:
    """PostgreSQL writes out every digit of a large double; JavaScript does not."""
    if isinstance(wire, dict):
        return {key: as_read(value) for key, value in wire.items()}
    if isinstance(wire, list):
        return [as_read(value) for value in wire]
    return float(wire) if isinstance(wire, int) and abs(wire) >= 2**63 else wire


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
    settings.REALM_SYNC = {**settings.REALM_SYNC, "DOWNLOAD_BYTES": 4000, "WINDOW": 3}


def test_all_clients_end_with_the_servers_data(world: World, small_chunks: None, tmp_path: Path) -> None:
    """At least 10 000 steps on each database."""
    taken = 0

    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
    @given(seed=st.integers(0, 2**32))
    def property(seed: int) -> None:
        nonlocal taken
        runner.run(converge(world, tmp_path / str(uuid.uuid4()), 520, seed))
        taken += 520

    with asyncio.Runner() as runner:
        property()
    assert taken >= 10_000


@pytest.mark.soak
def test_all_clients_end_with_the_servers_data_for_an_hour(world: World, small_chunks: None, tmp_path: Path) -> None:
    """Half an hour per database; REALM_SYNC_SOAK_SECONDS says otherwise."""
    end = time.monotonic() + float(os.environ.get("REALM_SYNC_SOAK_SECONDS", 1800))

    @settings(max_examples=10**6, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
    @given(steps=st.integers(40, 500), seed=st.integers(0, 2**32))
    def property(steps: int, seed: int) -> None:
        if time.monotonic() < end:
            runner.run(converge(world, tmp_path / str(uuid.uuid4()), steps, seed))

    with asyncio.Runner() as runner:
        property()


# --- The browser SDK among the devices ---


async def test_pages_end_with_the_servers_data(
    world: World, server: Callable[..., Server], small_chunks: None, chromium: Browser, tmp_path: Path
) -> None:
    """Two realms in pages, one in Python; pages are killed, their sockets break and repeat."""
    url = server().url
    for seed in (1, 2):
        await pages_converge(world, url, chromium, tmp_path, steps=100, seed=seed)


@pytest.mark.soak
async def test_pages_end_with_the_servers_data_for_half_an_hour(
    world: World, server: Callable[..., Server], small_chunks: None, chromium: Browser, tmp_path: Path
) -> None:
    """A quarter per database; REALM_SYNC_SOAK_SECONDS says otherwise."""
    end = time.monotonic() + float(os.environ.get("REALM_SYNC_SOAK_SECONDS", 900))
    url = server().url
    while time.monotonic() < end:
        await pages_converge(world, url, chromium, tmp_path, steps=250, seed=random.randrange(2**32))


async def pages_converge(world: World, url: str, chromium: Browser, directory: Path, steps: int, seed: int) -> None:
    print("seed", seed)
    context = await chromium.new_context()
    pages = [await PageDevice.open(context, url, f"device-{number}") for number in range(2)]
    await converge(world, directory / str(uuid.uuid4()), steps, seed, pages)
    assert not [complaint for page in pages for complaint in page.complaints]
    await context.close()


# --- Intent ---


class Intent:
    """One kit that is never deleted. Every element that is ever inserted is another one, so that it can be followed."""

    def __init__(self, run: Run) -> None:
        self.run, self.random = run, run.random
        self.key = run.keys[0]
        self.inserted: set[int] = set()
        self.removed: set[int] = set()
        self.total = 0

    def fresh(self) -> int:
        number = len(self.inserted) + 1
        self.inserted.add(number)
        return number

    def edits(self, numbers: list[int]) -> list[AnyEdit]:
        """What one transaction of a client file does to the list, and to the counter."""
        edits: list[AnyEdit] = []
        numbers = list(numbers)
        common: dict[str, Any] = {"class_name": "Kit", "id": self.key}
        for _ in range(self.random.choice([1, 1, 2, 3])):
            match self.random.random():
                case chance if chance < 0.5 or not numbers:
                    at, value = self.random.randint(0, len(numbers)), self.fresh()
                    numbers.insert(at, value)
                    edits.append(Insert(path=["numbers", at], value=value, **common))
                case chance if chance < 0.7:
                    at = self.random.randrange(len(numbers))
                    self.removed.add(numbers.pop(at))
                    edits.append(Remove(path=["numbers", at], **common))
                case chance if chance < 0.85:
                    at, to = self.random.randrange(len(numbers)), self.random.randrange(len(numbers))
                    numbers.insert(to, numbers.pop(at))
                    edits.append(Move(path=["numbers", at], to=to, **common))
                case _:
                    by = self.random.choice([1, 2, -1, 7])
                    self.total += by
                    edits.append(Add(path=["visits"], by=by, **common))
        return edits

    async def step(self) -> None:
        match self.random.random():
            case chance if chance < 0.6:
                device = self.run.device
                image = device.objects("Kit").get(self.key)
                if image is not None:
                    edits = self.edits(image["numbers"])
                    for name in ("numbers", "visits"):
                        own = [edit for edit in edits if edit.path[0] == name]
                        assert not own or device.edit(self.run.now(), own)
            case chance if chance < 0.7:
                await db(self.orm)
            case chance if chance < 0.75:
                self.total += 3
                await db(increment, self.key, 3)
            case _:
                kinds = ["connect", "connect", "disconnect", "restart", "settle", "wait", "reset"]
                await getattr(self.run, f"step_{self.random.choice(kinds)}")()

    def orm(self) -> None:
        """An app reads the list, changes it and saves it, without knowing of edits."""
        with transaction.atomic(registry_database()):
            kit = Kit.objects.select_for_update().get(pk=self.key)
            numbers = list(kit.numbers)
            if numbers and self.random.random() < 0.4:
                self.removed.add(numbers.pop(self.random.randrange(len(numbers))))
            else:
                numbers.insert(self.random.randint(0, len(numbers)), self.fresh())
            kit.numbers = numbers
            kit.save(update_fields=["numbers"])


async def keep_intent(world: World, directory: Path, steps: int, seed: int) -> None:
    run = Run(world, directory, seed)
    await run.begin()
    intent = Intent(run)
    await db(Kit.objects.create, pk=intent.key)
    try:
        for device in run.devices:
            await device.settle()
        for _ in range(steps):
            await intent.step()
        await run.check()
        found = (await db(run.rows))[intent.key]
        assert not any(device.told for device in run.devices)
        assert Counter(found["numbers"]) == Counter(intent.inserted - intent.removed)
        assert found["visits"] == intent.total
    finally:
        await run.close()


def test_no_insert_is_lost_nothing_removed_returns_and_sums_are_exact(
    world: World, small_chunks: None, tmp_path: Path
) -> None:
    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
    @given(steps=st.integers(40, 160), seed=st.integers(0, 2**32))
    def property(steps: int, seed: int) -> None:
        runner.run(keep_intent(world, tmp_path / str(uuid.uuid4()), steps, seed))

    with asyncio.Runner() as runner:
        property()


async def test_a_reset_sends_nothing_again_that_the_server_has(world: World, tmp_path: Path) -> None:
    """The connection breaks at every frame, once between the upload and its acknowledgement; then the file is reset."""
    met = 0
    for frames in range(4, 14):
        run = Run(world, tmp_path / str(frames), frames)
        key, device = run.keys[0], run.devices[0]
        await run.begin()
        await db(Kit.objects.create, pk=key)
        try:
            await device.settle()
            common: dict[str, Any] = {"class_name": "Kit", "id": key}
            assert device.edit(run.now(), [Add(path=["visits"], by=1, **common)])
            assert device.edit(run.now(), [Insert(path=["numbers", 0], value=7, **common)])
            await device.disconnect()
            device.connect(None, frames)
            file = ClientFile.objects.filter(ident=device.store.file().client_file.ident)  # type: ignore[union-attr]
            deadline = time.monotonic() + 5
            while device.link is not None and device.link.is_open and time.monotonic() < deadline:
                if device.store.pending_count() == 0:
                    break
                await asyncio.sleep(0.005)
            await device.disconnect()
            integrated = await db(lambda file=file: file.get().client_version)
            met += integrated == 2 and device.store.pending_count() > 0
            assert device.edit(run.now(), [Insert(path=["numbers", 1], value=8, **common)])
            await db(file.update, reset_reason="The test asks for it.")
            await device.settle()
            kit = await db(Kit.objects.get, pk=key)
            assert (kit.visits, kit.numbers) == (1, [7, 8]), frames
        finally:
            await run.close()
    assert met
