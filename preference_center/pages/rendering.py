"""What every page of this room shares: language, wording, brand, and the broken link."""

from __future__ import annotations

from contextlib import suppress
from email.utils import parseaddr
from hashlib import sha256
from pathlib import Path
from typing import Any

from babel.lists import format_list
from flask import current_app, render_template, request, url_for
from flask.typing import ResponseReturnValue

from preference_center import spool
from preference_center.domain.addresses import Address, mask_address
from preference_center.domain.catalogue import Brand, Catalogue, LocalizedText, Topic
from preference_center.errors import CatalogueError, Unavailable
from preference_center.extensions import services
from preference_center.languages import (
    LANGUAGES,
    SOURCE_LANGUAGE,
    TRANSLATIONS_DIRECTORY,
    page_language,
    set_contact_language,
)
from preference_center.links import Link
from preference_center.storage.catalogues import cached_catalogue, current_catalogue
from preference_center.storage.contacts import find_locale
from preference_center.storage.db.database import run_autocommit

_EXTENSION_KEY = "preference_center.pages.text_version"
_SAFE_METHODS = frozenset({"GET", "HEAD"})
_EMPTY_CATALOGUE = Catalogue(languages=(SOURCE_LANGUAGE,), default_language=SOURCE_LANGUAGE)


def render_page(template: str, *, status: int = 200, **values: Any) -> ResponseReturnValue:
    """A rendered page of this room, with the switch of languages.

    `brands` are those that the page is about. `here` is the path that shows the same in
    another language by GET; by default it is the page's own.
    """
    language = page_language()
    values.setdefault("text", CatalogueText(catalogue_or_empty()))
    values.setdefault("lead", lead_brand(values.get("brands", ())))
    html = render_template(
        f"pages/{template}.html",
        language=language,
        languages=LANGUAGES,
        can_mail=can_mail(),
        **values,
    )
    return html, status, {"Content-Language": language}


def render_link_page(template: str, token: str, link: Link, **values: Any) -> ResponseReturnValue:
    """A page about one link: whom it is for, masked (RULES C6), and what it is about."""
    catalogue = catalogue_or_empty()
    topic = catalogue.topics.get(link.scope)
    if request.method not in _SAFE_METHODS:  # what a POST answered can't be asked for again
        values.setdefault("here", url_for("recipients.preferences", token=token, lang=None))
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
    """Have the rest of this request speak the contact's language, unless the person switched.

    A page that says "no" must not fail for it: without the database it goes without.
    """
    try:
        set_contact_language(language_of(address))
    except Unavailable:
        set_contact_language(None)


def language_of(address: Address) -> str | None:
    """The locale of the contact whose address exactly this is (I9), if it is known."""
    keys = services().keys
    return run_autocommit(lambda connection: find_locale(connection, keys, address))


def handle_invalid_link(_error: Exception) -> ResponseReturnValue:
    """The page for a token that is broken, forged, empty or an unreplaced merge tag.

    404 for every method: a refused POST must not look like success, and some clients try
    a GET next and take its 200 for one. It says nothing of any address (RULES A7).
    """
    return render_page(
        "invalid_link", status=404, brands=tuple(catalogue_or_empty().brands.values())
    )


def expired_link_page(token: str, *, saved: bool = False) -> ResponseReturnValue:
    """The page for a pass whose time is over: it offers a fresh one, and shows nothing else.

    `saved` says that what it turned off before is saved. 410 (RFC 9110 15.5.11) if not: it
    was a link of ours, and won't work again.
    """
    brands = tuple(catalogue_or_empty().brands.values())
    here = url_for(str(request.endpoint), token=token, lang=None)
    status = 200 if saved else 410
    return render_page(
        "expired_link", status=status, token=token, brands=brands, saved=saved, here=here
    )


def can_mail() -> bool:
    """Whether there is a server that takes the mail we send."""
    return services().settings.mail_server is not None


def catalogue_or_empty() -> Catalogue:
    """The catalogue; an empty one if there is none yet, since an opt-out needs no catalogue.

    While the database is away, the one last known, as long as an opt-out can be accepted:
    a page that shows is taken for a sign that it can. Raises Unavailable else.
    """
    try:
        return current_catalogue()
    except CatalogueError:
        return _EMPTY_CATALOGUE
    except Unavailable:
        kept = spool.current_spool()
        if kept is None or not kept.folder.is_writable:
            raise
        return cached_catalogue() or _EMPTY_CATALOGUE


def error_page_values() -> dict[str, Any]:
    """What a page about a fault needs to name the brands; it must not fail for them in turn."""
    catalogue = cached_catalogue()
    if catalogue is None:
        with suppress(Unavailable):
            catalogue = catalogue_or_empty()
    catalogue = catalogue or _EMPTY_CATALOGUE
    return {"brands": tuple(catalogue.brands.values()), "text": CatalogueText(catalogue)}


def lead_brand(brands: tuple[Brand, ...]) -> Brand | None:
    """The brand whose colours a page wears: the only one, or the one whose host was asked."""
    if len(brands) == 1:
        return brands[0]
    host = request.host.partition(":")[0]
    return next((brand for brand in brands if brand.host == host), None)


class CatalogueText:
    """The catalogue's texts in the page's language, or in the one they are written in."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def __call__(self, texts: LocalizedText) -> str:
        """The text itself."""
        return self._catalogue.localize(texts, page_language())

    def language(self, texts: LocalizedText) -> str:
        """The language that `__call__` finds, for the `lang` attribute."""
        language = page_language()
        return language if texts.get(language) else self._catalogue.default_language

    def names(self, brands: tuple[Brand, ...]) -> str:
        """The names of these brands, listed as the page's language does."""
        return format_list([self(brand.name) for brand in brands], locale=page_language())

    @staticmethod
    def sender_address(brand: Brand) -> str:
        """The bare address that the brand writes from, or nothing."""
        return parseaddr(brand.sender or "")[1]


def link_fingerprint(token: str) -> str:
    """Ties a form to its link without repeating the token in the page."""
    return sha256(token.encode()).hexdigest()[:16]


def text_version() -> str:
    """Names the wording of these pages, kept as evidence: a hash of templates and translations."""
    known: str | None = current_app.extensions.get(_EXTENSION_KEY)
    if known is None:
        folder = Path(current_app.root_path, current_app.template_folder or "", "pages")
        files = [*sorted(folder.glob("*.html")), *sorted(TRANSLATIONS_DIRECTORY.rglob("*.po"))]
        known = sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
        current_app.extensions[_EXTENSION_KEY] = known
    return known


def _brands_of(catalogue: Catalogue, topic: Topic | None) -> tuple[Brand, ...]:
    """The brand of the topic, or all of them."""
    brand = catalogue.brands.get(topic.brand) if topic else None
    return (brand,) if brand else tuple(catalogue.brands.values())
