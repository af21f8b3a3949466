"""Subscriptions and client files: their rows, and the views that follow from them.

Decides whether a file may be opened, whether a subscription set is acceptable, and what a set shows its user of each
class. The rows are there for the server's memory and the admin; what a client holds is nowhere stored. All functions
are synchronous, use `settings.DATABASE`, and raise ProtocolError with the code of PROTOCOL.md §8.
"""

from __future__ import annotations

import hmac
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import connections, transaction
from django.db.models import Max
from django.utils import timezone

from . import history
from .access import Access
from .conf import settings
from .core import messages as m
from .core.binding import bind
from .core.errors import ProtocolError, QueryError
from .core.nodes import FALSE, Node, and_, or_
from .core.query import parse
from .core.server_session import Opened
from .core.subscribable import MOST_COMPARED, check_subscribable, weight
from .core.text import to_text
from .models import ClientFile, Subscription, SubscriptionSet
from .registry import registry

Views = Mapping[str, Node]
"""Class → what a file sees of it; classes of which it sees nothing are left out."""


def open_file(message: m.Bind, user: Any) -> Opened:
    """Opens the client file that `bind` names, or makes one. Refusals tell nothing about other users' files."""
    alias = settings.DATABASE
    connection = connections[alias]
    epoch, newest = history.epoch(connection), history.latest(connection)
    if message.client_file is None:
        file = ClientFile.objects.using(alias).create(user=user, user_agent=message.user_agent[:300])
        return _opened(file, True, epoch, newest)
    file = _find_file(alias, message.client_file, user)
    _check_progress(message, file, epoch, newest)
    acknowledged = {number: view for number, view in file.views.items() if int(number) == message.progress.view}
    ClientFile.objects.using(alias).filter(ident=file.ident).update(
        last_seen=timezone.now(),
        user_agent=message.user_agent[:300],
        server_version=message.progress.server_version,
        views=acknowledged,
    )
    return _opened(file, False, epoch, newest)


def _opened(file: ClientFile, is_new: bool, epoch: str, newest: int) -> Opened:
    client_file = m.ClientFile(ident=file.ident, salt=str(file.salt))
    accepted = SubscriptionSet.objects.using(settings.DATABASE).filter(client_file_id=file.ident)
    query_version = accepted.exclude(state=SubscriptionSet.State.ERROR).aggregate(newest=Max("query_version"))["newest"]
    return Opened(client_file, is_new, epoch, newest, file.client_version, query_version or 0)


def _find_file(alias: str, named: m.ClientFile, user: Any) -> ClientFile:
    files = ClientFile.objects.using(alias).filter(encoding=ClientFile.Encoding.JSON)
    file = files.filter(ident=named.ident).first() if 0 < named.ident < 2**63 else None
    if file is None or not hmac.compare_digest(str(file.salt), named.salt):
        # One answer for both: whoever guesses idents learns nothing.
        raise ProtocolError("BadClientFileIdent", f"There is no client file {named.ident} with this salt.")
    if file.user_id != user.pk:
        raise ProtocolError("UserMismatch", f"Client file {file.ident} belongs to another user.")
    if file.reset_reason:
        raise ProtocolError("ClientReset", file.reset_reason, file.client_version)
    return file


def _check_progress(message: m.Bind, file: ClientFile, epoch: str, newest: int) -> None:
    progress = message.progress
    if message.epoch != epoch:
        raise ProtocolError("DivergingHistories", f"The file is of epoch {message.epoch}; the database is of {epoch}.")
    if progress.server_version > max(newest, history.newest(connections[settings.DATABASE])):
        found = progress.server_version
        raise ProtocolError("BadServerVersion", f"The file holds version {found}; the newest here is {newest}.")
    if progress.client_version > file.client_version:
        found, known = progress.client_version, file.client_version
        raise ProtocolError("BadClientVersion", f"The file counts {found} as integrated; the server has {known}.")
    oldest = history.oldest(connections[settings.DATABASE])
    if progress.view and progress.server_version < oldest:
        found = progress.server_version
        problem = f"The file holds version {found}; history before {oldest} was pruned."
        raise ProtocolError("ClientFileExpired", problem, file.client_version)
    if progress.view and str(progress.view) not in file.views:
        raise ProtocolError("BadServerVersion", f"Bootstrap {progress.view} of the file is not known here.")


def asked_to_reset(idents: Iterable[int]) -> dict[int, tuple[str, int]]:
    """Which of these files an operator wants to start over: why, and up to which client version they are integrated.
    That is final: uploads are refused from then on."""
    files = ClientFile.objects.using(settings.DATABASE).filter(ident__in=list(idents)).exclude(reset_reason="")
    return {
        ident: (reason, done) for ident, reason, done in files.values_list("ident", "reset_reason", "client_version")
    }


def note_progress(ident: int, version: int) -> None:
    """The file was here just now, and holds everything up to `version`: for the admin."""
    files = ClientFile.objects.using(settings.DATABASE).filter(ident=ident)
    files.update(server_version=version, last_seen=timezone.now())


def held_views(ident: int, view: int) -> Views:
    """What the downloads of a file were cut to at the bootstrap `view`; nothing before the first one."""
    if not view:
        return {}
    stored = ClientFile.objects.using(settings.DATABASE).values_list("views", flat=True).get(ident=ident)
    return bound_views(stored.get(str(view), {}))


