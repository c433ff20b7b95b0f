"""This module changes many contacts at once, by import jobs of Amazon SES v2.

https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_CreateImportJob.html
A job replaces the contacts in its file some minutes later, and creates unknown ones. So a file
holds only contacts that were just listed, each with its whole known state, and only those that
have every topic of the list off afterwards: if the person turns a topic off on SES's own page
meanwhile, the job can't turn it on again (I5).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from preference_center.integrations.base import runtime
from preference_center.integrations.base.contract import RateLimited

if TYPE_CHECKING:
    from preference_center.integrations.ses.client import AwsRequestSigner, SesContact

BUCKET_SETTING = "import_bucket"

MAX_WITHOUT_JOB = 10
"""Up to so many contacts are pushed one by one, which is faster than a job."""

MAX_RUNNING_JOBS = 10
"""Jobs in progress at once: SES allows 20 in an account."""

POLL_INTERVAL = timedelta(seconds=30)

FALLBACK_DELAY = timedelta(hours=6)
"""When a job's contacts are pushed one by one, unless a listing has shown the job's effect."""

FAILURE_RETRY_DELAY = timedelta(minutes=30)
"""When to try again after a job that failed as a whole."""

_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", re.ASCII)

_RUNNING_STATUSES = frozenset({"CREATED", "PROCESSING"})

_KEY_PREFIX = "preference-center"


class _ImportJob(runtime.PascalModel):
    job_status: str = ""
    created_timestamp: float = 0


@dataclass(frozen=True, slots=True)
class ImportRecord:
    """A contact as it was listed, and all preferences that it is to have."""

    contact: SesContact
    preferences: dict[str, str]

    def turns_all_off(self, topics: Collection[str]) -> bool:
        """Whether every topic of the list is off afterwards."""
        return all(self.preferences.get(topic) == "OPT_OUT" for topic in topics)

    def to_json(self) -> str:
        """Its line of the file."""
        return json.dumps(
            {
                "emailAddress": self.contact.email_address,
                "unsubscribeAll": self.contact.unsubscribe_all,
                "topicPreferences": [
                    {"topicName": name, "subscriptionStatus": status}
                    for name, status in sorted(self.preferences.items())
                ],
            },
            ensure_ascii=False,
        )


def bucket_problems(config: runtime.DestinationConfig) -> Iterator[str]:
    """Problems of the bucket's name."""
    name = config.settings.get(BUCKET_SETTING)
    if name and not _BUCKET_NAME.fullmatch(name):
        yield f"{BUCKET_SETTING} must be the name of a bucket without dots, as in acme-imports"


class ImportJobs:
    """The import jobs of one account, for one push; they need the setting of a bucket."""

    def __init__(
        self,
        config: runtime.DestinationConfig,
        http: runtime.HttpContext,
        send: Callable[..., runtime.Response],
        signer: AwsRequestSigner,
    ) -> None:
        """`send` is `SesClient.send`."""
        self._config = config
        self._http = http
        self._send = send
        self._signer = signer

    @property
    def is_enabled(self) -> bool:
        """Whether a bucket is set."""
        return bool(self._config.settings.get(BUCKET_SETTING))

    @cached_property
    def running_count(self) -> int:
        """How many imports into contact lists are in progress in the account.

        Only the last hundred are listed: 20 can be in progress. Raises DeliveryError when the
        newest has failed as a whole, until it is time to try again.
        """
        body = {"ImportDestinationType": "CONTACT_LIST", "PageSize": 100}
        response = self._send("POST", "/v2/email/import-jobs/list", body)
        jobs = response.parse_member(list[_ImportJob], "ImportJobs", or_empty=True)
        newest = max(jobs, key=lambda job: job.created_timestamp, default=None)
        if newest and newest.job_status == "FAILED":
            age = timedelta(seconds=self._http.now().timestamp() - newest.created_timestamp)
            if age < FAILURE_RETRY_DELAY:
                raise runtime.DeliveryError(
                    f"{self._config.name}: SES failed to import a file: does the policy of the "
                    "bucket let ses.amazonaws.com read it, and is it in the same region?"
                )
        return sum(job.job_status in _RUNNING_STATUSES for job in jobs)

    def start(self, records: Sequence[ImportRecord]) -> str:
        """Write a file to the bucket and start its import; the job's id.

        Raises RateLimited, with nothing written, while too many jobs are in progress.
        """
        name = self._config.name
        if self.running_count >= MAX_RUNNING_JOBS:
            raise RateLimited(f"{name}: SES is still importing", retry_after=POLL_INTERVAL)
        key = f"{_KEY_PREFIX}/{self._http.nonce()}.json"
        self._upload(key, "".join(f"{record.to_json()}\n" for record in records).encode())
        body = {
            "ImportDestination": {
                "ContactListDestination": {
                    "ContactListName": self._config.settings["contact_list"],
                    "ContactListImportAction": "PUT",
                }
            },
            "ImportDataSource": {
                "S3Url": f"s3://{self._config.settings[BUCKET_SETTING]}/{key}",
                "DataFormat": "JSON",
            },
        }
        return self._send("POST", "/v2/email/import-jobs", body).parse_member(str, "JobId")

    def _upload(self, key: str, content: bytes) -> None:
        """Raises DeliveryError (permanent) for an invalid name of a bucket."""
        config = self._config
        for problem in bucket_problems(config):
            raise runtime.DeliveryError(f"{config.name}: {problem}", permanent=True)
        bucket, region = config.settings[BUCKET_SETTING], config.settings["region"]
        url = config.settings.get("bucket_url") or f"https://{bucket}.s3.{region}.amazonaws.com"
        headers = self._signer.sign_s3("PUT", f"{url}/{key}", content)
        with self._http.session(config.name, url) as session:
            session.send(
                "PUT", f"/{_KEY_PREFIX}/{{key}}", raw_path=f"/{key}", body=content, headers=headers
            )
