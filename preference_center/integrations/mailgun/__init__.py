"""This package connects Mailgun, and its presets read the suppressions of a domain.

The files are CSV, or the API's JSON.
https://documentation.mailgun.com/docs/mailgun/api-reference/openapi-final/tag/Unsubscribe
names the columns address, tags and created_at (RFC 2822), and the tag `*` for everything of
the domain; bounces have code and error too. Its list of bounces holds permanent ones only:
https://documentation.mailgun.com/en/latest/api-suppressions.html
"""

from __future__ import annotations

from preference_center.integrations.base.integration import Integration
from preference_center.integrations.base.presets import (
    CellCondition,
    ImportPreset,
    bounce,
    complaint,
    opt_out,
)

INTEGRATION = Integration.of_package(
    __name__, "Mailgun", webhook="MailgunWebhookSource", has_presets=True
)


_DOCS_URL = "https://documentation.mailgun.com/docs/mailgun/api-reference/openapi-final/tag/"


_ADDRESS, _CREATED = ("address", "email"), ("created_at", "createdat")


PRESETS = (
    ImportPreset(
        name="mailgun-unsubscribes",
        required_columns=(("tags", "tag"),),
        title="Mailgun: unsubscribes",
        docs_url=f"{_DOCS_URL}Unsubscribe",
        address_columns=_ADDRESS,
        meanings=(
            opt_out(
                default_group="*",
                group_columns=("tags", "tag"),
                group_separator=",",
                date_columns=_CREATED,
            ),
        ),
        excluded_columns={"code": "mailgun-bounces", "error": "mailgun-bounces"},
        json_rows_path="items.item",
    ),
    ImportPreset(
        name="mailgun-bounces",
        title="Mailgun: bounces (those with a code 4xx are left out)",
        docs_url=f"{_DOCS_URL}Bounces",
        address_columns=_ADDRESS,
        meanings=(
            bounce(
                date_columns=_CREATED, conditions=(CellCondition(("code",), ("4",), negated=True),)
            ),
        ),
        required_columns=(("code", "error"),),
        json_rows_path="items.item",
    ),
    ImportPreset(
        name="mailgun-complaints",
        title="Mailgun: complaints",
        docs_url=f"{_DOCS_URL}Complaints",
        address_columns=_ADDRESS,
        meanings=(complaint(default_group="complaints", date_columns=_CREATED),),
        excluded_columns={"code": "mailgun-bounces", "tags": "mailgun-unsubscribes"},
        json_rows_path="items.item",
    ),
)
