"""Scrubbing on a Spark cluster, for lists that one machine cannot hold.

The same SQL over the same snapshot. The list is a file or a folder of files, CSV or Parquet;
what is written is a folder of parts. CSV is read and written by Spark: cells stay as they are,
quotes are set anew, and rows keep no order. Every node must see the paths at the same place.

The secret is a column, never a literal: plans, which Spark's pages and logs show, name it only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

from preference_center.domain.decisions import Rule
from preference_center.errors import ConfigError, InvalidList
from preference_center.scrub import sql
from preference_center.scrub.address_column import find_by_content, find_column
from preference_center.scrub.decision_query import (
    EXTRA,
    REASONS,
    Counts,
    Progress,
    Question,
    Targets,
    by_rule,
)
from preference_center.scrub.list_layout import DELIMITERS, Asked, is_parquet
from preference_center.scrub.sql import Dialect

try:
    import pyspark
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql import functions as f
except ImportError:
    raise ConfigError(
        "--engine spark needs PySpark and Java 17 or newer: pip install 'pyspark>=4'"
    ) from None

ENGINE = f"spark {pyspark.__version__}"

_CHUNK = 10_000  # cells that Python reads at a time
_CSV = {"quote": '"', "escape": '"', "multiLine": True, "encoding": "UTF-8"}
_AS_IS = {"ignoreLeadingWhiteSpace": False, "ignoreTrailingWhiteSpace": False, "emptyValue": ""}


@contextmanager
def session(master: str | None) -> Iterator[SparkSession]:
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


def scrub(
    spark: SparkSession,
    source: Path,
    asked: Asked,
    snapshot: Path,
    question: Question,
    targets: Targets,
    progress: Progress,
) -> Counts:
    """Write two folders: the rows that may be sent to, and those that may not.

    Raises InvalidList where the list can't be read.
    """
    progress("Looking", 0)
    rows, delimiter = _open(spark, source, asked)
    _prepare(spark, rows, snapshot, question)
    dialect = Dialect(
        lambda text, pattern: f"regexp_like({text}, '^(?:{pattern})\\\\z')",
        [(f"inner{n}", f"outer{n}") for n in range(len(question.keys.digest_chain))],
    )
    looks = sql.looks(dialect, question.channel, md5=question.md5)
    concerned = sql.concerned(md5=question.md5)
    closer = spark.sql(f"SELECT * FROM ({looks}) AS looked WHERE {concerned}").persist()
    closer.createOrReplaceTempView("closer")
    unreadable = _read(spark, closer, question)
    progress("Deciding", 0)
    spark.sql(sql.probes(md5=question.md5)).createOrReplaceTempView("probe")
    verdict = _verdicts(spark, question, unreadable).persist()
    progress("Writing", 0)
    unseen = question.unseen
    judged = rows.join(verdict, "cell", "left").withColumn(
        "allow", f.coalesce("allow", f.lit(unseen.allow))
    )
    clean, removed = judged.where("allow"), judged.where("NOT allow")
    told = removed.select("line.*", *_told(question))
    parquet = is_parquet(targets.clean)
    for frame, path in ((clean.select("line.*"), targets.clean), (told, targets.removed)):
        _write(frame, path, asked, delimiter, parquet=parquet)
    found = told.groupBy(EXTRA[0]).count().collect()
    counts = by_rule([(row[0], row[1]) for row in found])
    return Counts(rows.count(), clean.count(), counts)


def _open(spark: SparkSession, source: Path, asked: Asked) -> tuple[DataFrame, str]:
    """The rows as `line`, a struct, and `cell`; and the delimiter of a CSV file."""
    delimiter = ","
    if is_parquet(source):
        frame = spark.read.parquet(str(source))
    else:
        delimiter = asked.delimiter or _delimiter(spark, source)
        frame = (
            spark.read.options(**_CSV, **_AS_IS, nullValue="\x00", sep=delimiter)
            .option("header", asked.header)
            .csv(str(source))
        )
    names = tuple(frame.columns)
    if set(names) & set(EXTRA):
        raise InvalidList(f"the list has a column of ours already: {', '.join(EXTRA)}")
    if asked.header or is_parquet(source) or asked.column:
        column = find_column(names, asked.column, asked.channel)
    else:
        row = frame.first()
        column = find_by_content([str(cell) for cell in row or ()], asked.channel, asked.region)
    cell = f.coalesce(frame[_escaped(names[column])].cast("string"), f.lit(""))
    line = f.struct(*(frame[_escaped(name)] for name in names))
    return frame.select(line.alias("line"), cell.alias("cell")), delimiter


def _delimiter(spark: SparkSession, source: Path) -> str:
    row = spark.read.text(str(source)).first()
    if row is None:
        raise InvalidList("the list is empty")
    return max(DELIMITERS, key=row[0].count)


def _escaped(name: str) -> str:
    escaped = name.replace("`", "``")
    return f"`{escaped}`"


def _prepare(spark: SparkSession, rows: DataFrame, snapshot: Path, question: Question) -> None:
    """The views `list`, with the pads in every row, and `fact`."""
    pads = {
        f"{name}{number}": bytearray(value)
        for number, pair in enumerate(question.keys.digest_pads())
        for name, value in zip(("inner", "outer"), pair, strict=True)
    }
    schema = ", ".join(f"{name} BINARY" for name in pads)
    secret = spark.createDataFrame([tuple(pads.values())], schema)
    cells = rows.select("cell").crossJoin(f.broadcast(secret))
    cells.createOrReplaceTempView("list")
    spark.read.parquet(str(snapshot)).createOrReplaceTempView("told")
    wanted = sql.scopes(question.message, question.topic)
    facts = sql.facts("told", question.channel, wanted)
    spark.sql(facts).createOrReplaceTempView("fact")


def _read(spark: SparkSession, closer: DataFrame, question: Question) -> DataFrame:
    """Let Python read the cells that SQL can't be sure of; those that hold no address."""
    unreadable = spark.createDataFrame([], "cell STRING")
    read = spark.createDataFrame([], "cell STRING, kind INT, digest STRING")
    cells = closer.where("NOT safe").select("cell").distinct().toLocalIterator()
    while rows := list(islice(cells, _CHUNK)):
        bad: list[tuple[str]] = []
        found: list[tuple[str, int, str]] = []
        for (cell,) in rows:
            address = question.read(cell)
            if address is None:
                bad.append((cell,))
            else:
                found += ((cell, *digest) for digest in question.digests(address))
        unreadable = unreadable.union(spark.createDataFrame(bad, unreadable.schema))
        read = read.union(spark.createDataFrame(found, read.schema))
    read.createOrReplaceTempView("read")
    return unreadable


