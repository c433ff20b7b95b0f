"""Salesforce: a topic is a checkbox on contacts and leads that is ticked for an opt-out.

https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_sobjects_collections_update.htm
https://help.salesforce.com/s/articleView?id=sales.emailadmin_opting_out_differences.htm
Salesforce's own checkbox, Email Opt Out, stops every mail to a person. A topic may be mapped
to it only where the org sends nothing else (I10). One address may have several records: all
of them are changed, and a topic is off when it is off in all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import (
    Capabilities,
    ListingMode,
    RateLimit,
    SupportedScope,
)
from preference_center.domain.sync.contract import (
    ContactPage,
    ContactSnapshot,
    LinkItem,
    PushItem,
    PushOutcome,
    PushResult,
)
from preference_center.domain.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.base.batching import PushStep, run_steps
from preference_center.integrations.base.bisecting import send_bisecting
from preference_center.integrations.base.check_report import CheckReport, Permission
from preference_center.integrations.base.contract import (
    DeliveryError,
    DestinationConfig,
    UnsupportedByDestination,
)
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.base.mapping import mapping_problems, validate_batch
from preference_center.integrations.base.outcomes import worst
from preference_center.integrations.base.spec import ConnectorSpec, TestedAgainst
from preference_center.integrations.salesforce.client import (
    MAX_COLLECTION_SIZE,
    SalesforceClient,
    open_client,
)
from preference_center.integrations.salesforce.models import SalesforceRecord, SaveResult
from preference_center.integrations.salesforce.validation import (
    OBJECTS,
    OPT_OUT_FIELD,
    field_problems,
    list_permissions,
    parse_object_names,
    setting_problems,
)

# The next push will succeed: locks are released, and a merged record is no longer found.
_TEMPORARY_ERRORS = frozenset(
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
class _RecordChange:
    record: SalesforceRecord
    fields: Mapping[str, Any]
    refs: tuple[int, ...]


class Salesforce:
    """Contacts and leads of one Salesforce org."""

    kind: ClassVar[str] = "salesforce"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({SupportedScope.TOPIC}),
        can_lift=True,
        batch_size=MAX_COLLECTION_SIZE,
        # The smallest quota of an org with API access, for all of its API requests.
        rate_limit=RateLimit(100_000, 86_400),
        can_read=True,
        scans=ListingMode.CHANGES,
        pulls=ListingMode.CHANGES,
        can_hold_link=True,
        checks_permissions=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "url": "the org's My Domain URL, as in https://example.my.salesforce.com",
        "client_id": "consumer key of an external client app with the client credentials flow",
        "client_secret": "its consumer secret",
        "objects?": "Contact or Lead, if the other is not used; by default both",
    }

    def __init__(self, config: DestinationConfig, http: HttpContext) -> None:
        self._config = config
        self._http = http
        self._objects = parse_object_names(config)
        self._watched_fields = {*config.topics.values(), OPT_OUT_FIELD}

    def check(self) -> CheckReport:
        """See Connector. Also reports which checkboxes no topic maps to."""
        problems = [
            *mapping_problems(self._config, "checkbox", numeric_ids=False),
            *setting_problems(self._config),
        ]
        if not set(self._objects) <= set(OBJECTS):
            return CheckReport(tuple(problems))
        unmapped: dict[str, str] = {}
        needed: list[Permission] = []
        try:
            with open_client(self._config, self._http) as org:
                for name in self._objects:
                    described = org.describe(name)
                    columns = described.fields_by_name
                    problems += field_problems(self._config, name, columns)
                    needed += list_permissions(self._config, name, described)
                    switches = [c for c in columns.values() if c.is_custom_checkbox]
                    unmapped |= {c.name: c.label or c.name for c in switches}
        except DeliveryError as error:
            return CheckReport(
                (*problems, f"{error}: check the URL, the app and its user's permissions")
            )
        names = [f"{unmapped[n]} ({n})" for n in sorted(unmapped.keys() - self._watched_fields)]
        return CheckReport(tuple(problems), tuple(names)).with_permissions(needed)

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        """See Connector. All records of an address are read, and changed where they differ."""
        if not batch:
            return {}
        self._ensure_fits(batch)
        topics, wanted = self._config.topics, defaultdict[str, dict[str, bool]](dict)
        for item in batch:
            wanted[item.address.casefold()] |= {topics[topic]: False for topic in item.lift}
        for item in batch:  # an opt-out wins where two forms of an address are one there
            wanted[item.address.casefold()] |= {topics[topic]: True for topic in item.off}
        asked = [item for item in batch if item.off or item.lift]
        with open_client(self._config, self._http) as org:
            return self._push_records(org, batch, asked, wanted, self._watched_fields)

    def write_links(self, batch: Sequence[LinkItem]) -> Mapping[int, PushOutcome]:
        """See SupportsLinkField."""
        field = self._config.link_field
        if not (batch and field):
            return {}
        items = [PushItem(item.ref, item.address, item.channel) for item in batch]
        self._ensure_fits(items)
        wanted = {item.address.casefold(): {field: item.link} for item in batch}
        with open_client(self._config, self._http) as org:
            return self._push_records(org, items, items, wanted, {field})

    def _push_records(
        self,
        client: SalesforceClient,
        batch: Sequence[PushItem],
        items: Sequence[PushItem],
        desired_fields: Mapping[str, Mapping[str, Any]],
        fields: set[str],
    ) -> Mapping[int, PushOutcome]:
        found = self._find_records(client, items, fields)
        steps, changes = list[PushStep](), list[_RecordChange]()
        for email, refs in _group_refs_by_email(items).items():
            if email not in found:
                steps.append(PushStep(refs, partial(_absent, refs)))
            for record in found.get(email, []):
                differing = {
                    n: v for n, v in desired_fields[email].items() if record.fields.get(n) != v
                }
                if differing:
                    changes.append(_RecordChange(record, differing, refs))
        # A request may switch between the object types ten times at most.
        changes.sort(key=lambda change: change.record.object_type)
        for start in range(0, len(changes), MAX_COLLECTION_SIZE):
            part = changes[start : start + MAX_COLLECTION_SIZE]
            refs = tuple(dict.fromkeys(ref for change in part for ref in change.refs))
            steps.append(PushStep(refs, partial(_save_changes, client, part)))
        return run_steps(batch, steps)

    def read(self, batch: Sequence[PushItem]) -> Mapping[int, frozenset[str] | None]:
        """See SupportsRead."""
        if not batch:
            return {}
        self._ensure_fits(batch)
        with open_client(self._config, self._http) as org:
            found = self._find_records(org, batch, self._watched_fields)
        off = {
            email: frozenset.intersection(*map(self._off_topics, records))
            for email, records in found.items()
        }
        return {item.ref: off.get(item.address.casefold()) for item in batch}

    def scan(self, cursor: str | None) -> ContactPage[ContactSnapshot]:
        """See SupportsScan."""
        field = self._config.link_field
        fields = self._watched_fields | ({field} if field else set())
        rows, following, done = self._list_changed(fields, "Email != null", cursor)
        link = self._config.link_value
        seen = [
            ContactSnapshot(row.email, off=self._off_topics(row), link=link(row.fields))
            for row in rows
            if row.email
        ]
        return ContactPage(tuple(seen), following, done)

    def pull(self, cursor: str | None) -> ContactPage[VendorEvent]:
        """See SupportsPull. Opt-outs are dated by the record's last change."""
        ticked = " OR ".join(f"{name} = true" for name in sorted(self._watched_fields))
        where = f"Email != null AND ({ticked})"
        rows, following, done = self._list_changed(self._watched_fields, where, cursor)
        mapped = set(self._config.topics.values())
        events = [
            VendorEvent(
                VendorEventKind.OPTED_OUT,
                row.email,
                target=name if name in mapped else None,
                occurred_at=row.system_modstamp,
            )
            for row in rows
            if row.email
            for name in sorted(self._watched_fields)
            if row.fields.get(name) is True
        ]
        return ContactPage(tuple(events), following, done)

    def _ensure_fits(self, batch: Sequence[PushItem]) -> None:
        validate_batch(batch, self._config, self.capabilities)
        for problem in setting_problems(self._config):
            raise UnsupportedByDestination(f"{self._config.name}: {problem}")

    def _find_records(
        self, client: SalesforceClient, items: Sequence[PushItem], fields: set[str]
    ) -> dict[str, list[SalesforceRecord]]:
        found = defaultdict[str, list[SalesforceRecord]](list)
        for name in self._objects:
            for record in client.find_records(name, fields, [item.address for item in items]):
                if record.email:
                    found[record.email.casefold()].append(record)
        return found

    def _list_changed(
        self, fields: set[str], condition: str, cursor: str | None
    ) -> tuple[list[SalesforceRecord], str, bool]:
        for problem in setting_problems(self._config):
            raise UnsupportedByDestination(f"{self._config.name}: {problem}")
        with open_client(self._config, self._http) as org:
            return org.list_changed(self._objects, fields, condition, cursor)

    def _off_topics(self, record: SalesforceRecord) -> frozenset[str]:
        topics = self._config.topics
        if record.fields.get(OPT_OUT_FIELD) is True:
            return frozenset(topics)
        return frozenset(t for t, name in topics.items() if record.fields.get(name) is True)


