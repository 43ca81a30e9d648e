//! What a call is told, and what it answers, in words: of those calls in which a program waits
//! for others, and of those that say for whom.

use std::io::IoSliceMut;

use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

/// Of so many descriptors an answer is read.
const MANY: usize = 64;

/// What it is told. The thread stands still at its entry.
pub(crate) fn told(thread: Pid, name: &str, args: &[u64; 6]) -> Option<String> {
    let milliseconds = |time: u64| match time as i32 {
        ..0 => "for as long as it takes".to_owned(),
        ms => format!("for {ms} ms at most"),
    };
    match name {
        "epoll_ctl" => {
            let what = match args[1] as i32 {
                libc::EPOLL_CTL_ADD => "ADD",
                libc::EPOLL_CTL_DEL => return Some(format!("DEL {}", args[2])),
                _ => "MOD",
            };
            let event = read(thread, args[3], size_of::<libc::epoll_event>())?;
            let bits = bits(u32::from_ne_bytes(event[..4].try_into().ok()?));
            Some(format!("{what} {} for {bits}", args[2]))
        }
        "epoll_wait" | "epoll_pwait" => Some(milliseconds(args[3])),
        "poll" => Some(format!("{} entries, {}", args[1], milliseconds(args[2]))),
        "ppoll" => {
            let time = match args[2] {
                0 => u64::MAX,
                address => in_milliseconds(&read(thread, address, 16)?)?,
            };
            Some(format!("{} entries, {}", args[1], milliseconds(time)))
        }
        "accept4" if args[3] as i32 & libc::SOCK_NONBLOCK != 0 => Some("NONBLOCK".into()),
        _ => None,
    }
}

/// What it answers. The thread stands still at its end.
pub(crate) fn answered(
    thread: Pid,
    name: &str,
    args: &[u64; 6],
    result: i64,
) -> Option<String> {
    let count = usize::try_from(result).ok().filter(|count| *count > 0)?;
    let ready = match name {
        "epoll_wait" | "epoll_pwait" => {
            let size = size_of::<libc::epoll_event>();
            let events = read(thread, args[1], size * count.min(MANY))?;
            let bits_of =
                |event: &[u8]| Some(bits(u32::from_ne_bytes(event[..4].try_into().ok()?)));
            events.chunks(size).filter_map(bits_of).collect::<Vec<_>>()
        }
        "poll" | "ppoll" => {
            let size = size_of::<libc::pollfd>();
            let entries = read(thread, args[0], size * (args[1] as usize).min(MANY))?;
            let one = |entry: &[u8]| {
                let fd = i32::from_ne_bytes(entry[..4].try_into().ok()?);
                let revents = u16::from_ne_bytes(entry[6..8].try_into().ok()?);
                (revents != 0).then(|| format!("{} of {fd}", bits(revents.into())))
            };
            entries.chunks(size).filter_map(one).collect()
        }
        _ => return None,
    };
    Some(format!("says {}", ready.join(", ")))
}

/// A timespec: seconds, and nanoseconds, each of 64 bits.
fn in_milliseconds(time: &[u8]) -> Option<u64> {
    let word = |bytes: &[u8]| Some(u64::from_ne_bytes(bytes.try_into().ok()?));
    Some(word(&time[..8])?.saturating_mul(1000) + word(&time[8..])?.div_ceil(1_000_000))
}

/// The names of bits that poll and epoll have in common, and of epoll's own.
fn bits(bits: u32) -> String {
    const NAMES: [(u32, &str); 10] = [
        (0x1, "IN"),
        (0x2, "PRI"),
        (0x4, "OUT"),
        (0x8, "ERR"),
        (0x10, "HUP"),
        (0x20, "NVAL"),
        (0x2000, "RDHUP"),
        (1 << 28, "EXCLUSIVE"),
        (1 << 30, "ONESHOT"),
        (1 << 31, "ET"),
    ];
    let set = NAMES.iter().filter(|(bit, _)| bits & bit != 0);
    let names: Vec<&str> = set.map(|(_, name)| *name).collect();
    if names.is_empty() { "nothing".into() } else { names.join(" ") }
}

/// Memory of a thread that stands still.
fn read(thread: Pid, address: u64, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    let there = RemoteIoVec { base: usize::try_from(address).ok()?, len: length };
    let n = process_vm_readv(thread, &mut [IoSliceMut::new(&mut bytes)], &[there]).ok()?;
    (n == length).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_have_names() {
        assert_eq!(bits(0x1 | 0x4 | 1 << 31), "IN OUT ET");
        assert_eq!(bits(0x20), "NVAL");
        assert_eq!(bits(0), "nothing");
    }

    #[test]
    fn memory_that_is_not_there_says_nothing() {
        let this = Pid::this();
        let event = libc::epoll_event { events: 1 | 1 << 30, u64: 7 };
        let address = (&raw const event).addr() as u64;
        let add = [3, libc::EPOLL_CTL_ADD as u64, 9, address, 0, 0];
        assert_eq!(told(this, "epoll_ctl", &add).as_deref(), Some("ADD 9 for IN ONESHOT"));
        assert_eq!(told(this, "epoll_ctl", &[3, 1, 9, 8, 0, 0]), None);
        let entries = [
            libc::pollfd { fd: 4, events: 1, revents: 0 },
            libc::pollfd { fd: 9, events: 1, revents: 0x20 },
        ];
        let poll = [entries.as_ptr().addr() as u64, 2, u64::MAX, 0, 0, 0];
        let says = "2 entries, for as long as it takes";
        assert_eq!(told(this, "poll", &poll).as_deref(), Some(says));
        assert_eq!(answered(this, "poll", &poll, 1).as_deref(), Some("says NVAL of 9"));
        assert_eq!(answered(this, "poll", &poll, 0), None);
        let time = [2_u64, 500_000];
        let ppoll = [poll[0], 2, time.as_ptr().addr() as u64, 0, 0, 0];
        let says = "2 entries, for 2001 ms at most";
        assert_eq!(told(this, "ppoll", &ppoll).as_deref(), Some(says));
        assert_eq!(
            told(this, "ppoll", &[poll[0], 2, 0, 0, 0, 0]),
            told(this, "poll", &poll)
        );
    }
}
