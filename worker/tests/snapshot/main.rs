//! Snapshots of real repositories, made by the real git.

mod fixture;
mod ordinary;
mod roots;
mod secrets;
mod sharing;
mod strange;
