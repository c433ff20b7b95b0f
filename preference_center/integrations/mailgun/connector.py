"""This connector maps a topic to a tag that the messages of one Mailgun sending domain carry.

https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/unsubscribe
https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/tags-new
An entry of the unsubscribe list stops messages with one of its tags. The tag "*", which is
also what an entry without tags becomes, stops all that the domain sends, service mail too:
it is never written (I10). There are no contacts, so nobody is absent.

People are erased from the mailing lists of the domain:
https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/mailing-lists
Suppressions are in another store, which erasure leaves alone. Events and stored messages can't be
deleted by recipient; Mailgun deletes them after the days of the account's plan.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar

from pydantic import field_validator

from preference_center.integrations.base import runtime

MAX_LISTS = 20
"""Each is a request for each address: more would not end inside a lease."""


_PAGE_SIZE = 100


_MEMBER = "/v3/lists/{list}/members/{address}"


class _MailingList(runtime.LenientModel):
    address: str = ""


def find_lists(session: runtime.Session, domain: str) -> list[str]:
    """The addresses of the domain's mailing lists; the account's others belong to others."""

    def page(start: int) -> list[_MailingList]:
        query = {"limit": str(_PAGE_SIZE), "skip": str(start)}
        answer = session.send("GET", "/v3/lists", query=query)
        return answer.parse_member(list[_MailingList], "items", or_empty=True)

    found, rows = list[_MailingList](), page(0)
    while rows:
        found += rows
        rows = page(len(found)) if len(rows) == _PAGE_SIZE else []
    suffix = f"@{domain.casefold()}"
    return [row.address for row in found if row.address.casefold().endswith(suffix)]


def erase_member(
    session: runtime.Session, lists: Sequence[str], address: str
) -> runtime.PushOutcome:
    """Delete an address from each of these lists."""
    if len(lists) > MAX_LISTS:
        return runtime.refused(f"the domain has more than {MAX_LISTS} mailing lists")
    deleted = [
        session.find("DELETE", _MEMBER, path_params={"list": list_, "address": address})
        for list_ in lists
    ]
    return runtime.reflected() if any(deleted) else runtime.absent("on no mailing list")


def is_member(session: runtime.Session, lists: Sequence[str], address: str) -> bool:
    """Whether an address is on any of these lists."""
    return any(
        session.find("GET", _MEMBER, path_params={"list": list_, "address": address})
        for list_ in lists
    )


MAX_READS = 100
"""An address is a request of its own: more would not end inside a lease."""


LIFTS_PER_PUSH = 25
"""A lift is three requests."""


ALL_TAGS, MAX_TAG_LENGTH, PAGE_SIZE = "*", 128, 1_000


EVENT_KIND_BY_LIST = {
    "unsubscribes": runtime.VendorEventKind.OPTED_OUT,
    "complaints": runtime.VendorEventKind.COMPLAINED,
    "bounces": runtime.VendorEventKind.BOUNCED,
}


_LIST, _ADDRESS = "/v3/{domain}/unsubscribes", "/v3/{domain}/unsubscribes/{address}"


_DOCS = "https://documentation.mailgun.com/docs/mailgun"


class _Suppression(runtime.LenientModel):
    address: str = ""
    tags: Sequence[str] = (ALL_TAGS,)
    """Complaints and bounces have none: they are about all."""
    created_at: runtime.MailDatetime = None
    code: str | int = ""
    """The SMTP reply to a mail that bounced; `error` is its text."""
    error: str = ""

    @field_validator("tags", mode="before")
    @classmethod
    def _as_sequence(cls, value: object) -> object:
        """One tag alone may come as it is: github.com/mailgun/documentation/issues/652."""
        return (value,) if isinstance(value, str) else value


class _Tag(runtime.LenientModel):
    tag: str = ""


class _Tracking(runtime.LenientModel):
    class Unsubscribe(runtime.LenientModel):
        active: bool

    unsubscribe: Unsubscribe


class Mailgun(
    runtime.ReadableConnector[runtime.Session], runtime.ErasingConnector[runtime.Session]
):
    """One sending domain of a Mailgun account. Tags are case-insensitive: ids are casefolded."""

    kind = "mailgun"
    capabilities = runtime.Capabilities(
        can_lift=True,
        batch_size=1_000,
        can_read=True,
        pulls=runtime.ListingMode.FULL,
        erase=runtime.EraseMode.KEEPS_OPT_OUT,
        erase_note="The address is deleted from the domain's mailing lists, which takes an API "
        f"key of the account; with more than {MAX_LISTS} of them by hand. "
        "Suppressions stay. Events and stored messages can't be deleted by recipient, and go "
        "after the days that the plan keeps them, 30 at most.",
        confirms_erasure=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "api_key": "an API key that may manage suppressions; a domain's sending key may not",
        "domain": "the sending domain, as in mg.example.com",
        "base_url?": "https://api.eu.mailgun.net for domains in the EU region",
    }
    rules = runtime.ConnectorRules(
        target_noun="tag",
        credentials_hint="the API key, the domain and its region",
        api_url="https://api.mailgun.net",
        # Sent with every response, though the description names none of them.
        rate_limit_headers=runtime.X_RATELIMIT_HEADERS,
        group_size=1_000,
        lift_group_size=1,
        max_lifts=LIFTS_PER_PUSH,
        max_reads=MAX_READS,
        target_check=runtime.TargetCheck.NEVER,
    )

    def __init__(self, config: runtime.DestinationConfig, http: runtime.HttpContext) -> None:
        topics = {topic: tag.casefold() for topic, tag in config.topics.items()}
        super().__init__(replace(config, topics=topics), http)
        self._tag_by_id = {tag.casefold(): tag for tag in config.topics.values()}
        self._domain = {"domain": config.settings["domain"]}
        self._mailing_lists: list[str] | None = None

    def headers(self) -> Mapping[str, str]:
        """See ApiConnector."""
        return runtime.basic_auth_headers("api", self.config.settings["api_key"])

    def list_targets(self, client: runtime.Session) -> Iterator[runtime.Target]:
        """See ApiConnector. The account's first thousand tags, and those that are mapped."""
        tags = _list_tags(client)
        yield from (runtime.Target(tag.casefold(), tag) for tag in tags)
        for id_ in self._tag_by_id.keys() - {tag.casefold() for tag in tags}:
            is_used = id_ in map(str.casefold, _list_tags(client, self._tag_by_id[id_]))
            unused = (
                "no message ever carried: map it to the tag that its messages carry, or send one "
                "first"
            )
            yield runtime.Target(id_, self._tag_by_id[id_], "" if is_used else unused)

    def setting_problems(self) -> Iterator[str]:
        """See ApiConnector. Tags that are none, or all."""
        for topic, tag in sorted(self.config.topics.items()):
            if tag == ALL_TAGS:
                yield (
                    f"topic {topic} is mapped to {ALL_TAGS!r}, which is all that the domain sends, "
                    "service mail too: map it to a tag of its own"
                )
            elif not (tag.isascii() and 0 < len(tag) <= MAX_TAG_LENGTH):
                yield (
                    f"topic {topic} is mapped to {tag!r}, which is no tag: "
                    f"a tag is 1 to {MAX_TAG_LENGTH} characters of ASCII"
                )

    def find_problems(self, client: runtime.Session) -> Iterator[str]:
        """See ApiConnector. Lists a suppression, too, which a sending key may not."""
        self._list_suppressions(client, "unsubscribes", limit=1)
        answer = client.send("GET", "/v3/domains/{domain}/tracking", path_params=self._domain)
        if not answer.parse_member(_Tracking, "tracking").unsubscribe.active:
            yield (
                "the domain doesn't handle unsubscribes: turn Unsubscribes on in its settings, "
                "or Mailgun mails to all the same"
            )

    def write_changes(self, client: runtime.Session, changes: runtime.Changes) -> runtime.Outcomes:
        """See MappedConnector."""
        if changes[0].on:
            return {changes[0].ref: self._lift(client, changes[0])}
        self._add(client, {change.address: change.off for change in changes})
        return {change.ref: runtime.reflected() for change in changes}

    def _add(self, client: runtime.Session, tags_by_address: Mapping[str, Collection[str]]) -> None:
        """Add tags to the entries of addresses; the tags they have stay."""
        body = [
            {"address": address, "tags": sorted(self._tag_by_id.get(tag, tag) for tag in tags)}
            for address, tags in tags_by_address.items()
        ]
        answer = client.send("POST", _LIST, path_params=self._domain, body=body)
        answer.parse_member(str, "message")

    def _lift(self, client: runtime.Session, change: runtime.TargetChange) -> runtime.PushOutcome:
        """Remove one tag, and verify that the others remain.

        That DELETE takes a `tag` is documented in words, but not in the API's description:
        without it the whole entry would go, and with it the person's other opt-outs.
        """
        tag, path_params = change.target, {**self._domain, "address": change.address}
        before = self._list_tags_of(client, change.address)
        if tag not in map(str.casefold, before):
            return runtime.reflected("nothing to lift")
        query = {"tag": self._tag_by_id[tag]}
        client.find("DELETE", _ADDRESS, path_params=path_params, query=query)
        after = {t.casefold() for t in self._list_tags_of(client, change.address)}
        if lost := [t for t in before if t.casefold() not in after | {tag}]:
            self._add(client, {change.address: lost})
        return runtime.acknowledged(tag not in after)

    def _list_tags_of(self, client: runtime.Session, address: str) -> Sequence[str]:
        answer = client.find("GET", _ADDRESS, path_params={**self._domain, "address": address})
        return answer.parse(_Suppression).tags if answer else ()

    def fetch_contact(
        self, client: runtime.Session, address: str, target_ids: Collection[str]
    ) -> runtime.RemoteContact:
        """See MappedConnector."""
        held = {tag.casefold() for tag in self._list_tags_of(client, address)}
        off = target_ids if ALL_TAGS in held else held
        return runtime.RemoteContact(dict.fromkeys(off, runtime.OffState("unsubscribed")))

    def erase_contact(
        self, client: runtime.Session, item: runtime.EraseItem
    ) -> runtime.PushOutcome:
        """See ErasingConnector."""
        return erase_member(client, self._find_lists(client), item.address)

    def holds_contact(self, client: runtime.Session, item: runtime.EraseItem) -> bool:
        """See ErasingConnector."""
        return is_member(client, self._find_lists(client), item.address)

    def _find_lists(self, client: runtime.Session) -> list[str]:
        if self._mailing_lists is None:
            self._mailing_lists = find_lists(client, self._domain["domain"])
        return self._mailing_lists

    def pull(self, cursor: str | None) -> runtime.EventPage:
        """See SupportsPull. Three lists, in the order of the alphabet."""
        sources = [partial(self._list_events, kind) for kind in EVENT_KIND_BY_LIST]
        return self.full_page(cursor, *sources)

    def _list_events(
        self, kind: str, client: runtime.Session, after: str
    ) -> tuple[list[runtime.VendorEvent], str]:
        rows = self._list_suppressions(client, kind, after)
        events = [event for row in rows for event in self._to_vendor_events(kind, row)]
        return events, _page_boundary(rows) if len(rows) == PAGE_SIZE else ""

    def _list_suppressions(
        self, client: runtime.Session, kind: str, after: str = "", *, limit: int = PAGE_SIZE
    ) -> list[_Suppression]:
        query = {"limit": str(limit)} | ({"page": "next", "address": after} if after else {})
        path_params = {**self._domain, "kind": kind}
        answer = client.send("GET", "/v3/{domain}/{kind}", path_params=path_params, query=query)
        return answer.parse_member(list[_Suppression], "items", or_empty=True)

    def _to_vendor_events(self, list_: str, row: _Suppression) -> Iterator[runtime.VendorEvent]:
        """One event a mapped tag; complaints and bounces have no tags and are about all."""
        kind = EVENT_KIND_BY_LIST[list_]
        # Listed after a permanent failure, a full mailbox's too.
        bounce = runtime.Bounce(reply_code=str(row.code), diagnostic=row.error, permanent=True)
        for tag in row.tags if row.address else ():
            target = self._tag_by_id.get(tag.casefold())
            if tag == ALL_TAGS or target is not None:
                event = runtime.VendorEvent(kind, row.address, target, row.created_at)
                is_bounce = kind is runtime.VendorEventKind.BOUNCED
                yield replace(event, bounce=bounce) if is_bounce else event


