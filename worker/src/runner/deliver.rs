//! Calls that must arrive: tried again while the server is away, given up when the attempt is no longer ours.

use std::time::Duration;

use tokio::sync::watch;

use crate::backoff::Backoff;
use crate::db::{Failure, Refusal};
use crate::streams::{Outbox, Stale};

/// What the dispatcher wants of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Run,
    /// The run or the task was cancelled: end the child.
    Cancel,
    /// The lease is gone: end the child, write nothing.
    Drop,
    /// The worker stops at once: end the child, hand the task back.
    HandBack,
}

/// Why a call was not made, for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Halt {
    Ordered(Order),
    StaleLease,
    Refused(Refusal),
}

/// Resolves when the order is another than [`Order::Run`]. A dispatcher that is gone means hand back.
pub async fn ordered(orders: &mut watch::Receiver<Order>) -> Order {
    match orders.wait_for(|order| *order != Order::Run).await {
        Ok(order) => *order,
        Err(_) => Order::HandBack,
    }
}

/// Resolves when the task must be handed back. What a heartbeat finds meanwhile may be the very end that is being told.
pub async fn ordered_back(orders: &mut watch::Receiver<Order>) -> Order {
    // An error means that the dispatcher is gone, which is the same.
    let _ = orders.wait_for(|order| *order == Order::HandBack).await;
    Order::HandBack
}

impl From<Stale> for Halt {
    fn from(Stale: Stale) -> Self {
        Halt::StaleLease
    }
}

/// Waits until everything in an outbox is stored or left out, or there is an order.
pub async fn flush(outbox: &Outbox, orders: &mut watch::Receiver<Order>) -> Result<(), Halt> {
    tokio::select! {
        flushed = outbox.flush() => Ok(flushed?),
        order = ordered(orders) => Err(Halt::Ordered(order)),
    }
}

/// Makes a call until it succeeds, is refused, or `until` gives an order. Passing failures are waited out.
pub async fn insist<T, F>(
    what: &str,
    until: impl Future<Output = Order>,
    mut call: impl FnMut() -> F,
) -> Result<T, Halt>
where
    F: Future<Output = Result<T, Failure>>,
{
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    let mut told = false;
    let calls = async {
        loop {
            match call().await {
                Ok(value) => return Ok(value),
                Err(Failure::StaleLease) => return Err(Halt::StaleLease),
                Err(Failure::Refused(refusal)) => return Err(Halt::Refused(refusal)),
                Err(failure) if failure.is_shortage() && !told => {
                    // That the server is away is said by whoever listens to it; that it is full, by nobody else.
                    tracing::warn!(%failure, "{what} waits for the server");
                    told = true;
                    backoff.wait().await;
                }
                Err(failure) => {
                    tracing::debug!(%failure, "{what} is tried again");
                    backoff.wait().await;
                }
            }
        }
    };
    tokio::select! {
        result = calls => result,
        order = until => Err(Halt::Ordered(order)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::ready;
    use tokio::time::{Instant, timeout};

    fn refusal() -> Refusal {
        Refusal {
            sqlstate: "40001".into(),
            message: "conflict".into(),
            detail: None,
            hint: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn passing_failures_are_waited_out() {
        let (_keep, mut orders) = watch::channel(Order::Run);
        let mut left = vec![Failure::Again(refusal()), Failure::Gone("away".into())];
        let start = Instant::now();
        let result = insist("call", ordered(&mut orders), || {
            ready(left.pop().map_or(Ok(7), Err))
        })
        .await;
        assert_eq!(result, Ok(7));
        assert!(start.elapsed() >= Duration::from_millis(300));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stale_lease_and_a_refusal_end_it() {
        let (_keep, mut orders) = watch::channel(Order::Run);
        let stale = insist("call", ordered(&mut orders), || {
            ready(Err::<(), _>(Failure::StaleLease))
        });
        // On a clock that stands still this takes no time.
        let stale = timeout(Duration::from_secs(3600), stale).await;
        assert_eq!(stale.expect("it ends"), Err(Halt::StaleLease));
        let refused = insist("call", ordered(&mut orders), || {
            ready(Err::<(), _>(Failure::Refused(refusal())))
        })
        .await;
        assert_eq!(refused, Err(Halt::Refused(refusal())));
    }

    #[tokio::test(start_paused = true)]
    async fn an_order_ends_the_waiting() {
        let (give, mut orders) = watch::channel(Order::Run);
        let waiting = insist("call", ordered(&mut orders), || {
            ready(Err::<(), _>(Failure::Gone("away".into())))
        });
        let later = async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            give.send(Order::Drop).unwrap();
        };
        let (result, ()) = tokio::join!(waiting, later);
        assert_eq!(result, Err(Halt::Ordered(Order::Drop)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_result_is_delivered_whatever_a_heartbeat_finds() {
        let (give, mut orders) = watch::channel(Order::Drop);
        let delivered = insist("call", ordered_back(&mut orders), || ready(Ok(7))).await;
        assert_eq!(delivered, Ok(7));
        give.send(Order::HandBack).unwrap();
        let waiting = insist("call", ordered_back(&mut orders), || {
            ready(Err::<(), _>(Failure::Gone("away".into())))
        });
        assert_eq!(waiting.await, Err(Halt::Ordered(Order::HandBack)));
    }

    #[tokio::test]
    async fn a_vanished_dispatcher_means_hand_back() {
        let (give, mut orders) = watch::channel(Order::Run);
        drop(give);
        assert_eq!(ordered(&mut orders).await, Order::HandBack);
    }
}
