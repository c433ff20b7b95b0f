"""A sender with the Python client's local filter: what it allows by itself, the service allows."""

from __future__ import annotations

import sys
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[1] / "clients" / "python" / "src"))  # not installed

from preference_center.catalogue import TopicDefault
from preference_center.catalogue.store import current_catalogue
from preference_center.core import errors
from preference_center.core.addresses import Channel
from preference_center.decisions.api import decide_all
from preference_center.decisions.store import DigestsInfo, iter_all_digests, load_digests_since
from preference_center.infra.context import services
from preference_center.ledger.watermarks import parse_watermark
from preference_center_client import Client, StaleWatermark
from preference_center_client.local_filter import LocalFilter
from preference_center_client.models import DigestsPage
from simulation.people import Form
from simulation.violation import Violation


class _Service(Client):
    """The service without the API, whose keys and limits go by real time."""

    def __init__(self) -> None:
        super().__init__("http://localhost", "-", transport=httpx.MockTransport(_refuse))

    def read_digests(self, after: str | None = None) -> DigestsPage:
        """As GET /v1/changes/digests responds."""
        keys, now = services().keys, services().now()
        if after is None:
            first, *batches = iter_all_digests(keys, now)
            assert isinstance(first, DigestsInfo)
            info = first
            digests = [head for batch in batches if isinstance(batch, list) for head in batch]
        else:
            try:
                info, digests = load_digests_since(keys, parse_watermark(after), now)
            except errors.StaleWatermark:
                raise StaleWatermark(410, {}) from None
        start = {
            "watermark": str(info.watermark),
            "digest_keys": dict(info.fingerprints),
            "norm_version": info.norm_version,
            "md5": info.matches_md5,
            "message_types": list(_open_types()),
        }
        return DigestsPage(start, b"".join(digests))


@dataclass(slots=True)
class FilteringSender:
    """Refreshes its filter now and then, and asks about everybody right after."""

    forms: Mapping[str, Form]
    answered: int = 0
    """How often the filter has answered by itself."""
    filter: LocalFilter = field(init=False)

    def __post_init__(self) -> None:
        chain = [f"{name}:{urlsafe_b64encode(key).decode()}" for name, key in _digest_chain()]
        clock = services().now
        self.filter = LocalFilter(_Service(), ",".join(chain), clock=lambda: clock().timestamp())

    def read(self) -> None:
        """Nobody whom the service denies is allowed by a filter that has just been refreshed."""
        self.filter.refresh()
        texts, now = list(self.forms), services().now()
        prepared = self.filter.prepare(texts)
        for name in _open_types():
            allowed = self.filter.surely_allowed(name, prepared).tolist()
            self.answered += sum(allowed)
            catalogue = current_catalogue()
            decided = decide_all(texts, name, Channel.EMAIL, catalogue, "IT", now).decisions
            for text, alone, decision in zip(texts, allowed, decided, strict=True):
                if alone and not decision.allow:
                    raise Violation(
                        f"I11: the local filter allows {name} to {text} ({decision.rule})"
                    )


def _open_types() -> Sequence[str]:
    catalogue = current_catalogue()
    topics = {
        name: catalogue.topics[message.topic]
        for name, message in catalogue.message_types.items()
        if message.topic
    }
    return [
        name
        for name, topic in topics.items()
        if topic.default is TopicDefault.OPT_OUT and topic.channel is Channel.EMAIL
    ]


def _digest_chain() -> Sequence[tuple[str, bytes]]:
    return services().keys.digest_chain


def _refuse(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("nobody is asked by HTTP", request=request)
