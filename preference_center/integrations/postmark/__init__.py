"""This package connects Postmark, and its presets read suppressions of a message stream.

The files are CSV, or the API's dump.
https://postmarkapp.com/developer/api/suppressions-api names EmailAddress, Origin, CreatedAt
and SuppressionReason, one of HardBounce, SpamComplaint and ManualSuppression: the last is
an unsubscribe, whether by the recipient or entered by the company.
"""

from __future__ import annotations

from preference_center.integrations.base.integration import Integration
from preference_center.integrations.base.presets import (
    CellCondition,
    ImportPreset,
    bounce,
    complaint,
    opt_out,
)

INTEGRATION = Integration.of_package(
    __name__, "Postmark", webhook="PostmarkWebhookSource", has_presets=True
)


_REASON = ("SuppressionReason", "Reason", "Suppression Reason")


_CREATED = ("CreatedAt", "Created At", "Date", "Suppressed At")


PRESETS = (
    ImportPreset(
        name="postmark-suppressions",
        title="Postmark: suppressions of a message stream",
        docs_url="https://postmarkapp.com/developer/api/suppressions-api",
        address_columns=("EmailAddress", "Email", "Recipient"),
        meanings=(
            opt_out(
                default_group="message stream",
                group_columns=("MessageStream",),
                date_columns=_CREATED,
                conditions=(CellCondition(_REASON, ("manual", "unsub")),),
            ),
            bounce(
                date_columns=_CREATED,
                conditions=(CellCondition(_REASON, ("hardbounce", "hard bounce")),),
            ),
            complaint(
                default_group="spam complaints",
                date_columns=_CREATED,
                conditions=(CellCondition(_REASON, ("spam",)),),
            ),
        ),
        required_columns=(_REASON,),
        is_strict=True,
        json_rows_path="Suppressions.item",
    ),
)
