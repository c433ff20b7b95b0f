"""The presets, one module per tool: each names the vendor's page that it goes by."""

from __future__ import annotations

from collections.abc import Mapping

from preference_center.domain.catalogue.tables import did_you_mean
from preference_center.domain.imports.model import Preset
from preference_center.domain.imports.presets import (
    brevo,
    hubspot,
    listmonk,
    mailchimp,
    mailgun,
    postmark,
    sendgrid,
    ses,
    simple,
)
from preference_center.errors import InvalidInput

PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for module in (
        simple,
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


def preset(name: str) -> Preset:
    """The preset of this name. Raises InvalidInput that says where to find them."""
    try:
        return PRESETS[name]
    except KeyError:
        near = did_you_mean(name, PRESETS) or "`flask imports presets` lists them all"
        raise InvalidInput(f"there is no such preset; {near}") from None
