"""listmonk: subscribers.csv.

https://listmonk.app/docs/querying-and-segmentation/ describes the export; its source writes
uuid, email, name, attributes, status, created_at and updated_at, the status being enabled,
disabled or blocklisted (https://listmonk.app/docs/concepts/). The file does not say who left
a single list: export each list with the subscription status "unsubscribed" on its own.
"""

from __future__ import annotations

from preference_center.domain.imports.presets import Meaning, Preset, Says, When

_PAGE = "https://listmonk.app/docs/querying-and-segmentation/"
_STATUS, _CREATED, _UPDATED = ("status",), ("created_at",), ("updated_at",)

PRESETS = (
    Preset(
        name="listmonk-subscribers",
        title="listmonk: subscribers of a list, those blocklisted as opt-outs",
        page=_PAGE,
        address=("email",),
        says=(
            Says(
                Meaning.OPT_OUT,
                group="blocklisted",
                at=_UPDATED,
                when=(When(_STATUS, ("blocklisted", "blacklisted")),),
            ),
            Says(
                Meaning.SUBSCRIPTION,
                group="subscribers",
                by=("lists",),
                split=",",
                at=_CREATED,
                when=(When(_STATUS, ("enabled",)),),
            ),
        ),
        needs=(_STATUS,),
    ),
    Preset(
        name="listmonk-unsubscribed",
        title="listmonk: subscribers exported with the subscription status unsubscribed",
        page=_PAGE,
        address=("email",),
        says=(Says(Meaning.OPT_OUT, group="unsubscribed", by=("lists",), split=",", at=_UPDATED),),
    ),
)
