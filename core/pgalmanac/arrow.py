"""The libraries behind archives, imported by who archives: they take half a second and 60 MB that nobody else needs.

They have no types, so everything from them is Any; the modules of the archive give it types again at their edges.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from pgalmanac.errors import ConfigError

__all__ = ["library"]


@cache
def library(name: str) -> Any:  # noqa: ANN401  # pyarrow and ADBC's driver ship no types
    """A module of pyarrow or of ADBC's PostgreSQL driver. Raises ConfigError where the extra is not installed."""
    try:
        module = import_module(name)
    except ModuleNotFoundError as exc:
        raise ConfigError(
            f"archiving needs {name.partition('.')[0]}, which is not installed", hint="pip install 'pgalmanac[archive]'"
        ) from exc
    if name == "pyarrow":
        # Its usual allocator keeps what other threads gave back: 272 MB instead of 199 for the same work.
        module.set_memory_pool(module.system_memory_pool())
    return module
