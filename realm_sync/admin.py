"""The admin: client files, their subscriptions, the history and log-ins, to look at and to search.

Decides how rows are shown and linked, and offers what an operator may ask for: a client reset, and an end to log-ins.
Everything else is read-only, because the engine and the triggers write these tables; each page says what to use
instead. Nothing here touches the admin pages of synced models. The history can have millions of rows: see HistoryList.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, NamedTuple

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import quote
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import models
from django.db.models import Case, F, IntegerField, OuterRef, Q, Subquery, TextField, Value, When
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.text import Truncator, smart_split, unescape_string_literal
from django.utils.timesince import timesince

from . import auth
from .conf import settings
from .models import ApiKey, Change, ClientFile, Identity, Subscription, SubscriptionSet, UserSession
from .registry import registry

MOST_BEHIND = 1000
"""How far behind a client file is, is counted up to here."""
REACH = 200_000
"""Rows of the history that one list looks through, unless an index finds what is asked for; the next list goes on."""
MOST_LISTED = 5000
"""Changes that one list counts and pages through."""
LONGEST_VALUE = 2000
"""Characters of a value that are shown."""
NOTHING = "–"


class CountOf(Subquery):
    """How many rows a subquery has; slice it to bound the work."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) AS counted)"
    output_field = IntegerField()


class Section(NamedTuple):
    """A table on the page of one object, below its fields."""

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""


# --- links and texts -------------------------------------------------------------------------------------------------


def page_of(site: admin.AdminSite, model: type[models.Model], key: Any, text: Any) -> Any:
    """A link to the admin page of an object, or the bare text where the site has no such page."""
    if not site.is_registered(model):
        return text
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
    try:
        return format_html('<a href="{}">{}</a>', reverse(name, args=[quote(key)], current_app=site.name), text)
    except NoReverseMatch:
        return text


def list_of(site: admin.AdminSite, model: type[models.Model], text: str, **parameters: Any) -> SafeString:
    """A link to an admin list, cut down by its query parameters."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
    url = reverse(name, current_app=site.name)
    return format_html('<a href="{}?{}">{}</a>', url, urlencode(parameters), text)


def ago(moment: datetime) -> SafeString:
    """How long ago, and on hovering when."""
    exact = date_format(timezone.localtime(moment), "DATETIME_FORMAT")
    text = "just now" if timezone.now() - moment < timedelta(minutes=1) else f"{timesince(moment, depth=1)} ago"
    return format_html('<time class="nowrap" datetime="{}" title="{}">{}</time>', moment.isoformat(), exact, text)


def shown_value(value: Any) -> Any:
    """A wire value for people: text as it is, anything else as JSON, null apart from the text "null"."""
    if value is None:
        return format_html('<span class="quiet">{}</span>', "null")
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if text == "":
        return format_html('<span class="quiet">{}</span>', "empty")
    if len(text) > LONGEST_VALUE:
        return f"{text[:LONGEST_VALUE]}… ({number_format(len(text), force_grouping=True)} characters)"
    return text


def decoded(image: str | None) -> dict[str, Any]:
    """An image's values; numbers stay the text the database wrote, so that nothing is rounded."""
    return json.loads(image, parse_float=str, parse_int=str) if image else {}


# --- what all pages share --------------------------------------------------------------------------------------------


