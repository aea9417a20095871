"""Who may do what at the sandbox's S3: SeaweedFS enforces the policies that production attaches (``deploy/iam``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from raxx_bcp_sandbox.freescout.sets import PREFIX as DUMPS_PREFIX

EXPORTS_PREFIX = "vault-exports/"

OPERATOR = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
"""Has all permissions. Drills need them: they read back old versions, delete, and switch versioning."""
EXPORTER = ("S3_EXPORTER_ACCESS_KEY_ID", "S3_EXPORTER_SECRET_ACCESS_KEY")
"""Has only the permissions of the vault export in production; tests prove with it that they are enough."""
HELP_DESK = ("S3_HELP_DESK_ACCESS_KEY_ID", "S3_HELP_DESK_SECRET_ACCESS_KEY")
"""May only put dump sets, like the key on the help desk's own host."""


def identities(credentials: Mapping[str, str], bucket: str, second_bucket: str) -> dict[str, Any]:
    """SeaweedFS's IAM configuration. The exporter's policy is the one of production, plus the second copy."""
    policies = {"vault-exporter": _exporter(bucket, second_bucket), "freescout-backup": _help_desk(bucket)}
    known = {"vault-exporter": EXPORTER, "freescout-backup": HELP_DESK}
    return {
        "identities": [
            {
                "name": "operator",
                "credentials": [_key(credentials, OPERATOR)],
                "actions": ["Admin", "Read", "List", "Tagging", "Write"],
            },
            *(
                {"name": name, "credentials": [_key(credentials, key)], "policyNames": [name]}
                for name, key in known.items()
            ),
        ],
        "policies": [
            {"name": name, "content": json.dumps({"Version": "2012-10-17", "Statement": statements})}
            for name, statements in policies.items()
        ],
    }


def _key(credentials: Mapping[str, str], names: tuple[str, str]) -> dict[str, str]:
    return {"accessKey": credentials[names[0]], "secretKey": credentials[names[1]]}


def _exporter(bucket: str, second_bucket: str) -> list[dict[str, Any]]:
    buckets = [f"arn:aws:s3:::{name}" for name in (bucket, second_bucket)]
    return [
        {
            "Effect": "Allow",
            "Action": ["s3:PutObject", "s3:GetObject", "s3:GetObjectVersion"],
            "Resource": [f"{one}/{EXPORTS_PREFIX}*" for one in buckets],
        },
        {
            "Effect": "Allow",
            "Action": ["s3:ListBucket", "s3:ListBucketVersions"],
            "Resource": buckets,
            "Condition": {"StringLike": {"s3:prefix": f"{EXPORTS_PREFIX}*"}},
        },
        {
            "Effect": "Allow",
            "Action": ["s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration"],
            "Resource": buckets,
        },
    ]


def _help_desk(bucket: str) -> list[dict[str, Any]]:
    return [
        {
            "Effect": "Allow",
            "Action": ["s3:PutObject", "s3:AbortMultipartUpload"],
            "Resource": f"arn:aws:s3:::{bucket}/{DUMPS_PREFIX}*",
        }
    ]
