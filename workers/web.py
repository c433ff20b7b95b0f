"""The web server: `python -m workers.web`, or `python -m workers.web console` for the console.

The first starts WEB_WORKERS processes that share PORT; the second one on CONSOLE_PORT, so that
nothing that is sent to the console takes memory or threads of the pages (decision 96).
Any number of servers may run; each on a host needs ports of its own.
"""

from __future__ import annotations

import errno
import gc
import json
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from granian import Granian
from granian.constants import Interfaces
from werkzeug.utils import import_string

from preference_center.core.errors import ConfigError
from preference_center.infra.files import PACKAGE

LOGGING = PACKAGE / "infra" / "granian_logging.json"
DEFAULTS = {
    "HOST": "127.0.0.1",
    "PORT": "8000",
    "CONSOLE_PORT": "8002",
    "WEB_WORKERS": "2",
    "WEB_APP": "workers.asgi:app",
}
"""The variables of this process alone."""
_SHARED = ("preference_center.app.web", "preference_center.app.hooks")
PRELOADED = {"public": _SHARED, "console": (*_SHARED, "preference_center.app.console")}
"""Modules of each surface that its worker processes have from this process, instead of a copy."""
STOP_TIMEOUT = 50
"""Seconds that a worker process may take to finish its requests before it is killed."""

PATIENCE = 5.0
"""Seconds in which a server before this one, that was killed, lets go of its ports."""
POLL_INTERVAL = 0.05
"""Seconds between two looks."""


@dataclass(frozen=True, slots=True)
class Port:
    """Where something listens, and the variable that says so."""

    setting: str
    host: str
    number: int


def main(
    surface: str = "public", environ: Mapping[str, str] = os.environ, patience: float = PATIENCE
) -> None:
    """Serve `public` or `console` until asked to stop.

    Raises SystemExit if there is no such surface, a variable is wrong or a port is taken.
    """
    if surface not in {"public", "console"}:
        raise SystemExit(f"Say `console` or nothing, not {surface!r}")
    given = DEFAULTS | {name: value for name, value in environ.items() if value}
    is_console = surface == "console"
    setting = "CONSOLE_PORT" if is_console else "PORT"
    port = Port(setting, given["HOST"], read_number(given, setting, 65535))
    require_free(port, patience)
    if "INTERNAL_PORT" in given:
        host = given.get("INTERNAL_HOST", "127.0.0.1")
        internal = Port("INTERNAL_PORT", host, read_number(given, "INTERNAL_PORT", 65535))
        require_free(internal, patience)
    # For the worker processes: what to serve, and where /readyz connects to.
    os.environ |= {"SURFACE": surface, "HOST": port.host, "PORT": str(port.number)}
    for number in (signal.SIGTERM, signal.SIGINT):  # until granian has its own: see `worker`
        signal.signal(number, lambda *_: sys.exit())
    if multiprocessing.get_start_method() == "fork":
        preload(PRELOADED[surface])
    end_children_at_sigterm()
    Granian(
        given["WEB_APP"],
        address=port.host,
        port=port.number,
        interface=Interfaces.ASGINL,
        websockets=False,
        workers=1 if is_console else read_number(given, "WEB_WORKERS", 1000),
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_TIMEOUT,
        log_access=False,  # paths hold tokens (I12)
        log_dictconfig=json.loads(LOGGING.read_text(encoding="utf-8")),
    ).serve(target_loader=load_application)


def preload(modules: Iterable[str]) -> None:
    """Import what the worker processes will share the memory of, and start the sooner for.

    Each makes its application itself, with the connections and threads. The collector is kept from
    writing into what was imported, which would copy it.
    """
    # Before they are imported: `infra.metrics` looks for its SERVER_NAME.
    multiprocessing.current_process().name = "web server"
    for module in modules:
        import_module(module)
    gc.collect()
    gc.freeze()


def end_children_at_sigterm() -> None:
    """Let SIGTERM end each process that this one forks, from its first moment on.

    A worker process that starts has nothing to finish. With the handler of its parent it would
    start to the end, and serve until it is killed. The signal is blocked around the fork: one that
    comes before the child has its own handler would be lost.
    """
    signals = {signal.SIGTERM}

    def reset() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)

    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, signals),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, signals),
        after_in_child=reset,
    )


def load_application(name: str) -> Callable[..., Any]:
    """The application, for a worker process. Raises SystemExit if a setting is wrong."""
    try:
        application: Callable[..., Any] = import_string(name)
    except ConfigError as error:
        raise SystemExit(str(error)) from None
    return application


def read_number(given: Mapping[str, str], name: str, most: int) -> int:
    """The number from 1 to `most` that a variable has. Raises SystemExit if it has none."""
    text = given[name]
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
        raise SystemExit(f"{name} must be a number from 1 to {most}, not {text!r}")
    return int(text)


def require_free(port: Port, patience: float = PATIENCE) -> None:
    """Raise SystemExit if another process listens there for `patience` seconds, or nobody may.

    The worker processes share their ports, as does any other program that asks to (SO_REUSEPORT):
    without this look, connections would go to both by chance.
    """
    deadline = time.monotonic() + patience
    while (error := _bind(port)) is not None:
        if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
            raise SystemExit(
                f"{port.setting} {port.number} on {port.host}: {error.strerror}."
                f" Set {port.setting} to another port, or stop what listens there."
            )
        time.sleep(POLL_INTERVAL)


def _bind(port: Port) -> OSError | None:
    """Why it can't be listened to; None if it can."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            port.host, port.number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # after a restart
            tried.bind(address)
    except OSError as error:
        return error
    return None


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or "public")
