"""A container of Azure's with a cost export in it: List Blobs as XML, and blobs, for whoever has the SAS."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Any, ClassVar, Final
from urllib.parse import unquote
from xml.sax.saxutils import escape

from tests.fakes.http import Asked
from tests.fakes.reporting import Reporting, Truth
from tests.fakes.reports.shared import DAY, Wrong, added, known, midnight, needed, paged

PATH: Final = "exports/acme-focus"
_PICO: Final = 10**12
_MICRO: Final = 10**6
_LIST: Final = {"restype", "comp", "prefix", "marker", "maxresults"}
_SIGNED: Final = {"sv": "2025-05-05", "sr": "c", "sp": "rl", "se": "2027-11-01T00:00:00Z"}
# Of a line: its meter, how many thousand tokens, and millionths of a dollar.
_METERS: Final = (
    ("gpt 4o 0806 Inp glbl Tokens", 24, 60_000),
    ("gpt 4o 0806 cached Inp glbl Tokens", 50, 62_500),
    ("gpt 4o 0806 Outp glbl Tokens", 6, 60_000),
)
_REFUSED: Final = b'<?xml version="1.0" encoding="utf-8"?><Error><Code>AuthenticationFailed</Code></Error>'


class AzureReports(Reporting):
    """Three meters of two resources a day, in two files of a run, with one that says what another says."""

    account: ClassVar[str] = "azure"
    owing: ClassVar[tuple[str, ...]] = ("azure-costs",)
    settings: ClassVar[Mapping[str, str]] = {"path": PATH}

    def make(self) -> None:
        self.until = midnight(self.until)
        self.more = Counter[str]()
        self.blobs: dict[str, tuple[bytes, datetime]] = {}
        self.runs = 0
        self._run()

    @property
    def credential(self) -> str:
        return "&".join(
            [*(f"{name}={value.replace(':', '%3A')}" for name, value in _SIGNED.items()), f"sig={self._sig}"]
        )

    @credential.setter
    def credential(self, secret: str) -> None:
        # As base64 has it: what is lost on the way is not let in.
        self._sig = f"{hashlib.sha256(secret.encode()).hexdigest()[:24]}%2Bx%2F%3D"

    def is_let_in(self, asked: Asked) -> bool:
        signed = {name: value for name, value in asked.query.items() if name in {*_SIGNED, "sig"}}
        return signed == _SIGNED | {"sig": unquote(self._sig)}

    def answer(self, asked: Asked) -> tuple[int, Any]:
        if self.is_revoked or not self.is_let_in(asked):
            return 403, _REFUSED
        return self.page(asked)

    def page(self, asked: Asked) -> tuple[int, Any]:
        if asked.method != "GET" or asked.headers.get("x-ms-version") != "2021-12-02":
            return 400, b"<Error><Code>InvalidHeaderValue</Code></Error>"
        if asked.path in ("", "/"):
            try:
                return 200, self._listed(asked)
            except Wrong as error:
                return 400, f"<Error><Message>{error}</Message></Error>".encode()
        name = unquote(asked.path.removeprefix("/"))
        if name not in self.blobs:
            return 404, b"<Error><Code>BlobNotFound</Code></Error>"
        body, _ = self.blobs[name]
        if asked.headers.get("if-match", _tag(body)) != _tag(body):
            return 412, b"<Error><Code>ConditionNotMet</Code></Error>"
        return 200, body

    def _listed(self, asked: Asked) -> bytes:
        known(asked, {*_LIST, *_SIGNED, "sig"})
        if needed(asked, "restype") != "container" or needed(asked, "comp") != "list":
            raise Wrong("it is a list of a container's blobs")
        if not 1 <= int(asked.query.get("maxresults", "5000")) <= 5_000:
            raise Wrong("maxresults: it is between 1 and 5000")
        names = sorted(name for name in self.blobs if name.startswith(asked.query.get("prefix", "")))
        shown, after = paged(asked, names, 2, name="marker") if names else ([], None)
        blobs = "".join(
            f"<Blob><Name>{escape(name)}</Name><Properties>"
            f"<Last-Modified>{format_datetime(self.blobs[name][1], usegmt=True)}</Last-Modified>"
            f"<Etag>{escape(_tag(self.blobs[name][0]))}</Etag>"
            f"<Content-Length>{len(self.blobs[name][0])}</Content-Length></Properties></Blob>"
            for name in shown
        )
        return (
            '\ufeff<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="costs">'
            f"<Blobs>{blobs}</Blobs><NextMarker>{after or ''}</NextMarker></EnumerationResults>"
        ).encode()

    def lines(self) -> list[tuple[dict[str, str], int]]:
        """Lines of AI, and millionths of a dollar."""
        found = []
        for number in range(self.days):
            day = self.until - (self.days - number) * DAY
            for resource in ("acme", "acme-search"):
                for meter, amount, micro in _METERS:
                    is_last = number == self.days - 1 and resource == "acme" and "Outp" in meter
                    cost = micro + number + (self.more["bill"] if is_last else 0)
                    found.append((_charged(day, resource, meter, amount, cost), cost))
        return [*found, found[0]]

    def _run(self) -> None:
        """Each month by its own run, and one that has begun and has no manifest."""
        self.runs += 1
        months: dict[datetime, list[dict[str, str]]] = {}
        for line, _ in self.lines():
            at = datetime.fromisoformat(line["ChargePeriodStart"])
            months.setdefault(at.replace(day=1), []).append(line)
        for month, lines in months.items():
            last = (month + 31 * DAY).replace(day=1) - DAY
            place = f"{PATH}/{month:%Y%m%d}-{last:%Y%m%d}/2026112{self.runs}0300/{self.runs:08d}-aaaa-bbbb"
            half = len(lines) // 2
            names = [f"{place}/part_{number}_0001.csv.gz" for number in range(2)]
            for name, part in zip(names, (lines[:half], lines[half:]), strict=True):
                self.put(name, gzip.compress(file(part)))
            self.put(f"{place}/part_9_0001.csv.gz", gzip.compress(file(lines)))
            manifest = {"blobs": [{"blobName": name, "byteCount": 1} for name in names], "runInfo": {"runId": "x"}}
            self.put(f"{place}/manifest.json", json.dumps(manifest).encode())
            self.put(f"{place}-begun/part_0_0001.csv.gz", gzip.compress(file(lines[:1])))

    def put(self, name: str, body: bytes) -> None:
        self.blobs[name] = (body, self.until.replace(minute=self.runs))

    def truth(self, feed: str) -> Truth:
        return added(({}, {"USD": micro * _PICO // _MICRO}) for _, micro in self.lines())

    def revise(self) -> None:
        self.more["bill"] += 500
        self._run()


def _tag(body: bytes) -> str:
    return f'"0x{hash(body) & 0xFFFFFFFF:08X}"'


def _charged(day: datetime, resource: str, meter: str, amount: int, micro: int) -> dict[str, str]:
    return {
        "BilledCost": f"{micro // _MICRO}.{micro % _MICRO:06d}",
        "BillingAccountId": "/providers/Microsoft.Billing/billingAccounts/1",
        "BillingCurrency": "USD",
        "ChargeCategory": "Usage",
        "ChargeDescription": meter,
        "ChargePeriodEnd": (day + DAY).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "ChargePeriodStart": day.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "ConsumedQuantity": str(amount),
        "ConsumedUnit": "1K Tokens",
        "EffectiveCost": f"{micro / _MICRO}",
        "RegionId": "swedencentral",
        "ResourceId": f"/subscriptions/1111/providers/Microsoft.CognitiveServices/accounts/{resource}",
        "ResourceName": resource,
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": "Azure OpenAI",
        "SkuPriceId": f"{meter}_00FX",
        "SubAccountId": "/subscriptions/1111",
        "Tags": '{"team": "search,\nand more"}',
        "x_SkuMeterName": meter,
    }


def file(lines: list[dict[str, str]]) -> bytes:
    """With a line of another service, which is nobody's business here."""
    made = io.StringIO()
    writer = csv.DictWriter(made, list(lines[0]))
    writer.writeheader()
    other = {"ServiceCategory": "Storage", "ServiceName": "Storage Accounts"}
    writer.writerows([*lines, lines[0] | other])
    return b"\xef\xbb\xbf" + made.getvalue().encode()
