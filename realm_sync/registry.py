"""The registry: which Django models sync, as which classes, with which properties, and who may see and write them.

Decides the Realm type of every Django field, and so the server's schema. Knows neither SQL, users nor sessions: it
holds the access rules that apps declare, access.py applies them. Apps use it through `realm_sync.sync`; capture/ and
the engine read `registry`. A declaration that cannot sync is left out of the schema, and checks.py says why.
"""

from __future__ import annotations

import keyword
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, cast
from uuid import uuid4

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import models
from django.db.models.base import ModelBase
from django.db.models.signals import class_prepared

from .core.declarations import parse_class
from .core.errors import SchemaError
from .core.schema import INDEXABLE, KEY_TYPES, PRIMARY_KEY, ObjectSchema, Property, Schema, type_text
from .fields import Decimal128Field, Float32Field, ObjectIdField, new_object_id

LONGEST_KEY = 255
"""Longest string key in characters: what the history's `object_id` column holds."""

_TYPES: tuple[tuple[type[models.Field], str], ...] = (
    (models.BooleanField, "bool"),
    (models.IntegerField, "int"),
    (models.FloatField, "double"),
    (models.DecimalField, "decimal128"),
    (models.CharField, "string"),
    (models.TextField, "string"),
    (models.GenericIPAddressField, "string"),
    (models.BinaryField, "data"),
    (models.DateField, "date"),
    (models.UUIDField, "uuid"),
)
"""Django's fields and what they are in Realm; subclasses included (a DateTimeField is a DateField)."""
_OWN_TYPES: tuple[tuple[type[models.Field], str], ...] = (
    (ObjectIdField, "objectId"),
    (Decimal128Field, "decimal128"),
    (Float32Field, "float"),
)


def realm_type(field: Any) -> str | None:
    """The scalar Realm type of a concrete field's column, or None if it cannot sync; a ForeignKey's is its target's."""
    if isinstance(field, models.ForeignKey):
        return realm_type(field.target_field)
    if isinstance(field, models.GeneratedField):
        return realm_type(field.output_field)
    for kind, name in _OWN_TYPES:
        if isinstance(field, kind):
            return name
    if hasattr(field, "from_db_value"):
        # Its Python value is not what the column holds (an encrypted text, say), and the database builds images (R12).
        return None
    return next((name for kind, name in _TYPES if isinstance(field, kind)), None)


def refusal(field: Any) -> str | None:
    """Why a field of a model cannot be a property, as the end of a sentence that begins with the field; else None."""
    if isinstance(field, models.ManyToManyField):
        return "is a ManyToManyField, which does not sync yet"
    if field.name == PRIMARY_KEY and not field.primary_key:
        return f"is called {PRIMARY_KEY}, which is the name of the primary key on the wire"
    if isinstance(field, models.ForeignKey) and not field.target_field.primary_key:
        return f"refers to '{field.target_field.name}' of {field.related_model.__name__}, not to its primary key"
    if realm_type(field) is None:
        return f"is a {type(field).__name__}, which does not sync yet"
    return None


