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
4. Add the view to ROUTES of its module, and describe the endpoint in docs/api.md.

Its tests need not send malformed input: tests/api/test_contract.py does that from the document.
"""

from __future__ import annotations

from collections.abc import Iterable

from apiflask import APIBlueprint
from werkzeug.exceptions import HTTPException

from preference_center.core.errors import CatalogueError, InvalidInput, Unavailable
from preference_center.infra.context import csrf
from preference_center.web.api import error_handlers
from preference_center.web.api.api_endpoint import BLUEPRINT_NAME, Endpoint, add_deprecation_headers
from preference_center.web.api.docs_page import register_docs
from preference_center.web.api.problems import ApiError


def create_blueprint(endpoints: Iterable[Endpoint]) -> APIBlueprint:
    """The API with these endpoints, and its own documentation."""
    blueprint = APIBlueprint(BLUEPRINT_NAME, __name__)
    csrf.exempt(blueprint)  # a browser never sends a bearer key by itself
    blueprint.register_error_handler(ApiError, error_handlers.handle_api_error)
    blueprint.register_error_handler(InvalidInput, error_handlers.handle_invalid_input)
    blueprint.register_error_handler(CatalogueError, error_handlers.handle_unavailable)
    blueprint.register_error_handler(Unavailable, error_handlers.handle_unavailable)
    blueprint.register_error_handler(HTTPException, error_handlers.handle_http_exception)
    blueprint.register_error_handler(Exception, error_handlers.handle_unexpected_error)
    blueprint.after_request(add_deprecation_headers)
    for each in endpoints:
        each.register(blueprint)
    register_docs(blueprint)
    return blueprint
