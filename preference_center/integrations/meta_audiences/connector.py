"""This connector takes people out of Meta's audiences for advertising, and never adds anybody.

https://developers.facebook.com/docs/marketing-api/audiences/guides/custom-audiences
https://developers.facebook.com/docs/marketing-api/reference/custom-audience/users
An audience is a list of hashes that the company uploaded; those who are in it can't be listed or
read, and an answer does not tell whether somebody was. Meta compares SHA-256 hashes of addresses
in lower case without spaces around them, and takes up to a day to apply a change.

`raise_for_error` reads the errors of the Graph API, most of which come with HTTP 400:
https://developers.facebook.com/docs/marketing-api/error-reference
https://developers.facebook.com/docs/graph-api/overview/rate-limiting
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import ClassVar
from urllib.parse import urlencode

from preference_center.integrations.base import runtime

BAD_REQUEST = 400


_RATE_LIMITED = frozenset({4, 17, 32, 613, *range(80_000, 80_015)})


_TEMPORARY = frozenset({-1, 1, 2})


_CREDENTIALS = frozenset({10, 102, 190, 368, *range(200, 300)})


_BLOCKED_AUDIENCE = 1_713_230


_USAGE_HEADER = "x-business-use-case-usage"


_MAX_WAIT = timedelta(hours=1)


class _Error(runtime.LenientModel):
    code: int = 0
    error_subcode: int = 0


def raise_for_error(request: str, response: runtime.Response) -> None:
    """Raise what an answer with HTTP 400 means; `request` names it. Returns for any other.

    RequestRejected where its content is at fault, else DeliveryError: permanent for credentials,
    rights and an audience that Meta has blocked. Meta's own message is not repeated: it may quote
    what was sent (I12).
    """
    if response.status != BAD_REQUEST:
        return
    error = response.parse_member(_Error, "error")
    message = f"{request}: HTTP 400, error {error.code}"
    if error.error_subcode == _BLOCKED_AUDIENCE:
        raise runtime.DeliveryError(
            f"{message}: Meta has restricted this audience, so nobody can be removed from it: "
            "resolve that in the Audience Manager, or delete the audience",
            permanent=True,
        )
    if error.code in _RATE_LIMITED:
        wait = _regain_after(response.headers.get(_USAGE_HEADER, ""))
        raise runtime.DeliveryError(f"{message}, too many requests", retry_after=wait)
    if error.code in _TEMPORARY:
        raise runtime.DeliveryError(f"{message}, for now")
    if error.code in _CREDENTIALS:
        raise runtime.DeliveryError(f"{message}, credentials or rights refused", permanent=True)
    raise runtime.RequestRejected(message, response.status)


def _regain_after(usage: str) -> timedelta | None:
    """How long until requests are accepted again, by Meta's header; None if it says nothing."""
    try:
        found = json.loads(usage)
        minutes = [
            int(each.get("estimated_time_to_regain_access") or 0)
            for entries in found.values()
            for each in entries
        ]
    except (ValueError, TypeError, AttributeError):
        return None
    longest = timedelta(minutes=max(minutes, default=0))
    return min(longest, _MAX_WAIT) or None


_VERSION = "v25.0"


_AUDIENCES = f"/{_VERSION}/act_{{account}}/customaudiences"


_USERS = f"/{_VERSION}/{{audience}}/users"


_BLOCKED = 471


_DOCS = "https://developers.facebook.com/docs/marketing-api"


_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class _Status(runtime.LenientModel):
    code: int = 0


class _Audience(runtime.LenientModel):
    id: str
    name: str = ""
    subtype: str = ""
    operation_status: _Status = _Status()

    @property
    def unusable_reason(self) -> str:
        if self.subtype != "CUSTOM":
            return "is no list that people can be taken out of: use a customer list"
        if self.operation_status.code == _BLOCKED:
            return "is restricted by Meta: resolve that in the Audience Manager"
        return ""


class _Cursors(runtime.LenientModel):
    after: str = ""


class _Paging(runtime.LenientModel):
    cursors: _Cursors = _Cursors()
    next: str = ""


class _Audiences(runtime.LenientModel):
    data: tuple[_Audience, ...]
    paging: _Paging = _Paging()


class _Removed(runtime.LenientModel):
    num_received: int
    num_invalid_entries: int = 0


def hash_address(address: str) -> str:
    """The hash that Meta compares, in hexadecimal."""
    return sha256(address.strip().lower().encode()).hexdigest()


