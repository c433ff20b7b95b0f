"""The ledger stores every opt-out and opt-in; `record` is the only write path of its events."""

from preference_center.ledger.recording import RecordResult, record, record_batched

__all__ = ["RecordResult", "record", "record_batched"]
