"""SendGrid: suppressions (CSV of the console, JSON of the API) and marketing contacts.

Columns as the API names them, which the console's CSV repeats:
https://www.twilio.com/docs/sendgrid/api-reference/suppressions-suppressions/retrieve-all-suppressions
https://www.twilio.com/docs/sendgrid/api-reference/bounces-api/retrieve-all-bounces
https://www.twilio.com/docs/sendgrid/api-reference/contacts/export-contacts
A list of one group's CSV does not name the group: its rows belong to "group".
"""

from __future__ import annotations

from preference_center.domain.imports.presets import Meaning, Preset, Says, When

_API = "https://www.twilio.com/docs/sendgrid/api-reference/"
_SUPPRESSIONS = f"{_API}suppressions-suppressions/retrieve-all-suppressions"
_BOUNCES = f"{_API}bounces-api/retrieve-all-bounces"
_CONTACTS = f"{_API}contacts/export-contacts"
_EMAIL, _CREATED = ("email",), ("created", "created_at")

PRESETS = (
    Preset(
        name="sendgrid-unsubscribes",
        title="SendGrid: global unsubscribes",
        page=_SUPPRESSIONS,
        address=_EMAIL,
        says=(Says(Meaning.OPT_OUT, group="global unsubscribes", at=_CREATED),),
        lacks={
            "group_name": "sendgrid-groups",
            "status": "sendgrid-bounces",
            "ip": "sendgrid-spam-reports",
            "contact_id": "sendgrid-contacts",
        },
    ),
    Preset(
        name="sendgrid-groups",
        title="SendGrid: group unsubscribes",
        page=_SUPPRESSIONS,
        address=_EMAIL,
        says=(Says(Meaning.OPT_OUT, group="group", by=("group_name", "group_id"), at=_CREATED),),
        lacks={"status": "sendgrid-bounces", "contact_id": "sendgrid-contacts"},
    ),
    Preset(
        name="sendgrid-bounces",
        title="SendGrid: bounces (those with a status 4.x.x are passing, and left out)",
        page=_BOUNCES,
        address=_EMAIL,
        # RFC 3463 2: class 4 is a persistent transient failure
        says=(Says(Meaning.BOUNCE, at=_CREATED, when=(When(("status",), ("4",), negated=True),)),),
        needs=(("status", "reason"),),
    ),
    Preset(
        name="sendgrid-spam-reports",
        title="SendGrid: spam reports",
        page=_SUPPRESSIONS,
        address=_EMAIL,
        says=(Says(Meaning.COMPLAINT, group="spam reports", at=_CREATED),),
        lacks={
            "group_name": "sendgrid-groups",
            "status": "sendgrid-bounces",
            "contact_id": "sendgrid-contacts",
        },
    ),
    Preset(
        name="sendgrid-contacts",
        title="SendGrid: marketing contacts, as subscriptions of the list that was exported",
        page=_CONTACTS,
        address=_EMAIL,
        says=(Says(Meaning.SUBSCRIPTION, group="contacts", at=_CREATED),),
        needs=(("contact_id",),),
    ),
)
