"""This module recognizes mails that no person has just written: they opt nobody out (RULES A12).

Some declare it by a field or subject that only software sets (RFC 3834); these are ignored.
Others only resemble them, with fields that mailing lists, ticket systems or vacation programs
set. A person may have written those, so an objection in one is queued for review.

The phrases are what software writes on behalf of people, in eight languages, in words as `tokenize`
returns them: lower case, no accents, no punctuation. A line holds one phrase; `.{0,30}` is what may
occur between two of its words.
"""

from __future__ import annotations

import re

from preference_center.core.mime import ParsedMail
from preference_center.inbound.rules.objections.language import normalize_text, tokenize

OUT_OF_OFFICE_SUBJECTS = """
    auto(matic|mated|matically)? (generated )?(reply|response|answer|respond|responder|resposta|antwort|odpowiedz)
    auto , .*|autoreply|autoresponse|autosvar|autorisposta|autoantwort|vacation (reply|response|notice)
    (i am |i m |currently )*out of (the )?office|ooo|on (annual |maternity |parental )?(vacation|holiday|leave)
    away (from|until)|(i am |i m )away

    risposta (automatica|di assenza)|messaggio (automatico|di assenza)|fuori (sede|ufficio|dall ufficio)
    non (sono )?in ufficio|assenza|assente|in ferie

    (automatische|automatisierte) (antwort|abwesenheit[a-z]*|nachricht|mitteilung)|abwesenheit[a-z]*|abwesend
    nicht im bu?e?ro|ausser haus|im urlaub|urlaubs(notiz|meldung|benachrichtigung)

    (reponse|message|courriel) (automatique|d absence)|absente?|absence|en conges?|hors (du )?bureau

    respuesta automatica|mensaje (automatico|de ausencia)|fuera de (la )?oficina|ausente|ausencia|de vacaciones

    resposta automatica|mensagem (automatica|de ausencia)|fora do escritorio|de ferias|em ferias

    automatische? (antwoord|bericht|reactie|beantwoord[a-z]*)|afwezig|afwezigheid[a-z]*|niet op kantoor
    buiten kantoor|met vakantie|op vakantie

    automatyczna (odpowiedz|wiadomosc)|odpowiedz automatyczna|autoodpowiedz|poza biurem|nieobecn(osc|y|a)
    urlop|na urlopie
"""
"""Beginnings of the subjects of vacation notices."""


SYSTEM_SUBJECTS = """
    (ticket|case|request|issue|incident) (number |no |id |nr )?[a-z]{0,6} ?[0-9]{3,}.{0,60}(received|created|opened|registered|updated|closed|solved)
    (received|created|opened) .{0,30}(ticket|case|request) [a-z]{0,6} ?[0-9]{3,}
    (read|gelesen|letto|lu|leido|gelezen|przeczytano|przeczytane|lida|lido|not read|nicht gelesen|non letto) , .*
    confirm [0-9a-f]{8,}.*|(undeliver|delivery (status|failure)|mail delivery|returned mail|failure notice|return receipt).*
    welcome to the .*|.{0,80}post.{0,30}(approval|moderator).*|your message to .*
"""
"""Subjects of ticket systems, lists, and receipts."""


