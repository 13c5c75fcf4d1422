"""What a run is computed on: the processor, what it can do, and the memory that the run took."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import archspec.cpu

# Instructions that multiply bfloat16: Intel's, AMD's and Arm's names for them.
BFLOAT16 = {"amx_bf16", "avx512_bf16", "bf16"}


def cpu() -> str:
    """The processor's name, its generation and the number of cores that this process may use.

    The generation, since cloud machines give the same name to processors of very different speed.
    """
    host = archspec.cpu.host()
    name = archspec.cpu.brand_string()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{f'{name} ({host.name})' if name else host.name}, {cores} core{'s' if cores != 1 else ''}"


def multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for bfloat16. Without them it takes longer than float32."""
    return not BFLOAT16.isdisjoint(archspec.cpu.host().features)


def peak_memory() -> int:
    """The most memory that this process held at any time, in bytes; 0 where the system does not say."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux, whose `getrusage` counts what the parent held, too
        return 1024 * int(status.read_text().split("VmHWM:")[1].split()[0])
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
