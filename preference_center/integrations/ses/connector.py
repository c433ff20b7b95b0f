"""This connector maps a topic to a topic of the account's contact list in Amazon SES v2.

https://docs.aws.amazon.com/ses/latest/dg/sending-email-list-management.html
https://docs.aws.amazon.com/ses/latest/dg/sending-email-subscription-management.html
SES applies a preference to mail that is sent with the list and that topic
(ListManagementOptions). The account's suppression list is only read: it stops service mail
too, and holds bounces and complaints, which are not choices (I10).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, cast

from preference_center.integrations.base import runtime
from preference_center.integrations.ses.import_jobs import (
    FALLBACK_DELAY,
    MAX_WITHOUT_JOB,
    POLL_INTERVAL,
    ImportRecord,
    bucket_problems,
)

if TYPE_CHECKING:
    from preference_center.integrations.ses.client import SesClient, SesContact

OPT_IN, OPT_OUT = "OPT_IN", "OPT_OUT"


PUSHED_ONE_BY_ONE = runtime.retry_later("pushed one by one")


EVENT_KIND_BY_REASON = {
    "BOUNCE": runtime.VendorEventKind.BOUNCED,
    "COMPLAINT": runtime.VendorEventKind.COMPLAINED,
}


_REGION = re.compile(r"[a-z]{2,3}(-[a-z]+)+-[0-9]+", re.ASCII)


_DOCS = "https://docs.aws.amazon.com/ses/latest"


@dataclass(frozen=True)
class _RemoteSesContact(runtime.RemoteContact):
    contact: SesContact | None = None


class Ses(runtime.ReadableConnector["SesClient"], runtime.ErasingConnector["SesClient"]):
    """The contact list of an AWS account in one region."""

    kind: ClassVar[str] = "ses"
    capabilities: ClassVar[runtime.Capabilities] = runtime.Capabilities(
        can_lift=True,
        # Two requests an address, one a second: more addresses would not end inside a lease.
        batch_size=20,
        rate_limit=runtime.RateLimit(1, 1),
        can_read=True,
        scans=runtime.ListingMode.FULL,
        pulls=runtime.ListingMode.FULL,
        can_create=True,
        backfills_by_scan=True,
        erase=runtime.EraseMode.FORGETS_OPT_OUT,
        erase_note="The contact is deleted with its preferences, which takes the permission "
        "ses:DeleteContact; the account's suppression list stays. SES makes a new contact when it "
        "sends there with `ListManagementOptions`; the nightly scan suppresses and erases it.",
        confirms_erasure=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "region": "the AWS region that sends the mail, as in eu-central-1",
        "contact_list": "name of the contact list; an account has one in each region",
        "access_key_id?": "key of a user with the permissions ses:GetContactList, "
        "ses:ListContacts, ses:GetContact, ses:CreateContact, ses:UpdateContact and "
        "ses:ListSuppressedDestinations, and ses:DeleteContact to erase people; if left out, the "
        "role of the worker is used",
        "secret_access_key?": "the secret of that key",
        "import_bucket?": "an S3 bucket in the same region, without dots in its name, for imports "
        "of many opt-outs at once; also needs ses:CreateImportJob and ses:ListImportJobs, and "
        "s3:PutObject below preference-center/",
        "base_url?": "another address of the API, for tests",
        "bucket_url?": "another address of the bucket, for tests",
    }
    rules: ClassVar[runtime.ConnectorRules] = runtime.ConnectorRules(
        target_noun="topic",
        credentials_hint="the region, the list, the key and its permissions",
        lookups=runtime.LookupMode.ALL,
        compares_contacts=True,
        target_check=runtime.TargetCheck.ALWAYS,
    )

    def __init__(self, config: runtime.DestinationConfig, http: runtime.HttpContext) -> None:
        super().__init__(config, http)
        # Imported here, since the other connectors work without the extra.
        from preference_center.integrations.ses.client import SesClient  # noqa: PLC0415

        self._client_class = SesClient

    def base_url(self) -> str:
        """See ApiConnector."""
        region = self.config.settings["region"]
        if not _REGION.fullmatch(region):
            message = f"{self.config.name}: the region must be written as in eu-central-1"
            raise runtime.DeliveryError(message, permanent=True)
        return super().base_url() or f"https://email.{region}.amazonaws.com"

    def make_client(self, session: runtime.Session) -> SesClient:
        """See ApiConnector."""
        return self._client_class(self.config, self.http, self.base_url(), session)

    def setting_problems(self) -> Iterator[str]:
        """See ApiConnector."""
        settings = self.config.settings
        if bool(settings.get("access_key_id")) != bool(settings.get("secret_access_key")):
            yield "access_key_id and secret_access_key go together: set both or neither"
        yield from bucket_problems(self.config)

    def list_targets(self, client: SesClient) -> Iterator[runtime.Target]:
        """See ApiConnector. Raises DeliveryError (permanent) when the list is gone."""
        for topic in client.topics.values():
            yield runtime.Target(topic.topic_name, topic.display_name)

    def find_problems(self, client: SesClient) -> Iterator[str]:
        """See ApiConnector. The permission to change contacts can't be checked without a change."""
        client.get_contact(runtime.PROBE_ADDRESS)
        client.list_contacts("", limit=1)
        client.list_suppressions("", limit=1)
        if client.import_jobs.is_enabled:
            client.import_jobs.running_count  # noqa: B018 - a request, which may fail
        yield from ()

    def prepare(self, client: SesClient, addresses: Sequence[str]) -> None:  # noqa: ARG002 - the runtime's
        """See ApiConnector. Contacts of a list that is gone look like unknown ones."""
        list(self.list_targets(client))

    def fetch_contact(
        self, client: SesClient, address: str, target_ids: Collection[str]
    ) -> runtime.RemoteContact | None:
        """See MappedConnector. A topic that is off by default is no opt-out, and not reported."""
        contact = client.get_contact(address)
        if contact is None:
            return None
        reason = "unsubscribed from all" if contact.unsubscribe_all else OPT_OUT
        off = {
            id_: runtime.OffState(reason)
            for id_ in target_ids
            if contact.unsubscribe_all or contact.preferences.get(id_) == OPT_OUT
        }
        return _RemoteSesContact(off, contact)

    def write_change(self, client: SesClient, change: runtime.TargetChange) -> runtime.PushOutcome:
        """See MappedConnector. A lift waits for imports, which would turn it off again."""
        jobs = client.import_jobs
        if change.on and jobs.is_enabled and jobs.running_count:
            if change.off:
                _write_preferences(client, replace(change, on=frozenset()))
            return runtime.retry_later("an import is in progress", POLL_INTERVAL)
        return _write_preferences(client, change)

    def erase_contact(self, client: SesClient, item: runtime.EraseItem) -> runtime.PushOutcome:
        """See ErasingConnector."""
        return runtime.outcome_for_status(client.delete_contact(item.address))

    def holds_contact(self, client: SesClient, item: runtime.EraseItem) -> bool:
        """See ErasingConnector."""
        return client.get_contact(item.address) is not None

    def push_scanned(
        self, batch: Sequence[tuple[runtime.PushItem, runtime.ContactSnapshot]]
    ) -> runtime.Outcomes:
        """See SupportsScanBackfill. By an import, if a bucket is set and it can lose nothing."""
        items = [item for item, _ in batch]
        self.ensure_supported(items, max_size=len(batch))
        outcomes = dict.fromkeys((item.ref for item in items), PUSHED_ONE_BY_ONE)
        records: dict[int, ImportRecord] = {}
        with self.open_client() as client:
            named = frozenset[str]().union(*(item.off | item.lift for item in items))
            self.ensure_targets(client, {self.config.topics[topic] for topic in named})
            for item, snapshot in batch:
                contact = cast("SesContact", snapshot.connector_data)
                off = dict.fromkeys((self.config.topics[topic] for topic in item.off), OPT_OUT)
                record = ImportRecord(contact, contact.preferences | off)
                if not item.lift and item.off <= self._off_topics_of(contact):
                    outcomes[item.ref] = runtime.reflected("as listed")
                elif not item.lift and record.turns_all_off(client.topics):
                    records[item.ref] = record
            if client.import_jobs.is_enabled and len(records) > MAX_WITHOUT_JOB:
                job = client.import_jobs.start([*records.values()])
                waits = runtime.retry_later(f"import {job}", FALLBACK_DELAY)
                outcomes |= dict.fromkeys(records, waits)
        return outcomes

    def _off_topics_of(self, contact: SesContact) -> frozenset[str]:
        """The topics that the person opted out of."""
        topics = self.config.topics
        if contact.unsubscribe_all:
            return frozenset(topics)
        preferences = contact.preferences
        return frozenset(t for t, name in topics.items() if preferences.get(name) == OPT_OUT)

    def scan(self, cursor: str | None) -> runtime.SnapshotPage:
        """See SupportsScan."""
        return self.full_page(cursor, self._list_snapshots)

    def _list_snapshots(
        self, client: SesClient, token: str
    ) -> tuple[list[runtime.ContactSnapshot], str]:
        contacts, token = client.list_contacts(token)
        return [
            runtime.ContactSnapshot(
                each.email_address, off=self._off_topics_of(each), connector_data=each
            )
            for each in contacts
            if each.email_address
        ], token

    def pull(self, cursor: str | None) -> runtime.EventPage:
        """See SupportsPull. First the contacts, then the account's suppression list.

        A contact's opt-outs are dated by its last change.
        """
        return self.full_page(cursor, _list_opt_outs, _list_suppressed)


