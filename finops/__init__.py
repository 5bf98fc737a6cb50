"""Capstan's books: what was used, what it cost, whose it is."""
