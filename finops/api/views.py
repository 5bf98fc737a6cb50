"""The base of every resource view: one call, translate only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from django.utils import timezone
from rest_framework import serializers
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from finops.api import paging
from finops.api.parsing import BoundedJSON


class Input(serializers.Serializer[Any]):
    """The base of what a request may say: an unknown field is a mistake worth telling, not a thing to drop.

    Raises ValidationError naming it.
    """

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            unknown = sorted(str(name) for name in data if name not in self.fields)
            if unknown:
                raise serializers.ValidationError({name: ["There is no such field."] for name in unknown[:20]})
        return super().to_internal_value(data)


class Resource(APIView):
    """A view of the API. `permission` says what a caller needs, for all methods or for each; a view that does not say
    is refused (`orgs.authentication.HasPermission`).
    """

    permission: ClassVar[str | Mapping[str, str] | None] = None
    # Fields of an answer that are shown once: kept out of the first answer that an idempotency key keeps.
    secret_fields: ClassVar[tuple[str, ...]] = ()
    parser_classes: Sequence[type[BaseParser]] = (BoundedJSON,)


def valid(kind: type[serializers.Serializer[Any]], data: Any, *, partial: bool = False) -> dict[str, Any]:
    """`data` checked and converted by a serializer. Raises DRF's ValidationError, a 400 that names each field."""
    if not isinstance(data, Mapping):
        raise serializers.ValidationError("A JSON object is expected.")
    serializer = kind(data=data, partial=partial)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def paged(
    request: Request,
    queryset: Any,
    output: type[serializers.BaseSerializer[Any]],
    *,
    order: tuple[str, ...],
    context: Mapping[str, Any] | None = None,
) -> Response:
    """One page of a queryset, through `output`. `order` as in `paging.page`."""
    found = paging.page(queryset, request, order=order)
    shown = output(found.rows, many=True, context=dict(context or {})).data
    return Response(paging.answer(shown, found.next_cursor))


def now() -> datetime:
    """The clock of the API's door."""
    return timezone.now()
