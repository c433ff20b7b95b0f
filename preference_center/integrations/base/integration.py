"""`Integration` and `ConnectorSpec` describe one integration as data, for the registry.

Set-up, help and docs are made from this data, which also names where the parts of an integration
are loaded from. At the end is what two groups of integrations share: tools that a company runs
itself, often inside its own network, and tools that receive text messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

from preference_center.core.errors import ConfigError
from preference_center.core.networks import NETWORKS_SETTING
from preference_center.integrations.base.contract import (
    CREATE_CONTACTS,
    FREQUENCY_FIELDS,
    LINK_FIELD,
    WEBHOOK_ONLY,
    Capabilities,
    Connector,
    DestinationConfig,
    EraseMode,
)
from preference_center.integrations.base.vendor_events import TextMessage
from preference_center.integrations.base.webhook_mail import compose_mail

if TYPE_CHECKING:
    from preference_center.integrations.base.http import HttpContext
    from preference_center.integrations.base.presets import ImportPreset
    from preference_center.integrations.base.vendor_events import WebhookVerifier


class IntegrationError(ConfigError):
    """A package's integration can't be loaded, or its name is taken; names the package."""


@dataclass(frozen=True, slots=True)
class Integration:
    """`INTEGRATION` of a vendor's package, or of another distribution's entry point.

    `connector`, `webhook` and `import_presets` are object references as in entry points,
    `package.module:attribute`, so that listing integrations imports no vendor's module.
    """

    kind: str
    """Unique: `--kind` of `flask destinations add`, stored with each destination."""
    title: str
    """Name for users."""
    connector: str
    """A `ConnectorSpec` of this kind."""
    webhook: str = ""
    """A class that implements `WebhookVerifier`; it is called without arguments."""
    import_presets: str = ""
    """A sequence of `ImportPreset`."""

    @classmethod
    def of_package(
        cls, name: str, title: str, *, webhook: str = "", has_presets: bool = False
    ) -> Self:
        """That of the package `name`, whose last part is the kind.

        `SPEC` is in its module `connector`, the class `webhook` in its module `webhook`, and
        `PRESETS` in the package itself.
        """
        return cls(
            name.rpartition(".")[2],
            title,
            f"{name}.connector:SPEC",
            f"{name}.webhook:{webhook}" if webhook else "",
            f"{name}:PRESETS" if has_presets else "",
        )

    @classmethod
    def of_module(cls, name: str, title: str, *, webhook: str) -> Self:
        """The same of a single module with `SPEC` and the class `webhook`."""
        return cls(name.rpartition(".")[2], title, f"{name}:SPEC", f"{name}:{webhook}")

    def load_spec(self) -> ConnectorSpec:
        """The connector's description. Raises IntegrationError if its kind is another."""
        spec = cast("ConnectorSpec", _resolve(self.connector))
        if spec.kind != self.kind:
            raise IntegrationError(
                f"{self.connector} is of the kind {spec.kind!r}, and not {self.kind!r}"
            )
        return spec

    def load_webhook(self) -> WebhookVerifier | None:
        """Its webhook; None if it has none. Raises IntegrationError."""
        return _webhook(self.webhook) if self.webhook else None

    def load_import_presets(self) -> tuple[ImportPreset, ...]:
        """Its import presets, if it has any. Raises IntegrationError."""
        return tuple(_resolve(self.import_presets)) if self.import_presets else ()

    def load_settings(self) -> Mapping[str, str]:
        """All settings of a destination, the webhook's included: name -> what it is.

        A name that ends in `?` is optional. Raises IntegrationError.
        """
        webhook = self.load_webhook()
        return {**self.load_spec().settings, **(webhook.settings if webhook else {})}

    def load_secret_settings(self) -> frozenset[str]:
        """Names of the settings that are never displayed. Raises IntegrationError."""
        webhook = self.load_webhook()
        return self.load_spec().secret_settings | (
            webhook.secret_settings if webhook else frozenset()
        )


@cache
def _webhook(reference: str) -> WebhookVerifier:
    return cast("WebhookVerifier", _resolve(reference)())


def _resolve(reference: str) -> Any:
    try:
        return resolve_name(reference)
    except (ImportError, AttributeError, ValueError) as error:
        raise IntegrationError(f"{reference} can't be loaded: {error}") from error


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
    open_points: tuple[str, ...] = ()
    """What the vendor doesn't document or nobody has tested, a point each; for the same page."""
    extra: str = ""
    """The extra to install, if it needs a library of its own: `pip install '.[extra]'`."""
    extra_purpose: str = ""
    """What needs the extra, if not all of it does."""
    has_rate_limit: bool = True
    """Whether it makes requests, so that a rate means something."""
    build_webhook_only: Callable[[DestinationConfig, HttpContext], Connector] | None = None
    """Makes a connector without pushes, for a destination with none of `secret_settings`."""

    @classmethod
    def of(  # noqa: PLR0913 - a declaration, by keyword
        cls,
        connector: ConnectorClass,
        *,
        secrets: Iterable[str],
        tested_against: TestedAgainst,
        tested_version: str,
        sources: tuple[str, ...],
        notes: tuple[str, ...] = (),
        open_points: tuple[str, ...] = (),
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
            open_points=open_points,
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
                "yes: add addresses that the tool doesn't know, suppressed; tools bill for contacts"
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
                "requests that the account may make, where they are not the documented ones: "
                "'10 per second', '500 per minute'"
            )
        return found


NETWORKS_OF_TOOL: Mapping[str, str] = {
    f"{NETWORKS_SETTING}?": "networks inside the company in which the tool is, as in "
    "'10.20.0.0/16 fd12:3456::/32', on any port and by http:// too; they must lie inside "
    "PRIVATE_NETWORKS. Else it must have a public address and https",
}
"""A setting of each such connector, with its description."""


HELP_TEXT_SETTING = "help_text"
"""Name of the setting with the reply to HELP."""


NUMBER_SETTING = "number"
"""Name of the setting with the number that pages tell people to text START to."""


def to_mail(message: TextMessage) -> bytes:
    """The message in the form of a mail, for the review queue."""
    numbers = [("X-From", message.sender), *(("X-To", each) for each in sorted(message.recipients))]
    return compose_mail([("Subject", "SMS"), *numbers], message.body)
