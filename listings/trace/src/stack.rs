//! What a stopped thread says about who has called: its registers, and the end of its stack.
//!
//! We take a copy and let the thread go on. What the copy means is found out when the program
//! has ended: then nobody waits for it.

use std::collections::HashMap;
use std::fs;
use std::io::IoSliceMut;
use std::ops::Range;
use std::rc::Rc;

use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

/// How much of a stack is copied. The call of a listing is a few frames up, of which the
/// standard library's are small.
const DEPTH: usize = 8 * 1024;
/// A thread's stack may end before that. What is asked for in pieces comes as far as there is
/// something; 4 KiB is a piece on every machine.
const PIECE: usize = 4096;

/// Where a thread stood.
#[derive(Debug)]
pub(crate) struct Stack {
    /// What was mapped where.
    pub(crate) maps: Rc<Maps>,
    pub(crate) registers: Registers,
    bytes: Vec<u8>,
}

impl Stack {
    /// The word at an address.
    pub(crate) fn word(&self, address: u64) -> Option<u64> {
        let at = usize::try_from(address.checked_sub(self.registers.stack())?).ok()?;
        let bytes = self.bytes.get(at..at.checked_add(size_of::<u64>())?)?;
        Some(u64::from_ne_bytes(bytes.try_into().ok()?))
    }
}

/// The registers that a frame can be undone with, by their numbers in DWARF.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registers {
    /// The next instruction.
    pub(crate) at: u64,
    pub(crate) numbered: [u64; Self::COUNT],
}

#[cfg(target_arch = "x86_64")]
impl Registers {
    pub(crate) const COUNT: usize = 16;
    pub(crate) const STACK: u16 = 7;
    /// Stands for the address to which a function returns. It is on the stack.
    pub(crate) const RETURN: u16 = 16;

    fn of(thread: Pid) -> nix::Result<Self> {
        let r = nix::sys::ptrace::getregs(thread)?;
        let numbered = [
            r.rax, r.rdx, r.rcx, r.rbx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8, r.r9, r.r10,
            r.r11, r.r12, r.r13, r.r14, r.r15,
        ];
        Ok(Self { at: r.rip, numbered })
    }
}

#[cfg(target_arch = "aarch64")]
impl Registers {
    pub(crate) const COUNT: usize = 32;
    pub(crate) const STACK: u16 = 31;
    /// The link register.
    pub(crate) const RETURN: u16 = 30;

    fn of(thread: Pid) -> nix::Result<Self> {
        let r = nix::sys::ptrace::getregs(thread)?;
        let mut numbered = [r.sp; Self::COUNT];
        numbered[..r.regs.len()].copy_from_slice(&r.regs);
        Ok(Self { at: r.pc, numbered })
    }
}

/// On others no call gets a line. On 32-bit x86, a call is made in a page of the kernel's, which
/// is in no file.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
impl Registers {
    pub(crate) const COUNT: usize = 1;
    pub(crate) const STACK: u16 = 0;
    pub(crate) const RETURN: u16 = 0;

    fn of(_: Pid) -> nix::Result<Self> {
        Err(Errno::ENOTSUP)
    }
}

impl Registers {
    pub(crate) fn stack(&self) -> u64 {
        self.numbered[usize::from(Self::STACK)]
    }
}

/// `/proc/PID/maps`.
#[derive(Debug)]
pub(crate) struct Maps {
    pub(crate) text: String,
    code: Vec<Range<u64>>,
}

impl Maps {
    fn of(thread: Pid) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{thread}/maps")).ok()?;
        let is_code = |line: &&str| line.split(' ').nth(1).is_some_and(|p| p.contains('x'));
        let code = text.lines().filter(is_code).filter_map(range).collect();
        Some(Self { text, code })
    }
}

/// Where a line of `/proc/PID/maps` says that something is.
pub(crate) fn range(line: &str) -> Option<Range<u64>> {
    let (from, to) = line.split_once(' ')?.0.split_once('-')?;
    Some(u64::from_str_radix(from, 16).ok()?..u64::from_str_radix(to, 16).ok()?)
}

/// Copies stacks, and remembers for each thread what is mapped.
#[derive(Debug, Default)]
pub(crate) struct Stacks {
    maps: HashMap<Pid, Rc<Maps>>,
}

impl Stacks {
    /// A thread that stands still. None: its memory cannot be read, or we do not know how its
    /// machine calls.
    // ANCHOR: take
    pub(crate) fn take(&mut self, thread: Pid) -> Option<Stack> {
        let registers = Registers::of(thread).ok()?;
        let known = self.maps.get(&thread);
        let is_known =
            |maps: &&Rc<Maps>| maps.code.iter().any(|c| c.contains(&registers.at));
        let maps = match known.filter(is_known) {
            Some(maps) => Rc::clone(maps),
            // Code that we have not seen: it was loaded since.
            None => {
                let maps = Rc::new(Maps::of(thread)?);
                self.maps.insert(thread, Rc::clone(&maps));
                maps
            }
        };
        let bytes = copy(thread, registers.stack()).ok()?;
        Some(Stack { maps, registers, bytes })
    }
    // ANCHOR_END: take

    /// A thread is gone, or has become another program.
    pub(crate) fn forget(&mut self, thread: Pid) {
        self.maps.remove(&thread);
    }
}

fn copy(thread: Pid, from: u64) -> nix::Result<Vec<u8>> {
    let mut bytes = vec![0; DEPTH];
    let from = usize::try_from(from).map_err(|_| Errno::EFAULT)?;
    let to = from.checked_add(DEPTH).ok_or(Errno::EFAULT)?;
    let first = (from..to).step_by(PIECE).map(|at| at - at % PIECE);
    let pieces: Vec<_> = first
        .chain([to - to % PIECE])
        .map(|at| (at.max(from), (at + PIECE).min(to)))
        .filter(|(base, end)| base < end)
        .map(|(base, end)| RemoteIoVec { base, len: end - base })
        .collect();
    let read = process_vm_readv(thread, &mut [IoSliceMut::new(&mut bytes)], &pieces)?;
    bytes.truncate(read);
    Ok(bytes)
}
