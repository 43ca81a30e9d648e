//! Clients, store and door against a kernel that answers whatever a test wants it to.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use guestbook::Settings;
use rustix::io::Errno;

use crate::house::{CLIENTS, STORE};
use crate::{
    Answer, Done, Door, Features, Files, House, Op, Part, Received, Room, StoreLink,
    ToClose, Token, Wish,
};

const YOUNG: Features =
    Features { multishot_accept: true, multishot_receive: true, shutdown: true };
const OLD: Features =
    Features { multishot_accept: false, multishot_receive: false, shutdown: false };
const LENGTHS: [u64; 2] = [612, 70_000];
const ASKED: &[u8] = b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n\
    GET /large HTTP/1.1\r\nHost: x\r\n\r\n\
    GET /guestbook HTTP/1.1\r\nHost: x\r\n\r\n";
const LAST: &[u8] = b"GET /small HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Receive,
    Read,
    Send,
    Open,
    Look,
    Shut,
    Peek,
    Connect,
    StoreSend,
    StoreReceive,
}

/// What goes wrong, once.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    Error(Kind, i32),
    /// A send that takes no more than this.
    Send(usize),
    /// A read in front of a send that gives no more than this.
    Read(usize),
    /// Files that have no more than this, however often they are read.
    Short(usize),
}

struct Kernel {
    flying: BTreeMap<usize, (Op, bool)>,
    queue: VecDeque<usize>,
    input: VecDeque<Vec<u8>>,
    fault: Fault,
    has_struck: bool,
    looks: usize,
    begun: usize,
    sent: Vec<u8>,
}

impl Kernel {
    fn new(fault: Fault) -> Self {
        Self {
            flying: BTreeMap::new(),
            queue: VecDeque::new(),
            input: VecDeque::from([ASKED.to_vec()]),
            fault,
            has_struck: false,
            looks: 0,
            begun: 0,
            sent: Vec::new(),
        }
    }

    fn take_over(&mut self, wishes: Vec<Wish>) {
        for wish in wishes {
            match wish {
                Wish::Begin(token, op) => {
                    let before = self.flying.insert(token.index(), (op, false));
                    assert!(before.is_none(), "{token:?} is begun twice");
                    self.queue.push_back(token.index());
                    self.begun += 1;
                }
                Wish::Cancel(token) => {
                    let flying = self.flying.get_mut(&token.index());
                    if let Some((_, is_recalled)) = flying {
                        assert!(!*is_recalled, "{token:?} is recalled twice");
                        *is_recalled = true;
                    }
                }
            }
        }
    }

    fn strikes(&mut self, kind: Kind) -> Option<Errno> {
        match self.fault {
            Fault::Error(whose, error) if whose == kind && !self.has_struck => {
                self.has_struck = true;
                Some(Errno::from_raw_os_error(error))
            }
            _ => None,
        }
    }

    /// Completes the operation that was begun first.
    fn complete(&mut self, house: &mut House) -> bool {
        let Some(index) = self.queue.pop_front() else { return false };
        let token = Token::at(index);
        let (op, is_recalled) = self.flying.remove(&index).expect("it is in flight");
        let kind = kind_of(token, &op);
        let mut done = Done {
            token,
            result: Ok(0),
            op: None,
            descriptor: None,
            received: Received::Nothing,
        };
        let mut bytes = Vec::new();
        let error = self.strikes(kind).or(is_recalled.then_some(Errno::CANCELED));
        if let Some(error) = error {
            done.result = Err(error);
            done.op = Some(op);
        } else {
            bytes = self.succeed(&mut done, op, kind);
        }
        house.completed(done, &bytes);
        true
    }

