//! What the pool promises.
#![cfg(target_os = "linux")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use file_pool::{Job, Pool};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

const LONG: Duration = Duration::from_secs(20);

/// A job that says when it begins and ends when it is told to.
struct Held {
    name: u32,
    begun: Sender<u32>,
    end: Receiver<()>,
}

impl Job for Held {
    type Done = u32;

    fn work(self) -> u32 {
        self.begun.send(self.name).expect("the test waits for it");
        let _ = self.end.recv_timeout(LONG); // an end without a word is one, too
        self.name
    }
}

fn held(name: u32, begun: &Sender<u32>) -> (Held, Sender<()>) {
    let (end, ended) = channel();
    (Held { name, begun: begun.clone(), end: ended }, end)
}

fn is_readable<J: Job>(pool: &Pool<J>, ms: i64) -> bool {
    let time = Timespec { tv_sec: ms / 1000, tv_nsec: ms % 1000 * 1_000_000 };
    poll(&mut [PollFd::new(pool, PollFlags::IN)], Some(&time)).expect("poll") > 0
}

#[test]
fn results_come_as_they_are_finished_and_the_descriptor_says_so() {
    let mut pool = Pool::new(2, 8).expect("threads");
    let (begun, begins) = channel();
    let ((first, end_first), (second, end_second)) = (held(1, &begun), held(2, &begun));
    assert!(pool.submit(first).is_ok() && pool.submit(second).is_ok());
    let both: u32 = (0..2).map(|_| begins.recv_timeout(LONG).expect("it begins")).sum();
    assert_eq!(both, 3);
    assert!(!is_readable(&pool, 0) && pool.take_done().is_empty(), "nothing is done");
    assert_eq!(pool.outstanding(), 2);

    end_second.send(()).expect("it waits");
    assert!(is_readable(&pool, 20_000));
    assert_eq!(pool.take_done(), [2], "the one that was finished, not the one that began");
    assert!(!is_readable(&pool, 0), "all was taken");
    end_first.send(()).expect("it waits");
    assert!(is_readable(&pool, 20_000));
    assert_eq!((pool.take_done(), pool.outstanding()), (vec![1], 0));
}

#[test]
fn a_full_queue_gives_the_job_back_and_has_room_again() {
    let mut pool = Pool::new(1, 1).expect("a thread");
    let (begun, begins) = channel();
    let (first, end_first) = held(1, &begun);
    assert!(pool.submit(first).is_ok());
    begins.recv_timeout(LONG).expect("it begins");
    let ((second, end_second), (third, end_third)) = (held(2, &begun), held(3, &begun));
    assert!(pool.submit(second).is_ok(), "there is room for one");
    let third = pool.submit(third).expect_err("and for no other");
    assert_eq!((third.name, pool.outstanding()), (3, 2));
    end_first.send(()).expect("it waits");
    assert_eq!(begins.recv_timeout(LONG), Ok(2));
    assert!(pool.submit(third).is_ok(), "the second has left the queue");
    drop((end_second, end_third));
    let (mut done, since) = (Vec::new(), Instant::now());
    while pool.outstanding() > 0 && since.elapsed() < LONG {
        is_readable(&pool, 1000);
        done.extend(pool.take_done());
    }
    assert_eq!(done, [1, 2, 3]);
}

#[test]
fn dropping_it_waits_for_what_was_begun_and_throws_the_rest_away() {
    struct Counted(Arc<AtomicUsize>, Option<Sender<()>>, Duration);
    impl Job for Counted {
        type Done = ();
        fn work(self) {
            if let Some(begun) = self.1 {
                begun.send(()).expect("the test waits");
            }
            std::thread::sleep(self.2);
            self.0.fetch_add(1, SeqCst);
        }
    }
    let count = Arc::new(AtomicUsize::new(0));
    let (begun, begins) = channel();
    let mut pool = Pool::new(1, 8).expect("a thread");
    let slow = Counted(count.clone(), Some(begun), Duration::from_millis(100));
    assert!(pool.submit(slow).is_ok());
    for _ in 0..5 {
        let next = Counted(count.clone(), None, Duration::ZERO);
        assert!(pool.submit(next).is_ok());
    }
    begins.recv_timeout(LONG).expect("it begins");
    drop(pool);
    assert_eq!(count.load(SeqCst), 1, "the one that was begun, whole");
    assert_eq!(Arc::strong_count(&count), 1, "nobody has anything of the others");
}

#[test]
fn many_jobs_and_no_result_is_lost() {
    struct Plus(u64);
    impl Job for Plus {
        type Done = u64;
        fn work(self) -> u64 {
            self.0 + 1
        }
    }
    let mut pool = Pool::new(4, 16).expect("threads");
    let (mut next, mut sum, mut taken, since) = (0, 0, 0, Instant::now());
    while taken < 20_000 && since.elapsed() < LONG {
        while next < 20_000 && pool.submit(Plus(next)).is_ok() {
            next += 1;
        }
        assert!(
            is_readable(&pool, 20_000),
            "there are results, and the descriptor says so"
        );
        for done in pool.take_done() {
            (sum, taken) = (sum + done, taken + 1);
        }
    }
    assert_eq!((taken, sum), (20_000, (1..=20_000).sum::<u64>()));
}

#[test]
fn a_thread_that_was_woken_for_nothing_is_still_there() {
    enum Either {
        Nothing,
        Held(Held),
    }
    impl Job for Either {
        type Done = ();
        fn work(self) {
            if let Self::Held(held) = self {
                held.work();
            }
        }
    }
    let mut pool = Pool::new(4, 1).expect("threads");
    let mut hand_over = |job| {
        let mut job = Some(job);
        while let Some(refused) = job.take() {
            job = pool.submit(refused).err();
            pool.take_done();
        }
    };
    // There is a job at a time, so they wait, are woken, and take each other's jobs.
    (0..20_000).for_each(|_| hand_over(Either::Nothing));
    let (begun, begins) = channel();
    let ends: Vec<Sender<()>> = (0..4)
        .map(|name| {
            let (job, end) = held(name, &begun);
            hand_over(Either::Held(job));
            end
        })
        .collect();
    let all = (0..4).filter(|_| begins.recv_timeout(LONG / 4).is_ok()).count();
    assert_eq!(all, 4, "so many of four threads are there");
    drop(ends);
}

#[test]
fn its_threads_block_every_signal_and_the_starter_gets_its_mask_back() {
    struct Mask;
    impl Job for Mask {
        type Done = (String, String);
        fn work(self) -> Self::Done {
            let name = std::thread::current().name().unwrap_or_default().to_owned();
            (blocked("/proc/thread-self/status"), name)
        }
    }
    fn blocked(status: &str) -> String {
        let text = std::fs::read_to_string(status).expect("proc");
        let line = text.lines().find_map(|line| line.strip_prefix("SigBlk:"));
        line.expect("a mask").trim().to_owned()
    }
    let before = blocked("/proc/thread-self/status");
    let mut pool = Pool::new(1, 1).expect("a thread");
    assert_eq!(blocked("/proc/thread-self/status"), before);
    assert!(pool.submit(Mask).is_ok() && is_readable(&pool, 20_000));
    let (mask, name) = pool.take_done().pop().expect("a result");
    let mask = u64::from_str_radix(&mask, 16).expect("a number");
    for signal in [2, 10, 15, 17] {
        assert!(mask & 1 << (signal - 1) != 0, "signal {signal} in {mask:x}");
    }
    assert_eq!(name, "file-0");
}
