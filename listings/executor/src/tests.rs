//! The executor by itself, with a reactor that has nothing to say; then both real ones.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use uring_loop::{Op, Ring, Room, Setup, Work};

use super::*;

/// Nothing ever happens. Whoever sleeps here sleeps for ever.
#[derive(Clone, Default)]
struct Nothing(Rc<Cell<u32>>);

impl Reactor for Nothing {
    fn watch(&self, _: BorrowedFd<'_>) -> std::io::Result<()> {
        Ok(())
    }

    fn wait(&self, sleep: bool) -> std::io::Result<bool> {
        assert!(!sleep, "no task can go on, and nothing will happen");
        self.0.set(self.0.get() + 1);
        Ok(false)
    }
}

/// The same, and it keeps what it is to watch.
#[derive(Clone, Default)]
struct Watched(Rc<RefCell<Option<OwnedFd>>>);

impl Reactor for Watched {
    fn watch(&self, told: BorrowedFd<'_>) -> std::io::Result<()> {
        *self.0.borrow_mut() = Some(told.try_clone_to_owned()?);
        Ok(())
    }

    fn wait(&self, sleep: bool) -> std::io::Result<bool> {
        assert!(!sleep, "no task can go on, and nothing will happen");
        Ok(false)
    }
}

/// Counts how often it was called.
#[derive(Default)]
struct Calls(AtomicUsize);

