"""What a kind of tool can do, as data: set-up checks, refusals and docs are made from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from preference_center.domain.addresses import Channel


class SupportedScope(StrEnum):
    """Which "no" a tool can hold without approximation (I10)."""

    TOPIC = "topic"
    ALL = "all"


class ListingMode(StrEnum):
    """How a tool's contacts, or its opt-outs, can be listed."""

    CHANGES = "changes"
    """What was added or changed since a cursor: asked every few minutes. Contacts are listed
    from the beginning at night, too."""
    FULL = "full"
    """Only all there is, from the beginning: done at night, within the rate limit."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A vendor's documented limit: `requests` in every `seconds`, for the whole account.

    `burst` may be sent at once after a rest; where the vendor names none, leave it at 1:
    requests are then spread evenly, which no way of counting them can object to.
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
    """What it holds opt-outs for. A kind that holds several is a `ByChannel`, and all that is
    said here is true of each of them."""
    scopes: frozenset[SupportedScope]
    can_lift: bool
    """Whether the API can turn a topic back on. If not, pauses are not pushed."""
    batch_size: int
    """The most addresses that one `push`, `read`, `write_links` or `erase` may be given."""
    rate_limit: RateLimit | None = None
    """The documented limit, kept by all workers together; None if there is none."""
    can_read: bool = False
    """`Readable`: what is off for given addresses can be asked."""
    scans: ListingMode | None = None
    """`Scannable`: how its contacts can be listed, if they can."""
    pulls: ListingMode | None = None
    """`Pullable`: how the opt-outs that people made in it can be listed, if they can."""
    can_erase: bool = False
    """`Erasable`."""
    can_hold_link: bool = False
    """`Fieldable`: whether a custom field of a contact can hold its standing link."""
    can_create: bool = False
    """Whether `push` can add an address that the tool doesn't know, suppressed from the
    start. Done only if the destination's setting `create_contacts` says so, else ABSENT."""
    off_means_opt_out: bool = True
    """Whether what `read` and `scan` tell to be off is a "no" that somebody said there.

    Not so where a topic is off for all who never joined its list: then only `pull` and
    the tool's own news say what people said (I13)."""
    backfills_by_scan: bool = False
    """`BackFillable`: lists (back-fills, imports) are not pushed address by address, which the
    tool is too slow for: each pass over the contacts brings those that are there to their
    state, and an address that it does not show is absent. Goes with scans=Listing.SWEEP."""
    checks_permissions: bool = False
    """Whether `check` asks the tool what the credentials may do; else a right to write that
    is missing shows at the first push only."""
    needs_mapping: bool = True
    """Whether every topic must be mapped to a thing in the tool."""

    @property
    def webhook_only(self) -> bool:
        """Whether nothing can be told to it: it only reports what people did in it."""
        return not self.channels

    @property
    def can_scan(self) -> bool:
        """Whether its contacts can be listed at all."""
        return self.scans is not None

    @property
    def can_pull(self) -> bool:
        """Whether the opt-outs made in it can be listed at all."""
        return self.pulls is not None


WEBHOOK_ONLY = Capabilities(
    channels=frozenset(), scopes=frozenset(), can_lift=True, batch_size=1, needs_mapping=False
)
"""Of a tool that reports by its webhook, and that nothing is pushed to."""
