"""Client files of the official SDKs: idents and salts, the checks of an IDENT, what a file holds and what it wants.

Decides whether such a file may be opened, which views it holds at the version it presents, and which views follow from
its query or partition. What a file holds is remembered by the version of the bootstrap that brought it: such a client
says only how far it has come. Refusals are DeviceSyncErrors whose action is a client reset. Synchronous; run in a
thread. On the wire the server is ident 1, and a file's ident one more than its row's.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from django.db import connections, transaction
from django.db.models import F
from django.utils import timezone

from .. import history
from ..access import Access
from ..conf import settings
from ..core import messages as m
from ..core.binding import bind
from ..core.device_sync import frames
from ..core.device_sync.changesets import encode
from ..core.device_sync.doubt import Advance, decode_advance
from ..core.device_sync.errors import DeviceSyncError
from ..core.device_sync.instructions import AnyInstruction
from ..core.device_sync.schema import declare
from ..core.errors import QueryError, ValueTypeError
from ..core.mixed import decode_mixed
from ..core.nodes import FALSE, Node, and_
from ..core.query import parse
from ..core.schema import Schema
from ..core.text import to_text
from ..models import Change, ClientFile, Subscription, SubscriptionSet
from ..registry import registry
from ..subscriptions import Views, bound_views, store, views_of

SERVER = 1
"""The ident of the server itself, and of any writer who is no client file."""


KEPT_SETS = 10
"""Subscription sets of a file before its newest that stay for the admin to see."""


class OpenFile(NamedTuple):
    """A client file whose IDENT was accepted."""

    ident: int
    """The row's; `wire_ident` is what the client knows."""
    opening: int
    """The number of this opening: see `remember_views`."""
    server_version: int
    """What the client has downloaded; 0: nothing, it needs the schema."""
    download_client: int
    """Its changesets that the server had integrated, as of `server_version`, at least."""
    client_version: int
    """Its changesets that are integrated by now."""
    upload_server: int
    """The version its client had integrated when it uploaded the newest of them."""
    views: Views
    """What it holds as of `server_version`."""
    salt: int
    """Goes with every version that the client is told is the newest."""
    latest: int
    """The newest version that the client was told of."""
    schema_known: bool
    """It holds the schema of today. If not, its first download begins with it, and is a bootstrap of everything."""


def wire_ident(ident: int) -> int:
    """How the official SDKs number a client file."""
    return ident + SERVER


def latest_salt(epoch: str) -> int:
    """The salt of every version of an epoch: positive, of 63 bits at most."""
    return int(epoch[:15], 16) or 1


def allocate(user: Any, user_agent: str) -> tuple[int, int]:
    """Makes a client file of this user; returns its wire ident and salt."""
    file = ClientFile.objects.using(settings.DATABASE).create(
        user=user, user_agent=user_agent[:300], encoding=ClientFile.Encoding.DEVICE_SYNC
    )
    return wire_ident(file.ident), file.salt


def open_file(user: Any, message: frames.Ident, user_agent: str) -> OpenFile:
    """Opens the file that an IDENT names, as of the versions it presents. Raises DeviceSyncError, always with the action
    of a client reset. What an older session of the file remembers from now on does not count."""
    alias = settings.DATABASE
    connection = connections[alias]
    epoch = history.epoch(connection)
    file = _find_file(message, user)
    _check_versions(message, file, epoch)
    files = ClientFile.objects.using(alias).filter(ident=file.ident)
    with transaction.atomic(alias):
        # A write first: it takes SQLite's one write lock, and locks the row.
        files.update(opened=F("opened") + 1, last_seen=timezone.now(), user_agent=user_agent[:300])
        file = files.get()
        held = _bootstrap_before(message.download_server, file)
        if message.download_server and not held:
            raise DeviceSyncError(209, f"No bootstrap up to version {message.download_server} is known of this file.")
        # One that did not arrive is none.
        texts = file.views.get(str(held), {})
        files.update(server_version=message.download_server, views={str(held): texts} if held else {})
    try:
        views = bound_views(texts)
    except QueryError as error:  # a property is gone that a query or a rule of access was about
        raise DeviceSyncError(
            222, f"Which objects the file holds cannot be told with today's classes: {error}"
        ) from error
    newest = newest_advance(file.ident)
    return OpenFile(
        ident=file.ident,
        opening=file.opened,
        server_version=message.download_server,
        download_client=message.download_client,
        client_version=file.client_version,
        upload_server=newest.server_version if newest else 0,
        views=views,
        salt=latest_salt(epoch),
        latest=message.latest_server,
        schema_known=texts.get("") == schema_digest(registry.schema),
    )


