-- What can be launched: the library's flows and personas, and those of users.
create view conductor.flows as
select b.name, b.category, b.description, b.definition, true as builtin from conductor._builtin_flows() b
union all
select d.name, d.definition ->> 'category', d.definition ->> 'description', d.definition, false
from conductor.flow_definitions d;

create view conductor.personas as
select b.name, b.description, b.prefix, b.body, true as builtin from conductor._builtin_personas() b
union all
select d.name, d.description, d.prefix, d.body, false from conductor.persona_definitions d;
