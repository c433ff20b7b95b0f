"""Django: an email backend that asks before marketing is sent, and adds the unsubscribe headers.

    # settings.py
    EMAIL_BACKEND = "preference_center_client.django.EmailBackend"  # SMTP
    PREFERENCE_CENTER = {
        "URL": "https://preferences.example.com",
        "KEY": os.environ["PREFERENCE_CENTER_KEY"],
        "LINK_KEY": os.environ["PREFERENCE_CENTER_LINK_KEY"],  # for the headers; optional
        "MESSAGE_TYPES": {  # as in the catalogue: its topic, or None for service mail
            "newsletter.monthly": "acme.news",
            "password_reset": None,
        },
        "WHEN_UNKNOWN": "wait",  # or "drop"
        "TIMEOUT": 5,  # seconds that a mail waits for a decision; optional
    }

    # a mail
    mail = EmailMultiAlternatives("This month", text, to=[address])
    mail.message_type = "newsletter.monthly"
    mail.send()

A mail without `message_type` is service mail that nobody is asked about: Django's own password
resets have none. One that has a List-Unsubscribe header all the same is marketing that nobody
labelled, and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parseaddr
from functools import cache
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend as SmtpBackend

from preference_center_client.client import Client
from preference_center_client.connection import READ_LIMITS, TimeLimits
from preference_center_client.errors import Rejected, Unavailable
from preference_center_client.links import LinkMinter, MintedLinks
from preference_center_client.sending import Action, Sending

LINE_LENGTH = 998
"""RFC 5322 2.1.1. Django 5 would fold a long link, 6 encode it, which mail programs ignore."""

REQUIRED = ("URL", "KEY", "MESSAGE_TYPES")


@dataclass(frozen=True, slots=True)
class Configuration:
    """What `settings.PREFERENCE_CENTER` says."""

    sending: Sending
    topics: Mapping[str, str | None]
    minter: LinkMinter | None


@cache
def configuration() -> Configuration:
    """Of this process. Raises ImproperlyConfigured. `configuration.cache_clear()` is for tests."""
    given: Mapping[str, Any] = getattr(settings, "PREFERENCE_CENTER", {})
    missing = [name for name in REQUIRED if name not in given]
    if missing:
        raise ImproperlyConfigured(f"PREFERENCE_CENTER has no {' and no '.join(missing)}")
    try:
        seconds = float(given.get("TIMEOUT", READ_LIMITS.call))
        limits = TimeLimits(min(READ_LIMITS.attempt, seconds), seconds)
        client = Client(given["URL"], given["KEY"], read=limits)
        topics = dict(given["MESSAGE_TYPES"])
        sending = Sending(
            client,
            service_types=[name for name, topic in topics.items() if topic is None],
            when_unknown=given.get("WHEN_UNKNOWN", "wait"),
        )
        link_key = given.get("LINK_KEY")
        return Configuration(sending, topics, LinkMinter(link_key) if link_key else None)
    except ValueError as error:
        raise ImproperlyConfigured(f"PREFERENCE_CENTER: {error}") from None


class PreferenceCenterMixin:
    """For any email backend, before it: `class Backend(PreferenceCenterMixin, OtherBackend)`.

    Recipients that may not be sent a message are left out of it, and a message without any is
    not sent. While the service is down, service mail is sent; then Unavailable is raised for the
    marketing that waits (unless `fail_silently`), so that the task is run again: send marketing
    one message per task. A message that the service rejects, or that is not labelled as
    MESSAGE_TYPES says, raises its error after the others were sent.
    """

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Send what may be sent; returns how many messages were."""
        waiting, ready = 0, []
        failures: list[ImproperlyConfigured | Rejected] = []
        for message in email_messages:
            try:
                actions = prepare(message)
            except (ImproperlyConfigured, Rejected) as error:
                failures.append(error)
                continue
            waiting += Action.WAIT in actions
            if Action.WAIT not in actions and (not actions or Action.SEND in actions):
                ready.append(message)
        sent: int = (super().send_messages(ready) or 0) if ready else 0  # type: ignore[misc]
        if failures:
            raise failures[0]
        if waiting and not getattr(self, "fail_silently", False):  # deprecated in Django 6.1
            raise Unavailable(
                f"marketing was not sent ({waiting} of {len(email_messages)} messages), since it is"
                " unknown whether it may be: send it again later"
            )
        return sent


class EmailBackend(PreferenceCenterMixin, SmtpBackend):  # type: ignore[misc]
    """Django's SMTP backend that asks first."""


def prepare(message: EmailMessage) -> list[Action]:
    """Ask for each recipient, leave out who may not be sent it, and add the headers.

    Returns the action of each recipient, none for a mail without a type. Changes nothing if any
    of them has to wait. Raises ImproperlyConfigured for an unknown type, or a marketing mail
    without one.
    """
    found = configuration()
    message_type = getattr(message, "message_type", None)
    if message_type is None:
        if any(name.lower() == "list-unsubscribe" for name in message.extra_headers):
            raise ImproperlyConfigured(
                "a mail with List-Unsubscribe is marketing: set its message_type"
            )
        return []
    if message_type not in found.topics:
        raise ImproperlyConfigured(f"MESSAGE_TYPES has no {message_type!r}")
    topic = found.topics[message_type]
    recipients = message.recipients()
    actions = found.sending.actions(message_type, [bare_address(each) for each in recipients])
    if Action.WAIT in actions:
        return actions
    allowed = {
        each for each, action in zip(recipients, actions, strict=True) if action is Action.SEND
    }
    for field in ("to", "cc", "bcc"):
        setattr(message, field, [each for each in getattr(message, field) if each in allowed])
    if found.minter and topic and len(allowed) == 1:
        _add_links(message, found.minter, topic, bare_address(*allowed))
    return actions


def links(message_type: str, address: str) -> MintedLinks:
    """The unsubscribe link and the preference link for the text of a mail, made offline.

    Raises ImproperlyConfigured for a message type without a topic, or without LINK_KEY.
    """
    found = configuration()
    topic = found.topics.get(message_type)
    if found.minter is None or topic is None:
        raise ImproperlyConfigured(
            f"PREFERENCE_CENTER has no topic of {message_type!r} in MESSAGE_TYPES, or no LINK_KEY"
        )
    return found.minter.mint(bare_address(address), topic, str(uuid4()))


def bare_address(text: str) -> str:
    """The address without a display name around it."""
    return parseaddr(text)[1] or text


def _add_links(message: EmailMessage, minter: LinkMinter, topic: str, address: str) -> None:
    """Set both headers, on one line each. A mail to several people can't have one link for all."""
    minted = minter.mint(address, topic, getattr(message, "message_id", "") or str(uuid4()))
    message.extra_headers.update(minted.headers)
    build = message.message

    def unfolded(**how: Any) -> Any:
        built = build(**how)
        built.policy = built.policy.clone(max_line_length=LINE_LENGTH)
        return built

    message.message = unfolded
