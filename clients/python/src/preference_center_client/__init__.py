"""Client of the preference center: may this message be sent, and record who said stop."""

from preference_center_client.async_client import AsyncClient
from preference_center_client.client import Client
from preference_center_client.connection import TimeLimits
from preference_center_client.errors import (
    Conflict,
    FieldError,
    InvalidRequest,
    NotPermitted,
    PreferenceCenterError,
    Rejected,
    StaleWatermark,
    Unauthenticated,
    Unavailable,
)
from preference_center_client.models import (
    ChangesPage,
    Consent,
    ContactResult,
    Decision,
    Evidence,
    LinkRequest,
    MessageLinks,
    OptOut,
    WriteResult,
)
from preference_center_client.retries import NO_RETRIES, RetryPolicy
from preference_center_client.sending import Action, AsyncSending, Sending

__all__ = [
    "NO_RETRIES",
    "Action",
    "AsyncClient",
    "AsyncSending",
    "ChangesPage",
    "Client",
    "Conflict",
    "Consent",
    "ContactResult",
    "Decision",
    "Evidence",
    "FieldError",
    "InvalidRequest",
    "LinkRequest",
    "MessageLinks",
    "NotPermitted",
    "OptOut",
    "PreferenceCenterError",
    "Rejected",
    "RetryPolicy",
    "Sending",
    "StaleWatermark",
    "TimeLimits",
    "Unauthenticated",
    "Unavailable",
    "WriteResult",
]
