"""Convergence of all kinds of clients on real sessions (R8): official ones, the Python one, and the models' own code.

As test_device_convergence.py, but with everything between the socket and the database as it is: several threads, the feed,
connections that deliver late and break. The machine and the Python clients are those of test_types_convergence.py.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from realm_sync.core.device_sync.assertions import Assertions
from realm_sync.core.device_sync.instructions import Payload
from realm_sync.models import ClientFile
from tests import phone, test_types_convergence
from tests.official_client.client import RealmFile
from tests.official_client.edits import Edits
from tests.official_client.store import Store
from tests.test_device_convergence import DEVICE_EPOCH, differences
from tests.world import World, db


class BreakingPhone(phone.Phone):
    """Its frames are late, and its connection breaks after so many of them."""

    def __init__(self, *args: Any, chaos: random.Random | None, frames: int | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._chaos, self._left = chaos, frames

    async def _passes(self) -> bool:
        if self._left is not None:
            self._left -= 1
        if self._chaos is not None:
            await asyncio.sleep(self._chaos.random() * 0.004)
        return self._left is None or self._left >= 0

    @property
    def is_broken(self) -> bool:
        return self._left is not None and self._left < 0

    async def _write(self, frame: bytes) -> None:
        if await self._passes():
            await super()._write(frame)

    async def _take(self, frame: bytes) -> None:
        if await self._passes():
            await super()._take(frame)


class Official:
    """A model of the official client with what test_types_convergence asks of a device."""

    def __init__(self, user: Any, edits: Edits, clock: Callable[[], int]) -> None:
        self.user, self.edits, self.file = user, edits, RealmFile(clock)
        self.phone: BreakingPhone | None = None
        self.token: str | None = None

    async def connect(self, chaos: random.Random | None = None, frames: int | None = None) -> None:
        if self.phone is not None and self.phone.is_broken:
            await self.disconnect()
        if self.phone is None:
            if self.token is None:
                self.token = await db(phone.token_of, self.user)
            waits = not self.file.ident or chaos is None or chaos.random() < 0.5
            self.phone = BreakingPhone(
                self.user, self.file, token=self.token, uploads_wait=waits, chaos=chaos, frames=frames
            )
            await self.phone.__aenter__()

    async def disconnect(self) -> None:
        if self.phone is not None:
            broken, self.phone = self.phone, None
            await broken.drop()
            if broken._failure is not None:
                raise broken._failure

    async def restart(self) -> None:
        await self.disconnect()
        self.file.restart()

    async def settle(self) -> None:
        await self.disconnect()
        await self.connect()
        assert self.phone is not None
        await self.phone.settle()
        await self.phone.downloaded()

    def objects(self, class_name: str) -> dict[str, Any]:
        """None that the Python clients' edits would fit."""
        return {}

    def say(self) -> None:
        if self.phone is not None:
            self.phone.talk()

    def subscribe(self, *queries: tuple[str, str]) -> None:
        self.file.subscribe(dict(queries))
        self.say()

    def write(self, op: str, class_name: str, key: str, timestamp: int, **_: Any) -> None:
        """What values are written the phone decides by itself."""
        held, payload = self.file.store.objects.get(class_name), Payload("uuid", uuid.UUID(key).bytes)
        if held is None or (payload in held) == (op == "create"):
            return
        with self.file.write(timestamp - DEVICE_EPOCH) as writes:
            if op == "create":
                self.edits.create(writes, class_name, payload)
            elif op == "delete":
                writes.delete(class_name, payload)
            else:
                for _ in range(self.edits.random.choice([1, 1, 2, 4])):
                    self.edits.edit(writes, class_name, payload)
        self.say()

    async def close(self) -> None:
        await self.disconnect()


class MixedRun(test_types_convergence.Run):
    """Kits of one team, written by official clients, by one of Python, and by the models' own code."""

    def __init__(self, world: World, directory: Path, seed: int) -> None:
        super().__init__(world, directory, seed)
        links = {
            "Team": [Payload("uuid", team.pk.bytes) for team in self.teams],
            "Airfield": [Payload("string", key) for key in ("EDDM", "ENSB", "XXXX")],
        }
        edits = Edits(self.random, {"json": [None, "a", True], "colours": ["red", "blue", "green"]}, links)
        self.official = [Official(world.nora, edits, lambda: self.now() - DEVICE_EPOCH) for _ in range(2)]
        self.devices = [*self.devices[:1], *self.official]

    async def step_edit(self) -> None:
        if self.random.random() < 0.4:
            await super().step_edit()
        else:
            self.random.choice(self.official).write("update", "Kit", self.key, self.now())

    async def step_reset(self) -> None:
        """Of the Python client only: what an official one does then, the runs above have."""
        ident = self.devices[0].ident()
        if ident is not None:
            await db(ClientFile.objects.filter(ident=ident).update, reset_reason="The test asks for it.")

    async def check(self) -> None:
        python, *_ = self.devices
        for device in (*self.devices, *self.devices):
            await device.settle()
        rows = await db(self.rows)
        assert test_types_convergence.differences(python.objects("Kit"), rows) == []
        says = Assertions(self.schema, self.cls)
        for number, official in enumerate(self.official):
            expected = Store()
            for instruction in official.file.store.schema:
                expected.apply(instruction)
            for image in rows.values():
                for instruction in says.create(image):
                    expected.apply(instruction)
            found = differences(official.file.store.objects["Kit"], expected.objects["Kit"])
            assert not found, f"phone {number}: {found[:3]}"


async def mixed(world: World, directory: Path, seed: int, steps: int) -> None:
    run = MixedRun(world, directory, seed)
    await run.begin()
    try:
        for _ in range(steps):
            await run.step()
        await run.check()
    except BaseException as error:
        error.add_note(f"seed {seed}")
        raise
    finally:
        await run.close()


async def test_official_and_python_clients_end_with_the_servers_data(world: World, tmp_path: Path) -> None:
    for seed in range(4):
        await mixed(world, tmp_path / str(seed), seed, 150)
