"""Runs a module, e.g. `workers.worker`, with its clock moved ahead as the test sets it.

A lease of 90 seconds is over at once then, without a setting that production has no use for.
"""

from __future__ import annotations

import os
import runpy
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from preference_center.app import service, web


def now() -> datetime:
    ahead = timedelta(seconds=float(Path(os.environ["CLOCK_SHIFT"]).read_text()))
    return datetime.now(UTC) + ahead


if __name__ == "__main__":
    web.create_app = partial(web.create_app, now=now)
    service.create_service = partial(service.create_service, now=now)
    del sys.argv[0]  # the module's own arguments follow its name
    runpy.run_module(sys.argv[0], run_name="__main__")
