"""The web process: `granian --interface wsgi preference_center.wsgi:app`."""

from __future__ import annotations

from preference_center.app import create_app
from preference_center.storage.fingerprints import require_known_keys

app = create_app()
with app.app_context():
    require_known_keys()
