"""What callers name: places, people, numbers of things, addresses, and free text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from offhook.speech.tools.dates import DAYS, MONTHS, Found
from offhook.speech.tools.words import STOP, stem, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TAKEN = "\x00"
"""Stands where something was that has been taken already."""

VERBS = frozenset(
    map(
        stem,
        """add book buy cancel change check close create delete do fetch find go look
        lookup make need open order place play put read remind remove reserve run say
        schedule search see send set show speak start stop switch talk tell text
        transfer turn update write enable disable activate deactivate mute
        unmute""".split(),
    )
)
NOBODY = (
    STOP
    | DAYS
    | MONTHS
    | frozenset(
        """everyone hello hey thanks thank yes yeah no sure well so tomorrow tonight
    yesterday morning afternoon evening noon moment minute second hour while again soon
    later it's what's how's where's i'm i'd i'll let's celsius fahrenheit mister mr mrs
    miss doctor don't doesn't can't""".split()
    )
)
_CAPITAL = r"[^\W\d_a-zß-öø-ÿ]"
_PARTICLE = r"(?:de|del|della|da|la|le|of|van|von|der|den|upon|sur|am)"
_TITLE = r"(?:(?:St|Mt|Dr|Mr|Mrs|Ms|Prof)\. )?"
_NAME = (
    rf"(?:\d+ (?={_CAPITAL}))?{_TITLE}{_CAPITAL}[\w'\u2019-]*"
    rf"(?: (?:{_PARTICLE} )?{_CAPITAL}[\w'\u2019-]*)*"
)
_END = (
    r"(?= (?:today|tomorrow|tonight|yesterday|now|right|please|on|at|in|for|and|with|"
    r"this|next|to|from|by|or|is|are|was|will|when|if|that|because|be|like|looking|"
    r"going|last|during|then|but|over|under|saying|about|using|as)\b| ?[^\w' -]|\s*$)"
)
_POLITE = (
    r"(?:(?:hey|hi|hello|ok|okay|so|um|uh|well|now|please|then|and|also|"
    r"(?:can|could|would|will) you|i(?:'d| would)? (?:want|like|need)(?: you)? to|"
    r"(?:help|let) me)\b[\s,.!]*)*"
)
_SAYING = re.compile(
    r"[\s,]*(?:\b(?:saying|(?:that|which|and|it should) says?|that reads|to say|"
    r"(?:with|and) the (?:message|text|body|note|words)|"
    r"(?:tell(?:ing)?|remind|inform|let|message|text) (?:me|him|her|them|us|\w+)"
    r"(?: know)? (?:that|to|about)|remind me\b.{1,40}? (?:to|that|about)|"
    r"because(?: of)?|due to|"
    r"(?:message|text|body|note|reminder|reason)(?: is| that| to|:))"
    r"[\s,:]+(?:that )?|:\s+)(?P<said>\S.*)$",
    re.IGNORECASE | re.DOTALL,
)
_BEGIN = re.compile(r"\A[\w']+|(?<=[.?!] )[\w']+")
_QUOTED = re.compile(r"[\"“](?P<said>[^\"“”]+)[\"”]")
_ABOUT = re.compile(
    r"\b(?:about|regarding|concerning|called|named|titled|entitled|"
    r"(?:with the )?subject(?: is)?)"
    rf"[\s:]+(?P<said>(?:[^\s,.?!;\x00]+ ){{0,9}}?[^\s,.?!;\x00]+){_END}",
    re.IGNORECASE,
)
_SEARCH = re.compile(
    r"\b(?:(?:search|look(?:ing)?|google|query|hunt)(?: \w+){0,3}? (?:for|up|about)|"
    r"(?:find|search|google|look up|looking for|about|regarding)"
    r"(?: me| out)?(?: about)?)"
    r"\s+(?P<said>\S.*)$",
    re.IGNORECASE | re.DOTALL,
)
_ASKS = re.compile(
    r"(?:what|who|where|when|why|how|which|is|are|do|does|i (?:do not|don't))\b"
)
_EMAIL = re.compile(
    r"\b(?P<who>[\w.+-]{1,64}(?: (?:dot|underscore) [\w-]{1,64}){0,3}?)(?:@| at )"
    r"(?P<where>[\w-]{1,64}(?:(?: dot |\.)[\w-]{1,64}){1,3})",
    re.IGNORECASE,
)
_URL = re.compile(
    r"\b(?:https?://)?(?:[\w-]{1,64}\.){1,5}[a-z]{2,20}(?:/[^\s,\x00]*)?\b", re.I
)
_PHONE = re.compile(r"\+?\(?\d[\d ().-]{4,}\d")
_CODE = re.compile(
    r"(?<![\w.+-])(?:[A-Z][ .-]{1,2}){0,4}(?:[A-Z]{2,5} )?"
    r"(?:[A-Za-z]{1,5}-?)?\d[\w-]*(?:[ ,]{1,2}(?:\d[\w-]*|[A-Z]\b|oh\b))*"
)


