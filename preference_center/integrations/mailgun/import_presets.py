"""Mailgun: the suppressions of a domain, as CSV or as the API's JSON.

https://documentation.mailgun.com/docs/mailgun/api-reference/openapi-final/tag/Unsubscribe
names the columns address, tags and created_at (RFC 2822), and the tag `*` for everything of
the domain; bounces have code and error too. Its list of bounces holds permanent ones only:
https://documentation.mailgun.com/en/latest/api-suppressions.html
"""

from __future__ import annotations

from preference_center.domain.imports.presets import Meaning, Preset, Says, When

_PAGE = "https://documentation.mailgun.com/docs/mailgun/api-reference/openapi-final/tag/"
_ADDRESS, _CREATED = ("address", "email"), ("created_at", "createdat")

PRESETS = (
    Preset(
        name="mailgun-unsubscribes",
        title="Mailgun: unsubscribes",
        page=f"{_PAGE}Unsubscribe",
        address=_ADDRESS,
        says=(Says(Meaning.OPT_OUT, group="*", by=("tags", "tag"), split=",", at=_CREATED),),
        lacks={"code": "mailgun-bounces", "error": "mailgun-bounces"},
        json_list="items.item",
    ),
    Preset(
        name="mailgun-bounces",
        title="Mailgun: bounces (those with a code 4xx are left out)",
        page=f"{_PAGE}Bounces",
        address=_ADDRESS,
        says=(Says(Meaning.BOUNCE, at=_CREATED, when=(When(("code",), ("4",), negated=True),)),),
        needs=(("code", "error"),),
        json_list="items.item",
    ),
    Preset(
        name="mailgun-complaints",
        title="Mailgun: complaints",
        page=f"{_PAGE}Complaints",
        address=_ADDRESS,
        says=(Says(Meaning.COMPLAINT, group="complaints", at=_CREATED),),
        lacks={"code": "mailgun-bounces", "tags": "mailgun-unsubscribes"},
        json_list="items.item",
    ),
)
