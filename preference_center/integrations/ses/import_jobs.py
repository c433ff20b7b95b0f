"""Changing many contacts of Amazon SES at once by its import jobs.

https://docs.aws.amazon.com/ses/latest/dg/sending-email-list-management.html
https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_CreateImportJob.html
A job replaces the contacts in its file some minutes later, and creates unknown ones. So a file
holds only contacts that were just listed, each with its whole known state, and only those that
have every topic of the list off afterwards: if the person turns a topic off on SES's own page
meanwhile, the job can't turn it on again (I5).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from preference_center.integrations.base.contract import DeliveryError, DestinationConfig
from preference_center.integrations.base.http import HttpContext, HttpSession
from preference_center.integrations.base.rate_limit import RateLimited
from preference_center.integrations.ses.client import OPT_OUT, PascalModel, SesClient, SesContact
from preference_center.integrations.ses.signing import AwsRequestSigner

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


class _ImportJob(PascalModel):
    job_status: str = ""
    created_timestamp: float | None = None


class _ImportJobs(PascalModel):
    import_jobs: Sequence[_ImportJob] = ()


class _ImportJobCreated(PascalModel):
    job_id: str


_JOBS = TypeAdapter(_ImportJobs)
_JOB_CREATED = TypeAdapter(_ImportJobCreated)


@dataclass(frozen=True, slots=True)
class ImportRecord:
    """A contact as it was listed, and all preferences that it is to have."""

    contact: SesContact
    preferences: dict[str, str]

    def turns_all_off(self, topics: Collection[str]) -> bool:
        """Whether every topic of the list is off afterwards."""
        return all(self.preferences.get(topic) == OPT_OUT for topic in topics)

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


def bucket_problems(config: DestinationConfig) -> Iterator[str]:
    """Problems of the bucket's name."""
    name = config.settings.get(BUCKET_SETTING)
    if name and not _BUCKET_NAME.fullmatch(name):
        yield f"{BUCKET_SETTING} must be the name of a bucket without dots, as in acme-imports"


def count_running_jobs(config: DestinationConfig, client: SesClient, now: datetime) -> int:
    """How many imports into contact lists are in progress in the account.

    Only the last hundred are listed: 20 can be in progress. Raises DeliveryError when the
    newest has failed as a whole, until it is time to try again.
    """
    body = {"ImportDestinationType": "CONTACT_LIST", "PageSize": 100}
    jobs = client.send("POST", "/v2/email/import-jobs/list", body).parse(_JOBS).import_jobs
    newest = max(jobs, key=lambda job: job.created_timestamp or 0, default=None)
    if newest and newest.job_status == "FAILED":
        since = timedelta(seconds=now.timestamp() - (newest.created_timestamp or 0))
        if since < FAILURE_RETRY_DELAY:
            raise DeliveryError(
                f"{config.name}: SES failed to import a file: does the policy of the bucket let "
                "ses.amazonaws.com read it, and is it in the same region?"
            )
    return sum(job.job_status in _RUNNING_STATUSES for job in jobs)


def start_import_job(
    config: DestinationConfig, http: HttpContext, client: SesClient, records: Sequence[ImportRecord]
) -> str:
    """Write a file to the bucket and start its import; the job's id.

    Raises RateLimited, with nothing written, while too many jobs are in progress.
    """
    if count_running_jobs(config, client, http.now()) >= MAX_RUNNING_JOBS:
        raise RateLimited(f"{config.name}: SES is still importing", retry_after=POLL_INTERVAL)
    key = f"{_KEY_PREFIX}/{http.nonce()}.json"
    text = "".join(f"{record.to_json()}\n" for record in records)
    _upload(config, http, key, text.encode())
    body = {
        "ImportDestination": {
            "ContactListDestination": {
                "ContactListName": config.settings["contact_list"],
                "ContactListImportAction": "PUT",
            }
        },
        "ImportDataSource": {
            "S3Url": f"s3://{config.settings[BUCKET_SETTING]}/{key}",
            "DataFormat": "JSON",
        },
    }
    return client.send("POST", "/v2/email/import-jobs", body).parse(_JOB_CREATED).job_id


def _upload(config: DestinationConfig, http: HttpContext, key: str, content: bytes) -> None:
    with _open_bucket(config, http) as (url, session):
        exact = f"/{key}"
        headers = AwsRequestSigner(config).sign_s3("PUT", f"{url}{exact}", content)
        session.send(
            "PUT", f"/{_KEY_PREFIX}/{{key}}", raw_path=exact, body=content, headers=headers
        )


@contextmanager
def _open_bucket(config: DestinationConfig, http: HttpContext) -> Iterator[tuple[str, HttpSession]]:
    """Raises DeliveryError (permanent) for an invalid name of a bucket."""
    for problem in bucket_problems(config):
        raise DeliveryError(f"{config.name}: {problem}", permanent=True)
    bucket, region = config.settings[BUCKET_SETTING], config.settings["region"]
    url = config.settings.get("bucket_url") or f"https://{bucket}.s3.{region}.amazonaws.com"
    with http.session(config.name, url) as session:
        yield url, session