def bound_views(texts: Mapping[str, str]) -> Views:
    """Views out of the texts they were remembered by (class → query), as far as their classes still sync."""
    schema = registry.schema
    return {
        class_name: bind(parse(text, trusted=True), schema[class_name], schema).predicate
        for class_name, text in texts.items()
        if class_name in schema
    }


def hold_views(ident: int, views: Views, acknowledged: int) -> int:
    """Remembers what downloads of the file are cut to from now on, under a new number, the bootstrap's; forgets those
    before the acknowledged one."""
    with transaction.atomic(settings.DATABASE):
        file = ClientFile.objects.using(settings.DATABASE).select_for_update().get(ident=ident)
        number = max(map(int, file.views), default=acknowledged) + 1
        kept = {known: texts for known, texts in file.views.items() if int(known) >= acknowledged}
        file.views = {**kept, str(number): {class_name: to_text(node) for class_name, node in views.items()}}
        file.save(update_fields=["views"])
    return number


def store(ident: int, query: m.Query) -> None:
    """Checks a subscription set and stores it as pending; the same query version again replaces it.

    A set that is refused is stored in state error and raises QueryError; the set before it stays in force.
    """
    weights: dict[str, int] = defaultdict(int)
    try:
        for item in query.subscriptions:
            weights[item.class_name] += _check(item)
            if weights[item.class_name] > MOST_COMPARED:
                raise QueryError(
                    f"The subscriptions of class '{item.class_name}' compare the elements of collections too often, which "
                    f"every change would cost: {MOST_COMPARED} times are allowed. Look for several values by one IN.",
                    item.query,
                    code="LimitExceeded",
                )
    except QueryError as error:
        _write_set(ident, query, SubscriptionSet.State.ERROR, str(error))
        raise
    _write_set(ident, query, SubscriptionSet.State.PENDING, "")


def _check(item: m.SubscriptionItem) -> int:
    """Raises QueryError for what is no subscription; else its weight."""
    schema = registry.schema
    if item.class_name not in schema:
        raise QueryError(f"There is no synced class '{item.class_name}'.")
    cls = schema[item.class_name]
    if cls.asymmetric:
        raise QueryError(f"Class '{cls.name}' is asymmetric: its objects are uploaded, and nobody subscribes to them.")
    if cls.embedded:
        raise QueryError(f"Class '{cls.name}' is embedded: subscribe to the class whose objects contain it.")
    try:
        query = bind(parse(item.query), schema[item.class_name], schema)
        check_subscribable(query)
    except QueryError as error:
        where = f'Client provided query with bad syntax: unsupported query for table "{item.class_name}": '
        raise QueryError(where + error.problem, error.query, error.position, error.code) from error
    if len(item.id) > 24 or len(item.name or "") > 200:
        raise QueryError("A subscription's id has at most 24 characters, its name at most 200.")
    return weight(query)


def _write_set(ident: int, query: m.Query, state: str, error: str) -> None:
    with transaction.atomic(settings.DATABASE):
        sets = SubscriptionSet.objects.using(settings.DATABASE)
        sets.filter(client_file_id=ident, query_version=query.query_version).delete()
        new = sets.create(client_file_id=ident, query_version=query.query_version, state=state, error=error)
        Subscription.objects.using(settings.DATABASE).bulk_create(
            Subscription(
                subscription_set=new,
                ident=item.id,
                name=item.name,
                class_name=item.class_name,
                query=item.query,
                created_at=_date(item.created_at),
                updated_at=_date(item.updated_at),
            )
            for item in query.subscriptions
        )


def _date(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return timezone.now()


def set_state(ident: int, query_version: int, state: str) -> None:
    """A set moves on; completing one supersedes those before it, and forgets all but the last few."""
    sets = SubscriptionSet.objects.using(settings.DATABASE).filter(client_file_id=ident)
    sets.filter(query_version=query_version).update(state=state, updated=timezone.now())
    if state == SubscriptionSet.State.COMPLETE:
        older = sets.filter(query_version__lt=query_version)
        older.exclude(state__in=(SubscriptionSet.State.SUPERSEDED, SubscriptionSet.State.ERROR)).update(
            state=SubscriptionSet.State.SUPERSEDED, updated=timezone.now()
        )
        sets.filter(query_version__lt=query_version - 5).delete()


def fail(ident: int, query_version: int, error: str) -> None:
    """A set that was accepted turns out to be more than the database can compute."""
    sets = SubscriptionSet.objects.using(settings.DATABASE).filter(client_file_id=ident, query_version=query_version)
    sets.update(state=SubscriptionSet.State.ERROR, error=error, updated=timezone.now())


def views_of(ident: int, query_version: int, access: Access) -> Views:
    """What the subscription set shows of each class, cut to what its user may see."""
    schema = registry.schema
    wanted: dict[str, list[Node]] = defaultdict(list)
    rows = Subscription.objects.using(settings.DATABASE).filter(
        subscription_set__client_file_id=ident, subscription_set__query_version=query_version
    )
    for class_name, text in rows.values_list("class_name", "query"):
        if class_name in access.readable and class_name in schema:
            wanted[class_name].append(bind(parse(text), schema[class_name], schema).predicate)
    views = {name: and_(or_(*_ordered(nodes)), access.readable[name]) for name, nodes in wanted.items()}
    return {name: node for name, node in views.items() if node != FALSE}


def _ordered(nodes: list[Node]) -> list[Node]:
    """Without repetition, in an order of their own: equal sets of subscriptions make equal views (R5)."""
    return [node for _, node in sorted({to_text(node): node for node in nodes}.items())]
