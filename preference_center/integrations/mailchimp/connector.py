"""Mailchimp: a topic is a group (an "interest") of one audience, or the whole audience.

https://mailchimp.com/developer/marketing/api/list-members/update-list-member/
https://mailchimp.com/developer/marketing/docs/fundamentals/#api-limits
Campaigns only go to members with the status "subscribed", so unsubscribing somebody from an
audience stops everything that is sent to it: a topic may be mapped to it only where the
destination sends nothing else (I10). Members are changed and acknowledged one at a time:
batches of operations (POST /batches) may take effect after our lease, and out of order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from preference_center.integrations.base import runtime
from preference_center.integrations.mailchimp.client import (
    ARCHIVED,
    OPTED_OUT_STATUSES,
    OVERLAP,
    SUBSCRIBED,
    UNSUBSCRIBED,
    ListedMember,
    MailchimpAudience,
    MailchimpClient,
    MailchimpMember,
)
from preference_center.integrations.mailchimp.sms import MailchimpSms

MAX_BATCH_MEMBERS = 500
"""Members that one batch may add or change, by the reference."""
_DOCS = "https://mailchimp.com/developer/marketing"


class Mailchimp(
    MailchimpAudience[MailchimpClient],
    runtime.ReadableConnector[MailchimpClient],
    runtime.ContactFieldConnector[MailchimpClient],
    runtime.ErasingConnector[MailchimpClient],
):
    """One audience of a Mailchimp account."""

    # An account may have 10 requests in progress; no rate is documented.
    capabilities: ClassVar[runtime.Capabilities] = runtime.Capabilities(
        can_lift=True,
        # Two requests an address: more addresses would not end inside a lease.
        batch_size=50,
        can_read=True,
        scans=runtime.ListingMode.CHANGES,
        pulls=runtime.ListingMode.CHANGES,
        can_write_fields=True,
        can_hold_link=True,
        off_means_opt_out=False,
        can_create=True,
        erase=runtime.EraseMode.KEEPS_OPT_OUT,
        erase_note="The contact is permanently deleted from the audience, with its phone number if "
        "it has one, and Mailchimp never lets it be imported again; only the person can come back, "
        "by a form of Mailchimp's. Reports of campaigns stay, without it.",
        confirms_erasure=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "api_key": "an API key of a manager, an admin or the owner; it ends with the data "
        "centre, as in -us21",
        "audience": "id of the audience",
        "base_url?": "another address of the API, for tests",
    }
    rules: ClassVar[runtime.ConnectorRules] = runtime.ConnectorRules(
        target_noun="group",
        credentials_hint="the API key and the id of the audience",
        lookups=runtime.LookupMode.ALL,
        target_check=runtime.TargetCheck.NEVER,  # `fetch_contact` finds missing groups
        account_target=runtime.WHOLE_LIST,
    )

    def make_client(self, session: runtime.Session) -> MailchimpClient:
        """See ApiConnector."""
        return MailchimpClient(self.config, session)

    def setting_problems(self) -> Iterator[str]:
        """See ApiConnector."""
        yield from super().setting_problems()
        if self.config.create_contacts and runtime.WHOLE_LIST not in self.config.topics.values():
            yield (
                "create_contacts: a new member in no group is sent nothing, so there is nothing "
                f"to add: remove the setting, or map the topic to {runtime.WHOLE_LIST}"
            )

    def list_targets(self, client: MailchimpClient) -> Iterator[runtime.Target]:
        """See ApiConnector."""
        for id_, name in client.groups().items():
            yield runtime.Target(id_, name)

    def find_problems(self, client: MailchimpClient) -> Iterator[str]:
        """See ApiConnector."""
        role = client.role()
        if role in {"author", "viewer"}:
            yield (
                f"the API key's user has the role {role} and may not change members: "
                "use a key of a manager, an admin or the owner"
            )
        yield from super().find_problems(client)

    def prepare(self, client: MailchimpClient, addresses: Sequence[str]) -> None:  # noqa: ARG002 - the runtime's
        """See ApiConnector. Members of an audience that is gone look like unknown addresses."""
        client.ensure_exists()

    def fetch_contact(
        self, client: MailchimpClient, address: str, target_ids: Collection[str]
    ) -> runtime.RemoteContact | None:
        """See MappedConnector. Archived members are not mailed; a change would bring them back."""
        member = client.member(address)
        if member is None or member.status == ARCHIVED:
            return None
        if missing := set(target_ids) - member.interests.keys() - {runtime.WHOLE_LIST}:
            self.ensure_targets(client, missing)
            raise runtime.UnexpectedResponse("a member came without a group that is mapped")
        return runtime.RemoteContact(_find_off_states(member, target_ids))

    def write_change(
        self, client: MailchimpClient, change: runtime.TargetChange
    ) -> runtime.PushOutcome:
        """See MappedConnector. Groups that the change doesn't name stay (I13)."""
        is_applied = partial(_is_applied, change)
        outcome = client.update_member(change.address, _member_changes(change), is_applied)
        if runtime.WHOLE_LIST in change.on and outcome.result is runtime.PushResult.REFLECTED:
            # Users report that Mailchimp may silently ignore a lift of people who unsubscribed
            # themselves (github.com/strangerstudios/pmpro-mailchimp/issues/151).
            member = client.member(change.address)
            if member is None or not is_applied(member):
                return runtime.refused("acknowledged, but not done")
        return outcome

    def list_text_fields(self, client: MailchimpClient) -> Collection[str]:
        """See ContactFieldConnector. Text fields of the audience, by their tags."""
        return client.list_text_fields()

    def write_field_group(
        self, client: MailchimpClient, field: str, items: runtime.FieldItems
    ) -> runtime.Outcomes:
        """See ContactFieldConnector."""
        (item,) = items
        changes = {"merge_fields": {field: item.value}}
        return {
            item.ref: client.update_member(
                item.address, changes, lambda member: member.merge_fields.get(field) == item.value
            )
        }

    def erase_contact(
        self, client: MailchimpClient, item: runtime.EraseItem
    ) -> runtime.PushOutcome:
        """See ErasingConnector."""
        return client.delete_permanently(item.address)

    def holds_contact(self, client: MailchimpClient, item: runtime.EraseItem) -> bool:
        """See ErasingConnector. Archived members are held, too."""
        return client.member(item.address) is not None

    def scan(self, cursor: str | None) -> runtime.SnapshotPage:
        """See SupportsScan."""
        page = self.changes_page(cursor, MailchimpClient.list_members, overlap=OVERLAP)
        return page.expand(self._to_snapshots)

    def _to_snapshots(self, member: ListedMember) -> Iterator[runtime.ContactSnapshot]:
        if member.status != ARCHIVED and member.email_address:
            link = self.config.link_value(member.merge_fields)
            off = self._off_topics_of(member)
            yield runtime.ContactSnapshot(member.email_address, off=off, link=link)

    def _off_topics_of(self, member: MailchimpMember) -> frozenset[str] | None:
        """None where a mapped group is missing."""
        targets = set(self.config.topics.values())
        missing = targets - member.interests.keys() - {runtime.WHOLE_LIST}
        if missing and member.status not in OPTED_OUT_STATUSES:
            return None
        off = _find_off_states(member, targets)
        return frozenset(topic for topic, id_ in self.config.topics.items() if id_ in off)

    def pull(self, cursor: str | None) -> runtime.EventPage:
        """See SupportsPull. Members who unsubscribed, dated by their last change."""
        page = self.changes_page(cursor, MailchimpClient.list_unsubscribed, overlap=OVERLAP)
        return page.expand(_to_vendor_events)


