//! The data as a table.

use std::fmt::Write;

use crate::data::{Call, Data, Kind, Spread};

/// One table for each kind of descriptor.
pub fn of(data: &Data) -> String {
    let mut text = format!(
        "microseconds for one call: median of {} rounds (lowest–highest)\n",
        data.rounds
    );
    for (kind, name) in [(Kind::Tcp, "TCP connections"), (Kind::Eventfd, "eventfds")] {
        let _ = writeln!(
            text,
            "\nidle {name}\n{:9}{:<24}{:<24}{:<18}poll : epoll_wait",
            "", "select", "poll", "epoll_wait"
        );
        for cell in data.of(kind, Call::Poll) {
            let select = data.select(kind, cell.idle);
            // Beyond 1023 it is the kernel's, by itself.
            let mark = if select.is_some_and(|(call, _)| call == Call::RawSelect) {
                '*'
            } else {
                ' '
            };
            let epoll = data.at(kind, Call::Epoll, cell.idle);
            let ratio = epoll.map_or(f64::NAN, |epoll| cell.us.median / epoll.median);
            let _ = writeln!(
                text,
                "{:>7} {mark}{:<24}{:<24}{:<18}{:>10}",
                grouped(cell.idle as f64),
                shown(select.map(|(_, us)| us)),
                shown(Some(cell.us)),
                shown(epoll),
                plain(ratio)
            );
        }
    }
    text.push_str(
        "* asked of the kernel: the C library's select ends at descriptor 1023\n",
    );
    text
}

/// A number with the two digits that say something.
pub fn plain(number: f64) -> String {
    match number {
        n if n >= 100.0 => {
            let unit = 10_f64.powf(n.log10().floor() - 1.0);
            grouped((n / unit).round() * unit)
        }
        n if n >= 9.95 => format!("{n:.0}"),
        n if n >= 0.995 => format!("{n:.1}"),
        n => format!("{n:.2}"),
    }
}

/// A whole number, with a comma in it where it has five digits.
pub fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    match digits.len() {
        5.. => format!("{},{}", &digits[..digits.len() - 3], &digits[digits.len() - 3..]),
        _ => digits,
    }
}

fn shown(spread: Option<Spread>) -> String {
    spread.map_or("-".to_owned(), |us| {
        format!("{} ({}–{})", plain(us.median), plain(us.lowest), plain(us.highest))
    })
}
