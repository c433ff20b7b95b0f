"""Write what is personal to a file of staff's own."""

from __future__ import annotations

import os
from pathlib import Path

import click

_OWNER_ONLY = 0o600


def write_private_file(path: Path, content: bytes) -> None:
    """Write a new file that only its owner can read. Raises BadParameter if there is one."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    except OSError as error:
        raise click.BadParameter(error.strerror or "can't be written", param_hint="PATH") from None
    with os.fdopen(descriptor, "wb") as target:
        target.write(content)
