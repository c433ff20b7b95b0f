"""All pages share this rendering: language, texts, brand, footer, and the page for a bad link.

- `footer_details` says how to reach each brand, and has its pages about privacy.
- `seal_for_link` seals what a page has sent back, tied to the link of the page.
- `allow_frames` shows pages in a frame of another site, which the catalogue has to name.
- `brand_asset` serves the looks of a brand: style sheet, font and pictures. They are served from
  here, not from the company's servers, so that no third party learns who reads a page, and so that
  the Content-Security-Policy of all pages can stay strict.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parseaddr
from hashlib import sha256
from pathlib import Path
from typing import Any

from flask import (
    Response,
    abort,
    current_app,
    g,
    has_request_context,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue

from preference_center.catalogue import (
    Brand,
    Catalogue,
    CompanyContact,
    ContactDetails,
    LocalizedText,
    PolicyVersion,
    Topic,
    Wording,
    page_colours,
    shared_wording,
)
from preference_center.catalogue.rules.model import rights_offered
from preference_center.catalogue.store import (
    EMPTY_CATALOGUE,
    cached_catalogue,
    current_catalogue_or_empty,
)
from preference_center.core.addresses import Address, mask_address
from preference_center.core.errors import InvalidLink, ReplacedLinkKey, Unavailable
from preference_center.core.links import FormPurpose, LinkKeyProblem
from preference_center.core.links.tokens import INVALID_LINK_MESSAGE, Link
from preference_center.infra import occurrences
from preference_center.infra.context import CROSS_SITE_COOKIE, services
from preference_center.ledger import spool
from preference_center.web.languages import (
    LANGUAGES,
    TRANSLATIONS_DIRECTORY,
    join_names,
    locale_of,
    page_language,
    set_contact_language,
    set_wording,
)
from preference_center.web.pages.networks import is_network_hidden


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
    officer: str
    accessibility: str
    """The company's data protection officer and accessibility statement; may be empty."""


def footer_details(catalogue: Catalogue, brands: Sequence[Brand], language: str) -> FooterDetails:
    """The footer of a page about `brands`; about none, that of the company."""
    details = [(brand, catalogue.contact_details(brand)) for brand in brands]
    of_company = [] if brands else [(None, catalogue.contact_details(None))]
    company = catalogue.controller

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
        officer=(company.officer or "") if company else "",
        accessibility=catalogue.localize(company.accessibility, language) if company else "",
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


OWN_ORIGIN = "own_origin"
"""The name in `g`: our own origin, where a page is shown at the origin of somebody else."""


_EXTENSION_KEY = "preference_center.pages.text_version"


_TEXT_FOLDERS = ("cookies", "recipients", "web/pages")
"""Of templates: those of pages on which people decide; the preview for staff is there, too."""


_SAFE_METHODS = frozenset({"GET", "HEAD"})


_RUNS_SCRIPT = "runs_script"


_COUNTED = "link_key_problem_counted"


_OPT_OUT_ENDPOINTS = {
    "pages.open_mailed_link": "pages.open_mailed_link",
    "pages.preferences": "pages.unsubscribe",
}
"""By the page whose link has expired, the page that still opts out with it (I7)."""


def render_page(template: str, *, status: int = 200, **values: Any) -> ResponseReturnValue:
    """A page, `templates/<template>.html`, with the language switch.

    `brands` are those that the page is about. `self_path` is the path that shows the same in
    another language by GET; by default it is the page's own.
    """
    brands = values.get("brands", ())
    if brands:
        set_wording(wording_of_brands(brands))
    language = page_language()
    values.setdefault("text", CatalogueText(catalogue_or_empty()))
    values.setdefault("lead_brand", lead_brand(brands))
    html = render_template(
        f"{template}.html",
        language=language,
        languages=LANGUAGES,
        can_mail=can_mail(),
        **values,
    )
    return html, status, {"Content-Language": language}


def own_url(path: str) -> str:
    """A path of ours as the page writes it: with our origin where it is shown at another."""
    return f"{g.get(OWN_ORIGIN, '')}{path}" if path else ""


def allow_own_script() -> None:
    """Let the page of this request run scripts of ours, and them send requests to us."""
    setattr(g, _RUNS_SCRIPT, True)


