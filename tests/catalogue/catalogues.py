"""Small catalogues to edit in tests."""

from __future__ import annotations

SMALL = """\
languages = ["it", "en"]
default_language = "it"

[groups.news]
title = { it = "Novità", en = "News" }

[brands.acme]
name = "Acme"

[topics."acme.news"]
brand = "acme"
channel = "email"
default = "opt_in"
group = "news"
title = { it = "Notizie", en = "News" }
description = { it = "Ogni mese", en = "Every month" }

[message_types."newsletter.monthly"]
class = "marketing"
topic = "acme.news"

[message_types.password_reset]
class = "service"
ground = "security"
after_closing = true
after_closing_ground = "just_requested"
"""

SECOND_TOPIC = """
[topics."acme.offers"]
brand = "acme"
channel = "email"
default = "opt_in"
group = "news"
title = { it = "Offerte", en = "Offers" }
description = { it = "Sconti", en = "Discounts" }
"""


def edited(*changes: tuple[str, str], text: str = SMALL) -> str:
    for old, new in changes:
        assert text.count(old) >= 1, old
        text = text.replace(old, new, 1)
    return text
