"""Rules, incidents and deliveries: who is told of what, and when it is over."""
