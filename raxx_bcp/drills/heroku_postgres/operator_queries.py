"""The questions to PostgreSQL's catalogue about how values are compared, changed into other types, sorted and searched.

What only a superuser can make (operator classes, text search parsers and templates) is an extension's in Heroku.
"""

from __future__ import annotations

from typing import Final

from raxx_bcp.drills.heroku_postgres.catalogue_queries import ours

OPERATORS: Final = ours("""
SELECT 'operator', n.nspname,
       format('%s(%s, %s)', o.oprname, coalesce(format_type(nullif(o.oprleft, 0), NULL), 'none'),
              format_type(o.oprright, NULL)),
       concat_ws(' ', o.oprcode::regprocedure, format_type(o.oprresult, NULL),
                 'commutator', nullif(o.oprcom, 0)::regoperator, 'negator', nullif(o.oprnegate, 0)::regoperator,
                 o.oprcanmerge, o.oprcanhash, o.oprrest, o.oprjoin)
FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
WHERE o.oprcode <> 0 AND OURS(pg_operator, o)
UNION ALL
SELECT 'cast', 'public', format('%s as %s', format_type(t.castsource, NULL), format_type(t.casttarget, NULL)),
       concat_ws(' ', nullif(t.castfunc, 0)::regprocedure, t.castcontext, t.castmethod)
FROM pg_cast t WHERE t.oid >= 16384 AND NOT EXISTS (
  SELECT FROM pg_depend e WHERE e.classid = 'pg_cast'::regclass AND e.objid = t.oid AND e.deptype IN ('e', 'i'))
UNION ALL
SELECT 'collation', n.nspname, c.collname,
       (to_jsonb(c) - '{oid,collname,collnamespace,collowner,collversion}'::text[])::text
FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace WHERE OURS(pg_collation, c)
UNION ALL
SELECT 'text search configuration', n.nspname, c.cfgname,
       (SELECT format('%I.%I', m.nspname, p.prsname) FROM pg_ts_parser p JOIN pg_namespace m ON m.oid = p.prsnamespace
        WHERE p.oid = c.cfgparser)
       || coalesce((SELECT string_agg(format(' %s=%s', m.maptokentype, m.mapdict::regdictionary), ','
                                      ORDER BY m.maptokentype, m.mapseqno)
                    FROM pg_ts_config_map m WHERE m.mapcfg = c.oid), '')
FROM pg_ts_config c JOIN pg_namespace n ON n.oid = c.cfgnamespace WHERE OURS(pg_ts_config, c)
UNION ALL
SELECT 'text search dictionary', n.nspname, d.dictname,
       (SELECT format('%I.%I', m.nspname, t.tmplname) FROM pg_ts_template t
        JOIN pg_namespace m ON m.oid = t.tmplnamespace WHERE t.oid = d.dicttemplate)
       || ' ' || coalesce(d.dictinitoption, '')
FROM pg_ts_dict d JOIN pg_namespace n ON n.oid = d.dictnamespace WHERE OURS(pg_ts_dict, d)""")
"""Kind, schema, name and definition of each. A range's own cast to its multirange is made with the
type. Oids from 16384 (``FirstNormalObjectId`` in PostgreSQL's ``transam.h``) are not of what it brought itself."""
