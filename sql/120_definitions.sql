-- Texts that a run uses (personas, prompt templates), stored once each under their SHA-256.
create table conductor.texts (
    hash text not null,
    body text not null,
    -- Whether a pruned run pinned it, so that flow_prune() looks whether another one does.
    stale boolean not null default false,
    constraint texts_pkey primary key (hash),
    constraint texts_hash_form check (hash ~ '^[0-9a-f]{64}$')
);
create index texts_stale_idx on conductor.texts (hash) where stale;
select pg_catalog.pg_extension_config_dump('conductor.texts', '');

-- Only what users define is stored; the built-in flows and personas live in the library.
create table conductor.flow_definitions (
    name       text  not null,
    definition jsonb not null,
    defined_by text  not null,
    defined_at timestamptz not null default conductor._now(),
    constraint flow_definitions_pkey primary key (name),
    constraint flow_definitions_object check (jsonb_typeof(definition) = 'object')
);
select pg_catalog.pg_extension_config_dump('conductor.flow_definitions', '');

create table conductor.persona_definitions (
    name        text not null,
    description text not null,
    prefix      text not null,
    body        text not null,
    defined_by  text not null,
    defined_at  timestamptz not null default conductor._now(),
    constraint persona_definitions_pkey primary key (name),
    constraint persona_definitions_name_form check (name ~ '^[a-z][a-z0-9-]{0,39}$'),
    constraint persona_definitions_prefix_form check (prefix ~ '^[A-Z]{1,4}$'),
    constraint persona_definitions_body_present check (body ~ '\S')
);
select pg_catalog.pg_extension_config_dump('conductor.persona_definitions', '');
