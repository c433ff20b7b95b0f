"""Spool opt-outs by mail that can't be recorded now (I1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from preference_center.core.addresses import Address, Channel
from preference_center.core.errors import InvalidInput
from preference_center.core.links.tokens import MailtoTokenData, restore_address
from preference_center.inbound.mail_opt_outs import (
    MAILTO,
    IngestResult,
    new_event_ids,
    record_mail_opt_outs,
)
from preference_center.inbound.mail_recipients import InboundMail
from preference_center.ledger import spool

SPOOLED_MAIL = "mail"


def record_or_spool(mail: InboundMail, received_at: datetime) -> IngestResult:
    """Record the opt-outs, or spool what is needed to do so later.

    Raises what prevented it, or SpoolUnavailable, if neither is possible.
    """
    ids = new_event_ids(mail)
    try:
        return record_mail_opt_outs(mail, received_at, MAILTO, ids)
    except InvalidInput:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the person has said "stop"
        data = {
            "ids": [*map(str, ids)],
            "references": [*map(_reference_to_json, mail.references)],
            "writers": [writer.exact for writer in mail.claimed_senders],
            "received_at": received_at.isoformat(),
        }
        spool.spool_request(SPOOLED_MAIL, data, received_at, error)
        return IngestResult(spooled=len(ids))


def record_spooled(requests: Sequence[Mapping[str, Any]]) -> None:
    """Record what was spooled. Raises Unavailable while that is not possible; safe to repeat."""
    for data in requests:
        mail = InboundMail(
            tuple(map(_reference_from_json, data["references"])),
            tuple(map(_restore_address, data["writers"])),
        )
        received_at = datetime.fromisoformat(data["received_at"])
        record_mail_opt_outs(mail, received_at, MAILTO, [*map(UUID, data["ids"])])


def _restore_address(exact: str) -> Address:
    return restore_address(exact, Channel.EMAIL)


def _reference_to_json(reference: MailtoTokenData) -> dict[str, str | None]:
    return {
        "digest_prefix": reference.digest_prefix.hex(),
        "scope_mark": reference.scope_hash.hex(),
        "issued_on": None if reference.issued_on is None else reference.issued_on.isoformat(),
        "key_id": reference.key_id,
    }


def _reference_from_json(data: Mapping[str, str | None]) -> MailtoTokenData:
    issued_on = data["issued_on"]
    return MailtoTokenData(
        bytes.fromhex(str(data["digest_prefix"])),
        bytes.fromhex(str(data["scope_mark"])),
        None if issued_on is None else date.fromisoformat(issued_on),
        str(data["key_id"]),
    )