class ReadOnlyAdmin(admin.ModelAdmin):
    """Lists and shows; adds, changes and deletes nothing. Actions need Django's permission to change the model."""

    note: ClassVar[str] = ""
    """Who writes these rows, and what to use instead: a sentence at the top of every page."""
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never on pages of this app. But who deletes a user on the user's page takes along what is the user's: there
        Django asks here, and a refusal would forbid deleting users."""
        match = request.resolver_match
        return match is not None and not (match.url_name or "").startswith(f"{self.opts.app_label}_")

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Whether the actions of this page are offered."""
        return bool(request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}"))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        return super().changelist_view(request, {"note": self.note, **(extra_context or {})})

    def render_change_form(
        self,
        request: HttpRequest,
        context: Any,
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> Any:
        context |= {"note": self.note, "links": self.links(obj), "sections": self.sections(obj)}
        return super().render_change_form(request, context, add, change, form_url, obj)

    def links(self, obj: Any) -> list[SafeString]:
        """Where to go from the page of one object."""
        return []

    def sections(self, obj: Any) -> list[Section]:
        return []

    def user_link(self, user: Any) -> Any:
        return page_of(self.admin_site, type(user), user.pk, user.get_username())

    def log(self, request: Any, objects: Sequence[Any], message: str) -> None:
        """Says in the admin's own log who did what. The log is Django's and has nothing to do with the history."""
        LogEntry.objects.log_actions(request.user.pk, objects, CHANGE, message)

    def confirm(self, request: HttpRequest, queryset: Any, title: str, text: str, **context: Any) -> TemplateResponse:
        """The page between choosing an action and its happening; it posts the same action again, with `confirmed`."""
        across = request.POST.get("select_across") == "1"
        count = queryset.count()
        keys = request.POST.getlist(ACTION_CHECKBOX_NAME)
        return TemplateResponse(
            request,
            "admin/realm_sync/confirm.html",
            {
                **self.admin_site.each_context(request),
                "title": title,
                "text": text,
                "opts": self.opts,
                "action": request.POST["action"],
                "select_across": across,
                "checkbox": ACTION_CHECKBOX_NAME,
                # Where all are meant, one key suffices: the list's own filters say which, and a form has its limits.
                "keys": keys[:1] if across else keys,
                "chosen": queryset[:20],
                "more": count - 20,
                **context,
            },
        )


class EngineAdmin(ReadOnlyAdmin):
    """For the tables of the engine, which live in the synced database whatever the routers say."""

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).using(settings.DATABASE)


def user_lookups(path: str) -> list[str]:
    """Search fields that find users by name and address."""
    user_model = get_user_model()
    names = dict.fromkeys([user_model.USERNAME_FIELD, user_model.get_email_field_name()])
    known = {field.name for field in user_model._meta.concrete_fields}
    return [f"{path}{name}" for name in names if name in known]


class ClassFilter(admin.SimpleListFilter):
    """By class. The choices come from the schema: reading them from the table would read all of it."""

    title = "class"
    parameter_name = "class_name"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in sorted(registry.schema.names())]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(class_name=self.value()) if self.value() else queryset


# --- client files and their subscriptions ----------------------------------------------------------------------------


