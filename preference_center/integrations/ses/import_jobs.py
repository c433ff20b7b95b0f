"""Bringing many contacts of Amazon SES to their state by its import jobs.

https://docs.aws.amazon.com/ses/latest/dg/sending-email-list-management.html
https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_CreateImportJob.html
A job replaces each record of its file, minutes later, and makes a contact of who is none.
So a file holds only contacts that were listed a moment ago, each with its whole known state,
and only such as have every topic of the list off afterwards: a choice that the person makes
on SES's own page meanwhile has nothing left to turn off that the job could turn on again (I5).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from preference_center.integrations.base.contract import DeliveryError, Setup
from preference_center.integrations.base.http import Http, Session
from preference_center.integrations.base.rate_limit import Paced
from preference_center.integrations.ses.client import OPT_OUT, Contact, ContactList, Pascal
from preference_center.integrations.ses.signing import Signer

BUCKET = "import_bucket"
FEW = 10
"""Contacts that are not worth a job: pushed one by one, they are off sooner."""
AT_ONCE = 10
"""Jobs that may be under way: SES allows 20 in an account."""
AGAIN = timedelta(seconds=30)
AFTER_ALL = timedelta(hours=6)
"""When a job's contacts are pushed one by one, unless a listing has shown that it was done."""
AFTER_FAILURE = timedelta(minutes=30)
"""When to try again after a job that failed as a whole."""
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", re.ASCII)
_RUNNING = frozenset({"CREATED", "PROCESSING"})
_FOLDER = "preference-center"


class _Job(Pascal):
    job_status: str = ""
    created_timestamp: float | None = None


class _Jobs(Pascal):
    import_jobs: Sequence[_Job] = ()


class _Begun(Pascal):
    job_id: str


_JOBS = TypeAdapter(_Jobs)
_BEGUN = TypeAdapter(_Begun)


@dataclass(frozen=True, slots=True)
class Record:
    """A contact as it was listed, and the preferences that it is to have, all of them."""

    contact: Contact
    preferences: dict[str, str]

    def leaves_nothing_on(self, topics: Collection[str]) -> bool:
        """Whether every topic of the list is off then."""
        return all(self.preferences.get(topic) == OPT_OUT for topic in topics)

    def line(self) -> str:
        """As the file has it."""
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


def bucket_problems(setup: Setup) -> Iterator[str]:
    """What is wrong with the bucket's name, for a person."""
    name = setup.settings.get(BUCKET)
    if name and not _NAME.fullmatch(name):
        yield f"{BUCKET} must be the name of a bucket without dots, as in acme-imports"


def under_way(setup: Setup, contacts: ContactList, now: datetime) -> int:
    """How many imports into contact lists the account has under way.

    Only the last hundred are asked for: 20 can be under way. Raises DeliveryError when the
    newest has failed as a whole, until it is time to try again.
    """
    body = {"ImportDestinationType": "CONTACT_LIST", "PageSize": 100}
    jobs = contacts.send("POST", "/v2/email/import-jobs/list", body).parse(_JOBS).import_jobs
    newest = max(jobs, key=lambda job: job.created_timestamp or 0, default=None)
    if newest and newest.job_status == "FAILED":
        since = timedelta(seconds=now.timestamp() - (newest.created_timestamp or 0))
        if since < AFTER_FAILURE:
            raise DeliveryError(
                f"{setup.name}: SES failed to import a file: does the policy of the bucket let "
                "ses.amazonaws.com read it, and is it in the same region?"
            )
    return sum(job.job_status in _RUNNING for job in jobs)


def begin(setup: Setup, http: Http, contacts: ContactList, records: Sequence[Record]) -> str:
    """Write a file to the bucket and have it imported; the job's id.

    Raises Paced, with nothing written, while enough jobs are under way.
    """
    if under_way(setup, contacts, http.now()) >= AT_ONCE:
        raise Paced(f"{setup.name}: SES is still importing", retry_after=AGAIN)
    key = f"{_FOLDER}/{http.nonce()}.json"
    text = "".join(f"{record.line()}\n" for record in records)
    _put(setup, http, key, text.encode())
    body = {
        "ImportDestination": {
            "ContactListDestination": {
                "ContactListName": setup.settings["contact_list"],
                "ContactListImportAction": "PUT",
            }
        },
        "ImportDataSource": {
            "S3Url": f"s3://{setup.settings[BUCKET]}/{key}",
            "DataFormat": "JSON",
        },
    }
    return contacts.send("POST", "/v2/email/import-jobs", body).parse(_BEGUN).job_id


def _put(setup: Setup, http: Http, key: str, content: bytes) -> None:
    with _bucket(setup, http) as (url, session):
        exact = f"/{key}"
        headers = Signer(setup).s3_headers("PUT", f"{url}{exact}", content)
        session.send("PUT", f"/{_FOLDER}/{{key}}", exact=exact, body=content, headers=headers)


@contextmanager
def _bucket(setup: Setup, http: Http) -> Iterator[tuple[str, Session]]:
    """Raises DeliveryError (permanent) for what is no bucket's name."""
    for problem in bucket_problems(setup):
        raise DeliveryError(f"{setup.name}: {problem}", permanent=True)
    bucket, region = setup.settings[BUCKET], setup.settings["region"]
    url = setup.settings.get("bucket_url") or f"https://{bucket}.s3.{region}.amazonaws.com"
    with http.session(setup.name, url) as session:
        yield url, session
