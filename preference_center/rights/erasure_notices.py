"""Queue the last mail to people who are erased, while their address can still be read (I6)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.core.addresses import Channel
from preference_center.core.links.tokens import restore_address
from preference_center.infra.context import services
from preference_center.infra.outbox import EmailKind, OutgoingEmail
from preference_center.rights.erasure.store.erasures import ErasedAccount, ErasureSubject
from preference_center.rights.rules.model import Extent
from preference_center.web.languages import SOURCE_LANGUAGE, match_language

NOTICE_LIFETIME = timedelta(days=3)
"""How long the notice, which holds the address, waits sealed for the mail server."""


def build_notices(
    subjects: Sequence[ErasureSubject],
    accounts: Sequence[ErasedAccount],
    extent: Extent,
    now: datetime,
) -> list[OutgoingEmail]:
    """A notice for each readable email address, in its contact's language.

    None without a mail server. To be stored after what waits for the same address was cancelled.
    """
    context = services()
    if context.settings.mail_server is None:
        return []
    default = match_language(current_catalogue_or_empty().default_language) or SOURCE_LANGUAGE
    return [
        OutgoingEmail(
            id=context.new_id(),
            kind=EmailKind.ERASED,
            recipient=restore_address(subject.text, subject.channel),
            language=match_language(_locale(subject, accounts)) or default,
            brand=None,
            values={"extent": extent.value},
            expires_at=now + NOTICE_LIFETIME,
        )
        for subject in subjects
        if subject.text is not None and subject.channel is Channel.EMAIL
    ]


def _locale(subject: ErasureSubject, accounts: Sequence[ErasedAccount]) -> str | None:
    return next((each.locale for each in accounts if each.id == subject.contact_id), None)
