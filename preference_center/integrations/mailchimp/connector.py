"""Mailchimp: a topic is a group (an "interest") of one audience, or the whole audience.

https://mailchimp.com/developer/marketing/api/list-members/update-list-member/
https://mailchimp.com/developer/marketing/docs/fundamentals/#api-limits
Campaigns only go to members with the status "subscribed", so unsubscribing somebody from an
audience stops everything that is sent to it: a topic may be mapped to it only where the
destination sends nothing else (I10). Members are changed and acknowledged one at a time:
batches of operations (POST /batches) may take effect after our lease, and out of order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import Capabilities, ListingMode, SupportedScope
from preference_center.domain.sync.contract import (
    ContactPage,
    ContactSnapshot,
    LinkItem,
    PushItem,
    PushOutcome,
    PushResult,
)
from preference_center.domain.vendor_events import WHOLE_LIST, VendorEvent, VendorEventKind
from preference_center.integrations.base.batching import PushStep, deferred, read_each, run_steps
from preference_center.integrations.base.bisecting import send_bisecting
from preference_center.integrations.base.check_report import CheckReport
from preference_center.integrations.base.contract import (
    Connector,
    DeliveryError,
    DestinationConfig,
    UnsupportedByDestination,
)
from preference_center.integrations.base.http import (
    HttpContext,
    RequestRejected,
    UnexpectedResponse,
)
from preference_center.integrations.base.mapping import mapping_problems, validate_batch
from preference_center.integrations.base.multi_channel import (
    ConnectorFactories,
    MultiChannelConnector,
)
from preference_center.integrations.base.spec import ConnectorSpec, TestedAgainst
from preference_center.integrations.mailchimp.client import (
    ARCHIVED,
    INVALID_ACK,
    OPTED_OUT_STATUSES,
    SUBSCRIBED,
    UNSUBSCRIBED,
    MailchimpClient,
    open_client,
)
from preference_center.integrations.mailchimp.models import ListedMember, MailchimpMember
from preference_center.integrations.mailchimp.sms import MailchimpSms

MAX_BATCH_MEMBERS = 500
"""Members that one batch may add or change, by the reference."""
_DOCS = "https://mailchimp.com/developer/marketing"


class Mailchimp:
    """One audience of a Mailchimp account."""

    kind: ClassVar[str] = "mailchimp"
    # An account may have 10 requests in progress; no rate is documented.
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({SupportedScope.TOPIC}),
        can_lift=True,
        # Two requests an address: more addresses would not end inside a lease.
        batch_size=50,
        can_read=True,
        scans=ListingMode.CHANGES,
        pulls=ListingMode.CHANGES,
        can_hold_link=True,
        off_means_opt_out=False,
        can_create=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "api_key": "an API key of a manager, an admin or the owner; it ends with the data "
        "centre, as in -us21",
        "audience": "id of the audience",
        "base_url?": "another base URL of the API, for tests",
    }

    def __init__(self, config: DestinationConfig, http: HttpContext) -> None:
        self._config = config
        self._http = http
        self._group_by_topic = {
            topic: group for topic, group in config.topics.items() if group != WHOLE_LIST
        }

    @property
    def _maps_whole_audience(self) -> bool:
        return WHOLE_LIST in self._config.topics.values()

    def check(self) -> CheckReport:
        """See Connector. Also reports which groups no topic maps to."""
        problems = [
            *mapping_problems(self._config, "group", numeric_ids=False),
            *self._setting_problems(),
        ]
        try:
            with open_client(self._config, self._http) as audience:
                role, groups, fields = audience.role(), audience.groups(), audience.link_fields()
        except DeliveryError as error:
            return CheckReport(
                (*problems, f"{error}: check the API key and the id of the audience")
            )
        if role in {"author", "viewer"}:
            problems.append(
                f"the API key's user has the role {role} and may not change members: "
                "use a key of a manager, an admin or the owner"
            )
        problems += [
            f"topic {topic} is mapped to group {group}, which the audience does not have: "
            f"map it to a group that exists, or write {WHOLE_LIST}"
            for topic, group in sorted(self._group_by_topic.items())
            if group not in groups
        ]
        if (field := self._config.link_field) and field not in fields:
            problems.append(f"link_field {field} is no text field of the audience: add it there")
        unmapped = {
            name: id_ for id_, name in groups.items() if id_ not in self._group_by_topic.values()
        }
        return CheckReport(tuple(problems), tuple(f"{n} ({i})" for n, i in unmapped.items()))

    def _setting_problems(self) -> Iterator[str]:
        if self._maps_whole_audience and self._group_by_topic:
            yield (
                f"a topic is mapped to the whole {WHOLE_LIST}, which would stop "
                f"{', '.join(sorted(self._group_by_topic))} too: map it to a group of its own"
            )
        if self._maps_whole_audience and self._config.sends_service:
            yield (
                f"unsubscribing from the {WHOLE_LIST} would stop the service mail that is sent "
                "to it: map the topic to a group, or send service mail by other means (I10)"
            )
        if self._config.create_contacts and not self._maps_whole_audience:
            yield (
                "create_contacts: a new member in no group is sent nothing, so there is "
                f"nothing to add: remove the setting, or map the topic to {WHOLE_LIST}"
            )

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        """See Connector. Each member is read, and changed only where it differs."""
        if not batch:
            return {}
        validate_batch(batch, self._config, self.capabilities)
        for problem in self._setting_problems():
            raise UnsupportedByDestination(f"{self._config.name}: {problem}")
        with open_client(self._config, self._http) as audience:
            audience.ensure_exists()
            outcomes = run_steps(batch, self._build_steps(audience, batch))
        if len(outcomes) > 1 and all(o.ack == INVALID_ACK for o in outcomes.values()):
            raise RequestRejected(
                "every address was rejected: the request itself must be at fault", 400
            )
        return outcomes

    def _build_steps(self, client: MailchimpClient, batch: Sequence[PushItem]) -> list[PushStep]:
        return [
            PushStep((item.ref,), partial(self._push_item, client, item))
            for item in batch
            if item.off or item.lift
        ]

    def _push_item(self, client: MailchimpClient, item: PushItem) -> Mapping[int, PushOutcome]:
        member = client.member(item.address)
        if member is None or member.status == ARCHIVED:
            # Archived members are not mailed; a change would bring them back.
            return {item.ref: PushOutcome(PushResult.ABSENT, member.status if member else "404")}
        if missing := self._find_missing_groups(item, member):
            client.ensure_groups(missing)
            raise UnexpectedResponse("a member came without a group that the audience has")
        changes = self._diff_member(item, member)
        if not changes:
            return {item.ref: PushOutcome(PushResult.REFLECTED, member.status)}
        outcome = client.update_member(item.address, changes, partial(self._matches, item))
        if item.lift and self._maps_whole_audience and outcome.result is PushResult.REFLECTED:
            outcome = self._confirm_lift(item, client.member(item.address))
        return {item.ref: outcome}

    def _confirm_lift(self, item: PushItem, member: MailchimpMember | None) -> PushOutcome:
        """The outcome of a lift that was acknowledged.

        Users report that Mailchimp may silently ignore it for people who unsubscribed
        themselves (github.com/strangerstudios/pmpro-mailchimp/issues/151).
        """
        if member is None or not self._matches(item, member):
            return PushOutcome(PushResult.REFUSED, "acknowledged, but not done")
        return PushOutcome(PushResult.REFLECTED, member.status)

    def _find_missing_groups(self, item: PushItem, member: MailchimpMember) -> dict[str, str]:
        """Topic -> group, of the item's groups that are missing from the member."""
        wanted = item.off | item.lift
        groups = {topic: group for topic, group in self._group_by_topic.items() if topic in wanted}
        return {topic: id_ for topic, id_ in groups.items() if id_ not in member.interests}

    def _matches(self, item: PushItem, member: MailchimpMember) -> bool:
        return not self._find_missing_groups(item, member) and not self._diff_member(item, member)

    def _diff_member(self, item: PushItem, member: MailchimpMember) -> dict[str, Any]:
        """What differs and is to be written. Groups that the item doesn't name stay (I13)."""
        if self._maps_whole_audience:
            if item.off and member.status not in OPTED_OUT_STATUSES:
                return {"status": UNSUBSCRIBED}
            if item.lift and member.status == UNSUBSCRIBED:
                return {"status": SUBSCRIBED}
            return {}
        wanted = dict.fromkeys(item.lift, True) | dict.fromkeys(item.off, False)
        interests = {self._group_by_topic[topic]: on for topic, on in wanted.items()}
        differing = {id_: on for id_, on in interests.items() if member.interests[id_] != on}
        return {"interests": differing} if differing else {}

    def read(self, batch: Sequence[PushItem]) -> Mapping[int, frozenset[str] | None]:
        """See SupportsRead. Whoever unsubscribed from the audience has all its topics off."""
        if not batch:
            return {}
        validate_batch(batch, self._config, self.capabilities)
        with open_client(self._config, self._http) as audience:
            audience.ensure_exists()
            found = read_each(batch, partial(self._read_item, audience))
        return {item.ref: off for item, off in found.items()}

    def _read_item(self, client: MailchimpClient, item: PushItem) -> frozenset[str] | None:
        member = client.member(item.address)
        return self._off_topics(member.status, member.interests) if member else None

    def _off_topics(self, status: str, interests: Mapping[str, bool]) -> frozenset[str] | None:
        """None for archived members. Raises UnexpectedResponse where a mapped group is missing."""
        if status == ARCHIVED:
            return None
        if status in OPTED_OUT_STATUSES:
            return frozenset(self._config.topics)
        if not interests.keys() >= set(self._group_by_topic.values()):
            raise UnexpectedResponse("a member came without a group that is mapped")
        return frozenset(
            topic for topic, group in self._group_by_topic.items() if not interests[group]
        )

    def write_links(self, batch: Sequence[LinkItem]) -> Mapping[int, PushOutcome]:
        """See SupportsLinkField. Writes a text field of the audience, named by its tag."""
        field = self._config.link_field
        if not batch or field is None:
            return {}
        with open_client(self._config, self._http) as audience:
            audience.ensure_exists()
            steps = [PushStep((i.ref,), partial(_write_link, audience, i, field)) for i in batch]
            return run_steps([PushItem(i.ref, i.address, i.channel) for i in batch], steps)

    def scan(self, cursor: str | None) -> ContactPage[ContactSnapshot]:
        """See SupportsScan."""
        with open_client(self._config, self._http) as audience:
            members, following, done = audience.list_members(cursor)
        rows = (
            ContactSnapshot(
                m.email_address,
                off=self._off_topics_or_none(m),
                link=self._config.link_value(m.merge_fields),
            )
            for m in members
            if m.status != ARCHIVED and m.email_address
        )
        return ContactPage(tuple(rows), following, done)

    def _off_topics_or_none(self, member: ListedMember) -> frozenset[str] | None:
        with suppress(UnexpectedResponse):
            return self._off_topics(member.status, member.interests)
        return None

    def pull(self, cursor: str | None) -> ContactPage[VendorEvent]:
        """See SupportsPull. Members who unsubscribed, dated by their last change."""
        with open_client(self._config, self._http) as audience:
            members, following, done = audience.list_members(cursor, unsubscribed=True)
        rows = (
            VendorEvent(VendorEventKind.OPTED_OUT, m.email_address, WHOLE_LIST, m.last_changed)
            for m in members
            if m.email_address
        )
        return ContactPage(tuple(rows), following, done)


