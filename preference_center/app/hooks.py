"""`register` gives an application the functions of later subjects that earlier ones call.

`service.configure` names it, and it is imported with the first call: half of the service comes
with it, and few commands need that.
"""

from __future__ import annotations

from collections.abc import Mapping

from flask import Flask

from preference_center.catalogue.apply import (
    count_choices,
    count_spooled,
    list_sender_keys,
    list_topics_in_use,
    list_topics_sent,
)
from preference_center.contacts.store import contacts_merged, load_locale
from preference_center.destinations.ingest import erased_seen_again
from preference_center.destinations.process import receive_mail
from preference_center.destinations.receive import answer_text
from preference_center.destinations.store.destinations import list_sent_topics
from preference_center.inbound import store as inbound_store
from preference_center.inbound.ingest import ingest_received_mail
from preference_center.inbound.opt_outs import SPOOLED_MAIL, record_spooled
from preference_center.inbound.texts import handle_text
from preference_center.infra.keys.fingerprints import verify_stored_forms
from preference_center.infra.outbox import EmailKind
from preference_center.ledger import spool
from preference_center.ledger.history_loss import require_no_loss
from preference_center.ledger.restore_gate import require_complete_database
from preference_center.ledger.store.addresses import verify_canonical_forms
from preference_center.ledger.store.suppressions import (
    count_chosen_frequencies,
    list_suppressed_topics,
)
from preference_center.recipients.emails import LINK_TEXTS
from preference_center.rights.access_file.other_records import mail_review_period
from preference_center.rights.email_texts import ADDRESS_TEXTS, ERASURE_TEXTS, RIGHTS_TEXTS
from preference_center.rights.erasure.journal import require_replayed
from preference_center.rights.erasure.tasks import erase_again_in_tool
from preference_center.rights.requests.moves import merge_requests
from preference_center.web.api.keys import list_asking_keys
from preference_center.web.emails import TextsOfEmail, email_texts
from preference_center.web.languages import locale_of

EMAIL_TEXTS: Mapping[EmailKind, TextsOfEmail] = {
    **LINK_TEXTS,
    **ADDRESS_TEXTS,
    **RIGHTS_TEXTS,
    **ERASURE_TEXTS,
}
"""What each kind of email says."""


def register(app: Flask) -> None:
    """Register every hook that is no page's, and the handler of spooled mail."""
    receive_mail.register(app, ingest_received_mail)
    answer_text.register(app, handle_text)
    erased_seen_again.register(app, erase_again_in_tool)
    contacts_merged.register(app, merge_requests)
    list_topics_in_use.register(app, list_suppressed_topics)
    count_choices.register(app, count_chosen_frequencies)
    count_spooled.register(app, spool.count_pending)
    list_topics_sent.register(app, list_sent_topics)
    list_sender_keys.register(app, list_asking_keys)
    verify_stored_forms.register(app, verify_canonical_forms)
    locale_of.register(app, load_locale)
    email_texts.register(app, lambda: EMAIL_TEXTS)
    mail_review_period.register(app, lambda: inbound_store.RETENTION)
    require_complete_database.register(app, _require_complete_database)
    spool.register_handler(app, SPOOLED_MAIL, record_spooled)


def _require_complete_database(epoch: str | None = None) -> None:
    require_no_loss(epoch)
    require_replayed(epoch)
