"""The catalogue as a page of the company's own needs it: models of `GET /v1/catalogue`.

Lists are in the catalogue's order. Texts are by language tag, in every language of `languages`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from preference_center.api.responses import ResponseBody
from preference_center.catalogue.rules.model import MessageClass, ServiceGround, TopicDefault
from preference_center.core.addresses import Channel

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
