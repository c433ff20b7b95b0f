"""`BrazeClient` calls Braze's REST API to read and set people's subscriptions.

https://www.braze.com/docs/api/endpoints/subscription_groups/post_update_user_subscription_group_status_v2/
https://www.braze.com/docs/api/endpoints/subscription_groups/get_list_user_subscription_group_status/
https://www.braze.com/docs/api/endpoints/subscription_groups/get_list_user_subscription_groups/
https://www.braze.com/docs/api/endpoints/email/get_query_unsubscribed_email_addresses/
https://www.braze.com/docs/api/endpoints/user_data/post_user_delete/
https://www.braze.com/docs/api/endpoints/user_data/post_user_track/

A push makes the same requests by email address and by phone number. It looks users up before it
writes anything: Braze answers "success" for unknown ones, too. `BrazeWorkspace` is what both
channels of a workspace do alike.

`BrazeSms` changes SMS subscription groups, by phone number:
https://www.braze.com/docs/user_guide/message_building_by_channel/sms/sms_subscription_group
An SMS group is what one set of numbers sends; who is in none of them is sent nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial
from http import HTTPStatus
from itertools import count
from typing import Annotated, ClassVar
from urllib.parse import quote

from pydantic import BeforeValidator

from preference_center.integrations.base import runtime
from preference_center.integrations.base.contract import CREATE_CONTACTS
from preference_center.integrations.base.push_results import send_bisecting

MAX_ADDRESSES_PER_CALL = 50


USERS_PER_PAGE = 100
"""The most users of one answer."""


MAX_UPDATES_PER_CALL = 50
"""The most users that one request may change: 75, but 50 where active users are paid for."""


MAX_URL_BYTES = 6_000
"""Bytes of the addresses in one URL."""


EMAIL, PHONE = "email", "phone"


UNSUBSCRIBED, SUBSCRIBED = "unsubscribed", "subscribed"


PAGE_SIZE, PAGE_OVERLAP = 500, 50
"""Pages overlap: an address that leaves the list meanwhile moves all after it up."""


EARLIEST_DATE = date(2011, 1, 1)
"""Before Braze was founded."""


OVERLAP = timedelta(days=2)
"""Days begin at midnight UTC; days that were not over are read again."""


def _parse_timestamp(text: object) -> datetime | None:
    """Braze writes "2016-08-25 15:24:32 +0000"."""
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S %z") if isinstance(text, str) else None
    except ValueError:
        return None


_BrazeTimestamp = Annotated[datetime | None, BeforeValidator(_parse_timestamp)]


class _SubscriptionGroup(runtime.LenientModel):
    id: str = ""
    status: str = ""


class BrazeUser(runtime.LenientModel):
    """One user; several may share an address."""

    external_id: str = ""
    email: str = ""
    phone: str = ""
    subscription_groups: tuple[_SubscriptionGroup, ...] = ()

    def identifier(self, id_type: str) -> str:
        """The user's address, in lower case; "" if it can't be read."""
        if id_type == EMAIL:
            return self.email.casefold()
        return f"+{self.phone.lstrip('+')}" if self.phone else ""

    def unsubscribed_group_ids(self) -> frozenset[str]:
        """Ids of the groups that the user left; groups never set are not listed."""
        groups = self.subscription_groups
        return frozenset(group.id for group in groups if group.status.casefold() == UNSUBSCRIBED)


class BrazeEmailEvent(runtime.LenientModel):
    """An address that unsubscribed from all, or bounced permanently."""

    email: str = ""
    unsubscribed_at: _BrazeTimestamp = None
    hard_bounced_at: _BrazeTimestamp = None

    @property
    def occurred_at(self) -> datetime | None:
        """When that was (UTC)."""
        return self.unsubscribed_at or self.hard_bounced_at


class BrazeClient:
    """One workspace, for one push or listing."""

    def __init__(self, session: runtime.Session) -> None:
        self._session = session

    def find_unsubscribed_groups(
        self, id_type: str, values: Sequence[str]
    ) -> dict[str, frozenset[str] | None]:
        """Address -> ids of the groups that all users with it left; None if there is no user.

        `id_type` is EMAIL or PHONE; up to 50 values, in as few requests as their length allows.
        A value without a user is left out when the response has a user with none of the values,
        who may be the one. Raises RequestRejected where a value can't be looked up.
        """
        return {
            value: frozenset.intersection(*(user.unsubscribed_group_ids() for user in users))
            if users
            else None
            for value, users in self.find_users(id_type, values).items()
        }

    def find_users(self, id_type: str, values: Sequence[str]) -> dict[str, list[BrazeUser]]:
        """Address -> all users with it, as `find_unsubscribed_groups`."""
        found: dict[str, list[BrazeUser]] = {value.casefold(): [] for value in values}
        is_clear = True
        for part in _split_by_url_length(values):
            for user in self._list_users(id_type, part):
                held = found.get(user.identifier(id_type))
                is_clear &= held is not None
                if held is not None:
                    held.append(user)
        return {value: held for value in values if (held := found[value.casefold()]) or is_clear}

    def _list_users(self, id_type: str, values: Sequence[str]) -> Iterator[BrazeUser]:
        """All users of these: several may share an address."""
        for offset in count(0, USERS_PER_PAGE):
            query = {f"{id_type}[]": values, "limit": str(USERS_PER_PAGE), "offset": str(offset)}
            answer = self._session.send("GET", "/subscription/user/status", query=query)
            users = answer.parse_member(list[BrazeUser], "users")
            yield from users
            if len(users) < USERS_PER_PAGE:
                return

    def set_group_state(self, group: str, state: str, id_type: str, values: Sequence[str]) -> None:
        """Set up to 50 addresses' state in a subscription group; all who share one get it."""
        change = {"subscription_group_id": group, "subscription_state": state}
        body = {"subscription_groups": [{**change, f"{id_type}s": list(values)}]}
        self._ensure_success(self._session.send("POST", "/v2/subscription/status/set", body=body))

    def set_email_state(self, state: str, addresses: Sequence[str]) -> None:
        """Set up to 50 addresses' state for all email, also of unknown ones."""
        body = {"email": list(addresses), "subscription_state": state}
        self._ensure_success(self._session.send("POST", "/email/status", body=body))

    def delete_users(self, id_type: str, values: Sequence[str]) -> None:
        """Have one user of each of up to 50 addresses deleted; Braze queues it."""
        name = {EMAIL: "email_addresses", PHONE: "phone_numbers"}[id_type]
        users = [{id_type: value, "prioritization": ["most_recently_updated"]} for value in values]
        answer = self._session.send("POST", "/users/delete", body={name: users})
        answer.parse_member(int, "deleted")

    def update_users(self, updates: Sequence[Mapping[str, object]]) -> None:
        """Change attributes of users; Braze queues it.

        Raises RequestRejected where one of them is rejected; the others may be changed then.
        """
        for start in range(0, len(updates), MAX_UPDATES_PER_CALL):
            body = {"attributes": updates[start : start + MAX_UPDATES_PER_CALL]}
            answer = self._session.send("POST", "/users/track", body=body)
            if answer.parse_member(list[object], "errors", or_empty=True):
                raise runtime.RequestRejected("some were rejected", HTTPStatus.BAD_REQUEST)
            self._ensure_success(answer)

    def ensure_group_exists(self, group: str, id_type: str, probe_identifier: str) -> None:
        """Raise RequestRejected when Braze takes `group` for no subscription group."""
        query = {"subscription_group_id": group, id_type: probe_identifier}
        answer = self._session.send("GET", "/subscription/status/get", query=query)
        answer.parse_member(dict[str, str], "status")

    def is_unsubscribed_from_all(self, address: str, today: date) -> bool:
        """Whether an address is unsubscribed from all email."""
        query = {"email": address, "end_date": str(today + OVERLAP)}
        answer = self._session.send("GET", "/email/unsubscribes", query=query)
        rows = answer.parse_member(list[BrazeEmailEvent], "emails")
        return any(row.email.casefold() == address.casefold() for row in rows)

    def list_email_events(
        self, route: str, *, since: date, until: date, offset: str = ""
    ) -> tuple[list[BrazeEmailEvent], str]:
        """A page of the unsubscribes or hard bounces of these days, and the next one's offset."""
        query = {
            "start_date": str(since),
            "end_date": str(until),
            "limit": str(PAGE_SIZE),
            "offset": offset or "0",
        }
        answer = self._session.send("GET", route, query=query)
        rows = answer.parse_member(list[BrazeEmailEvent], "emails")
        return rows, runtime.next_offset(offset, len(rows), PAGE_SIZE, overlap=PAGE_OVERLAP)

    def _ensure_success(self, response: runtime.Response) -> None:
        if response.parse_member(str, "message") != "success":
            raise runtime.UnexpectedResponse("Braze answered without success")


