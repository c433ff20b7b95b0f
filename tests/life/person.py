"""A person whose every trace can be searched for: nothing else in a test is called like this."""

from __future__ import annotations

from preference_center.core.addresses import Channel, parse_address

FIRST = "Zq.Whole-Life+7@zqfirsthome.example"
"""The address to begin with, as she writes it."""
SECOND = "zq.moved.life@zqsecondhome.example"
"""Where she moves."""
NUMBER = "+39 333 7654 321"
EXTERNAL_ID = "zq-customer-90210"
LOCALE = "gsw-LI"
"""Nobody else's: the texts of the service are in five other languages."""

FIRST_ADDRESS, SECOND_ADDRESS = (parse_address(text, Channel.EMAIL) for text in (FIRST, SECOND))
NUMBER_ADDRESS = parse_address(NUMBER, Channel.SMS)

MARKERS = {
    "first address": FIRST_ADDRESS.exact,
    "its mailbox": FIRST_ADDRESS.mailbox,
    "its domain": "zqfirsthome.example",
    "second address": SECOND_ADDRESS.exact,
    "its second domain": "zqsecondhome.example",
    "number": NUMBER_ADDRESS.exact,
    "external id": EXTERNAL_ID,
    "locale": LOCALE,
    "wording of a consent": "zqwording",
    "id at a tool": "zqidattool",
    "own words": "zqownwords",
    "name in a mail": "zqfullname",
}
"""What to search for, by what it is."""

FORMS = (
    FIRST,
    "zq.whole-life+7@zqfirsthome.example",
    "zq.whole-life@zqfirsthome.example",
    SECOND,
    "zq.moved.life+shop@zqsecondhome.example",
)
"""Forms of her mailboxes, except other tags than hers (I9): all of them stay off."""
