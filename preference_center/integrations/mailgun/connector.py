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
from preference_center.domain.sync.capabilities import Capabilities, Listing, Scopes
from preference_center.domain.sync.contract import Item, Outcome, Page, Result
from preference_center.domain.vendor_events import News, NewsKind
from preference_center.integrations.base.batching import Step, carry_out, not_yet, send_halving
from preference_center.integrations.base.check_report import Report
from preference_center.integrations.base.contract import (
    DeliveryError,
    Setup,
    UnsupportedByDestination,
)
from preference_center.integrations.base.http import Http
from preference_center.integrations.base.mapping import ensure_fits, mapping_problems
from preference_center.integrations.base.spec import Entry, Proof
from preference_center.integrations.mailgun.client import ALL, PAGE, Domain, divider, open_domain
from preference_center.integrations.mailgun.client import Entry as Listed

READS = 100
"""An address is a request of its own: more would not end inside a lease."""
LIFTS_PER_PUSH = 25
"""A lift is three requests."""
TAG_LENGTH = 128
LISTS = {
    "unsubscribes": NewsKind.OPTED_OUT,
    "complaints": NewsKind.COMPLAINED,
    "bounces": NewsKind.BOUNCED,
}
_DOCS = "https://documentation.mailgun.com/docs/mailgun"


