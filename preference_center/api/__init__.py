"""The /v1 API for senders. docs/api.md is its reference.

To add an endpoint:

1. Write the model of its body (a `parsing.RequestBody`) or of its URL's parameters (a
   `parsing.QueryParameters`), and of its response (a `responses.ResponseBody`).
2. Write a view and decorate it with `endpoint.endpoint`, which declares everything that happens
   before the view is called, and documents it:

       @endpoint("POST", "/tags", KeyScope.WRITE, body=TagRequest, response=TagResponse,
                 errors=(problems.UNKNOWN_TOPIC,))
       def post_tags(call: ApiCall, body: TagRequest) -> Response:
           '''Create a tag.

           Whatever else a sender should know.
           '''
           change = ...                    # raise InvalidBody(errors), see problems.FieldErrors
           return call.record([change], lambda recorded, _: TagResponse(...))

   A view that only reads returns `json_response(TagResponse(...))`; a write that records no
   event returns `call.write(lambda connection: TagResponse(...))`.
3. A new problem type is a constant in `problems.py` and a line in docs/api.md.
4. Import the module below, and describe the endpoint in docs/api.md.

Its tests need not send malformed input: tests/api/test_contract.py does that from the document.
"""

from __future__ import annotations

from preference_center.api import (
    browser_consents,
    catalogue,
    change_feed,
    consent_records,
    contacts,
    decision_stream,
    decisions,
    denying_digests,
    docs_page,
    erasures,
    imports,
    minors,
    policies,
    preferences,
    restrictions,
    rights,
    sender_links,
    suppressions,
    writes,
)
from preference_center.api.endpoint import PREFIX, blueprint
from preference_center.api.error_handlers import handle_http_exception
from preference_center.api.openapi import install_openapi

__all__ = [
    "PREFIX",
    "blueprint",
    "browser_consents",
    "catalogue",
    "change_feed",
    "consent_records",
    "contacts",
    "decision_stream",
    "decisions",
    "denying_digests",
    "docs_page",
    "erasures",
    "handle_http_exception",
    "imports",
    "install_openapi",
    "minors",
    "policies",
    "preferences",
    "restrictions",
    "rights",
    "sender_links",
    "suppressions",
    "writes",
]