def _find_off_states(
    member: MailchimpMember, target_ids: Collection[str]
) -> dict[str, runtime.OffState]:
    """What is off; all of it for a member who unsubscribed."""
    has_left = member.status in OPTED_OUT_STATUSES
    off = {}
    for id_ in target_ids:
        if id_ == runtime.WHOLE_LIST:
            if has_left:
                is_lifted = member.status == UNSUBSCRIBED
                off[id_] = runtime.OffState(member.status, can_lift=is_lifted)
        elif has_left or not member.interests.get(id_):
            off[id_] = runtime.OffState("not in it", is_exact=not member.interests.get(id_))
    return off


def _member_changes(change: runtime.TargetChange) -> dict[str, Any]:
    if runtime.WHOLE_LIST in change.off | change.on:
        return {"status": UNSUBSCRIBED if change.off else SUBSCRIBED}
    return {"interests": dict.fromkeys(change.on, True) | dict.fromkeys(change.off, False)}


def _is_applied(change: runtime.TargetChange, member: MailchimpMember) -> bool:
    if runtime.WHOLE_LIST in change.off:
        return member.status in OPTED_OUT_STATUSES
    if runtime.WHOLE_LIST in change.on:
        return member.status != UNSUBSCRIBED
    interests: dict[str, Any] = _member_changes(change)["interests"]
    return all(member.interests.get(id_) == is_on for id_, is_on in interests.items())


