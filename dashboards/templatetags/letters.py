"""What pages before the login may know of the mail server: whether there is one."""

from __future__ import annotations

from django import template

from finops.orgs import invitations

register = template.Library()


@register.simple_tag
def letters_possible() -> bool:
    return invitations.possible()
