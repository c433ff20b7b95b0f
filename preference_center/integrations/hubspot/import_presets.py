"""HubSpot: contacts with their opt-out properties, and the export of unsubscribes and bounces.

https://knowledge.hubspot.com/properties/hubspots-default-contact-properties names the
properties "Unsubscribed from all email" and "Opted out of email: <subscription type>";
https://knowledge.hubspot.com/articles/kcs_article/contacts/what-do-the-columns-mean-in-csv-i-receive-when-i-export-unsubscribes-and-bounces
the columns of the other file, where every column it does not name is a subscription type.
A bounce reported by other companies' accounts alone ("Global Bounce") is not imported.
"""

from __future__ import annotations

from preference_center.domain.imports.presets import Meaning, Preset, Says, When

_YES = ("true", "yes", "1")
_NO = ("false", "no", "0")
_ALL = ("Unsubscribed from all email", "hs_email_optout", "Opted out of all email")
_HARD = ("Email hard bounce reason", "hs_email_hard_bounce_reason_enum")
_NAMES = ("Email", "Email Address", "Recipient")

PRESETS = (
    Preset(
        name="hubspot-contacts",
        title="HubSpot: contacts with their opt-out properties",
        page="https://knowledge.hubspot.com/properties/hubspots-default-contact-properties",
        address=_NAMES,
        says=(
            Says(Meaning.OPT_OUT, group="all email", when=(When(_ALL, _YES),)),
            Says(Meaning.OPT_OUT, prefix="Opted out of email:"),
            Says(Meaning.BOUNCE, when=(When(_HARD), When(_HARD, _NO, negated=True))),
        ),
        needs=(_ALL,),
    ),
    Preset(
        name="hubspot-unsubscribes",
        title="HubSpot: the export of unsubscribes and bounces",
        page="https://knowledge.hubspot.com/articles/kcs_article/contacts/"
        "what-do-the-columns-mean-in-csv-i-receive-when-i-export-unsubscribes-and-bounces",
        address=_NAMES,
        says=(
            Says(Meaning.OPT_OUT, group="all email", when=(When(("Portal Unsubscribe",), _YES),)),
            Says(
                Meaning.COMPLAINT, group="spam reports", when=(When(("Portal Spam Report",), _YES),)
            ),
            Says(
                Meaning.BOUNCE,
                when=(When(("Portal Bounce",)), When(("Portal Bounce",), _NO, negated=True)),
            ),
            # never holds: what other accounts found is named here so that it is no type
            Says(Meaning.BOUNCE, when=(When(("Global Bounce",), ("(never)",)),)),
            Says(Meaning.OPT_OUT, rest=True),
        ),
        needs=(("Portal Unsubscribe",),),
    ),
)
