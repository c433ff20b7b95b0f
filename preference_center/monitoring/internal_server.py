"""The probes and metrics of any process on a port of its own, not for people.

Every process has it if INTERNAL_PORT is set. It runs in threads of its own, so it answers while
the process waits for the database.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from flask import Flask

from preference_center.core.errors import ConfigError
from preference_center.infra.context import services
from preference_center.infra.db.connections import WEB_TIMEOUTS
from preference_center.infra.db.transactions import override_limits
from preference_center.monitoring.health import INTERNAL, PROBE_PATHS
from preference_center.monitoring.probes_metrics import METRICS_PATH

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

READ_TIMEOUT = 5.0
"""Seconds that a client may take to send a request."""


def start_internal_server(app: Flask, *, shares_port: bool = False) -> InternalServer | None:
    """Serve probes and metrics from now on, until the process ends; None without INTERNAL_PORT.

    `shares_port`: the web processes of one host answer in turn on one port. Raises ConfigError if
    the port is taken.
    """
    with app.app_context():
        settings = services().settings
    if settings.internal_port is None:
        return None
    try:
        server = InternalServer(
            app, settings.internal_host, settings.internal_port, shares_port=shares_port
        )
    except OSError as error:
        raise ConfigError(
            f"INTERNAL_PORT {settings.internal_port}: {error.strerror}. Each process of a host"
            " needs one of its own; only the web processes share theirs."
        ) from None
    threading.Thread(target=server.serve_forever, name="internal", daemon=True).start()
    return server


class InternalServer(ThreadingMixIn, WSGIServer):
    """Serves PROBE_PATHS and METRICS_PATH of `app`, and nothing else."""

    daemon_threads = True

    def __init__(self, app: Flask, host: str, port: int, *, shares_port: bool) -> None:
        self.allow_reuse_port = shares_port
        super().__init__((host, port), _Handler)
        self._app = app
        self.set_app(self._respond)

    def server_bind(self) -> None:
        """Bind without HTTPServer's look-up of the host's name, which may wait for DNS."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def _respond(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] not in {METRICS_PATH, *PROBE_PATHS}:
            start("404 Not Found", [("Content-Type", "text/plain")])
            return [b"Not found\n"]
        environ[INTERNAL] = True
        with override_limits(WEB_TIMEOUTS):  # a worker's are too long for a probe
            return self._app(environ, start)


class _Handler(WSGIRequestHandler):
    timeout = READ_TIMEOUT

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing: a probe every few seconds says nothing."""
