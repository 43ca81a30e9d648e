//! What a read that must not wait is answered, for bytes that are in memory, that are not, and
//! where the kernel cannot say.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match nowait::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => flags::fail(
            flags::REFUSED,
            format_args!(
                "cannot read a cold file: {error}; start it in a folder on a disk"
            ),
        ),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("nowait")
}

#[cfg(target_os = "linux")]
mod nowait {
    use std::fs::File;
    use std::io::{self, IoSliceMut};
    use std::os::unix::fs::FileExt;
    use std::path::Path;
    use std::thread::sleep;
    use std::time::Duration;

    use rustix::fs::{MemfdFlags, memfd_create};
    use rustix::io::{Errno, ReadWriteFlags, preadv2};

    const MIB: usize = 1 << 20;

    pub fn run() -> io::Result<()> {
        let file = file_pool::cold::cold_file(Path::new("."), 8 * MIB)?;
        println!("4096 bytes with RWF_NOWAIT");
        println!("  cold                 {}", ask(&file, 0));
        sleep(Duration::from_millis(100));
        println!("  the same, later      {}", ask(&file, 0));
        println!("  cold, further on     {}", ask(&file, 4 * MIB as u64));
        file.read_exact_at(&mut [0; 4096], 6 * MIB as u64)?;
        println!("  read once            {}", ask(&file, 6 * MIB as u64));
        println!("  at the end           {}", ask(&file, 8 * MIB as u64));
        let memory = File::from(memfd_create("nowait", MemfdFlags::CLOEXEC)?);
        memory.set_len(MIB as u64)?;
        println!("  a file in tmpfs      {}", ask(&memory, 0));
        Ok(())
    }

    // ANCHOR: ask
    fn ask(file: &File, at: u64) -> String {
        let mut buffer = [0; 4096];
        let mut parts = [IoSliceMut::new(&mut buffer)];
        match preadv2(file, &mut parts, at, ReadWriteFlags::NOWAIT) {
            Ok(n) => format!("{n} bytes"),
            Err(Errno::AGAIN) => "EAGAIN".to_owned(),
            Err(Errno::OPNOTSUPP) => "EOPNOTSUPP".to_owned(),
            Err(other) => other.to_string(),
        }
    }
    // ANCHOR_END: ask
}