def _split_by_url_length(addresses: Sequence[str]) -> Iterator[list[str]]:
    """`addresses` in parts that fit a URL, which servers and proxies limit to 8,000 bytes."""
    part: list[str] = []
    for address in addresses:
        if part and sum(len(quote(other)) + 12 for other in (*part, address)) > MAX_URL_BYTES:
            yield part
            part = []
        part.append(address)
    if part:
        yield part


OffGroupsByRef = dict[int, frozenset[str] | None]


StateSetter = Callable[[str, str, Sequence[str]], None]
"""Sets a topic to SUBSCRIBED or UNSUBSCRIBED for up to 50 addresses."""


def build_steps(
    client: BrazeClient,
    id_type: str,
    batch: runtime.Items,
    set_state: StateSetter,
    *,
    existing_only: bool = True,
) -> Iterator[runtime.PushStep]:
    """The requests of a push, opt-outs first, a topic at a time.

    `existing_only`: only users whom Braze has are written.
    """
    there = [item for item in batch if item.off or item.lift]
    if existing_only:
        unfit = _find_unwritable(client, id_type, there)
        yield runtime.PushStep(tuple(unfit), partial(dict[int, runtime.PushOutcome], unfit))
        there = [item for item in there if item.ref not in unfit]
    for state in (UNSUBSCRIBED, SUBSCRIBED):
        wanted = [(item, item.off if state == UNSUBSCRIBED else item.lift) for item in there]
        for topic in sorted(set().union(*(topics for _, topics in wanted))):
            items = [item for item, topics in wanted if topic in topics]
            call = partial(_set_state, items, partial(set_state, topic, state))
            yield runtime.PushStep(tuple(item.ref for item in items), call)


