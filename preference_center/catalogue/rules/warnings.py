"""What a catalogue should have but may do without: reported when it is checked and applied."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import parseaddr

from preference_center.catalogue.rules.model import Brand, Catalogue
from preference_center.catalogue.rules.reader import LocalizedText
from preference_center.core.addresses import Channel
from preference_center.core.sms_parts import MAX_NAME_SEPTETS, count_septets, excess_parts, to_gsm

TEXT_MESSAGES = frozenset(
    {
        "%(name)s: you are unsubscribed. You will get no more marketing messages at this number.",
        "%(name)s: you are unsubscribed. We no longer send this to your number: %(what)s.",
        (
            "%(name)s: text STOP to get no more marketing at this number."
            " Choose what you receive: %(url)s"
        ),
        "%(name)s: to get messages at this number again, choose here within 24 hours: %(link)s",
    }
)
"""The keys of the texts that are sent as text messages."""
LONGEST_FIELDS = {
    "name": "N" * MAX_NAME_SEPTETS,
    "what": "W" * MAX_NAME_SEPTETS,
    "url": f"https://{'h' * 30}/form",
    "link": f"https://{'h' * 30}/s/{'c' * 12}",
}
"""What a text message must have space for: names and a host of 30 characters."""


def catalogue_warnings(catalogue: Catalogue) -> list[str]:
    """Each as "what is missing; remedy", in the order of the brands."""
    return [
        line
        for brand in catalogue.brands.values()
        for line in (
            *_contact_warnings(brand, catalogue),
            *_text_message_warnings(brand, catalogue),
            *_replaced_text_warnings(brand),
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


def _replaced_text_warnings(brand: Brand) -> Iterator[str]:
    """Texts of its own that leave too little space for the names in a text message."""
    for language, texts in sorted(brand.wording.texts.items()):
        for key, text in sorted(texts):
            if key not in TEXT_MESSAGES:
                continue
            longest = text % LONGEST_FIELDS
            if excess := excess_parts(to_gsm(longest) or longest):
                yield (
                    f'the text of brand {brand.key} in {language} instead of "{key[:40]}..."'
                    f" with names of {MAX_NAME_SEPTETS} characters {excess}"
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
