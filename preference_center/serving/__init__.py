"""An ASGI server for the WSGI application: a request gets a thread once its body has arrived.

A WSGI server gives a request a thread when its header has arrived, and the thread then waits
for the body. Forty clients that sent only a header blocked every thread, and with them
opt-outs and `/healthz` for everybody (docs/decisions/0040-slow-clients.md). Here the event
loop waits, for a limited time.
"""

from __future__ import annotations
