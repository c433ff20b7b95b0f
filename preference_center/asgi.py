"""The application that `workers.web` serves: ASGI, without lifespan."""

from __future__ import annotations

import os

from preference_center.context import EXTENSION_NAME
from preference_center.probes import LISTENING_KEY, ListeningPort
from preference_center.serving import AsgiBridge
from preference_center.wsgi import app as service

if "PORT" in os.environ:
    port = ListeningPort(os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"]))
    service.extensions[LISTENING_KEY] = port

app = AsgiBridge(service, service.extensions[EXTENSION_NAME].settings.web_threads)
