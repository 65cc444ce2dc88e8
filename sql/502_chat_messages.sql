-- The newest max_rows messages of a chat (1 to 200), oldest first, without system rows.
create function conductor.chat_messages(chat bigint, max_rows integer default 50)
    returns table (role text, content text, status text, created_at timestamptz)
    language sql stable
    set search_path = pg_catalog, conductor, pg_temp
as $$
    select n.role, n.content, n.status, n.created_at
    from (select m.* from conductor.messages m
          where m.chat_id = chat_messages.chat and m.role <> 'system'
          order by m.ordinal desc
          limit greatest(1, least(coalesce(chat_messages.max_rows, 50), 200))) n
    order by n.ordinal
$$;
