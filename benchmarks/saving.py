"""What capture costs those who write: `save()`, `QuerySet.update()` and `bulk_create()` with and without triggers."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator

from django.db import connections

from realm_sync import capture
from tests.testapp.models import Inspection

from .setting import Figure, Setting, seconds

ROUNDS = 5
"""With and without take turns, so that a disturbance meets both."""


def run(setting: Setting) -> Iterator[Figure]:
    few, many = setting.size(300, 100), setting.size(10_000, 1000)
    setting.fill(many)
    turn = iter(range(10_000))

    def save() -> None:
        number = next(turn)
        for inspection in some:
            inspection.title = f"Apron lights {number}"
            inspection.save()

    def update() -> None:
        Inspection.objects.update(title=f"Apron lights {next(turn)}")

    some = list(Inspection.objects.all()[:few])
    with_triggers, without = _compare(setting, save)
    yield Figure(
        "`save()` of one object", setting.name, few / with_triggers, "saves/s",
        "without triggers", few / without, 0.7, targets_ratio=True,
    )  # fmt: skip
    with_triggers, without = _compare(setting, update)
    yield Figure(
        f"`QuerySet.update()` of {many:,} rows", setting.name, many / with_triggers, "rows/s",
        "without triggers", many / without,
    )  # fmt: skip


def _compare(setting: Setting, work: Callable[[], None]) -> tuple[float, float]:
    """The median seconds with triggers and without."""
    connection = connections[setting.alias]
    timings: dict[bool, list[float]] = {True: [], False: []}
    for number in range(setting.size(ROUNDS, 1) + 1):
        for triggers in (True, False):
            (capture.install if triggers else capture.uninstall)(connection)
            taken = seconds(work)
            if number:
                timings[triggers].append(taken)
    capture.install(connection)
    return statistics.median(timings[True]), statistics.median(timings[False])
