"""The help desk's data at a sandbox's start: the same rows every time, except for ``now`` and the key.

About 300 conversations of 400 days with 1,500 threads, and all that belongs to them. Times are relative to ``now``;
secrets are planted so that a test can search for them (see ``planted``).
"""

from __future__ import annotations

import hashlib
import json
import random
from datetime import UTC, datetime, timedelta
from typing import Final

from raxx_bcp_sandbox.freescout import files, laravel, schema, words
from raxx_bcp_sandbox.freescout.rows import AttachedFile, HelpDesk, Rows, Value

DATABASE: Final = "freescout"
DATABASE_USER: Final = "freescout"
APP_KEY: Final = laravel.app_key(b"raxx sandbox: FreeScout")
CONVERSATIONS: Final = 300
THREADS: Final = 1500
CUSTOMERS: Final = 180
ATTACHMENTS: Final = 40
QUEUED_JOBS: Final = 5
FETCHED_AGO: Final = timedelta(minutes=3)
"""When mail was last fetched, before ``now``; the newest thread is a little older."""

_NEWEST_AGO: Final = timedelta(minutes=12)
_HISTORY: Final = timedelta(days=400)
_MAILBOXES: Final = (("Support", "support"), ("Billing", "billing"), ("Race office", "races"))
_DOMAIN: Final = "raxx-sandbox.example"
_EMOJI_RATIO, _UNICODE_RATIO = 0.1, 0.2

# One admin, one disabled user, and three who answer customers; passwords are "sandbox <first name>".
_USERS: Final = (
    ("Alma", "Reyes", 2, 1, "$2y$04$4zdLZJD/lU14NKsVYBPgP.Hb5OWZTDcfe6BMXZ3p.YsudGmxZvMja"),
    ("Boris", "Lang", 2, 2, "$2y$04$BuX3Rz5uPUGwuwLi0qpbXu5LovYoDskikdliqSYKkR.Rq458RpJvm"),
    ("Chen", "Wu", 1, 1, "$2y$04$aH/QaR9lvSHEw7G173DEtuPdJDyFEo6dbh4Trq8me0ftirbxof57S"),
    ("Dara", "Okoye", 1, 1, "$2y$04$fBx4O.rwieRMBhyVEowope/ipEudi4Nx9NuM52dqBuIEH2ALB6rqG"),
    ("Eli", "Novak", 1, 1, "$2y$04$l9y3.o68M8b4DLIpbRqV0uplQoskYElWDo0N1Vsl3hN8H2GLLYbAW"),
)
_CUSTOMER, _MESSAGE, _NOTE = 1, 2, 3
_PUBLISHED: Final = 2
_UNASSIGNED, _MINE, _DRAFTS, _ASSIGNED, _CLOSED, _SPAM, _DELETED = 1, 20, 30, 40, 60, 80, 110


def help_desk(
    now: datetime, *, app_key: str = APP_KEY, version: str = schema.VERSION, jobs_due: datetime | None = None
) -> HelpDesk:
    """The data as of ``now`` (aware). Queued jobs fall due at ``jobs_due``, or at once."""
    return _Builder(now, app_key, version, jobs_due or now).build()


def planted(app_key: str = APP_KEY) -> tuple[str, ...]:
    """Strings that must never be in evidence, a log, an error or a message: secrets, and what customers wrote."""
    desk = help_desk(datetime(2031, 3, 14, tzinfo=UTC), app_key=app_key)
    addresses = [str(row["email"]) for row in desk.rows["emails"]]
    hashes = [each[-1] for each in _USERS]
    passwords = [secret(f"{way} {name}") for _title, name in _MAILBOXES for way in ("in", "out")]
    secrets = [app_key, database_password(), secret("mail"), *passwords, *hashes]
    texts = [*words.SENTENCES, *words.UNICODE, *words.SUBJECTS[:-1], words.AWKWARD[0]]
    return tuple(dict.fromkeys([*secrets, *addresses, *texts, *(_remember(index) for index in range(len(_USERS)))]))


def secret(name: str) -> str:
    """A password of the sandbox's, the same every time."""
    return "sbx-" + hashlib.sha256(f"raxx sandbox secret: {name}".encode()).hexdigest()[:28]


def database_password() -> str:
    """Of ``DATABASE_USER``, as ``.env`` says it."""
    return secret("database")


