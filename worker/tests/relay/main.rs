//! The relay between a child and the model, over real connections.

mod passing;
mod refusals;
mod secrets;
mod server;
mod tls;
mod trouble;

use std::time::Duration;

/// Nothing here takes long; what does has failed.
const LIMIT: Duration = Duration::from_secs(30);
