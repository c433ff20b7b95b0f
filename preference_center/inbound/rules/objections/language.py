"""`ObjectionLanguage` reads a table of words: how one language objects to advertising.

A table is read and compiled when it is first used. All tables take a third of a second, so a
process that reads no reply should not compile them.

A table lists words by kind, as `normalize_text` returns them: lower case, no accents, no
punctuation but commas. `grammar` says which kinds make a request. In an entry

- a new line and `|` separate entries; `(...)`, `?`, `[...]` and `*` mean what they mean in a
  regular expression,
- `{kind}` is any entry of another kind,
- `~` is a gap of at most three words, `~~` of at most eight.

Every gap is bounded and every sentence is cut, so the time is linear in the text.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

_CHARACTER_REPLACEMENTS = str.maketrans(
    {"\u0142": "l", "\u00f8": "o", "\u0111": "d", "\u00df": "ss", "\u00e6": "ae", "\u0153": "oe"}
)


_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")


_QUOTATION = re.compile(
    '"[^"\n]{1,200}"|[\u201c\u201e][^\u201c\u201d\n]{1,200}[\u201c\u201d]'
    "|\u00ab[^\u00ab\u00bb\n]{1,200}\u00bb|(?<!\\w)'[^'\n]{1,200}'(?!\\w)"
)


_BEFORE_END = re.compile(r"(?<= quoted) (?=[.!?])")
"""Else the end of a sentence would be none."""


_ADDRESS = re.compile(r"(?<!\S)[^\s@]{1,64}@[^\s@]{1,255}")


_LINK = re.compile(r"(?:https?://|www\.)\S{1,2000}")


_PUNCTUATION = re.compile(
    r"[,;:()\[\]|\u2026\u2022]+|(?<!\d)/|/(?!\d)|(?<=\s)[-\u2013\u2014]+(?=\s)|[\u2013\u2014]"
)


_NON_WORD = re.compile(r"[^\w,]+|_+")


_COMMAS = re.compile(r"(?: ?,)+ ?")


_DOUBLED = re.compile(r"(.)\1")


_LEAST, _MOST = 6, 40
"""Characters of a word whose typing errors are corrected."""


def normalize_text(text: str) -> str:
    """In lower case, without accents and invisible characters, with plain quotes."""
    lower = _INVISIBLE.sub("", text).replace("\u2019", "'").casefold()
    apart = unicodedata.normalize("NFKD", lower)
    return "".join(c for c in apart if not unicodedata.combining(c)).translate(
        _CHARACTER_REPLACEMENTS
    )


def remove_quotations(text: str) -> str:
    """Plain text without quoted passages: others wrote those."""
    return _BEFORE_END.sub("", _QUOTATION.sub(" quoted ", text))


def mask_addresses(text: str, sender: str) -> str:
    """Plain text with the word `myaddress` for the sender's, `otheraddress` for any other."""

    def name(found: re.Match[str]) -> str:
        address = found[0].strip("<>().,;:!?\"'")
        return " myaddress " if address == sender else f" {OTHER_ADDRESS} "

    return _LINK.sub(" link ", _ADDRESS.sub(name, text))


def tokenize(sentence: str) -> str:
    """A plain sentence as words separated by one space; commas where one would pause."""
    paused = _PUNCTUATION.sub(" , ", sentence)
    bare = _NON_WORD.sub(" ", paused).replace(",", " , ")
    return " ".join(_COMMAS.sub(" , ", f" {bare} ").split()).strip(" ,")


