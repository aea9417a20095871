"""The client of D2: the state bucket's settings, with the machine's own AWS credentials."""

from __future__ import annotations

from raxx_bcp.clients.s3_settings import BucketSettings
from raxx_bcp.policy import Policy


def state_bucket_settings(policy: Policy) -> BucketSettings:
    """Connects to nothing yet."""
    return BucketSettings(policy.state_bucket.name)
