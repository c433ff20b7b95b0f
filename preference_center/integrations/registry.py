"""Every connector there is, and how far each has been proved. Explicit: no magic."""

from __future__ import annotations

from collections.abc import Mapping

from preference_center.integrations.base.contract import (
    CREATE_CONTACTS,
    Connector,
    DestinationConfig,
)
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.base.spec import ConnectorSpec, TestedAgainst
from preference_center.integrations.base.webhook_only import WEBHOOK_ONLY_SPECS
from preference_center.integrations.braze import connector as braze
from preference_center.integrations.brevo import connector as brevo
from preference_center.integrations.customerio import connector as customerio
from preference_center.integrations.file_drop import connector as file_drop
from preference_center.integrations.ghost import connector as ghost
from preference_center.integrations.hubspot import connector as hubspot
from preference_center.integrations.intercom import connector as intercom
from preference_center.integrations.iterable import connector as iterable
from preference_center.integrations.klaviyo import connector as klaviyo
from preference_center.integrations.listmonk import connector as listmonk
from preference_center.integrations.mailchimp import connector as mailchimp
from preference_center.integrations.mailersend import connector as mailersend
from preference_center.integrations.mailgun import connector as mailgun
from preference_center.integrations.mailman import connector as mailman
from preference_center.integrations.postmark import connector as postmark
from preference_center.integrations.resend import connector as resend
from preference_center.integrations.salesforce import connector as salesforce
from preference_center.integrations.sendgrid import connector as sendgrid
from preference_center.integrations.ses import connector as ses
from preference_center.integrations.tryton import connector as tryton
from preference_center.integrations.twilio import connector as twilio
from preference_center.integrations.webhook import connector as webhook

__all__ = [
    "CONNECTORS",
    "ConnectorSpec",
    "DestinationConfigError",
    "TestedAgainst",
    "list_kinds",
    "make_connector",
]


class DestinationConfigError(ValueError):
    """The kind or a setting's name can't be used; names the right ones."""


# One a line, in the order of the documentation.
_CONNECTORS = (
    webhook.SPEC,
    file_drop.SPEC,
    sendgrid.SPEC,
    hubspot.SPEC,
    mailchimp.SPEC,
    mailgun.SPEC,
    salesforce.SPEC,
    klaviyo.SPEC,
    brevo.SPEC,
    mailman.SPEC,
    ses.SPEC,
    listmonk.SPEC,
    tryton.SPEC,
    postmark.SPEC,
    braze.SPEC,
    intercom.SPEC,
    resend.SPEC,
    iterable.SPEC,
    customerio.SPEC,
    mailersend.SPEC,
    twilio.ENTRY,
    ghost.SPEC,
    *WEBHOOK_ONLY_SPECS,
)
CONNECTORS: Mapping[str, ConnectorSpec] = {entry.kind: entry for entry in _CONNECTORS}


def list_kinds() -> tuple[str, ...]:
    """The kinds of connector, in the order of the documentation."""
    return tuple(CONNECTORS)


def make_connector(kind: str, config: DestinationConfig, http: HttpContext) -> Connector:
    """The connector of `kind` for one destination; nothing is sent.

    Raises SetupError for an unknown kind, for settings that are unknown or missing, and when
    the library that the kind needs is not installed.
    """
    entry = CONNECTORS.get(kind)
    if entry is None:
        raise DestinationConfigError(
            f"there is no connector {kind!r}: use one of {', '.join(CONNECTORS)}"
        )
    _validate_settings(entry, config)
    if entry.build_webhook_only is not None and entry.is_webhook_only(config.settings):
        return entry.build_webhook_only(config, http)
    try:
        return entry.build(config, http)
    except ModuleNotFoundError as error:
        if not entry.extra:
            raise
        raise DestinationConfigError(
            f"{entry.title} needs a library that is not installed: "
            f"in the checkout, pip install '.[{entry.extra}]'"
        ) from error


def _validate_settings(spec: ConnectorSpec, config: DestinationConfig) -> None:
    known = {name.removesuffix("?") for name in spec.settings}
    needed = {name for name in spec.settings if not name.endswith("?")}
    if spec.is_webhook_only(config.settings):
        needed = set()
    faults = [f"unknown setting {name}" for name in sorted(config.settings.keys() - known)]
    faults += [f"setting {n} is missing" for n in sorted(needed) if not config.settings.get(n)]
    if config.settings.get(CREATE_CONTACTS, "no") not in {"yes", "no"}:
        faults.append(f"{CREATE_CONTACTS}: write yes or no")
    if faults:
        names = ", ".join(spec.settings)
        raise DestinationConfigError(
            f"{spec.kind}: {'; '.join(faults)}. Settings (? = optional): {names}"
        )
