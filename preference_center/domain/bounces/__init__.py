"""Mail that did not arrive: what a report really says, and what the company makes of it.

`classify` weighs a bounce's text against its code (RULES F11); `judge` applies the policy
that the catalogue declares in `[deliverability]` (RULES F10 is the default). Both are pure.
What is counted between two bounces is kept by `preference_center.bounces`.
"""

from preference_center.domain.bounces.classification import Reading, classify
from preference_center.domain.bounces.diagnostic_phrases import Cause
from preference_center.domain.bounces.policy import (
    AT_ONCE,
    DEFAULT_THRESHOLDS,
    NEVER,
    ComplaintStops,
    Policy,
    Ruling,
    Threshold,
    Verdict,
    complaint_scope,
    judge,
)

__all__ = [
    "AT_ONCE",
    "DEFAULT_THRESHOLDS",
    "NEVER",
    "Cause",
    "ComplaintStops",
    "Policy",
    "Reading",
    "Ruling",
    "Threshold",
    "Verdict",
    "classify",
    "complaint_scope",
    "judge",
]
