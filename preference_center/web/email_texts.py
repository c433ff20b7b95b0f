"""The sentences of an email, whatever it is about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from preference_center.infra.outbox import OutgoingEmail


@dataclass(frozen=True, slots=True)
class EmailTexts:
    """The sentences of an email. `button` is the label of the link; empty ones are left out."""

    subject: str
    reason: str
    button: str = ""
    expiry: str = ""
    disclaimer: str = ""


TextsOfEmail = Callable[[OutgoingEmail, str], EmailTexts]
"""The sentences of one kind of email, in the current language, given the name of its sender."""