impl std::task::Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_timer_wakes_whoever_has_asked_last_and_by_the_kernels_time() {
    let (first, second) = (Arc::new(Calls::default()), Arc::new(Calls::default()));
    let timers = Timers::default();
    let soon = timers.now() + Duration::from_millis(5);
    let mut sleep = pin!(timers.sleep_until(soon));
    for calls in [&first, &second] {
        let waker = Waker::from(Arc::clone(calls));
        assert!(sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    // The clock goes on, and nobody has asked the kernel: for everybody it is still then.
    thread::sleep(Duration::from_millis(10));
    let waker = Waker::from(Arc::clone(&second));
    assert!(sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    timers.fire(soon);
    let count = |calls: &Calls| calls.0.load(Ordering::Relaxed);
    assert_eq!((count(&first), count(&second)), (0, 1));
    assert!(sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
    assert!(timers.next().is_none(), "it has left the tree");
}

/// A task that counts its polls, and hands out its waker.
fn counter(
    polls: &Rc<Cell<u32>>,
    waker: &Rc<RefCell<Option<Waker>>>,
) -> impl Future + use<> {
    let (polls, waker) = (Rc::clone(polls), Rc::clone(waker));
    poll_fn(move |context| {
        polls.set(polls.get() + 1);
        waker.replace(Some(context.waker().clone()));
        Poll::<()>::Pending
    })
}

async fn rounds(number: u32) {
    for _ in 0..number {
        yield_now().await;
    }
}

fn epoll() -> (Epoll, Executor<Epoll>) {
    let epoll = Epoll::new().expect("an instance");
    let executor = Executor::new(epoll.clone()).expect("an executor");
    (epoll, executor)
}

fn ring() -> Option<(Completions, Executor<Completions>)> {
    let setup = Setup { entries: 8, as_of: None, work: Work::default() };
    let Ok(ring) = Ring::new(&setup) else {
        flags::skipped("io_uring is forbidden here");
        return None;
    };
    let ring = Completions::new(ring);
    let executor = Executor::new(ring.clone()).expect("an executor");
    Some((ring, executor))
}

fn pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().expect("a pair")
}

fn source(epoll: &Epoll, ours: UnixStream) -> Source {
    ours.set_nonblocking(true).expect("a socket");
    epoll.hold(ours.into())
}

/// What the other end finds out without waiting.
fn look(peer: &mut UnixStream) -> Result<usize, ErrorKind> {
    peer.set_nonblocking(true).expect("a socket");
    peer.read(&mut [0; 8]).map_err(|error| error.kind())
}

fn after(ms: u64) -> Instant {
    Instant::now() + Duration::from_millis(ms)
}

#[test]
fn a_waker_that_is_called_twice_queues_once() {
    let mut executor = Executor::new(Nothing::default()).expect("an executor");
    let (polls, waker) = (Rc::default(), Rc::default());
    let task = counter(&polls, &waker);
    executor.spawner().spawn(async move { drop(task.await) });
    let main = async {
        rounds(3).await;
        assert_eq!(polls.get(), 1, "nobody has called");
        let waker = waker.borrow().clone().expect("it was polled");
        waker.wake_by_ref();
        waker.wake_by_ref();
        rounds(3).await;
        assert_eq!(polls.get(), 2);
        waker.wake();
        rounds(3).await;
        assert_eq!(polls.get(), 3, "it is queued again after it was polled");
    };
    executor.block_on(main).expect("to wait");
}

#[test]
fn a_waker_may_outlive_its_task_and_wakes_nobody_else() {
    let mut executor = Executor::new(Nothing::default()).expect("an executor");
    let spawner = executor.spawner();
    let old: Rc<RefCell<Option<Waker>>> = Rc::default();
    let of_old = Rc::clone(&old);
    spawner.spawn(poll_fn(move |context| {
        of_old.replace(Some(context.waker().clone()));
        Poll::Ready(())
    }));
    let (polls, waker) = (Rc::default(), Rc::default());
    let task = counter(&polls, &waker);
    let main = async {
        rounds(2).await;
        spawner.spawn(async move { drop(task.await) }); // into the same slot
        rounds(2).await;
        old.take().expect("it was polled").wake();
        rounds(2).await;
        assert_eq!(polls.get(), 1);
    };
    executor.block_on(main).expect("to wait");
    assert_eq!(executor.len(), 1);
    drop(executor);
    waker.take().expect("it was polled").wake(); // for nobody at all
}

#[test]
fn whoever_wakes_itself_starves_neither_tasks_nor_the_kernel() {
    let (epoll, mut executor) = epoll();
    let (ours, mut peer) = pair();
    let (source, turns) = (source(&epoll, ours), Rc::new(Cell::new(0)));
    let greedy = Rc::clone(&turns);
    executor.spawner().spawn(async move {
        loop {
            greedy.set(greedy.get() + 1);
            yield_now().await;
        }
    });
    let main = async {
        rounds(10).await;
        assert!((9..=12).contains(&turns.get()), "one turn in a round: {}", turns.get());
        peer.write_all(b"!").expect("the other end is open");
        source.readable().await.expect("to be armed");
    };
    executor.block_on(main).expect("to wait");
}

#[test]
fn a_panic_in_a_task_ends_the_call_and_drops_the_others() {
    let Some((ring, mut executor)) = ring() else { return };
    let ((ours, mut peer), spawner) = (pair(), executor.spawner());
    let (socket, on_ring) = (ring.hold(ours.into()), ring.clone());
    spawner.spawn(async move {
        drop(on_ring.recv(&socket, Vec::with_capacity(64)).await);
    });
    spawner.spawn(async {
        rounds(2).await;
        panic!("on purpose");
    });
    let call = AssertUnwindSafe(|| executor.block_on(pending::<()>()));
    assert!(catch_unwind(call).is_err());
    assert_eq!(ring.in_flight(), 2, "the receive, and what watches the executor");
    drop(executor);
    drop(ring); // waits until the kernel has let go
    assert_eq!(look(&mut peer), Ok(0), "the connection is closed");
}

/// A waker called by another thread, while ours sleeps.
fn is_woken_from_outside<R: Reactor>(mut executor: Executor<R>, timers: &Timers) {
    for time in 0..500 {
        let mut thread = None;
        let main = poll_fn(|context| match &thread {
            None => {
                let waker = context.waker().clone();
                thread = Some(thread::spawn(move || {
                    // At first while we sleep, and later at any moment.
                    let pause = if time < 3 { 20_000 } else { time % 50 };
                    thread::sleep(Duration::from_micros(pause));
                    waker.wake();
                }));
                Poll::Pending
            }
            Some(_) => Poll::Ready(()),
        });
        executor.block_on(main).expect("to wait");
        thread.expect("it was started").join().expect("it does not panic");
        // What was told is heard, and the next wait is one again.
        let before = timers.round();
        executor.block_on(timers.sleep_until(after(1))).expect("to wait");
        assert!(timers.round() - before <= 5, "it spins");
    }
}

#[test]
fn another_thread_can_wake_a_task() {
    let (epoll, executor) = epoll();
    is_woken_from_outside(executor, epoll.timers());
    if let Some((ring, executor)) = ring() {
        is_woken_from_outside(executor, ring.timers());
    }
}

#[test]
fn a_thread_that_is_awake_is_not_told() {
    let watched = Watched::default();
    let mut executor = Executor::new(watched.clone()).expect("an eventfd");
    executor.spawner().spawn(rounds(2));
    executor.block_on(rounds(3)).expect("it does not wait");
    let told = watched.0.take().expect("it is to be watched");
    let read = rustix::io::read(&told, &mut [0; 8]);
    assert_eq!(
        read,
        Err(rustix::io::Errno::AGAIN),
        "a thread that is awake is told of its own tasks"
    );
}

#[test]
fn another_thread_tells_once_of_all_that_it_has() {
    let watched = Watched::default();
    let mut executor = Executor::new(watched.clone()).expect("an eventfd");
    let wakers: Rc<RefCell<Vec<Waker>>> = Rc::default();
    for _ in 0..2 {
        let wakers = Rc::clone(&wakers);
        executor.spawner().spawn(poll_fn(move |context| {
            wakers.borrow_mut().push(context.waker().clone());
            Poll::Pending
        }));
    }
    let both_are_woken = async {
        rounds(2).await;
        let both = wakers.take();
        assert_eq!(both.len(), 2);
        let other = thread::spawn(move || both.into_iter().for_each(Waker::wake));
        other.join().expect("it does not panic");
    };
    executor.block_on(both_are_woken).expect("it does not wait");
    let (told, mut count) = (watched.0.take().expect("it is to be watched"), [0; 8]);
    let read = rustix::io::read(&told, &mut count);
    assert_eq!((read, u64::from_ne_bytes(count)), (Ok(8), 1), "one word for both");
}

/// Three sleeps that are begun in another order, one that is dropped, one that is put off.
fn sleeps_in_order<R: Reactor>(mut executor: Executor<R>, timers: &Timers) {
    let mut hour = timers.sleep_until(after(3_600_000));
    // The kernel is told to wait for that one, and then of earlier ones.
    let first = executor.block_on(race(&mut hour, rounds(2))).expect("to wait");
    assert_eq!(first, Err(()));
    let (order, start): (Rc<RefCell<Vec<u64>>>, _) = (Rc::default(), Instant::now());
    for ms in [60, 20, 40] {
        let (timers, order) = (timers.clone(), Rc::clone(&order));
        executor.spawner().spawn(async move {
            timers.sleep_until(start + Duration::from_millis(ms)).await;
            assert!(start.elapsed() >= Duration::from_millis(ms), "too early");
            order.borrow_mut().push(ms);
        });
    }
    let main = async {
        let mut moved = timers.sleep_until(after(10));
        moved.reset(Some(after(90)));
        let first =
            race(timers.sleep_until(after(30)), timers.sleep_until(after(3_600_000)));
        assert_eq!(first.await, Ok(()));
        moved.await;
        hour.reset(None);
        assert_eq!(*order.borrow(), [20, 40, 60]);
    };
    executor.block_on(main).expect("to wait");
    assert_eq!(timers.next(), None, "what was dropped has left the tree");
}

#[test]
fn timers_end_in_order_and_none_too_early() {
    let (epoll, executor) = epoll();
    sleeps_in_order(executor, epoll.timers());
    if let Some((ring, executor)) = ring() {
        sleeps_in_order(executor, ring.timers());
    }
}

#[test]
fn a_wish_that_is_dropped_leaves_the_bytes_where_they_are() {
    let (epoll, mut executor) = epoll();
    let (ours, mut peer) = pair();
    let source = source(&epoll, ours);
    let main = async {
        let moment = epoll.timers().sleep_until(after(5));
        assert!(race(source.readable(), moment).await.is_err(), "nothing has come");
        peer.write_all(b"hello").expect("the other end is open");
        let before = epoll.timers().round();
        epoll.timers().sleep_until(after(50)).await;
        // Once for the bytes that nobody waits for, once for the time; an early wake.
        assert!(epoll.timers().round() - before <= 4, "it spins");
        let read = source.read_with(|fd| rustix::io::read(fd, &mut [0; 8]));
        assert_eq!(read.await, Ok(5));
        let again = race(source.readable(), epoll.timers().sleep_until(after(5))).await;
        assert!(matches!(again, Ok(Ok(()))), "a hint may be old");
        let read = source.read_with(|fd| rustix::io::read(fd, &mut [0; 8]));
        let write = async {
            rounds(2).await;
            peer.write_all(b"again").expect("the other end is open");
            epoll.timers().sleep_until(after(10_000)).await;
        };
        assert_eq!(race(read, write).await, Ok(Ok(5)), "it was armed again");
    };
    executor.block_on(main).expect("to wait");
    drop(source);
    assert_eq!(look(&mut peer), Ok(0), "the connection is closed");
}

#[test]
fn a_peer_that_is_gone_does_not_keep_the_loop_awake() {
    let (epoll, mut executor) = epoll();
    let (ours, peer) = pair();
    let source = source(&epoll, ours);
    let main = async {
        let moment = epoll.timers().sleep_until(after(5));
        assert!(race(source.readable(), moment).await.is_err(), "nothing has come");
        drop(peer); // EPOLLHUP, which nobody can refuse
        let before = epoll.timers().round();
        epoll.timers().sleep_until(after(50)).await;
        assert!(epoll.timers().round() - before <= 4, "it spins");
        source.readable().await.expect("it is");
        source.writable().await.expect("it is, and the call fails");
    };
    executor.block_on(main).expect("to wait");
}

#[test]
fn an_operation_that_is_dropped_owns_its_buffer_until_it_completes() {
    let Some((ring, mut executor)) = ring() else { return };
    let (ours, mut peer) = pair();
    let socket = ring.hold(ours.into());
    let receive = |socket: &uring_loop::Fd| {
        let into = Room::Own(Vec::with_capacity(64));
        ring.begin(Op::Receive { socket: socket.clone(), into })
    };
    let main = async {
        let first = receive(&socket);
        rounds(2).await; // the kernel has it
        let before = ring.in_flight();
        drop(first);
        assert_eq!(ring.in_flight(), before, "the kernel still has its buffer");
        let second = receive(&socket); // not in the slot of the first
        drop(socket);
        rounds(1).await;
        assert_eq!(look(&mut peer), Err(ErrorKind::WouldBlock), "the second holds it");
        while ring.in_flight() > before {
            rounds(1).await;
        }
        peer.set_nonblocking(false).expect("a socket");
        peer.write_all(b"hello").expect("the other end is open");
        let (result, bytes) = ring_reactor::received(second.await);
        assert_eq!((result, &bytes[..]), (Ok(5), &b"hello"[..]));
        rounds(2).await; // the ring closes the socket
        assert_eq!(look(&mut peer), Ok(0), "nobody holds it");
    };
    executor.block_on(main).expect("to wait");
    assert_eq!(ring.in_flight(), 1, "what watches the executor");
}

#[test]
fn what_nobody_collects_is_closed_or_lost() {
    let Some((ring, mut executor)) = ring() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let listener = ring.hold(listener.into());
    let (ours, mut peer) = pair();
    let socket = ring.hold(ours.into());
    let main = async {
        let accept = ring.begin(Op::Accept { listener, many: false });
        let into = Room::Own(Vec::with_capacity(64));
        let receive = ring.begin(Op::Receive { socket: socket.clone(), into });
        rounds(1).await;
        let mut client = TcpStream::connect(address).expect("to connect");
        peer.write_all(b"lost").expect("the other end is open");
        while ring.in_flight() > 1 {
            rounds(1).await;
        }
        drop((accept, receive)); // both are over, and nobody has asked
        client.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
        assert_eq!(client.read(&mut [0; 8]).expect("an end"), 0, "it is closed");
        peer.write_all(b"next").expect("the other end is open");
        let (result, bytes) = ring.recv(&socket, Vec::with_capacity(64)).await;
        assert_eq!((result, &bytes[..]), (Ok(4), &b"next"[..]));
    };
    executor.block_on(main).expect("to wait");
}

#[test]
fn a_shared_buffer_comes_back_whether_its_bytes_are_wanted_or_not() {
    let Some((ring, mut executor)) = ring() else { return };
    if !matches!(ring.room(64), Room::OneOfThem(64)) {
        flags::skipped("this kernel shares no buffers: Linux 6.0 does");
        return;
    }
    let (ours, mut peer) = pair();
    let socket = ring.hold(ours.into());
    let main = async {
        // There are 2,048 of them.
        for turn in 0..3 * 2100 {
            peer.write_all(b"hello").expect("room for five bytes");
            let socket = socket.clone();
            let operation = ring.begin(Op::Receive { socket, into: ring.room(64) });
            match turn % 3 {
                0 => {
                    let (result, bytes) = ring_reactor::received(operation.await);
                    assert_eq!((result, &bytes[..]), (Ok(5), &b"hello"[..]), "turn {turn}");
                }
                1 => drop(operation), // before it is over
                _ => {
                    rounds(2).await;
                    drop(operation); // and after
                }
            }
            while ring.in_flight() > 1 {
                rounds(1).await;
            }
        }
    };
    executor.block_on(main).expect("to wait");
}

#[test]
fn what_is_recalled_and_awaited_is_not_lost() {
    let Some((ring, mut executor)) = ring() else { return };
    let (ours, mut peer) = pair();
    let socket = ring.hold(ours.into());
    let receive = || {
        let into = Room::Own(Vec::with_capacity(64));
        ring.begin(Op::Receive { socket: socket.clone(), into })
    };
    let main = async {
        let done = receive().within(ring.timers().sleep_until(after(5))).await;
        assert_eq!(done.result, Err(rustix::io::Errno::CANCELED));
        let operation = receive();
        rounds(1).await;
        peer.write_all(b"kept").expect("the other end is open");
        // The limit is over, and so is the operation: the bytes win.
        let (result, bytes) = ring_reactor::received(operation.within(rounds(3)).await);
        assert_eq!((result, &bytes[..]), (Ok(4), &b"kept"[..]));
    };
    executor.block_on(main).expect("to wait");
}
