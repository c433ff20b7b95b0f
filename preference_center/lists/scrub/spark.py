"""Scrub on a Spark cluster, for lists that one machine cannot hold.

The same SQL over the same snapshot. The list is a file or a folder of files, CSV or Parquet; the
outputs are folders of parts. Spark reads and writes CSV: cells are unchanged, quotes are not
preserved, and rows are not in order. Every node must have the paths at the same location.

The secret is a column, never a literal: Spark shows query plans in its pages and logs, and these
contain only the column's name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

from preference_center.core.errors import ConfigError, InvalidList
from preference_center.core.tabular import (
    detect_delimiter,
    find_address_column,
    find_address_column_by_content,
)
from preference_center.decisions.rules import RULE_REASONS, DecisionRule
from preference_center.lists.scrub import sql
from preference_center.lists.scrub.layout import ListOptions, is_parquet
from preference_center.lists.scrub.query import (
    REMOVED_COLUMNS,
    DecisionQuery,
    OutputPaths,
    ScrubCounts,
    ScrubProgress,
    count_by_rule,
)
from preference_center.lists.scrub.sql import SqlDialect

try:
    import pyspark
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql import functions as f
except ImportError:
    raise ConfigError(
        "--engine spark needs PySpark and Java 17 or newer: pip install 'pyspark>=4'"
    ) from None

ENGINE = f"spark {pyspark.__version__}"

_CHUNK_SIZE = 10_000  # cells that Python reads at a time
_CSV_OPTIONS = {"quote": '"', "escape": '"', "multiLine": True, "encoding": "UTF-8"}
_VERBATIM_OPTIONS = {
    "ignoreLeadingWhiteSpace": False,
    "ignoreTrailingWhiteSpace": False,
    "emptyValue": "",
}


@contextmanager
def spark_session(master: str | None) -> Iterator[SparkSession]:
    """A session on `master`, by default that of Spark's own configuration."""
    builder = SparkSession.builder.appName("preference-center scrub")
    if master:
        builder = builder.master(master)
    spark = (
        builder.config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.caseSensitive", "true")
        .config("mapreduce.fileoutputcommitter.marksuccessfuljobs", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    try:
        yield spark
    finally:
        spark.stop()


def scrub_with_spark(
    spark: SparkSession,
    source: Path,
    list_options: ListOptions,
    snapshot: Path,
    query: DecisionQuery,
    targets: OutputPaths,
    progress: ScrubProgress,
) -> ScrubCounts:
    """Write two folders: the rows that may be sent to, and those that may not.

    Raises InvalidList where the list can't be read.
    """
    progress("Finding candidates", 0)
    rows, delimiter = _open_list(spark, source, list_options)
    _create_views(spark, rows, snapshot, query)
    dialect = SqlDialect(
        lambda text, pattern: f"regexp_like({text}, '^(?:{pattern})\\\\z')",
        [(f"inner{n}", f"outer{n}") for n in range(query.keys.digest_length)],
    )
    looks = sql.with_digests(dialect, query.channel, md5=query.match_md5)
    concerned = sql.candidates_condition(md5=query.match_md5, keys=query.keys.digest_length)
    candidate = spark.sql(f"SELECT * FROM ({looks}) AS digested WHERE {concerned}").persist()
    candidate.createOrReplaceTempView("candidate")
    unreadable = _parse_candidates(spark, candidate, query)
    progress("Deciding", 0)
    spark.sql(
        sql.probes(md5=query.match_md5, keys=query.keys.digest_length)
    ).createOrReplaceTempView("probe")
    decisions = _decisions(spark, query, unreadable).persist()
    progress("Writing", 0)
    unseen = query.default_decision
    decided = rows.join(decisions, "cell", "left").withColumn(
        "allow", f.coalesce("allow", f.lit(unseen.allow))
    )
    clean, removed = decided.where("allow"), decided.where("NOT allow")
    removed_rows = removed.select("line.*", *_removed_columns(query))
    parquet = is_parquet(targets.clean_path)
    for frame, path in (
        (clean.select("line.*"), targets.clean_path),
        (removed_rows, targets.removed_path),
    ):
        _write_list(frame, path, list_options, delimiter, parquet=parquet)
    found = removed_rows.groupBy(REMOVED_COLUMNS[0]).count().collect()
    counts = count_by_rule([(row[0], row[1]) for row in found])
    return ScrubCounts(rows.count(), clean.count(), counts)


def _open_list(
    spark: SparkSession, source: Path, list_options: ListOptions
) -> tuple[DataFrame, str]:
    """The rows as `line`, a struct, and `cell`; and the delimiter of a CSV file."""
    delimiter = ","
    if is_parquet(source):
        frame = spark.read.parquet(str(source))
    else:
        delimiter = list_options.delimiter or _detect_delimiter(spark, source)
        frame = (
            spark.read.options(**_CSV_OPTIONS, **_VERBATIM_OPTIONS, nullValue="\x00", sep=delimiter)
            .option("header", list_options.has_header)
            .csv(str(source))
        )
    names = tuple(frame.columns)
    if set(names) & set(REMOVED_COLUMNS):
        raise InvalidList(f"the list has a column of ours already: {', '.join(REMOVED_COLUMNS)}")
    if list_options.has_header or is_parquet(source) or list_options.address_column:
        column = find_address_column(names, list_options.address_column, list_options.channel)
    else:
        row = frame.first()
        column = find_address_column_by_content(
            [str(cell) for cell in row or ()], list_options.channel, list_options.region
        )
    cell = f.coalesce(frame[_quote_identifier(names[column])].cast("string"), f.lit(""))
    line = f.struct(*(frame[_quote_identifier(name)] for name in names))
    return frame.select(line.alias("line"), cell.alias("cell")), delimiter


def _detect_delimiter(spark: SparkSession, source: Path) -> str:
    row = spark.read.text(str(source)).first()
    if row is None:
        raise InvalidList("the list is empty")
    return detect_delimiter(row[0])


def _quote_identifier(name: str) -> str:
    escaped = name.replace("`", "``")
    return f"`{escaped}`"


def _create_views(
    spark: SparkSession, rows: DataFrame, snapshot: Path, query: DecisionQuery
) -> None:
    """The views `list`, with the pads in every row, and `fact`."""
    pads = {
        f"{name}{number}": bytearray(value)
        for number, pair in enumerate(query.keys.hmac_pads())
        for name, value in zip(("inner", "outer"), pair, strict=True)
    }
    schema = ", ".join(f"{name} BINARY" for name in pads)
    secret = spark.createDataFrame([tuple(pads.values())], schema)
    cells = rows.select("cell").crossJoin(f.broadcast(secret))
    cells.createOrReplaceTempView("list")
    spark.read.parquet(str(snapshot)).createOrReplaceTempView("snapshot_fact")
    wanted = sql.deciding_scopes(query.message, query.topic)
    facts = sql.deciding_facts("snapshot_fact", query.channel, wanted)
    spark.sql(facts).createOrReplaceTempView("fact")


def _parse_candidates(
    spark: SparkSession, candidates: DataFrame, query: DecisionQuery
) -> DataFrame:
    """Parse the cells that SQL can't; returns those that contain no address."""
    unreadable = spark.createDataFrame([], "cell STRING")
    read = spark.createDataFrame([], "cell STRING, kind INT, digest STRING")
    cells = candidates.where("NOT safe").select("cell").distinct().toLocalIterator()
    while rows := list(islice(cells, _CHUNK_SIZE)):
        found, bad = query.parse_cells(cell for (cell,) in rows)
        nothing = [(cell,) for cell in bad]
        unreadable = unreadable.union(spark.createDataFrame(nothing, unreadable.schema))
        read = read.union(spark.createDataFrame(found, read.schema))
    read.createOrReplaceTempView("read")
    return unreadable


def _decisions(spark: SparkSession, query: DecisionQuery, unreadable: DataFrame) -> DataFrame:
    decided = spark.sql(
        "SELECT cell, allow, rule, scope, since FROM"
        f" ({sql.decisions(query.message, query.topic, query.now_us)})"
    )
    refused = unreadable.select(
        "cell",
        f.lit(False).alias("allow"),
        f.lit(DecisionRule.UNPARSEABLE_ADDRESS.value).alias("rule"),
        f.lit("").alias("scope"),
        f.lit(None).cast("bigint").alias("since"),
    )
    return decided.unionByName(refused)


def _removed_columns(query: DecisionQuery) -> list[Any]:
    unseen = query.default_decision
    rule = f.coalesce("rule", f.lit(str(unseen.rule)))
    reason = f.lit(None).cast("string")
    for known, words in RULE_REASONS.items():
        reason = f.when(rule == known.value, words).otherwise(reason)
    scope = f.coalesce("scope", f.lit(unseen.scope or ""))
    moment = f.date_format(f.timestamp_micros("since"), "yyyy-MM-dd'T'HH:mm:ss'Z'")
    since = f.coalesce(moment, f.lit(""))
    values = (rule, reason, scope, since)
    return [value.alias(name) for name, value in zip(REMOVED_COLUMNS, values, strict=True)]


def _write_list(
    frame: DataFrame, path: Path, list_options: ListOptions, delimiter: str, *, parquet: bool
) -> None:
    if parquet:
        frame.write.parquet(str(path))
    else:
        options = {
            key: value for key, value in _CSV_OPTIONS.items() if key != "multiLine"
        } | _VERBATIM_OPTIONS
        frame.write.options(**options, nullValue="", sep=delimiter).option(
            "header", list_options.has_header
        ).csv(str(path))
    for checksum in path.glob(".*.crc"):
        with suppress(OSError):
            checksum.unlink()
