//! Servers that a command line names: others, and ours with other flags.

use std::str::FromStr;

use crate::server::{Origin, Server};
use crate::workload::Workload;

/// `NAME=SOMETHING`, of a name that results can use.
fn named(text: &str) -> Result<(&str, &str), String> {
    let (name, rest) = text.split_once('=').ok_or("a name and = are needed before it")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || !name.chars().all(plain) {
        return Err("a name has letters, digits, '-', '_' and '.'".into());
    }
    if Server::all().iter().any(|server| server.name == name) {
        return Err(format!("{name} is the name of another server"));
    }
    Ok((name, rest))
}

/// A server that runs already: `NAME=http://HOST:PORT[/PATH]`.
#[derive(Clone, Debug)]
pub struct Peer(pub Server);

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, url) = named(text)?;
        let rest = url.strip_prefix("http://").ok_or("it is NAME=http://HOST:PORT")?;
        let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
        let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        if port.is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
            return Err("it is NAME=http://HOST:PORT".into());
        }
        let path = match path {
            "" => Workload::StaticClose.path(),
            path => format!("/{path}"),
        };
        let origin = Origin::Peer { address: address.into(), path };
        Ok(Self(Server { name: name.into(), origin, ..Server::nginx() }))
    }
}

/// One of ours with other flags: `NAME=SERVER FLAGS`.
#[derive(Clone, Debug)]
pub struct Variant(pub Server);

impl FromStr for Variant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, line) = named(text)?;
        let mut words = line.split_whitespace().map(str::to_owned);
        let of = Server::named(&words.next().ok_or("it is NAME='SERVER FLAGS'")?)?;
        let Origin::Ours { program, mut flags } = of.origin else {
            return Err("only a server of this book has flags".into());
        };
        flags.extend(words);
        // With other flags it may hold more, or close everything: what it does is measured.
        let keeps_alive = of.keeps_alive && !flags.iter().any(|f| f == "--no-keep-alive");
        let origin = Origin::Ours { program, flags };
        Ok(Self(Server { name: name.into(), origin, keeps_alive, ..of }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_a_name_and_an_address() {
        let Peer(server) = "mine=http://127.0.0.1:9000".parse().unwrap();
        let origin =
            Origin::Peer { address: "127.0.0.1:9000".into(), path: "/small.txt".into() };
        assert_eq!((server.name.as_str(), server.origin), ("mine", origin));
        let Peer(server) = "mine=http://localhost:9000/a/b".parse().unwrap();
        assert!(matches!(server.origin, Origin::Peer { path, .. } if path == "/a/b"));
        for wrong in [
            "http://127.0.0.1:1",
            "a b=http://x:1",
            "=http://x:1",
            "a=x:1",
            "a=http://x",
            "a=http://:1",
            "a=http://x:70000",
            "nginx=http://x:1",
        ] {
            assert!(wrong.parse::<Peer>().is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn a_variant_is_a_server_with_more_flags() {
        let Variant(edge) = "edge=epoll-loop --edge-triggered".parse().unwrap();
        assert_eq!(edge.to_string(), "epoll-loop --edge-triggered");
        let Variant(closes) = "c=executor-uring --no-keep-alive".parse().unwrap();
        assert_eq!(closes.to_string(), "executor --over io_uring --no-keep-alive");
        assert!(!closes.keeps_alive);
        for wrong in
            ["edge", "edge=", "edge=no-such", "edge=nginx -g x", "poll-loop=poll-loop"]
        {
            assert!(wrong.parse::<Variant>().is_err(), "{wrong} was taken");
        }
    }
}
