"""`flask keys rotate` and `flask keys status`: bringing stored data to the newest keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import click

from preference_center.infra import audit
from preference_center.infra.commands import CommandGroup, actor, click_errors, with_service
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.keys.fingerprints import require_known_keys
from preference_center.infra.keys.rotate_digests import (
    DigestStatus,
    load_digest_status,
    rotate_digests,
)
from preference_center.infra.keys.sealed_columns import (
    ColumnProgress,
    count_sealed,
    rotate_encryption,
)

_PROGRESS_ROWS = 10_000


@click.group("rotate", cls=CommandGroup)
def rotate() -> None:
    """Bring stored data to the newest key while the service runs."""


@rotate.command("encryption")
@click.option("--dry-run", is_flag=True, help="Only show how many rows would be encrypted again.")
def encryption(*, dry_run: bool) -> None:
    """Encrypt all stored data with the first of ENCRYPTION_KEYS.

    Needs the older keys, too. Safe to interrupt and to repeat: it continues. Afterwards the older
    keys can be removed, as `flask keys status` shows. Backups still need them.
    """
    with click_errors():
        require_known_keys()
        if dry_run:
            _print_counts(count_sealed(), services().keys.encryption_id)
            return
        key_id = services().keys.encryption_id
        rotate_encryption(_progress_printer())
        run_in_transaction(
            lambda connection: audit.insert_audit_entry(
                connection, services().now(), actor(), "encryption_keys.rotated", {"key": key_id}
            )
        )
    click.echo(f"All stored data is encrypted with the key {key_id}: older keys can be removed.")


@rotate.command("digests")
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@click.option(
    "--all-restarted",
    is_flag=True,
    help="Every process was restarted with the new key; through a pooler that can't be seen.",
)
def digests(*, dry_run: bool, all_restarted: bool) -> None:
    """Bring all stored digests to the new key at the end of DIGEST_KEYS.

    Every process must have been restarted with it before. It needs no readable address, and the
    service goes on. Safe to interrupt and to repeat: it continues. The keys before it stay in
    DIGEST_KEYS for ever, since each digest is made with all of them.
    """
    with click_errors():
        require_known_keys()
        found = load_digest_status()
        if dry_run:
            _print_digest_status(found)
            return
        rotate_digests(_progress_printer(), all_restarted=all_restarted)
        key_id = services().keys.digest_id
        run_in_transaction(
            lambda connection: audit.insert_audit_entry(
                connection, services().now(), actor(), "digest_keys.rotated", {"key": key_id}
            )
        )
    click.echo(f"All stored digests are made with the key {key_id}, and the old ones are deleted.")


@click.command("status")
@with_service
def status() -> None:
    """Show how many rows each key still has, by column.

    A key of which no row is left can be removed from ENCRYPTION_KEYS, unless a backup needs it.
    Digest keys are never removed: see docs/deploy.md.
    """
    with click_errors():
        require_known_keys()
        _print_digest_status(load_digest_status())
        _print_counts(count_sealed(), services().keys.encryption_id)


def _print_counts(counts: Mapping[str, Mapping[str, int]], current: str) -> None:
    for column, by_key in counts.items():
        for key_id, rows in by_key.items():
            note = "" if key_id == current else "\tolder key"
            click.echo(f"encryption\t{column}\t{key_id}\t{rows}{note}")


def _print_digest_status(status: DigestStatus) -> None:
    chain = services().keys.digest_chain
    for number, (key_id, _) in enumerate(chain, start=1):
        note = "in use" if number <= status.in_use else "waits for `flask keys rotate digests`"
        click.echo(f"digests\t{key_id}\t{note}")
    if status.being_cleared:
        click.echo(
            "digests\tthose of the key before are still stored: run `flask keys rotate digests`"
        )


def _progress_printer() -> Callable[[ColumnProgress], None]:
    """A callback that prints a column's progress when it has grown noticeably."""
    printed: dict[str, int] = {}

    def print_progress(progress: ColumnProgress) -> None:
        if progress.rows_done >= printed.get(progress.column, 0) + _PROGRESS_ROWS:
            printed[progress.column] = progress.rows_done
            click.echo(f"{progress.column}: {progress.rows_done:,} rows", err=True)

    return print_progress
