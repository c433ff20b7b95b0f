"""The pages for recipients, less those of rights and of cookies."""

from __future__ import annotations

from preference_center.recipients.pages.confirm import confirm
from preference_center.recipients.pages.one_click import open_short_link
from preference_center.recipients.pages.one_time_link import (
    open_mailed_link,
    open_portal_link,
    redirect_to_form,
    request_link,
    stop_unproven_emails,
)
from preference_center.recipients.pages.preferences import preferences
from preference_center.recipients.pages.status import consent_json, opt_out_status, receipt_json
from preference_center.recipients.pages.unsubscribe import submit_survey, unsubscribe
from preference_center.web.pages.routing import FORM, Route, with_token

ROUTES: tuple[Route, ...] = (
    Route("/", redirect_to_form, endpoint="root", merge_slashes=True),
    Route("/form", request_link, FORM, merge_slashes=True),
    Route("/s/<path:code>", open_short_link, FORM),
    *with_token("/u", unsubscribe, FORM),
    *with_token("/p", preferences, FORM),
    *with_token("/m", open_mailed_link, FORM),
    *with_token("/c", confirm, FORM),
    *with_token("/emails", stop_unproven_emails, FORM),
    *with_token("/portal", open_portal_link),
    *with_token("/w", opt_out_status),
    Route("/w/<token:token>/receipt.json", receipt_json),
    Route("/w/<token:token>/consent.json", consent_json),
    *with_token("/reason", submit_survey, ("POST",)),
)