class MetaAudiences(runtime.MappedConnector[runtime.Session]):
    """The custom audiences of one ad account."""

    kind = "meta_audiences"
    capabilities = runtime.Capabilities(
        can_lift=False,
        shares_only=True,
        batch_size=2_000,
        erase=runtime.EraseMode.NOTHING_HELD,
        erase_note="The opt-out, which goes before, takes the person's hash out of the audience.",
    )
    settings: ClassVar[Mapping[str, str]] = {
        "access_token": "a token of a system user with ads_management for the ad account",
        "ad_account": "the number of the ad account, without act_",
        "base_url?": "another address of the API, for tests",
    }
    rules = runtime.ConnectorRules(
        target_noun="audience",
        credentials_hint="the access token, the ad account, and what the token may do there",
        bearer_setting="access_token",
        api_url="https://graph.facebook.com",
        numeric_ids=True,
        by_target=True,
        # Up to 10,000 are documented; a smaller request ends well inside a lease.
        group_size=2_000,
        target_check=runtime.TargetCheck.ON_REJECTION,
    )

    def list_targets(self, client: runtime.Session) -> Iterator[runtime.Target]:
        """See ApiConnector."""
        account = self.config.settings["ad_account"]
        for row in runtime.list_all(partial(_fetch_page, client, account)):
            yield runtime.Target(row.id, row.name or row.id, row.unusable_reason)

    def write_changes(self, client: runtime.Session, changes: runtime.Changes) -> runtime.Outcomes:
        """See MappedConnector. An answer does not say who was not in the audience.

        The hashes go in the body: in a URL they would be logged on the way (I12).
        """
        payload = {
            "schema": ["EMAIL_SHA256"],
            "data": [[hash_address(change.address)] for change in changes],
        }
        answer = client.send(
            "DELETE",
            _USERS,
            path_params={"audience": changes[0].target},
            body=urlencode({"payload": json.dumps(payload)}).encode(),
            headers=_FORM,
            allowed_statuses={BAD_REQUEST},
        )
        raise_for_error(f"{self.config.name}: DELETE {_USERS}", answer)
        removed = answer.parse(_Removed)
        if removed.num_received != len(changes):
            raise runtime.UnexpectedResponse("it received another number than was sent")
        if removed.num_invalid_entries:  # it does not say which
            raise runtime.RequestRejected("invalid entries", BAD_REQUEST)
        return {change.ref: runtime.reflected(answer.status) for change in changes}


def _fetch_page(
    client: runtime.Session, account: str, after: str
) -> tuple[Sequence[_Audience], str]:
    """The audiences of a page by its cursor, "" for the first, and the next one's."""
    query = {"fields": "id,name,subtype,operation_status", "limit": "200"}
    answer = client.send(
        "GET",
        _AUDIENCES,
        path_params={"account": account},
        query=query | ({"after": after} if after else {}),
        allowed_statuses={BAD_REQUEST},
    )
    raise_for_error(f"GET {_AUDIENCES}", answer)
    page = answer.parse(_Audiences)
    return page.data, page.paging.cursors.after if page.paging.next else ""


SPEC = runtime.ConnectorSpec.of(
    MetaAudiences,
    tested_against=runtime.TestedAgainst.DOCUMENTATION,
    tested_version="Marketing API v25.0, its reference read on 2026-11-27; never run against Meta",
    secrets={"access_token"},
    sources=(
        f"{_DOCS}/audiences/guides/custom-audiences",
        f"{_DOCS}/reference/custom-audience/users",
        f"{_DOCS}/error-reference",
        "https://developers.facebook.com/docs/graph-api/overview/rate-limiting",
        "https://github.com/facebook/facebook-python-business-sdk",
    ),
    notes=(
        "Map `sharing` alone to the number of an audience: `--topic sharing=AUDIENCE`.",
        "Each audience is a destination of its own.",
        "It takes people out of an audience and never adds anybody.",
        "What you upload must leave out who has opted out: ask the feed or an export first.",
        "Somebody who is uploaded again is not found, since an audience can't be read.",
        "Meta applies a change within a day, and does not say whether somebody was in it.",
        "Matched is the hash of exactly the address: no phone numbers, no device ids.",
    ),
    open_points=(
        "Errors come as HTTP 400 with a code of their own, which decides.",
        (
            "Not documented: that the payload of a `DELETE` may be a form in its body (in the "
            "query, hashes of addresses would be logged), and that the other entries are removed "
            "where one is invalid (all are sent again, in halves)."
        ),
    ),
)
