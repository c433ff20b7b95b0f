"""Postmark's API, as far as the streams of one server and their suppressions go.

https://postmarkapp.com/developer/api/suppressions-api
https://postmarkapp.com/developer/api/message-streams-api
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta

from pydantic import ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_pascal

from preference_center.integrations.base.contract import DestinationConfig
from preference_center.integrations.base.http import HttpContext, HttpSession, UnexpectedResponse
from preference_center.integrations.base.pydantic_types import IsoDatetime, LenientModel

MAX_ADDRESSES = 50
"""The most addresses that one request may suppress or reactivate."""
BROADCASTS = "Broadcasts"
UNKNOWN_REASON = "no reason given"
EARLIEST_DATE = date(2010, 1, 1)
"""Before Postmark there was no suppression."""
WINDOW = timedelta(days=365)
MAX_LAG = timedelta(days=2)
"""Days are Postmark's own, and a request may take a minute to count."""
MAX_DUMP_BYTES = 100_000_000
"""Bytes of a dump, which has no pages: most of a million suppressions a year."""
_SUPPRESSIONS = "/message-streams/{stream}/suppressions"


class _Pascal(LenientModel):
    model_config = ConfigDict(alias_generator=to_pascal)


class PostmarkStream(_Pascal):
    """One message stream."""

    id: str = Field("", alias="ID")
    name: str = ""
    message_stream_type: str = ""
    archived_at: str = ""

    @property
    def is_broadcast(self) -> bool:
        """Whether no service mail goes through it, and anything does."""
        return self.message_stream_type == BROADCASTS and not self.archived_at


class PostmarkSuppression(_Pascal):
    """One address that a stream doesn't mail, why, and who said so."""

    email_address: str = ""
    suppression_reason: str = UNKNOWN_REASON
    origin: str = ""
    created_at: IsoDatetime = None


class SuppressionResult(_Pascal):
    """What became of one address."""

    email_address: str = ""
    status: str = ""


class _Streams(_Pascal):
    message_streams: list[PostmarkStream]


class _Dump(_Pascal):
    suppressions: list[PostmarkSuppression]


class _SuppressionResults(_Pascal):
    suppressions: list[SuppressionResult]


_STREAMS = TypeAdapter(_Streams)
_DUMP = TypeAdapter(_Dump)
_RESULTS = TypeAdapter(_SuppressionResults)


@dataclass(frozen=True, slots=True)
class PostmarkCursor:
    """Where pulling stands: at the suppressions of one stream that were made from a day on."""

    streams: tuple[str, ...]
    index: int = 0
    since: date = EARLIEST_DATE

    @classmethod
    def parse(cls, text: str | None, streams: Sequence[str]) -> PostmarkCursor:
        """The place that `str` wrote; the beginning for None, and when others are mapped now."""
        fresh = cls(tuple(sorted(streams)))
        if text is None:
            return fresh
        since, index, names = text.split("|", 2)
        place = cls(tuple(names.split(" ")), int(index), date.fromisoformat(since))
        return place if place.streams == fresh.streams else fresh

    def __str__(self) -> str:
        return f"{self.since}|{self.index}|{' '.join(self.streams)}"

    @property
    def until(self) -> date:
        """The last day that is asked for."""
        return self.since + WINDOW

    def advance(self, today: date) -> tuple[PostmarkCursor, bool]:
        """The next place, and whether all streams have been read until `today`."""
        if self.index + 1 < len(self.streams):
            return PostmarkCursor(self.streams, self.index + 1, self.since), False
        if self.until <= today:
            return PostmarkCursor(self.streams, 0, self.until), False
        return PostmarkCursor(self.streams, 0, max(self.since, today - MAX_LAG)), True


@contextmanager
def open_client(config: DestinationConfig, http: HttpContext) -> Iterator[PostmarkClient]:
    """The server of a destination, for a `with` block."""
    url = config.settings.get("base_url", "https://api.postmarkapp.com")
    headers = {
        "Accept": "application/json",
        "X-Postmark-Server-Token": config.settings["server_token"],
    }
    with http.session(config.name, url, headers=headers) as session:
        yield PostmarkClient(session)


class PostmarkClient:
    """One server of an account, made by `open_server`."""

    def __init__(self, session: HttpSession) -> None:
        self._session = session

    def streams(self) -> dict[str, PostmarkStream]:
        """Stream id -> stream, all kinds of them."""
        query = {"MessageStreamType": "All", "IncludeArchivedStreams": "true"}
        answer = self._session.send("GET", "/message-streams", query=query)
        return {stream.id: stream for stream in answer.parse(_STREAMS).message_streams}

    def suppress(self, stream: str, addresses: Sequence[str]) -> dict[str, str]:
        """Suppress up to 50. Casefolded address -> "Suppressed" or "Failed"."""
        return self._update_suppressions(_SUPPRESSIONS, stream, addresses)

    def reactivate(self, stream: str, addresses: Sequence[str]) -> dict[str, str]:
        """Delete the suppressions of up to 50, whatever their reason, spam complaints excepted.

        Casefolded address -> "Deleted" or "Failed".
        """
        return self._update_suppressions(f"{_SUPPRESSIONS}/delete", stream, addresses)

    def get_suppression_reason(self, stream: str, address: str) -> str | None:
        """Why an address is suppressed in a stream; None if it isn't.

        Raises Unreadable when another was answered, or none that can be read.
        """
        found = self.list_suppressions(stream, {"EmailAddress": address})
        same = [s for s in found if s.email_address.casefold() == address.casefold()]
        if found and not same:
            raise UnexpectedResponse("a suppression came without the address that was asked for")
        return same[0].suppression_reason if same else None

    def list_suppressions(self, stream: str, query: Mapping[str, str]) -> list[PostmarkSuppression]:
        """The suppressions of a stream that fit `query`; there are no pages."""
        answer = self._session.send(
            "GET",
            f"{_SUPPRESSIONS}/dump",
            path_params={"stream": stream},
            query=query,
            max_bytes=MAX_DUMP_BYTES,
        )
        return answer.parse(_DUMP).suppressions

    def _update_suppressions(
        self, route: str, stream: str, addresses: Sequence[str]
    ) -> dict[str, str]:
        body = {"Suppressions": [{"EmailAddress": address} for address in addresses]}
        answer = self._session.send("POST", route, path_params={"stream": stream}, body=body)
        return {
            settled.email_address.casefold(): settled.status
            for settled in answer.parse(_RESULTS).suppressions
        }
