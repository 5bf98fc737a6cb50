"""Secrets in a text: keys and tokens by how their makers write them, keys in PEM, credentials in addresses and in what
assigns them; and markings that say that a text is not for everybody. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from math import log2
from typing import Final

from routing.classify.types import Kind

# How a token begins, and the whole of it. What comes first is looked for as plain text, which is fast.
TOKENS: Final = tuple(
    (beginning, re.compile(pattern))
    for beginning, pattern in (
        ("sk-", r"sk-(?:ant-|proj-|or-|svcacct-)?[A-Za-z0-9_-]{20,200}"),
        ("AKIA", r"AKIA[A-Z0-9]{16}(?![A-Za-z0-9])"),
        ("ASIA", r"ASIA[A-Z0-9]{16}(?![A-Za-z0-9])"),
        ("ghp_", r"ghp_[A-Za-z0-9]{36}"),
        ("gho_", r"gho_[A-Za-z0-9]{36}"),
        ("ghu_", r"ghu_[A-Za-z0-9]{36}"),
        ("ghs_", r"ghs_[A-Za-z0-9]{36}"),
        ("ghr_", r"ghr_[A-Za-z0-9]{36}"),
        ("github_pat_", r"github_pat_[A-Za-z0-9_]{50,90}"),
        ("glpat-", r"glpat-[A-Za-z0-9_-]{20}"),
        ("xox", r"xox[abprs]-[A-Za-z0-9-]{20,200}"),
        ("hooks.slack.com/", r"hooks\.slack\.com/services/T[A-Z0-9]{6,12}/B[A-Z0-9]{6,12}/[A-Za-z0-9]{16,40}"),
        ("AIza", r"AIza[A-Za-z0-9_-]{35}"),
        ("ya29.", r"ya29\.[A-Za-z0-9_-]{30,200}"),
        ("_live_", r"_live_[A-Za-z0-9]{16,200}"),
        ("SG.", r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{30,64}"),
        ("npm_", r"npm_[A-Za-z0-9]{36}"),
        ("pypi-", r"pypi-AgE[A-Za-z0-9_-]{50,200}"),
        ("hf_", r"hf_[A-Za-z0-9]{30,60}"),
        ("dop_v1_", r"dop_v1_[a-f0-9]{64}"),
        ("shpat_", r"shpat_[a-fA-F0-9]{32}"),
        ("AccountKey=", r"AccountKey=[A-Za-z0-9+/]{60,100}"),
        ("cap_", r"cap_[a-z0-9]{8}_[A-Za-z0-9_-]{20,100}"),
        # A JSON Web Token: a header and a claim set that begin as JSON does, and a signature.
        ("eyJ", r"eyJ[A-Za-z0-9_-]{10,500}\.eyJ[A-Za-z0-9_-]{10,2000}\.[A-Za-z0-9_-]{20,700}"),
    )
)
PEM: Final = re.compile(r"-----BEGIN (?:[A-Z0-9]{2,10} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
IN_ADDRESS: Final = re.compile(r"://([^\s/:@?#\"'<>]{1,100}):([^\s/@\"'<>]{1,200})@")
_ASSIGNING: Final = ("passw", "pwd", "secret", "token", "api_key", "apikey", "api-key", "access_key", "accesskey",
    "private_key", "credential", "auth_key", "encryption_key")  # fmt: skip
# A name of secrets with the rest of it, and what it is set to: in quotes, or bare up to where a value ends.
ASSIGNED: Final = re.compile(
    r"(?:passw(?:or)?d|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|auth[_-]?key|encryption[_-]?key"
    r"|credential)s?(?:[_-]([a-z0-9_-]{1,20}))?[\"']?[ \t]{0,4}(?::|=|:=|=>)[ \t]{0,4}"
    r"(?:[bru]?[\"']([^\"'\s]{6,200})[\"']"
    r"|([^\"'\s,;(){}\[\]<>]{6,200})(?=[\s,;)}\]\"'\\]|$))",
    re.IGNORECASE,
)
# What is about a secret, and not it: `token_count`, `secret_name`.
_ABOUT: Final = frozenset(
    {"name", "id", "type", "count", "url", "uri", "path", "arn", "ref", "file", "field", "version", "limit", "length"}
)
_PLACEHOLDERS: Final = ("example", "changeme", "change_me", "change-me", "placeholder", "your", "xxxx", "****", "....",
    "redacted", "dummy", "todo", "insert", "environ", "getenv", "process.env", "secrets.", "vault", "<", "${",
    "{{", "%(")  # fmt: skip
# A password that is written down is short, a key is long and told by how little it repeats itself.
_LEAST_BITS: Final = 2.5
_LEAST_BITS_OF_WORDS: Final = 3.2
_LONG: Final = 20
MARKINGS: Final = re.compile(
    r"(?<![A-Za-z])(?:(?:STRICTLY|HIGHLY|COMPANY|COMMERCIAL IN|PRIVATE (?:AND|&)|PROPRIETARY (?:AND|&)) CONFIDENTIAL"
    r"|CONFIDENTIAL(?= {0,3}(?:[-–—:|/.!\n\]]|$))|CONFIDENTIAL (?:AND PROPRIETARY|INFORMATION|DRAFT|DOCUMENT|MEMO)"
    r"|(?:FOR )?INTERNAL USE ONLY|INTERNAL[ -]ONLY|FOR INTERNAL (?:DISTRIBUTION|EYES)|DO NOT DISTRIBUTE"
    r"|NOT FOR (?:EXTERNAL )?DISTRIBUTION|TOP SECRET|ATTORNEY[- ]CLIENT PRIVILEGED?|PRIVILEGED (?:AND|&) CONFIDENTIAL"
    r"|STRENG VERTRAULICH|NUR FÜR DEN INTERNEN GEBRAUCH|CONFIDENTIEL DÉFENSE)",
)
_LOUD: Final = (
    "confidential",
    "restricted",
    "internal",
    "distribut",
    "secret",
    "privileged",
    "vertraulich",
    "interne",
    "confidentiel",
)
# Of a marking that is not written in capitals: no part of a sentence, or said to be a classification.
QUIET: Final = re.compile(
    r"(?<![a-z0-9])(?<![a-z0-9,] )(?:strictly |highly |company |private and )?"
    r"(?:confidential|(?:for )?internal use only|internal only"
    r"|do not distribute|streng vertraulich|vertraulich)"
    r"[ \t\])*]{0,4}(?:[:.\n|–—-]|$)"
    r"|(?<![a-z])(?:classification|sensitivity|vertraulichkeit)[ \t]{0,3}[:=][ \t]{0,3}"
    r"(?:strictly |highly )?(?:confidential|restricted|internal|secret)(?![a-z])"
)
_HEADED: Final = re.compile(r"(?<![a-z])(?:strictly confidential|internal use only|internal eyes only)(?![a-z])")


def of_secrets(text: str) -> set[Kind]:
    found: set[Kind] = set()
    lower = text.lower()
    if _holds_token(text) or ("private key" in lower and PEM.search(text)) or _assigns(text, lower):
        found.add(Kind.SECRET)
    if "://" in text and any(not _is_placeholder(one[2]) for one in IN_ADDRESS.finditer(text) if one[1] != one[2]):
        found.add(Kind.URL_CREDENTIALS)
    if any(one in lower for one in _LOUD) and (MARKINGS.search(text) or QUIET.search(lower) or _HEADED.search(lower)):
        found.add(Kind.MARKED)
    return found


def _holds_token(text: str) -> bool:
    for beginning, pattern in TOKENS:
        if beginning in text:
            for one in pattern.finditer(text):
                # A part of a longer word is none; `sk_live_` has its kind before what it is found by.
                before = text[one.start() - 1 : one.start()] if one.start() else ""
                if (beginning == "_live_" or not before.isalnum()) and not _is_placeholder(one.group()):
                    return True
    return False


def _assigns(text: str, lower: str) -> bool:
    if not any(one in lower for one in _ASSIGNING):
        return False
    return any(
        is_secret(one[2] or one[3], quoted=one[2] is not None)
        for one in ASSIGNED.finditer(text)
        if (one[1] or "").lower().rpartition("_")[2] not in _ABOUT
    )


def is_secret(value: str, *, quoted: bool) -> bool:
    """Whether what is assigned to a name of secrets is one, and no word, name of a variable or placeholder."""
    if _is_placeholder(value):
        return False
    kinds = sum(
        (any(map(str.islower, value)), any(map(str.isupper, value)), any(map(str.isdigit, value)), not value.isalnum())
    )
    bits = entropy(value)
    if any(map(str.isdigit, value)):
        return kinds >= 2 and bits >= _LEAST_BITS and (quoted or not _is_code(value))
    # Without a digit it is a word or a path mostly, unless it is long, quoted, and of all kinds of letters.
    return quoted and len(value) >= _LONG and kinds >= 2 and bits >= _LEAST_BITS_OF_WORDS and not _reads(value)


def _is_code(value: str) -> bool:
    """A number, or names put together, the digits of which come last: `settings.key2`."""
    parts = re.split(r"[._/:-]", value)
    return all(not one.rstrip("0123456789") or one.rstrip("0123456789").isalpha() for one in parts)


def entropy(value: str) -> float:
    """Bits for each character, by how often each comes (Shannon)."""
    size = len(value)
    return -sum(often / size * log2(often / size) for often in Counter(value).values()) if size else 0.0


def _reads(value: str) -> bool:
    """Words put together, as names in programs are."""
    return value.replace("_", "").replace("-", "").replace(".", "").replace("/", "").replace(":", "").isalpha()


def _is_placeholder(value: str) -> bool:
    lower = value.lower()
    return (
        any(one in lower for one in _PLACEHOLDERS)
        or len(set(lower)) < 4
        or lower.startswith(("$", "%", "{"))
        or lower in ("password", "passwd", "secret", "hunter", "pass", "user", "token", "admin")
    )