def extend_script_policy(response: Response) -> None:
    """Allow in the Content-Security-Policy what `allow_own_script` asked for."""
    if g.get(_RUNS_SCRIPT):
        policy = response.headers["Content-Security-Policy"]
        response.headers["Content-Security-Policy"] = (
            f"{policy}; script-src 'self'; connect-src 'self'"
        )


def render_link_page(template: str, token: str, link: Link, **values: Any) -> ResponseReturnValue:
    """A page about one link: its address, masked (RULES C6), its topic and brands."""
    catalogue = catalogue_or_empty()
    topic = catalogue.topics.get(link.scope)
    if request.method not in _SAFE_METHODS:  # the response to a POST can't be requested again
        values.setdefault("self_path", url_for("pages.preferences", token=token, lang=None))
    values.setdefault("rights_token", token)
    return render_page(
        template,
        token=token,
        address=mask_address(link.address),
        revoked=link.revoked,
        scope=link.scope,
        topic=topic,
        brands=_brands_of(catalogue, topic),
        all_brands=tuple(catalogue.brands.values()),
        text=CatalogueText(catalogue),
        **values,
    )


def use_contact_language(address: Address) -> None:
    """Use the contact's language for the rest of this request, unless the person switched.

    Opting out must not fail for it: without the database the language stays unknown.
    """
    try:
        set_contact_language(locale_of(address))
    except Unavailable:
        set_contact_language(None)


def use_link_language(link: Link) -> None:
    """As `use_contact_language`, and use the wording of the brand that the link is about."""
    use_contact_language(link.address)
    with suppress(Unavailable):
        set_wording(link_wording(link))


def count_link_key_problem(problem: LinkKeyProblem) -> None:
    """Count it, once for each request; a command that reads links is none."""
    if has_request_context() and _COUNTED not in g:
        setattr(g, _COUNTED, True)
        occurrences.count_link_key_problem(problem)


def handle_invalid_link(error: Exception) -> ResponseReturnValue:
    """The page for a token that is broken, forged, empty or an unreplaced merge tag.

    404 for every method: a refused POST must not look like success, and some clients try
    a GET next and take its 200 for success. It reveals nothing of any address (RULES A7).
    A link of a key that we have no more is complete, so its page doesn't say that it isn't.
    """
    return render_page(
        "web/pages/invalid_link",
        status=404,
        is_replaced=isinstance(error, ReplacedLinkKey),
        brands=tuple(catalogue_or_empty().brands.values()),
    )


def expired_link_page(token: str, *, opt_out_saved: bool = False) -> ResponseReturnValue:
    """The page for an expired one-time link: it can still opt out, and shows nothing else.

    `opt_out_saved`: whether this request has recorded opt-outs. The status is 410 (RFC 9110
    15.5.11) if not: it was a link of ours, and won't work again.
    """
    brands = tuple(catalogue_or_empty().brands.values())
    return render_page(
        "web/pages/expired_link",
        status=200 if opt_out_saved else 410,
        token=token,
        brands=brands,
        opt_out_saved=opt_out_saved,
        opt_out_endpoint=_OPT_OUT_ENDPOINTS.get(str(request.endpoint)),
        self_path=url_for(str(request.endpoint), token=token, lang=None),
    )


def can_mail() -> bool:
    """Whether people can be sent an email: by a configured server, and within their limits."""
    return services().settings.mail_server is not None and not is_network_hidden()


def catalogue_or_empty() -> Catalogue:
    """The catalogue; an empty one if there is none yet, since an opt-out needs no catalogue.

    While the database is unavailable, the one last known, as long as an opt-out can be
    spooled: a page that loads suggests that its buttons work. Raises Unavailable otherwise.
    """
    try:
        return current_catalogue_or_empty()
    except Unavailable:
        running = spool.current_spool()
        if running is None or not running.folder.is_writable:
            raise
        return cached_catalogue() or EMPTY_CATALOGUE


def error_page_values() -> dict[str, Any]:
    """The brands, texts and wording of an error page; it must not fail without a catalogue."""
    catalogue = cached_catalogue()
    if catalogue is None:
        with suppress(Unavailable):
            catalogue = catalogue_or_empty()
    catalogue = catalogue or EMPTY_CATALOGUE
    brands = tuple(catalogue.brands.values())
    return {
        "brands": brands,
        "wording": wording_of_brands(brands),
        "text": CatalogueText(catalogue),
    }


