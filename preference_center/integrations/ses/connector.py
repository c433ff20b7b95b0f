"""Amazon SES v2: a topic is a topic of the account's contact list.

https://docs.aws.amazon.com/ses/latest/dg/sending-email-list-management.html
https://docs.aws.amazon.com/ses/latest/dg/sending-email-subscription-management.html
SES heeds a preference in mails that are sent with the list and that topic
(ListManagementOptions). The account's suppression list is only read: it stops service mail
too, and what stands there is a bounce or a complaint, which a choice is not (I10).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import Capabilities, Listing, Rate, Scopes
from preference_center.domain.sync.contract import Item, Outcome, Page, Result, Seen
from preference_center.domain.vendor_events import News, NewsKind
from preference_center.integrations.base.batching import Step, carry_out, ensure_some_taken
from preference_center.integrations.base.check_report import Report
from preference_center.integrations.base.contract import (
    Connector,
    DeliveryError,
    Setup,
    UnsupportedByDestination,
)
from preference_center.integrations.base.http import Http, Rejected
from preference_center.integrations.base.mapping import ensure_fits, mapping_problems
from preference_center.integrations.base.spec import Entry, Proof

if TYPE_CHECKING:
    from preference_center.integrations.ses.client import Contact, ContactList
    from preference_center.integrations.ses.import_jobs import Record

OPT_IN, OPT_OUT = "OPT_IN", "OPT_OUT"
INVALID = "BadRequest"
BUCKET = "import_bucket"
ONE_BY_ONE = Outcome(Result.LATER, "pushed one by one")
REASONS = {"BOUNCE": NewsKind.BOUNCED, "COMPLAINT": NewsKind.COMPLAINED}
_SUPPRESSIONS = "suppressions"
_PROBE = "preference-center-check@example.com"
_DOCS = "https://docs.aws.amazon.com/ses/latest"


class Ses:
    """The contact list of an AWS account in one region."""

    kind: ClassVar[str] = "ses"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({Scopes.TOPIC}),
        can_lift=True,
        # Two requests an address, one a second: more would not end inside a lease.
        batch_size=20,
        rate=Rate(1, 1),
        can_read=True,
        scans=Listing.SWEEP,
        pulls=Listing.SWEEP,
        can_create=True,
        backfills_by_scan=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "region": "the AWS region that mails, as in eu-central-1",
        "contact_list": "name of the contact list; an account has one in each region",
        "access_key_id?": "key of a user who may ses:GetContactList, ses:ListContacts, "
        "ses:GetContact, ses:CreateContact, ses:UpdateContact and "
        "ses:ListSuppressedDestinations; left out, the role that the worker runs as counts",
        "secret_access_key?": "the secret that goes with it",
        "import_bucket?": "an S3 bucket in the same region, without dots in its name, for imports "
        "of many opt-outs at once; needs also ses:CreateImportJob and ses:ListImportJobs, and "
        "s3:PutObject below preference-center/",
        "base_url?": "another address of the API, for tests",
        "bucket_url?": "another address of the bucket, for tests",
    }

    def __init__(self, setup: Setup, http: Http) -> None:
        # Only here: without the extra the other connectors work.
        from preference_center.integrations.ses import import_jobs  # noqa: PLC0415
        from preference_center.integrations.ses.client import open_list  # noqa: PLC0415

        self._imports = import_jobs
        self._setup = setup
        self._http = http
        self._open = partial(open_list, setup, http)

    def check(self) -> Report:
        """See Connector. Whether contacts may be changed can't be tried without a change."""
        problems = [
            *mapping_problems(self._setup, "topic", numbered=False),
            *self._setting_problems(),
        ]
        try:
            with self._open() as contacts:
                topics = contacts.topics()
                contacts.contact(_PROBE)
                contacts.contacts(None, limit=1)
                contacts.suppressed(None, limit=1)
                if self._setup.settings.get(BUCKET):
                    self._imports.under_way(self._setup, contacts, self._http.now())
        except DeliveryError as error:
            return Report((*problems, f"{error}: check the region, the list, the key and rights"))
        problems += [
            f"topic {topic} is mapped to {name!r}, which the contact list has not: "
            "map it to a topic that exists"
            for topic, name in sorted(self._setup.topics.items())
            if name not in topics
        ]
        mapped = set(self._setup.topics.values())
        unmapped = [
            f"{t.display_name} ({name})" for name, t in topics.items() if name not in mapped
        ]
        return Report(tuple(problems), tuple(unmapped))

    def _setting_problems(self) -> Iterator[str]:
        settings = self._setup.settings
        if bool(settings.get("access_key_id")) != bool(settings.get("secret_access_key")):
            yield "access_key_id and secret_access_key go together: set both or neither"
        yield from self._imports.bucket_problems(self._setup)

    def push(self, batch: Sequence[Item]) -> Mapping[int, Outcome]:
        """See Connector. Each contact is looked at, and told what differs."""
        if not batch:
            return {}
        self._ensure_fits(batch)
        with self._open() as contacts:
            self._ensure_topics(contacts, batch)
            may_lift = self._may_lift(contacts, batch)
            steps = [
                Step((item.ref,), partial(self._bring, contacts, item, may_lift=may_lift))
                for item in batch
                if item.off or item.lift
            ]
            outcomes = carry_out(batch, steps)
        ensure_some_taken(outcomes, INVALID)
        return outcomes

    def _ensure_fits(self, batch: Sequence[Item], capabilities: Capabilities | None = None) -> None:
        ensure_fits(batch, self._setup, capabilities or self.capabilities)
        for problem in self._setting_problems():
            raise UnsupportedByDestination(f"{self._setup.name}: {problem}")

    def _may_lift(self, contacts: ContactList, batch: Sequence[Item]) -> bool:
        """Whether no import is under way that would turn off again what is lifted now."""
        if not self._setup.settings.get(BUCKET) or not any(item.lift for item in batch):
            return True
        return not self._imports.under_way(self._setup, contacts, self._http.now())

    def _ensure_topics(self, contacts: ContactList, batch: Sequence[Item]) -> Collection[str]:
        """The topics there are.

        Raises DeliveryError (permanent) when the list or a topic that is needed is gone.
        """
        there = contacts.topics()
        named: set[str] = set().union(*(item.off | item.lift for item in batch))
        if gone := sorted(t for t in named if self._setup.topics[t] not in there):
            raise DeliveryError(
                f"{self._setup.name}: the topics of {', '.join(gone)} are gone: map them again",
                permanent=True,
            )
        return there

    def _bring(self, contacts: ContactList, item: Item, *, may_lift: bool) -> Mapping[int, Outcome]:
        try:
            if item.lift and not may_lift:
                if item.off:
                    self._told(contacts, replace(item, lift=frozenset()))
                wait = self._imports.AGAIN
                return {item.ref: Outcome(Result.LATER, "an import is under way", wait)}
            return {item.ref: self._told(contacts, item)}
        except Rejected:
            return {item.ref: Outcome(Result.REFUSED, INVALID)}

    def push_seen(self, batch: Sequence[tuple[Item, Seen]]) -> Mapping[int, Outcome]:
        """See BackFillable: by an import, if a bucket is set and nothing can be lost by it."""
        page = replace(self.capabilities, batch_size=len(batch))  # as many as one shows
        self._ensure_fits([item for item, _ in batch], page)
        outcomes: dict[int, Outcome] = {}
        records: dict[int, Record] = {}
        with self._open() as contacts:
            there = self._ensure_topics(contacts, [item for item, _ in batch])
            for item, seen in batch:
                contact = cast("Contact", seen.record)
                record = self._imports.Record(contact, self._wanted(contact, item))
                if not item.lift and item.off <= self._off(contact):
                    outcomes[item.ref] = Outcome(Result.REFLECTED, "as listed")
                elif not item.lift and record.leaves_nothing_on(there):
                    records[item.ref] = record
                else:
                    outcomes[item.ref] = ONE_BY_ONE
            if self._setup.settings.get(BUCKET) and len(records) > self._imports.FEW:
                job = self._imports.begin(self._setup, self._http, contacts, [*records.values()])
                wait = self._imports.AFTER_ALL
                outcome = Outcome(Result.LATER, f"import {job}", wait)
                return outcomes | dict.fromkeys(records, outcome)
        return outcomes | dict.fromkeys(records, ONE_BY_ONE)

    def _wanted(self, contact: Contact, item: Item) -> dict[str, str]:
        """All preferences that the contact is to have."""
        topics = self._setup.topics
        lifts = {topics[topic]: OPT_IN for topic in item.lift}
        return contact.preferences | lifts | {topics[topic]: OPT_OUT for topic in item.off}

    def _told(self, contacts: ContactList, item: Item) -> Outcome:
        topics = self._setup.topics
        offs = {topics[topic]: OPT_OUT for topic in item.off}
        contact = contacts.contact(item.address)
        if contact is None:
            if not (self._setup.create_contacts and offs):
                return Outcome(Result.ABSENT, "404")
            contacts.create(item.address, offs)
            return Outcome(Result.REFLECTED, "created")
        wanted = self._wanted(contact, item)
        if wanted != contact.preferences:
            contacts.update(contact, item.address, wanted)
        return Outcome(Result.REFLECTED, "200")

    def read(self, batch: Sequence[Item]) -> Mapping[int, frozenset[str] | None]:
        """See Readable."""
        if not batch:
            return {}
        self._ensure_fits(batch)
        with self._open() as contacts:
            contacts.topics()
            found = {item.ref: contacts.contact(item.address) for item in batch}
        return {ref: self._off(contact) if contact else None for ref, contact in found.items()}

    def _off(self, contact: Contact) -> frozenset[str]:
        """The topics that the person said no to; a topic that is off by default is no "no"."""
        topics = self._setup.topics
        if contact.unsubscribe_all:
            return frozenset(topics)
        stated = contact.preferences
        return frozenset(t for t, name in topics.items() if stated.get(name) == OPT_OUT)

    def scan(self, cursor: str | None) -> Page[Seen]:
        """See Scannable."""
        with self._open() as contacts:
            found, token = contacts.contacts(cursor)
        seen = [
            Seen(contact.email_address, off=self._off(contact), record=contact)
            for contact in found
            if contact.email_address
        ]
        return Page(tuple(seen), token, done=token is None)

    def pull(self, cursor: str | None) -> Page[News]:
        """See Pullable. First the contacts, then the account's suppression list.

        When is not told, only that it was no later than the contact's last change.
        """
        name, _, token = (cursor or "").partition(" ")
        with self._open() as contacts:
            if name == _SUPPRESSIONS:
                suppressed, token_after = contacts.suppressed(token or None)
                bad = [
                    News(REASONS[s.reason], s.email_address, at=s.last_update_time)
                    for s in suppressed
                    if s.reason in REASONS and s.email_address
                ]
                following = f"{_SUPPRESSIONS} {token_after}" if token_after else None
                return Page(tuple(bad), following, done=following is None)
            found, token_after = contacts.contacts(token or None)
        news = [each for contact in found for each in self._news(contact)]
        return Page(tuple(news), f"contacts {token_after}" if token_after else _SUPPRESSIONS, False)

    def _news(self, contact: Contact) -> Iterator[News]:
        things = [None] if contact.unsubscribe_all else list[str | None]()
        things += [name for name, status in contact.preferences.items() if status == OPT_OUT]
        for thing in things:
            yield News(
                NewsKind.OPTED_OUT,
                contact.email_address,
                thing,
                at=contact.last_updated_timestamp,
            )


