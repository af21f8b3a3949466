"""The registry: which Django models sync, as which classes, with which properties, and who may see and write them.

Decides the Realm type of every Django field, and so the server's schema. Knows neither SQL, users nor sessions: it
holds the access rules that apps declare, access.py applies them. Apps use it through `realm_sync.sync`; capture/ and
the engine read `registry`. A declaration that cannot sync is left out of the schema, and checks.py says why.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, cast
from uuid import uuid4

import msgspec
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.db.models.base import ModelBase
from django.db.models.signals import class_prepared

from .core.schema import INDEXABLE, KEY_TYPES, PRIMARY_KEY, ObjectSchema, Property, Schema
from .fields import CollectionField, CounterField, EmbeddedField, EmbeddedObject, Link, is_array, realm_type
from .schema_models import embedded_of_schema, fields_of_schema


def refusal(field: Any) -> str | None:
    """Why a field of a model cannot be a property, as the end of a sentence that begins with the field; else None."""
    if isinstance(field, models.ManyToManyField):
        return _refused_set(field)
    # Told by what they have, for importing them needs the app of content types.
    if hasattr(field, "ct_field"):
        return f"is a {type(field).__name__}, which leads to objects of any class; a link leads to those of one"
    if hasattr(field, "content_type_field_name"):
        return f"is a {type(field).__name__}, the other end of links that are not of one class"
    if field.name == PRIMARY_KEY and not field.primary_key:
        return f"is called {PRIMARY_KEY}, which is the name of the primary key on the wire"
    if isinstance(field, models.ForeignKey) and not field.target_field.primary_key:
        return f"refers to '{field.target_field.name}' of {field.related_model.__name__}, not to its primary key"
    if isinstance(field, models.JSONField) and realm_type(field) is None:
        return f"is a {type(field).__name__}, a JSONField of its own: only its code understands its values"
    if is_array(field) and realm_type(field) is None:
        return "is an ArrayField of something else than plain values"
    if realm_type(field) is None and hasattr(field, "from_db_value"):
        return f"is a {type(field).__name__}: only its code understands its values, and the database builds images"
    if realm_type(field) is None:
        return f"is a {type(field).__name__}, which has no type in Realm"
    return None


def _refused_set(field: models.ManyToManyField[Any, Any]) -> str | None:
    """Why a ManyToManyField is no set of links."""
    through = cast(Any, field.remote_field).through
    if not through._meta.auto_created:
        return (
            f"is a ManyToManyField through {through.__name__}, whose rows hold more than the link; "
            f"let {through.__name__} sync as a class of its own"
        )
    if cast(Any, field.remote_field).symmetrical:
        return "is a symmetrical ManyToManyField: one link is two rows, which change two objects at once"
    target = cast(type[models.Model], field.related_model)
    if realm_type(target._meta.pk) is None:
        return f"links to {target.__name__}, whose key cannot sync"
    return None


def every_field(model: type[models.Model]) -> list[Any]:
    """The fields that a declaration may name: those with a column, sets of links, and generic relations."""
    return [*model._meta.concrete_fields, *model._meta.many_to_many, *model._meta.private_fields]


ClassOf = Callable[[type[models.Model]], "ModelSync | None"]
"""Which class of the schema a model is, if it syncs."""


class ModelSync:
    """How one model syncs. Subclass it, set options, override the two access rules, and `@sync.register` it.

    An instance binds the model to its class of the schema; the registry makes exactly one and keeps it.
    """

    OPTIONS: ClassVar = (
        "class_name", "fields", "exclude", "read_only_fields", "read_only", "asymmetric", "readable_by", "writable_by",
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
    asymmetric: bool = False
    """Clients only create objects of this class, and never see one (measurements, logs): upload only."""

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
        """Wire property name → concrete field, in the schema's order. A ForeignKey goes by its field's name.

        ManyToManyFields have no column, and are in `sets_by_name`.
        """
        wanted = {field.name for field in self.chosen_fields if refusal(field) is None}
        concrete = [field for field in self.model._meta.concrete_fields if field.name in wanted]
        return {PRIMARY_KEY: self.primary_key} | {field.name: field for field in concrete if not field.primary_key}

    @cached_property
    def sets_by_name(self) -> dict[str, models.ManyToManyField[Any, Any]]:
        """Wire property name → ManyToManyField that is a set of links; they come last in the schema."""
        return {f.name: f for f in self.chosen_fields if f.many_to_many and refusal(f) is None}

    @property
    def chosen_fields(self) -> list[Any]:
        """The fields that the options select, whether they can sync or not; the primary key is always one."""
        return [
            field
            for field in every_field(self.model)
            if getattr(field, "primary_key", False)
            or ((self.fields is None or field.name in self.fields) and field.name not in self.exclude)
        ]

    def is_read_only(self, field: Any) -> bool:
        """Whether clients never write this field: the options say so, or the server computes it."""
        automatic = (
            getattr(field, "generated", False)
            or getattr(field, "auto_now", False)
            or getattr(field, "auto_now_add", False)
        )
        # A file is put there by the server: clients have its name, not its content.
        return bool(automatic) or isinstance(field, models.FileField) or field.name in self.read_only_fields

    def can_sync(self) -> bool:
        """Whether the class can be in the schema: its key can be one on the wire, and its rows are in one table."""
        return realm_type(self.primary_key) in KEY_TYPES and not self.model._meta.parents

    def build_schema(self, class_of: ClassOf) -> ObjectSchema:
        """The class; `class_of` tells which models sync, and so which foreign keys are links."""
        fields: dict[str, Any] = self.fields_by_name | self.sets_by_name
        return ObjectSchema(
            name=self.class_name,
            properties={name: self._property(field, class_of) for name, field in fields.items()},
            read_only=self.read_only,
            asymmetric=self.asymmetric,
        )

    def _property(self, field: Any, class_of: ClassOf) -> Property:
        shape = _shape(field, class_of)
        if shape is not None:
            read_only = self.is_read_only(field)
            return msgspec.structs.replace(shape, read_only=read_only, has_default=_has_default(field))
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


def _shape(field: Any, class_of: ClassOf) -> Property | None:
    """The property of a field that is more than a scalar or a link of its own; None for those."""
    kind = realm_type(field)
    if isinstance(field, models.GeneratedField):
        return _shape(field.output_field, class_of)
    if isinstance(field, models.ManyToManyField):
        element = _link(cast(type[models.Model], field.related_model), class_of)
        return Property(type="set", object_type=element.object_type or element.type)
    if kind == "mixed":
        return Property(type="mixed", optional=True)
    if isinstance(field, EmbeddedField):
        return Property(type="object", object_type=field.embedded.wire_name(), optional=True)
    if isinstance(field, CounterField):
        return Property(type="int", optional=field.null, presentation="counter")
    if kind in ("list", "set", "dictionary"):
        base = field.base_field if is_array(field) else field.base
        element = part_property(base, class_of)
        # Elements that are links or embedded are null in dictionaries only, where they always may be; mixed ones always.
        optional = kind == "dictionary" if element.type == "object" else element.optional
        return Property(type=kind, object_type=element.object_type or element.type, optional=optional)
    return None


def part_property(field: Any, class_of: ClassOf) -> Property:
    """The property of a field of an embedded class, or of the elements of a collection."""
    shape = _shape(field, class_of)
    if shape is not None:
        return msgspec.structs.replace(shape, has_default=_has_default(field))
    if isinstance(field, Link):
        link = _link(field.target, class_of)
        return link if link.type == "object" else msgspec.structs.replace(link, optional=field.null)
    return Property(
        type=cast(str, realm_type(field)),
        optional=field.null,
        has_default=_has_default(field),
        max_length=field.max_length if isinstance(field, models.CharField) else None,
    )


def _link(model: type[models.Model], class_of: ClassOf) -> Property:
    """A link to a model, or its key's type if it does not sync."""
    target = class_of(model)
    if target is None:
        return Property(type=cast(str, realm_type(model._meta.pk)))
    return Property(type="object", object_type=target.class_name, optional=True)


