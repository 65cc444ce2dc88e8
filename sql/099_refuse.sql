-- What this extension cannot be installed into.
do $$
begin
    if (select n.nspowner from pg_catalog.pg_namespace n where n.nspname = 'conductor')
        <> (select r.oid from pg_catalog.pg_roles r where r.rolname = current_user)
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
