"""Erasing people from the mailing lists of a Mailgun domain.

https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/mailing-lists
Suppressions are another store, which this leaves alone. Events and stored messages can't be
deleted by recipient; Mailgun deletes them after the days of the account's plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from preference_center.integrations.base import runtime

MAX_LISTS = 20
"""Each is a request for each address: more would not end inside a lease."""
_PAGE_SIZE = 100
_MEMBER = "/v3/lists/{list}/members/{address}"


class _MailingList(runtime.LenientModel):
    address: str = ""


def find_lists(session: runtime.Session, domain: str) -> list[str]:
    """The addresses of the domain's mailing lists; the account's others belong to others."""

    def page(start: int) -> list[_MailingList]:
        query = {"limit": str(_PAGE_SIZE), "skip": str(start)}
        answer = session.send("GET", "/v3/lists", query=query)
        return answer.parse_member(list[_MailingList], "items", or_empty=True)

    found, rows = list[_MailingList](), page(0)
    while rows:
        found += rows
        rows = page(len(found)) if len(rows) == _PAGE_SIZE else []
    suffix = f"@{domain.casefold()}"
    return [row.address for row in found if row.address.casefold().endswith(suffix)]


def erase_member(
    session: runtime.Session, lists: Sequence[str], address: str
) -> runtime.PushOutcome:
    """Delete an address from each of these lists."""
    if len(lists) > MAX_LISTS:
        return runtime.refused(f"the domain has more than {MAX_LISTS} mailing lists")
    statuses = {
        session.send(
            "DELETE",
            _MEMBER,
            path_params={"list": list_, "address": address},
            allowed_statuses={HTTPStatus.NOT_FOUND},
        ).status
        for list_ in lists
    }
    gone = statuses <= {HTTPStatus.NOT_FOUND}
    return runtime.absent("on no mailing list") if gone else runtime.reflected()


def is_member(session: runtime.Session, lists: Sequence[str], address: str) -> bool:
    """Whether an address is on any of these lists."""
    return any(
        session.send(
            "GET",
            _MEMBER,
            path_params={"list": list_, "address": address},
            allowed_statuses={HTTPStatus.NOT_FOUND},
        ).status
        != HTTPStatus.NOT_FOUND
        for list_ in lists
    )
