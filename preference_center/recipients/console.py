"""What people see: pages and mails of a brand in a language, for an example person.

A page is asked for as a person's browser would ask, for an address that nobody has, and a mail
is rendered as it would be sent. Nothing is recorded and nothing is sent. A frame shows it, in
which no script runs and no form is sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

from flask import abort, current_app, make_response, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.catalogue.rules.model import Brand, Catalogue
from preference_center.catalogue.rules.wording import PAGE_LANGUAGES
from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import ConfigError
from preference_center.core.events import ALL_MARKETING
from preference_center.core.links.tokens import Link
from preference_center.core.staff import Permission
from preference_center.infra.context import services
from preference_center.infra.outbox import (
    LANGUAGE_SWITCHED,
    REQUIRED_VALUES,
    EmailKind,
    OutgoingEmail,
)
from preference_center.rights.rules.requests import (
    ExtensionReason,
    Extent,
    RefusalGround,
    RequestKind,
    RequestOutcome,
)
from preference_center.web.console.frame import SECURITY_HEADERS, Route, render_page
from preference_center.web.emails import render_email
from preference_center.web.languages import LANGUAGES, page_language

EXAMPLE_ADDRESS = "preview@example.com"
"""Whose pages are shown: RFC 2606 keeps that domain free, so no person has it."""
_PATHS = {"preferences": "/p/", "unsubscribe": "/u/", "request": "/form"}
"""The pages that can be previewed; a path with a / at the end is that of a link."""
_FRAME_HEADERS = {
    "Content-Security-Policy": "sandbox allow-same-origin; default-src 'none';"
    " style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self';"
    " frame-ancestors 'self'; base-uri 'none'",
}
"""Of what a frame shows. Without `allow-scripts`, the same origin only lets it load fonts."""
_FRAMING_POLICY = f"{SECURITY_HEADERS['Content-Security-Policy']}; frame-src 'self'"


@dataclass(frozen=True, slots=True)
class _Selection:
    """What to show: of which brand, in which language."""

    catalogue: Catalogue
    brand: Brand
    language: str
    what: str


def preview_catalogue() -> ResponseReturnValue:
    """Choose a brand, a language and a page or mail, and see it."""
    catalogue = current_catalogue_or_empty()
    if not catalogue.brands:
        return render_page("recipients/preview", catalogue=catalogue, source="")
    selection = _selection()
    endpoint = "console.preview_page" if selection.what in _PATHS else "console.preview_mail"
    page = make_response(
        render_page(
            "recipients/preview",
            catalogue=catalogue,
            selection=selection,
            brands=[
                (brand.key, catalogue.localize(brand.name, page_language()))
                for brand in catalogue.brands.values()
            ],
            mail_kinds=frozenset(EmailKind),
            kinds=[*_page_titles(), *_mail_titles()],
            page_languages=[(tag, LANGUAGES[tag]) for tag in PAGE_LANGUAGES],
            source=url_for(
                endpoint,
                brand=selection.brand.key,
                language=selection.language,
                what=selection.what,
            ),
        )
    )
    page.headers["Content-Security-Policy"] = _FRAMING_POLICY
    return page


def preview_page() -> ResponseReturnValue:
    """A page, for the frame."""
    selection = _selection()
    if selection.what not in _PATHS:
        abort(HTTPStatus.NOT_FOUND)
    path = _PATHS[selection.what]
    if path.endswith("/"):
        path += services().links.create_token(_example_link(selection))
    with _request_of_a_person(path, selection):
        html = current_app.full_dispatch_request().get_data()
    return html, HTTPStatus.OK, _FRAME_HEADERS


def preview_mail() -> ResponseReturnValue:
    """A mail, for the frame: as HTML, or with `part=text` its text, each with the subject."""
    selection = _selection()
    if selection.what not in list(EmailKind):
        abort(HTTPStatus.NOT_FOUND)
    email = _example_email(EmailKind(selection.what), selection)
    with _request_of_a_person("/", selection):
        try:
            message = render_email(email, services().now())
        except ConfigError as error:
            return str(error), HTTPStatus.OK, {"Content-Type": "text/plain; charset=utf-8"}
    kind = "plain" if request.args.get("part") == "text" else "html"
    part = message.get_body((kind,))
    assert part is not None  # every mail of ours has both
    headers = {**_FRAME_HEADERS, "Content-Type": f"text/{kind}; charset=utf-8"}
    if kind == "plain":
        names = ("From", "Reply-To", "Subject")
        head = "\n".join(f"{name}: {message[name]}" for name in names if message[name])
        return f"{head}\n\n{part.get_content()}", HTTPStatus.OK, headers
    return part.get_content(), HTTPStatus.OK, headers


def _selection() -> _Selection:
    """What the query names; the first of each without one, 404 for what is not there."""
    catalogue = current_catalogue_or_empty()
    keys = [*catalogue.brands]
    key = request.args.get("brand", keys[0] if keys else "")
    language = request.args.get("language", catalogue.default_language)
    if key not in catalogue.brands:
        abort(HTTPStatus.NOT_FOUND)
    if language not in PAGE_LANGUAGES:
        language = PAGE_LANGUAGES[0]
    return _Selection(
        catalogue, catalogue.brands[key], language, request.args.get("what", "preferences")
    )


@contextmanager
def _request_of_a_person(path: str, selection: _Selection) -> Iterator[None]:
    """Within a request of its own: with no cookie, and nothing of who is signed in."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
    url = services().links.base_url(selection.brand.host)
    with (
        app.app_context(),
        app.test_request_context(path, base_url=url, query_string={"lang": selection.language}),
    ):
        yield