    fn succeed(&mut self, done: &mut Done, mut op: Op, kind: Kind) -> Vec<u8> {
        match &mut op {
            Op::Receive { into, .. } if kind == Kind::Receive => {
                let bytes = self.input.pop_front().unwrap_or_default();
                done.result = Ok(bytes.len() as u32);
                if matches!(into, Room::Shared) && !bytes.is_empty() {
                    self.flying.insert(done.token.index(), (op, false));
                    self.queue.push_back(done.token.index());
                } else {
                    done.op = Some(op);
                }
                return bytes;
            }
            Op::Read { at, len, into, .. } => {
                done.result = Ok(self.read(*at as usize, *len, into));
            }
            Op::Send { bytes, .. } => done.result = Ok(self.send(bytes, kind)),
            Op::Peek { .. } => {
                done.result = if self.input.is_empty() { Err(Errno::AGAIN) } else { Ok(1) };
            }
            Op::Open { .. } => {
                let null = std::fs::File::open("/dev/null").expect("it is there");
                done.descriptor = Some(null.into());
            }
            Op::Look { answer, .. } => {
                *answer = Answer::of_file(LENGTHS[self.looks.min(1)]);
                self.looks += 1;
            }
            _ => {}
        }
        done.op = Some(op);
        Vec::new()
    }

    /// The files do not end.
    fn read(&mut self, at: usize, len: usize, into: &mut Vec<u8>) -> u32 {
        let room = len.min(into.capacity() - into.len());
        let n = match self.fault {
            Fault::Read(most) if !self.has_struck => most.min(room),
            Fault::Short(bytes) => bytes.saturating_sub(at).min(room),
            _ => room,
        };
        self.has_struck |= matches!(self.fault, Fault::Read(_) | Fault::Short(_));
        into.extend((at..at + n).map(|at| (at % 251) as u8));
        n as u32
    }

    fn send(&mut self, bytes: &[u8], kind: Kind) -> u32 {
        let mut n = bytes.len();
        if kind == Kind::Send {
            if let (Fault::Send(most), false) = (self.fault, self.has_struck) {
                self.has_struck = true;
                n = n.min(most);
            }
            self.sent.extend_from_slice(&bytes[..n]);
        }
        n as u32
    }
}

fn kind_of(token: Token, op: &Op) -> Kind {
    match op {
        Op::Receive { .. } if token.slot == STORE => Kind::StoreReceive,
        Op::Receive { .. } => Kind::Receive,
        Op::Send { .. } if token.slot == STORE => Kind::StoreSend,
        Op::Read { .. } => Kind::Read,
        Op::Send { .. } => Kind::Send,
        Op::Open { .. } => Kind::Open,
        Op::Look { .. } => Kind::Look,
        Op::Connect { .. } => Kind::Connect,
        Op::Shut { .. } => Kind::Shut,
        Op::Peek { .. } => Kind::Peek,
        _ => panic!("no client begins {op:?}"),
    }
}

fn begins(part: Part) -> impl Fn(&Wish) -> bool {
    let token = Token { slot: CLIENTS, part };
    move |wish| matches!(wish, Wish::Begin(whose, _) if *whose == token)
}

fn recalls(part: Part) -> impl Fn(&Wish) -> bool {
    let token = Token { slot: CLIENTS, part };
    move |wish| matches!(wish, Wish::Cancel(whom) if *whom == token)
}

fn lingers(wishes: &[Wish]) -> bool {
    wishes.iter().any(begins(Part::Shut)) && wishes.iter().any(begins(Part::Receive))
}

/// With one client, whose other end is there as well.
fn visited() -> (House, UnixStream) {
    let to_close = ToClose::default();
    let mut house = house(YOUNG, &to_close);
    let (peer, socket) = UnixStream::pair().expect("a pair");
    house.admit(to_close.hold(socket.into()));
    (house, peer)
}

fn house(features: Features, to_close: &ToClose) -> House {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = Files::new(root, true, to_close).expect("this crate's folder");
    let address = ([127, 0, 0, 1], 1).into();
    let link = StoreLink::new(address, Duration::from_secs(5), to_close.clone());
    let grace = Duration::from_secs(5);
    House::new(files, link, Settings::default(), features, to_close.clone(), grace)
}

