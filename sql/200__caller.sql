-- Who calls, also from within a definer function: SET ROLE wins over the session's user.
create function conductor._caller() returns text
    language sql stable
    set search_path = pg_catalog, pg_temp
as $$
    select case when current_setting('role') in ('none', '') then session_user::text
                else current_setting('role') end
$$;
