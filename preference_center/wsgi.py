"""The WSGI application, for `asgi`, which the web process serves.

A server that takes it directly must itself limit how long a client may take to send a body.
"""

from __future__ import annotations

import gc

from preference_center import spool
from preference_center.app import create_app
from preference_center.pages import IN_AN_OUTAGE
from preference_center.storage.access.key_fingerprints import require_known_keys_of

app = create_app()
spool.start(app)
require_known_keys_of(app, {"console.healthz", "console.readyz", *IN_AN_OUTAGE})

# What was loaded stays for ever: a sixth of an opt-out went into looking it over for garbage.
gc.collect()
gc.freeze()
