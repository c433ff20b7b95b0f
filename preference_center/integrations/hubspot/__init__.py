"""This package connects HubSpot, and its presets read HubSpot's exports.

The exports are contacts with their opt-out properties, and the unsubscribes and bounces.
https://knowledge.hubspot.com/properties/hubspots-default-contact-properties names the
properties "Unsubscribed from all email" and "Opted out of email: <subscription type>";
https://knowledge.hubspot.com/articles/kcs_article/contacts/what-do-the-columns-mean-in-csv-i-receive-when-i-export-unsubscribes-and-bounces
the columns of the other file, where every column it does not name is a subscription type.
A bounce reported by other companies' accounts alone ("Global Bounce") is not imported.
"""

from __future__ import annotations

from preference_center.core.addresses import Channel
from preference_center.integrations.base.integration import Integration
from preference_center.integrations.base.presets import (
    FALSE_WORDS,
    TRUE_WORDS,
    CellCondition,
    ImportPreset,
    bounce,
    complaint,
    opt_out,
)

INTEGRATION = Integration.of_package(
    __name__, "HubSpot", webhook="HubSpotWebhookSource", has_presets=True
)


_YES = (*TRUE_WORDS, "1")


_NO = (*FALSE_WORDS, "0")


# HubSpot writes the headers in the language of the user. The internal names are documented, their
# translations are not: those of others than these become groups, whose scope is asked for.
_OPT_OUT_WORDS = (
    *("opted out", "opt-out", "unsubscribed from", "hs_email_optout_"),
    *("abgemeldet", "abmeldung", "abbestellt", "désabonn", "désinscri"),
    *("disiscri", "annullata", "annullato", "cancelada", "cancelado", "de baja"),
)


_UNSUBSCRIBED_FROM_ALL = (
    "Unsubscribed from all email",
    "hs_email_optout",
    "Opted out of all email",
    "Von allen E-Mails abgemeldet",
)


_HARD_BOUNCE_REASON = ("Email hard bounce reason", "hs_email_hard_bounce_reason_enum")


_EMAIL = ("Email", "Recipient", *Channel.EMAIL.rules.column_names[0])


PRESETS = (
    ImportPreset(
        name="hubspot-contacts",
        title="HubSpot: contacts with their opt-out properties",
        docs_url="https://knowledge.hubspot.com/properties/hubspots-default-contact-properties",
        address_columns=_EMAIL,
        meanings=(
            opt_out(
                default_group="all email", conditions=(CellCondition(_UNSUBSCRIBED_FROM_ALL, _YES),)
            ),
            opt_out(group_column_words=_OPT_OUT_WORDS),
            bounce(
                conditions=(
                    CellCondition(_HARD_BOUNCE_REASON),
                    CellCondition(_HARD_BOUNCE_REASON, _NO, negated=True),
                )
            ),
        ),
        required_columns=(_UNSUBSCRIBED_FROM_ALL,),
    ),
    ImportPreset(
        name="hubspot-unsubscribes",
        title="HubSpot: the export of unsubscribes and bounces",
        docs_url="https://knowledge.hubspot.com/articles/kcs_article/contacts/"
        "what-do-the-columns-mean-in-csv-i-receive-when-i-export-unsubscribes-and-bounces",
        address_columns=_EMAIL,
        meanings=(
            opt_out(
                default_group="all email",
                conditions=(CellCondition(("Portal Unsubscribe",), _YES),),
            ),
            complaint(
                default_group="spam reports",
                conditions=(CellCondition(("Portal Spam Report",), _YES),),
            ),
            bounce(
                conditions=(
                    CellCondition(("Portal Bounce",)),
                    CellCondition(("Portal Bounce",), _NO, negated=True),
                )
            ),
            # never holds: what other accounts found is named here so that it is no type
            bounce(conditions=(CellCondition(("Global Bounce",), ("(never)",)),)),
            opt_out(other_columns_are_groups=True),
        ),
        required_columns=(("Portal Unsubscribe",),),
    ),
)
