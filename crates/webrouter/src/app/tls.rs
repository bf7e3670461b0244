//! The certificates of an instance that has a listener for them.

use std::sync::Arc;

use anyhow::Context as _;
use tracing::warn;
use webrouter_proxy::tls::Certificates;

use crate::config::Config;

/// Reads and follows them; `None` where nobody would be served with them.
pub(crate) async fn open(config: &Config) -> anyhow::Result<Option<Arc<Certificates>>> {
    if config.listen.https.is_empty() && config.listen.external_https.is_empty() {
        return Ok(None);
    }
    let tls = config.tls.clone();
    let certificates = tokio::task::spawn_blocking(move || Certificates::open(tls)).await?;
    let certificates = certificates.context("cannot serve TLS")?;
    if certificates.is_empty() {
        let folder = config.tls.certificates.display();
        warn!(%folder, "no certificate yet: every TLS handshake is refused until a pair is put there");
    }
    Ok(Some(certificates))
}
