"""Two tools of different kinds, with a memory, that fail on request."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from werkzeug.wrappers import Request, Response

from chaos.plan import Deed
from tests.faults.service import TOPIC
from tests.integrations.tools.mailgun import MailgunStandIn
from tests.integrations.tools.receiver import Receiver
from tests.integrations.tools.stand_in import StandIn

TAG = "11"
"""What Mailgun's messages about the topic carry."""
LONGEST = 60.0
"""Seconds that nothing is held beyond."""


class Moody(StandIn):
    """Comes before a vendor's stand-in and lets it work, or not."""

    def __init__(self) -> None:
        super().__init__()
        self._mood: Deed | None = None
        self._better = threading.Event()

    def suffer(self, deed: Deed) -> None:
        """Behave badly, in this way, until `recover`."""
        self._better.clear()
        self._mood = deed

    def recover(self) -> None:
        """Work again, and act on what is held."""
        self._mood = None
        self._better.set()

    def handle(self, request: Request) -> Response:
        """See StandIn."""
        mood = self._mood
        if mood is Deed.REFUSE:
            return Response(status=500)
        if mood is Deed.THROTTLE:
            return Response(status=429, headers={"Retry-After": "2"})
        if mood is Deed.HOLD:
            request.get_data()  # all of it is here, whatever becomes of who sent it
            self._better.wait(LONGEST)
        answer = super().handle(request)
        self.seen.clear()  # hundreds of thousands, and nobody looks at them
        return Response(status=500) if mood is Deed.ACT_AND_FAIL else answer


class MoodyReceiver(Moody, Receiver):
    """A webhook's receiver."""

    def handle(self, request: Request) -> Response:
        """See StandIn. Keeps who is off, and nothing of what was sent."""
        answer = super().handle(request)
        for kept in (self.ids, self.payloads, self.targets, self.headers, self.bodies):
            kept.clear()
        return answer

    def held(self) -> set[str]:
        """Who is off here."""
        return {address for address, topics in self.off.items() if topics}

    def odd(self) -> Iterator[str]:
        """Anyone who is off for anything but the topic."""
        for address, topics in self.off.items():
            if topics - {TOPIC}:
                yield f"{address} is off for {sorted(topics)} at the webhook"


class MoodyMailgun(Moody, MailgunStandIn):
    """A domain at Mailgun."""

    def held(self) -> set[str]:
        """Who is off here."""
        return {address for address, tags in self.unsubscribed.items() if TAG in tags}

    def odd(self) -> Iterator[str]:
        """Anyone who is off for anything but the topic: `*` would be service mail too (I4)."""
        for address, tags in self.unsubscribed.items():
            if tags - {TAG}:
                yield f"{address} is off for {sorted(tags)} at Mailgun"
