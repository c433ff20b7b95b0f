"""Lists of nobody's tool: plain addresses, hashes of addresses, and our own columns.

docs/imports.md is their reference. A hash is that of the address in small letters, without
blanks around it, in hex (`domain.hashes`).
"""

from __future__ import annotations

from preference_center.domain.imports.presets import Meaning, Preset, Says, When

_ADDRESS = ("address", "email", "email address", "e-mail", "phone", "mobile")
_SAYS, _AT, _GROUP = ("says", "status"), ("occurred_at", "date"), ("group", "list", "scope")

PRESETS = (
    Preset(
        name="addresses",
        title="Plain list: one address to a line, with or without a header",
        page="docs/imports.md",
        address=_ADDRESS,
        says=(
            Says(Meaning.OPT_OUT, group="list"),
            Says(Meaning.SUBSCRIPTION, group="list"),
        ),
        is_open=True,
        bare=True,
    ),
    Preset(
        name="hashes",
        title="Plain list of SHA-256 or MD5 hashes of addresses that opted out",
        page="docs/imports.md",
        address=("hash", "sha256", "md5", "email", "email_sha256", "email_md5", "hashed_email"),
        says=(Says(Meaning.OPT_OUT, group="list"),),
        is_hashed=True,
        bare=True,
    ),
    Preset(
        name="generic",
        title="Our own columns, CSV or NDJSON: what each row says, when, and its evidence",
        page="docs/imports.md",
        address=_ADDRESS,
        channel=("channel",),
        received_at=("received_at",),
        evidence={
            "source": ("source",),
            "wording": ("wording",),
            "language": ("language",),
            "legal_basis": ("legal_basis",),
        },
        says=(
            Says(
                Meaning.OPT_OUT,
                group="list",
                by=_GROUP,
                at=_AT,
                when=(When(_SAYS, ("opted_out", "opt_out", "opt-out", "optout", "unsub")),),
            ),
            Says(
                Meaning.SUBSCRIPTION,
                group="list",
                by=_GROUP,
                at=_AT,
                when=(When(_SAYS, ("sub", "consent")),),
            ),
            Says(Meaning.BOUNCE, at=_AT, when=(When(_SAYS, ("bounce", "hard")),)),
            Says(
                Meaning.COMPLAINT,
                group="list",
                by=_GROUP,
                at=_AT,
                when=(When(_SAYS, ("compl", "spam")),),
            ),
        ),
        needs=(_SAYS,),
        is_strict=True,
    ),
    Preset(
        name="generic-list",
        title="Our own columns without `says`: every row says the same, which --as names",
        page="docs/imports.md",
        address=_ADDRESS,
        channel=("channel",),
        received_at=("received_at",),
        evidence={
            "source": ("source",),
            "wording": ("wording",),
            "language": ("language",),
            "legal_basis": ("legal_basis",),
        },
        says=(
            Says(Meaning.OPT_OUT, group="list", by=_GROUP, at=_AT),
            Says(Meaning.SUBSCRIPTION, group="list", by=_GROUP, at=_AT),
        ),
        lacks={"says": "generic"},
        is_open=True,
    ),
)
