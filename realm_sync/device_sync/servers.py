"""What official SDKs need of the ASGI server, which an application can neither set nor see: a word in the log.

Once per process, when the first of them connects. Where the command line tells that an option is missing, it is a
warning with the options to add; docs/servers.md has the whole story. Knows nothing of sessions.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

logger = logging.getLogger("realm_sync.device_sync")

OPTIONS = {
    "daphne": (
        "--ping-interval 86400",
        "--ping-timeout 86400",
        "--websocket-max-message-size 67108864",
        "--websocket-max-frame-size 67108864",
    ),
    "uvicorn": ("--ws-ping-interval 86400", "--ws-ping-timeout 86400", "--ws-max-size 67108864"),
}
"""By server. Their values are enough for messages of DEVICE_SYNC_MESSAGE_BYTES, as it is by default."""


def missing_options(arguments: Sequence[str]) -> list[str] | None:
    """Options that this command line (`sys.argv`) lacks; None for a server that is not known here."""
    program = Path(arguments[0]) if arguments else Path()
    name = program.parent.name if program.stem == "__main__" else program.stem
    given = {argument.partition("=")[0] for argument in arguments[1:]}
    known = OPTIONS.get(name)
    return None if known is None else [option for option in known if option.split(" ")[0] not in given]


@cache
def remind() -> None:
    """An official SDK has connected. Says what is missing or cannot be checked; the second time and later it says nothing."""
    missing = missing_options(sys.argv)
    if missing:
        logger.warning(
            "An official Realm SDK has connected, but this ASGI server was started without %s: its pings and limits will "
            "break connections. See docs/servers.md.",
            " ".join(missing),
        )
    elif "runserver" in sys.argv:
        logger.warning(
            "runserver pings websockets, which official Realm SDKs do not answer: they reconnect every minute."
        )
    elif missing is None:
        logger.info(
            "An official Realm SDK has connected. realm_sync cannot see whether this ASGI server sends no websocket pings "
            "and allows messages of 16 MiB and more, as SDKs need: see docs/servers.md."
        )
