"""Whether this worker was asked to stop: it then finishes the batch in hand."""

from __future__ import annotations

from threading import Event

stop_requested = Event()
