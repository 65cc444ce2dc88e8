-- Registers a directory on the workers' hosts as a project, or moves a registered one. Operators only.
-- Returns the project's id. Raises 22023 for a name or root that cannot be one.
create function conductor.project_register(name text, root text) returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_root text := regexp_replace(project_register.root, '(?<=.)/+$', '');
    v_id   bigint;
begin
    if project_register.name is null or project_register.name !~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$' then
        raise exception using errcode = '22023',
            message = 'not a project name',
            detail = format('name: %s', coalesce(quote_literal(project_register.name), 'null')),
            hint = 'use 1 to 63 letters, digits, dots, dashes and underscores, beginning with a letter or digit';
    end if;
    if v_root is null or v_root !~ '^/' or v_root ~ '(^|/)[.][.]?(/|$)' or v_root ~ '[[:cntrl:]]' then
        raise exception using errcode = '22023',
            message = 'a project root must be a plain absolute path',
            detail = format('root: %s', coalesce(quote_literal(project_register.root), 'null')),
            hint = 'give the directory as the workers see it, for instance /srv/shop, without . or .. in it';
    end if;
    insert into conductor.projects as p (name, root, registered_by)
    values (project_register.name, v_root, conductor._caller())
    on conflict on constraint projects_name_key do update set root = excluded.root, registered_by = excluded.registered_by
    returning p.id into v_id;
    return v_id;
end
$$;
