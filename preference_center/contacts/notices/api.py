"""Answer the endpoints of policy versions, and stream whom to inform of one, to be resumed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date, datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from flask import Flask, Response, current_app
from pydantic import Field, RootModel

from preference_center.catalogue.store import current_catalogue
from preference_center.contacts.notices.rules import NoticeChannel, Reach
from preference_center.contacts.notices.select import NoticeRow, announced_version, next_rows
from preference_center.contacts.notices.store import MAX_SEQ, mark_noticed
from preference_center.core.addresses import Channel
from preference_center.core.errors import UnknownPolicyVersion
from preference_center.decisions.rules import DecisionRule
from preference_center.infra import audit
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.web.api.bodies import ResponseBody
from preference_center.web.api.endpoint import (
    ApiCall,
    endpoint,
    json_response,
    require_message_type,
)
from preference_center.web.api.keys import KeyScope
from preference_center.web.api.parsing import MAX_ROWS, QueryParameters, RequestBody
from preference_center.web.api.problems import NOT_FOUND, ApiError
from preference_center.web.api.streams import acquire_stream_slot

Ref = Annotated[str, Field(pattern=r"^[0-9]{1,18}$", json_schema_extra={"format": "ref"})]
Cursor = Annotated[int, Field(ge=0, le=MAX_SEQ, description="The `cursor` of a row.")]


class PolicyVersionBody(ResponseBody):
    """One version; texts by language."""

    reference: str = Field(description="What the `policy` of a consent's evidence names it by.")
    version: str
    effective: date
    effective_at: datetime
    in_force: bool
    material: bool
    reconsent: bool
    message_type: str | None = None
    url: dict[str, str]
    sha256: dict[str, str]
    summary: dict[str, str]


class PolicyVersions(ResponseBody):
    """The versions of the privacy policy, from the oldest to the newest."""

    versions: list[PolicyVersionBody]


@endpoint("GET", "/policies", KeyScope.CATALOGUE, response=PolicyVersions)
def get_policies(call: ApiCall) -> Response:
    """List the versions of the privacy policy.

    `in_force` is the one to show with a consent, and to state as its evidence.
    """
    catalogue, now = current_catalogue(), call.origin.now
    current = catalogue.policy_in_force(now)
    return json_response(
        PolicyVersions(
            versions=[
                PolicyVersionBody(
                    reference=each.reference,
                    version=each.version,
                    effective=each.effective,
                    effective_at=each.effective_at,
                    in_force=each == current,
                    material=each.material,
                    reconsent=each.reconsent,
                    message_type=each.message_type,
                    url=dict(each.url),
                    sha256=dict(each.sha256),
                    summary=dict(each.summary),
                )
                for each in catalogue.policy_versions
            ]
        )
    )


class AudienceQuery(QueryParameters):
    """Where to go on."""

    after: Cursor = 0


class AudienceRow(ResponseBody):
    """One person to inform, and whether the message may be sent to them now."""

    cursor: str
    ref: str
    contact: UUID | None = None
    channel: Channel
    address: str | None = None
    language: str | None = None
    reach: Reach
    noticed_at: datetime | None = None
    via: NoticeChannel | None = None
    allow: bool
    rule: DecisionRule
    advisory: str | None = None
    ends: list[str] | None = Field(
        None,
        description="Topics that are no longer sent to them from the version's day on, unless they"
        " agree again: the notice has to say so.",
    )


class AudienceEnd(ResponseBody):
    """The last line of a complete response."""

    end: Literal[True]
    count: int


class AudienceLine(RootModel[AudienceRow | AudienceEnd]):
    """One line of the response."""

    media_type: ClassVar[str] = "application/x-ndjson"


class NoticesSent(RequestBody):
    """Whom a notice was sent to."""

    refs: Annotated[list[Ref], Field(max_length=MAX_ROWS, description="`ref` of each row.")]


class NoticedCount(ResponseBody):
    """How many persons were recorded as informed by this request."""

    noticed: int
    at: datetime


@endpoint(
    "GET",
    "/policies/<version>/audience",
    KeyScope.READ,
    query=AudienceQuery,
    response=AudienceLine,
    errors=(NOT_FOUND,),
)
def get_policy_audience(call: ApiCall, query: AudienceQuery, version: str) -> Response:
    """List whom to inform of a version of the privacy policy.

    One JSON object per line, each person once: who was selected by `flask policies announce`. The
    response is complete only if it has a last line. To resume, give the `cursor` of the last row
    that was processed as `after`. Send only where `allow` is true and `reach` is `reachable`,
    and record that with `POST /v1/policies/{version}/notices`.
    """
    _check_version(call, version)
    with ExitStack() as resources:
        resources.callback(acquire_stream_slot().release)
        run_in_transaction(
            lambda c: audit.insert_audit_entry(
                c, call.origin.now, call.key.actor, "policy.audience", {"version": version}
            )
        )
        # The stream outlives the request, so it needs the app itself, not the proxy.
        app = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
        open_resources = resources.pop_all()
    response = Response(
        _lines(app, version, query.after, open_resources), mimetype=AudienceLine.media_type
    )
    response.call_on_close(open_resources.close)  # also if no line is ever read
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"  # nginx: do not buffer the response
    return response


@endpoint(
    "POST",
    "/policies/<version>/notices",
    KeyScope.WRITE,
    body=NoticesSent,
    response=NoticedCount,
    errors=(NOT_FOUND,),
    writes=True,
)
def post_policy_notices(call: ApiCall, body: NoticesSent, version: str) -> Response:
    """Record that people were informed of a version of the privacy policy.

    Who was recorded before keeps that time, so repeating a request adds nothing.
    """
    _check_version(call, version)
    now = call.origin.now
    return call.write(
        lambda connection: NoticedCount(
            noticed=mark_noticed(
                connection, version, [*map(int, body.refs)], NoticeChannel.STREAM, now
            ),
            at=now,
        )
    )


def _check_version(call: ApiCall, version: str) -> None:
    try:
        _, message_type = announced_version(version)
    except UnknownPolicyVersion as error:
        raise ApiError(NOT_FOUND, str(error)) from None
    require_message_type(call.key, message_type.key, current_catalogue())


def _lines(app: Flask, version: str, after: int, resources: ExitStack) -> Iterator[bytes]:
    """The lines; releases `resources`. If one fails, the response ends without the last line."""
    with resources:
        count = 0
        while True:
            with app.app_context():
                rows = next_rows(version, after)
            if not rows:
                break
            count += len(rows)
            after = int(rows[-1]["cursor"])
            yield b"".join(map(_line, rows))
        yield _line({"end": True, "count": count})


def _line(document: NoticeRow) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode() + b"\n"


ROUTES = (get_policies, get_policy_audience, post_policy_notices)
