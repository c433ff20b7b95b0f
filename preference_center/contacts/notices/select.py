"""Select whom to inform of a version: page by page, so that a run can be stopped at any time.

A page and the place up to which addresses were looked at are one transaction, under a lock of the
announcement: a run that is killed or started twice selects nobody twice and skips nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from preference_center.catalogue import MessageType, PolicyVersion
from preference_center.catalogue.store import current_catalogue
from preference_center.contacts.notices.rules import Reach, Recipient, select_recipients
from preference_center.contacts.notices.store import policy_notices
from preference_center.contacts.notices.store.policy_notices import AddressPage
from preference_center.core.errors import InvalidInput
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction

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
    earlier = sum(run_in_transaction(lambda c: policy_notices.count_notices(c, version)).values())
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
    announcement = policy_notices.begin_announcement(connection, version, now)
    page, recipients = _load(connection, announcement.last_address_id, message_type)
    new = policy_notices.insert_notices(connection, version, recipients, now)
    policy_notices.advance_announcement(connection, version, page.last_id, now)
    return page.last_id, [recipient.reach for recipient in new]


def _load(
    connection: Connection, after: int, message: MessageType
) -> tuple[AddressPage, list[Recipient]]:
    page = policy_notices.load_page(connection, after, PAGE)
    return page, select_recipients(page.addresses, after, message, services().now())
