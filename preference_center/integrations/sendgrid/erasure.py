"""Erasing people in SendGrid, by a job that reports nothing.

https://www.twilio.com/docs/sendgrid/api-reference/recipients-data-erasure-api/erase-recipients-email-data
The pages name neither how long a job takes, nor a call that tells, nor whether suppressions are
among what it deletes. So the groups are written again after DURATION.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus

from preference_center.integrations.base import runtime
from preference_center.integrations.sendgrid.models import CONTACTS_PATH

DURATION = timedelta(days=2)
"""After which a job is taken to be done."""


def start_job(session: runtime.Session, items: runtime.EraseItems) -> runtime.Outcomes:
    """Begin to erase these people, at most 5,000; each outcome has the id of the job."""
    body = {"email_addresses": [item.address for item in items]}
    answer = session.send("POST", "/v3/recipients/erasejob", body=body)
    job = answer.parse_member(str, "job_id")
    waiting = replace(runtime.retry_later(answer.status, DURATION), job=job)
    return {item.ref: waiting for item in items}


def has_contact(session: runtime.Session, address: str) -> bool:
    """Whether a marketing contact has this address; False for a key that may not look."""
    answer = session.send(
        "POST",
        f"{CONTACTS_PATH}/search/emails",
        body={"emails": [address]},
        allowed_statuses={HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN},
    )
    if answer.status in {HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN}:
        return False
    found = answer.parse_member(dict[str, dict[str, object]], "result", or_empty=True)
    return any("contact" in row for row in found.values())


def suppression_changes(
    items: runtime.EraseItems, groups: Collection[str]
) -> list[list[runtime.TargetChange]]:
    """For each group, the changes that turn it off for these people."""
    return [
        [runtime.TargetChange(item.ref, item.address, off=frozenset({group})) for item in items]
        for group in sorted(groups)
    ]
