"""Where PostgreSQL's versions differ in a way that matters here, each as the first server_version_num that has it.

Everything else here is written so that it is right on every supported version, 14 to 18.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "GRANTED_INHERITANCE",
    "PARAMETER_PRIVILEGES",
    "PUBLISHED_ONCE_ATTACHED",
    "PUBLISHED_SCHEMAS",
    "SHARED_COUNTERS",
    "TRANSACTION_TIMEOUT",
]

# GRANT SET ON PARAMETER, with which a role that is no superuser may keep triggers quiet.
PARAMETER_PRIVILEGES: Final = 150_000
# GRANT role TO role WITH INHERIT and SET; before, whether a member has a role's rights is a property of the member.
GRANTED_INHERITANCE: Final = 160_000
# Before, a walsender that has seen rows of a table before it was attached goes on thinking that it is not published.
PUBLISHED_ONCE_ATTACHED: Final = 150_000
# CREATE PUBLICATION … FOR TABLES IN SCHEMA.
PUBLISHED_SCHEMAS: Final = 150_000
# The server's counters lie in shared memory, and a session can have its own added at once; before, a process collects
# them when it comes to it.
SHARED_COUNTERS: Final = 150_000
# A limit that a role may be given by ALTER ROLE, and that would end a long move of rows.
TRANSACTION_TIMEOUT: Final = 170_000
