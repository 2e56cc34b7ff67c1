"""The memory of a process that handles leads by the thousand: less to look through, less to give back."""

from __future__ import annotations

import ctypes
import gc

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""As /usr/include/malloc.h has them."""
KEPT_BYTES = 16 << 20
"""Of freed memory, before any goes back to the system."""


def settle_down() -> None:
    """Spare Python's collector what is here to stay: the modules. It would look at them all every few turns.

    Leads come in lists of a thousand, so it also comes round less often. And a call's few hundred kilobytes are kept
    when it is over: glibc would give them back to the system, and get them again page by page for the next one.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):  # glibc's alone
        mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
