"""Select whom to inform of a policy version, and hand them over, as rows or signed webhooks.

A page and the place up to which addresses were looked at are one transaction, under a lock of the
announcement: a run that is killed or started twice selects nobody twice and skips nobody.

Each of the rows by which a sender informs people has a decision as of now. Batches for the
company's webhook are signed and never lost: Standard Webhooks 1.0.0, with RIGHTS_WEBHOOK_URL and
RIGHTS_WEBHOOK_SECRET. A batch keeps its id and its people however often it is sent, so the receiver
can drop a repeat by `webhook-id`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from preference_center.catalogue import MessageType, PolicyVersion
from preference_center.catalogue.store import current_catalogue
from preference_center.contacts.notices import store
from preference_center.contacts.notices.rules import (
    NoticeChannel,
    Reach,
    Recipient,
    StoredAddress,
    notice_decision,
    select_recipients,
)
from preference_center.contacts.notices.store import (
    MAX_SEQ,
    AddressPage,
    ClaimedBatch,
    PolicyNotice,
    list_notices,
)
from preference_center.core.addresses import Address, Channel
from preference_center.core.errors import InvalidInput
from preference_center.decisions.rules import next_cutoff
from preference_center.infra.company_webhooks import send_due, send_signed
from preference_center.infra.context import Services, services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.integrations.base.contract import DeliveryError
from preference_center.ledger.store.lookup import ScopeFacts, load_facts_by_id

PAGE = 1_000
"""Addresses that one transaction looks at."""


Progress = Callable[[int], None]
"""Called with the last address id that was looked at."""


@dataclass(frozen=True, slots=True)
class Selected:
    """How many persons this run selected, and how many a run before it had."""

    new: Mapping[Reach, int]
    earlier: int


def announced_version(version: str) -> tuple[PolicyVersion, MessageType]:
    """The version, and the service message by which people are informed of it.

    Raises UnknownPolicyVersion, and InvalidInput for a version that names no message.
    """
    catalogue = current_catalogue()
    found = catalogue.policy_version(version)
    if found.message_type is None:
        raise InvalidInput(
            f"version {version} names no message_type: add the key of the service message that"
            " informs people of it"
        )
    return found, catalogue.message_type(found.message_type)


def count_recipients(version: str, on_progress: Progress) -> Mapping[Reach, int]:
    """How many persons would be informed, by reach; writes nothing."""
    _, message_type = announced_version(version)
    counted: Counter[Reach] = Counter()
    after: int | None = 0
    while after is not None:
        page, recipients = run_in_transaction(partial(_load, after=after, message=message_type))
        counted.update(recipient.reach for recipient in recipients)
        after = page.last_id
        on_progress(after or 0)
    return counted


def select_all(version: str, on_progress: Progress) -> Selected:
    """Select everyone who has no notice of this version yet; goes on where a run was stopped."""
    _, message_type = announced_version(version)
    earlier = sum(run_in_transaction(lambda c: store.count_notices(c, version)).values())
    counted: Counter[Reach] = Counter()
    last: int | None = 0
    while last is not None:
        last, new = run_in_transaction(
            lambda connection: _select_page(connection, version, message_type)
        )
        counted.update(new)
        on_progress(last or 0)
    return Selected(counted, earlier)


def _select_page(
    connection: Connection, version: str, message_type: MessageType
) -> tuple[int | None, list[Reach]]:
    now = services().now()
    announcement = store.begin_announcement(connection, version, now)
    page, recipients = _load(connection, announcement.last_address_id, message_type)
    new = store.insert_notices(connection, version, recipients, now)
    store.advance_announcement(connection, version, page.last_id, now)
    return page.last_id, [recipient.reach for recipient in new]


def _load(
    connection: Connection, after: int, message: MessageType
) -> tuple[AddressPage, list[Recipient]]:
    page = store.load_page(connection, after, PAGE)
    return page, select_recipients(page.addresses, after, message, services().now())


DISCLOSURE = "disclosure/"
"""Prefix under which the notices of one disclosure are stored: no version has a slash."""


def select_named(
    name: str, addresses: Collection[Address], message_type: MessageType
) -> Mapping[Reach, int]:
    """Select the people with these addresses for a notice of the disclosure `name`.

    Each once, at the best address of their contact; returns how many by reach, with those of
    earlier runs. Who is not stored, is erased, or whose account is closed is selected not.
    """
    return run_in_transaction(lambda c: _select_named(c, name, addresses, message_type))


def _select_named(
    connection: Connection, name: str, addresses: Collection[Address], message_type: MessageType
) -> Mapping[Reach, int]:
    context = services()
    version, now = DISCLOSURE + name, context.now()
    store.begin_announcement(connection, version, now)
    found: dict[int, StoredAddress] = {}
    for channel in Channel:
        digests = [context.keys.exact_digest(a) for a in addresses if a.channel is channel]
        found |= {each.id: each for each in store.load_named(connection, digests, channel)}
    chosen = select_recipients(found.values(), 0, message_type, now, named=True)
    store.insert_notices(connection, version, chosen, now)
    store.advance_announcement(connection, version, None, now)
    return Counter(each.reach for each in chosen)


def next_disclosure_rows(name: str, message_type: MessageType, after: int) -> list[NoticeRow]:
    """As `next_rows`, of the disclosure `name`."""
    return _next_rows(DISCLOSURE + name, message_type, after)


NOTICES_PER_PAGE = 1_000


NoticeRow = dict[str, Any]
"""`cursor`, `ref`, `contact`, `channel`, `address`, `language`, `reach`, `noticed_at` and
`via` once they were informed, the decision (`allow`, `rule`, `advisory`), and the topics that the
version `ends`. What does not apply is missing."""


def next_rows(version: str, after: int) -> list[NoticeRow]:
    """The next NOTICES_PER_PAGE rows after the `cursor` of one; none at the end.

    Raises as `announced_version`.
    """
    _, message_type = announced_version(version)
    return _next_rows(version, message_type, after)


def _next_rows(version: str, message_type: MessageType, after: int) -> list[NoticeRow]:
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
        _row(each)
        | _decision(message_type, facts.get(each.current_id, ()), now)
        | _ending(version, each.channel, facts.get(each.current_id, ()), now)
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


def _ending(version: str, channel: Channel, facts: ScopeFacts, now: datetime) -> NoticeRow:
    """`ends`: the topics that this person loses by the version unless they agree again."""
    catalogue = current_catalogue()
    days = {each.effective for each in catalogue.policy_versions if each.version == version}
    ends = [
        topic.key
        for topic in catalogue.topics_for_channel(channel)
        if (cutoff := next_cutoff(topic, facts, now)) and cutoff.day in days
    ]
    return {"ends": ends} if ends else {}


def _decision(message_type: MessageType, facts: ScopeFacts, now: datetime) -> NoticeRow:
    decision = notice_decision(message_type, facts, now)
    advisory = {} if decision.advisory is None else {"advisory": decision.advisory}
    return {"allow": decision.allow, "rule": decision.rule.value, **advisory}


BATCH = 500
"""Persons in one webhook."""


KIND = "policy.announcement"


def queue_batches(version: str) -> int:
    """Queue every notice of the version that is in no batch yet; returns how many batches.

    Raises InvalidInput if no webhook is configured.
    """
    if services().settings.rights_webhook_url is None:
        raise InvalidInput("set RIGHTS_WEBHOOK_URL and RIGHTS_WEBHOOK_SECRET first")
    queued = 0
    while run_in_transaction(lambda connection: _queue_batch(connection, version)):
        queued += 1
    return queued


def _queue_batch(connection: Connection, version: str) -> bool:
    context = services()
    store.begin_announcement(connection, version, context.now())  # the lock
    after = store.last_queued_seq(connection, version)
    seqs = store.next_batch_seqs(connection, version, after, BATCH)
    if seqs:
        batch_id = context.new_id()
        store.insert_batch(connection, batch_id, version, seqs, context.now())
    return bool(seqs)


def send_due_batches(*, until: datetime, stop: Callable[[], bool]) -> int:
    """Send one batch after another until none is due; returns how many were accepted.

    Starts none at or after `until`, or once `stop()` is true.
    """
    return send_due(store.OUTBOX, _send, until=until, stop=stop)


def _load_batch(claim: ClaimedBatch, message_type: MessageType) -> list[NoticeRow]:
    return run_in_transaction(
        lambda connection: load_rows(
            connection,
            claim.version,
            message_type,
            after=claim.first_seq - 1,
            through=claim.last_seq,
            limit=BATCH,
        )
    )


def _body(claim: ClaimedBatch, rows: list[NoticeRow], message_type: str) -> str:
    payload = {
        "type": KIND,
        "timestamp": claim.created_at.isoformat(),
        "data": {"version": claim.version, "message_type": message_type, "recipients": rows},
    }
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))


def _send(context: Services, claim: ClaimedBatch) -> DeliveryError | None:
    """Send and settle; the error that prevented it, or None if it was accepted with a 2xx."""
    try:
        _, message_type = announced_version(claim.version)
    except InvalidInput as faulty:
        return DeliveryError(str(faulty))
    rows = [row for row in _load_batch(claim, message_type) if "noticed_at" not in row]
    error = rows and send_signed(context, claim.id, _body(claim, rows, message_type.key))
    if not error:
        sent = [int(row["ref"]) for row in rows if may_be_sent(row)]
        run_in_transaction(lambda connection: _settle(connection, claim, sent, context.now()))
    return error or None


def _settle(
    connection: Connection, claim: ClaimedBatch, sent: Sequence[int], now: datetime
) -> None:
    store.OUTBOX.settle(connection, claim.id, "delivered", None)
    store.mark_noticed(connection, claim.version, sent, NoticeChannel.WEBHOOK, now)
