"""Mail with our links by Flask-Mail (docs/links.md)."""

import os
from email import policy
from uuid import uuid4

import flask
from flask_mail import Mail
from flask_mail import Message as FlaskMailMessage
from preference_center_links import LinkMinter

mail = Mail()  # mail.init_app(app) in your create_app()
minter = LinkMinter(os.environ["LINK_KEY"])


class Message(FlaskMailMessage):
    """A message whose headers stay on one line each."""

    def _message(self):
        message = super()._message()
        message.policy = policy.SMTP.clone(max_line_length=998)
        return message


def send(address: str, name: str) -> None:
    links = minter.mint(address, "acme.offers", str(uuid4()))
    message = Message("This month", recipients=[address], extra_headers=links.headers)
    message.html = flask.render_template_string(
        '<p>Hello {{ name }}</p><a href="{{ links.unsubscribe_url }}">Unsubscribe</a>',
        name=name,
        links=links,
    )
    mail.send(message)
