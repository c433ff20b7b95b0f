"""Four weeks of the made-up company: what its people said, and when it was pushed to every tool.

Recorded once, before anything else, each act at its own time and pushed moments later, so that
the console of `make run` has something to show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from random import Random

from flask import current_app
from structlog.testing import capture_logs

from dev.demo import acts
from dev.demo.clock import Clock
from dev.demo.files import Files
from dev.demo.pushing import Pushes
from dev.demo.samples import after, fill_gaps
from dev.demo.shop import DESTINATION, OPERATOR
from preference_center.contacts.choices import PREFERENCE_PAGE, UNSUBSCRIBE_PAGE
from preference_center.core.events import ALL_MARKETING, Change
from preference_center.destinations.set_up import pause_destination
from preference_center.inbound.bursts import flag_bursts
from preference_center.infra.audit import insert_audit_entry
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger.rules import ReceivedVia
from preference_center.monitoring.measure import record_samples
from preference_center.rights.rules.requests import Extent, IdentityLevel, RequestKind, RequestVia
from preference_center.web.api import keys
from preference_center.web.api.keys import store_key_use

DAYS = 27
"""How far back it goes: a request of the first day is due soon by now."""
CROWD_DAYS = 20
PUSHED_AFTER = timedelta(seconds=9)
NEWSLETTER_SENT = 9
"""On this day before, so more people opted out."""
EMAIL_TOOL_DOWN = (timedelta(days=5, hours=6), timedelta(days=5, hours=1))
"""From and until so long ago."""

ADA = "ada.lovelace@example.net"
NEWSLETTER, OFFERS, EVENTS = "cascina.newsletter", "cascina.offers", "cascina.events"
SIMILAR = "bottega.similar_products"

_FIRST = (
    *("alba", "bruno", "carla", "dino", "elsa", "fabio", "gina", "ivo", "lara", "milo"),
    *("nina", "otto", "pia", "rino", "silvia", "tea", "ugo", "vera", "zoe", "livia"),
)
_LAST = ("ricci", "gallo", "fontana", "moretti", "barbieri", "lombardi", "costa", "riva", "greco")

Way = Callable[[str, str], Change]
"""Makes the opt-out of an address and a scope."""

# How people opt out, and of what: how often for each.
_WAYS: Mapping[Way, int] = {
    acts.click: 11,
    partial(acts.click, source=UNSUBSCRIBE_PAGE): 5,
    partial(acts.click, source=PREFERENCE_PAGE): 3,
    partial(acts.relay, via=ReceivedVia.APP): 2,
    partial(acts.relay, via=ReceivedVia.PHONE): 1,
}
_SCOPES = {NEWSLETTER: 8, OFFERS: 5, EVENTS: 2, SIMILAR: 3, ALL_MARKETING: 4}

Act = tuple[datetime, Callable[[], object]]
"""When something is done, and what."""


def record_history(clock: Clock, files: Files, keys: Mapping[str, str]) -> None:
    """Record it, with the texts of API keys; the clock must be right, and is so in the end."""
    now = clock()
    pushes = Pushes(clock, files)
    everything = [*_ada(now), *_others(now), *_mails(now), *_crowd(now), *_checks(now, keys)]
    everything += [*_list(now, files), *_outage(now, pushes), *_operations(now), *_burst(now)]
    with capture_logs():  # of weeks: nobody reads them
        for moment, act in sorted(everything, key=lambda each: each[0]):
            _live_through(clock, moment, act, pushes)
    store_key_use()
    clock.return_to_now()
    fill_gaps(now - timedelta(days=DAYS), now)


def _live_through(
    clock: Clock, moment: datetime, act: Callable[[], object], pushes: Pushes
) -> None:
    clock.go_to(moment)
    with current_app.test_request_context(base_url=services().settings.public_url):
        act()  # pages record the wording of the brand whose host they are at
    clock.go_to(moment + PUSHED_AFTER)
    pushes.push()
    acts.mark_mails_sent()
    record_samples(after(clock()))


def tuesday(now: datetime) -> datetime:
    """A morning of the last Tuesday that is over."""
    days = (now.weekday() - 1) % 7 or 7
    return _ago(now, days, 9, 42)


def _ago(now: datetime, days: int, hour: int, minute: int = 0) -> datetime:
    """That many days ago, at this time (UTC)."""
    return (now - timedelta(days=days)).replace(hour=hour, minute=minute, second=17)


def _ada(now: datetime) -> Iterator[Act]:
    """The person of the question whether an opt-out reached every tool."""
    yield _ago(now, DAYS, 8, 5), lambda: acts.record_all(acts.consent(ADA, NEWSLETTER, OFFERS))
    paused = timedelta(days=7)
    yield _ago(now, 19, 18, 30), lambda: acts.record_all([acts.pause(ADA, OFFERS, paused)])
    yield tuesday(now), lambda: acts.record_all([acts.click(ADA, NEWSLETTER)])


def _others(now: datetime) -> Iterator[Act]:
    chiara, dario, emma = (f"{name}@example.net" for name in ("chiara.gallo", "dario.neri", "emma"))
    yield _ago(now, 26, 11), lambda: acts.record_all(acts.consent(chiara, NEWSLETTER, EVENTS))
    yield (
        _ago(now, 16, 20, 12),
        lambda: acts.record_all([acts.click(chiara, ALL_MARKETING, UNSUBSCRIBE_PAGE)]),
    )
    yield _ago(now, 12, 7, 50), lambda: acts.record_all([acts.return_to(chiara, NEWSLETTER)])
    yield _ago(now, 26, 12), lambda: acts.record_all(acts.consent(dario, NEWSLETTER, OFFERS))
    yield _ago(now, 26, 13), lambda: acts.record_all(acts.consent(emma, OFFERS))
    erasure = partial(acts.ask, RequestKind.ERASE, dario, RequestVia.PHONE)
    yield (
        _ago(now, 24, 10, 20),
        lambda: erasure(
            IdentityLevel.NONE, "Please delete everything you hold about me.", Extent.ACCOUNT
        ),
    )
    access = partial(acts.ask, RequestKind.ACCESS, emma, RequestVia.PHONE)
    yield (
        _ago(now, 2, 15, 40),
        lambda: access(IdentityLevel.NONE, "Which data do you have about me, and from where?"),
    )
    complaint = partial(acts.ask, RequestKind.COMPLAINT, "f.sala@example.net", RequestVia.CHAT)
    yield (
        _ago(now, 25, 9, 15),
        lambda: complaint(
            IdentityLevel.CONTROLS_ADDRESS, "I unsubscribed in May and got an offer again."
        ),
    )
    by_phone = partial(acts.relay, via=ReceivedVia.PHONE, actor="console:sara")
    yield _ago(now, 3, 14, 2), lambda: acts.record_all([by_phone("g.riva@example.net", OFFERS)])


def _mails(now: datetime) -> Iterator[Act]:
    """Replies that a machine can't be sure about, received in the last hours."""
    yield (
        now - timedelta(hours=7, minutes=12),
        lambda: acts.write_to_us(
            "Lorenzo Costa <l.costa@example.net>",
            "Re: The farm journal: chestnuts, oil and an open day",
            "Buongiorno,\n\nhonestly it is a bit too much for me lately. Could you write less"
            " often, or only\nabout the open days? My wife gets it, too.\n\nLorenzo Costa\n",
        ),
    )
    yield (
        now - timedelta(hours=2, minutes=35),
        lambda: acts.write_to_us(
            "irene.moretti@example.org",
            "Re: Discounts and seasonal boxes",
            "I thought I had told you last month not to send me these. My order of the 12th has\n"
            "not arrived either, who can I call about that?\n",
        ),
    )


