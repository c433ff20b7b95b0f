"""Formatting the progress of a backfill."""

from __future__ import annotations

from collections.abc import Callable

import click

from preference_center.destinations.store.backfills import Backfill

_MAX_LINES = 20
"""Maximum number of progress lines."""


def format_progress(backfill: Backfill) -> str:
    """The progress of a backfill that has not finished."""
    return (
        f"{backfill.progress:.0%} of the addresses processed, {backfill.rows_created:,} to push"
        " so far; workers continue it"
    )


def progress_printer() -> Callable[[Backfill], None]:
    """A callback that prints progress when it has grown noticeably."""
    step = 0

    def print_progress(backfill: Backfill) -> None:
        nonlocal step
        reached = int(backfill.progress * _MAX_LINES)
        if reached > step and not backfill.finished:
            step = reached
            click.echo(
                f"backfill: {backfill.progress:.0%}, {backfill.rows_created:,} addresses", err=True
            )

    return print_progress
