"""What a page of a listing, or a webhook, says of whom, and what follows from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid5

from preference_center.bounces import Report
from preference_center.domain.addresses import Address, parse
from preference_center.domain.bounces import Policy
from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.decisions import Fact, newest_opt_in
from preference_center.domain.events import Change
from preference_center.domain.sync.capabilities import Capabilities
from preference_center.domain.sync.classify import (
    Here,
    Judgement,
    Need,
    Verdict,
    is_history,
    is_past,
    is_switched_off,
    judge,
    look,
    off_there,
    resubscribed,
    switch_of,
    things_of,
)
from preference_center.domain.sync.contract import Seen
from preference_center.domain.sync.destination import Destination, Status
from preference_center.domain.sync.plan import standing, topics_by_channel
from preference_center.domain.vendor_event_time import acted_at
from preference_center.domain.vendor_events import News, NewsKind
from preference_center.errors import InvalidAddress
from preference_center.extensions import services
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.db.database import run_at_once
from preference_center.storage.ledger.suppression_lookup import facts_for
from preference_center.storage.sync import verification
from preference_center.storage.sync.listings import Tally
from preference_center.storage.sync.reported_opt_outs import SOURCE

_EVENTS = UUID("b9c1f7c6-3f51-4d0b-9a8e-5b0d6f1c2a33")
"""Namespace of the ids of events that are made from a vendor's own ids."""

Key = tuple[bytes, str]
"""Exact digest and channel of an address."""


@dataclass(slots=True)
class Person:
    """What a page says about one address."""

    address: Address
    shown: str
    """The address as the tool writes it."""
    news: list[News] = field(default_factory=list)
    seen: Seen | None = None


@dataclass(slots=True)
class Work:
    """What is to be done about a page."""

    changes: list[Change] = field(default_factory=list)
    bounces: list[Report] = field(default_factory=list)
    """Those whose details are known: the policy says what becomes of them."""
    off: dict[Key, frozenset[str]] = field(default_factory=dict)
    """What went off in the tool by itself, as it says."""
    still_off: dict[Key, frozenset[str]] = field(default_factory=dict)
    """Of that, what surely is off now."""
    on: dict[Key, frozenset[str]] = field(default_factory=dict)
    """What we had turned off there, and was turned on by somebody else since."""
    switches: dict[Key, bool] = field(default_factory=dict)
    """Whose switch for all is off now, or on, where that was not known: see `News.all_off`."""
    needs: defaultdict[Need, list[Key]] = field(default_factory=lambda: defaultdict(list))
    tally: Tally = field(default_factory=Tally)
    told: dict[int, tuple[str, str]] = field(default_factory=dict)


def by_address(said: Iterable[News | Seen]) -> tuple[dict[Key, Person], int]:
    """By address, and how many addresses can't be parsed."""
    context = services()
    people: dict[Key, Person] = {}
    unreadable = 0
    for each in said:
        try:
            address = parse(each.address, each.channel, region=context.settings.phone_region)
        except InvalidAddress:
            unreadable += 1
            continue
        key = (context.keys.exact(address), address.channel.value)
        person = people.setdefault(key, Person(address, each.address))
        if isinstance(each, Seen):
            person.seen = each
        else:
            person.news.append(each)
    return people, unreadable


def look_up(
    destination: Destination, capabilities: Capabilities, people: Mapping[Key, Person]
) -> dict[Key, Here]:
    """All that is known of these people and the destination."""
    now, can_lift = services().now(), capabilities.can_lift
    topics = topics_by_channel(destination, current_catalogue())
    facts = facts_for([person.address for person in people.values()]) if people else []
    states = run_at_once(lambda c: verification.by_digest(c, destination.id, list(people), now))
    found = {}
    for (key, person), known in zip(people.items(), facts, strict=True):
        sent = topics.get(person.address.channel, frozenset())
        wanted = frozenset(standing(sent, known, now, can_lift=can_lift))
        found[key] = Here(known, sent, wanted, states.get(key))
    return found


def weigh(
    destination: Destination,
    capabilities: Capabilities,
    people: Mapping[Key, Person],
    here: Mapping[Key, Here],
    policy: Policy,
    *,
    whole: bool = False,
) -> Work:
    """What is to be done.

    `whole`: it comes of a list of all that is off now, which is no history, whatever its dates.
    """
    now, things, work = services().now(), things_of(destination), Work()
    can_ask = capabilities.can_read and destination.status is Status.ACTIVE
    for key, person in people.items():
        spot, seen = here[key], person.seen
        news = [*person.news, *_between_the_lines(destination, capabilities, seen, spot)]
        judged = [(each, judge(each, spot, things, policy, now, can_ask=can_ask)) for each in news]
        _sort(work, destination, key, person, judged, spot.facts)
        own = [
            each
            for each, judgement in judged
            if judgement.verdict is Verdict.RECORD or not is_past(each, spot.state, now)
        ]
        shows = frozenset[str]()
        if seen and seen.off and not is_past(None, spot.state, now):
            shows = seen.off & spot.topics
        work.off[key] = off_there(own, spot, things) | shows
        work.on[key] = _on_again(seen, spot, now)
        switch = switch_of(person.news, seen, now, whole=whole)
        if switch is not None and switch != is_switched_off(spot.state):
            work.switches[key] = switch
        now_off = [
            each
            for each in news
            if not is_past(each, spot.state, now) and (whole or not is_history(each, now))
        ]
        work.still_off[key] = off_there(now_off, spot, things) | shows
        shown = [each for each, judgement in judged if judgement.verdict is Verdict.LOOK]
        if shown and not seen:
            seen = Seen(shown[0].address, shown[0].channel)
        if seen:
            need = look(seen, spot, now, can_read=capabilities.can_read)
            mails_again = any(resubscribed(each, spot, things, now) for each in news)
            if mails_again and need not in {Need.PUSH_NOW, Need.LEARN}:
                need = Need.REPAIR
            work.needs[need].append(key)
        work.tally += Tally(contacts=person.seen is not None, news=len(person.news))
    needs = work.needs
    work.tally += Tally(
        raised=len(needs[Need.LEARN]) + len(needs[Need.PUSH_AGAIN]), drift=len(needs[Need.REPAIR])
    )
    return work


