"""What the footer of a page says: how to reach each brand, and its pages about privacy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import parseaddr

from preference_center.catalogue import (
    Brand,
    Catalogue,
    CompanyContact,
    ContactDetails,
    LocalizedText,
)


@dataclass(frozen=True, slots=True)
class BrandContact:
    """How to reach brands that share a contact."""

    brands: tuple[Brand, ...]
    contact: CompanyContact | None


@dataclass(frozen=True, slots=True)
class LegalLine:
    """What brands of one company state at the foot of their messages, and how to reach them."""

    text: LocalizedText
    """Empty where they state nothing."""
    contacts: tuple[BrandContact, ...]


@dataclass(frozen=True, slots=True)
class FooterLink:
    """An address or URL. `brands` are those that it is of; empty if all share it."""

    target: str
    brands: tuple[Brand, ...]


@dataclass(frozen=True, slots=True)
class FooterDetails:
    """What a footer has, without repeating what brands share."""

    legal_lines: tuple[LegalLine, ...]
    privacy_notices: tuple[FooterLink, ...]
    privacy_contacts: tuple[FooterLink, ...]
    closing_pages: tuple[FooterLink, ...]
    """`target` is empty where our own page closes the account."""


def footer_details(catalogue: Catalogue, brands: Sequence[Brand], language: str) -> FooterDetails:
    """The footer of a page about `brands`; about none, that of the company."""
    details = [(brand, catalogue.contact_details(brand)) for brand in brands]
    of_company = [] if brands else [(None, catalogue.contact_details(None))]

    def links(target_of: Callable[[ContactDetails], str]) -> tuple[FooterLink, ...]:
        return _shared_links([(each, target_of(found)) for each, found in details + of_company])

    return FooterDetails(
        legal_lines=_legal_lines(
            [(brand, found.contact or _sender_contact(brand)) for brand, found in details]
        ),
        privacy_notices=_drop_empty(
            links(lambda found: catalogue.localize(found.privacy_notice, language))
        ),
        privacy_contacts=_drop_empty(links(lambda found: found.privacy_contact or "")),
        closing_pages=links(lambda found: catalogue.localize(found.closing_url, language)),
    )


def _legal_lines(
    contacts: Sequence[tuple[Brand, CompanyContact | None]],
) -> tuple[LegalLine, ...]:
    """In the order of the brands, each line and each contact of it once."""
    lines: list[tuple[LocalizedText, list[BrandContact]]] = []
    for brand, contact in contacts:
        shared = next((found for line, found in lines if line == brand.footer), None)
        if shared is None:
            lines.append((brand.footer, shared := []))
        for number, each in enumerate(shared):
            if each.contact == contact:
                shared[number] = BrandContact((*each.brands, brand), contact)
                break
        else:
            shared.append(BrandContact((brand,), contact))
    return tuple(LegalLine(line, tuple(found)) for line, found in lines)


def _shared_links(targets: Sequence[tuple[Brand | None, str]]) -> tuple[FooterLink, ...]:
    found: dict[str, list[Brand]] = {}
    for brand, target in targets:
        found.setdefault(target, []).extend([brand] if brand else [])
    return tuple(
        FooterLink(target, tuple(brands) if len(found) > 1 else ())
        for target, brands in found.items()
    )


def _drop_empty(links: tuple[FooterLink, ...]) -> tuple[FooterLink, ...]:
    return tuple(link for link in links if link.target)


def _sender_contact(brand: Brand) -> CompanyContact | None:
    """Where the brand sends from: the last resort, since answers to it are read, too."""
    address = parseaddr(brand.sender or "")[1]
    return CompanyContact(address) if address else None
