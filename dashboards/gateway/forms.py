"""Forms of upstreams, deployments and keys' wishes: what a person types becomes a draft."""

from __future__ import annotations

from typing import Any, Final

from django import forms

from dashboards.forms import OFFERED, ActionForm, Offering
from finops.core.errors import NotFound
from finops.core.money import PRICE_PLACES
from finops.orgs import selectors as orgs
from routing.upstreams import rules
from routing.upstreams.models import KeyWishes, Upstream
from routing.upstreams.presets import Preset
from routing.upstreams.services import draft_of
from routing.upstreams.types import Auth, DeploymentDraft, Dialect, UpstreamDraft, WishesDraft

DIALECTS: Final = {Dialect.OPENAI: "OpenAI", Dialect.ANTHROPIC: "Anthropic"}
AUTHS: Final = {
    Auth.BEARER: "Authorization: Bearer …",
    Auth.X_API_KEY: "x-api-key: …",
    Auth.API_KEY: "api-key: …",
    Auth.NONE: "Not at all",
}


SORTS: Final = {"": "As ranks and weights say", rules.FLOOR: "The cheapest first", rules.NITRO: "The fastest first"}


def _credential(label: str = "Credential", hint: str = "", *, required: bool) -> forms.CharField:
    """What is typed here is never sent back, not even with an error beside it."""
    widget = forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"})
    return forms.CharField(
        label=label, help_text=hint, max_length=rules.LONGEST_CREDENTIAL, required=required, widget=widget
    )


def _seconds(label: str, most: float) -> forms.FloatField:
    return forms.FloatField(label=label, min_value=rules.SHORTEST_S, max_value=most)