def lead_brand(brands: tuple[Brand, ...]) -> Brand | None:
    """The brand whose colours a page has: the only one, or the one of the request's host."""
    if len(brands) == 1:
        return brands[0]
    host = request.host.partition(":")[0]
    return next((brand for brand in brands if brand.host == host), None)


def wording_of_brands(brands: tuple[Brand, ...]) -> Wording:
    """The wording of a page of these brands: that of its lead brand, or what they share."""
    lead = lead_brand(brands)
    return lead.wording if lead else shared_wording([brand.wording for brand in brands])


def link_wording(link: Link) -> Wording:
    """The wording of the pages about a link."""
    catalogue = catalogue_or_empty()
    return wording_of_brands(_brands_of(catalogue, catalogue.topics.get(link.scope)))


def default_wording() -> Wording:
    """The wording of a request or job that sets none: of the host's brand, or what all share.

    It never fails: without the database, that of the catalogue last known.
    """
    try:
        catalogue = current_catalogue_or_empty()
    except Unavailable:
        catalogue = cached_catalogue() or EMPTY_CATALOGUE
    brands = tuple(catalogue.brands.values())
    if has_request_context():
        return wording_of_brands(brands)
    return shared_wording([brand.wording for brand in brands])


class CatalogueText:
    """The catalogue's texts in the page's language, or in the one they are written in."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def __call__(self, texts: LocalizedText) -> str:
        """The text itself."""
        return self._catalogue.localize(texts, page_language())

    def language(self, texts: LocalizedText) -> str:
        """The language of what `__call__` returns, for the `lang` attribute."""
        language = page_language()
        return language if texts.get(language) else self._catalogue.default_language

    def names(self, brands: tuple[Brand, ...]) -> str:
        """The names of these brands, as a list in the page's language."""
        return join_names(self(brand.name) for brand in brands)

    def footer(self, brands: Sequence[Brand]) -> FooterDetails:
        """The footer of a page about these brands."""
        return footer_details(self._catalogue, brands, page_language())

    @property
    def policy_notice(self) -> PolicyVersion | None:
        """The version of the privacy policy that pages announce now."""
        return self._catalogue.policy_notice(services().now())

    def is_in_force(self, version: PolicyVersion) -> bool:
        """Whether this version of the privacy policy has come into force."""
        return version.is_in_force(services().now())

    @property
    def rights_offered(self) -> bool:
        """Whether people can use their rights on our own pages."""
        return rights_offered(self._catalogue)


def link_fingerprint(token: str) -> str:
    """A hash that ties a form to its link without repeating the token in the page."""
    return sha256(token.encode()).hexdigest()[:16]


def text_version(wording: Wording) -> str:
    """The version of the texts of pages of this wording, for evidence.

    A hash of templates and translations, and of what the brand words in its own way.
    """
    version: str | None = current_app.extensions.get(_EXTENSION_KEY)
    if version is None:
        root = Path(current_app.root_path, current_app.template_folder or "")
        pages = [file for each in _TEXT_FOLDERS for file in sorted((root / each).glob("*.html"))]
        files = [*pages, *sorted(TRANSLATIONS_DIRECTORY.rglob("*.po"))]
        version = sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
        current_app.extensions[_EXTENSION_KEY] = version
    own = wording.describe()
    return sha256(f"{version} {sorted(own.items())}".encode()).hexdigest()[:12] if own else version


def _brands_of(catalogue: Catalogue, topic: Topic | None) -> tuple[Brand, ...]:
    """The brand of the topic, or all of them."""
    brand = catalogue.brands.get(topic.brand) if topic else None
    return (brand,) if brand else tuple(catalogue.brands.values())


def seal_for_link(purpose: FormPurpose, token: str, data: Mapping[str, Any], now: datetime) -> str:
    """As `Links.seal_form`, for the page of `token` only."""
    return services().links.seal_form(purpose, {"link": link_fingerprint(token), **data}, now)


def open_for_link(
    purpose: FormPurpose, token: str, sealed: str, max_age: timedelta | None, now: datetime
) -> tuple[datetime, dict[str, Any]]:
    """As `Links.open_form`. Raises InvalidLink also for what another link's page has sealed."""
    signed_at, data = services().links.open_form(purpose, sealed, max_age, now)
    if data.get("link") != link_fingerprint(token):
        raise InvalidLink(INVALID_LINK_MESSAGE)
    return signed_at, data


