"""Forms of the pages: they read what a person typed and say what a service refused. Deciding is the services' work."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, Final

from django import forms
from django.db.models import QuerySet
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from finops.core.errors import FinopsError, NotFound
from finops.orgs import selectors as orgs

OFFERED: Final = 500
_LISTS: Final[dict[str, Callable[..., QuerySet[Any]]]] = {
    "team": orgs.teams,
    "person": orgs.people,
    "project": orgs.projects,
    "agent": orgs.agents,
    "customer": orgs.customers,
}


class ActionForm(forms.Form):
    """A form whose errors may also come from the service it feeds."""

    required_css_class = "required"
    use_required_attribute = True

    def take(self, error: FinopsError) -> None:
        """Puts a refusal beside the field it names, or above the form."""
        name = (error.field or "").split("[")[0].split(".")[-1]
        field = next((one for one in (name, name.removesuffix("_id")) if one in self.fields), None)
        sentence = error.message[:1].upper() + error.message[1:]
        self.add_error(field, sentence)


class Offering(forms.TextInput):
    """A text field that offers known values (a native datalist: works without script, and with any number)."""

    def __init__(self, offers: list[tuple[str, str]], attrs: dict[str, Any] | None = None) -> None:
        super().__init__({"autocomplete": "off", **(attrs or {})})
        self.offers = offers

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        known = f"{(attrs or {}).get('id', name)}-offers"
        box = super().render(name, value, {**(attrs or {}), "list": known}, renderer)
        options = format_html_join("", '<option value="{}">{}</option>', self.offers)
        return format_html('{}<datalist id="{}">{}</datalist>', box, known, options)


class OwnerField(forms.CharField):
    """An owner of this organization, typed as its slug; cleans to its id, or None."""

    def __init__(self, organization_id: int, kind: str, **options: Any) -> None:
        rows = _LISTS[kind](organization_id).values_list("slug", "name")[:OFFERED]
        options.setdefault("label", kind.capitalize())
        options.setdefault("required", False)
        super().__init__(widget=Offering(list(rows), {"placeholder": f"{kind}'s short name"}), **options)
        self.organization_id, self.kind = organization_id, kind

    def clean(self, value: Any) -> int | None:
        text = super().clean(value)
        if not text:
            return None
        try:
            found: int = orgs.owner(self.organization_id, self.kind, text).id
        except NotFound:
            raise forms.ValidationError(f"There is no {self.kind} with the short name {text[:60]!r}.") from None
        return found


class DayField(forms.DateField):
    def __init__(self, **options: Any) -> None:
        super().__init__(widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"), **options)


class InstantField(forms.DateField):
    """A day, read as its first instant in UTC."""

    def __init__(self, **options: Any) -> None:
        super().__init__(widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"), required=False, **options)

    def clean(self, value: Any) -> Any:
        day: date | None = super().clean(value)
        return datetime(day.year, day.month, day.day, tzinfo=UTC) if day else None


def choices(pairs: list[tuple[str, str]], *, nothing: str = "") -> list[tuple[str, str]]:
    return [("", nothing), *pairs] if nothing else pairs
