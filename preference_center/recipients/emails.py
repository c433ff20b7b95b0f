"""What emails say that carry a link somebody has just asked for."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import gettext as _

from preference_center.infra.outbox import EmailKind, OutgoingEmail
from preference_center.rights.person_words import act_title
from preference_center.web.emails import (
    EmailTexts,
    TextsOfEmail,
    ignore_if_not_you,
    valid_until,
    works_once,
)


def _one_time_link(email: OutgoingEmail, name: str) -> EmailTexts:
    return EmailTexts(
        subject=_("Your link to choose what you receive from %(name)s", name=name),
        reason=_(
            "You, or someone using your address, asked for a link to choose what"
            " you receive from %(name)s.",
            name=name,
        ),
        button=_("Choose what you receive"),
        expiry=works_once(email),
        disclaimer=ignore_if_not_you(),
    )


def _rights_link(email: OutgoingEmail, name: str) -> EmailTexts:
    right = act_title(email.values["right"])
    return EmailTexts(
        subject=_("Your link: %(right)s", right=right),
        reason=_(
            "You, or someone using your address, asked %(name)s for this: %(right)s.",
            name=name,
            right=right,
        ),
        button=_("Continue"),
        expiry=works_once(email),
        disclaimer=ignore_if_not_you(),
    )


def _confirm_opt_in(email: OutgoingEmail, name: str) -> EmailTexts:
    return EmailTexts(
        subject=_("Please confirm: messages from %(name)s", name=name),
        reason=_(
            "You, or someone using your address, asked to receive this: %(what)s.",
            what=email.values["what"],
        ),
        button=_("Confirm"),
        expiry=_(
            "Nothing changes until you confirm, by %(time)s at the latest.",
            time=valid_until(email),
        ),
        disclaimer=ignore_if_not_you(),
    )


LINK_TEXTS: Mapping[EmailKind, TextsOfEmail] = {
    EmailKind.ONE_TIME_LINK: _one_time_link,
    EmailKind.RIGHTS_LINK: _rights_link,
    EmailKind.CONFIRM_OPT_IN: _confirm_opt_in,
}