def _list_opt_outs(client: SesClient, token: str) -> tuple[list[runtime.VendorEvent], str]:
    contacts, token = client.list_contacts(token)
    return [event for each in contacts for event in _to_vendor_events(each)], token


def _list_suppressed(client: SesClient, token: str) -> tuple[list[runtime.VendorEvent], str]:
    suppressions, token = client.list_suppressions(token)
    return [
        runtime.VendorEvent(kind, each.email_address, occurred_at=each.last_update_time)
        for each in suppressions
        if (kind := EVENT_KIND_BY_REASON.get(each.reason)) and each.email_address
    ], token


def _write_preferences(client: SesClient, change: runtime.TargetChange) -> runtime.PushOutcome:
    off = dict.fromkeys(change.off, OPT_OUT)
    remote = cast("_RemoteSesContact | None", change.contact)
    if remote is None or remote.contact is None:
        client.create_contact(change.address, off)
        return runtime.reflected("created")
    preferences = remote.contact.preferences | dict.fromkeys(change.on, OPT_IN) | off
    if preferences != remote.contact.preferences:
        client.update_contact(remote.contact, change.address, preferences)
    return runtime.reflected()


def _to_vendor_events(contact: SesContact) -> Iterator[runtime.VendorEvent]:
    targets = [None] if contact.unsubscribe_all else list[str | None]()
    targets += [name for name, status in contact.preferences.items() if status == OPT_OUT]
    for target in targets:
        yield runtime.VendorEvent(
            runtime.VendorEventKind.OPTED_OUT,
            contact.email_address,
            target,
            occurred_at=contact.last_updated_timestamp,
        )


