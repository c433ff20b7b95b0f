"""A command that is imported when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click


class LazyCommand(click.Command):
    """A placeholder for the command or group at `target`, "module:attribute".

    Listing it shows `help` without importing `target`: the first sentence of the command's own.
    """

    def __init__(self, name: str, target: str, help: str) -> None:  # noqa: A002 - as in click
        super().__init__(name, help=help)
        self.target = target

    def load(self) -> click.Command:
        """Import the command."""
        module, _, attribute = self.target.partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """The context of the command itself, which click then invokes."""
        return self.load().make_context(info_name, args, parent, **extra)