/// One client from its beginning to its end; what was sent to it, and whether the fault struck.
fn serve(features: Features, fault: Fault) -> (Vec<u8>, bool) {
    let to_close = ToClose::default();
    let mut house = house(features, &to_close);
    let mut kernel = Kernel::new(fault);
    let (mut peer, socket) = UnixStream::pair().expect("a pair");
    house.admit(to_close.hold(socket.into()));
    while !(house.is_empty() && kernel.queue.is_empty()) {
        house.round();
        kernel.take_over(house.take_wishes());
        let of_clients = |index: &usize| Token::at(*index).slot >= CLIENTS;
        assert!(
            !house.is_empty() || !kernel.flying.keys().any(of_clients),
            "{fault:?}: it is gone, and something of it is in flight"
        );
        if !kernel.complete(&mut house) {
            // It may wait for the time alone.
            house.now.mono += Duration::from_millis(200);
            house.round();
            kernel.take_over(house.take_wishes());
            let goes_on = house.is_empty() || !kernel.queue.is_empty();
            assert!(goes_on, "{fault:?}: nothing is in flight, and it stays");
        }
        assert!(kernel.begun < 200, "{fault:?}: it begins again and again");
    }
    assert!(house.clients.is_empty() && house.have_left() == 1, "{fault:?}");
    while to_close.take().is_some() {}
    // Nobody holds the connection any more.
    peer.set_nonblocking(true).expect("a socket");
    let end = peer.read(&mut [0; 1]).map_err(|error| error.kind());
    assert!(!matches!(end, Err(std::io::ErrorKind::WouldBlock)), "{fault:?}: {end:?}");
    (kernel.sent, kernel.has_struck)
}

/// Without the lines that tell the time.
fn timeless(sent: &[u8]) -> Vec<u8> {
    const DATE: &[u8] = b"Date: ";
    const LINE: usize = "Date: Sun, 06 Nov 1994 08:49:37 GMT".len();
    let mut rest = sent;
    let mut kept = Vec::with_capacity(sent.len());
    while let Some(at) = rest.iter().position(|byte| *byte == DATE[0]) {
        let after = if rest[at..].starts_with(DATE) { LINE } else { 1 };
        kept.extend_from_slice(&rest[..at]);
        rest = rest.get(at + after..).unwrap_or_default();
    }
    kept.extend_from_slice(rest);
    kept
}

fn undisturbed(features: Features) -> Vec<u8> {
    let (sent, has_struck) = serve(features, Fault::None);
    assert!(!has_struck && sent.len() > 70_612);
    assert!(sent.starts_with(b"HTTP/1.1 200"));
    timeless(&sent)
}

#[test]
fn a_client_survives_or_ends_with_every_error() {
    use Kind::*;
    for features in [YOUNG, OLD] {
        let right = undisturbed(features);
        for kind in [Receive, Read, Send, Open, Look, Connect, StoreSend, StoreReceive] {
            for error in 1..=133 {
                let fault = Fault::Error(kind, error);
                let (sent, has_struck) = serve(features, fault);
                assert!(has_struck, "{fault:?} has not happened");
                let passes = matches!(error, libc::EINTR | libc::EAGAIN | libc::ECANCELED);
                if passes && matches!(kind, Receive | Read | Send) {
                    assert!(timeless(&sent) == right, "{fault:?}");
                }
                if !passes && matches!(kind, Read | Send) {
                    assert!(timeless(&sent) != right, "{fault:?} changes nothing");
                }
            }
        }
    }
}

#[test]
fn shutting_down_may_fail() {
    for error in 1..=133 {
        let to_close = ToClose::default();
        let mut house = house(YOUNG, &to_close);
        let mut kernel = Kernel::new(Fault::Error(Kind::Shut, error));
        kernel.input = VecDeque::from([b"nonsense\r\n\r\n".to_vec()]);
        kernel.input.extend([b"and on".as_slice(); 9].map(<[u8]>::to_vec));
        let (_peer, socket) = UnixStream::pair().expect("a pair");
        house.admit(to_close.hold(socket.into()));
        for _ in 0..50 {
            house.round();
            kernel.take_over(house.take_wishes());
            kernel.complete(&mut house);
        }
        assert!(kernel.has_struck && house.is_empty(), "{error}");
    }
}

