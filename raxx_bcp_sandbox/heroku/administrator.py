"""What Heroku's administrator, here the superuser, makes in every database (contract, Heroku, 10 and 11).

The administrator owns the extensions, their schema ``heroku_ext``, the schema ``public`` and an event trigger. The
database's owner may use them but may not comment on them or create them, so a healthy restore has warnings.
"""

from __future__ import annotations

from typing import Final

HEROKU_EXT: Final = "heroku_ext"
HIDDEN: Final = "_heroku"
"""Heroku's schema for its own use, which is not in its backups."""
SET_UP: Final = """
CREATE SCHEMA _heroku;
CREATE SCHEMA heroku_ext;
GRANT USAGE ON SCHEMA heroku_ext TO PUBLIC;
ALTER SCHEMA public OWNER TO CURRENT_USER;
GRANT CREATE, USAGE ON SCHEMA public TO {owner};
COMMENT ON SCHEMA public IS NULL;
CREATE EXTENSION pg_stat_statements SCHEMA heroku_ext;
CREATE FUNCTION _heroku.create_ext() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE made record;
BEGIN
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN RETURN; END IF;
    FOR made IN SELECT object_identity FROM pg_event_trigger_ddl_commands() WHERE command_tag = 'CREATE EXTENSION'
    LOOP
        RAISE insufficient_privilege USING MESSAGE =
            format('permission denied to create extension "%s"', made.object_identity);
    END LOOP;
END $$;
CREATE EVENT TRIGGER log_create_ext ON ddl_command_end WHEN TAG IN ('CREATE EXTENSION')
    EXECUTE FUNCTION _heroku.create_ext();
"""
REFUSE_OBJECT: Final = """
CREATE FUNCTION _heroku.sandbox_refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM pg_event_trigger_ddl_commands() WHERE object_identity = '{identity}';
    IF FOUND THEN RAISE insufficient_privilege USING MESSAGE = 'permission denied for schema public'; END IF;
END $$;
CREATE EVENT TRIGGER sandbox_refuse ON ddl_command_end WHEN TAG IN ('{tag}')
    EXECUTE FUNCTION _heroku.sandbox_refuse();
"""
REFUSE_ROWS: Final = """
CREATE FUNCTION _heroku.sandbox_refuse() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE made record;
BEGIN
    FOR made IN SELECT objid FROM pg_event_trigger_ddl_commands()
                WHERE command_tag = 'CREATE TABLE' AND object_identity = 'public.{table}'
    LOOP
        EXECUTE format('REVOKE INSERT ON %s FROM {owner}', made.objid::regclass);
    END LOOP;
END $$;
CREATE EVENT TRIGGER sandbox_refuse ON ddl_command_end WHEN TAG IN ('CREATE TABLE')
    EXECUTE FUNCTION _heroku.sandbox_refuse();
"""
ACCEPT: Final = "DROP EVENT TRIGGER IF EXISTS sandbox_refuse; DROP FUNCTION IF EXISTS _heroku.sandbox_refuse()"
