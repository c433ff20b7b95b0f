"""What a worker says of its jobs: their id in each line, their time, and what went wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from preference_center.core.occurrences import Occurrence
from preference_center.infra import occurrences
from preference_center.infra.job_queue import SYNC, rq_queue
from preference_center.infra.metrics import render_metrics
from preference_center.infra.redis import connect_redis
from workers import jobs
from workers.worker import make_worker

if TYPE_CHECKING:
    from flask import Flask

COUNT = 'preference_center_job_seconds_count{task="sync"}'
FAILED = 'preference_center_jobs_failed_total{task="sync"}'


def run(redis_url: str, job: str, *args: object, data: bytes | None = None) -> str:
    """Run one job, and return its id."""
    with connect_redis(redis_url) as connection:
        connection.flushdb()
        queued = rq_queue(connection, "sync").enqueue_call(job, args=args, job_id="sync-3-0-17")
        if data is not None:
            connection.hset(queued.key, "data", data)
        make_worker(connection).work(burst=True, logging_level="WARNING")
    return str(queued.id)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines() if line[:1] == "{"]


def counted(series: str = COUNT) -> float:
    for line in render_metrics().decode().splitlines():
        if line.startswith(series):
            return float(line.rpartition(" ")[2])
    return 0.0


def test_each_line_about_a_job_has_its_id_and_its_time_is_counted(
    app: Flask,
    redis_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "sync", lambda _id: structlog.get_logger().info("synced"))
    before = counted()
    number = run(redis_url, SYNC, 3)
    assert [(line["event"], line["job_id"]) for line in lines(capsys)] == [("synced", number)]
    assert counted() == before + 1


def test_a_job_that_fails_is_one_line(
    app: Flask,
    redis_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "sync", lambda _id: 1 / 0)
    occurrences.take()
    before = counted(FAILED)
    number = run(redis_url, SYNC, 3)
    (line,) = lines(capsys)
    assert (line["event"], line["job"], line["job_id"]) == ("job_failed", "sync", number)
    assert line["error"] == "ZeroDivisionError"
    assert line["raised_at"][-1].startswith(f"{__name__}:")
    assert counted(FAILED) == before + 1
    assert occurrences.take() == {(Occurrence.JOB_FAILED, "sync")}


def test_the_text_of_a_jobs_error_is_not_logged(  # it may contain an address
    app: Flask,
    redis_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_id: int) -> None:
        raise ValueError("Key (address)=(anna@example.org) already exists")

    monkeypatch.setattr(jobs, "sync", fail)
    run(redis_url, SYNC, 3)
    printed = capsys.readouterr()
    assert "job_failed" in printed.err
    assert "anna@example.org" not in printed.err + printed.out


def test_a_job_that_cannot_be_read_ends_no_worker(
    app: Flask, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(redis_url, SYNC, 3, data=b"{not json")
    assert lines(capsys)[0]["event"] == "job_failed"
    assert (Occurrence.JOB_FAILED, "other") in occurrences.take()
