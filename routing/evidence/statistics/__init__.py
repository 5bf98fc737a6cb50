"""What outcomes say of two models, and how sure that is. Pure: arrays in, named figures out; no clock, no chance but by
a generator that is given.

A difference is always candidate minus incumbent on the same item, between -1 and 1, and a margin is how much worse on
average is still as good, fixed before anybody looks.
"""
