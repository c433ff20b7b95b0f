"""`flask retention`: what the catalogue's rules would remove."""

from __future__ import annotations

import click

from preference_center.catalogue import DEFAULT_RETENTION, RetainedData
from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.core.addresses import mask_address, parse_address
from preference_center.infra.commands import CommandGroup, click_errors
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.keys.fingerprints import require_known_keys
from preference_center.ledger.store.addresses import load_readable
from preference_center.rights.retention import (
    PlannedRemoval,
    plan_retention,
    retained_addresses,
)

_LISTED = 20

retention_group = CommandGroup(
    "retention",
    help="What is past its retention, as the catalogue's [retention] states it."
    " The scheduler removes it once a day; holds, restrictions and open requests are respected.",
)


@retention_group.command("plan")
@click.option(
    "--list",
    "is_listed",
    is_flag=True,
    help=f"Show to whom it belongs, masked: the first {_LISTED}.",
)
def plan(*, is_listed: bool) -> None:
    """Show what each rule would remove now; change nothing.

    Columns: kind, how many, kept until, ground.
    """
    _note_missing_rules()
    with click_errors():
        require_known_keys()
        for planned in plan_retention(services().now(), _show_progress):
            columns = (planned.kind, str(len(planned.items)), f"{planned.before:%Y-%m-%d}")
            click.echo("\t".join((*columns, planned.rule.ground)))
            if is_listed:
                _list_owners(planned)


def _note_missing_rules() -> None:
    if not current_catalogue_or_empty().retention:
        kinds = ", ".join(DEFAULT_RETENTION)
        click.echo(
            f"The catalogue has no [retention] rules, so all but {kinds} is kept:"
            " see docs/catalogue.md",
            err=True,
        )


def _show_progress(kind: RetainedData, rows: int) -> None:
    click.echo(f"{kind}: looked at {rows:,} rows", err=True)


def _list_owners(planned: PlannedRemoval) -> None:
    ids = retained_addresses(planned)[:_LISTED]
    found = run_in_transaction(lambda connection: load_readable(connection, services().keys, ids))
    for channel, text in found.values():
        click.echo(f"    {mask_address(parse_address(text, channel))}")
