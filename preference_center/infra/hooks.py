"""Functions that a later subject registers, since an earlier one may not import it.

The earlier subject declares a hook with the types that it needs, and calls it as any function:

    @Hook
    def contacts_merged(connection: Connection, ids: Sequence[UUID]) -> None:
        '''Contacts were merged, in the transaction of `connection`.'''

`app.hooks`, or for pages `create_app`, registers one function for each
(docs/decisions/0058-layout-by-subject.md). The first is imported with the first call;
a process that serves requests calls `register_now` when it starts.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from importlib import import_module
from typing import Generic, ParamSpec, TypeVar, cast

from flask import Flask, current_app

P = ParamSpec("P")
R = TypeVar("R")

_EXTENSION = "preference_center.hooks"
_LATER = f"{_EXTENSION}.at_first_call"
_declared: set[str] = set()


class Hook(Generic[P, R]):
    """Decorator of a declaration: the signature and the contract, with a body that is never run."""

    def __init__(self, declaration: Callable[P, R]) -> None:
        update_wrapper(self, declaration)
        self.name = f"{declaration.__module__}.{declaration.__qualname__}"
        _declared.add(self.name)

    def register(self, app: Flask, function: Callable[P, R]) -> None:
        """Call this function from now on, in this application."""
        app.extensions.setdefault(_EXTENSION, {})[self.name] = function

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call what is registered in the current application."""
        extensions = current_app.extensions
        if _LATER in extensions:
            register_now(current_app)
        function = cast("Callable[P, R]", extensions[_EXTENSION][self.name])
        return function(*args, **kwargs)


def register_at_first_call(app: Flask, target: str) -> None:
    """Let `target`, "module:function" of an application, register hooks when one is called."""
    app.extensions[_LATER] = target


def register_now(app: Flask) -> None:
    """Do what `register_at_first_call` waits for; threads may do so at once."""
    if target := app.extensions.get(_LATER):
        module, _, function = target.partition(":")
        getattr(import_module(module), function)(app)
        app.extensions.pop(_LATER, None)


def require_registered(app: Flask) -> None:
    """Raise RuntimeError if a hook that is declared has no function in this application."""
    register_now(app)
    if missing := sorted(_declared - app.extensions.get(_EXTENSION, {}).keys()):
        raise RuntimeError(f"no function is registered for {', '.join(missing)}")
