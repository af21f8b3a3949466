"""Which part of a value is wrong: ValidationErrors with a path, and how the path is told (`tags[2]: …`).

Decides only that. Columns, their parts and form fields gather what is wrong with `Problems`; whoever is the outermost
puts its name in front with `named`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError

Step = str | int
"""An embedded property, the index of an element, or a Key."""


class Key(str):
    """A step of a path: the key of a dictionary."""

    __slots__ = ()


class Problems:
    """Gathers what is wrong with the parts of a value, each with its path; `done()` raises it all."""

    def __init__(self) -> None:
        self.leaves: list[Any] = []
        self._step: Step = ""

    def at(self, step: Step) -> Problems:
        self._step = step
        return self

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> bool:
        if not isinstance(error, ValidationError):
            return False
        self.leaves += leaves(error, self._step)
        return True

    def done(self) -> None:
        if self.leaves:
            raise ValidationError(self.leaves)


def leaves(error: ValidationError, *steps: Step) -> list[Any]:
    """The single errors in an error, each with `path`: the steps given and those it had."""
    found = []
    if hasattr(error, "error_dict"):
        for name, errors in error.error_dict.items():
            for each in errors:
                # Of no part in particular: Django's NON_FIELD_ERRORS.
                found += leaves(each, *steps) if name == "__all__" else leaves(each, *steps, name)
        return found
    singles: list[Any] = error.error_list
    for leaf in singles:
        leaf.path = [*steps, *getattr(leaf, "path", [])]
        found.append(leaf)
    return found


class named:
    """Ends a path: errors of parts get the message `tags[2]: …` and keep their code and `path`."""

    def __init__(self, name: str | None) -> None:
        self.name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if not isinstance(error, ValidationError):
            return
        told: list[Any] = []
        for leaf in leaves(error):
            path, message = leaf.path, leaf.message
            if not path or getattr(leaf, "told", False):
                told.append(leaf)
                continue
            said: Any = ValidationError(
                f"{self.name or ''}{shown(path)}: {message % leaf.params if leaf.params else message}", code=leaf.code
            )
            said.path, said.told = path, True
            told.append(said)
        raise ValidationError(told) from error


def shown(path: Sequence[Step]) -> str:
    """A path as people read it: `[2].street`, `["home"]`."""
    return "".join(
        f"[{json.dumps(step, ensure_ascii=False)}]" if isinstance(step, int | Key) else f".{step}" for step in path
    )
