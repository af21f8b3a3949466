"""The bare ASGI application that benchmarks compare with: what the same sockets carry if nothing is synced.

    /rows    sends every inspection: SELECT, JSON, text frames; no history, no views, no acknowledgements
    /echo    sends what it is sent back to everybody on this path

It runs under the same Daphne, on the same database.
"""

from __future__ import annotations

import os
from itertools import islice
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

import msgspec  # noqa: E402  (the app registry must be ready)
from asgiref.sync import sync_to_async  # noqa: E402

from tests.testapp.models import Inspection  # noqa: E402

ROWS = 500
_everybody: set[Any] = set()


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept", "subprotocol": next(iter(scope["subprotocols"]), None)})
    if scope["path"] == "/rows":
        await _rows(send)
    else:
        await _echo(receive, send)


async def _rows(send: Any) -> None:
    encode = msgspec.json.Encoder().encode
    rows = Inspection.objects.order_by().values().iterator(chunk_size=ROWS)

    def chunk() -> str:
        found = list(islice(rows, ROWS))
        return encode(found).decode() if found else ""

    while text := await sync_to_async(chunk)():
        await send({"type": "websocket.send", "text": text})
    await send({"type": "websocket.close", "code": 1000})


async def _echo(receive: Any, send: Any) -> None:
    _everybody.add(send)
    try:
        while (event := await receive())["type"] == "websocket.receive":
            for each in list(_everybody):
                await each({"type": "websocket.send", "text": event["text"]})
    finally:
        _everybody.discard(send)