#[test]
fn a_file_that_somebody_holds_a_lease_on_is_not_tried_for_ever() {
    let (mut house, _peer) = visited();
    let mut kernel = Kernel::new(Fault::Error(Kind::Open, libc::EAGAIN));
    kernel.input = VecDeque::from([LAST.to_vec(), Vec::new()]);
    let mut tries = 0;
    while !house.is_empty() {
        kernel.take_over(house.take_wishes());
        assert!(kernel.complete(&mut house), "nothing is in flight, and it stays");
        tries += usize::from(std::mem::take(&mut kernel.has_struck));
        assert!(tries < 20, "it is tried for ever");
    }
    assert!(kernel.sent.starts_with(b"HTTP/1.1 503 "), "after {tries} tries");
}

#[test]
fn who_has_all_and_says_no_more_is_closed_without_further_ado() {
    let (mut house, _peer) = visited();
    let mut kernel = Kernel::new(Fault::None);
    kernel.input = VecDeque::from([LAST.to_vec()]);
    let mut recalled = Vec::new();
    while !house.is_empty() {
        let wishes = house.take_wishes();
        for wish in &wishes {
            match wish {
                Wish::Begin(token, _) => assert_ne!(token.part, Part::Shut, "it lingers"),
                Wish::Cancel(token) => recalled.push((*token, kernel.sent.len())),
            }
        }
        kernel.take_over(wishes);
        // It says no more, and does not end its side: its receive stays.
        let receive = Token { slot: CLIENTS, part: Part::Receive }.index();
        if kernel.queue.front() == Some(&receive)
            && kernel.input.is_empty()
            && recalled.is_empty()
        {
            kernel.queue.rotate_left(1);
        }
        assert!(kernel.complete(&mut house), "nothing is in flight");
    }
    let [(token, sent)] = recalled[..] else { panic!("{recalled:?}") };
    assert_eq!((token.part, sent), (Part::Receive, kernel.sent.len()));
    assert!(sent > 612);
}

#[test]
fn short_sends_and_reads_change_nothing_for_the_client() {
    for features in [YOUNG, OLD] {
        let right = undisturbed(features);
        for n in 0..=1000 {
            let (sent, _) = serve(features, Fault::Send(n));
            assert!(timeless(&sent) == right, "a send of {n}");
        }
        for n in 1..=612 {
            let (sent, _) = serve(features, Fault::Read(n));
            assert!(timeless(&sent) == right, "a read of {n}");
        }
        // The file has become shorter than was promised. No second response may follow.
        let (sent, _) = serve(features, Fault::Read(0));
        assert!(!right.starts_with(&timeless(&sent)) || sent.is_empty());
        // It stays so. What is there is sent, and then the connection ends.
        for n in [0, 1, 100, 611] {
            let (sent, has_struck) = serve(features, Fault::Short(n));
            assert!(has_struck && sent.len() < right.len(), "a file of {n} bytes");
        }
    }
}

#[test]
fn who_gets_the_slot_of_one_who_left_is_drained_later() {
    let to_close = ToClose::default();
    let mut house = house(YOUNG, &to_close);
    let mut kernel = Kernel::new(Fault::None);
    kernel.input.clear();
    let (_a, first) = UnixStream::pair().expect("a pair");
    house.admit(to_close.hold(first.into()));
    kernel.take_over(house.take_wishes());
    house.stop();
    assert_eq!(house.take_those_to_drain(), [0]);
    kernel.complete(&mut house); // the first client leaves
    assert!(house.is_empty());

    let (_b, second) = UnixStream::pair().expect("a pair");
    house.admit(to_close.hold(second.into()));
    house.drain(0);
    let guest = house.clients.get_mut(0).expect("it is in").guest();
    assert_eq!(
        guest.finished(),
        None,
        "it was hung up on, and nobody has read its request"
    );
    assert_eq!(house.take_those_to_drain(), [0]);
    house.drain(0);
    let token = Token { slot: CLIENTS, part: Part::Receive };
    let wishes = house.take_wishes();
    assert!(
        wishes.iter().any(|wish| matches!(wish, Wish::Cancel(whom) if *whom == token)),
        "{wishes:?}"
    );
}

