"""Replies to text messages: short, in the person's language, and never marketing.

The confirmation of a stop follows 47 CFR 64.1200(a)(12): at most one message, within five
minutes (it is the webhook's own response), which states what was turned off and nothing else.
Each stays within one part in every language (docs/decisions/0075).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask_babel import gettext as _

from preference_center.catalogue import Brand, Catalogue
from preference_center.core.addresses import Address
from preference_center.core.links.tokens import TokenPurpose
from preference_center.core.sms_parts import fit_in_one_part, to_gsm
from preference_center.destinations.rules.states import Destination
from preference_center.inbound.rules.sms_keywords import country_languages
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.integration import HELP_TEXT_SETTING
from preference_center.web.languages import SOURCE_LANGUAGE, in_language, join_names, match_language
from preference_center.web.pages.mailed_links import insert_short_links

REPLY_RATE_LIMIT = "3 per hour; 10 per day"
"""Replies to HELP and START, so that two machines can't reply to each other without end."""


@dataclass(frozen=True, slots=True)
class TextReplyWriter:
    """Writes to one phone number. `locale` is its owner's, if known."""

    catalogue: Catalogue
    address: Address
    country: str | None
    locale: str | None

    def opt_out_confirmation(self, scopes: Sequence[str]) -> str:
        """The confirmation that these are turned off."""
        topics = [
            self.catalogue.topics[scope] for scope in scopes if scope in self.catalogue.topics
        ]
        with in_language(self._language()) as language:
            brands = {topic.brand for topic in topics}
            name = self._sender_name([self.catalogue.brands[key] for key in sorted(brands)])
            if not topics:
                return fit_in_one_part(
                    lambda fields: _(
                        "%(name)s: you are unsubscribed. You will get no more marketing messages"
                        " at this number.",
                        **fields,
                    ),
                    {"name": name},
                )
            titles = [self.catalogue.localize(topic.title, language) for topic in topics]
            return fit_in_one_part(
                lambda fields: _(
                    "%(name)s: you are unsubscribed. We no longer send this to your number:"
                    " %(what)s.",
                    **fields,
                ),
                {"name": name, "what": join_names(titles)},
            )

    def help_reply(self, destination: Destination) -> str:
        """The destination's reply to HELP, or else who we are and where people choose."""
        if not self._may_reply():
            return ""
        if own := destination.settings.get(HELP_TEXT_SETTING):
            return own
        with in_language(self._language()):
            url = f"{services().links.base_url(self._host())}/form"
            return fit_in_one_part(
                lambda fields: _(
                    "%(name)s: text STOP to get no more marketing at this number. Choose what"
                    " you receive: %(url)s",
                    url=url,
                    **fields,
                ),
                {"name": self._sender_name()},
            )

    def opt_in_link(self) -> str:
        """A link to turn messages on; opening it proves possession of the phone."""
        if not self._may_reply():
            return ""
        context = services()
        token = context.links.create_one_time_token(
            TokenPurpose.EMAILED_LINK, self.address, context.new_id(), context.now()
        )
        (code,) = run_in_transaction(
            lambda connection: insert_short_links(connection, [f"m/{token}"], context.now())
        )
        link = context.links.short_url(code, self._host())
        with in_language(self._language()):
            return fit_in_one_part(
                lambda fields: _(
                    "%(name)s: to get messages at this number again, choose here within 24 hours:"
                    " %(link)s",
                    link=link,
                    **fields,
                ),
                {"name": self._sender_name()},
            )

    def _language(self) -> str:
        spoken = (self.locale, *country_languages(self.country), self.catalogue.default_language)
        return next(filter(None, map(match_language, spoken)), SOURCE_LANGUAGE)

    def _sender_name(self, brands: Sequence[Brand] = ()) -> str:
        """The name of these brands, or of all; our host if the catalogue has none.

        Our host too where the name can't be written in the alphabet of text messages.
        """
        named = brands or [*self.catalogue.brands.values()]
        language = self._language()
        names = [self.catalogue.localize(brand.name, language) for brand in named]
        host = urlsplit(services().settings.public_url).hostname or ""
        name = join_names(names)
        return name if to_gsm(name) else host

    def _host(self) -> str | None:
        """The host of the pages of the only brand."""
        brands = [*self.catalogue.brands.values()]
        return brands[0].host if len(brands) == 1 else None

    def _may_reply(self) -> bool:
        context = services()
        mark = context.keys.exact_digest(self.address).hex()
        return context.limiter.hit(REPLY_RATE_LIMIT, "text-to", mark)