def _find_file(message: frames.Ident, user: Any) -> ClientFile:
    ident = message.ident - SERVER
    files = ClientFile.objects.using(settings.DATABASE).filter(encoding=ClientFile.Encoding.DEVICE_SYNC)
    file = files.filter(ident=ident).first() if 0 < ident < 2**63 else None
    if file is None or not hmac.compare_digest(str(file.salt), str(message.salt)):
        # One answer for both: whoever guesses idents learns nothing.
        raise DeviceSyncError(208, f"There is no client file {message.ident} with this salt.")
    if file.user_id != user.pk:
        raise DeviceSyncError(223, f"Client file {message.ident} belongs to another user.")
    if file.reset_reason:
        raise DeviceSyncError(217, file.reset_reason)
    return file


def _check_versions(message: frames.Ident, file: ClientFile, epoch: str) -> None:
    connection = connections[settings.DATABASE]
    held, known = message.download_server, message.latest_server
    if known and message.latest_salt != latest_salt(epoch):
        raise DeviceSyncError(211, f"The file is of another life of the database than today's, {epoch}.")
    if not 0 <= held <= known:
        raise DeviceSyncError(209, f"The file holds version {held}, and {known} is the newest it was told of.")
    newest = max(history.latest(connection), history.newest(connection))
    if known > newest:
        raise DeviceSyncError(209, f"The file was told of version {known}; the newest here is {newest}.")
    if not 0 <= message.download_client <= file.client_version:
        found = message.download_client
        raise DeviceSyncError(210, f"The file counts {found} as integrated; the server has {file.client_version}.")
    oldest = history.oldest(connection)
    if 0 < held < oldest:
        raise DeviceSyncError(222, f"The file holds version {held}; history before {oldest} was pruned.")


def newest_advance(ident: int, upto: int = 2**63 - 1) -> Advance | None:
    """What the newest of the file's uploads and bootstraps up to a version came to; None if that was pruned, or never
    was."""
    rows = Change.objects.using(settings.DATABASE).filter(
        class_name="", object_id=str(ident), kind=Change.Kind.ADVANCE, version__lte=upto
    )
    after = rows.order_by("-version", "-id").values_list("after", flat=True).first()
    return decode_advance(after) if after else None


def remember_views(file: OpenFile, version: int, views: Views) -> None:
    """Downloads of the file are cut to `views` from `version` on, the bootstrap's, which also brings the schema. To be
    called before the bootstrap is sent. Raises DeviceSyncError if another session has opened the file since."""
    texts = {class_name: to_text(node) for class_name, node in views.items()}
    files = ClientFile.objects.using(settings.DATABASE).filter(ident=file.ident)
    with transaction.atomic(settings.DATABASE):
        files.update(last_seen=timezone.now())
        row = files.get()
        if row.opened != file.opening:
            raise DeviceSyncError(200, "Another session has opened this client file.")
        held = _bootstrap_before(row.server_version, row)
        kept = {known: views for known, views in row.views.items() if int(known) >= held}
        files.update(views={**kept, str(version): {"": schema_digest(registry.schema), **texts}})


