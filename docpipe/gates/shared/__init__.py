"""Quotas and outages that several processes share, counted in a Redis (or Valkey) by four short Lua scripts.

Imported only where `[fleet] redis` is set; redis-py is of the extra `docpipe[fleet]`.

* A place is held as in `gates.places`, by Redis' own clock. A grant is a lease: the process renews it while
  its request is under way; a place that is not renewed for `LEASE_S` begins to run out by itself.
* Redis needs no disk and no replica. A script that finds another server (INFO's run_id), an empty one, or a
  clock that was set back closes the quota for a lease and a window. Each process compares Redis' clock with
  its own, and closes the quotas for a window where it jumped forwards.
* While Redis cannot be reached no process sends anything that has a quota.
"""

from docpipe.gates.shared.places import RedisPlaces
from docpipe.gates.shared.service import SharedService
from docpipe.gates.shared.store import LEASE_S, QuotaStore

__all__ = ["LEASE_S", "QuotaStore", "RedisPlaces", "SharedService"]
