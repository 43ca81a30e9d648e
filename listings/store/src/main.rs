//! The store as a program of its own, for trying it with `redis-cli` or with servers that
//! share it.

use std::process::ExitCode;

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("store")
}

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    store::embedded::run_if_asked();
    linux::main()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::net::SocketAddr;
    use std::path::PathBuf;
    use std::process::ExitCode;
    use std::time::Duration;

    use store::{Options, Store};

    /// A small server that speaks the Redis protocol
    #[derive(clap::Parser)]
    #[command(version)]
    struct Flags {
        /// Address to listen on; port 0 lets the kernel choose one
        #[arg(long, default_value = "127.0.0.1:6380", value_name = "ADDRESS:PORT")]
        listen: SocketAddr,

        /// How long every reply waits, in milliseconds
        #[arg(long, default_value = "0", value_name = "MS", value_parser = flags::milliseconds)]
        delay: Duration,

        /// File to which is appended what must not be lost
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    }

    /// SIGTERM and SIGINT end it at once: what was acknowledged is in the file, and the
    /// next start cuts off what was torn.
    pub fn main() -> ExitCode {
        let Flags { listen, delay, file } = flags::parse();
        match Store::start(&Options { listen, delay, file, ..Options::default() }) {
            Ok(store) => {
                store::embedded::announce(store.address());
                store.wait();
                ExitCode::SUCCESS
            }
            Err(why) => flags::fail(flags::FAILED, why),
        }
    }
}
