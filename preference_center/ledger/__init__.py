"""The ledger: `record` is the one write path for everything a person says."""

from preference_center.ledger.recording import Recorded, record
from preference_center.ledger.together import record_together

__all__ = ["Recorded", "record", "record_together"]
