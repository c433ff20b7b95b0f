"""`find_right` tells which right a mail asks for, where its words are clear.

It reads sentences as the rules of objections do, with phrases of its own: an objection is decided
by `find_clear_objection` alone. A sentence counts unless it has a negation, asks how something is
done, reports what others said, or is about somebody else. Two rights in one mail, or none, are for
a person to read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from preference_center.inbound.rules.objections import LANGUAGES
from preference_center.inbound.rules.objections.language import (
    mask_addresses,
    normalize_text,
    remove_quotations,
    tokenize,
)
from preference_center.inbound.rules.objections.sentences import (
    Sentence,
    join_wrapped_lines,
    split_paragraphs,
    split_sentences,
)
from preference_center.rights.rules.requests import RequestKind

MAX_READ = 6_000
"""Characters of the person's own text that are read."""

_MY_DATA = (
    r"(?:(?:all|any|every|the|of|my|our|about|personal|private|customer) )*"
    r"(?:data|information|details|records)"
)
_SELL = r"(?:sell|share|selling|sharing)"
_ITS_DATI = r"(?:(?:tutti|i|miei|dei|dati|personali) )*dati(?: personali)?"
_PHRASES: Mapping[RequestKind, str] = {
    RequestKind.ACCESS: rf"""
        subject access request
        (?:copy|copies|disclosure) of {_MY_DATA}
        (?:send|give|provide|show) (?:me|us) {_MY_DATA}
        (?:access to|access) my {_MY_DATA}
        what (?:personal )?(?:data|information) (?:do )?you (?:hold|have|store|keep)
        (?:access|request) (?:under|pursuant to) (?:art|article) 15
        (?:kopie|auskunft uber|auskunft zu)(?: \w+){{0,4}} daten
        (?:verlange|erbitte|bitte um|beantrage|fordere)(?: \w+){{0,4}} (?:auskunft|datenauskunft)
        welche(?: \w+){{0,2}} daten(?: \w+){{0,6}} gespeichert
        auskunft (?:nach|gem|gemass|gema) art(?:ikel)? 15
        (?:copia|acceso a|accesso a|acceder a)(?: \w+){{0,4}} (?:datos|dati)
        que datos(?: \w+){{0,3}} (?:tienen|guardan|conservan)
        (?:derecho de acceso|diritto di accesso|droit d acces|droit acces)
        (?:copie|acces a|communication)(?: \w+){{0,4}} donnees
        quelles donnees(?: \w+){{0,4}} (?:avez|detenez|conservez)
        (?:richiesta di accesso|quali dati(?: \w+){{0,4}} (?:avete|conservate|trattate))
        accesso ai(?: \w+){{0,2}} dati
    """,
    RequestKind.ERASE: rf"""
        (?:delete|erase|remove|destroy|wipe) {_MY_DATA}
        (?:delete|erase|remove) my (?:\w+ )?(?:account|profile)
        (?:deletion|erasure|removal) of (?:my (?:\w+ )?(?:account|profile)|{_MY_DATA})
        right to (?:be forgotten|erasure)
        (?:erasure|deletion|request) (?:under|pursuant to) (?:art|article) 17
        (?:losch\w*|vernicht\w*|entfern\w*)(?: \w+){{0,5}} (?:daten|konto|account|kundenkonto)
        (?:daten|konto|account|kundenkonto)(?: \w+){{0,4}} (?:zu )?(?:losch\w+|geloscht)
        recht auf (?:loschung|vergessenwerden)
        (?:borr\w+|elimin\w+|suprim\w+|supresion)(?: \w+){{0,4}} (?:datos|cuenta)
        derecho (?:al olvido|de supresion)
        (?:supprim\w+|effac\w+|suppression|effacement)(?: \w+){{0,4}} (?:donnees|compte)
        droit a (?:l )?(?:oubli|effacement)
        (?:cancell\w+|elimin\w+|eras\w+)(?: \w+){{0,4}} (?:{_ITS_DATI}|account|profilo)
        diritto (?:all oblio|alla cancellazione)
        (?:dati|account|profilo)(?: \w+){{0,3}} (?:vengano|siano) (?:cancell|rimoss|elimin)\w+
        (?:account|profilo)(?: \w+){{0,3}} (?:venga|sia) (?:cancell|rimoss|elimin)\w+
        (?:data|account|details) (?:to )?be (?:deleted|erased|removed)
        (?:donnees|compte)(?: \w+){{0,3}} soi(?:en)?t (?:supprim|effac)\w+
        (?:datos|cuenta)(?: \w+){{0,3}} sean? (?:elimin|borrad|suprimid)\w+
        (?:apag|elimin|exclu|delet|remov)\w+(?: \w+){{0,3}} (?:dados|conta)
        (?:dados|conta)(?: \w+){{0,3}} sejam? (?:apagad|eliminad|excluid|removid)\w+
        (?:verwijder|vernietig|wis)\w*(?: \w+){{0,3}} (?:persoons)?(?:gegevens|account)
        (?:gegevens|account)(?: \w+){{0,3}} (?:te|laten) (?:verwijder|vernietig|wis)\w+
        (?:usun|skasow|skasuj|wykasow)\w*(?: \w+){{0,3}} (?:dane|danych|konto|konta)
    """,
    RequestKind.DONT_SELL_OR_SHARE: rf"""
        (?:do not|don t|dont|never|not to|stop|cease) {_SELL}(?: or {_SELL})? {_MY_DATA}
        opt (?:me )?out of (?:the )?(?:sale|sharing|selling)
        (?:keine?|nicht) (?:weitergabe|verkauf)(?: \w+){{0,3}} daten
        daten(?: \w+){{0,2}} (?:nicht|nie) (?:verkauf\w*|weiter ?(?:geben|verkaufen))
        no (?:venda\w*|comparta\w*|vender|compartir)(?: \w+){{0,4}} datos
        ne (?:vendez|partagez|vendre|partager)(?: \w+){{0,5}} donnees
        ne pas (?:vendre|partager)(?: \w+){{0,4}} donnees
        non (?:vende(?:te|re)|condivide(?:te|re)|cede(?:te|re))(?: \w+){{0,4}} dati
    """,
    RequestKind.RESTRICT: r"""
        restriction of (?:the )?processing
        (?:restrict|limit) (?:the )?(?:processing|use) of my (?:personal )?(?:data|information)
        einschrankung der verarbeitung
        limitacion del tratamiento
        limitation du traitement
        limitazione del trattamento
    """,
}
_UNDER_18 = r"""
    under ?(?:18|age|aged)|underage|minors?|child under 18
    unter 18(?: jahren)?|minderjahrig\w*
    menor(?:es)? de (?:18|edad)(?: anos)?
    (?:moins|mineur)(?: de)? 18(?: ans)?|mineure?s?
    (?:minore|meno|sotto)(?: di| i| dei)? 18(?: anni)?|minorenn[ei]
"""
_HOW = re.compile(
    r"^(?:how|where|when|can i|could i|wie|wo|wann|kann ich|como|donde|puedo|comment|ou|puis je"
    r"|come|dove|posso)\b"
)
_ASKS_ABOUT = re.compile(
    r"\b(?:what|why|which|difference|was|warum|welche|unterschied|que (?:pasa|ocurre|sucede)|cual"
    r"|por ?que|diferencia|cosa|quale?|perche|differenza|quoi|pourquoi|quelle|que se passe|o que"
    r"|diferenca|wat|waarom|welke|verschil|co|dlaczego|czym|roznica)\b"
)
"""In a question, before what is asked about: "what is the difference between ... and ..."."""
_CONDITION = re.compile(
    r"\b(?:(?:if|when|once|before|after) (?:i|we)(?! (?:could|may|might))"
    r"|(?:wenn|falls|sobald|bevor|nachdem) (?:ich|wir)"
    r"|si (?:je|j|on|nous)|avant de|(?:si|se)(?: eu)?$"
    r"|(?:als|wanneer|voordat|nadat) (?:ik|we)|jesli|jezeli|gdy|zanim)(?!\w)"
)
"""Before what the person may do one day: "if I delete my account"."""
_OTHERS = re.compile(
    r"\b(?:his|her|their|otheraddress|seine|ihre daten|deren|sus datos de|leur|leurs|altrui)\b"
)
_PREFIX = re.compile(
    r"^\s*(?:(?:re|aw|sv|antw|antwort|r|rif|ref|fw|fwd|wg|i|tr|rv|res)\s*(?:\[\d+\])?\s*:\s*)+",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, repr=False)
