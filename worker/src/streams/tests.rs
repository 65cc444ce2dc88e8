//! The sender against a store that answers as a test wants.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::db::{Failure, Parcel, Receipt, Refusal};
use crate::events::Event;

const HOUR: Duration = Duration::from_secs(3600);

/// What one call of many batches is answered with; when there is nothing left, everything is stored.
type Answer = Box<dyn FnOnce(&[Parcel]) -> Result<Vec<Receipt>, Failure> + Send>;

/// Keeps what it stores, in order, and counts calls.
#[derive(Clone, Default)]
struct Shop(Arc<Counter>);

#[derive(Default)]
struct Counter {
    answers: Mutex<VecDeque<Answer>>,
    alone: Mutex<VecDeque<Result<(), Failure>>>,
    /// Calls of single batches wait for this.
    hold: Mutex<Option<Arc<Notify>>>,
    stored: Mutex<Vec<(i64, Vec<Event>)>>,
    calls: AtomicUsize,
    single: AtomicUsize,
    largest: AtomicUsize,
}

impl Shop {
    fn answer(
        &self,
        answer: impl FnOnce(&[Parcel]) -> Result<Vec<Receipt>, Failure> + Send + 'static,
    ) -> &Self {
        self.0.answers.lock().unwrap().push_back(Box::new(answer));
        self
    }

    fn keep(&self, parcel: &Parcel) {
        let stored = (parcel.task, parcel.events.to_vec());
        self.0.stored.lock().unwrap().push(stored);
    }

    fn calls(&self) -> (usize, usize) {
        let count = |it: &AtomicUsize| it.load(Ordering::SeqCst);
        (count(&self.0.calls), count(&self.0.single))
    }

    /// The text of a task as it was stored.
    fn text(&self, task: i64) -> String {
        let stored = self.0.stored.lock().unwrap();
        let events = stored.iter().filter(|(of, _)| *of == task);
        let mut text = String::new();
        for event in events.flat_map(|(_, events)| events) {
            let Event::Delta { offset, text: more } = event else {
                panic!("{event:?}")
            };
            assert_eq!(*offset as usize, text.chars().count(), "in order and once");
            text.push_str(more);
        }
        text
    }
}

impl Store for Shop {
    async fn together(&self, parcels: &[Parcel]) -> Result<Vec<Receipt>, Failure> {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        let size = |parcel: &Parcel| parcel.events.iter().map(size_of_event).sum::<usize>();
        let bytes = parcels.iter().map(size).sum();
        self.0.largest.fetch_max(bytes, Ordering::SeqCst);
        let answer = self.0.answers.lock().unwrap().pop_front();
        let receipts = match answer {
            Some(answer) => answer(parcels)?,
            None => parcels.iter().map(|_| Receipt::Stored).collect(),
        };
        for (parcel, receipt) in parcels.iter().zip(&receipts) {
            if *receipt == Receipt::Stored {
                self.keep(parcel);
            }
        }
        Ok(receipts)
    }

    async fn alone(&self, parcel: Parcel) -> Result<(), Failure> {
        self.0.single.fetch_add(1, Ordering::SeqCst);
        let hold = self.0.hold.lock().unwrap().clone();
        if let Some(hold) = hold {
            hold.notified().await;
        }
        let answer = self.0.alone.lock().unwrap().pop_front();
        answer.unwrap_or(Ok(()))?;
        self.keep(&parcel);
        Ok(())
    }
}

fn refusal(sqlstate: &str) -> Refusal {
    Refusal {
        sqlstate: sqlstate.into(),
        message: "no".into(),
        detail: None,
        hint: None,
    }
}

/// An outbox and a pen that writes into it at the right offset.
struct Pen(Outbox, u64);

impl Pen {
    fn write(&mut self, text: &str) {
        self.0.push(Event::Delta {
            offset: self.1,
            text: text.into(),
        });
        self.1 += text.chars().count() as u64;
    }

    async fn flush(&self) -> Result<(), Stale> {
        timeout(HOUR, self.0.flush()).await.expect("it ends")
    }
}

fn open(shop: &Shop, tasks: i64) -> (Streams, Vec<Pen>) {
    let streams = Streams::start(shop.clone());
    let pens = (0..tasks)
        .map(|task| Pen(streams.open(task, Uuid::new_v4()), 0))
        .collect();
    (streams, pens)
}