class CurrentStateFilter(admin.SimpleListFilter):
    title = "state of the current subscription set"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        states = [choice for choice in SubscriptionSet.State.choices if choice[0] != SubscriptionSet.State.SUPERSEDED]
        return [*states, ("none", "No subscriptions yet")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "none":
            return queryset.filter(set_state=None)
        return queryset.filter(set_state=self.value()) if self.value() else queryset


class ResetFilter(admin.SimpleListFilter):
    title = "client reset"
    parameter_name = "reset"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("asked", "Asked for"), ("no", "Not asked for")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "asked":
            return queryset.exclude(reset_reason="")
        return queryset.filter(reset_reason="") if self.value() == "no" else queryset


@admin.register(ClientFile)
class ClientFileAdmin(EngineAdmin):
    note = (
        "Client files are made and kept up to date by syncing. To make one start over, choose it in the list "
        "and ask for a client reset. “Behind” counts the changes since the version that a file had when it last "
        "connected."
    )
    list_display = ("ident", "user_", "agent", "seen", "behind", "current_set", "uploaded")
    list_filter = (CurrentStateFilter, ResetFilter, "encoding", "last_seen")
    list_select_related = ("user",)
    ordering = ("-ident",)
    search_help_text = "User, number of the file, or SDK"
    fields = (
        "ident", "user_", "agent", "encoding", "created", "last_seen", "behind", "server_version", "client_version",
        "current_set", "reset_reason",
    )  # fmt: skip
    actions = ("ask_for_reset",)

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        return ["ident__exact", *user_lookups("user__"), "user_agent"]

    def get_queryset(self, request: HttpRequest) -> Any:
        newest = SubscriptionSet.objects.filter(client_file=OuterRef("pk")).order_by("-query_version")
        unseen = Change.objects.filter(version__gt=OuterRef("server_version")).order_by()
        return (
            super()
            .get_queryset(request)
            .annotate(
                changes_behind=CountOf(unseen.values("pk")[: MOST_BEHIND + 1]),
                set_id=Subquery(newest.values("pk")[:1]),
                set_state=Subquery(newest.values("state")[:1]),
                set_size=CountOf(Subscription.objects.filter(subscription_set=OuterRef("set_id")).values("pk")),
            )
        )

    @admin.display(description="user", ordering=f"user__{get_user_model().USERNAME_FIELD}")
    def user_(self, file: ClientFile) -> Any:
        return self.user_link(file.user)

    @admin.display(description="SDK", ordering="user_agent", empty_value=NOTHING)
    def agent(self, file: ClientFile) -> str:
        return file.user_agent or NOTHING

    @admin.display(description="last seen", ordering="last_seen")
    def seen(self, file: ClientFile) -> SafeString:
        return ago(file.last_seen)

    @admin.display(description="behind", ordering="-server_version")
    def behind(self, file: Any) -> str:
        """As of the version that the file named when it last connected: what it got since is not known here."""
        if file.reset_reason:
            return "must start over"
        if not file.server_version:
            return "new"
        if file.changes_behind > MOST_BEHIND:
            return f"{number_format(MOST_BEHIND, force_grouping=True)}+"
        return str(file.changes_behind or "up to date")

    @admin.display(description="uploaded", ordering="client_version")
    def uploaded(self, file: ClientFile) -> int:
        """The client version: the number of the last changeset that is integrated."""
        return file.client_version

    @admin.display(description="subscriptions", ordering="set_state")
    def current_set(self, file: Any) -> Any:
        if file.set_state is None:
            return "none yet"
        return page_of(self.admin_site, SubscriptionSet, file.set_id, f"{file.set_size}, {file.set_state}")

    def links(self, obj: ClientFile) -> list[SafeString]:
        return [
            list_of(self.admin_site, Change, "Its changes in the history", origin=obj.pk),
            list_of(self.admin_site, Change, "What became of its uploads", q=obj.pk, kind__exact=Change.Kind.ADVANCE),
        ]

    def sections(self, obj: ClientFile) -> list[Section]:
        sets = (
            obj.subscription_sets.using(settings.DATABASE).order_by("-query_version").prefetch_related("subscriptions")
        )
        sections = [
            subscriptions_section(
                f"Query version {each.query_version}: {each.state}", each.subscriptions.all(), each.error
            )
            for each in sets
        ]
        for number, views in sorted(obj.views.items(), key=lambda item: -int(item[0])):
            rows = [
                (class_name, format_html("<code>{}</code>", query))
                for class_name, query in sorted(views.items())
                if class_name  # under "" is the digest of its schema, for the server only
            ]
            note = "Its subscriptions and what its user may read, together: the objects that are in its realm."
            sections.append(Section(f"What it holds since bootstrap {number}", ("Class", "Query"), rows, note))
        return sections

    @admin.action(description="Ask for a client reset", permissions=["act"])
    def ask_for_reset(self, request: HttpRequest, queryset: Any) -> TemplateResponse | None:
        reason = request.POST.get("reason", "").strip()[:200] or "An operator asked this file to start over."
        if "confirmed" not in request.POST:
            return self.confirm(
                request,
                queryset,
                "Ask for a client reset",
                "When these client files connect the next time, they are told to start over: the app fetches "
                "everything it subscribes to into a new file, and then uploads what its user had written and not yet "
                "uploaded (unless the app itself chose to discard that). Nothing on the server changes. A file that "
                "is connected now goes on until it reconnects. This cannot be withdrawn here.",
                reason=reason,
            )
        files = list(queryset)
        self.log(request, files, f"Asked for a client reset: {reason}")
        keys = [file.pk for file in files]
        ClientFile.objects.using(settings.DATABASE).filter(pk__in=keys).update(reset_reason=reason)
        self.message_user(request, f"Client files that start over at their next connection: {len(keys)}.")
        return None


def subscriptions_section(title: str, subscriptions: Iterable[Subscription], error: str) -> Section:
    rows = [
        (each.name or NOTHING, each.class_name, format_html("<code>{}</code>", each.query), ago(each.updated_at))
        for each in sorted(subscriptions, key=lambda each: (each.class_name, each.name or "", each.pk))
    ]
    return Section(title, ("Name", "Class", "Query", "Updated"), rows, error)


@admin.register(SubscriptionSet)
class SubscriptionSetAdmin(EngineAdmin):
    note = "Apps write subscriptions, in their code: nothing can be changed here."
    list_display = ("query_version", "file", "state", "size", "problem", "changed")
    list_filter = ("state",)
    list_select_related = ("client_file__user",)
    ordering = ("-pk",)
    search_help_text = "User, or number of the client file"
    fields = ("file", "user_", "query_version", "state", "error", "created", "updated")

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        return ["client_file__ident__exact", *user_lookups("client_file__user__")]

    def get_queryset(self, request: HttpRequest) -> Any:
        members = Subscription.objects.filter(subscription_set=OuterRef("pk"))
        return super().get_queryset(request).annotate(size_=CountOf(members.values("pk")))

    @admin.display(description="client file")
    def file(self, it: SubscriptionSet) -> Any:
        return page_of(self.admin_site, ClientFile, it.client_file_id, it.client_file)

    @admin.display(description="user")
    def user_(self, it: SubscriptionSet) -> Any:
        return self.user_link(it.client_file.user)

    @admin.display(description="subscriptions")
    def size(self, it: Any) -> int:
        return it.size_

    @admin.display(description="error")
    def problem(self, it: SubscriptionSet) -> str:
        return Truncator(it.error).chars(120) or NOTHING

    @admin.display(description="updated", ordering="updated")
    def changed(self, it: SubscriptionSet) -> SafeString:
        return ago(it.updated)

    def sections(self, obj: SubscriptionSet) -> list[Section]:
        return [subscriptions_section("Subscriptions", obj.subscriptions.using(settings.DATABASE).all(), "")]


@admin.register(Subscription)
class SubscriptionAdmin(EngineAdmin):
    note = SubscriptionSetAdmin.note
    list_display = ("label", "class_name", "text", "user_", "set_", "changed")
    list_filter = (ClassFilter, "subscription_set__state")
    list_select_related = ("subscription_set__client_file__user",)
    ordering = ("-pk",)
    search_help_text = "Name, words of the query, user, or number of the client file"
    fields = ("name", "class_name", "query", "user_", "set_", "ident", "created_at", "updated_at")

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        file = "subscription_set__client_file__"
        return ["name", "query", f"{file}ident__exact", *user_lookups(f"{file}user__")]

    @admin.display(description="name", ordering="name")
    def label(self, it: Subscription) -> str:
        return it.name or "unnamed"

    @admin.display(description="query")
    def text(self, it: Subscription) -> SafeString:
        return format_html("<code>{}</code>", Truncator(it.query).chars(200))

    @admin.display(description="user")
    def user_(self, it: Subscription) -> Any:
        return self.user_link(it.subscription_set.client_file.user)

    @admin.display(description="subscription set")
    def set_(self, it: Subscription) -> Any:
        found = it.subscription_set
        text = f"version {found.query_version} of file {found.client_file_id}, {found.state}"
        return page_of(self.admin_site, SubscriptionSet, found.pk, text)

    @admin.display(description="updated", ordering="updated_at")
    def changed(self, it: Subscription) -> SafeString:
        return ago(it.updated_at)


# --- the history -----------------------------------------------------------------------------------------------------


class BoundedPaginator(Paginator):
    """Counts no further than MOST_LISTED."""

    @cached_property
    def count(self) -> int:
        changes: Any = self.object_list
        return changes.values("pk")[:MOST_LISTED].count()


class HistoryList(ChangeList):
    """The newest changes first, each page at the same cost however long the history is.

    Nothing counts or reads the whole table. A list goes through the primary key, REACH rows downwards from `id__lte`,
    or from the newest; if more may follow, it ends with a link to where the next list begins. Only for changes of one
    object it looks at all rows: the index finds those.
    """

    older: str = ""
    """The query string of the list that continues this one, on its last page, if there is one."""
    newest: str = ""
    """The query string of the list that begins with the newest change, unless this one does."""

    @property
    def count_text(self) -> str:
        if self.result_count >= MOST_LISTED:
            return f"The first {number_format(MOST_LISTED, force_grouping=True)} changes"
        name = self.opts.verbose_name if self.result_count == 1 else self.opts.verbose_name_plural
        looked = f" among {number_format(REACH, force_grouping=True)}" if self.older else ""
        return f"{self.result_count} {name}{looked}"

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> Any:
        queryset = super().get_queryset(request, exclude_parameters)
        self._floor = 0
        if not sought_objects(self.query)[1]:
            self._floor = max(self._top() - REACH, 0)
            queryset = queryset.filter(pk__gt=self._floor)
        return queryset

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        self.full_result_count = self.result_count  # or the search field would call MOST_LISTED the number of results
        if "id__lte" in self.filter_params:
            self.newest = self.get_query_string(remove=["id__lte", "p"])
        if self.page_num < self.paginator.num_pages:
            return
        below = self._floor
        if self.result_count >= MOST_LISTED and self.result_list:
            below = self.result_list[-1].pk - 1
        if below and Change.objects.using(settings.DATABASE).filter(pk__lte=below).exists():
            self.older = self.get_query_string({"id__lte": below}, remove=["p"])

    def _top(self) -> int:
        if given := self.filter_params.get("id__lte"):
            try:
                return int(given[-1])
            except ValueError as error:
                raise IncorrectLookupParameters(error) from error
        return Change.objects.using(settings.DATABASE).order_by("-pk").values_list("pk", flat=True).first() or 0


def sought_objects(text: str) -> tuple[list[str], list[str]]:
    """(classes, object ids) that a search means: words that name a class are classes."""
    known = {name.lower(): name for name in registry.schema.names()}
    words = []
    for word in smart_split(text):
        quoted = len(word) > 1 and word[0] in "\"'" and word[0] == word[-1]
        words.append(unescape_string_literal(word) if quoted else word)
    classes = [known[word.lower()] for word in words if word.lower() in known]
    return classes, [word for word in words if word.lower() not in known]


class WrittenFilter(admin.SimpleListFilter):
    """By the change's own time: for uploads that of the user's write, which may be long before it arrived."""

    title = "time of writing"
    parameter_name = "written"
    PERIODS: ClassVar = {
        "hour": ("Past hour", timedelta(hours=1)),
        "day": ("Past 24 hours", timedelta(days=1)),
        "week": ("Past 7 days", timedelta(days=7)),
        "month": ("Past 30 days", timedelta(days=30)),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(value, title) for value, (title, _) in self.PERIODS.items()]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if (value := self.value()) not in self.PERIODS:
            return queryset
        since = timezone.now() - self.PERIODS[value][1]
        return queryset.filter(timestamp__gte=int(since.timestamp() * 1000))


class OriginFilter(admin.SimpleListFilter):
    """By writer: clients, any other writer, or the one client file whose page linked here."""

    title = "origin"
    parameter_name = "origin"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        chosen = self.used_parameters.get(self.parameter_name, "")
        one = [(chosen, f"Client file {chosen}")] if chosen.isdecimal() and chosen != "0" else []
        return [("clients", "Client files"), ("0", "Other writers"), *one]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        if value == "clients":
            return queryset.filter(origin__gt=0)
        if value and value.isdecimal():
            return queryset.filter(origin=int(value))
        return queryset


@admin.register(Change)
class ChangeAdmin(EngineAdmin):
    note = (
        "The history: every change of every synced object, newest first, as the database's triggers wrote it. It "
        "cannot be edited; “manage.py realm_sync prune” removes what is old."
    )
    list_display = ("version", "time", "class_", "object_", "kind", "changed", "origin_")
    list_filter = (ClassFilter, "kind", WrittenFilter, OriginFilter)
    sortable_by = ()
    ordering = ("-pk",)
    search_fields = ("object_id",)
    search_help_text = "A class, the whole id of an object, or both"
    show_facets = admin.ShowFacets.NEVER
    paginator = BoundedPaginator
    list_max_show_all = 0
    fields = ("version", "time", "class_", "object_", "kind", "origin_")

    def get_queryset(self, request: HttpRequest) -> Any:
        # Images can be large: a list reads only those that it names properties of.
        detail = Case(
            When(kind=Change.Kind.UPDATE, then=F("before")),
            When(kind=Change.Kind.ADVANCE, then=F("after")),
            default=Value(None),
            output_field=TextField(),
        )
        return super().get_queryset(request).annotate(detail=detail).defer("before", "after")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return HistoryList

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        found = super().get_changelist_instance(request)
        self.add_links(found.result_list)
        return found

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        found = super().get_object(request, object_id, from_field)
        if found is not None:
            self.add_links([found])
        return found

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        classes, keys = sought_objects(search_term)
        if keys:  # all classes, to use the index, which begins with the class; "" has what became of client files
            queryset = queryset.filter(object_id__in=keys, class_name__in=classes or [*registry.schema.names(), ""])
        elif classes:
            queryset = queryset.filter(class_name__in=classes)
        return queryset, False

    def add_links(self, changes: Sequence[Any]) -> None:
        """Gives each change its `target` and `writer`, as links where there is something to see. One query for all
        client files and one for each class, however many changes."""
        idents = {change.origin for change in changes}
        keys: dict[type[models.Model], set[str]] = defaultdict(set)
        for change in changes:
            if model := _model_of(change):
                keys[model].add(change.object_id)
        idents |= {int(ident) for ident in keys.pop(ClientFile, ()) if ident.isdecimal()}
        files = ClientFile.objects.using(settings.DATABASE).select_related("user").in_bulk(idents - {0})
        found: dict[type[models.Model], Mapping[str, Any]] = {
            model: self._existing(model, texts) for model, texts in keys.items() if self.admin_site.is_registered(model)
        }
        found[ClientFile] = {str(ident): ident for ident in files}
        for change in changes:
            model = _model_of(change)
            key = found.get(model, {}).get(change.object_id) if model else None
            text = f"client file {change.object_id}" if model is ClientFile else change.object_id
            change.target = page_of(self.admin_site, model, key, text) if model and key is not None else text
            file = files.get(change.origin)
            if file is not None:
                change.writer = page_of(self.admin_site, ClientFile, file.pk, file)
            else:
                change.writer = f"file {change.origin}, deleted" if change.origin else "other writer"

    def _existing(self, model: type[models.Model], texts: Iterable[str]) -> Mapping[str, Any]:
        """The keys of those objects that are there, by their text in the history."""
        field = model._meta.pk
        keys = {}
        for text in texts:
            try:
                keys[text] = field.to_python(text)
            except (ValidationError, ValueError):
                continue
        there = set(
            model._base_manager.using(settings.DATABASE).filter(pk__in=keys.values()).values_list("pk", flat=True)
        )
        return {text: key for text, key in keys.items() if key in there}

    @admin.display(description="time")
    def time(self, change: Change) -> Any:
        try:
            moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=change.timestamp)
            return format_html('<span class="nowrap">{}</span>', f"{timezone.localtime(moment):%Y-%m-%d %H:%M:%S}")
        except OverflowError:  # a client whose clock has lost its mind
            return f"{change.timestamp} ms"

    @admin.display(description="class")
    def class_(self, change: Change) -> str:
        return change.class_name or NOTHING

    @admin.display(description="object")
    def object_(self, change: Any) -> Any:
        return change.target

    @admin.display(description="origin")
    def origin_(self, change: Any) -> Any:
        return change.writer

    @admin.display(description="changed")
    def changed(self, change: Any) -> str:
        """The properties that an update wrote, or what an upload came to."""
        if change.kind == Change.Kind.ADVANCE:
            said = decoded(change.detail)
            refused = len(said.get("rejected", ()))
            return f"uploads up to {said.get('clientVersion')}" + (f", refused writes: {refused}" if refused else "")
        if change.kind == Change.Kind.ACCESS:
            return "what the user may see or write"
        return Truncator(", ".join(decoded(change.detail))).chars(120) or NOTHING

    def links(self, obj: Change) -> list[SafeString]:
        links = []
        if obj.class_name:
            sought = f"{obj.class_name} {json.dumps(obj.object_id, ensure_ascii=False)}"
            links.append(list_of(self.admin_site, Change, "All changes of this object", q=sought))
        if obj.origin:
            links.append(list_of(self.admin_site, Change, "All changes of this origin", origin=obj.origin))
        return links

    def sections(self, obj: Change) -> list[Section]:
        if obj.kind == Change.Kind.ACCESS:
            return []
        if obj.kind == Change.Kind.ADVANCE:
            refused = [
                (it["class"], it["_id"], it.get("property") or "all", it["code"], it["reason"])
                for it in decoded(obj.after).get("rejected", ())
            ]
            note = "" if refused else "None: every write of these uploads stands."
            return [Section("Refused writes", ("Class", "Object", "Property", "Code", "Reason"), refused, note)]
        return [before_and_after(obj)]