class WrittenByPerson:
    """What a person wrote in a mail, and the right that its words ask for."""

    sender: str
    """The address in From, which nothing proves; empty if there is not exactly one."""
    subject: str
    text: str
    right: RequestKind | None
    is_about_minor: bool
    """Whether the subject says that somebody is under 18."""


def find_right(subject: str, own_text: str, sender: str = "") -> RequestKind | None:
    """The one right that a mail clearly asks for; None for any other and for several.

    Those are access, erasure, restriction, and not to sell or share.

    `own_text` is without quotations, `sender` the address in From. A subject that was copied from
    the mail being answered is not the writer's.
    """
    text = join_wrapped_lines(own_text[:MAX_READ])
    text = mask_addresses(remove_quotations(normalize_text(text)), sender.casefold())
    sentences = list(split_sentences(split_paragraphs(text), join=False))
    sentences += split_sentences(split_paragraphs(text), join=True)
    if not _PREFIX.match(subject):
        sentences.append(Sentence(tokenize(normalize_text(subject)), "?" in subject, True))
    found = {kind for kind in _PHRASES for each in sentences if _asks_for(kind, each)}
    return found.pop() if len(found) == 1 else None


def says_under_18(subject: str) -> bool:
    """Whether a subject consists of usual words for a minor, as `Re: Under 18`, in any case."""
    words = tokenize(normalize_text(_PREFIX.sub("", subject))).replace(",", " ")
    return _UNDER_18_PATTERN.fullmatch(" ".join(words.split())) is not None


def _asks_for(kind: RequestKind, sentence: Sentence) -> bool:
    words = sentence.words
    phrase = _PATTERNS[kind].search(words)
    if phrase is None or _OTHERS.search(words):
        return False
    before = words[: phrase.start()].strip()
    if sentence.is_question and (
        _HOW.search(words) or (kind is not RequestKind.ACCESS and _ASKS_ABOUT.search(before))
    ):
        return False
    if kind is not RequestKind.ACCESS and _CONDITION.search(before):
        return False
    rest = _PATTERNS[kind].sub(" ", words)  # a phrase may itself have a negation
    return not any(language.negation.search(rest) for language in LANGUAGES)


def _compile(phrases: str) -> re.Pattern[str]:
    lines = [line.strip() for line in phrases.splitlines() if line.strip()]
    return re.compile(rf"\b(?:{'|'.join(lines)})\b")


_PATTERNS = {kind: _compile(phrases) for kind, phrases in _PHRASES.items()}
_UNDER_18_PATTERN = _compile(_UNDER_18)
