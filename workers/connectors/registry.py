"""Every connector there is, and how far each has been proved. Explicit: no magic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from workers.connectors.base import Capabilities, Connector, Setup
from workers.connectors.file_drop import FileDrop
from workers.connectors.http import Http
from workers.connectors.hubspot import HubSpot
from workers.connectors.sendgrid import SendGrid
from workers.connectors.webhook import Webhook


class SetupError(ValueError):
    """The kind or a setting's name can't be used; names the right ones."""


class Proof(StrEnum):
    """What the connector's tests run against."""

    REAL = "real server"
    DESCRIPTION = "vendor's description"
    DOCUMENTATION = "documentation only"


@dataclass(frozen=True, slots=True)
class Entry:
    """One kind of connector as data: set-up, help and docs are made from it."""

    kind: str
    title: str
    proof: Proof
    capabilities: Capabilities
    settings: Mapping[str, str]
    secrets: frozenset[str]
    """Settings never to be shown again."""
    sources: tuple[str, ...]
    """The pages that the connector was written from."""
    build: Callable[[Setup, Http], Connector]


_STANDARD_WEBHOOKS = (
    "https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"
)
_SENDGRID = "https://www.twilio.com/docs/sendgrid/api-reference"
_HUBSPOT = "https://developers.hubspot.com/docs/api-reference/legacy/communication-preferences"

_ENTRIES = (
    Entry(
        Webhook.kind,
        "Webhook",
        Proof.REAL,
        Webhook.capabilities,
        Webhook.settings,
        frozenset({"secret"}),
        (_STANDARD_WEBHOOKS,),
        Webhook,
    ),
    Entry(
        FileDrop.kind,
        "File drop (CSV)",
        Proof.REAL,
        FileDrop.capabilities,
        FileDrop.settings,
        frozenset(),
        (),
        FileDrop,
    ),
    Entry(
        SendGrid.kind,
        "SendGrid",
        Proof.DESCRIPTION,
        SendGrid.capabilities,
        SendGrid.settings,
        frozenset({"api_key"}),
        (
            f"{_SENDGRID}/suppressions-suppressions",
            f"{_SENDGRID}/suppressions-unsubscribe-groups",
            f"{_SENDGRID}/api-key-permissions",
        ),
        SendGrid,
    ),
    Entry(
        HubSpot.kind,
        "HubSpot",
        Proof.DOCUMENTATION,
        HubSpot.capabilities,
        HubSpot.settings,
        frozenset({"token"}),
        (f"{_HUBSPOT}/guide", f"{_HUBSPOT}/status/batch/update-subscription-status-batch"),
        HubSpot,
    ),
)
ENTRIES: Mapping[str, Entry] = {entry.kind: entry for entry in _ENTRIES}


def kinds() -> tuple[str, ...]:
    """The kinds of connector, in the order of the documentation."""
    return tuple(ENTRIES)


def make(kind: str, setup: Setup, http: Http) -> Connector:
    """The connector of `kind` for one destination; nothing is sent.

    Raises SetupError for an unknown kind, and for settings that are unknown or missing.
    """
    entry = ENTRIES.get(kind)
    if entry is None:
        raise SetupError(f"there is no connector {kind!r}: use one of {', '.join(ENTRIES)}")
    _check_names(entry, setup)
    return entry.build(setup, http)


def _check_names(entry: Entry, setup: Setup) -> None:
    known = {name.removesuffix("?") for name in entry.settings}
    needed = {name for name in entry.settings if not name.endswith("?")}
    faults = [f"unknown setting {name}" for name in sorted(setup.settings.keys() - known)]
    faults += [f"setting {n} is missing" for n in sorted(needed) if not setup.settings.get(n)]
    if faults:
        names = ", ".join(entry.settings)
        raise SetupError(f"{entry.kind}: {'; '.join(faults)}. Settings (? = optional): {names}")
