"""Model fields for the Realm types that Django has no field for.

    scalars.py       ObjectIdField, Decimal128Field, Float32Field
    counters.py      CounterField
    collections.py   ListField, SetField, DictionaryField, and Link, which they hold
    embedded.py      EmbeddedField and EmbeddedObject
    mixed.py         MixedField
    columns.py       JSONColumn, which those of the last three files are
    types.py         which Realm type a field is, and its values on the wire
    lookups.py       queries of parts: contains, len, paths
    errors.py        which part of a value is wrong
    forms.py         form fields of values with parts, and their widgets.py

What apps import: `from realm_sync.fields import ListField`. Knows nothing of classes, queries or triggers: registry.py
maps fields to properties, capture/ turns columns into wire images, core/values.py owns the values.
"""

from __future__ import annotations

from .collections import CollectionField, DictionaryField, Link, ListField, SetField
from .columns import JSONColumn
from .counters import Counter, CounterField
from .embedded import EmbeddedField, EmbeddedObject
from .mixed import MixedField, plain_json
from .scalars import Decimal128Field, Float32Field, ObjectIdField, ObjectIdSerializer, new_object_id
from .types import LONGEST_KEY, from_wire, is_array, realm_type, to_wire

__all__ = [
    "CollectionField",
    "Counter",
    "CounterField",
    "Decimal128Field",
    "DictionaryField",
    "EmbeddedField",
    "EmbeddedObject",
    "Float32Field",
    "JSONColumn",
    "LONGEST_KEY",
    "Link",
    "ListField",
    "MixedField",
    "ObjectIdField",
    "ObjectIdSerializer",
    "SetField",
    "from_wire",
    "is_array",
    "new_object_id",
    "plain_json",
    "realm_type",
    "to_wire",
]

for _value in [globals()[name] for name in __all__]:
    if callable(_value):  # migrations name them by the package, whatever file they move to
        _value.__module__ = __name__