AUTO_REPLY_PHRASES = """
    delivrd|undeliv|stat , (delivrd|expired|rejectd)|dlvrd , [0-9]+
    (reply|text|txt|send|sms|answer)( with)?( the word)? (stop|end|quit|cancel|unsubscribe) (to|2|for)
    (rispondi|rispondete|invia|inviate|scrivi|manda|rispondere|inviare)( con)? (stop|basta|annulla|no)( al [0-9]+)? (per|se)
    (per|se) .{0,60}(rispondi|rispondere|invia|inviare|scrivi)( con)? (stop|basta|annulla)
    (antworte|antworten sie|antwort|sende|senden sie|schreibe|schreiben sie)( mit| sie)* (stop|stopp|ende)( an [0-9]+)? (zum?|um)
    (abmelden|abmeldung|abbestellen|austragen)( jederzeit)? (mit|per|durch) (stop|stopp|ende)|mit (stop|stopp) antworten
    (repondez|repondre|repondrez|envoyez|envoyer|reponse)( par)? (stop|arret)( au [0-9]+)? (pour|afin)|stop (sms )?au [0-9]+
    pour .{0,60}(repondez|repondre|envoyez|envoyer)( par)? (stop|arret)
    (responda|responde|envie|envia|conteste|contesta|responder|enviar)( con| com)? (baja|stop|alto|sair|parar|cancelar)( al [0-9]+| para [0-9]+)? (para|si|se|a fim)
    para .{0,60}(responda|responde|envie|envia|conteste|contesta)( con| com)? (baja|stop|alto|sair|parar|cancelar)
    (antwoord|stuur|sms|beantwoord|reageer)( dan| met)* (stop|afmelden|uit)( naar [0-9]+)? (om|voor|als)|afmelden , antwoord( met)? stop
    (odpisz|wyslij|odpowiedz|wpisz)( sms)?( o tresci)? (stop|wypisz|nie)( na [0-9]+)? ?,? (aby|zeby|by)
    (aby|zeby) .{0,60}(odpisz|wyslij|odpowiedz)( sms)?( o tresci)? (stop|wypisz)

    out of (the )?office
    on (annual|maternity|parental|sick|paternity) leave
    (am|currently|be) on (vacation|holidays?|leave)
    away from (my|the) (desk|office)
    (limited|no|intermittent) access to (my )?e ?mails?
    i (will|ll) (be back|return)
    automatic(ally)? (generated|reply|response|message|e ?mail)
    auto ?reply|autoresponder
    automated (message|reply|response|e ?mail|notification)
    do not reply to this
    (mailbox|inbox|address) is (not|un) ?(attended|read|checked|in use|active|valid)
    (not|un) ?monitored
    your (message|request|ticket|enquiry|inquiry|e ?mail|case) ([0-9]+ )?(has been|was|is being) (received|created|opened|registered|logged|assigned|closed)
    we( ve| have)? received your(?! (latest |recent )?(newsl?|mailing|circular|catalog|advert|offer|promo|brochure))
    thank you for (contacting|reaching out to) (us|our)
    (ticket|case|reference) (number|no|id) ?[a-z]{0,4} ?[0-9]+
    (confirm|verify|prove) (that )?you (are|re) (a |not a )?(human|person|robot|real)
    (awaiting|awaits) (your |moderator )?(approval|moderation|confirmation)
    held (for|until)
    delivered (once|after|if|when) you
    (was|has been) (read|displayed|opened) (on|at|by)
    you have been (un)?subscribed
    mailing list .{0,40}(policy|moderator|welcome)

    fuori (sede|ufficio)
    sono (assente|in ferie|in congedo|in maternita)|saro (assente|di ritorno)
    (messaggio|risposta|e ?mail) (e stat[oa] )?(generat[oa] )?automatic[oa](mente)?
    non rispond(ere|ete|a) a quest[oa]
    (richiesta|segnalazione|ticket) .{0,30}(ricevut[oa]|pres[oa] in carico|apert[oa]|registrat[oa])
    abbiamo ricevuto (la|il) (tu[ao]|su[ao]|vostr[ao])(?! (newsl?|mailing|circolare|catalogo|pubblicita|offerta|promo))
    confermare di essere (una persona|umano)

    (nicht im|ausser) (bu?e?ro|haus)|bin im urlaub
    bin (ich )?(derzeit |zurzeit |aktuell |momentan |bis .{1,20} )?(abwesend|im urlaub|nicht erreichbar|in elternzeit)
    automatisch (generiert|erzeugt|erstellt|versendet|versandt)[a-z]*
    automatische (antwort|nachricht|abwesenheit|email|e mail)
    nicht auf diese (e ?mail|nachricht|mail)
    (anfrage|nachricht|e ?mail|meldung|anliegen) .{0,40}(eingegangen|erhalten|ticketnummer)
    (ticket ?nummer|vorgangsnummer|ticket nr|ticket id)
    (wieder|zuruck) (erreichbar|im bu?e?ro)|wird nicht weitergeleitet

    (suis|serai) (actuellement )?(absente?|en conges?|de retour)|absente? (du|jusqu|actuellement)|en conges? (du|jusqu)
    (message|reponse|courriel|e ?mail) (est )?(genere )?automatique(ment)?
    ne pas repondre a ce
    (demande|message|courriel|e ?mail|ticket) .{0,40}(bien ete recue?|recue?|enregistree?|pris[e]? en (compte|charge))
    nous avons (bien )?recu(?! (votre |vos )?(newsl?|mailing|circulaire|catalogue|pub|offre|promo|prospectus))
    numero de (ticket|dossier)

    fuera de (la )?oficina
    estoy (de vacaciones|ausente|fuera)|estare (ausente|de vuelta|fuera|de vacaciones)
    (mensaje|respuesta|correo) (ha sido |fue )?(generad[oa] )?automatic[oa](mente)?
    no respond(a|an|as|er) a este
    (solicitud|mensaje|consulta|correo|ticket) .{0,40}(recibid[oa]|registrad[oa]|cread[oa])
    hemos recibido (su|tu)(?! (newsl?|boletin|circular|catalogo|publicidad|oferta|promo|folleto))
    numero de (caso|incidencia|ticket)

    fora do escritorio
    estou (ausente|de ferias|em ferias|fora)|estarei (ausente|de volta|fora|de ferias)
    (mensagem|resposta|e ?mail) (foi )?(gerad[oa] )?automatic[oa](mente)?
    nao respond(a|am|er) a est[ea]
    (solicitacao|pedido|mensagem|chamado) .{0,40}(recebid[oa]|registrad[oa]|abert[oa])
    recebemos (a sua|o seu|sua|seu|a tua)
    numero d[oe] (chamado|protocolo|ticket)

    (niet op|buiten) kantoor
    ben (ik )?(momenteel |tijdelijk |tot .{1,20} )?(afwezig|met vakantie|op vakantie|met verlof)
    (automatisch|geautomatiseerd)e? (bericht|antwoord|gegenereerd[a-z]*|e ?mail)
    niet op d(it|eze) (bericht|e ?mail|mail) (te )?(reageren|antwoorden)
    (aanvraag|bericht|verzoek|vraag|melding) .{0,40}(ontvangen|geregistreerd|aangemaakt)
    (ticket|zaak)nummer

    poza biurem
    (jestem|bede) (obecnie )?(nieobecn[a-z]+|na urlopie|poza biurem)
    (wiadomosc|odpowiedz) (zostala )?(wygenerowan[a-z]+ )?automatyczn[a-z]+
    nie odpowiada(c|j|jcie) na
    (zgloszenie|wiadomosc|zapytanie) .{0,40}(przyjet[a-z]+|zarejestrowan[a-z]+|otrzyman[a-z]+)
    otrzymalismy (panstwa|twoja|twoje|pana|pani)
    numer (zgloszenia|sprawy)
"""
"""What vacation programs, ticket systems and lists write into a body."""


