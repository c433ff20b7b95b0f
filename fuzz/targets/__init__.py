"""Every target by its name. No magic."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fuzz.targets.addresses import addresses
from fuzz.targets.lists import csv_stream, gzip_stream, import_file, ndjson_stream
from fuzz.targets.mails import mail, mail_check
from fuzz.targets.requests import api_body, form, headers, query
from fuzz.targets.spooled import spool_file
from fuzz.targets.tokens import sender_payload, token
from fuzz.targets.webhooks import proof, text_message, webhook

Target = Callable[[bytes], None]

TARGETS: Mapping[str, Target] = {
    target.__name__: target
    for target in (
        addresses,
        api_body,
        csv_stream,
        form,
        gzip_stream,
        headers,
        import_file,
        mail,
        mail_check,
        ndjson_stream,
        proof,
        query,
        sender_payload,
        spool_file,
        text_message,
        token,
        webhook,
    )
}