def _verdicts(spark: SparkSession, question: Question, unreadable: DataFrame) -> DataFrame:
    decided = spark.sql(
        "SELECT cell, allow, rule, scope, since FROM"
        f" ({sql.verdicts(question.message, question.topic, question.now_us)})"
    )
    refused = unreadable.select(
        "cell",
        f.lit(False).alias("allow"),
        f.lit(Rule.UNPARSEABLE_ADDRESS.value).alias("rule"),
        f.lit("").alias("scope"),
        f.lit(None).cast("bigint").alias("since"),
    )
    return decided.unionByName(refused)


def _told(question: Question) -> list[Any]:
    unseen = question.unseen
    rule = f.coalesce("rule", f.lit(str(unseen.rule)))
    reason = f.lit(None).cast("string")
    for known, words in REASONS.items():
        reason = f.when(rule == known.value, words).otherwise(reason)
    scope = f.coalesce("scope", f.lit(unseen.scope or ""))
    moment = f.date_format(f.timestamp_micros("since"), "yyyy-MM-dd'T'HH:mm:ss'Z'")
    since = f.coalesce(moment, f.lit(""))
    values = (rule, reason, scope, since)
    return [value.alias(name) for name, value in zip(EXTRA, values, strict=True)]


def _write(frame: DataFrame, path: Path, asked: Asked, delimiter: str, *, parquet: bool) -> None:
    if parquet:
        frame.write.parquet(str(path))
    else:
        options = {key: value for key, value in _CSV.items() if key != "multiLine"} | _AS_IS
        frame.write.options(**options, nullValue="", sep=delimiter).option(
            "header", asked.header
        ).csv(str(path))
    for checksum in path.glob(".*.crc"):
        with suppress(OSError):
            checksum.unlink()
