"""The one tree of errors: each says what failed, on what, and what to do about it.

An operator reads these sentences at night, in a terminal, in Slack and in Dagster's UI, where they
are stored for ever. So no message may ever hold a secret, a signed URL or restored content.
"""

from __future__ import annotations

EXIT_PASS = 0
EXIT_FAIL = 1
EXIT_USAGE = 2
EXIT_COULD_NOT_VERIFY = 3


class BcpError(Exception):
    """Something failed that an operator must know about.

    ``what`` is one sentence naming what failed and on what; ``remedy`` is what to do next.
    """

    exit_code = EXIT_FAIL

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what} {remedy}")
        self.what = what
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[BcpError], tuple[str, str]]:
        return (type(self), (self.what, self.remedy))


class PermanentError(BcpError):
    """A new attempt without a change somewhere will fail again. Never retried."""


class BackupWrongError(PermanentError):
    """A fault was seen in a backup itself: it is missing, corrupt, or not what it claims to be.

    The only error that makes a drill FAIL. A failure on the way to a backup is any other error.
    """


class CredentialsRefusedError(PermanentError):
    """A service does not accept the credentials: nothing was changed, and nothing was seen."""


class TransientError(BcpError):
    """The outside system was slow, busy or away. Safe to try again later."""


class CouldNotVerifyError(BcpError):
    """Denied, timed out or unknown: neither pass nor fail, and never counted as a pass."""

    exit_code = EXIT_COULD_NOT_VERIFY


class UnreadableAnswerError(CouldNotVerifyError):
    """An answer that no such service gives: cut off, HTML, not UTF-8, another shape or status. It proves nothing.

    It may be a proxy's or a temporary one, so a poll continues until its deadline (``waiting.py``).
    """


NOT_THE_END = (TransientError, UnreadableAnswerError)
"""What a look may raise when nothing is known: the next look may see."""


class UsageError(BcpError):
    """The call, the environment or the policy file is wrong; nothing was attempted."""

    exit_code = EXIT_USAGE
