"""Rules of App Services as Python text: `{"owner_id": "%%user.id"}` becomes `Q(owner_id=user_id(user))`.

Decides what a rule means here, and that whatever has no exact counterpart raises `Untranslatable`: a rule that is
guessed lets people see what they must not. Knows no files; sync_text.py writes the module that these texts stand in, with
the functions they use:

    user_id(user)   custom(user, "a", "b")   listed(value)   matches(value, expected)   when(condition)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from realm_sync.core import ejson
from realm_sync.core.errors import ValueTypeError
from realm_sync.core.values import ObjectId


class Untranslatable(Exception):
    """The rule, or a part of it, has no counterpart; the text says which."""


class Text(NamedTuple):
    """A condition as Python."""

    text: str
    of_user: bool = False
    """It depends on the user alone, and is a bool; else it is a Q."""


Condition = Text | bool

_COMPARISONS = {"$gt": "gt", "$gte": "gte", "$lt": "lt", "$lte": "lte"}
_CONVERSIONS = ("%stringToOid", "%stringToUuid", "%oidToString", "%uuidToString")
"""Their values compare as they are: a Q converts what it is given to the field's type."""


class Rules:
    """Translates the rules of one class.

    `kinds`: what can be asked of each property, as in exported_app.Collection; `embedded`: the properties of embedded
    classes, `values`: those of the app; `partition`: the property that `%%partition` is.
    """

    def __init__(
        self,
        kinds: Mapping[str, str],
        embedded: Mapping[str, Iterable[str]],
        values: Mapping[str, Any],
        partition: str | None = None,
    ) -> None:
        self.kinds, self.embedded, self.values, self.partition = kinds, embedded, values, partition

    def filter(self, rule: Any) -> str:
        """A rule about documents, as an expression that is a Q, True or False."""
        return _as_filter(self.condition(rule))

    def of_user(self, rule: Any) -> str:
        """A rule about the user alone, as a Python condition."""
        condition = self.condition(rule)
        if isinstance(condition, bool):
            return str(condition)
        if not condition.of_user:
            raise Untranslatable("it looks at documents")
        return _bare(condition.text)

    def condition(self, rule: Any) -> Condition:
        if isinstance(rule, bool):
            return rule
        if rule in ("%%true", "%%false"):
            return bool(rule == "%%true")
        if not isinstance(rule, dict):
            raise Untranslatable(f"{_shown(rule)} is no rule")
        return _and([self.item(key, value) for key, value in rule.items()])

    def item(self, key: str, value: Any) -> Condition:
        if key in ("$and", "%and", "$or", "%or", "$nor"):
            if not isinstance(value, list):
                raise Untranslatable(f"{key} takes a list")
            parts = [self.condition(each) for each in value]
            return _and(parts) if key.endswith("and") else _not(_or(parts)) if key == "$nor" else _or(parts)
        if key in ("$not", "%not"):
            return _not(self.condition(value))
        if key in ("%%true", "%%false"):
            condition = self.truth(value)
            return condition if key == "%%true" else _not(condition)
        if key == "%%partition" or key.startswith("%%root."):
            return self.field(self.name(key), value)
        if key.startswith("%%user."):
            if isinstance(value, str) and (value == "%%partition" or value.startswith("%%root.")):
                return self.field(self.name(value), key)
            return self.user(key, value)
        if key.startswith(("%", "$")):
            raise Untranslatable(f"'{key}' has no counterpart")
        return self.field(key, value)

    def name(self, reference: str) -> str:
        if reference != "%%partition":
            return reference.removeprefix("%%root.")
        if self.partition is None:
            raise Untranslatable("'%%partition' is of partition-based sync")
        return self.partition

    def truth(self, value: Any) -> Condition:
        if isinstance(value, str) and value.startswith("%%user."):
            return Text(f"matches({self.value(value)[0]}, True)", of_user=True)
        return self.condition(value)

    def field(self, name: str, value: Any) -> Condition:
        """What a rule asks of a property, `a.b` for one of an embedded object."""
        lookup, kind = self.lookup(name)
        if isinstance(value, dict) and any(key.startswith("$") for key in value) and not _is_extended(value):
            return _and([self.operator(lookup, kind, operator, inner) for operator, inner in value.items()])
        return self.equal(lookup, kind, value)

    def lookup(self, name: str) -> tuple[str, str]:
        first, _, rest = name.partition(".")
        kind = self.kinds.get(first)
        if kind is None:
            raise Untranslatable(f"'{first}' is no property")
        if not rest:
            if kind != "scalar" and kind not in ("list", "set"):
                raise Untranslatable(f"'{first}' is not one value")
            return ("pk" if first == "_id" else first), kind
        if not kind.startswith("embedded ") or rest not in self.embedded.get(kind.removeprefix("embedded "), ()):
            raise Untranslatable(f"'{name}' leads nowhere")
        return f"{first}__{rest}", "scalar"

    def operator(self, lookup: str, kind: str, operator: str, value: Any) -> Condition:
        if operator == "$eq":
            return self.equal(lookup, kind, value)
        if operator == "$ne":
            return _not(self.equal(lookup, kind, value))
        if operator in ("$in", "$nin"):
            text, is_list = self.value(value)
            if not is_list and not text.startswith("custom("):
                raise Untranslatable(f"{operator} takes a list")
            text = text if is_list else f"listed({text})"
            found = Text(f"Q({lookup}__{'in' if kind == 'scalar' else 'overlap'}={text})")
            return _not(found) if operator == "$nin" else found
        if operator == "$all" and kind != "scalar" and isinstance(value, list):
            return Text(f"Q({lookup}__contains={self.value(value)[0]})")
        if operator == "$exists" and isinstance(value, bool) and kind == "scalar":
            return Text(f"Q({lookup}__isnull={not value})")
        if operator in _COMPARISONS and kind == "scalar":
            text, is_list = self.value(value)
            if not is_list and not text.startswith("custom("):
                return Text(f"Q({lookup}__{_COMPARISONS[operator]}={text})")
        raise Untranslatable(f"'{operator}' with {_shown(value)} has no counterpart")

    def equal(self, lookup: str, kind: str, value: Any) -> Condition:
        text, is_list = self.value(value)
        if is_list:
            raise Untranslatable("a whole list is compared")
        if kind != "scalar":  # as in MongoDB, a list that contains it
            if text.startswith("custom("):
                return Text(f"Q({lookup}__overlap=listed({text}))")
            return Text(f"Q({lookup}__contains=[{text}])")
        if text == "None":
            return Text(f"Q({lookup}__isnull=True)")
        if text.startswith("custom("):  # it may be one value, or a list of those that match
            return Text(f"Q({lookup}__in=listed({text}))")
        return Text(f"Q({lookup}={text})")

    def user(self, key: str, value: Any) -> Condition:
        """What a rule asks of the user alone."""
        asked, _ = self.value(key)
        if not isinstance(value, dict) or _is_extended(value):
            return Text(f"matches({asked}, {self.value(value)[0]})", of_user=True)
        found: list[Condition] = []
        for operator, inner in value.items():
            if operator in ("$eq", "$ne"):
                condition: Condition = Text(f"matches({asked}, {self.value(inner)[0]})", of_user=True)
                found.append(_not(condition) if operator == "$ne" else condition)
            elif operator in ("$in", "$nin") and isinstance(inner, list):
                condition = _or([Text(f"matches({asked}, {self.value(each)[0]})", of_user=True) for each in inner])
                found.append(_not(condition) if operator == "$nin" else condition)
            elif operator == "$exists" and isinstance(inner, bool):
                found.append(Text(f"{asked} is {'not ' if inner else ''}None", of_user=True))
            else:
                raise Untranslatable(f"'{operator}' with {_shown(inner)} has no counterpart")
        return _and(found)

    def value(self, value: Any) -> tuple[str, bool]:
        """A value as Python text, and whether it is a list."""
        if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in _CONVERSIONS:
            return self.value(next(iter(value.values())))
        if isinstance(value, str) and value.startswith("%%"):
            return self.expanded(value)
        if isinstance(value, list):
            parts = [self.value(each) for each in value]
            if any(is_list for _, is_list in parts):
                raise Untranslatable("a list in a list is compared")
            return f"[{', '.join(text for text, _ in parts)}]", True
        try:
            decoded = ejson.decode(value)
        except ValueTypeError as error:
            raise Untranslatable(f"{_shown(value)} is no value") from error
        if isinstance(decoded, (ObjectId, UUID)):
            return repr(str(decoded)), False
        if (
            decoded is None
            or isinstance(decoded, (bool, int, str))
            or (isinstance(decoded, float) and decoded == decoded)
        ):
            return repr(decoded), False
        raise Untranslatable(f"{_shown(value)} is compared")

    def expanded(self, text: str) -> tuple[str, bool]:
        head, *path = text.removeprefix("%%").split(".")
        if text == "%%user.id":
            return "user_id(user)", False
        if text == "%%user.data.email":
            return "user.email", False
        if path[:1] == ["custom_data"] and head == "user" and path[1:]:
            return f"custom(user, {', '.join(map(repr, path[1:]))})", False
        if text in ("%%true", "%%false"):
            return str(text == "%%true"), False
        if head == "values" and len(path) == 1 and path[0] in self.values:
            return self.value(self.values[path[0]])
        raise Untranslatable(f"'{text}' has no counterpart")


