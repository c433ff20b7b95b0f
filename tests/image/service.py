"""The service as the image runs it, with its settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from dev.processes import wait_until
from tests.image.container import PATIENCE, Container, Image


@dataclass(frozen=True, slots=True)
class Service:
    """Starts processes and commands of the image with the same settings."""

    image: Image
    environ: Mapping[str, str]
    logs: Path

    def command(self, *words: str, text: str = "") -> str:
        """Run a command of the image to its end, and return what it prints."""
        return self.image.command(*words, environ=self.environ, text=text)

    def start(self, *arguments: str, **environ: str) -> Container:
        """Start a process of the image, that of CMD if none is named."""
        log = self.logs / f"{len(list(self.logs.iterdir()))}-{'-'.join(arguments) or 'web'}.log"
        return self.image.start(*arguments, environ={**self.environ, **environ}, log=log)

    def wait_until_ready(self, container: Container, port: str = "") -> None:
        """Wait until it can do its work, as an orchestrator sees it."""
        url = f"http://127.0.0.1:{port or self.environ['INTERNAL_PORT']}/readyz"

        def ready() -> bool:
            assert container.popen.poll() is None, container.log.read_text()
            with suppress(httpx.TransportError):
                return httpx.get(url).is_success
            return False

        assert wait_until(ready, PATIENCE), container.log.read_text()

    def check_health(self, port: str) -> int:
        """The exit code of HEALTHCHECK's command for the process with that internal port."""
        kind, *words = self.image.configuration["Healthcheck"]["Test"]
        assert kind == "CMD"
        return self.image.run(words, {**self.environ, "INTERNAL_PORT": port}).returncode

    def post(self, path: str, key: str, body: Mapping[str, str]) -> dict[str, object]:
        """What the API responds to a sender."""
        found: dict[str, object] = json.loads(
            httpx.post(
                f"{self.environ['PUBLIC_URL']}{path}",
                json=body,
                headers={"Authorization": f"Bearer {key}"},
            )
            .raise_for_status()
            .text
        )
        return found
