"""Reports as mail servers and providers send them, made to measure."""

from __future__ import annotations

RETURNED = """\
From: Acme <news@acme.example>
To: jane.doe@example.com
Subject: Offers of the week
Message-ID: <1@acme.example>
"""


def dsn(
    *groups: str,
    prose: str = "It did not work.",
    returned: str = RETURNED,
    kind: str = "message/delivery-status",
    header: str = "",
) -> bytes:
    """RFC 3464 with these groups of fields."""
    return f"""\
From: Mail Delivery System <MAILER-DAEMON@mx.example.net>
To: bounces@stop.example.com
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
{header}MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="=_report"

This is a MIME-encapsulated message.

--=_report
Content-Type: text/plain; charset=us-ascii

{prose}

--=_report
Content-Type: {kind}

Reporting-MTA: dns; mx.example.net
Arrival-Date: Tue, 24 Nov 2026 09:00:00 +0000

{chr(10).join(groups)}
--=_report
Content-Type: message/rfc822

{returned}
Buy now.

--=_report--
""".encode()


def failed(
    address: str,
    status: str = "5.1.1",
    diagnosis: str = "550 5.1.1 User unknown",
    action: str = "failed",
) -> str:
    """The group of one recipient."""
    code = f"Diagnostic-Code: smtp; {diagnosis}\n" if diagnosis else ""
    return f"Final-Recipient: rfc822; {address}\nAction: {action}\nStatus: {status}\n{code}"


def arf(
    *fields: str, kind: str = "abuse", returned: str = RETURNED, part: str = "message/rfc822"
) -> bytes:
    """RFC 5965 with these fields besides its type."""
    return f"""\
From: <abusedesk@provider.example>
To: reports@stop.example.com
Subject: FW: Offers of the week
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="part1"

--part1
Content-Type: text/plain; charset="US-ASCII"

This is an email abuse report.

--part1
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: SomeGenerator/1.0
Version: 1
{chr(10).join(fields)}

--part1
Content-Type: {part}
Content-Disposition: inline

{returned}
Buy now.

--part1--
""".encode()


def reply(body: str, subject: str = "Re: Offers of the week", header: str = "") -> bytes:
    """What a person writes back."""
    return (
        "From: Jane Doe <jane.doe@example.com>\nTo: stop@acme.example\n"
        f"Subject: {subject}\n{header}\n{body}\n"
    ).encode()
