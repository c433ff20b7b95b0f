"""How mail programs write what they quote, in eight languages: plain text, without the own words.

Each is what the program puts below a reply to a mail of `Acme <news@acme.example>`.
"""

from __future__ import annotations

from collections.abc import Iterator

OWN = {
    "en": "Please unsubscribe me.\nI get too many of these.",
    "it": "Cancellatemi per favore.\nNe ricevo troppe.",
    "de": "Bitte abmelden.\nEs sind mir zu viele.",
    "fr": "Merci de me désinscrire.\nJ'en reçois trop.",
    "es": "Denme de baja por favor.\nRecibo demasiados.",
    "nl": "Graag afmelden.\nIk krijg er te veel.",
    "pl": "Proszę mnie wypisać.\nDostaję ich za dużo.",
    "pt": "Por favor, descadastrar.\nRecebo demasiados.",
}
"""What the person writes."""
QUOTED = (
    "Offers of the week\n\nOnly this week, do you want more? Keep reading.\n\nUnsubscribe me here."
)
_WHO = "Acme <news@acme.example>"

_GMAIL = {
    "en": f"On Tue, Nov 24, 2026 at 9:00\u202fAM {_WHO} wrote:",
    "it": f"Il giorno mar 24 nov 2026 alle ore 09:00 {_WHO} ha scritto:",
    "de": f"Am Di., 24. Nov. 2026 um 09:00\u202fUhr schrieb {_WHO}:",
    "fr": f"Le mar. 24 nov. 2026 à 09:00, {_WHO} a écrit :",
    "es": "El mar, 24 nov 2026 a las 9:00, Acme (<news@acme.example>) escribió:",
    "nl": f"Op di 24 nov 2026 om 09:00 schreef {_WHO}:",
    "pl": f"wt., 24 lis 2026 o 09:00 {_WHO} napisał(a):",
    "pt": f"{_WHO} escreveu (terça, 24/11/2026 à(s) 09:00):",
}
_APPLE = {
    "en": f"On 24 Nov 2026, at 09:00, {_WHO} wrote:",
    "it": f"Il giorno 24 nov 2026, alle ore 09:00, {_WHO} ha scritto:",
    "de": f"Am 24.11.2026 um 09:00 schrieb {_WHO}:",
    "fr": f"Le 24 nov. 2026 à 09:00, {_WHO} a écrit :",
    "es": f"El 24 nov 2026, a las 9:00, {_WHO} escribió:",
    "nl": f"Op 24 nov 2026, om 09:00 heeft {_WHO} het volgende geschreven:",
    "pl": f"Wiadomość napisana przez {_WHO} w dniu 24 lis 2026, o godz. 09:00:",
    "pt": f"No dia 24/11/2026, às 09:00, {_WHO} escreveu:",
}
_THUNDERBIRD = {
    "en": "On 24/11/2026 09:00, Acme wrote:",
    "it": "Il 24/11/2026 09:00, Acme ha scritto:",
    "de": "Am 24.11.26 um 09:00 schrieb Acme:",
    "fr": "Le 24/11/2026 à 09:00, Acme a écrit\u00a0:",
    "es": "El 24/11/2026 a las 9:00, Acme escribió:",
    "nl": "Op 24-11-2026 om 09:00 schreef Acme:",
    "pl": "W dniu 24.11.2026 o\u00a009:00, Acme pisze:",
    "pt": "Às 09:00 de 24/11/2026, Acme escreveu:",
}
_YAHOO = {
    "en": f"On Tuesday, November 24, 2026 at 09:00:00 AM GMT+1, {_WHO} wrote:",
    "it": f"Il martedì 24 novembre 2026 alle ore 09:00:00 CET, {_WHO} ha scritto:",
    "de": f"Am Dienstag, 24. November 2026 um 09:00:00 MEZ hat {_WHO} Folgendes geschrieben:",
    "fr": f"Le mardi 24 novembre 2026 à 09:00:00 UTC+1, {_WHO} a écrit :",
    "es": f"En martes, 24 de noviembre de 2026, 09:00:00 CET, {_WHO} escribió:",
    "nl": f"Op dinsdag 24 november 2026 om 09:00:00 CET schreef {_WHO}:",
    "pl": f"W dniu wtorek, 24 listopada 2026 09:00:00 CET użytkownik {_WHO} napisał:",
    "pt": f"Em terça-feira, 24 de novembro de 2026 às 09:00:00 WET, {_WHO} escreveu:",
}
_FIELDS = {
    "en": ("From", "Sent", "To", "Subject"),
    "it": ("Da", "Inviato", "A", "Oggetto"),
    "de": ("Von", "Gesendet", "An", "Betreff"),
    "fr": ("De", "Envoyé", "À", "Objet"),
    "es": ("De", "Enviado el", "Para", "Asunto"),
    "nl": ("Van", "Verzonden", "Aan", "Onderwerp"),
    "pl": ("Od", "Wysłano", "Do", "Temat"),
    "pt": ("De", "Enviado", "Para", "Assunto"),
}
_PHONES = {
    "en": ("Sent from my iPhone", "-------- Original message --------"),
    "it": ("Inviato da iPhone", "-------- Messaggio originale --------"),
    "de": ("Von meinem iPhone gesendet", "-------- Ursprüngliche Nachricht --------"),
    "fr": ("Envoyé de mon iPhone", "-------- Message d'origine --------"),
    "es": ("Enviado desde mi iPhone", "-------- Mensaje original --------"),
    "nl": ("Verstuurd vanaf mijn iPhone", "-------- Oorspronkelijk bericht --------"),
    "pl": ("Wysłane z iPhone'a", "-------- Oryginalna wiadomość --------"),
    "pt": ("Enviado do meu iPhone", "-------- Mensagem original --------"),
}


def quotations() -> Iterator[tuple[str, str, str]]:
    """Client, language, and what it adds to the own words."""
    marked = "\n".join(f"> {line}".rstrip() for line in QUOTED.split("\n"))
    for language in OWN:
        yield "gmail", language, f"{_GMAIL[language]}\n\n{marked}"
        yield "gmail-wrapped", language, f"{_wrapped(_GMAIL[language])}\n\n{marked}"
        yield "apple", language, f"{_APPLE[language]}\n\n{marked}"
        yield "thunderbird", language, f"{_THUNDERBIRD[language]}\n{marked}"
        yield "yahoo", language, f"    {_YAHOO[language]}  \n \n {QUOTED}"
        yield "outlook", language, f"{_fields(language)}\n\n{QUOTED}"
        yield "outlook-web", language, f"{'_' * 32}\n{_fields(language)}\n\n{QUOTED}"
        signature, separator = _PHONES[language]
        yield "iphone", language, f"{signature}\n\n{_APPLE[language]}\n\n{marked}"
        yield "android", language, f"{separator}\n{_fields(language)}\n\n{QUOTED}"


def _wrapped(line: str) -> str:
    """As Gmail does: before the address."""
    at = max(line.find(" <"), line.find(" (<"))
    return f"{line[:at]}\n{line[at + 1 :]}"


def _fields(language: str) -> str:
    colon = " :" if language == "fr" else ":"
    values = (_WHO, "24 November 2026 09:00", "Jane Doe <jane@example.com>", "Offers of the week")
    lines = zip(_FIELDS[language], values, strict=True)
    return "\n".join(f"{name}{colon} {value}" for name, value in lines)
