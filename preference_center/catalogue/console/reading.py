"""The catalogue in force, as pages."""

from __future__ import annotations

from typing import Any

from flask.typing import ResponseReturnValue

from preference_center.catalogue import store as catalogues
from preference_center.catalogue.rules.model import Catalogue
from preference_center.catalogue.rules.policy_versions import PRIVACY
from preference_center.catalogue.rules.reader import LocalizedText
from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.catalogue.words import in_words
from preference_center.console.rendering import render_page
from preference_center.core.addresses import Channel
from preference_center.core.events import SHARING
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_autocommit
from preference_center.languages import page_language


def catalogue_page(template: str, **values: Any) -> ResponseReturnValue:
    """A page of this area: with the words for values, and the texts in the reader's language."""
    catalogue: Catalogue = values.pop("catalogue", None) or current_catalogue_or_empty()
    language = page_language()

    def localized(texts: LocalizedText) -> str:
        return catalogue.localize(texts, language)

    return render_page(
        template,
        catalogue=catalogue,
        in_words=in_words,
        localized=localized,
        **values,
    )


def catalogue_overview() -> ResponseReturnValue:
    """The brands, and which version is in force."""
    newest = run_autocommit(lambda connection: catalogues.list_versions(connection, 1))
    return catalogue_page("catalogue/overview", newest=newest[0] if newest else None)


def catalogue_topics() -> ResponseReturnValue:
    """The topics per brand and channel, retired ones last."""
    catalogue = current_catalogue_or_empty()
    groups = [
        (brand, channel, found)
        for brand in catalogue.brands.values()
        for channel in Channel
        if (
            found := sorted(
                (
                    topic
                    for topic in catalogue.topics.values()
                    if topic.brand == brand.key and topic.channel is channel
                ),
                key=lambda topic: topic.retired,
            )
        )
    ]
    return catalogue_page("catalogue/topics", catalogue=catalogue, topic_groups=groups)


def catalogue_message_types() -> ResponseReturnValue:
    """The message types: of which class, about which topic or on which ground."""
    return catalogue_page("catalogue/message_types")


def catalogue_websites() -> ResponseReturnValue:
    """The websites that ask about cookies."""
    return catalogue_page("catalogue/websites")


def catalogue_privacy() -> ResponseReturnValue:
    """The controller, policy versions, rights, retention and recipients."""
    catalogue = current_catalogue_or_empty()
    return catalogue_page(
        "catalogue/privacy",
        catalogue=catalogue,
        in_force=catalogue.policy_in_force(services().now()),
        policy=PRIVACY,
        sharing=SHARING,
    )
