"""The API serves the digests of a local filter: of everybody whom something may deny marketing."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from flask import Response
from pydantic import Base64Bytes, RootModel

from preference_center.catalogue import Catalogue, TopicDefault
from preference_center.catalogue.store import current_catalogue
from preference_center.decisions.store import DigestsInfo, iter_all_digests, load_digests_since
from preference_center.infra import audit
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger.restore_gate import require_complete_database
from preference_center.web.api.bodies import ResponseBody
from preference_center.web.api.endpoint import ApiCall, endpoint
from preference_center.web.api.keys import ApiKey, KeyScope
from preference_center.web.api.parsing import QueryParameters
from preference_center.web.api.problems import STALE_WATERMARK
from preference_center.web.api.streams import (
    WATERMARK_SCHEMA,
    acquire_stream_slot,
    parse_after,
    while_complete,
)


class DigestsQuery(QueryParameters):
    """Where to continue; without it, all digests."""

    after: Annotated[str, WATERMARK_SCHEMA] | None = None


class DigestsStart(ResponseBody):
    """The first line: where to continue, and how the digests were made.

    `message_types` are those that may be sent to everybody who is not among the digests.
    """

    watermark: str
    at: datetime
    digest_keys: dict[str, str]
    norm_version: int
    md5: bool
    message_types: list[str]


class DigestsBlock(ResponseBody):
    """The first 8 bytes of each digest, one after the other."""

    digests: Base64Bytes


class DigestsEnd(ResponseBody):
    """The last line of a complete response."""

    end: Literal[True]
    count: int


class DigestsLine(RootModel[DigestsStart | DigestsBlock | DigestsEnd]):
    """One line of the response."""

    media_type: ClassVar[str] = "application/x-ndjson"


@endpoint(
    "GET",
    "/changes/digests",
    KeyScope.READ,
    query=DigestsQuery,
    response=DigestsLine,
    errors=(STALE_WATERMARK,),
)
def get_changes_digests(call: ApiCall, query: DigestsQuery) -> Response:
    """Get the digests of every email address to which something may deny marketing.

    For the local filter of the Python client, which has the digest keys. One JSON object per
    line; the response is complete only with its last line, and as many digests as that counts.
    With `after`, only those of addresses about which something was recorded since, some again.
    """
    keys, now = services().keys, call.origin.now
    types = _open_message_types(current_catalogue(), call.key)
    after = parse_after(query.after)
    if after is not None:
        info, digests = load_digests_since(keys, after, now)
        require_complete_database(info.watermark.epoch)
        return _respond(_lines(_first_line(info, now, types), iter([digests])))
    with ExitStack() as resources:
        resources.callback(acquire_stream_slot().release)
        run_in_transaction(
            lambda c: audit.insert_audit_entry(c, now, call.key.actor, "feed.digests", {})
        )
        rows = iter_all_digests(keys, now)
        resources.callback(rows.close)
        first = next(rows)
        assert isinstance(first, DigestsInfo)
        require_complete_database(first.watermark.epoch)
        open_resources = resources.pop_all()
    lines = _lines(_first_line(first, now, types), rows, open_resources)
    response = _respond(while_complete(lines))
    response.call_on_close(open_resources.close)  # also if no line is ever read
    return response


def _open_message_types(catalogue: Catalogue, key: ApiKey) -> list[str]:
    """Marketing by email that everybody gets who has not opted out, in the same words for all.

    A topic whose frequency can be chosen is left out: its decisions say how often.
    """
    return sorted(
        name
        for name, message in catalogue.message_types.items()
        if message.topic is not None
        and key.may_check(name)
        and (topic := catalogue.topics.get(message.topic)) is not None
        and topic.channel.rules.is_email
        and topic.default is TopicDefault.OPT_OUT
        and not topic.retired
        and not topic.frequencies
    )


def _first_line(info: DigestsInfo, now: datetime, types: list[str]) -> dict[str, Any]:
    return {
        "watermark": str(info.watermark),
        "at": now.isoformat(),
        "digest_keys": dict(info.fingerprints),
        "norm_version": info.norm_version,
        "md5": info.matches_md5,
        "message_types": types,
    }


def _lines(
    first_line: dict[str, Any],
    batches: Iterator[DigestsInfo | list[bytes]],
    resources: ExitStack | None = None,
) -> Generator[bytes]:
    """The lines; releases `resources`. If one fails, the response ends without the last line."""
    with resources or ExitStack():
        count = 0
        yield _line(first_line)
        for batch in batches:
            assert isinstance(batch, list)
            if batch:
                yield _line({"digests": b64encode(b"".join(batch)).decode()})
            count += len(batch)
        yield _line({"end": True, "count": count})


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode() + b"\n"


def _respond(lines: Iterator[bytes]) -> Response:
    response = Response(lines, mimetype=DigestsLine.media_type)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"  # nginx: do not buffer the response
    return response


ROUTES = (get_changes_digests,)
