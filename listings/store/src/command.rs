//! A request becomes one of the commands.
//!
//! The errors and the order in which they are looked for are those of Redis 7 (`server.c`,
//! `t_list.c`).

/// One command, borrowed from the request's arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// `PING [message]`
    Ping(Option<&'a [u8]>),
    /// `QUIT`: the reply is the last one.
    Quit,
    /// `INCR key`
    Incr(&'a [u8]),
    /// `GET key`
    Get(&'a [u8]),
    /// `LPUSH key value [value …]`
    LPush(&'a [u8], &'a [Vec<u8>]),
    /// `LRANGE key start stop`
    LRange(&'a [u8], i64, i64),
    /// `LTRIM key start stop`
    LTrim(&'a [u8], i64, i64),
    /// `SET key number`: only in the log, where it stands for that many `INCR`.
    Set(&'a [u8], i64),
}

const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";

impl<'a> Command<'a> {
    // ANCHOR: parse
    /// What a client asks for, or the text of the error that answers it.
    pub fn parse(request: &'a [Vec<u8>]) -> Result<Self, String> {
        let [name, rest @ ..] = request else { return Err(unknown(b"")) };
        match (name.to_ascii_uppercase().as_slice(), rest) {
            (b"PING", []) => Ok(Self::Ping(None)),
            (b"PING", [message]) => Ok(Self::Ping(Some(message))),
            (b"QUIT", _) => Ok(Self::Quit),
            (b"INCR", [key]) => Ok(Self::Incr(key)),
            (b"GET", [key]) => Ok(Self::Get(key)),
            (b"LPUSH", [key, values @ ..]) if !values.is_empty() => {
                Ok(Self::LPush(key, values))
            }
            (b"LRANGE", [key, start, stop]) => {
                Ok(Self::LRange(key, integer(start)?, integer(stop)?))
            }
            (b"LTRIM", [key, start, stop]) => {
                Ok(Self::LTrim(key, integer(start)?, integer(stop)?))
            }
            (b"PING" | b"INCR" | b"GET" | b"LPUSH" | b"LRANGE" | b"LTRIM", _) => {
                Err(arity(name))
            }
            _ => Err(unknown(name)),
        }
    }
    // ANCHOR_END: parse

    /// What a record of the log says, or why it says nothing.
    pub fn parse_record(request: &'a [Vec<u8>]) -> Result<Self, String> {
        match request {
            [name, key, number] if name == b"SET" => Ok(Self::Set(key, integer(number)?)),
            _ => match Self::parse(request)? {
                command @ (Self::Incr(_) | Self::LPush(..) | Self::LTrim(..)) => {
                    Ok(command)
                }
                _ => Err("a command that changes nothing".into()),
            },
        }
    }
}

/// A number as Redis writes it: no plus sign, no leading zeros.
fn integer(text: &[u8]) -> Result<i64, String> {
    let number = str::from_utf8(text).ok().and_then(|text| text.parse::<i64>().ok());
    number
        .filter(|number| number.to_string().as_bytes() == text)
        .ok_or_else(|| NOT_AN_INTEGER.into())
}

fn arity(name: &[u8]) -> String {
    format!(
        "ERR wrong number of arguments for '{}' command",
        name.to_ascii_lowercase().escape_ascii()
    )
}

fn unknown(name: &[u8]) -> String {
    format!("ERR unknown command '{}'", name[..name.len().min(128)].escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Vec<u8>> {
        text.split(' ').map(|word| word.as_bytes().to_vec()).collect()
    }

    #[test]
    fn numbers_are_taken_only_as_redis_takes_them() {
        for (text, number) in [
            ("0", 0),
            ("-1", -1),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(integer(text.as_bytes()), Ok(number));
        }
        for text in [
            "",
            "-",
            "+1",
            "01",
            "-0",
            " 1",
            "1 ",
            "1.0",
            "0x1",
            "9223372036854775808",
            "one",
        ] {
            assert_eq!(integer(text.as_bytes()), Err(NOT_AN_INTEGER.into()), "{text}");
        }
    }

    #[test]
    fn an_error_is_one_line_whatever_the_name_is() {
        let error = Command::parse(&[b"a\r\nb\xff".to_vec()]).unwrap_err();
        assert_eq!(error, r"ERR unknown command 'a\r\nb\xff'");
        assert!(Command::parse(&[vec![b'x'; 100_000]]).unwrap_err().len() < 200);
        assert!(Command::parse(&[]).is_err());
    }

    #[test]
    fn set_is_for_the_log_and_reading_is_not() {
        assert!(Command::parse(&words("SET n 5")).is_err());
        assert_eq!(Command::parse_record(&words("SET n 5")), Ok(Command::Set(b"n", 5)));
        assert!(Command::parse_record(&words("SET n five")).is_err());
        assert!(Command::parse_record(&words("GET n")).is_err());
        assert!(Command::parse_record(&words("QUIT")).is_err());
        assert_eq!(Command::parse_record(&words("incr n")), Ok(Command::Incr(b"n")));
    }
}
