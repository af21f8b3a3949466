"""The websocket consumer: maps ASGI events to a connection, and back. No rule of sync stands here.

The subprotocol decides what is spoken: JSON text frames (PROTOCOL.md), or the binary frames of the official Realm SDKs.
`realm_sync.routing.websocket_urlpatterns` mounts it. Works on any ASGI server; wrap it in Channels'
`AuthMiddlewareStack` so that pages may authenticate with their Django session cookie. Official SDKs never do, and send
no Origin: an `AllowedHostsOriginValidator` around it would refuse them.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from urllib.parse import parse_qs

from channels.auth import get_user
from channels.consumer import get_handler_name
from channels.generic.websocket import AsyncWebsocketConsumer

from . import auth
from .auth import AuthError
from .conf import settings
from .core.messages import SUBPROTOCOL
from .device_sync.servers import remind
from .device_sync.sessions import DeviceConnection
from .sessions import Connection

logger = logging.getLogger("realm_sync.consumers")

FLEXIBLE, PARTITIONS = "com.mongodb.realm-query-sync#14", "com.mongodb.realm-sync#14"
"""Subprotocols of the official SDKs. They offer every version down to #2; only the newest is spoken here."""


class RealmSyncConsumer(AsyncWebsocketConsumer):
    """One websocket."""

    _connection: Connection | None = None
    _device: DeviceConnection | None = None
    _task: asyncio.Task[None] | None = None

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Calls the handler at once. Channels would first pass through the one thread that Django's HTTP side shares, to
        close old connections; no handler here uses the database."""
        await getattr(self, get_handler_name(message))(message)

    async def connect(self) -> None:
        app_id, offered = self.scope["url_route"]["kwargs"]["app_id"], self.scope["subprotocols"]
        chosen = next((one for one in (SUBPROTOCOL, FLEXIBLE, PARTITIONS) if one in offered), None)
        if chosen is None or (app_id != settings.APP_ID and chosen == SUBPROTOCOL):
            logger.warning("Refused a websocket: app %r, subprotocols %r.", app_id, offered)
            # Before accept(): the client sees HTTP 403. Official SDKs take that for a log-out; but accepted with another
            # subprotocol than they offer, or with none, they crash.
            await self.close()
            return
        await self.accept(chosen)
        if chosen == SUBPROTOCOL:
            self._connection = Connection(self.send, self._page_user)
            self._task = asyncio.create_task(self._run(self._connection.run()))
            return
        remind()
        headers, query = dict(self.scope["headers"]), parse_qs(self.scope["query_string"].decode("latin-1"))
        self._device = DeviceConnection(
            self._send_bytes,
            token=query.get("baas_at", [""])[-1],
            user_agent=headers.get(b"user-agent", b"").decode("latin-1"),
            is_flexible=chosen == FLEXIBLE,
        )
        if app_id != settings.APP_ID:
            self._device.refuse_app(app_id)
        self._task = asyncio.create_task(self._run(self._device.run()))

    async def _send_bytes(self, frame: bytes) -> None:
        await self.send(bytes_data=frame)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self._connection is not None:
            self._connection.receive(text_data)
        elif self._device is not None and bytes_data is not None:
            await self._device.receive(bytes_data)

    async def disconnect(self, code: int) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, connection: Any) -> None:
        code = None
        try:
            code = await connection
        except asyncio.CancelledError:
            raise
        except Exception:
            # Sending fails when the socket has gone meanwhile; the client comes back by itself.
            logger.debug("A session ended with its socket.", exc_info=True)
        await self.close(code or 1000)

    async def _page_user(self) -> Any:
        """The user of the page's session cookie; a page of another site is refused (its Origin says so)."""
        if not auth.origin_allowed(self.scope):
            raise AuthError("AuthError", "The page that opened this websocket is not one of this server.")
        if self._connection is None or self._connection.is_first:
            return self.scope.get("user")
        # A later session on this socket: the user may have logged out of the page since, or another one in.
        session = self.scope.get("session")
        if session is None:
            raise AuthError("AuthError", "The page's cookie counts for the first bind only; open another websocket.")
        return await get_user({"session": session.__class__(session.session_key)})
