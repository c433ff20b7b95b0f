"""The web server: `python -m workers.web`. It starts WEB_WORKERS processes that share one port.

Any number of servers may run; each on a host needs ports of its own.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from granian import Granian
from granian.constants import Interfaces

from preference_center.locations import PACKAGE

LOGGING = PACKAGE / "serving" / "granian_logging.json"
APPLICATION = "preference_center.asgi:app"
STOP_TIMEOUT = 50
"""Seconds that a worker process may take to finish its requests. One that is asked to stop while it
starts misses that, and would serve for ever: it is killed then."""


@dataclass(frozen=True, slots=True)
class Port:
    """Where something listens, and the variable that says so."""

    setting: str
    host: str
    number: int


def main(environ: Mapping[str, str] = os.environ) -> None:
    """Serve until asked to stop. Raises SystemExit if a variable is wrong or a port is taken."""
    port = read_port(environ, "PORT", "8000", environ.get("HOST") or "127.0.0.1")
    require_free(port)
    if environ.get("INTERNAL_PORT"):
        host = environ.get("INTERNAL_HOST") or "127.0.0.1"
        require_free(read_port(environ, "INTERNAL_PORT", "", host))
    os.environ["HOST"], os.environ["PORT"] = port.host, str(port.number)  # /readyz connects to it
    Granian(
        environ.get("WEB_APP") or APPLICATION,
        address=port.host,
        port=port.number,
        interface=Interfaces.ASGINL,
        websockets=False,
        workers=read_number(environ, "WEB_WORKERS", "2", 1, 1000),
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_TIMEOUT,
        log_access=False,  # paths hold tokens (I12)
        log_dictconfig=json.loads(LOGGING.read_text(encoding="utf-8")),
    ).serve()


def read_port(environ: Mapping[str, str], name: str, default: str, host: str) -> Port:
    """The port that a variable has. Raises SystemExit."""
    return Port(name, host, read_number(environ, name, default, 1, 65535))


def read_number(environ: Mapping[str, str], name: str, default: str, least: int, most: int) -> int:
    """The number that a variable has. Raises SystemExit with what it should be."""
    text = environ.get(name) or default
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise SystemExit(f"{name} must be a number from {least} to {most}, not {text!r}")
    return int(text)


def require_free(port: Port) -> None:
    """Raise SystemExit if another process listens there, or nobody may.

    The worker processes share their ports, as does any other program that asks to (SO_REUSEPORT):
    without this look, connections would go to both by chance.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            port.host, port.number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # after a restart
            tried.bind(address)
    except OSError as error:
        raise SystemExit(
            f"{port.setting} {port.number} on {port.host}: {error.strerror}."
            f" Set {port.setting} to another port, or stop what listens there."
        ) from None


if __name__ == "__main__":
    main()
