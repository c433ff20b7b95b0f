"""Import jobs of Amazon SES and the bucket that they read, as AWS documents them.

A job is worked off after it was listed a few times. It puts each record in the place of the
contact that there is, and makes a contact of anyone who is none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from werkzeug.wrappers import Response

BUCKET = "acme-imports"


class Imports:
    def __init__(self) -> None:
        self.lists = 0
        """How often a job is listed before it is done."""
        self.fails = False
        """Whether the next jobs fail, as when SES may not read the bucket."""
        self.bad: set[str] = set()
        """Addresses whose records fail."""
        self.files: dict[str, list[dict[str, Any]]] = {}
        self.jobs: list[dict[str, Any]] = []
        self.requests: list[Mapping[str, Any]] = []

    def put(self, path: str, body: bytes, *, signed: bool) -> Response:
        """What S3 does."""
        if not signed:
            return Response("<Error><Code>SignatureDoesNotMatch</Code></Error>", 403)
        self.files[f"s3:/{path}"] = [json.loads(line) for line in body.splitlines()]
        return Response("", 200, {"ETag": '"0"'})

    def begin(self, request: Mapping[str, Any], now: datetime) -> str:
        self.requests.append(request)
        name = f"job-{len(self.jobs) + 1}"
        self.jobs.append(
            {
                "JobId": name,
                "JobStatus": "FAILED" if self.fails else "CREATED",
                "CreatedTimestamp": now.timestamp(),
                "file": request["ImportDataSource"]["S3Url"],
                "listed": 0,
            }
        )
        return name

    def list(
        self, contacts: dict[str, dict[str, Any]], touch: Callable[[dict[str, Any]], None]
    ) -> list[dict[str, Any]]:
        for job in self.jobs:
            if job["JobStatus"] in {"CREATED", "PROCESSING"}:
                job["listed"] += 1
                job["JobStatus"] = "PROCESSING"
                if job["listed"] > self.lists:
                    self._work_off(job, contacts, touch)
        shown = ("JobId", "JobStatus", "CreatedTimestamp", "FailedRecordsCount")
        return [{k: job[k] for k in shown if k in job} for job in self.jobs[-100:]]

    def finish(
        self, contacts: dict[str, dict[str, Any]], touch: Callable[[dict[str, Any]], None]
    ) -> None:
        """As time does."""
        before, self.lists = self.lists, 0
        self.list(contacts, touch)
        self.lists = before

    def _work_off(
        self,
        job: dict[str, Any],
        contacts: dict[str, dict[str, Any]],
        touch: Callable[[dict[str, Any]], None],
    ) -> None:
        records = self.files[job["file"]]
        for record in records:
            if record["emailAddress"] in self.bad:
                continue
            contact = {
                "EmailAddress": record["emailAddress"],
                "UnsubscribeAll": record["unsubscribeAll"],
                "TopicPreferences": [
                    {
                        "TopicName": each["topicName"],
                        "SubscriptionStatus": each["subscriptionStatus"],
                    }
                    for each in record["topicPreferences"]
                ],
            }
            contacts[record["emailAddress"].lower()] = contact
            touch(contact)
        failed = sum(record["emailAddress"] in self.bad for record in records)
        job |= {"JobStatus": "COMPLETED", "FailedRecordsCount": failed}
