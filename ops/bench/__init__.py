"""How fast the product is, beside what a good engineer would build by hand: ``python -m leadlane.ops.bench``.

workloads  what is to be done, and the least time it can take
rivals     who does it: leadlane, cookbook and drain, one module each
ground     where: a Redis, a sandbox and workers of a rival (launch)
race       one rival at one workload, from nothing to the end
urgent, single, many, lanes, intake, memory   what else is measured, one module each
clock      CPU seconds of other processes
figures    what the sandbox's log and the clock say
report     page and plots of a run, from its lines and nothing else
"""