def embedded_classes(fields: Iterable[Any]) -> Iterator[type[EmbeddedObject]]:
    """The embedded classes that these fields hold, inner ones first, a class as often as it is held."""
    for field in fields:
        if isinstance(field, EmbeddedField):
            yield from embedded_classes(field.embedded.fields.values())
            yield field.embedded
        elif isinstance(field, CollectionField):
            yield from embedded_classes([field.base])


def _has_default(field: Any) -> bool:
    """Whether a new object gets a value for the field without anyone giving one."""
    if field.many_to_many:
        return True
    computed = field.generated or getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False)
    computed = computed or isinstance(field, models.FileField)
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
                found = by_model.get(cast(type[models.Model], model._meta.concrete_model))
                # Nothing links to what nobody can read: there the key is a value like any other.
                return None if found is None or found.asymmetric else found

            ordered = _in_dependency_order(list(usable.values()), class_of)
            embedded: dict[str, type[EmbeddedObject]] = {}
            for binding in ordered:
                for cls in embedded_classes(binding.fields_by_name.values()):
                    if cls.wire_name() not in usable:  # else checks.py says so
                        embedded.setdefault(cls.wire_name(), cls)
            schema = Schema(
                [
                    *(_embedded_schema(name, cls, class_of) for name, cls in embedded.items()),
                    *(binding.build_schema(class_of) for binding in ordered),
                ]
            )
            self._derived = {binding.class_name: binding for binding in ordered}, schema
        return self._derived


