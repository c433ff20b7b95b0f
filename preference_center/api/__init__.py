"""The /v1 API: what senders ask us and tell us. docs/api.md is its reference.

To add an operation:

1. Write the model of its body (a `reading.Body`) or of its URL's parameters (a
   `reading.Query`), and of its answer (an `answers.Answer`).
2. Write a view and put `operations.operation` on it, which says all that happens before the
   view is called, and documents it:

       @operation("POST", "/things", KeyScope.WRITE, body=NewThing, answer=ThingMade,
                  refuses=(problems.UNKNOWN_TOPIC,))
       def post_things(call: Call, body: NewThing) -> Response:
           '''Make a thing.

           Whatever else a sender should know.
           '''
           change = ...                    # raise InvalidBody(faults), see problems.Faults
           return call.record([change], lambda recorded, _: ThingMade(...))

   What only reads answers with `reply(ThingShown(...))`; a write that is no event with
   `call.write(lambda connection: ThingMade(...))`.
3. A new kind of problem is a constant in `problems.py` and a line in docs/api.md.
4. Import the module below, and name the operation in docs/api.md.

Its tests need not call it with odd input: tests/api/test_contract.py reads the document
and does.
"""

from __future__ import annotations

from preference_center.api import (
    change_feed,
    contacts,
    decision_stream,
    docs_page,
    imports,
    routes,
    suppressions,
)
from preference_center.api.endpoint import PREFIX, blueprint
from preference_center.api.error_handlers import handle_http_exception
from preference_center.api.openapi import install_openapi

__all__ = [
    "PREFIX",
    "blueprint",
    "change_feed",
    "contacts",
    "decision_stream",
    "docs_page",
    "handle_http_exception",
    "imports",
    "install_openapi",
    "routes",
    "suppressions",
]