def _list_tags(client: runtime.Session, prefix: str = "") -> list[str]:
    """Tags that messages of the account carried and that begin so, the first thousand."""
    body = {"pagination": {"skip": 0, "limit": PAGE_SIZE}} | ({"tag": prefix} if prefix else {})
    answer = client.send("POST", "/v1/analytics/tags", body=body)
    rows = answer.parse_member(list[_Tag], "items", or_empty=True)
    return [row.tag for row in rows if row.tag]


def _page_boundary(rows: Sequence[_Suppression]) -> str:
    """Where the next page may begin: as few characters as tell it from this page's middle.

    Mailgun pages by an address, and a cursor may hold none (I12). Some rows come again.
    """
    known = [row.address for row in rows if row.address]
    last, middle = (known[-1], known[len(known) // 2]) if known else ("", "")
    lengths = range(1, len(last))
    return next((last[:n] for n in lengths if last[:n] > middle), last[:-1])


SPEC = runtime.ConnectorSpec.of(
    Mailgun,
    tested_against=runtime.TestedAgainst.VENDOR_DESCRIPTION,
    tested_version="the description of 2026-07-09",
    secrets={"api_key"},
    sources=(
        f"{_DOCS}/api-reference/send/mailgun/unsubscribe",
        f"{_DOCS}/user-manual/tracking-messages/tracking-unsubscribes",
        f"{_DOCS}/user-manual/tracking-messages/track-tagging",
        f"{_DOCS}/api-reference/send/mailgun/mailing-lists",
    ),
    notes=(
        "Map each topic to a tag that all its messages carry, and that no service mail carries.",
        "Suppressions are kept by domain: make a destination for each that sends marketing.",
    ),
    open_points=(
        (
            "Not in so many words: that tags added to an entry join those it has, and that "
            "DELETE takes a `tag`. So each lift looks before and after, and puts back what was "
            "lost."
        ),
        (
            "Lists are paged by address only, so opt-outs are read by a nightly sweep. Tags are "
            "listed for the whole account."
        ),
        (
            "Rate-limit headers have no documented unit: seconds or milliseconds since 1970, "
            "whichever makes sense."
        ),
    ),
)
