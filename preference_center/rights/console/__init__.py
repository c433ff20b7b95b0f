"""Route the console's pages of requests: queue, steps, decisions, tasks by hand, and holds."""

from __future__ import annotations

from preference_center.core.staff import Permission
from preference_center.rights.console.decide import (
    accept_agent,
    add_request_proof,
    decide_request,
    decline_proposal,
    delete_request_proof,
    fulfil_request,
    propose_fulfilment,
    propose_refusal,
    reject_agent,
    save_access_file,
    save_request_proof,
)
from preference_center.rights.console.erasures import (
    end_case,
    erasure_tasks,
    finish_task,
    hold_list,
    place_case,
    show_task_addresses,
)
from preference_center.rights.console.opening import new_request, open_request, see_person
from preference_center.rights.console.queue import (
    agent_list,
    closed_requests,
    find_request,
    minor_reports,
    request_queue_page,
)
from preference_center.rights.console.request import (
    confirm_request_receipt,
    extend_request,
    identify_request,
    move_address,
    read_words,
    retract_request_consent,
    show_request,
    undo_address_move,
    withdraw_request,
)
from preference_center.web.console.frame import Route

_VIEW, _HANDLE = Permission.VIEW_REQUESTS, Permission.HANDLE_REQUESTS
_DECIDE = Permission.DECIDE_REQUESTS
_PAGE = ("GET", "POST")
_PRESS = ("POST",)
_ONE = "/requests/<uuid:request_id>"
_PROOF = f"{_ONE}/proofs/<uuid:proof_id>"

ROUTES = (
    Route("/requests", request_queue_page, _VIEW),
    Route("/requests/closed", closed_requests, _VIEW),
    Route("/requests/find", find_request, _VIEW, _PRESS),
    Route("/requests/list", agent_list, _HANDLE, _PAGE),
    Route("/requests/minors", minor_reports, _VIEW),
    Route("/requests/tasks", erasure_tasks, _VIEW),
    Route("/requests/tasks/addresses", show_task_addresses, _DECIDE, _PRESS),
    Route("/requests/tasks/<uuid:erasure_id>", finish_task, _DECIDE, _PRESS),
    Route("/requests/holds", hold_list, _VIEW),
    Route("/requests/holds/place", place_case, _DECIDE, _PAGE),
    Route("/requests/holds/end", end_case, _DECIDE, _PRESS),
    Route("/requests/new", new_request, _HANDLE, _PAGE),
    Route("/requests/new/<uuid:access_id>", open_request, _HANDLE, _PAGE),
    Route(_ONE, show_request, _VIEW),
    Route(f"{_ONE}/person", see_person, Permission.VIEW_PEOPLE, _PRESS),
    Route(f"{_ONE}/words", read_words, _HANDLE, _PRESS),
    Route(f"{_ONE}/receipt", confirm_request_receipt, _HANDLE, _PAGE),
    Route(f"{_ONE}/identity", identify_request, _HANDLE, _PAGE),
    Route(f"{_ONE}/extend", extend_request, _DECIDE, _PAGE),
    Route(f"{_ONE}/withdraw", withdraw_request, _HANDLE, _PAGE),
    Route(f"{_ONE}/fulfil", fulfil_request, _DECIDE, _PAGE),
    Route(f"{_ONE}/propose", propose_fulfilment, _HANDLE, _PAGE),
    Route(f"{_ONE}/refuse", propose_refusal, _HANDLE, _PAGE),
    Route(f"{_ONE}/decide", decide_request, _DECIDE, _PAGE),
    Route(f"{_ONE}/decline", decline_proposal, _HANDLE, _PRESS),
    Route(f"{_ONE}/move", move_address, _DECIDE, _PAGE),
    Route(f"{_ONE}/undo-move", undo_address_move, _DECIDE, _PAGE),
    Route(f"{_ONE}/retract", retract_request_consent, _DECIDE, _PAGE),
    Route(f"{_ONE}/file", save_access_file, _DECIDE, _PRESS),
    Route(f"{_ONE}/proofs", add_request_proof, _HANDLE, _PAGE),
    Route(_PROOF, save_request_proof, _DECIDE, _PRESS),
    Route(f"{_PROOF}/delete", delete_request_proof, _DECIDE, _PAGE),
    Route(f"{_ONE}/accept", accept_agent, _DECIDE, _PAGE),
    Route(f"{_ONE}/reject", reject_agent, _DECIDE, _PRESS),
)
"""Support takes steps and proposes; only compliance decides, and sees strangers' files."""
