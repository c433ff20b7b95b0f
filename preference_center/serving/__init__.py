"""ASGI outside, WSGI inside: a request gets a thread once its body has arrived.

A WSGI server gives a request a thread when its header has arrived, and the thread then waits
for the body. Forty clients that sent a header and nothing more held every thread, and stopped
opt-outs and `/healthz` for everybody (docs/decisions/0040-slow-clients.md). Here the event
loop waits, and only for a limited time; threads work.
"""

from __future__ import annotations

from preference_center.serving.asgi_bridge import AsgiBridge

__all__ = ["AsgiBridge"]