def _crowd(now: datetime) -> Iterator[Act]:
    """Many people, some every day, most of them by the link of a message."""
    random = Random(7)  # noqa: S311 - no secret
    people = [f"{first}.{last}@example.org" for first in _FIRST for last in _LAST]
    random.shuffle(people)
    for days in range(CROWD_DAYS, 0, -1):
        for hour in (8, 17):
            sent = days == NEWSLETTER_SENT
            group = [people.pop() for _ in range(random.randint(*((6, 9) if sent else (1, 4))))]
            ways = random.choices(list(_WAYS), list(_WAYS.values()), k=len(group))
            scopes = random.choices(list(_SCOPES), list(_SCOPES.values()), k=len(group))
            acting = list(zip(ways, group, scopes, strict=True))
            yield _ago(now, days, hour, random.randrange(60)), partial(_opt_out, acting)


def _opt_out(acting: Iterable[tuple[Way, str, str]]) -> None:
    acts.record_all(way(person, scope) for way, person, scope in acting)


def _list(now: datetime, files: Files) -> Iterator[Act]:
    """The opt-outs of a tool that the company left."""
    rows = [
        (f"{name}.{last}@example.com", f"2025-0{1 + at % 9}-1{at % 10}")
        for at, (name, last) in enumerate((n, s) for s in ("villa", "serra") for n in _FIRST)
    ]
    rows += [("not an address", "2025-03-01"), ("late@example.com", "soon")]
    path = files.folder / "opt-outs-of-old-tool.csv"
    yield _ago(now, 21, 16, 4), lambda: acts.import_list(path, rows, NEWSLETTER)


