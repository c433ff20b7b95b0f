"""Start a process only if it is switched on: `python -m workers.optional SETTING MODULE`.

Without the setting it waits to be stopped, so that the Procfile is the same for everybody, and
answers on INTERNAL_PORT that nothing is wrong. It imports nothing of the service: a process that is
switched off should cost next to nothing (9 MiB instead of 100).
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}
_PATHS = {"/livez", "/readyz", "/healthz", "/metrics"}


def is_given(setting: str) -> bool:
    """Whether the environment has the setting, or names a file that does."""
    given = {name.upper(): value for name, value in os.environ.items()}
    return bool(given.get(setting) or given.get(f"{setting}_FILE"))


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path in _PATHS else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: probes come every few seconds."""


def wait(setting: str) -> None:
    """Say which setting is missing, and wait to be stopped."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    if port := os.environ.get("INTERNAL_PORT"):
        host = os.environ.get("INTERNAL_HOST", "127.0.0.1")
        server = ThreadingHTTPServer((host, int(port)), _Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f'{{"event": "switched_off", "level": "info", "setting": "{setting}"}}', flush=True)  # noqa: T201 - structlog is not imported
    signal.sigwait(_STOP_SIGNALS)


def main() -> None:
    """Run the module that is named, or wait."""
    setting, module = sys.argv[1:]
    if is_given(setting):
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        wait(setting)


if __name__ == "__main__":
    main()
