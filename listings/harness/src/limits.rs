//! How many descriptors there may be.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the generator and a server need beside a descriptor for each client.
const BESIDE: u64 = 100;

/// Raises the limit on descriptors as far as we may, and says how far that is; none: there is
/// no limit. Whatever is started from now on has the same.
///
/// # Errors
/// One line.
pub fn raise() -> Result<Option<u64>, String> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
        .map_err(|error| format!("cannot raise the limit on open files: {error}"))?;
    Ok(limit.maximum)
}

/// Why so many clients cannot be, if they cannot.
#[must_use]
pub fn refuses(limit: Option<u64>, clients: usize) -> Option<String> {
    let needed = clients as u64 + BESIDE;
    let limit = limit.filter(|limit| *limit < needed)?;
    Some(format!("{clients} clients need {needed} descriptors, and ulimit -Hn is {limit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_need_descriptors() {
        assert_eq!(refuses(Some(1100), 1000), None);
        assert!(refuses(Some(1099), 1000).is_some());
        assert_eq!(refuses(None, 1_000_000), None);
    }

    #[test]
    fn the_limit_is_raised_to_what_is_allowed() {
        let most = raise().unwrap();
        assert_eq!(getrlimit(Resource::Nofile).current, most);
    }
}
