"""The WSGI application of one surface, for `asgi`, which `workers.web` serves.

A server that runs it directly must itself limit how long a client may take to send a body.
"""

from __future__ import annotations

import gc
import os

from preference_center.app.web import Surface, create_app
from preference_center.infra.context import EXTENSION_NAME
from preference_center.infra.keys.fingerprints import require_known_keys_before_requests
from preference_center.infra.metrics import SHARED_FOLDER, warn_if_not_shared
from preference_center.infra.telemetry import capture_standard_logs, start_telemetry, trace_requests
from preference_center.ledger import spool
from preference_center.monitoring.alerts import start_host_alerting
from preference_center.monitoring.probes import LISTENING_KEY, ListeningPort, start_internal_server
from preference_center.web.api.keys import start_storing_key_use
from preference_center.web.pages import AVAILABLE_WITHOUT_DATABASE

capture_standard_logs()
surface = Surface(os.environ.get("SURFACE", Surface.PUBLIC))  # `workers.web` sets it
app = create_app(surface=surface)
warn_if_not_shared(SHARED_FOLDER)
process = "console" if surface is Surface.CONSOLE else "web"
start_telemetry(app.extensions[EXTENSION_NAME].settings, process)
trace_requests(app)
if "PORT" in os.environ:  # `workers.web` sets it
    port = ListeningPort(os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"]))
    app.extensions[LISTENING_KEY] = port
if surface is Surface.PUBLIC:
    spool.start_spool(app)
    start_host_alerting(app)
    start_storing_key_use(app)
require_known_keys_before_requests(
    app,
    {"probes.healthz", "probes.readyz", "probes.metrics", *AVAILABLE_WITHOUT_DATABASE},
)
start_internal_server(app, shares_port=True)  # last: Flask takes no hook once it served a request

# What was loaded stays: the collector's scans of it took a sixth of the time of an opt-out.
gc.collect()
gc.freeze()
