"""How fast the product is, beside what a good engineer would build by hand: ``python -m leadlane.ops.bench``.

workloads  what is to be done, and the least time it can take
rivals     who does it: leadlane, cookbook and drain, one module each
race       one rival at one workload: Redis, sandbox, workers, from nothing to the end
launch     a worker process of a rival
clock      CPU seconds of those processes
figures    what the sandbox's log and the clock say
"""