def _absent(refs: Sequence[int]) -> Mapping[int, PushOutcome]:
    return dict.fromkeys(refs, PushOutcome(PushResult.ABSENT, "no record"))


def _group_refs_by_email(items: Sequence[PushItem]) -> dict[str, tuple[int, ...]]:
    refs: dict[str, tuple[int, ...]] = {}
    for item in items:
        email = item.address.casefold()
        refs[email] = (*refs.get(email, ()), item.ref)
    return refs


def _save_changes(
    client: SalesforceClient, changes: Sequence[_RecordChange]
) -> Mapping[int, PushOutcome]:
    outcomes: dict[int, PushOutcome] = {}

    def record_outcome(change: _RecordChange, outcome: PushOutcome) -> None:
        for ref in change.refs:
            outcomes[ref] = worst(outcomes[ref], outcome) if ref in outcomes else outcome

    def send(part: Sequence[_RecordChange]) -> list[SaveResult]:
        return client.update([(change.record, change.fields) for change in part])

    accepted: set[str] = set()
    for part, saved in send_bisecting(changes, send):
        for change, result in zip(part, saved, strict=True):
            accepted.add(change.record.id)
            record_outcome(change, _to_outcome(result))
    for change in changes:
        if change.record.id not in accepted:
            record_outcome(change, PushOutcome(PushResult.REFUSED, "400"))
    return outcomes


