-- Defines a persona of the user's own, or replaces one. Its findings are numbered with the prefix, by default the
-- initials of its name. Returns its name. Raises 22023 for what cannot be one, 42710 for a built-in
-- persona's name and 42501 for one that somebody else has defined.
create function conductor.persona_define(name text, description text, body text, prefix text default null) returns text
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_prefix text := coalesce(persona_define.prefix, upper(left(regexp_replace(persona_define.name,
        '([a-z0-9])[a-z0-9]*(-|$)', E'\\1', 'g'), 4)));
begin
    if coalesce(persona_define.name, '') !~ '^[a-z][a-z0-9-]{0,39}$' or coalesce(persona_define.body, '') !~ E'\\S'
        or coalesce(persona_define.description, '') !~ E'\\S' or v_prefix !~ '^[A-Z]{1,4}$'
    then
        raise exception using errcode = '22023',
            message = 'not a persona',
            detail = format('name: %s, prefix: %s, description: %s characters, body: %s characters',
                coalesce(quote_literal(persona_define.name), 'null'), v_prefix,
                coalesce(length(persona_define.description), 0), coalesce(length(persona_define.body), 0)),
            hint = 'a name of a-z, 0-9 and -, a prefix of 1 to 4 capital letters, a description and a body';
    end if;
    if exists (select from conductor._builtin_personas() b where b.name = persona_define.name) then
        raise exception using errcode = '42710',
            message = 'a built-in persona has this name', detail = format('name: %s', persona_define.name),
            hint = 'give the persona another name';
    end if;
    insert into conductor.persona_definitions as d (name, description, prefix, body, defined_by)
    values (persona_define.name, persona_define.description, v_prefix, persona_define.body, conductor._caller())
    on conflict on constraint persona_definitions_pkey do update
    set description = excluded.description, prefix = excluded.prefix, body = excluded.body,
        defined_by = excluded.defined_by, defined_at = conductor._now()
    where d.defined_by = excluded.defined_by or conductor._is_operator(excluded.defined_by);
    if not found then
        raise exception using errcode = '42501',
            message = 'somebody else has defined this persona', detail = format('name: %s', persona_define.name),
            hint = 'choose another name, or ask an operator';
    end if;
    return persona_define.name;
end
$$;
