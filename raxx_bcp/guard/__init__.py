"""The copy guard of the hosts whose snapshots are drilled: install it, check it, and since when it has been there."""
