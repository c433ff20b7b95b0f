"""This package connects Klaviyo, and its presets read Klaviyo's exports.

Klaviyo publishes the values of consent and the reasons of suppressions, not the columns of its CSV
files: these are the ones that exports of profiles have. Every consent but SUBSCRIBED and
NEVER_SUBSCRIBED, and every reason, is a group: what it means is asked for. A suppressed profile
gets no marketing even if it is subscribed, so it is no subscription.
"""

from __future__ import annotations

from preference_center.integrations.base.integration import Integration
from preference_center.integrations.base.presets import (
    CellCondition,
    ColumnMeaning,
    ImportPreset,
    bounce,
    opt_out,
    subscription,
)

INTEGRATION = Integration.of_package(
    __name__, "Klaviyo", webhook="KlaviyoWebhookSource", has_presets=True
)


_EXPORTS = "https://help.klaviyo.com/hc/en-us/articles/115005078687"


_SUPPRESSED = "https://help.klaviyo.com/hc/en-us/articles/115005246108"


_EMAIL, _SUPPRESSIONS = ("Email", "Email Address"), ("Email Suppressions",)


_REASON = ("Reason", "Suppression Reason", *_SUPPRESSIONS)


_SUPPRESSED_AT = ("Suppressed At", "Date Suppressed", "Suppression Date", "Timestamp", "Date")


_HARD_BOUNCES = ("hard", "bounced", "invalid")


def _consent_meanings(channel: str, *, suppressions: bool) -> tuple[ColumnMeaning, ...]:
    consent, dated = (f"{channel} Marketing Consent",), (f"{channel} Marketing Consent Timestamp",)
    free = (CellCondition(_SUPPRESSIONS, negated=True),) if suppressions else ()
    return (
        opt_out(
            default_group="unsubscribed",
            group_columns=consent,
            date_columns=dated,
            conditions=(
                CellCondition(consent),
                CellCondition(consent, ("subscribed", "never"), negated=True),
            ),
        ),
        subscription(
            default_group="profiles",
            date_columns=dated,
            conditions=(CellCondition(consent, ("subscribed",)), *free),
        ),
    )


PRESETS = (
    ImportPreset(
        name="klaviyo-profiles",
        title="Klaviyo: profiles of a list or segment, with their email consent and suppressions",
        docs_url=_EXPORTS,
        address_columns=_EMAIL,
        meanings=(
            *_consent_meanings("Email", suppressions=True),
            opt_out(
                default_group="suppressed",
                group_columns=_SUPPRESSIONS,
                group_separator=",",
                conditions=(
                    CellCondition(_SUPPRESSIONS),
                    CellCondition(_SUPPRESSIONS, ("[]",), negated=True),
                ),
            ),
        ),
        required_columns=(("Email Marketing Consent",),),
    ),
    ImportPreset(
        name="klaviyo-sms",
        title="Klaviyo: the same file, with the SMS consent of its phone numbers (--channel sms)",
        docs_url=_EXPORTS,
        address_columns=("Phone Number", "Phone"),
        meanings=_consent_meanings("SMS", suppressions=False),
        required_columns=(("SMS Marketing Consent",),),
    ),
    ImportPreset(
        name="klaviyo-suppressed",
        title="Klaviyo: the export of suppressed profiles",
        docs_url=_SUPPRESSED,
        address_columns=_EMAIL,
        meanings=(
            bounce(
                date_columns=_SUPPRESSED_AT, conditions=(CellCondition(_REASON, _HARD_BOUNCES),)
            ),
            opt_out(
                default_group="suppressed",
                group_columns=_REASON,
                date_columns=_SUPPRESSED_AT,
                conditions=(CellCondition(_REASON, _HARD_BOUNCES, negated=True),),
            ),
        ),
        excluded_columns={"Email Marketing Consent": "klaviyo-profiles"},
    ),
)
