"""Rules of mailbox providers: tags, dots and domains that reach one mailbox.

Only rules a provider states itself, and only where it is one name space: yahoo.com and
yahoo.it are two people, a Hide My Email relay is nobody but itself. A change of any rule
here changes stored keys: raise `addresses.NORM_VERSION` with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MailboxProvider:
    """How one domain's owner reads the part before the @. `+tag` always falls away.

    `domain` is the name under which its aliases are kept; `ignores_dots` as at Gmail.
    """

    domain: str
    ignores_dots: bool = False

    def mailbox_address(self, local: str) -> str:
        """The mailbox that a canonical local part reaches, as a canonical address."""
        if local[0] == '"':  # a quoted local part is literal
            return f"{local}@{self.domain}"
        # A leading plus has nothing before it to be a tag of.
        name = local.partition("+")[0] or local
        if self.ignores_dots:
            name = name.replace(".", "") or name
        return f"{name}@{self.domain}"


def _build_providers() -> dict[str, MailboxProvider]:
    # Dots, tags and the German and British name: support.google.com/mail/answer/7436150
    gmail = MailboxProvider("gmail.com", ignores_dots=True)
    # One account owns all of its name's domains: proton.me/support/addresses-and-aliases
    proton = MailboxProvider("proton.me")
    # Addresses of @mac.com and @me.com got the same name at @icloud.com:
    # support.apple.com/102540
    icloud = MailboxProvider("icloud.com")
    rules = {
        **dict.fromkeys(("gmail.com", "googlemail.com"), gmail),
        **dict.fromkeys(("proton.me", "protonmail.com", "protonmail.ch", "pm.me"), proton),
        **dict.fromkeys(("icloud.com", "me.com", "mac.com"), icloud),
    }
    # Outlook.com reads tags at each of its domains, but the domains are separate names.
    national = ("com", "it", "de", "fr", "es", "at", "be", "dk", "ie", "pt", "co.uk")
    for brand in ("outlook", "hotmail", "live"):
        rules |= {f"{brand}.{top}": MailboxProvider(f"{brand}.{top}") for top in national}
    # fastmail.help: plus addressing; each domain is a name space of its own.
    for domain in ("msn.com", "fastmail.com", "fastmail.fm"):
        rules[domain] = MailboxProvider(domain)
    return rules


PROVIDERS: Mapping[str, MailboxProvider] = _build_providers()
"""The known providers by canonical domain."""
