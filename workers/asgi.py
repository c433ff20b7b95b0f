"""The application that `workers.web` serves: ASGI, without lifespan."""

from __future__ import annotations

from preference_center.infra.context import EXTENSION_NAME
from preference_center.infra.serving import AsgiBridge
from workers.wsgi import app as service

app = AsgiBridge(service, service.extensions[EXTENSION_NAME].settings.web_threads)
