"""django-anymail: ask before each message, whichever provider sends it.

    # in an AppConfig
    def ready(self):
        from preference_center_client import anymail
        anymail.connect()

Label messages and write the settings as for `preference_center_client.django`.
"""

from __future__ import annotations

from typing import Any

from anymail.exceptions import AnymailCancelSend
from anymail.signals import pre_send
from django.core.mail import EmailMessage

from preference_center_client.django import prepare
from preference_center_client.errors import Unavailable
from preference_center_client.sending import Action

_DISPATCH_ID = "preference_center_client.anymail"


def connect() -> None:
    """Have every message checked. Repeating it is harmless."""
    pre_send.connect(check_before_send, dispatch_uid=_DISPATCH_ID)


def check_before_send(sender: object, message: EmailMessage, **_: Any) -> None:  # noqa: ARG001 - by name
    """Leave out recipients that may not be sent the message.

    Raises AnymailCancelSend if none is left, which Anymail takes as "not sent", and Unavailable if
    it is unknown and the message has to wait.
    """
    actions = prepare(message)
    if Action.WAIT in actions:
        raise Unavailable("it is unknown whether this marketing may be sent: send it again later")
    if actions and Action.SEND not in actions:
        raise AnymailCancelSend("no recipient may be sent this")
