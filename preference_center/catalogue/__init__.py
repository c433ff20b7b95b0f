"""The file that declares brands, topics, message types, laws and texts: read, checked, applied.

`parse_catalogue` reads it or reports every error at once; `diff_catalogues` and
`rejection_reasons` compute what a new version would change and whether it may be applied.
docs/catalogue.md is the reference of the file.
"""

from __future__ import annotations

from preference_center.catalogue.rules.brand import (
    DEFAULT_COLOURS,
    DEFAULT_RADIUS,
    PAGE_BACKGROUND,
    BrandColours,
    BrandFile,
    BrandFont,
    BrandLogo,
    FontFallback,
    inline_files,
    page_colours,
)
from preference_center.catalogue.rules.deliverability import catalogue_warnings
from preference_center.catalogue.rules.diff import (
    CatalogueDiff,
    diff_catalogues,
    rejection_reasons,
    removed_frequencies,
    topics_to_check,
)
from preference_center.catalogue.rules.model import (
    AfterClosingGround,
    Brand,
    Catalogue,
    CataloguePolicy,
    ConsentCutoff,
    LegalBasis,
    MessageClass,
    MessageType,
    PolicyVersion,
    ServiceGround,
    Topic,
    TopicDefault,
    TopicGroup,
    UnprovenImportPolicy,
)
from preference_center.catalogue.rules.parser import catalogue_digest, parse_catalogue
from preference_center.catalogue.rules.privacy import (
    DEFAULT_RETENTION,
    AccountClosing,
    Authority,
    Controller,
    Recipient,
    RecipientRole,
    RetainedData,
    RetentionRule,
    RightsPolicy,
)
from preference_center.catalogue.rules.reader import LocalizedText
from preference_center.catalogue.rules.sites import (
    CONSENT_COOKIE,
    CookieCategory,
    CookiePurpose,
    Site,
    SiteCategory,
    SiteCookie,
)
from preference_center.catalogue.rules.wording import (
    INFORMAL_LANGUAGES,
    PAGE_LANGUAGES,
    AddressForm,
    CompanyContact,
    ContactDetails,
    Wording,
    shared_wording,
)

__all__ = [
    "CONSENT_COOKIE",
    "DEFAULT_COLOURS",
    "DEFAULT_RADIUS",
    "DEFAULT_RETENTION",
    "INFORMAL_LANGUAGES",
    "PAGE_BACKGROUND",
    "PAGE_LANGUAGES",
    "AccountClosing",
    "AddressForm",
    "AfterClosingGround",
    "Authority",
    "Brand",
    "BrandColours",
    "BrandFile",
    "BrandFont",
    "BrandLogo",
    "Catalogue",
    "CatalogueDiff",
    "CataloguePolicy",
    "CompanyContact",
    "ConsentCutoff",
    "ContactDetails",
    "Controller",
    "CookieCategory",
    "CookiePurpose",
    "FontFallback",
    "LegalBasis",
    "LocalizedText",
    "MessageClass",
    "MessageType",
    "PolicyVersion",
    "Recipient",
    "RecipientRole",
    "RetainedData",
    "RetentionRule",
    "RightsPolicy",
    "ServiceGround",
    "Site",
    "SiteCategory",
    "SiteCookie",
    "Topic",
    "TopicDefault",
    "TopicGroup",
    "UnprovenImportPolicy",
    "Wording",
    "catalogue_digest",
    "catalogue_warnings",
    "diff_catalogues",
    "inline_files",
    "page_colours",
    "parse_catalogue",
    "rejection_reasons",
    "removed_frequencies",
    "shared_wording",
    "topics_to_check",
]
