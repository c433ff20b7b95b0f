"""What leaves for a tool's own list: which files, for which place, and who is in them.

A file stops more than one topic in some tools, so each says what it may be uploaded to (I10).
Vendors' pages on what they read:
- SendGrid, one column `email`, as its API names it:
  https://www.twilio.com/docs/sendgrid/api-reference/suppressions-suppressions
- Mailchimp, "Email Address" is the one column needed; the status is chosen in the dialogue:
  https://mailchimp.com/help/format-guidelines-for-your-import-file/
- HubSpot, "An opt-out list", one column "Email":
  https://knowledge.hubspot.com/marketing-email/import-an-opt-out-list
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from preference_center.domain.decisions import Decision, Rule
from preference_center.domain.events import ALL_MARKETING

_RUNS = ("=", "+", "-", "@", "\t", "\r")
_PHONE = re.compile(r"\+\d+")


class Tool(StrEnum):
    """Whose format a list is written in."""

    SENDGRID = "sendgrid"
    MAILCHIMP = "mailchimp"
    HUBSPOT = "hubspot"
    CSV = "csv"
    """Our own, with everything that is known; `flask imports` reads it as `generic`."""


class Part(StrEnum):
    """Which of those whom a "no" stands against are in a file."""

    ALL = "all"
    BOUNCED = "bounced"
    OTHERS = "others"

    def has(self, decision: Decision) -> bool:
        """Whether somebody denied like this is in the file."""
        return self is Part.ALL or (decision.rule is Rule.BOUNCED) == (self is Part.BOUNCED)


@dataclass(frozen=True, slots=True)
class Upload:
    """One file of a single `column`: who is denied `scope`, and where it belongs."""

    name: str
    scope: str
    column: str
    part: Part
    where: str


def uploads(tool: Tool, scope: str, names: Mapping[str, str]) -> tuple[Upload, ...]:
    """The files for this scope. `names` are the tool's own for topics, as far as known."""
    if tool is Tool.SENDGRID:
        return (_sendgrid(scope, names.get(scope)),)
    if tool is Tool.MAILCHIMP:
        return _mailchimp(scope)
    if tool is Tool.HUBSPOT:
        return (_hubspot(scope),)
    raise ValueError("our own format is one file")


def _sendgrid(scope: str, group: str | None) -> Upload:
    if scope == ALL_MARKETING:
        where = (
            "SendGrid, Suppressions > Global Unsubscribes. It stops service mail too: only for"
            " an account that sends none; else every topic's file into its group."
        )
        return Upload("global-unsubscribes.csv", scope, "email", Part.ALL, where)
    into = f"group {group}" if group else f"the group that {scope} is sent with"
    name = f"group-{group or scope}.csv"
    where = f"SendGrid, Suppressions > Unsubscribe Groups, into {into}"
    return Upload(name, scope, "email", Part.ALL, where)


def _mailchimp(scope: str) -> tuple[Upload, ...]:
    sends = _sends(scope)
    return (
        Upload(
            f"{scope}.unsubscribed.csv",
            scope,
            "Email Address",
            Part.OTHERS,
            f"Mailchimp, import with the status Unsubscribed, into an audience that {sends}",
        ),
        Upload(
            f"{scope}.cleaned.csv",
            scope,
            "Email Address",
            Part.BOUNCED,
            "Mailchimp, the same audience, with the status Cleaned; where that is not offered"
            " Unsubscribed. These bounced.",
        ),
    )


def _hubspot(scope: str) -> Upload:
    where = (
        "HubSpot, Contacts > Import > Opt-out list. It stops all marketing there: only for an"
        f" account or brand that {_sends(scope)}"
    )
    return Upload(f"{scope}.opt-out-list.csv", scope, "Email", Part.ALL, where)


def _sends(scope: str) -> str:
    return "sends marketing" if scope == ALL_MARKETING else f"sends nothing but {scope}"


def may_run(text: str) -> bool:
    """Whether a spreadsheet would take this cell for a formula, and so change or run it.

    It is exported all the same, exactly: with an apostrophe before it, it would be another
    address, and the person's "no" would be lost. Plain phone numbers do no harm.
    """
    return text.startswith(_RUNS) and not _PHONE.fullmatch(text)