def _checks(now: datetime, keys: Mapping[str, str]) -> Iterator[Act]:
    """Senders ask before they send; for some the answer is no."""
    asked = [ADA, "chiara.gallo@example.net", "g.riva@example.net", "emma@example.net"]
    for days in (6, 3, 1):
        yield (
            _ago(now, days, 11, 31),
            partial(acts.check, keys["shop"], "offer.seasonal_box", asked),
        )
        yield (
            _ago(now, days, 15, 33),
            partial(acts.check, keys["campaigns"], "newsletter.monthly", asked * days),
        )


def _outage(now: datetime, pushes: Pushes) -> Iterator[Act]:
    begin, end = (now - ago for ago in EMAIL_TOOL_DOWN)
    yield begin, lambda: pushes.down.add("email-tool")
    busy = ["m.rossi@example.net", "p.verdi@example.net", "t.russo@example.net"]
    for number, person in enumerate(busy):
        yield (
            begin + timedelta(hours=number + 1),
            partial(_opt_out, [(acts.click, person, NEWSLETTER)]),
        )
    yield end, lambda: pushes.down.discard("email-tool")
    yield end + timedelta(minutes=20), lambda: None


def _operations(now: datetime) -> Iterator[Act]:
    """A shop that was paused, so that opt-outs wait; a key that was revoked."""
    yield now - timedelta(hours=26), lambda: pause_destination(DESTINATION, OPERATOR)
    for hours, person in ((19, "n.bruni@example.net"), (6, "e.longo@example.net")):
        yield now - timedelta(hours=hours), partial(_opt_out, [(acts.click, person, SIMILAR)])
    yield _ago(now, 10, 8), partial(_revoke, "warehouse")


def _burst(now: datetime) -> Iterator[Act]:
    """A company's mail gateway that follows the links of a message as soon as it comes."""
    at = now - timedelta(minutes=48)
    follow = partial(acts.click, sent=timedelta(minutes=2))
    team = [f"{name}@gateway.example" for name in _FIRST[:6]]
    yield at - timedelta(minutes=1), lambda: flag_bursts(services().now())
    yield at, partial(_opt_out, [(follow, person, NEWSLETTER) for person in team])
    yield at + timedelta(minutes=1), lambda: flag_bursts(services().now())


def _revoke(name: str) -> None:
    def revoke(connection: Connection) -> None:
        keys.revoke_key(connection, name, services().now())
        insert_audit_entry(
            connection, services().now(), OPERATOR, "api_key.revoked", {"name": name}
        )

    run_in_transaction(revoke)
