"""`SalesforceClient` looks up and changes people in one org by Salesforce's REST API.

https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_query.htm
https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_sobjects_collections_update.htm
https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_client_credentials_flow.htm
https://developer.salesforce.com/docs/platform/api-rest/guide/headers-autoassign.html
Fields of the responses that are not needed are ignored. `save_changes` saves the records of
several people, and returns what came of each person.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from http import HTTPStatus
from typing import Any, TypeAlias
from urllib.parse import quote, urlencode

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_pascal

from preference_center.integrations.base import runtime


class TokenError(runtime.LenientModel):
    """Why no token was issued."""

    error: str = Field(default="", pattern=r"^[a-z_]*$")


class QueryError(runtime.CamelModel):
    """Why a request failed: only the code, since messages quote the query and addresses (I12)."""

    error_code: str = Field(pattern=r"^[A-Z_]+$")


class _RecordAttributes(BaseModel):
    type: str


class SalesforceRecord(BaseModel):
    """One contact or lead, with the requested fields."""

    model_config = ConfigDict(alias_generator=to_pascal, extra="allow")

    attributes: _RecordAttributes = Field(alias="attributes")
    id: str
    email: str | None
    system_modstamp: datetime

    @property
    def object_type(self) -> str:
        """The name of its object: Contact or Lead."""
        return self.attributes.type

    @property
    def fields(self) -> Mapping[str, Any]:
        """Field name -> value, of the requested fields."""
        return self.model_extra or {}


class QueryResponse(runtime.CamelModel):
    """A page of the records of a query."""

    done: bool
    next_records_url: str | None = None
    records: list[SalesforceRecord]


class _SaveError(runtime.CamelModel):
    status_code: str = ""


class SaveResult(runtime.LenientModel):
    """The result of changing one record."""

    success: bool
    errors: tuple[_SaveError, ...] = ()


class FieldDescription(runtime.CamelModel):
    """A field of an object that the app's user may see; others are not described."""

    name: str
    label: str = ""
    type: str
    custom: bool = False
    updateable: bool = False
    """Whether the app's user may edit it."""
    length: int = 0

    @property
    def is_custom_checkbox(self) -> bool:
        """Whether it is a checkbox that the org added."""
        return self.custom and self.type == "boolean"


class ObjectDescription(runtime.LenientModel):
    """An object, as the app's user sees it."""

    field_list: tuple[FieldDescription, ...] = Field(default=(), alias="fields")
    updateable: bool = False
    """Whether the app's user may edit records of it."""
    deletable: bool = False
    """Whether the app's user may delete records of it."""

    @property
    def fields_by_name(self) -> dict[str, FieldDescription]:
        """Field name -> field."""
        return {row.name: row for row in self.field_list}


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


class SalesforceClient:
    """One org. Requests a token before its first request."""

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


# The next push will succeed: locks are released, and a merged record is no longer found.
_TEMPORARY_RECORD_ERRORS = frozenset(
    {
        "ENTITY_IS_DELETED",
        "INVALID_CROSS_REFERENCE_KEY",
        "REQUEST_LIMIT_EXCEEDED",
        "SERVER_UNAVAILABLE",
        "UNABLE_TO_LOCK_ROW",
    }
)


ChangesByEmail: TypeAlias = Mapping[str, Sequence[RecordChange]]


Item: TypeAlias = runtime.TargetChange | runtime.FieldItem | runtime.EraseItem


def find_changes(
    records: Mapping[str, Sequence[SalesforceRecord]],
    desired_fields: Mapping[str, Mapping[str, Any]],
) -> ChangesByEmail:
    """Casefolded address -> what differs in its records from the desired fields."""
    return {
        email: [
            RecordChange(record, differing)
            for record in rows
            if (differing := _differing(record, desired_fields[email]))
        ]
        for email, rows in records.items()
        if rows
    }


def _differing(record: SalesforceRecord, desired: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in desired.items() if record.fields.get(name) != value}


def save_changes(
    save: Callable[[Sequence[RecordChange]], Sequence[SaveResult]],
    items: Iterable[Item],
    changes: ChangesByEmail,
) -> runtime.Outcomes:
    """Save the changes of each casefolded address, 200 records a request.

    ABSENT for an address without an entry in `changes`.
    """
    refs = defaultdict[str, tuple[int, ...]](tuple)
    for item in items:
        refs[item.address.casefold()] += (item.ref,)
    outcomes: dict[int, runtime.PushOutcome] = {}
    pending = list[tuple[RecordChange, tuple[int, ...]]]()
    for email, refs_of_email in refs.items():
        outcome = runtime.reflected() if email in changes else runtime.absent("no record")
        outcomes |= dict.fromkeys(refs_of_email, outcome)
        pending += [(change, refs_of_email) for change in changes.get(email, ())]
    # A request may switch between the object types ten times at most.
    pending.sort(key=lambda change: change[0].record.object_type)
    steps = [
        runtime.PushStep(
            tuple(dict.fromkeys(ref for _, refs_of_email in part for ref in refs_of_email)),
            partial(_save, save, part),
        )
        for part in runtime.chunked(pending, MAX_COLLECTION_SIZE)
    ]
    return outcomes | runtime.run_steps((), steps)


def _save(
    save: Callable[[Sequence[RecordChange]], Sequence[SaveResult]],
    changes: Sequence[tuple[RecordChange, tuple[int, ...]]],
) -> runtime.Outcomes:
    outcomes: dict[int, runtime.PushOutcome] = {}
    results = save([change for change, _ in changes])
    for (_, refs), result in zip(changes, results, strict=True):
        outcome = _to_outcome(result)
        for ref in refs:
            outcomes[ref] = runtime.worst(outcomes.get(ref, outcome), outcome)
    return outcomes


def _to_outcome(result: SaveResult) -> runtime.PushOutcome:
    if result.success:
        return runtime.reflected("saved")
    codes = sorted({error.status_code for error in result.errors})
    if not codes or not _TEMPORARY_RECORD_ERRORS.isdisjoint(codes):
        return runtime.retry_later(" ".join(codes))
    return runtime.refused(" ".join(codes))
