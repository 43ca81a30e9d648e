//! A folder as lines.

use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http1::{Kind, Meta};
use time::{Month, OffsetDateTime};

use crate::command::Move;

/// A file or a folder in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, in which there is no line end.
    pub name: String,
    /// What it is.
    pub meta: Meta,
}

/// Six months, after which `ls` shows the year and not the hour.
const RECENT: Duration = Duration::from_secs(182 * 86_400);

/// The lines for one of the commands that list.
pub(crate) fn lines(entries: &[Entry], style: Move, wall: SystemTime) -> Vec<u8> {
    let mut text = String::with_capacity(entries.len() * 64);
    for entry in entries {
        // Writing to a String does not fail.
        let _ = match style {
            Move::Names => write!(text, "{}\r\n", entry.name),
            Move::Facts => write!(text, "{} {}\r\n", facts(&entry.meta), entry.name),
            _ => write!(text, "{} {}\r\n", as_ls_does(&entry.meta, wall), entry.name),
        };
    }
    text.into_bytes()
}

/// What MLST and MLSD say (RFC 3659, 7.2).
pub(crate) fn facts(meta: &Meta) -> String {
    let modify = stamp(meta.modified);
    match meta.kind {
        Kind::Folder => format!("type=dir;modify={modify};"),
        _ => format!("type=file;size={};modify={modify};", meta.len),
    }
}

/// `YYYYMMDDHHMMSS`, in UTC (RFC 3659, 2.3).
pub(crate) fn stamp(time: SystemTime) -> String {
    let at = in_utc(time);
    let (month, day) = (u8::from(at.month()), at.day());
    let (hour, minute, second) = at.time().as_hms();
    format!("{:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}", at.year())
}

/// A file may have any time, also one that no calendar of four digits has.
fn in_utc(time: SystemTime) -> OffsetDateTime {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs())
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// There is no standard for LIST. Programs read what `ls -l` prints, so it looks like that.
fn as_ls_does(meta: &Meta, wall: SystemTime) -> String {
    let at = in_utc(meta.modified);
    let month = &Month::to_string(&at.month())[..3];
    let kind = if meta.kind == Kind::Folder { "drwxr-xr-x" } else { "-rw-r--r--" };
    let (day, len) = (at.day(), meta.len);
    let is_recent = wall.duration_since(meta.modified).is_ok_and(|age| age < RECENT);
    let when = match is_recent {
        true => format!("{:02}:{:02}", at.hour(), at.minute()),
        false => format!("{:>5}", at.year()),
    };
    format!("{kind} 1 ftp ftp {len:>12} {month} {day:>2} {when}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_is_in_no_calendar_is_a_time() {
        assert_eq!(
            stamp(UNIX_EPOCH + Duration::from_secs(400_000_000_000)),
            "19700101000000"
        );
        assert_eq!(stamp(UNIX_EPOCH - Duration::from_secs(1)), "19700101000000");
        let modified = UNIX_EPOCH + Duration::from_secs(u64::MAX / 4);
        let meta = Meta { kind: Kind::File, len: 0, modified };
        assert!(as_ls_does(&meta, UNIX_EPOCH).ends_with(" Jan  1  1970"));
    }

    #[test]
    fn each_style_has_its_lines() {
        let modified = UNIX_EPOCH + Duration::from_secs(784_111_777);
        let meta = Meta { kind: Kind::File, len: 17, modified };
        let folder = Meta { kind: Kind::Folder, ..meta };
        let entries = [
            Entry { name: "a b".into(), meta },
            Entry { name: "sub".into(), meta: folder },
        ];
        let text =
            |style, wall| String::from_utf8(lines(&entries, style, wall)).expect("UTF-8");
        assert_eq!(text(Move::Names, modified), "a b\r\nsub\r\n");
        assert_eq!(
            text(Move::Facts, modified),
            "type=file;size=17;modify=19941106084937; a b\r\n\
             type=dir;modify=19941106084937; sub\r\n"
        );
        assert_eq!(
            text(Move::List, modified + Duration::from_secs(60)),
            "-rw-r--r-- 1 ftp ftp           17 Nov  6 08:49 a b\r\n\
             drwxr-xr-x 1 ftp ftp           17 Nov  6 08:49 sub\r\n"
        );
        let later = modified + Duration::from_secs(86_400 * 365);
        assert!(
            text(Move::List, later)
                .starts_with("-rw-r--r-- 1 ftp ftp           17 Nov  6  1994 a b\r\n")
        );
    }
}
