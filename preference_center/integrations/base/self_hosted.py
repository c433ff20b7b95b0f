"""Tools that a company runs itself, often inside its own network."""

from __future__ import annotations

from collections.abc import Mapping

from preference_center.core.networks import NETWORKS_SETTING, InvalidNetworks, parse_own_networks
from preference_center.integrations.base.contract import DeliveryError, DestinationConfig
from preference_center.integrations.base.http import HttpContext, HttpSession

NETWORKS_OF_TOOL: Mapping[str, str] = {
    f"{NETWORKS_SETTING}?": "networks inside the company in which the tool is, as in "
    "'10.20.0.0/16 fd12:3456::/32', on any port and by http:// too; they must lie inside "
    "PRIVATE_NETWORKS. Else it must have a public address and https",
}
"""A setting of each such connector, with its description."""


def open_session(
    config: DestinationConfig, http: HttpContext, headers: Mapping[str, str] | None = None
) -> HttpSession:
    """Requests to the tool at the setting `base_url`, for a `with` block.

    Raises DeliveryError (permanent) for a URL or networks that may not be used.
    """
    try:
        networks = parse_own_networks(config.settings, http.private_networks)
    except InvalidNetworks as error:
        message = f"{config.name}: {NETWORKS_SETTING}: {error}"
        raise DeliveryError(message, permanent=True) from error
    return http.session(
        config.name,
        config.settings["base_url"],
        headers=headers,
        networks=networks,
        allow_http=True,
    )
