"""The process `mail` of the Procfile: `python -m workers.mail_receiver`.

Any number of them may run. The Procfile starts it only with MAIL_RECEIVER_PORT.
"""

from __future__ import annotations

import asyncio
import gc
import signal
from contextlib import suppress

import structlog

from preference_center.app.service import create_service
from preference_center.core.errors import ConfigError, Unavailable
from preference_center.inbound.smtp_server import STOP_SIGNALS, serve
from preference_center.infra.context import services
from preference_center.infra.hooks import register_now
from preference_center.infra.keys.fingerprints import require_known_keys
from preference_center.infra.telemetry import capture_standard_logs, start_telemetry
from preference_center.ledger import spool
from preference_center.monitoring.alerts import start_host_alerting
from preference_center.monitoring.probes import start_internal_server

log = structlog.get_logger()


def main() -> None:
    """Receive mail until asked to stop. Raises ConfigError without MAIL_RECEIVER_PORT."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    capture_standard_logs()
    app = create_service()
    register_now(app)
    start_internal_server(app)
    with app.app_context():
        settings = services().settings
        start_telemetry(settings, "mail")
        if settings.mail_receiver_port is None:
            raise ConfigError("set MAIL_RECEIVER_PORT (docs/mail-receiver.md)")
        spool.start_spool(app)
        start_host_alerting(app)
        with suppress(Unavailable):  # opt-outs are spooled meanwhile
            require_known_keys()
    asyncio.run(serve(app, settings.mail_receiver_port))  # noqa: TID251 - not in a test


if __name__ == "__main__":
    gc.freeze()  # else the collector scans every module at the end: half a second
    main()
