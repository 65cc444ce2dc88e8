//! TLS to the server, with real certificates and a real server: what protects, what is refused, and what a worker does.

mod modes;
mod server;
mod wire;
mod workers;
