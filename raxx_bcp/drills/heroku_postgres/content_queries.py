"""The questions to PostgreSQL's catalogue about what can be compared of a table's rows."""

from __future__ import annotations

from typing import Final

from raxx_bcp.drills.heroku_postgres.catalogue_queries import ours

_TABLES: Final = "c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND NOT c.relispartition AND OURS(pg_class, c)"


def _of_tables(text: str) -> bytes:
    return ours(text.replace("TABLES", _TABLES))


COLUMNS: Final = _of_tables("""
SELECT c.oid::bigint, a.attname, format_type(a.atttypid, NULL),
       t.typcategory = 'S', coalesce(nullif(t.typbasetype, 0), t.oid) = 'bytea'::regtype, a.attnotnull
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE a.attnum > 0 AND NOT a.attisdropped AND TABLES
ORDER BY c.oid, a.attnum""")

KEYS: Final = _of_tables("""
SELECT c.oid::bigint, k.names
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
  SELECT array_agg(a.attname::text ORDER BY u.place) AS names, bool_and(a.attnotnull) AS required
  FROM unnest(i.indkey::int2[]) WITH ORDINALITY u (number, place)
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.number WHERE u.place <= i.indnkeyatts) k
WHERE i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND k.required AND TABLES
ORDER BY c.oid, NOT i.indisprimary, x.relname""")
"""Of each table its primary key first, then what else is unique and never NULL."""

ORDERED: Final = _of_tables("""
SELECT DISTINCT c.oid::bigint, a.attname
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
WHERE m.amname = 'btree' AND i.indisvalid AND i.indpred IS NULL AND TABLES""")

SIZES: Final = ours("""
SELECT coalesce(pg_partition_root(c.oid), c.oid)::bigint, sum(pg_table_size(c.oid))::bigint
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND OURS(pg_class, c) GROUP BY 1""")
