"""An input selects one of several choices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


def pick(choices: Mapping[str, T], data: bytes) -> tuple[T, bytes]:
    """The choice that the first line names, or some other choice, and the rest of the input."""
    line, _, rest = data.partition(b"\n")
    name = line.decode("latin-1")
    if name not in choices:
        name = sorted(choices)[sum(line) % len(choices)]
    return choices[name], rest
