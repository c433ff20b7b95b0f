"""What people write when they want no more mail, by language.

Each pattern is met by a whole sentence, in lower case and without accents, after greetings
and pleas are taken away. The table is narrow on purpose: what isn't in it, a person reads.
So "cancel" and "quit" alone are not in it, which may be about an order or a job; nor is
anything that speaks of one kind of mail only.
"""

from __future__ import annotations

import re


def _verbose(pattern: str) -> str:
    """The pattern, fit to stand in one in which blanks mean nothing."""
    return re.sub(r"(?<!\\) ", r"\\ ", pattern)


_MAILS_EN = _verbose(
    r"(?:e ?-?mails?|mails?|mailings?|newsletters?|messages?|communications?|advertisements?"
    r"|ads?|advertising|marketing|promotions?|offers?|updates?|spam|texts?|sms)"
)
_LIST_EN = _verbose(
    r"(?: (?:from|off|of|to)(?: (?:all|any|your|the|this|these|that|future|further|such|e ?-?mail"
    r"|mailing|news|marketing|distribution|promotional|contact|subscriber))*"
    rf"(?: (?:lists?|database|records|everything|all|{_MAILS_EN}))?)?"
)
_ME_EN = _verbose(
    r"(?: (?:me|us|this (?:e ?-?mail )?address|my (?:e ?-?mail )?(?:address|name|account)"
    r"|my e ?-?mail|this e ?-?mail|from (?:all|everything)))?"
)
_WANT_EN = _verbose(
    r"(?:(?:i|we)(?: |(?='d)))?(?:(?:want|wish|would like|d like|'d like|need) to |wanna )?"
)
_MAILS_IT = _verbose(
    r"(?:e ?-?mails?|mails?|newsletters?|messaggi(?:o)?|comunicazion[ei]|pubblicita|offerte"
    r"|promozioni|spam|niente|nulla|vostre|vostri|vostra)"
)
_FROM_IT = _verbose(
    r"(?: (?:da|dal|dalla|dalle|dai|dagli|dall'|alla|alle|della|delle|la|le|il|tutt[ei]|vostr[aoei]"
    r"|tu[ao]|mia|mio|quest[aoei]|queste|mailing|list[ae]?|contatti|indirizzo|indirizzi|elenco"
    rf"|database|iscrizione|servizio|sottoscrizione|di|posta|elettronica|{_MAILS_IT}))*"
)
_MAILS_DE = _verbose(
    r"(?:e ?-?mails?|mails?|newsletters?|werbung|werbe ?-?(?:e ?-?)?mails?|nachrichten|post"
    r"|angebote|infos|zusendungen|spam)"
)
_FROM_DE = _verbose(
    r"(?: (?:mich|uns|bitte|von|vom|aus|fur|den|dem|der|die|das|ihrem|ihren|ihrer|eurem|euren|eurer"
    r"|diesem|diesen|dieser|allen|allem|alle|ihr|meine|adresse|e ?-?mail ?-?adresse|verteiler"
    rf"|mailing ?-?liste|liste|sofort|umgehend|{_MAILS_DE}))*"
)
_MAILS_FR = _verbose(
    r"(?:e ?-?mails?|mails?|courriels?|newsletters?|lettres?|messages?|publicites?|offres?|spam"
    r"|rien|informations?)"
)
_FROM_FR = _verbose(
    r"(?: (?:moi|me|de|du|des|la|le|les|a|aux?|votre|vos|cette|ce|ces|toutes?|tous|liste"
    rf"|diffusion|d'information|d'envoi|envois|mon|mes|adresse|nom|{_MAILS_FR}))*"
)
_MAILS_ES = _verbose(
    r"(?:e ?-?mails?|mails?|correos?|newsletters?|boletin(?:es)?|mensajes?|publicidad|ofertas"
    r"|spam|nada|informacion)"
)
_FROM_ES = _verbose(
    r"(?: (?:de|del|en|la|el|las|los|su|sus|esta|este|estos|todas?|todos|mi|lista|listas|correo"
    rf"|electronico|electronicos|distribucion|base|datos|suscripcion|por favor|{_MAILS_ES}))*"
)

