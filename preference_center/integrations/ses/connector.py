"""Amazon SES v2: a topic is a topic of the account's contact list.

https://docs.aws.amazon.com/ses/latest/dg/sending-email-list-management.html
https://docs.aws.amazon.com/ses/latest/dg/sending-email-subscription-management.html
SES applies a preference to mail that is sent with the list and that topic
(ListManagementOptions). The account's suppression list is only read: it stops service mail
too, and holds bounces and complaints, which are not choices (I10).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import (
    Capabilities,
    ListingMode,
    RateLimit,
    SupportedScope,
)
from preference_center.domain.sync.contract import (
    ContactPage,
    ContactSnapshot,
    PushItem,
    PushOutcome,
    PushResult,
)
from preference_center.domain.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.base.batching import PushStep, ensure_some_accepted, run_steps
from preference_center.integrations.base.check_report import CheckReport
from preference_center.integrations.base.contract import (
    Connector,
    DeliveryError,
    DestinationConfig,
    UnsupportedByDestination,
)
from preference_center.integrations.base.http import HttpContext, RequestRejected
from preference_center.integrations.base.mapping import mapping_problems, validate_batch
from preference_center.integrations.base.spec import ConnectorSpec, TestedAgainst

if TYPE_CHECKING:
    from preference_center.integrations.ses.client import SesClient, SesContact
    from preference_center.integrations.ses.import_jobs import ImportRecord

OPT_IN, OPT_OUT = "OPT_IN", "OPT_OUT"
INVALID_ACK = "BadRequest"
BUCKET_SETTING = "import_bucket"
PUSHED_ONE_BY_ONE = PushOutcome(PushResult.RETRY_LATER, "pushed one by one")
EVENT_KIND_BY_REASON = {"BOUNCE": VendorEventKind.BOUNCED, "COMPLAINT": VendorEventKind.COMPLAINED}
_SUPPRESSIONS = "suppressions"
_CHECK_ADDRESS = "preference-center-check@example.com"
_DOCS = "https://docs.aws.amazon.com/ses/latest"


class Ses:
    """The contact list of an AWS account in one region."""

    kind: ClassVar[str] = "ses"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({SupportedScope.TOPIC}),
        can_lift=True,
        # Two requests an address, one a second: more addresses would not end inside a lease.
        batch_size=20,
        rate_limit=RateLimit(1, 1),
        can_read=True,
        scans=ListingMode.FULL,
        pulls=ListingMode.FULL,
        can_create=True,
        backfills_by_scan=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "region": "the AWS region that sends the mail, as in eu-central-1",
        "contact_list": "name of the contact list; an account has one in each region",
        "access_key_id?": "key of a user with the permissions ses:GetContactList, "
        "ses:ListContacts, ses:GetContact, ses:CreateContact, ses:UpdateContact and "
        "ses:ListSuppressedDestinations; if left out, the role of the worker is used",
        "secret_access_key?": "the secret of that key",
        "import_bucket?": "an S3 bucket in the same region, without dots in its name, for imports "
        "of many opt-outs at once; also needs ses:CreateImportJob and ses:ListImportJobs, and "
        "s3:PutObject below preference-center/",
        "base_url?": "another base URL of the API, for tests",
        "bucket_url?": "another base URL of the bucket, for tests",
    }

    def __init__(self, config: DestinationConfig, http: HttpContext) -> None:
        # Imported here, since the other connectors work without the extra.
        from preference_center.integrations.ses import import_jobs  # noqa: PLC0415
        from preference_center.integrations.ses.client import open_client  # noqa: PLC0415

        self._import_jobs = import_jobs
        self._config = config
        self._http = http
        self._open_client = partial(open_client, config, http)

    def check(self) -> CheckReport:
        """See Connector. The permission to change contacts can't be checked without a change."""
        problems = [
            *mapping_problems(self._config, "topic", numeric_ids=False),
            *self._setting_problems(),
        ]
        try:
            with self._open_client() as contacts:
                topics = contacts.topics()
                contacts.get_contact(_CHECK_ADDRESS)
                contacts.list_contacts(None, limit=1)
                contacts.list_suppressions(None, limit=1)
                if self._config.settings.get(BUCKET_SETTING):
                    self._import_jobs.count_running_jobs(self._config, contacts, self._http.now())
        except DeliveryError as error:
            return CheckReport(
                (*problems, f"{error}: check the region, the list, the key and its permissions")
            )
        problems += [
            f"topic {topic} is mapped to {name!r}, which the contact list does not have: "
            "map it to a topic that exists"
            for topic, name in sorted(self._config.topics.items())
            if name not in topics
        ]
        mapped = set(self._config.topics.values())
        unmapped = [
            f"{t.display_name} ({name})" for name, t in topics.items() if name not in mapped
        ]
        return CheckReport(tuple(problems), tuple(unmapped))

    def _setting_problems(self) -> Iterator[str]:
        settings = self._config.settings
        if bool(settings.get("access_key_id")) != bool(settings.get("secret_access_key")):
            yield "access_key_id and secret_access_key go together: set both or neither"
        yield from self._import_jobs.bucket_problems(self._config)

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        """See Connector. Each contact is read, and changed where it differs."""
        if not batch:
            return {}
        self._ensure_fits(batch)
        with self._open_client() as contacts:
            self._ensure_topics(contacts, batch)
            may_lift = self._may_lift(contacts, batch)
            steps = [
                PushStep((item.ref,), partial(self._push_item, contacts, item, may_lift=may_lift))
                for item in batch
                if item.off or item.lift
            ]
            outcomes = run_steps(batch, steps)
        ensure_some_accepted(outcomes, INVALID_ACK)
        return outcomes

    def _ensure_fits(
        self, batch: Sequence[PushItem], capabilities: Capabilities | None = None
    ) -> None:
        validate_batch(batch, self._config, capabilities or self.capabilities)
        for problem in self._setting_problems():
            raise UnsupportedByDestination(f"{self._config.name}: {problem}")

    def _may_lift(self, client: SesClient, batch: Sequence[PushItem]) -> bool:
        """Whether no import is in progress, which would turn off again what is lifted now."""
        if not self._config.settings.get(BUCKET_SETTING) or not any(item.lift for item in batch):
            return True
        return not self._import_jobs.count_running_jobs(self._config, client, self._http.now())

    def _ensure_topics(self, client: SesClient, batch: Sequence[PushItem]) -> Collection[str]:
        """The topics of the list.

        Raises DeliveryError (permanent) when the list or a topic of the batch is gone.
        """
        existing = client.topics()
        named: set[str] = set().union(*(item.off | item.lift for item in batch))
        if gone := sorted(t for t in named if self._config.topics[t] not in existing):
            raise DeliveryError(
                f"{self._config.name}: the topics of {', '.join(gone)} are gone: map them again",
                permanent=True,
            )
        return existing

    def _push_item(
        self, client: SesClient, item: PushItem, *, may_lift: bool
    ) -> Mapping[int, PushOutcome]:
        try:
            if item.lift and not may_lift:
                if item.off:
                    self._write_preferences(client, replace(item, lift=frozenset()))
                wait = self._import_jobs.POLL_INTERVAL
                return {
                    item.ref: PushOutcome(PushResult.RETRY_LATER, "an import is in progress", wait)
                }
            return {item.ref: self._write_preferences(client, item)}
        except RequestRejected:
            return {item.ref: PushOutcome(PushResult.REFUSED, INVALID_ACK)}

    def push_scanned(
        self, batch: Sequence[tuple[PushItem, ContactSnapshot]]
    ) -> Mapping[int, PushOutcome]:
        """See SupportsScanBackfill. By an import, if a bucket is set and it can lose nothing."""
        page = replace(self.capabilities, batch_size=len(batch))
        self._ensure_fits([item for item, _ in batch], page)
        outcomes: dict[int, PushOutcome] = {}
        records: dict[int, ImportRecord] = {}
        with self._open_client() as contacts:
            existing = self._ensure_topics(contacts, [item for item, _ in batch])
            for item, snapshot in batch:
                contact = cast("SesContact", snapshot.connector_data)
                record = self._import_jobs.ImportRecord(
                    contact, self._merge_preferences(contact, item)
                )
                if not item.lift and item.off <= self._off_topics(contact):
                    outcomes[item.ref] = PushOutcome(PushResult.REFLECTED, "as listed")
                elif not item.lift and record.turns_all_off(existing):
                    records[item.ref] = record
                else:
                    outcomes[item.ref] = PUSHED_ONE_BY_ONE
            if (
                self._config.settings.get(BUCKET_SETTING)
                and len(records) > self._import_jobs.MAX_WITHOUT_JOB
            ):
                job = self._import_jobs.start_import_job(
                    self._config, self._http, contacts, [*records.values()]
                )
                wait = self._import_jobs.FALLBACK_DELAY
                outcome = PushOutcome(PushResult.RETRY_LATER, f"import {job}", wait)
                return outcomes | dict.fromkeys(records, outcome)
        return outcomes | dict.fromkeys(records, PUSHED_ONE_BY_ONE)

    def _merge_preferences(self, contact: SesContact, item: PushItem) -> dict[str, str]:
        """All preferences of the contact after the change."""
        topics = self._config.topics
        lifts = {topics[topic]: OPT_IN for topic in item.lift}
        return contact.preferences | lifts | {topics[topic]: OPT_OUT for topic in item.off}

    def _write_preferences(self, client: SesClient, item: PushItem) -> PushOutcome:
        topics = self._config.topics
        offs = {topics[topic]: OPT_OUT for topic in item.off}
        contact = client.get_contact(item.address)
        if contact is None:
            if not (self._config.create_contacts and offs):
                return PushOutcome(PushResult.ABSENT, "404")
            client.create_contact(item.address, offs)
            return PushOutcome(PushResult.REFLECTED, "created")
        wanted = self._merge_preferences(contact, item)
        if wanted != contact.preferences:
            client.update_contact(contact, item.address, wanted)
        return PushOutcome(PushResult.REFLECTED, "200")

    def read(self, batch: Sequence[PushItem]) -> Mapping[int, frozenset[str] | None]:
        """See SupportsRead."""
        if not batch:
            return {}
        self._ensure_fits(batch)
        with self._open_client() as contacts:
            contacts.topics()
            found = {item.ref: contacts.get_contact(item.address) for item in batch}
        return {
            ref: self._off_topics(contact) if contact else None for ref, contact in found.items()
        }

    def _off_topics(self, contact: SesContact) -> frozenset[str]:
        """The topics that the person opted out of; a topic off by default is no opt-out."""
        topics = self._config.topics
        if contact.unsubscribe_all:
            return frozenset(topics)
        preferences = contact.preferences
        return frozenset(t for t, name in topics.items() if preferences.get(name) == OPT_OUT)

    def scan(self, cursor: str | None) -> ContactPage[ContactSnapshot]:
        """See SupportsScan."""
        with self._open_client() as contacts:
            found, token = contacts.list_contacts(cursor)
        snapshots = [
            ContactSnapshot(
                contact.email_address, off=self._off_topics(contact), connector_data=contact
            )
            for contact in found
            if contact.email_address
        ]
        return ContactPage(tuple(snapshots), token, done=token is None)

    def pull(self, cursor: str | None) -> ContactPage[VendorEvent]:
        """See SupportsPull. First the contacts, then the account's suppression list.

        A contact's opt-outs are dated by its last change.
        """
        name, _, token = (cursor or "").partition(" ")
        with self._open_client() as contacts:
            if name == _SUPPRESSIONS:
                suppressed, token_after = contacts.list_suppressions(token or None)
                events = [
                    VendorEvent(
                        EVENT_KIND_BY_REASON[s.reason],
                        s.email_address,
                        occurred_at=s.last_update_time,
                    )
                    for s in suppressed
                    if s.reason in EVENT_KIND_BY_REASON and s.email_address
                ]
                following = f"{_SUPPRESSIONS} {token_after}" if token_after else None
                return ContactPage(tuple(events), following, done=following is None)
            found, token_after = contacts.list_contacts(token or None)
        events = [event for contact in found for event in self._to_vendor_events(contact)]
        return ContactPage(
            tuple(events), f"contacts {token_after}" if token_after else _SUPPRESSIONS, False
        )

    def _to_vendor_events(self, contact: SesContact) -> Iterator[VendorEvent]:
        targets = [None] if contact.unsubscribe_all else list[str | None]()
        targets += [name for name, status in contact.preferences.items() if status == OPT_OUT]
        for target in targets:
            yield VendorEvent(
                VendorEventKind.OPTED_OUT,
                contact.email_address,
                target,
                occurred_at=contact.last_updated_timestamp,
            )


