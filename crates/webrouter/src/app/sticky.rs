//! `sticky.key` in the state directory: 32 random bytes that sign sticky cookies, made once and never shown. Instances that
//! serve the same clients need the same file.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::rand::{GetRandomFlags, getrandom};
use tracing::warn;
use webrouter_proxy::StickyKey;

/// Why a key cannot be kept.
#[derive(Debug, thiserror::Error)]
enum KeyError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it has {0} bytes, a key has {len}", len = StickyKey::LEN)]
    Length(usize),
}

/// The key of this state directory, made where there is none. Traffic does not wait for a disk to be mended: where it
/// cannot be read or written, this run has a key of its own.
pub(super) fn key(state: &Path) -> io::Result<StickyKey> {
    let path = state.join(FILE);
    let key = match read(&path) {
        Err(KeyError::Io(error)) if error.kind() == io::ErrorKind::NotFound => create(&path),
        read => read,
    };
    match key {
        Ok(key) => Ok(StickyKey::new(key)),
        Err(error) => {
            let path = path.display();
            warn!(
                %path, %error,
                "the key of sticky cookies cannot be kept: this run has one of its own, and the next will not know the \
                 cookies that it sets; mend the file or its directory, or remove the file to have a new one made"
            );
            Ok(StickyKey::new(random()?))
        }
    }
}

fn read(path: &Path) -> Result<[u8; StickyKey::LEN], KeyError> {
    // Opened without waiting: something else than a file may have this name.
    let file = OpenOptions::new().read(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32).open(path)?;
    if file.metadata()?.mode() & 0o077 != 0 {
        warn!(path = %path.display(), "others can read the key of sticky cookies, and forge them: make its mode 0600");
    }
    let mut bytes = Vec::new();
    file.take(StickyKey::LEN as u64 + 1).read_to_end(&mut bytes)?;
    bytes.try_into().map_err(|bytes: Vec<u8>| KeyError::Length(bytes.len()))
}

/// Whoever is first makes it, whole: two that start at once on one directory have the same.
fn create(path: &Path) -> Result<[u8; StickyKey::LEN], KeyError> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let key = random()?;
    let new = path.with_extension(format!("key.{}", std::process::id()));
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let written = write(&new, &key).and_then(|()| fs::hard_link(&new, path));
    // It has its name by now, or is of no use.
    let _ = fs::remove_file(&new);
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(path),
        written => Ok(written.map(|()| key)?),
    }
}

fn write(path: &Path, key: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(key)?;
    file.sync_all()
}

fn random() -> io::Result<[u8; StickyKey::LEN]> {
    let mut key = [0; StickyKey::LEN];
    // So few are given whole (getrandom(2)).
    match getrandom(&mut key, GetRandomFlags::empty())? {
        StickyKey::LEN => Ok(key),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

const FILE: &str = "sticky.key";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_for_its_owner_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("state").join(FILE);
        let first = create(&path).expect("a key");
        assert_eq!(read(&path).expect("the key"), first);
        assert_ne!(first, [0; StickyKey::LEN]);
        assert_eq!(create(&path).expect("the key"), first, "whoever comes second takes the first one's");
        let mode = fs::metadata(&path).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let beside = fs::read_dir(directory.path().join("state")).expect("the directory").count();
        assert_eq!(beside, 1, "nothing else is left there");
        let other = create(&directory.path().join(FILE)).expect("a key");
        assert_ne!(other, first);
    }

    #[test]
    fn a_file_that_is_no_key_is_not_taken_and_not_overwritten() {
        let check = |content: &[u8]| {
            let directory = tempfile::tempdir().expect("a directory");
            let path = directory.path().join(FILE);
            fs::write(&path, content).expect("written");
            assert!(matches!(read(&path), Err(KeyError::Length(_))));
            key(directory.path()).expect("a key for this run");
            assert_eq!(fs::read(&path).expect("the file"), content);
        };
        check(b"");
        check(&[1; 31]);
        check(&[1; 33]);
        check(&[1; 4096]);
    }

    #[test]
    fn without_a_directory_there_is_a_key_for_this_run() {
        let directory = tempfile::tempdir().expect("a directory");
        let state = directory.path().join("state");
        fs::write(&state, "a file where the directory should be").expect("written");
        assert!(create(&state.join(FILE)).is_err());
        key(&state).expect("a key for this run");
    }
}
