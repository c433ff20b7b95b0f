"""This connector maps a topic to a checkbox of contacts and leads that is ticked for an opt-out.

https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_sobjects_collections_update.htm
https://help.salesforce.com/s/articleView?id=sales.emailadmin_opting_out_differences.htm
Salesforce's own checkbox, Email Opt Out, stops every mail to a person. A topic may be mapped
to it only where the org sends nothing else (I10). One address may have several records: all
of them are changed, and a topic is off when it is off in all.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, cast

from preference_center.integrations.base import runtime
from preference_center.integrations.base.contract import LINK_FIELD, DestinationConfig, Permission
from preference_center.integrations.salesforce.client import (
    MAX_COLLECTION_SIZE,
    OVERLAP,
    FieldDescription,
    ObjectDescription,
    RecordChange,
    SalesforceClient,
    SalesforceRecord,
    find_changes,
    save_changes,
)

OPT_OUT_FIELD = "HasOptedOutOfEmail"


ERASE_SETTING = "erase_records"


OBJECTS = ("Contact", "Lead")


MIN_LINK_FIELD_LENGTH = 255


MIN_FREQUENCY_FIELD_LENGTH = 32
"""Characters of the longest key of a frequency."""


_FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
"""Names are put into queries unquoted."""


def parse_object_names(config: DestinationConfig) -> list[str]:
    """The object types that the destination covers; see `setting_problems` for other names."""
    return [name for name in _object_names(config) if name in OBJECTS]


def _object_names(config: DestinationConfig) -> list[str]:
    names = config.settings.get("objects", ",".join(OBJECTS))
    return [name.strip() for name in names.split(",")]


def setting_problems(config: DestinationConfig) -> Iterator[str]:
    """Problems that can be found without a request to Salesforce, each with its remedy."""
    if not set(_object_names(config)) <= set(OBJECTS):
        yield f"objects: write {' or '.join(OBJECTS)}, or leave the setting out for both"
    for topic, name in sorted(config.topics.items()):
        if not _FIELD_NAME.fullmatch(name):
            yield f"topic {topic} is mapped to {name!r}, which is no field's API name"
    for field, setting in config.contact_fields.items():
        if not _FIELD_NAME.fullmatch(field):
            yield f"{setting}: {field!r} is no field's API name"
    if config.settings.get(ERASE_SETTING, "no") not in {"yes", "no"}:
        yield f"{ERASE_SETTING}: write yes or no"


def field_problems(
    config: DestinationConfig, object_name: str, fields: Mapping[str, FieldDescription]
) -> Iterator[str]:
    """Problems of the mapped fields, as the app's user sees an object's fields."""
    for topic, name in sorted(config.topics.items()):
        column = fields.get(name)
        if column is None or column.type != "boolean":
            yield (
                f"topic {topic} is mapped to {name}, which is no checkbox of {object_name} that "
                "the app's user may see: add it there, or grant it"
            )
    if OPT_OUT_FIELD not in fields and OPT_OUT_FIELD not in config.topics.values():
        yield (
            f"{OPT_OUT_FIELD} of {object_name} is hidden from the app's user, who could not "
            "see an opt-out from everything: let the user read it"
        )
    for field, setting in config.contact_fields.items():
        length = MIN_LINK_FIELD_LENGTH if setting == LINK_FIELD else MIN_FREQUENCY_FIELD_LENGTH
        column = fields.get(field)
        if column is None or column.length < length:
            yield (
                f"{setting}: {field} is no field of {object_name} that takes "
                f"{length} characters and that the app's user may see: add it, "
                "or grant it"
            )


def list_permissions(
    config: DestinationConfig, object_name: str, description: ObjectDescription
) -> Iterator[Permission]:
    """The permissions that the app's user needs, by the description of an object.

    https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_calls_describesobjects_describesobjectresult.htm
    """
    grant = "grant it to the app's user, in a permission set"
    use = f"change a {object_name.lower()}"
    yield Permission(f"Edit on {object_name}", use, description.updateable, grant)
    if config.settings.get(ERASE_SETTING) == "yes":
        use = "delete people who are erased"
        name = f"Delete on {object_name}"
        yield Permission(name, use, description.deletable, grant, is_required=False)
    uses = {name: f"turn {topic} off and on" for topic, name in sorted(config.topics.items())}
    for field, setting in config.contact_fields.items():
        uses[field] = "write links" if setting == LINK_FIELD else "write how often"
    for name, use in uses.items():
        if column := description.fields_by_name.get(name):
            yield Permission(f"Edit Access on {object_name}.{name}", use, column.updateable, grant)


_DOCS = "https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest"


@dataclass(frozen=True)
class _RemotePerson(runtime.RemoteContact):
    records: Sequence[SalesforceRecord] = ()


class Salesforce(
    runtime.ReadableConnector[SalesforceClient],
    runtime.ContactFieldConnector[SalesforceClient],
    runtime.ErasingConnector[SalesforceClient],
):
    """Contacts and leads of one Salesforce org."""

    kind: ClassVar[str] = "salesforce"
    capabilities: ClassVar[runtime.Capabilities] = runtime.Capabilities(
        can_lift=True,
        batch_size=MAX_COLLECTION_SIZE,
        # The smallest quota of an org with API access, for all of its API requests.
        rate_limit=runtime.RateLimit(100_000, 86_400),
        can_read=True,
        scans=runtime.ListingMode.CHANGES,
        pulls=runtime.ListingMode.CHANGES,
        can_write_fields=True,
        can_hold_link=True,
        checks_permissions=True,
        erase=runtime.EraseMode.FORGETS_OPT_OUT,
        erase_note="The contacts and leads of the address are deleted, converted leads too, and "
        "stay in the Recycle Bin for 15 days. Their accounts, opportunities and logged emails "
        "stay: delete those by hand that hold personal data.",
        erase_setting=ERASE_SETTING,
        confirms_erasure=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "url": "the org's My Domain URL, as in https://example.my.salesforce.com",
        "client_id": "consumer key of an external client app with the client credentials flow",
        "client_secret": "its consumer secret",
        "objects?": "Contact or Lead, if the other is not used; by default both",
        "erase_records?": "yes: delete the contacts and leads of people who are erased; needs the "
        "right to delete them, and View All and Modify All to reach everybody's",
    }
    rules: ClassVar[runtime.ConnectorRules] = runtime.ConnectorRules(
        target_noun="checkbox",
        credentials_hint="the URL, the app and its user's permissions",
        url_setting="url",
        group_size=MAX_COLLECTION_SIZE,
        lookups=runtime.LookupMode.ALL,
        compares_contacts=True,
        target_check=runtime.TargetCheck.NEVER,  # a query for a missing field is rejected
        account_target=OPT_OUT_FIELD,
    )
    field_group_size: ClassVar[int] = MAX_COLLECTION_SIZE
    erase_group_size: ClassVar[int] = MAX_COLLECTION_SIZE

    def __init__(self, config: runtime.DestinationConfig, http: runtime.HttpContext) -> None:
        super().__init__(config, http)
        self._objects = parse_object_names(config)
        self._watched_fields = {*config.topics.values(), OPT_OUT_FIELD}

    def make_client(self, session: runtime.Session) -> SalesforceClient:
        """See ApiConnector."""
        return SalesforceClient(self.config, session)

    def setting_problems(self) -> Iterator[str]:
        """See ApiConnector. Names of fields are put into queries."""
        yield from setting_problems(self.config)
        yield from super().setting_problems()

    def list_targets(self, client: SalesforceClient) -> Iterator[runtime.Target]:
        """See ApiConnector. The org's own checkboxes; `find_problems` checks the mapped fields."""
        labels = {name: name for name in self.config.topics.values()}
        for object_name in self._objects:
            for column in client.describe(object_name).field_list:
                if column.is_custom_checkbox:
                    labels[column.name] = column.label or column.name
        for name, label in sorted(labels.items()):
            yield runtime.Target(name, label)

    def find_problems(self, client: SalesforceClient) -> Iterator[str]:
        """See ApiConnector."""
        for name in self._objects:
            yield from field_problems(self.config, name, client.describe(name).fields_by_name)

    def find_permissions(self, client: SalesforceClient) -> Iterator[runtime.Permission]:
        """See ApiConnector."""
        for name in self._objects:
            yield from list_permissions(self.config, name, client.describe(name))

    def fetch_contacts(
        self,
        client: SalesforceClient,
        addresses: Sequence[str],
        target_ids: Collection[str],  # noqa: ARG002 - all fields are of one query
    ) -> runtime.RemoteContacts:
        """See MappedConnector."""
        records_by_email = self._find_records(client, addresses, self._watched_fields)
        people: dict[str, runtime.RemoteContact | None] = dict.fromkeys(addresses)
        for address in addresses:
            if records := records_by_email.get(address.casefold()):
                off = frozenset.intersection(*map(self._off_fields, records))
                states = dict.fromkeys(off, runtime.OffState("ticked"))
                people[address] = _RemotePerson(states, records)
        return people

    def write_changes(self, client: SalesforceClient, changes: runtime.Changes) -> runtime.Outcomes:
        """See MappedConnector. An opt-out wins where two forms of an address are one there."""
        desired_fields = defaultdict[str, dict[str, Any]](dict)
        for change in changes:
            desired_fields[change.address.casefold()] |= dict.fromkeys(change.on, False)
        for change in changes:
            desired_fields[change.address.casefold()] |= dict.fromkeys(change.off, True)
        records = {
            change.address.casefold(): cast("_RemotePerson", change.contact).records
            for change in changes
        }
        return save_changes(client.update, changes, find_changes(records, desired_fields))

    def write_field_group(
        self, client: SalesforceClient, field: str, items: runtime.FieldItems
    ) -> runtime.Outcomes:
        """See ContactFieldConnector."""
        records = self._find_records(client, [item.address for item in items], {field})
        desired_fields = {item.address.casefold(): {field: item.value} for item in items}
        return save_changes(client.update, items, find_changes(records, desired_fields))

    def erase_group(self, client: SalesforceClient, items: runtime.EraseItems) -> runtime.Outcomes:
        """See ErasingConnector. Only where the setting says so: a CRM is more than mail."""
        if self.config.settings.get(ERASE_SETTING) != "yes":
            return {item.ref: runtime.refused(f"{ERASE_SETTING} is not yes") for item in items}
        records = self._find_erasable(client, items)
        deletions = {email: [RecordChange(r, {}) for r in rows] for email, rows in records.items()}
        return save_changes(client.delete, items, deletions)

    def find_held_contacts(
        self, client: SalesforceClient, items: runtime.EraseItems
    ) -> Mapping[int, bool]:
        """See ErasingConnector."""
        records = self._find_erasable(client, items)
        return {item.ref: item.address.casefold() in records for item in items}

    def _find_erasable(
        self, client: SalesforceClient, items: runtime.EraseItems
    ) -> dict[str, list[SalesforceRecord]]:
        addresses = [item.address for item in items]
        return self._find_records(client, addresses, (), with_converted=True)

    def scan(self, cursor: str | None) -> runtime.SnapshotPage:
        """See SupportsScan."""
        link_field = self.config.link_field
        fields = self._watched_fields | ({link_field} if link_field else set())
        page = self._list_changed(fields, "Email != null", cursor)
        return page.expand(self._to_snapshots)

    def _to_snapshots(self, row: SalesforceRecord) -> Iterator[runtime.ContactSnapshot]:
        if row.email:
            link = self.config.link_value(row.fields)
            yield runtime.ContactSnapshot(row.email, off=self._off_topics_of(row), link=link)

    def pull(self, cursor: str | None) -> runtime.EventPage:
        """See SupportsPull. Opt-outs are dated by the record's last change."""
        ticked = " OR ".join(f"{name} = true" for name in sorted(self._watched_fields))
        page = self._list_changed(self._watched_fields, f"Email != null AND ({ticked})", cursor)
        return page.expand(self._to_vendor_events)

    def _to_vendor_events(self, row: SalesforceRecord) -> Iterator[runtime.VendorEvent]:
        for name in sorted(self._watched_fields):
            if row.email and row.fields.get(name) is True:
                target = name if name in self.config.topics.values() else None
                kind, at = runtime.VendorEventKind.OPTED_OUT, row.system_modstamp
                yield runtime.VendorEvent(kind, row.email, target, occurred_at=at)

    def _find_records(
        self,
        client: SalesforceClient,
        addresses: Sequence[str],
        fields: Collection[str],
        *,
        with_converted: bool = False,
    ) -> dict[str, list[SalesforceRecord]]:
        """Casefolded address -> its records of all objects."""
        found = defaultdict[str, list[SalesforceRecord]](list)
        for name in self._objects:
            for record in client.find_records(
                name, fields, addresses, with_converted=with_converted
            ):
                if record.email:
                    found[record.email.casefold()].append(record)
        return found

    def _list_changed(
        self, fields: Collection[str], condition: str, cursor: str | None
    ) -> runtime.ContactPage[SalesforceRecord]:
        self.ensure_settings()
        list_changed = partial(SalesforceClient.list_changed, fields=fields, condition=condition)
        sources = (partial(list_changed, object_name=name) for name in self._objects)
        return self.changes_page(cursor, *sources, overlap=OVERLAP)

    def _off_fields(self, record: SalesforceRecord) -> frozenset[str]:
        """The mapped checkboxes that are ticked; Salesforce's own stands for all of them."""
        mapped = self.config.topics.values()
        if record.fields.get(OPT_OUT_FIELD) is True:
            return frozenset(mapped)
        return frozenset(name for name in mapped if record.fields.get(name) is True)

    def _off_topics_of(self, record: SalesforceRecord) -> frozenset[str]:
        off = self._off_fields(record)
        return frozenset(topic for topic, name in self.config.topics.items() if name in off)


