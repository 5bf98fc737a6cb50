"""Forms of connected accounts."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django import forms

from dashboards.forms import ActionForm, InstantField
from finops.connectors.fetching import Account, Feed, Need
from finops.polling.models import PolledFeed
from finops.polling.services.connecting import LONGEST_CREDENTIAL, needs_of


def _credential() -> forms.CharField:
    """What is typed here is never sent back, not even with an error beside it."""
    widget = forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"})
    return forms.CharField(max_length=LONGEST_CREDENTIAL, widget=widget)


class _Needing(ActionForm):
    """With a field for everything that an account and its feeds ask for."""

    def _ask(self, needs: Collection[Need], *, needed: set[str], said: dict[str, str]) -> None:
        for need in needs:
            self.fields[need.name] = forms.CharField(
                max_length=500, label=need.name.replace("_", " ").capitalize(), help_text=need.help,
                required=need.needed and need.name in needed, initial=said.get(need.name, ""),
            )  # fmt: skip
        self._needs = [need.name for need in needs]

    @property
    def settings(self) -> dict[str, str]:
        return {name: self.cleaned_data[name] for name in self._needs if self.cleaned_data.get(name)}


class ConnectForm(_Needing):
    credential = _credential()
    label = forms.CharField(
        max_length=200, required=False, help_text="What it is called here; the provider's name where you say nothing."
    )
    address = forms.CharField(max_length=300, required=False, help_text="Where it is not the provider's own.")
    since = InstantField(label="Read from", help_text="How far back the first round goes: a month if unsaid.")

    def __init__(self, data: Any, spec: Account) -> None:
        super().__init__(data)
        optional = [feed for feed in spec.feeds if feed.optional]
        hint = f"{spec.credential_help} It is tried, kept encrypted, and never shown again."
        self.fields["credential"].help_text = hint
        if spec.address:
            self.fields["address"].widget.attrs["placeholder"] = spec.address
        else:
            self.fields["address"].required = True
            self.fields["address"].help_text = "Where it is: https://host, or http://host if the operator named it."
        if optional:
            self.fields["feeds"] = forms.MultipleChoiceField(
                label="Read these too", required=False, widget=forms.CheckboxSelectMultiple,
                choices=[(feed.name, feed.title) for feed in optional],
                help_text="Off unless you say so: each says what another feed says too, or costs calls.",
            )  # fmt: skip
        always = tuple(feed for feed in spec.feeds if not feed.optional)
        self._ask(needs_of(spec, spec.feeds).values(), needed=set(needs_of(spec, always)), said={})

    def said(self) -> dict[str, Any]:
        """As `services.connect` takes it."""
        given = self.cleaned_data
        return {
            **{name: given[name] for name in ("credential", "label", "address", "since")},
            "feeds": tuple(given.get("feeds", ())),
            "settings": self.settings,
        }


class CredentialForm(ActionForm):
    credential = _credential()

    def __init__(self, data: Any, spec: Account) -> None:
        super().__init__(data)
        self.fields["credential"].help_text = spec.credential_help


class SwitchForm(_Needing):
    """What an optional feed needs beside what the account has said."""

    def __init__(self, data: Any, feed: Feed, said: dict[str, str]) -> None:
        super().__init__(data)
        self._ask(feed.needs, needed={need.name for need in feed.needs}, said=said)


class BackfillForm(ActionForm):
    since = InstantField(label="Back to")

    def __init__(self, data: Any, row: PolledFeed) -> None:
        super().__init__(data)
        self.fields["since"].required = True
        self.fields["since"].help_text = f"It was read from {row.begun_from:%-d %b %Y} on: say a day before that."
