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
    Answer, Done, Door, Features, Files, House, Op, Part, Piece, Received, Room, StoreLink,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Receive,
    Send,
    Open,
    Look,
    Shut,
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
    /// A read in front of a send that gives no more than this, or fails.
    Read(Result<usize, i32>),
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
            read: None,
            op: None,
            descriptor: None,
            received: Received::Nothing,
        };
        let mut bytes = Vec::new();
        let error = self.strikes(kind).or(is_recalled.then_some(Errno::CANCELED));
        if let Some(error) = error {
            done.result = Err(error);
            if let Op::Send { piece: Piece { bytes, file: Some(part), .. }, .. } = &op
                && !part.is_read
            {
                // Either has the read been made, or the link was ended there.
                let read = (bytes.len() - part.head) as u32;
                done.read = Some(if is_recalled { Err(error) } else { Ok(read) });
            }
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
            Op::Send { piece, .. } => self.send(done, piece, kind),
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

    fn send(&mut self, done: &mut Done, piece: &mut Piece, kind: Kind) {
        if let Some(part) = piece.file.as_ref().filter(|part| !part.is_read) {
            let wanted = piece.bytes.len() - part.head;
            let read = match self.fault {
                Fault::Read(read) if !self.has_struck => {
                    self.has_struck = true;
                    read.map(|n| n.min(wanted))
                }
                Fault::Short(bytes) => {
                    self.has_struck = true;
                    Ok(bytes.saturating_sub(part.at as usize).min(wanted))
                }
                _ => Ok(wanted),
            };
            for n in 0..read.unwrap_or(0) {
                piece.bytes[part.head + n] = ((part.at as usize + n) % 251) as u8;
            }
            done.read = Some(read.map(|n| n as u32).map_err(Errno::from_raw_os_error));
            if read != Ok(wanted) {
                done.result = Err(Errno::CANCELED); // the link has ended
                return;
            }
        }
        let mut n = piece.bytes.len();
        if let (Fault::Send(most), Kind::Send, false) = (self.fault, kind, self.has_struck)
        {
            self.has_struck = true;
            n = n.min(most);
        }
        if kind == Kind::Send {
            self.sent.extend_from_slice(&piece.bytes[..n]);
        }
        done.result = Ok(n as u32);
    }
}

fn kind_of(token: Token, op: &Op) -> Kind {
    match op {
        Op::Receive { .. } if token.slot == STORE => Kind::StoreReceive,
        Op::Receive { .. } => Kind::Receive,
        Op::Send { .. } if token.slot == STORE => Kind::StoreSend,
        Op::Send { .. } => Kind::Send,
        Op::Open { .. } => Kind::Open,
        Op::Look { .. } => Kind::Look,
        Op::Connect { .. } => Kind::Connect,
        Op::Shut { .. } => Kind::Shut,
        _ => panic!("no client begins {op:?}"),
    }
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
        let went_on = kernel.complete(&mut house);
        assert!(
            went_on || house.is_empty(),
            "{fault:?}: nothing is in flight, and it stays"
        );
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
        for kind in [Receive, Send, Open, Look, Connect, StoreSend, StoreReceive] {
            for error in 1..=133 {
                let fault = Fault::Error(kind, error);
                let (sent, has_struck) = serve(features, fault);
                assert!(has_struck, "{fault:?} has not happened");
                let passes = matches!(error, libc::EINTR | libc::EAGAIN | libc::ECANCELED);
                if passes && matches!(kind, Receive | Send) {
                    assert!(timeless(&sent) == right, "{fault:?}");
                }
            }
        }
        for error in 1..=133 {
            let (sent, _) = serve(features, Fault::Read(Err(error)));
            let passes = matches!(error, libc::EINTR | libc::EAGAIN | libc::ECANCELED);
            assert_eq!(timeless(&sent) == right, passes, "a read that fails with {error}");
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
fn short_sends_and_reads_change_nothing_for_the_client() {
    for features in [YOUNG, OLD] {
        let right = undisturbed(features);
        for n in 0..=1000 {
            let (sent, _) = serve(features, Fault::Send(n));
            assert!(timeless(&sent) == right, "a send of {n}");
        }
        for n in 1..=612 {
            let (sent, _) = serve(features, Fault::Read(Ok(n)));
            assert!(timeless(&sent) == right, "a read of {n}");
        }
        // The file has become shorter than was promised. No second response may follow.
        let (sent, _) = serve(features, Fault::Read(Ok(0)));
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
    let to_close = ToClose::default();
    let mut house = house(YOUNG, &to_close);
    // The receive that is recalled has found bytes, and no buffer for them.
    let mut kernel = Kernel::new(Fault::Error(Kind::Receive, libc::ENOBUFS));
    let (_peer, socket) = UnixStream::pair().expect("a pair");
    house.admit(to_close.hold(socket.into()));
    kernel.take_over(house.take_wishes());
    house.stop();
    assert_eq!(house.take_those_to_drain(), [0]);
    house.drain(0);
    kernel.take_over(house.take_wishes());
    kernel.complete(&mut house);
    let wishes = house.take_wishes();
    let begins = |part| {
        let token = Token { slot: CLIENTS, part };
        wishes.iter().any(|wish| matches!(wish, Wish::Begin(whose, _) if *whose == token))
    };
    assert!(begins(Part::Shut) && begins(Part::Receive), "it does not linger: {wishes:?}");
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
        read: None,
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
