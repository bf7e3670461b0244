//! `chat`: a WebSocket that says its messages back (RFC 6455).

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::container::Identity;
use super::http::Conversation;
use super::websocket::{Decoded, Frame, Opcode, accept_key, decode, encode};

pub(super) async fn converse(mut conversation: Conversation, identity: Identity) -> io::Result<()> {
    while let Some(request) = conversation.request().await? {
        let is_websocket = request.field("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
        let Some(key) = request.field("sec-websocket-key").filter(|_| is_websocket) else {
            let body = format!("chat, container {}: open a WebSocket here; it echoes\n", identity.number);
            match conversation.answer(&request, &body).await? {
                true => continue,
                false => return Ok(()),
            }
        };
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n\r\n",
            accept_key(key)
        );
        conversation.stream.write_all(head.as_bytes()).await?;
        // A client that speaks no WebSocket, such as curl, sees something too, and an end.
        if request.line.contains(" /greet ") {
            let greeting = format!("hello from container {} of app chat\n", identity.number);
            conversation.stream.write_all(&encode(Opcode::Text, greeting.as_bytes())).await?;
            return close(&mut conversation, NORMAL).await;
        }
        return echo(&mut conversation).await;
    }
    Ok(())
}

async fn echo(conversation: &mut Conversation) -> io::Result<()> {
    loop {
        match decode(&conversation.buffer) {
            Decoded::Frame(frame, length) => {
                conversation.buffer.drain(..length);
                if !answer(conversation, frame).await? {
                    return Ok(());
                }
            }
            Decoded::Incomplete => {
                let (stream, buffer) = (&mut conversation.stream, &mut conversation.buffer);
                if stream.read_buf(buffer).await? == 0 {
                    return Ok(());
                }
            }
            Decoded::Violation(code) => return close(conversation, code).await,
        }
    }
}

/// False when the conversation is over.
async fn answer(conversation: &mut Conversation, frame: Frame) -> io::Result<bool> {
    let reply = match frame.opcode {
        Opcode::Text | Opcode::Binary | Opcode::Continuation => frame.encode_as_it_came(),
        Opcode::Ping => encode(Opcode::Pong, &frame.payload),
        Opcode::Pong => return Ok(true),
        Opcode::Close => encode(Opcode::Close, &frame.payload),
    };
    conversation.stream.write_all(&reply).await?;
    Ok(frame.opcode != Opcode::Close)
}

async fn close(conversation: &mut Conversation, code: u16) -> io::Result<()> {
    conversation.stream.write_all(&encode(Opcode::Close, &code.to_be_bytes())).await
}

const NORMAL: u16 = 1000;