def _make_connector(config: DestinationConfig, http: HttpContext) -> Connector:
    return Ses(config, http)


SPEC = ConnectorSpec(
    kind=Ses.kind,
    tested_against=TestedAgainst.VENDOR_DESCRIPTION,
    tested_version="the description of API 2019-09-27, and moto 5.2.5 by `make test-real`",
    capabilities=Ses.capabilities,
    own_settings=Ses.settings,
    secret_settings=frozenset({"secret_access_key"}),
    sources=(
        f"{_DOCS}/dg/sending-email-list-management.html",
        f"{_DOCS}/APIReference-V2/API_UpdateContact.html",
        f"{_DOCS}/APIReference-V2/API_ListContacts.html",
        f"{_DOCS}/dg/quotas.html",
    ),
    build=_make_connector,
    notes=(
        "Map each topic to a topic of the contact list, which has 20 at most.",
        "It only applies to mail sent with `ListManagementOptions` for that list and topic.",
        (
            "AWS allows one such request a second, which can't be raised, and a contact takes "
            "two. Many opt-outs at once (a backfill, an import) are therefore compared with the "
            "listing of contacts, a thousand a request: contacts that are off already, or not "
            "on the list, need no more requests. The others are pushed one by one, 43,000 a day, "
            "unless `import_bucket` is set."
        ),
        (
            "`import_bucket` is for contact lists whose contacts have no `AttributesData`, which "
            "an import may overwrite. Only contacts that then have every topic of the list off "
            "are imported. Let `ses.amazonaws.com` read the bucket (`s3:GetObject`), and have a "
            "lifecycle rule delete what is below `preference-center/` after a day: the files "
            "hold addresses. Imports need production access."
        ),
        "Unsubscribing from the whole list is never lifted by us.",
    ),
    extra="ses",
)
