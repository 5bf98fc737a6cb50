"""The demo company: invented people, invented calls, real prices, and the same corridor as everybody's usage."""
