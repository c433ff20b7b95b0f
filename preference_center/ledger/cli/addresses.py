"""`flask addresses`: updating stored addresses when the rules for parsing them change."""

from __future__ import annotations

import click

from preference_center.infra.commands import CommandGroup, click_errors
from preference_center.infra.keys.fingerprints import require_known_keys
from preference_center.ledger.ledger_renormalise import RenormalisationStats
from preference_center.ledger.ledger_renormalise import renormalise as renormalise_all

addresses = CommandGroup("addresses", help="Maintain the lookup forms of stored addresses.")


@addresses.command()
def renormalise() -> None:
    """Add the current canonical form of every stored address.

    Use it if no process starts because a library parses addresses differently now. Stop all
    processes first, so that none stores an address in the old form meanwhile. Older forms are
    still found. It is safe to repeat, and continues where it was interrupted.
    """
    with click_errors():
        require_known_keys(check_canonical_forms=False)
        done = renormalise_all(_print_progress)
    click.echo(
        f"{done.read} addresses read, {done.changed} have a new form,"
        f" {done.refused} are invalid now and found by their older form only."
    )


def _print_progress(stats: RenormalisationStats) -> None:
    click.echo(f"{stats.read} read", err=True)
