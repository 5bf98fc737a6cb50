"""What stands in the path parameters of every address while isolation is tested: objects of globex.

A new parameter name fails `test_isolation` until it has a filler here: a function that makes an object of globex, with
MARKER in every text a person could read, and returns what goes into the address.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.factories.orgs import the_cast
from tests.interfaces.world import MARKER, World

# Path parameter (and the field of a body of the same name) to what goes there.
FILLERS: Final[dict[str, Callable[[World], object]]] = {
    "team": lambda world: world.team.slug,
    "parent": lambda world: world.team.slug,
    "person": lambda world: world.person.slug,
    "owner": lambda world: world.person.slug,
    "identity_id": lambda world: world.identity.id,
    "project": lambda world: world.project.slug,
    "agent": lambda world: world.agent.slug,
    "customer": lambda world: world.customer.slug,
    "source": lambda world: world.source.slug,
    "key_id": lambda world: world.wishing.id,
    "job_id": lambda world: world.job.id,
    "webhook_id": lambda world: world.webhook.id,
    "record_id": lambda world: world.quarantined.id,
    "user_id": lambda world: world.cast.charlie.user_id,
    "rule_id": lambda world: world.rule.id,
    "shared_cost_id": lambda world: world.shared_cost.id,
    "tag_id": lambda world: world.tag.id,
    "budget_id": lambda world: world.budget.id,
    "increase_id": lambda world: world.increase.id,
    "limit_id": lambda world: world.limit.id,
    "breaker_id": lambda world: world.breaker.id,
    "stop_id": lambda world: world.stop.id,
    "contract_id": lambda world: world.contract.id,
    "alert_rule_id": lambda world: world.alert_rule.id,
    "channel_id": lambda world: world.channel.id,
    "incident_id": lambda world: world.incident.id,
    "enforceable_id": lambda world: world.enforceable.id,
    "upstream_id": lambda world: world.upstream.id,
    "deployment_id": lambda world: world.deployment.id,
    "call_id": lambda world: world.capture.call_id,
    "experiment_id": lambda world: world.experiment.id,
    "evaluation_id": lambda world: world.evaluation.id,
    "evidence_type": lambda world: world.evaluation.task_types[0],
    "routing_rule_id": lambda world: world.routing_rule.id,
    "rollout_rule_id": lambda world: world.rollout.rule_id,
    "recommendation_id": lambda world: world.recommendation.id,
    "model_tier_id": lambda world: world.model_tier.id,
    # Of a version of it.
    "number": lambda world: world.routing_rule.version.number if world.routing_rule.version else 0,
    "model_energy_id": lambda world: world.model_energy.id,
    "grid_mix_id": lambda world: world.grid_mix.id,
    "account_id": lambda world: world.feed.account_id,
    "feed_id": lambda world: world.feed.id,
    "counting_rule_id": lambda world: world.counting_rule.id,
    "seat_plan_id": lambda world: world.seat_plan.id,
    "exception_id": lambda world: world.exception.id,
    "alias_id": lambda world: world.alias.id,
    # The price book is everybody's; no such price.
    "price_id": lambda world: 2**31 - 1,
    "charge_id": lambda world: world.charge_id,
    # A page of projects, agents and customers alike: the kind is a word, the reference an object.
    "reference": lambda world: world.project.slug,
}

# Path parameters that are words of ours, not objects of anybody.
WORDS: Final = {"kind": "project", "dimension": "model", "month": "2026-10"}

# Ids of globex that a question may be asked with, `?team=12`.
QUERIES: Final[dict[str, Callable[[World], int]]] = {
    "team": lambda world: world.team.id,
    "person": lambda world: world.person.id,
    "project": lambda world: world.project.id,
    "agent": lambda world: world.agent.id,
    "customer": lambda world: world.customer.id,
    "key": lambda world: world.key.id,
    "source": lambda world: world.source.id,
    "subject_id": lambda world: world.person.id,
    "channel_id": lambda world: world.channel.id,
    "incident_id": lambda world: world.incident.id,
}


def the_world() -> World:
    """Both organizations, with one of everything in globex."""
    cast = the_cast()
    cast.globex.name = f"{MARKER} globex"
    cast.globex.save(update_fields=["name"])
    login = cast.charlie_login
    login.name = f"{MARKER} Charlie"
    login.save(update_fields=["name"])
    world = World(cast)
    for fill in FILLERS.values():
        fill(world)
    return world
