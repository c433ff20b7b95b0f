"""Events, suppressions and consents: `record` is the only write path."""

from preference_center.ledger.recording import RecordResult, record, record_batched

__all__ = ["RecordResult", "record", "record_batched"]
