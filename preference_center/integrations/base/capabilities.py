"""What an integration can do, as data: set-up checks, refusals and docs are made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from preference_center.core.addresses import Channel


class SupportedScope(StrEnum):
    """Which opt-outs a tool can hold without approximation (I10)."""

    TOPIC = "topic"
    ALL = "all"


class ListingMode(StrEnum):
    """How a tool's contacts, or its opt-outs, can be listed."""

    CHANGES = "changes"
    """What was added or changed since a cursor: read every few minutes. Contacts are also listed
    from the beginning at night."""
    FULL = "full"
    """Only everything from the beginning: done at night, within the rate limit."""


class EraseMode(StrEnum):
    """Whether a person's data in a tool can be deleted from here, and what becomes of the opt-out.

    Whatever the mode, the opt-out is pushed first (I6).
    """

    KEEPS_OPT_OUT = "keeps"
    """Deleted; the opt-out stays, in a list that the deletion leaves alone, or since the tool
    never takes the address again."""
    FORGETS_OPT_OUT = "forgets"
    """Deleted together with the opt-out. Anyone who is added there again is suppressed once a scan,
    a webhook or the next push finds them (I13)."""
    NOTHING_HELD = "nothing held"
    """The tool holds nothing by address but the suppression, which stays."""
    BY_HAND = "by hand"
    """Its API can't: a person deletes the data there."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A vendor's documented limit: `requests` in every `seconds`, for the whole account.

    `burst` requests may be sent at once after a pause; where the vendor documents none, leave
    it at 1: requests are then spread evenly, which satisfies every way of counting them.
    """

    requests: int
    seconds: float
    burst: int = 1

    def __str__(self) -> str:
        per = {1.0: "second", 60.0: "minute", 3600.0: "hour", 86_400.0: "day"}
        named = per.get(float(self.seconds), f"{self.seconds:g} seconds")
        return f"{self.requests:,} request{'s' * (self.requests != 1)} per {named}"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """A connector's abilities. Each `can_…` and listing goes with a protocol of `base`."""

    channels: frozenset[Channel]
    """The channels it holds opt-outs for. A connector with several is a `ByChannel`, and the
    other fields apply to each of them."""
    scopes: frozenset[SupportedScope]
    can_lift: bool
    """Whether the API can turn a topic back on. If not, pauses are not pushed."""
    batch_size: int
    """The most addresses that one `push`, `read`, `write_field` or `erase` may be given."""
    rate_limit: RateLimit | None = None
    """The documented limit, shared by all workers; None if there is none."""
    can_read: bool = False
    """`SupportsRead`: the state of given addresses can be read."""
    scans: ListingMode | None = None
    """`SupportsScan`: how its contacts can be listed, if they can."""
    pulls: ListingMode | None = None
    """`SupportsPull`: how the opt-outs that people made in it can be listed, if they can."""
    erase: EraseMode = EraseMode.BY_HAND
    """`SupportsErase`, where it is KEEPS_OPT_OUT or FORGETS_OPT_OUT."""
    erase_note: str = ""
    """A sentence for the docs and for the person with the task. BY_HAND: why, and what is to be
    deleted where. Else what is deleted, and what stays there for how long."""
    erase_setting: str = ""
    """The optional setting without which it is BY_HAND all the same: a credential of its own."""
    confirms_erasure: bool = False
    """Whether the tool can be asked if it still holds a person: `SupportsErase.find_held`."""
    can_write_fields: bool = False
    """`SupportsContactFields`: whether a custom field of a contact can be written, so that it can
    hold how often the person wants a topic."""
    can_hold_link: bool = False
    """The same of its permanent link: then `scan` returns what the field holds."""
    pushes_frequency: bool = False
    """Whether `push` itself passes `PushItem.frequencies` on."""
    can_create: bool = False
    """Whether `push` can add an address that the tool doesn't know, suppressed from the
    start. Done only with the destination's setting `create_contacts`, else ABSENT."""
    off_means_opt_out: bool = True
    """Whether a topic that `read` and `scan` show as off is an opt-out made there.

    Not so where a topic is off for everybody who never joined its list: then only `pull` and
    the tool's own events report opt-outs (I13)."""
    backfills_by_scan: bool = False
    """`SupportsScanBackfill`: lists (back-fills, imports) are not pushed address by address,
    which the tool is too slow for: each pass over the contacts updates those that it shows,
    and an address that it does not show is absent. Requires scans=ListingMode.FULL."""
    checks_permissions: bool = False
    """Whether `check` asks the tool what the credentials may do; else a missing permission to
    write is found at the first push only."""
    shares_only: bool = False
    """Whether it holds audiences for advertising and sends nothing: SHARING is all that can be
    mapped to it."""
    needs_mapping: bool = True
    """Whether every topic must be mapped to a target in the tool."""

    @property
    def webhook_only(self) -> bool:
        """Whether nothing can be pushed to it: it only reports what people did in it."""
        return not self.channels

    @property
    def can_erase(self) -> bool:
        """Whether a person's data can be deleted there from here."""
        return self.erase in {EraseMode.KEEPS_OPT_OUT, EraseMode.FORGETS_OPT_OUT}

    def for_settings(self, settings: Mapping[str, str]) -> Capabilities:
        """Those of a destination with these settings."""
        if self.erase_setting and not settings.get(self.erase_setting):
            return replace(self, erase=EraseMode.BY_HAND)
        return self

    @property
    def can_scan(self) -> bool:
        """Whether its contacts can be listed at all."""
        return self.scans is not None

    @property
    def can_pull(self) -> bool:
        """Whether the opt-outs made in it can be listed at all."""
        return self.pulls is not None


WEBHOOK_ONLY = Capabilities(
    channels=frozenset(),
    scopes=frozenset(),
    can_lift=True,
    batch_size=1,
    needs_mapping=False,
    erase_note="It is not called: find the address there, and delete what is held about it.",
)
"""Of a tool that reports by its webhook, and that nothing is pushed to."""
