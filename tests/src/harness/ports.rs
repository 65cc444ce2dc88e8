//! Ports of servers that are stopped and started again: nobody else is given one meanwhile.

use std::fs::{File, create_dir_all, read_to_string};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;

/// What this program has reserved, until it ends.
static RESERVED: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// How many ports are looked at before there is said to be none.
const TRIES: u16 = 2_000;
const LOWEST: u16 = 10_000;

/// A port where nobody listens. It lies below those that the kernel gives to whoever asks for any, and no other program
/// of these tests gets it before this one has ended.
///
/// # Errors
/// When there is no free one, or the folder of the locks cannot be written.
pub fn reserve() -> io::Result<u16> {
    // SAFETY: geteuid(2) has no arguments and cannot fail.
    let user = unsafe { libc::geteuid() };
    let locks = std::env::temp_dir().join(format!("conductor-ports-{user}"));
    create_dir_all(&locks)?;
    let above = first_of_the_kernel().max(LOWEST + TRIES);
    for _ in 0..TRIES {
        let port = fastrand::u16(LOWEST..above);
        let lock = File::create(locks.join(port.to_string()))?;
        let is_ours = lock.try_lock().is_ok();
        if is_ours && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            let mut reserved = RESERVED.lock().unwrap_or_else(|broken| broken.into_inner());
            reserved.push(lock);
            return Ok(port);
        }
    }
    Err(io::Error::other(format!(
        "no free port between {LOWEST} and {above}"
    )))
}

fn first_of_the_kernel() -> u16 {
    let range = read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first = range.split_whitespace().next();
    first.and_then(|first| first.parse().ok()).unwrap_or(32_768)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_port_is_given_twice_nor_one_that_the_kernel_may_give() {
        let ports: Vec<u16> = (0..100).map(|_| reserve().unwrap()).collect();
        assert_eq!(ports.iter().collect::<HashSet<_>>().len(), ports.len());
        assert!(ports.iter().all(|port| *port < first_of_the_kernel()));
    }
}
