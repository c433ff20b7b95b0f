"""What arrives from outside: opt-outs by mail and text message, and webhooks of connected tools."""

from __future__ import annotations

from preference_center.inbound.ingest_mail import ingest_received_mail
from preference_center.inbound.spooled_mail import SPOOLED_MAIL, record_spooled

__all__ = ["SPOOLED_MAIL", "ingest_received_mail", "record_spooled"]
