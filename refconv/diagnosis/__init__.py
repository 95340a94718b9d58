"""Says in words what is wrong after a violation; what may be wrong stands in `refconv.hypotheses`.

Read in this order: `kinds` (what can be named), `contract` (what is wrong before values are looked at), `search` (which
hypothesis explains every wrong value).
"""
