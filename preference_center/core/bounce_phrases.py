"""What mail servers write when they refuse a mail, and what each phrase means.

Servers choose their texts with more care than their codes: a full mailbox comes as 5.1.1, an
unknown user as 4.1.1 or as 5.0.0. So the text is searched first (RULES F11). The table is
short on purpose. It holds what is clear, in the words of the MTAs and providers
that most mail goes to (Postfix, Sendmail, Exim, qmail, Exchange, Gmail, Yahoo, Outlook.com,
and Italian, French, German and Spanish ones, with a little Polish, Dutch and Russian);
whatever is not in it is left to the code.

The first match wins. Temporary causes, and those of the sender's own making, come before those
that would suppress an address: in doubt nobody loses their mail. "Too many hops" is not in
it: an address that leads in a circle need not pass, so the code or the vendor decides.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import cache


class BounceCause(StrEnum):
    """Why a mail did not arrive."""

    NO_MAILBOX = "no_mailbox"
    """There is no such mailbox, or the address can't be one."""
    NO_DOMAIN = "no_domain"
    """The domain does not exist, or accepts no mail."""
    OWNER_CHANGED = "owner_changed"
    """It belongs to somebody else now (RFC 7293)."""
    INACTIVE = "inactive"
    """The mailbox is there but disabled, or unused for long."""
    FULL = "full"
    POLICY = "policy"
    """The recipient's policy, or the sender's reputation there: spam, SPF, blocks."""
    CONTENT = "content"
    """This one mail: too big, or in a form that is not accepted."""
    TEMPORARY = "temporary"
    """A network, a system or a time-out; nothing about the mailbox."""
    ADDRESS = "address"
    """The address, for a reason that is not clear."""
    UNKNOWN = "unknown"
    DELIVERED = "delivered"
    """It did arrive, or was relayed (codes 2.x.x)."""