def _to_outcome(result: SaveResult) -> PushOutcome:
    if result.success:
        return PushOutcome(PushResult.REFLECTED, "saved")
    codes = sorted({error.status_code for error in result.errors})
    temporary = not codes or not _TEMPORARY_ERRORS.isdisjoint(codes)
    return PushOutcome(PushResult.RETRY_LATER if temporary else PushResult.REFUSED, " ".join(codes))


SPEC = ConnectorSpec(
    kind=Salesforce.kind,
    tested_against=TestedAgainst.DOCUMENTATION,
    tested_version="Salesforce's pages of API 62.0, read in November 2026",
    capabilities=Salesforce.capabilities,
    own_settings=Salesforce.settings,
    secret_settings=frozenset({"client_secret"}),
    sources=(
        f"{_DOCS}/resources_composite_sobjects_collections_update.htm",
        f"{_DOCS}/resources_query.htm",
        "https://help.salesforce.com/s/articleView?id=sales.emailadmin_opting_out_differences.htm",
        "https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_client_credentials_flow.htm",
    ),
    build=Salesforce,
    notes=(
        "Map each topic to the API name of an opt-out checkbox, the same on Contact and Lead.",
        "Flows and campaigns have to check that checkbox; Salesforce does not by itself.",
        f"`{OPT_OUT_FIELD}` stops every mail: for an org with one topic and no service mail.",
        "All apps of an org share its daily API requests: set `rate` to this destination's share.",
        "No write triggers assignment rules: leads keep their owners.",
        "Person accounts were not tested; converted leads are left out.",
    ),
)
