"""The presets, one module per tool: each names the vendor's page that it goes by."""

from __future__ import annotations

from collections.abc import Mapping

from preference_center.domain.catalogue.reader import did_you_mean
from preference_center.domain.imports import plain_presets
from preference_center.domain.imports.presets import ImportPreset
from preference_center.errors import InvalidInput
from preference_center.integrations.brevo import import_presets as brevo
from preference_center.integrations.hubspot import import_presets as hubspot
from preference_center.integrations.listmonk import import_presets as listmonk
from preference_center.integrations.mailchimp import import_presets as mailchimp
from preference_center.integrations.mailgun import import_presets as mailgun
from preference_center.integrations.postmark import import_presets as postmark
from preference_center.integrations.sendgrid import import_presets as sendgrid
from preference_center.integrations.ses import import_presets as ses

PRESETS: Mapping[str, ImportPreset] = {
    preset.name: preset
    for module in (
        plain_presets,
        sendgrid,
        mailchimp,
        hubspot,
        ses,
        mailgun,
        postmark,
        brevo,
        listmonk,
    )
    for preset in module.PRESETS
}


def get_preset(name: str) -> ImportPreset:
    """The preset of this name. Raises InvalidInput that says where to find them."""
    try:
        return PRESETS[name]
    except KeyError:
        near = did_you_mean(name, PRESETS) or "`flask imports presets` lists them all"
        raise InvalidInput(f"there is no such preset; {near}") from None