PATTERNS: tuple[tuple[str, str], ...] = (
    (
        "en",
        rf"""stop(?:\ (?:it|this|these|that|now|all|please))*
        | {_WANT_EN}(?:be\ )?(?:unsubscribed?|unsuscribe|unsubcribe|unsub|un-subscribe)
          {_ME_EN}{_LIST_EN}(?:\ now)?
        | {_WANT_EN}opt(?:ed)?(?:\ me|\ us)?[ -]?out{_ME_EN}{_LIST_EN}
        | (?:remove|take|delete|drop)\ (?:me|us|my\ (?:e\ ?-?mail\ )?address|my\ e\ ?-?mail|my\ name
            |this\ (?:e\ ?-?mail\ )?address){_LIST_EN}
        | {_WANT_EN}be\ (?:removed|taken\ off|deleted){_LIST_EN}
        | (?:stop|quit|cease)\ (?:sending|e-?mailing|mailing|contacting|writing|spamming|messaging
            |texting)
          (?:\ (?:to\ )?(?:me|us|here))?(?:\ (?:any|all|more|your|these|the|such))*
          (?:\ {_MAILS_EN})?(?:\ (?:to\ )?(?:me|us))?
        | stop(?:\ (?:all|the|these|this|your|my))*\ {_MAILS_EN}(?:\ to\ (?:me|us))?
        | (?:do\ not|don'?t|never)\ (?=.*\b(?:me|us|{_MAILS_EN})\b)
          (?:send|e-?mail|mail|contact|write)(?:\ to)?
          (?:\ (?:me|us))?(?:\ (?:any|more|further|your|these|such))*(?:\ {_MAILS_EN})?
          (?:\ (?:again|any\ ?more|ever))*
        | no\ (?:more|further)(?:\ {_MAILS_EN})(?:\ please)?
        | (?:cancel|end|terminate)\ (?:my|this|the)\ (?:e\ ?-?mail\ |newsletter\ )?
          (?:subscription|newsletters?|mailings?)
        | (?:i|we)\ (?:do\ not|don'?t|no\ longer)\ (?:want|wish)(?:\ to)?
          (?:\ (?:receive|get|see|have))?(?:\ (?:any|more|your|these|such))*\ {_MAILS_EN}
          (?:\ (?:any\ ?more|from\ you|again))*""",
    ),
    (
        "it",
        rf"""stop
        | basta(?:\ {_MAILS_IT})?
        | (?:mi\ (?:cancelli|cancellate|disiscriva|rimuova|rimuovete|tolga|togliete|elimini
              |eliminate)
            |cancellami|cancellatemi|cancellarmi|cancellateci|cancellaci
            |disiscrivimi|disiscrivetemi|disiscrivermi|disiscrivere|disiscrivi
            |rimuovimi|rimuovetemi|rimuovermi|toglimi|toglietemi|togliermi
            |eliminami|eliminatemi|eliminarmi){_FROM_IT}
        | (?:vorrei|voglio|desidero|chiedo\ di)\ (?:essere\ )?(?:cancellarmi|cancellat[oa]
            |disiscrivermi|rimoss[oa]|eliminat[oa]|tolt[oa]|togliermi|eliminarmi){_FROM_IT}
        | (?:(?:chiedo|richiedo|richiesta\ di)\ (?:la\ )?)?(?:disiscrizione|cancellazione)
          (?:\ iscrizione)?{_FROM_IT}
        | (?:cancellare|disdire|annullare)\ (?:la\ )?(?:mia\ )?iscrizione{_FROM_IT}
        | non\ (?:scrivetemi|scrivermi|mandatemi|mandarmi|inviatemi|inviarmi|contattatemi
            |contattarmi|mandate|inviate|mi\ (?:scrivete|mandate|inviate|contattate)
            |(?:voglio|desidero|intendo|vorrei)(?:\ piu)?\ (?:ricevere|ricevervi))
          (?:\ (?:piu|altre|altri|le|i|alcuna))*{_FROM_IT}
        | (?:niente|nessuna|nessun)\ (?:piu\ |altra?\ )?{_MAILS_IT}
        | (?:revoco|ritiro)\ (?:il\ )?(?:mio\ )?consenso(?:\ al\ marketing)?
        | mi\ oppongo(?:\ al\ marketing|\ all'invio{_FROM_IT})?""",
    ),
    (
        "de",
        rf"""(?:stop|stopp)
        | (?:ich\ (?:mochte|will|wurde)(?:\ mich)?|mich|newsletter|werbung|{_MAILS_DE}){_FROM_DE}
          \ (?:abmelden|abbestellen|austragen)
        | (?:mich|meine\ (?:e\ ?-?mail\ ?-?)?adresse){_FROM_DE}\ (?:loschen|entfernen|streichen)
        | (?:abmelden|abmeldung|abbestellen|abbestellung|austragen){_FROM_DE}
        | (?=.*\b(?:mich|uns|adresse|e\ ?-?mail-adresse)\b)
          (?:(?:melden|tragen|nehmen|streichen|loschen|entfernen)\ sie
            |melde|meldet|trag|tragt|nimm|nehmt|streich|streicht|losch|loscht|entfernt)
          {_FROM_DE}(?:\ (?:ab|aus|raus|heraus))?
        | keine(?:\ (?:weiteren?|mehr|newsletter))*\ {_MAILS_DE}
          (?:\ (?:mehr|bitte|senden|schicken|zusenden|zuschicken|an\ mich))*
        | (?:senden|schicken)\ sie\ mir\ (?:bitte\ )?keine(?:\ (?:weiteren|mehr))*\ {_MAILS_DE}
          (?:\ (?:mehr|zu))*
        | ich\ (?:mochte|will|wunsche)\ (?:bitte\ )?keine(?:\ (?:weiteren|mehr))*\ {_MAILS_DE}
          (?:\ (?:mehr|von\ ihnen|erhalten|bekommen))*""",
    ),
    (
        "fr",
        rf"""stop
        | (?:(?:je\ )?(?:veux|voudrais|souhaite|desire|demande\ a|de)\ )?
          (?:(?:me\ |etre\ )?(?:desinscrire|desinscrite?|desabonner|desabonnee?)
            |(?:me\ retirer|etre\ retiree?)){_FROM_FR}
        | (?:desinscription|desabonnement){_FROM_FR}
        | (?:desinscrivez|desinscris|desabonnez|desabonne|retirez|supprimez|enlevez|rayez)[ -]
          (?:moi|nous|mon\ adresse){_FROM_FR}
        | (?:je\ )?ne\ (?:veux|souhaite|desire|voudrais)?\ ?plus\ (?:recevoir|rien\ recevoir|etre)
          {_FROM_FR}
        | ne\ (?:m'envoyez|m'ecrivez|me\ contactez)\ (?:plus|pas){_FROM_FR}
        | (?:arretez|cessez)(?:\ (?:de\ |d')(?:m'envoyer|m'ecrire|me\ contacter|envoyer)|\ vos)?
          {_FROM_FR}
        | (?:plus|pas)\ de\ {_MAILS_FR}""",
    ),
    (
        "es",
        rf"""(?:stop|baja)
        | (?:(?:quiero|deseo|quisiera|solicito|pido)\ )?(?:dar(?:me|se)?|date|dame|deme|denme)
          \ (?:de\ )?(?:la\ )?baja{_FROM_ES}
        | (?:(?:quiero|deseo|solicito|pido)\ )?(?:la\ |mi\ )?baja{_FROM_ES}
        | (?:(?:quiero|deseo)\ )?(?:desuscribir(?:me)?|desuscribanme|cancelar\ (?:la\ |mi\ )?
            suscripcion|desinscribir(?:me)?){_FROM_ES}
        | (?:eliminar|borrar|quitar|eliminen|borren|quiten|retiren|saquen)me{_FROM_ES}
        | no\ (?:quiero|deseo)(?:\ (?:mas|seguir))*\ (?:recibir|recibiendo)(?:\ mas)?{_FROM_ES}
        | no\ (?:quiero|deseo)\ mas(?:\ (?:de|sus))*\ {_MAILS_ES}
        | no\ (?:me\ )?(?:envien|envie|manden|mande|escriban|contacten)(?:me)?(?:\ mas)?{_FROM_ES}
        | (?:basta|no\ mas)(?:\ de)?\ {_MAILS_ES}""",
    ),
    (
        "pt",
        r"""(?:descadastrar|descadastre-me|descadastrem-me|cancelar\ (?:a\ )?(?:minha\ )?
            (?:inscricao|assinatura|subscricao)|remova-me|removam-me|retirem-me
            |sair\ da\ lista|nao\ (?:quero|desejo)\ (?:mais\ )?receber(?:\ mais)?
            (?:\ (?:e-?mails?|mensagens|newsletters?|nada))?)""",
    ),
    (
        "nl",
        r"""(?:afmelden|uitschrijven|afmelding|uitschrijving
            |(?:meld|schrijf)\ (?:mij|me)(?:\ (?:af|uit))?(?:\ (?:voor|van|de|deze|nieuwsbrief))*
            (?:\ (?:af|uit))?
            |geen\ (?:e-?mails?|mails?|nieuwsbrief|nieuwsbrieven|reclame)(?:\ meer)?)""",
    ),
)

