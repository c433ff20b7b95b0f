"""The async client: the same calls as `Client`, awaited."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Self

import httpx

from preference_center_client import long_lists, operations
from preference_center_client.connection import READ_LIMITS, WRITE_LIMITS, Connection, TimeLimits
from preference_center_client.errors import Rejected, Unavailable
from preference_center_client.exchange import Call, Outcome, T, Wait, exchange
from preference_center_client.models import (
    ChangesPage,
    Channel,
    Consent,
    ContactResult,
    Decision,
    DigestsPage,
    Json,
    LinkRequest,
    MessageLinks,
    OptOut,
    WriteResult,
)
from preference_center_client.retries import RetryPolicy


class AsyncClient:
    """Calls the service. For one event loop; close it, or use it in an `async with`.

    Every call but decisions raises Unavailable if there is no usable response in time, and all
    raise a Rejected if the request is refused. Writes have an idempotency key, so they are
    executed once however often they are sent: give your own to repeat one across processes.

    `transport` replaces httpx's own, e.g. for tests; `sleep` and `draw` are for tests.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        read: TimeLimits = READ_LIMITS,
        write: TimeLimits = WRITE_LIMITS,
        retries: RetryPolicy | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._connection = Connection(url, key, read, write, retries or RetryPolicy())
        self._sleep = sleep
        self._draw = draw
        self._http = httpx.AsyncClient(
            base_url=self._connection.base_url,
            headers=self._connection.headers,
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def decide(
        self,
        message_type: str,
        recipient: str,
        *,
        channel: Channel = "email",
        service: bool = False,
    ) -> Decision:
        """May this message be sent to this address now? See `decide_many`."""
        rows = [recipient]
        return (await self.decide_many(message_type, rows, channel=channel, service=service))[0]

    async def decide_many(
        self,
        message_type: str,
        recipients: Sequence[str],
        *,
        channel: Channel = "email",
        service: bool = False,
    ) -> list[Decision]:
        """The same for any number of addresses, in their order; 10,000 a request.

        Never raises Unavailable: what the service did not decide has the rule `unanswered`, and
        is denied, since unknown means no. Say `service` for a message type whose class is
        `service`: those are allowed then, also where the service rejects the request.
        """
        decisions: list[Decision] = []
        try:
            for rows in operations.chunks(recipients):
                decisions += await self._run(operations.decide_many(message_type, rows, channel))
        except (Unavailable, Rejected) as error:
            missing = len(recipients) - len(decisions)
            decisions += operations.unanswered(message_type, missing, service=service, error=error)
        return decisions

    async def decide_stream(
        self, message_type: str, recipients: Iterable[str], *, channel: Channel = "email"
    ) -> AsyncIterator[tuple[str, Decision]]:
        """Each address of a list of any length and its decision: see `Client`."""
        for part in long_lists.parts(message_type, recipients, channel):
            patience = long_lists.Patience(self._connection.retries, time.monotonic, self._draw)
            while not part.is_done:
                patience.begin(part)
                try:
                    await self._decide_rest(part)
                except (httpx.RequestError, Unavailable) as error:
                    await self._sleep(patience.wait(part, error))
            for pair in zip(part.rows, part.decisions, strict=True):
                yield pair

    async def _decide_rest(self, part: long_lists.Part) -> None:
        async with self._http.stream(**part.request()) as response:
            if not response.is_success:
                problem = long_lists.parse_problem(
                    (await response.aread()).decode(errors="replace")
                )
                long_lists.raise_failure(response.status_code, response.headers, problem)
            async for line in response.aiter_lines():
                part.read(line)
        part.ensure_done()

    async def record_opt_out(
        self, opt_out: OptOut, *, idempotency_key: str | None = None
    ) -> WriteResult:
        """Record an opt-out. When this returns, it is committed and counts."""
        return (await self.record_opt_outs([opt_out], idempotency_key=idempotency_key))[0]

    async def record_opt_outs(
        self, opt_outs: Sequence[OptOut], *, idempotency_key: str | None = None
    ) -> list[WriteResult]:
        """Record up to 10,000 opt-outs, all or none."""
        return await self._run(operations.record_opt_outs(opt_outs, idempotency_key))

    async def record_consent(
        self, consent: Consent, *, idempotency_key: str | None = None
    ) -> WriteResult:
        """Record a consent."""
        return (await self.record_consents([consent], idempotency_key=idempotency_key))[0]

    async def record_consents(
        self, consents: Sequence[Consent], *, idempotency_key: str | None = None
    ) -> list[WriteResult]:
        """Record up to 10,000 consents, all or none."""
        return await self._run(operations.record_consents(consents, idempotency_key))

    async def make_links(
        self, requests: Sequence[LinkRequest], *, idempotency_key: str | None = None
    ) -> list[MessageLinks]:
        """Links and headers for up to 10,000 messages. `links.LinkMinter` makes them offline."""
        return await self._run(operations.make_links(requests, idempotency_key))

    async def save_contact(
        self, contact: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> ContactResult:
        """Create or update a contact: `external_id`, `locale`, `addresses`."""
        return await self._run(operations.save_contact(contact, idempotency_key))

    async def deactivate_contact(
        self, selector: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> ContactResult:
        """Close the account of a contact, selected by `external_id`, `address` or `contact`."""
        return await self._run(operations.deactivate_contact(selector, idempotency_key))

    async def make_portal_link(
        self, address: str, *, channel: Channel = "email", language: str | None = None
    ) -> str:
        """The URL of the preference page of a signed-in customer: redirect to it at once."""
        return await self._run(operations.make_portal_link(address, channel, language))

    async def get_preferences(self, address: str, *, channel: Channel = "email") -> Json:
        """The preferences of exactly this address, to draw a page of your own."""
        return await self._run(operations.get_preferences(address, channel))

    async def put_preferences(
        self, update: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Json:
        """Record what a signed-in customer changed, and nothing else."""
        return await self._run(operations.put_preferences(update, idempotency_key))

    async def list_changes(self, after: str | None = None, *, limit: int = 1_000) -> ChangesPage:
        """One page of the change feed after a watermark."""
        return await self._run(operations.list_changes(after, limit))

    async def read_digests(self, after: str | None = None) -> DigestsPage:
        """Digests of everybody whom something may deny marketing, for a `LocalFilter`."""
        return await self._run(operations.read_digests(after))

    async def iter_suppressions(self, **query: str) -> AsyncIterator[Json]:
        """All active suppressions, page by page: `scope`, `reason`, `channel`, `since`."""
        while True:
            page = await self._run(operations.list_suppressions(query))
            for each in page["suppressions"]:
                yield each
            if not page.get("next"):
                return
            query["cursor"] = page["next"]

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        params: Mapping[str, str] | None = None,
    ) -> Any:
        """Any other operation of the API, with the same retries; returns the parsed JSON."""
        return await self._run(operations.any_call(method, path, body, params))

    async def _run(self, call: Call[T]) -> T:
        steps = exchange(call, self._connection, clock=time.monotonic, draw=self._draw)
        outcome: Outcome = None
        try:
            while True:
                step = steps.send(outcome)
                if isinstance(step, Wait):
                    await self._sleep(step.seconds)
                    outcome = None
                else:
                    outcome = await self._send(call, step.timeout)
        except StopIteration as finished:
            result: T = finished.value
            return result

    async def _send(
        self, call: Call[Any], limits: httpx.Timeout
    ) -> httpx.Response | httpx.RequestError:
        try:
            return await self._http.request(
                call.method,
                call.path,
                json=call.body,
                params=dict(call.params) or None,
                headers=call.headers,
                timeout=limits,
            )
        except httpx.RequestError as error:
            return error
