"""The import of torch and of all that inference needs, in less time and without losing Ctrl-C."""

from __future__ import annotations

import gc
import importlib
import sys

from soundsep.interrupts import interrupts_held

__all__ = ["import_torch"]


def import_torch() -> None:
    """Import torch, unless it is there, whole, and without a search for garbage in what it makes.

    The import makes hundreds of thousands of objects that live as long as the process. Searching
    them for garbage, again and again as they become more, takes a tenth of its time; and a search
    later on would go through all of them, so that they are left out of every later one.
    """
    if "torch" in sys.modules:
        return
    with interrupts_held():
        if not gc.isenabled():
            importlib.import_module("torch")
            return
        gc.disable()
        try:
            importlib.import_module("torch")
        finally:
            gc.enable()
        gc.freeze()
