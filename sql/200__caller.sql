-- Who calls, also from within a definer function: SET ROLE wins over the session's user. Raises 42501 where the session's
-- user is not who caused the call: ANALYZE, autovacuum, REINDEX, REFRESH and the actions of foreign keys run what a table's owner has planted.
create function conductor._caller() returns text
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return case when conductor._restricted() then null
                when current_setting('role') in ('none', '') then session_user::text
                else current_setting('role') end;
end
$$;
