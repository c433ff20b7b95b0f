"""Bounces: why a mail did not arrive, and what the company's policy does about it.

`classify_bounce` compares a bounce's text with its code (RULES F11); `evaluate_bounce` applies
the policy that the catalogue declares in `[deliverability]` (RULES F10 is the default). Both
are pure. `preference_center.bounces` stores the bounces that are counted.
"""

from preference_center.core.bounce_phrases import BounceCause
from preference_center.core.classification import BounceClassification, classify_bounce
from preference_center.core.policy import (
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
