//! `hello`: says who answers and which headers arrived.

use std::io;

use super::container::Identity;
use super::http::Conversation;

pub(super) async fn converse(mut conversation: Conversation, identity: Identity) -> io::Result<()> {
    while let Some(request) = conversation.request().await? {
        let mut body = format!(
            "hello from container {} of app {} at {}\n\nit was sent:\n  {}\n",
            identity.number,
            identity.app.name(),
            identity.address,
            request.line
        );
        for (name, value) in &request.fields {
            body.push_str(&format!("  {name}: {value}\n"));
        }
        if !conversation.answer(&request, &body).await? {
            return Ok(());
        }
    }
    Ok(())
}
