"""What integrations that receive text messages share."""

from __future__ import annotations

from preference_center.integrations.base.vendor_events import TextMessage
from preference_center.integrations.base.webhook_mail import compose_mail

HELP_TEXT_SETTING = "help_text"
"""Name of the setting with the reply to HELP."""
NUMBER_SETTING = "number"
"""Name of the setting with the number that pages tell people to text START to."""


def to_mail(message: TextMessage) -> bytes:
    """The message in the form of a mail, for the review queue."""
    numbers = [("X-From", message.sender), *(("X-To", each) for each in sorted(message.recipients))]
    return compose_mail([("Subject", "SMS"), *numbers], message.body)
