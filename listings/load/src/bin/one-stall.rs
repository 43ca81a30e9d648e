//! A server that answers at once, and once stands still for a second: what a closed loop says
//! of it, and what an open loop says.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match stall::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => flags::fail(flags::FAILED, line),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("one-stall")
}

#[cfg(target_os = "linux")]
mod stall {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Mutex, PoisonError};
    use std::thread;
    use std::time::Duration;

    use load::{End, Outcome, Over, Pace, Rules, Target};

    const CLIENTS: usize = 4;
    const REQUESTS: u64 = 8000;
    /// The request during which it stands still.
    const WHEN: u64 = 2000;
    const LONG: Duration = Duration::from_millis(100);

    // ANCHOR: run
    pub fn run() -> Result<(), String> {
        println!(
            "                             p50     p99   p99.9     max  longer than 0.1 s"
        );
        let closed = measure(Pace::Closed)?;
        print_line("closed loop", &closed);
        let open = measure(Pace::Open(2000.0))?;
        print_line("open loop, 2000 a second", &open);
        Ok(())
    }

    fn measure(pace: Pace) -> Result<Outcome, String> {
        let server = start().map_err(|error| format!("no server: {error}"))?;
        let target = Target::new(&[format!("http://{server}/")], 1, false)?;
        let rules = Rules {
            clients: CLIENTS,
            pace,
            end: End::Requests(REQUESTS),
            close: false,
            timeout: Duration::from_secs(10),
            ramp: Duration::from_secs(10),
            expected: target.expected(Duration::from_secs(10), None)?,
        };
        load::run(Over::best(CLIENTS), rules, &target).map_err(|error| error.to_string())
    }
    // ANCHOR_END: run

    fn print_line(what: &str, outcome: &Outcome) {
        let latency = &outcome.latency;
        let ms = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e3);
        let [half, one, tail] = [0.5, 0.99, 0.999].map(|share| ms(latency.at(share)));
        let long = latency.0.count_between(LONG.as_nanos() as u64, u64::MAX);
        let max = ms(latency.max());
        println!(
            "{what:<25}{half:>7}{one:>8}{tail:>8}{max:>8} ms  {long:>5} of {REQUESTS}"
        );
    }

    static REQUEST: AtomicU64 = AtomicU64::new(0);
    /// Whoever answers has it.
    static TURN: Mutex<()> = Mutex::new(());

    /// A server with a thread for each client. It goes when this program does.
    // ANCHOR: server
    fn start() -> std::io::Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        REQUEST.store(0, Ordering::SeqCst);
        thread::spawn(move || {
            listener.incoming().flatten().for_each(|client| {
                thread::spawn(move || serve(client));
            });
        });
        Ok(address)
    }

    fn serve(mut client: TcpStream) {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        // One read is one request: they are short, and a client sends one at a time.
        while client.read(&mut [0; 1024]).is_ok_and(|n| n > 0) {
            let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
            if REQUEST.fetch_add(1, Ordering::SeqCst) == WHEN {
                thread::sleep(Duration::from_secs(1));
            }
            drop(turn);
            if client.write_all(answer).is_err() {
                return;
            }
        }
    }
    // ANCHOR_END: server
}
