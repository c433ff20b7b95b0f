"""What the processes of the service import, for `tests.faults.forks` to import once."""

from __future__ import annotations

import gc
from importlib import import_module

for name in (
    "workers.mail_receiver",
    "workers.feed_publisher",
    "workers.jobs",
    "workers.scheduler",
    "workers.web",
    "workers.worker",
):
    import_module(name)

# A scan by the collector would copy the memory that the processes share.
gc.collect()
gc.freeze()
