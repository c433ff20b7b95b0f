"""One brand of a catalogue file."""

from __future__ import annotations

import re
from collections.abc import Collection

from preference_center.catalogue.rules.brand_files import parse_font, parse_logo, parse_picture
from preference_center.catalogue.rules.branding import parse_colours, parse_radius
from preference_center.catalogue.rules.company_contact import (
    parse_contact,
    parse_email,
    parse_sender,
    parse_urls,
)
from preference_center.catalogue.rules.framing import parse_frame_origins
from preference_center.catalogue.rules.host_names import HOST_NAME
from preference_center.catalogue.rules.model import Brand
from preference_center.catalogue.rules.reader import TomlTable
from preference_center.catalogue.rules.wording import parse_wording
from preference_center.core.errors import quote_toml

BRAND_FIELDS = (
    "name", "host", "sender", "footer", "contact", "privacy_contact", "privacy_notice",
    "closing_url", "fallback_language", "address", "texts", "colours", "logo", "favicon",
    "illustration", "font", "radius", "frame_origins",
)  # fmt: skip

_HOST = re.compile(rf"(?=.{{1,253}}\Z){HOST_NAME}")


def parse_brand(
    key: str, table: TomlTable, languages: Collection[str], known_texts: Collection[str] | None
) -> Brand:
    """The brand in `[brands.<key>]`; `languages` and `known_texts` as in `parse_catalogue`."""
    return Brand(
        key=key,
        name=table.get_localized_text("name", languages, required=True, allow_plain=True),
        host=_parse_host(table),
        sender=parse_sender(table),
        footer=table.get_localized_text("footer", languages),
        logo=parse_logo(table),
        favicon=parse_picture(table, "favicon"),
        illustration=parse_picture(table, "illustration"),
        font=parse_font(table),
        radius=parse_radius(table),
        colours=parse_colours(table),
        frame_origins=parse_frame_origins(table),
        wording=parse_wording(table, known_texts),
        contact=parse_contact(table, languages),
        privacy_contact=parse_email(table, "privacy_contact"),
        privacy_notice=parse_urls(table, "privacy_notice", languages),
        closing_url=parse_urls(table, "closing_url", languages),
    )


def _parse_host(table: TomlTable) -> str | None:
    host = table.get_text("host", "preferences.example.com")
    if host is None or _HOST.fullmatch(host):
        return host
    remedy = "write only the name, in small letters, without https:// or port"
    table.add_error(f"host {quote_toml(host)} is no host name", remedy, "host")
    return None
