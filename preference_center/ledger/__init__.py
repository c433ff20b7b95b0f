"""The ledger: `record` is the one write path for everything a person says."""

from preference_center.ledger.batching import record_together
from preference_center.ledger.recording import Recorded, record

__all__ = ["Recorded", "record", "record_together"]
