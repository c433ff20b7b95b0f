"""Postmark: the suppressions of one message stream, as CSV or as the API's dump.

https://postmarkapp.com/developer/api/suppressions-api names EmailAddress, Origin, CreatedAt
and SuppressionReason, one of HardBounce, SpamComplaint and ManualSuppression: the last is
an unsubscribe, whether by the recipient or entered by the company.
"""

from __future__ import annotations

from preference_center.domain.imports.presets import Meaning, Preset, Says, When

_REASON = ("SuppressionReason", "Reason", "Suppression Reason")
_AT = ("CreatedAt", "Created At", "Date", "Suppressed At")

PRESETS = (
    Preset(
        name="postmark-suppressions",
        title="Postmark: suppressions of a message stream",
        page="https://postmarkapp.com/developer/api/suppressions-api",
        address=("EmailAddress", "Email", "Recipient"),
        says=(
            Says(
                Meaning.OPT_OUT,
                group="message stream",
                at=_AT,
                when=(When(_REASON, ("manual", "unsub")),),
            ),
            Says(Meaning.BOUNCE, at=_AT, when=(When(_REASON, ("hardbounce", "hard bounce")),)),
            Says(
                Meaning.COMPLAINT,
                group="spam complaints",
                at=_AT,
                when=(When(_REASON, ("spam",)),),
            ),
        ),
        needs=(_REASON,),
        json_list="Suppressions.item",
    ),
)
