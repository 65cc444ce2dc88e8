-- PUBLIC may do nothing here; grant_launcher(), grant_worker() and grant_operator() say who may do what.
revoke all on all functions in schema conductor from public;
revoke all on all tables in schema conductor from public;
revoke all on schema conductor from public;