SPEC = runtime.ConnectorSpec.of(
    Salesforce,
    tested_against=runtime.TestedAgainst.DOCUMENTATION,
    tested_version="Salesforce's pages of API 62.0, read in November 2026",
    secrets={"client_secret"},
    sources=(
        f"{_DOCS}/resources_composite_sobjects_collections_update.htm",
        f"{_DOCS}/resources_composite_sobjects_collections_delete.htm",
        f"{_DOCS}/resources_query.htm",
        "https://help.salesforce.com/s/articleView?id=sales.emailadmin_opting_out_differences.htm",
        "https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_client_credentials_flow.htm",
    ),
    notes=(
        "Map each topic to the API name of an opt-out checkbox, the same on Contact and Lead.",
        "Flows and campaigns have to check that checkbox; Salesforce does not by itself.",
        "`HasOptedOutOfEmail` stops every mail: for an org with one topic and no service mail.",
        "All apps of an org share its daily API requests: set `rate` to this destination's share.",
        (
            "No write triggers assignment rules: leads keep their owners. Converted leads are "
            "left out."
        ),
    ),
    open_points=(
        (
            "Several contacts and leads may have one address: all are changed, and a topic is "
            "off when it is off for all."
        ),
        (
            "Not tested: person accounts, and that a record with cases, contracts or a portal "
            "user can't be deleted (its error makes a task for a person)."
        ),
        (
            "No contact is created: Salesforce requires names. The Recycle Bin is not emptied: "
            "only the SOAP API can."
        ),
    ),
)
