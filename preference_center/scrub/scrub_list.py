"""Scrubbing one list: everything is checked first, and all files appear together."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from preference_center.domain.addresses import Channel
from preference_center.errors import InvalidList, WrongChannel
from preference_center.extensions import services
from preference_center.scrub import duck
from preference_center.scrub.atomic_files import drafts, sha256
from preference_center.scrub.decision_query import Counts, Progress, Question, Targets
from preference_center.scrub.job import Engine, File, Job, Receipt
from preference_center.scrub.list_layout import Asked, find_layout, is_parquet
from preference_center.scrub.snapshots import Snapshot, ensure_usable, inspect


def _question(job: Job, snapshot: Snapshot) -> Question:
    """The question that a job puts. Raises UnknownMessageType, WrongChannel."""
    catalogue = snapshot.read_catalogue()
    message = catalogue.message_type(job.message_type)
    topic = catalogue.topic(message.topic) if message.topic else None
    channel = job.channel or (topic.channel if topic else Channel.EMAIL)
    if topic is not None and topic.channel is not channel:
        raise WrongChannel(f"this message goes out by {topic.channel}: leave --channel away")
    wired = services()
    return Question(
        message=message,
        topic=topic,
        channel=channel,
        region=wired.settings.phone_region,
        now=wired.now(),
        keys=wired.keys,
        md5=snapshot.md5,
    )


def scrub(job: Job, progress: Progress) -> Receipt:
    """Write the clean list, the removed rows and the receipt; all of them, or none.

    Raises InvalidInput with what to mend, ConfigError without Spark, KeyMismatch where the
    snapshot is of other keys, and CannotScrub where the engine gave up.
    """
    started = services().now()
    snapshot = inspect(job.snapshot)
    ensure_usable(snapshot, services().keys, started, job.max_age)
    question = _question(job, snapshot)
    _check_paths(job)
    scrub_by = _engine(job, question)
    before = _state(job.list)
    # The clean list comes last: once it is there, so is what tells about it.
    paths = [job.removed, *([job.receipt] if job.receipt else []), job.clean]
    with drafts(paths) as made:
        targets = Targets(made.of[job.clean], made.of[job.removed], made.work)
        name, counts = scrub_by(targets, progress)
        progress("Checking", 0)
        with ThreadPoolExecutor() as threads:
            digests = list(threads.map(sha256, (job.list, targets.clean, targets.removed)))
        if _state(job.list) != before:
            raise InvalidList("the list changed while it was read: start again")
        removed = sum(counts.removed.values())
        receipt = Receipt(
            message_type=job.message_type,
            topic=question.topic.key if question.topic else None,
            channel=question.channel,
            engine=name,
            started_at=started.isoformat(),
            finished_at=services().now().isoformat(),
            snapshot_taken_at=snapshot.taken_at,
            watermark=snapshot.watermark,
            catalogue_version=snapshot.catalogue_version,
            norm_version=snapshot.norm_version,
            list=File(job.list.name, counts.rows, digests[0]),
            clean=File(job.clean.name, counts.clean, digests[1]),
            removed=File(job.removed.name, removed, digests[2]),
            removed_by_rule=counts.removed,
        )
        if job.receipt:
            made.of[job.receipt].write_text(receipt.as_json(), encoding="utf-8")
        progress("Checking", 1)
    return receipt


def _engine(job: Job, question: Question) -> Callable[[Targets, Progress], tuple[str, Counts]]:
    """What will do it, the list looked at before anything is made. Raises InvalidList."""
    asked = Asked(question.channel, question.region, job.column, job.delimiter, job.header)
    if job.engine is Engine.SPARK:
        from preference_center.scrub import spark  # noqa: PLC0415 - an extra

        def on_spark(targets: Targets, progress: Progress) -> tuple[str, Counts]:
            with spark.session(job.master) as session:
                counts = spark.scrub(
                    session, job.list, asked, job.snapshot, question, targets, progress
                )
            return spark.ENGINE, counts

        return on_spark
    if job.list.is_dir():
        raise InvalidList("the list is a folder: DuckDB takes one file (Spark takes both)")
    layout = find_layout(job.list, asked)

    def on_duckdb(targets: Targets, progress: Progress) -> tuple[str, Counts]:
        return duck.ENGINE, duck.scrub(layout, job.snapshot, question, targets, progress)

    return on_duckdb


def _check_paths(job: Job) -> None:
    """Raises InvalidInput where one file would be written over another."""
    named = [
        job.list,
        job.snapshot,
        job.clean,
        job.removed,
        *([job.receipt] if job.receipt else []),
    ]
    if len({path.resolve() for path in named}) != len(named):
        raise InvalidList("the list, the snapshot and the files to write must be different files")
    for path in (job.clean, job.removed):
        if is_parquet(path) != is_parquet(job.list):
            raise InvalidList(
                "the list and what is written are of one kind: all .parquet, or all .csv"
                " (.csv.gz and .csv.zst too)"
            )


def _state(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns
