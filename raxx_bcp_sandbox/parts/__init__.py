"""The parts of the sandbox. A new one is a module here and a line in ``PARTS``."""

from __future__ import annotations

from raxx_bcp_sandbox.part import Part
from raxx_bcp_sandbox.parts import heroku, infisical, infisical_drill, lightsail, operator_keys, s3, slack

PARTS: tuple[Part, ...] = (
    operator_keys.PART,
    s3.PART,
    lightsail.PART,
    heroku.PART,
    infisical.PART,
    infisical_drill.PART,
    slack.PART,
)
