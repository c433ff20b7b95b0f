"""Postmark: a topic is a broadcast message stream of one server.

https://postmarkapp.com/developer/api/suppressions-api
https://postmarkapp.com/developer/api/message-streams-api
Each stream has suppressions of its own. Those of transactional streams would stop service
mail and are never written: the kind of each stream is checked before each push (I10). There are
no contacts, so nobody is absent. What is logged about a recipient is removed by another API, of the
whole account: https://postmarkapp.com/developer/api/data-removals-api
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import ClassVar

from pydantic import Field

from preference_center.integrations.base import runtime

MAX_LOOKUPS = 50
"""Addresses that one push or read may look up in a stream: more would not end in a lease."""
FIRST_DAY, WINDOW = datetime(2010, 1, 1, tzinfo=UTC), timedelta(days=365)
"""Before Postmark there was no suppression."""
MAX_LAG = timedelta(days=2)
"""Days are Postmark's own, and a request may take a minute to count."""
MAX_DUMP_BYTES = 100_000_000
"""Bytes of a dump, which has no pages: most of a million suppressions a year."""
MANUAL, BOUNCE, UNKNOWN = "ManualSuppression", "HardBounce", "no reason given"
EVENT_KIND_BY_REASON = {
    MANUAL: runtime.VendorEventKind.OPTED_OUT,
    "SpamComplaint": runtime.VendorEventKind.COMPLAINED,
    BOUNCE: runtime.VendorEventKind.BOUNCED,
}
ACCOUNT_TOKEN, REQUESTER = "account_token", "removals_requested_by"
REMOVAL_POLL_DELAY = timedelta(hours=1)
"""How long a removal takes is not documented."""
_SUPPRESSIONS = "/message-streams/{stream}/suppressions"
_NOT_BROADCAST = (
    "is archived or not for broadcasts, so that service mail may go through it: make a broadcast "
    "stream, and send the topic through it"
)
_DOCS = "https://postmarkapp.com/developer/api"


class _Stream(runtime.PascalModel):
    id: str = Field("", alias="ID")
    name: str = ""
    message_stream_type: str = ""
    archived_at: str = ""

    @property
    def is_broadcast(self) -> bool:
        return self.message_stream_type == "Broadcasts" and not self.archived_at


class _Suppression(runtime.PascalModel):
    email_address: str = ""
    suppression_reason: str = UNKNOWN
    origin: str = ""
    created_at: runtime.IsoDatetime = None
    status: str = ""
    """The result of changing it."""


class _DataRemoval(runtime.PascalModel):
    id: int = Field(0, alias="ID")
    status: str = ""