SPEC = runtime.ConnectorSpec.of(
    Ses,
    tested_against=runtime.TestedAgainst.VENDOR_DESCRIPTION,
    tested_version="the description of API 2019-09-27, and moto 5.2.5 by `make test-real`",
    secrets={"secret_access_key"},
    sources=(
        f"{_DOCS}/dg/sending-email-list-management.html",
        f"{_DOCS}/APIReference-V2/API_UpdateContact.html",
        f"{_DOCS}/APIReference-V2/API_ListContacts.html",
        f"{_DOCS}/APIReference-V2/API_DeleteContact.html",
        f"{_DOCS}/dg/quotas.html",
    ),
    notes=(
        (
            "Map each topic to a topic of the contact list, which has 20 at most. It only "
            "applies to mail sent with `ListManagementOptions` for that list and topic."
        ),
        (
            "AWS allows one such request a second, which can't be raised, and a contact takes "
            "two: 43,000 a day. Many opt-outs at once (a backfill, an import) are first compared "
            "with the listing of contacts, a thousand a request; those that are off already, or "
            "not on the list, need no more."
        ),
        (
            "`import_bucket` lets AWS import contacts who then have every topic off, if contacts "
            "have no `AttributesData`, which an import may overwrite. Let `ses.amazonaws.com` "
            "read the bucket (`s3:GetObject`), and a lifecycle rule delete what is below "
            "`preference-center/` after a day: it holds addresses. Imports need production "
            "access."
        ),
        "Unsubscribing from the whole list is never lifted by us.",
    ),
    open_points=(
        (
            "A change replaces all preferences of a contact and can't be conditional: a choice "
            "made on SES's own page between our read and our write, about a second, is lost."
        ),
        (
            "A mail that is sent with the list to an address outside it adds that address and "
            "goes out: where that happens, set `create_contacts`."
        ),
        (
            "Not documented: how long a listing's token is valid, whether `CreateImportJob` "
            "overwrites `AttributesData` that its file leaves out (we assume so), how long a job "
            "takes, and how soon it is listed."
        ),
    ),
    extra="ses",
)
