-- Checks what a launch provides beside its question: {"documents": [{"name", "text"}], "base": "rev", …}. Keys of the
-- user's own are kept and not looked at. Raises 22023 with the place that is wrong.
create function conductor._check_input(p_input jsonb) returns void
    language plpgsql immutable
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_document record;
    v_wrong    text;
begin
    if p_input is null then
        return;
    end if;
    if jsonb_typeof(p_input) <> 'object' then
        v_wrong := format('input: %s', jsonb_typeof(p_input));
    elsif not conductor._json_readable(p_input::text) then
        v_wrong := 'input: nested too deeply, or a number out of range';
    elsif p_input ? 'question' then
        v_wrong := 'input.question: the question is an argument of its own';
    elsif p_input ? 'base' and (jsonb_typeof(p_input -> 'base') <> 'string'
            or p_input ->> 'base' !~ '^[A-Za-z0-9_][A-Za-z0-9_./@{}^~-]{0,199}$') then
        v_wrong := format('input.base: %s', p_input -> 'base');
    elsif p_input ? 'documents' and jsonb_typeof(p_input -> 'documents') <> 'array' then
        v_wrong := format('input.documents: %s', jsonb_typeof(p_input -> 'documents'));
    elsif p_input ? 'documents' then
        for v_document in
            select d.value, d.n from jsonb_array_elements(p_input -> 'documents') with ordinality d (value, n)
        loop
            if jsonb_typeof(v_document.value) <> 'object'
                or jsonb_typeof(v_document.value -> 'name') is distinct from 'string'
                or jsonb_typeof(v_document.value -> 'text') is distinct from 'string'
                or v_document.value ->> 'name' !~ E'\\S'
            then
                v_wrong := format('input.documents[%s]: %s', v_document.n - 1, left(v_document.value::text, 120));
                exit;
            end if;
        end loop;
    end if;
    if v_wrong is not null then
        raise exception using errcode = '22023',
            message = 'the input of a run is not in the form it must have',
            detail = v_wrong,
            hint = 'give input => ''{"documents": [{"name": "spec.md", "text": "…"}], "base": "main"}''';
    end if;
end
$$;
