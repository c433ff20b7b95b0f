"""Mailgun's API, as far as the suppressions of one sending domain are called.

https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/unsubscribe
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus

from pydantic import BaseModel, TypeAdapter, field_validator

from preference_center.integrations.base.contract import DestinationConfig
from preference_center.integrations.base.http import (
    HttpContext,
    HttpSession,
    Response,
    basic_auth_headers,
)
from preference_center.integrations.base.pydantic_types import LenientModel, MailDatetime
from preference_center.integrations.base.rate_limit import parse_reset_headers

ALL_TAGS = "*"
"""The tag of every message of the domain; what an entry without tags has."""
PAGE_SIZE = 1_000


# Sent with every answer, though the description names none of them.
_RATE_LIMIT_HEADERS = parse_reset_headers("x-ratelimit-remaining", "x-ratelimit-reset", epoch=True)


class MailgunSuppression(LenientModel):
    """One address on a list. Complaints and bounces have no tags: they are about all."""

    address: str = ""
    tags: Sequence[str] = (ALL_TAGS,)
    created_at: MailDatetime = None
    code: str | int = ""
    """The SMTP reply to a mail that bounced; `error` is its text."""
    error: str = ""

    @field_validator("tags", mode="before")
    @classmethod
    def _as_sequence(cls, value: object) -> object:
        """One tag alone may come as it is: github.com/mailgun/documentation/issues/652."""
        return (value,) if isinstance(value, str) else value


class _UpdateResponse(BaseModel):
    message: str


class _MailgunSuppressions(LenientModel):
    items: Sequence[MailgunSuppression] = ()


class _Tag(LenientModel):
    tag: str = ""


class _Tags(LenientModel):
    items: Sequence[_Tag] = ()


class _UnsubscribeTracking(BaseModel):
    active: bool


class _DomainTracking(BaseModel):
    unsubscribe: _UnsubscribeTracking


class _DomainResponse(BaseModel):
    tracking: _DomainTracking


_UPDATE = TypeAdapter(_UpdateResponse)
_SUPPRESSION = TypeAdapter(MailgunSuppression)
_SUPPRESSIONS = TypeAdapter(_MailgunSuppressions)
_TAGS = TypeAdapter(_Tags)
_DOMAIN = TypeAdapter(_DomainResponse)
_LIST = "/v3/{domain}/unsubscribes"
_ADDRESS = f"{_LIST}/{{address}}"


@contextmanager
def open_client(config: DestinationConfig, http: HttpContext) -> Iterator[MailgunClient]:
    """The sending domain of a destination, for a `with` block."""
    settings = config.settings
    base_url = settings.get("base_url", "https://api.mailgun.net")
    headers = basic_auth_headers("api", settings["api_key"])
    with http.session(
        config.name, base_url, headers=headers, rate_limit_headers=_RATE_LIMIT_HEADERS
    ) as session:
        yield MailgunClient(settings["domain"], session)


class MailgunClient:
    """One sending domain, made by `open_domain`."""

    def __init__(self, domain: str, session: HttpSession) -> None:
        self._domain = domain
        self._session = session

    def handles_unsubscribes(self) -> bool:
        """Whether Mailgun heeds the domain's list of unsubscribes."""
        answer = self._send("GET", "/v3/domains/{domain}/tracking")
        return answer.parse(_DOMAIN).tracking.unsubscribe.active

    def tags(self, prefix: str = "") -> list[str]:
        """Tags that messages of the account carried and that begin so, the first thousand.

        https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/tags-new
        """
        body = {"pagination": {"skip": 0, "limit": PAGE_SIZE}} | ({"tag": prefix} if prefix else {})
        answer = self._send("POST", "/v1/analytics/tags", body=body)
        return [tag.tag for tag in answer.parse(_TAGS).items if tag.tag]

    def is_tag_used(self, tag: str) -> bool:
        """Whether a message of the account ever carried the tag."""
        return tag.casefold() in map(str.casefold, self.tags(tag))

    def unsubscribed_tags(self, address: str) -> Sequence[str]:
        """The tags that an address has unsubscribed from."""
        answer = self._send(
            "GET", _ADDRESS, allowed_statuses={HTTPStatus.NOT_FOUND}, address=address
        )
        return () if answer.status == HTTPStatus.NOT_FOUND else answer.parse(_SUPPRESSION).tags

    def add_unsubscribes(self, tags_by_address: Mapping[str, Sequence[str]]) -> None:
        """Unsubscribe up to 1,000 addresses from tags; the tags they had stay.

        Nobody without a tag: that would be all the domain sends.
        """
        body = [
            {"address": address, "tags": tags} for address, tags in tags_by_address.items() if tags
        ]
        self._send("POST", _LIST, body=body).parse(_UPDATE)

    def remove_tag(self, address: str, tag: str) -> None:
        """Take one tag from an address's entry, whether or not it is there."""
        self._send(
            "DELETE",
            _ADDRESS,
            query={"tag": tag},
            allowed_statuses={HTTPStatus.NOT_FOUND},
            address=address,
        )

    def list_suppressions(
        self, kind: str, after: str = "", *, limit: int = PAGE_SIZE
    ) -> Sequence[MailgunSuppression]:
        """A page of unsubscribes, complaints or bounces, in the order of the alphabet."""
        query = {"limit": str(limit)} | ({"page": "next", "address": after} if after else {})
        return self._send("GET", f"/v3/{{domain}}/{kind}", query=query).parse(_SUPPRESSIONS).items

    def _send(
        self,
        method: str,
        route: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        allowed_statuses: Collection[int] = (),
        **path_params: str,
    ) -> Response:
        return self._session.send(
            method,
            route,
            path_params={"domain": self._domain, **path_params},
            query=query,
            body=body,
            allowed_statuses=allowed_statuses,
        )


def page_boundary(suppressions: Sequence[MailgunSuppression]) -> str:
    """Where the next page may begin: as few letters as tell it from this page's middle.

    Mailgun pages by an address, and a cursor may hold none (I12). Some rows come again.
    """
    known = [entry.address for entry in suppressions if entry.address]
    last, middle = (known[-1], known[len(known) // 2]) if known else ("", "")
    lengths = range(1, len(last))
    return next((last[:n] for n in lengths if last[:n] > middle), last[:-1])