class SpellingCorrector:
    """Corrects one typing error in a long word to the table's word that it must be.

    The error may be an extra, missing or wrong character, or two exchanged ones. The first
    character and the ending must match: they distinguish words, "anmelden", "unsubscribed".
    In an inflected verb only doubled characters are corrected: "suprimez", but not "arrivano",
    which "arrivino" resembles.
    """

    def __init__(
        self,
        words: Collection[str],
        alike: Collection[str],
        is_known: Callable[[str], bool],
        inflected: Collection[str] = (),
    ) -> None:
        """Of several words that it may be, all must be of those `alike`: any is as good."""
        self._by_single = {_DOUBLED.sub(r"\1", word): word for word in inflected}
        self._words = frozenset(words)
        self._alike = frozenset(alike)
        self._is_known = is_known
        near: dict[str, set[str]] = defaultdict(set)
        for word in words:
            for form in (word, *_deletions(word)):
                near[form].add(word)
        self._near: Mapping[str, set[str]] = near

    def correct(self, text: str) -> str:
        """The text with its long words corrected."""
        return " ".join(self._correct_word(word) for word in text.split(" "))

    def _correct_word(self, word: str) -> str:
        if not _LEAST <= len(word) <= _MOST or word in self._words:
            return word
        meant = {
            known
            for form in (word, *_deletions(word))
            for known in self._near.get(form, ())
            if known[0] == word[0] and _same_ending(known, word)
        }
        if not meant:
            meant = {self._by_single.get(_DOUBLED.sub(r"\1", word), word)}
        is_certain = len(meant) == 1 or meant <= self._alike
        return min(meant) if is_certain and not self._is_known(word) else word


def _same_ending(known: str, word: str) -> bool:
    """Whether the ending is the same, in another order, or lacks a character before the last."""
    return (
        known[-2:] == word[-2:]
        or (len(word) < len(known) and known[-1] == word[-1])
        or (len(word) == len(known) and sorted(known[-3:]) == sorted(word[-3:]))
    )


def _deletions(word: str) -> list[str]:
    return [word[:at] + word[at + 1 :] for at in range(1, len(word))]


MISTYPED_STOPS = frozenset({"tsop", "sotp", "stpo"})
"""The word stop with two neighbouring letters exchanged."""


OTHER_ADDRESS = "otheraddress"
"""Stands for an address that is not the writer's: theirs of the future, or of somebody else."""


MAX_SENTENCE_LENGTH = 400
"""Characters of a sentence that are read."""


_WORD = re.compile(r"(?<![\w\])?])[a-z]{7,}(?![\w\[(?*+])")


_STEM = re.compile(r"(?<![\w\])?])([a-z]{3,})\(\?:([a-z|]+)\)(?![\w\[(?*+])")
"""A stem and its endings in a compiled table: `retir(er|ez)`."""


_ESSENTIAL = (
    "not",
    "leave",
    "remove",
    "removed",
    "stop",
    "object",
    "right",
    "withdraw",
    "peace",
    "enough",
)
"""Each rule of `grammar` has one of these kinds."""


_MAX_KNOWN = 5_000


_ELIDING = frozenset({"fr", "it"})
"""Languages that write an apostrophe between a short word and a vowel."""


_ELISION = re.compile("(c|d|j|l|m|n|s|t|qu|dell|dall|all|nell)([aehiouy][a-z]{3,})")


_SPOKEN_ENDINGS = (("([a-z]{3,})ts", r"\1t"), ("([a-z]{2,}[^aeiou])n", r"\1en"))
"""Endings of German dialects and what is written: "nehmts" is "nehmt", "Listn" is "Listen"."""


