"""Where the files lie that belong to the service and are in no package: see ROOT."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
"""The folder of the package `preference_center`."""

_INSTALLED = PACKAGE / "_root"

IS_INSTALLED = _INSTALLED.is_dir()
"""Whether this is a wheel's copy and no checkout."""

ROOT = _INSTALLED if IS_INSTALLED else PACKAGE.parent
"""The folder of `templates`, `migrations`, `workers`, `Procfile` and the demo in `dev`.

The top of the checkout. A wheel has the same folder inside the package, made by
`pyproject.toml`, so that it claims no other name among the packages of its environment.
"""
