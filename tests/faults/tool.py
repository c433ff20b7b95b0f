"""A tool that can be set to hold the requests it receives."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

from werkzeug.wrappers import Request, Response

from tests.integrations.tools.receiver import Receiver

Items = list[dict[str, Any]]


class SlowReceiver(Receiver):
    """Holds each request for which `holds` is true, and acts on it only after `let_go`."""

    def __init__(self) -> None:
        super().__init__()
        self.holds: Callable[[Items], bool] = lambda _: False
        self.holding = threading.Event()
        self.is_free = threading.Event()

    def let_go(self) -> None:
        """Act on what is held, and hold no more."""
        self.holds = lambda _: False
        self.is_free.set()

    def handle(self, request: Request) -> Response:
        if self.holds(json.loads(request.get_data())["data"]["items"]):
            self.holding.set()
            self.wait(request)
        return super().handle(request)

    def wait(self, _request: Request, /) -> None:
        """Hold a request until `let_go`, for a minute at most."""
        self.is_free.wait(60)

    def __exit__(self, *_: object) -> None:
        self.let_go()
        super().__exit__()