POLITE = re.compile(
    r"""\b(?:please|pls|plz|kindly|thanks|thank\ you(?:\ (?:very|so)\ much)?|thx|many\ thanks
        |hi|hello|hey|hi\ there|dear(?:\ (?:all|team|sirs?|madam|sir\ or\ madam))?|good\ morning
        |(?:can|could|would|will)\ you|immediately|asap|at\ once|now
        |per\ (?:favore|piacere|cortesia)|cortesemente|gentilmente|grazie(?:\ mille)?|prego
        |buongiorno|buonasera|salve|ciao|subito|vi\ prego|ti\ prego|potete|puoi|la\ prego
        |bitte|danke|vielen\ dank|hallo|guten\ (?:tag|morgen)|sofort|umgehend
        |svp|s'il\ (?:vous|te)\ plait|merci(?:\ d'avance)?|bonjour|immediatement
        |por\ favor|gracias|hola|buenos\ dias|favor
        |obrigad[oa]|ola|bom\ dia|alstublieft|aub|graag|dank(?:\ u)?)\b""",
    re.VERBOSE,
)
"""What says nothing of what somebody wants."""

GREETING = re.compile(
    r"""(?:hi|hello|hey|dear|good\ (?:morning|day|evening)|to\ whom\ it\ may\ concern
        |buongiorno|buonasera|salve|ciao|gentil[ei]|spett(?:abile|\.le)?|egregi[oa]?|car[oaie]
        |hallo|guten\ (?:tag|morgen|abend)|sehr\ geehrte[rn]?|liebe[rs]?
        |bonjour|madame|monsieur|cher[es]*|hola|buen[oa]s|estimad[oa]s?|querid[oa]s?
        |ola|bom\ dia|prezad[oa]s?|beste|geachte)\b.{0,60}""",
    re.VERBOSE,
)

SECOND_THOUGHTS = re.compile(
    r"""\?|\b(?:but|only|except|however|instead|unless|keep|still|just\ the|not\ unsubscribe
        |don'?t\ (?:unsubscribe|remove|stop)|do\ not\ (?:unsubscribe|remove|stop)|how\ (?:do|can)
        |ma|pero|solo|soltanto|tranne|invece|eccetto|mantene(?:re|te)|ancora
        |aber|nur|ausser|sondern|jedoch|behalten|weiterhin|nicht\ abmelden
        |mais|seulement|sauf|uniquement|garder|cependant
        |sino|solamente|excepto|salvo|mantener|apenas|exceto|maar|alleen|behalve)\b""",
    re.VERBOSE,
)
"""What makes an opt-out less clear than it began."""
