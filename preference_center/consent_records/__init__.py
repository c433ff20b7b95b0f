"""A person's consents in an open form: the fields of ISO/IEC TS 27560:2023 (docs/policies.md)."""

from preference_center.consent_records.build import build_consent_records
from preference_center.consent_records.models import ConsentRecords

__all__ = ["ConsentRecords", "build_consent_records"]