#[tokio::test(start_paused = true)]
async fn however_many_stream_a_call_is_made_every_tenth_of_a_second() {
    let shop = Shop::default();
    let (_streams, mut pens) = open(&shop, 50);
    for _ in 0..100 {
        for pen in &mut pens {
            pen.write("token ");
        }
        sleep(Duration::from_millis(10)).await;
    }
    let (calls, single) = shop.calls();
    assert!((9..=12).contains(&calls) && single == 0, "{calls} {single}");
    for (task, pen) in pens.iter().enumerate() {
        pen.flush().await.unwrap();
        assert_eq!(shop.text(task as i64), "token ".repeat(100));
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_the_end_is_sent_at_once_and_takes_the_others_along() {
    let shop = Shop::default();
    let (_streams, mut pens) = open(&shop, 2);
    pens[0].write("a");
    pens[0].flush().await.unwrap();
    let start = Instant::now();
    pens[0].write("b");
    pens[1].write("c");
    pens[0].flush().await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!((shop.text(0), shop.text(1)), ("ab".into(), "c".into()));
    assert_eq!(shop.calls(), (2, 0));
    pens[1].flush().await.unwrap();
    assert_eq!(shop.calls(), (2, 0), "there is nothing left to send");
}

#[tokio::test(start_paused = true)]
async fn one_that_is_stale_or_refused_leaves_the_others_alone() {
    let shop = Shop::default();
    let (_streams, mut pens) = open(&shop, 3);
    shop.answer(|_| {
        Ok(vec![
            Receipt::Stale,
            Receipt::Refused("no array".into()),
            Receipt::Stored,
        ])
    });
    for pen in &mut pens {
        pen.write("a");
    }
    let told = timeout(HOUR, pens[0].0.news()).await.expect("it is told");
    assert_eq!(told, Err(Stale));
    assert_eq!(pens[0].flush().await, Err(Stale));
    pens[0].write("after");
    for pen in &mut pens[1..] {
        pen.flush().await.unwrap();
    }
    assert_eq!(shop.calls(), (1, 0), "nothing is sent for a stale one");
    // What was refused is left out, and what follows it is sent.
    pens[1].1 = 0;
    pens[1].write("b");
    pens[1].flush().await.unwrap();
    assert_eq!((shop.text(1), shop.text(2)), ("b".into(), "a".into()));
}

#[tokio::test(start_paused = true)]
async fn what_is_busy_is_sent_again_first_and_waits_for_its_turn_in_the_end() {
    let shop = Shop::default();
    let (_streams, mut pens) = open(&shop, 2);
    for _ in 0..3 {
        shop.answer(|parcels| {
            let busy = |parcel: &Parcel| match parcel.task {
                0 => Receipt::Busy,
                _ => Receipt::Stored,
            };
            Ok(parcels.iter().map(busy).collect())
        });
    }
    let hold = Arc::new(Notify::new());
    *shop.0.hold.lock().unwrap() = Some(hold.clone());
    for text in ["a", "b", "c", "d"] {
        pens[0].write(text);
        pens[1].write(text);
        sleep(Duration::from_millis(100)).await;
    }
    let (calls, single) = shop.calls();
    assert_eq!((calls, single), (4, 1), "alone after three times");
    assert_eq!((shop.text(0).as_str(), shop.text(1).as_str()), ("", "abcd"));
    hold.notify_one();
    pens[0].flush().await.unwrap();
    assert_eq!(shop.text(0), "abcd");
}

#[tokio::test(start_paused = true)]
async fn an_end_does_not_wait_for_the_next_call_when_its_run_is_busy() {
    let shop = Shop::default();
    let (_streams, mut pens) = open(&shop, 1);
    shop.answer(|_| Ok(vec![Receipt::Busy]));
    pens[0].write("a");
    let start = Instant::now();
    pens[0].flush().await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(shop.calls(), (1, 1));
    assert_eq!(shop.text(0), "a");
}

#[tokio::test(start_paused = true)]
async fn failures_that_pass_are_waited_out_and_nothing_is_lost_or_moved() {
    let shop = Shop::default();
    let (_streams, mut pens) = open(&shop, 2);
    let start = Instant::now();
    for _ in 0..4 {
        shop.answer(|_| Err(Failure::Gone("away".into())))
            .answer(|_| Err(Failure::Again(refusal("53100"))));
    }
    for text in ["a", "b"] {
        pens.iter_mut().for_each(|pen| pen.write(text));
        sleep(Duration::from_millis(150)).await;
    }
    for (task, pen) in pens.iter().enumerate() {
        pen.flush().await.unwrap();
        assert_eq!(shop.text(task as i64), "ab");
    }
    assert!(start.elapsed() > Duration::from_secs(5), "with pauses");
    assert_eq!(shop.calls(), (10, 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_refused_as_a_whole_is_made_one_by_one() {
    let shop = Shop::default();
    let (_streams, mut pens) = open(&shop, 3);
    shop.answer(|_| Err(Failure::Refused(refusal("22P05"))));
    *shop.0.alone.lock().unwrap() = VecDeque::from([
        Ok(()),
        Err(Failure::Refused(refusal("22P05"))),
        Err(Failure::StaleLease),
    ]);
    for pen in &mut pens {
        pen.write("a");
    }
    assert_eq!(pens[0].flush().await, Ok(()));
    assert_eq!(pens[1].flush().await, Ok(()));
    assert_eq!(pens[2].flush().await, Err(Stale));
    assert_eq!((shop.text(0), shop.text(1)), ("a".into(), String::new()));
    assert_eq!(shop.calls(), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn a_conflict_of_a_single_call_holds_nobody_up() {
    let shop = Shop::default();
    let (_streams, mut pens) = open(&shop, 2);
    shop.answer(|_| Ok(vec![Receipt::Busy]));
    let conflict = Err(Failure::Again(refusal("55P03")));
    shop.0.alone.lock().unwrap().push_back(conflict);
    pens[0].write("a");
    let start = Instant::now();
    pens[0].flush().await.unwrap();
    assert!(start.elapsed() <= Duration::from_millis(100));
    pens[1].write("b");
    pens[1].flush().await.unwrap();
    assert!(start.elapsed() <= Duration::from_millis(100));
    assert_eq!((shop.text(0), shop.text(1)), ("a".into(), "b".into()));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_given_up_is_not_sent_and_its_call_ends() {
    let shop = Shop::default();
    let (streams, mut pens) = open(&shop, 2);
    shop.answer(|_| Ok(vec![Receipt::Busy]));
    *shop.0.hold.lock().unwrap() = Some(Arc::default());
    pens[0].write("a");
    let never = timeout(Duration::from_secs(60), pens[0].0.flush()).await;
    assert!(never.is_err(), "its call waits");
    pens[1].write("unsent");
    pens.clear();
    assert!(streams.desk.open().is_empty());
    sleep(Duration::from_secs(1)).await;
    assert_eq!(shop.calls(), (1, 1));
    // Nobody but us and the sender has it: the call that waited is gone.
    assert_eq!(Arc::strong_count(&shop.0), 2);
}

#[tokio::test(start_paused = true)]
async fn a_flood_is_bounded_for_each_and_for_all_and_keeps_nobody_else_waiting() {
    let shop = Shop::default();
    let (_streams, mut pens) = open(&shop, 60);
    let page = "x".repeat(10_000);
    let mut written = 0;
    for pen in &mut pens {
        while !pen.0.is_full() {
            pen.write(&page);
            written += page.len();
        }
    }
    assert!(written < TOTAL_BYTES + 60 * page.len(), "{written}");
    let mut quiet = Pen(_streams.open(60, Uuid::new_v4()), 0);
    quiet.write("hello");
    quiet.flush().await.unwrap();
    let before = {
        let stored = shop.0.stored.lock().unwrap();
        stored.iter().position(|(task, _)| *task == 60)
    };
    assert!(before < Some(2 * 60), "its turn comes: {before:?}");
    for (task, pen) in pens.iter().enumerate() {
        pen.flush().await.unwrap();
        assert_eq!(shop.text(task as i64).len() as u64, pen.1);
    }
    let largest = shop.0.largest.load(Ordering::SeqCst);
    assert!(largest < 600 << 10, "{largest}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_slows_the_child_down() {
    struct Silent;
    impl Store for Silent {
        async fn together(&self, _: &[Parcel]) -> Result<Vec<Receipt>, Failure> {
            pending().await
        }
        async fn alone(&self, _: Parcel) -> Result<(), Failure> {
            pending().await
        }
    }
    let streams = Streams::start(Silent);
    let mut pen = Pen(streams.open(1, Uuid::new_v4()), 0);
    let page = "y".repeat(10_000);
    for _ in 0..1000 {
        if pen.0.is_full() {
            break;
        }
        pen.write(&page);
        sleep(Duration::from_millis(1)).await;
    }
    assert!(pen.0.is_full() && pen.1 < 5 << 20, "{}", pen.1);
    let still = timeout(HOUR, pen.0.news()).await;
    assert!(still.is_err(), "there is no news");
}

#[tokio::test(start_paused = true)]
async fn a_mistake_in_the_sender_loses_nothing() {
    let shop = Shop::default();
    let (_streams, mut pens) = open(&shop, 1);
    shop.answer(|_| panic!("a mistake"));
    pens[0].write("a");
    pens[0].flush().await.unwrap();
    assert_eq!(shop.text(0), "a");
}
