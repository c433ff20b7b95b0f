"""The console's pages of requests: queue, steps, decisions, tasks by hand, holds."""

from __future__ import annotations

from preference_center.core.staff import Permission
from preference_center.rights.console import decide, erasures, opening, queue, request
from preference_center.web.console.frame import Route

_VIEW, _HANDLE = Permission.VIEW_REQUESTS, Permission.HANDLE_REQUESTS
_DECIDE = Permission.DECIDE_REQUESTS
_PAGE = ("GET", "POST")
_PRESS = ("POST",)
_ONE = "/requests/<uuid:request_id>"
_PROOF = f"{_ONE}/proofs/<uuid:proof_id>"

ROUTES = (
    Route("/requests", queue.request_queue_page, _VIEW),
    Route("/requests/closed", queue.closed_requests, _VIEW),
    Route("/requests/find", queue.find_request, _VIEW, _PRESS),
    Route("/requests/list", queue.agent_list, _HANDLE, _PAGE),
    Route("/requests/minors", queue.minor_reports, _VIEW),
    Route("/requests/tasks", erasures.erasure_tasks, _VIEW),
    Route("/requests/tasks/addresses", erasures.show_task_addresses, _DECIDE, _PRESS),
    Route("/requests/tasks/<uuid:erasure_id>", erasures.finish_task, _DECIDE, _PRESS),
    Route("/requests/holds", erasures.hold_list, _VIEW),
    Route("/requests/holds/place", erasures.place_case, _DECIDE, _PAGE),
    Route("/requests/holds/end", erasures.end_case, _DECIDE, _PRESS),
    Route("/requests/new", opening.new_request, _HANDLE, _PAGE),
    Route("/requests/new/<uuid:access_id>", opening.open_request, _HANDLE, _PAGE),
    Route(_ONE, request.show_request, _VIEW),
    Route(f"{_ONE}/person", opening.see_person, Permission.VIEW_PEOPLE, _PRESS),
    Route(f"{_ONE}/words", request.read_words, _HANDLE, _PRESS),
    Route(f"{_ONE}/receipt", request.confirm_request_receipt, _HANDLE, _PAGE),
    Route(f"{_ONE}/identity", request.identify_request, _HANDLE, _PAGE),
    Route(f"{_ONE}/extend", request.extend_request, _DECIDE, _PAGE),
    Route(f"{_ONE}/withdraw", request.withdraw_request, _HANDLE, _PAGE),
    Route(f"{_ONE}/fulfil", decide.fulfil_request, _DECIDE, _PAGE),
    Route(f"{_ONE}/propose", decide.propose_fulfilment, _HANDLE, _PAGE),
    Route(f"{_ONE}/refuse", decide.propose_refusal, _HANDLE, _PAGE),
    Route(f"{_ONE}/decide", decide.decide_request, _DECIDE, _PAGE),
    Route(f"{_ONE}/decline", decide.decline_proposal, _HANDLE, _PRESS),
    Route(f"{_ONE}/move", request.move_address, _DECIDE, _PAGE),
    Route(f"{_ONE}/undo-move", request.undo_address_move, _DECIDE, _PAGE),
    Route(f"{_ONE}/retract", request.retract_request_consent, _DECIDE, _PAGE),
    Route(f"{_ONE}/file", decide.save_access_file, _DECIDE, _PRESS),
    Route(f"{_ONE}/proofs", decide.add_request_proof, _HANDLE, _PAGE),
    Route(_PROOF, decide.save_request_proof, _DECIDE, _PRESS),
    Route(f"{_PROOF}/delete", decide.delete_request_proof, _DECIDE, _PAGE),
    Route(f"{_ONE}/accept", decide.accept_agent, _DECIDE, _PAGE),
    Route(f"{_ONE}/reject", decide.reject_agent, _DECIDE, _PRESS),
)
"""Support takes steps and proposes; only compliance decides, and sees strangers' files."""