_PHRASES: tuple[tuple[BounceCause, str], ...] = (
    (
        BounceCause.FULL,
        r"""(?:mail\ ?box|mail\ ?folder|in\ ?box|account|user|recipient|maildir|storage)
            [^.;:!?]{0,40}\b(?:full|(?:over|exceed(?:s|ed|ing)?|out\ of)[^.;]{0,30}
            \b(?:quota|limits?|space|storage|size|allocation))\b
        |(?:quota|storage\ allocation)\ (?:is\ )?(?:exceeded|full|violation|usage)
        |(?:over|exceed(?:s|ed|ing)?|out\ of|reached)\ (?:\S+\ ){0,3}(?:quota|storage\ allocation)
        |(?:not\ (?:have\ )?)enough\ (?:disk\ |storage\ |mail\ )?space|full\ mailbox
        |(?:insufficient|not\ sufficient)\ (?:disk|mailbox)\ (?:space|storage)
        |space\ has\ been\ used\ up|\bover[- ]?quota|dis[ck]\ ?space\ quota|dis[ck]\ ?quota
        |(?:mail\ ?box|mail\ file|storage|quota)\ (?:size\ )?(?:limit\ )?
            (?:is\ |was\ |has\ been\ )?(?:exceed(?:s|ed)|reached)
        |too\ many\ messages\ on\ the\ server
        |casella\ (?:\S+\ ){0,6}piena|bo[i\u00ee]te\ (?:\S+\ ){0,6}pleine
        |postfach\ (?:\S+\ ){0,6}voll|buz[o\u00f3]n\ (?:\S+\ ){0,6}lleno
        |(?:superat[oa]|superado|d[\u00e9e]pass[\u00e9e])\ (?:\S+\ ){0,2}(?:quota|cuota)
        |(?:quota|cuota)\ (?:\S+\ ){0,2}(?:superat[oa]|superada|d[\u00e9e]pass[\u00e9e]e)
        |(?:quota|speicherplatz)\ (?:\S+\ ){0,2}(?:[\u00fcu]e?berschritten|ersch[\u00f6o]e?pft)""",
    ),
    (
        BounceCause.TEMPORARY,
        r"""gr[ea]y\ ?-?list|verification\ in\ progress|rate\ ?limit|throttl
        |temporar(?:y|ily)\ (?:failure|error|deferred|rejected|unavailable|local|problem|lookup
            |inactive|locked|suspended|disabled|blocked)
        |(?:try|retry)\ (?:it\ |your\ \S+\ )?(?:again\ )?(?:later|slower)|please\ slow\ down
        |at\ a\ rate\ that|sending\ rate|rate\ (?:has\ been\ )?(?:exceeded|limited)
        |plus\ tard|sp[\u00e4a]e?ter\ (?:erneut|noch)|pi[\u00f9u]\ tardi|m[\u00e1a]s\ tarde
        |trop\ de\ connexions|allowable\ number
        |too\ many\ (?:concurrent\ )?(?:smtp\ )?(?:connections|sessions|recipients|errors)
        |connection\ limit|(?:e?mails|messages)\ per\ (?:hour|day)
        |unable\ to\ verify\ (?:user|address)
        |(?:connection|session|operation)\ (?:timed\ ?out|refused|reset|dropped|lost)
        |timed?\ ?out\ (?:while|waiting|after)|retry\ time(?:out)?\ (?:not\ reached|exceeded)
        |delivery\ (?:time\ )?expired|message\ (?:expired|timed\ out)|mail\ loop
        |queue\ (?:too\ long|expired|period)|failing\ for\ a\ long\ time|multiple\ retries
        |could\ not\ be\ delivered\ for\ (?:more\ than|\d)|(?:did|does)\ not\ respond
        |loops\ back|name\ service\ error[^;]{0,60}try\ again|host\ name\ lookup\ failure
        |no\ route\ to\ host|(?:network|host|server|domain)\ (?:is\ )?(?:unreachable
            |not\ reachable)|(?:insufficient|out\ of)\ system\ (?:storage|resources)
        |no\ space\ left\ on|system\ (?:is\ )?full|service\ (?:is\ )?(?:currently\ |temporarily\ )?
            (?:not\ available|unavailable)|(?:un)?able\ to\ connect|could\ not\ connect
        |(?:local|server|system|internal)\ (?:server\ )?(?:config(?:uration)?\ |system\ )?error
        |misconfigured|connection\ (?:was\ )?(?:closed|dropped|lost|broken|terminated)
        |(?:command|pipe|program|script)\ (?:\S+\ ){0,2}(?:died|failed|output|time\ limit|returned)
        |pipe\ to\ \||/bin/|\bprocmail\b|\bmaildrop\b|mailer\ error|\|\|\ exit
        |(?:can't|cannot|couldn't|could\ not|unable\ to)\ (?:create|open|write|lock)\b
        |permission\ denied|i/o\ error|read-only\ file|routing\ loop|forwarding\ loop|looping
        |local\ delivery\ failed|unable\ to\ resolve\ route|dns\ (?:lookup|error|failure)
        |(?:unexpected|malformed)\ name\ server|no\ route\ for|delivery\ attempts\ will
        |has\ been\ delayed|giving\ up\ (?:on|after)\ \S+\ (?:attempts|tries|hours|days)
        |(?:tls|ssl)\ (?:\S+\ ){0,3}(?:fail|error|not\ available|unavailable|negotiat|handshake)
        |(?:no|without|offer|support)\ (?:\S+\ )?(?:tls|ssl)\b|handshake\ fail
        |certificate\ (?:\S+\ ){0,4}(?:fail|expired|invalid|mismatch|verif|not\ trusted)""",
    ),
    (
        BounceCause.POLICY,
        r"""\bspf\b|\bdane\b|mta-sts|\bdkim\b|\bdmarc\b|sender\ policy\ framework
        |reverse\ dns|\bptr\b
        |(?:is\ )?not\ allowed\ to\ send|sender\ (?:\S+\ ){0,3}(?:rejected|denied|blocked|verify)
        |sender\ address\ rejected|(?:invalid|bad|unknown)\ sender|unroutable\ sender
        |sender(?:'s)?\ (?:e?-?mail\ )?(?:address\ )?(?:domain|host|ip)
        |domain\ of\ (?:the\ )?(?:sender|envelope|return)|return[- ]?path
        |(?:your|from|envelope\ sender|mail\ from)\ (?:e?-?mail\ )?(?:address\ )?
            (?:domain|host\ ?name)|(?:cannot|can't|could\ not|unable\ to)\ (?:resolve|verify)
            \ (?:your|the\ sender|sender)|sender\ (?:\S+\ ){0,2}(?:does\ not\ exist|unknown)
        |\bspam|unsolicited|\bbulk\ (?:e?mail|advertis)|block\ ?list|black\ ?list|\brbl\b|dnsbl
        |barracuda|reputation|proofpoint|blocked\ (?:by|using|for|due)|blocked\ -\ see
        |spamhaus|spamcop|abuseat|\bdrbl\b|uribl|surbl|\babusive\b|\babuse\b
        |listed\ (?:at|as|by|in)\ \S*(?:bl|list|abusive)\b|(?:bad|extreme)\ (?:\S+\ ){0,2}ip\b
        |\bbad\ dns|\brdns\b|mass\ mailer|mail\ score|message\ scored|\bscored\b
        |(?:sender|connections?|access)\ (?:\S+\ ){0,3}
            (?:not\ (?:be\ )?accepted|not\ allowed|refused)
        |host\ network\ not\ allowed|not\ accepting\ connections|has\ not\ passed\ validation
        |refused\ to\ talk|service\ (?:permits|refused)|protocol\ violation|captcha
        |organi[sz]ational\ settings|invalid\ ip\b|authentication\ (?:credentials|invalid|turned)
        |authentification\ invalide|mail\ rejet[\u00e9e]|rule\ imposed|suspicious
        |protected\ by|list\ of\ senders|verification\ failure|esmtp\ not\ accepting
        |(?:ip|client|host|domain|server)\ (?:\S+\ ){0,4}(?:is\ )?blocked
        |policy\ (?:reasons?|violation|rejection)|polic(?:y|ies)\ (?:\S+\ ){0,2}prohibit
        |administrative(?:ly)?\ prohibit|relay(?:ing)?\ (?:access\ )?(?:denied|not\ permitted)
        |unable\ to\ relay|not\ permitted\ to\ relay|(?<!rejected:\ )access\ denied
        |no\ relaying|relaying\ mail\ to|(?:open|insecure|mail)\ relay\b|\b(?:as|not)\ an?\ relay
        |allowed\ to\ relay|(?:don't|do\ not)\ handle\ mail\ for|not\ authori[sz]ed
        |authentication\ (?:is\ )?(?:required|fail)|requires\ authentication|starttls|tls\ required
        |not\ (?:been\ )?authenticated|unauthenticated|\bbatv\b|backscatter
        |(?:client\ host|helo\ command|(?:server|your)\ access)\ (?:\S+\ )?(?:rejected|forbidden)
        |(?:dynamic|sending|your)\ ip\b|your\ (?:host\ ?name|server)|mail\ from\ your
        |anti-?spam|open\ prox|(?:organi[sz]ation(?:al)?|security|local)\ polic|denied\ by\ polic
        |not\ (?:a\ (?:list\ )?member|subscribed)|members?[- ]only|closed\ mailing\ list
        |post\ to\ this\ (?:mailing\ )?list|notauthorized
        |(?:not\ |isn't\ in\ my\ list\ of\ )allowed\ rcpthosts
        |(?:chosen|w\w+)\ not\ to\ (?:accept|receive)
        |(?:not|n't)\ w\w+\ to\ (?:accept|receive)
        |recipient\ preferences|user\ (?:reject|refuse)|message\ filtered|user\ rules
        |(?:only|not)\ accept(?:s|ing)?\ (?:any\ )?(?:e?mail|messages)\ (?:from|with)""",
    ),
    (
        BounceCause.CONTENT,
        r"""(?:message|mail|header|attachment)\ (?:\S+\ ){0,4}too\ (?:big|large|long)
        |(?:message|mail)\ size\ (?:\S+\ ){0,3}exceed|larger\ than\ the\ (?:current\ )?\S+\ limit
        |exceed(?:s|ed)\ (?:\S+\ ){0,4}(?:message\ size|size\ limit)|virus|malware|banned\ content
        |message\ (?:length|size)\ exceeds|content\ (?:rejected|denied|filter)
        |(?:unacceptable|mail)\ content|executable\ (?:attachment|files?)
        |mime\ (?:complexity|header)
        |(?:improper|duplicate|invalid)\ (?:\S+\ ){0,3}headers?\b|header\ (?:error|size)
        |line\ (?:length\ )?(?:limit|too\ long)|lines?\ (?:\S+\ ){0,3}longer\ than|size\ limit
        |taille\ limite|base64|8-?bit\ data|bare\ (?:lf|cr)\b|non-?compliant
        |(?:illegal|banned|forbidden|blocked|dangerous|infected|containing|other)\ attachments?\b
        |not\ rfc\ ?\d*\ ?compliant|8bitmime|smtputf8""",
    ),
    (
        BounceCause.OWNER_CHANGED,
        r"""(?:mailbox|domain|address)\ owner\ has\ changed|owner\ (?:\S+\ ){0,2}changed\ since
        |require-recipient-valid-since""",
    ),
    (
        BounceCause.INACTIVE,
        r"""(?:mail\ ?box|account|user|address|recipient)[^.;:!?]{0,60}
            \b(?:disabled|deactivated|inactive|suspended|locked|frozen|discontinued|not\ active)\b
        |(?:mail\ ?box|account|address)\ (?:(?:is|has\ been|was|been)\ )?closed
        |(?:disabled|inactive|deactivated|suspended)\ (?:mail\ ?box|account|user|recipient|address)
        |extended\ inactivity|(?:has\ been|currently)\ suspended|(?:user|recipient)\ is\ terminated
        |(?:mail\ ?box|account|address)\ (?:has\ |is\ )?(?:expired|archived)|archived\ recipient
        |no\ longer\ (?:active|accepts?\ (?:any\ )?mail)
        |casella\ (?:\S+\ ){0,2}(?:disattivata|sospesa)
        |konto\ (?:\S+\ ){0,2}(?:deaktiviert|gesperrt)""",
    ),
    (
        BounceCause.NO_DOMAIN,
        r"""no\ such\ (?:domain|host)|unknown\ (?:host|domain)|(?:host|domain)\ (?:is\ )?unknown
        |(?:host|domain)(?:\ or\ domain)?(?:\ name)?\ (?:\S+\ )?(?:not\ found|does\ not\ exist)
        |domain\ (?:\S+\ )?(?:must\ exist|does\ ?n[o']t\ exist|has\ no\ (?:mx|mail))|nxdomain
        |name\ or\ service\ not\ known|null\ ?mx|does\ not\ accept\ (?:any\ )?mail\ \(null""",
    ),
    (
        BounceCause.NO_MAILBOX,
        r"""(?:user|recipient|addressee|mail\ ?box|account|address|alias|local[ -]?part)\ (?:is\ )?
            (?:unknown|invalid|not\ (?:found|known|present|listed|valid|exist|recogni[sz]ed))
        |(?:unknown|invalid|illegal|non-?existent|bad|no\ such)[ _](?:or\ \S+\ )?(?:virtual\ |
            local\ |e-?mail\ |destination\ )?(?:user|recipient|mail\ ?box|account|address|alias
            |local[ -]?part|person)
        |invalid\ (?:final\ )?(?:delivery\ )?user\ ?id
        |userunknown|nosuchuser|recip(?:ient)?\ ?notfound|bad_?rcptto|not\ in\ my\ validrcptto
        |(?:email\ name\ is|someone(?:\ was)?)\ not\ found|addresses\ were\ unknown
        |\bno\ \S+\ in\ name\ directory|has\ (?:been\ replaced\ by|moved\ to)\b
        |unroute?able\ address
        |(?:user|rcpt|recipient|mail\ ?box|account|address|alias|someone)[^.;:!?]{0,60}
            (?:does\ ?n[o']t|do\ not|did\ ?n[o']t)\ exist
        |that\ you\ tried\ to\ reach\ does\ not\ exist
        |(?:user|recipient|address)\ \S+\ (?:was\ |is\ )?(?:not\ found|unknown)
        |user\ \([^()]{1,100}\)\ unknown|(?:recipient|user)\ name\ is\ not\ recogni[sz]ed
        |not\ (?:listed|found|present)\ in\ (?:the\ )?[^.;]{0,40}(?:directory|address\ book)
        |no\ (?:mail\ ?box|account|user|person|one)\ (?:\S+\ ){0,4}
            (?:here|by\ that\ name|this\ (?:address|user))|no\ mail\ ?box\ found
        |not\ an?\ (?:known|valid|local|active|registered)\ (?:gateway\ )?
            (?:user|mail\ ?box|recipient|address)
        |(?:can't|cannot)\ accept\ user|non-?existing\ (?:user|address|mailbox)
        |(?:not|no\ longer)\ (?:a\ )?valid\ (?:recipient|address|mailbox)
        |address\ is\ (?:wrong|(?:no\ longer|not)\ valid)|no\ valid\ recipients
        |no\ longer\ (?:works|employed)|couldn't\ be\ found\ at|address\ could\ not\ be\ found
        |does\ ?n[o']t\ have\ an?\ \S+\ account|does\ ?n[o']t\ exist\ (?:here|on\ this)
        |(?:adresse|utilisateur|compte|bo[i\u00ee]te)[^.;:!?]{0,80}n'existe\ (?:pas|plus)
        |(?:usu[a\u00e1]rio|usuario|cuenta|conta)\ (?:\S+\ ){0,2}(?:desconocid|desconhecid
            |inexistente|no\ existe|n[a\u00e3]o\ existe)
        |destinatario\ (?:sconosciuto|errato|inesistente)|(?:indirizzo|utente|casella)\ inesistente
        |nessun\ utente|(?:benutzer|empf(?:ae|\u00e4)nger|adresse|postfach)\ (?:ist\ )?
            (?:unbekannt|nicht\ (?:gefunden|vorhanden|bekannt|existent)|existiert\ nicht)
        |adresse\ d\ ?au\ moins\ un\ destinataire\ invalide|(?:utilisateur|destinataire)\ inconnu
        |no\ existe\ (?:dicha|ese|el|la|este)\ (?:persona|usuario|buz[o\u00f3]n|cuenta)
        |nieznany\ u\u017cytkownik|(?:u\u017cytkownik|konto|skrzynka)\ nie\ istnieje
        |onbekende\ gebruiker|gebruiker\ (?:is\ )?(?:onbekend|bestaat\ niet)
        |\u043d\u0435\u0442\ \u0442\u0430\u043a\u043e\u0433\u043e\x20
            \u043f\u043e\u043b\u044c\u0437\u043e\u0432\u0430\u0442\u0435\u043b\u044f""",
    ),
    (
        BounceCause.POLICY,
        r"""message\ (?:was\ |has\ been\ |is\ )?(?:automatically\ )?(?:rejected|blocked|refused)""",
    ),
    (
        BounceCause.ADDRESS,
        r"""mail\ ?box\ unavailable|recipient\ (?:address\ )?rejected|address\ rejected""",
    ),
    (BounceCause.TEMPORARY, r"try\ again\ later"),
)