class Postmark(
    runtime.ReadableConnector[runtime.Session], runtime.ErasingConnector[runtime.Session]
):
    """One server of a Postmark account."""

    kind = "postmark"
    # No limit of requests is documented.
    capabilities = runtime.Capabilities(
        can_lift=True,
        batch_size=200,
        can_read=True,
        pulls=runtime.ListingMode.CHANGES,
        erase=runtime.EraseMode.KEEPS_OPT_OUT,
        erase_note="Postmark removes what it logged about the recipient (Data Removal; its support "
        "enables the API); the suppressions are written again afterwards, in case.",
        erase_setting=ACCOUNT_TOKEN,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "server_token": "API token of the server whose streams are mapped",
        f"{ACCOUNT_TOKEN}?": "API token of the account, by which erased people's data is removed",
        f"{REQUESTER}?": "with that token: the email address of the user of Postmark who requests "
        "the removals",
        "base_url?": "another address of the API, for tests",
    }
    rules = runtime.ConnectorRules(
        target_noun="broadcast stream",
        credentials_hint="the server token",
        api_url="https://api.postmarkapp.com",
        group_size=50,
        by_target=True,
        lookups=runtime.LookupMode.LIFTS,
        max_lifts=MAX_LOOKUPS,
        max_reads=MAX_LOOKUPS,
        target_check=runtime.TargetCheck.ALWAYS,
    )

    def headers(self) -> Mapping[str, str]:
        """See ApiConnector."""
        token = self.config.settings["server_token"]
        return {"Accept": "application/json", "X-Postmark-Server-Token": token}

    def mapping_problems(self) -> Iterator[str]:
        """See ApiConnector. Also of the two settings for removals."""
        yield from super().mapping_problems()
        settings = self.config.settings
        if bool(settings.get(ACCOUNT_TOKEN)) != bool(settings.get(REQUESTER)):
            yield f"{ACCOUNT_TOKEN} and {REQUESTER} go together: set both or neither"

    def list_targets(self, client: runtime.Session) -> Iterator[runtime.Target]:
        """See ApiConnector. Streams of all kinds."""
        query = {"MessageStreamType": "All", "IncludeArchivedStreams": "true"}
        answer = client.send("GET", "/message-streams", query=query)
        for stream in answer.parse_member(list[_Stream], "MessageStreams"):
            reason = "" if stream.is_broadcast else _NOT_BROADCAST
            yield runtime.Target(stream.id, stream.name, reason)

    def write_changes(self, client: runtime.Session, changes: runtime.Changes) -> runtime.Outcomes:
        """See MappedConnector. Deleting removes suppressions of any reason but spam complaints."""
        stream, is_off = changes[0].target, bool(changes[0].off)
        body = {"Suppressions": [{"EmailAddress": change.address} for change in changes]}
        route = _SUPPRESSIONS if is_off else f"{_SUPPRESSIONS}/delete"
        answer = client.send("POST", route, path_params={"stream": stream}, body=body)
        rows = answer.parse_member(list[_Suppression], "Suppressions")
        status_by_address = {row.email_address.casefold(): row.status for row in rows}
        outcomes = {}
        for change in changes:
            status = status_by_address.get(change.address.casefold(), "not acknowledged")
            if status == "Failed" and is_off:
                outcomes[change.ref] = _resolve_failed(client, stream, change.address)
            elif status == ("Suppressed" if is_off else "Deleted"):
                outcomes[change.ref] = runtime.reflected(status)
            else:
                outcomes[change.ref] = runtime.retry_later(status)
        return outcomes

    def fetch_contact(
        self, client: runtime.Session, address: str, target_ids: Collection[str]
    ) -> runtime.RemoteContact:
        """See MappedConnector. A request for each stream.

        A dead mailbox keeps an opt-out that is wanted, and is none that anybody made (I13).
        """
        reasons = {id_: _find_reason(client, id_, address) for id_ in sorted(target_ids)}
        return runtime.RemoteContact(
            {
                id_: runtime.OffState(reason, reason not in {BOUNCE, UNKNOWN}, reason == MANUAL)
                for id_, reason in reasons.items()
                if reason is not None
            }
        )

    def erase_contact(
        self, client: runtime.Session, item: runtime.EraseItem
    ) -> runtime.PushOutcome:
        """See ErasingConnector. Whether a removal takes the suppressions too is not documented."""
        removal = self._fetch_removal(client, item.job) if item.job else None
        if removal is None:
            removal = self._request_removal(client, item.address)
        job = str(removal.id)
        if removal.status != "Done":
            waiting = runtime.retry_later(removal.status, REMOVAL_POLL_DELAY)
            return replace(waiting, job=job)
        targets = set(self.config.topics.values())
        self.ensure_targets(client, targets)
        for id_ in sorted(targets):
            change = runtime.TargetChange(item.ref, item.address, off=frozenset({id_}))
            outcome = self.write_changes(client, [change])[item.ref]
            if outcome.result is not runtime.PushResult.REFLECTED:
                return replace(runtime.retry_later(outcome.ack), job=job)
        return runtime.reflected(f"data removal {job}")

    def _request_removal(self, client: runtime.Session, address: str) -> _DataRemoval:
        body = {
            "RequestedBy": self.config.settings.get(REQUESTER, ""),
            "RequestedFor": address,
            "NotifyWhenCompleted": False,
        }
        headers = self._account_headers()
        return client.send("POST", "/data-removals", body=body, headers=headers).parse(_DataRemoval)

    def _fetch_removal(self, client: runtime.Session, id_: str) -> _DataRemoval | None:
        """The removal; None if Postmark does not know it any more."""
        headers = self._account_headers()
        answer = client.find("GET", "/data-removals/{id}", path_params={"id": id_}, headers=headers)
        return answer.parse(_DataRemoval) if answer else None

    def _account_headers(self) -> Mapping[str, str]:
        return {"X-Postmark-Account-Token": self.config.settings[ACCOUNT_TOKEN]}

    def pull(self, cursor: str | None) -> runtime.EventPage:
        """See SupportsPull. A stream and a year at a time, then what the last days brought."""
        with self.open_client() as client:
            return runtime.next_window_page(
                cursor,
                {id_: partial(_list_events, client, id_) for id_ in self.config.topics.values()},
                now=self.http.now(),
                first=FIRST_DAY,
                width=WINDOW,
                lag=MAX_LAG,
            )


