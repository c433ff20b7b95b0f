"""The files in which tools import opt-outs, and what each format can hold.

The files are for a tool's own suppression lists. A file stops more than one topic in some tools, so
each states where it may be uploaded (I10). Vendors' pages on what they read:
- SendGrid, one column `email`, as its API names it:
  https://www.twilio.com/docs/sendgrid/api-reference/suppressions-suppressions
- Mailchimp, "Email Address" is the one column needed; the status is chosen in the dialogue:
  https://mailchimp.com/help/format-guidelines-for-your-import-file/
- HubSpot, "An opt-out list", one column "Email":
  https://knowledge.hubspot.com/marketing-email/import-an-opt-out-list
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from preference_center.catalogue import Catalogue
from preference_center.core.addresses import Channel
from preference_center.core.errors import InvalidInput
from preference_center.core.events import ALL_MARKETING, SHARING
from preference_center.decisions.rules import Decision, DecisionRule
from preference_center.destinations.rules.states import Destination


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


def check_scopes(scopes: Iterable[str], catalogue: Catalogue, export_format: ExportFormat) -> None:
    """Raises UnknownTopic, InvalidInput for a scope that the format can't hold."""
    for scope in scopes:
        if scope == ALL_MARKETING or (scope == SHARING and export_format is ExportFormat.CSV):
            continue
        topic = catalogue.topic(scope)
        if export_format is not ExportFormat.CSV and not topic.channel.rules.is_email:
            raise InvalidInput(f"{scope} is sent by {topic.channel}: only csv supports it")


def default_scopes(export_format: ExportFormat, catalogue: Catalogue) -> tuple[str, ...]:
    """What a tool's files are about if nobody names a scope."""
    if export_format is ExportFormat.HUBSPOT:
        return (ALL_MARKETING,)
    return tuple(topic.key for topic in catalogue.topics_for_channel(Channel.EMAIL))


def scopes_of_destination(
    destination: Destination, export_format: ExportFormat, scopes: tuple[str, ...]
) -> tuple[str, ...]:
    """The scopes of a file for this destination: those named, else all that it has.

    Raises InvalidInput where the destination is another tool, or does not send one of `scopes`.
    """
    if export_format is not ExportFormat.CSV and destination.kind != export_format:
        kind = destination.kind
        raise InvalidInput(f"{destination.name} is of the kind {kind}: use --for {kind} or csv")
    if foreign := [scope for scope in scopes if scope not in {*destination.sends, ALL_MARKETING}]:
        raise InvalidInput(f"{destination.name} does not send {', '.join(foreign)}")
    if scopes or export_format is ExportFormat.HUBSPOT:
        return scopes or (ALL_MARKETING,)
    own = destination.sends if export_format is ExportFormat.CSV else destination.topics
    return tuple(sorted(own))
