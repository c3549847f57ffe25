"""What a process loads as it starts stays until it ends: no search for garbage need look at it."""

import gc


def freeze_heap() -> None:
    """Leave all that is there now out of every later search for garbage.

    To be called at the end of a start. Where torch is loaded, a full search takes 0.2 s otherwise,
    in which every session of the process waits.
    """
    gc.collect()  # what is frozen is never freed
    gc.freeze()
