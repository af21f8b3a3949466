"""Full text: the words of a text, and what a search for some of them finds (reference 10.9).

Decides what a word is: ASCII letters and digits in lower case, Latin-1 letters by their base letter; every other
character separates, so that other scripts are not found. A search is words in any order, all of which must occur;
`-word` must not, `word*` may go on. Knows no queries. Called by binding.py, which refuses bad searches, and
predicate.py; core/fullText.js is its twin and cuts the same words.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_LETTERS = {chr(code): chr(code).lower() for code in range(ord("A"), ord("Z") + 1)}
_BASES = {"ÀÁÂÃÄÅàáâãäå": "a", "Ææ": "æ", "Çç": "c", "ÈÉÊËèéêë": "e", "ÌÍÎÏìíîï": "i", "Ðð": "ð", "Ññ": "n",
          "ÒÓÔÕÖòóôõö": "o", "Øø": "ø", "ÙÚÛÜùúûü": "u", "Ýýÿ": "y", "Þþ": "þ", "ß": "ß"}  # fmt: skip
_FOLDED = str.maketrans(_LETTERS | {letter: base for letters, base in _BASES.items() for letter in letters})
_WORD = re.compile(r"[a-z0-9æðøþß]+")


def words(text: str) -> list[str]:
    """The words of a text, folded, in order."""
    return _WORD.findall(text.translate(_FOLDED))


def search_problem(search: str) -> str:
    """Why this is no search, in Realm's words; "" if it is one."""
    included, prefixes, excluded = _parts(search)
    for found in (*included, *prefixes, *excluded):
        if len(found) > 1:
            return "Non alphanumeric characters not allowed inside search word"
    if {found[0] for found in excluded} & {found[0] for found in (*included, *prefixes)}:
        return "You can't include and exclude the same token"
    return ""


def compile_search(search: str) -> Callable[[str | None], bool]:
    """A function from texts to whether a search without a problem finds them. Null has no words; a search for no word
    at all finds nothing."""
    included, prefixes, excluded = ({found[0] for found in group} for group in _parts(search))
    starts = tuple(prefixes)

    def finds(text: str | None) -> bool:
        found = set(words(text)) if text else set()
        if not included <= found or not excluded.isdisjoint(found):
            return False
        return all(any(word.startswith(start) for word in found) for start in starts)

    return finds if included or prefixes or excluded else lambda text: False


def _parts(search: str) -> tuple[list[list[str]], list[list[str]], list[list[str]]]:
    """What must occur, what must begin a word, and what must not occur: each the words cut of one written word."""
    included: list[list[str]] = []
    prefixes: list[list[str]] = []
    excluded: list[list[str]] = []
    for written in re.split(r"[ \t\r\n]+", search):
        if found := words(written):
            excludes, begins = written.startswith("-"), written.endswith("*")
            (excluded if excludes else prefixes if begins else included).append(found)
    return included, prefixes, excluded
