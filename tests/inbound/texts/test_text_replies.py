"""Our own text messages stay within one part in every language."""

from __future__ import annotations

from pathlib import Path

import pytest

from preference_center.catalogue.rules.deliverability import LONGEST_FIELDS, TEXT_MESSAGES
from preference_center.core.sms_parts import SEPTETS, count_septets
from preference_center.web.languages import LANGUAGES, load_translations

SOURCE = Path("preference_center/inbound/texts.py")


def texts() -> list[str]:
    """The texts of our messages, by what the translations say of their place."""
    po = Path("preference_center/web/translations/it/LC_MESSAGES/messages.po").read_text()
    blocks = [block for block in po.split("\n\n") if f"#: {SOURCE}" in block]
    return [
        line.removeprefix('msgid "').removesuffix('"')
        for block in blocks
        for line in block.splitlines()
        if line.startswith('msgid "')
    ]


def test_the_catalogue_warns_of_replacements_of_just_these() -> None:
    assert TEXT_MESSAGES.issuperset(texts())
    assert len(texts()) == len(TEXT_MESSAGES)


@pytest.mark.parametrize("informal", [False, True])
@pytest.mark.parametrize("language", LANGUAGES)
def test_names_up_to_30_characters_are_never_shortened(language: str, *, informal: bool) -> None:
    translations = load_translations(language, informal=informal)
    for key in texts():
        text = translations.gettext(key) % LONGEST_FIELDS
        text = text.replace("’", "'").replace("\N{NO-BREAK SPACE}", " ")  # as `to_gsm` does
        septets = count_septets(text)
        assert septets is not None, text  # nothing has to lose its accents
        assert septets <= SEPTETS, (septets, text)
