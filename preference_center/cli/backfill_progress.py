"""How far a back-fill is, in words."""

from __future__ import annotations

from collections.abc import Callable

import click

from preference_center.storage.sync.backfills import Backfill

_STEPS = 20
"""Lines from beginning to end, at most."""


def described(backfill: Backfill) -> str:
    """Where one is that has not finished."""
    return (
        f"{backfill.share:.0%} of the addresses seen, {backfill.rows:,} to be told so far;"
        " workers go on with it"
    )


def shown() -> Callable[[Backfill], None]:
    """What prints how far one is, whenever that has become noticeably more."""
    step = 0

    def show(backfill: Backfill) -> None:
        nonlocal step
        reached = int(backfill.share * _STEPS)
        if reached > step and not backfill.finished:
            step = reached
            click.echo(f"back-fill: {backfill.share:.0%}, {backfill.rows:,} addresses", err=True)

    return show
