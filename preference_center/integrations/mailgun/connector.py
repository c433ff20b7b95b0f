"""Mailgun: a topic is a tag that its messages carry; one sending domain.

https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/unsubscribe
An entry of the unsubscribe list stops messages with one of its tags. The tag "*", which is
also what an entry without tags becomes, stops all that the domain sends, service mail too:
it is never written (I10).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar

from preference_center.domain.addresses import Channel
from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.sync.capabilities import Capabilities, ListingMode, SupportedScope
from preference_center.domain.sync.contract import ContactPage, PushItem, PushOutcome, PushResult
from preference_center.domain.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.base.batching import PushStep, deferred, run_steps
from preference_center.integrations.base.bisecting import send_bisecting
from preference_center.integrations.base.check_report import CheckReport
from preference_center.integrations.base.contract import (
    DeliveryError,
    DestinationConfig,
    UnsupportedByDestination,
)
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.base.mapping import mapping_problems, validate_batch
from preference_center.integrations.base.spec import ConnectorSpec, TestedAgainst
from preference_center.integrations.mailgun.client import (
    ALL_TAGS,
    PAGE_SIZE,
    MailgunClient,
    open_client,
    page_boundary,
)
from preference_center.integrations.mailgun.client import MailgunSuppression as Listed

MAX_READS = 100
"""An address is a request of its own: more would not end inside a lease."""
LIFTS_PER_PUSH = 25
"""A lift is three requests."""
MAX_TAG_LENGTH = 128
EVENT_KIND_BY_LIST = {
    "unsubscribes": VendorEventKind.OPTED_OUT,
    "complaints": VendorEventKind.COMPLAINED,
    "bounces": VendorEventKind.BOUNCED,
}
_DOCS = "https://documentation.mailgun.com/docs/mailgun"


class Mailgun:
    """One sending domain of a Mailgun account. It keeps no contacts: none is absent."""

    kind: ClassVar[str] = "mailgun"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({SupportedScope.TOPIC}),
        can_lift=True,
        batch_size=1_000,
        can_read=True,
        pulls=ListingMode.FULL,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "api_key": "an API key that may manage suppressions; a domain's sending key may not",
        "domain": "the sending domain, as in mg.example.com",
        "base_url?": "https://api.eu.mailgun.net for domains in the EU region",
    }

    def __init__(self, config: DestinationConfig, http: HttpContext) -> None:
        # Tags are case-insensitive.
        tags = {topic: tag.casefold() for topic, tag in config.topics.items()}
        self._config = replace(config, topics=tags)
        self._tag_by_folded = {tag.casefold(): tag for tag in config.topics.values()}
        self._http = http

    def check(self) -> CheckReport:
        """See Connector. Also says which tags no topic maps to, of the account's first thousand."""
        topics = self._config.topics
        problems = [
            *mapping_problems(self._config, "tag", numeric_ids=False),
            *self._tag_problems(),
        ]
        try:
            with open_client(self._config, self._http) as domain:
                domain.list_suppressions("unsubscribes", limit=1)
                handled, tags = domain.handles_unsubscribes(), domain.tags()
                unused = [
                    t
                    for t, tag in topics.items()
                    if not domain.is_tag_used(self._tag_by_folded[tag])
                ]
        except DeliveryError as error:
            return CheckReport(
                (*problems, f"{error}: check the API key, the domain and its region")
            )
        if not handled:
            problems.append(
                "the domain doesn't handle unsubscribes: turn Unsubscribes on in its settings, "
                "or Mailgun mails to all the same"
            )
        problems += [
            f"topic {topic} is mapped to tag {self._tag_by_folded[topics[topic]]!r}, which no "
            "message "
            "ever carried: map it to the tag that its messages carry, or send one first"
            for topic in sorted(unused)
        ]
        unmapped = [tag for tag in tags if tag.casefold() not in self._tag_by_folded]
        return CheckReport(tuple(problems), tuple(unmapped))

    def _tag_problems(self) -> Iterator[str]:
        for topic, tag in sorted(self._config.topics.items()):
            if tag == ALL_TAGS:
                yield (
                    f"topic {topic} is mapped to {ALL_TAGS!r}, which is all that the domain sends, "
                    "service mail too: map it to a tag of its own"
                )
            elif not (tag.isascii() and 0 < len(tag) <= MAX_TAG_LENGTH):
                yield (
                    f"topic {topic} is mapped to {tag!r}, which is no tag: "
                    f"a tag is 1 to {MAX_TAG_LENGTH} characters of ASCII"
                )

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        """See Connector. Opt-outs go first, all in one request; then lifts, one by one."""
        if not batch:
            return {}
        self._ensure_fits(batch)
        offs = [item for item in batch if item.off]
        lifts = [(item, topic) for item in batch for topic in sorted(item.lift)]
        with open_client(self._config, self._http) as domain:
            steps = [
                PushStep((item.ref,), partial(self._lift, domain, item, topic))
                if number < LIFTS_PER_PUSH
                else PushStep((item.ref,), partial(deferred, item))
                for number, (item, topic) in enumerate(lifts)
            ]
            if offs:
                refs = tuple(item.ref for item in offs)
                steps.insert(0, PushStep(refs, partial(self._turn_off, domain, offs)))
            return run_steps(batch, steps)

    def _ensure_fits(self, batch: Sequence[PushItem]) -> None:
        validate_batch(batch, self._config, self.capabilities)
        for problem in self._tag_problems():
            raise UnsupportedByDestination(f"{self._config.name}: {problem}")

    def _turn_off(
        self, client: MailgunClient, items: Sequence[PushItem]
    ) -> Mapping[int, PushOutcome]:
        def add(part: Sequence[PushItem]) -> None:
            client.add_unsubscribes({item.address: self._get_off_tags(item) for item in part})

        outcomes = {item.ref: PushOutcome(PushResult.REFUSED, "400") for item in items}
        for part, _ in send_bisecting(items, add):
            for item in part:
                outcomes[item.ref] = PushOutcome(PushResult.REFLECTED, "200")
        return outcomes

    def _get_off_tags(self, item: PushItem) -> list[str]:
        return sorted(self._tag_by_folded[self._config.topics[topic]] for topic in item.off)

    def _lift(self, client: MailgunClient, item: PushItem, topic: str) -> Mapping[int, PushOutcome]:
        """Take one tag away, and look that the others were left.

        That DELETE takes a `tag` is documented in words, but not in the API's description:
        without it the whole entry would go, and with it what the person said elsewhere.
        """
        tag = self._config.topics[topic]
        before = client.unsubscribed_tags(item.address)
        if tag not in map(str.casefold, before):
            return {item.ref: PushOutcome(PushResult.REFLECTED, "nothing to lift")}
        client.remove_tag(item.address, self._tag_by_folded[tag])
        after = {t.casefold() for t in client.unsubscribed_tags(item.address)}
        if lost := [t for t in before if t.casefold() not in after | {tag}]:
            client.add_unsubscribes({item.address: lost})
        if tag in after:
            return {item.ref: PushOutcome(PushResult.RETRY_LATER, "not acknowledged")}
        return {item.ref: PushOutcome(PushResult.REFLECTED, "200")}

    def read(self, batch: Sequence[PushItem]) -> Mapping[int, frozenset[str] | None]:
        """See Readable. Each address is asked for alone: the first hundred are."""
        if not batch:
            return {}
        validate_batch(batch, self._config, self.capabilities)
        with open_client(self._config, self._http) as domain:
            return {
                i.ref: self._off_topics(domain.unsubscribed_tags(i.address))
                for i in batch[:MAX_READS]
            }

    def _off_topics(self, tags: Sequence[str]) -> frozenset[str]:
        held = {tag.casefold() for tag in tags}
        return frozenset(
            t for t, tag in self._config.topics.items() if tag in held or ALL_TAGS in held
        )

    def pull(self, cursor: str | None) -> ContactPage[VendorEvent]:
        """See Pullable. Three lists, in the order of the alphabet."""
        kind, _, after = (cursor or "unsubscribes|").partition("|")
        with open_client(self._config, self._http) as domain:
            entries = domain.list_suppressions(kind, after)
        rows = tuple(
            news
            for entry in entries
            for news in self._to_vendor_events(EVENT_KIND_BY_LIST[kind], entry)
        )
        if len(entries) == PAGE_SIZE:
            return ContactPage(rows, f"{kind}|{page_boundary(entries)}", done=False)
        following = dict(zip(EVENT_KIND_BY_LIST, [*EVENT_KIND_BY_LIST][1:], strict=False)).get(kind)
        return ContactPage(rows, f"{following}|" if following else None, done=following is None)

    def _to_vendor_events(
        self, kind: VendorEventKind, suppression: Listed
    ) -> Iterator[VendorEvent]:
        """One piece a mapped tag; complaints and bounces have no tags and are about all."""
        for tag in suppression.tags if suppression.address else ():
            thing = self._tag_by_folded.get(tag.casefold())
            if tag == ALL_TAGS or thing is not None:
                news = VendorEvent(kind, suppression.address, thing, suppression.created_at)
                # Listed after a permanent failure, a full mailbox's too.
                bounce = Bounce(
                    reply_code=str(suppression.code), diagnostic=suppression.error, permanent=True
                )
                yield replace(news, bounce=bounce) if kind is VendorEventKind.BOUNCED else news


SPEC = ConnectorSpec(
    kind=Mailgun.kind,
    tested_against=TestedAgainst.VENDOR_DESCRIPTION,
    tested_version="the description of 2026-07-09",
    capabilities=Mailgun.capabilities,
    own_settings=Mailgun.settings,
    secret_settings=frozenset({"api_key"}),
    sources=(
        f"{_DOCS}/api-reference/send/mailgun/unsubscribe",
        f"{_DOCS}/user-manual/tracking-messages/tracking-unsubscribes",
        f"{_DOCS}/user-manual/tracking-messages/track-tagging",
    ),
    build=Mailgun,
    notes=(
        "Map each topic to a tag that all its messages carry, and that no service mail carries.",
        "Suppressions are kept by domain: make a destination for each that sends marketing.",
    ),
)