class MailchimpWithContactCreation(Mailchimp):
    """The same where unknown addresses are to be added: no member need be read first."""

    capabilities: ClassVar[Capabilities] = replace(
        Mailchimp.capabilities, batch_size=MAX_BATCH_MEMBERS
    )

    def _build_steps(self, client: MailchimpClient, batch: Sequence[PushItem]) -> list[PushStep]:
        offs = [item for item in batch if item.off]
        lifts = [item for item in batch if item.lift]
        single = Mailchimp.capabilities.batch_size
        steps = super()._build_steps(client, lifts[:single])
        steps += [PushStep((item.ref,), partial(deferred, item)) for item in lifts[single:]]
        if offs:
            steps.insert(
                0, PushStep(tuple(i.ref for i in offs), partial(_add_unsubscribed, client, offs))
            )
        return steps


def _add_unsubscribed(
    client: MailchimpClient, items: Sequence[PushItem]
) -> Mapping[int, PushOutcome]:
    outcomes = {item.ref: PushOutcome(PushResult.REFUSED, INVALID_ACK) for item in items}
    for part, found in send_bisecting(
        items, lambda some: client.unsubscribe([item.address for item in some])
    ):
        for item in part:
            missing = PushOutcome(PushResult.RETRY_LATER, "not acknowledged")
            outcomes[item.ref] = found.get(item.address.casefold(), missing)
    return outcomes


