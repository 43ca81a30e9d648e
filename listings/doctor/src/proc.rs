//! What the kernel says under `/proc`.

use std::fs;
use std::str::FromStr;

/// The one value in the file, if it is there and can be read.
pub fn value<T: FromStr>(path: &str) -> Option<T> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// What follows `name:` in a text of such lines.
pub fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(rest.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let status = "Seccomp_filters:\t3\nSeccomp:\t2\nGroups:\t\n";
        assert_eq!(field(status, "Seccomp"), Some("2"));
        assert_eq!(field(status, "Groups"), Some(""));
        assert_eq!(field(status, "Sec"), None);
    }
}
