"""The ledger: `record` is the one write path for everything a person says."""

from preference_center.ledger.batching import record_batched
from preference_center.ledger.recording import RecordResult, record

__all__ = ["RecordResult", "record", "record_batched"]
