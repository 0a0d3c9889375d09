/** What an application may have made of its database over the years. */
const RICH = `
  CREATE ROLE readers; CREATE ROLE auditors; CREATE ROLE stranger;
  GRANT readers TO wa WITH ADMIN OPTION; GRANT auditors TO wa;
  CREATE SCHEMA other; CREATE SCHEMA "Mixed, Case" AUTHORIZATION wa;
  CREATE TABLE other.granted (id INT, secret TEXT); GRANT USAGE ON SCHEMA other TO wa; GRANT SELECT (id) ON other.granted TO wa;
  CREATE SEQUENCE other.numbers; GRANT USAGE ON SEQUENCE other.numbers TO readers;
  CREATE FUNCTION other.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; REVOKE EXECUTE ON FUNCTION other.f FROM PUBLIC; GRANT EXECUTE ON FUNCTION other.f TO auditors;
  CREATE TABLE public.shared (id INT); ALTER TABLE public.shared OWNER TO wa;
  CREATE TABLE wa.shared (id INT); ALTER TABLE wa.shared OWNER TO wa;
  CREATE TABLE "Mixed, Case".tenants (tenant TEXT DEFAULT current_user); ALTER TABLE "Mixed, Case".tenants OWNER TO wa;
  ALTER TABLE "Mixed, Case".tenants ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
  CREATE POLICY own ON "Mixed, Case".tenants USING (tenant = current_user);
  INSERT INTO "Mixed, Case".tenants VALUES ('wa'), ('wa'), ('somebody else');
  ALTER DEFAULT PRIVILEGES FOR ROLE wa IN SCHEMA wa GRANT SELECT ON TABLES TO readers;
  ALTER ROLE wa CONNECTION LIMIT 50 CREATEDB VALID UNTIL '2126-12-31';
  ALTER ROLE wa SET statement_timeout = '77s'; ALTER ROLE wa SET "app.tenant" = 'it''s "quoted", $1 \\ and so on';
  ALTER ROLE wa SET datestyle = 'German, DMY';
  CREATE DATABASE elsewhere OWNER wa;
  ALTER ROLE wa IN DATABASE postgres SET work_mem = '7MB';
  ALTER ROLE wa IN DATABASE elsewhere SET search_path = "$user", "Mixed, Case", other, "qu""oted";
  ALTER ROLE wa IN DATABASE elsewhere SET temp_tablespaces = ''`;

/** How the application sees its database. */
export const SEEN = [
  'SELECT current_user AS who',
  'SELECT current_schemas(true) AS path',
  'SELECT c.oid::text FROM pg_class c WHERE pg_table_is_visible(oid) AND relnamespace > 16000 ORDER BY 1',
  "SELECT name, setting, source FROM pg_settings WHERE source NOT IN ('default', 'override', 'configuration file', 'command line') ORDER BY name",
  "SELECT rolname::text, pg_has_role(oid, 'USAGE') AS usage, pg_has_role(oid, 'MEMBER WITH ADMIN OPTION') AS admin FROM pg_roles WHERE rolname IN ('readers', 'auditors', 'stranger') ORDER BY 1",
];
/** In the database of the same name. */
export const IN_POSTGRES = [
  ...SEEN,
  'SELECT * FROM "Mixed, Case".tenants',
  'SELECT id FROM other.granted',
  "SELECT other.f(), nextval('other.numbers') > 0 AS next",
  'INSERT INTO shared VALUES (1)',
  'SHOW "app.tenant"',
];

/** Gives the user `wa` all that. */
export async function makeRich(query: (statement: string) => Promise<unknown>): Promise<void> {
  for (const statement of RICH.split(/;(?=\s)/)) await query(statement);
}
