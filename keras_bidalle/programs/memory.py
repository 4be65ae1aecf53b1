"""How much memory this machine has to spare, and this process has taken.

Linux tells; elsewhere nothing is known, and `None` is returned. Of an
accelerator's own memory nothing is known either.
"""

import contextlib
import pathlib
import re

GIB = 1 << 30
_PROC = pathlib.Path("/proc")
_GROUP = pathlib.Path("/sys/fs/cgroup")


def available() -> int | None:
    """Bytes that a process can take before the kernel ends one."""
    free = _kilobytes(_PROC / "meminfo", "MemAvailable")
    limits = [] if free is None else [free]
    with contextlib.suppress(OSError, ValueError):
        most = int((_GROUP / "memory.max").read_text())
        limits.append(most - int((_GROUP / "memory.current").read_text()))
    return max(0, min(limits)) if limits else None


def taken() -> int:
    """Bytes of memory that this process has now; 0 where nobody knows."""
    return _kilobytes(_PROC / "self/status", "VmRSS") or 0


def peak() -> int:
    """The most that this process had since `forget_peak`."""
    return _kilobytes(_PROC / "self/status", "VmHWM") or 0


def forget_peak() -> None:
    """Measures the peak anew from here on, where the system lets us."""
    with contextlib.suppress(OSError):
        (_PROC / "self/clear_refs").write_text("5")


def _kilobytes(path: pathlib.Path, name: str) -> int | None:
    with contextlib.suppress(OSError):
        found = re.search(rf"^{name}:\s+(\d+) kB", path.read_text(), re.M)
        if found:
            return int(found[1]) * 1024
    return None