def _model_of(change: Change) -> type[models.Model] | None:
    """The model whose row a change's object id names."""
    if change.kind == Change.Kind.ADVANCE:
        return ClientFile
    if change.kind == Change.Kind.ACCESS:
        return get_user_model()
    binding = registry.get(change.class_name)
    return binding.model if binding else None


def before_and_after(change: Change) -> Section:
    """Every property with its value on both sides; those that an update wrote are marked."""
    before, after = decoded(change.before), decoded(change.after)
    is_update = change.kind == Change.Kind.UPDATE
    rows = []
    for name in {**after, **before}:
        was = shown_value(before[name] if name in before else after.get(name))
        now = shown_value(after.get(name))
        if change.kind == Change.Kind.INSERT:
            was = NOTHING
        elif change.kind == Change.Kind.DELETE:
            now = NOTHING
        written = is_update and name in before
        mark = format_html("<mark>{}</mark>", now) if written else now
        rows.append((format_html("<strong>{}</strong>", name) if written else name, was, mark))
    note = "What this change wrote is marked." if is_update else ""
    return Section("Before and after", ("Property", "Before", "After"), rows, note)


# --- log-in ----------------------------------------------------------------------------------------------------------


class LoginAdmin(ReadOnlyAdmin):
    """For tables that auth.py keeps where the routers put them, as it does users."""

    list_select_related = ("user",)
    actions = ("revoke",)

    @admin.display(description="user", ordering=f"user__{get_user_model().USERNAME_FIELD}")
    def user_(self, it: Any) -> Any:
        return self.user_link(it.user)

    def revoke_sessions(self, request: HttpRequest, sessions: Any) -> int:
        """Ends those that have not ended yet. Returns how many."""
        ending = list(sessions.filter(revoked=False).select_related("user"))
        self.log(request, ending, "Revoked.")
        UserSession.objects.filter(pk__in=[session.pk for session in ending]).update(revoked=True)
        return len(ending)