def _set_state(
    items: runtime.Items, set_addresses: Callable[[Sequence[str]], None]
) -> runtime.Outcomes:
    outcomes = {item.ref: runtime.refused() for item in items}
    for part, _ in send_bisecting(
        items, lambda some: set_addresses([item.address for item in some])
    ):
        outcomes |= {item.ref: runtime.reflected("success") for item in part}
    return outcomes


def find_off_groups(
    client: BrazeClient, id_type: str, items: runtime.Items
) -> tuple[OffGroupsByRef, set[int]]:
    """Ref -> groups that are off, None without a user; and refs that Braze rejects.

    A ref in neither could not be read.
    """
    accepted = send_bisecting(
        items,
        lambda some: client.find_unsubscribed_groups(id_type, [item.address for item in some]),
    )
    held = {
        item.ref: found[item.address]
        for part, found in accepted
        for item in part
        if item.address in found
    }
    return held, {item.ref for item in items} - {item.ref for part, _ in accepted for item in part}


def _find_unwritable(
    client: BrazeClient, id_type: str, items: runtime.Items
) -> dict[int, runtime.PushOutcome]:
    """Ref -> the outcome of an address that is not written, and why."""
    if not items:
        return {}
    held, rejected = find_off_groups(client, id_type, items)
    found = dict.fromkeys(rejected, runtime.refused())
    for item in items:
        if item.ref not in held.keys() | rejected:
            found[item.ref] = runtime.retry_later("the answer can't be read")
        elif held.get(item.ref, frozenset()) is None:
            found[item.ref] = runtime.absent("no user")
    return found


RULES = runtime.ConnectorRules(
    target_noun="subscription group",
    credentials_hint="the URL, the API key and its permissions",
    url_setting="url",
    bearer_setting="api_key",
    rate_limit_headers=runtime.X_RATELIMIT_HEADERS,
)


