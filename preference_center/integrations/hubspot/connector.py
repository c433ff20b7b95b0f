"""HubSpot: a topic is a subscription type (communication preferences 2026-03).

https://developers.hubspot.com/docs/api-reference/2026-03/communication-preferences/guide
HubSpot publishes descriptions of its APIs (github.com/HubSpot/
HubSpot-public-api-spec-collection) without a licence, so the one under tests/ is our own;
the connector was compared with HubSpot's by hand. What both leave open is noted in comments.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

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
)
from preference_center.domain.vendor_events import VendorEvent
from preference_center.integrations.base.batching import run_steps
from preference_center.integrations.base.check_report import CheckReport
from preference_center.integrations.base.contract import DeliveryError, DestinationConfig
from preference_center.integrations.base.http import HttpContext, HttpSession
from preference_center.integrations.base.mapping import mapping_problems, validate_batch
from preference_center.integrations.base.spec import RATE_SETTING, ConnectorSpec, TestedAgainst
from preference_center.integrations.hubspot.client import (
    INPUTS_PER_CALL,
    SUBSCRIBED,
    UNSUBSCRIBED,
    HubSpotPreferencesClient,
    MissingScopeError,
    find_scopes,
    open_session,
)
from preference_center.integrations.hubspot.contacts import (
    find_addresses,
    pull_page,
    scan_page,
    write_links,
)
from preference_center.integrations.hubspot.permissions import has_batch_scopes, list_permissions
from preference_center.integrations.hubspot.status_updates import HubSpotStatusWriter, StatusChange
from preference_center.integrations.hubspot.statuses import CallMode, find_statuses, with_timestamps

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
_PROBE_ADDRESS = "preference-center-check@example.com"
_SINGLE_CALLS_HINT = (
    "each address and topic is a request of its own, at most 100 a push: the key lacks the "
    "scopes of the batch calls, which take Marketing Hub Enterprise"
)


class HubSpot:
    """One HubSpot account (portal)."""

    kind: ClassVar[str] = "hubspot"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset(SupportedScope),
        # v3 refused to resubscribe people who had opted out; v4 does it (v3 guide, note on v4).
        can_lift=True,
        # No size is documented for these calls; HubSpot's other batches take 100.
        batch_size=INPUTS_PER_CALL,
        # The limit of Free and Starter; `check` reports the account's own from HubSpot's headers.
        # https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines
        rate_limit=RateLimit(100, 10),
        can_read=True,
        scans=ListingMode.CHANGES,
        pulls=ListingMode.CHANGES,
        can_hold_link=True,
        checks_permissions=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "token": "a service key (Development, Keys, Service keys) or the access token of an app "
        "that is installed in this account only, with the scopes communication_preferences.read "
        "and communication_preferences.write; with Marketing Hub Enterprise also "
        "communication_preferences.statuses.batch.read and .write, by which 100 addresses go in "
        "one request; to read contacts also crm.objects.contacts.read, and "
        "crm.objects.contacts.write to write links",
        "unsubscribe_all?": "yes: an opt-out from all marketing also sets HubSpot's own "
        "unsubscribe-all; only where no service mail goes through this account",
        "legal_basis?": f"one of {', '.join(sorted(LEGAL_BASES))}; accounts with data privacy "
        "on need it",
        "legal_basis_explanation?": "a sentence that explains the legal basis",
        "business_unit?": "id of the brand that unsubscribe-all applies to",
        "base_url?": "another base URL of the API, for tests",
    }

    def __init__(self, config: DestinationConfig, http: HttpContext) -> None:
        self._config = config
        self._http = http
        self._call_mode = CallMode()
        self._subscription_ids = {
            t: int(i) for t, i in config.topics.items() if i.isascii() and i.isdigit()
        }

    def _preferences_client(self, session: HttpSession) -> HubSpotPreferencesClient:
        return HubSpotPreferencesClient(session, self._config.settings.get("business_unit"))

    @property
    def _sets_unsubscribe_all(self) -> bool:
        return self._config.settings.get("unsubscribe_all") == "yes"

    def check(self) -> CheckReport:
        """See Connector. Also reports by which calls changes will be made."""
        problems = [*mapping_problems(self._config, "subscription type"), *self._config_problems()]
        report = CheckReport()
        try:
            with open_session(self._config, self._http) as session:
                report = self._key_report(session)
                found, headers = self._preferences_client(session).list_definitions()
        except DeliveryError as error:
            problem = f"{error}: check the token and its scopes"
            return replace(report, problems=(*problems, problem, *report.problems))
        active = {int(d.id): d.name for d in found if d.is_active and d.id.isdigit()}
        problems += [
            f"topic {topic} is mapped to subscription type {id_}, which is missing or inactive: "
            "map it to an active one"
            for topic, id_ in sorted(self._subscription_ids.items())
            if id_ not in active
        ]
        unmapped = set(active) - set(self._subscription_ids.values())
        return replace(
            report,
            problems=(*problems, *report.problems),
            unmapped_targets=tuple(f"{active[i]} ({i})" for i in sorted(unmapped)),
            hints=(*report.hints, *self._rate_hints(headers)),
        )

    def _key_report(self, session: HttpSession) -> CheckReport:
        """What the key may do, as HubSpot reports it; else whether it may read in batches."""
        held = find_scopes(session, self._config.settings["token"])
        if held is not None:
            report = CheckReport(hints=() if has_batch_scopes(held) else (_SINGLE_CALLS_HINT,))
            return report.with_permissions(list_permissions(held, self._config))
        hints: tuple[str, ...] = (
            "HubSpot does not report which scopes this key has: the first push will show it",
        )
        preferences = self._preferences_client(session)
        try:
            preferences.read_statuses_batch([_PROBE_ADDRESS])
        except MissingScopeError:
            preferences.read_statuses(_PROBE_ADDRESS)
            hints += (_SINGLE_CALLS_HINT,)
        return CheckReport(hints=hints)

    def _rate_hints(self, headers: Mapping[str, str]) -> Iterator[str]:
        allowed = headers.get("x-hubspot-ratelimit-max", "")
        milliseconds = headers.get("x-hubspot-ratelimit-interval-milliseconds", "")
        if self._config.settings.get(RATE_SETTING) or not (
            allowed.isdecimal() and milliseconds.isdecimal()
        ):
            return
        per_second = int(allowed) * 1000 // max(int(milliseconds), 1)
        usual = self.capabilities.rate_limit
        if usual and per_second > usual.requests / usual.seconds:
            yield f"HubSpot allows more requests: set {RATE_SETTING}='{per_second} per second'"

    def _config_problems(self) -> Iterator[str]:
        settings = self._config.settings
        if settings.get("unsubscribe_all", "no") not in {"yes", "no"}:
            yield "unsubscribe_all: write yes or no"
        if self._sets_unsubscribe_all and self._config.sends_service:
            yield (
                "unsubscribe_all would stop the service mail that goes through this account: "
                "remove the setting, so that opt-outs are held by topics alone (I10)"
            )
        basis = settings.get("legal_basis")
        if basis is not None and basis not in LEGAL_BASES:
            yield f"legal_basis: write one of {', '.join(sorted(LEGAL_BASES))}"
        if (basis is None) != (settings.get("legal_basis_explanation") is None):
            yield "legal_basis and legal_basis_explanation go together: set both or neither"

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        """See Connector.

        Lifts go before opt-outs: the effect of resubscribing one type on a contact that has
        opted out of all is not documented, so opt-outs are written last.
        """
        if not batch:
            return {}
        validate_batch(batch, self._config, self.capabilities)
        whole = [item for item in batch if self._may_unsubscribe_all(item)]
        single = [item for item in batch if not self._may_unsubscribe_all(item)]
        lifts = [
            StatusChange(i, self._subscription_ids[t], SUBSCRIBED)
            for i in batch
            for t in sorted(i.lift)
        ]
        offs = [
            StatusChange(i, self._subscription_ids[t], UNSUBSCRIBED)
            for i in single
            for t in sorted(i.off)
        ]
        with open_session(self._config, self._http) as session:
            writer = HubSpotStatusWriter(
                self._preferences_client(session), self._config, self._call_mode
            )
            steps = [
                *writer.status_steps(lifts),
                *writer.status_steps(offs),
                *writer.unsubscribe_all_steps(whole),
            ]
            return run_steps(batch, steps)

    def _may_unsubscribe_all(self, item: PushItem) -> bool:
        """Whether HubSpot's unsubscribe-all stops no more than the person opted out of (I10).

        It is configured, no service mail goes through the account, and no topic stays on.
        """
        return (
            self._sets_unsubscribe_all
            and not self._config.sends_service
            and item.all_off
            and item.off >= self._config.topics.keys()
        )

    def read(self, batch: Sequence[PushItem]) -> Mapping[int, frozenset[str] | None]:
        """See SupportsRead."""
        if not batch:
            return {}
        validate_batch(batch, self._config, self.capabilities)
        topics = {id_: topic for topic, id_ in self._subscription_ids.items()}
        with open_session(self._config, self._http) as session:
            addresses = [item.address for item in batch]
            found = find_statuses(self._preferences_client(session), self._call_mode, addresses)
        off = {
            address: None
            if held is None
            else frozenset(
                topics[status.subscription_id]
                for status in held
                if status.status == UNSUBSCRIBED and status.subscription_id in topics
            )
            for address, held in found.items()
        }
        return {i.ref: off[i.address.casefold()] for i in batch if i.address.casefold() in off}

    def scan(self, cursor: str | None) -> ContactPage[ContactSnapshot]:
        """See SupportsScan."""
        with open_session(self._config, self._http) as session:
            return scan_page(session, cursor, self._http.now(), self._config.link_field)

    def pull(self, cursor: str | None) -> ContactPage[VendorEvent]:
        """See SupportsPull. The search finds opted-out contacts, their statuses the times."""
        with open_session(self._config, self._http) as session:
            page = pull_page(
                session, cursor, self._http.now(), list(self._subscription_ids.values())
            )
            rows = with_timestamps(self._preferences_client(session), self._call_mode, page.rows)
        return replace(page, rows=rows)

    def find(self, contact_ids: Sequence[str]) -> Mapping[str, str]:
        """See SupportsFind."""
        with open_session(self._config, self._http) as session:
            return find_addresses(session, contact_ids) if contact_ids else {}

    def write_links(self, batch: Sequence[LinkItem]) -> Mapping[int, PushOutcome]:
        """See SupportsLinkField. `link_field` is a contact property's internal name."""
        field = self._config.link_field
        if not batch or field is None:
            return {}
        with open_session(self._config, self._http) as session:
            return write_links(session, batch, field)


