"""A person's consents in an open form: the fields of ISO/IEC TS 27560:2023 (docs/policies.md)."""
