"""The contact list of Amazon SES v2, with memory; held to AWS's own model by botocore.

Anyone who is asked for is a contact, until `add` makes the list a real one.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.model import OperationModel
from botocore.parsers import create_parser
from botocore.session import Session
from botocore.validate import ParamValidator
from werkzeug.wrappers import Request, Response

from tests.integrations.tools.ses_imports import BUCKET, Imports
from tests.integrations.tools.stand_in import StandIn

# The stand-in reads its own answers by botocore, which logs them.
logging.getLogger("botocore.parsers").addFilter(lambda _: False)

KEY, SECRET, REGION, LIST = "AKIASTANDIN", "s3cr3t/stand+in", "eu-central-1", "main"
MODEL = Session().get_service_model("sesv2")
ROUTES: list[tuple[str, re.Pattern[str], str]] = [
    ("GET", re.compile(r"/v2/email/contact-lists/([^/]+)"), "GetContactList"),
    ("POST", re.compile(r"/v2/email/contact-lists/([^/]+)/contacts/list"), "ListContacts"),
    ("POST", re.compile(r"/v2/email/contact-lists/([^/]+)/contacts"), "CreateContact"),
    ("GET", re.compile(r"/v2/email/contact-lists/([^/]+)/contacts/([^/]+)"), "GetContact"),
    ("PUT", re.compile(r"/v2/email/contact-lists/([^/]+)/contacts/([^/]+)"), "UpdateContact"),
    ("DELETE", re.compile(r"/v2/email/contact-lists/([^/]+)/contacts/([^/]+)"), "DeleteContact"),
    ("GET", re.compile(r"/v2/email/suppression/addresses"), "ListSuppressedDestinations"),
    ("POST", re.compile(r"/v2/email/import-jobs"), "CreateImportJob"),
    ("POST", re.compile(r"/v2/email/import-jobs/list"), "ListImportJobs"),
]


class SesStandIn(StandIn):
    def __init__(self) -> None:
        super().__init__()
        self.everybody = True
        self.lists = {LIST}
        self.topics = {"11": "News", "12": "Offers", "99": "Events"}
        self.contacts: dict[str, dict[str, Any]] = {}
        self.suppressed: list[dict[str, Any]] = []
        self.invalid: set[str] = set()
        self.updates: list[dict[str, Any]] = []
        self.page = 100
        self.imports = Imports()
        self.faults: list[str] = []
        self.checked = 0
        self.clock = datetime(2026, 11, 25, 11, tzinfo=UTC)

    def add(self, address: str) -> dict[str, Any]:
        contact = {"EmailAddress": address, "TopicPreferences": [], "UnsubscribeAll": False}
        self.contacts[address.lower()] = contact
        self.touch(contact)
        return contact

    def touch(self, contact: dict[str, Any]) -> None:
        self.clock += timedelta(seconds=1)
        contact["LastUpdatedTimestamp"] = self.clock.timestamp()

    def of(self, address: str) -> dict[str, Any] | None:
        if self.everybody and address.lower() not in self.contacts:
            self.add(address)
        return self.contacts.get(address.lower())

    def handle(self, request: Request) -> Response:
        raw = request.environ["RAW_URI"]
        if raw.startswith(f"/{BUCKET}/"):
            signed = self._is_signed(request, raw, S3SigV4Auth, "s3")
            return self.imports.put(raw, request.get_data(), signed=signed)
        if not self._is_signed(request, raw):
            return _error("InvalidSignatureException", 403)
        for method, pattern, name in ROUTES:
            found = pattern.fullmatch(raw.partition("?")[0])
            if found and method == request.method:
                holes = [unquote(hole) for hole in found.groups()]
                response = self._answer(name, holes, request)
                self._check(MODEL.operation_model(name), holes, request, response)
                return response
        return _error("UnknownOperationException", 404)

    def _is_signed(
        self, request: Request, raw: str, kind: type[SigV4Auth] = SigV4Auth, service: str = "ses"
    ) -> bool:
        headers = {"Content-Type": request.headers["Content-Type"], "Host": request.host}
        for name in ("X-Amz-Date", "X-Amz-Content-SHA256"):
            headers |= {name: request.headers[name]} if name in request.headers else {}
        again = AWSRequest(request.method, self.url + raw, headers, request.get_data())
        again.context["timestamp"] = request.headers["X-Amz-Date"]
        auth = kind(Credentials(KEY, SECRET), service, REGION)
        text = auth.string_to_sign(again, auth.canonical_request(again))
        return request.headers["Authorization"].endswith(auth.signature(text, again))

    def _check(
        self, operation: OperationModel, holes: list[str], request: Request, response: Response
    ) -> None:
        """Hold a request, and its answer, to AWS's model of them."""
        sent: dict[str, Any] = dict(zip(["ContactListName", "EmailAddress"], holes, strict=False))
        sent |= request.get_json() if request.get_data() else {}
        sent |= {k: int(v) if k == "PageSize" else v for k, v in request.args.items()}
        report = ParamValidator().validate(sent, operation.input_shape)
        if response.status_code == 200:
            got = {"status_code": 200, "headers": {}, "body": response.get_data()}
            parsed = create_parser("rest-json").parse(got, operation.output_shape)
            parsed.pop("ResponseMetadata")
            wrong = ParamValidator().validate(parsed, operation.output_shape).generate_report()
            unread = set(response.get_json()) - set(parsed)
            self.faults += [f"{operation.name}: {wrong} {unread}"] if wrong or unread else []
        if report.has_errors():
            self.faults.append(f"{operation.name}: {report.generate_report()}")
        self.checked += 1

    def _answer(self, name: str, holes: list[str], request: Request) -> Response:
        if holes and holes[0] not in self.lists:
            return _error("NotFoundException", 404)
        match name:
            case "GetContactList":
                return _json({"ContactListName": LIST, "Topics": self._topics()})
            case "ListContacts":
                body = request.get_json()
                return self._page("Contacts", [*self.contacts.values()], body.get("NextToken"))
            case "ListSuppressedDestinations":
                token = request.args.get("NextToken")
                return self._page("SuppressedDestinationSummaries", self.suppressed, token)
            case "CreateContact":
                return self._create(request.get_json())
            case "CreateImportJob":
                return _json({"JobId": self.imports.begin(request.get_json(), self.clock)})
            case "ListImportJobs":
                jobs = self.imports.list(self.contacts, self.touch)
                return _json({"ImportJobs": jobs})
        return self._answer_about_contact(name, holes[1], request)

    def _answer_about_contact(self, name: str, address: str, request: Request) -> Response:
        contact = self.of(address)
        if contact is None:
            return _error("NotFoundException", 404)
        if name == "DeleteContact":
            del self.contacts[address.lower()]
            return _json({})
        if name == "GetContact":
            return _json({"ContactListName": LIST, **contact})
        return self._update(contact, request.get_json())

    def _topics(self) -> list[dict[str, str]]:
        return [
            {"TopicName": name, "DisplayName": display, "DefaultSubscriptionStatus": "OPT_IN"}
            for name, display in self.topics.items()
        ]

    def _page(self, name: str, rows: list[Any], token: str | None) -> Response:
        start = int(token.removeprefix("token==")) if token else 0
        shown = [
            {k: v for k, v in row.items() if k != "AttributesData"}
            for row in rows[start : start + self.page]
        ]
        following = start + self.page
        more = {"NextToken": f"token=={following}"} if following < len(rows) else {}
        return _json({name: shown, **more})

    def _create(self, body: dict[str, Any]) -> Response:
        if body["EmailAddress"].lower() in self.contacts:
            return _error("AlreadyExistsException", 400)
        return self._update(self.add(body["EmailAddress"]), body)

    def _update(self, contact: dict[str, Any], body: dict[str, Any]) -> Response:
        unknown = {p["TopicName"] for p in body.get("TopicPreferences", [])} - set(self.topics)
        if unknown or contact["EmailAddress"] in self.invalid:
            return _error("BadRequestException", 400)
        self.updates.append(body)
        # As documented: preferences that an update leaves out are gone.
        contact["TopicPreferences"] = body.get("TopicPreferences", [])
        contact |= {k: body[k] for k in ("UnsubscribeAll", "AttributesData") if k in body}
        self.touch(contact)
        return _json({})


def _error(kind: str, status: int) -> Response:
    body = json.dumps({"message": "anna@example.com did it"})
    headers = {"x-amzn-ErrorType": f"{kind}:http://internal.amazon.com/coral/"}
    return Response(body, status, headers, mimetype="application/json")


def _json(body: Any) -> Response:
    return Response(json.dumps(body), 200, mimetype="application/json")
