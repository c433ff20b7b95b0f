"""The last mail to an erased person says what went and what stays (I6)."""

from __future__ import annotations

import pytest

from preference_center.infra.outbox import EmailKind
from preference_center.rights.rules.requests import Extent
from preference_center.web.languages import LANGUAGES
from tests.web.test_emails import rendered, text_and_html

pytestmark = pytest.mark.usefixtures("in_context")


@pytest.mark.parametrize("language", list(LANGUAGES))
@pytest.mark.parametrize("extent", list(Extent))
def test_it_is_written_in_every_language_without_a_link(extent: Extent, language: str) -> None:
    message = rendered(kind=EmailKind.ERASED, language=language, values={"extent": extent.value})
    assert message["Content-Language"] == language
    text, html = text_and_html(message)
    assert "http" not in text
    assert "<a " not in html
    assert "Acme" in text


def test_each_extent_has_words_of_its_own() -> None:
    texts = {
        text_and_html(
            rendered(kind=EmailKind.ERASED, language="en", values={"extent": extent.value})
        )[0]
        for extent in Extent
    }
    assert len(texts) == len(Extent)