#[test]
fn who_found_no_buffer_in_the_last_round_is_heard_in_one_more() {
    for error in [libc::ENOBUFS, libc::EINTR, libc::EAGAIN] {
        let to_close = ToClose::default();
        let mut house = house(YOUNG, &to_close);
        let mut kernel = Kernel::new(Fault::Error(Kind::Receive, error));
        let (_peer, socket) = UnixStream::pair().expect("a pair");
        house.admit(to_close.hold(socket.into()));
        kernel.take_over(house.take_wishes());
        house.stop();
        assert_eq!(house.take_those_to_drain(), [0]);
        kernel.complete(&mut house);
        house.drain(0);
        let guest = house.clients.get_mut(0).expect("it is in").guest();
        assert_eq!(guest.finished(), None, "{error}: it has asked, and nobody heard it");

        kernel.take_over(house.take_wishes());
        assert_eq!(house.take_those_to_drain(), [0], "{error}");
        kernel.complete(&mut house);
        house.drain(0);
        while !house.is_empty() {
            house.round();
            kernel.take_over(house.take_wishes());
            assert!(kernel.complete(&mut house), "{error}: nothing is in flight");
        }
        assert!(kernel.sent.starts_with(b"HTTP/1.1 200"), "{error}");
    }
}

#[test]
fn who_is_hung_up_on_and_has_spoken_is_not_reset() {
    let (mut house, _peer) = visited();
    // The receive that is recalled has found bytes, and no buffer for them.
    let mut kernel = Kernel::new(Fault::Error(Kind::Receive, libc::ENOBUFS));
    kernel.take_over(house.take_wishes());
    house.stop();
    assert_eq!(house.take_those_to_drain(), [0]);
    house.drain(0);
    kernel.take_over(house.take_wishes());
    kernel.complete(&mut house);
    let wishes = house.take_wishes();
    assert!(lingers(&wishes), "{wishes:?}");
}

#[test]
fn who_has_ended_and_takes_nothing_is_left_alone_for_longer_and_longer() {
    let (mut house, _peer) = visited();
    let mut kernel = Kernel::new(Fault::Error(Kind::Send, libc::EAGAIN));
    kernel.input = VecDeque::from([ASKED.to_vec(), Vec::new()]);
    // Its end comes before the first send. Before the last pause it takes something.
    for (n, pause) in [100, 200, 400, 800, 800, 100].into_iter().enumerate() {
        let pause = Duration::from_millis(pause);
        while n == 5 && kernel.sent.is_empty() {
            kernel.take_over(house.take_wishes());
            assert!(kernel.complete(&mut house), "nothing is in flight");
        }
        kernel.has_struck = false;
        while !kernel.has_struck {
            kernel.take_over(house.take_wishes());
            assert!(kernel.complete(&mut house), "nothing is in flight");
        }
        let due = house.clients.get(0).and_then(crate::Client::deadline);
        assert_eq!(due, Some(house.now.mono + pause));
        house.round();
        assert!(
            !house.take_wishes().iter().any(begins(Part::Send)),
            "asked again and again"
        );
        house.now.mono += pause + Duration::from_millis(100);
        house.round();
    }
    assert!(house.take_wishes().iter().any(begins(Part::Send)), "it is forgotten");
}

#[test]
fn a_send_that_waits_for_who_ends_is_recalled() {
    let (mut house, _peer) = visited();
    let mut kernel = Kernel::new(Fault::None);
    kernel.input.extend([b"GET".as_slice(); 9].map(<[u8]>::to_vec)); // it is not over yet
    let is_send = |(op, _): &(Op, bool)| matches!(op, Op::Send { .. });
    while !kernel.flying.values().any(is_send) {
        kernel.complete(&mut house);
        kernel.take_over(house.take_wishes());
    }
    let token = Token { slot: CLIENTS, part: Part::Receive };
    let (op, _) = kernel.flying.remove(&token.index()).expect("it is in flight");
    let received = Received::Nothing;
    let done = Done { token, result: Ok(0), op: Some(op), descriptor: None, received };
    house.completed(done, &[]);
    let wishes = house.take_wishes();
    assert!(wishes.iter().any(recalls(Part::Send)), "{wishes:?}");
}

