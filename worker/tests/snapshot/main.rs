//! Snapshots of real repositories, made by the real git.

#[path = "../common/fuzz.rs"]
mod fuzz;

mod fixture;
mod forged;
mod hostile;
mod ordinary;
mod roots;
mod secrets;
mod sharing;
mod strange;
