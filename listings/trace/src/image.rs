//! A program or library in its file: how the frames of its functions are undone, and from
//! which lines its code was made.

use std::cell::OnceCell;
use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use addr2line::Loader;
use addr2line::gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, NativeEndian, Register, RegisterRule,
    UnwindContext, UnwindSection,
};
use object::read::Segment;
use object::{Object, ObjectSection, ObjectSegment};

use crate::stack::{Registers, Stack};

/// A file with code.
pub(crate) struct Image {
    path: PathBuf,
    /// Where its segments with code lie in the file, and what an address in them is more than that.
    segments: Vec<(Range<u64>, u64)>,
    /// `.eh_frame`, and `.eh_frame_hdr`, in which one finds a function there.
    frames: Vec<u8>,
    index: Vec<u8>,
    bases: BaseAddresses,
    lines: OnceCell<Option<Loader>>,
}

impl Image {
    /// None: there is no such file, or no longer this one, or it does not say how its frames
    /// are undone.
    pub(crate) fn read(path: &Path, inode: u64) -> Option<Self> {
        if File::open(path).ok()?.metadata().ok()?.ino() != inode {
            return None;
        }
        let bytes = fs::read(path).ok()?;
        let file = object::File::parse(&*bytes).ok()?;
        let is_code = |segment: &Segment<'_, '_>| segment.permissions().executable();
        let segments = file.segments().filter(is_code).map(|segment| {
            let (at, size) = segment.file_range();
            (at..at + size, segment.address().wrapping_sub(at))
        });
        let address = |name| file.section_by_name(name).map(|section| section.address());
        let data = |name| Some(file.section_by_name(name)?.data().ok()?.to_vec());
        let bases = BaseAddresses::default()
            .set_eh_frame(address(".eh_frame")?)
            .set_eh_frame_hdr(address(".eh_frame_hdr")?)
            .set_text(address(".text")?);
        Some(Self {
            path: path.to_owned(),
            segments: segments.collect(),
            frames: data(".eh_frame")?,
            index: data(".eh_frame_hdr")?,
            bases,
            lines: OnceCell::new(),
        })
    }

    /// How much higher the file's code is mapped than the file says: it was mapped from here,
    /// with what is at this place of the file.
    pub(crate) fn bias(&self, start: u64, place: Range<u64>) -> Option<u64> {
        let overlaps = |r: &Range<u64>| r.start < place.end && place.start < r.end;
        let mut segments = self.segments.iter().filter(|(range, _)| overlaps(range));
        let (_, more) = segments.next()?;
        // Two segments in one mapping agree, or we do not know.
        let agree = segments.all(|(_, other)| other == more);
        agree.then(|| start.wrapping_sub(place.start).wrapping_sub(*more))
    }

    /// The innermost line for which `wanted` has an answer, and the function that it is in.
    pub(crate) fn line(
        &self,
        address: u64,
        wanted: impl Fn(&str) -> Option<String>,
    ) -> Option<(String, String)> {
        let lines = self.lines()?;
        let mut frames = lines.find_frames(address).ok()?;
        while let Ok(Some(frame)) = frames.next() {
            let Some(place) = frame.location else { continue };
            let (Some(file), Some(line)) = (place.file.and_then(&wanted), place.line)
            else {
                continue;
            };
            let function =
                frame.function.and_then(|f| Some(f.demangle().ok()?.into_owned()));
            let function = function.or_else(|| self.symbol(address)).unwrap_or_default();
            return Some((format!("{file}:{line}"), function));
        }
        None
    }

    /// The function that an address is in, by the table of symbols.
    pub(crate) fn symbol(&self, address: u64) -> Option<String> {
        let name = self.lines()?.find_symbol(address)?;
        Some(addr2line::demangle_auto(name.into(), None).into_owned())
    }

    fn lines(&self) -> Option<&Loader> {
        self.lines.get_or_init(|| Loader::new(&self.path).ok()).as_ref()
    }

    /// What the file is called.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The registers as they were in the caller of the function that `address` is in. Whatever
    /// is not plain is not guessed.
    // ANCHOR: caller
    pub(crate) fn caller(
        &self,
        address: u64,
        of: &Registers,
        stack: &Stack,
    ) -> Option<Registers> {
        let frames = EhFrame::new(&self.frames, NativeEndian);
        let index = EhFrameHdr::new(&self.index, NativeEndian);
        let index = index.parse(&self.bases, size_of::<usize>() as u8).ok()?;
        let mut context = UnwindContext::new();
        let row = index
            .table()?
            .unwind_info_for_address(
                &frames,
                &self.bases,
                &mut context,
                address,
                EhFrame::cie_from_offset,
            )
            .ok()?;
        let CfaRule::RegisterAndOffset { register, offset } = row.cfa() else {
            return None;
        };
        let frame = of.numbered.get(usize::from(register.0))?.wrapping_add_signed(*offset);
        let was = |register: u16, now: Option<&u64>| match row.register(Register(register))
        {
            None | Some(RegisterRule::SameValue) => now.copied(),
            Some(RegisterRule::Offset(at)) => stack.word(frame.wrapping_add_signed(at)),
            Some(_) => None,
        };
        let mut caller = *of;
        for (number, now) in of.numbered.iter().enumerate() {
            // One that is lost is 0, which is no stack and no code: whoever needs it ends here.
            caller.numbered[number] = was(number as u16, Some(now)).unwrap_or(0);
        }
        let back = of.numbered.get(usize::from(Registers::RETURN));
        caller.at = was(Registers::RETURN, back)?;
        caller.numbered[usize::from(Registers::STACK)] = frame;
        // A stack grows downwards, so its callers are above.
        (frame > of.stack() || (frame == of.stack() && caller.at != of.at))
            .then_some(caller)
    }
    // ANCHOR_END: caller
}
