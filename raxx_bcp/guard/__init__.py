"""The copy guard of the hosts whose snapshots are drilled: put there, looked at, and since when it has been there."""
