"""The sentences of an email, whatever it is about."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EmailTexts:
    """The sentences of an email. `button` is the label of the link; empty ones are left out."""

    subject: str
    reason: str
    button: str = ""
    expiry: str = ""
    disclaimer: str = ""
