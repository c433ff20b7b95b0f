"""HubSpot: a topic is a subscription type (communication preferences 2026-03).

https://developers.hubspot.com/docs/api-reference/2026-03/communication-preferences/guide
HubSpot publishes descriptions of its APIs (github.com/HubSpot/
HubSpot-public-api-spec-collection) without a licence, so the one under tests/ is our own;
the connector was compared with HubSpot's by hand. What both leave open is noted in comments.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import ClassVar

from preference_center.integrations.base import runtime
from preference_center.integrations.base.integration import RATE_SETTING
from preference_center.integrations.hubspot import client as contacts
from preference_center.integrations.hubspot.client import (
    INPUTS_PER_CALL,
    SUBSCRIBED,
    UNSUBSCRIBED,
    HubSpotClient,
    MissingScopeError,
    parse_rate_limit_headers,
)
from preference_center.integrations.hubspot.permissions import has_batch_scopes, list_permissions
from preference_center.integrations.hubspot.status_updates import (
    CallMode,
    HubSpotStatusWriter,
    StatusChange,
    find_statuses,
    with_timestamps,
)

LEGAL_BASES = frozenset(
    {
        "CONSENT_WITH_NOTICE",
        "LEGITIMATE_INTEREST_CLIENT",
        "LEGITIMATE_INTEREST_OTHER",
        "LEGITIMATE_INTEREST_PQL",
        "NON_GDPR",
        "PERFORMANCE_OF_CONTRACT",
        "PROCESS_AND_STORE",
    }
)
_DOCS_URL = "https://developers.hubspot.com/docs"
_SINGLE_CALLS_HINT = (
    "each address and topic is a request of its own, at most 100 a push: the key lacks the "
    "scopes of the batch calls, which take Marketing Hub Enterprise"
)


class HubSpot(
    runtime.ReadableApiConnector[HubSpotClient],
    runtime.ContactFieldConnector[HubSpotClient],
    runtime.ErasingConnector[HubSpotClient],
):
    """One HubSpot account (portal)."""

    kind: ClassVar[str] = "hubspot"
    capabilities: ClassVar[runtime.Capabilities] = runtime.Capabilities(
        scopes=frozenset(runtime.SupportedScope),
        # v3 refused to resubscribe people who had opted out; v4 does it (v3 guide, note on v4).
        can_lift=True,
        # No size is documented for these calls; HubSpot's other batches take 100.
        batch_size=INPUTS_PER_CALL,
        # The limit of Free and Starter; `check` reports the account's own from HubSpot's headers.
        # https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines
        rate_limit=runtime.RateLimit(100, 10),
        can_read=True,
        scans=runtime.ListingMode.CHANGES,
        pulls=runtime.ListingMode.CHANGES,
        can_write_fields=True,
        can_hold_link=True,
        checks_permissions=True,
        erase=runtime.EraseMode.KEEPS_OPT_OUT,
        erase_note="The contact is permanently deleted with its history (GDPR delete), which takes "
        "the scope crm.objects.contacts.write, and HubSpot bars its address from coming back. "
        "Notes, tickets and deals that name the person in their text stay.",
        confirms_erasure=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "token": "a service key (Development, Keys, Service keys) or the access token of an app "
        "that is installed in this account only, with the scopes communication_preferences.read "
        "and communication_preferences.write; with Marketing Hub Enterprise also "
        "communication_preferences.statuses.batch.read and .write, by which 100 addresses go in "
        "one request; to read contacts also crm.objects.contacts.read, and "
        "crm.objects.contacts.write to write properties of contacts and to erase people",
        "unsubscribe_all?": "yes: an opt-out from all marketing also sets HubSpot's own "
        "unsubscribe-all; only where no service mail goes through this account",
        "legal_basis?": f"one of {', '.join(sorted(LEGAL_BASES))}; accounts with data privacy "
        "on need it",
        "legal_basis_explanation?": "a sentence that explains the legal basis",
        "business_unit?": "id of the brand that unsubscribe-all applies to",
        "base_url?": "another address of the API, for tests",
    }
    rules: ClassVar[runtime.ConnectorRules] = runtime.ConnectorRules(
        target_noun="subscription type",
        credentials_hint="the token and its scopes",
        api_url="https://api.hubapi.com",
        bearer_setting="token",
        rate_limit_headers=parse_rate_limit_headers,
        numeric_ids=True,
        all_mail_setting="unsubscribe_all",
    )
    field_group_size: ClassVar[int] = INPUTS_PER_CALL

    def __init__(self, config: runtime.DestinationConfig, http: runtime.HttpContext) -> None:
        super().__init__(config, http)
        self._call_mode = CallMode()

    def make_client(self, session: runtime.Session) -> HubSpotClient:
        """See ApiConnector."""
        return HubSpotClient(session, self.config.settings)

    def mapping_problems(self) -> Iterator[str]:
        """See ApiConnector. Also of the legal basis, which HubSpot itself rejects."""
        yield from super().mapping_problems()
        basis = self.config.settings.get("legal_basis")
        if basis is not None and basis not in LEGAL_BASES:
            yield f"legal_basis: write one of {', '.join(sorted(LEGAL_BASES))}"
        if (basis is None) != (self.config.settings.get("legal_basis_explanation") is None):
            yield "legal_basis and legal_basis_explanation go together: set both or neither"

    def list_targets(self, client: HubSpotClient) -> Iterator[runtime.Target]:
        """See ApiConnector."""
        for each in client.definitions:
            reason = "" if each.is_active else "is inactive: map it to an active one"
            yield runtime.Target(each.id, each.name, reason)

    def find_permissions(self, client: HubSpotClient) -> Iterator[runtime.Permission]:
        """See ApiConnector."""
        if client.scopes is not None:
            yield from list_permissions(client.scopes, self.config)

    def find_hints(self, client: HubSpotClient) -> Iterator[str]:
        """See ApiConnector. By which calls changes will be made, and the account's rate limit."""
        if client.scopes is None:
            yield "HubSpot does not report which scopes this key has: the first push will show it"
            try:
                client.read_statuses_batch([runtime.PROBE_ADDRESS])
            except MissingScopeError:
                client.read_statuses(runtime.PROBE_ADDRESS)
                yield _SINGLE_CALLS_HINT
        elif not has_batch_scopes(client.scopes):
            yield _SINGLE_CALLS_HINT
        yield from self._rate_hints(client.rate_limit_headers)

    def _rate_hints(self, headers: Mapping[str, str]) -> Iterator[str]:
        allowed = headers.get("x-hubspot-ratelimit-max", "")
        milliseconds = headers.get("x-hubspot-ratelimit-interval-milliseconds", "")
        if self.config.settings.get(RATE_SETTING) or not (
            allowed.isdecimal() and milliseconds.isdecimal()
        ):
            return
        per_second = int(allowed) * 1000 // max(int(milliseconds), 1)
        usual = self.capabilities.rate_limit
        if usual and per_second > usual.requests / usual.seconds:
            yield f"HubSpot allows more requests: set {RATE_SETTING}='{per_second} per second'"

    def push_batch(self, client: HubSpotClient, batch: runtime.Items) -> runtime.Outcomes:
        """See ApiConnector.

        Lifts go before opt-outs: the effect of resubscribing one type on a contact that has
        opted out of all is not documented, so opt-outs are written last.
        """
        ids = {topic: int(id_) for topic, id_ in self.config.topics.items()}
        whole = [item for item in batch if self.sets_all_mail_switch(item)]
        single = [item for item in batch if not self.sets_all_mail_switch(item)]
        lifts = [StatusChange(i, SUBSCRIBED, ids[t]) for i in batch for t in sorted(i.lift)]
        offs = [StatusChange(i, UNSUBSCRIBED, ids[t]) for i in single for t in sorted(i.off)]
        writer = HubSpotStatusWriter(client, self.config.settings, self._call_mode)
        all_offs = [StatusChange(item, UNSUBSCRIBED) for item in whole]
        return runtime.run_steps(
            batch, [*writer.steps(lifts), *writer.steps(offs), *writer.steps(all_offs)]
        )

    def read_batch(self, client: HubSpotClient, batch: runtime.Items) -> runtime.OffTopics:
        """See ReadableApiConnector."""
        topics = {id_: topic for topic, id_ in self.config.topics.items()}
        found = find_statuses(client, self._call_mode, [item.address for item in batch])
        off = {
            address: frozenset(
                topics[str(status.subscription_id)]
                for status in statuses
                if status.status == UNSUBSCRIBED and str(status.subscription_id) in topics
            )
            if statuses is not None
            else None
            for address, statuses in found.items()
        }
        return {i.ref: off[i.address.casefold()] for i in batch if i.address.casefold() in off}

    def write_field_group(
        self, client: HubSpotClient, field: str, items: runtime.FieldItems
    ) -> runtime.Outcomes:
        """See ContactFieldConnector. The field is a contact property's internal name."""
        return contacts.write_field(client, field, items)

    def erase_contact(self, client: HubSpotClient, item: runtime.EraseItem) -> runtime.PushOutcome:
        """See ErasingConnector."""
        return contacts.erase(client, item.address)

    def holds_contact(self, client: HubSpotClient, item: runtime.EraseItem) -> bool:
        """See ErasingConnector."""
        return contacts.has_contact(client, item.address)

    def scan(self, cursor: str | None) -> runtime.SnapshotPage:
        """See SupportsScan."""
        list_contacts = partial(contacts.list_contacts, link_field=self.config.link_field)
        return self.changes_page(cursor, list_contacts, overlap=contacts.OVERLAP)

    def pull(self, cursor: str | None) -> runtime.EventPage:
        """See SupportsPull. The search finds opted-out contacts, their statuses the times."""
        searches = contacts.opt_out_searches(self.config.topics.values())
        sources = (partial(self._list_events, properties=each) for each in searches)
        return self.changes_page(cursor, *sources, overlap=contacts.OVERLAP)

    def _list_events(
        self,
        client: HubSpotClient,
        since: datetime | None,
        token: str,
        *,
        properties: Sequence[str],
    ) -> tuple[Sequence[runtime.VendorEvent], str]:
        events, token = contacts.list_opt_outs(client, since, token, properties=properties)
        return with_timestamps(client, self._call_mode, events), token

    def find(self, contact_ids: Sequence[str]) -> Mapping[str, str]:
        """See SupportsFind."""
        with self.open_client() as client:
            return contacts.find_addresses(client, contact_ids) if contact_ids else {}


