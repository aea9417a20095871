"""The questions to PostgreSQL's catalogue.

``OURS(catalogue, alias)`` stands for the condition that an object belongs to the application: not to the server,
not to Heroku's own schema, and not to an extension.
"""

from __future__ import annotations

import re
from typing import Final

_OURS: Final = r"""left(n.nspname, 3) <> 'pg_' AND n.nspname NOT IN ('information_schema', '_heroku')
  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = '\1'::regclass AND e.objid = \2.oid AND e.deptype = 'e')"""


def ours(text: str) -> bytes:
    """A question with ``OURS`` written out."""
    return re.sub(r"OURS\((\w+), (\w)\)", _OURS, text).encode()


_sql = ours


RELATIONS: Final = _sql("""
SELECT c.oid::bigint, n.nspname, c.relname, c.relkind::text, coalesce(pg_partition_root(c.oid), c.oid)::bigint,
       c.relispopulated,
       CASE c.relkind WHEN 'r' THEN pg_relation_size(c.oid) / current_setting('block_size')::int ELSE 0 END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' AND OURS(pg_class, c)
ORDER BY n.nspname, c.relname""")

COLUMNS: Final = _sql("""
SELECT c.oid::bigint, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated::text,
       a.attidentity::text, pg_get_expr(d.adbin, d.adrelid)
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' AND NOT c.relispartition
  AND a.attnum > 0 AND NOT a.attisdropped AND OURS(pg_class, c)""")

INDEXES: Final = _sql("""
SELECT n.nspname, x.relname, pg_get_indexdef(i.indexrelid), i.indisvalid
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm') AND c.relpersistence <> 't' AND NOT c.relispartition AND OURS(pg_class, c)""")

CONSTRAINTS: Final = _sql("""
SELECT n.nspname, c.relname, k.conname, pg_get_constraintdef(k.oid)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype IN ('c', 'f', 'p', 'u', 'x') AND k.conparentid = 0 AND c.relpersistence <> 't'
  AND NOT c.relispartition AND OURS(pg_class, c)""")

FOREIGN_KEYS: Final = _sql("""
SELECT n.nspname, c.relname, k.conname, k.convalidated, k.conrelid::bigint, k.confrelid::bigint,
       pn.nspname, p.relname, p.relkind::text,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u (number, place)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number ORDER BY u.place),
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u (number, place)
             JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number ORDER BY u.place),
       ARRAY(SELECT format('OPERATOR(%I.%s)', os.nspname, o.oprname) FROM unnest(k.conpfeqop) WITH ORDINALITY
             u (operator, place) JOIN pg_operator o ON o.oid = u.operator
             JOIN pg_namespace os ON os.oid = o.oprnamespace ORDER BY u.place)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND NOT c.relispartition AND OURS(pg_class, c)""")

SEQUENCES: Final = _sql("""
SELECT c.oid::bigint, n.nspname, c.relname, s.seqstart, s.seqincrement, pg_sequence_last_value(c.oid),
       concat_ws(' ', format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcycle)
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relpersistence <> 't' AND OURS(pg_class, c)""")

SEQUENCE_COLUMNS: Final = _sql("""
WITH used (sequence, relation, number) AS (
  SELECT d.objid, d.refobjid, d.refobjsubid FROM pg_depend d
  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
  UNION
  SELECT d.refobjid, f.adrelid, f.adnum FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
  WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass)
SELECT u.sequence::bigint, u.relation::bigint, a.attname
FROM used u JOIN pg_sequence s ON s.seqrelid = u.sequence
JOIN pg_attribute a ON a.attrelid = u.relation AND a.attnum = u.number
WHERE a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype)""")

EXTENSIONS: Final = """
SELECT e.extname, e.extversion, n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"""

SURROUNDINGS: Final = """
SELECT 'schema', nspname FROM pg_namespace WHERE left(nspname, 3) <> 'pg_' AND nspname <> 'information_schema'
UNION ALL
SELECT 'event trigger', evtname FROM pg_event_trigger"""

ROUTINES: Final = _sql("""
SELECT 'function', n.nspname, p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
       concat_ws(' ', p.prokind, l.lanname, p.provolatile, p.proisstrict, p.prosecdef, p.proconfig,
                 pg_get_function_arguments(p.oid), pg_get_function_result(p.oid), md5(p.prosrc),
                 pg_get_function_sqlbody(p.oid), g.aggtransfn, g.aggfinalfn, format_type(g.aggtranstype, NULL),
                 g.agginitval)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
LEFT JOIN pg_aggregate g ON g.aggfnoid = p.oid WHERE OURS(pg_proc, p)
UNION ALL
SELECT 'trigger', n.nspname, c.relname || '.' || t.tgname, pg_get_triggerdef(t.oid) || t.tgenabled::text
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND NOT c.relispartition AND OURS(pg_class, c)
UNION ALL
SELECT 'type', n.nspname, y.typname, coalesce(
         (SELECT string_agg(l.enumlabel, ',' ORDER BY l.enumsortorder) FROM pg_enum l WHERE l.enumtypid = y.oid),
         (SELECT string_agg(concat(a.attname, ' ', format_type(a.atttypid, a.atttypmod)), ',' ORDER BY a.attnum)
          FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
         (SELECT format_type(r.rngsubtype, NULL) FROM pg_range r WHERE r.rngtypid = y.oid),
         concat_ws(' ', format_type(nullif(y.typbasetype, 0), y.typtypmod), y.typnotnull, y.typdefault,
                   (SELECT string_agg(concat(k.conname, ' ', pg_get_constraintdef(k.oid)), ',' ORDER BY k.conname)
                    FROM pg_constraint k WHERE k.contypid = y.oid AND k.contype = 'c')))
FROM pg_type y JOIN pg_namespace n ON n.oid = y.typnamespace LEFT JOIN pg_class c ON c.oid = y.typrelid
WHERE (y.typtype IN ('e', 'd', 'r') OR (y.typtype = 'c' AND c.relkind = 'c')) AND OURS(pg_type, y)""")
