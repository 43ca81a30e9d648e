//! nginx on the same files, as the mature server to compare with. It runs as the test's own
//! user, on a free port.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::patience::patience;
use crate::root::Root;

/// A running nginx, ended when dropped.
#[derive(Debug)]
pub struct Nginx {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Nginx {
    /// Starts the program on the files of `root`.
    pub fn start(program: &str, root: &Root) -> Result<Self, String> {
        let failed = |error: io::Error| format!("{program}: {error}");
        // nginx cannot be told to choose a port, so one is chosen for it and given back in
        // the hope that it stays free.
        let address = TcpListener::bind("127.0.0.1:0")
            .and_then(|l| l.local_addr())
            .map_err(failed)?;
        let scratch = root.top().join("nginx");
        fs::create_dir_all(&scratch).map_err(failed)?;
        let configuration = scratch.join("nginx.conf");
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("    {name}_temp_path {name};\n"))
            .concat();
        let text = format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr crit;\nevents {{}}\n\
             http {{\n{temporary}    types {{ text/html html; text/plain txt; }}\n    access_log off;\n    \
             large_client_header_buffers 4 8k;\n    server {{ listen {address}; root {}; }}\n}}\n",
            root.path().display()
        );
        fs::write(&configuration, text).map_err(failed)?;
        let child = Command::new(program)
            .arg("-p")
            .arg(&scratch)
            .arg("-c")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let nginx = Self { child, address };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if begun.elapsed() > patience() {
                return Err(format!("{program} does not listen on {address}"));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.child.wait();
    }
}
