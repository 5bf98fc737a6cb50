"""People in a text: numbers that are somebody's, and marks of a person that stand close to each other. Pure.

A name, an e-mail address or a telephone number alone says little, and texts are full of them: it takes two marks of
different kinds, one of which says where a person is to be found or when they were born.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

from routing.classify.sensitivity.digits import IBAN_LENGTHS, holds_card, is_iban, is_kvnr, is_nhs, is_nir, is_ssn
from routing.classify.types import Kind

# Marks that are so close are about the same person.
CLOSE: Final = 300
# Of one kind in one text; more say nothing new.
_MOST_MARKS: Final = 200
# Each begins with what it is found by, and says then what may not stand before that: so it is looked for fast.
NUMBERS: Final = re.compile(r"\d(?<![\w.]\d)\d{0,39}(?:[ -]\d{1,40}){0,12}(?![\w])")
IBAN: Final = re.compile(r"[A-Z](?<![A-Za-z0-9][A-Z])[A-Z]\d{2}(?=(?: ?[A-Z0-9]){11})")
KVNR: Final = re.compile(r"[A-Z](?<![A-Za-z0-9][A-Z])\d{9}(?![A-Za-z0-9])")
EMAIL: Final = re.compile(r"(?<=[A-Za-z0-9_-])@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,4}")
PHONE: Final = re.compile(
    r"[+(0-9](?<![\w.+].)(?:(?<=\+)\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,4}(?:[ .-]?\d{2,4}){2,4}"
    r"|(?<=\()\d{3}\) ?\d{3}[-.]\d{4}|(?<=\d)\d{2}[-.]\d{3}[-.]\d{4}|(?<=0)\d{2,4}[ /-]\d{3,4}[ -]?\d{3,5})(?![\w-])"
)
NAME: Final = re.compile(
    r"(?<![\w])(?:(?:Mr|Mrs|Ms|Dr|Prof|Herrn?|Frau|Mme|Sra?)\.? [A-ZÀ-Þ][\w'’-]{1,20}"
    r"|(?:[Ff]ull |[Ll]ast |[Ff]irst |[Cc]ustomer |[Pp]atient |[Ee]mployee )?(?:[Nn]ame|NAME|[Pp]atient|PATIENT"
    r"|[Cc]ustomer|[Ee]mployee|[Aa]pplicant|[Ii]nsured|[Cc]laimant)"
    r"(?: name)?"
    r"[\"']?(?:: {0,3}|, | is | )[\"']?[A-ZÀ-Þ][\w'’-]{1,20}"
    r" (?:[A-Z]\. )?[A-ZÀ-Þ][\w'’-]{1,20}|[Mm]y name is [A-ZÀ-Þ][\w'’-]{1,20})"
)
ADDRESS: Final = re.compile(
    r"\d(?<![\w.]\d)\d{0,4}(?:[a-zA-Z]? (?:[NSEW]\.? )?(?:[A-ZÀ-Þ][\w'’-]{1,20} ){1,3}(?:Street|St|Avenue|Ave|Road|Rd"
    r"|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Way|Place|Square|Terrace)(?![\w])"
    r"|,? (?:rue|avenue|boulevard|place) (?:de |du |des |de la )?[A-ZÀ-Þ])"
)
GERMAN: Final = re.compile(r"(?:straße|strasse|str\.|weg|platz|gasse|allee) \d{1,4}(?![\w])")
_GERMAN: Final = ("straße", "strasse", "str.", "weg", "platz", "gasse", "allee")
BORN: Final = re.compile(
    r"(?<![a-z])(?:date of birth|dob|d\.o\.b\.|born(?: on)?|birth ?date|geboren(?: am)?|geburtsdatum|née? le)"
    r"[\"']?[ \t:]{0,4}[\"']?(?:\d{1,4}[-./ ]|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,7} \d)"
)
_BORN: Final = ("birth", "dob", "d.o.b", "born", "gebor", "geburts", "né le", "née le")
_MEDICAL: Final = (
    "diagnos", "prescri", "hiv", "chemotherap", "oncolog", "insulin", "diabet", "depressi", "schizophren", "biopsy",
    "tumor", "tumour", "pregnan", "carcinoma", "psychiatr", "bipolar", "hepatitis", "hypertens", "asthma", "epilep",
    "medical record", "mrn", "symptom", "dosage", "anamnese", "krankheit", "surgery", "antidepress", "leukemia",
)  # fmt: skip
MEDICAL: Final = re.compile(rf"(?<![a-z])(?:{'|'.join(_MEDICAL)})")
_SOCIAL: Final = re.compile(r"(?<![a-z])(?:ssn|social security)(?![a-z])")
_INSURED: Final = re.compile(r"(?<![a-z])(?:kvnr|versicherten|krankenvers|krankenkass|health insurance|insured)")
_NHS: Final = re.compile(r"(?<![a-z])(?:nhs|national health)")
# How far before a number that needs it the word may stand that says what it is.
_BEFORE: Final = 60


def of_people(text: str) -> set[Kind]:
    """`text` is one that is as long when it is lowered."""
    found: set[Kind] = set()
    lower = text.lower()
    _numbers(text, lower, found)
    if any(is_iban(one) for one in _ibans(text)):
        found.add(Kind.IBAN)
    if any(is_kvnr(one.group()) and _said(_INSURED, lower, one.start()) for one in KVNR.finditer(text)):
        found.add(Kind.HEALTH_NUMBER)
    return found | _of_someone(text, lower)


def _of_someone(text: str, lower: str) -> set[Kind]:
    """What is said of a person. Names are looked for last, and only where there is something that is about somebody."""
    where = sorted(_starts(PHONE, text) + _starts(ADDRESS, text))
    if any(one in lower for one in _GERMAN):
        where = sorted(where + _starts(GERMAN, lower))
    born = _starts(BORN, lower) if any(one in lower for one in _BORN) else []
    medical = _starts(MEDICAL, lower) if any(one in lower for one in _MEDICAL) else []
    if not (where or born or medical):
        return set()
    who = sorted((_starts(EMAIL, text) if "@" in text else []) + _starts(NAME, text))
    found = set()
    if _are_close(where, who) or _are_close(born, sorted(who + where)):
        found.add(Kind.PERSONAL)
    if _are_close(medical, sorted(who + born)):
        found.add(Kind.MEDICAL)
    return found


def _numbers(text: str, lower: str, found: set[Kind]) -> None:
    for one in NUMBERS.finditer(text):
        whole = one.group()
        if len(whole) < 9:
            continue
        groups = whole.replace("-", " ").split(" ")
        if holds_card(groups):
            found.add(Kind.CARD)
        digits = "".join(groups)
        if len(digits) == 9 and (
            (whole.count("-") == 2 and is_ssn(groups))
            or (is_ssn((digits[:3], digits[3:5], digits[5:])) and _said(_SOCIAL, lower, one.start()))
        ):
            found.add(Kind.SSN)
        if len(digits) == 15 and is_nir(digits) and not holds_card(groups):
            found.add(Kind.HEALTH_NUMBER)
        if len(digits) == 10 and is_nhs(digits) and _said(_NHS, lower, one.start()):
            found.add(Kind.HEALTH_NUMBER)


def _said(word: re.Pattern[str], lower: str, before: int) -> bool:
    return word.search(lower, max(0, before - _BEFORE), before) is not None


def _ibans(text: str) -> Iterator[str]:
    for one in IBAN.finditer(text):
        size = IBAN_LENGTHS.get(text[one.start() : one.start() + 2], 0)
        # Its groups of four, and what comes directly after them.
        near = text[one.start() : one.start() + size + size // 4 + 2]
        letters: list[str] = []
        place = 0
        while place < len(near) and len(letters) < size and (near[place].isalnum() or near[place] == " "):
            if near[place] != " ":
                letters.append(near[place])
            place += 1
        if not near[place : place + 1].isalnum():
            yield "".join(letters)


def _starts(pattern: re.Pattern[str], text: str) -> list[int]:
    return [one.start() for one in islice(pattern.finditer(text), _MOST_MARKS)]


def _are_close(ones: list[int], others: list[int]) -> bool:
    """Both ascend."""
    place = 0
    for one in ones:
        while place < len(others) and others[place] < one - CLOSE:
            place += 1
        if place < len(others) and others[place] <= one + CLOSE:
            return True
    return False
