"""Functions that clients call: `@sync.function` in an app's sync.py, `user.functions.name(…)` in an SDK.

Decides which functions there are, who may call them, and what of an exception a client is told. A function takes the
user and then the arguments, as Python values; what it returns must fit into Extended JSON (core/ejson.py). Knows no
request: views.py has found the user and read the body.

Every user who is logged in may call a function, which includes anonymous users while ANONYMOUS_LOGIN is on: whoever
should not, must be refused by `permission`, or by the function.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar, overload

from asgiref.sync import async_to_sync
from django.core.exceptions import ImproperlyConfigured

from .core import ejson
from .core.errors import RealmSyncError, ValueTypeError

logger = logging.getLogger("realm_sync.functions")

_Callable = TypeVar("_Callable", bound=Callable[..., Any])


class FunctionError(RealmSyncError):
    """A call fails with this message, which the client is told: raise it in functions. `code` becomes the SDK's error
    code where the SDK knows it (`FunctionExecutionError`, `BadRequest` …)."""

    def __init__(self, message: str, code: str = "FunctionExecutionError") -> None:
        super().__init__(message, code)
        self.message, self.code = message, code

    def __str__(self) -> str:
        return self.message


class Function(NamedTuple):
    call: Callable[..., Any]
    permission: Callable[[Any], bool] | None
    """Asked with the user; None lets in everybody who is logged in."""


class Functions:
    """The functions of this process, by name."""

    def __init__(self) -> None:
        self._functions: dict[str, Function] = {}

    def register(self, name: str, call: Callable[..., Any], permission: Callable[[Any], bool] | None = None) -> None:
        """ImproperlyConfigured if another function has the name. Takes the place of itself when its module is reloaded."""
        known = self._functions.get(name)
        if known is not None and _place(known.call) != _place(call):
            raise ImproperlyConfigured(
                f"Two functions are called '{name}': {_place(known.call)} and {_place(call)}. "
                'Write @sync.function(name="…") above one of them.'
            )
        self._functions[name] = Function(call, permission)

    def unregister(self, name: str) -> None:
        """KeyError if there is no such function."""
        del self._functions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._functions))

    def call(self, user: Any, name: str, arguments: Sequence[Any]) -> Any:
        """Calls a function for a user, with arguments as JSON; returns JSON, in canonical spelling.

        Raises FunctionError: `FunctionNotFound`, `NoMatchingRuleFound` if the user may not, `BadRequest` for arguments
        that cannot be read, `FunctionExecutionError` for whatever goes wrong inside. Only a FunctionError's own message
        reaches the client; any other exception is logged, and its text stays here.
        """
        function = self._functions.get(name)
        if function is None:
            raise FunctionError(f"function not found: '{name}'", "FunctionNotFound")
        if function.permission is not None and not function.permission(user):
            raise FunctionError(f"this user may not call '{name}'", "NoMatchingRuleFound")
        try:
            decoded = [ejson.decode(each, f"arguments[{at}]") for at, each in enumerate(arguments)]
        except ValueTypeError as error:
            raise FunctionError(str(error), "BadRequest") from error
        try:
            inspect.signature(function.call).bind(user, *decoded)
        except TypeError as error:
            raise FunctionError(f"'{name}': {error}") from error
        call = async_to_sync(function.call) if inspect.iscoroutinefunction(function.call) else function.call
        try:
            returned = call(user, *decoded)
        except FunctionError:
            raise
        except Exception as error:
            logger.exception("The function '%s' failed for user %s", name, user.pk)
            raise FunctionError(f"'{name}' failed; the server's log has the cause") from error
        try:
            return ejson.encode(returned, "the result")
        except ValueTypeError as error:
            logger.error("The function '%s' returned what cannot be sent: %s", name, error)
            raise FunctionError(f"'{name}' returned what cannot be sent; the server's log has the cause") from error


functions = Functions()
"""The functions that apps registered."""


@overload
def function(given: _Callable, /) -> _Callable: ...
@overload
def function(
    *, name: str | None = None, permission: Callable[[Any], bool] | None = None
) -> Callable[[_Callable], _Callable]: ...


def function(given: Any = None, /, *, name: str | None = None, permission: Callable[[Any], bool] | None = None) -> Any:
    """Decorates a function that clients may call: `def greet(user, whom): …`.

    `name`: what clients call it, if not by its own name. `permission(user)` says who may; without it everybody who is
    logged in, anonymous users too. What the function writes is written as by any other code: it reaches clients, and no
    access rule is asked. May be `async def`.
    """

    def decorate(decorated: _Callable) -> _Callable:
        functions.register(name or decorated.__name__, decorated, permission)
        return decorated

    return decorate(given) if given is not None else decorate


def _place(call: Callable[..., Any]) -> str:
    return f"{call.__module__}.{call.__qualname__}"
