"""Consent evidence that a sender sends, and queries about one address."""

from __future__ import annotations

from datetime import datetime

from pydantic import AwareDatetime

from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.core.addresses import Address, Channel
from preference_center.ledger.rules import ConsentEvidence, check_policy_shown, clamp_to_now
from preference_center.web.api.bodies import (
    LanguageTag,
    PolicyReference,
    RawAddress,
    ShortText,
    WordingText,
)
from preference_center.web.api.parsing import RequestBody
from preference_center.web.api.problems import FieldErrors


class EvidenceBody(RequestBody):
    """Evidence of a consent."""

    source: ShortText
    wording: WordingText
    language: LanguageTag
    occurred_at: AwareDatetime
    policy: PolicyReference | None = None


class PreferencesQuery(RequestBody):
    """Query the preferences of an address."""

    address: RawAddress
    channel: Channel = Channel.EMAIL
    language: LanguageTag | None = None


class ConsentsQuery(PreferencesQuery):
    """Query the consents of an address."""


def parse_consent_evidence(
    errors: FieldErrors,
    pointer: str,
    body: EvidenceBody,
    now: datetime,
    address: Address | None = None,
) -> ConsentEvidence | None:
    """The evidence of a row; None if it is invalid, with its errors recorded below `pointer`.

    If `address` is given, the evidence must not contain it (I8).
    """
    acted_at = errors.collect(f"{pointer}/occurred_at", clamp_to_now, body.occurred_at, now)
    if acted_at is None:
        return None
    policy = errors.collect(
        f"{pointer}/policy", check_policy_shown, body.policy, current_catalogue_or_empty(), acted_at
    )
    if policy is None:
        return None
    evidence = ConsentEvidence(body.source, body.wording, body.language, acted_at, policy)
    if address and errors.collect(pointer, evidence.to_evidence, address) is None:
        return None
    return evidence