def compile_phrases(table: str) -> re.Pattern[str]:
    """A table as a pattern of whole words."""
    lines = [line.strip() for line in table.splitlines() if line.strip()]
    source = re.sub(r"\((?!\?)", "(?:", "|".join(lines))
    return re.compile(rf"(?<![^ ,])(?:{source})(?![^ ,])")


_AUTO_REPLY_FIELDS = (
    "X-Autoreply",
    "X-Autorespond",
    "X-Autoresponder",
    "X-AutoReply-From",
    "X-Mail-Autoreply",
    "X-Vacation",
    "X-FC-MachineGenerated",
)


_AUTO_PRECEDENCES = {"auto_reply", "auto-reply", "autoreply", "bulk", "junk"}


_LOOP_FIELDS = ("X-Loop", "X-Auto-Response-Suppress", "X-BeenThere", "X-Mailing-List")
"""Fields that software sets to prevent loops, and that lists add to forwarded mail."""


_ENVELOPE_FIELDS = ("X-Trasporto", "X-REM-Msg-Type")
"""Fields of an envelope of certified mail."""


_AWAY_SUBJECT = compile_phrases(OUT_OF_OFFICE_SUBJECTS)


_SYSTEM_SUBJECT = compile_phrases(SYSTEM_SUBJECTS)


_AUTO_REPLY_TEXT = compile_phrases(AUTO_REPLY_PHRASES)


_AGGREGATE_REPORT_SUBJECT = re.compile(r"report domain:", re.IGNORECASE)


# "[Acme #48113]", "(#48113)": how ticket systems recognize their own.
_TICKET_SUBJECT = re.compile(
    r"\[[^\[\]\n]{0,30}#\s?[A-Z-]{0,8}\d+\]|\(#\s?\d+\)|\[[A-Z]{2,6}-\d{2,}\]"
)


_NULL_SENDER = re.compile(r"<?\s*>?")