class _Builder:
    """Makes one table after the other; an id is the row's place in the list."""

    def __init__(self, now: datetime, app_key: str, version: str, jobs_due: datetime) -> None:
        self._now = now.astimezone(UTC).replace(microsecond=0)
        self._key = app_key
        self._version = version
        self._jobs_due = int(jobs_due.timestamp())
        self._random = random.Random(145)  # noqa: S311 - the same data every time, and no secret
        self._rows: Rows = {table: [] for table in schema.TABLES}
        self._files: list[AttachedFile] = []

    def build(self) -> HelpDesk:
        self._people()
        self._mailboxes()
        self._customers()
        self._conversations()
        self._attachments()
        self._queue()
        self._housekeeping()
        return HelpDesk(self._rows, self._files, self._version)

    def _add(self, table: str, **values: Value) -> int:
        rows = self._rows[table]
        rows.append({"id": len(rows) + 1, **values})
        return len(rows)

    def _ago(self, ago: timedelta) -> str:
        return (self._now - ago).strftime("%Y-%m-%d %H:%M:%S")

    def _encrypted(self, text: str) -> str:
        return laravel.encrypt(self._key, text, hashlib.sha256(f"iv {text}".encode()).digest()[:16])

    def _people(self) -> None:
        since = self._ago(_HISTORY)
        for index, (first, last, role, status, password) in enumerate(_USERS):
            self._add(
                "users",
                first_name=first,
                last_name=last,
                email=f"{first.lower()}@{_DOMAIN}",
                password=password,
                role=role,
                type=1,
                status=status,
                invite_state=1,
                remember_token=_remember(index),
                created_at=since,
                updated_at=since,
            )
            for event in (1, 2, 4):
                self._add("subscriptions", user_id=index + 1, medium=1, event=event)

    def _mailboxes(self) -> None:
        since = self._ago(_HISTORY)
        for title, name in _MAILBOXES:
            address = f"{name}@{_DOMAIN}"
            mailbox = self._add(
                "mailboxes",
                name=title,
                email=address,
                signature="<p>Raxx sandbox help desk</p>",
                out_method=3,
                out_server=f"smtp.{_DOMAIN}",
                out_port=587,
                out_username=address,
                out_password=self._encrypted(secret(f"out {name}")),
                in_server=f"imap.{_DOMAIN}",
                in_port=993,
                in_username=address,
                in_encryption=2,
                in_password=self._encrypted(secret(f"in {name}")),
                auto_reply_enabled=1 if name == "support" else 0,
                created_at=since,
                updated_at=since,
                meta="{}",
            )
            for kind in (_UNASSIGNED, _DRAFTS, _ASSIGNED, _CLOSED, _SPAM, _DELETED):
                self._add("folders", mailbox_id=mailbox, user_id=None, type=kind, total_count=0, active_count=0)
            for user in range(1, len(_USERS) + 1):
                self._add("mailbox_user", mailbox_id=mailbox, user_id=user)
                self._add("folders", mailbox_id=mailbox, user_id=user, type=_MINE, total_count=0, active_count=0)

    def _customers(self) -> None:
        for number in range(1, CUSTOMERS + 1):
            first, last = self._random.choice(words.FIRST_NAMES), self._random.choice(words.LAST_NAMES)
            since = self._ago(_HISTORY - timedelta(days=number))
            self._add(
                "customers",
                first_name=first,
                last_name=last,
                company=f"Rowing club {number}" if number % 4 == 0 else None,
                phones=json.dumps([{"value": f"+1 555 01{number % 100:02d}", "type": 1}]),
                created_at=since,
                updated_at=since,
            )
            self._add("emails", customer_id=number, email=_address(number), type=1)
            if number % 9 == 0:
                self._add("emails", customer_id=number, email=f"second.{_address(number)}", type=2)
            if number % 30 == 0:
                self._add("customer_channel", customer_id=number, channel=13, channel_id=str(700000 + number))

    def _conversations(self) -> None:
        counts = self._thread_counts()
        newest = _NEWEST_AGO
        span = _HISTORY - newest
        for number, threads in enumerate(counts, start=1):
            ago = newest + span * ((CONVERSATIONS - number) / CONVERSATIONS)
            self._conversation(number, threads, ago)
        for index in range(0, CONVERSATIONS, 15):
            self._add("followers", conversation_id=index + 1, user_id=1, created_at=self._ago(timedelta(days=2)))

    def _thread_counts(self) -> list[int]:
        counts = [2] * CONVERSATIONS
        for _ in range(THREADS - sum(counts)):
            counts[self._random.randrange(CONVERSATIONS)] += 1
        return counts

    def _conversation(self, number: int, threads: int, ago: timedelta) -> None:
        mailbox = 1 + (number % 5 == 0) + (number % 11 == 0)
        mailbox = min(mailbox, len(_MAILBOXES))
        customer = self._random.randint(1, CUSTOMERS)
        closed, user = number < CONVERSATIONS - 60, (number % 4) + 1 if number % 3 else None
        status, state = (3 if closed else 1 + number % 2), (3 if number % 50 == 0 else _PUBLISHED)
        kind = _DELETED if state == 3 else _CLOSED if closed else _ASSIGNED if user else _UNASSIGNED
        folder = self._folder(mailbox, kind)
        # The threads are spread over the conversation's time; none is later than its end.
        length = min(timedelta(days=3), _HISTORY / CONVERSATIONS * 2)
        moments = [ago + length * ((threads - 1 - each) / threads) for each in range(threads)]
        subject = self._random.choice(words.SUBJECTS)
        self._add(
            "conversations",
            number=number,
            threads_count=threads,
            type=1,
            folder_id=folder,
            status=status,
            state=state,
            subject=subject,
            customer_email=_address(customer),
            preview=self._random.choice(words.SENTENCES),
            has_attachments=0,
            mailbox_id=mailbox,
            user_id=user,
            customer_id=customer,
            created_by_customer_id=customer,
            source_via=1,
            source_type=1,
            closed_at=self._ago(ago) if closed else None,
            last_reply_at=self._ago(ago),
            last_reply_from=1 + threads % 2,
            created_at=self._ago(moments[0]),
            updated_at=self._ago(ago),
        )
        if kind == _ASSIGNED and user is not None:
            self._add("conversation_folder", folder_id=self._folder(mailbox, _MINE, user), conversation_id=number)
        for place, moment in enumerate(moments):
            self._thread(number, place, customer, user or 1, self._ago(moment))

    def _folder(self, mailbox: int, kind: int, user: int | None = None) -> int:
        wanted = (mailbox, kind, user)
        for row in self._rows["folders"]:
            if (row["mailbox_id"], row["type"], row["user_id"]) == wanted:
                row["total_count"] = int(row["total_count"] or 0) + 1
                return int(row["id"] or 0)
        raise LookupError(wanted)

    def _thread(self, conversation: int, place: int, customer: int, user: int, at: str) -> None:
        by_customer = place % 2 == 0
        kind = _CUSTOMER if by_customer else _NOTE if place % 5 == 3 else _MESSAGE
        self._add(
            "threads",
            conversation_id=conversation,
            user_id=None if by_customer else user,
            type=kind,
            status=1,
            state=_PUBLISHED,
            body=self._body(),
            **{"from": _address(customer) if by_customer else None},
            to=json.dumps([f"support@{_DOMAIN}"]) if by_customer else None,
            has_attachments=0,
            message_id=f"sandbox-{conversation}-{place}@mail.example" if by_customer else None,
            source_via=1 if by_customer else 2,
            source_type=1 if by_customer else 2,
            customer_id=customer,
            created_by_user_id=None if by_customer else user,
            created_by_customer_id=customer if by_customer else None,
            first=1 if place == 0 else 0,
            created_at=at,
            updated_at=at,
        )
        if kind == _MESSAGE:
            number = len(self._rows["threads"])
            self._add(
                "send_logs",
                thread_id=number,
                customer_id=customer,
                message_id=f"reply-{number}@{_DOMAIN}",
                email=_address(customer),
                mail_type=2,
                status=1,
                created_at=at,
                updated_at=at,
            )

    def _body(self) -> str:
        number = len(self._rows["threads"])
        parts = [self._random.choice(words.SENTENCES) for _ in range(self._random.randint(2, 7))]
        if self._random.random() < _UNICODE_RATIO:
            parts.append(self._random.choice(words.UNICODE))
        if self._random.random() < _EMOJI_RATIO:
            parts.append(self._random.choice(words.EMOJI))
        if number % 40 < len(words.AWKWARD):
            parts.append(words.AWKWARD[number % 40])
        return "<div>" + "<br>\n".join(f"<p>{part}.</p>" for part in parts) + "</div>"

    def _attachments(self) -> None:
        for number in range(1, ATTACHMENTS + 1):
            thread = self._rows["threads"][number * (THREADS // ATTACHMENTS) - 1]
            conversation = self._rows["conversations"][int(thread["conversation_id"] or 0) - 1]
            thread["has_attachments"] = conversation["has_attachments"] = 1
            sample = files.sample(number)
            directory = laravel.attachment_directory(number)
            newer = {"token_type": laravel.TOKEN_HMAC if number % 2 else None}
            self._files.append(AttachedFile(directory, sample.name, sample.content))
            self._add(
                "attachments",
                thread_id=thread["id"],
                user_id=thread["user_id"],
                file_dir=directory,
                file_name=sample.name,
                mime_type=sample.mime_type,
                type=sample.kind,
                size=len(sample.content),
                **(newer if self._version == schema.NEWER else {}),
            )

    def _queue(self) -> None:
        """Replies that wait to be sent to customers, of the last conversations."""
        for index in range(QUEUED_JOBS):
            conversation = self._rows["conversations"][-1 - index]
            thread = next(row for row in self._rows["threads"] if row["conversation_id"] == conversation["id"])
            ids = [int(row or 0) for row in (conversation["id"], thread["id"], conversation["customer_id"])]
            self._add(
                "jobs",
                queue="emails",
                payload=laravel.queued_reply(*ids),
                attempts=0,
                reserved_at=None,
                available_at=self._jobs_due,
                created_at=int((self._now - _NEWEST_AGO).timestamp()),
            )
        self._add(
            "failed_jobs",
            connection="database",
            queue="emails",
            payload=laravel.queued_reply(1, 1, 1),
            exception="Exception: Could not send email",
            failed_at=self._ago(timedelta(days=20)),
        )

    def _housekeeping(self) -> None:
        fetched = str(int((self._now - FETCHED_AGO).timestamp()))
        options = {
            "company_name": "Raxx sandbox",
            "email_branding": "0",
            "fetch_emails_last_run": fetched,
            "fetch_emails_last_successful_run": fetched,
            "locale": "en",
            "mail_driver": "smtp",
            "mail_encryption": "tls",
            "mail_from": f"help@{_DOMAIN}",
            "mail_host": f"smtp.{_DOMAIN}",
            "mail_password": self._encrypted(secret("mail")),
            "mail_port": "587",
            "mail_username": f"help@{_DOMAIN}",
            "next_ticket": str(CONVERSATIONS + 1),
            "queue_work_last_run": fetched,
        }
        for name, value in options.items():
            self._add("options", name=name, value=value)
        for migration in (*schema.migrations(self._version), schema.MODULE_MIGRATION):
            self._add("migrations", migration=migration, batch=1)
        for alias in ("satisfactionratings", "savedreplies"):
            self._add("modules", alias=alias, active=1, activated=1, license=secret(alias)[:32])
        self._add("ltm_translations", locale="en", group="messages", key="Reply", value="Reply")
        for index in range(20):
            at = self._ago(timedelta(days=index + 1))
            self._add("activity_logs", log_name="users", description="login", causer_id=1, created_at=at)
            self._add("polycast_events", channels='["conv"]', event="created", payload="{}", created_at=at)
            identity = hashlib.sha256(f"notification {index}".encode()).hexdigest()
            self._rows["notifications"].append(
                {
                    "id": "-".join((identity[:8], identity[8:12], identity[12:16], identity[16:20], identity[20:32])),
                    "type": "App\\Notifications\\WebsiteNotification",
                    "notifiable_id": 1 + index % 3,
                    "notifiable_type": "App\\User",
                    "data": json.dumps({"thread_id": index + 1}),
                    "created_at": at,
                }
            )
        reset: dict[str, Value] = {
            "email": f"chen@{_DOMAIN}",
            "token": _USERS[2][-1],
            "created_at": self._ago(timedelta(days=9)),
        }
        self._rows["password_resets"].append(reset)


def _address(customer: int) -> str:
    return f"customer.{customer:03d}@mail-of-customers.example"


def _remember(index: int) -> str:
    return secret(f"remember token {index}").replace("sbx-", "rmb")
