"""Mail that did not arrive: what a report really says, and what the company makes of it.

`classify` weighs a bounce's text against its code (RULES F11); `judge` applies the policy
that the catalogue declares in `[deliverability]` (RULES F10 is the default). Both are pure.
What is counted between two bounces is kept by `preference_center.bounces`.
"""

from preference_center.domain.bounces.classification import BounceClassification, classify_bounce
from preference_center.domain.bounces.diagnostic_phrases import BounceCause
from preference_center.domain.bounces.policy import (
    AT_ONCE,
    DEFAULT_THRESHOLDS,
    NEVER,
    BounceAction,
    BounceActionKind,
    BounceThreshold,
    ComplaintStops,
    DeliverabilityPolicy,
    complaint_scope,
    evaluate_bounce,
)

__all__ = [
    "AT_ONCE",
    "DEFAULT_THRESHOLDS",
    "NEVER",
    "BounceAction",
    "BounceActionKind",
    "BounceCause",
    "BounceClassification",
    "BounceThreshold",
    "ComplaintStops",
    "DeliverabilityPolicy",
    "classify_bounce",
    "complaint_scope",
    "evaluate_bounce",
]
