"""Lists of no particular tool: plain addresses, hashes of addresses, and our own columns.

docs/imports.md is their reference. A hash is that of the address in lower case, without
surrounding spaces, in hexadecimal (`core.addresses`).
"""

from __future__ import annotations

from preference_center.core.tabular import ADDRESS_COLUMN_NAMES
from preference_center.integrations.base.presets import (
    CellCondition,
    ColumnMeaning,
    ImportPreset,
    RowMeaning,
)

_ADDRESS = tuple(
    dict.fromkeys(
        ("address", *(n for groups in ADDRESS_COLUMN_NAMES.values() for g in groups for n in g))
    )
)
_STATUS = ("status",)
_GROUP = ("group", "group name", "list", "list name", "scope")
_OCCURRED_AT = ("occurred_at", "date")
_OPTED_OUT_AT = (
    *_OCCURRED_AT,
    *("opted_out_at", "opt_out_at", "opted_out_on", "opt_out_date", "opt_out_time"),
    *("unsubscribed_at", "unsubscribed_on", "unsubscribe_date", "unsubscribe_time"),
    *("unsubscribed_date", "date_unsubscribed"),
)
_SUBSCRIBED_AT = (
    *_OCCURRED_AT,
    *("subscribed_at", "subscribed_on", "subscribe_date", "subscription_date"),
    *("opted_in_at", "opt_in_at", "opt_in_date", "consented_at", "consent_date"),
)

PRESETS = (
    ImportPreset(
        name="addresses",
        title="Plain list: one address to a line, with or without a header",
        docs_url="docs/imports.md",
        address_columns=_ADDRESS,
        detects_address=True,
        meanings=(
            ColumnMeaning(RowMeaning.OPT_OUT, default_group="list"),
            ColumnMeaning(RowMeaning.SUBSCRIPTION, default_group="list"),
        ),
        excluded_columns=dict.fromkeys((*_OPTED_OUT_AT, *_SUBSCRIBED_AT), "generic-list"),
        requires_meaning=True,
        header_optional=True,
    ),
    ImportPreset(
        name="hashes",
        title="Plain list of SHA-256 or MD5 hashes of addresses that opted out",
        docs_url="docs/imports.md",
        address_columns=(
            "hash",
            "sha256",
            "md5",
            "email",
            "email_sha256",
            "email_md5",
            "hashed_email",
        ),
        meanings=(ColumnMeaning(RowMeaning.OPT_OUT, default_group="list"),),
        is_hashed=True,
        header_optional=True,
    ),
    ImportPreset(
        name="generic",
        title="Our own columns, CSV or NDJSON: the status in each row, its date and its evidence",
        docs_url="docs/imports.md",
        address_columns=_ADDRESS,
        detects_address=True,
        channel_columns=("channel",),
        received_at_columns=("received_at",),
        evidence_columns={
            "source": ("source",),
            "wording": ("wording",),
            "language": ("language",),
            "legal_basis": ("legal_basis",),
            "policy": ("policy",),
        },
        meanings=(
            ColumnMeaning(
                RowMeaning.OPT_OUT,
                default_group="list",
                group_columns=_GROUP,
                date_columns=_OPTED_OUT_AT,
                conditions=(
                    CellCondition(_STATUS, ("opted_out", "opt_out", "opt-out", "optout", "unsub")),
                ),
            ),
            ColumnMeaning(
                RowMeaning.SUBSCRIPTION,
                default_group="list",
                group_columns=_GROUP,
                date_columns=_SUBSCRIBED_AT,
                conditions=(CellCondition(_STATUS, ("sub", "consent")),),
            ),
            ColumnMeaning(
                RowMeaning.BOUNCE,
                date_columns=_OCCURRED_AT,
                conditions=(CellCondition(_STATUS, ("bounce", "hard")),),
            ),
            ColumnMeaning(
                RowMeaning.COMPLAINT,
                default_group="list",
                group_columns=_GROUP,
                date_columns=_OCCURRED_AT,
                conditions=(CellCondition(_STATUS, ("compl", "spam")),),
            ),
        ),
        required_columns=(_STATUS,),
        is_strict=True,
    ),
    ImportPreset(
        name="generic-list",
        title="Our own columns without `status`: every row has the meaning that --meaning names",
        docs_url="docs/imports.md",
        address_columns=_ADDRESS,
        detects_address=True,
        channel_columns=("channel",),
        received_at_columns=("received_at",),
        evidence_columns={
            "source": ("source",),
            "wording": ("wording",),
            "language": ("language",),
            "legal_basis": ("legal_basis",),
            "policy": ("policy",),
        },
        meanings=(
            ColumnMeaning(
                RowMeaning.OPT_OUT,
                default_group="list",
                group_columns=_GROUP,
                date_columns=_OPTED_OUT_AT,
            ),
            ColumnMeaning(
                RowMeaning.SUBSCRIPTION,
                default_group="list",
                group_columns=_GROUP,
                date_columns=_SUBSCRIBED_AT,
            ),
        ),
        excluded_columns={"status": "generic"},
        requires_meaning=True,
    ),
)
