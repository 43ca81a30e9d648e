//! A path below the served folder.

use std::borrow::Cow;
use std::fmt;

/// A path relative to the root: percent-decoded once, without `.`, `..`, empty segments or
/// hidden names.
///
/// It is checked here so that no driver has to, and opened with `RESOLVE_BENEATH` by the
/// drivers all the same: a check of names does not see a symbolic link.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RelPath(String);

impl RelPath {
    /// Reads the path of a request target. `Err` is the status that refuses it: 400 for one
    /// that is not a path at all, 404 for one that names nothing this server would ever
    /// have.
    // ANCHOR: from-target
    pub fn from_target(target: &str) -> Result<Self, u16> {
        let encoded = target.strip_prefix('/').ok_or(400_u16)?;
        let mut path = String::with_capacity(encoded.len() + "index.html".len());
        for (n, segment) in encoded.split('/').enumerate() {
            if n > 0 {
                path.push('/');
            }
            path.push_str(&decode(segment)?);
        }
        if path.is_empty() || path.ends_with('/') {
            path.push_str("index.html");
        }
        match path.split('/').any(|name| name.is_empty() || name.starts_with('.')) {
            true => Err(404),
            false => Ok(Self(path)),
        }
    }
    // ANCHOR_END: from-target

    /// The path as text, with `/` between names and none in front.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One segment, decoded once: what decodes to a separator or a NUL is no name of a file.
fn decode(segment: &str) -> Result<Cow<'_, str>, u16> {
    let bytes = segment.as_bytes();
    // Most have nothing in them that this function is about.
    if !bytes.iter().any(|b| matches!(b, b'%' | b'\\' | b'\0')) {
        return Ok(Cow::Borrowed(segment));
    }
    let broken = bytes.iter().enumerate().any(|(at, &b)| {
        b == b'%'
            && !bytes
                .get(at + 1..at + 3)
                .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    });
    if broken {
        return Err(400);
    }
    // A name that is not UTF-8 may exist on disk, but nobody links to it.
    let name =
        percent_encoding::percent_decode_str(segment).decode_utf8().map_err(|_| 404_u16)?;
    if name.contains('\0') {
        return Err(400);
    }
    if name.contains(['/', '\\']) { Err(404) } else { Ok(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_decoded_once() {
        for (target, path) in [
            ("/", "index.html"),
            ("/a", "a"),
            ("/a/b.html", "a/b.html"),
            ("/a/", "a/index.html"),
            ("/a%20b", "a b"),
            ("/%61", "a"),
            ("/100%25", "100%"),
            ("/%252e%252e/x", "%2e%2e/x"),
            ("/a..b/c", "a..b/c"),
            ("/%C3%A9", "é"),
        ] {
            assert_eq!(
                RelPath::from_target(target).as_ref().map(RelPath::as_str),
                Ok(path),
                "{target}"
            );
        }
    }

    #[test]
    fn what_would_leave_the_folder_names_nothing() {
        for (target, status) in [
            ("/..", 404),
            ("/../x", 404),
            ("/a/../../x", 404),
            ("/./x", 404),
            ("/%2e%2e/x", 404),
            ("/%2E./x", 404),
            ("/..%2fx", 404),
            ("/..%5cx", 404),
            ("/a\\..\\x", 404),
            ("//", 404),
            ("//x", 404),
            ("//a/", 404),
            ("/a//b", 404),
            ("/a//", 404),
            ("/.git/config", 404),
            ("/a/.htpasswd", 404),
            ("/%ff", 404),
            ("/%00", 400),
            ("/a%00.html", 400),
            ("/a\0.html", 400),
            ("/%", 400),
            ("/%2", 400),
            ("/%zz", 400),
            ("x", 400),
            ("*", 400),
        ] {
            assert_eq!(RelPath::from_target(target), Err(status), "{target}");
        }
    }
}