_SYSTEM_LOCAL_PART = re.compile(
    r"""^(?:no[-_.]?reply\w*|do[-_.]?not[-_.]?reply\w*|listserv|majordomo|mailman|sympa|ezmlm
    |auto-?(?:reply|responder|respond)|vacation|notifications?|bounces?|nobody|root|mailer|www-data
    |posta-certificata)$
    | -(?:bounces|request|owner|noreply)$ | ^owner-""",
    re.VERBOSE,
)


_MAIL_SYSTEM_SENDER = re.compile(
    r"\b(?:mailer[ -]?daemon|postmaster|mail-?daemon|mdaemon|mail deliver(?:y|er)? (?:sub)?system"
    r"|microsoftexchange[0-9a-f]{32})\b",  # what Exchange sends its own reports as
    re.IGNORECASE,
)


_RECEIPT_REPORT_TYPES = {"disposition-notification", "tlsrpt", "smtp-tls-reporting"}


_MAX_CHARACTERS = 3000
"""Characters of the written text that are searched."""


def is_automatic(mail: ParsedMail) -> bool:
    """Whether software wrote it: an auto-reply or a receipt (RFC 3834 2).

    Apple Mail sets the same field on an opt-out that its user has just requested, and marks it.
    """
    if is_apple_mail_unsubscribe(mail):
        return False
    submitted = mail.field("Auto-Submitted").partition(";")[0].partition("(")[0].strip().lower()
    return (
        submitted not in {"", "no"}
        or mail.report_type in _RECEIPT_REPORT_TYPES
        or any(name in mail.message for name in _AUTO_REPLY_FIELDS)
        or mail.field("Precedence").strip().lower() in _AUTO_PRECEDENCES
        or _AWAY_SUBJECT.match(tokenize(normalize_text(mail.field("Subject")))) is not None
        or _AGGREGATE_REPORT_SUBJECT.match(mail.field("Subject").strip()) is not None
        or has_null_sender(mail)
    )


def may_be_automatic(mail: ParsedMail, own_text: str, sender: str = "") -> bool:
    """Whether a list, a ticket system, a calendar or the like may have written or forwarded it.

    So may a provider of certified mail whose mail encloses none that could be read.
    `own_text` is the text of the mail without quotations, `sender` the address in From.
    """
    return (
        any(name.lower().startswith("list-") for name in mail.message)
        or any(name in mail.message for name in (*_LOOP_FIELDS, *_ENVELOPE_FIELDS))
        or mail.field("Precedence").strip().lower() == "list"
        or bool(mail.report_type)
        or bool(mail.texts_of_type("text/calendar"))
        or _SYSTEM_LOCAL_PART.search(sender.rpartition("@")[0].lower()) is not None
        or _TICKET_SUBJECT.search(mail.field("Subject")) is not None
        or _SYSTEM_SUBJECT.fullmatch(tokenize(normalize_text(mail.field("Subject")))) is not None
        or has_automatic_phrase(own_text)
    )


def has_automatic_phrase(text: str) -> bool:
    """Whether a text, of a mail or by SMS, contains what software writes on behalf of people."""
    return _AUTO_REPLY_TEXT.search(tokenize(normalize_text(text[:_MAX_CHARACTERS]))) is not None


def is_certified_mail_receipt(mail: ParsedMail) -> bool:
    """Whether a provider of certified mail (PEC, REM) states that a mail was accepted or delivered.

    A person's own mail names in `X-TipoRicevuta` which receipt they want.
    """
    wanted = mail.field("X-TipoRicevuta").strip().lower()
    return (
        "X-Ricevuta" in mail.message
        or wanted not in {"", "completa", "breve", "sintetica"}
        or mail.field("X-REM-Msg-Type").strip().lower() not in {"", "dispatch"}
    )


def is_apple_mail_unsubscribe(mail: ParsedMail) -> bool:
    """Whether a person has pressed "Unsubscribe" in Apple Mail (CLIENTS)."""
    return mail.field("X-Apple-Unsubscribe").strip().lower() == "true"


def has_null_sender(mail: ParsedMail) -> bool:
    """Whether its envelope sender is empty, as it is for reports (RFC 5321 4.5.5)."""
    return "Return-Path" in mail.message and (
        _NULL_SENDER.fullmatch(mail.field("Return-Path").strip()) is not None
    )


def is_from_mail_system(mail: ParsedMail) -> bool:
    """Whether it declares that a mail system wrote it."""
    return (
        _MAIL_SYSTEM_SENDER.search(mail.field("From")) is not None
        or "X-Failed-Recipients" in mail.message
    )
