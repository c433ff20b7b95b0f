"""Salesforce's REST API: the calls that look up and change people in one org.

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

from preference_center.integrations.base import runtime
from preference_center.integrations.salesforce.models import (
    ObjectDescription,
    QueryError,
    QueryResponse,
    SalesforceRecord,
    SaveResult,
    TokenError,
)

MAX_COLLECTION_SIZE = 200
"""The most records that one request may change."""
PAGE_SIZE = 2_000
MAX_QUERY_LENGTH = 8_000
"""Characters of a query in its URL: URL and headers together may have 16,384 bytes."""
OVERLAP = timedelta(minutes=15)
"""SystemModstamp is set before its transaction ends, which may last 10 minutes."""
QUOTA_RETRY_DELAY = timedelta(minutes=30)
"""The daily quota is used up; it counts the last 24 hours, so some of it is free again soon."""
_DATA = "/services/data/v62.0"
_COLLECTION = f"{_DATA}/composite/sobjects"
_KEEP_OWNER_HEADERS = {"Sforce-Auto-Assign": "FALSE"}
"""For every write: without it the org's assignment rules run for an updated lead, and for what
triggers update with it, as if it were new, and change its owner."""
_TEMPORARY_QUERY_ERRORS = frozenset({"QUERY_TIMEOUT", "SERVER_UNAVAILABLE", "UNABLE_TO_LOCK_ROW"})
_CONFIGURATION_ERRORS = frozenset(
    {"INVALID_FIELD", "INVALID_TYPE", "NOT_FOUND", "API_DISABLED_FOR_ORG"}
)
_QUERY_ERROR_STATUSES = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
)


@dataclass(frozen=True, slots=True)
class RecordChange:
    """New values of some fields of a record."""

    record: SalesforceRecord
    fields: Mapping[str, Any]


def _format_time(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def quote_literal(text: str) -> str:
    """A SOQL string literal.

    Only the quote and the backslash need escaping, since an address holds no control character
    (SOQL reference, "Quoted String Escape Sequences").
    """
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def split_literals(addresses: Sequence[str]) -> Iterator[list[str]]:
    """`addresses` as literals, split into as many at a time as fit a query."""
    part: list[str] = []
    length = 0
    for text in map(quote_literal, addresses):
        size = len(quote(f"{text},", safe=""))
        if part and length + size > MAX_QUERY_LENGTH:
            yield part
            part, length = [], 0
        part.append(text)
        length += size
    if part:
        yield part


@contextmanager
def open_client(
    config: runtime.DestinationConfig, http: runtime.HttpContext
) -> Iterator[SalesforceClient]:
    """A client of a destination's org, for a `with` block."""
    with http.session(config.name, config.settings["url"]) as session:
        yield SalesforceClient(config, session)


