"""What follows from a channel stands here: a new one is a member and an entry of the table.

Its words are in `catalogue.words`, and its number in tokens in `core.links.offline`. A channel
whose addresses have a new syntax needs a case wherever a `match` on the syntax ends in
`assert_never`: the type check names the places.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class AddressSyntax(StrEnum):
    """How an address is written: it decides how one is parsed, masked, matched and proven."""

    EMAIL = "email"
    PHONE_NUMBER = "phone_number"


@dataclass(frozen=True, slots=True)
class ChannelRules:
    """What follows from a channel."""

    syntax: AddressSyntax
    can_be_written_to: bool
    """Whether a text reaches the person; else only a call does."""
    pii_type: str
    """What its addresses are called in a consent record (ISO/IEC TS 27560)."""
    column_names: tuple[tuple[str, ...], ...]
    """Names of the address's column in lists, compared by `core.tabular.normalize_column_name`.

    The first group that any column is in decides: in a list with "Email" and "Address" the latter
    is a street.
    """

    @property
    def is_email(self) -> bool:
        """Whether its addresses are mailboxes, to which our own emails go."""
        return self.syntax is AddressSyntax.EMAIL

    @property
    def can_be_texted(self) -> bool:
        """Whether its addresses get text messages, and answer them."""
        return self.syntax is AddressSyntax.PHONE_NUMBER and self.can_be_written_to


class Channel(StrEnum):
    """What an address receives."""

    EMAIL = "email"
    SMS = "sms"
    PHONE = "phone"

    @property
    def rules(self) -> ChannelRules:
        """What follows from it."""
        return _RULES[self]


*_OTHERS, _LAST = Channel
CHANNEL_CHOICE = f"{', '.join(_OTHERS)} or {_LAST}"
"""The channels as a message lists them."""

_RULES: Mapping[Channel, ChannelRules] = {
    Channel.EMAIL: ChannelRules(
        AddressSyntax.EMAIL,
        can_be_written_to=True,
        pii_type="email address",
        column_names=(
            (
                *("email", "mail", "email address"),
                *("email adresse", "mail adresse"),  # German
                *("adresse email", "adresse mail", "adresse électronique", "courriel"),  # French
                *("indirizzo email", "indirizzo mail", "posta elettronica"),  # Italian
                *("correo electrónico", "correo electronico", "correo"),  # Spanish
            ),
            (
                "recipient",
                "recipient email",
                "subscriber",
                "subscriber email",
                "contact email",
                "to",
            ),
            ("address",),
        ),
    ),
    Channel.SMS: ChannelRules(
        AddressSyntax.PHONE_NUMBER,
        can_be_written_to=True,
        pii_type="mobile number",
        column_names=(
            ("sms", "mobile", "mobile phone", "mobile number", "mobile phone number", "cell phone"),
            ("handynummer", "mobilnummer", "numéro de portable", "cellulare", "móvil", "movil"),
            ("phone", "phone number", "msisdn", "number"),
            ("recipient", "to", "address"),
        ),
    ),
    Channel.PHONE: ChannelRules(
        AddressSyntax.PHONE_NUMBER,
        can_be_written_to=False,
        pii_type="phone number",
        column_names=(
            ("phone", "phone number", "telephone", "telephone number", "msisdn"),
            ("mobile", "mobile phone", "mobile number", "mobile phone number"),
            (
                "telefon",
                "telefonnummer",
                "téléphone",
                "numéro de téléphone",
                "telefono",
                "teléfono",
            ),
            ("recipient", "to", "address"),
        ),
    ),
}
