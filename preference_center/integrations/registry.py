"""The registry lists the integrations there are, and the presets of imports.

Integrations are one package or file each here, and entry points of other distributions. Listing
them imports no vendor's module; see `base.integration`. The presets are the plain ones, and those
of the integrations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from preference_center.core.errors import InvalidInput, did_you_mean
from preference_center.integrations.base import presets
from preference_center.integrations.base.contract import (
    CREATE_CONTACTS,
    Connector,
    DestinationConfig,
)
from preference_center.integrations.base.integration import (
    ConnectorSpec,
    Integration,
    IntegrationError,
)
from preference_center.integrations.base.presets import ImportPreset
from preference_center.integrations.base.vendor_events import WebhookSource, WebhookVerifier

if TYPE_CHECKING:
    from preference_center.integrations.base.http import HttpContext

ENTRY_POINT_GROUP = "preference_center.integrations"
"""Group of the entry points by which other distributions add integrations: each is an
`Integration`."""


# Packages of this folder, in the order of the documentation.
_PACKAGES = (
    "webhook",
    "file_drop",
    "sendgrid",
    "hubspot",
    "mailchimp",
    "mailgun",
    "salesforce",
    "klaviyo",
    "brevo",
    "mailman",
    "ses",
    "listmonk",
    "tryton",
    "postmark",
    "braze",
    "intercom",
    "resend",
    "iterable",
    "customerio",
    "mailersend",
    "twilio",
    "ghost",
    "mandrill",
    "sparkpost",
    "mailjet",
    "unisender_go",
    "mailtrap",
    "postal",
    "standard_webhooks",
    "meta_audiences",
)


class DestinationConfigError(ValueError):
    """The kind or a setting's name can't be used; names the right ones."""


@cache
def load_integrations() -> Mapping[str, Integration]:
    """All integrations by kind, in the order of the documentation.

    Raises IntegrationError for an entry point that can't be loaded or whose kind is taken.
    """
    found: dict[str, Integration] = {}
    sources: dict[str, str] = {}
    for source, integration in _iter_integrations():
        if integration.kind in found:
            raise IntegrationError(
                f"{source}: the kind {integration.kind!r} is taken by {sources[integration.kind]}"
            )
        found[integration.kind], sources[integration.kind] = integration, source
    return found


def _iter_integrations() -> Iterator[tuple[str, Integration]]:
    """Each with where it comes from, for messages."""
    for package in _PACKAGES:
        name = f"{__package__}.{package}"
        yield name, import_module(name).INTEGRATION
    for entry_point in entry_points(group=ENTRY_POINT_GROUP):
        yield _describe(entry_point), _load_entry_point(entry_point)


def _load_entry_point(entry_point: EntryPoint) -> Integration:
    try:
        found = entry_point.load()
    except Exception as error:  # whatever another distribution's module raises
        raise IntegrationError(f"{_describe(entry_point)} can't be loaded: {error!r}") from error
    if not isinstance(found, Integration):
        raise IntegrationError(f"{_describe(entry_point)} is not an Integration")
    return found


def _describe(entry_point: EntryPoint) -> str:
    distribution = entry_point.dist.name if entry_point.dist else "unknown distribution"
    return f"the entry point {entry_point.name!r} of {distribution} ({entry_point.value})"


def list_kinds() -> tuple[str, ...]:
    """The kinds of destinations, in the order of the documentation."""
    return tuple(load_integrations())


def list_specs() -> list[ConnectorSpec]:
    """The connectors' descriptions, in the same order. Imports every vendor's connector."""
    return [integration.load_spec() for integration in load_integrations().values()]


def get_integration(kind: str) -> Integration:
    """The integration of this kind. Raises DestinationConfigError that lists the kinds."""
    found = load_integrations().get(kind)
    if found is None:
        raise DestinationConfigError(
            f"there is no connector {kind!r}: use one of {', '.join(list_kinds())}"
        )
    return found


def get_spec(kind: str) -> ConnectorSpec:
    """The description of this kind's connector. Raises DestinationConfigError."""
    return get_integration(kind).load_spec()


def find_webhook(kind: str) -> WebhookVerifier | None:
    """The webhook of this kind; None if it has none, or if there is no such kind."""
    found = load_integrations().get(kind)
    return found.load_webhook() if found else None


def get_webhook_source(kind: str) -> WebhookSource:
    """The webhook of this kind that reports events. Raises DestinationConfigError without one."""
    found = find_webhook(kind)
    if not isinstance(found, WebhookSource):
        raise DestinationConfigError(f"{kind} has no webhook that reports events")
    return found


def load_webhooks() -> Mapping[str, WebhookVerifier]:
    """All webhooks by kind. Imports every vendor's webhook."""
    loaded = ((kind, find_webhook(kind)) for kind in list_kinds())
    return {kind: webhook for kind, webhook in loaded if webhook is not None}


def make_connector(kind: str, config: DestinationConfig, http: HttpContext) -> Connector:
    """The connector of `kind` for one destination; no request is sent.

    Raises DestinationConfigError for an unknown kind, for settings that are unknown or missing,
    and when the library that the kind needs is not installed.
    """
    integration = get_integration(kind)
    spec = integration.load_spec()
    _validate_settings(integration, config)
    if spec.build_webhook_only is not None and spec.is_webhook_only(config.settings):
        return spec.build_webhook_only(config, http)
    try:
        return spec.build(config, http)
    except ModuleNotFoundError as error:
        if not spec.extra:
            raise
        raise DestinationConfigError(
            f"{integration.title} needs a library that is not installed: "
            f"pip install 'preference-center[{spec.extra}]'"
        ) from error


def _validate_settings(integration: Integration, config: DestinationConfig) -> None:
    names, given = integration.load_settings(), config.settings
    known = {name.removesuffix("?") for name in names}
    required = {name for name in names if not name.endswith("?")}
    if integration.load_spec().is_webhook_only(given):
        required = set()
    problems = [f"unknown setting {name}" for name in sorted(given.keys() - known)]
    problems += [f"setting {name} is missing" for name in sorted(required) if not given.get(name)]
    if given.get(CREATE_CONTACTS, "no") not in {"yes", "no"}:
        problems.append(f"{CREATE_CONTACTS}: write yes or no")
    if problems:
        raise DestinationConfigError(
            f"{integration.kind}: {'; '.join(problems)}. "
            f"Settings (? = optional): {', '.join(names)}"
        )


@cache
def load_presets() -> Mapping[str, ImportPreset]:
    """All presets by name: the plain ones first, then the integrations' in their order.

    Raises IntegrationError for a name that is taken.
    """
    found = {preset.name: preset for preset in presets.PRESETS}
    for integration in load_integrations().values():
        for preset in integration.load_import_presets():
            if preset.name in found:
                raise IntegrationError(
                    f"{integration.import_presets}: the preset {preset.name!r} exists already"
                )
            found[preset.name] = preset
    return found


def get_preset(name: str) -> ImportPreset:
    """The preset of this name. Raises InvalidInput that states where to find them."""
    presets = load_presets()
    try:
        return presets[name]
    except KeyError:
        hint = did_you_mean(name, presets) or "`flask imports presets` lists them all"
        raise InvalidInput(f"there is no such preset; {hint}") from None
