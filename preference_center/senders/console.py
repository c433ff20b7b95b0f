"""Senders' API keys and link keys: what they may do, when they were used, create and revoke."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import TypeVar

from flask import abort, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from flask_babel.speaklater import LazyString

from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.core.errors import InvalidInput
from preference_center.core.events import ALL_MARKETING
from preference_center.core.links.tokens import SenderKey
from preference_center.core.staff import Permission, permissions_of
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_autocommit, run_in_transaction
from preference_center.infra.keys import link_keys
from preference_center.senders import keys
from preference_center.web.api import keys as api_keys
from preference_center.web.api.keys import (
    ALL_MESSAGE_TYPES,
    USAGE_RETENTION,
    ApiKey,
    KeyScope,
    KeyUsage,
)
from preference_center.web.console.frame import (
    Route,
    current_actor,
    current_staff,
    redirect_after_post,
    render_page,
)

K = TypeVar("K", ApiKey, SenderKey)

DAYS_SHOWN = timedelta(days=7)
"""What the list counts: today, and the days before it."""

SCOPE_TITLES: Mapping[KeyScope, LazyString] = {
    KeyScope.CHECK: lazy_gettext("ask whether a message may be sent"),
    KeyScope.CATALOGUE: lazy_gettext("read the catalogue"),
    KeyScope.READ: lazy_gettext("read all addresses, their history, contacts and changes"),
    KeyScope.WRITE: lazy_gettext(
        "record opt-outs, consents, contacts and closed accounts, and import lists"
    ),
    KeyScope.LIFT: lazy_gettext(
        "record a person’s own opt-in, which lifts opt-outs; reopen accounts"
    ),
    KeyScope.RIGHTS: lazy_gettext("restrict and erase, and handle requests of data subjects"),
    KeyScope.LINKS: lazy_gettext("create signed links"),
    KeyScope.PORTAL: lazy_gettext("open the preferences of any person: for your account page only"),
}


def senders() -> ResponseReturnValue:
    """All keys, with how much they were used in the last days."""
    since = (services().now() - DAYS_SHOWN).date()
    keys = run_autocommit(api_keys.list_keys)
    usage = run_autocommit(lambda connection: api_keys.list_usage(connection, since))
    return render_page(
        "senders/list",
        keys=sorted(keys, key=lambda key: (key.revoked_at is not None, key.name)),
        usage={each.name: each for each in usage},
        unused=KeyUsage("", since),
        links=sorted(
            run_autocommit(link_keys.list_link_keys),
            key=lambda key: (key.revoked_at is not None, key.name),
        ),
        days=DAYS_SHOWN.days,
        api_rate=services().settings.api_rate,
    )


def sender(name: str) -> ResponseReturnValue:
    """One API key, and its use per day."""
    key = _named(run_autocommit(api_keys.list_keys), name)
    since = (services().now() - USAGE_RETENTION).date()
    return render_page(
        "senders/key",
        key=key,
        daily=run_autocommit(lambda connection: api_keys.list_daily_usage(connection, name, since)),
        scope_titles=SCOPE_TITLES,
        api_rate=services().settings.api_rate,
    )


def new_sender() -> ResponseReturnValue:
    """Create an API key; the page after that is the only one that shows it."""
    problem = ""
    if request.method == "POST":
        try:
            text = _create_key()
        except InvalidInput as error:
            problem = str(error)
        else:
            return render_page("senders/created", text=text, name=request.form["name"].strip())
    grantable = keys.grantable_scopes(_permissions())
    return render_page(
        "senders/new",
        status=422 if problem else 200,
        problem=problem,
        form=request.form,
        scope_titles={scope: text for scope, text in SCOPE_TITLES.items() if scope in grantable},
        all_types=ALL_MESSAGE_TYPES,
        message_types=[*current_catalogue_or_empty().message_types],
        api_rate=services().settings.api_rate,
    )


def revoke_sender(name: str) -> ResponseReturnValue:
    """Ask whether an API key is to be revoked, and revoke it."""
    key = _named(run_autocommit(api_keys.list_keys), name)
    if request.method != "POST":
        return render_page("senders/revoke", key=key)
    run_in_transaction(lambda connection: keys.revoke_api_key(connection, name, current_actor()))
    return redirect_after_post(url_for("console.sender", name=name))


def new_link_key() -> ResponseReturnValue:
    """Create a link key; the page after that is the only one that shows it."""
    problem = ""
    catalogue = current_catalogue_or_empty()
    if request.method == "POST":
        name = request.form.get("name", "").strip()
        try:
            topics = keys.select_link_topics(
                catalogue, request.form.getlist("topic"), request.form.getlist("brand")
            )
            _key, text = run_in_transaction(
                lambda connection: keys.create_link_key(connection, name, topics, current_actor())
            )
        except InvalidInput as error:
            problem = str(error)
        else:
            return render_page("senders/created", text=text, name=name, is_link_key=True)
    return render_page(
        "senders/new_link_key",
        status=422 if problem else 200,
        problem=problem,
        form=request.form,
        brands=[*catalogue.brands],
        topics=[
            *(topic.key for topic in catalogue.topics.values() if not topic.retired),
            ALL_MARKETING,
        ],
    )


def revoke_link_key(name: str) -> ResponseReturnValue:
    """Ask whether a link key is to be revoked, and revoke it."""
    key = _named(run_autocommit(link_keys.list_link_keys), name)
    if request.method != "POST":
        return render_page("senders/revoke_link_key", key=key)
    run_in_transaction(lambda connection: keys.revoke_link_key(connection, name, current_actor()))
    return redirect_after_post(url_for("console.senders"))


def _create_key() -> str:
    form = request.form
    try:
        scopes = [KeyScope(scope) for scope in form.getlist("scope")]
    except ValueError:
        raise InvalidInput(_("Choose scopes from the list.")) from None
    return run_in_transaction(
        lambda connection: keys.create_api_key(
            connection,
            form.get("name", "").strip(),
            scopes,
            form.getlist("message_type"),
            current_actor(),
            permissions=_permissions(),
            rate=form.get("rate", "").strip() or None,
        )
    )


def _permissions() -> frozenset[Permission]:
    return permissions_of(current_staff().roles)


def _named(found: Iterable[K], name: str) -> K:
    """The key of this name; ends the request with 404 without one."""
    return next((key for key in found if key.name == name), None) or abort(HTTPStatus.NOT_FOUND)


_MANAGE = Permission.MANAGE_SENDERS

ROUTES = (
    Route("/senders", senders, Permission.VIEW_SENDERS),
    Route("/senders/new", new_sender, _MANAGE, ("GET", "POST")),
    Route("/senders/keys/<name>", sender, Permission.VIEW_SENDERS),
    Route("/senders/keys/<name>/revoke", revoke_sender, _MANAGE, ("GET", "POST")),
    Route("/senders/link-keys/new", new_link_key, _MANAGE, ("GET", "POST")),
    Route("/senders/link-keys/<name>/revoke", revoke_link_key, _MANAGE, ("GET", "POST")),
)
