"""What the last email to an erased person says (I6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from flask_babel import gettext as _

from preference_center.infra.outbox import EmailKind, OutgoingEmail
from preference_center.rights.rules.model import Extent
from preference_center.web.emails import EmailTexts, TextsOfEmail


def _erased(email: OutgoingEmail, sender_name: str) -> EmailTexts:
    """What went, what stays, and that it is the last."""
    return EmailTexts(
        subject=_("%(name)s has deleted your data", name=sender_name),
        reason=_what_went(Extent(email.values["extent"]), sender_name),
        expiry=_(
            "The systems that send our messages have to delete it too. We keep only a mark that"
            " stops messages to you; nobody can read your address from it."
        ),
        disclaimer=_(
            "This is our last message about it. If this was not you, please write to us at once."
        ),
    )


def _what_went(extent: Extent, sender_name: str) -> str:
    match extent:
        case Extent.MARKETING:
            text: str = _(
                "%(name)s has deleted what was stored about the messages that you chose to receive"
                " at this address, and about their history. No marketing is sent to you any more.",
                name=sender_name,
            )
        case Extent.ACCOUNT:
            text = _(
                "%(name)s has deleted your account and what was stored about you with this"
                " address. Nothing is sent to you any more but what the law requires.",
                name=sender_name,
            )
        case _:
            assert_never(extent)
    return text


ERASURE_TEXTS: Mapping[EmailKind, TextsOfEmail] = {EmailKind.ERASED: _erased}