SPEC = runtime.ConnectorSpec.of(
    HubSpot,
    tested_against=runtime.TestedAgainst.DOCUMENTATION,
    tested_version="HubSpot's pages of the API 2026-03, read on 2026-11-27",
    manually_tested="HubSpot's own description of 2026-03, on 27 November 2026",
    secrets={"token"},
    sources=(
        f"{_DOCS_URL}/api-reference/2026-03/communication-preferences/guide",
        f"{_DOCS_URL}/api-reference/2026-03/crm/search-the-crm",
        f"{_DOCS_URL}/apps/developer-platform/build-apps/authentication/account-service-keys",
        f"{_DOCS_URL}/apps/developer-platform/add-features/configure-webhooks",
        f"{_DOCS_URL}/developer-tooling/platform/usage-guidelines",
    ),
    notes=(
        "Map each topic to the number of a subscription type.",
        (
            "Make a service key: private apps can't be made since 26 October 2026; tokens of "
            "older ones work."
        ),
        (
            "Without Marketing Hub Enterprise each address and topic is a request: 100,000 "
            "opt-outs of one topic take three hours at 100 requests in 10 seconds. All apps "
            "together have 250,000 a day in Free and Starter, 650,000 in Professional; the rest "
            "waits for the next day. `flask destinations check` shows which calls are made, and "
            "the rate."
        ),
        (
            "Webhooks need an app made with HubSpot's CLI: under `legacyCrmObjects` of its "
            "webhooks file, subscribe `contact.propertyChange` to `hs_email_optout` and, for "
            "each mapped type, `hs_email_optout_NUMBER`. Without one, opt-outs are pulled every "
            "five minutes."
        ),
    ),
    open_points=(
        (
            "Not documented: the size of a batch (we send 100), how an error names its address, "
            "whether an address without a contact is an error, the effect of lifting one type on "
            "a contact that opted out of all (so lifts go first), and whether "
            "`access-token-info` answers for a service key (if not, `check` tries the batch "
            "reading)."
        ),
        (
            "That an opt-out shows in `hs_email_optout` and `hs_email_optout_ID` follows from "
            "the documentation of properties. They have no date: it is read from the contact's "
            "statuses."
        ),
        (
            "Its description has `sorts` of a search as strings, its pages as objects, which we "
            "send. More than 10,000 contacts changed in one millisecond can't be searched."
        ),
        (
            "`unsubscribe_all` also covers types that no topic maps to: it is used only for a "
            "person who opted out of all marketing and kept no topic."
        ),
        (
            "Its descriptions have no licence: `HUBSPOT_DESCRIPTIONS=folder pytest "
            "tests/integrations/hubspot/test_connector.py` validates every exchange against "
            "`subscriptions.json` and `contacts.json` of 2026-03 there."
        ),
    ),
)