def plain_request(text: str) -> str:
    """A text without the words that only make it polite."""
    return _trimmed(re.sub(rf"^{_POLITE}", "", text.strip(), flags=re.IGNORECASE))


def _trimmed(text: str) -> str:
    text = re.sub(r"[\s,]*\b(?:please|thanks|thank you)\W*$", "", text, flags=re.I)
    return text.strip(f' \t\n.,;:?!"{TAKEN}')


def saying(text: str) -> Found[str] | None:
    """The words of a message, and all that leads to them."""
    if quoted := _QUOTED.search(text):
        return Found(quoted["said"].strip(), *quoted.span())
    found = _SAYING.search(text)
    if not found or not (said := _trimmed(found["said"])):
        return None
    return Found(said[0].upper() + said[1:], *found.span("said"))


def about(text: str) -> Found[str] | None:
    """What something is about."""
    found = _ABOUT.search(text)
    return Found(found["said"].strip(), *found.span()) if found else None


def searched(text: str, *, anyway: bool) -> str:
    """What somebody looks for; `anyway` all they say, where nobody can tell."""
    found = _QUOTED.search(text) or _SEARCH.search(text)
    return plain_request(found["said"] if found else text) if found or anyway else ""


def email(text: str) -> Found[str] | None:
    """An address of mail, as it is written or as it is said."""
    found = _EMAIL.search(text)
    if not found:
        return None
    address = f"{found['who']}@{found['where']}".lower()
    address = address.replace(" dot ", ".").replace(" underscore ", "_")
    return Found(address, *found.span())


def url(text: str) -> Found[str] | None:
    """An address of a page."""
    found = _URL.search(text)
    if not found:
        return None
    address = found[0] if "://" in found[0] else f"https://{found[0]}"
    return Found(address, *found.span())


def phone(text: str) -> Found[str] | None:
    """A telephone number, in digits alone."""
    found = _PHONE.search(text)
    return Found(re.sub(r"[ ().-]", "", found[0]), *found.span()) if found else None


def codes(text: str) -> Iterator[Found[str]]:
    """Numbers that name something: "4 5 1 7", "A-17", "B C 12"."""
    for found in _CODE.finditer(text):
        tokens = (
            re.sub(r"\boh\b", "0", found[0].removeprefix("I "))
            .replace(",", " ")
            .split()
        )
        code = "".join(tokens).rstrip("-").replace(".", "")
        if re.fullmatch(r"\d(?:-\d)+", code):
            code = code.replace("-", "")
        yield Found(code, *found.span())


def named(
    text: str, before: str, is_known: Callable[[str], bool], *, anywhere: bool
) -> Found[list[str]] | None:
    """Names in capitals: "Paris", or several of them.

    Args:
        text: Where to look.
        before: The words that lead to a name, as alternatives of a pattern.
        is_known: Whether a word is said for another reason.
        anywhere: Whether a name may stand without such a word.
    """
    joint = rf"(?:, (?:and )?| and | or )(?:(?:the|{before}) )?"
    several = rf"{_NAME}(?:{joint}{_NAME})*"
    led = re.compile(rf"\b(?i:{before})\s+(?:(?i:the|my) )?(?P<names>{several})")
    free = re.compile(rf"(?<![\w'])(?P<names>{several})")
    begun = _BEGIN.sub(_without_question_word, text)
    for pattern, where in ((led, text), (free, begun)) if anywhere else ((led, text),):
        for found in pattern.finditer(where):
            start, end = found.span("names")
            names = found["names"]
            if pattern is free:
                names = re.sub(r"['\u2019]s?$", "", names)
                after = words(text[end:])[:1]
                begins = not text[:start].rstrip() or text[:start].rstrip()[-1] in ".?!"
                if begins and not (after and is_known(after[0])):
                    continue
            listed = _items(names, joint)
            if listed and not any(_is_nobody(name, is_known) for name in listed):
                return Found(listed, found.start(), end)
    return None


