"""Salesforce: a topic is a checkbox on contacts and leads that says no.

https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_sobjects_collections_update.htm
https://help.salesforce.com/s/articleView?id=sales.emailadmin_opting_out_differences.htm
Salesforce's own checkbox, Email Opt Out, stops every mail to a person. It may stand for a
topic only where the org sends nothing else (I10). One address may have several records: all
of them are told, and a topic is off when it is off in all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import Capabilities, Listing, Rate, Scopes
from preference_center.domain.sync.contract import Item, LinkItem, Outcome, Page, Result, Seen
from preference_center.domain.vendor_events import News, NewsKind
from preference_center.integrations.base.batching import Step, carry_out, send_halving, worse
from preference_center.integrations.base.check_report import Report, Right
from preference_center.integrations.base.contract import (
    DeliveryError,
    Setup,
    UnsupportedByDestination,
)
from preference_center.integrations.base.http import Http
from preference_center.integrations.base.mapping import ensure_fits, mapping_problems
from preference_center.integrations.base.spec import Entry, Proof
from preference_center.integrations.salesforce.client import COLLECTION, Org, open_org
from preference_center.integrations.salesforce.models import Record, Saved
from preference_center.integrations.salesforce.validation import (
    OBJECTS,
    OPT_OUT,
    column_problems,
    objects,
    rights,
    setting_problems,
)

# Seen again on the next push: locks pass, and a record that was merged away is no more found.
_PASSING = frozenset(
    {
        "ENTITY_IS_DELETED",
        "INVALID_CROSS_REFERENCE_KEY",
        "REQUEST_LIMIT_EXCEEDED",
        "SERVER_UNAVAILABLE",
        "UNABLE_TO_LOCK_ROW",
    }
)
_DOCS = "https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest"


@dataclass(frozen=True, slots=True)
class _Change:
    record: Record
    fields: Mapping[str, Any]
    refs: tuple[int, ...]


class Salesforce:
    """Contacts and leads of one Salesforce org."""

    kind: ClassVar[str] = "salesforce"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({Scopes.TOPIC}),
        can_lift=True,
        batch_size=COLLECTION,
        # The least that an org with API access is allowed, for all that it does by API.
        rate=Rate(100_000, 86_400),
        can_read=True,
        scans=Listing.CHANGES,
        pulls=Listing.CHANGES,
        can_hold_link=True,
        tells_rights=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "url": "the org's My Domain URL, as in https://example.my.salesforce.com",
        "client_id": "consumer key of an external client app with the client credentials flow",
        "client_secret": "its consumer secret",
        "objects?": "Contact or Lead, if the other is not used; by default both",
    }

    def __init__(self, setup: Setup, http: Http) -> None:
        self._setup = setup
        self._http = http
        self._objects = objects(setup)
        self._watched = {*setup.topics.values(), OPT_OUT}

    def check(self) -> Report:
        """See Connector. Also says which checkboxes no topic maps to."""
        problems = [
            *mapping_problems(self._setup, "checkbox", numbered=False),
            *setting_problems(self._setup),
        ]
        if not set(self._objects) <= set(OBJECTS):
            return Report(tuple(problems))
        unmapped: dict[str, str] = {}
        needed: list[Right] = []
        try:
            with open_org(self._setup, self._http) as org:
                for name in self._objects:
                    described = org.describe(name)
                    columns = described.columns
                    problems += column_problems(self._setup, name, columns)
                    needed += rights(self._setup, name, described)
                    switches = [c for c in columns.values() if c.is_custom_switch]
                    unmapped |= {c.name: c.label or c.name for c in switches}
        except DeliveryError as error:
            return Report((*problems, f"{error}: check the URL, the app and its user's rights"))
        names = [f"{unmapped[n]} ({n})" for n in sorted(unmapped.keys() - self._watched)]
        return Report(tuple(problems), tuple(names)).with_rights(needed)

    def push(self, batch: Sequence[Item]) -> Mapping[int, Outcome]:
        """See Connector. All records of an address are looked at, and told what differs."""
        if not batch:
            return {}
        self._ensure_fits(batch)
        topics, wanted = self._setup.topics, defaultdict[str, dict[str, bool]](dict)
        for item in batch:
            wanted[item.address.casefold()] |= {topics[topic]: False for topic in item.lift}
        for item in batch:  # the no has the last word, should two forms be one there
            wanted[item.address.casefold()] |= {topics[topic]: True for topic in item.off}
        asked = [item for item in batch if item.off or item.lift]
        with open_org(self._setup, self._http) as org:
            return self._bring(org, batch, asked, wanted, self._watched)

    def write_links(self, batch: Sequence[LinkItem]) -> Mapping[int, Outcome]:
        """See Fieldable."""
        field = self._setup.link_field
        if not (batch and field):
            return {}
        items = [Item(item.ref, item.address, item.channel) for item in batch]
        self._ensure_fits(items)
        wanted = {item.address.casefold(): {field: item.link} for item in batch}
        with open_org(self._setup, self._http) as org:
            return self._bring(org, items, items, wanted, {field})

    def _bring(
        self,
        org: Org,
        batch: Sequence[Item],
        asked: Sequence[Item],
        wanted: Mapping[str, Mapping[str, Any]],
        fields: set[str],
    ) -> Mapping[int, Outcome]:
        found = self._records(org, asked, fields)
        steps, changes = list[Step](), list[_Change]()
        for email, refs in _by_email(asked).items():
            if email not in found:
                steps.append(Step(refs, partial(_absent, refs)))
            for record in found.get(email, []):
                differing = {n: v for n, v in wanted[email].items() if record.fields.get(n) != v}
                if differing:
                    changes.append(_Change(record, differing, refs))
        # A request may change from one kind of object to the other ten times at most.
        changes.sort(key=lambda change: change.record.object)
        for start in range(0, len(changes), COLLECTION):
            part = changes[start : start + COLLECTION]
            refs = tuple(dict.fromkeys(ref for change in part for ref in change.refs))
            steps.append(Step(refs, partial(_save, org, part)))
        return carry_out(batch, steps)

    def read(self, batch: Sequence[Item]) -> Mapping[int, frozenset[str] | None]:
        """See Readable."""
        if not batch:
            return {}
        self._ensure_fits(batch)
        with open_org(self._setup, self._http) as org:
            found = self._records(org, batch, self._watched)
        off = {
            email: frozenset.intersection(*map(self._off, records))
            for email, records in found.items()
        }
        return {item.ref: off.get(item.address.casefold()) for item in batch}

    def scan(self, cursor: str | None) -> Page[Seen]:
        """See Scannable."""
        field = self._setup.link_field
        fields = self._watched | ({field} if field else set())
        rows, following, done = self._listing(fields, "Email != null", cursor)
        link = self._setup.link_in
        seen = [
            Seen(row.email, off=self._off(row), link=link(row.fields)) for row in rows if row.email
        ]
        return Page(tuple(seen), following, done)

    def pull(self, cursor: str | None) -> Page[News]:
        """See Pullable. When is not told, only that it was no later than the last change."""
        ticked = " OR ".join(f"{name} = true" for name in sorted(self._watched))
        where = f"Email != null AND ({ticked})"
        rows, following, done = self._listing(self._watched, where, cursor)
        mapped = set(self._setup.topics.values())
        news = [
            News(
                NewsKind.OPTED_OUT,
                row.email,
                thing=name if name in mapped else None,
                at=row.system_modstamp,
            )
            for row in rows
            if row.email
            for name in sorted(self._watched)
            if row.fields.get(name) is True
        ]
        return Page(tuple(news), following, done)

    def _ensure_fits(self, batch: Sequence[Item]) -> None:
        ensure_fits(batch, self._setup, self.capabilities)
        for problem in setting_problems(self._setup):
            raise UnsupportedByDestination(f"{self._setup.name}: {problem}")

    def _records(
        self, org: Org, items: Sequence[Item], fields: set[str]
    ) -> dict[str, list[Record]]:
        found = defaultdict[str, list[Record]](list)
        for name in self._objects:
            for record in org.known(name, fields, [item.address for item in items]):
                if record.email:
                    found[record.email.casefold()].append(record)
        return found

    def _listing(
        self, fields: set[str], condition: str, cursor: str | None
    ) -> tuple[list[Record], str, bool]:
        for problem in setting_problems(self._setup):
            raise UnsupportedByDestination(f"{self._setup.name}: {problem}")
        with open_org(self._setup, self._http) as org:
            return org.listing(self._objects, fields, condition, cursor)

    def _off(self, record: Record) -> frozenset[str]:
        topics = self._setup.topics
        if record.fields.get(OPT_OUT) is True:
            return frozenset(topics)
        return frozenset(t for t, name in topics.items() if record.fields.get(name) is True)


def _absent(refs: Sequence[int]) -> Mapping[int, Outcome]:
    return dict.fromkeys(refs, Outcome(Result.ABSENT, "no record"))


def _by_email(items: Sequence[Item]) -> dict[str, tuple[int, ...]]:
    refs: dict[str, tuple[int, ...]] = {}
    for item in items:
        email = item.address.casefold()
        refs[email] = (*refs.get(email, ()), item.ref)
    return refs


def _save(org: Org, changes: Sequence[_Change]) -> Mapping[int, Outcome]:
    outcomes: dict[int, Outcome] = {}

    def settle(change: _Change, outcome: Outcome) -> None:
        for ref in change.refs:
            outcomes[ref] = worse(outcomes[ref], outcome) if ref in outcomes else outcome

    def send(part: Sequence[_Change]) -> list[Saved]:
        return org.update([(change.record, change.fields) for change in part])

    taken: set[str] = set()
    for part, saved in send_halving(changes, send):
        for change, answer in zip(part, saved, strict=True):
            taken.add(change.record.id)
            settle(change, _judge(answer))
    for change in changes:
        if change.record.id not in taken:
            settle(change, Outcome(Result.REFUSED, "400"))
    return outcomes


def _judge(saved: Saved) -> Outcome:
    if saved.success:
        return Outcome(Result.REFLECTED, "saved")
    codes = sorted({fault.status_code for fault in saved.errors})
    passing = not codes or not _PASSING.isdisjoint(codes)
    return Outcome(Result.LATER if passing else Result.REFUSED, " ".join(codes))


ENTRY = Entry(
    kind=Salesforce.kind,
    title="Salesforce",
    proof=Proof.DOCUMENTATION,
    against="Salesforce's pages of API 62.0, read in November 2026",
    capabilities=Salesforce.capabilities,
    own_settings=Salesforce.settings,
    secrets=frozenset({"client_secret"}),
    sources=(
        f"{_DOCS}/resources_composite_sobjects_collections_update.htm",
        f"{_DOCS}/resources_query.htm",
        "https://help.salesforce.com/s/articleView?id=sales.emailadmin_opting_out_differences.htm",
        "https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_client_credentials_flow.htm",
    ),
    build=Salesforce,
    notes=(
        "Map each topic to the API name of a checkbox that says no, the same on Contact and Lead.",
        "Flows and campaigns have to look at that checkbox; Salesforce does not by itself.",
        f"`{OPT_OUT}` stops every mail: only for an org that sends one topic and no service mail.",
        "All apps of an org share its API requests of a day: set `rate` to what may be ours.",
        "No write assigns a lead again: owners stay as they are.",
        "Person accounts were not tried; converted leads are left out.",
    ),
)