class MailchimpWithContactCreation(Mailchimp):
    """The same where unknown addresses are to be added: members need not be read first."""

    capabilities: ClassVar[runtime.Capabilities] = replace(
        Mailchimp.capabilities, batch_size=MAX_BATCH_MEMBERS
    )
    rules: ClassVar[runtime.ConnectorRules] = replace(
        Mailchimp.rules,
        lookups=runtime.LookupMode.LIFTS,
        group_size=MAX_BATCH_MEMBERS,
        lift_group_size=1,
        max_lifts=Mailchimp.capabilities.batch_size,
        max_reads=Mailchimp.capabilities.batch_size,
    )

    def write_changes(self, client: MailchimpClient, changes: runtime.Changes) -> runtime.Outcomes:
        """See MappedConnector."""
        if changes[0].on:
            return super().write_changes(client, changes)
        found = client.unsubscribe([change.address for change in changes])
        casefolded = {change.ref: change.address.casefold() for change in changes}
        return {ref: found[address] for ref, address in casefolded.items() if address in found}


def _make_email_connector(
    config: runtime.DestinationConfig, http: runtime.HttpContext
) -> Mailchimp:
    return (MailchimpWithContactCreation if config.create_contacts else Mailchimp)(config, http)


class MailchimpMultiChannel(runtime.MultiChannelConnector, email=Mailchimp, sms=MailchimpSms):
    """One audience, for email and SMS."""

    connector_factories: ClassVar[runtime.ConnectorFactories] = {
        runtime.Channel.EMAIL: _make_email_connector,
        runtime.Channel.SMS: MailchimpSms,
    }


def _make_connector(
    config: runtime.DestinationConfig, http: runtime.HttpContext
) -> runtime.Connector:
    """Batches are larger where only email is sent and contacts are created."""
    texts = config.for_channel(runtime.Channel.SMS).topics
    return MailchimpMultiChannel(config, http) if texts else _make_email_connector(config, http)


def _to_vendor_events(member: ListedMember) -> Iterator[runtime.VendorEvent]:
    if member.email_address:
        kind, at = runtime.VendorEventKind.OPTED_OUT, member.last_changed
        yield runtime.VendorEvent(kind, member.email_address, runtime.WHOLE_LIST, at)


SPEC = runtime.ConnectorSpec.of(
    MailchimpMultiChannel,
    build=_make_connector,
    tested_against=runtime.TestedAgainst.DOCUMENTATION,
    tested_version="the API reference, read on 2026-11-27, and the description 3.0.55",
    secrets={"api_key"},
    sources=(
        f"{_DOCS}/api/list-members/update-list-member/",
        f"{_DOCS}/api/lists/batch-subscribe-or-unsubscribe/",
        f"{_DOCS}/api/list-members/list-members-info/",
        f"{_DOCS}/api/list-members/delete-list-member/",
        f"{_DOCS}/docs/audiences-introduction/",
    ),
    notes=(
        (
            "Map each topic to a group of the audience, or the only one to `audience`; a topic "
            "by SMS to `sms`."
        ),
        "People who unsubscribed in Mailchimp can resubscribe only by its own forms.",
        "An account may have 10 requests in progress: run no more workers on it.",
        "Contacts without an email address need endpoints that Mailchimp calls beta.",
        (
            "Leaving a group by Mailchimp's own form leaves no trace and is not noticed; leaving "
            "the audience is."
        ),
        "Members who were archived before the first reading are not read: they get no mail.",
    ),
    open_points=(
        (
            "Not documented: whether a webhook's retry is signed again (a signature counts for "
            "80 minutes), that groups which a change doesn't name stay as they are, and how "
            "addresses outside ASCII are lower-cased before their MD5."
        ),
        (
            "Each member is read and changed alone, 50 a push: batches of operations may take "
            "effect out of order. Adding unknown addresses takes 500 a request."
        ),
    ),
)
