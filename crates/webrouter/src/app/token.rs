//! The token of the admin API, from its file.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::Context as _;
use tracing::warn;
use webrouter_admin::Token;

/// The token for those who are asked.
pub(super) fn token(path: &Path) -> anyhow::Result<Token> {
    Token::parse(&text(path)?).with_context(|| format!("{} holds no token of the admin API", path.display()))
}

/// The token for those who ask.
pub(crate) fn text(path: &Path) -> anyhow::Result<String> {
    let name = || format!("cannot read the token of the admin API from {}", path.display());
    let file = File::open(path).with_context(name)?;
    if file.metadata().with_context(name)?.mode() & 0o077 != 0 {
        warn!(path = %path.display(), "others can read the token of the admin API: make its mode 0600");
    }
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text).with_context(name)?;
    Ok(text.trim().to_owned())
}

const LONGEST: u64 = 4096;
