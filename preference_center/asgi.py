"""The web process: `granian --interface asginl preference_center.asgi:app`."""

from __future__ import annotations

from preference_center.extensions import NAME
from preference_center.serving import Bridge
from preference_center.wsgi import app as service

app = Bridge(service, service.extensions[NAME].settings.web_threads)
