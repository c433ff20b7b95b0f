"""The peer: a Flask route that does nothing."""

from __future__ import annotations

from flask import Flask

from preference_center.infra.serving import AsgiBridge

app = Flask("bare")


@app.route("/", methods=["GET", "POST"])
def hello() -> str:
    return "hello"


server = AsgiBridge(app, 8)
