"""Which sites may show a brand's pages in a frame of theirs."""

from __future__ import annotations

import re

from preference_center.catalogue.rules.host_names import HOST_NAME
from preference_center.catalogue.rules.reader import TomlTable
from preference_center.core.errors import quote_toml

_ORIGIN = re.compile(rf"https://{HOST_NAME}(?::[1-9]\d{{0,4}})?")
_ORIGINS_EXAMPLE = '["https://www.example.com"]'


def parse_frame_origins(brand: TomlTable) -> tuple[str, ...]:
    """The origins (RFC 6454) of `frame_origins`; none without it.

    Only whole origins on HTTPS: a wildcard would trust every site that somebody else may put on
    a subdomain, and on plain HTTP anyone on the way could put a page around ours.
    """
    found = brand.get_value("frame_origins", list, _ORIGINS_EXAMPLE)
    if found is None:
        return ()
    for origin in found:
        if not isinstance(origin, str) or not _ORIGIN.fullmatch(origin):
            shown = quote_toml(origin) if isinstance(origin, str) else "a value"
            brand.add_error(
                f"frame_origins has {shown}, which is no origin",
                f"write it in small letters, without path or wildcard: {_ORIGINS_EXAMPLE}",
                "frame_origins",
            )
    return tuple(dict.fromkeys(str(origin) for origin in found))
