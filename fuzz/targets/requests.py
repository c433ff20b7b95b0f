"""Requests as the service reads them: bodies of the API, queries, forms and headers.

The app here has no database: who has to look something up answers 503.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import chain
from typing import Any

from flask import Flask
from pydantic import BaseModel

from fuzz.targets.picking import pick
from fuzz.targets.tokens import NOW
from preference_center.app.web import create_app
from preference_center.contacts import bodies
from preference_center.contacts.rules.preferences import Preferences, PreferenceState, ScopeStatus
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import ALL_MARKETING
from preference_center.core.links.tokens import Link
from preference_center.decisions import api as decisions_api
from preference_center.decisions.api import stream
from preference_center.infra.context import services
from preference_center.ledger.feed import api as change_feed
from preference_center.lists import api as lists_api
from preference_center.recipients import api as recipients_api
from preference_center.recipients.pages.sections import PreferenceForm
from preference_center.recipients.rules import diff_scopes
from preference_center.senders import api as sender_links
from preference_center.senders.api import opt_outs, suppressions
from preference_center.web.api import endpoint
from preference_center.web.api.errors import handle_api_error, handle_invalid_input
from preference_center.web.api.parsing import (
    QueryParameters,
    RequestBody,
    parse_body,
    read_query,
    read_rows,
)
from preference_center.web.api.problems import ApiError, InvalidRequest
from tests.environment import settings_for

_MODULES = (
    bodies,
    decisions_api,
    recipients_api,
    sender_links,
    opt_outs,
    change_feed,
    bodies,
    lists_api,
    endpoint,
    stream,
)
_NOWHERE = "127.0.0.1:1"
_LINK = Link(parse_address("ann@example.com", Channel.EMAIL), ALL_MARKETING, "", NOW)
_SHOWN = {ALL_MARKETING: True, "acme.news": True, "acme.offers": False}
_CURRENT = Preferences(ScopeStatus(PreferenceState.ON), topics={}, closed=False, restricted=False)
_METHODS = {name: name for name in ("POST", "GET", "PUT", "OPTIONS", "HEAD", "DELETE")}
_FAULTS = frozenset({500, 502, 504})
"""Statuses that no request may get; 503 requests a retry."""


@cache
def _app() -> Flask:
    """The whole service, with nothing behind it."""
    settings = settings_for(f"postgresql://no:one@{_NOWHERE}/x", f"redis://{_NOWHERE}/0")
    return create_app(settings, now=lambda: NOW)


@cache
def _token() -> str:
    with _app().app_context():
        return services().links.create_token(_LINK)


def _models(kind: type[BaseModel]) -> dict[str, type[Any]]:
    found = chain.from_iterable(vars(module).values() for module in (*_MODULES, suppressions))
    models = [m for m in found if isinstance(m, type) and issubclass(m, kind) and m is not kind]
    return {model.__name__: model for model in models}


_BODIES, _QUERIES = _models(RequestBody), _models(QueryParameters)


def api_body(data: bytes) -> None:
    """A body is of its model's shape and can be stored, or is refused with a problem.

    The first line names the model.
    """
    model, body = pick(_BODIES, data)
    sent: dict[str, Any] = {"method": "POST", "data": body, "content_type": "application/json"}
    rows: list[Any] = []
    with _app().test_request_context("/", **sent), _answered():
        rows.extend(read_rows(model).rows)
    with _app().test_request_context("/", **sent), _answered():
        rows.append(parse_body(model))
    for text in chain.from_iterable(_texts(row.model_dump()) for row in rows):
        assert "\0" not in text
        text.encode()


def query(data: bytes) -> None:
    """So is a query string."""
    model, rest = pick(_QUERIES, data)
    text = rest.decode("latin-1")
    with _app().test_request_context("/", query_string=text), _answered():
        asked = read_query(model)
        if isinstance(asked, endpoint.PageQuery):
            endpoint.cursor_position(asked)


def form(data: bytes) -> None:
    """The preference page's form means something, whatever its boundary and its fields are."""
    line, _, body = data.partition(b"\n")
    kind = _header(line)
    sent: dict[str, Any] = {"method": "POST", "data": body, "content_type": kind}
    with _app().test_request_context("/", **sent):
        found = diff_scopes(_SHOWN, PreferenceForm().choices, _CURRENT, NOW)
        scopes = {*found.opt_outs, *found.pauses, *found.opt_ins, *found.resumes}
        assert scopes <= {*_SHOWN}
    _send("/u/" + _token(), "POST", kind, {}, body)


def headers(data: bytes) -> None:
    """A request of any path, method and headers is answered, if only with 503.

    A line each; the first is the method, the second the path.
    """
    method, rest = pick(_METHODS, data)
    head, _, body = rest.partition(b"\n\n")
    path, *lines = map(_header, head.split(b"\n"))
    given = dict(line.partition(": ")[::2] for line in lines)
    kind = given.pop("Content-Type", "")
    _send("/" + path.lstrip("/"), method, kind, given, body)


def _header(line: bytes) -> str:
    """A value as a server lets it through: no header holds a line's end."""
    return line.decode("latin-1").replace("\r", "")


def _send(path: str, method: str, kind: str, given: dict[str, str], body: bytes) -> None:
    answer = (
        _app().test_client().open(path, method=method, content_type=kind, headers=given, data=body)
    )
    assert answer.status_code not in _FAULTS, answer.text


@contextmanager
def _answered() -> Iterator[None]:
    """Accept errors of the API, if they can be returned."""
    try:
        yield
    except ApiError as error:
        handle_api_error(error)
    except InvalidRequest as error:
        handle_invalid_input(error)


def _texts(value: object) -> Iterator[str]:
    """All texts in a body."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from chain.from_iterable(map(_texts, (*value, *value.values())))
    elif isinstance(value, list | tuple):
        yield from chain.from_iterable(map(_texts, value))
