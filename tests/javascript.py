"""Pages for tests of the browser SDK: a static server for its modules and for those of tests, and nothing of Django.

`/realm_sync/…` is the SDK as it ships, `/tests/…` is this directory. A page on this origin may import both, and has
IndexedDB, Web Locks and everything else that browsers give to secure origins only.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PLACES = {"/realm_sync/": ROOT / "realm_sync" / "static" / "realm_sync", "/tests/": ROOT / "tests"}
PAGE = (
    b'<!doctype html><meta charset="utf-8"><title>tests</title><link rel="icon" href="data:,">'
    b'<script type="importmap">{"imports": {"realm": "/realm_sync/realm.js"}}</script>'
)


class _Handler(SimpleHTTPRequestHandler):
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {".js": "text/javascript", ".json": "application/json"}

    def __init__(self, *args: Any, places: Mapping[str, Path], **kwargs: Any) -> None:
        self.places = places
        super().__init__(*args, **kwargs)

    def do_GET(self) -> None:
        if self.path.partition("?")[0] == "/":
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(PAGE)
        else:
            super().do_GET()

    def translate_path(self, path: str) -> str:
        path = path.partition("?")[0]
        for prefix, directory in self.places.items():
            if path.startswith(prefix) and ".." not in path:
                return str(directory / path[len(prefix) :])
        return str(ROOT / "there is no such file")

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def static_server(places: Mapping[str, Path] = PLACES) -> Iterator[str]:
    """Serves until the end of the block, by the beginnings of paths; yields the origin."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, places=places))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
