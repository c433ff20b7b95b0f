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
from preference_center.domain.sync.capabilities import Capabilities, Listing, Scopes
from preference_center.domain.sync.contract import Outcome, Page, Result
from preference_center.domain.vendor_events import News, NewsKind
from preference_center.integrations.base.batching import read_each
from preference_center.integrations.base.http import Unreadable
from preference_center.integrations.base.mapped_connector import ReadableConnector
from preference_center.integrations.base.spec import Entry, Proof
from preference_center.integrations.base.targets import (
    Change,
    Contact,
    Guard,
    Hold,
    Looks,
    Rules,
    Target,
)
from preference_center.integrations.postmark.client import (
    PER_CALL,
    UNKNOWN,
    Place,
    Server,
    Suppression,
    open_server,
)

LOOKS = 50
"""Addresses that one push or read may look up in a stream: more would not end in a lease."""
MANUAL, BOUNCE = "ManualSuppression", "HardBounce"
REASONS = {
    MANUAL: NewsKind.OPTED_OUT,
    "SpamComplaint": NewsKind.COMPLAINED,
    BOUNCE: NewsKind.BOUNCED,
}
_NO_BROADCASTS = (
    "is archived or not for broadcasts, so that service mail may go through it: make a broadcast "
    "stream, and send the topic through it"
)
_DOCS = "https://postmarkapp.com/developer/api"


class Postmark(ReadableConnector[Server]):
    """One server of a Postmark account."""

    kind: ClassVar[str] = "postmark"
    # No limit of requests is documented.
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({Scopes.TOPIC}),
        can_lift=True,
        batch_size=4 * PER_CALL,
        can_read=True,
        pulls=Listing.CHANGES,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "server_token": "API token of the server whose streams are mapped",
        "base_url?": "another address of the API, for tests",
    }
    rules: ClassVar[Rules] = Rules(
        target="broadcast stream",
        credentials="the server token",
        group=PER_CALL,
        by_target=True,
        looks=Looks.LIFTS,
        lifts=LOOKS,
        reads=LOOKS,
        guard=Guard.ALWAYS,
    )

    def open(self) -> AbstractContextManager[Server]:
        """See MappedConnector."""
        return open_server(self.setup, self.http)

    def targets(self, client: Server) -> Iterator[Target]:
        """See MappedConnector. Streams of all kinds."""
        for stream in client.streams().values():
            yield Target(stream.id, stream.name, "" if stream.is_broadcast else _NO_BROADCASTS)

    def write(self, client: Server, changes: Sequence[Change]) -> Mapping[int, Outcome]:
        """See MappedConnector. Of one stream, either off or on."""
        (stream,) = changes[0].off or changes[0].on
        is_off = bool(changes[0].off)
        settle = client.suppress if is_off else client.reactivate
        settled = settle(stream, [change.address for change in changes])
        outcomes = {}
        for change in changes:
            status = settled.get(change.address.casefold(), "not acknowledged")
            if status == "Failed" and is_off:
                outcomes[change.ref] = _kept(client, stream, change.address)
            elif status == ("Suppressed" if is_off else "Deleted"):
                outcomes[change.ref] = Outcome(Result.REFLECTED, status)
            else:
                outcomes[change.ref] = Outcome(Result.LATER, status)
        return outcomes

    def look(
        self, client: Server, addresses: Sequence[str], targets: Collection[str]
    ) -> Mapping[str, Contact | None]:
        """See MappedConnector. A request for each address and stream.

        A dead mailbox holds an opt-out that is wanted, and is none that anybody made (I13).
        """

        def held(address: str) -> Contact:
            reasons = {stream: client.reason(stream, address) for stream in sorted(targets)}
            holds = {
                stream: Hold(reason, reason not in {BOUNCE, UNKNOWN}, reason == MANUAL)
                for stream, reason in reasons.items()
                if reason is not None
            }
            return Contact(holds)

        return read_each(addresses, held)

    def pull(self, cursor: str | None) -> Page[News]:
        """See Pullable. A stream and a year at a time, then what the last days brought."""
        streams = set(self.setup.topics.values())
        if not streams:
            return Page((), cursor, done=True)
        place = Place.read(cursor, list(streams))
        stream, today = place.streams[place.index], self.http.now().date()
        days = {"fromdate": str(place.since), "todate": str(place.until)}
        with self.open() as server:
            found = server.dump(stream, days)
        following, done = place.after(today)
        news = [
            _news(s, stream) for s in found if s.suppression_reason in REASONS and s.email_address
        ]
        return Page(tuple(news), str(following), done)


def _kept(server: Server, stream: str, address: str) -> Outcome:
    """Of an address that could not be suppressed: an invalid one, or one that is already."""
    try:
        reason = server.reason(stream, address)
    except Unreadable:
        return Outcome(Result.LATER, "the answer can't be read")
    if reason is None:
        return Outcome(Result.REFUSED, "Failed")
    return Outcome(Result.REFLECTED, reason)


def _news(suppression: Suppression, stream: str) -> News:
    kind = REASONS[suppression.suppression_reason]
    return News(
        kind,
        suppression.email_address,
        stream if kind is NewsKind.OPTED_OUT else None,
        at=suppression.created_at,
        by_person=suppression.origin == "Recipient",
    )


ENTRY = Entry(
    kind=Postmark.kind,
    title="Postmark",
    proof=Proof.DOCUMENTATION,
    against="Postmark's API reference, read in November 2026",
    capabilities=Postmark.capabilities,
    own_settings=Postmark.settings,
    secrets=frozenset({"server_token"}),
    sources=(f"{_DOCS}/suppressions-api", f"{_DOCS}/message-streams-api"),
    build=Postmark,
    notes=(
        "Map each topic to the ID of a broadcast stream; transactional streams are refused.",
        "Postmark may take a minute until a suppression counts.",
        "Spam complaints can't be taken back there, and hard bounces are not by us.",
        "A server's token may do everything on its server, so there are no rights to ask for.",
    ),
)
