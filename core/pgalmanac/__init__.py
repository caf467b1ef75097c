"""Keeps the time partitions of PostgreSQL tables in order."""

# The only place that says the version: the build reads it from here, and importing it costs nothing.
__version__ = "0.1.0"

__all__ = ["__version__"]
