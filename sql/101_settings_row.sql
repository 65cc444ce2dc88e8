-- A restore COPYs the dumped row while CREATE EXTENSION has already made one: the newer row replaces it.
create function conductor._settings_replace() returns trigger
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    delete from conductor.settings;
    -- 0.1.0 let it be set higher.
    new.max_output_bytes := least(new.max_output_bytes, 134217728);
    return new;
end
$$;

create trigger settings_replace before insert on settings
    for each row execute function conductor._settings_replace();
-- A restore by several sessions at once runs with session_replication_role = replica.
alter table conductor.settings enable always trigger settings_replace;

insert into conductor.settings (home) values (conductor._home());
