"""Access: what a user may see and write, as predicates over wire images. Default deny.

Turns the `readable_by` and `writable_by` of every class (a Q, True or False) into the same query nodes that
subscriptions are made of, once per bind and again when `sync.access_changed(user)` was called. So one predicate decides
what is downloaded, what is live, and what an upload may touch. Who the user is was decided in auth.py.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from .core.changes import Predicate
from .core.errors import ProtocolError, SchemaError
from .core.nodes import FALSE, Node, and_
from .core.predicate import compile_predicate
from .registry import ModelSync, registry
from .rules import from_q

logger = logging.getLogger("realm_sync.access")


class Access(NamedTuple):
    """What one user may do, by class. A class that is not in a mapping is out of bounds."""

    readable: Mapping[str, Node]
    writable: Mapping[str, Node]

    def can_write(self, class_name: str) -> Predicate:
        """A predicate on images: whether the user may write such an object."""
        return compile_predicate(self.writable.get(class_name, FALSE), registry.schema[class_name], registry.schema)


def access_of(user: Any) -> Access:
    """The user's access now. An inactive user has none. Runs the app's rules, which may query the database.

    Raises SchemaError if a rule returns a Q that cannot be decided from an object's own properties.
    """
    readable: dict[str, Node] = {}
    writable: dict[str, Node] = {}
    if user is None or not user.is_active:
        return Access(readable, writable)
    for model_sync in registry:
        if model_sync.asymmetric:
            writable[model_sync.class_name] = _node(model_sync, model_sync.writable_by(user))
            continue
        sees = _node(model_sync, model_sync.readable_by(user))
        if sees == FALSE:
            continue
        readable[model_sync.class_name] = sees
        writes = FALSE if model_sync.read_only else _node(model_sync, model_sync.writable_by(user))
        # What cannot be seen cannot be written: an error would otherwise tell of objects that are none of the user's.
        writable[model_sync.class_name] = and_(writes, sees)
    return Access(readable, writable)


def access_for_session(user: Any) -> Access:
    """The same for a session, which a rule that cannot be used ends: logs it, and raises ProtocolError."""
    try:
        return access_of(user)
    except SchemaError as error:
        logger.error("An access rule cannot be used: %s", error)
        raise ProtocolError("InternalServerError", "An access rule of the server cannot be used.") from error


def _node(model_sync: ModelSync, rule: Any) -> Node:
    return from_q(rule, model_sync.fields_by_name, model_sync.schema, registry.schema)
