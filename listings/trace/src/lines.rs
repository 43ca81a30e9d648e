//! Which line of a listing has made a call.
//!
//! A call is made in the C library, which was called by the standard library, which was called
//! by a listing. So we go up: from each function to its caller, by what the compiler has
//! written down about its frames (`.eh_frame`, which is there for panics), until a function
//! is from a file of `listings/`. A chain of frame pointers would be shorter to follow, and
//! wrong: where a program has threads, the C library keeps other things in that register.

use std::collections::HashMap;
use std::iter::successors;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::backtrace::Frame;
use crate::image::Image;
use crate::stack::{Maps, Registers, Stack, range};

/// No listing is that deep.
const FRAMES: usize = 64;

/// The files whose lines are looked for.
#[derive(Clone, Debug)]
pub struct Sources {
    /// What their names are relative to.
    pub root: PathBuf,
    /// The folder in it in which they lie; empty: all that lies in `root`.
    pub folder: PathBuf,
}

impl Sources {
    /// The listings of the workspace at `root`.
    pub fn listings(root: &Path) -> Self {
        Self { root: root.to_owned(), folder: "listings".into() }
    }
}

/// Where the files of a trace are mapped, and what is in them.
pub(crate) struct Lines {
    sources: Sources,
    images: HashMap<(PathBuf, u64), Option<Rc<Image>>>,
    /// By the address of the text that says it: that is held.
    mapped: HashMap<*const Maps, (Rc<Maps>, Rc<[Mapped]>)>,
}

/// Code in a process.
struct Mapped {
    code: Range<u64>,
    /// How much higher than in its file.
    bias: u64,
    image: Rc<Image>,
    /// Whether it is the program itself, and no library.
    is_program: bool,
}

impl Lines {
    /// Of these.
    pub(crate) fn new(sources: Sources) -> Self {
        Self { sources, images: HashMap::new(), mapped: HashMap::new() }
    }

    /// The line, as `listings/NAME/src/FILE.rs:LINE`, and the function that it is in.
    // ANCHOR: find
    pub(crate) fn find(&mut self, stack: &Stack) -> Option<(String, String)> {
        let mapped = self.mapped(&stack.maps);
        up(&mapped, stack).filter(|(_, code, _)| code.is_program).find_map(
            |(_, code, address)| code.image.line(address, |file| self.listing(file)),
        )
    }
    // ANCHOR_END: find

    /// All functions that have not returned yet, as far as they can be followed.
    pub(crate) fn frames(&mut self, stack: &Stack) -> Vec<Frame> {
        let mapped = self.mapped(&stack.maps);
        let anywhere = |file: &str| Some(self.listing(file).unwrap_or_else(|| short(file)));
        let frame = |(at, code, address): (u64, &Mapped, u64)| {
            let (line, function) = match code.image.line(address, anywhere) {
                Some((line, function)) => (Some(line), Some(function)),
                None => (None, code.image.symbol(address)),
            };
            Frame { at, file: code.image.name(), address, function, line }
        };
        up(&mapped, stack).map(frame).collect()
    }

    /// A source file's path inside the workspace, if it is in a listing.
    fn listing(&self, file: &str) -> Option<String> {
        let inside = Path::new(file).strip_prefix(&self.sources.root).ok()?;
        let found = inside.starts_with(&self.sources.folder);
        found.then(|| inside.to_string_lossy().into_owned())
    }

    fn mapped(&mut self, maps: &Rc<Maps>) -> Rc<[Mapped]> {
        if let Some((_, mapped)) = self.mapped.get(&Rc::as_ptr(maps)) {
            return Rc::clone(mapped);
        }
        // The program is what is mapped first.
        let program = maps.text.lines().find_map(file);
        let mapped: Rc<[Mapped]> =
            maps.text.lines().filter_map(|line| self.code(line, program)).collect();
        self.mapped.insert(Rc::as_ptr(maps), (Rc::clone(maps), Rc::clone(&mapped)));
        mapped
    }

    /// What a line of `/proc/PID/maps` says, if it is about code from a file.
    fn code(&mut self, line: &str, program: Option<&str>) -> Option<Mapped> {
        let mut fields = line.split(' ').skip(1);
        let may = fields.next()?;
        let place = u64::from_str_radix(fields.next()?, 16).ok()?;
        let inode = fields.nth(1)?.parse().ok()?;
        let (code, path) = (range(line)?, file(line)?);
        if !may.contains('x') {
            return None;
        }
        let key = (PathBuf::from(path), inode);
        let image = self
            .images
            .entry(key)
            .or_insert_with_key(|(path, inode)| Image::read(path, *inode).map(Rc::new));
        let image = Rc::clone(image.as_ref()?);
        let bias = image.bias(code.start, place..place + (code.end - code.start))?;
        Some(Mapped { code, bias, image, is_program: program == Some(path) })
    }
}

/// The code that is to go on in each function that has not returned, the innermost first: where
/// it is in memory, in what, and the address that the file's tables have for it.
// ANCHOR: up
fn up<'a>(
    mapped: &'a [Mapped],
    stack: &'a Stack,
) -> impl Iterator<Item = (u64, &'a Mapped, u64)> {
    let place = move |registers: &Registers| {
        // What stands there is the instruction behind the call, which may be another line's.
        let at = registers.at.checked_sub(1)?;
        let code = mapped.iter().find(|mapped| mapped.code.contains(&at))?;
        Some((at, code, at.wrapping_sub(code.bias)))
    };
    let caller = move |registers: &Registers| {
        let (_, code, address) = place(registers)?;
        code.image.caller(address, registers, stack)
    };
    successors(Some(stack.registers), caller).map_while(move |r| place(&r)).take(FRAMES)
}
// ANCHOR_END: up

/// The end of a path: enough to know the file.
fn short(path: &str) -> String {
    let parts: Vec<&str> = path.rsplit('/').take(3).collect();
    parts.into_iter().rev().collect::<Vec<_>>().join("/")
}

/// The file that a line of `/proc/PID/maps` is about.
fn file(line: &str) -> Option<&str> {
    line.find('/').map(|at| &line[at..])
}
