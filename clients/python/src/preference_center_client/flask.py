"""Flask: the client of an application, links in its templates, and the way to the settings page.

preferences = PreferenceCenter(app)  # or PreferenceCenter() and init_app(app)

if preferences.sending.action("newsletter.monthly", address) is Action.SEND: ...
links = preferences.links(address, "acme.news", message_id)

@app.post("/email-settings")
@login_required
def email_settings():
return preferences.redirect_to_page(current_user.email)
"""

from __future__ import annotations

from flask import Flask, current_app, redirect
from werkzeug.wrappers import Response

from preference_center_client.client import Client
from preference_center_client.links import LinkMinter, MintedLinks
from preference_center_client.sending import Sending

EXTENSION = "preference_center_client"


class PreferenceCenter:
    """Settings: PREFERENCE_CENTER_URL, _KEY, _LINK_KEY, _SERVICE_TYPES, _WHEN_UNKNOWN."""

    def __init__(self, app: Flask | None = None) -> None:
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Read the settings. Raises KeyError without URL or key, ValueError for invalid ones."""
        config = app.config
        client = Client(config["PREFERENCE_CENTER_URL"], config["PREFERENCE_CENTER_KEY"])
        sending = Sending(
            client,
            service_types=config.get("PREFERENCE_CENTER_SERVICE_TYPES", ()),
            when_unknown=config.get("PREFERENCE_CENTER_WHEN_UNKNOWN", "wait"),
        )
        link_key = config.get("PREFERENCE_CENTER_LINK_KEY")
        minter = LinkMinter(link_key) if link_key else None
        app.extensions[EXTENSION] = (client, sending, minter)

    @property
    def client(self) -> Client:
        """Of the current application."""
        found: Client = current_app.extensions[EXTENSION][0]
        return found

    @property
    def sending(self) -> Sending:
        """What to do with messages; service types as in the settings."""
        found: Sending = current_app.extensions[EXTENSION][1]
        return found

    def links(self, address: str, topic: str, message_id: str = "") -> MintedLinks:
        """Links and headers of one message, made offline. Raises ValueError without a link key."""
        minter: LinkMinter | None = current_app.extensions[EXTENSION][2]
        if minter is None:
            raise ValueError("PREFERENCE_CENTER_LINK_KEY is not set: `keys link-key` prints one")
        return minter.mint(address, topic, message_id)

    def redirect_to_page(self, address: str, language: str | None = None) -> Response:
        """To the preference page of the customer who is signed in, for their own address only.

        The link lasts five minutes and creating one is recorded, so do it on a POST. Raises
        Unavailable. The key needs the scope `portal`.
        """
        link = self.client.make_portal_link(address, language=language)
        response = redirect(link, 303)
        response.headers["Cache-Control"] = "no-store"
        return response
