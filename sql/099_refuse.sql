-- What this extension cannot be installed into.
do $$
begin
    -- A restore gives the schema back to who had it, another superuser perhaps, before it makes the extension.
    if exists (
        select from pg_catalog.pg_namespace n join pg_catalog.pg_roles o on o.oid = n.nspowner
        where n.nspname = 'conductor' and o.rolname <> current_user and not o.rolsuper)
    then
        raise exception using errcode = '42501',
            message = 'the schema conductor belongs to somebody else',
            detail = 'its owner could drop and replace what this extension makes in it',
            hint = 'drop the schema, then create the extension';
    end if;
    if current_setting('server_encoding') <> 'UTF8' then
        raise exception using errcode = '0A000',
            message = 'conductor needs a database in UTF8',
            detail = format('encoding: %s', current_setting('server_encoding')),
            hint = 'create a database with ENCODING ''UTF8''';
    end if;
end
$$;
