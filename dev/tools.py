"""Two stand-in tools: they take our webhooks, believe only signed ones, and remember.

`granian --interface wsgi dev.tools:app` with DEV_FOLDER set. Anyone who was never pushed to
them gets mail.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any

from flask import Flask, Response, abort, jsonify, request
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from dev.accounts import write_private
from dev.demo.files import FOLDER, Files


def create_app(files: Files) -> Flask:
    """The tools' HTTP: `POST /<tool>/hooks`, and `GET /state` for anyone who wants to see."""
    app = Flask("tools")
    secrets = files.tool_secrets()
    state = State(files.tool_states)

    @app.post("/<tool>/hooks")
    def hooks(tool: str) -> tuple[str, int]:
        if tool not in secrets:
            abort(404)
        try:
            payload = Webhook(secrets[tool]).verify(request.data, dict(_headers()))
        except WebhookVerificationError:
            return "not signed by whom we know", 401
        items = payload["data"]["items"]
        match payload["type"]:
            case "preferences.changed":
                state.take(tool, items)
            case "contact.erased":
                state.erase(tool, items)
            case unknown:
                return f"no such type: {unknown}", 400
        return "", 204

    @app.get("/state")
    def show() -> Response:
        return jsonify({tool: state.of(tool) for tool in secrets})

    return app


class State:
    """Per tool and address the topics that are off, in a file. One process, many threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._tools: dict[str, dict[str, dict[str, Any]]] = {}
        if path.exists():
            self._tools = json.loads(path.read_text())

    def of(self, tool: str) -> Mapping[str, Mapping[str, Any]]:
        """Address -> `off` (topics) and `version`."""
        with self._lock:
            return dict(self._tools.get(tool, {}))

    def take(self, tool: str, items: list[dict[str, Any]]) -> None:
        """Apply the pushed items; of two states of one address the newer holds."""
        with self._lock:
            contacts = self._tools.setdefault(tool, {})
            for item in items:
                known = contacts.get(item["address"], {"off": [], "version": 0})
                if item["version"] >= known["version"]:
                    off = set(known["off"]) - set(item["lift"]) | set(item["off"])
                    contacts[item["address"]] = {"off": sorted(off), "version": item["version"]}
            write_private(self._path, json.dumps(self._tools))

    def erase(self, tool: str, items: list[dict[str, Any]]) -> None:
        """Forget these addresses, and keep what is off for them by a digest (docs/webhook.md)."""
        with self._lock:
            contacts = self._tools.setdefault(tool, {})
            erased = self._tools.setdefault(f"{tool}, erased", {})
            for item in items:
                if known := contacts.pop(item["address"], None):
                    erased[sha256(item["address"].encode()).hexdigest()] = known
            write_private(self._path, json.dumps(self._tools))


def _headers() -> Mapping[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


if FOLDER in os.environ:
    app = create_app(Files(Path(os.environ[FOLDER])))
