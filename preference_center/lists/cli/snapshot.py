"""`flask snapshot`: create and inspect snapshots, for scrubbing without the database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from preference_center.infra.commands import CommandGroup, click_bad_parameter, click_errors
from preference_center.infra.context import services
from preference_center.lists.scrub import require_duckdb

if TYPE_CHECKING:
    from preference_center.lists.scrub.snapshots import Snapshot

snapshot = CommandGroup(
    "snapshot", help="Create and inspect snapshots of all decisions, for scrubbing lists."
)


@snapshot.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def make(file: Path) -> None:
    """Create a snapshot of the database in FILE (Parquet).

    It is one consistent read, and contains digests instead of addresses: without the digest key
    it can't be searched. The file appears when it is complete.

    Example: flask snapshot make snapshot.parquet
    """
    with click_errors():
        require_duckdb()
    # Late, and so below: DuckDB costs a process 34 MB, and web workers come by here too.
    from preference_center.lists.scrub import snapshots  # noqa: PLC0415

    with click_errors():
        created = snapshots.create_snapshot(file)
    click.echo(f"{file}: {created.facts:,} facts as of {created.watermark}.")


@snapshot.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def inspect(file: Path) -> None:
    """Show the time and contents of FILE.

    Example: flask snapshot inspect snapshot.parquet
    """
    with click_errors():
        require_duckdb()
    from preference_center.lists.scrub import snapshots  # noqa: PLC0415

    with click_bad_parameter("FILE"):
        found = snapshots.read_snapshot_metadata(file)
    for line in _describe_snapshot(found):
        click.echo(line)


def _describe_snapshot(found: Snapshot) -> list[str]:
    hours = (services().now() - found.at).total_seconds() / 3600
    keys = ", ".join(sorted(name.partition(":")[2] for name in found.fingerprints))
    return [
        f"taken at\t{found.taken_at} ({hours:.1f} hours ago)",
        f"watermark\t{found.watermark}",
        f"facts\t{found.facts:,}",
        f"catalogue\tversion {found.catalogue_version}",
        f"message types\t{', '.join(found.read_catalogue().message_types)}",
        f"digest keys\t{keys}",
        f"norm version\t{found.norm_version}",
    ]
