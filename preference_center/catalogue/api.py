"""`GET /v1/catalogue` returns the texts and looks for a preference page of the company's own.

Lists are in the catalogue's order. Texts are by language tag, in every language of `languages`.
"""

from __future__ import annotations

import hashlib
from typing import Literal

from flask import Response, request, url_for
from pydantic import Field

from preference_center.catalogue.rules.model import (
    Brand,
    Catalogue,
    MessageClass,
    MessageType,
    ServiceGround,
    Topic,
    TopicDefault,
)
from preference_center.catalogue.store import current_catalogue
from preference_center.core.addresses import Channel
from preference_center.core.deadlines import PAUSE_DAYS
from preference_center.infra.context import services
from preference_center.web.api.bodies import ResponseBody
from preference_center.web.api.endpoint import ApiCall, endpoint, json_response
from preference_center.web.api.keys import KeyScope

Texts = dict[str, str]


class CatalogueColours(ResponseBody):
    """The colours of one scheme, as `#rrggbb`; their contrast was checked (WCAG 2.2 AA)."""

    accent: str
    on_accent: str
    header: str
    on_header: str


class CatalogueFont(ResponseBody):
    """The brand's own font: a variable font in WOFF2."""

    url: str
    min_weight: int
    max_weight: int
    fallback: str = Field(description="A generic family of CSS")


class CatalogueLooks(ResponseBody):
    """How a brand looks. A URL names one version of its content, which browsers may keep."""

    light: CatalogueColours | None = None
    dark: CatalogueColours | None = None
    radius: int | None = Field(default=None, description="Of corners, in CSS pixels")
    font: CatalogueFont | None = None
    logo_url: str | None = None
    logo_dark_url: str | None = None
    favicon_url: str | None = None
    illustration_url: str | None = None


class CatalogueBrand(ResponseBody):
    """A name under which the company writes, and how to reach it."""

    key: str
    name: Texts
    footer: Texts
    pages_url: str = Field(description="Where our own pages of the brand are")
    contact_email: str | None = None
    privacy_contact: str | None = None
    privacy_notice: Texts
    closing_url: Texts = Field(description="Where the account can be closed, if not on our pages")
    looks: CatalogueLooks


class CatalogueGroup(ResponseBody):
    """A heading over topics."""

    key: str
    title: Texts


class CatalogueFrequency(ResponseBody):
    """How often a topic can be had."""

    key: str
    title: Texts


class CatalogueTopic(ResponseBody):
    """A topic that can be chosen; retired ones are left out."""

    key: str
    brand: str
    channel: Channel
    group: str
    default: TopicDefault
    title: Texts
    description: Texts
    purpose: Texts
    legal_basis: Literal["consent", "legitimate_interest", "existing_customer"] | None = None
    frequencies: list[CatalogueFrequency] = Field(
        description="From most to least often; empty where there is no choice"
    )
    default_frequency: str | None = None


class CatalogueMessageType(ResponseBody):
    """What senders send: marketing of a topic, or service on a ground."""

    key: str
    message_class: MessageClass = Field(alias="class")
    topic: str | None = None
    ground: ServiceGround | None = None
    title: Texts


class CatalogueResponse(ResponseBody):
    """The catalogue in force."""

    languages: list[str]
    default_language: str
    pause_days: list[int] = Field(description="The pauses that our own page offers")
    brands: list[CatalogueBrand]
    groups: list[CatalogueGroup]
    topics: list[CatalogueTopic]
    message_types: list[CatalogueMessageType]


_CONDITION = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "The ETag of an earlier response",
}


_NOT_MODIFIED = {"description": "The catalogue is still that of `If-None-Match`."}


@endpoint(
    "GET",
    "/catalogue",
    KeyScope.CATALOGUE,
    response=CatalogueResponse,
    extensions={"parameters": [_CONDITION], "responses": {304: _NOT_MODIFIED}},
)
def get_catalogue(_: ApiCall) -> Response:
    """Get the topics, texts and looks of the catalogue.

    It says nothing about any person. Keep the response and its ETag, and ask again with
    If-None-Match: the response is 304 without a body until something has changed.
    """
    response = json_response(_catalogue_response(current_catalogue()))
    response.headers["Cache-Control"] = "private, no-cache"
    response.set_etag(hashlib.sha256(response.get_data()).hexdigest()[:32])
    response.make_conditional(request)
    return response


def _catalogue_response(catalogue: Catalogue) -> CatalogueResponse:
    return CatalogueResponse(
        languages=list(catalogue.languages),
        default_language=catalogue.default_language,
        pause_days=list(PAUSE_DAYS),
        brands=[_brand(each, catalogue) for each in catalogue.brands.values()],
        groups=[
            CatalogueGroup(key=each.key, title=dict(each.title))
            for each in catalogue.groups.values()
        ],
        topics=[_topic(each) for each in catalogue.topics.values() if not each.retired],
        message_types=[_message_type(each) for each in catalogue.message_types.values()],
    )


def _brand(brand: Brand, catalogue: Catalogue) -> CatalogueBrand:
    details = catalogue.contact_details(brand)
    return CatalogueBrand(
        key=brand.key,
        name=dict(brand.name),
        footer=dict(brand.footer),
        pages_url=services().links.base_url(brand.host),
        contact_email=details.contact.address if details.contact else None,
        privacy_contact=details.privacy_contact,
        privacy_notice=dict(details.privacy_notice),
        closing_url=dict(details.closing_url),
        looks=_looks(brand),
    )


def _looks(brand: Brand) -> CatalogueLooks:
    schemes = {
        name: CatalogueColours(
            accent=each.accent,
            on_accent=each.on_accent,
            header=each.header,
            on_header=each.on_header,
        )
        for name, each in brand.colours.items()
    }
    urls = {name: _file_url(brand, name) for name in brand.files}
    font = None
    if brand.font:
        least, most = brand.font.weights
        font = CatalogueFont(
            url=urls["font.woff2"],
            min_weight=least,
            max_weight=most,
            fallback=brand.font.fallback.value,
        )
    return CatalogueLooks(
        light=schemes.get("light"),
        dark=schemes.get("dark"),
        radius=brand.radius,
        font=font,
        logo_url=urls.get("logo"),
        logo_dark_url=urls.get("logo-dark"),
        favicon_url=urls.get("favicon"),
        illustration_url=urls.get("illustration"),
    )


def _file_url(brand: Brand, name: str) -> str:
    version = brand.files[name].version
    path = url_for("pages.brand_asset", key=brand.key, name=name, v=version, _external=False)
    return services().links.base_url(brand.host) + path


def _topic(topic: Topic) -> CatalogueTopic:
    return CatalogueTopic(
        key=topic.key,
        brand=topic.brand,
        channel=topic.channel,
        group=topic.group,
        default=topic.default,
        title=dict(topic.title),
        description=dict(topic.description),
        purpose=dict(topic.purpose),
        legal_basis=topic.legal_basis.value if topic.legal_basis else None,
        frequencies=[
            CatalogueFrequency(key=key, title=dict(title))
            for key, title in topic.frequencies.items()
        ],
        default_frequency=topic.default_frequency or None,
    )


def _message_type(message_type: MessageType) -> CatalogueMessageType:
    return CatalogueMessageType.model_validate(
        {
            "key": message_type.key,
            "class": message_type.message_class,
            "topic": message_type.topic,
            "ground": message_type.ground,
            "title": dict(message_type.title),
        }
    )


ROUTES = (get_catalogue,)
