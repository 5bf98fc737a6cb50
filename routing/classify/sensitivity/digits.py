"""Numbers that prove themselves: cards, accounts, and numbers of people that carry check digits. Pure.

ISO/IEC 7812 for cards, ISO 13616 for IBAN, the NHS data dictionary, INSEE for the French number, GKV-Spitzenverband for
the German one, and the Social Security Administration for which numbers there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

# Length of an IBAN by country (the SWIFT registry).
IBAN_LENGTHS: Final = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18,
    "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24,
    "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24,
    "XK": 20,
}  # fmt: skip
# How cards are printed: their groups of digits.
_PRINTED: Final = frozenset({(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3)})


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    total = 0
    for place, one in enumerate(reversed(digits)):
        value = int(one) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def is_card(digits: str) -> bool:
    """A number that a network of cards gives, of the length that it gives, whose check digit is right."""
    if not 13 <= len(digits) <= 19 or digits[0] not in "23456" or len(set(digits)) < 2:
        return False
    return len(digits) in _lengths(digits) and luhn(digits)


def _lengths(digits: str) -> Sequence[int]:
    two, three, four = int(digits[:2]), int(digits[:3]), int(digits[:4])
    if digits[0] == "4":
        return (13, 16, 19)
    if 51 <= two <= 55 or 2221 <= four <= 2720:
        return (16,)
    if two in (34, 37):
        return (15,)
    if two in (36, 38, 39) or 300 <= three <= 305:
        return (14, 16)
    if four == 6011 or two in (62, 65) or 644 <= three <= 649:
        return (16, 17, 18, 19)
    return (16,) if 3528 <= four <= 3589 else ()


def holds_card(groups: Sequence[str]) -> bool:
    """Whether groups of digits that stand beside each other are a card, or some of them: its expiry may follow."""
    sizes = tuple(map(len, groups))
    if max(sizes) >= 13 and any(is_card(one) for one in groups):
        return True
    if 4 not in sizes:
        return False
    for size in (4, 3, 5):
        for start in range(len(groups) - size + 1):
            if sizes[start : start + size] in _PRINTED and is_card("".join(groups[start : start + size])):
                return True
    return False


def is_iban(text: str) -> bool:
    """Without spaces, of its country's length, and 1 modulo 97 (ISO 7064)."""
    if IBAN_LENGTHS.get(text[:2]) != len(text) or not text.isalnum() or not text.isascii():
        return False
    return int("".join(str(int(one, 36)) for one in text[4:] + text[:4])) % 97 == 1


def is_ssn(groups: Sequence[str]) -> bool:
    """An American social security number that may have been given: no area 000, 666 or from 900 on, no zeros."""
    if tuple(map(len, groups)) != (3, 2, 4):
        return False
    area, group, serial = groups
    return area not in ("000", "666") and area[0] != "9" and group != "00" and serial != "0000"


def is_nhs(digits: str) -> bool:
    """England's, ten digits, modulo 11."""
    if len(digits) != 10 or len(set(digits)) < 3:
        return False
    check = 11 - sum(int(one) * (10 - place) for place, one in enumerate(digits[:9])) % 11
    return int(digits[9]) == (0 if check == 11 else check)


def is_nir(digits: str) -> bool:
    """France's, fifteen digits: sex, year, month, place, order, and a key modulo 97. Corsica has letters; not read."""
    if len(digits) != 15 or digits[0] not in "12":
        return False
    month = int(digits[3:5])
    return (1 <= month <= 12 or 20 <= month <= 42) and int(digits[13:]) == 97 - int(digits[:13]) % 97


def is_kvnr(text: str) -> bool:
    """Germany's, a letter and nine digits, the last of which checks the others."""
    if len(text) != 10 or not "A" <= text[0] <= "Z" or not text[1:].isdigit():
        return False
    total = 0
    for place, one in enumerate(f"{ord(text[0]) - 64:02d}{text[1:9]}"):
        value = int(one) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == int(text[9])
