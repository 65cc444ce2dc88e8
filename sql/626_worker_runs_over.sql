-- Of the given runs, those that do not run any more (or do not exist): their snapshots can go.
create function conductor.worker_runs_over(worker bigint, runs bigint[]) returns setof bigint
    language sql stable security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
    select k.id from unnest(worker_runs_over.runs) k (id)
    where not exists (select from conductor.flow_runs r where r.id = k.id and r.status = 'running')
      and exists (select from conductor.workers w where w.id = worker_runs_over.worker)
$$;
