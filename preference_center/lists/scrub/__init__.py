"""Scrubbing: which rows of a list may be sent a message, by a snapshot.

The same decisions as `POST /v1/decisions`, by one SQL statement over a snapshot. The entry points
are `scrub_list.scrub_list` and `snapshots.create_snapshot`; engines are `duck` on one machine and
`spark` on a cluster. Import them late: DuckDB needs 34 MB, and web workers do not use it. It is the
extra `scrub`, with 68 MB on disk: `require_duckdb` says so where it is missing.
"""

from __future__ import annotations

from importlib.util import find_spec

from preference_center.core.errors import ConfigError


def require_duckdb() -> None:
    """Raise ConfigError with what to install, where DuckDB is missing."""
    if find_spec("duckdb") is None:
        raise ConfigError(
            "Lists and snapshots need the extra scrub: pip install 'preference-center[scrub]'"
        )
