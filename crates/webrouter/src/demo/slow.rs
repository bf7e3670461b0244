//! `slow`: a line every 300 ms, ten lines.

use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::container::Identity;
use super::http::Conversation;

pub(super) async fn converse(mut conversation: Conversation, identity: Identity) -> io::Result<()> {
    while conversation.request().await?.is_some() {
        const HEAD: &[u8] =
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n";
        conversation.stream.write_all(HEAD).await?;
        for number in 1..=LINES {
            let line = format!("line {number} of {LINES} from container {}\n", identity.number);
            conversation.stream.write_all(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes()).await?;
            tokio::time::sleep(PAUSE).await;
        }
        conversation.stream.write_all(b"0\r\n\r\n").await?;
    }
    Ok(())
}

const LINES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(300);
