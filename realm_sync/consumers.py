"""The websocket consumer: maps ASGI events to a Connection, and back. No rule of sync stands here.

`realm_sync.routing.websocket_urlpatterns` mounts it. Works on any ASGI server; wrap it in Channels'
`AuthMiddlewareStack` so that pages may authenticate with their Django session cookie.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from channels.auth import get_user
from channels.consumer import get_handler_name
from channels.generic.websocket import AsyncWebsocketConsumer

from . import auth
from .auth import AuthError
from .conf import settings
from .core.messages import SUBPROTOCOL
from .sessions import Connection

logger = logging.getLogger("realm_sync.consumers")


class RealmSyncConsumer(AsyncWebsocketConsumer):
    """One websocket."""

    _connection: Connection | None = None
    _task: asyncio.Task[None] | None = None

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Calls the handler at once. Channels would first pass through the one thread that Django's HTTP side shares, to
        close old connections; no handler here uses the database."""
        await getattr(self, get_handler_name(message))(message)

    async def connect(self) -> None:
        app_id = self.scope["url_route"]["kwargs"]["app_id"]
        if app_id != settings.APP_ID or SUBPROTOCOL not in self.scope["subprotocols"]:
            logger.warning("Refused a websocket: app %r, subprotocols %r.", app_id, self.scope["subprotocols"])
            await self.close()  # before accept(): the client sees HTTP 403
            return
        await self.accept(SUBPROTOCOL)
        self._connection = Connection(self.send, self._page_user)
        self._task = asyncio.create_task(self._run(self._connection))

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self._connection is not None:
            self._connection.receive(text_data)

    async def disconnect(self, code: int) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, connection: Connection) -> None:
        try:
            await connection.run()
        except asyncio.CancelledError:
            raise
        except Exception:
            # Sending fails when the socket has gone meanwhile; the client comes back by itself.
            logger.debug("A session ended with its socket.", exc_info=True)
        await self.close(1000)

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
