//! What the kernel copies for one operation, found out by leaving it no room.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match experiment::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => trouble.exit("copied"),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("copied")
}

#[cfg(target_os = "linux")]
mod experiment {
    use aio_direct::{Copied, Trouble, context, copied};

    pub fn run() -> Result<(), Trouble> {
        drop(context::<()>(1)?); // says why, where there is no AIO
        let Copied { iocb, pointer, written_back, event } = copied()?;
        println!("io_submit reads a pointer of         {pointer:>3} bytes");
        println!("and, where it leads, an iocb of      {iocb:>3}");
        println!("io_getevents writes an io_event of   {event:>3}");
        println!("together                             {:>3}", pointer + iocb + event);
        println!("io_submit also writes into the iocb  {written_back:>3}");
        Ok(())
    }
}
