//! WebSocket frames: the same position wherever the bytes are cut, and the one that a reader of whole frames finds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use webrouter_proxy::websocket::{FrameScanner, GOING_AWAY, Position, Sender, masked_going_away};

// The first byte says who sends and where the rest is cut.
fuzz_target!(|bytes: &[u8]| {
    let Some((&cut, stream)) = bytes.split_first() else { return };
    let sender = if cut & 1 == 0 { Sender::Client } else { Sender::Endpoint };
    let whole = scan(sender, stream, stream.len().max(1));
    let bytewise = scan(sender, stream, 1);
    let pieces = scan(sender, stream, usize::from(cut) + 1);
    let expected = read(sender, stream);
    for found in [&whole, &bytewise, &pieces] {
        assert_eq!(found.position(), expected);
    }
    // Where a Close of ours may stand it is understood as one.
    if expected == Position::Boundary {
        let mut closed = whole;
        match sender {
            Sender::Client => closed.scan(&masked_going_away([cut, 2, 3, 4])),
            Sender::Endpoint => closed.scan(&GOING_AWAY),
        }
        assert_eq!(closed.position(), Position::Closed);
    }
});

fn scan(sender: Sender, stream: &[u8], piece: usize) -> FrameScanner {
    let mut scanner = FrameScanner::new(sender);
    stream.chunks(piece).for_each(|piece| scanner.scan(piece));
    scanner
}

/// RFC 6455 §5.2, one frame after another, all bytes at hand.
fn read(sender: Sender, mut stream: &[u8]) -> Position {
    while let Some(&first) = stream.first() {
        let (fin, opcode) = (first & 0x80 != 0, first & 0x0f);
        let control = opcode & 8 != 0;
        if !matches!(opcode, 0 | 1 | 2 | 8 | 9 | 10) || (control && !fin) {
            return Position::Unknown;
        }
        let Some(&second) = stream.get(1) else { return Position::Inside };
        let masked = second & 0x80 != 0;
        let short = second & 0x7f;
        if masked != (sender == Sender::Client) || (control && short > 125) {
            return Position::Unknown;
        }
        let extended = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some(digits) = stream.get(2..2 + extended) else { return Position::Inside };
        let length = match extended {
            0 => u64::from(short),
            _ => digits.iter().fold(0, |length, digit| length << 8 | u64::from(*digit)),
        };
        if length > i64::MAX as u64 {
            return Position::Unknown;
        }
        let header = 2 + extended as u64 + if masked { 4 } else { 0 };
        match usize::try_from(header + length).ok().and_then(|frame| stream.get(frame..)) {
            None => return Position::Inside,
            Some(_) if opcode == 8 => return Position::Closed,
            Some(rest) => stream = rest,
        }
    }
    Position::Boundary
}