class ModelSync:
    """How one model syncs. Subclass it, set options, override the two access rules, and `@sync.register` it.

    An instance binds the model to its class of the schema; the registry makes exactly one and keeps it.
    """

    OPTIONS: ClassVar = (
        "class_name", "fields", "exclude", "read_only_fields", "read_only", "readable_by", "writable_by",
    )  # fmt: skip
    """What a subclass or an inner `class Sync` may set."""

    class_name: str = ""
    """The name of the class on the wire; the model's name if not set."""
    fields: Sequence[str] | None = None
    """Names of the fields that sync, besides the primary key; None for every one that can."""
    exclude: Sequence[str] = ()
    """Names of fields that do not sync."""
    read_only_fields: Sequence[str] = ()
    """Names of fields that clients see and never write. Automatic and generated fields are so anyway."""
    read_only: bool = False
    """Clients never create, change or delete objects of this class."""

    def __init__(self, model: type[models.Model], registry: Registry) -> None:
        self.model = model
        self.registry = registry
        self.class_name = type(self).class_name or model.__name__

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.model._meta.label} as {self.class_name}>"

    def readable_by(self, user: Any) -> models.Q | bool:
        """Which objects the user may see: a Q over fields that sync, True for all, False (the default) for none.

        It cannot follow relations: look up the keys first, as in `Q(team__in=user.teams.all())`. When what was looked
        up changes, say so with `sync.access_changed(user)`.
        """
        return False

    def writable_by(self, user: Any) -> models.Q | bool:
        """Which objects the user may create, change and delete, told as in `readable_by`.

        An object must match before and after the write. What cannot be seen cannot be written.
        """
        return False

    @property
    def primary_key(self) -> models.Field:
        return cast(models.Field, self.model._meta.pk)

    @property
    def schema(self) -> ObjectSchema:
        """The class as clients see it: `_id` first, then the fields in the model's order."""
        return self.registry.schema[self.class_name]

    @cached_property
    def fields_by_name(self) -> dict[str, models.Field]:
        """Wire property name → concrete field, in the schema's order. A ForeignKey goes by its field's name."""
        wanted = {field.name for field in self.chosen_fields if refusal(field) is None}
        concrete = [field for field in self.model._meta.concrete_fields if field.name in wanted]
        return {PRIMARY_KEY: self.primary_key} | {field.name: field for field in concrete if not field.primary_key}

    @property
    def chosen_fields(self) -> list[Any]:
        """The fields that the options select, whether they can sync or not; the primary key is always one."""
        every = [*self.model._meta.concrete_fields, *self.model._meta.many_to_many]
        return [
            field
            for field in every
            if field.primary_key
            or ((self.fields is None or field.name in self.fields) and field.name not in self.exclude)
        ]

    def is_read_only(self, field: Any) -> bool:
        """Whether clients never write this field: the options say so, or the server computes it."""
        automatic = field.generated or getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False)
        return bool(automatic) or field.name in self.read_only_fields

    def can_sync(self) -> bool:
        """Whether the class can be in the schema: its key can be one on the wire, and its rows are in one table."""
        return realm_type(self.primary_key) in KEY_TYPES and not self.model._meta.parents

    def build_schema(self, class_of: Callable[[type[models.Model]], ModelSync | None]) -> ObjectSchema:
        """The class; `class_of` tells which models sync, and so which foreign keys are links."""
        return ObjectSchema(
            name=self.class_name,
            properties={name: self._property(field, class_of) for name, field in self.fields_by_name.items()},
            read_only=self.read_only,
        )

    def _property(self, field: Any, class_of: Callable[[type[models.Model]], ModelSync | None]) -> Property:
        kind = cast(str, realm_type(field))
        if field.primary_key:
            length = field.max_length if kind == "string" else None
            return Property(type=kind, indexed=True, max_length=length)
        indexed, read_only = bool(field.db_index or field.unique), self.is_read_only(field)
        if isinstance(field, models.ForeignKey):
            target = class_of(cast(type[models.Model], field.related_model))
            if target is not None:
                return Property(
                    type="object",
                    object_type=target.class_name,
                    optional=True,  # a link always is, in Realm; null for a column without null is refused at upload
                    indexed=indexed,
                    read_only=read_only,
                    has_default=_has_default(field),
                )
        return Property(
            type=kind,
            optional=field.null,
            indexed=indexed and kind in INDEXABLE,
            read_only=read_only,
            has_default=_has_default(field),
            max_length=field.max_length if isinstance(field, models.CharField) else None,
        )


def _has_default(field: Any) -> bool:
    """Whether a new object gets a value for the field without anyone giving one."""
    computed = field.generated or getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False)
    blank_text = isinstance(field, (models.CharField, models.TextField)) and field.blank and not field.null
    return bool(computed or blank_text or field.has_default() or field.has_db_default())


