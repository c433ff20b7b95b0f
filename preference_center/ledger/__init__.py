"""The ledger. `record` is the only write path of events."""

from preference_center.ledger.batching import record_batched
from preference_center.ledger.recording import RecordResult, record

__all__ = ["RecordResult", "record", "record_batched"]
