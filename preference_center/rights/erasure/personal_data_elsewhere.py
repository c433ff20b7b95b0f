"""Where personal data is outside of the database: `FILES`, and what Redis holds.

The tables are in `personal_data`.
"""

from __future__ import annotations

from collections.abc import Mapping

from preference_center.rights.erasure.personal_data import Holds

FILES: Mapping[str, str] = {
    "preference_center/infra/files.py": ("what the callers write: see theirs"),
    "preference_center/lists/cli/export.py": "addresses, readable: an export for its operator",
    "preference_center/lists/cli/imports.py": ("rejected rows as they were read, for the operator"),
    "preference_center/contacts/cli.py": ("addresses, readable: whom to inform, for the operator"),
    "preference_center/cli/links.py": "addresses and permanent links, for the operator",
    "preference_center/lists/cli/scrub.py": "a temporary folder, deleted at the end",
    "preference_center/integrations/file_drop/client.py": "addresses, readable: the drop itself",
    "preference_center/integrations/file_drop/remote_folders.py": "the same on SFTP or S3",
    "preference_center/ledger/feed": "files for a warehouse: addresses, readable if asked for",
    "preference_center/rights/access_file/archive.py": "nothing on disk: into sealed parts of rows",
    "preference_center/rights/erasure/journal_store.py": (
        "digests of erased people: the erasure journal"
    ),
    "preference_center/lists/scrub": "lists of addresses, readable; snapshots of digests",
    "preference_center/ledger/spool": "opt-outs, sealed, until the database has them",
}
"""Each module or package that writes files, and what personal data is in them."""

REDIS_KEYS: Mapping[str, Holds | None] = {
    "rq:": None,
    "rate_limit:": None,
    "access-file": None,
    "agent": Holds.DIGEST,
    "api": None,
    "consent-by": Holds.DIGEST,  # networks of IP addresses, for a minute
    "consent-from": Holds.DIGEST,
    "consent-site": None,
    "console-sign-in": Holds.DIGEST,  # an IP address, for five minutes
    "email-to": Holds.DIGEST,
    "links-from": Holds.FACT,  # the network of an IP address, for an hour
    "minor": Holds.DIGEST,
    "reason": Holds.DIGEST,
    "refused": None,
    "rights-mail": Holds.DIGEST,
    "text-to": Holds.DIGEST,
    "unknown-key": Holds.DIGEST,
}
"""Prefixes and namespaces of keys; all expire but RQ's, whose jobs hold ids (JOB_ARGUMENTS)."""

JOB_ARGUMENTS: frozenset[str] = frozenset({"destination_id", "import_id", "kind", "request_id"})
"""What a job may be given: ids of destinations, imports and requests, and the kind of a listing
(I12).
"""