@cache
def _compiled_phrases() -> tuple[tuple[BounceCause, re.Pattern[str]], ...]:
    """Compiled at the first bounce: it takes longer than the import of most subjects."""
    return tuple((cause, re.compile(pattern, re.VERBOSE)) for cause, pattern in _PHRASES)


# What a vendor advises after its reason, as "such bounces can harm your reputation".
_ADVICE = re.compile(
    r"\b(?:impact|affect|effect|harm|hurt|damag|protect|maintain|preserv|improv|worsen|lower)"
    r"[^.;]{0,60}\breputation\b"
)
# Names of servers and addresses of pages are removed: mx.antispam.example is no reason.
_SERVER = re.compile(
    r"https?://\S{1,2000}"
    r"|\b(?:host|server|from|by|at|mta:|dns;)\ [\w-]{1,63}(?:\.[\w-]{1,63}){1,9}\.?"
    r"|(?<![\w.-])[\w-]{1,63}(?:\.[\w-]{1,63}){1,9}\ ?[\[(](?=[0-9a-f.:]{7,45}[\])])"
)
_BLOCK_LIST = re.compile(r"spamhaus|spamcop|abuseat|barracudacentral|uribl|surbl|dnsbl|blocklist")


def _replace_server_name(found: re.Match[str]) -> str:
    """What is left of a server's name or a page's address: the block list that it is of."""
    kept = _BLOCK_LIST.search(found[0])
    return f" {kept[0]} " if kept else " somewhere "


_ADDRESS_TEXT = re.compile(r"<[^<>\s]{1,320}>|[^\s<>@]{1,64}@[^\s<>@]{1,255}")
_MAX_CHARS = 2000
"""Characters of a text that are looked at; a diagnostic is a line or a few."""


def find_cause(text: str) -> BounceCause | None:
    """The cause that a text clearly states, or None. Takes time in proportion to the text.

    Diagnostics are folded (RFC 3464 2.3.6): any white space is one blank. Addresses and names
    of servers are left out: that of spam@example.com is no reason.
    """
    head = " ".join(text[:_MAX_CHARS].lower().split()).replace("\u2019", "'")
    head = _SERVER.sub(_replace_server_name, _ADVICE.sub("", _ADDRESS_TEXT.sub("someone", head)))
    return next((cause for cause, pattern in _compiled_phrases() if pattern.search(head)), None)
