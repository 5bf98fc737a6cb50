"""Task types over REST: which there are, calls labelled with them, what classifies, and what it says of a call."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, ClassVar, Final

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.idempotency import idempotent
from finops.api.schema import answers
from finops.api.views import Input, Resource, now, valid
from finops.jobs.models import Job
from finops.orgs.authentication import caller
from finops.orgs.rules import Permission
from routing.classify import hot, reading, rules, selectors, services, shown
from routing.classify.rules import Label, LabelInvalid
from routing.classify.selectors import Sampled
from routing.classify.sensitivity import judge
from routing.classify.tasks import send
from routing.classify.types import LONGEST_TASK_TYPE, NO_GUESS, Content, Kind, Verdict

# Of a text to be classified: what is beyond is not read for what is sensitive, and that is said.
LONGEST_TEXT: Final = 500_000
# Of a text of a label, the beginning of which is hashed.
LONGEST_LABELLED: Final = 50_000
MOST_SCANNED: Final = 200_000
_MOST: Final = hot.MOST_SHOWN
_NO_STORE: Final = {"Cache-Control": "no-store"}


class BinOutput(serializers.Serializer[Any]):
    """What was told with a chance from `lower` to `upper`: how often, with which chance on average, and the share that
    was right, or the mean score it came to.
    """

    lower = serializers.FloatField()
    upper = serializers.FloatField()
    number = serializers.IntegerField()
    chance = serializers.FloatField()
    right = serializers.FloatField()


class ConfusedOutput(serializers.Serializer[Any]):
    """So many calls of one type were taken for another; `guessed` is '' where they were said to be unknown."""

    task_type = serializers.CharField()
    guessed = serializers.CharField(allow_blank=True)
    number = serializers.IntegerField()


class SamplingInput(Input):
    is_on = serializers.BooleanField(required=False)
    most_a_day = serializers.IntegerField(
        min_value=1, max_value=rules.MOST_A_DAY, required=False, help_text="Of one task type."
    )


class SamplingOutput(serializers.Serializer[Any]):
    """Of calls that pass, hashed counts of words are kept to learn from, at most so many of a type and day (UTC), drawn
    by lot. `kept` is how many there are.
    """

    is_on = serializers.BooleanField()
    most_a_day = serializers.IntegerField()
    kept = serializers.IntegerField()


class SeenDayOutput(serializers.Serializer[Any]):
    day = serializers.DateField()
    calls = serializers.IntegerField()
    named = serializers.IntegerField()
    right = serializers.IntegerField()


class ConfusionOutput(serializers.Serializer[Any]):
    """Of calls that came with a type in the last 30 days: by day (UTC) how many, how many of them would have been
    named, and how many of these rightly; and what was taken for what, the commonest first, 200 pairs at most.
    """

    days = SeenDayOutput(many=True)
    pairs = ConfusedOutput(many=True)


class SinceOutput(serializers.Serializer[Any]):
    """Of calls that were labelled after it was trained: how many it names, and how many of these rightly."""

    calls = serializers.IntegerField()
    named = serializers.IntegerField()
    right = serializers.IntegerField()


class ClassifierOutput(serializers.Serializer[Any]):
    """What classifies. All figures are of `calls` of other sessions than it learned from: `named` of them were sure
    enough, `accuracy` is the share of these that was right and `least_accuracy` its lower bound (95 %), `error` the
    expected calibration error. `drifting_at` is when it was found to name calls worse than that.
    """

    version = serializers.IntegerField()
    trained_at = serializers.DateTimeField()
    task_types = serializers.ListField(child=serializers.CharField())
    left_out = serializers.ListField(child=serializers.CharField())
    labelled = serializers.IntegerField()
    calls = serializers.IntegerField()
    named = serializers.IntegerField()
    right = serializers.IntegerField()
    accuracy = serializers.FloatField()
    least_accuracy = serializers.FloatField()
    error = serializers.FloatField()
    threshold = serializers.FloatField()
    reliability = BinOutput(many=True)
    confused = ConfusedOutput(many=True)
    drifting_at = serializers.DateTimeField(allow_null=True)
    since = SinceOutput()


class TypeOutput(serializers.Serializer[Any]):
    """`by_source` is how many of its labelled calls were labelled by whom: api, header, agent, key, rule."""

    task_type = serializers.CharField()
    labelled = serializers.IntegerField()
    by_source = serializers.DictField(child=serializers.IntegerField())


class TaskTypesOutput(serializers.Serializer[Any]):
    """`classifier` is null until one was trained; `training` is the last training there was, null for none."""

    task_types = TypeOutput(many=True)
    classifier = ClassifierOutput(allow_null=True)
    training = shown.TrainingOutput(allow_null=True)


class AboutInput(Input):
    """What is known of a call besides its text."""

    tools = serializers.IntegerField(min_value=0, max_value=_MOST, required=False, help_text="How many it offers.")
    modalities = serializers.ListField(
        child=serializers.CharField(max_length=60), max_length=hot.MOST_NAMES, required=False
    )
    recent_tools = serializers.ListField(
        child=serializers.CharField(max_length=60),
        max_length=hot.MOST_NAMES,
        required=False,
        help_text="Names of tools that were used last, newest last.",
    )
    files = serializers.IntegerField(
        min_value=0, max_value=_MOST, required=False, help_text="How many the repository has."
    )
    languages = serializers.DictField(
        child=serializers.FloatField(min_value=0, max_value=1),
        required=False,
        help_text="Shares of the repository's languages.",
    )
    depth = serializers.IntegerField(min_value=0, max_value=_MOST, required=False)
    turn = serializers.IntegerField(min_value=0, max_value=_MOST, required=False)


class FeaturesInput(AboutInput):
    words = serializers.DictField(
        child=serializers.IntegerField(min_value=1, max_value=_MOST),
        required=False,
        help_text="Instead of a text: how often each bucket of hashed words comes.",
    )
    length = serializers.IntegerField(min_value=0, max_value=_MOST, required=False)


class LabelInput(Input):
    """Of which type a call is, with its text or with features of it; or with neither, where it passed a gateway that
    kept them (`call_id` is the answer's `x-capstan-call`).
    """

    call_id = serializers.CharField(max_length=rules.LONGEST_CALL_ID)
    task_type = serializers.CharField(max_length=LONGEST_TASK_TYPE)
    session = serializers.CharField(max_length=rules.LONGEST_SESSION, required=False)
    text = serializers.CharField(
        max_length=LONGEST_LABELLED,
        required=False,
        trim_whitespace=False,
        help_text="What was asked. Hashed at once, and not stored.",
    )
    features = FeaturesInput(required=False)


class LabelsInput(Input):
    labels = serializers.ListField(child=LabelInput(), min_length=1, max_length=rules.MOST_AT_ONCE)


class TakenOutput(serializers.Serializer[Any]):
    """`kept` had a label already of somebody whose word counts for more."""

    new = serializers.IntegerField()
    changed = serializers.IntegerField()
    same = serializers.IntegerField()
    kept = serializers.IntegerField()


class ClassifyInput(Input):
    """A text, or the messages of a call as OpenAI's and Anthropic's clients write them."""

    text = serializers.CharField(max_length=LONGEST_TEXT, required=False, allow_blank=True, trim_whitespace=False)
    messages = serializers.ListField(child=serializers.DictField(), max_length=reading.MOST_MESSAGES, required=False)
    system = serializers.JSONField(required=False, help_text="A text or parts, where it is not among the messages.")
    features = AboutInput(required=False)
    labels = serializers.ListField(
        child=serializers.CharField(max_length=100), max_length=10, required=False,
        help_text="What the call's tags, headers and project say of its sensitivity.",
    )  # fmt: skip


class SensitivityOutput(serializers.Serializer[Any]):
    """`stays_local` is what a rule that says local-only goes by: undecided counts as sensitive."""

    verdict = serializers.ChoiceField(choices=[one.value for one in Verdict])
    kinds = serializers.ListField(child=serializers.ChoiceField(choices=[one.value for one in Kind]))
    reason = serializers.CharField(allow_blank=True)
    stays_local = serializers.BooleanField()


class ClassifiedOutput(serializers.Serializer[Any]):
    """`task_type` is unknown where nothing is sure enough; `version` is null where nothing was ever trained."""

    task_type = serializers.CharField()
    confidence = serializers.FloatField()
    version = serializers.IntegerField(allow_null=True)
    sensitivity = SensitivityOutput()


class TaskTypes(Resource):
    """Kinds of work that calls are labelled with, and what tells them apart for calls that say nothing."""

    permission: ClassVar = {"GET": Permission.ROUTING_READ}

    @answers(TaskTypesOutput)
    def get(self, request: Request) -> Response:
        organization_id = caller(request).organization_id
        row = selectors.in_force(organization_id)
        told = {
            "task_types": [one._asdict() for one in selectors.task_types(organization_id)],
            "classifier": row and shown.classifier(row, selectors.since(organization_id, row.id)),
            "training": selectors.last_training(organization_id),
        }
        return Response(TaskTypesOutput(told).data)


class TrainClassifier(Resource):
    """Learn from all labelled calls, and put that in force. It takes a minute; `training` of the task types says when
    it is done, or why it could not be. What was in force before stays where it could not.
    """

    permission: ClassVar = {"POST": Permission.ROUTING_MANAGE}

    @answers(shown.TrainingOutput, takes=Input, status=202)
    @idempotent
    def post(self, request: Request) -> Response:
        asked = caller(request)
        valid(Input, request.data)
        job: Job = services.open_training(organization_id=asked.organization_id, by=asked.actor, at=now())
        send(job)
        return Response(shown.TrainingOutput(job).data, status=202)


class SamplingResource(Resource):
    """Whether features of calls that pass are kept, to learn task types and prospects from. Texts are not."""

    permission: ClassVar = {"GET": Permission.ROUTING_READ, "PATCH": Permission.ROUTING_MANAGE}

    @answers(SamplingOutput)
    def get(self, request: Request) -> Response:
        return _sampling(caller(request).organization_id)

    @answers(SamplingOutput, takes=SamplingInput)
    def patch(self, request: Request) -> Response:
        """Change what is named, in force at gateways within a second. Switched off, everything that was kept of calls
        is deleted, and so are the labels that calls brought with them.
        """
        asked, given = caller(request), valid(SamplingInput, request.data)
        services.change_sampling(organization_id=asked.organization_id, changes=given, by=asked.actor, at=now())
        return _sampling(asked.organization_id)


class Confusion(Resource):
    """How often types are guessed rightly in production: guesses of calls whose type somebody said."""

    permission: ClassVar = {"GET": Permission.ROUTING_READ}

    @answers(ConfusionOutput)
    def get(self, request: Request) -> Response:
        found = selectors.confused(caller(request).organization_id, now())
        told = {
            "days": [one._asdict() for one in found.days],
            "pairs": [one._asdict() for one in found.pairs],
        }
        return Response(ConfusionOutput(told).data)


class Labels(Resource):
    """Say which type calls are of: what classifiers learn from. Texts are hashed at once, and nothing of them is kept
    that could be read. A call has one label; said again, nothing changes.
    """

    permission: ClassVar = {"POST": Permission.OUTCOMES_WRITE}

    @answers(TakenOutput, takes=LabelsInput)
    @idempotent
    def post(self, request: Request) -> Response:
        asked, given = caller(request), valid(LabelsInput, request.data)
        known = selectors.sampled(asked.organization_id, [one["call_id"] for one in given["labels"]])
        labels = [_label(one, place, known) for place, one in enumerate(given["labels"])]
        taken = services.label_calls(organization_id=asked.organization_id, labels=labels, by=asked.actor, at=now())
        return Response(TakenOutput(taken._asdict()).data)


class Classify(Resource):
    """What kind of work a call would be taken for, and whether it is sensitive. Nothing of it is stored."""

    permission: ClassVar = {"POST": Permission.ROUTING_READ}

    @answers(ClassifiedOutput, takes=ClassifyInput)
    def post(self, request: Request) -> Response:
        asked, given = caller(request), valid(ClassifyInput, request.data)
        if ("text" in given) == ("messages" in given):
            raise LabelInvalid("a text or messages, one of them", field="text")
        about = shown.about(given.get("features", {}))
        if "text" in given:
            known, content = hot.features(given["text"], **about), Content((given["text"],))
        else:
            read = reading.read(given["messages"], system=given.get("system"))
            known, content = read.known._replace(**about), read.content
        published = selectors.published(asked.organization_id)
        guess = hot.Classifier.of(published).guess(known) if published else NO_GUESS
        found = judge(content, labels=given.get("labels", ()), most=MOST_SCANNED)
        told = {
            **guess._asdict(),
            "version": published.version if published else None,
            "sensitivity": {**found._asdict(), "stays_local": found.stays_local},
        }
        return Response(ClassifiedOutput(told).data, headers=_NO_STORE)


def _sampling(organization_id: int) -> Response:
    said = asdict(selectors.sampling(organization_id))
    return Response(SamplingOutput(said | {"kept": selectors.sampled_number(organization_id)}).data)


def _label(given: dict[str, Any], place: int, sampled: dict[str, Sampled]) -> Label:
    """Raises LabelInvalid."""
    features = dict(given.get("features", {}))
    words = features.pop("words", None)
    passed = sampled.get(given["call_id"])
    if "text" not in given and "features" not in given and passed is not None:
        return Label(given["call_id"], given["task_type"], passed.signs, drawn_with=passed.drawn_with)
    if ("text" in given) == (words is not None):
        raise LabelInvalid(
            "a text or words, one of them; or the id alone of a call of which features are kept",
            field=f"labels[{place}].text",
        )
    length = features.pop("length", 0)
    known = hot.features(given.get("text", ""), **shown.about(features))
    if words is not None:
        known = known._replace(words=shown.buckets(words, field=f"labels[{place}].features"), length=length)
    return Label(given["call_id"], given["task_type"], hot.signs(known), session=given.get("session", ""))
