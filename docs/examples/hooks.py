"""A receiver of webhooks that keeps what is off in SQLite (docs/webhook.md)."""

import os
import sqlite3
from contextlib import closing

import flask
from standardwebhooks import Webhook, WebhookVerificationError

app = flask.Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 4_000_000
SECRET = os.environ.get("HOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
TABLE = """CREATE TABLE IF NOT EXISTS topic_off (address TEXT, channel TEXT, topic TEXT,
    off INTEGER, version INTEGER, sent_at INTEGER, PRIMARY KEY (address, channel, topic))"""
KEEP = """INSERT INTO topic_off VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET off = excluded.off, version = excluded.version,
        sent_at = excluded.sent_at
    WHERE (excluded.version, excluded.sent_at) >= (version, sent_at)"""


@app.post("/hooks")
def hooks():
    """Verify, store, answer. Anything but a 2xx is tried again."""
    try:
        payload = Webhook(SECRET).verify(flask.request.get_data(), dict(flask.request.headers))
    except WebhookVerificationError:
        return "", 400
    sent_at = int(flask.request.headers["webhook-timestamp"])
    if payload["type"] == "contact.erased":
        return "", 204  # nothing but the opt-out is kept here
    path = os.environ.get("HOOK_DATABASE", "hooks.sqlite")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(TABLE)
        for item in payload["data"]["items"]:
            for off in ("off", "lift"):
                for topic in item[off]:
                    row = (item["address"], item["channel"], topic, off == "off")
                    database.execute(KEEP, (*row, item["version"], sent_at))
    return "", 204