/// A client who is to be closed, and whose receive the kernel gives up without having received.
fn recalled(input: VecDeque<Vec<u8>>) -> Vec<Wish> {
    let (mut house, _peer) = visited();
    let mut kernel = Kernel::new(Fault::None);
    kernel.input = VecDeque::from([LAST.to_vec()]);
    let receive = Token { slot: CLIENTS, part: Part::Receive };
    let mut wishes = house.take_wishes();
    while !wishes.iter().any(recalls(Part::Receive)) {
        kernel.take_over(wishes);
        if kernel.queue.front() == Some(&receive.index()) && kernel.input.is_empty() {
            kernel.queue.rotate_left(1);
        }
        assert!(kernel.complete(&mut house), "nothing is in flight");
        wishes = house.take_wishes();
    }
    kernel.take_over(wishes);
    kernel.input = input;
    assert!(kernel.complete(&mut house)); // with ECANCELED
    kernel.take_over(house.take_wishes());
    assert!(kernel.complete(&mut house), "nobody looks again"); // with what is there now
    house.take_wishes()
}

#[test]
fn what_was_there_when_a_receive_was_recalled_is_no_reset() {
    assert!(recalled(VecDeque::new()).is_empty());
    let wishes = recalled(VecDeque::from([b"and on".to_vec()]));
    assert!(lingers(&wishes), "{wishes:?}");
}

#[test]
fn who_goes_on_sending_is_not_waited_for_twice() {
    let (mut house, _peer) = visited();
    let mut kernel = Kernel::new(Fault::None);
    kernel.input = VecDeque::from([LAST.to_vec()]);
    let receive = Token { slot: CLIENTS, part: Part::Receive }.index();
    let (mut begun, mut lingered) = (None, false);
    while !house.is_empty() {
        let wishes = house.take_wishes();
        if wishes.iter().any(recalls(Part::Receive)) {
            begun.get_or_insert(house.now.mono); // it has its answer
        }
        lingered |= lingers(&wishes);
        kernel.take_over(wishes);
        if begun.is_some() {
            kernel.input.push_back(b"and on".to_vec());
        } else if kernel.queue.front() == Some(&receive) && kernel.input.is_empty() {
            kernel.queue.rotate_left(1);
        }
        assert!(kernel.complete(&mut house), "nothing is in flight, and it stays");
        house.now.mono += Duration::from_millis(100);
        house.round();
        let waited = begun.map(|begun| house.now.mono - begun).unwrap_or_default();
        assert!(waited < 2 * house.settings.linger, "it stays as long as it sends");
    }
    assert!(lingered);
}

#[test]
fn a_kernel_without_the_flag_says_so_to_several_at_once() {
    let to_close = ToClose::default();
    let mut house = house(YOUNG, &to_close);
    let mut peers = Vec::new();
    for _ in 0..2 {
        let (peer, socket) = UnixStream::pair().expect("a pair");
        peers.push(peer);
        house.admit(to_close.hold(socket.into()));
    }
    for wish in house.take_wishes() {
        let Wish::Begin(token, op) = wish else { panic!("{wish:?}") };
        let (result, received) = (Err(Errno::INVAL), Received::Nothing);
        let done = Done { token, result, op: Some(op), descriptor: None, received };
        house.completed(done, &[]);
    }
    let is_own = |wish: &Wish| {
        matches!(wish, Wish::Begin(_, Op::Receive { into: Room::Own(_), .. }))
    };
    let wishes = house.take_wishes();
    assert!(wishes.len() == 2 && wishes.iter().all(is_own), "{wishes:?}");
}

#[test]
fn what_a_lost_store_has_in_flight_is_recalled_once() {
    let (mut house, _peer) = visited();
    let who = house.clients.new_call(0);
    let call = guestbook::StoreCall::visit();
    house.store.submit(who, &call, house.now.mono).expect("it may try");
    house.round();
    assert!(house.take_wishes().iter().any(|wish| matches!(wish, Wish::Begin(..))));
    house.now.mono += house.store.timeout();
    let recalls = |house: &mut House| {
        house.round();
        house.take_wishes().iter().filter(|wish| matches!(wish, Wish::Cancel(_))).count()
    };
    assert_eq!([(); 3].map(|()| recalls(&mut house)), [1, 0, 0]);
}