class BrazeWorkspace(
    runtime.ReadableApiConnector[BrazeClient], runtime.RequestedErasureConnector[BrazeClient]
):
    """A connector of one workspace and channel."""

    kind = "braze"
    rules = RULES
    client_class = BrazeClient
    id_type: ClassVar[str]
    probe_identifier: ClassVar[str]
    """An identifier that nobody has."""
    not_a_group: ClassVar[str]
    """Why no topic may be mapped to what Braze does not know, with the remedy."""
    erase_group_size = MAX_ADDRESSES_PER_CALL
    repeat_after = timedelta()
    """A request deletes one of the users that share an address: it is repeated until all are."""

    @property
    def groups_by_topic(self) -> Mapping[str, str]:
        """Those of the topics that are mapped to a group."""
        switch = self.rules.account_target
        return {topic: id_ for topic, id_ in self.config.topics.items() if id_ != switch}

    def list_targets(self, client: BrazeClient) -> Iterator[runtime.Target]:
        """See ApiConnector. Groups can't be listed: those that are mapped."""
        for group in sorted(set(self.groups_by_topic.values())):
            try:
                client.ensure_group_exists(group, self.id_type, self.probe_identifier)
            except runtime.RequestRejected:
                yield runtime.Target(group, group, self.not_a_group)
            else:
                yield runtime.Target(group, group)

    def find_problems(self, client: BrazeClient) -> Iterator[str]:
        """See ApiConnector. Tries the requests that only read."""
        client.find_unsubscribed_groups(self.id_type, [self.probe_identifier])
        yield from ()

    def push_batch(self, client: BrazeClient, batch: runtime.Items) -> runtime.Outcomes:
        """See ApiConnector. Opt-outs first, a topic at a time."""
        set_state = partial(self._set_state, client)
        creates = self.capabilities.can_create and self.config.create_contacts
        steps = build_steps(client, self.id_type, batch, set_state, existing_only=not creates)
        return runtime.run_steps(batch, list(steps))

    def _set_state(
        self, client: BrazeClient, topic: str, state: str, identifiers: Sequence[str]
    ) -> None:
        if group := self.groups_by_topic.get(topic):
            client.set_group_state(group, state, self.id_type, identifiers)
        else:
            client.set_email_state(state, identifiers)

    def read_batch(self, client: BrazeClient, batch: runtime.Items) -> runtime.OffTopics:
        """See ReadableApiConnector. Who was never in a group has not left it."""
        off_groups, _ = find_off_groups(client, self.id_type, batch)
        return {
            ref: None if ids is None else self._off_topics(ids) for ref, ids in off_groups.items()
        }

    def find_held_contacts(
        self, client: BrazeClient, items: runtime.EraseItems
    ) -> Mapping[int, bool]:
        """See ErasingConnector."""
        users = client.find_users(self.id_type, [item.address for item in items])
        return {item.ref: bool(users[item.address]) for item in items if item.address in users}

    def request_erasures(self, client: BrazeClient, items: runtime.EraseItems) -> runtime.Outcomes:
        """See RequestedErasureConnector."""
        client.delete_users(self.id_type, [item.address for item in items])
        return {}

    def _off_topics(self, off_groups: frozenset[str]) -> frozenset[str]:
        return frozenset(t for t, group in self.groups_by_topic.items() if group in off_groups)


class BrazeSms(BrazeWorkspace):
    """The phone numbers of one Braze workspace.

    Opt-outs of a group can't be listed: they are found when a number is read, and reported by
    the webhook.
    """

    capabilities = runtime.Capabilities(
        channels=frozenset({runtime.Channel.SMS}),
        can_lift=True,
        batch_size=MAX_ADDRESSES_PER_CALL,
        can_read=True,
        erase=runtime.EraseMode.FORGETS_OPT_OUT,
        confirms_erasure=True,
    )
    settings: ClassVar[Mapping[str, str]] = {}
    rules = replace(RULES, target_noun="SMS subscription group")
    id_type = PHONE
    probe_identifier = "+15005550006"
    not_a_group = "Braze takes for no SMS subscription group: map it to a group's id"

    def find_problems(self, client: BrazeClient) -> Iterator[str]:
        """See ApiConnector."""
        yield from super().find_problems(client)
        if self.config.create_contacts:
            yield (
                f"{CREATE_CONTACTS}: Braze keeps no group's state for a number that nobody there "
                "has: take the setting away"
            )

    def request_erasures(self, client: BrazeClient, items: runtime.EraseItems) -> runtime.Outcomes:
        """See RequestedErasureConnector. One with an email address too may be somebody else."""
        users = client.find_users(self.id_type, [item.address for item in items])
        shared = [i for i in items if any(user.email for user in users.get(i.address, ()))]
        if own := [item for item in items if item not in shared]:
            super().request_erasures(client, own)
        return {item.ref: runtime.refused("has an email address too") for item in shared}
