"""Budgets, their accounts and requests for more over REST. What a caller may see is `selectors.sight_of`."""
