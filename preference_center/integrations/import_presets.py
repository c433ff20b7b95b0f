"""The presets of imports: the plain ones, and those of the integrations."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from preference_center.core.errors import InvalidInput, did_you_mean
from preference_center.integrations.base import plain_presets
from preference_center.integrations.base.integration import IntegrationError
from preference_center.integrations.base.presets import ImportPreset
from preference_center.integrations.registry import load_integrations


@cache
def load_presets() -> Mapping[str, ImportPreset]:
    """All presets by name: the plain ones first, then the integrations' in their order.

    Raises IntegrationError for a name that is taken.
    """
    found = {preset.name: preset for preset in plain_presets.PRESETS}
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
