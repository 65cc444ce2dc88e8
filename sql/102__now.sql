-- The time that leases, deadlines, back-off and all timestamps go by: the engine asks nobody else. Tests replace it with
-- a clock that stands still. Without a pinned search_path, so that it is inlined.
create function conductor._now() returns timestamptz
    language sql volatile
    return pg_catalog.clock_timestamp();