def _bootstrap_before(version: int, file: ClientFile) -> int:
    """The version of the bootstrap that decides what the file holds at this one; 0 if there is none."""
    return max((int(known) for known in file.views if int(known) <= version), default=0)


def schema_digest(schema: Schema) -> str:
    """Tells apart what the official SDKs know of two schemas."""
    return _said(schema)[1]


def schema_instructions() -> list[AnyInstruction]:
    """What tells a client of today's classes."""
    return _said(registry.schema)[0]


@lru_cache(maxsize=4)
def _said(schema: Schema) -> tuple[list[AnyInstruction], str]:
    instructions = declare(schema)
    return instructions, hashlib.sha256(encode(instructions)).hexdigest()[:32]


def wanted_views(ident: int, query_version: int, query: Mapping[str, str], access: Access) -> Views:
    """What a QUERY, or the query of an IDENT, shows of each class, cut to what the user may see; its set is stored, so
    that the admin shows it. Raises QueryError; the set is then stored with the error, and the one before stays in force.

    A set that is there already stays as it is, its state included.
    """
    if not query_version:
        return {}
    sets = SubscriptionSet.objects.using(settings.DATABASE).filter(client_file_id=ident, query_version=query_version)
    stored = Subscription.objects.using(settings.DATABASE).filter(subscription_set__in=sets)
    is_known = sets.exclude(state=SubscriptionSet.State.ERROR).exists()
    if not is_known or dict(stored.values_list("class_name", "query")) != dict(query):
        now = timezone.now().isoformat()
        items = [
            # The SDKs send one query per class: what they call the subscriptions in it stays with them.
            m.SubscriptionItem(id="", class_name=class_name, query=text, created_at=now, updated_at=now)
            for class_name, text in query.items()
        ]
        store(ident, m.Query(query_version=query_version, subscriptions=items))
        # Completing one forgets those before it, but who completes none must not pile them up.
        of_file = SubscriptionSet.objects.using(settings.DATABASE).filter(client_file_id=ident)
        older = of_file.filter(query_version__lt=query_version).order_by("-query_version")
        of_file.filter(pk__in=list(older.values_list("pk", flat=True)[KEPT_SETS:])).delete()
    return views_of(ident, query_version, access)


def partition_views(path: bytes, access: Access) -> Views:
    """What a partition holds of each class that has PARTITION_FIELD, cut to what the user may see. `path` is the
    partition's value in Extended JSON, as in a BIND. Raises DeviceSyncError for what is no such value."""
    value, field = _partition(path), settings.PARTITION_FIELD
    schema, views = registry.schema, {}
    for class_name, readable in access.readable.items():
        cls = schema.get(class_name)
        if cls is None or field not in cls.properties:
            continue
        try:
            query: Node = bind(parse(f"{field} == $0", [value]), cls, schema).predicate
        except QueryError:
            continue  # the property has another type than the value: no object has it
        views[class_name] = and_(query, readable)
    return {name: node for name, node in views.items() if node != FALSE}


def _partition(path: bytes) -> Any:
    try:
        wire = msgspec.json.decode(path)
        if isinstance(wire, dict) and isinstance(binary := wire.get("$binary"), dict):
            if binary.get("subType") not in ("03", "04", "3", "4"):
                raise ValueError("binary data that is no UUID")
            return UUID(bytes=msgspec.convert(binary.get("base64"), bytes))
        if isinstance(wire, dict) and "$numberInt" in wire:
            wire = {"$numberLong": wire["$numberInt"]}
        value = wire if isinstance(wire, int) else decode_mixed(wire)
        if isinstance(value, bool | list | dict | float):
            raise ValueError(f"a {type(value).__name__}")
    except (msgspec.MsgspecError, ValueError, ValueTypeError, RecursionError) as error:
        found = path[:100].decode(errors="replace")
        raise DeviceSyncError(204, f"{found} is no value of a partition: {error}.") from error
    return value
