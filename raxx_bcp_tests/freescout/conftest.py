"""The help desk, the bucket and the restore of the FreeScout drills: what the backup stores is judged by a restore."""

from raxx_bcp_tests.drills.freescout.conftest import healthy, host, shelf, short, stage

__all__ = ["healthy", "host", "shelf", "short", "stage"]
