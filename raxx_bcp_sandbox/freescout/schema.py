"""FreeScout's 24 tables, and the names of the migrations that made them.

Tables, columns and types are those that the application makes on MariaDB, as far as a drill, the site and the queue use
them; there are no foreign keys, triggers, routines or views. 1.8.235 has one more column that matters here:
``attachments.token_type``.
"""

from __future__ import annotations

from typing import Final

VERSION: Final = "1.8.145"
NEWER: Final = "1.8.235"
VERSIONS: Final = (VERSION, NEWER)

_STAMPS: Final = "created_at timestamp NULL, updated_at timestamp NULL"

_COLUMNS: Final[dict[str, str]] = {
    "activity_logs": f"""
        id int unsigned NOT NULL AUTO_INCREMENT, log_name varchar(191) NULL, description text NOT NULL,
        subject_id int NULL, subject_type varchar(191) NULL, causer_id int NULL, causer_type varchar(191) NULL,
        properties text NULL, {_STAMPS}, PRIMARY KEY (id), KEY activity_logs_log_name_index (log_name)""",
    "attachments": """
        id int unsigned NOT NULL AUTO_INCREMENT, thread_id int NULL, user_id int NULL, file_dir varchar(20) NULL,
        file_name varchar(255) NOT NULL, mime_type varchar(127) NOT NULL, type int unsigned NOT NULL,
        size int unsigned NULL, embedded tinyint(1) NOT NULL DEFAULT 0, public tinyint(1) NOT NULL DEFAULT 0,
        PRIMARY KEY (id), KEY attachments_thread_id_embedded_index (thread_id, embedded)""",
    "conversation_folder": """
        id int unsigned NOT NULL AUTO_INCREMENT, folder_id int NOT NULL, conversation_id int NOT NULL,
        PRIMARY KEY (id),
        UNIQUE KEY conversation_folder_folder_id_conversation_id_unique (folder_id, conversation_id)""",
    "conversations": f"""
        id int unsigned NOT NULL AUTO_INCREMENT, number int unsigned NOT NULL,
        threads_count int unsigned NOT NULL DEFAULT 0, type tinyint unsigned NOT NULL, folder_id int NOT NULL,
        status tinyint unsigned NOT NULL DEFAULT 1, state tinyint unsigned NOT NULL DEFAULT 1,
        subject varchar(998) NULL, customer_email varchar(191) NULL, cc text NULL, bcc text NULL,
        preview varchar(255) NOT NULL, imported tinyint(1) NOT NULL DEFAULT 0,
        has_attachments tinyint(1) NOT NULL DEFAULT 0, mailbox_id int NOT NULL, user_id int NULL,
        customer_id int NULL, created_by_user_id int NULL, created_by_customer_id int NULL,
        source_via tinyint unsigned NOT NULL, source_type tinyint unsigned NOT NULL, closed_by_user_id int NULL,
        closed_at timestamp NULL, user_updated_at timestamp NULL, last_reply_at timestamp NULL,
        last_reply_from tinyint unsigned NULL, read_by_user tinyint(1) NOT NULL DEFAULT 0, {_STAMPS},
        email_history tinyint unsigned NOT NULL DEFAULT 0, channel tinyint unsigned NULL, meta text NULL,
        PRIMARY KEY (id), KEY conversations_folder_id_state_index (folder_id, state),
        KEY conversations_mailbox_id_customer_id_index (mailbox_id, customer_id)""",
    "customer_channel": """
        id int unsigned NOT NULL AUTO_INCREMENT, customer_id int NOT NULL, channel tinyint unsigned NOT NULL,
        channel_id varchar(64) NOT NULL, PRIMARY KEY (id),
        UNIQUE KEY customer_channel_unique (customer_id, channel, channel_id)""",
    "customers": f"""
        id int unsigned NOT NULL AUTO_INCREMENT, first_name varchar(255) NULL, last_name varchar(255) NULL,
        company varchar(255) NULL, job_title varchar(255) NULL, photo_type tinyint unsigned NULL,
        photo_url varchar(255) NULL, phones text NULL, websites text NULL, social_profiles text NULL,
        notes text NULL, address text NULL, city varchar(255) NULL, state varchar(255) NULL, zip varchar(12) NULL,
        country varchar(2) NULL, {_STAMPS}, channel tinyint unsigned NULL, channel_id varchar(64) NULL, meta text NULL,
        password varchar(255) NULL, last_login_at timestamp NULL, PRIMARY KEY (id)""",
    "emails": """
        id int unsigned NOT NULL AUTO_INCREMENT, customer_id int NOT NULL, email varchar(191) NOT NULL,
        type tinyint unsigned NOT NULL DEFAULT 1, PRIMARY KEY (id), UNIQUE KEY emails_email_unique (email),
        KEY emails_customer_id_index (customer_id)""",
    "failed_jobs": """
        id int unsigned NOT NULL AUTO_INCREMENT, connection text NOT NULL, queue text NOT NULL,
        payload longtext NOT NULL, exception longtext NOT NULL,
        failed_at timestamp NOT NULL DEFAULT current_timestamp(), PRIMARY KEY (id)""",
    "folders": """
        id int unsigned NOT NULL AUTO_INCREMENT, mailbox_id int NOT NULL, user_id int NULL,
        type tinyint unsigned NOT NULL, total_count int NOT NULL DEFAULT 0, active_count int NOT NULL DEFAULT 0,
        meta text NULL, PRIMARY KEY (id), KEY folders_mailbox_id_user_id_type_index (mailbox_id, user_id, type)""",
    "followers": f"""
        id int unsigned NOT NULL AUTO_INCREMENT, conversation_id int NOT NULL, user_id int NOT NULL, {_STAMPS},
        PRIMARY KEY (id), UNIQUE KEY followers_conversation_id_user_id_unique (conversation_id, user_id)""",
    "jobs": """
        id bigint unsigned NOT NULL AUTO_INCREMENT, queue varchar(191) NOT NULL, payload longtext NOT NULL,
        attempts tinyint unsigned NOT NULL, reserved_at int unsigned NULL, available_at int unsigned NOT NULL,
        created_at int unsigned NOT NULL, PRIMARY KEY (id), KEY jobs_queue_index (queue)""",
    "ltm_translations": f"""
        id int unsigned NOT NULL AUTO_INCREMENT, status int NOT NULL DEFAULT 0, locale varchar(191) NOT NULL,
        `group` varchar(191) NOT NULL, `key` text NOT NULL, value text NULL, {_STAMPS}, hash varchar(32) NULL,
        PRIMARY KEY (id)""",
    "mailbox_user": """
        id int unsigned NOT NULL AUTO_INCREMENT, mailbox_id int NOT NULL, user_id int NOT NULL,
        after_send tinyint unsigned NOT NULL DEFAULT 2, hide tinyint(1) NOT NULL DEFAULT 0,
        mute tinyint(1) NOT NULL DEFAULT 0, access text NULL, PRIMARY KEY (id),
        UNIQUE KEY mailbox_user_mailbox_id_user_id_unique (mailbox_id, user_id)""",
    "mailboxes": f"""
        id int unsigned NOT NULL AUTO_INCREMENT, name varchar(255) NOT NULL, email varchar(128) NOT NULL,
        aliases text NULL, from_name tinyint unsigned NOT NULL DEFAULT 1, from_name_custom varchar(128) NULL,
        ticket_status tinyint unsigned NOT NULL DEFAULT 2, ticket_assignee tinyint unsigned NOT NULL DEFAULT 2,
        template tinyint unsigned NOT NULL DEFAULT 1, signature text NULL, before_reply varchar(191) NULL,
        out_method tinyint unsigned NOT NULL DEFAULT 1, out_server varchar(255) NULL, out_username text NULL,
        out_password text NULL, out_port int unsigned NULL, out_encryption tinyint unsigned NOT NULL DEFAULT 1,
        in_server varchar(255) NULL, in_port int unsigned NOT NULL DEFAULT 143, in_username text NULL,
        in_password text NULL, in_protocol tinyint unsigned NOT NULL DEFAULT 1,
        in_encryption tinyint unsigned NOT NULL DEFAULT 1, in_validate_cert tinyint(1) NOT NULL DEFAULT 1,
        in_imap_folders text NULL, imap_sent_folder text NULL, auto_reply_enabled tinyint(1) NOT NULL DEFAULT 0,
        auto_reply_subject varchar(128) NULL, auto_reply_message text NULL, auto_bcc varchar(255) NULL,
        office_hours_enabled tinyint(1) NOT NULL DEFAULT 0, ratings tinyint(1) NOT NULL DEFAULT 0,
        ratings_placement tinyint unsigned NOT NULL DEFAULT 1, ratings_text text NULL, {_STAMPS}, meta text NULL,
        aliases_reply tinyint(1) NOT NULL DEFAULT 0, PRIMARY KEY (id), UNIQUE KEY mailboxes_email_unique (email)""",
    "migrations": """
        id int unsigned NOT NULL AUTO_INCREMENT, migration varchar(191) NOT NULL, batch int NOT NULL,
        PRIMARY KEY (id)""",
    "modules": """
        id int unsigned NOT NULL AUTO_INCREMENT, alias varchar(191) NOT NULL, active tinyint(1) NOT NULL DEFAULT 0,
        activated tinyint(1) NOT NULL DEFAULT 0, license varchar(32) NULL, PRIMARY KEY (id),
        UNIQUE KEY modules_alias_unique (alias)""",
    "notifications": f"""
        id char(36) NOT NULL, type varchar(191) NOT NULL, notifiable_id int unsigned NOT NULL,
        notifiable_type varchar(191) NOT NULL, data text NOT NULL, read_at timestamp NULL, {_STAMPS},
        PRIMARY KEY (id), KEY notifications_notifiable_id_notifiable_type_index (notifiable_id, notifiable_type)""",
    "options": """
        id int unsigned NOT NULL AUTO_INCREMENT, name varchar(191) NOT NULL, value text NULL, PRIMARY KEY (id),
        UNIQUE KEY options_name_unique (name)""",
    "password_resets": """
        email varchar(191) NOT NULL, token varchar(191) NOT NULL, created_at timestamp NULL,
        KEY password_resets_email_index (email)""",
    "polycast_events": """
        id int unsigned NOT NULL AUTO_INCREMENT, channels text NOT NULL, event text NOT NULL, payload text NOT NULL,
        created_at timestamp NULL, PRIMARY KEY (id)""",
    "send_logs": f"""
        id int unsigned NOT NULL AUTO_INCREMENT, thread_id int NULL, customer_id int NULL, user_id int NULL,
        message_id varchar(998) NULL, email varchar(191) NOT NULL, mail_type tinyint unsigned NOT NULL,
        status tinyint unsigned NOT NULL, status_message text NULL, {_STAMPS}, smtp_queue_id varchar(191) NULL,
        PRIMARY KEY (id), KEY send_logs_thread_id_index (thread_id),
        KEY send_logs_message_id_index (message_id(191)),
        KEY send_logs_customer_id_mail_type_created_at_index (customer_id, mail_type, created_at)""",
    "subscriptions": """
        id int unsigned NOT NULL AUTO_INCREMENT, user_id int NOT NULL, medium tinyint unsigned NOT NULL,
        event tinyint unsigned NOT NULL, PRIMARY KEY (id),
        UNIQUE KEY subscriptions_user_id_medium_event_unique (user_id, medium, event)""",
    "threads": f"""
        id int unsigned NOT NULL AUTO_INCREMENT, conversation_id int NOT NULL, user_id int NULL,
        type tinyint unsigned NOT NULL, subtype tinyint unsigned NULL, status tinyint unsigned NOT NULL DEFAULT 1,
        state tinyint unsigned NOT NULL DEFAULT 1, action_type tinyint unsigned NULL, action_data varchar(255) NULL,
        body longtext NULL, headers text NULL, `from` varchar(191) NULL, `to` text NULL, cc text NULL, bcc text NULL,
        has_attachments tinyint(1) NOT NULL DEFAULT 0, message_id varchar(998) NULL,
        source_via tinyint unsigned NOT NULL, source_type tinyint unsigned NOT NULL, customer_id int NULL,
        created_by_user_id int NULL, created_by_customer_id int NULL, edited_by_user_id int NULL,
        edited_at timestamp NULL, body_original longtext NULL, first tinyint(1) NOT NULL DEFAULT 0,
        saved_reply_id int NULL, send_status tinyint unsigned NULL, send_status_data text NULL,
        opened_at timestamp NULL, {_STAMPS}, meta text NULL, imported tinyint(1) NOT NULL DEFAULT 0,
        PRIMARY KEY (id), KEY threads_conversation_id_type_from_customer_id_index
            (conversation_id, type, `from`, customer_id),
        KEY threads_message_id_index (message_id(191)), KEY threads_created_at_index (created_at)""",
    "users": f"""
        id int unsigned NOT NULL AUTO_INCREMENT, first_name varchar(20) NOT NULL, last_name varchar(30) NOT NULL,
        email varchar(100) NOT NULL, password varchar(255) NOT NULL, role tinyint unsigned NOT NULL DEFAULT 1,
        timezone varchar(255) NOT NULL DEFAULT 'UTC', photo_url varchar(255) NULL,
        type tinyint unsigned NOT NULL DEFAULT 1, invite_state tinyint unsigned NOT NULL DEFAULT 3,
        invite_hash varchar(100) NULL, emails text NULL, job_title varchar(100) NULL, phone varchar(60) NULL,
        time_format tinyint unsigned NOT NULL DEFAULT 2, enable_kb_shortcuts tinyint(1) NOT NULL DEFAULT 1,
        locked tinyint(1) NOT NULL DEFAULT 0, remember_token varchar(100) NULL, {_STAMPS},
        locale varchar(2) NULL, status tinyint unsigned NOT NULL DEFAULT 1, permissions text NULL,
        PRIMARY KEY (id), UNIQUE KEY users_email_unique (email)""",
}
TABLES: Final = tuple(sorted(_COLUMNS))
"""All 24, in alphabetical order, which is also the order of a dump."""