def _embedded_schema(name: str, cls: type[EmbeddedObject], class_of: ClassOf) -> ObjectSchema:
    properties = {name: part_property(field, class_of) for name, field in cls.fields.items()}
    return ObjectSchema(name=name, properties=properties, embedded=True)


def _in_dependency_order(bindings: list[ModelSync], class_of: ClassOf) -> list[ModelSync]:
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
        cls,
        declaration: Mapping[str, Any],
        *,
        app_label: str,
        sync: Mapping[str, Any] | type | None = None,
        embedded: Iterable[type[EmbeddedObject]] = (),
    ) -> Any:
        """The model of a Realm object schema; call it in the app's models.py, so that makemigrations sees the result.
        Of an embedded class it is an EmbeddedObject.

        Links refer to models of the same app by name, also to ones that are declared later; `embedded` has the embedded
        classes that properties name. `sync` has the options of `class Sync`, as a class or a dict. Raises SchemaError
        for what cannot be a model.
        """
        module = sys._getframe(1).f_globals["__name__"]
        known = {each.wire_name(): each for each in embedded}
        if declaration.get("embedded"):
            made = embedded_of_schema(declaration, app_label, known)
            made.__module__ = module
            return made
        namespace: dict[str, Any] = dict(fields_of_schema(declaration, app_label, known))
        if declaration.get("asymmetric"):
            base = type("Sync", (), dict(sync)) if isinstance(sync, Mapping) else sync
            sync = type("Sync", (base,) if base else (), {"asymmetric": True})
        if sync is not None:
            namespace["Sync"] = type("Sync", (), dict(sync)) if isinstance(sync, Mapping) else sync
        namespace["Meta"] = type("Meta", (), {"app_label": app_label})
        namespace["__module__"] = module
        return SyncedModelBase(declaration["name"], (cls,), namespace)


def _register_synced_model(sender: type[models.Model], **kwargs: Any) -> None:
    # Models of migrations and of isolated app registries are prepared too, and are none of ours; nor are proxies.
    if not issubclass(sender, SyncedModel) or sender._meta.apps is not apps or sender._meta.proxy:
        return
    options = getattr(sender, "Sync", None)
    bases = (ModelSync,) if options is None else (options,) if issubclass(options, ModelSync) else (options, ModelSync)
    registry.register(sender, type(f"{sender.__name__}Sync", bases, {"__module__": sender.__module__}))


class_prepared.connect(_register_synced_model)
