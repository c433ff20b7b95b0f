"""A page as a browser without JavaScript has it: what is filled in, and what a press sends."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from werkzeug.datastructures import MultiDict

if TYPE_CHECKING:
    from flask.testing import FlaskClient


@dataclass(slots=True)
class Control:
    """An input or a button of the page, and the form that it belongs to (HTML, 4.10.18.3)."""

    tag: str
    given: dict[str, str]
    form: dict[str, str] | str | None
    """The attributes of the form around it, or the id of another one."""
    checked: bool = False
    label: str = ""
    """Of a button."""

    @property
    def is_sent(self) -> bool:
        """Whether its value is sent without being pressed."""
        can_be_checked = self.given.get("type") in {"checkbox", "radio"}
        return self.tag == "input" and (self.checked or not can_be_checked)


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.controls: list[Control] = []
        self.forms: list[dict[str, str]] = []
        self.ids: list[str] = []
        self.labels: list[str] = []
        self._form: dict[str, str] | None = None
        self._button: Control | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids += [given["id"]] if "id" in given else []
        self.labels += [given["for"]] if tag == "label" and "for" in given else []
        if tag == "form":
            assert self._form is None, "a form in a form"
            self._form = given
            self.forms.append(given)
        if tag in {"input", "button"}:
            owner = given.get("form", self._form)
            control = Control(tag, given, owner, "checked" in given)
            self.controls.append(control)
            self._button = control if tag == "button" else self._button

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        if tag == "button":
            self._button = None

    def handle_data(self, data: str) -> None:
        if self._button:
            self._button.label += data


@dataclass(slots=True)
class Screen:
    """The page at `url`, with what somebody has filled in."""

    client: FlaskClient
    url: str
    text: str
    controls: list[Control] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    """The id that each label names."""
    _forms: list[dict[str, str]] = field(default_factory=list)

    @classmethod
    def open(cls, client: FlaskClient, url: str) -> Screen:
        """The page at the end of all redirects."""
        answer = client.get(url, follow_redirects=True)
        assert answer.status_code == 200, answer.text
        return cls._of(client, answer.request.url, answer.text)

    @classmethod
    def _of(cls, client: FlaskClient, url: str, text: str) -> Screen:
        parser = _Parser()
        parser.feed(text)
        return cls(client, url, text, parser.controls, parser.ids, parser.labels, parser.forms)

    @property
    def result(self) -> str:
        """The markup of what came of a press; it ends before the page's heading."""
        start = re.search(r'id="(result|problem)"', self.text)
        assert start, "nothing came of it"
        return self.text[start.start() : self.text.index("<h1>")]

    def boxes(self, value: str) -> list[Control]:
        """The boxes of this value, in the order of the page."""
        return [
            each
            for each in self.controls
            if each.given.get("type") == "checkbox" and each.given.get("value") == value
        ]

    def choose(self, name: str, value: str, number: int = 0) -> None:
        """Check the radio of this value in one of the groups whose names end so."""
        radios = [
            each
            for each in self.controls
            if each.given.get("type") == "radio" and each.given["name"].endswith(name)
        ]
        group = list(dict.fromkeys((each.given["name"], id(each.form)) for each in radios))[number]
        for each in radios:
            if (each.given["name"], id(each.form)) == group:
                each.checked = each.given["value"] == value

    def chosen(self, name: str) -> list[str]:
        """The values of the checked radios of the groups whose names end so."""
        return [
            each.given["value"]
            for each in self.controls
            if each.given.get("type") == "radio" and each.given["name"].endswith(name)
            if each.checked
        ]

    def press(self, label: str, number: int = 0) -> Screen:
        """The page after a press of this button, one of those that are labelled so."""
        buttons = [c for c in self.controls if c.tag == "button" and c.label.strip() == label]
        button = buttons[number]
        form = self._form_of(button)
        data = MultiDict(
            (each.given["name"], each.given.get("value", "on"))
            for each in self.controls
            if (each.is_sent or each is button) and each.given.get("name")
            if self._form_of(each) is form
        )
        path = button.given.get("formaction") or form.get("action", "")
        answer = self.client.post(urljoin(self.url, path), data=data, follow_redirects=True)
        assert answer.status_code == 200, answer.text
        return self._of(self.client, answer.request.url, answer.text)

    def _form_of(self, control: Control) -> dict[str, str]:
        if isinstance(control.form, str):
            return next(form for form in self._forms if form.get("id") == control.form)
        return control.form or {}
