"""Networks inside the company that a destination may reach, as the operator lists them.

Only parts of the private ranges can be listed (RFC 1918, RFC 6598, RFC 4193): never loopback and
link-local, where the service's own database and a cloud's metadata are. Some clouds have put
their metadata inside the private ranges; these addresses stay refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TypeAlias
from urllib.parse import urlsplit, urlunsplit

Network: TypeAlias = IPv4Network | IPv6Network

NETWORKS_SETTING = "private_networks"
"""The setting of a destination."""

PRIVATE_RANGES: tuple[Network, ...] = tuple(
    map(
        ip_network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"),
    )
)

# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html,
# https://cloud.google.com/compute/docs/metadata/querying-metadata,
# https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata
METADATA_ADDRESSES = frozenset(
    map(ip_address, ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200"))
)

NAT64_NETWORK = IPv6Network("64:ff9b::/96")


class InvalidNetworks(ValueError):
    """The list of networks can't be used; the message states why."""


@lru_cache
def parse_private_networks(text: str) -> tuple[Network, ...]:
    """Networks in CIDR notation, separated by spaces or commas. Raises InvalidNetworks."""
    try:
        found = tuple(ip_network(each) for each in text.replace(",", " ").split())
    except ValueError:
        raise InvalidNetworks("write each network as in 10.20.0.0/16 or fd12:3456::/32") from None
    if not all(_is_within(network, PRIVATE_RANGES) for network in found):
        raise InvalidNetworks(
            "each network must lie inside 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10"
            " or fc00::/7"
        )
    return found


def parse_own_networks(
    settings: Mapping[str, str], permitted: Iterable[Network]
) -> tuple[Network, ...]:
    """The networks of a destination's settings. Raises InvalidNetworks.

    Each must lie inside one of `permitted`, the service's own PRIVATE_NETWORKS.
    """
    found = parse_private_networks(settings.get(NETWORKS_SETTING, ""))
    ranges = tuple(permitted)
    if not all(_is_within(network, ranges) for network in found):
        raise InvalidNetworks("they must lie inside the setting PRIVATE_NETWORKS of the service")
    return found


def is_inside(address: str, networks: Iterable[Network]) -> bool:
    """Whether `address` (text) is in one of `networks`, and is no cloud's metadata.

    An IPv4 address that is written as an IPv6 one (mapped, or by NAT64) counts as what it is.
    """
    try:
        ip = embedded_ipv4(ip_address(address))
    except ValueError:
        return False
    if getattr(ip, "scope_id", None) or ip in METADATA_ADDRESSES:
        return False
    return any(ip.version == network.version and ip in network for network in networks)


def embedded_ipv4(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that a mapped or NAT64 address stands for; else `ip` itself."""
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is not None:
            return ip.ipv4_mapped
        if ip in NAT64_NETWORK:
            return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip


def _is_within(network: Network, ranges: Iterable[Network]) -> bool:
    return any(
        (
            isinstance(network, IPv4Network)
            and isinstance(each, IPv4Network)
            and network.subnet_of(each)
        )
        or (
            isinstance(network, IPv6Network)
            and isinstance(each, IPv6Network)
            and network.subnet_of(each)
        )
        for each in ranges
    )


def split_url(url: str) -> tuple[str, str]:
    """The origin of a URL, and its path with query."""
    parts = urlsplit(url)
    path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
    return f"{parts.scheme}://{parts.netloc}", path
