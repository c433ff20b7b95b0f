"""What a catalogue should have but may do without: reported when it is checked and applied."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import parseaddr

from preference_center.domain.catalogue.model import Brand, Catalogue


def catalogue_warnings(catalogue: Catalogue) -> list[str]:
    """Each as "what is missing; remedy", in the order of the brands."""
    return [
        line for brand in catalogue.brands.values() for line in _contact_warnings(brand, catalogue)
    ]


def _contact_warnings(brand: Brand, catalogue: Catalogue) -> Iterator[str]:
    details = catalogue.contact_details(brand)
    if details.contact is None:
        yield (
            f"brand {brand.key} has no contact, so its pages name nobody to write to and its own"
            f" emails come from MAIL_FROM; add [brands.{brand.key}.contact] with email ="
        )
    elif details.contact.address.lower() == parseaddr(brand.sender or "")[1].lower():
        yield (
            f"the contact of brand {brand.key} also sends its marketing, whose complaints"
            " would delay service mail (RULES A13); give one of them another address"
        )
    if not details.privacy_notice:
        yield (
            f"brand {brand.key} has no privacy notice; add privacy_notice to it or to [controller]"
        )
