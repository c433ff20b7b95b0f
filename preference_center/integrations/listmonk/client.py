"""`ListmonkClient` looks up and changes subscribers of lists by listmonk's API.

https://listmonk.app/docs/apis/subscribers/
https://listmonk.app/docs/querying-and-segmentation/

`GET /api/profile` states what the API user is allowed; what each request asks for is in listmonk's
source (v6.2.0): cmd/handlers.go names the permission of a route, cmd/subscribers.go and
internal/auth/models.go those of lists. https://listmonk.app/docs/roles-and-permissions/
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from pydantic import Field

from preference_center.integrations.base import runtime
from preference_center.integrations.base.contract import Permission
from preference_center.integrations.base.runtime import LenientModel

_GRANT_TO_USER_ROLE = "grant it to the user's role (Users, User roles)"


_GRANT_TO_LIST_ROLE = (
    "grant it to the user's role, or give the user a list role (Users, List roles)"
)


class _Role(LenientModel):
    permissions: tuple[str, ...] = ()


class _ListPermissions(LenientModel):
    id: int = 0
    permissions: tuple[str, ...] = ()


class _ListRole(LenientModel):
    lists: tuple[_ListPermissions, ...] = ()


class ListmonkProfile(LenientModel):
    """The API user, with its user role and its list role if it has one."""

    user_role: _Role | None = None
    list_role: _ListRole | None = None

    def has_permission(self, permission: str) -> bool:
        """Whether the user role has it."""
        return self.user_role is not None and permission in self.user_role.permissions

    def has_list_permission(self, permission: str, list_id: str) -> bool:
        """Whether the list role has it for this list."""
        lists = self.list_role.lists if self.list_role else []
        return any(str(each.id) == list_id and permission in each.permissions for each in lists)


def list_permissions(profile: ListmonkProfile, list_ids: Sequence[str]) -> Iterator[Permission]:
    """What the connector needs, for the lists that topics are mapped to."""
    has, has_for_list = profile.has_permission, profile.has_list_permission
    by_role = all(has_for_list("list:get", list_id) for list_id in list_ids)
    yield Permission(
        "subscribers:get_all, or subscribers:get with list:get on every mapped list",
        "see who is there and what is off",
        # With neither, listmonk answers every search with nobody: all would seem absent.
        has("subscribers:get_all") or (has("subscribers:get") and by_role),
        _GRANT_TO_LIST_ROLE,
    )
    for name, use in (
        ("subscribers:sql_query", "search by address"),
        ("subscribers:manage", "change subscriptions"),
    ):
        yield Permission(name, use, has(name), _GRANT_TO_USER_ROLE)
    for list_id in list_ids:
        for whole, single, use in (
            ("lists:get_all", "list:get", f"see list {list_id}"),
            ("lists:manage_all", "list:manage", f"turn list {list_id} off and on"),
        ):
            is_granted = has(whole) or has_for_list(single, list_id)
            name = f"{whole}, or {single} on list {list_id}"
            yield Permission(name, use, is_granted, _GRANT_TO_LIST_ROLE)


UNSUBSCRIBED, BLOCKLISTED, SINGLE_OPT_IN = "unsubscribed", "blocklisted", "single"


MAX_QUERY_LENGTH = 3_000
"""Characters of SQL in one URL: proxies stop at 8,000, and some characters become three."""


class _ListmonkSubscription(runtime.LenientModel):
    id: int = 0
    subscription_status: str = ""
    subscription_created_at: runtime.IsoDatetime = None
    subscription_updated_at: runtime.IsoDatetime = None


class ListmonkSubscriber(runtime.LenientModel):
    """One address, and the lists that it is or was in."""

    id: int = 0
    email: str = ""
    status: str = ""
    updated_at: runtime.IsoDatetime = None
    subscriptions: tuple[_ListmonkSubscription, ...] | None = Field(default=None, alias="lists")

    @property
    def known_subscriptions(self) -> tuple[_ListmonkSubscription, ...]:
        """The subscriptions that the response contains."""
        return self.subscriptions or ()

    @property
    def is_blocklisted(self) -> bool:
        """Whether nothing is sent to it."""
        return self.status == BLOCKLISTED

    def receives(self, list_id: str) -> bool:
        """Whether it is in this list and has not left it, or whether that is unknown.

        It may not be confirmed yet.
        """
        return self.subscriptions is None or any(
            s.id == 0 or (str(s.id) == list_id and s.subscription_status != UNSUBSCRIBED)
            for s in self.subscriptions
        )

    def is_unsubscribed(self, list_id: str) -> bool:
        """Whether it was in this list and is unsubscribed."""
        return any(
            str(s.id) == list_id and s.subscription_status == UNSUBSCRIBED
            for s in self.known_subscriptions
        )

    def unsubscribed_at(self, list_id: str) -> datetime | None:
        """When it was unsubscribed from this list (UTC), if that is known.

        listmonk stamps a subscription when it is unsubscribed, but not when a form of its users
        or an API call sets the status: one that was never stamped has no date.
        """
        for each in self.known_subscriptions:
            made, changed = each.subscription_created_at, each.subscription_updated_at
            if str(each.id) == list_id and changed and (made is None or changed > made):
                return changed
        return None

    @property
    def blocklisted_at(self) -> datetime | None:
        """When it was blocklisted (UTC), or later: the time of the last change.

        Blocklisting from a campaign stamps the subscriptions, any other the subscriber.
        """
        stamps = [
            self.updated_at,
            *(each.subscription_updated_at for each in self.known_subscriptions),
        ]
        return max((stamp for stamp in stamps if stamp), default=None)


class ListmonkList(runtime.LenientModel):
    """A list; `optin` is "single" or "double"."""

    id: int = 0
    name: str = ""
    optin: str = ""


class _Lists(runtime.LenientModel):
    results: tuple[ListmonkList, ...] = ()


class _Subscribers(runtime.LenientModel):
    results: tuple[ListmonkSubscriber, ...] = ()


class ListmonkClient:
    """One listmonk as one API user sees it."""

    def __init__(self, name: str, session: runtime.Session) -> None:
        self._name = name
        self._session = session

    def lists(self) -> list[ListmonkList]:
        """All lists."""
        answer = self._session.send("GET", "/api/lists", query={"per_page": "all"})
        return [each for each in answer.parse_member(_Lists, "data").results if each.id]

    def profile(self) -> ListmonkProfile:
        """The API user itself, with what it may do."""
        return self._session.send("GET", "/api/profile").parse_member(ListmonkProfile, "data")

    def find_double_opt_in_lists(self, list_ids: Collection[str]) -> set[str]:
        """Which of these lists mail confirmed subscribers only.

        Raises DeliveryError (permanent) when one of them is gone: changes of it would be
        acknowledged all the same.
        """
        lists = {str(each.id): each.optin for each in self.lists()}
        if gone := sorted(list_ids - lists.keys()):
            raise runtime.DeliveryError(
                f"{self._name}: the lists {', '.join(gone)} are gone: map their topics again",
                permanent=True,
            )
        # An unknown one counts as double: it is not turned on again.
        return {list_id for list_id in list_ids if lists[list_id] != SINGLE_OPT_IN}

    def find_subscribers(self, addresses: Sequence[str]) -> dict[str, ListmonkSubscriber]:
        """Address in lower case, as listmonk keeps it -> subscriber."""
        found: dict[str, ListmonkSubscriber] = {}
        for names in _split_by_length([_quote_literal(address.lower()) for address in addresses]):
            rows = self._query(f"LOWER(subscribers.email) IN ({','.join(names)})")
            found |= {row.email.lower(): row for row in rows if row.id and row.email}
        return found

    def list_subscribers(
        self, after_id: str, *, limit: int, condition: str = ""
    ) -> tuple[list[ListmonkSubscriber], str]:
        """The next subscribers by id after `after_id`, and the last id if there may be more."""
        after = int(after_id or 0)
        where = f"subscribers.id > {after}" + (f" AND {condition}" if condition else "")
        # The API can't sort by id, so the page is chosen inside. Numbers and our own text only.
        inner = f"SELECT id FROM subscribers WHERE {where} ORDER BY id LIMIT {limit}"  # noqa: S608
        rows = self._query(f"subscribers.id IN ({inner})")
        last = max((row.id for row in rows), default=0)
        may_be_more = len(rows) == limit and last > after
        return [row for row in rows if row.email], str(last) if may_be_more else ""

    def _query(self, condition: str) -> Sequence[ListmonkSubscriber]:
        query = {"query": condition, "per_page": "all"}
        answer = self._session.send("GET", "/api/subscribers", query=query)
        return answer.parse_member(_Subscribers, "data").results

    def unsubscribe(self, list_id: str, subscriber_ids: Sequence[int]) -> None:
        """Set their subscriptions to a list to unsubscribed; makes none."""
        self._update_subscriptions({"action": "unsubscribe"}, list_id, subscriber_ids)

    def subscribe(self, list_id: str, subscriber_ids: Sequence[int]) -> None:
        """Turn a list without double opt-in on again; claims no confirmation."""
        self._update_subscriptions(
            {"action": "add", "status": "unconfirmed"}, list_id, subscriber_ids
        )

    def delete(self, subscriber_ids: Sequence[int]) -> None:
        """Delete subscribers with their subscriptions; statistics stay, without them."""
        query = {"id": [str(id_) for id_ in subscriber_ids]}
        _ensure_done(self._session.send("DELETE", "/api/subscribers", query=query))

    def _update_subscriptions(
        self, action: dict[str, str], list_id: str, subscriber_ids: Sequence[int]
    ) -> None:
        body = {**action, "ids": list(subscriber_ids), "target_list_ids": [int(list_id)]}
        _ensure_done(self._session.send("PUT", "/api/subscribers/lists", body=body))


def _ensure_done(answer: runtime.Response) -> None:
    if not answer.parse_member(bool, "data"):
        raise runtime.DeliveryError("the answer is not what the tool's API promises")


def _quote_literal(text: str) -> str:
    """A string in PostgreSQL's SQL, whose settings make a backslash a character."""
    return "'" + text.replace("'", "''") + "'"


def _split_by_length(literals: Sequence[str]) -> Iterator[list[str]]:
    portion: list[str] = []
    for name in literals:
        if portion and sum(len(n) + 1 for n in portion) + len(name) > MAX_QUERY_LENGTH:
            yield portion
            portion = []
        portion.append(name)
    if portion:
        yield portion
