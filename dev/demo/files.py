"""What `make run` keeps in its data folder between runs, for its owner's eyes only."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dev.accounts import write_private
from preference_center.core.key_rings import new_ring_entry

FOLDER = "DEV_FOLDER"
"""Environment variable that tells the processes of `make run` where the folder is."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A stand-in for a connected tool: its name as a destination, and what people call it."""

    name: str
    title: str
    channels: frozenset[str]


TOOLS = (
    Tool("crm", "CRM", frozenset({"email", "sms", "phone"})),
    Tool("email-tool", "Email tool", frozenset({"email"})),
)


@dataclass(frozen=True, slots=True)
class Files:
    """The files, by what they hold."""

    folder: Path

    def keys(self) -> dict[str, str]:
        """The service's own keys as settings, made at the first call."""
        path = self.folder / "keys.env"
        if not path.exists():
            made = {
                name: new_ring_entry("k1")
                for name in ("DIGEST_KEYS", "ENCRYPTION_KEYS", "LINK_KEYS")
            }
            made["SECRET_KEY"] = secrets.token_urlsafe(48)
            write_private(path, "".join(f"{name}={value}\n" for name, value in made.items()))
        lines = path.read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def keep_environment(self, environ: Mapping[str, str]) -> Path:
        """Write these settings for `flask --env-file`; where that file is."""
        path = self.folder / "service.env"
        write_private(path, "".join(f"{name}='{value}'\n" for name, value in environ.items()))
        return path

    def site_port(self) -> int | None:
        """The port of the site in the last run, which links in mails and keys for links name."""
        path = self.folder / "site-port"
        return int(path.read_text()) if path.exists() else None

    def keep_site_port(self, port: int) -> None:
        """Let the next run take this port again."""
        write_private(self.folder / "site-port", str(port))

    def tool_secrets(self) -> Mapping[str, str]:
        """Per tool, what signs our webhooks to it; made at the first call."""
        return {tool.name: self._secret(self.folder / f"{tool.name}.secret") for tool in TOOLS}

    def api_key(self) -> str | None:
        """The text of the demo's API key, if one was made."""
        return self._api_key.read_text() if self._api_key.exists() else None

    def keep_api_key(self, text: str) -> None:
        """Remember a key, which the service itself can't show again."""
        write_private(self._api_key, text)

    @property
    def mails(self) -> Path:
        """The folder of captured mails."""
        folder = self.folder / "mails"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    @property
    def tool_states(self) -> Path:
        """What the stand-in tools remember."""
        return self.folder / "tools.json"

    @property
    def processes(self) -> Path:
        """The processes that were started, to find those that a killed run left behind."""
        return self.folder / "processes.json"

    @property
    def _api_key(self) -> Path:
        return self.folder / "api-key"

    @staticmethod
    def _secret(path: Path) -> str:
        if not path.exists():
            write_private(path, f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}")
        return path.read_text()