def _is_extended(value: Mapping[str, Any]) -> bool:
    """Whether this is a value in Extended JSON, or a conversion of one, and not a list of operators."""
    keys = set(value)
    return len(keys) == 1 and bool(keys & {"$oid", "$uuid", "$date", "$numberInt", "$numberLong", "$numberDouble",
                                           "$numberDecimal", "$binary", *_CONVERSIONS})  # fmt: skip


def _and(parts: list[Condition]) -> Condition:
    return _joined(parts, "&", "and", neutral=True)


def _or(parts: list[Condition]) -> Condition:
    return _joined(parts, "|", "or", neutral=False)


def _joined(parts: list[Condition], of_q: str, of_bool: str, neutral: bool) -> Condition:
    if (not neutral) in parts:
        return not neutral
    rest = [each for each in dict.fromkeys(parts) if not isinstance(each, bool)]
    if not rest:
        return neutral
    if len(rest) == 1:
        return rest[0]
    if all(each.of_user for each in rest):
        return Text(f"({f' {of_bool} '.join(each.text for each in rest)})", of_user=True)
    return Text(f"({f' {of_q} '.join(_as_q(each) for each in rest)})")


def _not(condition: Condition) -> Condition:
    if isinstance(condition, bool):
        return not condition
    return Text(f"(not {condition.text})", True) if condition.of_user else Text(f"~{condition.text}")


def _as_q(condition: Text) -> str:
    return f"when({_bare(condition.text)})" if condition.of_user else condition.text


def _as_filter(condition: Condition) -> str:
    return str(condition) if isinstance(condition, bool) else _bare(condition.text)


def either(first: str, second: str) -> str:
    """Two filters of `Rules.filter`, joined by or."""
    if "True" in (first, second):
        return "True"
    parts = [each for each in dict.fromkeys((first, second)) if each != "False"]
    return "False" if not parts else parts[0] if len(parts) == 1 else " | ".join(f"({each})" for each in parts)


def _bare(text: str) -> str:
    """Without the parentheses that every joined condition has around all of it."""
    return text[1:-1] if text.startswith("(") else text


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
