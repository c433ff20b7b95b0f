"""A link registry in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from preference_center.core.links.tokens import SenderKey


@dataclass
class FakeRegistry:
    keys: dict[int, SenderKey] = field(default_factory=dict)
    permanent: dict[int, datetime] = field(default_factory=dict)

    def find_sender(self, key_id: int) -> SenderKey | None:
        return self.keys.get(key_id)

    def permanent_links_since(self, destination: int) -> datetime | None:
        return self.permanent.get(destination)

    def exact_digest(self, sha256: bytes) -> bytes:
        return sha256[::-1]  # as unlike it as the real one
