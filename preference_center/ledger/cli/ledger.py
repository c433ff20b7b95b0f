"""`flask ledger`: verifying the events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import click

from preference_center.infra.commands import CommandGroup, click_errors
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.keys.fingerprints import require_known_keys
from preference_center.ledger.store.evidence import EvidenceState, VerifiedEvent, verify_evidence

_BATCH_SIZE = 1_000
_PROGRESS_INTERVAL = 100_000
"""Events."""
_TEXTS = {
    EvidenceState.INTACT: "intact",
    EvidenceState.MISSING: "erased or expired",
    EvidenceState.UNHASHED: "from before events had hashes",
    EvidenceState.ALTERED: "ALTERED",
}

ledger = CommandGroup("ledger", help="Verify the events of the ledger.")


@ledger.command()
@click.option(
    "--after",
    default=0,
    show_default=True,
    help="Continue after the event with this number, which the progress shows.",
)
@click.option("--missing", is_flag=True, help="Also name the events whose evidence is missing.")
def verify(after: int, *, missing: bool) -> None:
    """Verify that the evidence of each event is the one that was recorded with it.

    Each event keeps a keyed hash of its evidence. Evidence that was erased with the person, or has
    expired, is missing and proves no tampering. Names the events whose evidence was altered, and
    exits with 1 if there are any.

    Example: flask ledger verify
    """
    found: Counter[EvidenceState] = Counter()
    with click_errors():
        require_known_keys()
        for event in _iter_verified(after):
            found[event.state] += 1
            if event.state is EvidenceState.ALTERED or (
                missing and event.state is EvidenceState.MISSING
            ):
                click.echo(f"{event.id}\t{_TEXTS[event.state]}")
    click.echo(f"{found.total()} events verified.")
    for state, text in _TEXTS.items():
        if found[state]:
            click.echo(f"{found[state]}\t{text}")
    if found[EvidenceState.ALTERED]:
        raise click.ClickException(
            "evidence was altered: compare the database with a backup, and find out who could"
            " write to it"
        )


def _iter_verified(after: int) -> Iterator[VerifiedEvent]:
    keys = services().keys
    read = 0
    while True:
        events = run_in_transaction(
            lambda connection, after=after: verify_evidence(  # type: ignore[misc]
                connection, keys, after=after, limit=_BATCH_SIZE
            )
        )
        if not events:
            return
        yield from events
        after = events[-1].seq
        read += len(events)
        if read % _PROGRESS_INTERVAL == 0:
            click.echo(f"{read} verified, up to event {after}", err=True)
