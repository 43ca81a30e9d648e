//! What a client says, line by line (RFC 959, RFC 2389, RFC 2428, RFC 3659).

/// One command.
// ANCHOR: command
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Who it is.
    User(String),
    /// Its password: anonymous clients send an address, or anything.
    Pass,
    /// A few words about itself that change nothing: SYST, FEAT, NOOP, HELP.
    Tell(&'static str),
    /// The type, mode or structure that it wants, all but the usual ones refused.
    Want(char, String),
    /// Listen for a data connection, over IPv4.
    Pasv,
    /// The same over either: EPSV, with its argument.
    Epsv(String),
    /// Go on from this byte.
    Rest(u64),
    /// Move data: which way, and of which file or folder.
    Move(Move, String),
    /// Say something about a file: which fact, and of which.
    Fact(Fact, String),
    /// Go to a folder.
    Cwd(String),
    /// Say where we are.
    Pwd,
    /// Give the transfer up.
    Abor,
    /// The end.
    Quit,
    /// Known, and not offered.
    Refused(&'static str),
    /// Known, and said in a wrong way.
    Wrong(&'static str),
    /// Not known.
    Unknown,
}

/// What is moved over a data connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// LIST: lines for people.
    List,
    /// NLST: names.
    Names,
    /// MLSD: lines for programs.
    Facts,
    /// RETR.
    Retrieve,
    /// STOR.
    Store,
    /// APPE.
    Append,
}

/// What is told about a file over the control connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// SIZE: its length in bytes.
    Size,
    /// MDTM: when it was changed last.
    Modified,
    /// MLST: all of it.
    All,
}
// ANCHOR_END: command

impl Command {
    /// Reads one line, without its end. Verbs are the same in capitals and not.
    // ANCHOR: parse
    pub fn parse(line: &str) -> Self {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.to_string();
        match verb.to_ascii_uppercase().as_str() {
            "USER" => Self::User(rest),
            "PASS" => Self::Pass,
            "SYST" => Self::Tell("215 UNIX Type: L8\r\n"),
            "FEAT" => Self::Tell(FEATURES),
            "HELP" => Self::Tell("214 RFC 959, 2389, 2428 and 3659, as far as needed.\r\n"),
            "NOOP" => Self::Tell("200 Done.\r\n"),
            "OPTS" if rest.eq_ignore_ascii_case("UTF8 ON") => Self::Tell("200 Always.\r\n"),
            "ALLO" => Self::Tell("202 Not needed here.\r\n"),
            "TYPE" => Self::Want('T', rest),
            "MODE" => Self::Want('M', rest),
            "STRU" => Self::Want('S', rest),
            "PASV" => Self::Pasv,
            "EPSV" => Self::Epsv(rest),
            "REST" => rest.parse().map_or(Self::Wrong("501 From which byte?"), Self::Rest),
            "LIST" => Self::Move(Move::List, without_options(&rest)),
            "NLST" => Self::Move(Move::Names, without_options(&rest)),
            "MLSD" => Self::Move(Move::Facts, rest),
            "RETR" if !rest.is_empty() => Self::Move(Move::Retrieve, rest),
            "STOR" if !rest.is_empty() => Self::Move(Move::Store, rest),
            "APPE" if !rest.is_empty() => Self::Move(Move::Append, rest),
            "SIZE" if !rest.is_empty() => Self::Fact(Fact::Size, rest),
            "MDTM" if !rest.is_empty() => Self::Fact(Fact::Modified, rest),
            "MLST" => Self::Fact(Fact::All, rest),
            "RETR" | "STOR" | "APPE" | "SIZE" | "MDTM" => Self::Wrong("501 Which file?"),
            "CWD" | "XCWD" => Self::Cwd(rest),
            "CDUP" | "XCUP" => Self::Cwd("..".into()),
            "PWD" | "XPWD" => Self::Pwd,
            "ABOR" => Self::Abor,
            "QUIT" => Self::Quit,
            // To connect wherever a client says is a service to attackers (RFC 2577).
            "PORT" | "EPRT" => Self::Refused("502 Only passive mode here.\r\n"),
            "DELE" | "RNFR" | "RNTO" | "MKD" | "XMKD" | "RMD" | "XRMD" | "SITE"
            | "STOU" => Self::Refused("550 Nothing can be changed here.\r\n"),
            "AUTH" | "PBSZ" | "PROT" => Self::Refused("502 No encryption here.\r\n"),
            "STAT" | "ACCT" | "REIN" | "SMNT" | "OPTS" | "LANG" => {
                Self::Refused("502 Not here.\r\n")
            }
            _ => Self::Unknown,
        }
    }
    // ANCHOR_END: parse
}

