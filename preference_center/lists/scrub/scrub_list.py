"""`scrub_list` scrubs one list: everything is checked first, and all files appear together."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from preference_center.core.addresses import Channel
from preference_center.core.errors import InvalidList, WrongChannel
from preference_center.infra.context import services
from preference_center.infra.duckdb import ENGINE as DUCKDB_ENGINE
from preference_center.infra.files import atomic_files, sha256_hex
from preference_center.lists.rules.instructions import ENCODINGS
from preference_center.lists.scrub import duck
from preference_center.lists.scrub.layout import (
    ListOptions,
    convert_list,
    detect_layout,
    is_parquet,
)
from preference_center.lists.scrub.query import (
    DecisionQuery,
    OutputPaths,
    ReceiptFile,
    ScrubCounts,
    ScrubEngine,
    ScrubJob,
    ScrubProgress,
    ScrubReceipt,
)
from preference_center.lists.scrub.snapshots import Snapshot, ensure_usable, read_snapshot_metadata


def _decision_query(job: ScrubJob, snapshot: Snapshot) -> DecisionQuery:
    """The query of a job. Raises UnknownMessageType, WrongChannel."""
    catalogue = snapshot.read_catalogue()
    message = catalogue.message_type(job.message_type)
    topic = catalogue.topic(message.topic) if message.topic else None
    channel = job.channel or (topic.channel if topic else Channel.EMAIL)
    if topic is not None and topic.channel is not channel:
        raise WrongChannel(f"this message is sent by {topic.channel}: omit --channel")
    wired = services()
    return DecisionQuery(
        message=message,
        topic=topic,
        channel=channel,
        region=wired.settings.phone_region,
        now=wired.now(),
        keys=wired.keys,
        match_md5=snapshot.md5,
    )


def scrub_list(job: ScrubJob, progress: ScrubProgress) -> ScrubReceipt:
    """Write the clean list, the removed rows and the receipt; all of them, or none.

    Raises InvalidInput with what to fix, ConfigError without Spark, KeyMismatch where the
    snapshot was made with other keys, and ScrubError where the engine failed.
    """
    started = services().now()
    snapshot = read_snapshot_metadata(job.snapshot_path)
    ensure_usable(snapshot, services().keys, started, job.max_snapshot_age)
    question = _decision_query(job, snapshot)
    _check_paths(job)
    scrub_by = _select_engine(job, question)
    before = _file_state(job.list_path)
    # The clean list comes last: once it exists, so do its receipt and the removed rows.
    paths = [job.removed_path, *([job.receipt_path] if job.receipt_path else []), job.clean_path]
    with atomic_files(paths) as made:
        targets = OutputPaths(
            made.temporary_paths[job.clean_path],
            made.temporary_paths[job.removed_path],
            made.work_folder,
        )
        name, counts = scrub_by(targets, progress)
        progress("Checking", 0)
        with ThreadPoolExecutor() as threads:
            digests = list(
                threads.map(sha256_hex, (job.list_path, targets.clean_path, targets.removed_path))
            )
        if _file_state(job.list_path) != before:
            raise InvalidList("the list changed while it was read: start again")
        removed = sum(counts.removed.values())
        receipt = ScrubReceipt(
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
            list=ReceiptFile(job.list_path.name, counts.rows, digests[0]),
            clean=ReceiptFile(job.clean_path.name, counts.clean, digests[1]),
            removed=ReceiptFile(job.removed_path.name, removed, digests[2]),
            removed_by_rule=counts.removed,
        )
        if job.receipt_path:
            made.temporary_paths[job.receipt_path].write_text(receipt.to_json(), encoding="utf-8")
        progress("Checking", 1)
    return receipt


def _select_engine(
    job: ScrubJob, question: DecisionQuery
) -> Callable[[OutputPaths, ScrubProgress], tuple[str, ScrubCounts]]:
    """The engine. Raises InvalidList."""
    asked = ListOptions(
        question.channel, question.region, job.address_column, job.delimiter, job.has_header
    )
    if job.engine is ScrubEngine.SPARK:
        if job.encoding != ENCODINGS[0]:
            raise InvalidList("Spark reads lists in UTF-8 only: omit --encoding")
        from preference_center.lists.scrub import spark  # noqa: PLC0415 - an extra

        def on_spark(targets: OutputPaths, progress: ScrubProgress) -> tuple[str, ScrubCounts]:
            with spark.spark_session(job.spark_master) as session:
                counts = spark.scrub_with_spark(
                    session, job.list_path, asked, job.snapshot_path, question, targets, progress
                )
            return spark.ENGINE, counts

        return on_spark
    if job.list_path.is_dir():
        raise InvalidList("the list is a folder: DuckDB reads one file (Spark reads both)")

    def on_duckdb(targets: OutputPaths, progress: ScrubProgress) -> tuple[str, ScrubCounts]:
        path = convert_list(job.list_path, job.encoding, targets.work_folder)
        layout = detect_layout(path, asked)
        return DUCKDB_ENGINE, duck.scrub_with_duckdb(
            layout, job.snapshot_path, question, targets, progress
        )

    return on_duckdb


def _check_paths(job: ScrubJob) -> None:
    """Raises InvalidInput where one file would overwrite another."""
    named = [
        job.list_path,
        job.snapshot_path,
        job.clean_path,
        job.removed_path,
        *([job.receipt_path] if job.receipt_path else []),
    ]
    if len({path.resolve() for path in named}) != len(named):
        raise InvalidList("the list, the snapshot and the files to write must be different files")
    for path in (job.clean_path, job.removed_path):
        if is_parquet(path) != is_parquet(job.list_path):
            raise InvalidList(
                "the list and the outputs must be of one kind: all .parquet, or all .csv"
                " (.csv.gz and .csv.zst too)"
            )


def _file_state(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns
