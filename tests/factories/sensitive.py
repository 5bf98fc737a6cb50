"""A labelled set of texts that are sensitive, and of others that only look it. Made up, from a seed."""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from typing import Final, NamedTuple

from routing.classify.sensitivity.digits import IBAN_LENGTHS, is_kvnr, is_nhs
from routing.classify.types import Kind


class Sample(NamedTuple):
    """`kind` is what makes it sensitive, None where it only looks so; `how` names the shape it was made in."""

    text: str
    kind: Kind | None
    how: str


_FIRST: Final = (
    "Anna",
    "Peter",
    "Maria",
    "James",
    "Fatima",
    "Wei",
    "Olga",
    "Carlos",
    "Ingrid",
    "Kofi",
    "Élodie",
    "Jürgen",
)
_LAST: Final = (
    "Schmidt",
    "Johnson",
    "García",
    "O'Neill",
    "Nguyen",
    "Kowalski",
    "Müller",
    "Smith-Jones",
    "Okafor",
    "Rossi",
)
_STREETS: Final = ("Oak", "Maple", "Cedar Hill", "Station", "Victoria", "Washington", "Lake Shore")
_STREET_KINDS: Final = ("Street", "St", "Avenue", "Ave", "Road", "Lane", "Drive", "Blvd", "Court")
_ROUND: Final = (
    "Can you look at this? {}",
    "{}",
    "Summarise the following for me:\n\n{}\n\nThanks!",
    "log line 4711: {} (seen twice)",
    "We got this from support: {} - what do I answer?",
    "# notes\n- {}\n- buy milk\n",
    '{{"body": "{}", "ok": true}}',
)


def samples(*, seed: int, each: int = 40) -> list[Sample]:
    """The same for the same seed: `each` of every shape, sensitive ones and look-alikes."""
    draw = random.Random(seed)
    made = []
    for kind, shapes in (*SENSITIVE.items(), (None, LOOK_ALIKES)):
        for how, shape in shapes.items():
            for _ in range(each):
                inner = shape(draw)
                around = draw.choice(_ROUND if '"' not in inner and "\n" not in inner else _ROUND[:4])
                made.append(Sample(around.format(inner), kind, how))
    return made


def _of(draw: random.Random, letters: str, size: int) -> str:
    return "".join(draw.choice(letters) for _ in range(size))


_ALNUM: Final = string.ascii_letters + string.digits


def _digits(draw: random.Random, size: int) -> str:
    return _of(draw, string.digits, size)


def with_luhn(payload: str) -> str:
    """With the digit that makes it pass: found by trying, so that nothing here is as the product has it."""
    for last in string.digits:
        number = [int(one) for one in payload + last]
        doubled = [sum(divmod(2 * one, 10)) for one in number[-2::-2]]
        if (sum(number[-1::-2]) + sum(doubled)) % 10 == 0:
            return payload + last
    raise AssertionError


def card(draw: random.Random) -> str:
    beginning, size = draw.choice(
        (("4", 16), ("51", 16), ("55", 16), ("37", 15), ("6011", 16), ("2221", 16), ("36", 14))
    )
    return with_luhn(beginning + _digits(draw, size - 1 - len(beginning)))


def _printed(number: str, draw: random.Random) -> str:
    between = draw.choice((" ", "-"))
    if len(number) == 16:
        return between.join(number[at : at + 4] for at in range(0, 16, 4))
    return between.join((number[:4], number[4:10], number[10:]))


def iban(draw: random.Random) -> str:
    country = draw.choice(("DE", "FR", "GB", "NL", "ES", "IT", "CH", "BE", "AT"))
    size = IBAN_LENGTHS[country] - 4
    inner = (
        _of(draw, string.ascii_uppercase, 4) + _digits(draw, size - 4)
        if country in ("GB", "NL")
        else _digits(draw, size)
    )
    number = "".join(str(string.digits.find(one) if one.isdigit() else ord(one) - 55) for one in inner + country) + "00"
    return f"{country}{98 - int(number) % 97:02d}{inner}"


def _spaced(text: str) -> str:
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def _ssn(draw: random.Random) -> str:
    return (
        f"{draw.choice((*range(1, 666), *range(667, 900))):03d}-{draw.randint(1, 99):02d}-{draw.randint(1, 9999):04d}"
    )


def _until(good: Callable[[str], bool], make: Callable[[], str]) -> str:
    while True:
        found = make()
        if good(found):
            return found


def _nhs(draw: random.Random) -> str:
    found = _until(is_nhs, lambda: _digits(draw, 10))
    return draw.choice((found, f"{found[:3]} {found[3:6]} {found[6:]}"))


def _nir(draw: random.Random) -> str:
    front = (
        f"{draw.choice('12')}{draw.randint(30, 99)}{draw.randint(1, 12):02d}{draw.randint(1, 95):02d}{_digits(draw, 6)}"
    )
    found = f"{front}{97 - int(front) % 97:02d}"
    return draw.choice(
        (found, f"{found[0]} {found[1:3]} {found[3:5]} {found[5:7]} {found[7:10]} {found[10:13]} {found[13:]}")
    )


def _kvnr(draw: random.Random) -> str:
    return _until(is_kvnr, lambda: draw.choice(string.ascii_uppercase) + _digits(draw, 9))


def _name(draw: random.Random) -> str:
    return f"{draw.choice(_FIRST)} {draw.choice(_LAST)}"


def _email(draw: random.Random) -> str:
    first, last = (_of(draw, string.ascii_lowercase, size) for size in (6, 5))
    return f"{first}.{last}@{draw.choice(('mail', 'web'))}.example"


def _phone(draw: random.Random) -> str:
    return draw.choice(
        (
            f"+49 {_digits(draw, 3)} {_digits(draw, 7)}",
            f"+1 {draw.randint(200, 989)}-{draw.randint(200, 999)}-{_digits(draw, 4)}",
            f"({draw.randint(200, 989)}) {draw.randint(200, 999)}-{_digits(draw, 4)}",
            f"+33 6 {' '.join(_digits(draw, 2) for _ in range(4))}",
            f"{draw.randint(200, 989)}-{draw.randint(200, 999)}-{_digits(draw, 4)}",
        )
    )


def _home(draw: random.Random) -> str:
    if draw.random() < 0.25:
        street = draw.choice(("Haupt", "Goethe", "Linden")) + draw.choice(("straße", "weg", "platz"))
        return f"{street} {draw.randint(1, 200)}"
    return f"{draw.randint(1, 9999)} {draw.choice(_STREETS)} {draw.choice(_STREET_KINDS)}"


def _born(draw: random.Random) -> str:
    day = f"{draw.randint(1, 28):02d}/{draw.randint(1, 12):02d}/{draw.randint(1930, 2010)}"
    return f"{draw.choice(('DOB', 'Date of birth', 'born'))}: {day}"


_TOKENS: Final[dict[str, Callable[[random.Random], str]]] = {
    "openai": lambda draw: f"sk-proj-{_of(draw, _ALNUM, 48)}",
    "anthropic": lambda draw: f"sk-ant-api03-{_of(draw, _ALNUM + '-_', 90)}AA",
    "aws": lambda draw: f"AKIA{_of(draw, string.ascii_uppercase + '234567', 16)}",
    "github": lambda draw: f"ghp_{_of(draw, _ALNUM, 36)}",
    "github fine": lambda draw: f"github_pat_{_of(draw, _ALNUM, 22)}_{_of(draw, _ALNUM, 59)}",
    "gitlab": lambda draw: f"glpat-{_of(draw, _ALNUM + '-_', 20)}",
    "slack": lambda draw: f"xoxb-{_digits(draw, 12)}-{_digits(draw, 12)}-{_of(draw, _ALNUM, 24)}",
    "google": lambda draw: f"AIza{_of(draw, _ALNUM + '-_', 35)}",
    "stripe": lambda draw: f"{draw.choice(('sk', 'rk'))}_live_{_of(draw, _ALNUM, 24)}",
    "jwt": lambda draw: f"eyJhbGciOiJIUzI1NiJ9.eyJ{_of(draw, _ALNUM, 40)}.{_of(draw, _ALNUM + '-_', 43)}",
    "hugging face": lambda draw: f"hf_{_of(draw, string.ascii_letters, 34)}",
}


def _password(draw: random.Random) -> str:
    first, last = (_of(draw, string.ascii_letters, size) for size in (7, 2))
    return f"{first}{_digits(draw, 2)}{draw.choice('!?#&+')}{last}"


SENSITIVE: Final[dict[Kind, dict[str, Callable[[random.Random], str]]]] = {
    Kind.SECRET: {
        **{f"token of {name}": make for name, make in _TOKENS.items()},
        "pem": lambda draw: (
            f"-----BEGIN {draw.choice(('RSA ', 'EC ', 'OPENSSH ', ''))}PRIVATE KEY-----\n{_of(draw, _ALNUM, 64)}"
        ),
        "env": lambda draw: (
            f"{draw.choice(('DB_PASSWORD', 'API_KEY', 'CLIENT_SECRET', 'AUTH_TOKEN'))}={_of(draw, _ALNUM, 24)}"
        ),
        "yaml": lambda draw: f"{draw.choice(('password', 'api_key', 'client_secret'))}: {_password(draw)}",
        "code": lambda draw: (
            f"{draw.choice(('password', 'apiKey', 'secret_key', 'access_token'))} = '{_of(draw, _ALNUM + '+/', 32)}'"
        ),
    },
    Kind.URL_CREDENTIALS: {
        "database": lambda draw: (
            f"postgresql://app:{_of(draw, _ALNUM, 14)}@db{draw.randint(1, 9)}.internal:5432/orders"
        ),
        "http": lambda draw: f"https://deploy:{_of(draw, _ALNUM, 20)}@git.example.com/repo.git",
    },
    Kind.CARD: {
        "bare": card,
        "printed": lambda draw: _printed(card(draw), draw),
        "with expiry": lambda draw: f"{_printed(card(draw), draw)} {draw.randint(1, 12):02d}/{draw.randint(27, 33)}",
        "labelled": lambda draw: f"card number: {card(draw)}, cvv {_digits(draw, 3)}",
    },
    Kind.IBAN: {
        "bare": iban,
        "printed": lambda draw: _spaced(iban(draw)),
        "in a line": lambda draw: f"IBAN: {_spaced(iban(draw))} BIC COBADEFFXXX",
    },
    Kind.SSN: {
        "dashes": _ssn,
        "labelled": lambda draw: f"SSN {_ssn(draw).replace('-', draw.choice(('', ' ')))}",
    },
    Kind.HEALTH_NUMBER: {
        "nhs": lambda draw: f"{draw.choice(('NHS number', 'NHS No.', 'NHS:'))} {_nhs(draw)}",
        "nir": lambda draw: f"numéro de sécurité sociale {_nir(draw)}",
        "kvnr": lambda draw: f"{draw.choice(('Versichertennummer', 'KVNR', 'Krankenversicherung'))} {_kvnr(draw)}",
    },
    Kind.MEDICAL: {
        "patient": lambda draw: (
            f"Patient: {_name(draw)}, diagnosed with "
            f"{draw.choice(('type 2 diabetes', 'hepatitis C', 'bipolar disorder'))}"
        ),
        "titled": lambda draw: (
            f"{draw.choice(('Mrs', 'Mr.', 'Ms'))} {draw.choice(_LAST)} was prescribed "
            f"{draw.choice(('insulin', 'antidepressants'))} in May"
        ),
        "born": lambda draw: f"{_born(draw)}; HIV positive since 2019, chemotherapy begun",
    },
    Kind.PERSONAL: {
        "signature": lambda draw: f"{_name(draw)}, {_email(draw)}, {_phone(draw)}",
        "record": lambda draw: f"name: {_name(draw)}, address: {_home(draw)}, phone: {_phone(draw)}",
        "letter": lambda draw: f"Mrs {draw.choice(_LAST)} lives at {_home(draw)} and can be reached at {_phone(draw)}",
        "born": lambda draw: f"Customer: {_name(draw)}, {_born(draw)}",
        "without marks": lambda draw: f"{_name(draw)} moved to {_home(draw)} last year",
    },
    Kind.MARKED: {
        "loud": lambda draw: (
            draw.choice(("CONFIDENTIAL", "STRICTLY CONFIDENTIAL", "INTERNAL USE ONLY", "DO NOT DISTRIBUTE"))
            + f" - {draw.choice(('Q3 plan', 'draft terms', 'pricing'))}"
        ),
        "headed": lambda draw: (
            f"{draw.choice(('Confidential', 'Internal only', 'Strictly confidential'))}: "
            f"{draw.choice(('merger terms', 'list of layoffs', 'salaries'))}"
        ),
        "classified": lambda draw: f"Classification: {draw.choice(('Confidential', 'Restricted'))}\nOwner: Legal",
    },
}


