"""The filter: read from the service, kept up to date, asked first."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Event, Lock, Thread

import numpy as np
import numpy.typing as npt

from preference_center_client.client import Client
from preference_center_client.errors import PreferenceCenterError, StaleWatermark
from preference_center_client.local_filter.addresses import NORM_VERSION
from preference_center_client.local_filter.bloom import BloomFilter
from preference_center_client.local_filter.digests import (
    DigestKeys,
    DigestKeysMismatch,
    DigestScheme,
    PreparedAddresses,
    read_heads,
)
from preference_center_client.models import Channel, Decision, Json

SURELY_ALLOWED = Decision(allow=True, rule="not_opted_out", advisory="local_filter")
"""The decision without asking: nothing that could deny it is known of this address."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _State:
    """What was read, and when; replaced as a whole."""

    bloom: BloomFilter
    scheme: DigestScheme
    message_types: frozenset[str]
    watermark: str
    read: int
    """Digests of the first reading."""
    added: int
    loaded_at: float
    as_of: float
    """Everything that was committed by then is in the filter; by our own clock."""


class LocalFilter:
    """Decides about email to many addresses, most of which need no question. Safe among threads.

    It answers by itself only where nothing that could deny the message is known: for types of
    opt-out topics, and while its `age` is at most `max_age` seconds. All others it asks the
    service. So an opt-out is felt at the next `refresh`, and after `max_age` in any case. All
    digests are read again every `reload_after` seconds.

    The client's key needs the scopes `check` and `read`; `digest_keys` is the DIGEST_KEYS of the
    service. `clock` returns seconds.
    """

    def __init__(
        self,
        client: Client,
        digest_keys: str,
        *,
        max_age: float = 60.0,
        reload_after: float = 900.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._keys = DigestKeys(digest_keys)
        self._max_age = max_age
        self._reload_after = reload_after
        self._clock = clock
        self._state: _State | None = None
        self._refreshing = Lock()
        self._stopped = Event()
        self._thread: Thread | None = None

    @property
    def age(self) -> float:
        """Seconds since which something may have been recorded that is not in the filter."""
        state = self._state
        return float("inf") if state is None else self._clock() - state.as_of

    @property
    def nbytes(self) -> int:
        """What the filter occupies."""
        return self._state.bloom.nbytes if self._state else 0

    def start(self, interval: float = 5.0) -> None:
        """Refresh now, and from now on every `interval` seconds in a thread, until `close`.

        Raises as `refresh` does; later failures are logged, and let the filter age.
        """
        self.refresh()
        self._thread = Thread(
            target=self._keep_fresh, args=(interval,), name="local-filter", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop refreshing. From `max_age` on everything is asked."""
        self._stopped.set()
        if self._thread:
            self._thread.join()

    def refresh(self) -> None:
        """Read what is new, or everything if that is due.

        Raises Unavailable, a Rejected, or DigestKeysMismatch, after which all is asked.
        """
        with self._refreshing:
            state = self._state
            if state is None or self._must_reload(state):
                state = self._load()
            try:
                self._state = self._follow(state)
            except StaleWatermark:  # the database was restored
                self._state = None
                self._state = self._follow(self._load())
            except DigestKeysMismatch:
                self._state = None
                raise

    def prepare(self, recipients: Sequence[str]) -> PreparedAddresses:
        """The digests of a list, for `surely_allowed`: the slow part, needed once per list."""
        state = self._state
        scheme = state.scheme if state else DigestScheme(1, md5=False)
        return self._keys.prepare(recipients, scheme)

    def surely_allowed(
        self, message_type: str, prepared: PreparedAddresses
    ) -> npt.NDArray[np.bool_]:
        """For each address, whether it may be sent this now; if False, ask.

        All are False for a type that the filter does not know, when it is too old, and for a list
        that was prepared with other digest keys: prepare it again.
        """
        state = self._state
        fresh = state is not None and self._clock() - state.as_of <= self._max_age
        if state is None or not fresh or message_type not in state.message_types:
            return np.zeros(prepared.count, dtype=np.bool_)
        if prepared.scheme != state.scheme:
            return np.zeros(prepared.count, dtype=np.bool_)
        allowed = ~prepared.unreadable
        allowed[prepared.owners[state.bloom.contains(prepared.heads)]] = False
        return allowed

    def decide_many(
        self,
        message_type: str,
        recipients: Sequence[str],
        *,
        channel: Channel = "email",
        service: bool = False,
    ) -> list[Decision]:
        """As `Client.decide_many`. What needed no question has the advisory `local_filter`."""
        if channel != "email" or self._state is None:
            return self._client.decide_many(
                message_type, recipients, channel=channel, service=service
            )
        allowed = self.surely_allowed(message_type, self.prepare(recipients))
        decisions = [SURELY_ALLOWED] * len(recipients)
        places = np.flatnonzero(~allowed).tolist()
        asked = self._client.decide_many(
            message_type, [recipients[place] for place in places], service=service
        )
        for place, decision in zip(places, asked, strict=True):
            decisions[place] = decision
        return decisions

    def _must_reload(self, state: _State) -> bool:
        too_full = state.added > state.read // 4 + 1_000
        return too_full or self._clock() - state.loaded_at >= self._reload_after

    def _load(self) -> _State:
        now = self._clock()
        reading = self._client.read_digests()
        heads = read_heads(reading.data)
        bloom = BloomFilter(len(heads))
        bloom.add(heads)
        scheme, types = self._check(reading.start), frozenset(reading.start["message_types"])
        watermark = reading.start["watermark"]
        return _State(bloom, scheme, types, watermark, len(heads), 0, now, float("-inf"))

    def _follow(self, state: _State) -> _State:
        """Add what was recorded since. Only then is it fresh: a snapshot may be of a replica."""
        now = self._clock()
        reading = self._client.read_digests(state.watermark)
        if self._check(reading.start) != state.scheme:
            return self._follow(self._load())
        heads = read_heads(reading.data)
        heads = heads[~state.bloom.contains(heads)]
        state.bloom.add(heads)
        return replace(
            state,
            message_types=frozenset(reading.start["message_types"]),
            watermark=reading.start["watermark"],
            added=state.added + len(heads),
            as_of=now,
        )

    def _check(self, start: Json) -> DigestScheme:
        if start["norm_version"] != NORM_VERSION:
            raise DigestKeysMismatch("the service parses addresses differently: update the client")
        return DigestScheme(self._keys.check(start["digest_keys"]), md5=bool(start["md5"]))

    def _keep_fresh(self, interval: float) -> None:
        while not self._stopped.wait(interval):
            try:
                self.refresh()
            except (PreferenceCenterError, DigestKeysMismatch) as error:
                log.warning("local filter not refreshed: %s", error)
