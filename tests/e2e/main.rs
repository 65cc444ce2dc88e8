//! End-to-end tests: a real server, the real worker, the real child, and a model that plays scripts.
//! One module a theme.

mod advance_model;
mod backoff;
mod cancel;
mod cancel_moments;
mod child_ends;
mod clocks;
mod code_review;
mod command_line;
mod context;
mod cut_off;
mod dump;
mod fencing;
mod flood;
mod growth;
mod hostile_output;
mod hostile_repository;
mod huge_output;
mod launch_errors;
mod limits;
mod locks;
mod main_job;
mod model_errors;
mod own_flows;
mod prompts;
mod random_clients;
mod repertoire;
mod resources;
mod torture;
mod transactions;
mod two_workers;
mod upgrade;
mod useless_replies;
mod worker_death;
mod worker_refusals;
mod worker_version;