@dataclass(frozen=True)
class ObjectionLanguage:
    """The table of one language, `<code>.toml` next to this module. `code` is BCP 47."""

    code: str

    @cached_property
    def _table(self) -> Mapping[str, str]:
        table = files(__package__).joinpath(f"{self.code}.toml").read_text(encoding="utf-8")
        return {
            kind: "|".join(filter(None, text.split("\n")))
            for kind, text in tomllib.loads(table).items()
        }

    @cached_property
    def patterns(self) -> Mapping[str, re.Pattern[str]]:
        """What finds the words of each kind."""
        return {
            kind: self._compile(text) for kind, text in self._table.items() if kind != "text_speak"
        }

    @cached_property
    def negation(self) -> re.Pattern[str]:
        """Finds what reverses a request."""
        return self._compile("{not}|{reversal}")

    @cached_property
    def essential(self) -> re.Pattern[str]:
        """Finds the words of which each request has one: most clauses have none."""
        return self._compile("|".join(f"{{{kind}}}" for kind in _ESSENTIAL))

    @cached_property
    def courtesy_between_commas(self) -> re.Pattern[str]:
        """Finds a courtesy between commas."""
        return re.compile(rf" ,{self.patterns['courtesy'].pattern.join((' ', ' '))},(?= )")

    @cached_property
    def spoken_pause(self) -> re.Pattern[str]:
        """Finds where a clause goes on with another subject, or with thanks and a name."""
        return self._compile(r"{spoken_pause}|({farewell})( [^ ,]+){0,4}\Z")

    @cached_property
    def clause_end(self) -> re.Pattern[str]:
        """Finds the end of a clause: a conjunction, or a comma but before a `subordinate`."""
        goes_on = self.patterns["subordinate"].pattern
        joins = "|".join(self.patterns[kind].pattern for kind in ("otherwise", "conjunction"))
        return re.compile(rf"(?<![^ ]),(?! {goes_on})|{joins}")

    @cached_property
    def spelling_corrector(self) -> SpellingCorrector:
        """Corrects typing errors to the longer words of the table."""
        sources = " ".join(pattern.pattern for pattern in self.patterns.values())
        inflected = [
            stem + ending
            for stem, endings in _STEM.findall(sources)
            for ending in endings.split("|")
        ]
        return SpellingCorrector(
            [*_WORD.findall(sources.replace("\\", " ")), "newsletter", "newsletters"],
            _WORD.findall(self._table["leaving"]),
            self.knows,
            inflected,
        )

    def knows(self, word: str) -> bool:
        """Whether the table has the word, alone."""
        if word not in self._known:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[word] = not word.isalpha() or any(
                each.fullmatch(word) for each in self.patterns.values()
            )
        return self._known[word]

    @cached_property
    def _known(self) -> dict[str, bool]:
        """What `knows` found, up to `_MAX_KNOWN` words: most mails use the same ones."""
        return {}

    @cached_property
    def stop_words(self) -> frozenset[str]:
        """Single words and short phrases that object alone, in a mail and in a text message."""
        return frozenset(self._table["stop_words"].split("|"))

    @cached_property
    def stop_words_by_text(self) -> frozenset[str]:
        """More of them, which do so in a text message only."""
        return frozenset(self._table["stop_words_by_text"].split("|")) - {""}

    def normalize_spelling(self, text: str) -> str:
        """Words in the spelling of the table.

        `oe` is `o` in German, as its accent is gone; `ki` is `qui` in Spanish.
        """
        if self.code == "de":
            text = text.replace("ae", "a").replace("oe", "o").replace("ue", "u")
        if self.code == "es":
            text = re.sub("k(?=[ei][a-z]{2})", "qu", text)
        text = re.sub(r"(?<![^ ])e mail", "email", text)
        if text in MISTYPED_STOPS:
            return "stop"
        return " ".join(self._text_speak.get(word, self._written(word)) for word in text.split())

    def _written(self, word: str) -> str:
        """The word of the table that an unknown word is short for."""
        if self.code != "de":
            return self._elided(word)
        written = (
            re.sub(spoken, ending, word)
            for spoken, ending in _SPOKEN_ENDINGS
            if re.fullmatch(spoken, word) and not self.knows(word)
        )
        return next(filter(self.knows, written), word)

    def _elided(self, word: str) -> str:
        """A word with its missing apostrophe, as a space: "menvoyer" is "m envoyer" in French."""
        found = _ELISION.fullmatch(word) if self.code in _ELIDING else None
        if found is None or self.knows(word) or not self.knows(found[2]):
            return word
        return f"{found[1]} {found[2]}"

    @cached_property
    def _text_speak(self) -> Mapping[str, str]:
        pairs = (pair.partition("=") for pair in self._table["text_speak"].split("|"))
        return {short.strip(): long.strip() for short, _, long in pairs}

    def _compile(self, phrases: str) -> re.Pattern[str]:
        for _ in range(3):  # kinds may contain kinds
            phrases = re.sub(r"\{([a-z_]+)\}", lambda kind: f"({self._table[kind[1]]})", phrases)
        source = re.sub(r"\((?!\?)", "(?:", phrases)
        source = source.replace("~~", "(?: [^ ,]+){0,8}").replace("~", "(?: [^ ,]+){0,3}")
        return re.compile(rf"(?<![^ ,])(?:{source or '(?!)'})(?![^ ,])")