class ProviderFilter(admin.SimpleListFilter):
    title = "provider"
    parameter_name = "provider_type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        names = (auth.ANONYMOUS, auth.EMAIL_PASSWORD, auth.API_KEY, auth.CUSTOM_TOKEN, auth.DJANGO_SESSION)
        return [(name, name) for name in names]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(provider_type=self.value()) if self.value() else queryset


class SessionStateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Open"), ("expired", "Expired"), ("revoked", "Revoked")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        now = timezone.now()
        conditions = {
            "open": Q(revoked=False, expires__gt=now),
            "expired": Q(revoked=False, expires__lte=now),
            "revoked": Q(revoked=True),
        }
        return queryset.filter(conditions.get(self.value() or "", Q()))


@admin.register(UserSession)
class UserSessionAdmin(LoginAdmin):
    note = "Log-ins are made by clients. To end some, choose them in the list and revoke them."
    list_display = ("started", "user_", "provider_type", "described", "last_refreshed", "state")
    list_filter = (SessionStateFilter, ProviderFilter)
    ordering = ("-pk",)
    search_help_text = "User, or id of the device"
    fields = ("user_", "provider_type", "state", "described", "device_id", "created", "refreshed", "expires")

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        return [*user_lookups("user__"), "device_id"]

    @admin.display(description="since", ordering="created")
    def started(self, session: UserSession) -> SafeString:
        return ago(session.created)

    @admin.display(description="device")
    def described(self, session: UserSession) -> str:
        device = session.device
        pairs = (("sdk", "sdkVersion"), ("platform", "platformVersion"), ("deviceName", "deviceVersion"))
        parts = (f"{device.get(name, '')} {device.get(version, '')}".strip() for name, version in pairs)
        return ", ".join(part for part in parts if part) or NOTHING

    @admin.display(description="refreshed", ordering="refreshed")
    def last_refreshed(self, session: UserSession) -> SafeString:
        return ago(session.refreshed)

    @admin.display(description="state")
    def state(self, session: UserSession) -> str:
        if session.revoked:
            return "revoked"
        return "open" if session.expires > timezone.now() else "expired"

    @admin.action(description="Revoke", permissions=["act"])
    def revoke(self, request: HttpRequest, queryset: Any) -> TemplateResponse | None:
        if "confirmed" not in request.POST:
            return self.confirm(
                request,
                queryset,
                "Revoke log-ins",
                "These devices are logged out: connections end within seconds, and the app has to log in again. Writes "
                "that it has not uploaded yet wait on the device until then.",
            )
        ended = self.revoke_sessions(request, queryset)
        self.message_user(request, f"Log-ins ended: {ended}.")
        return None