def _list_suppressions(
    client: runtime.Session, stream: str, query: Mapping[str, str]
) -> list[_Suppression]:
    """The suppressions of a stream that fit `query`; there are no pages."""
    return client.send(
        "GET",
        f"{_SUPPRESSIONS}/dump",
        path_params={"stream": stream},
        query=query,
        max_bytes=MAX_DUMP_BYTES,
    ).parse_member(list[_Suppression], "Suppressions")


def _find_reason(client: runtime.Session, stream: str, address: str) -> str | None:
    """Why an address is suppressed in a stream; None if it isn't.

    Raises UnexpectedResponse when another was answered, or none that can be read.
    """
    found = _list_suppressions(client, stream, {"EmailAddress": address})
    same = [row for row in found if row.email_address.casefold() == address.casefold()]
    if found and not same:
        raise runtime.UnexpectedResponse("a suppression came without the address asked for")
    return same[0].suppression_reason if same else None


def _resolve_failed(client: runtime.Session, stream: str, address: str) -> runtime.PushOutcome:
    """Of an address that could not be suppressed: an invalid one, or one that is already."""
    try:
        reason = _find_reason(client, stream, address)
    except runtime.UnexpectedResponse:
        return runtime.retry_later("the answer can't be read")
    return runtime.refused("Failed") if reason is None else runtime.reflected(reason)


def _list_events(
    client: runtime.Session, stream: str, window: runtime.TimeWindow
) -> list[runtime.VendorEvent]:
    days = (window.since, window.since + WINDOW)
    query = {"fromdate": f"{days[0]:%Y-%m-%d}", "todate": f"{days[1]:%Y-%m-%d}"}
    return [
        runtime.VendorEvent(
            kind,
            row.email_address,
            stream if kind is runtime.VendorEventKind.OPTED_OUT else None,
            occurred_at=row.created_at,
            by_person=row.origin == "Recipient",
        )
        for row in _list_suppressions(client, stream, query)
        if (kind := EVENT_KIND_BY_REASON.get(row.suppression_reason)) and row.email_address
    ]


SPEC = runtime.ConnectorSpec.of(
    Postmark,
    tested_against=runtime.TestedAgainst.DOCUMENTATION,
    tested_version="Postmark's API reference, read in November 2026",
    secrets={"server_token", ACCOUNT_TOKEN},
    sources=(
        f"{_DOCS}/suppressions-api",
        f"{_DOCS}/message-streams-api",
        f"{_DOCS}/data-removals-api",
    ),
    notes=(
        "Map each topic to the ID of a broadcast stream; transactional streams are refused.",
        "Postmark may take a minute until a suppression counts.",
        "Spam complaints can't be taken back there, and hard bounces are not by us.",
        "A server's token may do everything on its server, so there are no rights to ask for.",
    ),
    open_points=(
        (
            "A dump of suppressions has no pages: the first reading takes a stream a year at a "
            "time, at most 100 MB a year."
        ),
        (
            "Not documented: whether the days of a dump's filter are inclusive (they overlap), "
            "and what suppressing answers for an address that complained (a `Failed` is looked "
            "up)."
        ),
        "Each lift looks first, 50 a push: deleting a suppression asks for no reason.",
    ),
)