class SalesforceClient:
    """One org, made by `open_client`. Requests a token before its first request."""

    def __init__(self, config: runtime.DestinationConfig, session: runtime.Session) -> None:
        self._config = config
        self._session = session
        self._descriptions: dict[str, ObjectDescription] = {}

    def describe(self, object_name: str) -> ObjectDescription:
        """An object's fields, and what the app's user may do with it; requested once."""
        if object_name not in self._descriptions:
            route = f"{_DATA}/sobjects/{{object}}/describe"
            response = self._send("GET", route, path_params={"object": object_name})
            self._descriptions[object_name] = response.parse(ObjectDescription)
        return self._descriptions[object_name]

    def query_records(
        self,
        object_name: str,
        fields: Collection[str],
        condition: str,
        order: str = "",
        *,
        with_converted: bool = False,
    ) -> list[SalesforceRecord]:
        """The records of an object that meet `condition`, which is SOQL.

        A converted lead can't be changed any more, and is not mailed: it can only be deleted.
        """
        names = ", ".join(["Id", "Email", "SystemModstamp", *sorted(fields)])
        only_unconverted = object_name == "Lead" and not with_converted
        unconverted = " AND IsConverted = false" if only_unconverted else ""
        soql = f"SELECT {names} FROM {object_name} WHERE {condition}{unconverted}{order}"  # noqa: S608
        return self._query(soql)

    def find_records(
        self,
        object_name: str,
        fields: Collection[str],
        addresses: Sequence[str],
        *,
        with_converted: bool = False,
    ) -> list[SalesforceRecord]:
        """The records of addresses; Salesforce compares them case-insensitively."""
        conditions = [f"Email IN ({','.join(part)})" for part in split_literals(addresses)]
        return [
            record
            for condition in conditions
            for record in self.query_records(
                object_name, fields, condition, with_converted=with_converted
            )
        ]

    def list_changed(
        self,
        since: datetime | None,
        token: str,
        *,
        object_name: str,
        fields: Collection[str],
        condition: str,
    ) -> tuple[list[SalesforceRecord], str]:
        """A page of records that changed at or after a time, in that order, and the next token.

        A token is the time and the id of the last record that was listed.
        """
        if token:
            time, _, id_ = token.partition("|")
            later = f"SystemModstamp = {time} AND Id > {quote_literal(id_)}"
            condition += f" AND (SystemModstamp > {time} OR ({later}))"
        elif since:
            condition += f" AND SystemModstamp >= {_format_time(since)}"
        order = f" ORDER BY SystemModstamp, Id LIMIT {PAGE_SIZE}"
        rows = self.query_records(object_name, fields, condition, order)
        if len(rows) < PAGE_SIZE:
            return rows, ""
        return rows, f"{_format_time(rows[-1].system_modstamp)}|{rows[-1].id}"

    def update(self, changes: Sequence[RecordChange]) -> list[SaveResult]:
        """Change up to 200 records, each on its own; the results are in the same order."""
        body = {
            "allOrNone": False,
            "records": [
                {
                    "attributes": {"type": change.record.object_type},
                    "id": change.record.id,
                    **change.fields,
                }
                for change in changes
            ],
        }
        response = self._send("PATCH", _COLLECTION, body=body, headers=_KEEP_OWNER_HEADERS)
        return self._parse_results(response, changes)

    def delete(self, changes: Sequence[RecordChange]) -> list[SaveResult]:
        """Move up to 200 records to the Recycle Bin, as `update`."""
        ids = ",".join(change.record.id for change in changes)
        query = {"ids": ids, "allOrNone": "false"}
        return self._parse_results(self._send("DELETE", _COLLECTION, query=query), changes)

    def _parse_results(
        self, response: runtime.Response, changes: Sequence[RecordChange]
    ) -> list[SaveResult]:
        results = response.parse(list[SaveResult])
        if len(results) != len(changes):
            raise runtime.DeliveryError(f"{self._config.name}: the response leaves out records")
        return results

    def _query(self, soql: str) -> list[SalesforceRecord]:
        page = self._send("GET", f"{_DATA}/query", query={"q": soql}).parse(QueryResponse)
        rows = page.records
        while not page.done and page.next_records_url:
            if not page.next_records_url.startswith("/services/data/"):
                raise runtime.DeliveryError(
                    f"{self._config.name}: the next page has an unexpected path"
                )
            page = self._send(
                "GET", f"{_DATA}/query/{{locator}}", raw_path=page.next_records_url
            ).parse(QueryResponse)
            rows += page.records
        return rows

    @cached_property
    def _token(self) -> str:
        settings = self._config.settings
        form = {"grant_type": "client_credentials"} | {
            name: settings[name] for name in ("client_id", "client_secret")
        }
        response = self._session.send(
            "POST",
            "/services/oauth2/token",
            body=urlencode(form).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            allowed_statuses={HTTPStatus.BAD_REQUEST},
        )
        if response.status == HTTPStatus.BAD_REQUEST:
            reason = response.parse(TokenError).error
            raise runtime.DeliveryError(
                f"{self._config.name}: no token, HTTP 400 {reason}",
                permanent=reason != "rate_limit_exceeded",
            )
        return response.parse_member(str, "access_token")

    def _send(
        self, method: str, route: str, headers: Mapping[str, str] | None = None, **request: Any
    ) -> runtime.Response:
        response = self._session.send(
            method,
            route,
            headers={"Authorization": f"Bearer {self._token}", **(headers or {})},
            allowed_statuses=_QUERY_ERROR_STATUSES,
            **request,
        )
        if response.status in _QUERY_ERROR_STATUSES:
            self._raise_query_error(
                f"{self._config.name}: {method} {route}: HTTP {response.status}", response
            )
        return response

    def _raise_query_error(self, request_name: str, response: runtime.Response) -> None:
        """Raise the error that a failed request means, by Salesforce's error code."""
        try:
            code = next((error.error_code for error in response.parse(list[QueryError])), "")
        except runtime.DeliveryError:
            code = ""
        if code == "REQUEST_LIMIT_EXCEEDED":
            raise runtime.DeliveryError(f"{request_name} {code}", retry_after=QUOTA_RETRY_DELAY)
        if code in _TEMPORARY_QUERY_ERRORS:
            raise runtime.DeliveryError(f"{request_name} {code}")
        if code in _CONFIGURATION_ERRORS or response.status != HTTPStatus.BAD_REQUEST:
            raise runtime.DeliveryError(
                f"{request_name} {code}, permissions or fields are missing", permanent=True
            )
        raise runtime.RequestRejected(f"{request_name} {code}", response.status)
