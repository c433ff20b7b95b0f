"""Postmark: a topic is a broadcast message stream of one server.

https://postmarkapp.com/developer/api/suppressions-api
https://postmarkapp.com/developer/api/message-streams-api
Each stream has suppressions of its own. Those of transactional streams would stop service
mail and are never written: what a stream is, is looked at before each push (I10). There are
no contacts, so nobody is absent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import ClassVar

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import Capabilities, ListingMode, SupportedScope
from preference_center.domain.sync.contract import ContactPage, PushOutcome, PushResult
from preference_center.domain.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.base.batching import read_each
from preference_center.integrations.base.http import UnexpectedResponse
from preference_center.integrations.base.mapped_connector import ReadableConnector
from preference_center.integrations.base.spec import ConnectorSpec, TestedAgainst
from preference_center.integrations.base.targets import (
    ConnectorRules,
    LookupMode,
    OffState,
    RemoteContact,
    Target,
    TargetChange,
    TargetCheck,
)
from preference_center.integrations.postmark.client import (
    MAX_ADDRESSES,
    UNKNOWN_REASON,
    PostmarkClient,
    PostmarkCursor,
    PostmarkSuppression,
    open_client,
)

MAX_LOOKUPS = 50
"""Addresses that one push or read may look up in a stream: more would not end in a lease."""
MANUAL, BOUNCE = "ManualSuppression", "HardBounce"
EVENT_KIND_BY_REASON = {
    MANUAL: VendorEventKind.OPTED_OUT,
    "SpamComplaint": VendorEventKind.COMPLAINED,
    BOUNCE: VendorEventKind.BOUNCED,
}
_NOT_BROADCAST = (
    "is archived or not for broadcasts, so that service mail may go through it: make a broadcast "
    "stream, and send the topic through it"
)
_DOCS = "https://postmarkapp.com/developer/api"


class Postmark(ReadableConnector[PostmarkClient]):
    """One server of a Postmark account."""

    kind: ClassVar[str] = "postmark"
    # No limit of requests is documented.
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({SupportedScope.TOPIC}),
        can_lift=True,
        batch_size=4 * MAX_ADDRESSES,
        can_read=True,
        pulls=ListingMode.CHANGES,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "server_token": "API token of the server whose streams are mapped",
        "base_url?": "another address of the API, for tests",
    }
    rules: ClassVar[ConnectorRules] = ConnectorRules(
        target_noun="broadcast stream",
        credentials_hint="the server token",
        group_size=MAX_ADDRESSES,
        by_target=True,
        lookups=LookupMode.LIFTS,
        max_lifts=MAX_LOOKUPS,
        max_reads=MAX_LOOKUPS,
        target_check=TargetCheck.ALWAYS,
    )

    def open_client(self) -> AbstractContextManager[PostmarkClient]:
        """See MappedConnector."""
        return open_client(self.config, self.http)

    def list_targets(self, client: PostmarkClient) -> Iterator[Target]:
        """See MappedConnector. Streams of all kinds."""
        for stream in client.streams().values():
            yield Target(stream.id, stream.name, "" if stream.is_broadcast else _NOT_BROADCAST)

    def write_changes(
        self, client: PostmarkClient, changes: Sequence[TargetChange]
    ) -> Mapping[int, PushOutcome]:
        """See MappedConnector. Of one stream, either off or on."""
        (stream,) = changes[0].off or changes[0].on
        is_off = bool(changes[0].off)
        settle = client.suppress if is_off else client.reactivate
        settled = settle(stream, [change.address for change in changes])
        outcomes = {}
        for change in changes:
            status = settled.get(change.address.casefold(), "not acknowledged")
            if status == "Failed" and is_off:
                outcomes[change.ref] = _resolve_failed(client, stream, change.address)
            elif status == ("Suppressed" if is_off else "Deleted"):
                outcomes[change.ref] = PushOutcome(PushResult.REFLECTED, status)
            else:
                outcomes[change.ref] = PushOutcome(PushResult.RETRY_LATER, status)
        return outcomes

    def fetch_contacts(
        self, client: PostmarkClient, addresses: Sequence[str], target_ids: Collection[str]
    ) -> Mapping[str, RemoteContact | None]:
        """See MappedConnector. A request for each address and stream.

        A dead mailbox holds an opt-out that is wanted, and is none that anybody made (I13).
        """

        def held(address: str) -> RemoteContact:
            reasons = {
                stream: client.get_suppression_reason(stream, address)
                for stream in sorted(target_ids)
            }
            holds = {
                stream: OffState(reason, reason not in {BOUNCE, UNKNOWN_REASON}, reason == MANUAL)
                for stream, reason in reasons.items()
                if reason is not None
            }
            return RemoteContact(holds)

        return read_each(addresses, held)

    def pull(self, cursor: str | None) -> ContactPage[VendorEvent]:
        """See Pullable. A stream and a year at a time, then what the last days brought."""
        streams = set(self.config.topics.values())
        if not streams:
            return ContactPage((), cursor, done=True)
        place = PostmarkCursor.parse(cursor, list(streams))
        stream, today = place.streams[place.index], self.http.now().date()
        days = {"fromdate": str(place.since), "todate": str(place.until)}
        with self.open_client() as server:
            found = server.list_suppressions(stream, days)
        following, done = place.advance(today)
        news = [
            _to_vendor_event(s, stream)
            for s in found
            if s.suppression_reason in EVENT_KIND_BY_REASON and s.email_address
        ]
        return ContactPage(tuple(news), str(following), done)


def _resolve_failed(client: PostmarkClient, stream: str, address: str) -> PushOutcome:
    """Of an address that could not be suppressed: an invalid one, or one that is already."""
    try:
        reason = client.get_suppression_reason(stream, address)
    except UnexpectedResponse:
        return PushOutcome(PushResult.RETRY_LATER, "the answer can't be read")
    if reason is None:
        return PushOutcome(PushResult.REFUSED, "Failed")
    return PushOutcome(PushResult.REFLECTED, reason)


def _to_vendor_event(suppression: PostmarkSuppression, stream: str) -> VendorEvent:
    kind = EVENT_KIND_BY_REASON[suppression.suppression_reason]
    return VendorEvent(
        kind,
        suppression.email_address,
        stream if kind is VendorEventKind.OPTED_OUT else None,
        occurred_at=suppression.created_at,
        by_person=suppression.origin == "Recipient",
    )


SPEC = ConnectorSpec(
    kind=Postmark.kind,
    tested_against=TestedAgainst.DOCUMENTATION,
    tested_version="Postmark's API reference, read in November 2026",
    capabilities=Postmark.capabilities,
    own_settings=Postmark.settings,
    secret_settings=frozenset({"server_token"}),
    sources=(f"{_DOCS}/suppressions-api", f"{_DOCS}/message-streams-api"),
    build=Postmark,
    notes=(
        "Map each topic to the ID of a broadcast stream; transactional streams are refused.",
        "Postmark may take a minute until a suppression counts.",
        "Spam complaints can't be taken back there, and hard bounces are not by us.",
        "A server's token may do everything on its server, so there are no rights to ask for.",
    ),
)
