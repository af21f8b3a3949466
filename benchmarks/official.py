"""Official: what making a large bootstrap costs for an official SDK, next to the same in JSON; in time and in memory.

Each is made in a process of its own: `python -m benchmarks.official json|device` on the database of the environment
prints seconds, the peak of its memory above what it began with, and the bytes that travel.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .setting import Figure, Setting

MEBI = 1 << 20


class Made(NamedTuple):
    seconds: float
    peak: int
    """Bytes of memory beyond those at the beginning."""
    size: int
    """Bytes to be sent."""


def run(setting: Setting) -> Iterator[Figure]:
    count = setting.size(100_000, 10_000)
    setting.fill(count)
    made = {
        encoding: min((_in_process(setting, encoding) for _ in range(setting.repetitions)), key=lambda it: it.seconds)
        for encoding in ("json", "device")
    }
    text, packed = made["json"], made["device"]
    yield Figure(
        f"bootstrap of {count:,} rows made for an official SDK", setting.name, count / packed.seconds, "rows/s",
        "the same in JSON", count / text.seconds,
    )  # fmt: skip
    yield Figure(
        f"peak of memory while {count:,} rows are made for an official SDK", setting.name, packed.peak / MEBI, "MiB",
        "the same in JSON", text.peak / MEBI, at_most=True,
    )  # fmt: skip
    yield Figure(
        f"size of {count:,} rows for an official SDK", setting.name, packed.size / MEBI, "MiB",
        "the same in JSON, not compressed", text.size / MEBI, at_most=True,
    )  # fmt: skip


def _in_process(setting: Setting, encoding: str) -> Made:
    environment = os.environ | {"REALM_SYNC_TEST_DATABASE_URL": setting.url}
    found = subprocess.run(
        [sys.executable, "-m", "benchmarks.official", encoding],
        cwd=Path(__file__).parent.parent, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return Made(*json.loads(found.stdout))


def _make(encoding: str) -> Made:
    """Loads everything first by making a bootstrap of nothing."""
    from django.contrib.auth import get_user_model

    from realm_sync.core.nodes import FALSE, TRUE
    from realm_sync.models import ClientFile

    file = ClientFile.objects.create(user=get_user_model().objects.get(username="nora"))
    make: Any = _device if encoding == "device" else _json
    make(file, FALSE)
    Path("/proc/self/clear_refs").write_text("5")  # the peak of memory counts anew
    before, begin = _memory("VmRSS"), time.perf_counter()
    size = make(file, TRUE)
    return Made(time.perf_counter() - begin, _memory("VmHWM") - before, size)


def _json(file: Any, node: Any) -> int:
    from realm_sync import downloads

    transfer = downloads.bootstrap(file.ident, 0, {}, {"Inspection": node})
    return sum(len(piece) for piece in transfer)


def _device(file: Any, node: Any) -> int:
    from realm_sync.device_sync import downloads
    from realm_sync.device_sync.files import OpenFile

    opened = OpenFile(file.ident, 0, 0, 0, 0, 0, {}, 1, 0, schema_known=False)
    transfer = downloads.bootstrap(opened, 0, {}, {"Inspection": node}, has_schema=False)
    return len(transfer.entries.data)


def _memory(name: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) * 1024


if __name__ == "__main__":
    print(json.dumps(_make(sys.argv[1])))
