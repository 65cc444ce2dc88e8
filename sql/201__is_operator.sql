-- Whether a role operates this installation: whoever may change its limits. Granted by grant_operator().
create function conductor._is_operator(p_role text) returns boolean
    language plpgsql stable security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    return has_table_privilege(p_role, 'conductor.settings', 'update');
end
$$;
