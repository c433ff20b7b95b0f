"""This package connects listmonk, and its preset reads listmonk's subscribers.csv.

https://listmonk.app/docs/querying-and-segmentation/ describes the export; its source writes
uuid, email, name, attributes, status, created_at and updated_at, the status being enabled,
disabled or blocklisted (https://listmonk.app/docs/concepts/). The file does not say who left
a single list: export each list with the subscription status "unsubscribed" on its own.
"""

from __future__ import annotations

from preference_center.integrations.base.integration import Integration
from preference_center.integrations.base.presets import (
    GROUP_COLUMN_NAMES,
    CellCondition,
    ImportPreset,
    opt_out,
    subscription,
)

INTEGRATION = Integration.of_package(__name__, "listmonk", has_presets=True)


_DOCS_URL = "https://listmonk.app/docs/querying-and-segmentation/"


_STATUS, _CREATED, _UPDATED = ("status",), ("created_at",), ("updated_at",)


PRESETS = (
    ImportPreset(
        name="listmonk-subscribers",
        title="listmonk: subscribers of a list, those blocklisted as opt-outs",
        docs_url=_DOCS_URL,
        address_columns=("email",),
        meanings=(
            opt_out(
                default_group="blocklisted",
                date_columns=_UPDATED,
                conditions=(CellCondition(_STATUS, ("blocklisted", "blacklisted")),),
            ),
            subscription(
                default_group="subscribers",
                group_columns=GROUP_COLUMN_NAMES,
                group_separator=",",
                date_columns=_CREATED,
                conditions=(CellCondition(_STATUS, ("enabled",)),),
            ),
        ),
        required_columns=(_STATUS,),
    ),
    ImportPreset(
        name="listmonk-unsubscribed",
        title="listmonk: subscribers exported with the subscription status unsubscribed",
        docs_url=_DOCS_URL,
        address_columns=("email",),
        meanings=(
            opt_out(
                default_group="unsubscribed",
                group_columns=GROUP_COLUMN_NAMES,
                group_separator=",",
                date_columns=_UPDATED,
            ),
        ),
    ),
)
