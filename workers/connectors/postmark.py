"""Postmark: a topic is a broadcast message stream of one server.

https://postmarkapp.com/developer/api/suppressions-api
Each stream has suppressions of its own. Those of transactional streams would stop service
mail and are never written: what a stream is, is looked at before each push (I10). There are
no contacts, so nobody is absent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import ClassVar

from preference_center.domain.addresses import Channel
from preference_center.domain.news import News, NewsKind
from workers.connectors.base import (
    Capabilities,
    DeliveryError,
    Item,
    Listing,
    Outcome,
    Page,
    Report,
    Result,
    Scopes,
    Setup,
)
from workers.connectors.entry import Entry, Proof
from workers.connectors.http import Http
from workers.connectors.mapping import ensure_fits, mapping_problems
from workers.connectors.postmark_api import PER_CALL, Place, Server, Suppression, open_server
from workers.connectors.steps import Step, carry_out, not_yet, send_halving

LOOKS = 50
"""Addresses that one push or read may look up in a stream: more would not end in a lease."""
MANUAL, BOUNCE = "ManualSuppression", "HardBounce"
REASONS = {
    MANUAL: NewsKind.OPTED_OUT,
    "SpamComplaint": NewsKind.COMPLAINED,
    BOUNCE: NewsKind.BOUNCED,
}
_DOCS = "https://postmarkapp.com/developer/api"


class Postmark:
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

    def __init__(self, setup: Setup, http: Http) -> None:
        self._setup = setup
        self._http = http

    def check(self) -> Report:
        """See Connector. Also says which broadcast streams no topic maps to."""
        problems = list(mapping_problems(self._setup, "broadcast stream", numbered=False))
        try:
            with open_server(self._setup, self._http) as server:
                streams = server.streams()
        except DeliveryError as error:
            return Report((*problems, f"{error}: check the server token"))
        broadcasts = {id_: stream for id_, stream in streams.items() if stream.is_broadcast}
        for topic, stream in sorted(self._setup.topics.items()):
            if stream not in streams:
                problems.append(
                    f"topic {topic} is mapped to {stream!r}, which is no stream of the server: "
                    "map it to a broadcast stream that exists"
                )
            elif stream not in broadcasts:
                problems.append(
                    f"topic {topic} is mapped to {stream!r}, which is archived or not for "
                    "broadcasts, so that service mail may go through it: make a broadcast "
                    "stream, and send the topic through it"
                )
        unmapped = broadcasts.keys() - set(self._setup.topics.values())
        return Report(
            tuple(problems), tuple(f"{broadcasts[i].name} ({i})" for i in sorted(unmapped))
        )

    def push(self, batch: Sequence[Item]) -> Mapping[int, Outcome]:
        """See Connector. Opt-outs go first; lifts are looked at one by one."""
        if not batch:
            return {}
        ensure_fits(batch, self._setup, self.capabilities)
        offs = [(item, topic) for item in batch for topic in item.off]
        lifts = [(item, topic) for item in batch for topic in sorted(item.lift)]
        with open_server(self._setup, self._http) as server:
            self._ensure_broadcasts(server, batch)
            steps = self._steps(server, offs, self._turn_off)
            steps += self._steps(server, lifts[:LOOKS], self._turn_on)
            steps += [Step((item.ref,), partial(not_yet, item)) for item, _ in lifts[LOOKS:]]
            return carry_out(batch, steps)

    def _steps(
        self,
        server: Server,
        wanted: Sequence[tuple[Item, str]],
        turn: Callable[[Server, str, Sequence[Item]], Mapping[int, Outcome]],
    ) -> list[Step]:
        steps = []
        for topic in sorted({topic for _, topic in wanted}):
            items = [item for item, other in wanted if other == topic]
            for start in range(0, len(items), PER_CALL):
                part = items[start : start + PER_CALL]
                call = partial(turn, server, self._setup.topics[topic], part)
                steps.append(Step(tuple(item.ref for item in part), call))
        return steps

    def _ensure_broadcasts(self, server: Server, batch: Sequence[Item]) -> None:
        """Raise DeliveryError (permanent) when a stream is gone, or may carry service mail."""
        streams = server.streams()
        named: set[str] = set().union(*(item.off | item.lift for item in batch))
        wrong = [
            topic
            for topic in sorted(named)
            if (stream := streams.get(self._setup.topics[topic])) is None or not stream.is_broadcast
        ]
        if wrong:
            raise DeliveryError(
                f"{self._setup.name}: {', '.join(wrong)} go to no broadcast stream: map them anew",
                permanent=True,
            )

    def _turn_off(
        self, server: Server, stream: str, items: Sequence[Item]
    ) -> Mapping[int, Outcome]:
        outcomes = {item.ref: Outcome(Result.REFUSED, "422") for item in items}
        for part, settled in send_halving(
            items, lambda some: server.suppress(stream, [item.address for item in some])
        ):
            for item in part:
                status = settled.get(item.address.casefold(), "")
                if status == "Failed":
                    # An invalid address, or one that stands there for a reason that stays.
                    outcomes[item.ref] = _standing(server.reason(stream, item.address))
                else:
                    done = status == "Suppressed"
                    outcomes[item.ref] = Outcome(
                        Result.REFLECTED if done else Result.LATER, status or "not acknowledged"
                    )
        return outcomes

    def _turn_on(self, server: Server, stream: str, items: Sequence[Item]) -> Mapping[int, Outcome]:
        """Delete suppressions that somebody asked for; a dead mailbox is none of them."""
        reasons = {item.ref: server.reason(stream, item.address) for item in items}
        outcomes = {
            ref: Outcome(Result.REFUSED, reason)
            if reason
            else Outcome(Result.REFLECTED, "not suppressed")
            for ref, reason in reasons.items()
        }
        asked = [item for item in items if reasons[item.ref] == MANUAL]
        settled = server.reactivate(stream, [item.address for item in asked]) if asked else {}
        for item in asked:
            status = settled.get(item.address.casefold(), "not acknowledged")
            done = status == "Deleted"
            outcomes[item.ref] = Outcome(Result.REFLECTED if done else Result.LATER, status)
        return outcomes

    def read(self, batch: Sequence[Item]) -> Mapping[int, frozenset[str] | None]:
        """See Readable. An address is a request for each stream: only the first few are read.

        A dead mailbox holds a "no" that is wanted, and is none that anybody said (I13).
        """
        if not batch:
            return {}
        ensure_fits(batch, self._setup, self.capabilities)
        topics = self._setup.topics
        looked = batch[: max(1, LOOKS // max(1, len(topics)))]
        with open_server(self._setup, self._http) as server:
            return {
                item.ref: frozenset(
                    topic
                    for topic, stream in topics.items()
                    if (reason := server.reason(stream, item.address)) is not None
                    and (reason != BOUNCE or topic in item.off)
                )
                for item in looked
            }

    def pull(self, cursor: str | None) -> Page[News]:
        """See Pullable. A stream and a year at a time, then what the last days brought."""
        streams = set(self._setup.topics.values())
        if not streams:
            return Page((), cursor, done=True)
        place = Place.read(cursor, list(streams))
        stream, today = place.streams[place.index], self._http.now().date()
        days = {"fromdate": str(place.since), "todate": str(place.until)}
        with open_server(self._setup, self._http) as server:
            found = server.dump(stream, days)
        following, done = place.after(today)
        news = [_news(s, stream) for s in found if s.suppression_reason in REASONS]
        return Page(tuple(news), str(following), done)


def _standing(reason: str | None) -> Outcome:
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
