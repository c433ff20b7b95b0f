"""Salesforce's REST API, as far as people in one org are looked up and changed by it.

https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_query.htm
https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_sobjects_collections_update.htm
https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_client_credentials_flow.htm
https://developer.salesforce.com/docs/platform/api-rest/guide/headers-autoassign.html
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from preference_center.integrations.base.contract import DeliveryError, Setup
from preference_center.integrations.base.http import Answer, Http, Rejected, Session
from preference_center.integrations.salesforce.models import (
    DESCRIBED,
    FAULTS,
    REFUSAL,
    ROWS,
    SAVED,
    TOKEN,
    Described,
    Record,
    Saved,
)

COLLECTION = 200
"""The most records that one request may change."""
PAGE = 2_000
QUERY_LENGTH = 8_000
"""Characters of a query in its URL: URL and headers may have 16,384 bytes."""
OVERLAP = timedelta(minutes=15)
"""SystemModstamp is taken before a transaction ends, which may last 10 minutes."""
EXHAUSTED = timedelta(minutes=30)
"""The day's requests are used up; the day is the last 24 hours, so some come back soon."""
_DATA = "/services/data/v62.0"
_KEEP_OWNERS = {"Sforce-Auto-Assign": "FALSE"}
"""For every write: without it an updated lead, and whatever triggers update with it, is
assigned by the org's rules as if it were new, and changes its owner."""
_PASSING = frozenset({"QUERY_TIMEOUT", "SERVER_UNAVAILABLE", "UNABLE_TO_LOCK_ROW"})
_SETUP = frozenset({"INVALID_FIELD", "INVALID_TYPE", "NOT_FOUND", "API_DISABLED_FOR_ORG"})
_QUERY_FAULTS = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a listing stands: of what changed at or after `since`, all objects in turn.

    In object number `object`, rows up to `time` and, of that very time, `id` have been seen.
    """

    since: str = ""
    object: int = 0
    time: str = ""
    id: str = ""
    began: str = ""

    @classmethod
    def read(cls, cursor: str | None) -> Place:
        """The place that `str` wrote; the beginning for None."""
        if cursor is None:
            return cls()
        since, number, time, id_, began = cursor.split("|")
        return cls(since, int(number), time, id_, began)

    def __str__(self) -> str:
        return f"{self.since}|{self.object}|{self.time}|{self.id}|{self.began}"

    @property
    def condition(self) -> str:
        """As SOQL, to go behind another condition."""
        if self.id:
            later = f"SystemModstamp = {self.time} AND Id > {literal(self.id)}"
            return f" AND (SystemModstamp > {self.time} OR ({later}))"
        return f" AND SystemModstamp >= {self.since}" if self.since else ""

    def after(self, rows: Sequence[Record], objects: int, now: datetime) -> tuple[Place, bool]:
        """The place after `rows`, and whether they were the last of all objects."""
        began = self.began or _moment(now - OVERLAP)
        if len(rows) >= PAGE:
            last = rows[-1]
            return Place(
                self.since, self.object, _moment(last.system_modstamp), last.id, began
            ), False
        if self.object + 1 < objects:
            return Place(self.since, self.object + 1, began=began), False
        return Place(since=began), True


def _moment(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def literal(text: str) -> str:
    """A SOQL string literal.

    Only the quote and the backslash end or escape one, and no control character is allowed in
    an address (SOQL reference, "Quoted String Escape Sequences").
    """
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def parts(addresses: Sequence[str]) -> Iterator[list[str]]:
    """`addresses` as literals, as many at a time as fit a query."""
    part: list[str] = []
    length = 0
    for text in map(literal, addresses):
        size = len(quote(f"{text},", safe=""))
        if part and length + size > QUERY_LENGTH:
            yield part
            part, length = [], 0
        part.append(text)
        length += size
    if part:
        yield part


@contextmanager
def open_org(setup: Setup, http: Http) -> Iterator[Org]:
    """The org of a destination, for a `with` block."""
    with http.session(setup.name, setup.settings["url"]) as session:
        yield Org(setup, http, session)


class Org:
    """One org, made by `open_org`. Asks for a token before its first request."""

    def __init__(self, setup: Setup, http: Http, session: Session) -> None:
        self._setup = setup
        self._http = http
        self._session = session

    def describe(self, object_: str) -> Described:
        """An object's fields, and what our user may do with it."""
        route = f"{_DATA}/sobjects/{{object}}/describe"
        return self._send("GET", route, holes={"object": object_}).parse(DESCRIBED)

    def people(
        self, object_: str, fields: Collection[str], condition: str, order: str = ""
    ) -> list[Record]:
        """The records of an object that meet `condition`, which is SOQL."""
        names = ", ".join(["Id", "Email", "SystemModstamp", *sorted(fields)])
        # A lead that became a contact can't be changed any more, and is not mailed.
        living = " AND IsConverted = false" if object_ == "Lead" else ""
        soql = f"SELECT {names} FROM {object_} WHERE {condition}{living}{order}"  # noqa: S608
        return self._query(soql)

    def known(
        self, object_: str, fields: Collection[str], addresses: Sequence[str]
    ) -> list[Record]:
        """The records of addresses; Salesforce compares them regardless of case."""
        return [
            record
            for part in parts(addresses)
            for record in self.people(object_, fields, f"Email IN ({','.join(part)})")
        ]

    def listing(
        self, objects: Sequence[str], fields: Collection[str], condition: str, cursor: str | None
    ) -> tuple[list[Record], str, bool]:
        """A page of records by time of change, the next cursor, and whether that was all."""
        place, now = Place.read(cursor), self._http.now()
        order = f" ORDER BY SystemModstamp, Id LIMIT {PAGE}"
        where = condition + place.condition
        rows = self.people(objects[place.object], fields, where, order)
        following, done = place.after(rows, len(objects), now)
        return rows, str(following), done

    def update(self, changes: Sequence[tuple[Record, Mapping[str, Any]]]) -> list[Saved]:
        """Change up to 200 records, each by itself; in their order."""
        body = {
            "allOrNone": False,
            "records": [
                {"attributes": {"type": record.object}, "id": record.id, **fields}
                for record, fields in changes
            ],
        }
        route = f"{_DATA}/composite/sobjects"
        saved = self._send("PATCH", route, body=body, headers=_KEEP_OWNERS).parse(SAVED)
        if len(saved) != len(changes):
            raise DeliveryError(f"{self._setup.name}: the answer leaves records out")
        return saved

    def _query(self, soql: str) -> list[Record]:
        page = self._send("GET", f"{_DATA}/query", query={"q": soql}).parse(ROWS)
        rows = page.records
        while not page.done and page.next_records_url:
            if not page.next_records_url.startswith("/services/data/"):
                raise DeliveryError(f"{self._setup.name}: the next page is somewhere else")
            page = self._send(
                "GET", f"{_DATA}/query/{{locator}}", exact=page.next_records_url
            ).parse(ROWS)
            rows += page.records
        return rows

    @cached_property
    def _token(self) -> str:
        settings = self._setup.settings
        form = {"grant_type": "client_credentials"} | {
            name: settings[name] for name in ("client_id", "client_secret")
        }
        answer = self._session.send(
            "POST",
            "/services/oauth2/token",
            body=urlencode(form).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            allow={HTTPStatus.BAD_REQUEST},
        )
        if answer.status == HTTPStatus.BAD_REQUEST:
            reason = answer.parse(REFUSAL).error
            raise DeliveryError(
                f"{self._setup.name}: no token, HTTP 400 {reason}",
                permanent=reason != "rate_limit_exceeded",
            )
        return answer.parse(TOKEN).access_token

    def _send(
        self, method: str, route: str, headers: Mapping[str, str] | None = None, **request: Any
    ) -> Answer:
        answer = self._session.send(
            method,
            route,
            headers={"Authorization": f"Bearer {self._token}", **(headers or {})},
            allow=_QUERY_FAULTS,
            **request,
        )
        if answer.status in _QUERY_FAULTS:
            self._explain(f"{self._setup.name}: {method} {route}: HTTP {answer.status}", answer)
        return answer

    def _explain(self, what: str, answer: Answer) -> None:
        """Raise the error that a refused request means, by the code that Salesforce gives."""
        try:
            code = next((fault.error_code for fault in answer.parse(FAULTS)), "")
        except DeliveryError:
            code = ""
        if code == "REQUEST_LIMIT_EXCEEDED":
            raise DeliveryError(f"{what} {code}", retry_after=EXHAUSTED)
        if code in _PASSING:
            raise DeliveryError(f"{what} {code}")
        if code in _SETUP or answer.status != HTTPStatus.BAD_REQUEST:
            raise DeliveryError(f"{what} {code}, rights or fields are missing", permanent=True)
        raise Rejected(f"{what} {code}", answer.status)
