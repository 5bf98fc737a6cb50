"""Experiments over REST: drafted, estimated, started, watched, stopped and resumed."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from finops.api import paging
from finops.api.idempotency import idempotent
from finops.api.schema import answers, listed
from finops.api.views import Input, Resource, now, valid
from finops.orgs import selectors as orgs
from finops.orgs.authentication import caller
from finops.orgs.rules import Caller, Permission
from routing.captures.rules import check_reader
from routing.experiments import selectors, services, tasks
from routing.experiments.api.shapes import (
    FILTERS,
    ExperimentInput,
    ExperimentOutput,
    ExperimentsFilter,
    FromRecommendationInput,
    WholeExperimentOutput,
    said_of,
)
from routing.experiments.models import Experiment
from routing.experiments.showing import as_plain, shown

_READ_OR_WRITE: dict[str, str] = {"GET": Permission.ROUTING_READ, "POST": Permission.ROUTING_MANAGE}


def check_opener(asked: Caller) -> None:
    """Whoever has captures opened for an experiment might read them. Raises PermissionMissing and OutOfReach."""
    asked.require(Permission.CAPTURES_READ)
    check_reader(asked)


class Experiments(Resource):
    """Models measured on calls that were captured, newest first."""

    permission: ClassVar = _READ_OR_WRITE

    @listed(ExperimentOutput, *FILTERS)
    def get(self, request: Request) -> Response:
        plain = {name: value for name, value in request.query_params.dict().items() if value}
        wished = valid(ExperimentsFilter, plain)
        rows = selectors.experiments(caller(request).organization_id, **wished)
        found = paging.page(rows, request, order=selectors.ORDER)
        measured = selectors.counted(found.rows)
        for row in found.rows:
            setattr(row, "measured", measured.get(row.id, 0))  # noqa: B010 - no column of it
        return Response(paging.answer(ExperimentOutput(found.rows, many=True).data, found.next_cursor))

    @answers(WholeExperimentOutput, takes=ExperimentInput, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        """A draft, with what it is likely to cost. Nothing is asked of anybody before it is started. Needs
        `captures.read` too.
        """
        asked, given = caller(request), valid(ExperimentInput, request.data)
        check_opener(asked)
        draft = said_of(asked.organization_id, given)
        row = services.create(organization_id=asked.organization_id, draft=draft, by=asked.actor, at=now())
        return _told(row, status=201)


class ExperimentOfRecommendation(Resource):
    """Try what a recommendation is about: a draft with its task type, models, margin and number of tasks. Needs
    `captures.read` too.
    """

    permission: ClassVar = {"POST": Permission.ROUTING_MANAGE}

    @answers(WholeExperimentOutput, takes=FromRecommendationInput, status=201)
    @idempotent
    def post(self, request: Request, recommendation_id: int) -> Response:
        asked, given = caller(request), valid(FromRecommendationInput, request.data)
        organization_id = asked.organization_id
        check_opener(asked)
        about = services.about(organization_id=organization_id, recommendation_id=recommendation_id)
        draft = said_of(organization_id, about | given)
        row = services.create(
            organization_id=organization_id, draft=draft, recommendation_id=recommendation_id, by=asked.actor, at=now()
        )
        return _told(row, status=201)


class OneExperiment(Resource):
    """How far it is, what it came to, and what is known of its candidates."""

    permission: ClassVar = {"GET": Permission.ROUTING_READ}

    @answers(WholeExperimentOutput)
    def get(self, request: Request, experiment_id: int) -> Response:
        return _told(selectors.experiment(caller(request).organization_id, experiment_id))


class StartExperiment(Resource):
    """It gets a key and a hard budget of its own, and begins. Needs `captures.read` too."""

    permission: ClassVar = {"POST": Permission.ROUTING_MANAGE}

    @answers(WholeExperimentOutput, takes=Input)
    @idempotent
    def post(self, request: Request, experiment_id: int) -> Response:
        return _acted(request, services.start, experiment_id)


class StopExperiment(Resource):
    """No call is begun any more; what was measured is kept."""

    permission: ClassVar = {"POST": Permission.ROUTING_MANAGE}

    @answers(WholeExperimentOutput, takes=Input)
    @idempotent
    def post(self, request: Request, experiment_id: int) -> Response:
        return _acted(request, services.stop, experiment_id, opens=False)


class ResumeExperiment(Resource):
    """It goes on from where it stood, within the same cap. Needs `captures.read` too."""

    permission: ClassVar = {"POST": Permission.ROUTING_MANAGE}

    @answers(WholeExperimentOutput, takes=Input)
    @idempotent
    def post(self, request: Request, experiment_id: int) -> Response:
        return _acted(request, services.resume, experiment_id)


def _acted(request: Request, act: Any, experiment_id: int, *, opens: bool = True) -> Response:
    asked = caller(request)
    valid(Input, request.data)
    if opens:
        check_opener(asked)
    row = act(organization_id=asked.organization_id, experiment_id=experiment_id, by=asked.actor, at=now())
    if opens:
        tasks.send(row)
    return _told(row)


def _told(row: Experiment, *, status: int = 200) -> Response:
    currency = orgs.organization(row.organization_id).reporting_currency
    told = as_plain(shown(row, now()), currency)
    for name, value in told.items():
        setattr(row, name, value)
    return Response(WholeExperimentOutput(row).data, status=status)
