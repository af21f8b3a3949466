"""What apps import: `from realm_sync import sync`. Names which models sync and what clients may call, and says when
access changed.

A façade over registry.py and functions.py; nothing is decided here. Use it in an app's models.py and in its
autodiscovered sync.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.db import models

from .conf import settings
from .functions import FunctionError, function
from .registry import ModelSync, SyncedModel, registry

__all__ = ["FunctionError", "ModelSync", "SyncedModel", "access_changed", "function", "register", "unregister"]

_Sync = TypeVar("_Sync", bound=type[ModelSync])


def register(model: type[models.Model]) -> Callable[[_Sync], _Sync]:
    """Decorates the ModelSync that tells how an existing model syncs."""

    def decorate(sync_class: _Sync) -> _Sync:
        registry.register(model, sync_class)
        return sync_class

    return decorate


def unregister(model: type[models.Model]) -> None:
    """Stops a model from syncing, for example one of a reusable app that registers itself."""
    registry.unregister(model)


def access_changed(user: Any) -> None:
    """Tells that what the user may see or write may have changed: call it in the transaction that changes it.

    Live sessions of the user then get the difference; files that are offline get it when they come back. Not needed
    for changes of the synced objects themselves.
    """
    from .history import record_access_change  # whoever only declares models need not load the engine

    record_access_change(user, settings.DATABASE)
