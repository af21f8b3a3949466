"""Real server processes for end-to-end tests: start, wait until they answer, kill, start again on the same port.

tests/conftest.py makes the fixture `server` of it, which names the database and shows the logs of failed tests.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from realm_sync.device_sync import servers

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = {
    "daphne": ["daphne", "-b", "127.0.0.1", "-p", "{port}", "{application}"],
    "uvicorn": ["uvicorn", "--host", "127.0.0.1", "--port", "{port}", "{application}"],
}
SDK_OPTIONS = {name: " ".join(options).split(" ") for name, options in servers.OPTIONS.items()}
"""What official Realm SDKs need; other clients get along with the defaults."""
PATIENCE = 30
"""Seconds that a server may take to answer after its start."""


class Server:
    """One process on one port. `url` is where HTTP answers; `log` is everything it printed, over all its lives."""

    def __init__(
        self,
        port: int,
        environment: dict[str, str],
        log: Path,
        asgi: str = "daphne",
        application: str = "tests.asgi:application",
        options: Sequence[str] = (),
    ) -> None:
        """`options`: more of them on the command line."""
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.log = log
        self.environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"} | environment
        arguments = [part.format(port=port, application=application) for part in COMMANDS[asgi]]
        self.command = [sys.executable, "-m", *arguments, *options]
        self.process: subprocess.Popen[bytes] | None = None
        self.output: IO[bytes] | None = None

    def start(self) -> Server:
        """Returns when the port answers. Raises RuntimeError with the log if it does not in time."""
        assert self.process is None, "this server is running already"
        self.output = self.log.open("ab")
        self.process = subprocess.Popen(
            self.command, cwd=ROOT, env=self.environment, stdout=self.output, stderr=self.output
        )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.kill()
                    raise RuntimeError(f"The server did not start. Its log:\n{self.log.read_text()}") from error
            time.sleep(0.05)

    def stop(self) -> None:
        """Asks it to end, as an operator does; kills it if it does not."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9: no farewell, nothing flushed."""
        self._end(signal.SIGKILL)

    def restart(self, how: signal.Signals = signal.SIGKILL) -> None:
        """Ends it (`kill -9` unless told otherwise) and starts it again on the same port, with the same database."""
        self._end(how)
        self.start()

    def _end(self, how: signal.Signals) -> None:
        if self.process is None or self.output is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.output.close()
        self.process = self.output = None
