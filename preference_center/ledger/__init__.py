"""The ledger. `record` is the only write path of events."""

from preference_center.ledger.recording import RecordResult, record, record_batched

__all__ = ["RecordResult", "record", "record_batched"]