@admin.register(ApiKey)
class ApiKeyAdmin(LoginAdmin):
    note = "Users make API keys in their apps. To stop some for good, choose them in the list and revoke them."
    list_display = ("name", "user_", "created", "disabled")
    list_filter = ("disabled",)
    ordering = ("-created", "-pk")
    search_help_text = "User, or name of the key"
    fields = ("id", "name", "user_", "disabled", "created")

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        return [*user_lookups("user__"), "name"]

    @admin.action(description="Revoke", permissions=["act"])
    def revoke(self, request: HttpRequest, queryset: Any) -> TemplateResponse | None:
        if "confirmed" not in request.POST:
            return self.confirm(
                request,
                queryset,
                "Revoke API keys",
                "Nobody can log in with these keys any more, and every log-in made with them ends within seconds. "
                "Their users can enable them again; to prevent that, deactivate the user.",
            )
        keys = list(queryset)
        self.log(request, keys, "Revoked.")
        for key in keys:
            auth.set_api_key_disabled(key.user, key.pk, True)
        self.message_user(request, f"API keys disabled: {len(keys)}.")
        return None


@admin.register(Identity)
class IdentityAdmin(LoginAdmin):
    note = (
        "The ways in which users have logged in, written by logging in. To end the log-ins there are, choose "
        "identities in the list and revoke; to keep somebody out, deactivate the user."
    )
    list_display = ("subject", "provider_type", "user_", "created")
    list_filter = (ProviderFilter,)
    ordering = ("-pk",)
    search_help_text = "User, or the provider's name for them"
    fields = ("user_", "provider_type", "subject", "created")

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        return ["subject", *user_lookups("user__")]

    @admin.action(description="Revoke all log-ins", permissions=["act"])
    def revoke(self, request: HttpRequest, queryset: Any) -> TemplateResponse | None:
        if "confirmed" not in request.POST:
            return self.confirm(
                request,
                queryset,
                "Revoke all log-ins of identities",
                "Every log-in that was made in these ways ends within seconds, on every device. The users may log in "
                "again; to prevent that, deactivate them.",
            )
        ways = Q(pk__in=())
        for user_pk, provider in set(queryset.values_list("user", "provider_type")):
            ways |= Q(user=user_pk, provider_type=provider)
        ended = self.revoke_sessions(request, UserSession.objects.filter(ways))
        self.message_user(request, f"Log-ins ended: {ended}.")
        return None
