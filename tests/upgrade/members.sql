-- Everything that the extension consists of, one line a thing: two installations are of one schema exactly when this
-- says the same of both.
with member as (
    select d.classid, d.objid
    from pg_depend d join pg_extension e on d.refclassid = 'pg_extension'::regclass and d.refobjid = e.oid
    where e.extname = 'conductor' and d.deptype = 'e'
), relation as (
    select c.* from pg_class c join member m on m.classid = 'pg_class'::regclass and m.objid = c.oid
), rights (classid, objid, acl) as (
    -- An absent list stands for the default rights, which somebody may have written out.
    select 'pg_class'::regclass, c.oid,
           coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's' else 'r' end::"char", c.relowner))
    from relation c
    union all
    select 'pg_proc'::regclass, p.oid, coalesce(p.proacl, acldefault('f', p.proowner))
    from pg_proc p join member m on m.classid = 'pg_proc'::regclass and m.objid = p.oid
)
select 'member ' || pg_describe_object(m.classid, m.objid, 0) from member m
union all
select format('relation %s: kind %s, persistence %s, options %s, row security %s, forced %s', c.oid::regclass, c.relkind,
              c.relpersistence, c.reloptions, c.relrowsecurity, c.relforcerowsecurity)
from relation c
union all
select format('column %s.%s: %s %s, %s%s%s default %s, collation %s, rights %s', c.oid::regclass, a.attname,
              row_number() over (partition by c.oid order by a.attnum), format_type(a.atttypid, a.atttypmod),
              case when a.attnotnull then 'not null ' end, a.attidentity, a.attgenerated, pg_get_expr(f.adbin, f.adrelid),
              nullif(a.attcollation, 0)::regcollation, a.attacl)
from relation c
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
left join pg_attrdef f on f.adrelid = c.oid and f.adnum = a.attnum
union all
select format('constraint %s on %s: %s', n.conname, c.oid::regclass, pg_get_constraintdef(n.oid))
from relation c join pg_constraint n on n.conrelid = c.oid
union all
select 'index ' || pg_get_indexdef(i.indexrelid) from relation c join pg_index i on i.indrelid = c.oid
union all
select format('trigger %s, enabled %s', pg_get_triggerdef(t.oid), t.tgenabled)
from relation c join pg_trigger t on t.tgrelid = c.oid and not t.tgisinternal
union all
select format('policy %s on %s for %s to %s, permissive %s: %s with check %s', p.polname, c.oid::regclass, p.polcmd,
              (select string_agg(case when o.role = 0 then 'public' else o.role::regrole::text end, ' ' order by o.role)
               from unnest(p.polroles) o (role)), p.polpermissive,
              pg_get_expr(p.polqual, c.oid), pg_get_expr(p.polwithcheck, c.oid))
from relation c join pg_policy p on p.polrelid = c.oid
union all
select format('view %s: %s', c.oid::regclass, pg_get_viewdef(c.oid)) from relation c where c.relkind = 'v'
union all
select format('sequence %s: %s %s %s %s %s', c.oid::regclass, s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcycle)
from relation c join pg_sequence s on s.seqrelid = c.oid
union all
select format('%s, owner %s', pg_get_functiondef(p.oid), p.proowner::regrole)
from pg_proc p join member m on m.classid = 'pg_proc'::regclass and m.objid = p.oid
union all
select format('rights on %s: %s', pg_describe_object(r.classid, r.objid, 0),
              (select string_agg(a::text, ' ' order by a::text) from aclexplode(r.acl) a))
from rights r
union all
-- What a dump takes for the extension's own grants, and leaves out.
select format('rights of the extension on %s: %s', pg_describe_object(i.classoid, i.objoid, i.objsubid),
              (select string_agg(a::text, ' ' order by a::text) from aclexplode(i.initprivs) a))
from pg_init_privs i join member m on m.classid = i.classoid and m.objid = i.objoid
union all
select format('comment on %s: %s', pg_describe_object(d.classoid, d.objoid, d.objsubid), d.description)
from pg_description d join member m on m.classid = d.classoid and m.objid = d.objoid
union all
select format('dumped %s where %s', t.relation::regclass, t.condition)
from pg_extension e, lateral unnest(e.extconfig, e.extcondition) t (relation, condition)
where e.extname = 'conductor'
order by 1