def _sort(
    work: Work,
    destination: Destination,
    key: Key,
    person: Person,
    judged: Sequence[tuple[News, Judgement]],
    facts: Sequence[Fact],
) -> None:
    """Put what was judged of one person to what is to be done."""
    now = services().now()
    changes: dict[object, Change] = {}
    for each, judgement in judged:
        match judgement.verdict:
            case Verdict.RECORD if each.bounce is not None:
                acted = _acted_at(each, judgement, facts, now)
                work.bounces.append(_report(destination, person, each, each.bounce, acted, now))
            case Verdict.RECORD:
                acted = _acted_at(each, judgement, facts, now)
                change = _change(destination, person, each, judgement, acted, now)
                # Without a date or an id of its own, saying it twice is saying it once.
                once = (change.kind, change.scope) if not (each.id or each.at) else change.id
                changes.setdefault(once, change)
            case Verdict.DOUBT:
                work.needs[Need.ASK].append(key)
            case Verdict.UNMAPPED:
                work.tally += Tally(unmapped=1)
    work.changes += changes.values()


def _on_again(seen: Seen | None, here: Here, now: datetime) -> frozenset[str]:
    """What is on in the tool though we had turned it off, and need not be off any more.

    Only its own doing can have turned it on while nothing waits to be lifted there. Once it is
    off again, that is a person's act, and no echo of ours (I13).
    """
    state = here.state
    if seen is None or seen.off is None or state is None or state.waits:
        return frozenset()
    if is_past(None, state, now):
        return frozenset()
    return (state.told & here.topics) - seen.off - here.wanted


def _between_the_lines(
    destination: Destination, capabilities: Capabilities, seen: Seen | None, here: Here
) -> list[News]:
    """What a contact's state says beyond what must be off there."""
    if seen is None:
        return []
    if seen.all_off:
        return [News(NewsKind.OPTED_OUT, seen.address, channel=seen.channel, all_off=True)]
    if not seen.off or not capabilities.off_is_a_no:
        return []
    if here.topics <= seen.off and is_switched_off(here.state):
        return []
    extra = sorted((seen.off & here.topics) - here.wanted)
    things = [destination.mapping.get(topic, topic) for topic in extra]
    return [News(NewsKind.OPTED_OUT, seen.address, thing, channel=seen.channel) for thing in things]


def _change(
    destination: Destination,
    person: Person,
    news: News,
    judgement: Judgement,
    acted: datetime | None,
    now: datetime,
) -> Change:
    """The event; without a plausible date the act counts from when it reached us (I5)."""
    received_at = news.received_at or now
    return Change(
        id=_event_id(destination, person.address, news),
        kind=judgement.kind,
        address=person.address,
        scope=judgement.scope,
        occurred_at=acted or received_at,
        received_at=received_at,
        source=SOURCE,
        actor=destination.name,
        evidence=_evidence(destination, news, acted),
    )


def _acted_at(
    news: News, judgement: Judgement, facts: Sequence[Fact], now: datetime
) -> datetime | None:
    """When the person acted; None if the tool's date can't be right (I5)."""
    opted_in = newest_opt_in(judgement.scope, facts, any_form=True)
    return acted_at(news, now, opted_in.at if opted_in else None)


def _report(
    destination: Destination,
    person: Person,
    news: News,
    bounce: Bounce,
    acted: datetime | None,
    now: datetime,
) -> Report:
    received_at = news.received_at or now
    return Report(
        id=_event_id(destination, person.address, news),
        address=person.address,
        bounce=bounce,
        at=acted or received_at,
        received_at=received_at,
        source=SOURCE,
        actor=destination.name,
        evidence=_evidence(destination, news, acted),
    )


def _evidence(destination: Destination, news: News, acted: datetime | None) -> dict[str, str]:
    evidence = {"tool": destination.kind}
    if news.at is not None and acted is None:
        evidence["implausible_date"] = news.at.isoformat()
    if news.thing is not None:
        evidence["group"] = news.thing[:200]
    if news.id:
        evidence["id"] = news.id[:200]
    return evidence


def _event_id(destination: Destination, address: Address, news: News) -> UUID:
    """The same for the same act, however often it is told: by its id there, or its moment.

    A bounce without either is one a day where a webhook tells it, and one for ever in a list
    that is read again and again: it may be counted, so it must not add up by itself.
    """
    who = services().keys.exact(address).hex()
    if news.id or news.at is not None:
        # With who it is: nobody's act is another's, whatever a tool calls it.
        act = f"{who} {news.id or f'{news.at} {news.kind} {news.thing}'}"
    elif news.bounce is None:
        return services().new_id()
    else:
        told_on = news.received_at.astimezone(UTC).date() if news.received_at else "listed"
        act = f"{who} {told_on} {news.bounce.status} {news.bounce.reply}"
    return uuid5(_EVENTS, f"{destination.id} {act}")
