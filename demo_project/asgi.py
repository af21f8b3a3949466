"""The demo's ASGI application: Django for HTTP, realm_sync for websockets.

The websocket is not wrapped in an AllowedHostsOriginValidator: programs that are no browsers send no Origin, and it
would refuse them. realm_sync checks the Origin itself where a cookie authenticates, which is where it matters.
"""

from __future__ import annotations

import os

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "demo_project.settings")
http = get_asgi_application()

from realm_sync.routing import websocket_urlpatterns  # noqa: E402  (models can be imported only now)

application = ProtocolTypeRouter(
    {
        "http": ASGIStaticFilesHandler(http),
        "websocket": AuthMiddlewareStack(URLRouter(websocket_urlpatterns)),
    }
)
