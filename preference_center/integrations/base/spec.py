"""One kind of connector as data, for the registry: set-up, help and docs are made from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol, Self

from preference_center.integrations.base.capabilities import WEBHOOK_ONLY, Capabilities, EraseMode
from preference_center.integrations.base.contract import (
    CREATE_CONTACTS,
    FREQUENCY_FIELDS,
    LINK_FIELD,
    Connector,
    DestinationConfig,
)
from preference_center.integrations.base.http import HttpContext

LINK_TOPIC = "link_topic"
RATE_SETTING = "rate"


class TestedAgainst(StrEnum):
    """What the connector's tests run against."""

    REAL_SERVER = "real server"
    VENDOR_DESCRIPTION = "vendor's description"
    DOCUMENTATION = "documentation only"


class ConnectorClass(Protocol):
    """A class of connectors, with the data that its spec takes over."""

    kind: str
    capabilities: Capabilities
    settings: Mapping[str, str]

    def __call__(self, config: DestinationConfig, http: HttpContext) -> Connector:
        """The connector of one destination."""
        ...


@dataclass(frozen=True, slots=True)
class ConnectorSpec:
    """One kind of connector: `SPEC` of its module."""

    kind: str
    tested_against: TestedAgainst
    capabilities: Capabilities
    own_settings: Mapping[str, str]
    secret_settings: frozenset[str]
    """Those of its own settings that are never displayed."""
    sources: tuple[str, ...]
    """The pages that the connector was written from."""
    build: Callable[[DestinationConfig, HttpContext], Connector]
    tested_version: str = ""
    """What `tested_against` was tested with: its version or date."""
    manually_tested: str = ""
    """What it was also tested against by hand, with version and date: not by CI."""
    notes: tuple[str, ...] = ()
    """Notes on setting it up, a sentence each; for docs/destinations.md."""
    extra: str = ""
    """The extra to install, if it needs a library of its own: `pip install '.[extra]'`."""
    extra_purpose: str = ""
    """What needs the extra, if not all of it does."""
    has_rate_limit: bool = True
    """Whether it makes requests, so that a rate means something."""
    build_webhook_only: Callable[[DestinationConfig, HttpContext], Connector] | None = None
    """Makes a connector without pushes, for a destination with none of `secret_settings`."""

    @classmethod
    def of(
        cls,
        connector: ConnectorClass,
        *,
        secrets: Iterable[str],
        tested_against: TestedAgainst,
        tested_version: str,
        sources: tuple[str, ...],
        notes: tuple[str, ...] = (),
        manually_tested: str = "",
        build: Callable[[DestinationConfig, HttpContext], Connector] | None = None,
        build_webhook_only: Callable[[DestinationConfig, HttpContext], Connector] | None = None,
        extra: str = "",
    ) -> Self:
        """The spec of a class of connectors; `secrets` are `secret_settings`.

        `build`: what makes a connector, where that is not the class alone.
        """
        return cls(
            kind=connector.kind,
            tested_against=tested_against,
            capabilities=connector.capabilities,
            own_settings=connector.settings,
            secret_settings=frozenset(secrets),
            sources=sources,
            build=build or connector,
            tested_version=tested_version,
            manually_tested=manually_tested,
            notes=notes,
            build_webhook_only=build_webhook_only,
            extra=extra,
        )

    def is_webhook_only(self, settings: Mapping[str, str]) -> bool:
        """Whether a destination with these settings reports, and nothing is pushed to it."""
        if self.capabilities.webhook_only:
            return True
        return self.build_webhook_only is not None and not any(
            settings.get(name) for name in self.secret_settings
        )

    def capabilities_for(self, settings: Mapping[str, str]) -> Capabilities:
        """The abilities of a destination with these settings."""
        can = self.capabilities
        if can.webhook_only:
            return can
        if self.is_webhook_only(settings):
            by_hand = can if can.erase is EraseMode.BY_HAND else WEBHOOK_ONLY
            return replace(WEBHOOK_ONLY, erase_note=by_hand.erase_note)
        return can.for_settings(settings)

    @property
    def tested_summary(self) -> str:
        """What it was tested against, for users."""
        return (
            f"{self.tested_against.value} ({self.tested_versions})"
            if self.tested_versions
            else self.tested_against.value
        )

    @property
    def tested_versions(self) -> str:
        """Versions and dates of that; "" for a tool that only reports."""
        by_hand = f"by hand {self.manually_tested}" if self.manually_tested else ""
        return "; ".join(each for each in (self.tested_version, by_hand) if each)

    @property
    def settings(self) -> Mapping[str, str]:
        """The connector's own settings, and those that its capabilities add; not its webhook's."""
        found = dict(self.own_settings)
        if self.capabilities.can_create:
            found[f"{CREATE_CONTACTS}?"] = (
                "yes: add addresses that the tool doesn't know, suppressed; tools bill for "
                "contacts, so by default they are only looked up again"
            )
        if self.capabilities.can_hold_link:
            found[f"{LINK_FIELD}?"] = "its custom field that permanent links are written into"
            found[f"{LINK_TOPIC}?"] = "the topic that those links turn off; else all marketing"
        if self.capabilities.can_write_fields:
            found[f"{FREQUENCY_FIELDS}?"] = (
                "the custom fields that hold how often the person wants a topic, as in "
                "'acme.news=News frequency; acme.offers=OFFERS'"
            )
        if self.has_rate_limit:
            found[f"{RATE_SETTING}?"] = (
                "requests that the account may make, as in '10 per second' or '500 per minute', "
                "where they are not the documented ones"
            )
        return found