def _connect(setup: Setup, http: Http) -> Connector:
    return Ses(setup, http)


ENTRY = Entry(
    kind=Ses.kind,
    title="Amazon SES",
    proof=Proof.DESCRIPTION,
    against="the description of API 2019-09-27, and moto 5.2.5 by `make test-real`",
    capabilities=Ses.capabilities,
    own_settings=Ses.settings,
    secrets=frozenset({"secret_access_key"}),
    sources=(
        f"{_DOCS}/dg/sending-email-list-management.html",
        f"{_DOCS}/APIReference-V2/API_UpdateContact.html",
        f"{_DOCS}/APIReference-V2/API_ListContacts.html",
        f"{_DOCS}/dg/quotas.html",
    ),
    build=_connect,
    notes=(
        "Map each topic to a topic of the contact list, which has 20 at most.",
        "Only mails sent with `ListManagementOptions` for that list and topic heed it.",
        (
            "AWS allows one such request a second, which can't be raised, and a contact takes "
            "two. Lists of opt-outs (a back-fill, an import) therefore go by the listing of "
            "contacts, a thousand a request: who is off already, or not there, costs nothing "
            "more. The others are pushed one by one, 43,000 a day, unless `import_bucket` is set."
        ),
        (
            "`import_bucket` is for contact lists whose contacts carry no `AttributesData`, which "
            "an import may overwrite. Only contacts who have every topic of the list off then "
            "are imported. Let `ses.amazonaws.com` read the bucket (`s3:GetObject`), and have a "
            "lifecycle rule delete what is below `preference-center/` after a day: the files "
            "hold addresses. Imports need production access."
        ),
        "Who unsubscribed from the whole list stays so: we never take that back.",
    ),
    extra="ses",
)
