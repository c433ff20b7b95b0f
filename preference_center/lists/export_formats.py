"""Export files for a tool's own suppression lists, and the addresses that each one holds.

A file stops more than one topic in some tools, so each states where it may be uploaded (I10).
Vendors' pages on what they read:
- SendGrid, one column `email`, as its API names it:
  https://www.twilio.com/docs/sendgrid/api-reference/suppressions-suppressions
- Mailchimp, "Email Address" is the one column needed; the status is chosen in the dialogue:
  https://mailchimp.com/help/format-guidelines-for-your-import-file/
- HubSpot, "An opt-out list", one column "Email":
  https://knowledge.hubspot.com/marketing-email/import-an-opt-out-list
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from preference_center.core.events import ALL_MARKETING
from preference_center.decisions.rules import Decision, DecisionRule


class ExportFormat(StrEnum):
    """Whose format a list is written in."""

    SENDGRID = "sendgrid"
    MAILCHIMP = "mailchimp"
    HUBSPOT = "hubspot"
    CSV = "csv"
    """Our own, with everything that is known; `flask imports` reads it as `generic`."""


class ExportSubset(StrEnum):
    """Which of the suppressed addresses are in a file."""

    ALL = "all"
    BOUNCED = "bounced"
    OTHERS = "others"

    def includes(self, decision: Decision) -> bool:
        """Whether an address with this denial is in the file."""
        return self is ExportSubset.ALL or (decision.rule is DecisionRule.BOUNCED) == (
            self is ExportSubset.BOUNCED
        )


@dataclass(frozen=True, slots=True)
class ExportFile:
    """One file of a single `column`: who is denied `scope`, and where it belongs."""

    name: str
    scope: str
    column: str
    subset: ExportSubset
    upload_instructions: str


def export_files(
    export_format: ExportFormat, scope: str, tool_names: Mapping[str, str]
) -> tuple[ExportFile, ...]:
    """The files for this scope. `tool_names`: topic -> its name in the tool, as far as known."""
    if export_format is ExportFormat.SENDGRID:
        return (_sendgrid_file(scope, tool_names.get(scope)),)
    if export_format is ExportFormat.MAILCHIMP:
        return _mailchimp_files(scope)
    if export_format is ExportFormat.HUBSPOT:
        return (_hubspot_file(scope),)
    raise ValueError("our own format is one file")


def _sendgrid_file(scope: str, group: str | None) -> ExportFile:
    if scope == ALL_MARKETING:
        where = (
            "SendGrid, Suppressions > Global Unsubscribes. It stops service mail too: only for"
            " an account that sends none; else every topic's file into its group."
        )
        return ExportFile("global-unsubscribes.csv", scope, "email", ExportSubset.ALL, where)
    into = f"group {group}" if group else f"the group that {scope} is sent with"
    name = f"group-{group or scope}.csv"
    where = f"SendGrid, Suppressions > Unsubscribe Groups, into {into}"
    return ExportFile(name, scope, "email", ExportSubset.ALL, where)


def _mailchimp_files(scope: str) -> tuple[ExportFile, ...]:
    sends = _describe_sender(scope)
    return (
        ExportFile(
            f"{scope}.unsubscribed.csv",
            scope,
            "Email Address",
            ExportSubset.OTHERS,
            f"Mailchimp, import with the status Unsubscribed, into an audience that {sends}",
        ),
        ExportFile(
            f"{scope}.cleaned.csv",
            scope,
            "Email Address",
            ExportSubset.BOUNCED,
            "Mailchimp, the same audience, with the status Cleaned; where that is not offered"
            " Unsubscribed. These bounced.",
        ),
    )


def _hubspot_file(scope: str) -> ExportFile:
    where = (
        "HubSpot, Contacts > Import > Opt-out list. It stops all marketing there: only for an"
        f" account or brand that {_describe_sender(scope)}"
    )
    return ExportFile(f"{scope}.opt-out-list.csv", scope, "Email", ExportSubset.ALL, where)


def _describe_sender(scope: str) -> str:
    return "sends marketing" if scope == ALL_MARKETING else f"sends nothing but {scope}"