def _example_address() -> Address:
    return parse_address(EXAMPLE_ADDRESS, Channel.EMAIL)


def _example_link(selection: _Selection) -> Link:
    topics = selection.catalogue.topics_for_channel(Channel.EMAIL)
    of_brand = (topic.key for topic in topics if topic.brand == selection.brand.key)
    return Link(_example_address(), next(of_brand, ALL_MARKETING), "", services().now())


def _example_email(kind: EmailKind, selection: _Selection) -> OutgoingEmail:
    now = services().now()
    values = _example_values(kind, selection, now)
    return OutgoingEmail(
        id=services().new_id(),
        kind=kind,
        recipient=_example_address(),
        language=selection.language,
        brand=selection.brand.key,
        values={name: values[name] for name in REQUIRED_VALUES[kind]} | {LANGUAGE_SWITCHED: "yes"},
        expires_at=now + timedelta(days=1),
    )


def _example_values(kind: EmailKind, selection: _Selection, now: datetime) -> dict[str, str]:
    titles = [
        selection.catalogue.localize(topic.title, selection.language)
        for topic in selection.catalogue.topics_for_channel(Channel.EMAIL)
        if topic.brand == selection.brand.key
    ]
    due = (now + timedelta(days=30)).isoformat()
    reasons: dict[EmailKind, str] = {
        EmailKind.RIGHTS_REFUSED: RefusalGround.NOT_IDENTIFIED,
        EmailKind.RIGHTS_EXTENDED: ExtensionReason.COMPLEX,
    }
    return {
        "link": services().links.base_url(selection.brand.host) + "/preview",
        "what": titles[0] if titles else selection.brand.key,
        "right": RequestKind.ACCESS,
        "reference": "R-EXAMPLE",
        "law": selection.catalogue.rights.laws[0],
        "received": now.isoformat(),
        "due": due,
        "until": due,
        "agent": "Grace Hopper",
        "why": reasons.get(kind, RequestOutcome.FULFILLED),
        "extent": Extent.ACCOUNT,
    }


def _page_titles() -> list[tuple[str, str]]:
    return [
        ("preferences", _("Page: preferences")),
        ("unsubscribe", _("Page: unsubscribe")),
        ("request", _("Page: ask for a link")),
    ]


def _mail_titles() -> list[tuple[str, str]]:
    titles = {
        EmailKind.ONE_TIME_LINK: _("link to the preferences"),
        EmailKind.CONFIRM_OPT_IN: _("confirm an opt-in"),
        EmailKind.RIGHTS_LINK: _("link to a right"),
        EmailKind.NEW_ADDRESS: _("confirm a new address"),
        EmailKind.ADDRESS_MOVED: _("address corrected"),
        EmailKind.ACCOUNT_CLOSED: _("account closed"),
        EmailKind.RIGHTS_RECEIVED: _("request received"),
        EmailKind.RIGHTS_DONE: _("request done"),
        EmailKind.RIGHTS_REFUSED: _("request refused"),
        EmailKind.RIGHTS_EXTENDED: _("request takes longer"),
        EmailKind.RIGHTS_LAPSED: _("request has ended"),
        EmailKind.RIGHTS_AGENT_ASKED: _("somebody asks in a person’s name"),
        EmailKind.MINOR_REPORTED: _("reported as a minor’s"),
        EmailKind.MINOR_CONFIRMED: _("is a minor’s"),
        EmailKind.MINOR_DISMISSED: _("is not a minor’s"),
        EmailKind.MINOR_REVIEWED: _("report was looked at"),
        EmailKind.RIGHTS_REMINDER: _("reminder to the company"),
        EmailKind.ERASED: _("person erased"),
    }
    return [(kind.value, _("Mail: %(what)s", what=titles[kind])) for kind in EmailKind]


_VIEW = Permission.VIEW_CATALOGUE

ROUTES = (
    Route("/catalogue/preview", preview_catalogue, _VIEW),
    Route("/catalogue/preview/page", preview_page, _VIEW),
    Route("/catalogue/preview/mail", preview_mail, _VIEW),
)
