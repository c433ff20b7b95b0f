"""The rows by which a sender informs people of a version, each with a decision as of now."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from preference_center.catalogue import MessageType
from preference_center.contacts.notices.rules import Reach, notice_decision
from preference_center.contacts.notices.select import announced_version
from preference_center.contacts.notices.store.policy_notices import (
    MAX_SEQ,
    PolicyNotice,
    list_notices,
)
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger.store.lookup import ScopeFacts, load_facts_by_id

NOTICES_PER_PAGE = 1_000

NoticeRow = dict[str, Any]
"""`cursor`, `ref`, `contact`, `channel`, `address`, `language`, `reach`, `noticed_at` and
`via` once they were informed, and the decision: `allow`, `rule`, `advisory`. What does not apply
is missing."""


def next_rows(version: str, after: int) -> list[NoticeRow]:
    """The next PAGE rows after the `cursor` of one; none at the end.

    Raises as `announced_version`.
    """
    _, message_type = announced_version(version)
    return run_in_transaction(
        lambda connection: load_rows(
            connection, version, message_type, after=after, through=MAX_SEQ, limit=NOTICES_PER_PAGE
        )
    )


def may_be_sent(row: NoticeRow) -> bool:
    """Whether a notice can be sent to the person of a row."""
    return bool(row["allow"]) and row["reach"] == Reach.REACHABLE.value


def load_rows(
    connection: Connection,
    version: str,
    message_type: MessageType,
    *,
    after: int,
    through: int,
    limit: int,
) -> list[NoticeRow]:
    """The next rows, as this transaction sees them."""
    notices = list_notices(
        connection, services().keys, version, after=after, through=through, limit=limit
    )
    facts = load_facts_by_id(connection, [each.current_id for each in notices])
    now = services().now()
    return [
        _row(each) | _decision(message_type, facts.get(each.current_id, ()), now)
        for each in notices
    ]


def _row(notice: PolicyNotice) -> NoticeRow:
    values = {
        "cursor": str(notice.seq),
        "ref": str(notice.address_id),
        "contact": notice.contact and str(notice.contact),
        "channel": notice.channel.value,
        "address": notice.address,
        "language": notice.language,
        "reach": notice.reach.value,
        "noticed_at": notice.noticed_at and notice.noticed_at.isoformat(),
        "via": notice.via,
    }
    return {name: value for name, value in values.items() if value is not None}


def _decision(message_type: MessageType, facts: ScopeFacts, now: datetime) -> NoticeRow:
    decision = notice_decision(message_type, facts, now)
    advisory = {} if decision.advisory is None else {"advisory": decision.advisory}
    return {"allow": decision.allow, "rule": decision.rule.value, **advisory}
