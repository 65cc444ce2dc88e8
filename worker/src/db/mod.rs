//! The server: sessions that come back when it does, typed calls, the doorbell.

mod address;
mod calls;
mod doorbell;
mod environment;
mod failure;
mod host;
mod passwords;
mod servers;
mod session;
mod settings;
mod streams;
mod tls;

pub use address::resolve;
pub use calls::{
    Claim, Ended, Finish, Limits, RecordedSnapshot, Registered, Registration, Verdict,
};
pub use doorbell::{Doorbell, Ring, listen};
pub use failure::{Failure, Refusal};
pub use servers::Servers;
pub use session::{Db, Param, Session};
pub use settings::holds_password;
pub use streams::{Parcel, Receipt};
pub use tls::Protection;
