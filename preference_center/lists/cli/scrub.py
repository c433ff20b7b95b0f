"""`flask scrub` removes recipients from a list to whom a message may not be sent.

`flask snapshot` creates and inspects snapshots, for scrubbing without the database.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from preference_center.core.addresses import Channel
from preference_center.core.errors import (
    InvalidInput,
    InvalidSnapshot,
    UnknownMessageType,
    WrongChannel,
)
from preference_center.decisions.rules import RULE_REASONS, DecisionRule
from preference_center.infra.commands import (
    CommandGroup,
    click_bad_parameter,
    click_errors,
    with_service,
)
from preference_center.infra.context import services
from preference_center.infra.db.transactions import outlast_outage
from preference_center.lists.rules.instructions import ENCODINGS
from preference_center.lists.scrub import require_duckdb
from preference_center.lists.scrub.query import (
    ScrubEngine,
    ScrubJob,
    ScrubProgress,
    ScrubReceipt,
)

if TYPE_CHECKING:
    from preference_center.lists.scrub.snapshots import Snapshot

_OUTPUT_PATH = click.Path(dir_okay=False, path_type=Path)


_TABS = {"tab": "\t", "\\t": "\t"}


@click.command("scrub")
@click.argument("list_", metavar="LIST", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--message-type",
    required=True,
    metavar="TYPE",
    help="The message type to be sent, from the catalogue.",
)
@click.option(
    "-o", "--output", "clean", required=True, type=_OUTPUT_PATH, help="File for the clean list."
)
@click.option(
    "--removed",
    required=True,
    type=_OUTPUT_PATH,
    help="File for the removed rows, each with its reason.",
)
@click.option(
    "--receipt", type=_OUTPUT_PATH, help="File for a JSON receipt: archive it with the mailing."
)
@click.option("--column", help="The address column, by name or number from 1; default: detected.")
@click.option("--no-header", is_flag=True, help="The first line is a row, not a header.")
@click.option("--delimiter", help="One character, or tab; default: detected.")
@click.option(
    "--encoding",
    type=click.Choice(ENCODINGS),
    default=ENCODINGS[0],
    show_default=True,
    help="Of a CSV list; UTF-16 is detected. What is written is in UTF-8.",
)
@click.option(
    "--channel",
    type=click.Choice([channel.value for channel in Channel]),
    help="For service messages, which have no topic and so no channel.  [default: email]",
)
@click.option(
    "--snapshot",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Use this snapshot from `flask snapshot make`; default: one that is created now.",
)
@click.option(
    "--max-age",
    type=click.FloatRange(min=0),
    default=24,
    show_default=True,
    metavar="HOURS",
    help="Reject an older snapshot.",
)
@click.option(
    "--engine",
    type=click.Choice([engine.value for engine in ScrubEngine]),
    default=ScrubEngine.DUCKDB.value,
    show_default=True,
    help="spark: on a cluster, from a file or folder into folders of parts, unordered.",
)
@click.option("--master", help="Spark's master, e.g. local[4]; default: Spark's configuration.")
@with_service
def scrub_(  # noqa: PLR0913 - one for each option
    list_: Path,
    *,
    message_type: str,
    clean: Path,
    removed: Path,
    receipt: Path | None,
    column: str | None,
    no_header: bool,
    delimiter: str | None,
    encoding: str,
    channel: str | None,
    snapshot: Path | None,
    max_age: float,
    engine: str,
    master: str | None,
) -> None:
    """Split LIST into rows that may be sent a message and rows that may not.

    LIST is CSV (also .csv.gz and .csv.zst) or Parquet. Every row gets the decision that the API
    would return; rows with an invalid address are removed. Rows keep their content and order. The
    files appear when all are complete; nothing is written on an error.

    Example: flask scrub list.csv --message-type newsletter.product -o clean.csv
    --removed removed.csv --receipt receipt.json
    """
    job = ScrubJob(
        list_path=list_,
        clean_path=clean,
        removed_path=removed,
        receipt_path=receipt,
        snapshot_path=snapshot or Path(),
        message_type=message_type,
        channel=Channel(channel) if channel else None,
        address_column=column,
        delimiter=_delimiter(delimiter),
        has_header=not no_header,
        encoding=encoding,
        max_snapshot_age=timedelta(hours=max_age),
        engine=ScrubEngine(engine),
        spark_master=master,
    )
    with click_errors():
        require_duckdb()
    # Late, and so below: DuckDB costs a process 34 MB, and web workers come by here too.
    from preference_center.lists.scrub.scrub_list import scrub_list  # noqa: PLC0415

    with click_errors(), _name_bad_option(), _with_snapshot(job) as ready, _progress() as progress:
        done = scrub_list(ready, progress)
    _print_receipt(done)


def _delimiter(text: str | None) -> str | None:
    given = _TABS.get(text, text) if text else None
    if given is not None and (len(given) != 1 or given in "\"'\\\r\n \x01" or not given.isascii()):
        raise click.BadParameter(
            "use one character, e.g. ; or the word tab", param_hint="--delimiter"
        )
    return given


@contextmanager
def _name_bad_option() -> Iterator[None]:
    """Name the invalid option in the error."""
    try:
        yield
    except (UnknownMessageType, WrongChannel, InvalidSnapshot) as error:
        hint = {UnknownMessageType: "--message-type", WrongChannel: "--channel"}
        raise click.BadParameter(
            str(error), param_hint=hint.get(type(error), "--snapshot")
        ) from None


@contextmanager
def _with_snapshot(job: ScrubJob) -> Iterator[ScrubJob]:
    """The job with a snapshot: the given one, or one that is created now."""
    if job.snapshot_path != Path():
        yield job
        return
    from preference_center.lists.scrub.snapshots import create_snapshot  # noqa: PLC0415

    if not job.clean_path.parent.is_dir():
        raise InvalidInput(f"the folder of {job.clean_path} does not exist")
    with TemporaryDirectory(".part", f".{job.clean_path.name}.", job.clean_path.parent) as folder:
        path = Path(folder) / "snapshot.parquet"
        outlast_outage(partial(create_snapshot, path))
        yield replace(job, snapshot_path=path)


@contextmanager
def _progress() -> Iterator[ScrubProgress]:
    """A callback that rewrites a progress line, if standard error is a terminal."""
    stream = sys.stderr
    if not stream.isatty():
        yield lambda _label, _share: None
        return

    def show(label: str, share: float) -> None:
        click.echo(f"\r\x1b[K{label}: {share:.0%}", stream, nl=False)

    try:
        yield show
    finally:
        click.echo("\r\x1b[K", stream, nl=False)


def _print_receipt(receipt: ScrubReceipt) -> None:
    click.echo(
        f"{receipt.list.rows:,} rows: {receipt.clean.rows:,} may be sent to, "
        f"{receipt.removed.rows:,} not."
    )
    for rule, count in receipt.removed_by_rule.items():
        click.echo(f"{count:>12,}  {rule}: {RULE_REASONS.get(DecisionRule(rule), '')}")
    click.echo(f"As of {receipt.watermark}, {receipt.snapshot_taken_at}.")


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
        created = outlast_outage(partial(snapshots.create_snapshot, file))
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
