"""Name each right as pages and mails call it."""

from __future__ import annotations

from flask_babel import gettext

from preference_center.rights.rules.requests import RequestKind

AGENT_ACT = "agent"
"""The page of agents, which is no right of its own."""


def act_title(act: str) -> str:
    """The title of a page of rights: of a right, or AGENT_ACT."""
    if act == AGENT_ACT:
        text: str = gettext("Act for somebody else")
        return text
    return right_title(RequestKind(act))


def right_title(kind: RequestKind) -> str:
    """The title of a right, in the current language, as on the page that lists them."""
    titles: dict[RequestKind, str] = {
        RequestKind.ACCESS: gettext("See and download your data"),
        RequestKind.CORRECT: gettext("Correct your data"),
        RequestKind.ERASE: gettext("Delete your data"),
        RequestKind.RESTRICT: gettext("Limit what we do with your data"),
        RequestKind.UNRESTRICT: gettext("End the limit"),
        RequestKind.CLOSE: gettext("Close your account"),
        RequestKind.REOPEN: gettext("Come back"),
        RequestKind.OBJECT: gettext("Object to marketing"),
        RequestKind.DONT_SELL_OR_SHARE: gettext("Do not sell or share my personal information"),
        RequestKind.COMPLAINT: gettext("Complain"),
        RequestKind.MINOR: gettext("Report that an address belongs to a child"),
    }
    return titles[kind]
