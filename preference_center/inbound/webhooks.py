"""`/in/<destination>`: a tool tells us what people did in it (I13).

Verified first, from headers and the raw body alone; then stored, sealed, and acknowledged.
A job reads what it says. So nothing that was acknowledged is lost, and a vendor's change of
format costs a replay and no news.
"""

from __future__ import annotations

import structlog
from flask import Blueprint, Response, request

from preference_center.domain.news import Post, Unverified
from preference_center.domain.news.sources import SOURCES
from preference_center.errors import DestinationError
from preference_center.extensions import csrf, services
from preference_center.storage import posted
from preference_center.storage.database import Connection, run
from preference_center.storage.destinations import Destination, by_name

log = structlog.get_logger()

blueprint = Blueprint("inbound", __name__)
csrf.exempt(blueprint)  # each vendor proves itself in its own way


@blueprint.route("/in/<name>", methods=["GET", "POST"], defaults={"secret": ""})
@blueprint.route("/in/<name>/<secret>", methods=["GET", "POST"])
def receive(name: str, secret: str) -> Response:
    """Keep what the tool posts: 204 once it is committed (I1).

    404 for a destination that has no webhook; 401, without a hint, for what is not proved to
    be the tool's. A GET or HEAD, with which vendors try a URL, changes nothing (I7).
    """
    context = services()
    destination = _destination(name)
    source = SOURCES.get(destination.kind) if destination else None
    if destination is None or source is None:
        return Response("No tool reports here.\n", 404, mimetype="text/plain")
    if request.method != "POST":
        return Response(status=200)  # some take nothing else for a sign of life
    body = request.get_data()
    post = Post(
        method=request.method,
        url=context.links.public_url + request.full_path.removesuffix("?"),
        secret=secret,
        headers={key.lower(): value for key, value in request.headers},
        body=body,
        remote=request.remote_addr or "",
    )
    try:
        token = source.verify(post, destination.settings, context.now())
        is_new = _keep(destination.id, body, token)
    except Unverified as error:
        log.warning("news_unverified", destination=destination.id, reason=str(error))
        return Response("No.\n", 401, mimetype="text/plain")
    if is_new:
        context.queue.nudge_news(destination.id)
    return Response(status=204)


def _keep(destination: int, body: bytes, token: str | None) -> bool:
    """Store it; False if it is here already. Raises Unverified if its token was used up."""
    context = services()
    number, now = context.new_id(), context.now()

    def work(connection: Connection) -> bool:
        if token is not None and not posted.use_up(
            connection, context.keys, number, destination, token, now
        ):
            raise Unverified("its token was used before")
        return posted.keep(connection, context.keys, number, destination, body, now)

    return run(work)


def _destination(name: str) -> Destination | None:
    try:
        return run(lambda connection: by_name(connection, services().keys, name))
    except DestinationError:
        return None
