"""`flask keys rotate digests`, which somebody runs again until it has come to its end."""

from __future__ import annotations

import signal
import threading
from contextlib import suppress
from dataclasses import dataclass, field

from chaos.cluster import Cluster
from chaos.plan import Deed
from preference_center.app.web import create_app
from preference_center.infra.context import db
from preference_center.infra.db.connections import COMMAND_TIMEOUTS
from preference_center.infra.keys.fingerprints import require_known_keys
from tests.faults.service import Process, Service
from tests.infra.keys.processes import two_keys

POLL = 0.1
AGAIN = 1.0
"""Seconds until it is run again."""
PATIENCE = 300.0
"""Seconds after the strikes within which it comes to its end."""


def add_next_key(service: Service) -> None:
    """Have the database know the first digest key, and all processes that start a second one."""
    with service.app.app_context():
        require_known_keys()
        db.engine.dispose()
    given = {"digest_keys": two_keys(service.settings)}
    service.settings = service.settings.model_copy(update=given)
    service.app = create_app(service.settings, timeouts=COMMAND_TIMEOUTS)


@dataclass(slots=True)
class Rotation:
    """The command. It ends by itself, with an error, where the database is away."""

    service: Service
    cluster: Cluster
    runs: int = 0
    _process: Process | None = None
    _begun: threading.Event = field(default_factory=threading.Event)
    _ending: threading.Event = field(default_factory=threading.Event)
    _done: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def strike(self, deed: Deed) -> None:
        """See Victim. Nothing happens before it has begun, and once it is done."""
        if deed is Deed.ROTATE:
            self._begun.set()
        else:
            self._signal(signal.SIGKILL if deed is Deed.KILL else signal.SIGSTOP)

    def recover(self, deed: Deed) -> None:
        """See Victim."""
        if deed is Deed.FREEZE:
            self._signal(signal.SIGCONT)

    def finish(self) -> str:
        """Wait for its end, with nothing struck any more; what is wrong, or an empty text."""
        self._begun.set()
        is_done = self._done.wait(PATIENCE)
        self._ending.set()
        self._thread.join()
        return "" if is_done else f"the rotation did not come to its end in {self.runs} runs"

    def _signal(self, number: signal.Signals) -> None:
        if (process := self._process) and process.alive:
            with suppress(ProcessLookupError):
                process.signal(number)

    def _work(self) -> None:
        self._begun.wait()
        while not self._ending.is_set():
            self.runs += 1
            if self._runs_to_its_end(self._run()):
                self._done.set()
                return
            self._ending.wait(AGAIN)

    def _runs_to_its_end(self, process: Process) -> bool:
        self._process = process
        while process.alive and not self._ending.wait(POLL):
            pass
        process.end()
        return process.popen.poll() == 0

    def _run(self) -> Process:
        command = ("keys", "rotate", "digests")
        if self.cluster.pooler is None:
            return self.service.run(*command)
        past = self.cluster.primary.url  # sessions of others can't be seen through a pooler
        return self.service.run(*command, "--all-restarted", DATABASE_URL=past)
