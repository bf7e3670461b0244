//! How many connections the process can afford: each is a file, and so is all that serving it needs.

use rustix::process::{Resource, getrlimit, setrlimit};
use tracing::warn;

/// Raises the soft limit of open files, often 1024, to the hard one; returns how many client connections that allows.
pub(super) fn raise() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            warn!(%error, "cannot raise the limit of open files");
        }
    }
    // No limit in force is as good as a large one.
    let files = getrlimit(Resource::Nofile).current.and_then(|files| usize::try_from(files).ok());
    connections(files.unwrap_or(usize::MAX))
}

fn connections(files: usize) -> usize {
    files.saturating_sub(FILES_KEPT).div_euclid(FILES_PER_CONNECTION).max(1)
}

/// The client, its endpoint, and the two ends of a pipe.
const FILES_PER_CONNECTION: usize = 4;
/// For the access log, the store, the sources, the admin API.
const FILES_KEPT: usize = 256;

#[cfg(test)]
mod tests {
    use super::connections;

    #[test]
    fn some_files_are_kept_for_everything_else() {
        for (files, expected) in [(1024, 192), (256, 1), (0, 1)] {
            assert_eq!(connections(files), expected, "{files}");
        }
    }
}
