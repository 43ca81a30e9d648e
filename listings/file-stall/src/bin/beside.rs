//! Servers, each asked for a cached file alone and beside the download of a cold one.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use clap::Parser;
    if let Some(code) = file_stall::server::run_if_asked() {
        return code;
    }
    match beside::run(&beside::Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, line)) => flags::fail(code, line),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("beside")
}

#[cfg(target_os = "linux")]
mod beside {
    use std::path::PathBuf;
    use std::time::Duration;

    use file_stall::pace::{Latencies, Pace};
    use file_stall::server::{Server, apart};
    use file_stall::{Beside, beside, files};

    /// Servers, each asked for a cached file alone and beside the download of a cold one
    #[derive(clap::Parser)]
    #[command(version)]
    pub struct Flags {
        /// A server: its program and its flags in one argument; several of them
        #[arg(value_name = "COMMAND")]
        servers: Vec<String>,
        /// Folder on a disk for the large file
        #[arg(long, default_value = ".", value_name = "DIR")]
        dir: PathBuf,
        /// Size of the large file, in MiB
        #[arg(long, default_value = "1024", value_name = "MIB")]
        size: u64,
        /// Requests a second
        #[arg(long, default_value = "1000", value_name = "N")]
        rate: u32,
        /// How often each server is measured; they take turns
        #[arg(long, default_value = "5", value_name = "N")]
        rounds: usize,
        /// Print each round
        #[arg(long)]
        verbose: bool,
    }

    pub fn run(flags: &Flags) -> Result<(), (u8, String)> {
        let failed = |error: std::io::Error| (flags::FAILED, error.to_string());
        let folder = tempfile::Builder::new()
            .prefix("beside-")
            .tempdir_in(&flags.dir)
            .map_err(|error| {
                (flags::REFUSED, format!("no folder: {error}; choose one with --dir"))
            })?;
        let cold = files(folder.path(), flags.size << 20).map_err(|error| {
            (flags::REFUSED, format!("no file: {error}; choose a folder with --dir"))
        })?;
        if let Some(why) = cold.not_cold().map_err(failed)? {
            return Err((flags::REFUSED, why));
        }
        let pace = Pace { rate: flags.rate, time: Duration::MAX, connections: 8 };
        let mut rounds: Vec<Vec<Beside>> = vec![Vec::new(); flags.servers.len()];
        let mut others = 0.0_f64;
        for _ in 0..flags.rounds {
            for (name, results) in flags.servers.iter().zip(&mut rounds) {
                others = others.max(busy_without_us());
                let words: Vec<&str> = name.split_whitespace().collect();
                let (server, two) = apart(|| Server::start_program(&words, folder.path()))
                    .map_err(failed)?;
                if !two {
                    let why = "one processor for the server and one for us are needed";
                    return Err((flags::REFUSED, why.to_owned()));
                }
                let result = beside(&server, &cold, pace).map_err(failed)?;
                if flags.verbose {
                    println!("{name}: {}", row(std::slice::from_ref(&result)));
                }
                results.push(result);
            }
        }
        println!(
            "{} requests a second for a cached file, {} rounds; a cold file of {} MiB is read beside it",
            flags.rate, flags.rounds, flags.size
        );
        if others > 5.0 {
            println!("NOT A QUIET MACHINE: others had up to {others:.0} % of it");
        }
        println!("                      p50 ms   p99 ms   max ms  own p99   download");
        for (name, results) in flags.servers.iter().zip(&rounds) {
            println!("{name}\n{}", row(results));
        }
        Ok(())
    }

    /// How much of all processors is used while we do nothing, in percent (proc_stat(5)).
    fn busy_without_us() -> f64 {
        let ticks = || -> Option<(u64, u64)> {
            let text = std::fs::read_to_string("/proc/stat").ok()?;
            let words = text.lines().next()?.split_whitespace().skip(1);
            let numbers: Vec<u64> = words.flat_map(str::parse).collect();
            let idle = numbers.get(3)? + numbers.get(4)?;
            Some((numbers.iter().take(8).sum::<u64>(), idle))
        };
        let before = ticks();
        std::thread::sleep(Duration::from_millis(500));
        match (before, ticks()) {
            (Some((all, idle)), Some((all_then, idle_then))) if all_then > all => {
                100.0 * (1.0 - (idle_then - idle) as f64 / (all_then - all) as f64)
            }
            _ => 0.0,
        }
    }

    /// Medians of the rounds.
    fn row(results: &[Beside]) -> String {
        let line = |what: &str, of: fn(&Beside) -> &Latencies| {
            let ms = |part| {
                let of_round = |one: &Beside| of(one).quantile(part).as_secs_f64() * 1e3;
                median(results.iter().map(of_round).collect())
            };
            let own = results.iter().map(|one| of(one).own_lateness().as_secs_f64() * 1e3);
            let own = median(own.collect());
            format!(
                "  {what:<18} {:8.3} {:8.3} {:8.3} {own:8.3}",
                ms(0.5),
                ms(0.99),
                ms(1.0)
            )
        };
        let ratio = |one: &Beside| {
            one.busy.quantile(0.99).as_secs_f64() / one.idle.quantile(0.99).as_secs_f64()
        };
        let ratios: Vec<f64> = results.iter().map(ratio).collect();
        let (least, most) = ratios
            .iter()
            .fold((f64::MAX, 0.0), |(least, most), x| (x.min(least), x.max(most)));
        let speed = |one: &Beside| {
            (one.download.1 as f64 / (1u64 << 20) as f64) / one.download.0.as_secs_f64()
        };
        format!(
            "{}\n{}   {:.0} MiB/s\n  p99: {:.2} times the idle one ({least:.2} to {most:.2})",
            line("alone", |one| &one.idle),
            line("beside a download", |one| &one.busy),
            median(results.iter().map(speed).collect()),
            median(ratios.clone()),
        )
    }

    fn median(mut numbers: Vec<f64>) -> f64 {
        numbers.sort_by(f64::total_cmp);
        numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
    }
}
