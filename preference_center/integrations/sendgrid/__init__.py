"""This package connects SendGrid, and its presets read SendGrid's exports.

The exports are suppressions (CSV of the console, JSON of the API) and marketing contacts. Columns
are as the API names them, which the console's CSV repeats:
https://www.twilio.com/docs/sendgrid/api-reference/suppressions-suppressions/retrieve-all-suppressions
https://www.twilio.com/docs/sendgrid/api-reference/bounces-api/retrieve-all-bounces
https://www.twilio.com/docs/sendgrid/api-reference/contacts/export-contacts
A list of one group's CSV does not name the group: its rows belong to "group".
"""

from __future__ import annotations

from preference_center.integrations.base.integration import Integration
from preference_center.integrations.base.presets import (
    GROUP_COLUMN_NAMES,
    CellCondition,
    ImportPreset,
    bounce,
    complaint,
    opt_out,
    subscription,
)

INTEGRATION = Integration.of_package(
    __name__, "SendGrid", webhook="SendGridWebhookSource", has_presets=True
)


_API = "https://www.twilio.com/docs/sendgrid/api-reference/"


_SUPPRESSIONS = f"{_API}suppressions-suppressions/retrieve-all-suppressions"


_BOUNCES = f"{_API}bounces-api/retrieve-all-bounces"


_CONTACTS = f"{_API}contacts/export-contacts"


_GROUP = ("group_name", "group_id", *GROUP_COLUMN_NAMES)


_EMAIL, _CREATED = ("email",), ("created", "created_at")


PRESETS = (
    ImportPreset(
        name="sendgrid-unsubscribes",
        title="SendGrid: global unsubscribes",
        docs_url=_SUPPRESSIONS,
        address_columns=_EMAIL,
        meanings=(opt_out(default_group="global unsubscribes", date_columns=_CREATED),),
        excluded_columns={
            "group_name": "sendgrid-groups",
            "status": "sendgrid-bounces",
            "ip": "sendgrid-spam-reports",
            "contact_id": "sendgrid-contacts",
        },
    ),
    ImportPreset(
        name="sendgrid-groups",
        title="SendGrid: group unsubscribes",
        docs_url=_SUPPRESSIONS,
        address_columns=_EMAIL,
        meanings=(
            opt_out(default_group="(no group)", group_columns=_GROUP, date_columns=_CREATED),
        ),
        required_columns=(_GROUP,),
        excluded_columns={"status": "sendgrid-bounces", "contact_id": "sendgrid-contacts"},
    ),
    ImportPreset(
        name="sendgrid-bounces",
        title="SendGrid: bounces (those with a status 4.x.x are passing, and left out)",
        docs_url=_BOUNCES,
        address_columns=_EMAIL,
        # RFC 3463 2: class 4 is a persistent transient failure
        meanings=(
            bounce(
                date_columns=_CREATED,
                conditions=(CellCondition(("status",), ("4",), negated=True),),
            ),
        ),
        required_columns=(("status", "reason"),),
    ),
    ImportPreset(
        name="sendgrid-spam-reports",
        title="SendGrid: spam reports",
        docs_url=_SUPPRESSIONS,
        address_columns=_EMAIL,
        meanings=(complaint(default_group="spam reports", date_columns=_CREATED),),
        excluded_columns={
            "group_name": "sendgrid-groups",
            "status": "sendgrid-bounces",
            "contact_id": "sendgrid-contacts",
        },
    ),
    ImportPreset(
        name="sendgrid-contacts",
        title="SendGrid: marketing contacts, as subscriptions of the list that was exported",
        docs_url=_CONTACTS,
        address_columns=_EMAIL,
        meanings=(subscription(default_group="contacts", date_columns=_CREATED),),
        required_columns=(("contact_id",),),
    ),
)
