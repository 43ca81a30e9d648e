//! Runs one experiment and prints its numbers; or all that is timed, and draws the chapter's
//! chart from it.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match measured::run() {
        Ok(code) => code,
        Err(error) => flags::fail(flags::FAILED, format_args!("clone-cost: {error}")),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    flags::needs_linux("clone-cost")
}

#[cfg(target_os = "linux")]
mod measured {
    use std::fs;
    use std::io;
    use std::path::Path;
    use std::process::ExitCode;

    use clone_cost::data::{Beside, Creation, Data, Idle, Plan, Takers, Turns, Waiting};
    use clone_cost::idle::Who;
    use clone_cost::memory::Kind;
    use clone_cost::sample::Sample;
    use clone_cost::switch::Between;
    use clone_cost::{faults, figure, shared};

    /// The data that the book shows, and the chart that is drawn from it.
    const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/recorded.json");
    const FIGURE: &str =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../src/figures/clone-cost.svg");

    #[derive(clap::Parser)]
    #[command(about = "What a process costs, what a thread costs")]
    enum Command {
        /// Page faults, when a child writes to our memory and when a thread does
        Faults,
        /// What is shared and what is copied, by the flags of clone(2)
        Shared,
        /// The time to make a process and a thread, by the memory that is resident
        Create {
            #[command(flatten)]
            memory: Memory,
            #[command(flatten)]
            rounds: Rounds,
        },
        /// The time of a turn, between processes, threads, and in one thread
        Switch {
            /// On one processor, or on two as well
            #[arg(long, default_value = "2", value_name = "1|2", value_parser = clap::value_parser!(u8).range(1..=2))]
            cores: u8,
            #[command(flatten)]
            rounds: Rounds,
        },
        /// What stays in memory for a process, and for a thread, that waits
        Idle {
            #[command(flatten)]
            number: Number,
            #[command(flatten)]
            rounds: Rounds,
        },
        /// Measures all of it, writes the book's data, and draws the book's chart from it
        Record {
            #[command(flatten)]
            memory: Memory,
            #[command(flatten)]
            number: Number,
            #[command(flatten)]
            rounds: Rounds,
        },
        /// The book's data, as a table
        Table {
            #[arg(value_enum)]
            of: Table,
        },
        /// Draws the book's chart again from the book's data
        Figure,
        /// One sample, as JSON; the other commands take theirs so
        #[command(subcommand, hide = true)]
        Sample(Sample),
    }

    #[derive(clap::Args)]
    struct Memory {
        /// How much memory is resident: numbers with commas between them
        #[arg(long, default_value = "0,16,64,256,1024", value_name = "MIB", value_delimiter = ',', value_parser = mib)]
        mib: Vec<usize>,
        /// Of which kinds
        #[arg(
            long,
            default_value = "private,huge,shared",
            value_name = "KINDS",
            value_delimiter = ','
        )]
        memory: Vec<Kind>,
    }

    fn mib(text: &str) -> Result<usize, String> {
        match text.parse() {
            Ok(mib @ 0..=65_536) => Ok(mib),
            _ => Err("a number of MiB up to 65536 is needed".into()),
        }
    }

    #[derive(clap::Args)]
    struct Rounds {
        /// How often each thing is measured, in turn with the others
        #[arg(long, default_value = "7", value_name = "N", value_parser = flags::at_least_one)]
        rounds: usize,
    }

    #[derive(clap::Args)]
    struct Number {
        /// How many wait at the same time
        #[arg(long, default_value = "200", value_name = "N", value_parser = flags::at_least_one)]
        number: usize,
    }

    #[derive(Clone, Copy, clap::ValueEnum)]
    enum Table {
        Create,
        Switch,
        Idle,
    }

    impl Memory {
        fn all(&self) -> Vec<Beside> {
            let of = |memory: &Kind| {
                let memory = *memory;
                self.mib.iter().map(move |mib| Beside { memory, mib: *mib })
            };
            self.memory.iter().flat_map(of).collect()
        }
    }

    fn takers(cores: usize) -> Vec<Takers> {
        let on = |cores| {
            let fits = move |between: &Between| cores == 1 || between.are_two();
            Between::ALL
                .into_iter()
                .filter(fits)
                .map(move |between| Takers { between, cores })
        };
        (1..=cores).rev().flat_map(on).collect()
    }

    fn waiting(number: usize) -> Vec<Waiting> {
        [Who::Processes, Who::Threads].map(|who| Waiting { who, number }).into()
    }

    pub fn run() -> io::Result<ExitCode> {
        match flags::parse() {
            Command::Faults => println!("{}", faults::compare()?),
            Command::Shared => println!("{}", shared::table()?),
            Command::Create { memory, rounds: Rounds { rounds } } => {
                measure(Plan { rounds, creation: memory.all(), ..Plan::default() })?;
            }
            Command::Switch { cores, rounds: Rounds { rounds } } => {
                measure(Plan { rounds, turns: takers(cores.into()), ..Plan::default() })?;
            }
            Command::Idle { number: Number { number }, rounds: Rounds { rounds } } => {
                measure(Plan { rounds, idle: waiting(number), ..Plan::default() })?;
            }
            Command::Record { memory, number, rounds: Rounds { rounds } } => {
                let (creation, idle) = (memory.all(), waiting(number.number));
                let data = measure(Plan { rounds, creation, turns: takers(2), idle })?;
                fs::write(RECORDED, serde_json::to_string_pretty(&data)? + "\n")?;
                fs::write(FIGURE, figure::draw(&data))?;
            }
            Command::Table { of } => {
                let data = recorded()?;
                match of {
                    Table::Create => println!("{}", Creation(&data)),
                    Table::Switch => println!("{}", Turns(&data)),
                    Table::Idle => println!("{}", Idle(&data)),
                }
            }
            Command::Figure => fs::write(FIGURE, figure::draw(&recorded()?))?,
            Command::Sample(sample) => return Ok(sample.print()),
        }
        Ok(ExitCode::SUCCESS)
    }

    fn measure(plan: Plan) -> io::Result<Data> {
        let data = Data::measure(plan)?;
        println!("{data}");
        Ok(data)
    }

    fn recorded() -> io::Result<Data> {
        Data::read(Path::new(RECORDED)).map_err(|error| {
            let advice = "cargo run --release -p clone-cost -- record makes it anew";
            io::Error::new(
                error.kind(),
                format!("cannot read {RECORDED}: {error}; {advice}"),
            )
        })
    }
}