_MIGRATIONS: Final = (
    "2014_04_02_193005_create_translations_table",
    "2018_06_10_000000_create_users_table",
    "2018_06_10_100000_create_password_resets_table",
    "2018_06_25_065719_create_mailboxes_table",
    "2018_06_29_041002_create_mailbox_user_table",
    "2018_07_07_071443_create_activity_logs_table",
    "2018_07_09_052314_create_emails_table",
    "2018_07_09_053559_create_customers_table",
    "2018_07_11_010333_create_conversations_table",
    "2018_07_11_074558_create_folders_table",
    "2018_07_11_081928_create_conversation_folder_table",
    "2018_07_12_003318_create_threads_table",
    "2018_07_30_153206_create_jobs_table",
    "2018_07_30_165237_create_failed_jobs_table",
    "2018_08_04_063414_create_attachments_table",
    "2018_08_05_045458_create_options_table",
    "2018_08_05_153518_create_subscriptions_table",
    "2018_08_06_114901_create_send_logs_table",
    "2018_09_05_024109_create_notifications_table",
    "2018_09_05_033609_create_polycast_events_table",
    "2018_11_04_113009_create_modules_table",
    "2018_11_13_143000_encrypt_mailbox_password",
    "2018_11_26_122617_add_locale_column_to_users_table",
    "2018_12_11_130728_add_status_column_to_users_table",
    "2018_12_15_151003_add_send_status_data_column_to_threads_table",
    "2019_06_16_124000_add_in_validate_cert_column_to_mailboxes_table",
    "2019_06_21_130200_add_meta_subtype_columns_to_threads_table",
    "2019_06_25_105200_change_status_message_column_in_send_logs_table",
    "2019_07_05_370100_add_in_imap_folders_column_to_mailboxes_table",
    "2019_10_06_123000_add_auto_bcc_column_to_mailboxes_table",
    "2019_12_10_0856000_add_before_reply_column_to_mailboxes_table",
    "2019_12_19_183015_add_meta_column_to_folders_table",
    "2019_12_22_111025_change_passwords_types_in_mailboxes_table",
    "2019_12_24_155120_create_followers_table",
    "2020_02_06_103815_add_hide_column_to_mailbox_user_table",
    "2020_02_16_121001_add_mute_column_to_mailbox_user_table",
    "2020_03_06_100100_add_public_column_to_attachments_table",
    "2020_03_29_095201_update_in_imap_folders_in_mailboxes_table",
    "2020_04_16_122803_add_imap_sent_folder_column_to_mailboxes_table",
    "2020_05_28_095100_drop_slug_column_in_mailboxes_table",
    "2020_06_26_080258_add_email_history_column_to_conversations_table",
    "2020_09_18_123314_add_access_column_to_mailbox_user_table",
    "2020_09_20_010000_drop_email_history_column_in_conversations_table",
    "2020_11_04_140000_change_foreign_keys_types",
    "2020_11_19_070000_update_customers_table",
    "2020_12_22_070000_move_user_permissions_to_env",
    "2020_12_22_080000_add_permissions_column_to_users_table",
    "2020_12_30_010000_add_imported_column_to_threads_table",
    "2021_02_06_010101_add_meta_column_to_mailboxes_table",
    "2021_02_09_010101_add_hash_column_to_ltm_translations_table",
    "2021_02_17_010101_change_string_columns_in_mailboxes_table",
    "2021_03_01_010101_add_channel_column_to_conversations_table",
    "2021_03_01_010101_add_channel_columns_to_customers_table",
    "2021_04_15_010101_add_meta_column_to_customers_table",
    "2021_05_21_090000_encrypt_mailbox_out_password",
    "2021_05_21_105200_encrypt_mail_password",
    "2021_09_21_010101_add_indexes_to_conversations_table",
    "2021_11_30_010101_remove_unique_index_in_folders_table",
    "2021_12_25_010101_change_emails_column_in_users_table",
    "2022_12_17_010101_add_meta_column_to_conversations_table",
    "2022_12_18_010101_set_user_type_field",
    "2022_12_25_010101_set_numeric_phones_in_customers_table",
    "2023_01_14_010101_change_deleted_folder_index",
    "2023_05_09_010101_add_aliases_reply_column_to_mailboxes_table",
    "2023_08_19_010101_create_customer_channel_table",
    "2023_08_19_020202_populate_customer_channel_table",
    "2023_08_29_010101_add_id_column_to_customer_channel_table",
    "2023_09_05_010101_add_smtp_queue_id_column_to_send_logs_table",
    "2023_11_14_010101_change_aliases_column_in_mailboxes_table",
    "2024_06_18_010101_add_index_to_threads_table",
)
_NEWER_MIGRATIONS: Final = (
    "2025_01_30_010101_change_imap_sent_folder_column_in_mailboxes_table",
    "2025_09_06_010101_add_index_to_conversations_table",
    "2025_10_06_000000_change_out_username_type_in_mailboxes_table",
    "2026_03_08_010101_change_license_column_in_modules_table",
    "2026_04_04_010101_add_token_type_column_to_attachments_table",
    "2026_04_20_010101_add_indexes_to_tables",
)
MODULE_MIGRATION: Final = "2021_03_14_090000_add_satisfaction_score_to_conversations"
"""A module's migration.

It is in the table ``migrations`` like the application's, but its file is below ``Modules/``.
"""


def migrations(version: str) -> tuple[str, ...]:
    """The application's own migrations: the files of ``database/migrations``, without ``.php``."""
    return (*_MIGRATIONS, *(_NEWER_MIGRATIONS if version == NEWER else ()))


def ddl(version: str) -> str:
    """The statements that make all tables in an empty database."""
    columns = dict(_COLUMNS)
    if version == NEWER:
        last = "public tinyint(1) NOT NULL DEFAULT 0,"
        columns["attachments"] = columns["attachments"].replace(last, f"{last} token_type tinyint unsigned NULL,")
    kind = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci"
    return "\n".join(f"CREATE TABLE `{name}` ({columns[name]}) {kind};" for name in TABLES)
