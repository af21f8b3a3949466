"""What official SDKs need of ASGI servers, tried with real ones: large messages both ways, and silence."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import sys
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Opcode

from realm_sync.conf import Settings
from realm_sync.core.device_sync.frames import Download
from realm_sync.core.device_sync.instructions import Payload
from realm_sync.core.messages import SUBPROTOCOL
from realm_sync.device_sync import servers
from tests import chaos
from tests.official_client.driver import OfficialClient
from tests.servers import ROOT, SDK_OPTIONS, Server
from tests.testapp.models import Inspection
from tests.world import World, db

NORA = ("nora", "pw")
sqlite = pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
each_server = pytest.mark.parametrize("asgi", ["daphne", "uvicorn"])


class Deaf(OfficialClient):
    """Answers no websocket ping, as the official SDKs do."""

    async def connect(self, uploads_wait: bool = True) -> None:
        await super().connect(uploads_wait)
        assert self._socket is not None
        protocol: Any = self._socket.protocol
        send = protocol.send_frame
        protocol.send_frame = lambda frame: None if frame.opcode is Opcode.PONG else send(frame)

    @property
    def is_connected(self) -> bool:
        return self._reader is not None and not self._reader.done()


@sqlite
@each_server
async def test_messages_of_three_megabytes_pass_both_ways(
    world: World, server: Callable[..., Server], asgi: str
) -> None:
    url = (await db(server, asgi, options=SDK_OPTIONS[asgi])).url
    notes = base64.b64encode(os.urandom(3_000_000)).decode()
    key = uuid.uuid4()
    async with OfficialClient(url, NORA) as nora, OfficialClient(url, NORA) as tablet:
        await nora.subscribe({"Inspection": "TRUEPREDICATE"})
        airfield, team = Payload("string", "EDDM"), Payload("uuid", world.north.pk.bytes)
        with nora.write() as write:
            links = {"airfield": Payload("link", ("Airfield", airfield)), "team": Payload("link", ("Team", team))}
            write.create("Inspection", key, {"notes": notes, **links})
        await nora.uploaded()
        assert (await db(Inspection.objects.get, pk=key)).notes == notes
        await tablet.subscribe({"Inspection": "TRUEPREDICATE"})
        [held] = tablet.objects("Inspection").values()
        assert held["notes"][1] == notes
        largest = max(sum(len(it.changeset) for it in each.entries) for each in tablet.file.integrated)
        assert largest > 3_000_000 and all(isinstance(each, Download) for each in tablet.file.integrated)


@sqlite
@each_server
async def test_websocket_pings_break_the_connection_unless_they_are_switched_off(
    world: World, server: Callable[..., Server], asgi: str
) -> None:
    prefix = "--" if asgi == "daphne" else "--ws-"
    pinging = (await db(server, asgi, options=[f"{prefix}ping-interval", "1", f"{prefix}ping-timeout", "1"])).url
    silent = (await db(server, asgi, options=SDK_OPTIONS[asgi])).url
    async with Deaf(pinging, NORA) as lost, Deaf(silent, NORA) as kept:
        for _ in range(80):
            if not lost.is_connected:
                break
            await asyncio.sleep(0.1)
        assert not lost.is_connected and kept.is_connected
        await kept.ping()


@sqlite
@each_server
async def test_whoever_is_silent_is_dropped_without_websocket_pings(
    world: World, server: Callable[..., Server], asgi: str
) -> None:
    url = (await db(server, asgi, options=SDK_OPTIONS[asgi], realm_sync={"IDLE_SECONDS": 1})).url
    async with Deaf(url, NORA) as silent, Deaf(url, NORA) as alive:
        for _ in range(80):
            await asyncio.sleep(0.1)
            await alive.ping()
            if not silent.is_connected:
                break
        assert not silent.is_connected and alive.is_connected


HANDSHAKES = [
    ([f"com.mongodb.realm-query-sync#{version}" for version in range(14, 1, -1)], "com.mongodb.realm-query-sync#14"),
    ([f"com.mongodb.realm-sync#{version}" for version in range(14, 1, -1)], "com.mongodb.realm-sync#14"),
    ([SUBPROTOCOL], SUBPROTOCOL),
    (["com.mongodb.realm-query-sync#13", "com.mongodb.realm-query-sync#2"], None),
    (["com.mongodb.realm-query-sync#15"], None),
    (None, None),
]


@sqlite
@each_server
async def test_the_subprotocol_decides_and_is_never_another_than_what_was_offered(
    world: World, server: Callable[..., Server], asgi: str
) -> None:
    """An official SDK crashes if it gets another one, or none."""
    url = chaos.sync_url((await db(server, asgi)).url)
    for offered, chosen in HANDSHAKES:
        opening = connect(url, subprotocols=offered, compression=None)  # type: ignore[arg-type]
        if chosen is None:
            with pytest.raises(InvalidStatus) as refused:
                await opening
            assert refused.value.response.status_code == 403
        else:
            async with opening as socket:
                assert socket.subprotocol == chosen
                assert "Sec-WebSocket-Extensions" not in socket.response.headers  # type: ignore[union-attr]


@sqlite
@each_server
async def test_a_bad_token_and_another_app_are_told_after_the_handshake(
    world: World, server: Callable[..., Server], asgi: str
) -> None:
    """Refused by HTTP 403, an official SDK would log its user out."""
    url = (await db(server, asgi)).url
    good = await db(chaos.token_of, url)
    offered: Any = HANDSHAKES[0][0]
    async with connect(f"{chaos.sync_url(url)}?baas_at=x.y.z", subprotocols=offered, compression=None) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 4001
    other = f"{chaos.sync_url(url, 'other')}?baas_at={good}"
    async with connect(other, subprotocols=offered, compression=None) as socket:
        frame = await socket.recv()
        assert isinstance(frame, bytes) and frame.startswith(b"json_error 101 ") and b"'other'" in frame
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1000


@sqlite
async def test_text_is_ignored_and_binary_is_answered(world: World, server: Callable[..., Server]) -> None:
    url = (await db(server)).url
    address = f"{chaos.sync_url(url)}?baas_at={await db(chaos.token_of, url)}"
    async with connect(address, subprotocols=HANDSHAKES[0][0], compression=None) as socket:  # type: ignore[arg-type]
        await socket.send("ping 1 0\n")
        await socket.send(b"ping 2 0\n")
        assert await socket.recv() == b"pong 2\n"
        await socket.send(b'bind 1 37 0 1 0\n{"schemaVersion":0,"sessionReason":0}')
        ident = await socket.recv()
        assert isinstance(ident, bytes) and ident.startswith(b"ident 1 ")
        await socket.send(ident[:-1] + b" 0 0 0 0 0 2\n{}")
        await socket.send(b"mark 1 1\n")
        download = await socket.recv()
        assert isinstance(download, bytes) and download.startswith(b"download 1 ")
        assert await socket.recv() == b"mark 1 1\n"
        await socket.send(b"unbind 1\n")
        assert await socket.recv() == b"unbound 1\n"


def test_the_options_are_those_of_the_demo_and_of_the_docs() -> None:
    wanted = " ".join(servers.OPTIONS["daphne"])
    assert f"SDK_OPTIONS = {wanted}\n" in (ROOT / "Makefile").read_text()
    docs = (ROOT / "docs" / "servers.md").read_text()
    for name, options in servers.OPTIONS.items():
        assert f"{name} {' '.join(options)} mysite.asgi:application" in docs
    for size in re.findall(r"size (\d+)", str(servers.OPTIONS)):
        assert int(size) >= Settings.DEVICE_SYNC_MESSAGE_BYTES


@pytest.mark.parametrize(
    "arguments, missing",
    [
        (["/bin/daphne", "a:b"], servers.OPTIONS["daphne"]),
        (["/lib/daphne/__main__.py", "--ping-interval=9", "--ping-timeout", "9"], servers.OPTIONS["daphne"][2:]),
        (["uvicorn", *SDK_OPTIONS["uvicorn"], "a:b"], ()),
        (["uvicorn", "--ws-max-size", "9"], servers.OPTIONS["uvicorn"][:2]),
        (["gunicorn", "a:b"], None),
        ([], None),
    ],
)
def test_what_a_command_line_lacks(arguments: list[str], missing: tuple[str, ...] | None) -> None:
    assert servers.missing_options(arguments) == (None if missing is None else list(missing))


@pytest.mark.parametrize(
    "arguments, level, words",
    [
        (["daphne", "a:b"], "WARNING", "--ping-interval 86400"),
        (["manage.py", "runserver"], "WARNING", "runserver"),
        (["granian", "a:b"], "INFO", "docs/servers.md"),
        (["daphne", *SDK_OPTIONS["daphne"], "a:b"], "", ""),
    ],
)
def test_the_log_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, arguments: list[str], level: str, words: str
) -> None:
    monkeypatch.setattr(sys, "argv", arguments)
    servers.remind.cache_clear()
    with caplog.at_level("INFO", "realm_sync.device_sync"):
        servers.remind()
        servers.remind()
    if not level:
        assert not caplog.records
        return
    [record] = caplog.records
    assert record.levelname == level and words in record.getMessage()
