"""Brevo: a topic is a list.

https://developers.brevo.com/reference/remove-contact-from-list
https://help.brevo.com/hc/en-us/articles/209458705
Blocklisting a contact stops all campaigns (transactional mail has a blocklist of its own),
but who blocklisted them isn't told: it is the person's own switch, which we only read (I13).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus
from typing import ClassVar

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import Capabilities, Listing, Rate, Scopes
from preference_center.domain.sync.contract import Item, LinkItem, Outcome, Page, Result, Seen
from preference_center.domain.vendor_events import News
from preference_center.integrations.base.batching import Step, carry_out, read_each, send_halving
from preference_center.integrations.base.check_report import Report
from preference_center.integrations.base.contract import DeliveryError, Setup
from preference_center.integrations.base.http import Http, Rejected
from preference_center.integrations.base.mapping import ensure_fits, mapping_problems
from preference_center.integrations.base.multi_channel import ByChannel, Parts
from preference_center.integrations.base.spec import Entry, Proof
from preference_center.integrations.brevo.client import PAGE, Account, Contact, Place, open_account
from preference_center.integrations.brevo.sms import BrevoTexts
from preference_center.integrations.brevo.vendor_events import pull_page

REMOVE, ADD = "remove", "add"
_DOCS = "https://developers.brevo.com"


class Brevo:
    """One Brevo account."""

    kind: ClassVar[str] = "brevo"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({Scopes.TOPIC}),
        can_lift=True,
        batch_size=150,
        rate=Rate(10, 1),
        can_read=True,
        scans=Listing.CHANGES,
        pulls=Listing.CHANGES,
        can_hold_link=True,
        off_is_a_no=False,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "api_key": "an API key (v3); if the account allows API calls from known addresses "
        "only, the workers' are among them",
        "base_url?": "another address of the API, for tests",
    }

    def __init__(self, setup: Setup, http: Http) -> None:
        self._setup = setup
        self._http = http

    def check(self) -> Report:
        """See Connector. Also says which lists no topic maps to."""
        topics = self._setup.topics
        problems = list(mapping_problems(self._setup, "list"))
        try:
            with open_account(self._setup, self._http) as account:
                lists = account.lists()
                texts = account.text_attributes() if self._setup.link_field else set()
        except DeliveryError as error:
            return Report((*problems, f"{error}: check the API key and where it may be used"))
        problems += [
            f"topic {topic} is mapped to list {list_}, which the account has not: "
            "map it to a list that exists"
            for topic, list_ in sorted(topics.items())
            if list_.isdigit() and int(list_) not in lists
        ]
        if (name := self._setup.link_field) and name not in texts:
            problems.append(f"link_field {name} is no text attribute of contacts: add it there")
        unmapped = [f"{name} ({i})" for i, name in lists.items() if str(i) not in topics.values()]
        return Report(tuple(problems), tuple(unmapped))

    def push(self, batch: Sequence[Item]) -> Mapping[int, Outcome]:
        """See Connector. Opt-outs go first, a list at a time; then lifts."""
        if not batch:
            return {}
        ensure_fits(batch, self._setup, self.capabilities)
        with open_account(self._setup, self._http) as account:
            move = _Move(account)
            steps = [*self._steps(move, batch, REMOVE), *self._steps(move, batch, ADD)]
            return carry_out(batch, steps)

    def _steps(self, move: _Move, batch: Sequence[Item], action: str) -> Iterator[Step]:
        for topic, list_ in sorted(self._setup.topics.items()):
            items = [i for i in batch if topic in (i.off if action == REMOVE else i.lift)]
            if items:
                call = partial(move.carry_out, list_, action, items)
                yield Step(tuple(i.ref for i in items), call)

    def read(self, batch: Sequence[Item]) -> Mapping[int, frozenset[str] | None]:
        """See Readable. Who isn't on a list doesn't get it, who is blocklisted none."""
        if not batch:
            return {}
        ensure_fits(batch, self._setup, self.capabilities)
        with open_account(self._setup, self._http) as account:
            found = read_each(batch, lambda i: account.contact(i.address))
        return {
            item.ref: self._off(contact) if isinstance(contact, Contact) else None
            for item, contact in found.items()
        }

    def _off(self, contact: Contact) -> frozenset[str]:
        return frozenset(
            topic
            for topic, list_ in self._setup.topics.items()
            if contact.email_blacklisted or int(list_) not in contact.list_ids
        )

    def write_links(self, batch: Sequence[LinkItem]) -> Mapping[int, Outcome]:
        """See Fieldable. Writes a text attribute of contacts, named as in Brevo."""
        name = self._setup.link_field
        if not batch or name is None:
            return {}
        with open_account(self._setup, self._http) as account:
            steps = [Step((i.ref,), partial(_write_link, account, i, name)) for i in batch]
            return carry_out([Item(i.ref, i.address, i.channel) for i in batch], steps)

    def scan(self, cursor: str | None) -> Page[Seen]:
        """See Scannable."""
        place = Place.read(cursor)
        with open_account(self._setup, self._http) as account:
            contacts = account.modified(place, PAGE)
        following, done = place.after(len(contacts), PAGE, self._http.now())
        rows = (
            Seen(c.email, off=self._off(c), link=self._setup.link_in(c.attributes))
            for c in contacts
            if c.email
        )
        return Page(tuple(rows), str(following), done)

    def pull(self, cursor: str | None) -> Page[News]:
        """See Pullable. Who is blocklisted, unsubscribed from a mapped list, or blocked."""
        lists = [*self._setup.topics.values()]
        with open_account(self._setup, self._http) as account:
            return pull_page(account, cursor, lists, self._http.now())


@dataclass(slots=True)
class _Move:
    """Moves addresses onto lists or off them, in one push.

    Brevo names whom it moved. Of the others it only says that they are unknown or where
    they should be already, and if nobody was moved, it rejects the request; so these are
    looked at one by one, once.
    """

    account: Account
    seen: dict[str, Contact | int] = field(default_factory=dict)

    def carry_out(self, list_: str, action: str, items: Sequence[Item]) -> Mapping[int, Outcome]:
        """A step: each of `items` off the list, or on it."""
        try:
            moved = self.account.move(list_, action, [item.address for item in items])
            rejected = False
        except Rejected as error:
            if error.status != HTTPStatus.BAD_REQUEST:
                raise
            moved, rejected = set(), True
        done = Outcome(Result.REFLECTED, "201")
        outcomes = {item.ref: done for item in items if item.address.casefold() in moved}
        waiting = []
        for item in items:
            if item.ref not in outcomes:
                outcomes[item.ref] = self._looked_at(item, int(list_), action)
                waiting += [item] if outcomes[item.ref].result is Result.LATER else []
        if rejected and waiting:
            outcomes |= self._one_by_one(list_, action, waiting)
        return outcomes

    def _looked_at(self, item: Item, list_: int, action: str) -> Outcome:
        contact = self.seen.get(item.address)
        if contact is None:
            contact = self.seen[item.address] = self.account.contact(item.address)
        if contact == HTTPStatus.NOT_FOUND:
            return Outcome(Result.ABSENT, "404")
        if not isinstance(contact, Contact):
            return Outcome(Result.REFUSED, str(contact))
        if (list_ in contact.list_ids) == (action == ADD):
            return Outcome(Result.REFLECTED, "nothing to change")
        return Outcome(Result.LATER, "not acknowledged")

    def _one_by_one(self, list_: str, action: str, items: Sequence[Item]) -> dict[int, Outcome]:
        """One bad address had the whole request rejected: find it by halving."""
        outcomes = {item.ref: Outcome(Result.REFUSED, "400") for item in items}
        for part, moved in send_halving(
            items, lambda some: self.account.move(list_, action, [i.address for i in some])
        ):
            for item in part:
                known = item.address.casefold() in moved
                result = Result.REFLECTED if known else Result.LATER
                outcomes[item.ref] = Outcome(result, "201" if known else "not acknowledged")
        return outcomes


def _write_link(account: Account, item: LinkItem, name: str) -> Mapping[int, Outcome]:
    status = account.set_attribute(item.address, name, item.link)
    results = {HTTPStatus.NOT_FOUND: Result.ABSENT, HTTPStatus.BAD_REQUEST: Result.REFUSED}
    result = results.get(HTTPStatus(status), Result.REFLECTED)
    return {item.ref: Outcome(result, str(status))}


class BrevoAccount(ByChannel):
    """One Brevo account, for email and SMS."""

    kind: ClassVar[str] = Brevo.kind
    capabilities: ClassVar[Capabilities] = replace(
        Brevo.capabilities, channels=frozenset({Channel.EMAIL, Channel.SMS})
    )
    settings: ClassVar[Mapping[str, str]] = Brevo.settings
    parts: ClassVar[Parts] = {Channel.EMAIL: Brevo, Channel.SMS: BrevoTexts}


ENTRY = Entry(
    kind=Brevo.kind,
    title="Brevo",
    proof=Proof.DOCUMENTATION,
    against="Brevo's API reference, read on 2026-11-27",
    capabilities=BrevoAccount.capabilities,
    own_settings=Brevo.settings,
    secrets=frozenset({"api_key"}),
    sources=(
        f"{_DOCS}/reference/remove-contact-from-list",
        f"{_DOCS}/reference/get-contact-info",
        f"{_DOCS}/reference/get-contacts",
        f"{_DOCS}/reference/update-contact",
        f"{_DOCS}/reference/get-transac-blocked-contacts",
        f"{_DOCS}/docs/api-limits",
    ),
    build=BrevoAccount,
    notes=(
        "What is sent to segments and by automations asks for no list: let it ask for one.",
        "No email is blocklisted by us; who is blocklisted in Brevo has said no to all marketing.",
        "Map a topic that goes by SMS to `sms`: a contact is blocklisted for SMS or not.",
        "A blocklisting without a trace in the last 90 days counts as 90 days old.",
    ),
)
