//! Six reads, and where each is done: in the call, afterwards in our thread, by one of the
//! kernel's workers, by the device, or by nobody until there is something.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    uring_read::report("who-works", who::run())
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("who-works")
}

#[cfg(target_os = "linux")]
mod who {
    use std::io::{self, Write};
    use std::thread;
    use std::time::Duration;

    use uring_read::scratch::{Scratch, folder};
    use uring_read::usage::{Usage, Used};
    use uring_read::{Buffer, How, Order, Place, Ring, Trouble};

    const BYTES: usize = 8 << 20;
    const LATER: Duration = Duration::from_millis(100);

    pub fn run() -> Result<(), Trouble> {
        let scratch = Scratch::new(&folder(), BYTES)?;
        let file = Place::from(scratch.buffered.try_clone()?);
        let (by_worker, tried) = (How { worker: true, link: false }, How::default());
        println!(
            "8 MiB                 io_uring_enter      complete   afterwards            workers"
        );
        println!(
            "                       took      our CPU    by then     took      our CPU       CPU"
        );
        show("cached", &file, tried)?;
        show("cached, IOSQE_ASYNC", &file, by_worker)?;
        scratch.forget()?;
        show("cold", &file, tried)?;
        scratch.forget()?;
        show("cold, IOSQE_ASYNC", &file, by_worker)?;
        match scratch.direct {
            Ok(direct) => show("O_DIRECT", &direct.into(), tried)?,
            Err(_) => println!("O_DIRECT           refused by this file system"),
        }
        let (reader, mut writer) = io::pipe()?;
        let writing = thread::spawn(move || {
            thread::sleep(LATER);
            writer.write_all(b"hello")
        });
        show("an empty pipe", &reader.into(), tried)?;
        writing.join().expect("the writer does not panic")?;
        Ok(())
    }

    // ANCHOR: show
    fn show(what: &str, from: &Place, how: How) -> Result<(), Trouble> {
        let mut ring = Ring::new(4)?;
        let mut into = Buffer::new(BYTES, 4096);
        into.touch(); // so that no page has to be found for it during the read
        let read = Order::Read { from: from.clone(), into, at: 0 };
        ring.push(read, how).expect("an empty ring has room");

        let before = Usage::now()?;
        ring.enter(0)?; // submits, and waits for nothing
        let call = before.so_far()?;
        let there = ring.waiting().0 > 0;

        while ring.waiting().0 == 0 {
            ring.enter(1)?; // submits nothing, and waits for one
        }
        let all = before.in_the_end()?;
        let done = ring.take().expect("one was waited for");
        // ANCHOR_END: show
        done.outcome()?;
        print(what, call, there, all);
        Ok(())
    }

    fn print(what: &str, call: Used, there: bool, all: Used) {
        let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
        let rest = |all: Duration, call| if there { String::new() } else { ms(all - call) };
        println!(
            "{what:<19}{:>8}{:>12}    {:<5}{:>10}{:>12}{:>11}",
            ms(call.wall),
            ms(call.cpu),
            if there { "yes" } else { "no" },
            rest(all.wall, call.wall),
            rest(all.cpu, call.cpu),
            ms(all.workers),
        );
    }
}
