"""Connected accounts and their feeds over REST. A credential goes in, and never comes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.idempotency import idempotent
from finops.api.schema import answers, listed
from finops.api.views import Input, Resource, now, paged, valid
from finops.connectors.enforcement import Power
from finops.connectors.feeds import ACCOUNTS
from finops.connectors.fetching import Account, Evidence, Feed, Need
from finops.jobs.api import JobOutput
from finops.orgs.authentication import caller
from finops.orgs.rules import Permission
from finops.polling import selectors, services, tasks
from finops.polling.models import ConnectedAccount, PolledFeed
from finops.polling.services.connecting import LONGEST_CREDENTIAL

_READ_WRITE: Mapping[str, str] = {"GET": Permission.ORG_READ, "POST": Permission.SOURCES_MANAGE}


class NeedOutput(serializers.Serializer[Any]):
    name = serializers.CharField()
    help = serializers.CharField()
    needed = serializers.BooleanField()


class KnownFeedOutput(serializers.Serializer[Any]):
    """What can be read of a provider."""

    name = serializers.CharField()
    title = serializers.CharField()
    says = serializers.ChoiceField(
        choices=["charges", "usage", "money"],
        help_text="What a row is: a charge, what was used in a time, or what a time cost.",
    )
    optional = serializers.BooleanField(help_text="Off until it is switched on.")
    every_s = serializers.IntegerField(help_text="How often it is asked.")
    delay_s = serializers.IntegerField(help_text="How late it is told.")
    revised_s = serializers.IntegerField(help_text="How far back it may still change, and is read again.")
    history_s = serializers.IntegerField(help_text="How far back it can be asked.")
    dedupe = serializers.CharField(help_text="What tells two rows apart.")
    convention = serializers.CharField(help_text="What input includes.")
    money = serializers.CharField(help_text="What money is counted in.")
    evidence = serializers.ListField(
        child=serializers.ChoiceField(choices=list(Evidence)), help_text="How sure it is that its rows are money."
    )
    needs = NeedOutput(many=True)


class KnownAccountOutput(serializers.Serializer[Any]):
    """What can be connected."""

    account = serializers.CharField()
    title = serializers.CharField()
    address = serializers.CharField()
    credential_help = serializers.CharField()
    needs = NeedOutput(many=True)
    enforces = serializers.ListField(
        child=serializers.ChoiceField(choices=list(Power)), help_text="What can be done to keys there."
    )
    feeds = KnownFeedOutput(many=True)


class CatalogueOutput(serializers.Serializer[Any]):
    items = KnownAccountOutput(many=True)


class FeedOutput(serializers.ModelSerializer[PolledFeed]):
    """How far a feed was read, and how it is doing. `state`: active, paused (by somebody), refused (its credential is
    not good, and nobody tries again), limited (the provider has enough for now), failing (it is tried again).
    """

    account = serializers.IntegerField(source="account_id", help_text="Its account's id.")
    feed = serializers.CharField(source="name")
    source: Any = serializers.SlugRelatedField(slug_field="slug", read_only=True)
    connected = serializers.SerializerMethodField()

    class Meta:
        model = PolledFeed
        fields = (
            "id", "feed", "account", "source", "connected", "state", "begun_from", "watermark", "newest_at", "next_at",
            "troubled_since", "last_tried_at", "last_success_at", "last_code", "last_message", "rows", "booked",
            "revised", "duplicates", "held",
        )  # fmt: skip

    def get_connected(self, row: PolledFeed) -> bool:
        return row.account.disconnected_at is None


class AccountOutput(serializers.ModelSerializer[ConnectedAccount]):
    """Without the credential."""

    feeds = serializers.SerializerMethodField()

    class Meta:
        model = ConnectedAccount
        fields = (
            "id", "account", "label", "address", "settings", "connected_at", "credential_set_at", "disconnected_at",
            "feeds",
        )  # fmt: skip

    def get_feeds(self, row: ConnectedAccount) -> list[str]:
        return sorted(feed.name for feed in row.feeds.all())


class SettingsField(serializers.DictField):
    child = serializers.CharField(max_length=500)


class AccountInput(Input):
    account = serializers.ChoiceField(choices=list(ACCOUNTS))
    credential = serializers.CharField(
        max_length=LONGEST_CREDENTIAL, help_text="It is tried, sealed, and never shown again."
    )
    label: Any = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    address = serializers.CharField(
        max_length=300, required=False, allow_blank=True, default="", help_text="Where it is not the provider's own."
    )
    settings = SettingsField(required=False, default=dict, help_text="What the account and its feeds need.")
    feeds = serializers.ListField(
        child=serializers.CharField(max_length=60), max_length=50, required=False, default=list,
        help_text="Optional feeds to be read too.",
    )  # fmt: skip
    since = serializers.DateTimeField(
        required=False, default=None, help_text="How far back to begin; a month if unsaid."
    )


class AccountCredentialInput(Input):
    credential = serializers.CharField(
        max_length=LONGEST_CREDENTIAL, help_text="It is tried first; the old one stays if it is refused."
    )
    settings = SettingsField(required=False, default=None, help_text="In place of those there are.")


class SwitchInput(Input):
    feed = serializers.CharField(max_length=60)
    settings = SettingsField(required=False, default=dict)
    since = serializers.DateTimeField(required=False, default=None)


class BackfillInput(Input):
    since = serializers.DateTimeField(help_text="Read what is older than what was read, back to here.")


class Catalogue(Resource):
    """What can be connected, and what is then read: of each feed its rhythm, delay and conventions."""

    permission: ClassVar = {"GET": Permission.ORG_READ}

    @answers(CatalogueOutput)
    def get(self, request: Request) -> Response:
        return Response({"items": [_known(one) for one in ACCOUNTS.values()]})


class Accounts(Resource):
    """Accounts at providers that are read by themselves."""

    permission: ClassVar = _READ_WRITE

    @listed(AccountOutput)
    def get(self, request: Request) -> Response:
        return paged(request, selectors.accounts(caller(request).organization_id), AccountOutput, order=("id",))

    @answers(AccountOutput, takes=AccountInput, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        """Connect an account. Its provider is asked whether the credential is good; nothing is kept if it is not. Each
        feed gets a source of its own, and is read at once.
        """
        asked, said = caller(request), valid(AccountInput, request.data)
        said["feeds"] = tuple(said["feeds"])
        row = services.connect(organization_id=asked.organization_id, **said, by=asked.actor, at=now())
        return _account(row, status=201)


class OneAccount(Resource):
    """One connected account."""

    permission: ClassVar = {"GET": Permission.ORG_READ}

    @answers(AccountOutput)
    def get(self, request: Request, account_id: int) -> Response:
        return Response(AccountOutput(selectors.account(caller(request).organization_id, account_id)).data)


class AccountCredential(Resource):
    """Set another credential. What was refused goes on at once from where it stood; an account that was disconnected
    is connected again.
    """

    permission: ClassVar = {"POST": Permission.SOURCES_MANAGE}

    @answers(AccountOutput, takes=AccountCredentialInput)
    @idempotent
    def post(self, request: Request, account_id: int) -> Response:
        asked, said = caller(request), valid(AccountCredentialInput, request.data)
        row = services.rotate(
            organization_id=asked.organization_id, account_id=account_id, **said, by=asked.actor, at=now()
        )
        return _account(row)


class AccountFeeds(Resource):
    """Read an optional feed of an account too."""

    permission: ClassVar = {"POST": Permission.SOURCES_MANAGE}

    @answers(FeedOutput, takes=SwitchInput)
    @idempotent
    def post(self, request: Request, account_id: int) -> Response:
        asked, said = caller(request), valid(SwitchInput, request.data)
        row = services.switch_on(
            organization_id=asked.organization_id, account_id=account_id, **said, by=asked.actor, at=now()
        )
        return _feed(asked.organization_id, row.id)


class DisconnectAccount(Resource):
    """Forget the credential. What was read stays, and its sources."""

    permission: ClassVar = {"POST": Permission.SOURCES_MANAGE}

    @answers(AccountOutput, takes=Input)
    @idempotent
    def post(self, request: Request, account_id: int) -> Response:
        asked = caller(request)
        valid(Input, request.data)
        row = services.disconnect(
            organization_id=asked.organization_id, account_id=account_id, by=asked.actor, at=now()
        )
        return Response(AccountOutput(row).data)


class Feeds(Resource):
    """Feeds of all accounts, and how they are doing."""

    permission: ClassVar = {"GET": Permission.ORG_READ}

    @listed(FeedOutput)
    def get(self, request: Request) -> Response:
        return paged(request, selectors.feeds(caller(request).organization_id), FeedOutput, order=("id",))


class _Act(Resource):
    """Of one feed."""

    permission: ClassVar = {"POST": Permission.SOURCES_MANAGE}


class PauseFeed(_Act):
    """Read nothing of it until it is resumed. Where it stands stays."""

    @answers(FeedOutput, takes=Input)
    @idempotent
    def post(self, request: Request, feed_id: int) -> Response:
        asked = caller(request)
        valid(Input, request.data)
        services.pause(organization_id=asked.organization_id, feed_id=feed_id, by=asked.actor, at=now())
        return _feed(asked.organization_id, feed_id)


class ResumeFeed(_Act):
    """Go on from where it stood, at once."""

    @answers(FeedOutput, takes=Input)
    @idempotent
    def post(self, request: Request, feed_id: int) -> Response:
        asked = caller(request)
        valid(Input, request.data)
        services.resume(organization_id=asked.organization_id, feed_id=feed_id, by=asked.actor, at=now())
        return _feed(asked.organization_id, feed_id, is_told=True)


class PollFeed(_Act):
    """Poll it now, without waiting for its time. One that is limited keeps its wait."""

    @answers(FeedOutput, takes=Input)
    @idempotent
    def post(self, request: Request, feed_id: int) -> Response:
        asked = caller(request)
        valid(Input, request.data)
        services.poll_now(organization_id=asked.organization_id, feed_id=feed_id, by=asked.actor, at=now())
        return _feed(asked.organization_id, feed_id, is_told=True)


class BackfillFeed(_Act):
    """Read its history, as a job that is watched, stopped and resumed like any other."""

    @answers(JobOutput, takes=BackfillInput, status=202)
    @idempotent
    def post(self, request: Request, feed_id: int) -> Response:
        asked, said = caller(request), valid(BackfillInput, request.data)
        job = services.open_backfill(
            organization_id=asked.organization_id, feed_id=feed_id, **said, by=asked.actor, at=now()
        )
        tasks.send_job(job)
        return Response(JobOutput(job).data, status=202)


def _account(row: ConnectedAccount, *, status: int = 200) -> Response:
    shown = AccountOutput(row).data
    tasks.send(row.feeds.order_by("id").values_list("id", flat=True))
    return Response(shown, status=status)


def _feed(organization_id: int, feed_id: int, *, is_told: bool = False) -> Response:
    if is_told:
        tasks.send([feed_id])
    return Response(FeedOutput(selectors.feed(organization_id, feed_id)).data)


def _known(spec: Account) -> dict[str, Any]:
    return {
        "account": spec.name,
        "title": spec.title,
        "address": spec.address,
        "credential_help": spec.credential_help,
        "needs": _needs(spec.needs),
        "enforces": sorted(one.value for one in spec.enforces),
        "feeds": [_known_feed(feed) for feed in spec.feeds],
    }


def _known_feed(feed: Feed) -> dict[str, Any]:
    return {
        "name": feed.name,
        "title": feed.title,
        "says": feed.says.value,
        "optional": feed.optional,
        **{f"{name}_s": int(getattr(feed, name).total_seconds()) for name in ("every", "delay", "revised", "history")},
        "dedupe": feed.dedupe,
        "convention": feed.convention,
        "money": feed.money,
        "evidence": sorted(one.value for one in feed.evidence),
        "needs": _needs(feed.needs),
    }


def _needs(needs: tuple[Need, ...]) -> list[dict[str, Any]]:
    return [need._asdict() for need in needs]
