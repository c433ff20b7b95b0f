"""The web process: `granian --interface wsgi preference_center.wsgi:app`."""

from __future__ import annotations

import gc

from preference_center.app import create_app
from preference_center.storage.fingerprints import require_known_keys

app = create_app()
with app.app_context():
    require_known_keys()

# What was loaded stays for ever: a sixth of an opt-out went into looking it over for garbage.
gc.collect()
gc.freeze()
