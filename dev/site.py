"""The web servers of `make run`: the service with `/dev` next to it, and its console.

Never in production: no process of the Procfile imports it (a wheel has it for
`preference-center run`), and it refuses to start without the folder that `make run` names and
on any address but the loopback's.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from apiflask import APIBlueprint
from flask import (
    Flask,
    Response,
    abort,
    current_app,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue

from dev import console
from dev.demo import mails
from dev.demo.files import FOLDER, TOOLS, Files
from dev.demo.ledger import rows
from dev.engines import Engine, Foreign, at
from dev.errors import EngineError
from dev.mailbox import received
from preference_center.app.web import Surface
from preference_center.app.web import create_app as create_service
from preference_center.infra.config import load_settings
from preference_center.infra.context import services
from preference_center.infra.keys.fingerprints import require_known_keys
from preference_center.infra.serving import AsgiBridge
from preference_center.ledger import spool
from preference_center.monitoring.probes import start_internal_server
from preference_center.web.api.keys import start_storing_key_use

TOOLS_URL = "DEV_TOOLS_URL"
OWN_REDIS = "DEV_OWN_REDIS"
"""Environment variables: where the stand-in tools listen; `1` if Redis is ours to stop."""

RECIPIENTS = 5
MAX_EMAILS = 3
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self';"
    " connect-src 'self'; form-action 'self' {console}; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}

# APIFlask can't describe its API next to a plain blueprint that has a `before_request`.
blueprint = APIBlueprint(
    "dev", __name__, template_folder="templates", static_folder="static", enable_openapi=False
)


@dataclass(frozen=True, slots=True)
class Stage:
    """What the page works with."""

    files: Files
    redis: Engine
    tools_url: str


def create_app() -> Flask:
    """One surface of the service, the public one with `/dev`.

    Raises RuntimeError outside of `make run`.
    """
    settings = load_settings()
    if FOLDER not in os.environ or urlsplit(settings.public_url).hostname != "127.0.0.1":
        raise RuntimeError("dev.site is for `make run` only: serve workers.asgi:app")
    surface = Surface(os.environ["SURFACE"])
    app = create_service(settings, surface=surface)
    with app.app_context():
        require_known_keys()
    if surface is Surface.CONSOLE:
        app.register_blueprint(console.blueprint)
        return app
    files = Files(Path(os.environ[FOLDER]))
    own = os.environ.get(OWN_REDIS) == "1"
    redis = at(files.folder, durable=True, environ={}).redis if own else Foreign(settings.redis_url)
    app.extensions["dev"] = Stage(files, redis, os.environ[TOOLS_URL])
    app.register_blueprint(blueprint, url_prefix="/dev")
    app.view_functions["pages.root"] = lambda: redirect(url_for("dev.show"))
    spool.start_spool(app)
    start_storing_key_use(app)
    return app


@blueprint.before_request
def _from_here() -> None:
    """A page of another site must not press our buttons."""
    if request.headers.get("Sec-Fetch-Site", "none") not in {"same-origin", "none"}:
        abort(403)


@blueprint.after_request
def _harden(response: Response) -> Response:
    console_url = services().settings.console_url
    for name, value in HEADERS.items():
        response.headers[name] = value.format(console=console_url)
    return response


@blueprint.get("")
def show() -> str:
    """The whole demo on one page; its script fetches it again every second."""
    stage = _stage()
    captured = mails.newest(stage.files, RECIPIENTS)
    states = _tool_states(stage)
    return render_template(
        "dev.html",
        mail=captured[0] if captured else None,
        topic=mails.TOPIC,
        tools=TOOLS,
        staff=console.STAFF,
        console_url=services().settings.console_url,
        states=states,
        recipients=_recipients(captured, states),
        ledger=rows(),
        sent=received(stage.files.folder)[:MAX_EMAILS],
        redis_running=stage.redis.running,
        redis_ours=not isinstance(stage.redis, Foreign),
        answer=_answer(),
    )


@blueprint.post("/one-click")
def one_click() -> ResponseReturnValue:
    """Do what a mail client does when its "Unsubscribe" is pressed (RFC 8058)."""
    mail = mails.newest(_stage().files, 1)[0]
    begin = time.monotonic()
    answer = httpx.post(mail.unsubscribe_url, data={"List-Unsubscribe": "One-Click"}, timeout=10)
    milliseconds = round((time.monotonic() - begin) * 1000)
    return _back(status=answer.status_code, ms=milliseconds)


@blueprint.post("/recipients")
def add_recipient() -> ResponseReturnValue:
    """Capture another mail, to somebody new."""
    mails.capture(_stage().files)
    return _back()


@blueprint.post("/redis")
def switch_redis() -> ResponseReturnValue:
    """Stop or start Redis, as ``wanted` has."""
    redis = _stage().redis
    try:
        if request.form.get("wanted") == "stopped":
            redis.stop()
        elif not redis.running:
            redis.start()
    except EngineError as error:
        abort(409, str(error))
    return _back()


def _stage() -> Stage:
    stage: Stage = current_app.extensions["dev"]
    return stage


def _back(**arguments: int) -> ResponseReturnValue:
    return redirect(url_for("dev.show", **arguments), 303)  # type: ignore[arg-type]


def _answer() -> dict[str, int] | None:
    """How the POST just made was answered."""
    status, took = request.args.get("status", type=int), request.args.get("ms", type=int)
    return None if status is None or took is None else {"status": status, "ms": took}


def _tool_states(stage: Stage) -> dict[str, Any] | None:
    """Tool -> address -> what is off there; None while the tools do not answer."""
    try:
        answer = httpx.get(f"{stage.tools_url}/state", timeout=2)
        states: dict[str, Any] = answer.raise_for_status().json()
    except httpx.HTTPError:
        return None
    return states


def _recipients(captured: list[mails.Mail], states: dict[str, Any] | None) -> list[str]:
    """Those of the captured mails, then those that were pushed to a tool last."""
    versions = {
        address: state["version"]
        for contacts in (states or {}).values()
        for address, state in contacts.items()
    }
    in_tools = sorted(versions, key=versions.__getitem__, reverse=True)
    return list(dict.fromkeys([*(mail.recipient for mail in captured), *in_tools]))[
        : RECIPIENTS + 3
    ]


app = create_app()
start_internal_server(app, shares_port=True)
server = AsgiBridge(app, load_settings().web_threads)
