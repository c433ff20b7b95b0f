"""A person's consents in an open form."""

from __future__ import annotations

from flask import Response

from preference_center.catalogue.store import current_catalogue
from preference_center.contacts.build import build_consent_records
from preference_center.contacts.consent_evidence import ConsentsQuery
from preference_center.contacts.consent_records_models import ConsentRecords
from preference_center.core.addresses import parse_address
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger.store.lookup import load_exact_facts
from preference_center.web.api.endpoint import ApiCall, endpoint, json_response
from preference_center.web.api.keys import KeyScope
from preference_center.web.api.problems import INVALID_ADDRESS
from preference_center.web.languages import match_language


# Not GET: an address must not be part of a URL (I12).
@endpoint(
    "POST",
    "/consents/query",
    KeyScope.READ,
    body=ConsentsQuery,
    response=ConsentRecords,
    errors=(INVALID_ADDRESS,),
)
def post_consents_query(call: ApiCall, body: ConsentsQuery) -> Response:
    """Query the consents of an address, in the form of ISO/IEC TS 27560.

    The newest consent of exactly this form of the address to each topic, and what became of it.
    """
    catalogue, region = current_catalogue(), services().settings.phone_region
    address = parse_address(body.address, body.channel, region=region)
    language = match_language(body.language) or catalogue.default_language
    facts = load_exact_facts([address])[0]
    records = run_in_transaction(
        lambda connection: build_consent_records(
            connection, address, catalogue, facts, language, call.origin.now
        )
    )
    return json_response(records)
