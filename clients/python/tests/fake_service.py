"""A service that answers as a test says, without a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from preference_center_client import AsyncClient, Client

URL = "https://preferences.example.com"
KEY = "pc_shop_example"
Answer = httpx.Response | type[httpx.RequestError] | Callable[[httpx.Request], httpx.Response]


@dataclass(slots=True)
class FakeService:
    """Gives its answers in turn, the last one for ever, and keeps what it was sent."""

    answers: list[Answer]
    requests: list[httpx.Request] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    def client(self, **options: Any) -> Client:
        return Client(
            URL,
            KEY,
            transport=httpx.MockTransport(self),
            sleep=self.slept.append,
            draw=lambda: 0.0,
            **options,
        )

    def async_client(self, **options: Any) -> AsyncClient:
        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        return AsyncClient(
            URL, KEY, transport=httpx.MockTransport(self), sleep=sleep, draw=lambda: 0.0, **options
        )

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, httpx.Response):
            return httpx.Response(
                answer.status_code, headers=answer.headers, content=answer.content
            )
        if isinstance(answer, type):
            raise answer("made to fail", request=request)
        return answer(request)


def allowed(request: httpx.Request) -> httpx.Response:
    """Allow everybody."""
    import json

    rows = json.loads(request.content)["recipients"]
    row = {"allow": True, "rule": "not_opted_out"}
    return httpx.Response(200, json={"as_of": "1.2.3", "decisions": [row] * len(rows)})


def decided(*allow: bool) -> httpx.Response:
    """One decision each."""
    rows = [{"allow": each, "rule": "not_opted_out" if each else "no_consent"} for each in allow]
    return httpx.Response(200, json={"as_of": "1.2.3", "decisions": rows})


def problem(status: int, kind: str = "invalid-body") -> httpx.Response:
    """An error as the API has it (RFC 9457)."""
    body = {
        "type": f"{URL}/problems/{kind}",
        "title": "No",
        "status": status,
        "detail": "fix it",
        "errors": [{"pointer": "/scope", "code": kind, "detail": "fix it"}],
    }
    return httpx.Response(status, json=body)
