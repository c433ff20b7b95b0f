"""The file that answers a request for access: a page to read, and JSON by a published schema.

The file is one ZIP with `index.html` in the person's language, `data.json` as
docs/schemas/access-file-1.json describes it, and tables as CSV. It holds what is known of exactly
the addresses that the request has proven (I9), and nothing about anybody else: no names of staff,
no keys, no ids of our own.
"""
