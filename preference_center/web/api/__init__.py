"""The frame of `/v1`: endpoints, keys, errors, idempotency, streams, OpenAPI.

docs/api.md is the reference of the API. The API's own documentation is the OpenAPI document, a page
of it, and a page of each problem type.

To add an endpoint:

1. Write the model of its body (a `parsing.RequestBody`) or of its URL's parameters (a
   `parsing.QueryParameters`), and of its response (a `bodies.ResponseBody`).
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

Its tests need not send malformed input: tests/web/api/test_contract.py does that from the document.
"""