FRAMEABLE = frozenset(
    {
        "pages.preferences",
        "pages.open_portal_link",
        "pages.unsubscribe",
        "pages.opt_out_status",
        "pages.submit_survey",
        "pages.request_link",
    }
)
"""Endpoints of pages that may be framed: to choose, to opt out, and to see what came of it.

Never those about rights, nor one that an emailed link opens: they belong in a window of their
own, where the address bar says whose they are.
"""


_NOWHERE = "frame-ancestors 'none'"


def allow_frames(response: Response) -> None:
    """Let the sites that the catalogue names for this host frame this page, and use its cookie.

    In a frame of another site browsers send a cookie only as `SameSite=None`; `Partitioned`
    keeps it to that one site, so that it can't follow anyone to another.
    """
    catalogue = cached_catalogue()  # that of the view; a response waits for no further query
    if catalogue is None or request.endpoint not in FRAMEABLE:
        return
    origins = _origins_of_host(catalogue, request.host.partition(":")[0])
    if not origins:
        return
    policy = response.headers["Content-Security-Policy"]
    allowed = policy.replace(_NOWHERE, f"frame-ancestors {' '.join(origins)}")
    response.headers["Content-Security-Policy"] = allowed
    if request.headers.get("Sec-Fetch-Dest") == "iframe":
        setattr(g, CROSS_SITE_COOKIE, True)


def _origins_of_host(catalogue: Catalogue, host: str) -> tuple[str, ...]:
    """Those of the brand of this host; else of all brands without a host of their own."""
    brands = catalogue.brands.values()
    of_host = [brand for brand in brands if brand.host == host] or [
        brand for brand in brands if brand.host is None
    ]
    return tuple(dict.fromkeys(origin for brand in of_host for origin in brand.frame_origins))


STYLE_SHEET = "style.css"


SHORT_CACHE_SECONDS = 300


LONG_CACHE_SECONDS = 365 * 24 * 60 * 60
"""What a URL with the version of its content may be cached for: another content has another."""


PICTURE_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"
)
"""An SVG is a document: opened by itself, it must neither run nor load anything."""


def brand_asset(key: str, name: str) -> Response:
    """A file of a brand, or its style sheet. Responds 404 if it has none."""
    brand = catalogue_or_empty().brands.get(key) or abort(404)
    if name == STYLE_SHEET:
        css = _style_sheet(brand) or abort(404)
        return _cacheable(Response(css, mimetype="text/css"), _version(css.encode()))
    file = brand.files.get(name) or abort(404)
    response = _cacheable(Response(file.content, mimetype=file.media_type), file.version)
    if file.media_type.startswith("image/"):
        response.headers["Content-Security-Policy"] = PICTURE_CONTENT_SECURITY_POLICY
    else:  # browsers load a font of another origin only with this: the company's own page has one
        response.headers["Access-Control-Allow-Origin"] = "*"
    return response


def brand_url(brand: Brand | None, name: str) -> str:
    """The path of a brand's `name`, with the version of its content; empty if it has none."""
    version = _asset_version(brand, name) if brand else ""
    if not brand or not version:
        return ""
    return url_for("pages.brand_asset", key=brand.key, name=name, v=version, lang=None)


def _asset_version(brand: Brand, name: str) -> str:
    """Empty if it has none."""
    if name == STYLE_SHEET:
        css = _style_sheet(brand)
        return _version(css.encode()) if css else ""
    file = brand.files.get(name)
    return file.version if file else ""


def _style_sheet(brand: Brand) -> str:
    """What overrides the tokens of `static/pages.css`; empty where nothing does."""
    if not brand.colours and brand.font is None and brand.radius is None:
        return ""
    return render_template(
        "web/pages/brand.css",
        brand=brand,
        schemes={name: page_colours(each, name) for name, each in brand.colours.items()},
        font_url=brand_url(brand, "font.woff2"),
    )


def _version(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def _cacheable(response: Response, version: str) -> Response:
    """For long if the URL names this very content, else until a new catalogue is to be seen."""
    is_versioned = request.args.get("v") == version
    response.cache_control.public = True
    response.cache_control.max_age = LONG_CACHE_SECONDS if is_versioned else SHORT_CACHE_SECONDS
    response.cache_control.immutable = is_versioned
    return response
