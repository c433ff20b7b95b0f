"""Of several things of one kind, an input names its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


def pick(things: Mapping[str, T], data: bytes) -> tuple[T, bytes]:
    """The thing that the first line names, or some other of them, and what follows the line."""
    line, _, rest = data.partition(b"\n")
    name = line.decode("latin-1")
    if name not in things:
        name = sorted(things)[sum(line) % len(things)]
    return things[name], rest