SPEC = ConnectorSpec(
    kind=HubSpot.kind,
    tested_against=TestedAgainst.DOCUMENTATION,
    tested_version="HubSpot's pages of the API 2026-03, read on 2026-11-27",
    manually_tested="HubSpot's own description of 2026-03, on 27 November 2026",
    capabilities=HubSpot.capabilities,
    own_settings=HubSpot.settings,
    secret_settings=frozenset({"token"}),
    sources=(
        f"{_DOCS_URL}/api-reference/2026-03/communication-preferences/guide",
        f"{_DOCS_URL}/api-reference/2026-03/crm/search-the-crm",
        f"{_DOCS_URL}/apps/developer-platform/build-apps/authentication/account-service-keys",
        f"{_DOCS_URL}/apps/developer-platform/add-features/configure-webhooks",
        f"{_DOCS_URL}/developer-tooling/platform/usage-guidelines",
    ),
    build=HubSpot,
    notes=(
        "Map each topic to the number of a subscription type.",
        (
            "New private apps can't be made since 26 October 2026: make a service key. The token "
            "of an older private app still works."
        ),
        (
            "Without Marketing Hub Enterprise each address and topic is a request of its own: "
            "100,000 opt-outs of one topic take about three hours at 100 requests in 10 seconds. "
            "HubSpot also limits the requests of all apps together in a day: 250,000 in Free and "
            "Starter, 650,000 in Professional. Changes beyond that wait for the next day. "
            "`flask destinations check` shows which calls are made, and the rate HubSpot allows."
        ),
        (
            "A service key has no webhooks: they need an app made with HubSpot's CLI. In the "
            "app's webhooks file, under `legacyCrmObjects`, subscribe `contact.propertyChange` "
            "to `hs_email_optout` and to `hs_email_optout_NUMBER` for each mapped subscription "
            "type. The settings pages of an older app may not list them. Without a webhook, "
            "opt-outs are pulled every five minutes."
        ),
    ),
)