class UpstreamForm(ActionForm):
    """An upstream. A preset may ask for a word of its address. Of one that is changed, a credential is said only if it
    is to be another.
    """

    name = forms.CharField(max_length=rules.LONGEST_NAME, help_text="Short, as in “openai-eu”: a-z, 0-9, _ and -.")
    base_url = forms.CharField(
        label="Address",
        max_length=rules.LONGEST_ADDRESS,
        help_text="What paths are put behind: https://api.openai.com/v1, https://api.anthropic.com.",
    )
    dialect = forms.ChoiceField(label="It speaks the API of", choices=list(DIALECTS.items()))
    auth = forms.ChoiceField(label="The credential is sent as", choices=list(AUTHS.items()))
    provider = forms.CharField(
        label="Whose prices hold",
        max_length=rules.LONGEST_WORD,
        help_text="A provider of the price book, or your own word.",
    )
    host = forms.CharField(
        max_length=rules.LONGEST_WORD, required=False, help_text="Where this host has prices of its own under Prices."
    )
    any_model = forms.BooleanField(required=False, label="Takes any model by its name, not only those listed with it")
    region = forms.CharField(max_length=rules.LONGEST_WORD, required=False)
    labels = forms.CharField(required=False, max_length=700, help_text="With commas between: local, eu.")
    headers = forms.CharField(
        required=False,
        max_length=6_000,
        label="Further headers",
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="One a line, as in “x-title: Acme”. Nothing secret: everybody who sees this page sees them.",
    )
    weight = forms.IntegerField(
        min_value=1,
        max_value=rules.MOST_WEIGHT,
        help_text="Among equals, one of weight 3 gets three times the calls of 1.",
    )
    connect_s = _seconds("Seconds to connect", rules.LONGEST_CONNECT_S)
    first_byte_s = _seconds("Seconds to the first byte", rules.LONGEST_FIRST_BYTE_S)
    total_s = _seconds("Seconds in all", rules.LONGEST_TOTAL_S)
    bills_cancelled = forms.BooleanField(
        required=False, label="It bills answers that nobody reads to their end",
        help_text="They are read to their end then, so that their cost is known.",
    )  # fmt: skip

    def __init__(self, data: Any, *, preset: Preset | None = None, row: Upstream | None = None) -> None:
        super().__init__(data, initial=_initial(preset, row))
        self._asks = preset if preset is not None and preset.asks else None
        if self._asks is not None:
            del self.fields["base_url"]
            self.fields["asked"] = forms.RegexField(
                r"^[A-Za-z0-9][A-Za-z0-9-]{0,62}$", label=f"Name of the {self._asks.asks}",
                help_text=f"As in {self._asks.base_url}.",
            )  # fmt: skip
        hint = "Sealed when it is saved, and never shown again."
        if row is not None and row.auth != Auth.NONE:
            hint = "Empty: as it is. An address of another server needs its own."
        sends = preset is not None and preset.auth != Auth.NONE
        self.fields["credential"] = _credential(hint=hint, required=sends)
        self.order_fields(["name", "asked", "base_url", "credential"])

    @property
    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        """The fields as they stand together: what is always asked, and what is mostly as it should be."""
        apart = {
            "Where prices differ, and where it stands": ("provider", "host", "region", "labels"),
            "How it is called": ("dialect", "auth", "headers", "bills_cancelled"),
            "How much, and how long": ("weight", "connect_s", "first_byte_s", "total_s"),
        }
        named = {name for names in apart.values() for name in names}
        first = [self[name] for name in self.fields if name not in named]
        return [("", first), *((title, [self[name] for name in names]) for title, names in apart.items())]

    def clean_headers(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for line in self.cleaned_data["headers"].splitlines():
            name, colon, value = line.partition(":")
            if line.strip():
                if not colon or name.strip() in found:
                    raise forms.ValidationError("A header is a name, a colon and a value; each name once.")
                found[name.strip()] = value.strip()
        return found

    def clean_labels(self) -> tuple[str, ...]:
        return _words(self.cleaned_data["labels"])

    @property
    def credential(self) -> str:
        return str(self.cleaned_data["credential"])

    def draft(self) -> UpstreamDraft:
        said = {name: value for name, value in self.cleaned_data.items() if name not in {"credential", "asked"}}
        if self._asks is not None:
            said["base_url"] = self._asks.base_url.replace(f"{{{self._asks.asks}}}", self.cleaned_data["asked"])
        return UpstreamDraft(**said)


def _initial(preset: Preset | None, row: Upstream | None) -> dict[str, Any]:
    if row is not None:
        said = draft_of(row)
    elif preset is not None:
        names = ("name", "dialect", "base_url", "provider", "host", "auth", "any_model", "labels")
        said = UpstreamDraft(**{name: getattr(preset, name) for name in names})
    else:
        said = UpstreamDraft(name="", dialect=Dialect.OPENAI, base_url="", provider="")
    shown: dict[str, Any] = {name: getattr(said, name) for name in UpstreamForm.base_fields}
    return shown | {
        "labels": ", ".join(said.labels),
        "headers": "\n".join(f"{name}: {value}" for name, value in said.headers.items()),
    }


def _words(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(",") if one.strip())


class CredentialForm(ActionForm):
    credential = _credential("The new credential", "Calls are sent with it within a second.", required=True)


class DeploymentForm(ActionForm):
    """A model at an upstream."""

    model = forms.CharField(max_length=rules.LONGEST_MODEL, help_text="As clients say it.")
    upstream_model = forms.CharField(
        max_length=rules.LONGEST_MODEL, required=False, label="Its name there", help_text="Empty: the same."
    )
    rank = forms.IntegerField(
        min_value=0,
        max_value=rules.MOST_RANK,
        initial=0,
        help_text="Of several hosts of a model, lower is tried first.",
    )
    weight = forms.IntegerField(
        min_value=1, max_value=rules.MOST_WEIGHT, initial=1, help_text="How calls are shared among equal ranks."
    )

    def draft(self) -> DeploymentDraft:
        return DeploymentDraft(**self.cleaned_data)


class WishesForm(ActionForm):
    """What the calls of a key wish: of one that wishes something already, or of whichever is named."""

    order = forms.CharField(
        label="These first",
        max_length=1_500,
        required=False,
        help_text="Names of upstreams, providers or hosts, with commas between: openai-eu, azure.",
    )
    only = forms.BooleanField(required=False, label="And no others, whatever a request wishes")
    sort = forms.ChoiceField(label="Among equals", choices=list(SORTS.items()), required=False)
    most_per_million = forms.DecimalField(
        label="At most for a million tokens",
        min_value=0,
        max_value=rules.MOST_PER_MILLION,
        max_digits=7 + PRICE_PLACES,
        decimal_places=PRICE_PLACES,
        required=False,
        help_text="In the reporting currency. Dearer deployments, and those of no known price, are left out.",
    )

    def __init__(self, data: Any, organization_id: int, row: KeyWishes | None = None) -> None:
        super().__init__(data, initial=None if row is None else _wished(row))
        self._organization_id = organization_id
        if row is None:
            live = orgs.keys(organization_id).filter(revoked_at__isnull=True)
            known = Offering(list(live.values_list("prefix", "name")[:OFFERED]))
            self.fields["key"] = forms.CharField(
                max_length=16, widget=known, help_text="Its public beginning, as under Keys."
            )
            self.order_fields(["key"])

    def clean_key(self) -> int:
        """Its id."""
        try:
            found: int = orgs.owner(self._organization_id, "key", self.cleaned_data["key"].strip()).id
        except NotFound:
            raise forms.ValidationError("There is no key that begins so.") from None
        return found

    def draft(self) -> WishesDraft:
        said = {name: value for name, value in self.cleaned_data.items() if name != "key"}
        return WishesDraft(**said | {"order": _words(said["order"])})


def _wished(row: KeyWishes) -> dict[str, Any]:
    most = row.most_per_million
    shown = {"order": ", ".join(row.order), "only": row.only, "sort": row.sort}
    return shown if most is None else shown | {"most_per_million": f"{most.normalize():f}"}