const FEATURES: &str = "211-Beyond RFC 959:\r\n EPSV\r\n MDTM\r\n \
    MLST type*;size*;modify*;\r\n REST STREAM\r\n SIZE\r\n TVFS\r\n UTF8\r\n211 End.\r\n";

/// Clients send options of ls(1) with LIST, and mean nothing by it that matters here.
fn without_options(argument: &str) -> String {
    let mut rest = argument.trim_start();
    while rest.starts_with('-') {
        rest = rest.split_once(' ').map_or("", |(_, rest)| rest.trim_start());
    }
    rest.into()
}

/// Takes out what telnet puts between the bytes (RFC 854): clients send ABOR behind an
/// "interrupt process" and a "data mark".
// ANCHOR: telnet
pub fn without_telnet(line: &[u8]) -> Vec<u8> {
    let mut clean = Vec::with_capacity(line.len());
    let mut bytes = line.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            255 => match bytes.next() {
                Some(255) => clean.push(255),
                Some(251..=254) => drop(bytes.next()),
                _ => {}
            },
            242 if clean.is_empty() => {} // the mark alone: its 255 came as urgent data
            _ => clean.push(byte),
        }
    }
    clean
}
// ANCHOR_END: telnet

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_are_read_in_any_case_and_arguments_as_they_are() {
        let file = |what, name: &str| Command::Move(what, name.into());
        for (line, command) in [
            ("user Anonymous", Command::User("Anonymous".into())),
            ("PASS a b", Command::Pass),
            ("RETR a  b ", file(Move::Retrieve, "a  b ")),
            ("stor x", file(Move::Store, "x")),
            ("LIST", file(Move::List, "")),
            ("LIST -la", file(Move::List, "")),
            ("LIST -a -l sub", file(Move::List, "sub")),
            ("NLST -x", file(Move::Names, "")),
            ("MLSD -x", file(Move::Facts, "-x")),
            ("REST 0", Command::Rest(0)),
            ("REST 18446744073709551615", Command::Rest(u64::MAX)),
            ("CDUP", Command::Cwd("..".into())),
            ("XPWD", Command::Pwd),
            ("EPSV ALL", Command::Epsv("ALL".into())),
            ("SIZE x", Command::Fact(Fact::Size, "x".into())),
        ] {
            assert_eq!(Command::parse(line), command, "{line}");
        }
        for line in ["", "GET / HTTP/1.1"] {
            assert_eq!(Command::parse(line), Command::Unknown, "{line}");
        }
        for line in ["RETR", "STOR", "SIZE", "REST", "REST -1", "REST x"] {
            assert!(matches!(Command::parse(line), Command::Wrong(_)), "{line}");
        }
        for line in ["PORT 127,0,0,1,0,80", "EPRT |1|127.0.0.1|80|", "DELE x", "SITE CHMOD"]
        {
            assert!(matches!(Command::parse(line), Command::Refused(_)), "{line}");
        }
    }

    #[test]
    fn telnet_is_taken_out() {
        assert_eq!(without_telnet(b"\xff\xf4\xff\xf2ABOR"), b"ABOR");
        assert_eq!(without_telnet(b"\xf2ABOR"), b"ABOR");
        assert_eq!(without_telnet(b"\xff\xf4\xf2ABOR"), b"ABOR");
        assert_eq!(without_telnet(b"RETR \xff\xff"), b"RETR \xff");
        assert_eq!(without_telnet(b"\xff\xfb\x01NOOP\xff"), b"NOOP");
    }
}
