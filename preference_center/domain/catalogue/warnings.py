"""What a catalogue should have but may do without: reported when it is checked and applied."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import parseaddr

from preference_center.domain.addresses import Channel
from preference_center.domain.catalogue.model import Brand, Catalogue
from preference_center.domain.catalogue.reader import LocalizedText
from preference_center.domain.sms_parts import MAX_NAME_SEPTETS, count_septets, to_gsm


def catalogue_warnings(catalogue: Catalogue) -> list[str]:
    """Each as "what is missing; remedy", in the order of the brands."""
    return [
        line
        for brand in catalogue.brands.values()
        for line in (
            *_contact_warnings(brand, catalogue),
            *_text_message_warnings(brand, catalogue),
        )
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


def _text_message_warnings(brand: Brand, catalogue: Catalogue) -> Iterator[str]:
    """Names that our text messages can't contain as they are and stay within one part."""
    topics = [
        topic for topic in catalogue.topics_for_channel(Channel.SMS) if topic.brand == brand.key
    ]
    if topics:
        yield from _name_warnings(
            f"the name of brand {brand.key}", brand.name, "they name the host of the pages instead"
        )
    for topic in topics:
        yield from _name_warnings(
            f"the title of topic {topic.key}", topic.title, "they may take several parts"
        )


def _name_warnings(what: str, names: LocalizedText, consequence: str) -> Iterator[str]:
    """`consequence` is what happens where a name can't be written at all."""
    for name in dict.fromkeys(names.values()):
        language = ", ".join(key for key, text in names.items() if text == name)
        written = to_gsm(name)
        if written is None:
            yield (
                f"{what} in {language} can't be written in the alphabet of text messages, so"
                f" {consequence}; add one in Latin letters"
            )
            continue
        if written != name:
            yield (
                f'{what} in {language} becomes "{written}" in text messages, whose alphabet lacks'
                " a character of it"
            )
        if (count_septets(written) or 0) > MAX_NAME_SEPTETS:
            yield (
                f"{what} in {language} has more than {MAX_NAME_SEPTETS} characters and may be"
                " shortened in text messages, which stay within one part"
            )