class Registry:
    """The models that sync. Reading it needs loaded models; registering another one drops what was derived."""

    def __init__(self) -> None:
        self._registered: dict[type[models.Model], ModelSync] = {}
        self._derived: tuple[dict[str, ModelSync], Schema] | None = None

    def register(self, model: type[models.Model], sync_class: type[ModelSync]) -> ModelSync:
        """Binds the model. ImproperlyConfigured for a model that can never sync, or that already does."""
        if not (isinstance(model, type) and issubclass(model, models.Model)):
            raise ImproperlyConfigured(f"{model!r} is not a model; register one: @sync.register(Inspection).")
        if not issubclass(sync_class, ModelSync):
            raise ImproperlyConfigured(
                f"{sync_class.__name__} must be a ModelSync: class {sync_class.__name__}(sync.ModelSync)."
            )
        if model._meta.abstract or model._meta.proxy:
            kind = "abstract" if model._meta.abstract else "a proxy"
            raise ImproperlyConfigured(f"{model.__name__} is {kind} and has no table; register the model that has one.")
        if getattr(model._meta, "is_composite_pk", False) or not hasattr(model._meta.pk, "get_internal_type"):
            raise ImproperlyConfigured(
                f"{model.__name__} has a composite primary key; a synced object is named by one value."
            )
        if model in self._registered:
            raise ImproperlyConfigured(
                f"{model.__name__} syncs already, as {self._registered[model]!r}; "
                "set its options there, or sync.unregister() the model first."
            )
        self._registered[model] = sync_class(model, self)
        self._derived = None
        return self._registered[model]

    def unregister(self, model: type[models.Model]) -> None:
        """Forgets the model. Its triggers stay until the next migrate. KeyError if it was not registered."""
        del self._registered[model]
        self._derived = None

    def __iter__(self) -> Iterator[ModelSync]:
        """In dependency order: targets of links before the classes that link to them, where no cycle forbids it."""
        return iter(self._derive()[0].values())

    def __len__(self) -> int:
        return len(self._derive()[0])

    def __contains__(self, class_name: object) -> bool:
        return class_name in self._derive()[0]

    def get(self, class_name: str) -> ModelSync | None:
        return self._derive()[0].get(class_name)

    def for_model(self, model: type[models.Model]) -> ModelSync | None:
        """The binding of a model, a proxy's being that of its concrete model; None if it does not sync."""
        found = self._registered.get(cast(type[models.Model], model._meta.concrete_model))
        return found if found is not None and self.get(found.class_name) is found else None

    @property
    def schema(self) -> Schema:
        return self._derive()[1]

    @property
    def registered(self) -> list[ModelSync]:
        """Every binding in order of registration, also those that the schema leaves out: for checks.py."""
        return list(self._registered.values())

    def _derive(self) -> tuple[dict[str, ModelSync], Schema]:
        if self._derived is None:
            apps.check_models_ready()
            usable: dict[str, ModelSync] = {}
            for binding in self._registered.values():
                if binding.can_sync():
                    usable.setdefault(binding.class_name, binding)
            by_model = {binding.model: binding for binding in usable.values()}

            def class_of(model: type[models.Model]) -> ModelSync | None:
                return by_model.get(cast(type[models.Model], model._meta.concrete_model))

            ordered = _in_dependency_order(list(usable.values()), class_of)
            schema = Schema(binding.build_schema(class_of) for binding in ordered)
            self._derived = {binding.class_name: binding for binding in ordered}, schema
        return self._derived


def _in_dependency_order(
    bindings: list[ModelSync], class_of: Callable[[type[models.Model]], ModelSync | None]
) -> list[ModelSync]:
    ordered: dict[str, ModelSync] = {}
    entered: set[str] = set()

    def visit(binding: ModelSync) -> None:
        if binding.class_name in entered:
            return
        entered.add(binding.class_name)
        for field in binding.fields_by_name.values():
            target = class_of(field.related_model) if isinstance(field, models.ForeignKey) else None  # type: ignore[arg-type]
            if target is not None:
                visit(target)
        ordered[binding.class_name] = binding

    for binding in bindings:
        visit(binding)
    return list(ordered.values())


registry = Registry()
"""The registry of this process; filled by every app's models.py and sync.py."""


class SyncedModelBase(ModelBase):
    """Lets a synced model declare its own primary key, under any name, in place of the inherited `id`."""

    def __new__(mcs, name: str, bases: tuple[type, ...], attrs: dict[str, Any], **kwargs: Any) -> Any:
        if any(isinstance(value, models.Field) and value.primary_key for value in attrs.values()):
            attrs.setdefault("id", None)  # how Django lets a class drop a field of its abstract base
        return super().__new__(mcs, name, bases, attrs, **kwargs)


