"""HubSpot: a topic is a subscription type (communication preferences v4, batch).

https://developers.hubspot.com/docs/api-reference/legacy/communication-preferences/guide
The batch calls need a Marketing Hub Enterprise account. HubSpot publishes no description
of this API to test against; what its documentation leaves open is noted where it matters.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from preference_center.domain.addresses import Channel
from preference_center.domain.news import News
from workers.connectors.base import (
    Capabilities,
    DeliveryError,
    Item,
    LinkItem,
    Listing,
    Outcome,
    Page,
    Rate,
    Report,
    Result,
    Scopes,
    Seen,
    Setup,
)
from workers.connectors.entry import Entry, Proof
from workers.connectors.http import Http, Session
from workers.connectors.hubspot_answers import (
    DEFINITIONS,
    SUBSCRIBERS,
    WRITTEN,
    Fault,
    Subscriber,
    Subscribers,
    Written,
)
from workers.connectors.hubspot_contacts import find, pull_page, scan_page, write_links
from workers.connectors.mapping import ensure_fits, mapping_problems
from workers.connectors.steps import Step, carry_out, send_halving, worse

INPUTS_PER_CALL = 100
OFF, ON = "UNSUBSCRIBED", "SUBSCRIBED"
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
_DOCS = "https://developers.hubspot.com/docs/api-reference/legacy/communication-preferences"
_ROOT = "/communication-preferences/v4"
_PROBE = "preference-center-check@example.com"


@dataclass(frozen=True, slots=True)
class _Input:
    item: Item
    subscription: int
    state: str


class HubSpot:
    """One HubSpot account (portal)."""

    kind: ClassVar[str] = "hubspot"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset(Scopes),
        # v3 refused to resubscribe who had opted out; v4 does it (v3 guide, note on v4).
        can_lift=True,
        # No size is documented for these calls; 100 is that of HubSpot's other batches.
        batch_size=100,
        # https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines
        rate=Rate(190, 10),
        can_read=True,
        scans=Listing.CHANGES,
        pulls=Listing.CHANGES,
        can_hold_link=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "token": "access token of a private app with the scopes subscriptions-definition-read, "
        "subscription-status-batch-read and subscription-status-batch-write; to read contacts also "
        "crm.objects.contacts.read, and crm.objects.contacts.write to write links",
        "unsubscribe_all?": "yes: a no to all marketing also sets HubSpot's own unsubscribe-all; "
        "only where no service mail goes through this account",
        "legal_basis?": f"one of {', '.join(sorted(LEGAL_BASES))}; accounts with data privacy "
        "on need it",
        "legal_basis_explanation?": "a sentence to go with the legal basis",
        "business_unit?": "id of the brand that unsubscribe-all is meant for",
        "base_url?": "another address of the API, for tests",
    }

    def __init__(self, setup: Setup, http: Http) -> None:
        self._setup = setup
        self._http = http
        self._ids = {t: int(i) for t, i in setup.topics.items() if i.isascii() and i.isdigit()}

    def _session(self) -> Session:
        settings = self._setup.settings
        return self._http.session(
            self._setup.name,
            settings.get("base_url", "https://api.hubapi.com"),
            headers={"Authorization": f"Bearer {settings['token']}"},
        )

    @property
    def _query(self) -> dict[str, str]:
        unit = self._setup.settings.get("business_unit")
        return {"channel": "EMAIL"} | ({"businessUnitId": unit} if unit else {})

    @property
    def _sets_all(self) -> bool:
        return self._setup.settings.get("unsubscribe_all") == "yes"

    def check(self) -> Report:
        """See Connector. Reads one made-up address to try the batch right."""
        problems = [*mapping_problems(self._setup, "subscription type"), *self._setting_problems()]
        try:
            with self._session() as session:
                found = session.send("GET", f"{_ROOT}/definitions").parse(DEFINITIONS).results
                self._statuses(session, [_PROBE])
        except DeliveryError as error:
            return Report(
                (
                    *problems,
                    f"{error}: check the token, its scopes, and that the account is "  # noqa: ISC004
                    "Marketing Hub Enterprise, which the batch calls need",
                )
            )
        active = {int(d.id): d.name for d in found if d.is_active and d.id.isdigit()}
        problems += [
            f"topic {topic} is mapped to subscription type {id_}, which is missing or inactive: "
            "map it to an active one"
            for topic, id_ in sorted(self._ids.items())
            if id_ not in active
        ]
        unmapped = set(active) - set(self._ids.values())
        return Report(tuple(problems), tuple(f"{active[i]} ({i})" for i in sorted(unmapped)))

    def _setting_problems(self) -> Iterator[str]:
        settings = self._setup.settings
        if settings.get("unsubscribe_all", "no") not in {"yes", "no"}:
            yield "unsubscribe_all: write yes or no"
        if self._sets_all and self._setup.sends_service:
            yield (
                "unsubscribe_all would stop the service mail that goes through this account: "
                "take the setting away, topics alone hold the no (I10)"
            )
        basis = settings.get("legal_basis")
        if basis is not None and basis not in LEGAL_BASES:
            yield f"legal_basis: write one of {', '.join(sorted(LEGAL_BASES))}"
        if (basis is None) != (settings.get("legal_basis_explanation") is None):
            yield "legal_basis and legal_basis_explanation go together: set both or neither"

    def push(self, batch: Sequence[Item]) -> Mapping[int, Outcome]:
        """See Connector.

        Lifts go before opt-outs: what resubscribing one type does to a contact that had
        opted out of all is not documented, so the opt-outs have the last word.
        """
        if not batch:
            return {}
        ensure_fits(batch, self._setup, self.capabilities)
        whole = [item for item in batch if self._is_all(item)]
        single = [item for item in batch if not self._is_all(item)]
        lifts = [_Input(i, self._ids[t], ON) for i in batch for t in sorted(i.lift)]
        offs = [_Input(i, self._ids[t], OFF) for i in single for t in sorted(i.off)]
        with self._session() as session:
            steps = [*self._writes(session, lifts), *self._writes(session, offs)]
            if whole:
                refs = tuple(item.ref for item in whole)
                steps.append(Step(refs, lambda: self._unsubscribe_all(session, whole)))
            return carry_out(batch, steps)

    def _is_all(self, item: Item) -> bool:
        """Whether HubSpot's unsubscribe-all says no more than the person did (I10).

        Asked for in the set-up, no service mail, and no topic that the person kept.
        """
        return (
            self._sets_all
            and not self._setup.sends_service
            and item.all_off
            and item.off >= self._setup.topics.keys()
        )

    def read(self, batch: Sequence[Item]) -> Mapping[int, frozenset[str] | None]:
        """See Readable."""
        if not batch:
            return {}
        ensure_fits(batch, self._setup, self.capabilities)
        topics = {id_: topic for topic, id_ in self._ids.items()}
        with self._session() as session:
            found = self._statuses(session, [item.address for item in batch])
        off = {
            s.subscriber_id_string.casefold(): frozenset(
                topics[status.subscription_id]
                for status in s.statuses
                if status.status == OFF and status.subscription_id in topics
            )
            for s in found
        }
        return {item.ref: off.get(item.address.casefold()) for item in batch}

    def scan(self, cursor: str | None) -> Page[Seen]:
        """See Scannable."""
        with self._session() as session:
            return scan_page(session, cursor, self._http.now(), self._setup.link_field)

    def pull(self, cursor: str | None) -> Page[News]:
        """See Pullable."""
        with self._session() as session:
            return pull_page(session, cursor, self._http.now(), list(self._ids.values()))

    def find(self, contacts: Sequence[str]) -> Mapping[str, str]:
        """See Findable."""
        with self._session() as session:
            return find(session, contacts) if contacts else {}

    def write_links(self, batch: Sequence[LinkItem]) -> Mapping[int, Outcome]:
        """See Fieldable: `link_field` is a contact property's internal name."""
        field = self._setup.link_field
        if not batch or field is None:
            return {}
        with self._session() as session:
            return write_links(session, batch, field)

    def _statuses(self, session: Session, addresses: Sequence[str]) -> list[Subscriber]:
        answer = session.send(
            "POST",
            f"{_ROOT}/statuses/batch/read",
            query={"channel": "EMAIL"},
            body={"inputs": list(addresses)},
        )
        return answer.parse(SUBSCRIBERS).results

    def _writes(self, session: Session, inputs: Sequence[_Input]) -> list[Step]:
        steps = []
        for start in range(0, len(inputs), INPUTS_PER_CALL):
            part = inputs[start : start + INPUTS_PER_CALL]
            refs = tuple(dict.fromkeys(i.item.ref for i in part))
            steps.append(Step(refs, partial(self._write, session, part)))
        return steps

    def _write(self, session: Session, inputs: Sequence[_Input]) -> Mapping[int, Outcome]:
        def send(part: Sequence[_Input]) -> Written:
            body = {"inputs": [self._as_json(i) for i in part]}
            return session.send("POST", f"{_ROOT}/statuses/batch/write", body=body).parse(WRITTEN)

        verdicts = dict.fromkeys(inputs, Outcome(Result.REFUSED, "400"))
        for part, written in send_halving(inputs, send):
            held = {
                (s.subscriber_id_string.casefold(), s.subscription_id, s.status): s
                for s in written.results
            }
            for i in part:
                status = held.get((i.item.address.casefold(), i.subscription, i.state))
                verdicts[i] = (
                    Outcome(Result.REFLECTED, status.set_status_success_reason or status.status)
                    if status
                    else _explain(i.item.address, written.errors)
                )
        return _worst(verdicts)

    def _as_json(self, i: _Input) -> dict[str, Any]:
        body: dict[str, Any] = {
            "channel": "EMAIL",
            "statusState": i.state,
            "subscriberIdString": i.item.address,
            "subscriptionId": i.subscription,
        }
        if basis := self._setup.settings.get("legal_basis"):
            body["legalBasis"] = basis
            body["legalBasisExplanation"] = self._setup.settings["legal_basis_explanation"]
        return body

    def _unsubscribe_all(self, session: Session, items: Sequence[Item]) -> Mapping[int, Outcome]:
        def send(part: Sequence[Item]) -> Subscribers:
            return session.send(
                "POST",
                f"{_ROOT}/statuses/batch/unsubscribe-all",
                query=self._query | {"verbose": "true"},
                body={"inputs": [item.address for item in part]},
            ).parse(SUBSCRIBERS)

        outcomes = {item.ref: Outcome(Result.REFUSED, "400") for item in items}
        for part, answer in send_halving(items, send):
            held = {s.subscriber_id_string.casefold() for s in answer.results}
            for item in part:
                outcomes[item.ref] = (
                    Outcome(Result.REFLECTED, "unsubscribe-all")
                    if item.address.casefold() in held
                    else _explain(item.address, answer.errors)
                )
        return outcomes


