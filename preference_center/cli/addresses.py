"""`flask addresses`: what is stored of addresses, when the rules of reading them change."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from preference_center.cli.errors import click_errors
from preference_center.ledger.renormalise import RenormalisationStats
from preference_center.ledger.renormalise import renormalise as renormalise_all
from preference_center.storage.access.key_fingerprints import require_known_keys

addresses = AppGroup("addresses", help="How stored addresses are found.")


@addresses.command()
def renormalise() -> None:
    """Make stored addresses findable under today's canonical forms, too.

    For when no process starts since a library reads addresses in another way now. Stop all
    processes before, so that none stores an address in the old way meanwhile. Older forms go
    on being found. It can be repeated, and goes on where it was cut off.
    """
    with click_errors():
        require_known_keys(check_canonical_forms=False)
        done = renormalise_all(_print_progress)
    click.echo(
        f"{done.read} addresses read, {done.changed} have another form now,"
        f" {done.refused} are refused now and found under their older form only."
    )


def _print_progress(stats: RenormalisationStats) -> None:
    click.echo(f"{stats.read} read", err=True)
