"""How often somebody may do something: a count in Django's cache.

Decides nothing but yes or no; what a no means is the caller's. The cache is the project's `default`: in one that
processes share, the limit holds for all of them, in Django's own default for each process. Losing a count lets somebody
do a little more, so a cache that forgets is good enough.
"""

from __future__ import annotations

import hashlib

from django.core.cache import cache


def is_allowed(what: str, whom: str, most: int, seconds: int) -> bool:
    """Counts one try of `whom` to do `what`; False once there were more than `most` within `seconds` of the first."""
    # Hashed, because memcached takes neither long keys nor spaces.
    key = f"realm_sync.{what}.{hashlib.sha256(whom.encode()).hexdigest()}"
    cache.add(key, 0, seconds)
    try:
        return int(cache.incr(key)) <= most
    except ValueError:  # it has just expired
        return True