def _write_link(client: MailchimpClient, item: LinkItem, field: str) -> Mapping[int, PushOutcome]:
    changes = {"merge_fields": {field: item.link}}
    written = client.update_member(
        item.address, changes, lambda m: m.merge_fields.get(field) == item.link
    )
    return {item.ref: written}


def _make_email_connector(config: DestinationConfig, http: HttpContext) -> Connector:
    return (MailchimpWithContactCreation if config.create_contacts else Mailchimp)(config, http)


class MailchimpMultiChannel(MultiChannelConnector):
    """One audience, for email and SMS."""

    kind: ClassVar[str] = Mailchimp.kind
    capabilities: ClassVar[Capabilities] = replace(
        Mailchimp.capabilities, channels=frozenset({Channel.EMAIL, Channel.SMS})
    )
    settings: ClassVar[Mapping[str, str]] = Mailchimp.settings
    connector_factories: ClassVar[ConnectorFactories] = {
        Channel.EMAIL: _make_email_connector,
        Channel.SMS: MailchimpSms,
    }


def _make_connector(config: DestinationConfig, http: HttpContext) -> Connector:
    """Batches are larger where only email is sent and contacts are created."""
    texts = config.for_channel(Channel.SMS).topics
    return MailchimpMultiChannel(config, http) if texts else _make_email_connector(config, http)


SPEC = ConnectorSpec(
    kind=Mailchimp.kind,
    tested_against=TestedAgainst.DOCUMENTATION,
    tested_version="the API reference, read on 2026-11-27, and the description 3.0.55",
    capabilities=MailchimpMultiChannel.capabilities,
    own_settings=Mailchimp.settings,
    secret_settings=frozenset({"api_key"}),
    sources=(
        f"{_DOCS}/api/list-members/update-list-member/",
        f"{_DOCS}/api/lists/batch-subscribe-or-unsubscribe/",
        f"{_DOCS}/api/list-members/list-members-info/",
        f"{_DOCS}/docs/audiences-introduction/",
    ),
    build=_make_connector,
    notes=(
        f"Map each topic to a group of the audience, or the only one to `{WHOLE_LIST}`.",
        "People who unsubscribed in Mailchimp can resubscribe only by Mailchimp's own forms.",
        "An account may have 10 requests in progress: run no more workers on it.",
        (
            "Map a topic that goes by SMS to `sms`. Contacts without an email address are only "
            "available by endpoints that Mailchimp calls beta."
        ),
        "Leaving a group by Mailchimp's own form is not noticed; leaving the audience is.",
        "Members who were archived before the first reading are not read: they get no mail.",
    ),
)
