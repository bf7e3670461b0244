//! What pages load: files in the binary, kept by browsers until they change.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode};

use crate::state::AdminState;

/// A file.
struct Asset {
    path: &'static str,
    content_type: &'static str,
    content: &'static str,
}

pub(super) fn routes() -> Router<AdminState> {
    ASSETS.iter().fold(Router::new(), |router, asset| {
        router.route(asset.path, get(async move |fields: HeaderMap| asset.answer(&fields)))
    })
}

impl Asset {
    fn answer(&self, fields: &HeaderMap) -> Response {
        let tag = format!("\"{:016x}\"", fingerprint(self.content.as_bytes()));
        let known = fields.get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
        let is_known =
            known.is_some_and(|tags| tags.split(',').any(|known| known.trim() == tag || known.trim() == "*"));
        let kept = [(CACHE_CONTROL, "no-cache".to_owned()), (ETAG, tag)];
        match is_known {
            true => (StatusCode::NOT_MODIFIED, kept).into_response(),
            false => (kept, [(CONTENT_TYPE, self.content_type)], self.content).into_response(),
        }
    }
}

/// FNV-1a: tells one build's file from another's, nothing more.
fn fingerprint(content: &[u8]) -> u64 {
    content.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

pub(super) const STYLE: &str = "/static/style.css";
pub(super) const SCRIPT: &str = "/static/live.js";
pub(super) const ICON: &str = "/static/icon.svg";

static ASSETS: [Asset; 3] = [
    Asset { path: STYLE, content_type: "text/css; charset=utf-8", content: include_str!("style.css") },
    Asset { path: SCRIPT, content_type: "text/javascript; charset=utf-8", content: include_str!("live.js") },
    Asset { path: ICON, content_type: "image/svg+xml", content: include_str!("icon.svg") },
];
