-- Grafana
SELECT current_setting('server_version_num')::int/100 as version;
SELECT quote_ident(table_schema) || '.' || quote_ident(table_name) FROM information_schema.tables WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog') ORDER BY 1;
SELECT quote_ident(column_name) AS "column", data_type AS "type" FROM information_schema.columns WHERE CASE WHEN array_length(parse_ident('shop.customers'),1) = 2 THEN quote_ident(table_schema) = (parse_ident('shop.customers'))[1] AND quote_ident(table_name) = (parse_ident('shop.customers'))[2] ELSE false END ORDER BY ordinal_position;
-- asyncpg
WITH RECURSIVE typeinfo_tree(oid, ns, name, kind, basetype, elemtype, elemdelim, range_subtype, attrtypoids, attrnames, depth) AS (SELECT t.oid, ns.nspname, t.typname, t.typtype, (CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE NULL END), (CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE NULL END), t.typdelim, r.rngsubtype, (SELECT array_agg(ia.atttypid ORDER BY ia.attnum) FROM pg_attribute ia INNER JOIN pg_class c ON (ia.attrelid = c.oid) WHERE ia.attnum > 0 AND NOT ia.attisdropped AND c.relkind = 'c' AND c.oid = t.typrelid), NULL::text[], 0 FROM pg_catalog.pg_type AS t INNER JOIN pg_catalog.pg_namespace ns ON (ns.oid = t.typnamespace) LEFT JOIN pg_range r ON (t.oid = r.rngtypid) WHERE t.oid = any('{1009,3904,2281}'::oid[]) UNION ALL SELECT ti.oid, ns.nspname, ti.typname, ti.typtype, NULL, NULL, ti.typdelim, NULL, NULL, NULL, tt.depth + 1 FROM pg_type ti INNER JOIN pg_namespace ns ON ns.oid = ti.typnamespace, typeinfo_tree tt WHERE (tt.elemtype IS NOT NULL AND ti.oid = tt.elemtype)) SELECT DISTINCT *, basetype::regtype::text AS basetype_name, elemtype::regtype::text AS elemtype_name, range_subtype::regtype::text AS range_subtype_name FROM typeinfo_tree ORDER BY depth DESC, oid;
-- psycopg and sqlx
SELECT typname AS name, oid, typarray AS array_oid, oid::regtype::text AS regtype, typdelim AS delimiter FROM pg_type t WHERE t.oid = to_regtype('integer') ORDER BY t.oid;
SELECT NOT attnotnull FROM ((SELECT 0::INT4 AS i, 'shop.customers'::regclass::oid::INT4 AS relid, 2::INT2 AS attnum) UNION ALL (SELECT 1, 'shop.customers'::regclass::oid::int4, 4::int2)) AS col(idx, table_id, col_idx) LEFT JOIN pg_catalog.pg_attribute ON table_id IS NOT NULL AND attrelid = table_id AND attnum = col_idx ORDER BY col.idx;
-- pgAdmin
SELECT c.relname, pg_catalog.pg_get_userbyid(c.relowner) AS relowner, substring(pg_catalog.array_to_string(c.reloptions, ',') FROM 'fillfactor=([0-9]*)') AS fillfactor, (SELECT count(*) FROM pg_catalog.pg_trigger WHERE tgrelid = c.oid) AS triggercount FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 's', 't', 'p') AND c.relnamespace = 'shop'::regnamespace ORDER BY c.relname;
SELECT roles.rolname, pg_catalog.shobj_description(roles.oid, 'pg_authid') AS description, roles.rolsuper, roles.rolcreaterole FROM pg_catalog.pg_roles AS roles WHERE rolname = current_user;
SELECT db.datname, ta.spcname, db.datallowconn, pg_catalog.pg_encoding_to_char(db.encoding) AS serverencoding, has_database_privilege(db.oid, 'CREATE') AS cancreate, datistemplate FROM pg_catalog.pg_database db LEFT OUTER JOIN pg_catalog.pg_tablespace ta ON db.dattablespace = ta.oid WHERE db.datname = current_database();
SELECT name, vartype, min_val, max_val, enumvals FROM pg_catalog.pg_show_all_settings() WHERE context IN ('user', 'superuser') AND name IN ('datestyle', 'DateStyle', 'work_mem', 'search_path', 'TimeZone') ORDER BY 1;
-- Airbyte, Fivetran
SELECT nspname || '.' || relname AS full_relation_name, has_table_privilege(c.oid, 'SELECT') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE nspname = 'shop' AND relkind IN ('r', 'v') ORDER BY 1;
SELECT table_schema, table_name FROM information_schema.table_privileges WHERE grantee = current_user AND privilege_type = 'SELECT' AND table_schema = 'shop' ORDER BY 1, 2;
SELECT current_setting('block_size'), txid_snapshot_xmin(txid_current_snapshot()) > 0;
-- DuckDB's postgres extension
SELECT pg_namespace.nspname, relname, relpages, attname, pg_type.typname type_name, atttypmod type_modifier, pg_attribute.attndims ndim, attnum, pg_attribute.attnotnull AS notnull, NULL constraint_id, NULL constraint_type, NULL constraint_key FROM pg_class JOIN pg_namespace ON relnamespace = pg_namespace.oid JOIN pg_attribute ON pg_class.oid = pg_attribute.attrelid JOIN pg_type ON atttypid = pg_type.oid WHERE attnum > 0 AND relkind IN ('r', 'v', 'm', 'f', 'p') AND pg_namespace.nspname = 'shop' UNION ALL SELECT pg_namespace.nspname, relname, NULL relpages, NULL attname, NULL type_name, NULL type_modifier, NULL ndim, NULL attnum, NULL AS notnull, pg_constraint.oid > 0, contype constraint_type, conkey constraint_key FROM pg_class JOIN pg_namespace ON relnamespace = pg_namespace.oid JOIN pg_constraint ON (pg_class.oid = pg_constraint.conrelid) WHERE relkind IN ('r', 'v', 'm', 'f', 'p') AND contype IN ('p', 'u') AND pg_namespace.nspname = 'shop' ORDER BY relname, attnum, constraint_id;
-- information_schema
SELECT * FROM information_schema.schemata WHERE schema_name = 'shop';
SELECT * FROM information_schema.views WHERE table_schema = 'shop' ORDER BY table_name;
SELECT * FROM information_schema.check_constraints WHERE constraint_schema = 'shop' AND constraint_name !~ 'not_null' ORDER BY 3;
SELECT * FROM information_schema.constraint_column_usage WHERE table_schema = 'shop' ORDER BY 3, 4, 7;
SELECT * FROM information_schema.sequences WHERE sequence_schema = 'shop';
SELECT * FROM information_schema.view_table_usage WHERE view_schema = 'shop' ORDER BY 3, 6;
SELECT * FROM information_schema.view_column_usage WHERE view_schema = 'shop' ORDER BY 3, 6, 7;
SELECT * FROM information_schema.column_privileges WHERE table_schema = 'shop' ORDER BY 5, 6, 7;