def _without_question_word(begin: re.Match[str]) -> str:
    """Keep the capital that only begins a sentence from being read as a name's."""
    return TAKEN * len(begin[0]) if begin[0].lower() in NOBODY else begin[0]


def loose(text: str, before: str, is_known: Callable[[str], bool]) -> Found[str] | None:
    """A name without capitals, after one of the words that lead to it."""
    pattern = re.compile(
        rf"\b(?:{before})\s+(?:(?:the|my) )?"
        rf"(?=(?P<name>[\w'-]+(?: [\w'-]+){{0,3}}?){_END})",
        re.IGNORECASE,
    )
    for found in pattern.finditer(text):
        name = found["name"]
        begins = words(name)[:1]
        if not (
            name[0].isdigit()
            or any(map(is_known, begins))
            or _is_nobody(name, is_known)
        ):
            return Found(name, found.start(), found.end("name"))
    return None


def leftover(
    text: str,
    is_known: Callable[[str], bool],
    *,
    several: bool = False,
    besides: frozenset[str] = NOBODY,
) -> list[str]:
    """What is left of a request when all is taken away that is said for a reason.

    Args:
        text: The request.
        is_known: Whether a word is said for another reason.
        several: Whether to look for a list.
        besides: More words that are said for another reason.
    """
    runs: list[list[str]] = [[]]
    for token in re.findall(r"[^\s,.?!;:\"]+|[,.?!;:]", text):
        word = (words(token) or [""])[0]
        joins = several and (token == "," or word.lower() in ("and", "or"))
        if not joins and (
            not word
            or TAKEN in token
            or word.lower() in besides
            or word.isdigit()
            or stem(word) in VERBS
            or is_known(word)
        ):
            runs.append([])
        else:
            runs[-1].append(token)
    run: list[str] = max(runs, key=len)
    longest = " ".join(run).replace(" ,", ",").strip(", ")
    if not several:
        return [longest] if longest else []
    return _items(longest, r"(?:, (?:and |or )?| and | or |^(?:and|or) )")


def listed(text: str) -> list[str]:
    """The items of "a, b and c"."""
    return _items(text, r"(?:, (?:and |or )?| and | or )")


def is_question(text: str) -> bool:
    """Whether somebody asks, rather than answers."""
    return _ASKS.match(text.strip().lower()) is not None


def bare(text: str) -> str:
    """An answer without the words around it: "It's in Paris, please." says "Paris"."""
    text = plain_request(text)
    text = re.sub(
        r"^(?:(?:it's|it is|that's|that is|that would be|make it|i mean|let's say|"
        r"(?:the|my) [\w ]{1,20} is|use|in|at|for|to|of|on|the|is|under|called|named)"
        r"\b[\s,:]*)+(?=\S)",
        "",
        text,
        flags=re.IGNORECASE,
    )
    return text


def _items(names: str, joint: str) -> list[str]:
    """Split what is a list; a comma alone belongs to the name, as in "Paris, Texas"."""
    if not re.search(r"\b(?:and|or)\b", names, re.IGNORECASE):
        return [names] if names else []
    return [item.strip() for item in re.split(joint, names) if item.strip()]


def _is_nobody(name: str, is_known: Callable[[str], bool]) -> bool:
    said = words(name)
    first = said[0] if said else ""
    return (
        not first
        or first.lower() in NOBODY
        or all(is_known(word) for word in said)
        or (first.isdigit() and len(said) == 1)
    )