class SyncedModel(models.Model, metaclass=SyncedModelBase):
    """A model that syncs from the start: a UUID key that clients can make, and registered as soon as it is defined.

    An inner `class Sync` carries the options and the access rules of ModelSync.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)

    class Meta:
        abstract = True

    @classmethod
    def from_schema(
        cls, declaration: Mapping[str, Any], *, app_label: str, sync: Mapping[str, Any] | type | None = None
    ) -> type[SyncedModel]:
        """The model of a Realm object schema; call it in the app's models.py, so that makemigrations sees the result.

        Links refer to models of the same app by name, also to ones that are declared later. `sync` has the options
        of `class Sync`, as a class or a dict. Raises SchemaError for what cannot be a model.
        """
        namespace: dict[str, Any] = fields_of_schema(declaration, app_label)
        if sync is not None:
            namespace["Sync"] = type("Sync", (), dict(sync)) if isinstance(sync, Mapping) else sync
        namespace["Meta"] = type("Meta", (), {"app_label": app_label})
        namespace["__module__"] = sys._getframe(1).f_globals["__name__"]
        return cast(type[SyncedModel], SyncedModelBase(declaration["name"], (cls,), namespace))


def _register_synced_model(sender: type[models.Model], **kwargs: Any) -> None:
    # Models of migrations and of isolated app registries are prepared too, and are none of ours; nor are proxies.
    if not issubclass(sender, SyncedModel) or sender._meta.apps is not apps or sender._meta.proxy:
        return
    options = getattr(sender, "Sync", None)
    bases = (ModelSync,) if options is None else (options,) if issubclass(options, ModelSync) else (options, ModelSync)
    registry.register(sender, type(f"{sender.__name__}Sync", bases, {"__module__": sender.__module__}))


class_prepared.connect(_register_synced_model)


_FIELDS: dict[str, Callable[..., models.Field]] = {
    "bool": models.BooleanField,
    "int": models.BigIntegerField,
    "float": Float32Field,
    "double": models.FloatField,
    "decimal128": Decimal128Field,
    "string": models.TextField,
    "data": models.BinaryField,
    "date": models.DateTimeField,
    "objectId": ObjectIdField,
    "uuid": models.UUIDField,
}
"""The Django field of each Realm type, for models that are made from a schema."""


def fields_of_schema(declaration: Mapping[str, Any], app_label: str | None = None) -> dict[str, models.Field]:
    """The model fields of a Realm object schema by name, for a SyncedModel: its primary key is called `id`.

    With `app_label` links name their target `app_label.Class`, as a model that is made anywhere needs it; else `Class`.
    Raises SchemaError for what cannot be a model.
    """
    stored = _with_stored_names(declaration)
    cls = parse_class(stored)
    if not _is_name(cls.name):
        raise SchemaError(cls.name, "is not a name that a model can have.", "Use letters, digits and underscores.")
    fields: dict[str, models.Field] = {}
    for name, prop in cls.properties.items():
        where = f"{cls.name}.{name}"
        if name == PRIMARY_KEY:
            if prop.type != "uuid":  # which a SyncedModel has anyway
                fields["id"] = _key_field(prop)
        elif not _is_name(name) or name.endswith("_") or "__" in name or hasattr(models.Model, name) or name == "id":
            raise SchemaError(where, "is not a name that a model field can have.", "Choose another one with 'mapTo'.")
        else:
            given = stored["properties"][name]
            default = given.get("default", models.NOT_PROVIDED) if isinstance(given, Mapping) else models.NOT_PROVIDED
            fields[name] = _field(where, prop, default, app_label)
    return fields


def _with_stored_names(declaration: Mapping[str, Any]) -> dict[str, Any]:
    """The declaration under the names that sync: `mapTo` where a property has one."""
    properties = declaration.get("properties")
    if not isinstance(properties, Mapping):
        return dict(declaration)
    names = {
        name: given.get("mapTo", name) if isinstance(given, Mapping) else name for name, given in properties.items()
    }
    renamed = {names[name]: given for name, given in properties.items()}
    if len(renamed) < len(names):
        raise SchemaError(str(declaration.get("name")), "two of its properties have the same name once mapped.")
    key = declaration.get("primaryKey", PRIMARY_KEY)
    return {**declaration, "properties": renamed, "primaryKey": names.get(key, key)}


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)


def _key_field(prop: Property) -> models.Field:
    if prop.type == "string":
        return models.CharField(primary_key=True, max_length=LONGEST_KEY)
    if prop.type == "objectId":
        return ObjectIdField(primary_key=True, default=new_object_id, editable=False)
    return models.BigIntegerField(primary_key=True)


def _field(where: str, prop: Property, default: Any, app_label: str | None) -> models.Field:
    if prop.type == "object":
        target = f"{app_label}.{prop.object_type}" if app_label else str(prop.object_type)
        return models.ForeignKey(target, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    if prop.type not in _FIELDS:
        raise SchemaError(where, f"the type '{type_text(prop)}' does not sync yet.")
    options: dict[str, Any] = {"db_index": True} if prop.indexed else {}
    if prop.optional:
        options |= {"null": True, "blank": True}
    elif prop.type in ("string", "data"):
        options["blank"] = True  # in Realm an empty string is a value like any other
    field = _FIELDS[prop.type](**options)
    if default is not models.NOT_PROVIDED and default is not None:
        try:
            options["default"] = default if callable(default) else field.to_python(default)
        except ValidationError as error:
            raise SchemaError(where, f"has a default that does not fit: {' '.join(error.messages)}") from error
        field = _FIELDS[prop.type](**options)
    return field
