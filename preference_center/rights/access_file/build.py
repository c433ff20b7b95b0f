"""Build the file that answers a request for access, keep it sealed, and complete the request.

The file is a ZIP of a page, of JSON and of tables, written one part after the other. Events and
deliveries may be many: they are read again for each format, so that none of them is in memory
longer than it takes to write it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from typing import IO, cast
from uuid import UUID
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import structlog
from flask import current_app

from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.contacts.consents import ConsentRecords, build_consent_records
from preference_center.core.errors import InvalidInput, Unavailable, UnavailableCause
from preference_center.core.tabular import is_spreadsheet_formula
from preference_center.infra.context import services
from preference_center.infra.db.transactions import (
    Connection,
    current_limits,
    read_snapshot,
    run_in_transaction,
    transaction,
)
from preference_center.infra.job_queue import JOB_TIMEOUT_SECONDS
from preference_center.rights.access_file import ledger_records, other_records
from preference_center.rights.access_file.ledger_records import (
    AccessSubject,
    load_subject,
    readable_address,
)
from preference_center.rights.access_file.records import AccessFileHead, Record
from preference_center.rights.requests import files
from preference_center.rights.requests.steps import (
    PERSON,
    add_step,
    complete_data_request,
    load_request,
)
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.requests import RequestKind, RequestOutcome, StepAction
from preference_center.web.languages import in_language

PAGE, DATA = "index.html", "data.json"


TEMPLATE = "rights/access_file/access_file.html"


def write_archive(output: IO[bytes], subject: AccessSubject, expires_at: datetime) -> None:
    """Write the whole file about these people to `output`, which need not be able to seek."""
    head = build_head(subject, expires_at)
    with ZipFile(output, "w", ZIP_DEFLATED) as archive:
        with _open_member(archive, PAGE, subject.now) as text:
            _write_page(text, head, subject)
        with _open_member(archive, DATA, subject.now) as text:
            _write_json(text, head, subject)
        for name, consents in _consent_records(subject):
            with _open_member(archive, name, subject.now) as text:
                text.write(consents.model_dump_json(indent=2) + "\n")
        for name, records in _tables(head, subject).items():
            with _open_member(archive, f"{name}.csv", subject.now) as text:
                _write_csv(text, records)


def build_head(subject: AccessSubject, expires_at: datetime) -> AccessFileHead:
    """Everything but events and deliveries."""
    return AccessFileHead(
        made_at=subject.now,
        expires_at=expires_at,
        language=subject.language,
        reference=subject.request.reference,
        controller=other_records.controller_record(subject),
        addresses=ledger_records.address_records(subject),
        contacts=other_records.contact_records(subject),
        choices=list(ledger_records.choice_records(subject)),
        suppressions=list(ledger_records.suppression_records(subject)),
        consents=list(ledger_records.consent_records(subject)),
        topics=other_records.topic_records(subject),
        recipients=other_records.recipient_records(subject),
        bounces=other_records.bounce_records(subject),
        requests=other_records.request_records(subject),
        erasures=other_records.erasure_records(subject),
        moves=other_records.move_records(subject),
        holds=other_records.hold_records(subject),
        policy_notices=other_records.policy_notice_records(subject),
        retention=other_records.retention_records(subject),
        looks_by_staff=other_records.staff_look_records(subject),
        notes=other_records.notes(),
    )


def _write_page(text: IO[str], head: AccessFileHead, subject: AccessSubject) -> None:
    template = current_app.jinja_env.get_template(TEMPLATE)
    stream = template.stream(
        head=head,
        events=ledger_records.event_records(subject),
        deliveries=other_records.delivery_records(subject),
        time_zone=services().settings.time_zone,
        text_of={each.number: each.address or each.number for each in head.addresses},
    )
    stream.enable_buffering(100)
    text.writelines(stream)


def _write_json(text: IO[str], head: AccessFileHead, subject: AccessSubject) -> None:
    text.write(head.model_dump_json(indent=2).removesuffix("\n}"))
    for name, records in (
        ("events", ledger_records.event_records(subject)),
        ("deliveries", other_records.delivery_records(subject)),
    ):
        text.write(f',\n  "{name}": [')
        for number, record in enumerate(records):
            text.write((",\n    " if number else "\n    ") + record.model_dump_json())
        text.write("\n  ]")
    text.write("\n}\n")


def _consent_records(subject: AccessSubject) -> Iterator[tuple[str, ConsentRecords]]:
    """The consents of each address that can be read, in the open form."""
    for number, (each, facts) in enumerate(zip(subject.addresses, subject.facts, strict=True), 1):
        if address := readable_address(each):
            yield (
                f"consent-records-{number}.json",
                build_consent_records(
                    subject.connection,
                    address,
                    subject.catalogue,
                    facts,
                    subject.language,
                    subject.now,
                ),
            )


def _tables(head: AccessFileHead, subject: AccessSubject) -> dict[str, Iterable[Record]]:
    return {
        "addresses": head.addresses,
        "choices": head.choices,
        "suppressions": head.suppressions,
        "consents": head.consents,
        "events": ledger_records.event_records(subject),
        "deliveries": other_records.delivery_records(subject),
        "looks_by_staff": head.looks_by_staff,
    }


def _write_csv(text: IO[str], records: Iterable[Record]) -> None:
    """One line per record; a table without any has nothing, not even a header."""
    found = iter(records)
    first = next(found, None)
    if first is None:
        return
    writer = csv.writer(text)
    writer.writerow(type(first).model_fields)
    writer.writerows(
        [_cell(value) for value in record.model_dump(mode="json").values()]
        for record in chain([first], found)
    )


def _cell(value: object) -> str:
    """A text for a spreadsheet, which runs no formula that somebody else may have written."""
    if value is None:
        return ""
    if isinstance(value, dict):
        value = "; ".join(f"{name}: {given}" for name, given in value.items())
    text = str(value)
    return f"'{text}" if is_spreadsheet_formula(text) else text


@contextmanager
def _open_member(archive: ZipFile, name: str, at: datetime) -> Iterator[IO[str]]:
    info = ZipInfo(name, at.astimezone(UTC).timetuple()[:6])
    info.compress_type = ZIP_DEFLATED
    with archive.open(info, "w") as member, io.TextIOWrapper(member, "utf-8", newline="") as text:
        yield text


log = structlog.get_logger()


SERVICE = "service"
"""The actor of what happens by itself."""


class NoAccessFile(InvalidInput):
    """The request has no file: it is not ready yet, or it has expired."""


def build_access_file(request_id: UUID) -> bool:
    """Build the file of a request that is open, and complete the request.

    Returns whether it did: nothing happens if the request is not one for access, is not open, or
    if another worker builds its file. Safe to repeat after a crash. A request of the same people
    within FILE_RETENTION gets the same file. Raises Unavailable, also if somebody of them is erased
    meanwhile.
    """
    request = load_request(request_id)
    if request.kind is not RequestKind.ACCESS or not request.is_open:
        return False
    # It waits while the file is written, and locks nothing of anybody's.
    limits = replace(current_limits(), idle=JOB_TIMEOUT_SECONDS, total=JOB_TIMEOUT_SECONDS)
    with transaction(limits) as connection:
        if not files.try_lock(connection, request_id):
            return False
        now = services().now()
        erasures = files.list_erasures(connection, request_id)
        earlier = files.find_same_file(connection, request_id, now)
        files.delete_file(connection, request_id)
        if earlier:
            _copy_file(connection, earlier, request_id)
            outcome = RequestOutcome.FULFILLED
        else:
            outcome = _write_file(connection, request, now)
        _require_not_erased(connection, request_id, erasures)
        complete_data_request(request_id, outcome, SERVICE, connection=connection)
    log.info("access_file_built", request=str(request_id), outcome=outcome, same=bool(earlier))
    return True


def read_access_file(request_id: UUID, *, actor: str = PERSON) -> bytes:
    """The ZIP, for anyone who may have it; the download becomes a step of the request.

    Raises NoAccessFile and Unavailable.
    """

    def read(connection: Connection) -> bytes:
        now = services().now()
        period = files.load_period(connection, request_id)
        if period is None or period[1] <= now:
            raise NoAccessFile("there is no file of this request: ask for a new one")
        add_step(connection, request_id, now, actor, StepAction.FILE_DOWNLOADED)
        return b"".join(files.iter_parts(connection, services().keys, request_id))

    return run_in_transaction(read)


def file_expires_at(request: RightsRequest) -> datetime | None:
    """Until when the file of a request can be downloaded (UTC); None if there is none."""
    if request.kind is not RequestKind.ACCESS:
        return None
    period = run_in_transaction(lambda connection: files.load_period(connection, request.id))
    return period[1] if period and period[1] > services().now() else None


def _write_file(connection: Connection, request: RightsRequest, now: datetime) -> RequestOutcome:
    expires_at = now + files.FILE_RETENTION
    writer = files.FileWriter(
        connection, services().keys, request.id, created_at=now, expires_at=expires_at
    )
    with in_language(request.language) as language, read_snapshot() as snapshot:
        subject = load_subject(snapshot, request, current_catalogue_or_empty(), language)
        write_archive(cast("IO[bytes]", writer), subject, expires_at)
    writer.finish()
    return RequestOutcome.FULFILLED if subject.ids else RequestOutcome.NOTHING_HELD


def _require_not_erased(
    connection: Connection, request_id: UUID, erasures: Collection[UUID]
) -> None:
    """Raise Unavailable, so that it is tried again, if there are others than `erasures` (I6).

    Their times are those of other hosts' clocks, so they say nothing.
    """
    files.lock_subject(connection, request_id)
    if files.list_erasures(connection, request_id) != erasures:
        raise Unavailable("somebody was erased meanwhile", UnavailableCause.LOCK_TIMEOUT)


def _copy_file(connection: Connection, earlier: UUID, request_id: UUID) -> None:
    keys = services().keys
    period = files.load_period(connection, earlier)
    assert period  # `find_same_file` found it
    parts: Iterator[bytes] = files.iter_parts(connection, keys, earlier)
    for number, data in enumerate(parts):
        files.insert_part(
            connection, keys, request_id, number, data, created_at=period[0], expires_at=period[1]
        )