def _fails(draw: random.Random, size: int) -> str:
    number = with_luhn(f"4{_digits(draw, size - 2)}")
    return number[:-1] + str((int(number[-1]) + draw.randint(1, 9)) % 10)


LOOK_ALIKES: Final[dict[str, Callable[[random.Random], str]]] = {
    "order number": lambda draw: f"order {_fails(draw, 16)} of yesterday",
    "printed order number": lambda draw: f"order no. {_spaced(_fails(draw, 16))}",
    "long counter": lambda draw: f"offset {draw.randint(10**14, 10**15)} of partition 7",
    "timestamp": lambda draw: f"ts={draw.randint(1_600_000_000_000, 1_900_000_000_000)} level=info",
    "uuid": lambda draw: "request {}-{}-4{}-a{}-{}".format(
        *(_of(draw, "0123456789abcdef", size) for size in (8, 4, 3, 3, 12))
    ),
    "sha256": lambda draw: f"sha256:{_of(draw, '0123456789abcdef', 64)}",
    "commit": lambda draw: f"commit {_of(draw, '0123456789abcdef', 40)} fixes it",
    "ip and port": lambda draw: (
        f"{'.'.join(str(draw.randint(1, 254)) for _ in range(4))}:{draw.randint(1024, 65535)} refused"
    ),
    "date range": lambda draw: f"from 2024-{draw.randint(1, 12):02d}-10 to 2025-{draw.randint(1, 12):02d}-28",
    "bad iban": lambda draw: f"DE00{_digits(draw, 18)} is not valid",
    "part number": lambda draw: (
        f"part {_of(draw, string.ascii_uppercase, 2)}{_digits(draw, 2)}-{_digits(draw, 6)} is out of stock"
    ),
    "impossible ssn": lambda draw: f"{draw.choice(('000', '666', '912'))}-{draw.randint(10, 99)}-{_digits(draw, 4)}",
    "placeholder": lambda draw: draw.choice(
        (
            "api_key = 'YOUR_API_KEY_HERE_1'",
            "password: <your password>",
            "TOKEN=${GITHUB_TOKEN}",
            "secret = os.environ['SECRET_2']",
            "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        )
    ),
    "code about tokens": lambda draw: draw.choice(
        (
            "max_tokens = 4096",
            "token = tokenizer.next_token2(stream)",
            "def check_password(user, password: str) -> bool:",
            "access_token: Optional[str] = None",
            "token_type = 'bearer'",
            "secret_name = 'prod/db-creds-v2'",
        )
    ),
    "address without credentials": lambda draw: f"https://example.com:8443/a:b/@user/{draw.randint(1, 99)}?x=1:2@3",
    "e-mail alone": lambda draw: f"write to {_email(draw)} please",
    "name alone": lambda draw: f"{_name(draw)} asked about it",
    "author": lambda draw: f"Author: {_name(draw)} <{_email(draw)}>",
    "medical in general": lambda draw: draw.choice(
        ("What are the symptoms of diabetes?", "How is hepatitis diagnosed?", "Explain chemotherapy to a ten year old.")
    ),
    "word confidential": lambda draw: draw.choice(
        (
            "Is this usually confidential?",
            "confidential computing with enclaves",
            "the confidentiality of health data",
            "an internal server error",
            "distribute the load evenly",
        )
    ),
    "public key": lambda draw: f"-----BEGIN PUBLIC KEY-----\n{_of(draw, _ALNUM, 64)}\n-----END PUBLIC KEY-----",
    "version": lambda draw: (
        f"numpy {draw.randint(1, 3)}.{draw.randint(0, 30)}.{draw.randint(0, 9)} on 3.11.{draw.randint(0, 12)}"
    ),
    "arithmetic": lambda draw: (
        f"What is {draw.randint(10**6, 10**7)} - {draw.randint(100, 999)} * {draw.randint(1000, 9999)}?"
    ),
}