#[test]
fn who_found_no_buffer_is_late_a_little_later_and_not_never() {
    let (mut house, _peer) = visited();
    let before = house.clients.get(0).and_then(crate::Client::deadline).expect("one");
    house.now.mono = before;
    for _ in 0..2 {
        let [Wish::Begin(token, _)] = &house.take_wishes()[..] else { panic!("a receive") };
        let socket = house.clients.get(0).expect("it is in").socket();
        let op = Some(Op::Receive { socket, into: Room::Shared });
        let (result, received) = (Err(Errno::NOBUFS), Received::Nothing);
        house
            .completed(Done { token: *token, result, op, descriptor: None, received }, &[]);
        let after = house.clients.get(0).and_then(crate::Client::deadline);
        assert_eq!(after, Some(before + Duration::from_secs(1)));
        house.now.mono += Duration::from_millis(500);
    }
}

#[test]
fn nothing_is_sent_to_who_leaves() {
    let (mut house, _peer) = visited();
    let mut kernel = Kernel::new(Fault::None);
    let is_read = |(op, _): &(Op, bool)| matches!(op, Op::Read { .. });
    while !kernel.flying.values().any(is_read) {
        kernel.complete(&mut house);
        kernel.take_over(house.take_wishes());
    }
    house.clients.get_mut(0).expect("it is in").guest().fail();
    house.go_on(0);
    kernel.take_over(house.take_wishes());
    // Whatever is recalled now, it is too late: it is done.
    kernel.flying.values_mut().for_each(|(_, is_recalled)| *is_recalled = false);
    while !house.is_empty() {
        assert!(kernel.complete(&mut house), "nothing is in flight, and it stays");
        let wishes = house.take_wishes();
        let is_send = |wish: &Wish| matches!(wish, Wish::Begin(_, Op::Send { .. }));
        assert!(!wishes.iter().any(is_send), "{wishes:?}");
        kernel.take_over(wishes);
    }
}

fn door() -> Door {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    Door::new(ToClose::default().hold(listener.into()), 2)
}

fn accepts(door: &mut Door, features: Features) -> Option<Op> {
    let mut wishes = Vec::new();
    door.go_on(features, &mut wishes);
    assert!(wishes.len() < 2);
    wishes.pop().map(|wish| match wish {
        Wish::Begin(_, op) => op,
        Wish::Cancel(token) => panic!("{token:?} is recalled"),
    })
}

fn accepted(result: Result<u32, Errno>, op: Option<Op>) -> Done {
    Done {
        token: Token { slot: crate::house::DOOR, part: Part::Receive },
        result,
        op,
        descriptor: None,
        received: Received::Nothing,
    }
}

#[test]
fn a_door_opens_again_after_every_error() {
    let mut door = door();
    for error in 1..=133 {
        let (mut features, now) = (YOUNG, Instant::now());
        let op = accepts(&mut door, features);
        assert!(op.is_some() && accepts(&mut door, features).is_none(), "one at a time");
        let is_short = door.completed(
            &accepted(Err(Errno::from_raw_os_error(error)), op),
            &mut features,
            now,
        );
        assert_eq!(is_short, door.opens_at().is_some(), "{error}");
        if is_short {
            assert!(accepts(&mut door, features).is_none(), "{error}: it pauses");
            door.expired(now + Duration::from_secs(1));
        }
        let op = accepts(&mut door, features);
        assert!(op.is_some(), "{error}");
        door.completed(&accepted(Err(Errno::CANCELED), op), &mut features, now);
        assert_eq!(features.multishot_accept, error != libc::EINVAL);
    }
}

#[test]
fn a_full_house_recalls_the_door_once() {
    let (mut door, mut features, now) = (door(), YOUNG, Instant::now());
    let op = accepts(&mut door, features);
    for _ in 0..2 {
        door.completed(&accepted(Ok(9), None), &mut features, now);
    }
    let mut wishes = Vec::new();
    door.go_on(features, &mut wishes);
    door.go_on(features, &mut wishes);
    assert!(matches!(wishes[..], [Wish::Cancel(_)]), "{wishes:?}");
    door.completed(&accepted(Err(Errno::CANCELED), op), &mut features, now);
    assert!(accepts(&mut door, features).is_none());
    door.have_left(1);
    assert!(accepts(&mut door, features).is_some());
}