def _explain(address: str, faults: Sequence[Fault]) -> Outcome:
    """Why an address is missing from the results, by the error that names it.

    The documentation doesn't say how an error names its input, so any value will do; one
    that no error names is tried again.
    """
    for fault in faults:
        if f'"{address.casefold()}"' in json.dumps(fault.context, ensure_ascii=False).casefold():
            result = {"OBJECT_NOT_FOUND": Result.ABSENT, "VALIDATION_ERROR": Result.REFUSED}
            return Outcome(result.get(fault.category, Result.LATER), fault.category)
    return Outcome(Result.LATER, "not acknowledged")


def _worst(verdicts: Mapping[_Input, Outcome]) -> Mapping[int, Outcome]:
    """One outcome per item; see steps.carry_out for the order."""
    outcomes: dict[int, Outcome] = {}
    for i, outcome in verdicts.items():
        ref = i.item.ref
        outcomes[ref] = worse(outcomes[ref], outcome) if ref in outcomes else outcome
    return outcomes


ENTRY = Entry(
    kind=HubSpot.kind,
    title="HubSpot",
    proof=Proof.DOCUMENTATION,
    capabilities=HubSpot.capabilities,
    own_settings=HubSpot.settings,
    secrets=frozenset({"token"}),
    sources=(f"{_DOCS}/guide", f"{_DOCS}/status/batch/update-subscription-status-batch"),
    build=HubSpot,
)
