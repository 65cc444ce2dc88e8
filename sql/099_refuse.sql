-- What this extension cannot be installed into.
do $$
declare
    v_held text;
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
    -- Whatever is in it already could be called in place of ours: a function that fits a call of ours better, for example.
    select string_agg(k.object, ', ' order by k.object) into v_held
    from (
        select pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
        from pg_catalog.pg_namespace n
        join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_namespace'::regclass and d.refobjid = n.oid
        where n.nspname = 'conductor' and d.classid <> 'pg_catalog.pg_extension'::regclass) k (object);
    if v_held is not null then
        raise exception using errcode = '55006',
            message = 'the schema conductor is not empty',
            detail = format('it holds: %s', v_held),
            hint = 'move what is yours elsewhere and drop the schema, then create the extension';
    end if;
    select string_agg(k.grantee, ', ' order by k.grantee) into v_held
    from (
        select case a.grantee when 0 then 'PUBLIC' else pg_catalog.pg_get_userbyid(a.grantee) end
        from pg_catalog.pg_namespace n cross join lateral pg_catalog.aclexplode(n.nspacl) a
        where n.nspname = 'conductor' and a.privilege_type = 'CREATE' and a.grantee <> n.nspowner) k (grantee);
    if v_held is not null then
        raise exception using errcode = '42501',
            message = 'others may create objects in the schema conductor',
            detail = format('granted to: %s', v_held),
            hint = 'drop the schema, or REVOKE CREATE ON SCHEMA conductor from them, then create the extension';
    end if;
    if current_setting('server_encoding') <> 'UTF8' then
        raise exception using errcode = '0A000',
            message = 'conductor needs a database in UTF8',
            detail = format('encoding: %s', current_setting('server_encoding')),
            hint = 'create a database with ENCODING ''UTF8''';
    end if;
end
$$;
