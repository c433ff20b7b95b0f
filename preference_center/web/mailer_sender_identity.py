"""Who an email of our own comes from: the contact of its brand, or of the company."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parseaddr

from preference_center.catalogue import (
    Brand,
    BrandColours,
    Catalogue,
    CompanyContact,
    ContactDetails,
)
from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.core.errors import ConfigError
from preference_center.infra.context import services
from preference_center.infra.outbox import OutgoingEmail
from preference_center.web.languages import join_names


@dataclass(frozen=True, slots=True)
class SenderIdentity:
    """The sender of an email, with names and pages in its language."""

    name: str
    footers: tuple[str, ...]
    from_address: str
    """With or without a name."""
    contact: CompanyContact | None
    privacy_contact: str | None
    help_url: str
    privacy_notice: str
    """A URL, as `help_url`; both may be empty."""
    colours: BrandColours | None
    dark_colours: BrandColours | None
    radius: int | None
    """Of the button's corners, in CSS pixels."""
    host: str | None
    """Of the brand's pages."""


def sender_identity(email: OutgoingEmail, language: str) -> SenderIdentity:
    """The brand of the email, or all brands together.

    From is the contact, never the sender of marketing: service mail is not to suffer from the
    complaints about marketing, nor be filtered with it (RULES A13). Without a contact it is
    MAIL_FROM. Raises ConfigError when there is neither.
    """
    catalogue, brands = current_catalogue_or_empty(), brands_of(email)
    details = _details(catalogue, brands)
    from_address = details.contact.email if details.contact else services().settings.mail_from
    if from_address is None:
        raise ConfigError("Set MAIL_FROM, or declare a contact in the catalogue.")
    names = [catalogue.localize(each.name, language) for each in brands]
    lead = brands[0] if len(brands) == 1 else None
    return SenderIdentity(
        name=join_names(names) if names else parseaddr(from_address)[1],
        # Brands of one company often share their legal line.
        footers=tuple(dict.fromkeys(_footer(catalogue, each, language) for each in brands)),
        from_address=from_address,
        contact=details.contact,
        privacy_contact=details.privacy_contact,
        help_url=catalogue.localize(details.contact.url, language) if details.contact else "",
        privacy_notice=catalogue.localize(details.privacy_notice, language),
        colours=lead.colours.get("light") if lead else None,
        dark_colours=lead.colours.get("dark") if lead else None,
        radius=lead.radius if lead else None,
        host=lead.host if lead else None,
    )


def brands_of(email: OutgoingEmail) -> tuple[Brand, ...]:
    """The brand of the email, or all brands."""
    brands = current_catalogue_or_empty().brands
    brand = brands.get(email.brand or "")
    return (brand,) if brand else tuple(brands.values())


def _details(catalogue: Catalogue, brands: Sequence[Brand]) -> ContactDetails:
    """Of one brand its own; of several the company's, unless they all have the same."""
    first, *others = [catalogue.contact_details(each) for each in brands] or [ContactDetails()]
    return catalogue.contact_details(None) if any(each != first for each in others) else first


def _footer(catalogue: Catalogue, brand: Brand, language: str) -> str:
    texts = (brand.footer, brand.name)
    return next(filter(None, (catalogue.localize(text, language) for text in texts)), "")
