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

from preference_center.integrations.base.contract import Setup
from preference_center.integrations.base.http import Http, Session, Unreadable
from preference_center.integrations.base.pydantic_types import Lenient, Moment

PER_CALL = 50
"""The most addresses that one request may suppress or reactivate."""
BROADCASTS = "Broadcasts"
UNKNOWN = "no reason given"
FIRST = date(2010, 1, 1)
"""Before Postmark there was no suppression."""
WINDOW = timedelta(days=365)
LAG = timedelta(days=2)
"""Days are Postmark's own, and a request may take a minute to count."""
MOST = 100_000_000
"""Bytes of a dump, which has no pages: most of a million suppressions a year."""
_SUPPRESSIONS = "/message-streams/{stream}/suppressions"


class _Pascal(Lenient):
    model_config = ConfigDict(alias_generator=to_pascal)


class Stream(_Pascal):
    """One message stream."""

    id: str = Field("", alias="ID")
    name: str = ""
    message_stream_type: str = ""
    archived_at: str = ""

    @property
    def is_broadcast(self) -> bool:
        """Whether no service mail goes through it, and anything does."""
        return self.message_stream_type == BROADCASTS and not self.archived_at


class Suppression(_Pascal):
    """One address that a stream doesn't mail, why, and who said so."""

    email_address: str = ""
    suppression_reason: str = UNKNOWN
    origin: str = ""
    created_at: Moment = None


class Settled(_Pascal):
    """What became of one address."""

    email_address: str = ""
    status: str = ""


class _Streams(_Pascal):
    message_streams: list[Stream]


class _Dump(_Pascal):
    suppressions: list[Suppression]


class _Settled(_Pascal):
    suppressions: list[Settled]


_STREAMS = TypeAdapter(_Streams)
_DUMP = TypeAdapter(_Dump)
_SETTLED = TypeAdapter(_Settled)


@dataclass(frozen=True, slots=True)
class Place:
    """Where pulling stands: at the suppressions of one stream that were made from a day on."""

    streams: tuple[str, ...]
    index: int = 0
    since: date = FIRST

    @classmethod
    def read(cls, cursor: str | None, streams: Sequence[str]) -> Place:
        """The place that `str` wrote; the beginning for None, and when others are mapped now."""
        fresh = cls(tuple(sorted(streams)))
        if cursor is None:
            return fresh
        since, index, names = cursor.split("|", 2)
        place = cls(tuple(names.split(" ")), int(index), date.fromisoformat(since))
        return place if place.streams == fresh.streams else fresh

    def __str__(self) -> str:
        return f"{self.since}|{self.index}|{' '.join(self.streams)}"

    @property
    def until(self) -> date:
        """The last day that is asked for."""
        return self.since + WINDOW

    def after(self, today: date) -> tuple[Place, bool]:
        """The next place, and whether all streams have been read until `today`."""
        if self.index + 1 < len(self.streams):
            return Place(self.streams, self.index + 1, self.since), False
        if self.until <= today:
            return Place(self.streams, 0, self.until), False
        return Place(self.streams, 0, max(self.since, today - LAG)), True


@contextmanager
def open_server(setup: Setup, http: Http) -> Iterator[Server]:
    """The server of a destination, for a `with` block."""
    url = setup.settings.get("base_url", "https://api.postmarkapp.com")
    headers = {
        "Accept": "application/json",
        "X-Postmark-Server-Token": setup.settings["server_token"],
    }
    with http.session(setup.name, url, headers=headers) as session:
        yield Server(session)


class Server:
    """One server of an account, made by `open_server`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def streams(self) -> dict[str, Stream]:
        """Stream id -> stream, all kinds of them."""
        query = {"MessageStreamType": "All", "IncludeArchivedStreams": "true"}
        answer = self._session.send("GET", "/message-streams", query=query)
        return {stream.id: stream for stream in answer.parse(_STREAMS).message_streams}

    def suppress(self, stream: str, addresses: Sequence[str]) -> dict[str, str]:
        """Suppress up to 50. Casefolded address -> "Suppressed" or "Failed"."""
        return self._settle(_SUPPRESSIONS, stream, addresses)

    def reactivate(self, stream: str, addresses: Sequence[str]) -> dict[str, str]:
        """Delete the suppressions of up to 50, whatever their reason, spam complaints excepted.

        Casefolded address -> "Deleted" or "Failed".
        """
        return self._settle(f"{_SUPPRESSIONS}/delete", stream, addresses)

    def reason(self, stream: str, address: str) -> str | None:
        """Why an address is suppressed in a stream; None if it isn't.

        Raises Unreadable when another was answered, or none that can be read.
        """
        found = self.dump(stream, {"EmailAddress": address})
        same = [s for s in found if s.email_address.casefold() == address.casefold()]
        if found and not same:
            raise Unreadable("a suppression came without the address that was asked for")
        return same[0].suppression_reason if same else None

    def dump(self, stream: str, query: Mapping[str, str]) -> list[Suppression]:
        """The suppressions of a stream that fit `query`; there are no pages."""
        answer = self._session.send(
            "GET", f"{_SUPPRESSIONS}/dump", holes={"stream": stream}, query=query, most=MOST
        )
        return answer.parse(_DUMP).suppressions

    def _settle(self, route: str, stream: str, addresses: Sequence[str]) -> dict[str, str]:
        body = {"Suppressions": [{"EmailAddress": address} for address in addresses]}
        answer = self._session.send("POST", route, holes={"stream": stream}, body=body)
        return {
            settled.email_address.casefold(): settled.status
            for settled in answer.parse(_SETTLED).suppressions
        }
