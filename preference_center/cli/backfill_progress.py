"""How far a back-fill is, in words."""

from __future__ import annotations

from collections.abc import Callable

import click

from preference_center.storage.sync.backfills import Backfill

_MAX_LINES = 20
"""Lines from beginning to end, at most."""


def format_progress(backfill: Backfill) -> str:
    """Where one is that has not finished."""
    return (
        f"{backfill.progress:.0%} of the addresses seen, {backfill.rows_created:,} to be told "
        "so far;"
        " workers go on with it"
    )


def progress_printer() -> Callable[[Backfill], None]:
    """What prints how far one is, whenever that has become noticeably more."""
    step = 0

    def print_progress(backfill: Backfill) -> None:
        nonlocal step
        reached = int(backfill.progress * _MAX_LINES)
        if reached > step and not backfill.finished:
            step = reached
            click.echo(
                f"back-fill: {backfill.progress:.0%}, {backfill.rows_created:,} addresses", err=True
            )

    return print_progress