class Mailgun:
    """One sending domain of a Mailgun account. It keeps no contacts: none is absent."""

    kind: ClassVar[str] = "mailgun"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({Scopes.TOPIC}),
        can_lift=True,
        batch_size=1_000,
        can_read=True,
        pulls=Listing.SWEEP,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "api_key": "an API key that may manage suppressions; a domain's sending key may not",
        "domain": "the sending domain, as in mg.example.com",
        "base_url?": "https://api.eu.mailgun.net for domains in the EU region",
    }

    def __init__(self, setup: Setup, http: Http) -> None:
        # Tags are case-insensitive.
        tags = {topic: tag.casefold() for topic, tag in setup.topics.items()}
        self._setup = replace(setup, topics=tags)
        self._things = {tag.casefold(): tag for tag in setup.topics.values()}
        self._http = http

    def check(self) -> Report:
        """See Connector. Also says which tags no topic maps to, of the account's first thousand."""
        topics = self._setup.topics
        problems = [*mapping_problems(self._setup, "tag", numbered=False), *self._tag_problems()]
        try:
            with open_domain(self._setup, self._http) as domain:
                domain.listed("unsubscribes", limit=1)
                handled, tags = domain.handles_unsubscribes(), domain.tags()
                unused = [t for t, tag in topics.items() if not domain.used(self._things[tag])]
        except DeliveryError as error:
            return Report((*problems, f"{error}: check the API key, the domain and its region"))
        if not handled:
            problems.append(
                "the domain doesn't handle unsubscribes: turn Unsubscribes on in its settings, "
                "or Mailgun mails to all the same"
            )
        problems += [
            f"topic {topic} is mapped to tag {self._things[topics[topic]]!r}, which no message "
            "ever carried: map it to the tag that its messages carry, or send one first"
            for topic in sorted(unused)
        ]
        unmapped = [tag for tag in tags if tag.casefold() not in self._things]
        return Report(tuple(problems), tuple(unmapped))

    def _tag_problems(self) -> Iterator[str]:
        for topic, tag in sorted(self._setup.topics.items()):
            if tag == ALL:
                yield (
                    f"topic {topic} is mapped to {ALL!r}, which is all that the domain sends, "
                    "service mail too: map it to a tag of its own"
                )
            elif not (tag.isascii() and 0 < len(tag) <= TAG_LENGTH):
                yield (
                    f"topic {topic} is mapped to {tag!r}, which is no tag: "
                    f"a tag is 1 to {TAG_LENGTH} characters of ASCII"
                )

    def push(self, batch: Sequence[Item]) -> Mapping[int, Outcome]:
        """See Connector. Opt-outs go first, all in one request; then lifts, one by one."""
        if not batch:
            return {}
        self._ensure_fits(batch)
        offs = [item for item in batch if item.off]
        lifts = [(item, topic) for item in batch for topic in sorted(item.lift)]
        with open_domain(self._setup, self._http) as domain:
            steps = [
                Step((item.ref,), partial(self._lift, domain, item, topic))
                if number < LIFTS_PER_PUSH
                else Step((item.ref,), partial(not_yet, item))
                for number, (item, topic) in enumerate(lifts)
            ]
            if offs:
                refs = tuple(item.ref for item in offs)
                steps.insert(0, Step(refs, partial(self._turn_off, domain, offs)))
            return carry_out(batch, steps)

    def _ensure_fits(self, batch: Sequence[Item]) -> None:
        ensure_fits(batch, self._setup, self.capabilities)
        for problem in self._tag_problems():
            raise UnsupportedByDestination(f"{self._setup.name}: {problem}")

    def _turn_off(self, domain: Domain, items: Sequence[Item]) -> Mapping[int, Outcome]:
        def add(part: Sequence[Item]) -> None:
            domain.add({item.address: self._tags(item) for item in part})

        outcomes = {item.ref: Outcome(Result.REFUSED, "400") for item in items}
        for part, _ in send_halving(items, add):
            for item in part:
                outcomes[item.ref] = Outcome(Result.REFLECTED, "200")
        return outcomes

    def _tags(self, item: Item) -> list[str]:
        return sorted(self._things[self._setup.topics[topic]] for topic in item.off)

    def _lift(self, domain: Domain, item: Item, topic: str) -> Mapping[int, Outcome]:
        """Take one tag away, and look that the others were left.

        That DELETE takes a `tag` is documented in words, but not in the API's description:
        without it the whole entry would go, and with it what the person said elsewhere.
        """
        tag = self._setup.topics[topic]
        before = domain.tags_off(item.address)
        if tag not in map(str.casefold, before):
            return {item.ref: Outcome(Result.REFLECTED, "nothing to lift")}
        domain.remove(item.address, self._things[tag])
        after = {t.casefold() for t in domain.tags_off(item.address)}
        if lost := [t for t in before if t.casefold() not in after | {tag}]:
            domain.add({item.address: lost})
        if tag in after:
            return {item.ref: Outcome(Result.LATER, "not acknowledged")}
        return {item.ref: Outcome(Result.REFLECTED, "200")}

    def read(self, batch: Sequence[Item]) -> Mapping[int, frozenset[str] | None]:
        """See Readable. Each address is asked for alone: the first hundred are."""
        if not batch:
            return {}
        ensure_fits(batch, self._setup, self.capabilities)
        with open_domain(self._setup, self._http) as domain:
            return {i.ref: self._off(domain.tags_off(i.address)) for i in batch[:READS]}

    def _off(self, tags: Sequence[str]) -> frozenset[str]:
        held = {tag.casefold() for tag in tags}
        return frozenset(t for t, tag in self._setup.topics.items() if tag in held or ALL in held)

    def pull(self, cursor: str | None) -> Page[News]:
        """See Pullable. Three lists, in the order of the alphabet."""
        kind, _, after = (cursor or "unsubscribes|").partition("|")
        with open_domain(self._setup, self._http) as domain:
            entries = domain.listed(kind, after)
        rows = tuple(news for entry in entries for news in self._news(LISTS[kind], entry))
        if len(entries) == PAGE:
            return Page(rows, f"{kind}|{divider(entries)}", done=False)
        following = dict(zip(LISTS, [*LISTS][1:], strict=False)).get(kind)
        return Page(rows, f"{following}|" if following else None, done=following is None)

    def _news(self, kind: NewsKind, entry: Listed) -> Iterator[News]:
        """One piece a mapped tag; complaints and bounces have no tags and are about all."""
        for tag in entry.tags if entry.address else ():
            thing = self._things.get(tag.casefold())
            if tag == ALL or thing is not None:
                news = News(kind, entry.address, thing, entry.created_at)
                # Listed after a permanent failure, a full mailbox's too.
                bounce = Bounce(reply=str(entry.code), text=entry.error, permanent=True)
                yield replace(news, bounce=bounce) if kind is NewsKind.BOUNCED else news


ENTRY = Entry(
    kind=Mailgun.kind,
    title="Mailgun",
    proof=Proof.DESCRIPTION,
    against="the description of 2026-07-09",
    capabilities=Mailgun.capabilities,
    own_settings=Mailgun.settings,
    secrets=frozenset({"api_key"}),
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
