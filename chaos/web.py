"""The web process as it is, which also reports who it is: `WEB_APP=chaos.web:app` of a run."""

from __future__ import annotations

import os

from flask import Response

from workers.asgi import app

__all__ = ["app"]


@app.app.after_request
def say_who(response: Response) -> Response:
    """Name the process in every answer."""
    response.headers["X-Process"] = str(os.getpid())
    return response
