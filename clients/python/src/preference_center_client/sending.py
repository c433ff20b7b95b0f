"""What to do with a message, also while the service is down.

Marketing is sent only where the service allowed it: unknown means no, so it waits or is dropped.
Service mail (a password reset, an invoice) is asked about too, since a closed account gets none; it
goes out where there is no decision, since no opt-out stops it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from enum import StrEnum
from threading import Lock
from typing import Generic, Literal, Protocol, TypeVar

from preference_center_client.errors import Unavailable
from preference_center_client.models import UNANSWERED, Channel, Decision

PAUSE_SECONDS = 10.0
"""After a failure, for how long not to ask, so that a service that is down slows nobody."""


class Action(StrEnum):
    """What to do with a message to one recipient."""

    SEND = "send"
    DROP = "drop"
    """It may not be sent."""
    WAIT = "wait"
    """It is not known: ask again later, and do not send it before."""


class DecidesMany(Protocol):
    """Anything that decides about lists: a `Client`, or a `LocalFilter`."""

    def decide_many(
        self, message_type: str, recipients: Sequence[str], *, channel: Channel, service: bool
    ) -> list[Decision]:
        """A decision per recipient, in their order; `unanswered` where there is none."""
        ...


class DecidesManyAsync(Protocol):
    """The same, awaited: an `AsyncClient`."""

    async def decide_many(
        self, message_type: str, recipients: Sequence[str], *, channel: Channel, service: bool
    ) -> list[Decision]:
        """A decision per recipient, in their order; `unanswered` where there is none."""
        ...


ClientT = TypeVar("ClientT")


class _Rules(Generic[ClientT]):
    """What is the same whether decisions are awaited or not."""

    def __init__(
        self,
        client: ClientT,
        *,
        service_types: Collection[str],
        when_unknown: Literal["wait", "drop"] = "wait",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if when_unknown not in {"wait", "drop"}:
            raise ValueError(f"when_unknown is wait or drop, not {when_unknown}")
        self._client = client
        self._service_types = frozenset(service_types)
        self._when_unknown = Action(when_unknown)
        self._clock = clock
        self._lock = Lock()
        self._paused_until = 0.0

    def is_service(self, message_type: str) -> bool:
        """Whether this type goes out where there is no decision."""
        return message_type in self._service_types

    def _without_asking(self, message_type: str, recipients: Sequence[str]) -> list[Action] | None:
        """The actions that need no decision; None if there have to be some."""
        if recipients and self._clock() >= self._paused_until:
            return None
        action = Action.SEND if self.is_service(message_type) else self._when_unknown
        return [action] * len(recipients)

    def _to_actions(self, decisions: Sequence[Decision]) -> list[Action]:
        if any(_is_outage(each) for each in decisions):
            with self._lock:
                self._paused_until = self._clock() + PAUSE_SECONDS
        return [self._to_action(each) for each in decisions]

    def _to_action(self, decision: Decision) -> Action:
        if decision.allow:
            return Action.SEND
        return self._when_unknown if decision.rule == UNANSWERED else Action.DROP


def _is_outage(decision: Decision) -> bool:
    """Whether nobody answered. A rejected request about service mail has an answer."""
    return decision.rule == UNANSWERED and decision.advisory == Unavailable.__name__


class Sending(_Rules[DecidesMany]):
    """The actions for messages. Safe to share among threads.

    `service_types` are the message types whose class is `service` in the catalogue: they go out
    where there is no decision. Every other type is marketing. `when_unknown` is what becomes of
    marketing while the service is down: `wait` where something sends it again later (a queue),
    else `drop`. `clock` returns seconds.
    """

    def action(self, message_type: str, recipient: str, *, channel: Channel = "email") -> Action:
        """What to do with a message to one recipient."""
        return self.actions(message_type, [recipient], channel=channel)[0]

    def actions(
        self, message_type: str, recipients: Sequence[str], *, channel: Channel = "email"
    ) -> list[Action]:
        """What to do for each recipient.

        Raises a Rejected, such as Unauthenticated, which somebody has to fix: nothing of this
        marketing may be sent then either. Service mail is sent then, with a warning in the log.
        """
        known = self._without_asking(message_type, recipients)
        if known is not None:
            return known
        service = self.is_service(message_type)
        return self._to_actions(
            self._client.decide_many(message_type, recipients, channel=channel, service=service)
        )


class AsyncSending(_Rules[DecidesManyAsync]):
    """The same for an `AsyncClient`; both calls are awaited."""

    async def action(
        self, message_type: str, recipient: str, *, channel: Channel = "email"
    ) -> Action:
        """What to do with a message to one recipient."""
        return (await self.actions(message_type, [recipient], channel=channel))[0]

    async def actions(
        self, message_type: str, recipients: Sequence[str], *, channel: Channel = "email"
    ) -> list[Action]:
        """What to do for each recipient. Raises as `Sending.actions` does."""
        known = self._without_asking(message_type, recipients)
        if known is not None:
            return known
        service = self.is_service(message_type)
        return self._to_actions(
            await self._client.decide_many(
                message_type, recipients, channel=channel, service=service
            )
        )
