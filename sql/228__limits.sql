-- The limits that a run pins at launch, times in seconds.
create function conductor._limits() returns jsonb
    language plpgsql stable security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    return (select jsonb_build_object(
        'stall_timeout_s', extract(epoch from s.stall_timeout),
        'first_event_timeout_s', extract(epoch from s.first_event_timeout),
        'step_timeout_s', extract(epoch from s.step_timeout),
        'max_attempts', s.max_attempts, 'max_deaths', s.max_deaths,
        'max_prompt_bytes', s.max_prompt_bytes, 'max_output_bytes', s.max_output_bytes, 'max_fanout', s.max_fanout)
    from conductor.settings s);
end
$$;
